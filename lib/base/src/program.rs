//! The skeleton of a program: what happens around its work.
//!
//! Invariants  1. a panic is logged and ends in a temporary failure   2. a failure is one line on standard error and
//!             the exit code of the convention   3. a broken pipe is an error value, never a signal
//!             4. the process ends when its work has: what libraries do at an exit, pages of theirs that are read for it and
//!             nothing else, costs a short conversation a tenth of its time

use crate::{Convention, Failure, Outcome, log};
use std::io::Write;

/// Runs a program's work, turns its end into text and exit code, and ends the process.
pub fn run<E: Into<Failure>>(
    name: &'static str,
    convention: Convention,
    work: impl FnOnce() -> Result<Outcome, E>,
) -> ! {
    set_panic_hook(convention);
    let outcome = match work() {
        Ok(outcome) => outcome,
        Err(e) => report(name, &e.into()),
    };
    // what is written here has been checked where it matters: this is what a program without care left behind
    let _ = std::io::stdout().flush();
    penny_sys::process::exit_now(outcome.code(convention))
}

fn report(name: &'static str, failure: &Failure) -> Outcome {
    log::init(name, false, false);
    let level = if failure.is_temporary() { log::Level::Warning } else { log::Level::Error };
    log::event(
        level,
        "failed",
        None,
        &[("status", &failure.status), ("text", &failure.text), ("why", &failure.detail)],
    );
    failure.outcome
}

fn set_panic_hook(convention: Convention) {
    std::panic::set_hook(Box::new(move |info| {
        log::error(
            "panic",
            None,
            &[("at", &info.location().map(ToString::to_string).unwrap_or_default()), ("text", &message(info))],
        );
        std::process::exit(i32::from(Outcome::Temporary.code(convention)));
    }));
}

fn message(info: &std::panic::PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_string())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// A command line taken apart.
#[derive(Debug, Default)]
pub struct Options {
    /// Flags in their order, with their value (empty where they take none).
    pub flags: Vec<(String, std::ffi::OsString)>,
    /// What is no option.
    pub operands: Vec<std::ffi::OsString>,
}

impl Options {
    /// True when the flag was given.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f.0 == flag)
    }

    /// The last value of a flag.
    pub fn value(&self, flag: &str) -> Option<&std::ffi::OsStr> {
        self.flags.iter().rev().find(|f| f.0 == flag).map(|f| f.1.as_os_str())
    }

    /// The file of `-c`.
    pub fn config(&self) -> Option<&std::path::Path> {
        self.value("c").map(std::path::Path::new)
    }
}

/// Reads the options every conversation program has, without clap: single-letter flags, some with a value.
///
/// `with_value` lists the letters that take a value (`-c FILE` or `-cFILE`), `plain` those that do not; long options
/// `--word` must be in `long` and take no value.
pub fn options(
    arguments: impl Iterator<Item = std::ffi::OsString>,
    plain: &str,
    with_value: &str,
    long: &[&str],
) -> Result<Options, Failure> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut flags = Vec::new();
    let mut operands = Vec::new();
    let mut rest = arguments;
    while let Some(argument) = rest.next() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            operands.extend(rest);
            break;
        }
        if let Some(word) = bytes.strip_prefix(b"--") {
            let word = String::from_utf8_lossy(word).into_owned();
            if !long.contains(&word.as_str()) {
                return Err(Failure::usage(format!("unknown option --{word}")));
            }
            flags.push((word, std::ffi::OsString::new()));
            continue;
        }
        if bytes.len() < 2 || bytes[0] != b'-' {
            operands.push(argument);
            continue;
        }
        let mut at = 1;
        while at < bytes.len() {
            let letter = bytes[at] as char;
            at += 1;
            if plain.contains(letter) {
                flags.push((letter.to_string(), std::ffi::OsString::new()));
            } else if with_value.contains(letter) {
                let value = if at < bytes.len() {
                    std::ffi::OsString::from_vec(bytes[at..].to_vec())
                } else {
                    rest.next().ok_or_else(|| Failure::usage(format!("option -{letter} needs a value")))?
                };
                flags.push((letter.to_string(), value));
                at = bytes.len();
            } else {
                return Err(Failure::usage(format!("unknown option -{letter}")));
            }
        }
    }
    Ok(Options { flags, operands })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Failure> {
        options(line.split_whitespace().map(Into::into), "v", "c", &["session"])
    }

    #[test]
    fn options_and_operands() {
        let options = parse("-vc file --session a -- -b").unwrap();
        assert!(options.has("v") && options.has("session"));
        assert_eq!(options.config(), Some(std::path::Path::new("file")));
        assert_eq!(options.operands, ["a", "-b"]);
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in ["-x", "--nothing", "-c"] {
            assert_eq!(parse(line).unwrap_err().outcome, Outcome::Permanent(crate::Kind::Usage), "{line}");
        }
    }
}
