//! The session: the user's INBOX as a maildrop.
//!
//! Standards   RFC 1939 4 to 6, RFC 6856
//! Invariants  1. the maildrop is that of the start, whatever arrives meanwhile   2. nothing is removed but at QUIT: a broken connection, a
//!             time-out or a kill leaves all as it was   3. one session at a time (lock)
//! Trust       input hostile; the mailbox is the user's

use std::time::Duration;

use penny_base::services::{Handed, lookup};
use penny_base::wire::{Got, Wire};
use penny_base::{Config, Failure, Outcome, Owner, log};
use penny_maildir::mailbox::{FlagOp, FlagSet, Mailbox, Mode};
use penny_maildir::{Flags, FolderName, Limits, Quota, Store, StoreOptions};
use penny_pop3::{Capabilities, Command, Expire, Input, LINE_MAX, Line, Maildrop, err, ok};

use crate::lang;
use crate::lock;
use crate::retrieve;
use crate::uidl::{self, Parts};

/// Unknown or malformed commands in one session.
const ERRORS_MAX: u32 = 100;

pub struct Session {
    wire: Wire,
    input: Input,
    /// Messages are read through it.
    chunk: Vec<u8>,
    limit: Duration,
    mailbox: Mailbox,
    /// By position of the maildrop.
    uids: Vec<u32>,
    maildrop: Maildrop,
    utf8: bool,
    lang: Option<String>,
    user: String,
    config: Config,
    /// Something was removed: lookup has to be told.
    usage_changed: bool,
}

type Flow = Result<bool, Failure>;

fn io(e: std::io::Error) -> Failure {
    Failure::io("conversation", &e)
}

fn store(e: penny_maildir::Error) -> Failure {
    Failure::temporary("4.3.0", "mailbox trouble").with_detail(e.to_string())
}

/// Serves the mailbox of `owner`, from the answer to the login on.
pub fn serve(config: Box<Config>, owner: Owner, handed: Option<Handed>) -> Result<Outcome, Failure> {
    let (config, owner) = (&*config, &owner);
    // by hand nothing is handed over: a fresh conversation of the caller's own mailbox
    let handed = handed.unwrap_or_default();
    let mut wire = Wire::open().map_err(io)?;
    let opened = open(config, owner).unwrap_or_else(|failure| {
        log::warning("mailbox", None, &[("user", &owner.user), ("why", &failure)]);
        Err(("SYS/TEMP", "the mailbox is not available now"))
    });
    let (mailbox, _lock) = match opened {
        Ok(both) => both,
        Err((code, text)) => {
            wire.send(&err(Some(code), text)).and_then(|()| wire.flush()).map_err(io)?;
            return Ok(Outcome::Done);
        }
    };
    let mut session = begin(config, owner, wire, mailbox, &handed)?;
    let (count, octets) = session.maildrop.stat();
    log::info("login", None, &[("user", &owner.user), ("service", &"pop3"), ("messages", &count)]);
    session.send(&ok(&format!("{count} messages, {octets} octets")))?;
    session.run()?;
    if session.usage_changed {
        session.wire.flush().map_err(io)?;
        report_usage(config, &owner.user, session.mailbox.quota());
    }
    Ok(Outcome::Done)
}

/// Tells lookup the usage, so that smtpd knows at RCPT time.
fn report_usage(config: &Config, user: &str, quota: &Quota) {
    if let (true, Ok((usage, _))) = (quota.is_active(), quota.usage()) {
        lookup::report_usage(config, user, usage.storage, usage.messages);
    }
}

/// The mailbox and its lock; or the code and words of the answer to the login.
type Opened = Result<(Mailbox, penny_sys::fs::Locked), (&'static str, &'static str)>;

fn open(config: &Config, owner: &Owner) -> Result<Opened, Failure> {
    let (storage, messages) = owner.quota(config);
    let limits = Limits { storage, messages };
    let options = StoreOptions { limits: (!limits.is_unlimited()).then_some(limits), ..StoreOptions::default() };
    let tree = Store::open_or_create(&owner.maildir, options).map_err(store)?;
    let delay = Duration::from_secs(config.pop3d.login_delay.0);
    let failed = |e: std::io::Error| Failure::io("lock", &e);
    let lock = match lock::take(&owner.maildir, delay).map_err(failed)? {
        Ok(lock) => lock,
        Err(refused) => return Ok(Err(refused.answer())),
    };
    let mut mailbox = tree.mailbox(&FolderName::inbox(), Mode::ReadWrite).map_err(store)?;
    mailbox.complete_sizes().map_err(store)?;
    if !delay.is_zero() {
        lock::note_login(&lock).map_err(failed)?;
    }
    Ok(Ok((mailbox, lock)))
}

