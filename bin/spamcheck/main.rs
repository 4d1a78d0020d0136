//! spamcheck - is this message spam? One process, one message; or many, or learning. See spamcheck(1).
//!
//! Exit        by hand 0 spam, 1 ham, 2 unsure, 3 error, as bogofilter; under PENNYPOST_FILTER=1 0 accept, 99 junk,
//!             and trouble of our own is "unsure": mail flows
//! Trust       the message is hostile; options, tables and rules are the caller's

mod args;
mod classify;
mod labelled;
mod learn;
mod output;
mod pass;
mod replay;
mod settings;
mod spamd;
mod stats;
mod tables;

use args::{Action, Options};
use std::io::Write;
use std::process::ExitCode;

/// What happened, in exit codes.
const ERROR: u8 = 3;

fn main() -> ExitCode {
    let filter = std::env::var_os("PENNYPOST_FILTER").is_some_and(|v| v == "1");
    let parsed = args::parse(std::env::args_os().skip(1));
    let options = match parsed.and_then(|options| settings::lay_under(options, filter)) {
        Ok(options) => options,
        Err(text) => return trouble(&text, filter),
    };
    match run(&options, filter) {
        Ok(code) => ExitCode::from(code),
        Err(e) => trouble(&format!("{e:#}"), filter),
    }
}

fn run(o: &Options, filter: bool) -> anyhow::Result<u8> {
    match o.action {
        Action::Help => output::help(),
        Action::Version => output::version(),
        Action::Learn(spam) => learn::run(o, spam),
        Action::LearnSent => learn::sent(o),
        Action::Train => learn::train(o),
        Action::Replay => replay::run(o),
        Action::Stats => stats::run(o),
        Action::Spamd => spamd::run(o),
        Action::Classify if filter => classify::filter(o),
        Action::Classify if o.bulk || !o.paths.is_empty() => classify::bulk(o),
        Action::Classify if o.pass => pass::run(o),
        Action::Classify => classify::one(o),
    }
}

/// Says what is wrong. As a filter, a spamcheck that cannot work must not stop the mail.
fn trouble(text: &str, filter: bool) -> ExitCode {
    let text = output::one_line(text);
    let _ = writeln!(std::io::stderr(), "spamcheck: {text}"); // nobody is left to tell
    if !filter {
        return ExitCode::from(ERROR);
    }
    let _ = writeln!(std::io::stdout(), "X-Spamcheck: unsure trouble=\"{}\"", text.replace('"', "'"));
    ExitCode::SUCCESS
}
