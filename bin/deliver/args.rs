//! The command line.
//!
//! deliver [-c FILE] [-d USER] [-f SENDER] [-a RECIPIENT] [-m FOLDER] [-t SECONDS] [-n]
//! deliver -c FILE --job [--pipe COMMAND | --file PATH]
//! deliver -c FILE --event CAUSE MAILBOX SCRIPT

use std::io::IsTerminal;
use std::path::PathBuf;

use penny_base::{Config, Failure, log, program};

use crate::forward::Step;
use crate::sieve::event::Event;

/// What was asked for.
pub struct Options {
    pub config: Config,
    /// Started by qrun or smtpd: message at the offset of fd 0, envelope on fd 3.
    pub job: bool,
    /// Whose mailbox (by hand); default: the caller's.
    pub user: Option<String>,
    /// Envelope sender (by hand).
    pub sender: Option<String>,
    /// Envelope recipient (by hand), for +extension and Delivered-To.
    pub recipient: Option<String>,
    /// Straight into this folder, no rules.
    pub folder: Option<String>,
    /// No rules.
    pub plain: bool,
    /// An alias that is a program or a file (job only).
    pub instruction: Option<Step>,
    /// Something happened to a message in a mailbox.
    pub event: Option<Event>,
    /// Time limit in seconds.
    pub limit: Option<u64>,
}

/// Reads the arguments of the process.
///
/// `-l` and `-e` and `-k` of other MDAs are not taken: what they ask for is always so here.
pub fn parse() -> Result<Options, Failure> {
    let given = program::options(std::env::args_os().skip(1), "n", "cdfamt", &["job", "pipe", "file", "event"])?;
    let instruction = instruction(&given)?;
    let event = event(&given)?;
    let taken = if event.is_some() { 3 } else { usize::from(instruction.is_some()) };
    if let Some(extra) = given.operands.get(taken) {
        return Err(Failure::usage(format!("unexpected argument {}", extra.to_string_lossy())));
    }
    let text = |flag: &str| -> Result<Option<String>, Failure> {
        given.value(flag).map(|v| v.to_str().map(str::to_owned).ok_or_else(|| bad(flag))).transpose()
    };
    let config = Config::load(given.config().map(PathBuf::from).as_deref())?;
    // only a plain job waits: an alias's command or file is an argument
    let config = penny_base::warm::wait("deliver", config)?;
    // fetchmail, getmail and Postfix take words on standard error for a failure, or for the reason of one
    if given.has("job") || event.is_some() || std::io::stderr().is_terminal() {
        config.start_log("deliver");
    } else {
        log::init_silent("deliver", config.top.debug);
    }
    let limit = text("t")?.map(|t| t.parse().map_err(|_| bad("t"))).transpose()?;
    Ok(Options {
        job: given.has("job"),
        user: text("d")?,
        sender: text("f")?,
        recipient: text("a")?,
        folder: text("m")?,
        plain: given.has("n"),
        instruction,
        event,
        limit,
        config: *config,
    })
}

/// `--event CAUSE MAILBOX SCRIPT`.
fn event(given: &program::Options) -> Result<Option<Event>, Failure> {
    if !given.has("event") {
        return Ok(None);
    }
    let words: Vec<String> = given.operands.iter().filter_map(|w| w.to_str()).map(str::to_owned).collect();
    match words.as_slice() {
        [cause, mailbox, script] => {
            Ok(Some(Event { cause: cause.clone(), mailbox: mailbox.clone(), script: script.clone() }))
        }
        _ => Err(Failure::usage("--event needs a cause, a mailbox and a script")),
    }
}

/// `--pipe COMMAND` and `--file PATH`.
fn instruction(given: &program::Options) -> Result<Option<Step>, Failure> {
    if !given.has("pipe") && !given.has("file") {
        return Ok(None);
    }
    let value = given.operands.first().and_then(|v| v.to_str());
    let value = value.ok_or_else(|| Failure::usage("--pipe and --file need a value"))?.to_owned();
    let is_dir = value.ends_with('/');
    Ok(Some(if given.has("pipe") {
        Step::Program(value)
    } else if is_dir {
        Step::Maildir(value)
    } else {
        Step::Mbox(value)
    }))
}

fn bad(flag: &str) -> Failure {
    Failure::usage(format!("option -{flag}: not a usable value"))
}
