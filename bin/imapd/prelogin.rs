//! The conversation before the login: a confined process that owns nothing.
//!
//! Standards   RFC 3501 6.1, 6.2; RFC 4959 (SASL-IR), 8314 (LOGINDISABLED), 5530 (codes)
//! Invariants  1. no password over an open line, but from loopback where imapd.plain_auth_loopback says so
//!             2. after STARTTLS nothing is remembered, and octets sent ahead of it end the conversation (RFC 9051 6.2.1)
//! Trust       every input octet is hostile
use crate::caps;
use crate::conn::{Conn, Got};
use crate::state::State;
use penny_base::services::login::{self, Step, plain_response};
use penny_base::services::{Login, Spawn};
use penny_base::ucspi::StartTls;
use penny_base::{Config, Failure, Outcome, Peer, log};
use penny_imap::command::{self, Command, Tagged};
use penny_imap::{Code, Event, Framed, Limits, Reader, write};
use std::time::{Duration, Instant};

/// Wrong passwords in one conversation.
const FAILURES_MAX: u32 = 60;
/// Commands that are not understood in one conversation.
const ERRORS_MAX: u32 = 60;
/// A stranger gets little memory, but an ID of 30 fields of 1,054 octets (RFC 2971 3.3) has to fit.
const LIMITS: Limits = Limits { line: 36 * 1024, literals: 4096, bare_lf: true };

struct Prelogin {
    config: Config,
    spawn: Spawn,
    login: Login,
    peer: Peer,
    starttls: Option<StartTls>,
    conn: Conn,
    reader: Reader,
    failures: u32,
    errors: u32,
    end: Instant,
}

/// What a command leads to.
enum Next {
    Go,
    /// Authenticated; the session answers this tag.
    Enter {
        tag: String,
        user: String,
    },
    Leave,
}

type Flow = Result<Next, Failure>;

/// Speaks until login or end.
pub fn serve(
    config: Config,
    spawn: Spawn,
    login: Login,
    peer: Peer,
    starttls: Option<StartTls>,
) -> Result<Outcome, Failure> {
    let limit = Duration::from_secs(config.imapd.login_timeout.0);
    let mut talk = Prelogin {
        conn: Conn::open().map_err(io)?,
        config,
        spawn,
        login,
        peer,
        starttls,
        reader: Reader::new(LIMITS),
        failures: 0,
        errors: 0,
        end: Instant::now() + limit,
    };
    let greeting = format!("{} pennypost IMAP ready", talk.config.hostname());
    talk.status("*", "OK", Some(Code::Capability(talk.capabilities())), &greeting);
    loop {
        match talk.next()? {
            Next::Go => {}
            Next::Enter { tag, user } => return talk.enter(tag, &user),
            Next::Leave => break,
        }
    }
    talk.conn.flush().map_err(io)?;
    Ok(Outcome::Done)
}

fn io(e: std::io::Error) -> Failure {
    Failure::io("conversation", &e)
}

impl Prelogin {
    fn status(&mut self, tag: &str, word: &str, code: Option<Code>, text: &str) {
        write::status(&mut self.conn.out, tag, word, code.as_ref(), text);
    }

    fn answer(&mut self, tag: &str, word: &str, code: Option<Code>, text: &str) -> Flow {
        self.status(tag, word, code, text);
        Ok(Next::Go)
    }

    fn capabilities(&self) -> String {
        caps::prelogin(&self.config, &self.peer, self.starttls.is_some() && self.peer.tls.is_none())
    }

    /// More input; false at the end of it or of the time.
    fn fill(&mut self) -> Result<bool, Failure> {
        let left = self.end.saturating_duration_since(Instant::now());
        let mut buffer = Vec::new();
        match self.conn.wait(None, left, &mut buffer).map_err(io)? {
            Got::Input => {
                self.reader.feed(&buffer);
                Ok(true)
            }
            Got::Timeout => {
                self.status("*", "BYE", None, "Too slow, no login");
                Ok(false)
            }
            Got::End | Got::Other => Ok(false),
        }
    }

