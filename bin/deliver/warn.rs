//! The warning to a user whose mailbox fills.
//!
//! Contract    `mail.quota_warning PERCENT`, as the user, with the environment of every program and QUOTA_PERCENT; its exit code and words
//!             are logged and change nothing
//! Invariants  1. a percentage is told when a delivery passes it, so once until the user has made room   2. never before the message is
//!             safe: the program cannot cost mail

use std::time::Duration;

use penny_base::log;
use penny_maildir::{Limits, Usage, quota};

use crate::context::Context;
use crate::program;

/// Time of the program.
const PATIENCE: Duration = Duration::from_secs(30);
/// Kept of what it prints.
const OUTPUT_MAX: usize = 1024;

/// Warns if a delivery of that many octets and messages, after which `usage` is used, passed a percentage.
pub fn passed(context: &Context, usage: Usage, limits: Limits, added: (u64, u64)) {
    let mail = &context.config.mail;
    if !mail.quota_warning.is_absolute() {
        return;
    }
    let before =
        Usage { storage: usage.storage.saturating_sub(added.0), messages: usage.messages.saturating_sub(added.1) };
    if let Some(percent) = quota::passed(&mail.quota_warning_at, limits, before, usage) {
        run(context, percent);
    }
}

fn run(context: &Context, percent: u32) {
    let command = program::Command {
        path: context.config.mail.quota_warning.clone(),
        args: vec![percent.to_string()],
        environment: vec![("QUOTA_PERCENT".into(), percent.to_string())],
        output_max: OUTPUT_MAX,
        limit: PATIENCE,
    };
    let ended = match program::run(context, &command, None) {
        Ok(ran) => format!("{:?} {}", ran.ended, String::from_utf8_lossy(&ran.output).trim()),
        Err(failure) => failure.to_string(),
    };
    log::info(
        "quota-warning",
        context.id(),
        &[("user", &context.owner.user), ("percent", &percent), ("ended", &ended)],
    );
}
