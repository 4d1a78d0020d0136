//! Sieve without I/O.
mod error;
mod lex;
mod parse;
pub use error::{Error, Pos};
