//! The warning to a user who fills the mailbox by APPEND or COPY; what deliver(8) does after a delivery.
//!
//! Contract    `mail.quota_warning PERCENT`, as the user, with the session's environment and QUOTA_PERCENT; its exit code is logged
//!             and changes nothing
//! Invariants  1. after the client has its answer   2. the usage before is read right before the command, so that a percentage passed by a
//!             delivery is not told a second time
use super::Session;
use penny_base::{Config, log};
use penny_imap::command::Command as Verb;
use penny_maildir::{Limits, Usage, quota};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Time of the program: the session waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether sessions run the program.
pub fn enabled(config: &Config) -> bool {
    config.mail.quota_warning.is_absolute()
}

impl Session {
    /// Before a command that may store messages.
    pub(super) fn note_usage(&mut self, command: &Verb) {
        let stores = matches!(command, Verb::Append { .. } | Verb::Copy { .. } | Verb::Replace { .. });
        let quota = self.spaces.own.quota();
        if stores && self.usage_before.is_none() && enabled(&self.config) && quota.is_active() {
            self.usage_before = quota.usage().ok().map(|(usage, _)| usage);
        }
    }

    /// Warns if the commands since [`Session::note_usage`] passed a percentage.
    pub(super) fn warn(&mut self, usage: Usage, limits: Limits) {
        let Some(before) = self.usage_before.take() else { return };
        if let Some(percent) = quota::passed(&self.config.mail.quota_warning_at, limits, before, usage) {
            let ended = run(&self.config, percent).unwrap_or_else(|e| e.to_string());
            log::info("quota-warning", None, &[("user", &self.owner.user), ("percent", &percent), ("ended", &ended)]);
        }
    }
}

fn run(config: &Config, percent: u32) -> std::io::Result<String> {
    let mut command = Command::new(&config.mail.quota_warning);
    command.arg(percent.to_string()).env("QUOTA_PERCENT", percent.to_string());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = super::child::wait(&mut child, PATIENCE)?;
    Ok(status.map_or_else(|| "took too long".into(), |s| s.to_string()))
}
