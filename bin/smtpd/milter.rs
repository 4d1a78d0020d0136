//! Milters asked during the session: at connect, HELO, MAIL, RCPT and for the whole message.
//!
//! Standard    milter protocol 6 (penny_smtp::milter)
//! Invariants  1. connected before the process confines itself   2. a milter that fails is 451 (4.7.1 by its own word)
//!             3. its changes are made before filters and DKIM signing see the message
//! Notes       postmaster is accepted whatever a milter says at RCPT (RFC 5321 4.5.1)

use crate::door::connect;
use crate::mail::{Mail, Recipient};
use crate::session::Session;
use penny_addr::{Charset, ForwardPath, Mailbox, RcptParams, ReversePath};
use penny_base::{Config, log};
use penny_mime::header::body_offset;
use penny_queue::client::Spool;
use penny_smtp::client::DataEncoder;
use penny_smtp::milter::{Answer, CHUNK, Changes, Client, MilterError, Peer, apply};
use penny_smtp::server::{Reply, Role};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// How far a milter has let something pass without further questions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passed {
    Nothing,
    Message,
    Connection,
}

/// One milter.
pub struct Milter {
    name: String,
    client: Option<Client<File>>,
    passed: Passed,
    /// MAIL has been shown.
    open: bool,
}

impl Milter {
    /// Connects to all and negotiates; one that is not there is noticed at its first step.
    pub fn connect_all(config: &Config, role: Role) -> Vec<Milter> {
        let limit = config.smtpd.policy_timeout.duration();
        let start = |name: &str| -> Result<Client<File>, MilterError> { Client::negotiate(connect(name, limit)?) };
        let names = config.smtpd.milters.iter().filter(|_| role != Role::Lmtp);
        names
            .map(|name| {
                let client =
                    start(name).map_err(|e| log::warning("milter-unreachable", None, &[("milter", name), ("why", &e)]));
                Milter { name: name.clone(), client: client.ok(), passed: Passed::Nothing, open: false }
            })
            .collect()
    }

    /// Runs one step unless the milter has let pass what it is about.
    fn ask(&mut self, step: impl FnOnce(&mut Client<File>) -> Result<Answer, MilterError>) -> Answer {
        if self.passed != Passed::Nothing {
            return Answer::Continue;
        }
        let result = match self.client.as_mut() {
            Some(client) => step(client),
            None => Err(MilterError::Io("not connected".into())),
        };
        result.unwrap_or_else(|e| {
            log::warning("milter-failed", None, &[("milter", &self.name), ("why", &e)]);
            self.client = None;
            Answer::Tempfail
        })
    }
}

impl Session {
    /// Asks every milter the same; the first refusal counts. `scope` is what Accept lets pass.
    fn each_milter(
        &mut self,
        scope: Passed,
        mut step: impl FnMut(&mut Client<File>) -> Result<Answer, MilterError>,
    ) -> Option<Reply> {
        for at in 0..self.services.milters.len() {
            let milter = self.services.milters.get_mut(at)?;
            match milter.ask(&mut step) {
                Answer::Accept => milter.passed = scope,
                Answer::Discard => {
                    milter.passed = Passed::Message;
                    if let Some(mail) = self.mail.as_mut() {
                        mail.discard = true;
                    }
                }
                answer => {
                    if let Some(reply) = refusal(answer) {
                        return Some(reply);
                    }
                }
            }
        }
        None
    }

    /// At the greeting.
    pub fn milters_connect(&mut self) -> Option<Reply> {
        if self.services.milters.is_empty() {
            return None;
        }
        self.know_background();
        let name = if self.client.name.is_empty() { format!("[{}]", self.peer.ip) } else { self.client.name.clone() };
        let peer = Peer { name: name.clone(), ip: self.peer.ip.clone(), port: self.peer.port };
        let (host, daemon) = (self.hostname.clone(), self.service());
        let (here, port, from) =
            (self.peer.local_ip.clone(), self.peer.local_port.to_string(), self.peer.port.to_string());
        self.each_milter(Passed::Connection, |client| {
            let macros = [
                ("j", host.as_str()),
                ("{daemon_name}", daemon),
                ("{daemon_addr}", &here),
                ("{daemon_port}", &port),
                ("v", "pennypost"),
                ("_", &name),
                ("{client_name}", &peer.name),
                ("{client_addr}", &peer.ip),
                ("{client_port}", &from),
            ];
            client.macros(b'C', &macros)?;
            client.connect(&peer)
        })
    }

