//! What every program shares: exit codes, failures, log lines, configuration, the skeleton of a program and the
//! clients of the resident services.
//!
//! Invariants  1. outcome to number stands in one table (`exit`)   2. every log line is one line (`log`)
//!             3. a key that exists has a default, a type and a description (`config`)
//! Not here    protocol codecs (pure crates), system calls (penny-sys)

pub mod config;
pub mod exit;
pub mod failure;
pub mod handover;
pub mod log;
pub mod owner;
pub mod program;
pub mod reload;
pub mod scripts;
pub mod services;
pub mod ucspi;
pub mod warm;
pub mod wire;

pub use config::Config;
pub use exit::{Convention, Kind, Outcome};
pub use failure::Failure;
pub use owner::Owner;
pub use ucspi::Peer;
