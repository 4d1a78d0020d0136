//! deliver - one message to one mailbox. See deliver(8).
//!
//! Order of power   refuses uid 0 (as root with -d it becomes that user first, for good); reads the configuration and the message;
//!                  confines itself to the home where the user has no shell; then looks at the user's files
//! Convention       sysexits; every temporary failure is 75; the first line of output begins with the enhanced status

mod args;
mod context;
mod fields;
mod folder;
mod forward;
mod mail;
mod mbox;
mod outcome;
mod program;
mod qmail;
mod rules;
mod safe;
mod send;
mod several;
mod sieve;
mod steps;
mod warn;
mod watchdog;

use penny_base::{Convention, program as skeleton};

fn main() -> std::process::ExitCode {
    skeleton::run("deliver", Convention::Sysexits, || {
        let options = match args::parse() {
            Ok(options) => options,
            Err(failure) => return outcome::finish(true, Err(failure)),
        };
        let talk = options.job;
        match context::prepare(options) {
            Ok(context) if !context.several.is_empty() => several::deliver(context),
            prepared => outcome::finish(talk, prepared.and_then(rules::deliver)),
        }
    })
}
