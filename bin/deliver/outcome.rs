//! How a delivery ends: one line for the caller, one code.
//!
//! Contract    in a job the line always comes; by hand only failures speak (Unix silence), still beginning with the enhanced status,
//!             which Postfix reads before it looks at the code
//! Invariants  our own usage and configuration mistakes are temporary: the sender is not at fault

use std::io::Write;

use penny_base::{Failure, Kind, Outcome, log};

/// A delivery that worked: where to, for the line and the log.
pub struct Done {
    /// `delivered to INBOX`.
    pub text: String,
    /// Enhanced status, `2.1.5`.
    pub status: &'static str,
}

impl Done {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), status: "2.0.0" }
    }
}

/// Reports and turns a result into the exit code.
pub fn finish(job: bool, result: Result<Done, Failure>) -> Result<Outcome, Failure> {
    match result {
        Ok(done) => {
            if job {
                say(&format!("{} {}", done.status, done.text));
            }
            Ok(Outcome::Done)
        }
        Err(failure) => Ok(fail(failure)),
    }
}

/// Says and logs a failure; the outcome it means.
pub fn fail(failure: Failure) -> Outcome {
    let failure = soften(failure);
    say(&failure.line());
    log::init("deliver", false, false);
    log::warning(
        if failure.is_temporary() { "defer" } else { "bounce" },
        None,
        &[("status", &failure.status), ("text", &failure.text), ("why", &failure.detail)],
    );
    log::release();
    failure.outcome
}

/// A command line or configuration nobody but the administrator can mend must not bounce mail.
fn soften(failure: Failure) -> Failure {
    match failure.outcome {
        Outcome::Permanent(Kind::Usage | Kind::Config) => {
            Failure { outcome: Outcome::Temporary, status: "4.3.5".into(), ..failure }
        }
        _ => failure,
    }
}

/// Writes the line; a caller that went away changes nothing.
pub fn say(line: &str) {
    let clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{clean}\n").as_bytes()).and_then(|()| out.flush());
}
