//! SPF: may this client send mail for this domain?
//!
//! Standards   RFC 7208 (all of it but Received-SPF); 8616 for internationalised domains
//! Invariants  1. at most 10 terms that ask the DNS, at most 2 of them in vain, at most 10 MX hosts and 10 reverse names
//!             (4.6.4)   2. a syntax error anywhere in a record is found before anything is evaluated (4.6)
//!             3. a DNS failure gives `temperror`, never `pass` or `fail`
//! Trust       records, explanation text and everything the client said are hostile
//! Files       record.rs: the grammar of records; macros.rs: macro strings; check.rs: check_host()

mod check;
mod macros;
mod record;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

pub use check::check;
pub use record::{Record, SyntaxError};

/// The seven results of RFC 7208 2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No domain to check, or no record.
    None,
    /// The domain makes no statement about this client.
    Neutral,
    /// The client is authorised.
    Pass,
    /// The client is not authorised.
    Fail,
    /// The client is probably not authorised.
    SoftFail,
    /// The DNS could not be asked.
    TempError,
    /// The record can't be understood or costs too much.
    PermError,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// What is known of the client.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address.
    pub ip: IpAddr,
    /// What it said in HELO or EHLO.
    pub helo: &'a str,
    /// The reverse-path of MAIL FROM without angle brackets; empty for the null one.
    pub mail_from: &'a str,
    /// Our own name, for the `r` macro.
    pub receiver: &'a str,
    /// Seconds since 1970, for the `t` macro.
    pub now: u64,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The word.
    pub outcome: Outcome,
    /// The domain checked: that of MAIL FROM, or of HELO for the null reverse-path (2.4).
    pub domain: String,
    /// The identity checked was HELO.
    pub helo: bool,
    /// The domain's explanation of a `fail` (6.2).
    pub explanation: Option<String>,
    /// Why, in a few words of our own.
    pub reason: String,
}
