//! DATA and BDAT: takes the message in, has it judged, commits it.
//!
//! Standards   RFC 5321 4.1.1.4, 4.2.5 (responsibility passes with 250), 6.3 (loops); RFC 3030
//! Invariants  1. 250 only after enqueue said that the entry is on stable storage (or, in LMTP, that deliver did)
//!             2. what is wrong with a message is told once, after its end; nothing of it stays

use crate::filter::all;
use crate::fixup::{Facts, fix};
use crate::header::{HeaderBuffer, hops};
use crate::mail::Mail;
use crate::session::Session;
use penny_addr::Body;
use penny_base::{Failure, log};
use penny_queue::client::Spool;
use penny_smtp::server::{Content, Machine, Reply, Role, recode};

/// A message that is arriving.
pub struct Incoming {
    header: HeaderBuffer,
    /// The message so far.
    pub spool: Spool,
    /// BINARYMIME content, until it is whole and re-coded.
    binary: Option<Vec<u8>>,
    /// Why it cannot be taken.
    trouble: Option<(&'static str, Reply)>,
}

/// Seconds since 1970.
pub fn unix_now() -> i64 {
    penny_sys::time::now().as_secs() as i64
}

impl Session {
    /// DATA, or the first BDAT.
    pub fn begin_content(&mut self) {
        let binary = self.mail.as_ref().is_some_and(|m| m.params.body == Some(Body::Binary)).then(Vec::new);
        self.incoming = Some(Incoming { header: HeaderBuffer::default(), spool: Spool::new(), binary, trouble: None });
        self.answer(Reply::plain(354, "end data with <CR><LF>.<CR><LF>"));
    }

    /// Takes what the decoder has put into `sink`.
    pub fn take_content(&mut self, sink: &mut Vec<u8>) {
        if sink.is_empty() {
            return;
        }
        if let Some(binary) = self.incoming.as_mut().and_then(|i| i.binary.as_mut()) {
            return binary.append(sink);
        }
        let mut piece = std::mem::take(sink);
        self.take_piece(&piece);
        piece.clear();
        *sink = piece; // its memory is used again
    }

    fn take_piece(&mut self, piece: &[u8]) {
        let Some(incoming) = self.incoming.as_mut().filter(|i| i.trouble.is_none()) else { return };
        let was_done = incoming.header.is_done();
        let body = incoming.header.push(piece);
        if incoming.header.is_too_large() {
            incoming.trouble = Some(("header-size", Reply::new(552, "5.3.4", "message header too large")));
            return;
        }
        if !was_done && self.incoming.as_ref().is_some_and(|i| i.header.is_done()) {
            self.end_of_header();
        }
        self.spool(body);
    }

    fn spool(&mut self, piece: &[u8]) {
        let Some(incoming) = self.incoming.as_mut().filter(|i| i.trouble.is_none() && !piece.is_empty()) else {
            return;
        };
        if let Err(e) = incoming.spool.write(&mut self.services.enqueue, piece) {
            let failure = Failure::io("spool", &e);
            log::warning("spool-failed", None, &[("why", &failure)]);
            incoming.trouble = Some(("spool", soft(&failure)));
        }
    }

    /// Judges and mends the header, then lets it into the spool.
    fn end_of_header(&mut self) {
        let Some(incoming) = self.incoming.as_mut() else { return };
        let mut header = incoming.header.take();
        if hops(&header) > self.config.smtpd.max_hops as usize {
            incoming.trouble = Some(("loop", Reply::new(554, "5.4.6", "too many hops, this message is looping")));
            return;
        }
        if self.role == Role::Submission {
            header = self.mend(&header);
        }
        self.spool(&header);
    }

    fn mend(&mut self, header: &[u8]) -> Vec<u8> {
        let Some(mail) = self.mail.as_ref() else { return header.to_vec() };
        let sender = mail.sender_text();
        let facts = Facts { sender: &sender, hostname: &self.hostname, id: &mail.id, now: unix_now() };
        let fixed = fix(header, &facts);
        if let Some(login) = self.client.login.clone().filter(|_| self.config.smtpd.from_login) {
            let refused = fixed.authors.iter().find_map(|author| self.may_send(&login, author).err());
            if let (Some(incoming), Some(trouble)) = (self.incoming.as_mut(), refused) {
                incoming.trouble = Some(trouble);
            }
        }
        fixed.header
    }

    /// The content is whole: it is answered, and the transaction is over.
    pub fn content_end(&mut self, facts: Content) -> std::io::Result<()> {
        let done = self.judge_content(facts);
        self.forwarded = None;
        done
    }

    fn judge_content(&mut self, mut facts: Content) -> std::io::Result<()> {
        if facts.problem.is_none() {
            self.recode_binary(&mut facts);
        }
        if self.incoming.as_ref().is_some_and(|i| !i.header.is_done() && i.trouble.is_none()) {
            self.end_of_header(); // a message without an empty line is all header
        }
        let (mail, incoming) = (self.mail.take(), self.incoming.take());
        let (Some(mail), Some(mut incoming)) = (mail, incoming) else {
            self.answer_content(Reply::new(451, "4.3.0", "no transaction"), 1);
            return Ok(());
        };
        let count = mail.recipients.len();
        let too_large = || all(mail.recipients.iter().map(|r| r.too_large(facts.wire_size))).map(|r| ("size", r));
        let trouble = facts.problem.map(|p| ("content", Machine::problem_reply(p))).or(incoming.trouble.take());
        let trouble = trouble.or_else(too_large);
        if let Some((rule, reply)) = trouble {
            self.mail = Some(mail); // for the log line
            self.log_refusal(rule, &reply);
            self.forget_mail();
            self.answer_content(reply, count);
            return Ok(());
        }
        self.judge_and_take(mail, incoming, facts)
    }

