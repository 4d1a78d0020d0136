//! virusscan - does this message hold anything harmful? See virusscan(1).
//!
//! Exit        by hand 0 clean, 1 found, 2 error, 3 unscannable, 4 policy; under PENNYPOST_FILTER=1 the filter contract:
//!             0 accept, 99 junk, 100 with a last line `5.7.1 ...` reject, 111 temporary
//! Order       options, signatures, input and scratch file are opened, then the process is confined, then bytes are read
//! Trust       messages and files are hostile; options and signature files are the caller's

mod args;
mod clamd;
mod compile;
mod input;
mod listener;
mod output;
mod quarantine;
mod scan;
mod strip;
mod verdict;

use args::{Action, Options};
use std::io::Write;
use std::process::ExitCode;

/// By hand, something of our own went wrong.
const ERROR: u8 = 2;
/// As a filter: try again.
const TEMPORARY: u8 = 111;

fn main() -> ExitCode {
    let filter = std::env::var_os("PENNYPOST_FILTER").is_some_and(|v| v == "1");
    let result = args::parse(std::env::args_os().skip(1), filter).and_then(|options| run(&options, filter));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "virusscan: {}", output::one_line(&format!("{e:#}"))); // nobody is left to tell
            ExitCode::from(if filter { TEMPORARY } else { ERROR })
        }
    }
}

fn run(o: &Options, filter: bool) -> anyhow::Result<u8> {
    match &o.action {
        Action::Help => output::help(),
        Action::Version => output::version(),
        Action::Info(file) => compile::info(file),
        Action::Compile(out) => compile::run(o, out),
        Action::ClamdListener => listener::run(o),
        Action::QuarantineList => quarantine::list(o),
        Action::Release(id) => quarantine::release(o, id),
        Action::Scan if o.quarantine.is_some() && !o.worker => quarantine::run(o, filter),
        Action::Scan if filter => scan::filter(o),
        Action::Scan => scan::by_hand(o),
    }
}