/// Numbers the messages: by UID, those with a remembered POP3 order (Dovecot's O) first among themselves by it.
fn begin(
    config: &Config,
    owner: &Owner,
    wire: Wire,
    mut mailbox: Mailbox,
    handed: &Handed,
) -> Result<Session, Failure> {
    let extras = mailbox.extras().map_err(store)?;
    let validity = mailbox.status().uidvalidity;
    let mut list: Vec<(u32, u32, u64)> = Vec::new();
    let all: Vec<_> = mailbox.messages().collect();
    for message in all {
        let size = match message.virtual_size {
            Some(size) => size,
            None => mailbox.virtual_size(message.uid).map_err(store)?,
        };
        let order = extras.get(&message.uid).and_then(|e| e.pop3_order).unwrap_or(u32::MAX);
        list.push((order, message.uid, size));
    }
    list.sort_unstable();
    let unique = |uid: u32| {
        let given = extras.get(&uid).and_then(|e| e.pop3_uidl.clone());
        given.unwrap_or_else(|| unique_id(config, &mailbox, uid, validity))
    };
    let maildrop = Maildrop::new(list.iter().map(|(_, uid, size)| (*size, unique(*uid))));
    let mut input = Input::default();
    input.feed(&handed.input);
    Ok(Session {
        wire,
        input,
        chunk: Vec::new(),
        limit: Duration::from_secs(config.pop3d.timeout.0),
        uids: list.iter().map(|(_, uid, _)| *uid).collect(),
        maildrop,
        mailbox,
        utf8: handed.get("utf8").is_some(),
        lang: handed.get("lang").map(str::to_owned),
        user: owner.user.clone(),
        config: config.clone(),
        usage_changed: false,
    })
}

/// The id that the configuration asks for, where the uidlist has none of another server.
fn unique_id(config: &Config, mailbox: &Mailbox, uid: u32, validity: u32) -> String {
    let name = || {
        let name = mailbox.base_name(uid).unwrap_or_default();
        String::from_utf8_lossy(&name).split(',').next().unwrap_or_default().to_owned()
    };
    uidl::unique_id(&config.pop3d.uidl, &Parts { uid, validity, name: &name })
}

