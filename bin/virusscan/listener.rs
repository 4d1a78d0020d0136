//! `--clamd-listener`: clamd's protocol on one connection, for Exim, rspamd, milters and clamdscan.
//!
//! Standards   clamd(8): `z` and `n` prefixes, PING VERSION VERSIONCOMMANDS INSTREAM FILDES SCAN CONTSCAN MULTISCAN
//!             ALLMATCHSCAN STATS RELOAD IDSESSION END
//! Invariants  1. one command buffer of 4 KiB   2. what cannot be scanned and what policy refuses is FOUND, under a name of
//!             its own, for the protocol has no third answer that callers treat as unsafe
//! Not here    SHUTDOWN: a connection ends by itself. SCAN needs --paths, for a confined process opens no file
//! Trust       the caller may send any bytes; who may connect is the socket's business

use crate::args::Options;
use crate::input::{self, Bytes, Signatures};
use crate::verdict::{self, Kind, Verdict};
use crate::{output, scan};
use anyhow::Result;
use penny_scan::policy::Action;
use penny_scan::scratch::Scratch;
use penny_scan::sig::Db;
use penny_scan::walk;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

const COMMAND_MAX: usize = 4096;
const COMMANDS: &str =
    "SCAN RELOAD PING CONTSCAN VERSIONCOMMANDS VERSION END MULTISCAN FILDES ALLMATCHSCAN INSTREAM STATS IDSESSION";

struct Session<'a> {
    o: &'a Options,
    db: Db<'a>,
    scratch: Scratch,
    fd: OwnedFd,
    waiting: Vec<u8>,
    passed: Vec<OwnedFd>,
    session: Option<u32>,
}

/// Serves one connection on standard input and output.
pub fn run(o: &Options) -> Result<u8> {
    let signatures = Signatures::open(o)?;
    let db = signatures.db()?;
    let scratch = input::scratch();
    if o.paths {
        input::confine_to_reading(o)?;
    } else {
        input::confine(o, &signatures, true)?;
    }
    let fd = io::stdin().as_fd().try_clone_to_owned()?;
    let mut s = Session { o, db, scratch, fd, waiting: Vec::new(), passed: Vec::new(), session: None };
    while let Some((command, end)) = s.command()? {
        if !s.answer(&command, end)? {
            break;
        }
    }
    Ok(0)
}

