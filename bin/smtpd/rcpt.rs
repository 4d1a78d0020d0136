//! RCPT: who may receive through this server.
//!
//! Standards   RFC 5321 3.3, 3.6.1, 4.1.1.3, 4.5.1 (postmaster), 4.5.3.1.10; RFC 3463 statuses
//! Invariants  1. no open relay: a foreign domain needs a login or a client listed in smtpd.relay_clients
//!             2. an unknown recipient is refused here, so that no bounce is owed
//!             3. all recipients of one message have the same filters (LMTP excepted)

use crate::mail::Recipient;
use crate::network::in_any;
use crate::session::Session;
use penny_addr::{ForwardPath, RcptParams};
use penny_base::services::lookup::Answer;
use penny_base::{Failure, log};
use penny_smtp::server::{Reply, Role};

/// What lookup says of an address.
enum Kind {
    Local(String),
    Alias,
    /// Passed on as this address, which the host behind may be asked about.
    Behind(String),
    Relay,
}

impl Session {
    /// RCPT TO.
    pub fn rcpt_to(&mut self, path: ForwardPath, params: RcptParams) {
        match self.judge_recipient(&path) {
            Ok(local) => self.accept_recipient(&path, params, local),
            Err((rule, reply)) => {
                self.log_refusal(rule, &reply);
                log::debug("recipient", None, &[("to", &path)]);
                self.answer(reply);
            }
        }
    }

    fn accept_recipient(&mut self, path: &ForwardPath, params: RcptParams, local: Option<String>) {
        let address = address_text(path);
        if let Some(reply) = self.milters_rcpt(path, &address, &params) {
            return self.refuse("milter-rcpt", reply);
        }
        let filters = self.filters_for(path, &address);
        let Some(mail) = self.mail.as_mut() else {
            return self.answer(Reply::new(503, "5.5.1", "MAIL first"));
        };
        let first = mail.recipients.first().map(|r| &r.filters);
        if self.role != Role::Lmtp && first.is_some_and(|first| *first != filters) {
            return self.answer(Reply::new(452, "4.5.3", "send this recipient in a message of its own"));
        }
        mail.recipients.push(Recipient { address, params, local, filters });
        self.answer(Reply::new(250, "2.1.5", "recipient OK"));
    }

    /// The mailbox for delivery at once, or nothing when the queue takes it.
    fn judge_recipient(&mut self, path: &ForwardPath) -> Result<Option<String>, (&'static str, Reply)> {
        self.guard(path, &address_text(path))?;
        let kind = match self.recipient_kind(path) {
            // RFC 5321 4.5.1: postmaster is always accepted here
            Err(("unknown-recipient", _)) if matches!(path, ForwardPath::Postmaster) => Kind::Alias,
            other => other?,
        };
        match kind {
            Kind::Local(mailbox) if self.role == Role::Lmtp => Ok(Some(mailbox)),
            Kind::Local(_) | Kind::Alias => Ok(None),
            Kind::Behind(_) if path.is_postmaster() => Ok(None),
            Kind::Behind(address) => self.check_callout(&address).map(|()| None),
            Kind::Relay if self.may_relay() => Ok(None),
            Kind::Relay => Err(("relay", Reply::new(550, "5.7.1", "relaying denied"))),
        }
    }

    fn recipient_kind(&mut self, path: &ForwardPath) -> Result<Kind, (&'static str, Reply)> {
        let address = address_text(path);
        let (service, ip) = (self.service(), self.peer.ip.clone());
        let login = self.client.login.clone().unwrap_or_else(|| "-".into());
        // SIZE of MAIL: a mailbox without room for this message is full for it (RFC 1870 6.1)
        let size = self.mail.as_ref().and_then(|m| m.params.size).unwrap_or(0).to_string();
        let answer = self.services.lookup.ask(&["rcpt", &address, service, &ip, &login, &size]);
        match answer {
            Ok(Answer::Ok(fields)) => match fields.first().map(String::as_str) {
                Some("local") => Ok(Kind::Local(fields.get(1).cloned().unwrap_or(address))),
                Some("alias") => Ok(fields.get(1).cloned().map_or(Kind::Alias, Kind::Behind)),
                Some("relay") => Ok(Kind::Relay),
                _ => Err(lookup_failed(&Failure::temporary("4.3.0", "odd answer"))),
            },
            Ok(Answer::No(fields)) => {
                Err(("unknown-recipient", Reply::from_text(&status_text(&fields, "5.1.1 no such user"), 550, 450)))
            }
            Ok(Answer::Temp(why)) => Err(("recipient-later", Reply::from_text(&why, 550, 451))),
            Err(e) => Err(lookup_failed(&e)),
        }
    }

    /// Whether this client may send to foreign domains.
    pub fn may_relay(&self) -> bool {
        let networks = &self.config.smtpd.relay_clients;
        let piped = self.peer.ip == "unknown" && in_any("127.0.0.1", networks);
        let submitted = self.role == Role::Submission; // MAIL has seen to it that the client may submit
        submitted || piped || in_any(&self.peer.ip, networks)
    }
}

/// The address without brackets; `postmaster` for the bare form.
pub fn address_text(path: &ForwardPath) -> String {
    match path {
        ForwardPath::Postmaster => "postmaster".to_owned(),
        ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
    }
}

/// `5.1.1` and text as one line, from fields that may be parted either way.
fn status_text(fields: &[String], default: &str) -> String {
    let text = fields.join(" ");
    if text.is_empty() { default.to_owned() } else { text }
}

fn lookup_failed(failure: &Failure) -> (&'static str, Reply) {
    log::warning("lookup-failed", None, &[("why", failure)]);
    ("lookup", Reply::new(451, "4.3.0", "address lookup failed, try again later"))
}
