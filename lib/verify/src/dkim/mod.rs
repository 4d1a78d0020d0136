//! DKIM: who took responsibility for this message, and is it still what they signed?
//!
//! Standards   RFC 6376, 8301 (no SHA-1, no short keys), 8463 (ed25519), 8616 (internationalised domains)
//! Invariants  1. at most [`SIGNATURES_MAX`] signatures are checked   2. a DNS failure gives `temperror`
//!             3. `pass` needs: syntax, From signed, not expired, body hash, a strong key that allows it, signature
//! Trust       everything but our own private keys is hostile
//! Files       canon.rs: canonical forms; signature.rs: the field; key.rs: the record; verify.rs, sign.rs

pub mod canon;
pub mod key;
pub mod sign;
pub mod signature;
#[cfg(test)]
mod tests;
pub mod verify;

use std::fmt;

pub use key::Keys;
pub use sign::Signer;
pub use verify::verify;

/// Signatures of one message that are checked; further ones are reported as `policy`.
pub const SIGNATURES_MAX: usize = 10;

/// The results of RFC 8601 2.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not signed.
    None,
    /// Valid.
    Pass,
    /// Body or header differ from what was signed, or the signature has expired.
    Fail,
    /// Not looked at, by our own rules.
    Policy,
    /// The key could not be fetched.
    TempError,
    /// Syntax, key or algorithm make verification impossible.
    PermError,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// What became of one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The word.
    pub outcome: Outcome,
    /// `d=`, as an A-label; empty when it could not be read.
    pub domain: String,
    /// `s=`
    pub selector: String,
    /// `i=`, given or implied.
    pub auid: String,
    /// `a=`
    pub algorithm: String,
    /// The first eight characters of `b=` tell signatures of one domain apart (RFC 6008).
    pub b_start: String,
    /// Why not `pass`, or what is remarkable about it.
    pub reason: String,
    /// The domain is only trying DKIM out (`t=y`).
    pub testing: bool,
    /// Octets of the body behind the reach of `l=`: anybody may have added them.
    pub unsigned_octets: u64,
}
