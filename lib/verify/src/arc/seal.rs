//! Puts a seal on a message we pass on.
//!
//! Standards   RFC 8617 5.1 (sealer actions), 5.1.1 (what is signed), 5.1.2 (a broken chain), 4.1.2 (what AMS may sign)
//! Invariants  1. the state of the chain comes from our own Authentication-Results, never from anybody else's
//!             2. a chain that is already sealed as broken gets no further seal
//! Form        tags in alphabetical order, folded only after semicolons: white space inside `b=` of an AMS would be part of
//!             what the seal covers. The same input gives the same octets as other sealers that keep to this form; the
//!             longest line, of an RSA key of 4096 bits, has 690 octets (RFC 5322 2.1.1 allows 998)

use super::set::{Chain, Set, newest, present, sealed_as_failed};
use super::verify::sealed_data;
use super::{Outcome, SETS_MAX};
use crate::authres::{AuthResults, method_and_result};
use crate::crypto::{SigningKey, to_base64};
use crate::dkim::canon::{Canon, body_hash};
use crate::dkim::signature::{choose, without_b};
use crate::message::{Field, Message};

/// Never in an AMS (4.1.2): fields that our own hosts take away or that seal the chain.
const NEVER: [&str; 2] = ["authentication-results", "arc-seal"];
/// Signed when present; one handling of a mailing list rewrites few of them before it seals.
const SIGNED: [&str; 21] = [
    "from",
    "reply-to",
    "subject",
    "date",
    "to",
    "cc",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "sender",
    "in-reply-to",
    "references",
    "resent-from",
    "resent-to",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-post",
    "list-archive",
    "dkim-signature",
];

/// What to seal with.
#[derive(Debug)]
pub struct Sealer {
    /// The private key.
    pub key: SigningKey,
    /// `d=`
    pub domain: String,
    /// `s=`
    pub selector: String,
    /// Whose Authentication-Results count as ours.
    pub id: String,
    /// `h=` of the AMS by hand; without it every field of the list above that is present.
    pub headers: Option<Vec<String>>,
}

/// The three fields of a new set, without final line ends, in the order to put on top.
pub type Fields = [String; 3];

