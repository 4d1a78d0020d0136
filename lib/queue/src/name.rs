//! Entry names: `secs.usec.pid.counter.random` and, for reports about an entry, a suffix.
//!
//! Format      decimal seconds, six digits of microseconds, decimal pid, decimal counter, sixteen
//!             hex digits of random; then any number of `.b<n>` (bounce), `.d<n>` (delay notice) or
//!             `.s<n>` (success notice)
//! Invariants  1. a name is a safe file name: no `/`, no `:`, no leading dot, at most 150 bytes
//!             2. a name is never reused: time, pid, counter and 64 random bits differ
//!             3. a report about N has a name fixed by N, so that committing it twice commits it once
//! Failures    anything else is [`BadName`]; such a file in the queue is set aside, not guessed at
//! Trust       names come from a directory only the queue's uid writes, and from `qctl`'s user

use std::fmt;
use std::str::FromStr;

/// Longest accepted name in bytes: file systems allow 255, states append a suffix.
pub const NAME_MAX: usize = 150;

/// How often reports about reports may nest; the null sender ends the chain long before.
const SUFFIX_MAX: usize = 4;

/// A checked entry name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// What a report name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Non-delivery (RFC 3464 action `failed`).
    Bounce,
    /// Still trying (action `delayed`).
    Delay,
    /// Delivered, relayed or expanded, as the sender asked.
    Success,
}

impl Report {
    fn letter(self) -> char {
        match self {
            Report::Bounce => 'b',
            Report::Delay => 'd',
            Report::Success => 's',
        }
    }

    fn from_letter(letter: char) -> Option<Report> {
        [Report::Bounce, Report::Delay, Report::Success].into_iter().find(|r| r.letter() == letter)
    }
}

/// The text is not an entry name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName;

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a queue entry name")
    }
}

impl std::error::Error for BadName {}

impl Name {
    /// Builds a fresh name; `random` must come from the kernel's generator.
    pub fn new(secs: u64, usec: u32, pid: u32, counter: u32, random: u64) -> Name {
        Name(format!("{secs}.{:06}.{pid}.{counter}.{random:016x}", usec % 1_000_000))
    }

    /// The `n`th report of a kind about this entry.
    pub fn report(&self, kind: Report, n: u32) -> Result<Name, BadName> {
        format!("{}.{}{n}", self.0, kind.letter()).parse()
    }

    /// The entry this report is about, with kind and number; `None` for an ordinary entry.
    pub fn reports_on(&self) -> Option<(Name, Report, u32)> {
        let (parent, suffix) = self.0.rsplit_once('.')?;
        let (kind, n) = parse_suffix(suffix)?;
        Some((Name(parent.to_owned()), kind, n))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Seconds and microseconds in the name (the time of its making).
    pub fn time(&self) -> (u64, u32) {
        let mut parts = self.0.split('.');
        let mut next = || parts.next().and_then(|p| p.parse::<u64>().ok()).unwrap_or(0);
        let secs = next();
        (secs, u32::try_from(next()).unwrap_or(0))
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Name, BadName> {
        if text.len() > NAME_MAX {
            return Err(BadName);
        }
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(BadName);
        let base_ok = decimal(part()?, 20)
            && decimal(part()?, 6)
            && decimal(part()?, 10)
            && decimal(part()?, 10)
            && is_random(part()?);
        let suffixes = parts.map(parse_suffix).collect::<Option<Vec<_>>>().ok_or(BadName)?;
        if base_ok && suffixes.len() <= SUFFIX_MAX { Ok(Name(text.to_owned())) } else { Err(BadName) }
    }
}

fn decimal(part: &str, max: usize) -> bool {
    !part.is_empty() && part.len() <= max && part.bytes().all(|b| b.is_ascii_digit())
}

fn is_random(part: &str) -> bool {
    part.len() == 16 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn parse_suffix(part: &str) -> Option<(Report, u32)> {
    let kind = Report::from_letter(part.chars().next()?)?;
    let digits = part.get(1..)?;
    if decimal(digits, 6) { Some((kind, digits.parse().ok()?)) } else { None }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for Name {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_name_parses_and_tells_its_time() {
        let name = Name::new(1_700_000_000, 42, 7, 3, 0xdead_beef);
        assert_eq!(name.as_str(), "1700000000.000042.7.3.00000000deadbeef");
        assert_eq!(name.as_str().parse::<Name>().unwrap(), name);
        assert_eq!(name.time(), (1_700_000_000, 42));
        assert_eq!(name.reports_on(), None);
    }

    #[test]
    fn reports_have_names_fixed_by_the_entry() {
        let name = Name::new(1, 2, 3, 4, 5);
        let bounce = name.report(Report::Bounce, 1).unwrap();
        assert_eq!(bounce.as_str(), "1.000002.3.4.0000000000000005.b1");
        assert_eq!(bounce.reports_on(), Some((name.clone(), Report::Bounce, 1)));
        assert_eq!(bounce.as_str().parse::<Name>().unwrap(), bounce);
        let second = bounce.report(Report::Bounce, 1).unwrap();
        assert_eq!(second.reports_on().unwrap().0, bounce);
    }

    #[test]
    fn nesting_is_bounded() {
        let mut name = Name::new(1, 2, 3, 4, 5);
        for _ in 0..SUFFIX_MAX {
            name = name.report(Report::Delay, 1).unwrap();
        }
        assert_eq!(name.report(Report::Delay, 1), Err(BadName));
    }

    #[test]
    fn unsafe_or_foreign_names_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "1.000002.3.4",
            "1.000002.3.4.5",
            "1.000002.3.4.000000000000000G",
            "1.000002.3.4.0000000000000005.x1",
            "1.000002.3.4.0000000000000005.b",
            "1.000002.3.4.0000000000000005/..",
            "1.000002.3.4.0000000000000005:2,",
            ".1.000002.3.4.0000000000000005",
            "1.000002.3.4.000000000000000\u{e9}",
            "-1.000002.3.4.0000000000000005",
        ] {
            assert_eq!(bad.parse::<Name>(), Err(BadName), "{bad}");
        }
    }
}
