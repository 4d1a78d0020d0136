//! dkimsign - signs a message with DKIM, or seals it with ARC. See dkimsign(1).
//!
//! Exit        by hand 0, 64 misuse, 65 the message can't be signed, 75 trouble; under PENNYPOST_FILTER=1 0 or temporary
//! Trust       the message is hostile; keys, table and options are the administrator's. Keys never leave the process

mod args;
mod keys;
mod table;
mod work;

use args::Command;
use penny_base::{Convention, Failure, Outcome, program};

fn main() -> std::process::ExitCode {
    program::run("dkimsign", Convention::Sysexits, || -> Result<Outcome, Failure> {
        // Private keys pass through here: no core dumps, no ptrace.
        penny_sys::confine::not_dumpable().map_err(|e| Failure::io("prctl", &e))?;
        let filter = std::env::var_os("PENNYPOST_FILTER").is_some_and(|v| v == "1");
        match args::parse(std::env::args_os(), filter)? {
            Command::Shown => Ok(Outcome::Done),
            Command::Generate(options) => keys::generate(&options),
            Command::Record(options) => keys::record(&options),
            Command::Check(options) => keys::check(&options),
            Command::Sign(options) if filter => work::filter(&options),
            Command::Sign(options) => work::by_hand(&options),
        }
    })
}