impl Sealer {
    /// Seals these results; `Ok(None)` when there is nothing to seal: no results of ours, or the chain has ended.
    ///
    /// `state` is asked for the state of the chain when our results don't tell it.
    pub fn seal(
        &self,
        message: &Message<'_>,
        results: &[String],
        now: u64,
        state: &dyn Fn() -> Option<Outcome>,
    ) -> Result<Option<Fields>, &'static str> {
        if results.is_empty() || sealed_as_failed(message) {
            return Ok(None);
        }
        let instance = if present(message) { newest(message) + 1 } else { 1 };
        if instance > SETS_MAX {
            return Ok(None); // 4.2.1: too long to go on
        }
        let Some(status) = chain_status(results, present(message), state) else { return Ok(None) };
        let aar = format!("ARC-Authentication-Results: i={instance}; {}; {}", self.id, results.join(";\r\n  "));
        let ams = self.message_signature(message, &aar, instance, now)?;
        let mut sealed = format!(
            "ARC-Seal: a={};\r\n b=; cv={status}; d={}; i={instance}; s={}; t={now}",
            self.key.algorithm(),
            self.domain,
            self.selector
        );
        let new = Set {
            results: Field::new(aar.as_bytes()),
            signature: Field::new(ams.as_bytes()),
            seal: Field::new(sealed.as_bytes()),
        };
        // 5.1.2: over a broken chain only the new set is sealed
        let mut sets = match status {
            "pass" => Chain::collect(message).map_err(|_| "chain passed and yet is incomplete")?.sets,
            _ => Vec::new(),
        };
        sets.push(new);
        let signature = self.key.sign(&sealed_data(&sets))?;
        sealed = sealed.replacen("b=;", &format!("b={};", to_base64(&signature)), 1);
        Ok(Some([sealed, ams, aar]))
    }

    /// What those of these fields say that bear our name. Fields of which others may have made some tell nothing.
    pub fn own_results(&self, fields: &[Field<'_>]) -> Vec<String> {
        let fields = fields.iter().filter(|f| f.is("Authentication-Results"));
        let fields = fields.filter_map(|f| AuthResults::parse(&f.text()));
        fields.filter(|r| r.is_of(&self.id)).flat_map(|r| r.results).collect()
    }

    fn message_signature(
        &self,
        message: &Message<'_>,
        aar: &str,
        instance: u32,
        now: u64,
    ) -> Result<String, &'static str> {
        let names = self.names(message)?;
        let hash = body_hash(Canon::Relaxed, message.body, None).hash.ok_or("OpenSSL can't hash")?;
        let field = format!(
            "ARC-Message-Signature: a={};\r\n b=; bh={}; c=relaxed/relaxed;\r\n d={};\r\n h={};\r\n i={instance}; s={}; t={now}",
            self.key.algorithm(),
            to_base64(&hash),
            self.domain,
            names.join(":"),
            self.selector
        );
        // The new results stand on top of everything when the signature is checked.
        let mut with = message.clone();
        with.fields.insert(0, Field::new(aar.as_bytes()));
        let own = Field::new(field.as_bytes());
        let mut data = Vec::new();
        for chosen in choose(&with, &names, &own) {
            Canon::Relaxed.field(chosen.raw, &mut data);
            data.extend_from_slice(b"\r\n");
        }
        Canon::Relaxed.field(&without_b(own.raw), &mut data);
        let signature = to_base64(&self.key.sign(&data)?);
        Ok(field.replacen("b=;", &format!("b={signature};"), 1))
    }

    fn names(&self, message: &Message<'_>) -> Result<Vec<String>, &'static str> {
        let names: Vec<String> = match &self.headers {
            Some(names) => names.iter().map(|n| n.trim().to_ascii_lowercase()).collect(),
            None => {
                let times = |name: &&str| vec![(*name).to_owned(); message.all(name).count()];
                SIGNED.iter().flat_map(times).collect()
            }
        };
        if names.iter().any(|n| NEVER.contains(&n.as_str())) {
            return Err("Authentication-Results and ARC-Seal must not be signed (RFC 8617 4.1.2)");
        }
        if names.iter().any(|n| n == "from") { Ok(names) } else { Err("From must be signed") }
    }
}

