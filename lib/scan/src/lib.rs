//! Virus scanning: the walk through a message, the readers of formats, the signature matcher.
//!
//! Standards   RFC 5322, 2045-2047, 2231; the public formats named in each file of `format`; ClamAV signature files
//! Invariants  1. readers are pure: bytes in, members to a `Sink`   2. what cannot be scanned is a trouble, never clean
//! Trust       every byte is hostile; signature files are the administrator's
//! Not here    the program, its options, mail verdicts (bin/virusscan)

pub mod format;
pub mod kind;
pub mod marker;
pub mod mime;
pub mod names;
pub mod normal;
pub mod open;
pub mod policy;
pub mod scratch;
pub mod sig;
pub mod sink;
pub mod walk;
