//! All checks of one message, and the field that tells them.
//!
//! Standards   RFC 8601 2.2, 2.7 (results and properties), 9989 9 (dmarc), 8617 10.1 (arc)
//! Invariants  the DNS is asked in the order SPF, DKIM, ARC, DMARC, all through one resolver and one budget

use crate::authres::{Builder, method_and_result};
use crate::dkim::Keys;
use crate::dmarc::{Authenticated, PublicSuffixes};
use crate::message::Message;
use crate::{arc, bimi, dkim, dmarc, spf};
use penny_dns::{Name, Resolve};

/// Everything found out about one message.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// Of the envelope.
    pub spf: spf::Verdict,
    /// Of each signature.
    pub dkim: Vec<dkim::Verdict>,
    /// Of the chain.
    pub arc: arc::Verdict,
    /// The decision.
    pub dmarc: dmarc::Verdict,
    /// For information.
    pub bimi: bimi::Verdict,
}

/// Checks a message.
pub fn assess(
    message: &Message<'_>,
    client: &spf::Client<'_>,
    dns: &dyn Resolve,
    keys: &Keys,
    suffixes: Option<&PublicSuffixes>,
) -> Assessment {
    let spf = spf::check(dns, client);
    let dkim = dkim::verify(message, dns, keys, client.now);
    let arc = arc::verify(message, dns, keys);
    let dmarc = dmarc::check(message, dns, suffixes, Authenticated { spf: &spf, dkim: &dkim });
    let bimi = bimi::check(message, dns, &dmarc);
    Assessment { spf, dkim, arc, dmarc, bimi }
}

impl Assessment {
    /// The Authentication-Results field, folded with LF, without the final line end.
    pub fn field(&self, id: &str, mail_from: &str, helo: &str) -> String {
        let mut b = Builder::new(id);
        b.result("spf", &self.spf.outcome.to_string(), &self.spf.reason);
        if self.spf.helo {
            b.property("smtp.helo", helo)
        } else {
            b.property("smtp.mailfrom", mail_from)
        };
        if self.dkim.is_empty() {
            b.result("dkim", "none", "");
        }
        for verdict in &self.dkim {
            let testing = if verdict.testing { " testing" } else { "" };
            b.result("dkim", &verdict.outcome.to_string(), format!("{}{testing}", verdict.reason).trim());
            b.property("header.d", &verdict.domain).property("header.s", &verdict.selector);
            b.property("header.a", &verdict.algorithm).property("header.b", &verdict.b_start);
        }
        let published = self.dmarc.record.as_ref().map(|_| format!("p={} of {}", self.dmarc.policy, self.dmarc.domain));
        let comment = [published.unwrap_or_default(), self.dmarc.reason.clone()];
        let comment: Vec<&str> = comment.iter().map(String::as_str).filter(|c| !c.is_empty()).collect();
        b.result("dmarc", &self.dmarc.outcome.to_string(), &comment.join(", "));
        b.property("header.from", &self.dmarc.author);
        self.arc_result(&mut b);
        if !matches!(self.bimi.outcome, bimi::Outcome::Skipped | bimi::Outcome::None) {
            b.result("bimi", &self.bimi.outcome.to_string(), "");
            b.property("header.d", &self.bimi.domain).property("header.selector", &self.bimi.selector);
        }
        b.finish()
    }

    fn arc_result(&self, b: &mut Builder) {
        let comment = match (self.arc.instance, self.arc.reason.as_str()) {
            (0, reason) => reason.to_owned(),
            (n, "") => format!("i={n} sealed by {}", self.arc.sealers.last().map_or("", String::as_str)),
            (n, reason) => format!("i={n} {reason}"),
        };
        b.result("arc", &self.arc.outcome.to_string(), &comment);
    }

    /// Whether a sealer the administrator trusts saw the message pass DMARC before it was changed (RFC 8617 7.2.1).
    ///
    /// Everyone who sealed after that one must be trusted too: they could have changed anything.
    pub fn excused_by(&self, trusted: &[String]) -> Option<&str> {
        if self.arc.outcome != arc::Outcome::Pass {
            return None;
        }
        let trusts = |sealer: &str| {
            let sealer = Name::parse(sealer).ok();
            trusted.iter().filter_map(|t| Name::parse(t).ok()).any(|t| sealer.as_ref().is_some_and(|s| s.is_within(&t)))
        };
        let sets = self.arc.sealers.iter().zip(&self.arc.seen).rev();
        let mut trusted_sets = sets.take_while(|(sealer, _)| trusts(sealer));
        trusted_sets.find(|(_, seen)| saw_dmarc_pass(seen)).map(|(sealer, _)| sealer.as_str())
    }
}

/// Whether recorded results say `dmarc=pass`.
fn saw_dmarc_pass(seen: &str) -> bool {
    let parsed = crate::authres::AuthResults::parse(seen);
    let results = parsed.map(|p| p.results).unwrap_or_default();
    results.iter().filter_map(|r| method_and_result(r)).any(|(m, r)| m == "dmarc" && r == "pass")
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_dns::Zone;

    fn assessment(mail: &str, zone: &str) -> Assessment {
        let ip = "192.0.2.1".parse().unwrap();
        let client = spf::Client { ip, helo: "h.example", mail_from: "a@d.example", receiver: "mx.example", now: 1 };
        assess(&Message::parse(mail.as_bytes()), &client, &Zone::parse(zone), &Keys::new(), None)
    }

    #[test]
    fn the_field_tells_all_methods() {
        let zone = "d.example TXT v=spf1 -all\n_dmarc.d.example TXT v=DMARC1; p=reject";
        let field = assessment("From: a@d.example\r\n\r\n", zone).field("mx.example", "a@d.example", "h.example");
        assert_eq!(
            field,
            "Authentication-Results: mx.example;\n\tspf=fail (-all of d.example)\n\t smtp.mailfrom=a@d.example;\n\
             \tdkim=none;\n\tdmarc=fail (p=reject of d.example, no aligned identifier is authenticated)\n\
             \t header.from=d.example;\n\tarc=none"
        );
    }

    #[test]
    fn excuses_need_trust_all_the_way() {
        let mut a = assessment("From: a@d.example\r\n\r\n", "");
        let text = |t: &[&str]| t.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        a.arc.outcome = arc::Outcome::Pass;
        a.arc.sealers = text(&["first.example", "lists.example"]);
        a.arc.seen = text(&["first.example; dmarc=pass", "lists.example; dmarc=fail"]);
        assert_eq!(a.excused_by(&text(&["lists.example"])), None);
        assert_eq!(a.excused_by(&text(&["first.example"])), None, "the last sealer is a stranger");
        assert_eq!(a.excused_by(&text(&["first.example", "lists.example"])), Some("first.example"));
        a.arc.seen = text(&["first.example; dmarc=fail", "lists.example; dmarc=pass (x)"]);
        assert_eq!(a.excused_by(&text(&["Lists.example"])), Some("lists.example"));
        a.arc.outcome = arc::Outcome::Fail;
        assert_eq!(a.excused_by(&text(&["lists.example"])), None);
    }
}
