//! The warning to a user whose mailbox fills.
//!
//! Contract    `mail.quota_warning PERCENT`, as the user, with the environment of every program and QUOTA_PERCENT; its exit code and words
//!             are logged and change nothing
//! Invariants  1. a percentage is told when a delivery passes it, so once until the user has made room   2. never before the message is
//!             safe: the program cannot cost mail

use std::time::Duration;

use penny_base::log;
use penny_maildir::{Limits, Usage};

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
    if let Some(percent) = crossed(&mail.quota_warning_at, usage, limits, added) {
        run(context, percent);
    }
}

/// The highest percentage that lies between usage before and after.
fn crossed(marks: &[u32], usage: Usage, limits: Limits, added: (u64, u64)) -> Option<u32> {
    let passes = |mark: u32, after: u64, added: u64, limit: Option<u64>| {
        let Some(limit) = limit else { return false };
        let at = limit.saturating_mul(u64::from(mark));
        let reached = |used: u64| used.saturating_mul(100) >= at;
        reached(after) && !reached(after.saturating_sub(added))
    };
    let one = |mark: &&u32| {
        passes(**mark, usage.storage, added.0, limits.storage)
            || passes(**mark, usage.messages, added.1, limits.messages)
    };
    marks.iter().filter(one).max().copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_percentage_once_on_the_way_up() {
        let limits = Limits { storage: Some(1000), messages: Some(10) };
        let at = |storage, messages, octets| crossed(&[80, 95], Usage { storage, messages }, limits, (octets, 1));
        assert_eq!(at(799, 1, 100), None);
        assert_eq!(at(800, 1, 100), Some(80));
        assert_eq!(at(900, 1, 100), None);
        assert_eq!(at(990, 1, 100), Some(95));
        assert_eq!(at(990, 1, 300), Some(95));
        assert_eq!(at(10, 8, 1), Some(80));
        assert_eq!(at(10, 9, 1), None);
        assert_eq!(crossed(&[80], Usage { storage: 5, messages: 5 }, Limits::default(), (5, 5)), None);
    }
}
