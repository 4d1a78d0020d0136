//! The conversation before the login: a confined process that owns nothing.
//!
//! Standards   RFC 5804 1.7 (capabilities), 2.1, 2.2
//! Invariants  1. no password over an open line, but from loopback where sieved.plain_auth_loopback says so   2. octets sent ahead of TLS
//!             end the conversation

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use penny_base::services::login::{self, Step};
use penny_base::services::{Login, Spawn};
use penny_base::ucspi::StartTls;
use penny_base::wire::{Got, Wire};
use penny_base::{Config, Failure, Outcome, Peer, log};
use penny_managesieve::{Arg, Command, Input, Next, bye, no, ok, quoted};

use crate::state::State;

/// Wrong passwords in one conversation.
const FAILURES_MAX: u32 = 60;
/// Mistakes in one conversation.
const ERRORS_MAX: u32 = 60;
/// Octets of a literal before the login: a SASL response.
const LITERAL_MAX: u64 = 16 * 1024;
/// Time for the login.
const LOGIN_TIME: Duration = Duration::from_secs(120);

struct Prelogin {
    config: Config,
    spawn: Spawn,
    login: Login,
    peer: Peer,
    starttls: Option<StartTls>,
    wire: Wire,
    input: Input,
    failures: u32,
    errors: u32,
    end: Instant,
}

enum After {
    Go,
    Enter(String, Option<String>),
    Leave,
}

type Flow = Result<After, Failure>;

fn io(e: std::io::Error) -> Failure {
    Failure::io("conversation", &e)
}

/// The lines of CAPABILITY; `mechanisms` is empty in a session.
pub fn capabilities(config: &Config, mechanisms: &[String], starttls: bool, owner: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut line = |name: &str, value: Option<&str>| {
        out.extend(quoted(name));
        if let Some(value) = value {
            out.push(b' ');
            out.extend(quoted(value));
        }
        out.extend_from_slice(b"\r\n");
    };
    line("IMPLEMENTATION", Some("pennypost sieved"));
    line("VERSION", Some("1.0"));
    line("SASL", Some(&mechanisms.join(" ")));
    let programs = config.deliver.sieve_programs.is_dir();
    let usable = |e: &&penny_sieve::Extension| {
        !e.optional || (programs && e.name.starts_with("vnd.dovecot.") && !e.name.ends_with("testsuite"))
    };
    let names: Vec<&str> = penny_sieve::EXTENSIONS.iter().filter(usable).map(|e| e.name).collect();
    line("SIEVE", Some(&names.join(" ")));
    line("NOTIFY", Some("mailto"));
    line("MAXREDIRECTS", Some(&config.deliver.sieve_redirects.to_string()));
    line("LANGUAGE", Some("en"));
    if let Some(owner) = owner {
        line("OWNER", Some(owner));
    }
    if starttls {
        line("STARTTLS", None);
    }
    out
}

/// Speaks until login or end.
pub fn serve(
    config: Config,
    spawn: Spawn,
    login: Login,
    peer: Peer,
    starttls: Option<StartTls>,
) -> Result<Outcome, Failure> {
    let mut talk = Prelogin {
        wire: Wire::open().map_err(io)?,
        config,
        spawn,
        login,
        peer,
        starttls,
        input: Input::default(),
        failures: 0,
        errors: 0,
        end: Instant::now() + LOGIN_TIME,
    };
    talk.greet("pennypost ManageSieve ready")?;
    while let Some(next) = talk.next()? {
        match talk.step(next)? {
            After::Go => {}
            After::Enter(user, sasl) => return talk.enter(&user, sasl),
            After::Leave => break,
        }
    }
    talk.wire.flush().map_err(io)?;
    Ok(Outcome::Done)
}

