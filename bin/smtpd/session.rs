//! One conversation: moves octets between the client and the state machine and sends each question where it is decided.
//!
//! Standards   RFC 5321 3.1, 3.8, 4.5.3.2
//! Invariants  1. all that the client may be told has been decided before it is written; each batch of replies is one write
//!             2. a command line must be complete within the time-out, content must keep a least rate
//!             3. every refusal is one log line with the rule that made it
//! Trust       the client is hostile; lookup, spawn and enqueue are ours

use crate::auth::Checkauth;
use crate::conn::{Conn, Filled};
use crate::content::Incoming;
use crate::door::Background;
use crate::mail::Mail;
use crate::options::service_name;
use crate::services::Services;
use crate::xclient::Forwarded;
use penny_base::ucspi::StartTls;
use penny_base::{Config, Failure, Outcome, Peer, log};
use penny_smtp::server::{BarePolicy, Machine, Policy, Reply, Request, Role, Settings, Step};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Least octets a second of content, after the first time-out.
const RATE_MIN: u64 = 100;

/// What is known of the client.
#[derive(Debug, Default, Clone)]
pub struct Client {
    /// Verified name, or empty.
    pub name: String,
    /// What it said at HELO or EHLO.
    pub helo: String,
    /// It said EHLO or LHLO.
    pub extended: bool,
    /// It has logged in.
    pub login: Option<String>,
}

/// One conversation.
pub struct Session {
    pub config: Config,
    pub role: Role,
    pub hostname: String,
    pub peer: Peer,
    pub client: Client,
    pub services: Services,
    pub machine: Machine,
    pub starttls: Option<StartTls>,
    pub checkauth: Option<Checkauth>,
    pub mail: Option<Mail>,
    pub incoming: Option<Incoming>,
    pub conn: Conn,
    /// DNS about the client.
    pub background: Background,
    /// Whether the access table has rules, once that was asked.
    pub access_rules: Option<bool>,
    /// The rates that lookup said have no limit, asked once a conversation.
    pub unlimited: BTreeSet<String>,
    /// The address of the connection itself, whatever XCLIENT said.
    pub front_ip: String,
    /// What XFORWARD told about the next message.
    pub forwarded: Option<Forwarded>,
    pub accepted: u32,
    pub refused: u32,
}

impl Session {
    /// A conversation that has not greeted.
    pub fn new(config: Config, role: Role, peer: Peer, services: Services) -> Result<Session, Failure> {
        let starttls = if peer.tls.is_none() { StartTls::from_env() } else { None };
        let hostname = config.hostname();
        let machine = Machine::new(settings(&config, role, &hostname), Default::default(), peer.tls.is_some());
        let conn = Conn::open(config.smtpd.timeout.duration()).map_err(|e| Failure::io("connection", &e))?;
        Ok(Session {
            background: Background::default(),
            access_rules: None,
            unlimited: BTreeSet::new(),
            front_ip: peer.ip.clone(),
            forwarded: None,
            config,
            role,
            hostname,
            peer,
            client: Client::default(),
            services,
            machine,
            starttls,
            checkauth: None,
            mail: None,
            incoming: None,
            conn,
            accepted: 0,
            refused: 0,
        })
    }

