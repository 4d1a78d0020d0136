//! Signatures: reading the public formats, the compiled file, and matching.
//!
//! Not here    what is fed to it (walk.rs), the command line (bin/virusscan)

pub mod anchor;
pub mod build;
pub mod builtin;
pub mod compile;
pub mod container;
pub mod cvd;
pub mod db;
pub mod hashes;
pub mod lines;
pub mod logic;
pub mod pattern;
pub mod place;
pub mod store;
mod verify;
pub mod yara;

#[cfg(test)]
mod tests;

pub use build::Builder;
pub use db::{Db, Hits, Subject};
