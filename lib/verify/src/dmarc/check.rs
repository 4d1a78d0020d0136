//! The decision for one message.
//!
//! Standards   RFC 9989 5.3 (mail receiver actions), 4.4 (alignment), 10.5 (denial of DMARC: several authors)

use super::author::author_domains;
use super::psl::PublicSuffixes;
use super::record::{Alignment, Policy, Record};
use super::walk::Walk;
use super::{Outcome, Verdict};
use crate::message::Message;
use crate::{dkim, spf};
use penny_dns::{Error, Name, Resolve, Type};

/// What was authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated<'a> {
    /// Of the MAIL FROM identity.
    pub spf: &'a spf::Verdict,
    /// Of every signature.
    pub dkim: &'a [dkim::Verdict],
}

/// Applies DMARC to a message.
pub fn check(
    message: &Message<'_>,
    dns: &dyn Resolve,
    suffixes: Option<&PublicSuffixes>,
    found: Authenticated<'_>,
) -> Verdict {
    let (domains, fields) = author_domains(message);
    match domains.as_slice() {
        [author] if fields == 1 => single(author, dns, suffixes, found),
        [] => nothing(Outcome::PermError, "", "no author domain in From"),
        several => ambiguous(several, fields, dns, suffixes),
    }
}

fn nothing(outcome: Outcome, author: &str, reason: &str) -> Verdict {
    Verdict {
        outcome,
        policy: Policy::None,
        author: author.to_owned(),
        domain: String::new(),
        record: None,
        dkim_aligned: false,
        spf_aligned: false,
        reason: reason.to_owned(),
    }
}

/// 10.5: with several authors nothing can be aligned; the strictest policy of any of them is applied.
fn ambiguous(domains: &[Name], fields: usize, dns: &dyn Resolve, suffixes: Option<&PublicSuffixes>) -> Verdict {
    let reason = if fields > 1 { "more than one From field" } else { "more than one author domain" };
    let author = domains.first().map(Name::to_string).unwrap_or_default();
    let mut verdict = nothing(Outcome::PermError, &author, reason);
    for domain in domains {
        match discover(domain, dns, suffixes) {
            Ok(Some(applied)) if verdict.record.is_none() || applied.policy > verdict.policy => {
                verdict = Verdict { outcome: Outcome::Fail, author: domain.to_string(), ..verdict };
                verdict.domain = applied.at.to_string();
                verdict.policy = applied.policy;
                verdict.record = Some(applied.record);
            }
            Ok(_) => {}
            Err(error) if verdict.record.is_none() => {
                verdict = nothing(Outcome::TempError, &domain.to_string(), &format!("{reason}; {error}"));
            }
            Err(_) => {}
        }
    }
    verdict
}

/// The record that applies to a domain.
struct Applied {
    at: Name,
    record: Record,
    policy: Policy,
    organization: Name,
}

/// 4.10.1
fn discover(author: &Name, dns: &dyn Resolve, suffixes: Option<&PublicSuffixes>) -> Result<Option<Applied>, Error> {
    let walk = Walk::new(dns, author, suffixes)?;
    let Some((at, record)) = walk.policy() else { return Ok(None) };
    let Some(record) = record.clone().usable() else { return Ok(None) };
    let below = at != author;
    // The existence of the author's domain matters only when np= says so.
    let exists = !(below && record.np.is_some()) || dns.query(author, Type::A)?.exists;
    let policy = record.policy_for(below, exists);
    Ok(Some(Applied { at: at.clone(), record, policy, organization: walk.organization().clone() }))
}

fn single(author: &Name, dns: &dyn Resolve, suffixes: Option<&PublicSuffixes>, found: Authenticated<'_>) -> Verdict {
    let name = author.to_string();
    let applied = match discover(author, dns, suffixes) {
        Ok(Some(applied)) => applied,
        Ok(None) => return nothing(Outcome::None, &name, "no DMARC record"),
        Err(error) => return nothing(Outcome::TempError, &name, &error.to_string()),
    };
    let judge = Judge { author, applied: &applied, dns, suffixes };
    let (spf, dkim) = (judge.spf(found.spf), judge.dkim(found.dkim));
    let is = |wanted| spf == wanted || dkim == wanted;
    let (outcome, reason) = if is(Aligned::Yes) {
        (Outcome::Pass, "")
    } else if is(Aligned::Unknown) {
        (Outcome::TempError, "an identifier that would count could not be checked")
    } else {
        (Outcome::Fail, "no aligned identifier is authenticated")
    };
    Verdict {
        outcome,
        policy: applied.policy,
        author: name,
        domain: applied.at.to_string(),
        dkim_aligned: dkim == Aligned::Yes,
        spf_aligned: spf == Aligned::Yes,
        reason: reason.to_owned(),
        record: Some(applied.record),
    }
}

/// Whether an authenticated identifier stands behind the author.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aligned {
    Yes,
    No,
    /// It might, but the DNS failed.
    Unknown,
}

struct Judge<'a> {
    author: &'a Name,
    applied: &'a Applied,
    dns: &'a dyn Resolve,
    suffixes: Option<&'a PublicSuffixes>,
}

impl Judge<'_> {
    /// 4.4.2
    fn spf(&self, spf: &spf::Verdict) -> Aligned {
        let passed = match spf.outcome {
            spf::Outcome::Pass => true,
            spf::Outcome::TempError => false,
            _ => return Aligned::No,
        };
        self.identifier(&spf.domain, self.applied.record.aspf, passed)
    }

    /// 4.4.1: any one signature is enough.
    fn dkim(&self, list: &[dkim::Verdict]) -> Aligned {
        let mut best = Aligned::No;
        for verdict in list {
            let passed = match verdict.outcome {
                // Text behind the reach of l= may be anybody's: no statement about the author.
                dkim::Outcome::Pass if verdict.unsigned_octets == 0 => true,
                dkim::Outcome::TempError => false,
                _ => continue,
            };
            match self.identifier(&verdict.domain, self.applied.record.adkim, passed) {
                Aligned::Yes => return Aligned::Yes,
                Aligned::Unknown => best = Aligned::Unknown,
                Aligned::No => {}
            }
        }
        best
    }

    /// An identifier that is aligned counts when it passed, and leaves things open when it could not be checked.
    fn identifier(&self, domain: &str, mode: Alignment, passed: bool) -> Aligned {
        let Ok(domain) = Name::parse(domain) else { return Aligned::No };
        let aligned = match mode {
            _ if domain == *self.author => Ok(true),
            Alignment::Strict => Ok(false),
            Alignment::Relaxed => {
                Walk::new(self.dns, &domain, self.suffixes).map(|w| *w.organization() == self.applied.organization)
            }
        };
        match (aligned, passed) {
            (Ok(true), true) => Aligned::Yes,
            (Ok(false), _) => Aligned::No,
            (Ok(true), false) => Aligned::Unknown,
            // A foreign domain whose DNS fails could never align: only one within reach of the author's may.
            (Err(_), _) if domain.suffix(2) == self.author.suffix(2) => Aligned::Unknown,
            (Err(_), _) => Aligned::No,
        }
    }
}
