//! The conversation before the login: a confined process that owns nothing.
//!
//! Standards   RFC 5804 1.7 (capabilities), 2.1, 2.2
//! Invariants  1. no password over an open line, but from loopback where sieved.plain_auth_loopback says so   2. octets sent ahead of TLS
//!             end the conversation

use penny_base::services::login::Step;
use penny_base::services::{Door, Handed};
use penny_base::wire::{Got, Wire};
use penny_base::{Config, Failure, Outcome};
use penny_managesieve::{Arg, Command, Input, Next, bye, no, ok, quoted};

/// Octets of a literal before the login: a SASL response.
const LITERAL_MAX: u64 = 16 * 1024;

struct Prelogin {
    door: Door,
    wire: Wire,
    input: Input,
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
pub fn serve(door: Door) -> Result<Outcome, Failure> {
    let mut talk = Prelogin { door, wire: Wire::open().map_err(io)?, input: Input::default() };
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
            let mut buffer = Vec::new();
            match self.wire.read(&mut buffer, self.door.left()).map_err(io)? {
                Got::Octets(_) => self.input.feed(&buffer),
                Got::End => return Ok(None),
                Got::Timeout => {
                    self.send(&bye(Some(b"TRYLATER"), "too slow"))?;
                    return Ok(None);
                }
            }
        }
    }

    /// RFC 5804 1.7: the capabilities, then OK.
    fn greet(&mut self, text: &str) -> Result<(), Failure> {
        let mechanisms = self.door.mechanisms();
        let all = capabilities(&self.door.config, &mechanisms, self.door.offers_tls(), None);
        self.send(&all)?;
        self.send(&ok(None, text))
    }

    fn bad(&mut self, text: &str) -> Flow {
        self.send(&no(None, text))?;
        Ok(if self.door.has_erred_too_often() { After::Leave } else { After::Go })
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
        if !self.door.offers(mechanism) {
            let code: Option<&[u8]> = if self.door.is_secure() { None } else { Some(b"ENCRYPT-NEEDED") };
            return self.answer(&no(code, "mechanism not offered"));
        }
        let mut step = self.door.begin(mechanism, initial)?;
        loop {
            match step {
                Step::Challenge(text) => {
                    let mut line = quoted(&text);
                    line.extend_from_slice(b"\r\n");
                    self.send(&line)?;
                    let Some(next) = self.next()? else { return Ok(After::Leave) };
                    let response = response(&next);
                    step = self.door.respond(response.as_deref())?;
                }
                Step::Done { user, data } => return Ok(After::Enter(user, data)),
                Step::Refused { code, text } => return self.refuse(&code, &text),
            }
        }
    }

    fn refuse(&mut self, code: &str, text: &str) -> Flow {
        let answer = match code {
            "UNAVAILABLE" => no(Some(b"TRYLATER"), "authentication is not available now"),
            "CANCELLED" => no(None, "authentication cancelled"),
            _ => no(None, if text.is_empty() { "authentication failed" } else { text }),
        };
        self.send(&answer)?;
        Ok(if self.door.has_failed_too_often() { After::Leave } else { After::Go })
    }

    fn start_tls(&mut self) -> Flow {
        if self.door.peer.tls.is_some() {
            return self.answer(&no(None, "TLS is active"));
        }
        if !self.door.offers_tls() {
            return self.answer(&no(None, "TLS is not available"));
        }
        if !self.input.is_empty() {
            self.send(&bye(None, "nothing may follow STARTTLS before TLS"))?;
            return Ok(After::Leave);
        }
        self.send(&ok(None, "begin TLS"))?;
        self.wire.flush().map_err(io)?;
        self.door.start_tls()?;
        self.wire = Wire::open().map_err(io)?;
        self.input = Input::default();
        // RFC 5804 2.2: the capabilities again
        self.greet("TLS is active")?;
        Ok(After::Go)
    }

    fn enter(mut self, user: &str, sasl: Option<String>) -> Result<Outcome, Failure> {
        self.wire.flush().map_err(io)?;
        let handed = Handed::new(self.input.into_rest()).with("sasl", sasl.as_deref());
        if self.door.enter(user, &handed).is_err() {
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
