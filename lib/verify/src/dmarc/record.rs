//! The DMARC policy record.
//!
//! Standards   RFC 9989 4.7 (tags), 4.8 (grammar), 4.10.1 (invalid policies)
//! Invariants  1. `v=DMARC1` comes first, else it is no record   2. unknown tags and bad values of optional tags are
//!             ignored, as 4.8 demands; only p, sp and np count when they are wrong

use std::fmt;

/// Octets of a record that are looked at.
const RECORD_MAX: usize = 8192;
/// Addresses of one `rua` or `ruf`.
const URIS_MAX: usize = 10;

/// What the owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// No preference.
    None,
    /// Treat as suspicious.
    Quarantine,
    /// Refuse.
    Reject,
}

impl Policy {
    fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "quarantine" => Some(Self::Quarantine),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }

    /// One level lower, for `t=y` (4.7).
    pub fn lowered(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        })
    }
}

/// How close an identifier must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// Same organizational domain.
    #[default]
    Relaxed,
    /// Same domain.
    Strict,
}

impl Alignment {
    /// The letter of `adkim` and `aspf`.
    pub fn letter(self) -> char {
        if self == Self::Strict { 's' } else { 'r' }
    }
}

/// The `psd` tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Psd {
    /// A public suffix.
    Yes,
    /// An organizational domain.
    No,
    /// Not said.
    #[default]
    Unsaid,
}

/// A record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// `p`
    pub p: Option<Policy>,
    /// `sp`
    pub sp: Option<Policy>,
    /// `np`
    pub np: Option<Policy>,
    /// `adkim`
    pub adkim: Alignment,
    /// `aspf`
    pub aspf: Alignment,
    /// `psd`
    pub psd: Psd,
    /// `t=y`
    pub testing: bool,
    /// Where aggregate reports go.
    pub rua: Vec<String>,
    /// Where failure reports go.
    pub ruf: Vec<String>,
    /// `fo`, as written.
    pub fo: String,
    /// One of `p`, `sp`, `np` is missing or no policy: see [`Record::usable`].
    broken_policy: bool,
}

impl Record {
    /// Parses a record; `None` when it is none of this version.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text.get(..RECORD_MAX).unwrap_or(text)).ok()?;
        let mut specs = text.split(';');
        let (name, version) = specs.next()?.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("v") || version.trim() != "DMARC1" {
            return None;
        }
        let mut record = Self { fo: "0".into(), ..Self::default() };
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in specs.filter_map(|s| s.split_once('=')) {
            let name = name.trim().to_ascii_lowercase();
            if !seen.contains(&name) && seen.len() < 32 {
                record.set(&name, value.trim());
                seen.push(name);
            }
        }
        record.broken_policy |= record.p.is_none();
        Some(record)
    }

    fn set(&mut self, name: &str, value: &str) {
        let alignment = |v: &str| if v.eq_ignore_ascii_case("s") { Alignment::Strict } else { Alignment::Relaxed };
        match name {
            "p" => self.p = self.policy(value),
            "sp" => self.sp = self.policy(value),
            "np" => self.np = self.policy(value),
            "adkim" => self.adkim = alignment(value),
            "aspf" => self.aspf = alignment(value),
            "t" => self.testing = value.eq_ignore_ascii_case("y"),
            "psd" if value.eq_ignore_ascii_case("y") => self.psd = Psd::Yes,
            "psd" if value.eq_ignore_ascii_case("n") => self.psd = Psd::No,
            "rua" => self.rua = uris(value),
            "ruf" => self.ruf = uris(value),
            "fo" => self.fo = value.to_owned(),
            _ => {}
        }
    }

    fn policy(&mut self, value: &str) -> Option<Policy> {
        let policy = Policy::from_word(value);
        self.broken_policy |= policy.is_none();
        policy
    }

    /// 4.10.1: a record with a missing or wrong policy is `p=none` when it asks for reports, else it is not applied.
    pub fn usable(mut self) -> Option<Self> {
        if !self.broken_policy {
            return Some(self);
        }
        if self.rua.is_empty() {
            return None;
        }
        (self.p, self.sp, self.np) = (Some(Policy::None), None, None);
        Some(self)
    }

    /// The policy for the record's own domain, or for one below it.
    pub fn policy_for(&self, below: bool, exists: bool) -> Policy {
        let p = self.p.unwrap_or(Policy::None);
        let policy = match (below, exists) {
            (false, _) => p,
            (true, true) => self.sp.unwrap_or(p),
            (true, false) => self.np.or(self.sp).unwrap_or(p),
        };
        if self.testing { policy.lowered() } else { policy }
    }
}

