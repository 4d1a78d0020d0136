//! enqueue - the only writer of new queue entries. See enqueue(8).
//!
//! Runs as the queue's uid: `--serve` resident on paths.run/enqueue, `-i` one connection on descriptor 0.
//! By hand it is a client: `enqueue -f SENDER RECIPIENT... < message`.

mod client;
mod ident;
mod serve;

use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("enqueue", Convention::Sysexits, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = program::options(std::env::args_os().skip(1), "i", "cf", &["serve"]);
    // the sender is not at fault: mistakes of ours are temporary
    let options = options.map_err(soften)?;
    let config = Config::load(options.config()).map_err(|m| soften(m.into()))?;
    config.start_log("enqueue");
    if options.has("serve") {
        return serve::resident(&config);
    }
    if options.has("i") {
        return serve::one(&config);
    }
    client::run(&config, &options)
}

fn soften(failure: Failure) -> Failure {
    Failure { outcome: Outcome::Temporary, ..failure }
}
