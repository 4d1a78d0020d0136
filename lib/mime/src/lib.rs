//! Message and header parsing and building; pure: bytes in, values out, no I/O.
//!
//! Standards   RFC 5322 (message, addresses, dates), RFC 2045/2046 (MIME), RFC 2047 (encoded words),
//!             RFC 2231 (parameters), RFC 6532 (UTF-8 in headers)
//! Invariants  1. any input is accepted: what does not parse becomes an opaque value, never an error that loses mail
//!             2. time is linear in the input, whatever the input
//!             3. depth, parts, parameters and addresses are bounded ([`Limits`] and constants beside the parsers)
//!             4. LF and CRLF line ends mean the same; offsets always point into the bytes given
//! Trust       every byte is hostile
//! Not here    archives and content detection (penny-scan); IMAP rendering (penny-imap)
pub mod address;
pub mod base64;
pub mod build;
pub mod casemap;
pub mod charset;
pub mod content;
pub mod date;
pub mod header;
pub mod msgid;
pub mod param;
pub mod qp;
pub mod recode;
pub mod structure;
pub mod token;
pub mod word;

pub use address::{Address, Entry, parse_addresses};
pub use content::{ContentType, Disposition, Encoding};
pub use date::DateTime;
pub use header::{Field, Fields, body_offset, find_field};
pub use structure::{Limits, Part, Span, Structure};
pub use word::decode_header;
