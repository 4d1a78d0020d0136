//! One transaction: MAIL, RCPT, the data, and an outcome for each recipient.
//!
//! Standards   RFC 5321 3.3, RFC 2920 (PIPELINING), RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8),
//!             RFC 3461 5 (DSN), RFC 3030 (CHUNKING), RFC 8689 (REQUIRETLS), RFC 6710 (MT-PRIORITY), RFC 2852 (BY),
//!             RFC 2033 (LMTP), RFC 9422 (LIMITS)
//! Invariants  1. each recipient gets exactly one outcome   2. after anything odd the session is not used again

use crate::dialogue::Settings;
use crate::letter::Letter;
use crate::open::Session;
use crate::outcome::{Trouble, of_reply};
use crate::wire::Lost;
use penny_addr::ByMode;
use penny_queue::envelope::Param;
use penny_queue::journal::{Action, Outcome, Verdict};
use penny_queue::{Recipient, Sender};
use penny_smtp::client::{DataEncoder, Reply};
use std::time::Duration;

/// Octets in one BDAT chunk.
const CHUNK: usize = 1 << 20;

/// What came of a transaction.
#[derive(Debug)]
pub struct Sent {
    /// Index in the letter's recipients, and what happened.
    pub outcomes: Vec<(usize, Outcome)>,
    /// The session may take another message.
    pub usable: bool,
    /// The host did its part; false when the connection was lost or it sent us away (421).
    pub reached: bool,
    /// Nothing of the content had been sent when the session ended, so another host may be tried at once.
    pub untouched: bool,
}

/// Runs the transaction for the recipients `todo` (indexes).
pub fn run(session: &mut Session, settings: &Settings, letter: &Letter, todo: &[usize]) -> Sent {
    let recipients: Vec<(usize, &Recipient)> =
        todo.iter().filter_map(|i| letter.envelope.recipients.get(*i).map(|r| (*i, r))).collect();
    let transaction = Transaction { settings, letter, recipients, outcomes: Vec::new(), sent_content: false };
    session.used += 1;
    transaction.run(session)
}

struct Transaction<'a> {
    settings: &'a Settings,
    letter: &'a Letter,
    recipients: Vec<(usize, &'a Recipient)>,
    outcomes: Vec<(usize, Outcome)>,
    sent_content: bool,
}