    fn next(&mut self) -> Flow {
        match self.reader.next_event() {
            Event::More => Ok(if self.fill()? { Next::Go } else { Next::Leave }),
            Event::Literal(announced) => Ok(self.literal(announced.sync)),
            Event::Command(framed) => self.command(&framed),
            Event::TooLong(framed) => {
                let tag = command::peek_word(&framed).0.unwrap_or_else(|| "*".into());
                self.bad(&tag, "Command too long")
            }
            Event::Data(_) | Event::DataEnd => Ok(Next::Go),
        }
    }

    fn literal(&mut self, sync: bool) -> Next {
        let tag = command::peek_word(self.reader.partial()).0;
        if self.reader.accept() {
            if sync {
                self.conn.out.extend_from_slice(b"+ OK\r\n");
            }
        } else if let Some(tag) = tag.filter(|_| sync) {
            self.status(&tag, "NO", Some(Code::TooBig), "Literal too large before login");
        }
        Next::Go
    }

    fn bad(&mut self, tag: &str, text: &str) -> Flow {
        self.errors += 1;
        self.status(tag, "BAD", None, text);
        if self.errors > ERRORS_MAX {
            self.status("*", "BYE", None, "Too many errors");
            return Ok(Next::Leave);
        }
        Ok(Next::Go)
    }

    fn command(&mut self, framed: &Framed) -> Flow {
        let Tagged { tag, command } = match command::parse(framed) {
            Ok(tagged) => tagged,
            Err(e) => return self.bad(e.tag.as_deref().unwrap_or("*"), e.bad.0),
        };
        match command {
            Command::Capability => {
                let line = format!("* CAPABILITY {}\r\n", self.capabilities());
                self.conn.out.extend_from_slice(line.as_bytes());
                self.answer(&tag, "OK", None, "CAPABILITY completed")
            }
            Command::Noop => self.answer(&tag, "OK", None, "NOOP completed"),
            Command::Id(_) => {
                self.conn.out.extend_from_slice(b"* ID (\"name\" \"pennypost\")\r\n");
                self.answer(&tag, "OK", None, "ID completed")
            }
            Command::Logout => {
                self.status("*", "BYE", None, "Logging out");
                self.status(&tag, "OK", None, "LOGOUT completed");
                Ok(Next::Leave)
            }
            Command::StartTls => self.start_tls(&tag),
            Command::Login { user, password } => self.plain_login(tag, &user, &password),
            Command::Authenticate { mechanism, initial } => self.authenticate(tag, &mechanism, initial),
            _ => self.bad(&tag, "Log in first"),
        }
    }

    fn start_tls(&mut self, tag: &str) -> Flow {
        if self.peer.tls.is_some() {
            return self.bad(tag, "TLS is active");
        }
        if self.starttls.is_none() {
            return self.bad(tag, "TLS is not available");
        }
        if !self.reader.is_idle() {
            // RFC 9051 11.1 and the STARTTLS injection attacks: what was sent ahead in clear must not count later
            self.status(tag, "BAD", None, "Nothing may follow STARTTLS before TLS");
            return Ok(Next::Leave);
        }
        let Some(starttls) = self.starttls.take() else { return self.bad(tag, "TLS is not available") };
        self.status(tag, "OK", None, "Begin TLS negotiation now");
        self.conn.flush().map_err(io)?;
        self.peer.tls = Some(starttls.start().map_err(io)?);
        self.conn = Conn::open().map_err(io)?;
        self.reader.reset();
        Ok(Next::Go)
    }

    fn plain_login(&mut self, tag: String, user: &[u8], password: &[u8]) -> Flow {
        if !caps::is_secure(&self.config, &self.peer) {
            return self.answer(&tag, "NO", Some(Code::PrivacyRequired), "LOGIN is disabled without TLS");
        }
        let Ok(user) = std::str::from_utf8(user) else {
            return self.refuse(&tag, "AUTHENTICATIONFAILED", "Authentication failed");
        };
        if user.contains('\0') || password.contains(&0) {
            return self.refuse(&tag, "AUTHENTICATIONFAILED", "Authentication failed");
        }
        let response = plain_response(user, password);
        let step = self.begin("PLAIN", Some(&response))?;
        self.settle(tag, step)
    }

    fn begin(&mut self, mechanism: &str, initial: Option<&str>) -> Result<Step, Failure> {
        let step = self.login.begin(&mut self.spawn, "imap", &self.peer, mechanism, initial);
        step.map_err(|e| Failure::io("checkauth", &e))
    }