    /// BINARYMIME becomes what every later program can read.
    fn recode_binary(&mut self, facts: &mut Content) {
        let Some(binary) = self.incoming.as_mut().and_then(|i| i.binary.take()) else { return };
        match recode(&binary) {
            Ok(message) => {
                facts.eight_bit = !message.is_ascii();
                self.take_piece(&message);
            }
            Err(_) => {
                if let Some(incoming) = self.incoming.as_mut() {
                    let reply = Reply::new(554, "5.6.1", "the binary message cannot be converted");
                    incoming.trouble = Some(("binary", reply));
                }
            }
        }
    }

    fn judge_and_take(&mut self, mut mail: Mail, mut incoming: Incoming, facts: Content) -> std::io::Result<()> {
        self.flush()?; // replies to what came before need not wait for the filters
        if let Some(reply) = self.milters_message(&mut mail, &mut incoming.spool) {
            let count = mail.recipients.len();
            self.mail = Some(mail);
            self.log_refusal("milter", &reply);
            self.mail = None;
            self.answer_content(reply, count);
            return Ok(());
        }
        let verdicts = match self.run_filters(&mail, &mut incoming.spool) {
            Ok(verdicts) => verdicts,
            Err(reply) => {
                self.mail = Some(mail);
                self.log_refusal("filter", &reply);
                let count = self.mail.take().map_or(1, |m| m.recipients.len());
                self.answer_content(reply, count);
                return Ok(());
            }
        };
        if mail.discard {
            self.accepted += 1;
            self.log_accepted(&mail, "-", Some("discarded"), incoming.spool.len());
            self.answer_content(Reply::new(250, "2.0.0", "accepted"), mail.recipients.len());
            return Ok(());
        }
        let fields = format!("{}{}{}", mail.prepend, verdicts.fields, self.received(&mail, unix_now()));
        if self.role == Role::Lmtp {
            let replies = self.deliver_all(mail, &mut incoming.spool, &fields, &verdicts, &facts);
            self.machine.answer_each(&replies);
        } else {
            let reply = self.commit(&mail, &incoming.spool, &fields, verdicts.junk(&mail), facts.eight_bit);
            self.machine.answer(reply);
        }
        Ok(())
    }

    /// Hands the message to the queue; the reply.
    pub fn commit(&mut self, mail: &Mail, spool: &Spool, fields: &str, junk: Option<&str>, eight_bit: bool) -> Reply {
        let envelope = match self.envelope(mail, eight_bit, junk) {
            Ok(envelope) => envelope,
            Err(failure) => return self.not_queued(mail, &failure),
        };
        match self.services.enqueue.commit(&envelope, fields.as_bytes(), spool.message()) {
            Ok(name) => {
                self.accepted += 1;
                self.log_accepted(mail, name.as_str(), junk, spool.len());
                Reply::new(250, "2.0.0", format!("queued as {}", name.as_str()))
            }
            Err(failure) => self.not_queued(mail, &failure),
        }
    }

    fn log_accepted(&self, mail: &Mail, name: &str, junk: Option<&str>, size: u64) {
        let (ip, service, login) = (&self.peer.ip, self.service(), self.client.login.as_deref().unwrap_or("-"));
        let (from, rcpts, junk) = (format!("<{}>", mail.sender_text()), mail.recipients.len(), junk.unwrap_or("-"));
        let mut pairs: Vec<(&str, &dyn std::fmt::Display)> = vec![
            ("id", &mail.id),
            ("ip", ip),
            ("service", &service),
            ("login", &login),
            ("from", &from),
            ("rcpts", &rcpts),
            ("size", &size),
            ("junk", &junk),
        ];
        if let Some(told) = &self.forwarded {
            pairs.push(("forwarded", told));
        }
        log::info("accepted", Some(name), &pairs);
    }

    fn not_queued(&mut self, mail: &Mail, failure: &Failure) -> Reply {
        log::warning("not-queued", None, &[("id", &mail.id), ("why", failure)]);
        self.refused += 1;
        if failure.is_temporary() { soft(failure) } else { Reply::new(554, &failure.status, failure.text.clone()) }
    }

    /// One reply, or in LMTP the same for each recipient.
    pub fn answer_content(&mut self, reply: Reply, recipients: usize) {
        if self.role == Role::Lmtp {
            self.machine.answer_each(&vec![reply; recipients]);
        } else {
            self.machine.answer(reply);
        }
    }
}

/// 452 for a full disk (RFC 5321 4.2.3), else 451.
pub fn soft(failure: &Failure) -> Reply {
    let code = if failure.status == "4.3.1" { 452 } else { 451 };
    Reply::new(code, &failure.status, failure.text.clone())
}
