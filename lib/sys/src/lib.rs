//! System calls with a small safe face: the only crate with unsafe code.
//!
//! What nix and std already offer safely is used directly by the callers; here stands what needs `unsafe`,
//! privilege, or an order of calls that must not be got wrong twice (durable writes, confinement, starting a child).
//!
//! Trust       arguments come from our own programs, never straight from the network
//! Failures    `std::io::Error` with the errno of the call; nothing panics

pub mod confine;
pub mod connect;
pub mod fdpass;
pub mod files;
pub mod fs;
pub mod ids;
pub mod landlock;
pub mod net;
pub mod pam;
mod passing;
pub mod poll;
pub mod process;
pub mod random;
pub mod seccomp;
pub mod signals;
pub mod time;
pub mod warm;
pub mod watchdog;