impl Transaction<'_> {
    fn run(mut self, session: &mut Session) -> Sent {
        let commands = match self.commands(session) {
            Ok(commands) => commands,
            Err(trouble) => return self.over(&trouble, true, true),
        };
        let result = if self.settings.probe {
            self.probe(session, &commands)
        } else if session.offers.has("PIPELINING") {
            self.pipelined(session, &commands)
        } else {
            self.stepwise(session, &commands)
        };
        match result {
            Ok(usable) => self.over(&Trouble::temporary("4.3.0", "no answer"), usable, true),
            Err(trouble) => self.over(&trouble, false, false),
        }
    }

    /// Gives what has no outcome yet the trouble's.
    fn over(mut self, trouble: &Trouble, usable: bool, reached: bool) -> Sent {
        let untouched = !self.sent_content;
        for (index, _) in std::mem::take(&mut self.recipients) {
            if !self.outcomes.iter().any(|(i, _)| *i == index) {
                self.outcomes.push((index, trouble.outcome()));
            }
        }
        Sent { outcomes: self.outcomes, usable, reached, untouched }
    }

    /// MAIL, then one RCPT a recipient.
    fn commands(&self, session: &Session) -> Result<Vec<String>, Trouble> {
        let offers = &session.offers;
        let e = &self.letter.envelope;
        if offers.size().is_some_and(|max| e.wire_size > max) {
            // RFC 1870 6.1: known before it is sent
            let text = format!(
                "the message has {} octets, {} takes {}",
                e.wire_size,
                session.host,
                offers.size().unwrap_or(0)
            );
            return Err(Trouble::permanent("5.3.4", text));
        }
        let utf8 = self.needs_utf8(session)?;
        if e.sender.requiretls() && !(offers.has("REQUIRETLS") && session.verified) {
            // RFC 8689 4.2.1: not to be sent over less
            return Err(Trouble::permanent("5.7.30", format!("{} does not offer REQUIRETLS", session.host)));
        }
        let mut commands =
            vec![format!("MAIL FROM:<{}>{}", path(e.sender.address.as_str(), utf8), self.mail_params(session, utf8))];
        for (_, r) in &self.recipients {
            let params = if offers.has("DSN") { rcpt_params(r) } else { String::new() };
            commands.push(format!("RCPT TO:<{}>{params}", path(r.address.as_str(), utf8)));
        }
        Ok(commands)
    }

    /// Whether SMTPUTF8 is used; an error when it is needed and not offered (RFC 6531 3.6: 5.6.7 and 5.6.9).
    fn needs_utf8(&self, session: &Session) -> Result<bool, Trouble> {
        let e = &self.letter.envelope;
        let offered = session.offers.has("SMTPUTF8");
        let ascii = |address: &str| path(address, false).is_ascii();
        let addresses =
            ascii(e.sender.address.as_str()) && self.recipients.iter().all(|(_, r)| ascii(r.address.as_str()));
        let needed = !addresses || (self.letter.eight_bit_header && e.sender.smtputf8());
        if needed && !offered {
            return Err(Trouble::permanent("5.6.7", format!("{} does not take internationalised mail", session.host)));
        }
        Ok(needed || (offered && e.sender.smtputf8()))
    }

    fn mail_params(&self, session: &Session, utf8: bool) -> String {
        let (offers, sender) = (&session.offers, &self.letter.envelope.sender);
        let mut out = String::new();
        let mut add = |offered: bool, param: Option<String>| {
            if let Some(p) = param.filter(|_| offered) {
                out.push(' ');
                out.push_str(&p);
            }
        };
        add(offers.has("SIZE"), Some(format!("SIZE={}", self.letter.envelope.wire_size)));
        let eight = self.letter.eight_bit_body || self.letter.eight_bit_header;
        add(offers.has("8BITMIME"), (eight || utf8).then(|| "BODY=8BITMIME".to_owned()));
        add(utf8, Some("SMTPUTF8".to_owned()));
        add(sender.requiretls(), Some("REQUIRETLS".to_owned()));
        for key in ["RET", "ENVID"] {
            add(offers.has("DSN"), raw(&sender.params, key));
        }
        add(offers.has("MT-PRIORITY"), raw(&sender.params, "MT-PRIORITY"));
        add(offers.has("DELIVERBY"), self.time_left(sender));
        out
    }

    /// RFC 2852 4.1.4: what is left of the time when the message goes on.
    fn time_left(&self, sender: &Sender) -> Option<String> {
        let by = sender.deliver_by()?;
        let spent = self.settings.now().saturating_sub(self.letter.envelope.arrival.0);
        let left = by.seconds.checked_sub_unsigned(spent)?;
        let mode = if by.mode == ByMode::Return { "R" } else { "N" };
        Some(format!("BY={left};{mode}{}", if by.trace { "T" } else { "" }))
    }

    /// Everything up to DATA in one go (RFC 2920 3.1).
    fn pipelined(&mut self, session: &mut Session, commands: &[String]) -> Result<bool, Trouble> {
        let chunking = self.uses_bdat(session);
        let mut group = commands.join("\r\n");
        group.push_str(if chunking { "\r\n" } else { "\r\nDATA\r\n" });
        let limit = self.settings.timeout;
        session.wire.send(group.as_bytes(), limit).map_err(|l| session.lost(&l, "MAIL"))?;
        let mail = session.wire.reply(limit).map_err(|l| session.lost(&l, "MAIL"))?;
        let mut accepted = Vec::new();
        for (index, _) in self.recipients.clone() {
            let reply = session.wire.reply(limit).map_err(|l| session.lost(&l, "RCPT"))?;
            self.recipient_reply(session, index, &mail, &reply, &mut accepted);
        }
        if chunking {
            return self.by_bdat(session, &mail, &accepted);
        }
        let data = session.wire.reply(limit).map_err(|l| session.lost(&l, "DATA"))?;
        if accepted.is_empty() && data.code == 354 {
            // RFC 2920 3.1: the server waits for a message nobody gets; an empty one ends it
            session.wire.send(b".\r\n", limit).map_err(|l| session.lost(&l, "DATA"))?;
            let _ = session.wire.reply(limit).map_err(|l| session.lost(&l, "DATA"))?;
            return Ok(mail.code != 421);
        }
        self.by_data(session, &data, &accepted)
    }

    /// Asks for the recipients and takes it all back. A refusal of MAIL is none of theirs.
    fn probe(&mut self, session: &mut Session, commands: &[String]) -> Result<bool, Trouble> {
        let limit = self.settings.timeout;
        let (mail, recipients) = commands.split_first().ok_or_else(|| Trouble::temporary("4.3.0", "no commands"))?;
        let mut last = session.command(mail, limit)?;
        if !last.is_success() {
            let trouble = Trouble::reply(&last, &session.host, false).outcome();
            self.outcomes.extend(self.recipients.iter().map(|(index, _)| (*index, trouble.clone())));
            return self.reset(session, &last);
        }
        for ((index, _), line) in self.recipients.clone().into_iter().zip(recipients) {
            last = session.command(line, limit)?;
            self.outcomes.push((index, of_reply(&last, &session.host, Action::None)));
        }
        self.reset(session, &last)
    }

    fn stepwise(&mut self, session: &mut Session, commands: &[String]) -> Result<bool, Trouble> {
        let limit = self.settings.timeout;
        let mut commands = commands.iter();
        let mail = session.command(commands.next().map_or("", String::as_str), limit)?;
        let mut accepted = Vec::new();
        if mail.is_success() {
            for ((index, _), line) in self.recipients.clone().into_iter().zip(commands) {
                let reply = session.command(line, limit)?;
                self.recipient_reply(session, index, &mail, &reply, &mut accepted);
            }
        } else {
            for (index, _) in self.recipients.clone() {
                self.recipient_reply(session, index, &mail, &mail, &mut accepted);
            }
        }
        if accepted.is_empty() {
            return self.reset(session, &mail);
        }
        if self.uses_bdat(session) {
            return self.by_bdat(session, &mail, &accepted);
        }
        let data = session.command("DATA", limit)?;
        self.by_data(session, &data, &accepted)
    }

    /// A reply to RCPT; when MAIL was refused, that is what counts.
    fn recipient_reply(
        &mut self,
        session: &Session,
        index: usize,
        mail: &Reply,
        rcpt: &Reply,
        accepted: &mut Vec<usize>,
    ) {
        let decisive = if mail.is_success() { rcpt } else { mail };
        if decisive.is_success() {
            accepted.push(index);
            return;
        }
        let mut outcome = of_reply(decisive, &session.host, Action::None);
        // RFC 5321 4.5.3.1.10: 552 for too many recipients is to be taken as 452
        let too_many = decisive.code == 552 && decisive.enhanced.is_none() && mail.is_success() && !accepted.is_empty();
        if too_many {
            outcome = Trouble { permanent: false, ..Trouble::reply(decisive, &session.host, false) }.outcome();
        }
        self.outcomes.push((index, outcome));
    }

    fn uses_bdat(&self, session: &Session) -> bool {
        self.settings.chunking && session.offers.has("CHUNKING") && !session.lmtp
    }

    fn by_data(&mut self, session: &mut Session, data: &Reply, accepted: &[usize]) -> Result<bool, Trouble> {
        if data.is_success() || (data.is_intermediate() && data.code != 354) {
            // 2xx to DATA is nonsense and no success; who knows what the host waits for now
            let text = format!("odd reply to DATA: {data}");
            let outcome = Trouble::temporary("4.5.0", text).by(&session.host).outcome();
            self.outcomes.extend(accepted.iter().map(|i| (*i, outcome.clone())));
            return Ok(false);
        }
        if data.code != 354 {
            self.outcomes.extend(accepted.iter().map(|i| (*i, of_reply(data, &session.host, Action::None))));
            return self.reset(session, data);
        }
        self.sent_content = true;
        let block = self.settings.block_timeout();
        let sent = self.letter.encoded(DataEncoder::data(), |piece| session.wire.send(piece, block));
        if let Err(lost) = sent {
            return self.interrupted(session, &lost, accepted);
        }
        self.end(session, accepted)
    }

    /// The host hung up while the content was on its way: it may have said why.
    fn interrupted(&mut self, session: &mut Session, lost: &Lost, accepted: &[usize]) -> Result<bool, Trouble> {
        let said = session.wire.reply(Duration::from_secs(1)).ok().filter(|r| !r.is_success());
        let Some(reply) = said else { return Err(session.lost(lost, "content")) };
        self.outcomes.extend(accepted.iter().map(|i| (*i, of_reply(&reply, &session.host, Action::None))));
        Ok(false)
    }

    /// Replies to the end of the data: one, or in LMTP one for each accepted recipient, in order (RFC 2033 4.2).
    fn end(&mut self, session: &mut Session, accepted: &[usize]) -> Result<bool, Trouble> {
        // RFC 3461 5.2.3: a host that offers DSN has taken over the duty to report
        let success = match session.lmtp {
            true => Action::Delivered,
            false if session.offers.has("DSN") => Action::Passed,
            false => Action::Relayed,
        };
        let mut usable = true;
        let mut shared = None;
        for index in accepted {
            let reply = match shared.clone().filter(|_| !session.lmtp) {
                Some(reply) => reply,
                None => session.wire.reply(self.settings.end_timeout()).map_err(|l| session.lost(&l, "end of data"))?,
            };
            usable &= reply.code != 421;
            let odd = reply.is_intermediate();
            let outcome = if odd {
                usable = false;
                Trouble::temporary("4.5.0", format!("odd reply to the data: {reply}")).by(&session.host).outcome()
            } else {
                of_reply(&reply, &session.host, success)
            };
            self.outcomes.push((*index, outcome));
            shared = Some(reply);
        }
        Ok(usable)
    }

    /// RFC 3030: chunks of octets that need no dots.
    fn by_bdat(&mut self, session: &mut Session, mail: &Reply, accepted: &[usize]) -> Result<bool, Trouble> {
        if accepted.is_empty() {
            return self.reset(session, mail);
        }
        let mut chunk: Vec<u8> = Vec::new();
        let mut refused = None;
        let limit = self.settings.end_timeout();
        self.sent_content = true;
        let sent: Result<(), Lost> = self.letter.encoded(DataEncoder::bdat(), |piece| {
            chunk.extend_from_slice(piece);
            if chunk.len() >= CHUNK && refused.is_none() {
                refused = bdat(session, &chunk, false, limit)?;
                chunk.clear();
            }
            Ok(())
        });
        if let Err(lost) = sent {
            return self.interrupted(session, &lost, accepted);
        }
        if let Some(reply) = refused {
            self.outcomes.extend(accepted.iter().map(|i| (*i, of_reply(&reply, &session.host, Action::None))));
            return self.reset(session, &reply);
        }
        let command = format!("BDAT {} LAST\r\n", chunk.len()).into_bytes();
        let all = [command, chunk].concat();
        if let Err(lost) = session.wire.send(&all, limit) {
            return self.interrupted(session, &lost, accepted);
        }
        self.end(session, accepted)
    }

    /// After a transaction that did not reach its end. 421 means that the host is about to hang up.
    fn reset(&mut self, session: &mut Session, last: &Reply) -> Result<bool, Trouble> {
        if last.code == 421 {
            return Ok(false);
        }
        let usable = session.command("RSET", Duration::from_secs(20)).is_ok_and(|r| r.is_success());
        Ok(usable)
    }
}