/// Syntactically valid URIs of a list; an obsolete size (`!10m`) is cut off (4.8).
fn uris(value: &str) -> Vec<String> {
    let one = |uri: &str| {
        let uri = uri.trim().split('!').next().unwrap_or_default();
        let (scheme, rest) = uri.split_once(':')?;
        let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let rest_ok = !rest.is_empty() && rest.chars().all(|c| ('!'..='~').contains(&c));
        (scheme_ok && rest_ok).then(|| uri.to_owned())
    };
    value.split(',').filter_map(one).take(URIS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Record> {
        Record::parse(text.as_bytes())
    }

    #[test]
    fn versions() {
        for good in ["v=DMARC1", "v=DMARC1;p=none", "V = DMARC1 ; p=none;"] {
            assert!(parse(good).is_some(), "{good}");
        }
        for bad in
            ["", "p=none", "p=none; v=DMARC1", "v=dmarc1; p=none", "v=DMARC2; p=none", "v=DMARC1 p=none", "xv=DMARC1"]
        {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn all_tags() {
        let r = parse("v=DMARC1; p=Reject; sp=quarantine; np=none; adkim=s; aspf=S; psd=y; t=y; fo=1:d; rua=mailto:a@b.example!10m, https://x.example/y,nonsense; ruf=mailto:c@d.example; pct=5; x=y").unwrap();
        assert_eq!((r.p, r.sp, r.np), (Some(Policy::Reject), Some(Policy::Quarantine), Some(Policy::None)));
        assert_eq!((r.adkim, r.aspf, r.psd, r.testing), (Alignment::Strict, Alignment::Strict, Psd::Yes, true));
        assert_eq!(r.rua, ["mailto:a@b.example", "https://x.example/y"]);
        assert_eq!(r.policy_for(false, true), Policy::Quarantine);
        assert_eq!(r.policy_for(true, true), Policy::None);
        assert!(r.usable().is_some());
    }

    #[test]
    fn errors_in_optional_tags_mean_defaults() {
        let r = parse("v=DMARC1; p=reject; adkim=x; psd=maybe; t=perhaps; junk; =; p=none").unwrap();
        assert_eq!((r.p, r.adkim, r.psd, r.testing), (Some(Policy::Reject), Alignment::Relaxed, Psd::Unsaid, false));
    }

    #[test]
    fn wrong_policies() {
        for text in
            ["v=DMARC1; p=nonsense", "v=DMARC1", "v=DMARC1; p=reject; sp=x", "v=DMARC1; p=reject; np=x; rua=junk"]
        {
            assert!(parse(text).unwrap().usable().is_none(), "{text}");
            let with = format!("{}; rua=mailto:a@b.example", text.replace("rua=junk", "x=y"));
            let r = parse(&with).unwrap().usable().unwrap();
            assert_eq!(r.policy_for(true, false), Policy::None, "{with}");
        }
    }

    #[test]
    fn subdomain_policies_fall_back() {
        let policy = |text: &str, exists| parse(text).unwrap().policy_for(true, exists);
        assert_eq!(policy("v=DMARC1; p=reject", false), Policy::Reject);
        assert_eq!(policy("v=DMARC1; p=reject; sp=none", false), Policy::None);
        assert_eq!(policy("v=DMARC1; p=none; np=reject", false), Policy::Reject);
        assert_eq!(policy("v=DMARC1; p=none; np=reject", true), Policy::None);
    }
}
