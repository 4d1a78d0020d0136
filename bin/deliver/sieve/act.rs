//! Carrying out what scripts decided.
//!
//! Order       refusal; mailboxes; programs; redirects; then answers, notifications and what is remembered
//! Failures    mailboxes and redirects that fail defer the message (a retry may repeat what was done before); a program that fails puts the
//!             message in INBOX; an answer or notification that fails is logged only

use penny_base::{Failure, Kind, log};
use penny_sieve::{Action, Message, Outcome, Outgoing, OutgoingKind, ProgramKind, Store};

use super::host::{self, special_folder};
use super::remember::Memory;
use crate::context::Context;
use crate::folder::{self, Filing};
use crate::outcome::Done;
use crate::{rules, send};

/// Does everything, or says why not.
pub fn carry_out(context: &Context, original: &Message, outcome: Outcome) -> Result<Done, Failure> {
    let mut work = Work { context, original, done: Vec::new(), keep: outcome.implicit_keep };
    for action in &outcome.actions {
        if let Action::Reject { reason, .. } = action {
            return reject(context, reason);
        }
    }
    for action in &outcome.actions {
        if let Action::Store(store) = action {
            work.store(store)?;
        }
    }
    for action in &outcome.actions {
        if let Action::Pipe { program, args, try_only, message } = action {
            work.pipe(program, args, *try_only, message);
        }
    }
    if work.keep {
        work.keep(&outcome.message, &outcome.keep_flags)?;
    }
    for action in &outcome.actions {
        if let Action::Send(out) = action {
            work.send(out)?;
        }
    }
    for action in &outcome.actions {
        if let Action::Remember { key, seconds } = action {
            work.remember(key, *seconds);
        }
    }
    Ok(Done::new(if work.done.is_empty() { "discarded by the recipient's rules".into() } else { work.done.join("; ") }))
}

/// After an event: what is filed, sent or given to programs is done as ever; the message where it is stays there with the flags that
/// are returned, or is to go (RFC 6785 4.6).
pub fn after_event(context: &Context, original: &Message, outcome: Outcome) -> Result<Option<Vec<String>>, Failure> {
    let mut work = Work { context, original, done: Vec::new(), keep: outcome.implicit_keep };
    let mut flags = outcome.keep_flags;
    for action in &outcome.actions {
        match action {
            Action::Store(store) if store.keep => {
                work.keep = true;
                flags = store.flags.clone().unwrap_or(flags);
            }
            Action::Store(store) => work.store(store)?,
            Action::Pipe { program, args, try_only, message } => work.pipe(program, args, *try_only, message),
            Action::Send(out) => work.send(out)?,
            Action::Discard | Action::Reject { .. } | Action::Remember { .. } => {}
        }
    }
    Ok(work.keep.then_some(flags))
}

/// RFC 5429 2.2: the answer of the delivery; the queue makes a report of it, LMTP an SMTP reply. Nothing is said to the null sender.
fn reject(context: &Context, reason: &str) -> Result<Done, Failure> {
    if context.sender().is_empty() {
        return Ok(Done::new("refused by the recipient's rules; the sender is empty"));
    }
    let line: Vec<&str> = reason.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let text: String = line.join(" ").chars().take(500).collect();
    Err(Failure::permanent(
        Kind::Permission,
        "5.7.1",
        if text.is_empty() { "refused by the recipient".into() } else { text },
    ))
}

struct Work<'a> {
    context: &'a Context,
    original: &'a Message,
    done: Vec<String>,
    keep: bool,
}

impl Work<'_> {
    fn content<'m>(&self, message: &'m Message) -> Option<&'m [u8]> {
        (!message.same(self.original)).then(|| message.bytes())
    }

    /// RFC 5228 4.1, RFC 8579 4.1, RFC 9042 4.1: the id wins, then the special use, then the name.
    fn folder_of(&self, store: &Store) -> (String, bool) {
        if store.keep {
            return rules::default_folder(self.context);
        }
        let by_id = store.mailbox_id.as_deref().and_then(|id| host::mailbox_by_id(self.context, id));
        let by_use = store.special_use.as_deref().and_then(|f| special_folder(self.context, f));
        (by_id.or(by_use).unwrap_or_else(|| store.mailbox.clone()), store.create)
    }

    fn store(&mut self, store: &Store) -> Result<(), Failure> {
        let (name, create) = self.folder_of(store);
        let flags = store.flags.clone().unwrap_or_default();
        let filing = Filing { flags: &flags, create, content: self.content(&store.message) };
        let took = folder::deliver(self.context, &name, &filing)?;
        if took != name {
            log::warning("sieve", self.context.id(), &[("user", &self.context.owner.user), ("missing-folder", &name)]);
        }
        self.done.push(format!("delivered to {took}"));
        Ok(())
    }

    fn keep(&mut self, message: &Message, flags: &[String]) -> Result<(), Failure> {
        let (name, create) = rules::default_folder(self.context);
        let filing = Filing { flags, create, content: self.content(message) };
        let took = folder::deliver(self.context, &name, &filing)?;
        self.done.push(format!("delivered to {took}"));
        Ok(())
    }

    fn pipe(&mut self, program: &str, args: &[String], try_only: bool, message: &Message) {
        let ran = host::run_program(self.context, ProgramKind::Pipe, program, args, Some(message.bytes()));
        match ran {
            Ok(ran) if ran.success => self.done.push("given to a program".into()),
            other => {
                let why = other.map_or_else(|e| e, |_| "the program failed".into());
                log::warning(
                    "sieve-pipe",
                    self.context.id(),
                    &[("user", &self.context.owner.user), ("program", &program), ("why", &why)],
                );
                // with :try the script goes on as if it had not been there
                self.keep |= !try_only || self.done.is_empty();
            }
        }
    }

    fn send(&mut self, out: &Outgoing) -> Result<(), Failure> {
        if out.to.is_empty() {
            return Ok(());
        }
        match &out.kind {
            OutgoingKind::Redirect => {
                send::redirect(self.context, out)?;
                self.done.push(format!("redirected to {}", out.to.join(", ")));
                Ok(())
            }
            OutgoingKind::Vacation { key, seconds } => {
                let noted = Memory::of(self.context).note(&format!("v/{key}"), *seconds, host::now());
                // not being able to remember means not answering: better than answering every message
                if noted.is_ok_and(|fresh| fresh) {
                    self.answer(out);
                }
                Ok(())
            }
            OutgoingKind::Notify | OutgoingKind::Report => {
                self.answer(out);
                Ok(())
            }
        }
    }

    /// An answer nobody waits for: a failure is logged.
    fn answer(&self, out: &Outgoing) {
        let sent = send::new_mail(self.context, out);
        let copied = out.fcc.as_ref().map_or(Ok(()), |store| {
            let flags = store.flags.clone().unwrap_or_default();
            let filing = Filing { flags: &flags, create: store.create, content: Some(&out.message) };
            folder::deliver(self.context, &store.mailbox, &filing).map(drop)
        });
        for result in [sent, copied] {
            if let Err(e) = result {
                log::warning("sieve-send", self.context.id(), &[("user", &self.context.owner.user), ("why", &e)]);
            }
        }
    }

    fn remember(&self, key: &str, seconds: u64) {
        if let Err(e) = Memory::of(self.context).note(&format!("d/{key}"), seconds, host::now()) {
            log::warning("sieve-duplicate", self.context.id(), &[("user", &self.context.owner.user), ("why", &e)]);
        }
    }
}
