//! sendmail - the command that programs call to send mail; also answers to mailq and newaliases. See sendmail(1).
//!
//! Runs as whoever calls it, owns nothing: a client of `enqueue`, `qrun` and `lookup`.
//! Exit codes are those of sysexits(3), as callers expect.
//!
//! Invariants  1. exit 0 after a message means that it is on stable storage   2. options of other sendmails that change
//!             nothing here are taken and ignored: cron, PHP and git must not fail over them

mod args;
mod header;
mod input;
mod queue;
mod submit;
mod verify;

use args::Mode;
use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("sendmail", Convention::Sysexits, work)
}

fn work() -> Result<Outcome, Failure> {
    let args = args::parse(std::env::args_os())?;
    let config = Config::load(args.config.as_deref())?;
    config.start_log("sendmail");
    match args.mode {
        Mode::Deliver => submit::run(&config, &args),
        Mode::Queue => queue::list(&config),
        Mode::Flush => queue::flush(&config, &args),
        Mode::Aliases => verify::aliases(&config),
        Mode::Verify => verify::recipients(&config, &args),
        Mode::Smtp => smtp(&config),
    }
}

/// `-bs`: a conversation on standard input and output, by the program that holds them best.
fn smtp(config: &Config) -> Result<Outcome, Failure> {
    use std::os::unix::ffi::OsStrExt;
    let file = config.file.as_os_str().as_bytes().to_vec();
    let error = penny_sys::process::exec(&config.program("smtpd"), &[b"-c".to_vec(), file]);
    Err(Failure::io("smtpd", &error))
}
