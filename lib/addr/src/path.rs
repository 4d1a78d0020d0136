//! Reverse and forward paths as MAIL and RCPT carry them.
//!
//! Standards   RFC 5321 4.1.2 Reverse-path, Forward-path, A-d-l (source routes are read and dropped, 4.1.1.3 and C)
//! Invariants  the null reverse path exists only here; `<postmaster>` without a domain only as a forward path

use crate::mailbox::PATH_MAX;
use crate::{AddrError, Charset, Domain, Mailbox};

/// Where reports go: a mailbox, or `<>` for messages that must not be answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`
    Null,
    /// A mailbox.
    Mailbox(Mailbox),
}

/// A recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain (RFC 5321 4.5.1).
    Postmaster,
    /// A mailbox.
    Mailbox(Mailbox),
}

/// Splits `<path> rest` and hands back the inside and the rest (which still begins with its space).
fn bracketed(text: &str) -> Result<(&str, &str), AddrError> {
    let inner = text.strip_prefix('<').ok_or(AddrError::Syntax)?;
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => {
                let path = &inner[..at];
                return if path.len() > PATH_MAX - 2 { Err(AddrError::TooLong) } else { Ok((path, &inner[at + 1..])) };
            }
            _ => {}
        }
    }
    Err(AddrError::Syntax)
}

/// Drops an A-d-l (`@a,@b:`) after checking it.
fn without_route(path: &str, charset: Charset) -> Result<&str, AddrError> {
    if !path.starts_with('@') {
        return Ok(path);
    }
    let (route, mailbox) = path.split_once(':').ok_or(AddrError::Syntax)?;
    for hop in route.split(',') {
        Domain::parse(hop.strip_prefix('@').ok_or(AddrError::Syntax)?, charset)?;
    }
    Ok(mailbox)
}

impl ReversePath {
    /// Parses the start of what follows `MAIL FROM:`; gives the rest of the line.
    pub fn take(text: &str, charset: Charset) -> Result<(Self, &str), AddrError> {
        let (path, rest) = bracketed(text)?;
        if path.is_empty() {
            return Ok((Self::Null, rest));
        }
        Ok((Self::Mailbox(Mailbox::parse(without_route(path, charset)?, charset)?), rest))
    }

    /// Parses `<...>` with nothing after it.
    pub fn parse(text: &str, charset: Charset) -> Result<Self, AddrError> {
        whole(Self::take(text, charset)?)
    }

    /// The mailbox, if there is one.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// The address without brackets; empty for the null path.
    pub fn address(&self) -> String {
        self.mailbox().map(Mailbox::to_string).unwrap_or_default()
    }
}

impl ForwardPath {
    /// Parses the start of what follows `RCPT TO:`; gives the rest of the line.
    pub fn take(text: &str, charset: Charset) -> Result<(Self, &str), AddrError> {
        let (path, rest) = bracketed(text)?;
        if path.eq_ignore_ascii_case("postmaster") {
            return Ok((Self::Postmaster, rest));
        }
        Ok((Self::Mailbox(Mailbox::parse(without_route(path, charset)?, charset)?), rest))
    }

    /// Parses `<...>` with nothing after it.
    pub fn parse(text: &str, charset: Charset) -> Result<Self, AddrError> {
        whole(Self::take(text, charset)?)
    }

    /// The mailbox, with `postmaster` of `domain` for the bare form.
    pub fn mailbox(&self, domain: &Domain) -> Result<Mailbox, AddrError> {
        match self {
            Self::Mailbox(mailbox) => Ok(mailbox.clone()),
            Self::Postmaster => Mailbox::new(crate::LocalPart::from_value("postmaster")?, domain.clone()),
        }
    }

    /// Whether this is postmaster, bare or at any domain; it is accepted past every policy (RFC 5321 4.5.1).
    pub fn is_postmaster(&self) -> bool {
        match self {
            Self::Postmaster => true,
            Self::Mailbox(mailbox) => mailbox.local().value().eq_ignore_ascii_case("postmaster"),
        }
    }
}

fn whole<T>((path, rest): (T, &str)) -> Result<T, AddrError> {
    if rest.is_empty() { Ok(path) } else { Err(AddrError::Syntax) }
}

impl std::fmt::Display for ReversePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl std::fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}
