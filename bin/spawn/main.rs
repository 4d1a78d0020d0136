//! spawn - the one privileged piece: starts the programs of a fixed table as somebody else. See spawn(8).
//!
//! Runs as root (or as an ordinary user, who then runs everything). It reads no network byte: packets come over a
//! unix socket from our own uids, and the kernel says which.
//!
//! `spawn` serves paths.run/spawn. `spawn --for PROGRAM -- ARGS` starts one program unprivileged on the descriptors
//! it was given, with a connection to itself, so that one inetd line or one pipe is enough.

mod child;
mod one;
mod server;
mod table;

use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("spawn", Convention::Ucspi, work)
}

fn work() -> Result<Outcome, Failure> {
    let all: Vec<_> = std::env::args_os().skip(1).collect();
    // `--for PROGRAM -- ARGS`: what follows belongs to the program
    let split = all.iter().position(|a| a == "--").unwrap_or(all.len());
    let options = program::options(all[..split].iter().cloned(), "", "c", &["for"])?;
    let config = Config::load(options.config())?;
    config.start_log("spawn");
    if options.has("for") {
        let name = options.operands.first().ok_or_else(|| Failure::usage("--for needs a program"))?;
        let args = all.get(split + 1..).unwrap_or(&[]);
        return one::run(config, &name.to_string_lossy(), args);
    }
    server::resident(config)
}