    fn authenticate(&mut self, tag: String, mechanism: &str, initial: Option<Vec<u8>>) -> Flow {
        if !caps::mechanisms(&self.config, &self.peer).iter().any(|m| m == mechanism) {
            let code = (!caps::is_secure(&self.config, &self.peer)).then_some(Code::PrivacyRequired);
            return self.answer(&tag, "NO", code, "Mechanism not offered");
        }
        let initial = initial.map(|i| String::from_utf8_lossy(&i).into_owned());
        let mut step = self.begin(mechanism, initial.as_deref())?;
        while let Step::Challenge(text) = step {
            let Some(response) = self.ask(&text)? else { return Ok(Next::Leave) };
            if response == "*" {
                // RFC 3501 6.2.2: a cancelled exchange is a BAD
                self.login.respond(None).map_err(|e| Failure::io("checkauth", &e))?;
                return self.answer(&tag, "BAD", None, "AUTHENTICATE cancelled");
            }
            step = self.login.respond(Some(&response)).map_err(|e| Failure::io("checkauth", &e))?;
        }
        if let Step::Done { data: Some(data), .. } = &step {
            // the mechanism's last words travel as a challenge with an empty answer (RFC 4422 4)
            match self.ask(&data.clone())? {
                Some(empty) if empty.is_empty() => {}
                Some(_) => return self.refuse(&tag, "AUTHENTICATIONFAILED", "Unexpected answer"),
                None => return Ok(Next::Leave),
            }
        }
        self.settle(tag, step)
    }

    /// Sends a challenge and reads the answer; `None` when the peer is gone.
    fn ask(&mut self, challenge: &str) -> Result<Option<String>, Failure> {
        self.conn.out.extend_from_slice(format!("+ {challenge}\r\n").as_bytes());
        loop {
            match self.reader.line() {
                Some(Ok(line)) => return Ok(Some(String::from_utf8(line).unwrap_or_else(|_| "*".into()))),
                Some(Err(_)) => return Ok(Some("*".into())),
                None if self.fill()? => {}
                None => return Ok(None),
            }
        }
    }

    fn settle(&mut self, tag: String, step: Step) -> Flow {
        match step {
            Step::Done { user, .. } => Ok(Next::Enter { tag, user }),
            Step::Challenge(_) => self.refuse(&tag, "AUTHENTICATIONFAILED", "Authentication failed"),
            Step::Refused { code, text } => self.refuse(&tag, &code, &text),
        }
    }

    /// RFC 5530: the client may tell a wrong password from a broken server.
    fn refuse(&mut self, tag: &str, code: &str, text: &str) -> Flow {
        self.failures += 1;
        let (code, text) = match code {
            "UNAVAILABLE" => (Code::Unavailable, "Authentication is not available now"),
            "EXPIRED" => (Code::Expired, text),
            "AUTHORIZATIONFAILED" => (Code::AuthorizationFailed, text),
            _ => (Code::AuthenticationFailed, if text.is_empty() { "Authentication failed" } else { text }),
        };
        self.status(tag, "NO", Some(code), text);
        if self.failures > FAILURES_MAX {
            self.status("*", "BYE", None, "Too many failures");
            return Ok(Next::Leave);
        }
        Ok(Next::Go)
    }

    fn enter(mut self, tag: String, user: &str) -> Result<Outcome, Failure> {
        self.conn.flush().map_err(io)?;
        let state = State { tag: tag.clone(), input: self.reader.pending().to_vec() };
        let control = self.starttls.as_ref().map(|s| std::os::fd::AsFd::as_fd(s.control()));
        let handed = login::hand_over(&mut self.spawn, "imapd", &self.peer, control, &state.encode());
        if let Err(e) = handed {
            log::warning("session", None, &[("user", &user), ("why", &e)]);
            let code = if e.to_string().starts_with("LIMIT") { Code::Limit } else { Code::Unavailable };
            let text =
                if code == Code::Limit { "Too many sessions of this user" } else { "The mailbox is not available now" };
            self.status(&tag, "NO", Some(code), text);
            self.status("*", "BYE", None, text);
            self.conn.flush().map_err(io)?;
        }
        Ok(Outcome::Done)
    }
}
