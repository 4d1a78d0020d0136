//! DMARC aggregate reports and TLS reports: reading what others send, writing our own, showing both to people.
//!
//! Standards   RFC 9990 (and 7489 appendix C, which most still send), RFC 8460
//! Invariants  1. no I/O but in `job`   2. unpacking is bounded: a small file can't become a large one   3. XML entities of a document's
//!             own are never expanded
//! Trust       reports come from anybody: every count, depth and length is bounded, and what is shown is escaped

pub mod aggregate;
pub mod day;
pub mod job;
pub mod json;
pub mod mail;
mod table;
pub mod tlsrpt;
mod unpack;
mod xml;

pub use table::{show_aggregate, show_tls};
pub use unpack::{Kind, Lost, pack, unpack};
