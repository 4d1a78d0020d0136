//! Sieve: parse, check and run mail filtering scripts, without I/O.
//!
//! Standards   RFC 5228 and the extensions listed in [`EXTENSIONS`], each named beside the code that does it
//! Use         [`compile`] a script once; make a [`Machine`] for a message; [`Machine::run`]; carry out the [`Outcome`]'s actions. Everything the
//!             engine asks of the world goes through [`Library`] (while compiling) and [`Host`] (while running)
//! Invariants  1. no script runs for ever or takes unbounded memory: [`Limits`]   2. a script that fails at run time has no actions of its own, and
//!             the message is to be kept (RFC 5228 2.10.6)   3. the same script, message and host give the same outcome
//! Trust       script and message are hostile

mod action;
mod address;
mod check;
mod compare;
mod error;
mod exec;
mod ext;
mod lex;
mod machine;
mod message;
mod parse;
pub mod reject;
mod settings;
mod spec;
mod suite_config;
pub mod testsuite;
mod text;
mod verify;

pub use action::{Action, Outcome, Outgoing, OutgoingKind, Store};
pub use address::Mailbox;
pub use check::{Library, Location, NoLibrary, Script, compile, valid_script_name};
pub use error::{Error, Pos};
pub use ext::{EXTENSIONS, Extension};
pub use machine::{Envelope, Machine};
pub use message::Message;
pub use settings::{EnvelopeFrom, Host, Limits, ProgramKind, Ran, ScanField, ScanStyle, Settings, SuiteProgram};

/// Name and version in fields of mail the engine makes.
pub const PRODUCT: &str = concat!("Pennypost Sieve ", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;
