//! qctl - looks at the queue and changes it. See qctl(1).
//!
//! Runs as whoever calls it: a client of qrun, which decides by the caller's uid. Root and the queue's user may do all;
//! others see what they sent themselves.
//!
//! Convention    sysexits; 0 done, 64 usage, 69 refused or not found, 75 qrun does not answer
//! Invariants    what changes the queue has changed it durably when the exit code is 0

mod args;
mod show;
mod summary;
mod table;
mod top;

use args::{Args, Command};
use clap::Parser;
use penny_base::{Config, Convention, Failure, Outcome, program};
use penny_queue::control::Control;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("qctl", Convention::Sysexits, work)
}

fn work() -> Result<Outcome, Failure> {
    let args = match Args::try_parse() {
        Ok(args) => args,
        // help and version are no mistakes
        Err(e) if !e.use_stderr() => {
            return write!(io::stdout(), "{e}").map(|()| Outcome::Done).map_err(|e| Failure::io("output", &e));
        }
        Err(e) => return Err(Failure::usage(e.to_string().lines().next().unwrap_or_default().to_owned())),
    };
    let config = Config::load(args.config.as_deref())?;
    config.start_log("qctl");
    let mut control = Control::connect(&config)?;
    match args.command {
        Command::List { which, json } => table::list(&mut control, &which, json),
        Command::Show { ids, json } => show::show(&mut control, &ids, json),
        Command::Cat { id, message } => show::cat(&mut control, &id, message),
        Command::Summary { which, json } => summary::run(&mut control, &which, json),
        Command::Top { seconds, count } => top::run(&mut control, seconds, count),
        Command::Hold { which } => change(&mut control, "hold", &which.fields()?),
        Command::Release { which } => change(&mut control, "release", &which.fields()?),
        Command::Retry { which } => change(&mut control, "retry", &which.fields()?),
        Command::Remove { which } => change(&mut control, "remove", &which.fields()?),
        Command::Bounce { which } => change(&mut control, "bounce", &which.fields()?),
        Command::Requeue { which } => change(&mut control, "requeue", &which.fields()?),
        Command::Flush { domain } => {
            let filter = domain.map_or_else(|| "all".to_owned(), |d| format!("domain={d}"));
            change(&mut control, "retry", &[filter])
        }
    }
}

fn change(control: &mut Control, verb: &str, filters: &[String]) -> Result<Outcome, Failure> {
    let fields: Vec<&str> = std::iter::once(verb).chain(filters.iter().map(String::as_str)).collect();
    let count = control.request(&fields, |_| Ok(()))?;
    let plural = if count == 1 { "y" } else { "ies" };
    writeln!(io::stdout(), "{verb}: {count} entr{plural}").map_err(|e| Failure::io("output", &e))?;
    Ok(Outcome::Done)
}
