//! POP3 without I/O: bytes in, commands out; replies and multi-line answers as bytes.
//!
//! Standards   RFC 1939; RFC 2449 (CAPA, RESP-CODES, PIPELINING); RFC 2595 (STLS); RFC 3206 (SYS/, AUTH codes); RFC 5034 (AUTH); RFC 6856 (UTF8, LANG)
//! Invariants  1. the same input gives the same commands however it is cut   2. no peer byte reaches a reply unescaped
//! Trust       every input byte is hostile; nothing here panics on it

mod command;
mod input;
mod maildrop;
mod multiline;
mod reply;

pub use command::{Bad, Command};
pub use input::{Input, Line};
pub use maildrop::{Maildrop, Message, Refused};
pub use multiline::{Multiline, wire_size};
pub use reply::{Capabilities, Expire, err, listing, ok};

/// Octets of a command line with its CRLF, RFC 2449 section 4.
pub const LINE_MAX: usize = 255;
/// Octets of a line of an AUTH exchange with its CRLF, RFC 5034 section 4.
pub const AUTH_LINE_MAX: usize = 12_288;
