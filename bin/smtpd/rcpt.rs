//! RCPT: who may receive through this server.
//!
//! Standards   RFC 5321 3.3, 3.6.1, 4.1.1.3, 4.5.1 (postmaster), 4.5.3.1.10; RFC 3463 statuses
//! Invariants  1. no open relay: a foreign domain needs a login or a client listed in smtpd.relay_clients
//!             2. an unknown recipient is refused here, so that no bounce is owed
//!             3. all recipients of one message have the same filters and limit of size (LMTP excepted)

use crate::mail::Recipient;
use crate::session::Session;
use penny_addr::{ForwardPath, RcptParams};
use penny_base::services::lookup::Answer;
use penny_base::{Failure, log};
use penny_smtp::server::{Reply, Role};
use penny_tables::cidr::in_any;
use penny_tables::policy::Filters;

/// What lookup says of an address.
enum Kind {
    Local(String),
    Alias,
    /// Passed on as this address, which the host behind may be asked about.
    Behind(String),
    Relay,
}

/// A recipient that may receive.
struct Judged {
    /// The mailbox for delivery at once, or nothing when the queue takes it.
    local: Option<String>,
    /// Which filters its domain wants.
    filters: Filters,
    /// Largest message its domain takes.
    max_size: u64,
}

impl Session {
    /// RCPT TO.
    pub fn rcpt_to(&mut self, path: ForwardPath, params: RcptParams) {
        match self.judge_recipient(&path) {
            Ok(judged) => self.accept_recipient(&path, params, judged),
            Err((rule, reply)) => {
                self.log_refusal(rule, &reply);
                log::debug("recipient", None, &[("to", &path)]);
                self.answer(reply);
            }
        }
    }

    fn accept_recipient(&mut self, path: &ForwardPath, params: RcptParams, judged: Judged) {
        let address = address_text(path);
        if let Some(reply) = self.milters_rcpt(path, &address, &params) {
            return self.refuse("milter-rcpt", reply);
        }
        let (filters, max_size) = (self.filters_for(path, &address, &judged.filters), judged.max_size);
        let Some(mail) = self.mail.as_mut() else {
            return self.answer(Reply::new(503, "5.5.1", "MAIL first"));
        };
        let first = mail.recipients.first();
        if self.role != Role::Lmtp && first.is_some_and(|r| (&r.filters, r.max_size) != (&filters, max_size)) {
            return self.answer(Reply::new(452, "4.5.3", "send this recipient in a message of its own"));
        }
        mail.recipients.push(Recipient { address, params, local: judged.local, filters, max_size });
        self.answer(Reply::new(250, "2.1.5", "recipient OK"));
    }

    fn judge_recipient(&mut self, path: &ForwardPath) -> Result<Judged, (&'static str, Reply)> {
        self.guard(path, &address_text(path))?;
        let (kind, filters, max_size) = match self.recipient_kind(path) {
            // RFC 5321 4.5.1: postmaster is always accepted here
            Err(("unknown-recipient", _)) if matches!(path, ForwardPath::Postmaster) => (Kind::Alias, Filters::All, 0),
            other => other?,
        };
        let local = match kind {
            Kind::Local(mailbox) => (self.role == Role::Lmtp).then_some(mailbox),
            Kind::Alias => None,
            Kind::Behind(_) if path.is_postmaster() => None,
            Kind::Behind(address) => self.check_callout(&address).map(|()| None)?,
            Kind::Relay if self.may_relay() => None,
            Kind::Relay => return Err(("relay", Reply::new(550, "5.7.1", "relaying denied"))),
        };
        Ok(Judged { local, filters, max_size })
    }

    /// What lookup says: the kind, then the filters and the limit of size that the domain has of its own.
    fn recipient_kind(&mut self, path: &ForwardPath) -> Result<(Kind, Filters, u64), (&'static str, Reply)> {
        let address = address_text(path);
        let (service, ip) = (self.service(), self.peer.ip.clone());
        let login = self.client.login.clone().unwrap_or_else(|| "-".into());
        // SIZE of MAIL: a mailbox without room for this message is full for it (RFC 1870 6.1)
        let size = self.mail.as_ref().and_then(|m| m.params.size).unwrap_or(0).to_string();
        let answer = self.services.lookup.ask(&["rcpt", &address, service, &ip, &login, &size]);
        match answer {
            Ok(Answer::Ok(fields)) => {
                let exact = fields.get(1).filter(|f| !f.is_empty()).cloned();
                let kind = match fields.first().map(String::as_str) {
                    Some("local") => Kind::Local(exact.unwrap_or(address)),
                    Some("alias") => exact.map_or(Kind::Alias, Kind::Behind),
                    Some("relay") => Kind::Relay,
                    _ => return Err(lookup_failed(&Failure::temporary("4.3.0", "odd answer"))),
                };
                let own = |name: &str| fields.iter().skip(2).find_map(|f| f.strip_prefix(name));
                let filters = own("filters=").and_then(|f| Filters::parse(f).ok()).unwrap_or_default();
                Ok((kind, filters, own("max_size=").and_then(|n| n.parse().ok()).unwrap_or(0)))
            }
            Ok(Answer::No(fields)) if fields.first().is_some_and(|status| status == "5.3.4") => {
                Err(("size", Reply::from_text(&status_text(&fields, ""), 552, 452)))
            }
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
