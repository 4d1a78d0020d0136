//! `Local-part@Domain`.
//!
//! Standards   RFC 5321 4.1.2 Mailbox; RFC 6531 3.3
//! Invariants  the written form is at most [`PATH_MAX`] octets with its angle brackets

use crate::{AddrError, Charset, Domain, LocalPart};

/// Longest path in octets, with `<` and `>`, RFC 5321 4.5.3.1.3.
pub const PATH_MAX: usize = 256;

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox {
    local: LocalPart,
    domain: Domain,
}

impl Mailbox {
    /// Parses `local@domain` without angle brackets.
    pub fn parse(text: &str, charset: Charset) -> Result<Self, AddrError> {
        if text.len() > PATH_MAX - 2 {
            return Err(AddrError::TooLong);
        }
        // A domain never holds '@', a quoted local part may: the last one divides.
        let (local, domain) = text.rsplit_once('@').ok_or(AddrError::NoDomain)?;
        Ok(Self { local: LocalPart::parse(local, charset)?, domain: Domain::parse(domain, charset)? })
    }

    /// Parses either character set; for tables, configuration and queue files, which are UTF-8.
    pub fn parse_any(text: &str) -> Result<Self, AddrError> {
        Self::parse(text, Charset::Utf8)
    }

    /// Joins two checked parts.
    pub fn new(local: LocalPart, domain: Domain) -> Result<Self, AddrError> {
        let mailbox = Self { local, domain };
        if mailbox.to_string().len() > PATH_MAX - 2 { Err(AddrError::TooLong) } else { Ok(mailbox) }
    }

    /// The local part.
    pub fn local(&self) -> &LocalPart {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// `local@domain` with the local part exact and the domain as lower-case A-labels: the first key to look for.
    pub fn exact(&self) -> String {
        format!("{}@{}", self.local, self.domain.ascii())
    }

    /// `local@domain` with the local part in NFC and lower case: the second key to look for.
    pub fn folded(&self) -> String {
        let local = LocalPart::from_value(&self.local.folded()).unwrap_or_else(|_| self.local.clone());
        format!("{local}@{}", self.domain.ascii())
    }

    /// Whether sending it needs SMTPUTF8 (an ASCII local part may go with an A-label domain).
    pub fn needs_utf8(&self) -> bool {
        !self.local.value().is_ascii()
    }

    /// The all-ASCII form for a host without SMTPUTF8, if there is one.
    pub fn to_ascii(&self) -> Option<String> {
        let domain = if self.domain.is_ascii() { self.domain.as_str() } else { self.domain.ascii() };
        (!self.needs_utf8()).then(|| format!("{}@{domain}", self.local))
    }
}

impl std::fmt::Display for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl std::str::FromStr for Mailbox {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, AddrError> {
        Self::parse_any(text)
    }
}
