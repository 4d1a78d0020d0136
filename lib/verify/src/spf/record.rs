//! The grammar of an SPF record.
//!
//! Standards   RFC 7208 4.5 (selecting), 4.6.1 (terms), 5 (mechanisms), 6 (modifiers), 12 (collected ABNF)
//! Invariants  a [`Record`] holds only what the grammar allows; anything else is a [`SyntaxError`], hence `permerror`

use super::Outcome;
use super::macros::{MacroString, Place};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A record that breaks the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    what: &'static str,
    term: String,
}

impl SyntaxError {
    pub(super) fn new(what: &'static str, term: &str) -> Self {
        Self { what, term: term.chars().take(80).collect() }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.term.escape_debug())
    }
}

impl std::error::Error for SyntaxError {}

/// Prefix lengths of `a` and `mx` (5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DualCidr {
    pub v4: u8,
    pub v6: u8,
}

/// One mechanism; a domain-spec left out means the current domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, DualCidr),
    Mx(Option<MacroString>, DualCidr),
    Ptr(Option<MacroString>),
    Ip(IpAddr, u8),
    Exists(MacroString),
}

/// A mechanism with what its match means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub qualifier: Outcome,
    pub mechanism: Mechanism,
    /// As written, for reasons and logs.
    pub text: String,
}

/// A parsed record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<MacroString>,
    pub(super) explanation: Option<MacroString>,
}

/// Whether a TXT record is an SPF record of version 1 (4.5); the version is case-insensitive.
pub(super) fn is_spf(text: &[u8]) -> bool {
    match text.split_at_checked(6) {
        Some((head, rest)) => head.eq_ignore_ascii_case(b"v=spf1") && matches!(rest.first(), None | Some(b' ')),
        None => false,
    }
}

impl Record {
    /// Parses a whole record, version included.
    pub fn parse(text: &[u8]) -> Result<Self, SyntaxError> {
        // 3.1: records are US-ASCII; 4.6.1: terms are separated by spaces and nothing else
        let text = std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|b| matches!(b, b' '..=b'~')));
        let text = text.ok_or_else(|| SyntaxError::new("octet not allowed in record", ""))?;
        let mut record = Self::default();
        for term in text.split(' ').skip(1).filter(|t| !t.is_empty()) {
            record.term(term)?;
        }
        Ok(record)
    }

    fn term(&mut self, term: &str) -> Result<(), SyntaxError> {
        let at = term.find([':', '/', '=']).unwrap_or(term.len());
        let (name, rest) = term.split_at(at);
        match rest.strip_prefix('=') {
            Some(value) => self.modifier(name, value, term),
            None => {
                self.directives.push(directive(name, rest, term)?);
                Ok(())
            }
        }
    }

    fn modifier(&mut self, name: &str, value: &str, term: &str) -> Result<(), SyntaxError> {
        let slot = match name.to_ascii_lowercase().as_str() {
            "redirect" => &mut self.redirect,
            "exp" => &mut self.explanation,
            _ => {
                // 6: unknown modifiers are skipped, but their syntax still counts
                if !is_modifier_name(name) {
                    return Err(SyntaxError::new("bad modifier", term));
                }
                return MacroString::parse(value, Place::Domain).map(|_| ());
            }
        };
        // 6: each of the two may stand once
        if slot.replace(MacroString::domain_spec(value)?).is_some() {
            return Err(SyntaxError::new("modifier twice", term));
        }
        Ok(())
    }
}

/// `name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )`
fn is_modifier_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn directive(name: &str, rest: &str, term: &str) -> Result<Directive, SyntaxError> {
    let (qualifier, name) = match name.split_at_checked(1) {
        Some(("+", name)) => (Outcome::Pass, name),
        Some(("-", name)) => (Outcome::Fail, name),
        Some(("~", name)) => (Outcome::SoftFail, name),
        Some(("?", name)) => (Outcome::Neutral, name),
        _ => (Outcome::Pass, name),
    };
    let mechanism = mechanism(&name.to_ascii_lowercase(), rest, term)?;
    Ok(Directive { qualifier, mechanism, text: term.to_owned() })
}

fn mechanism(name: &str, rest: &str, term: &str) -> Result<Mechanism, SyntaxError> {
    let bad = || SyntaxError::new("bad mechanism", term);
    Ok(match name {
        "all" if rest.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(MacroString::domain_spec(rest.strip_prefix(':').ok_or_else(bad)?)?),
        "exists" => Mechanism::Exists(MacroString::domain_spec(rest.strip_prefix(':').ok_or_else(bad)?)?),
        "a" => {
            let (domain, cidr) = domain_and_cidr(rest, term)?;
            Mechanism::A(domain, cidr)
        }
        "mx" => {
            let (domain, cidr) = domain_and_cidr(rest, term)?;
            Mechanism::Mx(domain, cidr)
        }
        "ptr" if rest.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(MacroString::domain_spec(rest.strip_prefix(':').ok_or_else(bad)?)?)),
        "ip4" => ip_mechanism::<Ipv4Addr>(rest, 32).ok_or_else(bad)?,
        "ip6" => ip_mechanism::<Ipv6Addr>(rest, 128).ok_or_else(bad)?,
        _ => return Err(SyntaxError::new("unknown mechanism", term)),
    })
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]` (5.3, 5.4).
fn domain_and_cidr(rest: &str, term: &str) -> Result<(Option<MacroString>, DualCidr), SyntaxError> {
    let bad = || SyntaxError::new("bad prefix length", term);
    let (rest, v6) = split_cidr(rest, "//", 128).ok_or_else(bad)?;
    let (rest, v4) = split_cidr(rest, "/", 32).ok_or_else(bad)?;
    let domain = match rest.strip_prefix(':') {
        Some(spec) => Some(MacroString::domain_spec(spec)?),
        None if rest.is_empty() => None,
        None => return Err(bad()),
    };
    Ok((domain, DualCidr { v4, v6 }))
}

/// Takes `mark` and digits off the end; a domain-spec may hold slashes of its own, so other text stays in place.
fn split_cidr<'a>(text: &'a str, mark: &str, max: u8) -> Option<(&'a str, u8)> {
    match text.rsplit_once(mark) {
        Some((rest, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some((rest, prefix(digits, max)?))
        }
        _ => Some((text, max)),
    }
}

/// A prefix length without leading zeros (12: `"0" / %x31-39 0*1DIGIT`).
fn prefix(digits: &str, max: u8) -> Option<u8> {
    let plain = digits == "0" || !digits.starts_with('0');
    digits.parse().ok().filter(|n| plain && *n <= max)
}

/// `":" address [ "/" length ]` (5.6).
fn ip_mechanism<T: std::str::FromStr + Into<IpAddr>>(rest: &str, max: u8) -> Option<Mechanism> {
    let rest = rest.strip_prefix(':')?;
    let (address, length) = match rest.split_once('/') {
        Some((address, digits)) => {
            (address, prefix(digits, max).filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))?)
        }
        None => (rest, max),
    };
    Some(Mechanism::Ip(address.parse::<T>().ok()?.into(), length))
}