    /// After XCLIENT: milters see the client it named as a new connection.
    pub fn milters_start_over(&mut self) -> Option<Reply> {
        for milter in &mut self.services.milters {
            milter.passed = Passed::Nothing;
            if let Some(Err(e)) = milter.client.as_mut().map(Client::start_over) {
                log::warning("milter-failed", None, &[("milter", &milter.name), ("why", &e)]);
                milter.client = None;
            }
        }
        self.milters_connect().map(at_opening)
    }

    /// At HELO, EHLO.
    pub fn milters_helo(&mut self) -> Option<Reply> {
        let tls = self.peer.tls.clone().unwrap_or_default();
        let helo = self.client.helo.clone();
        self.each_milter(Passed::Connection, |client| {
            client.macros(b'H', &[("{tls_version}", &tls.protocol), ("{cipher}", &tls.cipher)])?;
            client.helo(&helo)
        })
    }

    /// At MAIL.
    pub fn milters_mail(&mut self) -> Option<Reply> {
        let mail = self.mail.as_ref()?;
        let (id, sender) = (mail.id.clone(), mail.sender_text());
        let words = words(&mail.sender.to_string(), &mail.params.to_string());
        let login = self.client.login.clone().unwrap_or_default();
        let host = sender.rsplit_once('@').map(|(_, host)| host.to_owned()).unwrap_or_default();
        for milter in &mut self.services.milters {
            milter.open = true;
        }
        self.each_milter(Passed::Message, |client| {
            client.macros(
                b'M',
                &[
                    ("i", &id),
                    ("{auth_authen}", &login),
                    ("{mail_addr}", &sender),
                    ("{mail_host}", &host),
                    ("{mail_mailer}", "smtp"),
                ],
            )?;
            client.mail(&words)
        })
    }

    /// At RCPT, for a recipient everything else has accepted.
    pub fn milters_rcpt(&mut self, path: &ForwardPath, address: &str, params: &RcptParams) -> Option<Reply> {
        let words = words(&path.to_string(), &params.to_string());
        let host = address.rsplit_once('@').map(|(_, host)| host.to_owned()).unwrap_or_default();
        let refused = self.each_milter(Passed::Message, |client| {
            client.macros(b'R', &[("{rcpt_addr}", address), ("{rcpt_host}", &host), ("{rcpt_mailer}", "smtp")])?;
            client.rcpt(&words)
        });
        refused.filter(|_| !path.is_postmaster())
    }

    /// The whole message: shows it, makes the changes.
    pub fn milters_message(&mut self, mail: &mut Mail, spool: &mut Spool) -> Option<Reply> {
        for at in 0..self.services.milters.len() {
            let milter = self.services.milters.get_mut(at)?;
            if milter.passed != Passed::Nothing {
                continue;
            }
            let mut changes = Changes::default();
            let answer = milter.ask(|client| {
                let (found, answer) = show(client, mail, spool)?;
                changes = found;
                Ok(answer)
            });
            milter.open = false;
            if answer == Answer::Discard {
                mail.discard = true;
            }
            if let Some(reply) = refusal(answer) {
                self.milters_abort();
                return Some(reply);
            }
            if let Err(e) = make(&changes, mail, spool) {
                log::warning("milter-change", None, &[("id", &mail.id), ("why", &e)]);
                return Some(Reply::new(451, "4.3.0", "the message cannot be changed now"));
            }
        }
        self.milters_abort();
        None
    }

    /// The message is over: what was shown of it is taken back, and the next begins unpassed.
    pub fn milters_abort(&mut self) {
        for milter in &mut self.services.milters {
            if std::mem::take(&mut milter.open)
                && let Some(Err(_)) = milter.client.as_mut().map(Client::abort)
            {
                milter.client = None;
            }
            if milter.passed == Passed::Message {
                milter.passed = Passed::Nothing;
            }
        }
    }
}

