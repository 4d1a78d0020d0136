//! Sieve without I/O.
mod address;
mod error;
mod lex;
mod parse;
pub use address::Mailbox;
pub use error::{Error, Pos};
