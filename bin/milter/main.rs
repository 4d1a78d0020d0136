//! milter - a filter that asks one milter about the message on standard input. See milter(8).
//!
//! As a filter of smtpd it follows the filter contract: fields on standard output, or with -w the whole message.

mod conversation;
mod output;

use penny_base::{Convention, Failure, Outcome, log, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("milter", Convention::Sysexits, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = program::options(std::env::args_os().skip(1), "w", "t", &[])?;
    log::init("milter", false, false);
    let [socket] = options.operands.as_slice() else {
        return Err(Failure::usage("milter [-w] [-t seconds] unix:PATH|inet:HOST:PORT < message"));
    };
    let seconds = options.value("t").map(|t| t.to_string_lossy().parse::<u64>());
    let seconds = seconds.transpose().map_err(|_| Failure::usage("-t takes seconds"))?.unwrap_or(30);
    let (message, verdict) = conversation::run(&socket.to_string_lossy(), seconds)?;
    output::write(&message, &verdict, options.has("w"))
}
