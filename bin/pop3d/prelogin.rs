//! The conversation before the login: a confined process that owns nothing.
//!
//! Standards   RFC 1939 4 and 7, RFC 2449, RFC 2595 4, RFC 5034, RFC 6856
//! Invariants  1. no password over an open line, but from loopback where pop3d.plain_auth_loopback says so   2. after STLS nothing is
//!             remembered, and octets sent ahead of it end the conversation (RFC 2595 4)
//! Trust       every input octet is hostile

use penny_base::services::login::{Step, plain_response};
use penny_base::services::{Door, Handed};
use penny_base::wire::{Got, Wire};
use penny_base::{Failure, Outcome};
use penny_pop3::{AUTH_LINE_MAX, Capabilities, Command, Input, LINE_MAX, Line, err, ok};

use crate::lang;

struct Prelogin {
    door: Door,
    wire: Wire,
    learned: Learned,
}

/// What the client has said; forgotten when TLS begins.
#[derive(Default)]
struct Learned {
    input: Input,
    user: Option<String>,
    /// UTF8 was given (RFC 6856 2).
    utf8: bool,
    /// The language chosen (RFC 6856 3).
    lang: Option<String>,
}

/// What a command leads to.
enum Next {
    Go,
    /// Authenticated.
    Enter(String),
    Leave,
}

type Flow = Result<Next, Failure>;

/// Speaks until login or end.
pub fn serve(door: Door) -> Result<Outcome, Failure> {
    let mut talk = Prelogin { door, wire: Wire::open().map_err(io)?, learned: Learned::default() };
    talk.send(&ok(&format!("{} pennypost POP3 ready", talk.door.config.hostname())))?;
    while let Some(line) = talk.line(LINE_MAX)? {
        match talk.command(line)? {
            Next::Go => {}
            Next::Enter(user) => return talk.enter(&user),
            Next::Leave => break,
        }
    }
    talk.wire.flush().map_err(io)?;
    Ok(Outcome::Done)
}

fn io(e: std::io::Error) -> Failure {
    Failure::io("conversation", &e)
}