/// The `cv=` of the new seal; `None` ends the chain here.
fn chain_status(results: &[String], sets: bool, state: &dyn Fn() -> Option<Outcome>) -> Option<&'static str> {
    if !sets {
        return Some("none"); // 4.1.3: nothing to vouch for
    }
    let said: Vec<String> =
        results.iter().filter_map(|r| method_and_result(r)).filter(|(m, _)| m == "arc").map(|(_, r)| r).collect();
    match said.as_slice() {
        [] => match state()? {
            Outcome::Pass => Some("pass"),
            Outcome::Fail => Some("fail"),
            Outcome::None | Outcome::TempError => None,
        },
        [one] if one == "pass" => Some("pass"),
        [one] if one == "none" || one == "temperror" => None,
        _ => Some("fail"), // several statements, or a broken chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::Keys;
    use penny_dns::Zone;

    const MAIL: &str = "Authentication-Results: mx.example; spf=pass smtp.mailfrom=d.example;\r\n dkim=pass\r\n\
        Authentication-Results: other.example; spf=fail\r\nFrom: a@d.example\r\nSubject: x\r\n\r\nbody\r\n";

    fn sealer() -> (Sealer, Zone) {
        let key = SigningKey::generate_ed25519().unwrap();
        let mut zone = Zone::new();
        zone.txt("s._domainkey.mx.example", &format!("k=ed25519; p={}", key.public_base64().unwrap()));
        let text = |t: &str| t.to_owned();
        (Sealer { key, domain: text("mx.example"), selector: text("s"), id: text("mx.example"), headers: None }, zone)
    }

    fn seal(sealer: &Sealer, mail: &str) -> Option<String> {
        let message = Message::parse(mail.as_bytes());
        let fields = sealer.seal(&message, &sealer.own_results(&message.fields), 12345, &|| None).unwrap()?;
        Some(fields.join("\r\n") + "\r\n" + mail)
    }

    fn outcome(mail: &str, zone: &Zone) -> (Outcome, u32, String) {
        let verdict = super::super::verify(&Message::parse(mail.as_bytes()), zone, &Keys::new());
        (verdict.outcome, verdict.instance, verdict.reason)
    }

    /// What the next hop of ours makes of a message: old results gone, the chain's state stated.
    fn hop(mail: &str, state: &str) -> String {
        let rest: Vec<&str> = mail.split("Authentication-Results: mx.example;").collect();
        assert!(rest.len() >= 2);
        let old = "\r\nAuthentication-Results: mx.example; ";
        let new = format!("\r\nAuthentication-Results: mx.example; arc={state}; ");
        match mail.strip_prefix("Authentication-Results: mx.example; ") {
            Some(tail) => format!("{}{tail}", new.trim_start()),
            None => mail.replacen(old, &new, 1),
        }
    }

    #[test]
    fn chains_grow_and_verify() {
        let (sealer, zone) = sealer();
        let mut mail = seal(&sealer, MAIL).unwrap();
        assert_eq!(outcome(&mail, &zone), (Outcome::Pass, 1, String::new()), "{mail}");
        mail = hop(&mail, "pass");
        for i in 2..=SETS_MAX {
            mail = seal(&sealer, &mail).unwrap();
            assert_eq!(outcome(&mail, &zone), (Outcome::Pass, i, String::new()));
        }
        assert_eq!(seal(&sealer, &mail), None, "no set beyond 50");
    }

    #[test]
    fn a_second_hop() {
        let (sealer, zone) = sealer();
        let first = seal(&sealer, MAIL).unwrap();
        let second = seal(&sealer, &hop(&first, "pass")).unwrap();
        assert_eq!(outcome(&second, &zone), (Outcome::Pass, 2, String::new()), "{second}");
        assert_eq!(outcome(&second.replace("body", "Body"), &zone).0, Outcome::Fail);
        // a broken first set breaks the chain though the newest message signature is good
        assert_eq!(
            outcome(&second.replacen("i=1; mx.example; spf=pass", "i=1; mx.example; spf=fail", 1), &zone).0,
            Outcome::Fail
        );
    }

    #[test]
    fn a_broken_chain_is_sealed_as_such_once() {
        let (sealer, zone) = sealer();
        let first = seal(&sealer, MAIL).unwrap();
        let second = seal(&sealer, &hop(&first, "fail")).unwrap();
        assert!(second.contains("cv=fail"));
        assert_eq!(outcome(&second, &zone).0, Outcome::Fail);
        assert_eq!(seal(&sealer, &second), None, "no third seal over a failed chain");
    }

    #[test]
    fn nothing_of_ours_to_say() {
        let (sealer, _) = sealer();
        assert_eq!(seal(&sealer, &MAIL.replace("mx.example", "x.example")), None);
        let first = seal(&sealer, MAIL).unwrap();
        assert_eq!(seal(&sealer, &first), None, "sets without a statement about them and nobody to ask");
    }

    #[test]
    fn the_dns_failing_is_no_verdict() {
        let (sealer, _) = sealer();
        let mail = seal(&sealer, MAIL).unwrap();
        assert_eq!(outcome(&mail, &Zone::parse("s._domainkey.mx.example TIMEOUT")).0, Outcome::TempError);
        assert_eq!(outcome(&mail, &Zone::new()).0, Outcome::Fail);
    }
}