/// A refusal at the connect step, as the session's opening says it (RFC 5321 3.1).
pub fn at_opening(reply: Reply) -> Reply {
    if reply.code() < 500 { Reply::new(421, "4.7.0", reply.text()) } else { Reply::new(554, "5.7.1", reply.text()) }
}

/// Path and parameters as words.
fn words(path: &str, params: &str) -> Vec<String> {
    std::iter::once(path).chain(params.split_whitespace()).map(str::to_owned).collect()
}

fn refusal(answer: Answer) -> Option<Reply> {
    match answer {
        Answer::Reject => Some(Reply::new(550, "5.7.1", "refused by policy")),
        Answer::Tempfail => Some(Reply::new(451, "4.7.1", "try again later")),
        Answer::Shutdown => Some(Reply::new(421, "4.7.0", "closing connection")),
        Answer::ReplyCode(code, text) => {
            let status = text.split(' ').next().unwrap_or_default();
            let own = status.matches('.').count() == 2 && status.starts_with(if code >= 500 { "5." } else { "4." });
            let default = if code >= 500 { "5.7.1" } else { "4.7.1" };
            Some(if own { Reply::from_text(&text, code, code) } else { Reply::new(code, default, text) })
        }
        _ => None,
    }
}

/// DATA, header, body, end.
fn show(client: &mut Client<File>, mail: &Mail, spool: &Spool) -> Result<(Changes, Answer), MilterError> {
    let message = contents(spool)?;
    let (header, body) = message.split_at(body_offset(&message).min(message.len()));
    for answer in [client.data()?, client.header(header)?] {
        if !matches!(answer, Answer::Continue | Answer::Skip) {
            return Ok((Changes::default(), answer));
        }
    }
    if client.wants_body() {
        let mut encoder = DataEncoder::bdat();
        let mut wire = Vec::new();
        for piece in body.chunks(CHUNK / 2) {
            wire.clear();
            encoder.push(piece, &mut wire);
            match client.body(&wire)? {
                Answer::Continue => {}
                Answer::Skip => break,
                answer => return Ok((Changes::default(), answer)),
            }
        }
    }
    client.macros(b'E', &[("i", &mail.id)])?;
    client.end()
}

/// The message in memory; its size is bounded by smtpd.max_size.
fn contents(spool: &Spool) -> io::Result<Vec<u8>> {
    if let Some(bytes) = spool.bytes() {
        return Ok(bytes.to_vec());
    }
    let penny_queue::Message::File(file) = spool.message() else { return Ok(Vec::new()) };
    let mut all = vec![0; usize::try_from(spool.len()).unwrap_or(0)];
    file.read_exact_at(&mut all, 0)?;
    Ok(all)
}

/// Makes the changes of one milter.
fn make(changes: &Changes, mail: &mut Mail, spool: &mut Spool) -> io::Result<()> {
    if changes.touches_message() {
        let message = contents(spool)?;
        let (header, body) = message.split_at(body_offset(&message).min(message.len()));
        let mut file = penny_sys::fs::memory_file("message")?;
        file.write_all(&apply(header, body, changes))?;
        spool.replace(file)?;
    }
    if let Some(why) = &changes.quarantine {
        mail.hold = Some(format!("milter: {why}"));
    }
    if let Some(sender) =
        changes.sender.as_ref().and_then(|s| ReversePath::parse(&format!("<{s}>"), Charset::Utf8).ok())
    {
        mail.sender = sender;
    }
    mail.recipients.retain(|r| !changes.delete.iter().any(|d| d.eq_ignore_ascii_case(&r.address)));
    let (filters, max_size) = mail.recipients.first().map(|r| (r.filters.clone(), r.max_size)).unwrap_or_default();
    for address in &changes.add {
        let Ok(mailbox) = Mailbox::parse_any(address) else { continue };
        let (params, filters) = (RcptParams::default(), filters.clone());
        mail.recipients.push(Recipient { address: mailbox.to_string(), params, local: None, filters, max_size });
    }
    mail.discard |= mail.recipients.is_empty();
    Ok(())
}
