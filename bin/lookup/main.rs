//! lookup - answers questions about addresses, one line each. See lookup(8).
//!
//! Runs as the lookup id: `--serve` resident on paths.run/lookup, `-i` one connection on descriptors 0 and 1,
//! without either it reads questions from standard input: `printf 'user\tjoe@example.org\n' | lookup`.

mod answer;
mod callout;
mod counters;
mod greylist;
mod saved;
mod serve;
mod srs;

use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("lookup", Convention::Ucspi, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = program::options(std::env::args_os().skip(1), "i", "c", &["serve"])?;
    let config = Config::load(options.config())?;
    config.start_log("lookup");
    if options.has("serve") { serve::resident(&config) } else { serve::one(&config) }
}
