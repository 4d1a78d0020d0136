//! sieve - checks scripts, runs them on a message by hand, runs test suites. See sieve(1).
//!
//! Nothing is delivered: what a script decides is printed.
//! Convention  sysexits; a script with errors is 65 when checked

mod check;
mod dry;
mod host;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use penny_base::{Convention, Failure, Outcome, program};

/// Checks Sieve scripts and runs them by hand.
#[derive(Parser, Debug)]
#[command(name = "sieve", version, about)]
struct Args {
    /// Configuration file.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run the script on the message on standard input (or -m) and print its actions.
    #[arg(short = 'r', long)]
    run: bool,
    /// Message to run on; implies --run.
    #[arg(short = 'm', long, value_name = "FILE")]
    message: Option<PathBuf>,
    /// Envelope sender.
    #[arg(short = 'f', long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Envelope recipient.
    #[arg(short = 'a', long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Show each command and test as it runs.
    #[arg(short = 't', long)]
    trace: bool,
    /// Print mail the script would send, and the message as edited.
    #[arg(short = 'p', long)]
    print: bool,
    /// List the extensions.
    #[arg(short = 'x', long)]
    extensions: bool,
    /// Run .svtest files.
    #[arg(long)]
    testsuite: bool,
    /// Print a line for every test, not only for failures.
    #[arg(short = 'v', long)]
    verbose: bool,
    /// Scripts.
    #[arg(value_name = "SCRIPT")]
    scripts: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 64 } else { 0 });
        }
    };
    program::run("sieve", Convention::Sysexits, || work(&args))
}

fn work(args: &Args) -> Result<Outcome, Failure> {
    if args.extensions {
        return check::extensions();
    }
    if args.scripts.is_empty() {
        return Err(Failure::usage("name a script"));
    }
    if args.testsuite {
        return suite::run(&args.scripts, args.verbose);
    }
    if args.run || args.message.is_some() {
        return dry::run(args);
    }
    check::check(&args.scripts)
}
