//! The session: the user's scripts.
//!
//! Standards   RFC 5804 2.3 to 2.13
//! Invariants  1. a script is stored only after it was checked, and durably before the answer   2. the active script is never removed
//! Trust       input hostile; the files are the user's

use std::io::ErrorKind;
use std::time::Duration;

use penny_base::scripts::{Scripts, valid_name};
use penny_base::services::Handed;
use penny_base::wire::{Got, Wire};
use penny_base::{Config, Failure, Outcome, Owner, log};
use penny_managesieve::{Command, Input, Next, bye, literal, no, ok, quoted};
use penny_sieve::{Library, Location};

use crate::prelogin::{capabilities, noop};

/// Mistakes in one session.
const ERRORS_MAX: u32 = 100;

struct Session<'a> {
    config: &'a Config,
    owner: &'a Owner,
    scripts: Scripts,
    wire: Wire,
    input: Input,
    errors: u32,
}

type Flow = Result<bool, Failure>;

fn io(e: std::io::Error) -> Failure {
    Failure::io("conversation", &e)
}

/// Serves the scripts of `owner`, from the answer to the login on.
pub fn serve(config: Box<Config>, owner: Owner, handed: Option<Handed>) -> Result<Outcome, Failure> {
    let (config, owner, handed) = (&config, &owner, handed.unwrap_or_default());
    let mut input = Input::default();
    input.feed(&handed.input);
    let mut session =
        Session { config, owner, scripts: Scripts::of(&owner.home), wire: Wire::open().map_err(io)?, input, errors: 0 };
    log::info("login", None, &[("user", &owner.user), ("service", &"sieve")]);
    let sasl = handed.get("sasl").map(|data| [b"SASL ".to_vec(), quoted(data)].concat());
    session.send(&ok(sasl.as_deref(), "logged in"))?;
    session.run()?;
    Ok(Outcome::Done)
}

/// Included scripts: the user's and the administrator's; one that is not there yet may come later (RFC 6609 3.2).
struct Sources<'a> {
    config: &'a Config,
    scripts: &'a Scripts,
}

impl Library for Sources<'_> {
    fn enabled(&self, extension: &str) -> bool {
        let known = penny_sieve::EXTENSIONS.iter().find(|e| e.name == extension);
        let programs = extension.starts_with("vnd.dovecot.") && extension != "vnd.dovecot.testsuite";
        let events = extension == "imapsieve" && !self.config.imapd.imapsieve.is_empty();
        known.is_some_and(|e| !e.optional || events || (programs && self.config.deliver.sieve_programs.is_dir()))
    }

    fn script(&self, location: Location, name: &str) -> Option<Vec<u8>> {
        let text = match location {
            Location::Personal => self.scripts.read(name).ok(),
            Location::Global if valid_name(name) => {
                std::fs::read(self.config.paths.tables.join("sieve").join(format!("{name}.sieve"))).ok()
            }
            Location::Global => None,
        };
        text.or(Some(Vec::new()))
    }
}

