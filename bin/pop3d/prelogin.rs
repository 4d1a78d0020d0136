//! The conversation before the login: a confined process that owns nothing.
//!
//! Standards   RFC 1939 4 and 7, RFC 2449, RFC 2595 4, RFC 5034, RFC 6856
//! Invariants  1. no password over an open line, but from loopback where pop3d.plain_auth_loopback says so   2. after STLS nothing is
//!             remembered, and octets sent ahead of it end the conversation (RFC 2595 4)
//! Trust       every input octet is hostile

use std::time::{Duration, Instant};

use penny_base::services::login::{self, Step, plain_response};
use penny_base::services::{Login, Spawn};
use penny_base::ucspi::StartTls;
use penny_base::wire::{Got, Wire};
use penny_base::{Config, Failure, Outcome, Peer, log};
use penny_pop3::{AUTH_LINE_MAX, Capabilities, Command, Input, LINE_MAX, Line, err, ok};

use crate::lang;
use crate::state::State;

/// Wrong passwords in one conversation.
const FAILURES_MAX: u32 = 60;
/// Unknown or malformed commands in one conversation.
const ERRORS_MAX: u32 = 60;

struct Prelogin {
    config: Config,
    spawn: Spawn,
    login: Login,
    peer: Peer,
    starttls: Option<StartTls>,
    wire: Wire,
    input: Input,
    user: Option<String>,
    state: State,
    failures: u32,
    errors: u32,
    end: Instant,
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
pub fn serve(
    config: Config,
    spawn: Spawn,
    login: Login,
    peer: Peer,
    starttls: Option<StartTls>,
) -> Result<Outcome, Failure> {
    let limit = Duration::from_secs(config.pop3d.login_timeout.0);
    let mut talk = Prelogin {
        wire: Wire::open().map_err(io)?,
        config,
        spawn,
        login,
        peer,
        starttls,
        input: Input::default(),
        user: None,
        state: State::default(),
        failures: 0,
        errors: 0,
        end: Instant::now() + limit,
    };
    talk.send(&ok(&format!("{} pennypost POP3 ready", talk.config.hostname())))?;
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
            if let Some(line) = self.input.line(max) {
                return Ok(Some(line));
            }
            let left = self.end.saturating_duration_since(Instant::now());
            let mut buffer = Vec::new();
            match self.wire.read(&mut buffer, left).map_err(io)? {
                Got::Octets(_) => self.input.feed(&buffer),
                Got::End => return Ok(None),
                Got::Timeout => {
                    // RFC 1939 3: closed without a word; RFC 3206 gives it a code
                    self.send(&err(Some("SYS/TEMP"), "too slow"))?;
                    return Ok(None);
                }
            }
        }
    }

    fn is_secure(&self) -> bool {
        self.peer.tls.is_some() || (self.peer.is_loopback() && self.config.pop3d.plain_auth_loopback)
    }

    /// Mechanisms to offer: those that show the password or a token only on a safe line.
    fn mechanisms(&self) -> Vec<String> {
        login::offered(&self.config, &self.peer, self.is_secure())
    }

    fn command(&mut self, line: Line) -> Flow {
        let Line::Text(text) = line else { return self.bad("line too long") };
        match Command::parse(&text) {
            Ok(command) => self.run(command),
            Err(bad) => self.bad(bad.text()),
        }
    }

    fn bad(&mut self, text: &str) -> Flow {
        self.errors += 1;
        self.send(&err(None, text))?;
        Ok(if self.errors > ERRORS_MAX { Next::Leave } else { Next::Go })
    }

    fn run(&mut self, command: Command) -> Flow {
        match command {
            Command::Capa => self.capa(),
            Command::User(name) => self.user(name),
            Command::Pass(password) => self.pass(&password),
            Command::Auth(None) => {
                let all = self.mechanisms();
                self.answer(&penny_pop3::listing("mechanisms follow", all))
            }
            Command::Auth(Some((mechanism, initial))) => self.auth(&mechanism, initial.as_deref()),
            Command::Stls => self.stls(),
            Command::Quit => {
                self.send(&ok("bye"))?;
                Ok(Next::Leave)
            }
            Command::Utf8 => {
                self.state.utf8 = true;
                self.answer(&ok("UTF-8 mode"))
            }
            Command::Lang(tag) => {
                let text = lang::command(tag.as_deref(), &mut self.state.lang);
                self.answer(&text)
            }
            Command::Apop => self.answer(&err(None, "APOP is not offered")),
            _ => self.bad("log in first"),
        }
    }

    fn capa(&mut self) -> Flow {
        let caps = Capabilities {
            stls: self.starttls.is_some() && self.peer.tls.is_none(),
            user: self.is_secure(),
            sasl: self.mechanisms(),
            implementation: None,
        };
        self.answer(&caps.answer())
    }

    fn user(&mut self, name: String) -> Flow {
        if !self.is_secure() {
            return self.answer(&err(Some("AUTH"), "start TLS first"));
        }
        self.user = Some(name);
        // RFC 1939 13: the same answer whoever it is
        self.answer(&ok("password, please"))
    }

    fn pass(&mut self, password: &[u8]) -> Flow {
        let Some(user) = self.user.take() else { return self.bad("USER first") };
        let response = plain_response(&user, password);
        let step = self.begin("PLAIN", Some(&response))?;
        self.settle(step)
    }

    fn begin(&mut self, mechanism: &str, initial: Option<&str>) -> Result<Step, Failure> {
        let step = self.login.begin(&mut self.spawn, "pop3", &self.peer, mechanism, initial);
        step.map_err(|e| Failure::io("checkauth", &e))
    }

    /// RFC 5034 4.
    fn auth(&mut self, mechanism: &str, initial: Option<&[u8]>) -> Flow {
        if !self.mechanisms().iter().any(|m| m == mechanism) {
            return self.answer(&err(None, "mechanism not offered"));
        }
        let initial = initial.map(|i| String::from_utf8_lossy(i).into_owned());
        let mut step = self.begin(mechanism, initial.as_deref())?;
        while let Step::Challenge(text) = step {
            let Some(response) = self.ask(&text)? else { return Ok(Next::Leave) };
            step = self.login.respond(response.as_deref()).map_err(|e| Failure::io("checkauth", &e))?;
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
        self.failures += 1;
        let answer = match code {
            "UNAVAILABLE" => err(Some("SYS/TEMP"), "authentication is not available now"),
            "CANCELLED" => err(None, "authentication cancelled"),
            "UNSUPPORTED" => err(None, "mechanism not offered"),
            _ => err(Some("AUTH"), if text.is_empty() { "authentication failed" } else { text }),
        };
        self.send(&answer)?;
        Ok(if self.failures > FAILURES_MAX { Next::Leave } else { Next::Go })
    }

    fn stls(&mut self) -> Flow {
        if self.peer.tls.is_some() {
            return self.answer(&err(None, "TLS is active"));
        }
        let Some(starttls) = self.starttls.take() else { return self.answer(&err(None, "TLS is not available")) };
        if !self.input.is_empty() {
            self.send(&err(None, "nothing may follow STLS before TLS"))?;
            return Ok(Next::Leave);
        }
        self.send(&ok("begin TLS"))?;
        self.wire.flush().map_err(io)?;
        let tls = starttls.start().map_err(io)?;
        self.wire = Wire::open().map_err(io)?;
        self.peer.tls = Some(tls);
        // RFC 2595 4: everything learned before is forgotten
        self.input = Input::default();
        self.user = None;
        self.state = State::default();
        Ok(Next::Go)
    }

    fn enter(mut self, user: &str) -> Result<Outcome, Failure> {
        self.wire.flush().map_err(io)?;
        self.state.input = self.input.into_rest();
        let control = self.starttls.as_ref().map(|s| std::os::fd::AsFd::as_fd(s.control()));
        let handed = login::hand_over(&mut self.spawn, "pop3d", &self.peer, control, &self.state.encode());
        if let Err(e) = handed {
            log::warning("session", None, &[("user", &user), ("why", &e)]);
            self.wire.send(&err(Some("SYS/TEMP"), "the mailbox is not available now")).map_err(io)?;
            self.wire.flush().map_err(io)?;
        }
        Ok(Outcome::Done)
    }
}
