//! listen - binds addresses, limits, and starts one program a connection; TLS in children forked on demand. See listen(8).
//!
//! Runs as root, reads no network byte: the PROXY header and TLS are read by children under uids of their own.
//! HUP loads configuration and keys again; TERM ends at once; QUIT ends when the last conversation has ended.

mod address;
mod connection;
mod limits;
mod ports;
mod proxy;
mod server;
mod tls;

use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("listen", Convention::Ucspi, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = program::options(std::env::args_os().skip(1), "", "c", &[])?;
    let config = Config::load(options.config())?;
    config.start_log("listen");
    server::Server::open(config)?.run()
}
