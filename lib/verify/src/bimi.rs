//! BIMI, for information only: does the author's domain name a logo?
//!
//! Standards   draft-brand-indicators-for-message-identification (record, discovery); RFC 9989 for the precondition
//! Not here    fetching the logo or its certificate: nothing here opens a connection

use crate::dmarc::{Outcome as Dmarc, Policy, Verdict as DmarcVerdict};
use crate::message::Message;
use crate::tags::Tags;
use penny_dns::{Name, Resolve, txt};
use std::fmt;

/// What is to be said in Authentication-Results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A record names a logo.
    Pass,
    /// There is no record.
    None,
    /// The record can't be understood.
    Fail,
    /// The DNS could not be asked.
    TempError,
    /// The domain says it has none.
    Declined,
    /// The message is not authenticated well enough to ask.
    Skipped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::None => "none",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::Declined => "declined",
            Self::Skipped => "skipped",
        })
    }
}

/// The finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The word.
    pub outcome: Outcome,
    /// Where the record stands.
    pub domain: String,
    /// The selector used.
    pub selector: String,
    /// `l=`: where the logo is.
    pub location: String,
}

/// Looks for the record of a message's author.
pub fn check(message: &Message<'_>, dns: &dyn Resolve, dmarc: &DmarcVerdict) -> Verdict {
    let selector = selector(message);
    let mut verdict =
        Verdict { outcome: Outcome::Skipped, domain: dmarc.author.clone(), selector, location: String::new() };
    if dmarc.outcome != Dmarc::Pass || dmarc.policy == Policy::None {
        return verdict;
    }
    verdict.outcome = Outcome::None;
    // the author's domain first, then the domain whose policy is applied
    for domain in [&dmarc.author, &dmarc.domain] {
        let Some(at) = Name::parse(domain).ok().and_then(|n| n.child(&format!("{}._bimi", verdict.selector)).ok())
        else {
            continue;
        };
        let Ok(records) = txt(dns, &at) else {
            verdict.outcome = Outcome::TempError;
            return verdict;
        };
        if let Some(record) = records.iter().find(|r| r.starts_with(b"v=BIMI1")) {
            verdict.domain.clone_from(domain);
            (verdict.outcome, verdict.location) = read(record);
            return verdict;
        }
    }
    verdict
}

fn read(record: &[u8]) -> (Outcome, String) {
    let text = String::from_utf8_lossy(record).into_owned();
    let Ok(tags) = Tags::parse(&text) else { return (Outcome::Fail, String::new()) };
    match tags.get("l") {
        Some("") => (Outcome::Declined, String::new()),
        Some(location) if location.starts_with("https://") => (Outcome::Pass, location.to_owned()),
        _ => (Outcome::Fail, String::new()),
    }
}

/// The selector of a BIMI-Selector field, else "default".
fn selector(message: &Message<'_>) -> String {
    let named = message.all("BIMI-Selector").next().and_then(|field| {
        let text = field.text();
        let selector = Tags::parse(&text).ok()?.get("s")?.to_owned();
        let valid = selector.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        (valid && !selector.is_empty()).then_some(selector)
    });
    named.unwrap_or_else(|| "default".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_dns::Zone;

    fn run(zone: &str, mail: &str, outcome: Dmarc, policy: Policy) -> (Outcome, String) {
        let text = |t: &str| t.to_owned();
        let dmarc = DmarcVerdict {
            outcome,
            policy,
            author: text("mail.d.example"),
            domain: text("d.example"),
            record: None,
            dkim_aligned: true,
            spf_aligned: false,
            reason: text(""),
        };
        let verdict = check(&Message::parse(mail.as_bytes()), &Zone::parse(zone), &dmarc);
        (verdict.outcome, verdict.location)
    }

    #[test]
    fn records_and_preconditions() {
        let zone = "default._bimi.d.example TXT v=BIMI1; l=https://x.example/l.svg\n\
                    brand._bimi.mail.d.example TXT v=BIMI1; l=; a=\nbad._bimi.d.example TXT v=BIMI1; l=http://x";
        let url = "https://x.example/l.svg".to_owned();
        assert_eq!(run(zone, "", Dmarc::Pass, Policy::Reject), (Outcome::Pass, url));
        assert_eq!(run(zone, "", Dmarc::Pass, Policy::None).0, Outcome::Skipped);
        assert_eq!(run(zone, "", Dmarc::Fail, Policy::Reject).0, Outcome::Skipped);
        let with = |s: &str| format!("BIMI-Selector: v=BIMI1; s={s}\r\n\r\n");
        assert_eq!(run(zone, &with("brand"), Dmarc::Pass, Policy::Reject).0, Outcome::Declined);
        assert_eq!(run(zone, &with("bad"), Dmarc::Pass, Policy::Reject).0, Outcome::Fail);
        assert_eq!(run(zone, &with("none"), Dmarc::Pass, Policy::Reject).0, Outcome::None);
        assert_eq!(run("default._bimi.mail.d.example TIMEOUT", "", Dmarc::Pass, Policy::Reject).0, Outcome::TempError);
    }
}