    /// The role's name.
    pub fn service(&self) -> &'static str {
        service_name(self.role)
    }

    /// Serves to the end.
    pub fn serve(mut self) -> Result<Outcome, Failure> {
        log::debug("connect", None, &[("ip", &self.peer.ip), ("service", &self.service())]);
        let end = self.greet().and_then(|()| self.converse());
        let why = match &end {
            Ok(why) => (*why).to_owned(),
            Err(e) => e.to_string(),
        };
        log::info(
            "disconnect",
            None,
            &[
                ("ip", &self.peer.ip),
                ("service", &self.service()),
                ("why", &why),
                ("accepted", &self.accepted),
                ("refused", &self.refused),
                ("errors", &self.machine.errors()),
            ],
        );
        Ok(Outcome::Done)
    }

    /// Runs until the conversation is over; says why.
    fn converse(&mut self) -> std::io::Result<&'static str> {
        let mut sink = Vec::new();
        let mut since = Instant::now();
        let mut octets = 0u64;
        loop {
            let (used, step) = self.machine.step(self.conn.pending(), &mut sink);
            self.conn.consume(used);
            octets += used as u64;
            self.take_content(&mut sink);
            self.log_notes();
            match step {
                Step::Request(request) => self.decide(request)?,
                Step::ContentEnd(facts) => self.content_end(facts)?,
                Step::Reset => self.forget_mail(),
                Step::Closed => {
                    self.flush()?;
                    return Ok("closed");
                }
                Step::NeedInput => {
                    // every command ends in a reply: without one, this is still the same command or content
                    if self.flush()? {
                        (since, octets) = (Instant::now(), 0);
                    }
                    match self.conn.fill(self.deadline(since, octets))? {
                        Filled::Data => {}
                        Filled::End => return Ok("client closed"),
                        Filled::Late => return self.say_late(),
                    }
                }
            }
        }
    }

    /// RFC 5321 4.5.3.2.7: five minutes for a command; for content the time grows with what has come.
    fn deadline(&self, since: Instant, octets: u64) -> Instant {
        let earned = if self.machine.in_content() { octets / RATE_MIN } else { 0 };
        since + self.config.smtpd.timeout.duration() + Duration::from_secs(earned)
    }

    fn say_late(&mut self) -> std::io::Result<&'static str> {
        self.machine.close(&Reply::new(421, "4.4.2", format!("{} timed out", self.hostname)));
        self.flush()?;
        Ok("timed out")
    }

    /// Writes what the machine has to say; false when there was nothing.
    pub fn flush(&mut self) -> std::io::Result<bool> {
        if !self.machine.has_output() {
            return Ok(false);
        }
        let output = self.machine.take_output();
        self.conn.write(&output).map(|()| true)
    }

    fn decide(&mut self, request: Request) -> std::io::Result<()> {
        match request {
            Request::Hello(verb, name) => self.hello(verb, name),
            Request::Mail(path, params) => self.mail_from(path, *params),
            Request::Rcpt(path, params) => self.rcpt_to(path, *params),
            Request::Data | Request::Chunk => self.begin_content(),
            Request::Vrfy(_) => self.answer(Reply::new(252, "2.5.2", "send some mail, I will try my best")),
            Request::Expn(_) => self.answer(Reply::new(502, "5.5.1", "EXPN is not available")),
            Request::StartTls => self.start_tls()?,
            Request::Auth(mechanism, initial) => self.auth(&mechanism, initial),
            Request::AuthResponse(response) => self.auth_response(&response),
            Request::AuthAbort(cancelled) => self.auth_abort(cancelled),
            Request::Xclient(args) => self.xclient(&args),
            Request::Xforward(args) => self.xforward(&args),
            Request::Quit => self.answer(Reply::new(221, "2.0.0", format!("{} closing connection", self.hostname))),
        }
        Ok(())
    }

    /// Answers the machine's question.
    pub fn answer(&mut self, reply: Reply) {
        self.machine.answer(reply);
    }

    /// Refuses: one log line with the rule, then the reply.
    pub fn refuse(&mut self, rule: &str, reply: Reply) {
        self.log_refusal(rule, &reply);
        self.machine.answer(reply);
    }

    /// Errors of a client that makes many cost it time.
    pub fn tarpit(&self) {
        let half = self.config.smtpd.max_errors as usize / 2;
        if self.machine.errors() >= half.max(1) {
            std::thread::sleep(self.config.smtpd.tarpit.duration());
        }
    }

    /// The log line of a refusal.
    pub fn log_refusal(&mut self, rule: &str, reply: &Reply) {
        if reply.code() >= 500 {
            self.tarpit();
        }
        self.refused += 1;
        let from = self.mail.as_ref().map(Mail::sender_text).unwrap_or_default();
        log::info(
            "reject",
            None,
            &[
                ("rule", &rule),
                ("ip", &self.peer.ip),
                ("service", &self.service()),
                ("helo", &self.client.helo),
                ("from", &format_args!("<{from}>")),
                ("login", &self.client.login.as_deref().unwrap_or("-")),
                ("reply", reply),
            ],
        );
    }

    fn log_notes(&mut self) {
        for (line, reply) in self.machine.take_notes() {
            self.tarpit();
            log::info(
                "protocol",
                None,
                &[("ip", &self.peer.ip), ("service", &self.service()), ("said", &line), ("reply", &reply)],
            );
        }
    }

    /// The transaction is over or given up: one place forgets all of it.
    pub fn forget_mail(&mut self) {
        self.milters_abort();
        self.mail = None;
        self.incoming = None;
        self.forwarded = None;
    }
}

fn settings(config: &Config, role: Role, hostname: &str) -> Settings {
    let quirk = config.smtpd.quirk_bare_lf;
    Settings {
        role,
        hostname: hostname.to_owned(),
        policy: Policy {
            size_max: config.smtpd.max_size.0,
            line_max: config.smtpd.max_line as usize,
            bare: if quirk { BarePolicy::Normalise } else { BarePolicy::Refuse },
        },
        rcpt_max: config.smtpd.max_recipients as usize,
        mail_max: config.smtpd.max_messages as usize,
        errors_max: config.smtpd.max_errors.max(1) as usize,
        junk_max: 100,
        quirk_bare_lf: quirk,
    }
}
