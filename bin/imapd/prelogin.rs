//! The conversation before the login: a confined process that owns nothing.
//!
//! Standards   RFC 3501 6.1, 6.2; RFC 4959 (SASL-IR), 8314 (LOGINDISABLED), 5530 (codes), 8437 (UNAUTHENTICATE, its end)
//! Invariants  1. no password over an open line, but from loopback where imapd.plain_auth_loopback says so
//!             2. after STARTTLS nothing is remembered, and octets sent ahead of it end the conversation (RFC 9051 6.2.1)
//! Trust       every input octet is hostile
use crate::caps;
use crate::conn::{Conn, Got};
use penny_base::services::login::{Step, plain_response};
use penny_base::services::{Door, Handed};
use penny_base::{Failure, Outcome};
use penny_imap::command::{self, Command, Tagged};
use penny_imap::{Code, Event, Framed, Limits, Reader, write};

/// A stranger gets little memory, but an ID of 30 fields of 1,054 octets (RFC 2971 3.3) has to fit.
const LIMITS: Limits = Limits { line: 36 * 1024, literals: 4096, bare_lf: true };

struct Prelogin {
    door: Door,
    conn: Conn,
    reader: Reader,
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
pub fn serve(door: Door) -> Result<Outcome, Failure> {
    let mut talk = Prelogin { door, conn: Conn::open().map_err(io)?, reader: Reader::new(LIMITS) };
    talk.greet();
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

    /// Greets, or answers UNAUTHENTICATE where a session gave the conversation back.
    fn greet(&mut self) {
        let caps = Some(Code::Capability(caps::prelogin(&mut self.door)));
        match self.door.handed_back() {
            Some(back) => {
                // answered already where the answer had to be compressed
                if let Some(tag) = back.get("tag") {
                    self.status(tag, "OK", caps, "UNAUTHENTICATE completed");
                }
                self.reader.feed(&back.input);
            }
            None => {
                let text = format!("{} pennypost IMAP ready", self.door.config.hostname());
                self.status("*", "OK", caps, &text);
            }
        }
    }

    fn answer(&mut self, tag: &str, word: &str, code: Option<Code>, text: &str) -> Flow {
        self.status(tag, word, code, text);
        Ok(Next::Go)
    }

    /// More input; false at the end of it or of the time.
    fn fill(&mut self) -> Result<bool, Failure> {
        let mut buffer = Vec::new();
        match self.conn.wait(None, self.door.left(), &mut buffer).map_err(io)? {
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
        self.status(tag, "BAD", None, text);
        if self.door.has_erred_too_often() {
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
                let line = format!("* CAPABILITY {}\r\n", caps::prelogin(&mut self.door));
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
        if self.door.peer.tls.is_some() {
            return self.bad(tag, "TLS is active");
        }
        if !self.door.offers_tls() {
            return self.bad(tag, "TLS is not available");
        }
        if !self.reader.is_idle() {
            // RFC 9051 11.1 and the STARTTLS injection attacks: what was sent ahead in clear must not count later
            self.status(tag, "BAD", None, "Nothing may follow STARTTLS before TLS");
            return Ok(Next::Leave);
        }
        self.status(tag, "OK", None, "Begin TLS negotiation now");
        self.conn.flush().map_err(io)?;
        self.door.start_tls()?;
        self.conn = Conn::open().map_err(io)?;
        self.reader.reset();
        Ok(Next::Go)
    }

    fn plain_login(&mut self, tag: String, user: &[u8], password: &[u8]) -> Flow {
        if !self.door.is_secure() {
            return self.answer(&tag, "NO", Some(Code::PrivacyRequired), "LOGIN is disabled without TLS");
        }
        let Ok(user) = std::str::from_utf8(user) else {
            return self.refuse(&tag, "AUTHENTICATIONFAILED", "Authentication failed");
        };
        if user.contains('\0') || password.contains(&0) {
            return self.refuse(&tag, "AUTHENTICATIONFAILED", "Authentication failed");
        }
        let response = plain_response(user, password);
        let step = self.door.begin("PLAIN", Some(&response))?;
        self.settle(tag, step)
    }

    fn authenticate(&mut self, tag: String, mechanism: &str, initial: Option<Vec<u8>>) -> Flow {
        if !self.door.offers(mechanism) {
            let code = (!self.door.is_secure()).then_some(Code::PrivacyRequired);
            return self.answer(&tag, "NO", code, "Mechanism not offered");
        }
        let initial = initial.map(|i| String::from_utf8_lossy(&i).into_owned());
        let mut step = self.door.begin(mechanism, initial.as_deref())?;
        while let Step::Challenge(text) = step {
            let Some(response) = self.ask(&text)? else { return Ok(Next::Leave) };
            if response == "*" {
                // RFC 3501 6.2.2: a cancelled exchange is a BAD
                self.door.respond(None)?;
                return self.answer(&tag, "BAD", None, "AUTHENTICATE cancelled");
            }
            step = self.door.respond(Some(&response))?;
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
        let (code, text) = match code {
            "UNAVAILABLE" => (Code::Unavailable, "Authentication is not available now"),
            "EXPIRED" => (Code::Expired, text),
            "AUTHORIZATIONFAILED" => (Code::AuthorizationFailed, text),
            _ => (Code::AuthenticationFailed, if text.is_empty() { "Authentication failed" } else { text }),
        };
        self.status(tag, "NO", Some(code), text);
        if self.door.has_failed_too_often() {
            self.status("*", "BYE", None, "Too many failures");
            return Ok(Next::Leave);
        }
        Ok(Next::Go)
    }

    fn enter(mut self, tag: String, user: &str) -> Result<Outcome, Failure> {
        self.conn.flush().map_err(io)?;
        let handed = Handed::new(self.reader.pending().to_vec()).with("tag", Some(&tag));
        if let Err(e) = self.door.enter(user, &handed) {
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
