//! IMAP codec: command grammar, response writing, and the pure parts of FETCH, SEARCH, SORT and THREAD.
//!
//! Standards   RFC 3501, RFC 9051, RFC 4466 and the extensions named in each file
//! Invariants  1. no I/O, no clock: bytes and values in, bytes and values out
//!             2. any input gives a command or a [`parse::Bad`], never a panic
//!             3. nesting and counts are bounded by constants beside the parsers
//! Trust       client bytes and message bytes are hostile
//! Not here    mailbox state (penny-maildir), the session (bin/imapd)
pub mod code;
pub mod command;
pub mod flag;
pub mod parse;
pub mod pattern;
pub mod reader;
pub mod render;
pub mod search;
pub mod set;
pub mod sort;
pub mod subject;
#[cfg(test)]
mod testing;
pub mod thread;
pub mod url;
pub mod write;

pub use code::Code;
pub use command::{Command, Tagged};
pub use reader::{Announced, Event, Framed, Limits, Reader};
pub use set::{NumberSet, SequenceSet};