impl Session<'_> {
    /// Reads more, descriptors too where the connection can carry them.
    fn more(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; 64 << 10];
        let n = match penny_sys::fdpass::receive(self.fd.as_fd(), &mut buffer) {
            Ok((n, fds)) => {
                self.passed.extend(fds);
                n
            }
            Err(e) if e.raw_os_error() == Some(88) => File::from(self.fd.try_clone()?).read(&mut buffer)?, // ENOTSOCK
            Err(e) => return Err(e),
        };
        self.waiting.extend_from_slice(buffer.get(..n).unwrap_or_default());
        Ok(n > 0)
    }

    /// The next command and the octet that ends it and its answer.
    fn command(&mut self) -> io::Result<Option<(String, u8)>> {
        loop {
            let prefix = self.waiting.first().copied();
            let end = if prefix == Some(b'z') { 0 } else { b'\n' };
            if let Some(len) = self.waiting.iter().position(|c| *c == end) {
                let line: Vec<u8> = self.waiting.drain(..=len).collect();
                let text = String::from_utf8_lossy(line.get(..len).unwrap_or_default()).into_owned();
                let text = text.strip_prefix(['z', 'n']).map(str::to_owned).unwrap_or(text);
                return Ok(Some((text.trim_end_matches('\r').to_owned(), end)));
            }
            if self.waiting.len() > COMMAND_MAX || !self.more()? {
                return Ok(None);
            }
        }
    }

    fn reply(&mut self, text: &str, end: u8) -> Result<()> {
        let number = self.session.map(|n| format!("{n}: ")).unwrap_or_default();
        let mut out = io::stdout().lock();
        out.write_all(number.as_bytes())?;
        out.write_all(text.as_bytes())?;
        out.write_all(&[end])?;
        out.flush()?;
        Ok(())
    }

    /// Answers one command; false ends the connection.
    fn answer(&mut self, command: &str, end: u8) -> Result<bool> {
        if let Some(n) = &mut self.session {
            *n += 1;
        }
        let (word, argument) = command.split_once(' ').unwrap_or((command, ""));
        match word {
            "PING" => self.reply("PONG", end)?,
            "VERSION" => self.reply(&version(), end)?,
            "VERSIONCOMMANDS" => self.reply(&format!("{}| COMMANDS: {COMMANDS}", version()), end)?,
            "STATS" => {
                self.reply("POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 1 idle 0 max 1\nQUEUE: 0 items\nEND", end)?
            }
            "RELOAD" => self.reply("RELOADING", end)?,
            "IDSESSION" => {
                self.session = Some(0);
                return Ok(true);
            }
            "END" => return Ok(false),
            "INSTREAM" => self.instream(end)?,
            "FILDES" => self.fildes(end)?,
            "SCAN" | "CONTSCAN" | "MULTISCAN" | "ALLMATCHSCAN" => self.path(argument, end)?,
            _ => self.reply("UNKNOWN COMMAND", end)?,
        }
        Ok(self.session.is_some())
    }

    /// Exactly `n` octets.
    fn octets(&mut self, n: usize) -> io::Result<Option<Vec<u8>>> {
        while self.waiting.len() < n {
            if !self.more()? {
                return Ok(None);
            }
        }
        Ok(Some(self.waiting.drain(..n).collect()))
    }

    fn instream(&mut self, end: u8) -> Result<()> {
        let mut filling = std::mem::take(&mut self.scratch);
        let mut object = filling.begin();
        let mut total = 0u64;
        loop {
            let Some(head) = self.octets(4)? else { anyhow::bail!("the stream ended early") };
            let n = head.first_chunk::<4>().map_or(0, |h| u32::from_be_bytes(*h)) as usize;
            total += n as u64;
            if n == 0 {
                break;
            }
            if total > self.o.limits.object {
                self.reply("INSTREAM size limit exceeded. ERROR", end)?;
                self.session = None;
                return Ok(());
            }
            let mut left = n;
            while left > 0 {
                let Some(piece) = self.octets(left.min(64 << 10))? else { anyhow::bail!("the stream ended early") };
                object.add(&piece)?;
                left -= piece.len();
            }
        }
        let content = object.finish()?;
        self.scratch = filling;
        let text = self.scan(&content, "stream");
        drop(content);
        self.scratch.release(0);
        self.reply(&text, end)
    }

    fn fildes(&mut self, end: u8) -> Result<()> {
        while self.passed.is_empty() && self.more()? {}
        // one octet comes with the descriptor
        if !self.waiting.is_empty() {
            self.waiting.remove(0);
        }
        let text = match self.passed.pop().map(File::from).map(|f| Bytes::of(&f)) {
            Some(Ok(bytes)) => self.scan(bytes.get(), "fd[3]"),
            Some(Err(e)) => format!("fd[3]: {e} ERROR"),
            None => "No file descriptor received. ERROR".to_owned(),
        };
        self.reply(&text, end)
    }

    fn path(&mut self, path: &str, end: u8) -> Result<()> {
        let shown = output::one_line(path);
        if !self.o.paths {
            return self.reply(&format!("{shown}: paths are not served, use INSTREAM or FILDES ERROR"), end);
        }
        let bytes = penny_sys::files::open_regular(std::path::Path::new(path)).and_then(|f| Bytes::of(&f));
        let text = match bytes {
            Ok(bytes) => self.scan(bytes.get(), &shown),
            Err(e) => format!("{shown}: {e} ERROR"),
        };
        self.reply(&text, end)
    }

    fn scan(&mut self, data: &[u8], what: &str) -> String {
        let options = scan::walk_options(self.o);
        let report = walk::walk(&self.db, &options, &mut self.scratch, data, &[]);
        format!("{what}: {}", word(&verdict::judge(&report, &options.policy)))
    }
}

fn version() -> String {
    format!("pennypost-virusscan {}/0/0", env!("CARGO_PKG_VERSION"))
}

/// clamd's words for a verdict.
fn word(v: &Verdict) -> String {
    match v.kind {
        Kind::Found => format!("{} FOUND", output::one_line(&v.name)),
        Kind::Policy => format!("Policy.{} FOUND", v.name),
        Kind::Unscannable if v.action > Action::Tag => format!("Heuristics.Unscannable.{} FOUND", v.name),
        Kind::Error => format!("{} ERROR", output::one_line(&v.reason)),
        Kind::Clean | Kind::Unscannable => "OK".to_owned(),
    }
}
