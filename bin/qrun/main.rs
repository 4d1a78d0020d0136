//! qrun - the scheduler of the queue. See qrun(8).
//!
//! Runs as the queue's uid, one process, one poll loop, no threads. It takes entries from new/, asks `lookup` where
//! they go, has `deliver` and `remote` started by `spawn`, and keeps the journal.
//!
//! Invariants  1. nothing is delivered that is not in cur/ under the lock   2. an entry leaves cur/ only when every
//!             recipient is final and every report owed is committed   3. one slow thing never stops the loop: every
//!             descriptor is polled, every other program has its own process
//! Failures    a service that is gone puts mail off and is connected to again; a second qrun refuses to start

mod control;
mod control_list;
mod entry;
mod intake;
mod leave;
mod local;
mod park;
mod remote;
mod reports;
mod resolve;
mod runner;
mod settle;
mod shared;
mod sites;
mod sync;
mod terms;

use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("qrun", Convention::Sysexits, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = program::options(std::env::args_os().skip(1), "1", "c", &[])?;
    let config = Config::load(options.config())?;
    config.start_log("qrun");
    runner::Runner::start(config)?.run(options.has("1"))
}