impl Prelogin {
    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.wire.send(bytes).map_err(io)
    }

    fn answer(&mut self, bytes: &[u8]) -> Flow {
        self.send(bytes)?;
        Ok(After::Go)
    }

    fn next(&mut self) -> Result<Option<Next>, Failure> {
        loop {
            if let Some(next) = self.input.next(LITERAL_MAX) {
                return Ok(Some(next));
            }
            let left = self.end.saturating_duration_since(Instant::now());
            let mut buffer = Vec::new();
            match self.wire.read(&mut buffer, left).map_err(io)? {
                Got::Octets(_) => self.input.feed(&buffer),
                Got::End => return Ok(None),
                Got::Timeout => {
                    self.send(&bye(Some(b"TRYLATER"), "too slow"))?;
                    return Ok(None);
                }
            }
        }
    }

    fn is_secure(&self) -> bool {
        self.peer.tls.is_some() || (self.peer.is_loopback() && self.config.sieved.plain_auth_loopback)
    }

    fn mechanisms(&self) -> Vec<String> {
        login::offered(&self.config, &self.peer, self.is_secure())
    }

    /// RFC 5804 1.7: the capabilities, then OK.
    fn greet(&mut self, text: &str) -> Result<(), Failure> {
        let tls = self.starttls.is_some() && self.peer.tls.is_none();
        let all = capabilities(&self.config, &self.mechanisms(), tls, None);
        self.send(&all)?;
        self.send(&ok(None, text))
    }

    fn bad(&mut self, text: &str) -> Flow {
        self.errors += 1;
        self.send(&no(None, text))?;
        Ok(if self.errors > ERRORS_MAX { After::Leave } else { After::Go })
    }

    fn step(&mut self, next: Next) -> Flow {
        let args = match next {
            Next::Command(args) => args,
            Next::TooLarge => return self.bad("literal too large"),
            Next::Bad => return self.bad("not understood"),
        };
        match Command::parse(&args) {
            Ok(Command::Authenticate(mechanism, initial)) => self.authenticate(&mechanism, initial.as_deref()),
            Ok(Command::StartTls) => self.start_tls(),
            Ok(Command::Logout) => {
                self.send(&ok(None, "bye"))?;
                Ok(After::Leave)
            }
            Ok(Command::Capability) => {
                self.greet("")?;
                Ok(After::Go)
            }
            Ok(Command::Noop(tag)) => {
                let text = noop(tag.as_deref());
                self.answer(&text)
            }
            Ok(_) => self.bad("log in first"),
            Err(bad) => self.bad(bad.text()),
        }
    }

    fn authenticate(&mut self, mechanism: &str, initial: Option<&str>) -> Flow {
        if !self.mechanisms().iter().any(|m| m == mechanism) {
            let code: Option<&[u8]> = if self.is_secure() { None } else { Some(b"ENCRYPT-NEEDED") };
            return self.answer(&no(code, "mechanism not offered"));
        }
        let fail = |e: std::io::Error| Failure::io("checkauth", &e);
        let mut step = self.login.begin(&mut self.spawn, "sieve", &self.peer, mechanism, initial).map_err(fail)?;
        loop {
            match step {
                Step::Challenge(text) => {
                    let mut line = quoted(&text);
                    line.extend_from_slice(b"\r\n");
                    self.send(&line)?;
                    let Some(next) = self.next()? else { return Ok(After::Leave) };
                    let response = response(&next);
                    step = self.login.respond(response.as_deref()).map_err(fail)?;
                }
                Step::Done { user, data } => return Ok(After::Enter(user, data)),
                Step::Refused { code, text } => return self.refuse(&code, &text),
            }
        }
    }

    fn refuse(&mut self, code: &str, text: &str) -> Flow {
        self.failures += 1;
        let answer = match code {
            "UNAVAILABLE" => no(Some(b"TRYLATER"), "authentication is not available now"),
            "CANCELLED" => no(None, "authentication cancelled"),
            _ => no(None, if text.is_empty() { "authentication failed" } else { text }),
        };
        self.send(&answer)?;
        Ok(if self.failures > FAILURES_MAX { After::Leave } else { After::Go })
    }

    fn start_tls(&mut self) -> Flow {
        if self.peer.tls.is_some() {
            return self.answer(&no(None, "TLS is active"));
        }
        let Some(starttls) = self.starttls.take() else { return self.answer(&no(None, "TLS is not available")) };
        if !self.input.is_empty() {
            self.send(&bye(None, "nothing may follow STARTTLS before TLS"))?;
            return Ok(After::Leave);
        }
        self.send(&ok(None, "begin TLS"))?;
        self.wire.flush().map_err(io)?;
        let tls = starttls.start().map_err(io)?;
        self.wire = Wire::open().map_err(io)?;
        self.peer.tls = Some(tls);
        self.input = Input::default();
        // RFC 5804 2.2: the capabilities again
        self.greet("TLS is active")?;
        Ok(After::Go)
    }

    fn enter(mut self, user: &str, sasl: Option<String>) -> Result<Outcome, Failure> {
        self.wire.flush().map_err(io)?;
        let state = State { sasl, input: self.input.into_rest() };
        let control = self.starttls.as_ref().map(|s| s.control().as_fd());
        if let Err(e) = login::hand_over(&mut self.spawn, "sieved", &self.peer, control, &state.encode()) {
            log::warning("session", None, &[("user", &user), ("why", &e)]);
            self.wire.send(&bye(Some(b"TRYLATER"), "scripts are not available now")).map_err(io)?;
            self.wire.flush().map_err(io)?;
        }
        Ok(Outcome::Done)
    }
}

/// The client's answer to a challenge: one string, or `*`.
fn response(next: &Next) -> Option<String> {
    match next {
        Next::Command(args) => match args.as_slice() {
            [Arg::Text(text)] => String::from_utf8(text.clone()).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// RFC 5804 2.13.
pub fn noop(tag: Option<&[u8]>) -> Vec<u8> {
    match tag {
        Some(tag) => ok(Some(&[b"TAG ".to_vec(), penny_managesieve::string(tag)].concat()), "done"),
        None => ok(None, "done"),
    }
}