impl Prelogin {
    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.wire.send(bytes).map_err(io)
    }

    fn answer(&mut self, bytes: &[u8]) -> Flow {
        self.send(bytes)?;
        Ok(Next::Go)
    }

    /// The next line; `None` at the end of input or of the time.
    fn line(&mut self, max: usize) -> Result<Option<Line>, Failure> {
        loop {
            if let Some(line) = self.learned.input.line(max) {
                return Ok(Some(line));
            }
            let mut buffer = Vec::new();
            match self.wire.read(&mut buffer, self.door.left()).map_err(io)? {
                Got::Octets(_) => self.learned.input.feed(&buffer),
                Got::End => return Ok(None),
                Got::Timeout => {
                    // RFC 1939 3: closed without a word; RFC 3206 gives it a code
                    self.send(&err(Some("SYS/TEMP"), "too slow"))?;
                    return Ok(None);
                }
            }
        }
    }

    fn command(&mut self, line: Line) -> Flow {
        let Line::Text(text) = line else { return self.bad("line too long") };
        match Command::parse(&text) {
            Ok(command) => self.run(command),
            Err(bad) => self.bad(bad.text()),
        }
    }

    fn bad(&mut self, text: &str) -> Flow {
        self.send(&err(None, text))?;
        Ok(if self.door.has_erred_too_often() { Next::Leave } else { Next::Go })
    }

    fn run(&mut self, command: Command) -> Flow {
        match command {
            Command::Capa => self.capa(),
            Command::User(name) => self.user(name),
            Command::Pass(password) => self.pass(&password),
            Command::Auth(None) => {
                let all = self.door.mechanisms();
                self.answer(&penny_pop3::listing("mechanisms follow", all))
            }
            Command::Auth(Some((mechanism, initial))) => self.auth(&mechanism, initial.as_deref()),
            Command::Stls => self.stls(),
            Command::Quit => {
                self.send(&ok("bye"))?;
                Ok(Next::Leave)
            }
            Command::Utf8 => {
                self.learned.utf8 = true;
                self.answer(&ok("UTF-8 mode"))
            }
            Command::Lang(tag) => {
                let text = lang::command(tag.as_deref(), &mut self.learned.lang);
                self.answer(&text)
            }
            Command::Apop => self.answer(&err(None, "APOP is not offered")),
            _ => self.bad("log in first"),
        }
    }

    fn capa(&mut self) -> Flow {
        let caps = Capabilities {
            stls: self.door.offers_tls(),
            user: self.door.is_secure(),
            sasl: self.door.mechanisms(),
            login_delay: self.door.config.pop3d.login_delay.0,
            ..Capabilities::default()
        };
        self.answer(&caps.answer())
    }

    fn user(&mut self, name: String) -> Flow {
        if !self.door.is_secure() {
            return self.answer(&err(Some("AUTH"), "start TLS first"));
        }
        self.learned.user = Some(name);
        // RFC 1939 13: the same answer whoever it is
        self.answer(&ok("password, please"))
    }

    fn pass(&mut self, password: &[u8]) -> Flow {
        let Some(user) = self.learned.user.take() else { return self.bad("USER first") };
        let response = plain_response(&user, password);
        let step = self.door.begin("PLAIN", Some(&response))?;
        self.settle(step)
    }

    /// RFC 5034 4.
    fn auth(&mut self, mechanism: &str, initial: Option<&[u8]>) -> Flow {
        if !self.door.offers(mechanism) {
            return self.answer(&err(None, "mechanism not offered"));
        }
        let initial = initial.map(|i| String::from_utf8_lossy(i).into_owned());
        let mut step = self.door.begin(mechanism, initial.as_deref())?;
        while let Step::Challenge(text) = step {
            let Some(response) = self.ask(&text)? else { return Ok(Next::Leave) };
            step = self.door.respond(response.as_deref())?;
        }
        if let Step::Done { data: Some(data), .. } = &step {
            // RFC 5034 4: the mechanism's last words travel as a challenge, answered by an empty line
            let data = data.clone();
            match self.ask(&data)? {
                Some(Some(empty)) if empty.is_empty() => {}
                Some(_) => return self.answer(&err(Some("AUTH"), "authentication cancelled")),
                None => return Ok(Next::Leave),
            }
        }
        self.settle(step)
    }

    /// Sends a challenge; outer `None`: the peer is gone, inner `None`: not a line that can be an answer.
    #[allow(clippy::option_option)]
    fn ask(&mut self, challenge: &str) -> Result<Option<Option<String>>, Failure> {
        self.send(format!("+ {challenge}\r\n").as_bytes())?;
        Ok(self.line(AUTH_LINE_MAX)?.map(|line| match line {
            Line::Text(text) => String::from_utf8(text).ok(),
            Line::TooLong => None,
        }))
    }

    fn settle(&mut self, step: Step) -> Flow {
        match step {
            Step::Done { user, .. } => Ok(Next::Enter(user)),
            Step::Challenge(_) => self.answer(&err(Some("AUTH"), "authentication failed")),
            Step::Refused { code, text } => self.refuse(&code, &text),
        }
    }

    /// RFC 3206: the client may tell a wrong password from a broken server.
    fn refuse(&mut self, code: &str, text: &str) -> Flow {
        let answer = match code {
            "UNAVAILABLE" => err(Some("SYS/TEMP"), "authentication is not available now"),
            "CANCELLED" => err(None, "authentication cancelled"),
            "UNSUPPORTED" => err(None, "mechanism not offered"),
            _ => err(Some("AUTH"), if text.is_empty() { "authentication failed" } else { text }),
        };
        self.send(&answer)?;
        Ok(if self.door.has_failed_too_often() { Next::Leave } else { Next::Go })
    }

    fn stls(&mut self) -> Flow {
        if self.door.peer.tls.is_some() {
            return self.answer(&err(None, "TLS is active"));
        }
        if !self.door.offers_tls() {
            return self.answer(&err(None, "TLS is not available"));
        }
        if !self.learned.input.is_empty() {
            self.send(&err(None, "nothing may follow STLS before TLS"))?;
            return Ok(Next::Leave);
        }
        self.send(&ok("begin TLS"))?;
        self.wire.flush().map_err(io)?;
        self.door.start_tls()?;
        self.wire = Wire::open().map_err(io)?;
        // RFC 2595 4: everything learned before is forgotten
        self.learned = Learned::default();
        Ok(Next::Go)
    }

    fn enter(mut self, user: &str) -> Result<Outcome, Failure> {
        self.wire.flush().map_err(io)?;
        let learned = self.learned;
        let handed = Handed::new(learned.input.into_rest()).with("lang", learned.lang.as_deref());
        if self.door.enter(user, &handed.with("utf8", learned.utf8.then_some(""))).is_err() {
            self.wire.send(&err(Some("SYS/TEMP"), "the mailbox is not available now")).map_err(io)?;
            self.wire.flush().map_err(io)?;
        }
        Ok(Outcome::Done)
    }
}