impl Session<'_> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.wire.send(bytes).map_err(io)
    }

    fn answer(&mut self, bytes: &[u8]) -> Flow {
        self.send(bytes)?;
        Ok(true)
    }

    fn next(&mut self) -> Result<Option<Next>, Failure> {
        loop {
            // a little above the limit, so that QUOTA/MAXSIZE can be said of scripts near it without skipping
            if let Some(next) = self.input.next(self.config.sieved.max_script.0) {
                return Ok(Some(next));
            }
            let mut buffer = Vec::new();
            match self.wire.read(&mut buffer, Duration::from_secs(self.config.sieved.timeout.0)).map_err(io)? {
                Got::Octets(_) => self.input.feed(&buffer),
                Got::End => return Ok(None),
                Got::Timeout => {
                    self.send(&bye(None, "idle for too long"))?;
                    return Ok(None);
                }
            }
        }
    }

    fn run(&mut self) -> Result<(), Failure> {
        while let Some(next) = self.next()? {
            let go = match next {
                Next::Command(args) => match Command::parse(&args) {
                    Ok(command) => self.command(command)?,
                    Err(bad) => self.bad(bad.text())?,
                },
                Next::TooLarge => self.answer(&no(Some(b"QUOTA/MAXSIZE"), "the script is too large"))?,
                Next::Bad => self.bad("not understood")?,
            };
            if !go {
                break;
            }
        }
        self.wire.flush().map_err(io)
    }

    fn bad(&mut self, text: &str) -> Flow {
        self.errors += 1;
        self.send(&no(None, text))?;
        Ok(self.errors <= ERRORS_MAX)
    }

    fn command(&mut self, command: Command) -> Flow {
        match command {
            Command::Logout => {
                self.send(&ok(None, "bye"))?;
                Ok(false)
            }
            Command::Capability => {
                let all = capabilities(self.config, &[], false, Some(&self.owner.user));
                self.send(&all)?;
                self.answer(&ok(None, ""))
            }
            Command::Noop(tag) => {
                let text = noop(tag.as_deref());
                self.answer(&text)
            }
            Command::HaveSpace(name, size) => self.have_space(&name, size),
            Command::PutScript(name, text) => self.put(&name, &text),
            Command::CheckScript(text) => match self.check("script", &text) {
                Ok(()) => self.answer(&ok(None, "")),
                Err(errors) => self.answer(&no(None, &errors)),
            },
            Command::ListScripts => self.list(),
            Command::GetScript(name) => self.get(&name),
            Command::SetActive(name) => self.set_active(&name),
            Command::DeleteScript(name) => self.delete(&name),
            Command::RenameScript(old, new) => self.rename(&old, &new),
            Command::StartTls => self.answer(&no(None, "too late for TLS")),
            Command::Authenticate(..) => self.answer(&no(None, "you are logged in")),
            Command::Unauthenticate => self.answer(&no(None, "not offered")),
        }
    }

    /// What goes wrong with files.
    fn trouble(&mut self, e: &std::io::Error) -> Flow {
        let answer = match e.kind() {
            ErrorKind::NotFound => no(Some(b"NONEXISTENT"), "no such script"),
            ErrorKind::AlreadyExists => no(Some(b"ALREADYEXISTS"), "there is a script of that name"),
            ErrorKind::InvalidInput => no(None, "that cannot be the name of a script"),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => no(Some(b"QUOTA"), "no space left"),
            _ => {
                log::warning("scripts", None, &[("user", &self.owner.user), ("why", e)]);
                no(Some(b"TRYLATER"), "temporary failure")
            }
        };
        self.answer(&answer)
    }

    /// Why a script of that name and size cannot be stored; the code and a text.
    fn refusal(&self, name: &str, size: u64) -> std::io::Result<Option<(&'static [u8], &'static str)>> {
        if size > self.config.sieved.max_script.0 {
            return Ok(Some((b"QUOTA/MAXSIZE", "the script is too large")));
        }
        let all = self.scripts.list()?;
        let limit = usize::try_from(self.config.sieved.max_scripts).unwrap_or(usize::MAX);
        if !all.iter().any(|n| n == name) && all.len() >= limit {
            return Ok(Some((b"QUOTA/MAXSCRIPTS", "too many scripts")));
        }
        Ok(None)
    }

    fn have_space(&mut self, name: &str, size: u64) -> Flow {
        if !valid_name(name) {
            return self.answer(&no(None, "that cannot be the name of a script"));
        }
        match self.refusal(name, size) {
            Ok(None) => self.answer(&ok(None, "")),
            Ok(Some((code, text))) => self.answer(&no(Some(code), text)),
            Err(e) => self.trouble(&e),
        }
    }

    fn check(&self, name: &str, text: &[u8]) -> Result<(), String> {
        let sources = Sources { config: self.config, scripts: &self.scripts };
        let lines = |errors: Vec<penny_sieve::Error>| {
            errors
                .iter()
                .map(|e| format!("line {}, column {}: {}", e.pos.line, e.pos.column, e.text))
                .collect::<Vec<_>>()
                .join("\r\n")
        };
        penny_sieve::compile(name, text, &sources).map(drop).map_err(lines)
    }

    /// RFC 5804 2.6.
    fn put(&mut self, name: &str, text: &[u8]) -> Flow {
        if !valid_name(name) {
            return self.answer(&no(None, "that cannot be the name of a script"));
        }
        match self.refusal(name, text.len() as u64) {
            Ok(None) => {}
            Ok(Some((code, text))) => return self.answer(&no(Some(code), text)),
            Err(e) => return self.trouble(&e),
        }
        if let Err(errors) = self.check(name, text) {
            return self.answer(&no(None, &errors));
        }
        match self.scripts.write(name, text) {
            Ok(()) => {
                log::info("script", None, &[("user", &self.owner.user), ("put", &name), ("size", &text.len())]);
                self.answer(&ok(None, ""))
            }
            Err(e) => self.trouble(&e),
        }
    }

    fn list(&mut self) -> Flow {
        let both = self.scripts.list().and_then(|list| Ok((list, self.scripts.active()?)));
        let (list, active) = match both {
            Ok(both) => both,
            Err(e) => return self.trouble(&e),
        };
        for name in list {
            let mut line = penny_managesieve::string(name.as_bytes());
            if active.as_deref() == Some(name.as_str()) {
                line.extend_from_slice(b" ACTIVE");
            }
            line.extend_from_slice(b"\r\n");
            self.send(&line)?;
        }
        self.answer(&ok(None, ""))
    }

    fn get(&mut self, name: &str) -> Flow {
        match self.scripts.read(name) {
            Ok(text) => {
                let mut out = literal(&text);
                out.extend_from_slice(b"\r\n");
                self.send(&out)?;
                self.answer(&ok(None, ""))
            }
            Err(e) => self.trouble(&e),
        }
    }

    /// RFC 5804 2.8.
    fn set_active(&mut self, name: &str) -> Flow {
        if name.is_empty() {
            return match self.scripts.activate(None) {
                Ok(()) => self.answer(&ok(None, "")),
                Err(e) => self.trouble(&e),
            };
        }
        let text = match self.scripts.read(name) {
            Ok(text) => text,
            Err(e) => return self.trouble(&e),
        };
        // put there by another way it may never have been checked
        if let Err(errors) = self.check(name, &text) {
            return self.answer(&no(None, &errors));
        }
        match self.scripts.activate(Some(name)) {
            Ok(()) => {
                log::info("script", None, &[("user", &self.owner.user), ("active", &name)]);
                self.answer(&ok(None, ""))
            }
            Err(e) => self.trouble(&e),
        }
    }

    /// RFC 5804 2.10.
    fn delete(&mut self, name: &str) -> Flow {
        match self.scripts.active() {
            Ok(active) if active.as_deref() == Some(name) => {
                self.answer(&no(Some(b"ACTIVE"), "the active script cannot be removed"))
            }
            Ok(_) => match self.scripts.remove(name) {
                Ok(()) => self.answer(&ok(None, "")),
                Err(e) => self.trouble(&e),
            },
            Err(e) => self.trouble(&e),
        }
    }

    fn rename(&mut self, old: &str, new: &str) -> Flow {
        match self.scripts.rename(old, new) {
            Ok(()) => self.answer(&ok(None, "")),
            Err(e) => self.trouble(&e),
        }
    }
}