impl Session {
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.wire.send(bytes).map_err(io)
    }

    fn answer(&mut self, bytes: &[u8]) -> Flow {
        self.send(bytes)?;
        Ok(true)
    }

    fn line(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            if let Some(line) = self.input.line(LINE_MAX) {
                return Ok(Some(line));
            }
            self.mailbox.release().map_err(store)?;
            let mut buffer = Vec::new();
            match self.wire.read(&mut buffer, self.limit).map_err(io)? {
                Got::Octets(_) => self.input.feed(&buffer),
                // RFC 1939 3: the session ends without removing anything
                Got::End | Got::Timeout => return Ok(None),
            }
        }
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut errors = 0;
        while let Some(line) = self.line()? {
            let parsed = match line {
                Line::Text(text) => Command::parse(&text).map_err(penny_pop3::Bad::text),
                Line::TooLong => Err("line too long"),
            };
            let go = match parsed {
                Ok(command) => self.command(command)?,
                Err(text) => {
                    errors += 1;
                    self.send(&err(None, text))?;
                    errors <= ERRORS_MAX
                }
            };
            if !go {
                break;
            }
        }
        self.wire.flush().map_err(io)
    }

    fn command(&mut self, command: Command) -> Flow {
        match command {
            Command::Stat => {
                let (count, octets) = self.maildrop.stat();
                self.answer(&ok(&format!("{count} {octets}")))
            }
            Command::List(number) => self.list(number, |m| m.size.to_string()),
            Command::Uidl(number) => self.list(number, |m| m.unique_id.clone()),
            Command::Retr(number) => retrieve::retr(self, number),
            Command::Top(number, lines) => retrieve::top(self, number, lines),
            Command::Dele(number) => match self.maildrop.mark(number) {
                Ok(()) => self.answer(&ok(&format!("message {number} will go at QUIT"))),
                Err(_) => self.no_such(),
            },
            Command::Rset => {
                self.maildrop.reset();
                self.answer(&ok("nothing will go"))
            }
            Command::Noop => self.answer(&ok("")),
            Command::Quit => self.quit(),
            Command::Capa => self.answer(&self.capabilities().answer()),
            Command::Lang(tag) => {
                let text = lang::command(tag.as_deref(), &mut self.lang);
                self.answer(&text)
            }
            // RFC 6856 2: only before the login
            Command::Utf8 => self.answer(&err(None, if self.utf8 { "UTF-8 mode is on" } else { "too late for UTF8" })),
            _ => self.answer(&err(None, "you are logged in")),
        }
    }

    pub fn no_such(&mut self) -> Flow {
        self.answer(&err(None, "no such message"))
    }

    fn list(&mut self, number: Option<u32>, show: impl Fn(&penny_pop3::Message) -> String) -> Flow {
        let Some(number) = number else {
            let lines: Vec<String> = self.maildrop.visible().map(|(n, m)| format!("{n} {}", show(m))).collect();
            return self.answer(&penny_pop3::listing("list follows", lines));
        };
        match self.maildrop.message(number) {
            Ok(message) => {
                let text = format!("{number} {}", show(message));
                self.answer(&ok(&text))
            }
            Err(_) => self.no_such(),
        }
    }

    /// The position and UID of a message.
    pub fn find(&self, number: u32) -> Option<(usize, u32)> {
        let at = self.maildrop.position(number).ok()?;
        Some((at, *self.uids.get(at)?))
    }

    /// How long the administrator lets mail stay in INBOX, if lookup can be asked.
    fn expire(&self) -> Option<Expire> {
        let days = lookup::retention(&self.config, &self.user, "INBOX").ok()?;
        Some(days.map_or(Expire::Never, Expire::Days))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            login_delay: self.config.pop3d.login_delay.0,
            expire: self.expire(),
            implementation: Some(format!("pennypost-{}", env!("CARGO_PKG_VERSION"))),
            ..Capabilities::default()
        }
    }

    /// The connection, and room for a piece of a message.
    pub fn wire_and_chunk(&mut self) -> (&mut Wire, &mut Vec<u8>) {
        (&mut self.wire, &mut self.chunk)
    }

    pub fn mailbox(&mut self) -> &mut Mailbox {
        &mut self.mailbox
    }

    pub fn saw(&mut self, position: usize) {
        self.maildrop.saw(position);
    }

    /// RFC 1939 6: UPDATE. What is marked goes, what was read is seen; only then the answer.
    fn quit(&mut self) -> Flow {
        let at = |positions: Vec<usize>, uids: &[u32]| -> Vec<u32> {
            positions.into_iter().filter_map(|p| uids.get(p).copied()).collect()
        };
        let marked = at(self.maildrop.marked(), &self.uids);
        let seen = at(self.maildrop.seen(), &self.uids);
        let set = FlagSet { flags: Flags::SEEN, keywords: Vec::new() };
        let flagged =
            if seen.is_empty() { Ok(()) } else { self.mailbox.store(&seen, FlagOp::Add, &set, None).map(drop) };
        if let Err(e) = flagged {
            log::warning("flags", None, &[("user", &self.user), ("why", &e)]);
        }
        let removed = if marked.is_empty() { Ok(Vec::new()) } else { self.mailbox.remove(&marked) };
        match removed {
            Ok(gone) => {
                self.usage_changed = !gone.is_empty();
                log::info("logout", None, &[("user", &self.user), ("removed", &gone.len())]);
                self.send(&ok("bye"))?;
            }
            Err(e) => {
                log::warning("remove", None, &[("user", &self.user), ("why", &e)]);
                // RFC 1939 6: some deleted messages not removed
                self.send(&err(Some("SYS/TEMP"), "some messages were not removed"))?;
            }
        }
        Ok(false)
    }
}
