//! DMARC: does an authenticated domain stand behind the author's address, and what does its owner want otherwise?
//!
//! Standards   RFC 9989 (4.7 record, 4.10 tree walk, 5.3 receiver); the public suffix list of RFC 7489 only on request
//! Invariants  1. at most 8 records are asked for per domain   2. `pass` needs one From field with one domain
//!             3. a DNS failure that could have changed the result gives `temperror`; one that could not is passed over,
//!             so that a forged signature of a dead domain can't buy time
//! Files       record.rs: the record; walk.rs: the tree walk; check.rs: the decision; psl.rs: public suffixes

mod author;
mod check;
mod psl;
mod record;
#[cfg(test)]
mod tests;
mod walk;

use penny_dns::{Error, Name, Resolve};
use std::fmt;

pub use author::author_domains;
pub use check::{Authenticated, check};
pub use psl::PublicSuffixes;
pub use record::{Alignment, Policy, Psd, Record};

/// Whether a domain agrees to take another's reports (RFC 9990 4, RFC 9989 10.8): the same organization, or a record
/// that says so.
pub fn takes_reports(dns: &dyn Resolve, about: &Name, to: &Name) -> Result<bool, Error> {
    let organization = |name| walk::Walk::new(dns, name, None).map(|w| w.organization().clone());
    if about == to || organization(about)? == organization(to)? {
        return Ok(true);
    }
    let Ok(at) = to.child(&format!("{about}._report._dmarc")) else { return Ok(false) };
    Ok(penny_dns::txt(dns, &at)?.iter().any(|text| Record::parse(text).is_some()))
}

/// The results of RFC 8601 2.7.6 / RFC 9989 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No record applies.
    None,
    /// An aligned identifier is authenticated.
    Pass,
    /// None is.
    Fail,
    /// The DNS could not be asked.
    TempError,
    /// The message has no usable author, and no record to apply.
    PermError,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The word.
    pub outcome: Outcome,
    /// What the owner wants for a message that fails; `t=y` has lowered it by one.
    pub policy: Policy,
    /// The author's domain; the one whose policy is applied when there are several.
    pub author: String,
    /// Where the applied record was found; empty without one.
    pub domain: String,
    /// The applied record.
    pub record: Option<Record>,
    /// An aligned DKIM identifier passed.
    pub dkim_aligned: bool,
    /// The aligned SPF identifier passed.
    pub spf_aligned: bool,
    /// Why, in a few words of our own.
    pub reason: String,
}
