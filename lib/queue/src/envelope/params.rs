//! ESMTP parameters as carried in the envelope, and typed views of those the queue acts on.
//!
//! Standards   RFC 5321 4.1.2 (esmtp-param); the grammar of each known parameter is penny-addr's
//! Invariants  1. a parameter is one word: no space, no control character
//!             2. a malformed value of a known parameter reads as absent, never as something else

use super::{Recipient, Sender};
use penny_addr::{Body, By, Charset, MailParams, Notify, Orcpt, RcptParams, Ret};
use std::fmt;

/// One `KEYWORD` or `KEYWORD=value`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Param {
    key: String,
    value: Option<String>,
}

impl Param {
    /// Checks and builds a parameter.
    pub fn new(key: &str, value: Option<&str>) -> Option<Param> {
        let key_ok = key.starts_with(|c: char| c.is_ascii_alphanumeric())
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let value_ok = value.is_none_or(|v| !v.is_empty() && !v.chars().any(|c| c == ' ' || c.is_control()));
        (key_ok && value_ok).then(|| Param { key: key.to_owned(), value: value.map(str::to_owned) })
    }

    /// Parses one word.
    pub fn parse(word: &str) -> Option<Param> {
        match word.split_once('=') {
            Some((key, value)) => Param::new(key, Some(value)),
            None => Param::new(word, None),
        }
    }

    /// The keyword as received.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value as received (xtext still encoded).
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// Keywords are compared without case.
    pub fn is(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key)
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Sender {
    /// One known parameter, parsed by its own grammar.
    fn known(&self, key: &str) -> MailParams {
        let param = self.params.iter().find(|p| p.is(key));
        param.and_then(|p| MailParams::parse(&format!(" {p}"), Charset::Utf8).ok()).unwrap_or_default()
    }

    /// The announced body type.
    pub fn body(&self) -> Body {
        self.known("BODY").body.unwrap_or_default()
    }

    /// How much to return in a report.
    pub fn ret(&self) -> Option<Ret> {
        self.known("RET").ret
    }

    /// ENVID decoded.
    pub fn envid(&self) -> Option<String> {
        self.known("ENVID").envid
    }

    /// Whether the client declared SMTPUTF8.
    pub fn smtputf8(&self) -> bool {
        self.known("SMTPUTF8").smtputf8
    }

    /// Whether the client demanded TLS on every hop.
    pub fn requiretls(&self) -> bool {
        self.known("REQUIRETLS").requiretls
    }

    /// MT-PRIORITY, -9 to 9 (RFC 6710 4.1); 0 when absent.
    pub fn priority(&self) -> i8 {
        self.known("MT-PRIORITY").mt_priority.unwrap_or(0)
    }

    /// BY= (RFC 2852 4).
    pub fn deliver_by(&self) -> Option<By> {
        self.known("BY").by
    }

    /// Seconds since 1970 before which nothing is to be tried (RFC 4865), given the arrival time.
    pub fn hold_until(&self, arrival: u64) -> Option<u64> {
        let param = self.params.iter().find(|p| p.is("HOLDFOR") || p.is("HOLDUNTIL"))?;
        let at = self.known(param.key()).hold?.release_at(i64::try_from(arrival).ok()?);
        u64::try_from(at).ok()
    }
}

impl Recipient {
    /// A recipient without parameters.
    pub fn plain(address: super::Address) -> Recipient {
        Recipient { address, params: Vec::new() }
    }

    fn known(&self, key: &str) -> RcptParams {
        let param = self.params.iter().find(|p| p.is(key));
        param.and_then(|p| RcptParams::parse(&format!(" {p}"), Charset::Utf8).ok()).unwrap_or_default()
    }

    /// NOTIFY=; absent means failure, and delay at our choice (RFC 3461 4.1).
    pub fn notify(&self) -> Option<Notify> {
        self.known("NOTIFY").notify
    }

    /// ORCPT= decoded.
    pub fn original(&self) -> Option<Orcpt> {
        self.known("ORCPT").orcpt
    }
}
