//! A script that an IMAP session runs because something happened to a message (`deliver --event`).
//!
//! Standards   RFC 6785
//! Contract    arguments CAUSE MAILBOX SCRIPT; the message on descriptor 0, a file at its start; IMAP_FLAGS its flags, IMAP_CHANGED_FLAGS what
//!             a STORE changed, IMAP_MAILBOX_FROM where a COPY took it; the answer on descriptor 1: `keep` or `discard`, and a line `flags` with those the message shall have
//! Invariants  1. the message itself is never touched here: the session sets flags, and marks with \Deleted what is discarded
//!             2. nothing is refused and nobody answered: the message came long ago (RFC 6785 4.4)

use std::io::Write;

use penny_base::{Failure, log};
use penny_sieve::{Machine, Message};

use super::{act, compile, envelope, global, host, settings};
use crate::context::Context;
use crate::outcome::Done;
use crate::{fields, safe};

/// Commands that make no sense for a message that was delivered before.
pub const FORBIDDEN: [&str; 6] = ["reject", "ereject", "vacation", "vacation-seconds", "duplicate", "editheader"];

/// What happened, and where.
#[derive(Debug)]
pub struct Event {
    /// APPEND, COPY or FLAG.
    pub cause: String,
    /// The mailbox that the message is in, as clients name it.
    pub mailbox: String,
    /// Name of a script of the user's, or else of the administrator's.
    pub script: String,
}

impl Event {
    /// RFC 6785 4.2, and Pigeonhole's own.
    pub fn environment(&self, user: &str, name: &str) -> Option<String> {
        match name {
            "imap.cause" => Some(self.cause.clone()),
            "imap.mailbox" => Some(self.mailbox.clone()),
            "imap.changedflags" => Some(std::env::var("IMAP_CHANGED_FLAGS").unwrap_or_default()),
            "vnd.dovecot.mailbox-from" => std::env::var("IMAP_MAILBOX_FROM").ok(),
            "vnd.dovecot.mailbox-to" => Some(self.mailbox.clone()),
            "imap.user" | "imap.email" => Some(user.to_owned()),
            "location" => Some("MS".into()),
            "phase" => Some("post".into()),
            _ => None,
        }
    }
}

/// Runs the script and says what is to become of the message.
pub fn run(context: &Context, event: &Event) -> Result<Done, Failure> {
    let fail = |why: String| {
        Failure::temporary("4.3.5", "the script has an error").with_detail(format!("{}: {why}", event.script))
    };
    let scripts = penny_base::scripts::Scripts::of(&context.owner.home);
    let path = scripts.path(&event.script).map_err(|e| fail(e.to_string()))?;
    let text = match safe::read(&path)? {
        Some(rules) => rules.text,
        None => global(context, &event.script).ok_or_else(|| fail("there is no such script".into()))?,
    };
    let script = compile(context, &path, &text).map_err(fail)?;
    let mut bytes = Vec::new();
    fields::write_original(context, &mut bytes).map_err(|e| Failure::io("read message", &e))?;
    let original = Message::new(bytes);
    let settings = settings(context);
    let mut world = host::World::new(context);
    let mut machine = Machine::new(&mut world, &settings, envelope(context), original.clone());
    machine.set_flags(&std::env::var("IMAP_FLAGS").unwrap_or_default());
    machine.run(&script).map_err(|e| fail(e.to_string()))?;
    let kept = act::after_event(context, &original, machine.outcome())?;
    let text = match &kept {
        Some(flags) => format!("keep\nflags {}\n", flags.join(" ")),
        None => "discard\n".into(),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|e| Failure::io("answer", &e))?;
    let outcome = if kept.is_some() { "keep" } else { "discard" };
    let fields: &[(&str, &dyn std::fmt::Display)] = &[
        ("user", &context.owner.user),
        ("cause", &event.cause),
        ("mailbox", &event.mailbox),
        ("script", &event.script),
        ("outcome", &outcome),
    ];
    log::info("imapsieve", None, fields);
    Ok(Done::new(outcome))
}
