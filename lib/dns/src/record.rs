//! Questions, records and outcomes of a look-up.
//!
//! Invariants  an [`Answer`] is what the DNS says (also "no such name"); an [`Error`] means it could not be asked.
//!             Callers turn the second into a temporary failure, never into "nothing there".

use crate::name::Name;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The record types mail asks for (RFC 1035 3.2.2; 3596; 2782; 6698).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// IPv4 address.
    A,
    /// Authoritative name server.
    Ns,
    /// Alias.
    Cname,
    /// Start of authority.
    Soa,
    /// Pointer, for addresses to names.
    Ptr,
    /// Mail exchanger.
    Mx,
    /// Text.
    Txt,
    /// IPv6 address.
    Aaaa,
    /// Service location.
    Srv,
    /// DANE certificate association.
    Tlsa,
}

/// Code on the wire, word in text and variant, in one place.
const TYPES: [(u16, &str, Type); 10] = [
    (1, "A", Type::A),
    (2, "NS", Type::Ns),
    (5, "CNAME", Type::Cname),
    (6, "SOA", Type::Soa),
    (12, "PTR", Type::Ptr),
    (15, "MX", Type::Mx),
    (16, "TXT", Type::Txt),
    (28, "AAAA", Type::Aaaa),
    (33, "SRV", Type::Srv),
    (52, "TLSA", Type::Tlsa),
];

impl Type {
    /// The code on the wire.
    pub fn code(self) -> u16 {
        TYPES.iter().find(|t| t.2 == self).map_or(0, |t| t.0)
    }

    /// The type of a code, when it is one we know.
    pub fn from_code(code: u16) -> Option<Self> {
        TYPES.iter().find(|t| t.0 == code).map(|t| t.2)
    }

    /// The type of a word such as `MX`, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        TYPES.iter().find(|t| t.1.eq_ignore_ascii_case(word)).map(|t| t.2)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TYPES.iter().find(|t| t.2 == *self).map_or("", |t| t.1))
    }
}

/// Start of authority (RFC 1035 3.3.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// Primary server.
    pub mname: Name,
    /// Mailbox of the one responsible, as a name.
    pub rname: Name,
    /// Version of the zone.
    pub serial: u32,
    /// Seconds between refreshes.
    pub refresh: u32,
    /// Seconds between retries.
    pub retry: u32,
    /// Seconds until the zone expires.
    pub expire: u32,
    /// Bound of the time to live of negative answers (RFC 2308 4).
    pub minimum: u32,
}

/// What one record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// IPv4 address.
    A(Ipv4Addr),
    /// IPv6 address.
    Aaaa(Ipv6Addr),
    /// Mail exchanger: preference and host.
    Mx(u16, Name),
    /// Text, its strings joined without a space (RFC 7208 3.3, RFC 6376 3.6.2.2).
    Txt(Vec<u8>),
    /// Alias.
    Cname(Name),
    /// Name of an address.
    Ptr(Name),
    /// Name server.
    Ns(Name),
    /// Start of authority.
    Soa(Box<Soa>),
    /// Service: priority, weight, port, host.
    Srv(u16, u16, u16, Name),
    /// Certificate association: usage, selector, matching type, data (RFC 6698 2.1).
    Tlsa(u8, u8, u8, Vec<u8>),
}

impl Data {
    /// The type of the record.
    pub fn kind(&self) -> Type {
        match self {
            Self::A(_) => Type::A,
            Self::Aaaa(_) => Type::Aaaa,
            Self::Mx(..) => Type::Mx,
            Self::Txt(_) => Type::Txt,
            Self::Cname(_) => Type::Cname,
            Self::Ptr(_) => Type::Ptr,
            Self::Ns(_) => Type::Ns,
            Self::Soa(_) => Type::Soa,
            Self::Srv(..) => Type::Srv,
            Self::Tlsa(..) => Type::Tlsa,
        }
    }

    /// The address, of an A or AAAA record.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::A(ip) => Some(IpAddr::V4(*ip)),
            Self::Aaaa(ip) => Some(IpAddr::V6(*ip)),
            _ => None,
        }
    }
}

/// One resource record of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Owner.
    pub name: Name,
    /// Seconds it may be kept.
    pub ttl: u32,
    /// Contents.
    pub data: Data,
}

/// What the DNS says about a name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The records of the type asked for; empty means NODATA or, with `exists` false, NXDOMAIN.
    pub records: Vec<Data>,
    /// False when the name does not exist at all (NXDOMAIN, RFC 8020).
    pub exists: bool,
    /// A trusted resolver validated the answer, aliases included (AD, RFC 4035 3.2.3).
    pub authentic: bool,
    /// Where aliases led; the name asked for when there were none.
    pub canonical: Name,
    /// Seconds the answer may be kept.
    pub ttl: u32,
}

impl Answer {
    /// Whether there is no record of the type.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// The DNS could not be asked: always a temporary matter, except for `BadName`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No answer within the time allowed.
    Timeout,
    /// The resolver failed (SERVFAIL, a bogus signature included).
    ServFail,
    /// The resolver gave another response code, such as REFUSED.
    Rcode(u8),
    /// The answer can't be understood, or aliases run in a circle.
    Malformed,
    /// No resolver could be reached.
    Unreachable,
    /// The name asked for can't be a domain name; no query was sent.
    BadName,
}

impl Error {
    /// Whether asking later may help.
    pub fn is_temporary(self) -> bool {
        self != Self::BadName
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("DNS: no answer in time"),
            Self::ServFail => f.write_str("DNS: server failure"),
            Self::Rcode(code) => write!(f, "DNS: response code {code}"),
            Self::Malformed => f.write_str("DNS: answer not understood"),
            Self::Unreachable => f.write_str("DNS: no resolver reachable"),
            Self::BadName => f.write_str("not a domain name"),
        }
    }
}

impl std::error::Error for Error {}

impl From<crate::name::BadName> for Error {
    fn from(_: crate::name::BadName) -> Self {
        Self::BadName
    }
}
