//! LMTP: delivers to local mailboxes before it replies, one reply a recipient.
//!
//! Standards   RFC 2033 4.2 (a reply per accepted recipient, in order); RFC 3463
//! Invariants  1. 250 for a mailbox only after `deliver` said that the message is on stable storage
//!             2. a recipient that is no single local mailbox goes through the queue, alone in its entry with its kind
//! Failures    what deliver does not say is temporary: 451

use crate::content::soft;
use crate::envelope::queued;
use crate::filter::Verdicts;
use crate::mail::{Mail, Recipient};
use crate::session::Session;
use penny_base::services::delivery;
use penny_base::{Failure, Outcome, log};
use penny_queue::client::Spool;
use penny_smtp::server::{Content, Reply};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;

/// Longest result line of deliver, octets.
const LINE_MAX: u64 = 2048;

impl Session {
    /// Delivers or queues for each recipient; the replies in order.
    pub fn deliver_all(
        &mut self,
        mail: Mail,
        spool: &mut Spool,
        fields: &str,
        verdicts: &Verdicts,
        facts: &Content,
    ) -> Vec<Reply> {
        let message = match whole_message(spool, fields) {
            Ok(file) => file,
            Err(e) => {
                let failure = Failure::io("message", &e);
                log::warning("not-delivered", None, &[("id", &mail.id), ("why", &failure)]);
                return vec![soft(&failure); mail.recipients.len()];
            }
        };
        let Mail { id, sender, params, recipients, hold, .. } = mail;
        let mut replies = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let refusal = recipient.too_large(facts.wire_size).or_else(|| verdicts.reject_for(&recipient.filters));
            if let Some(reply) = refusal {
                replies.push(reply);
                continue;
            }
            let junk = verdicts.junk_for(&recipient.filters).map(str::to_owned);
            let mut one = Mail::new(id.clone(), sender.clone(), params.clone());
            one.recipients.push(recipient);
            one.hold.clone_from(&hold);
            replies.push(self.deliver_one(&one, spool, &message, fields, junk.as_deref(), facts.eight_bit));
        }
        replies
    }

    fn deliver_one(
        &mut self,
        mail: &Mail,
        spool: &Spool,
        message: &File,
        fields: &str,
        junk: Option<&str>,
        eight_bit: bool,
    ) -> Reply {
        let Some(recipient) = mail.recipients.first() else { return Reply::new(451, "4.3.0", "no recipient") };
        // what is held is held in the queue
        let Some(mailbox) = recipient.local.clone().filter(|_| mail.hold.is_none()) else {
            return self.commit(mail, spool, fields, junk, eight_bit);
        };
        let (code, text) = match self.deliver(mail, recipient, &mailbox, message, junk, eight_bit) {
            Ok(Reported { outcome, line }) => (outcome, line),
            Err(failure) => (Outcome::Temporary, failure.line()),
        };
        let reply = reply_of(code, &text, &recipient.address);
        let level = if reply.is_success() { log::Level::Info } else { log::Level::Warning };
        self.accepted += u32::from(reply.is_success());
        log::event(
            level,
            "delivered",
            None,
            &[
                ("id", &mail.id),
                ("to", &format_args!("<{}>", recipient.address)),
                ("user", &mailbox),
                ("reply", &reply),
            ],
        );
        reply
    }

    fn deliver(
        &mut self,
        mail: &Mail,
        recipient: &Recipient,
        mailbox: &str,
        message: &File,
        junk: Option<&str>,
        eight_bit: bool,
    ) -> Result<Reported, Failure> {
        let user = self.services.lookup.user(mailbox)?;
        let user = user.ok_or_else(|| Failure::temporary("4.3.0", "the mailbox has gone"))?;
        let mut envelope = self.envelope(mail, eight_bit, junk)?;
        envelope.id = penny_queue::Line::new(mail.id.clone());
        envelope.recipients = vec![queued(recipient)?];
        let started = (|| {
            let block = penny_sys::fs::memory_file_of("envelope", &envelope.encode())?;
            let mut report = penny_sys::fs::memory_file("report")?;
            let errors = io::stderr().as_fd().try_clone_to_owned()?;
            let mut request = delivery(&self.config, &user, &recipient.address).env("SENDER", &mail.sender_text());
            request.reopen_stdin = true;
            let fds = [message.as_fd(), report.as_fd(), errors.as_fd(), block.as_fd()];
            let id = self.services.spawn.start(&request, &fds)?;
            let ended = self.services.spawn.wait(id)?;
            report.seek(SeekFrom::Start(0))?;
            let mut line = Vec::new();
            report.take(LINE_MAX).read_to_end(&mut line)?;
            let line = String::from_utf8_lossy(&line).lines().next().unwrap_or_default().to_owned();
            Ok(Reported { outcome: Outcome::of_child(ended), line })
        })();
        started.map_err(|e: io::Error| Failure::io("deliver", &e))
    }
}

/// What deliver said.
struct Reported {
    outcome: Outcome,
    line: String,
}

/// The exit code decides, the line explains.
fn reply_of(outcome: Outcome, line: &str, address: &str) -> Reply {
    let text = |class: char, default: &str| {
        if line.starts_with(class) { format!("{line} <{address}>") } else { format!("{default} <{address}>") }
    };
    match outcome {
        Outcome::Done | Outcome::DoneStop => Reply::from_text(&text('2', "2.1.5 delivered"), 250, 250),
        Outcome::Permanent(_) => Reply::from_text(&text('5', "5.3.0 delivery failed"), 550, 550),
        Outcome::Temporary | Outcome::Code(_) => {
            let text = text('4', "4.3.0 delivery failed for now");
            let code = if text.starts_with("4.2.2") || text.starts_with("4.3.1") { 452 } else { 451 };
            Reply::from_text(&text, code, code)
        }
    }
}

/// Added fields and message in one file.
fn whole_message(spool: &mut Spool, fields: &str) -> io::Result<File> {
    let mut file = penny_sys::fs::memory_file("message")?;
    file.write_all(fields.as_bytes())?;
    match spool.bytes() {
        Some(bytes) => file.write_all(bytes)?,
        None => drop(penny_sys::fs::copy_from_offset(spool.file()?, 0, &mut file)?),
    }
    Ok(file)
}
