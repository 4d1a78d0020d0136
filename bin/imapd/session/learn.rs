//! The learning hook: moves and copies into and out of Junk teach the spam filter.
//!
//! Contract    `imapd.learn spam` or `imapd.learn ham` with the message on standard input, as the user; its exit code
//!             is logged and changes nothing
//! Rules       into Junk is spam; out of Junk is ham, but not into Trash: throwing spam away is no praise
//! Invariants  1. the client's answer never depends on the hook   2. one command teaches at most [`LESSONS_MAX`]
//!             messages and waits at most [`PATIENCE`] for each
use penny_base::{Config, log};
use penny_maildir::{FolderName, Mailbox};
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Most messages one command teaches: a client that moves a whole archive must not hold its session.
const LESSONS_MAX: usize = 100;
/// Time for one message.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a move teaches.
fn lesson(from: &FolderName, to: &FolderName, junk: &str) -> Option<&'static str> {
    let is = |folder: &FolderName, name: &str| matches!(folder.parts(), [only] if only == name);
    let trash = ["Trash", "Deleted Messages", "Deleted Items"];
    match (is(from, junk), is(to, junk)) {
        (false, true) => Some("spam"),
        (true, false) if !trash.iter().any(|t| is(to, t)) => Some("ham"),
        _ => None,
    }
}

/// Teaches the messages that came into `target` as `uids`.
pub fn learn(config: &Config, from: &FolderName, target: &mut Mailbox, uids: &[u32]) {
    if config.imapd.learn.is_empty() {
        return;
    }
    let Some(word) = lesson(from, target.name(), &config.mail.junk_folder) else { return };
    for &uid in uids.iter().take(LESSONS_MAX) {
        let taught = target.open_message(uid).map_err(|e| e.to_string());
        if let Err(why) = taught.and_then(|file| teach(&config.imapd.learn, word, file)) {
            return log::warning("learn", None, &[("lesson", &word), ("why", &why)]);
        }
    }
}

fn teach(program: &str, word: &str, message: File) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg(word).stdin(Stdio::from(message)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    match super::child::wait(&mut child, PATIENCE) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("{program}: {status}")),
        Ok(None) => Err(format!("{program} took too long")),
        Err(e) => Err(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_move_teaches() {
        let f = |n: &str| FolderName::from_parts(&[n]).unwrap();
        assert_eq!(lesson(&FolderName::inbox(), &f("Junk"), "Junk"), Some("spam"));
        assert_eq!(lesson(&f("Junk"), &FolderName::inbox(), "Junk"), Some("ham"));
        assert_eq!(lesson(&f("Junk"), &f("Trash"), "Junk"), None);
        assert_eq!(lesson(&f("Junk"), &f("Junk"), "Junk"), None);
        assert_eq!(lesson(&FolderName::inbox(), &f("Work"), "Junk"), None);
    }
}
