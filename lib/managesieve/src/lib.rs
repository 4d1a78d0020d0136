//! ManageSieve without I/O: bytes in, commands out; replies as bytes.
//!
//! Standards   RFC 5804
//! Invariants  1. the same input gives the same commands however it is cut   2. no peer byte reaches a reply but inside a string
//!             3. a literal above the limit is skipped, not kept
//! Trust       every input byte is hostile; nothing here panics on it

mod command;
mod input;
mod reply;

pub use command::{Bad, Command};
pub use input::{Arg, Input, Next};
pub use reply::{bye, literal, no, ok, quoted, string};

/// Octets of a command outside of literals.
pub const LINE_MAX: usize = 8192;
/// Octets of a quoted string, RFC 5804 4.
pub const QUOTED_MAX: usize = 1024;
