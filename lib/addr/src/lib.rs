//! Mailbox, domain, path and envelope parameter types: what an SMTP address is once it was understood.
//!
//! Standards   RFC 5321 4.1.2-4.1.3 (mailbox, path, literals), RFC 6531 3.3 (UTF-8), RFC 5891 (A-labels),
//!             RFC 3461 (DSN parameters, xtext), RFC 6533 (utf-8 address type), RFC 4954 (AUTH=), RFC 2852 (BY),
//!             RFC 4865 (HOLDFOR), RFC 6710 (MT-PRIORITY), RFC 8689 (REQUIRETLS)
//! Invariants  1. no value of these types holds a control character (C0, DEL, C1): each is safe in a header field,
//!                a log line, a queue file line and a table question
//!             2. what a type displays parses back to an equal value
//!             3. domains compare as lower-case A-labels, local parts exactly (see [`Mailbox::folded`])
//! Failures    every constructor gives an [`AddrError`] with an enhanced status; nothing panics on input
//! Trust       input is hostile; this crate does no I/O

mod domain;
mod error;
mod local;
mod mailbox;
mod params;
mod path;
mod xtext;

pub use domain::{Domain, LABEL_MAX, NAME_MAX};
pub use error::AddrError;
pub use local::LocalPart;
pub use mailbox::{Mailbox, PATH_MAX};
pub use params::{Body, By, ByMode, Hold, MailParams, Notify, Orcpt, RcptParams, Ret, SenderAuth, split_params};
pub use path::{ForwardPath, ReversePath};
pub use xtext::{decode as xtext_decode, encode as xtext_encode};

/// Which characters an address may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Plain RFC 5321: ASCII only.
    Ascii,
    /// RFC 6531: the transaction announced SMTPUTF8.
    Utf8,
}

#[cfg(test)]
mod tests;