/// Sends one chunk that is not the last; gives the reply when it is a refusal.
fn bdat(session: &mut Session, chunk: &[u8], last: bool, limit: Duration) -> Result<Option<Reply>, Lost> {
    let command = format!("BDAT {}{}\r\n", chunk.len(), if last { " LAST" } else { "" }).into_bytes();
    session.wire.send(&[command, chunk.to_vec()].concat(), limit)?;
    let reply = session.wire.reply(limit)?;
    Ok((!reply.is_success()).then_some(reply))
}

/// A parameter as received.
fn raw(params: &[Param], key: &str) -> Option<String> {
    params.iter().find(|p| p.is(key)).map(ToString::to_string)
}

fn rcpt_params(r: &Recipient) -> String {
    ["NOTIFY", "ORCPT"].iter().filter_map(|k| raw(&r.params, k)).map(|p| format!(" {p}")).collect()
}

/// An address for the wire: without SMTPUTF8 the domain in A-labels (RFC 5890), which may be all it needs.
pub fn path(address: &str, utf8: bool) -> String {
    if utf8 || address.is_ascii() {
        return address.to_owned();
    }
    let mailbox = penny_addr::Mailbox::parse_any(address).ok();
    mailbox.and_then(|m| m.to_ascii()).unwrap_or_else(|| address.to_owned())
}

/// Whether an outcome is one that another host of the domain might better.
pub fn may_improve(outcome: &Outcome) -> bool {
    outcome.verdict == Verdict::Later
}
