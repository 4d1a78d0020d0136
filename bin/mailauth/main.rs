//! mailauth - SPF, DKIM, DMARC and ARC of one message. See mailauth(1).
//!
//! Exit        by hand 0, 64 misuse, 75 trouble; under PENNYPOST_FILTER=1 0 accept, 99 junk, 100 reject, else temporary
//! Trust       the message and every record are hostile; options, environment and configuration are the administrator's

mod args;
mod collect;
mod decide;
mod failures;
mod input;
mod json;
mod rewrite;
mod send;
mod work;

use args::Command;
use penny_base::{Convention, Failure, Outcome, program};

fn main() -> std::process::ExitCode {
    program::run("mailauth", Convention::Sysexits, || -> Result<Outcome, Failure> {
        let filter = std::env::var_os("PENNYPOST_FILTER").is_some_and(|v| v == "1");
        match args::parse(std::env::args_os(), filter)? {
            Command::Shown => Ok(Outcome::Done),
            Command::SendReports(options) => send::run(&options),
            Command::Check(options) if filter => work::filter(&options),
            Command::Check(options) => work::by_hand(&options),
        }
    })
}
