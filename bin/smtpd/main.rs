//! smtpd - one SMTP, submission or LMTP conversation on descriptors 0 and 1. See smtpd(8).
//!
//! Order of giving up power: configuration and services are opened first, then the door shuts: no file, no socket, no
//! program can be opened any more; STARTTLS, filters and passwords go through descriptors that are open.

mod auth;
mod callout;
mod conn;
mod content;
mod dns;
mod door;
mod envelope;
mod filter;
mod fixup;
mod greet;
mod header;
mod lmtp;
mod mail;
mod milter;
mod offer;
mod options;
mod rcpt;
mod received;
mod services;
mod session;
mod starttls;
mod xclient;

use penny_base::{Config, Convention, Failure, Outcome, Peer, program};
use penny_sys::confine;
use std::process::ExitCode;

/// Address space that does not depend on the size of messages, octets.
const MEMORY_BASE: u64 = 256 << 20;

fn main() -> ExitCode {
    program::run("smtpd", Convention::Ucspi, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = options::parse(std::env::args_os().skip(1))?;
    let config = Config::load(options.config.as_deref())?;
    let config = penny_base::warm::wait("smtpd", config)?;
    config.start_log("smtpd");
    let spawn = penny_base::services::spawn_or_restart(&config, "smtpd").map_err(|e| Failure::io("spawn", &e))?;
    let peer = Peer::from_env();
    let services = services::Services::connect(&config, options.role, spawn)?;
    // room for a message re-coded in memory and its pieces, and for the program itself
    let memory = MEMORY_BASE + 6 * config.smtpd.max_size.0;
    confine::limit_memory(memory).map_err(|e| Failure::io("setrlimit", &e))?;
    confine::network_conversation().map_err(|e| Failure::io("confine", &e))?;
    session::Session::new(*config, options.role, peer, services)?.serve()
}
