//! A mail domain: a host name in either form, or an address literal.
//!
//! Standards   RFC 5321 4.1.2 Domain, 4.1.3 address-literal; RFC 1035 2.3.4 sizes; RFC 5891 and UTS 46 for U-labels
//! Invariants  equality, order and hash use the lower-case A-label form; the text as received is kept for relaying
//! Quirks      `quirk_underscore`: `_` is taken as a letter, since real sender domains hold it and DNS does too

use crate::{AddrError, Charset};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest label in octets, RFC 1035 2.3.4.
pub const LABEL_MAX: usize = 63;
/// Longest name in octets as written (255 on the wire), RFC 1035 2.3.4.
pub const NAME_MAX: usize = 253;

/// A domain name or address literal.
#[derive(Clone, Debug)]
pub struct Domain {
    text: String,
    ascii: String,
    literal: Option<IpAddr>,
}

impl Domain {
    /// Parses a domain or a bracketed address literal.
    pub fn parse(text: &str, charset: Charset) -> Result<Self, AddrError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(AddrError::Literal)?;
            return literal(inner).map(Self::from_ip).ok_or(AddrError::Literal);
        }
        let ascii = if text.is_ascii() { text.to_ascii_lowercase() } else { to_ascii(text, charset)? };
        check_name(&ascii)?;
        Ok(Self { text: text.to_owned(), ascii, literal: None })
    }

    /// The literal of an IP address.
    pub fn from_ip(ip: IpAddr) -> Self {
        let text = match ip {
            IpAddr::V4(v4) => format!("[{v4}]"),
            IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
        };
        Self { ascii: text.to_ascii_lowercase(), text, literal: Some(ip) }
    }

    /// The form to compare, look up in DNS and in tables: lower-case A-labels.
    pub fn ascii(&self) -> &str {
        &self.ascii
    }

    /// The domain as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form for people: U-labels where they are valid, else A-labels.
    pub fn unicode(&self) -> String {
        if self.literal.is_some() || !self.ascii.contains("xn--") {
            return self.ascii.clone();
        }
        let (name, result) = idna::domain_to_unicode(&self.ascii);
        if result.is_ok() && !name.chars().any(char::is_control) { name } else { self.ascii.clone() }
    }

    /// The address of a literal.
    pub fn literal(&self) -> Option<IpAddr> {
        self.literal
    }

    /// Whether the written form is ASCII (an A-label domain is).
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

/// UTS 46 without the STD3 rules (checked by us, with the underscore), which refuses the code points RFC 5892 does.
fn to_ascii(text: &str, charset: Charset) -> Result<String, AddrError> {
    if charset == Charset::Ascii {
        return Err(AddrError::NeedsSmtpUtf8);
    }
    if text.chars().any(char::is_control) {
        return Err(AddrError::BadOctet);
    }
    idna::domain_to_ascii(text).map_err(|_| AddrError::Idna)
}

fn check_name(ascii: &str) -> Result<(), AddrError> {
    if ascii.is_empty() {
        return Err(AddrError::NoDomain);
    }
    if ascii.len() > NAME_MAX {
        return Err(AddrError::TooLong);
    }
    if ascii.split('.').all(label_ok) { Ok(()) } else { Err(AddrError::DomainSyntax) }
}

/// RFC 5321 4.1.2 sub-domain = Let-dig [Ldh-str], with the underscore quirk.
fn label_ok(label: &str) -> bool {
    let edge = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_');
    let bytes = label.as_bytes();
    (1..=LABEL_MAX).contains(&bytes.len())
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'-' || *c == b'_')
}

/// RFC 5321 4.1.3: `1.2.3.4` or `IPv6:...`. Leading zeros are refused (they may mean octal to others).
fn literal(inner: &str) -> Option<IpAddr> {
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner[5..].parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.ascii == other.ascii
    }
}

impl Eq for Domain {}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Domain {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.ascii.cmp(&other.ascii)
    }
}

impl std::hash::Hash for Domain {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.ascii.hash(state);
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
