//! A program in place of a table: resident, asked one line a question.
//!
//! Standard    Postfix tcp_table(5) on standard input and output: `get KEY`, answered by `200 VALUE`, `500 text` (no such
//!             key) or `400 text` (not now); `%`, white space and what is not ASCII stand as %XX
//! Invariants  1. an answer belongs to its question: a program that is late, odd or speaks unasked is ended with its
//!                children   2. nobody waits beyond the deadline   3. it is started when first asked; after a failure not
//!                before a back-off (1 s, doubling up to a minute, forgotten with the first answer)
//! Failures    `Unavailable`, with a line in the log for each that is not a back-off
//! Trust       a regular file with an x bit, of root or of our own uid, that nobody else may write

use crate::behind::{Source, Unavailable};
use penny_base::log;
use penny_sys::net;
use penny_sys::poll::{self, Interest};
use penny_sys::process::{self, Ended, Program as Child};
use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest answer, octets.
const ANSWER_MAX: usize = 1 << 20;
/// Shortest and longest wait before a program that failed is started again.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
const SIGKILL: i32 = 9;

/// A table file with an x bit is a program.
pub fn is_program(file: &Metadata) -> bool {
    file.is_file() && file.mode() & 0o111 != 0
}

/// Whether a program may be run as a table, and if not, why.
pub fn check(file: &Metadata) -> Result<(), String> {
    let own = penny_sys::ids::own_uid();
    if file.uid() != 0 && file.uid() != own {
        return Err(format!("a program of uid {}: it must belong to root or to uid {own}", file.uid()));
    }
    match file.mode() & 0o022 {
        0 => Ok(()),
        _ => Err("a program that others may write".into()),
    }
}

/// The program behind one table.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    name: String,
    config: PathBuf,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    wait: Duration,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Running {
    pid: i32,
    to: File,
    from: File,
    input: Vec<u8>,
    answered: bool,
}

/// Why an exchange failed.
enum Broken {
    /// The program is no longer of use.
    Ended(String),
    /// It said 400.
    NotNow(String),
}

impl From<io::Error> for Broken {
    fn from(e: io::Error) -> Broken {
        Broken::Ended(match e.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => "it ended".into(),
            ErrorKind::TimedOut => "no answer in time".into(),
            _ => e.to_string(),
        })
    }
}

impl Program {
    /// The program at `path` for the table `name`; it finds the table's name in TABLE and the configuration's file in
    /// PENNYPOST_CONFIG.
    pub fn new(path: &Path, name: &str, config: &Path) -> Program {
        let (path, name, config) = (path.to_path_buf(), name.to_owned(), config.to_path_buf());
        Program { path, name, config, state: RefCell::default() }
    }

    fn start(&self) -> io::Result<Running> {
        check(&std::fs::metadata(&self.path)?).map_err(|why| io::Error::new(ErrorKind::PermissionDenied, why))?;
        let (questions, to) = net::pipe()?;
        let (from, answers) = net::pipe()?;
        let errors = net::duplicate(io::stderr())?;
        let child = Child {
            descriptors: vec![questions.as_fd(), answers.as_fd(), errors.as_fd()],
            own_group: true,
            die_with_parent: true,
            ..Child::new(&self.path)
        };
        let child = child.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TABLE", &self.name);
        let pid = child.env("PENNYPOST_CONFIG", &self.config).start()?;
        log::info("table-program", None, &[("file", &self.path.display()), ("pid", &pid)]);
        net::set_nonblocking(to.as_fd(), true)?;
        net::set_nonblocking(from.as_fd(), true)?;
        Ok(Running { pid, to: to.into(), from: from.into(), input: Vec::new(), answered: false })
    }

    fn warn(&self, why: &str) {
        log::warning("table", None, &[("file", &self.path.display()), ("why", &why)]);
    }
}

impl State {
    /// A program that failed rests before it is started again.
    fn rest(&mut self) {
        self.wait = if self.wait.is_zero() { BACK_OFF.0 } else { (self.wait * 2).min(BACK_OFF.1) };
        self.not_before = Some(Instant::now() + self.wait);
    }
}

impl Source for Program {
    fn get(&self, key: &str, deadline: Instant) -> Result<Option<String>, Unavailable> {
        let mut state = self.state.borrow_mut();
        // one that ended between two questions (a database closed its connection) is no failure if it ever answered
        if let Some(gone) = state.running.take_if(|r| !r.is_quiet()) {
            if !gone.answered {
                state.rest();
            }
            self.warn(&format!("it ended or spoke unasked ({:?})", gone.end()));
        }
        if state.running.is_none() {
            if state.not_before.is_some_and(|t| Instant::now() < t) {
                return Err(Unavailable("the program failed and rests".into()));
            }
            match self.start() {
                Ok(running) => state.running = Some(running),
                Err(e) => {
                    state.rest();
                    self.warn(&e.to_string());
                    return Err(Unavailable(e.to_string()));
                }
            }
        }
        let Some(running) = state.running.as_mut() else { return Err(Unavailable("not started".into())) };
        match running.ask(key, deadline) {
            Ok(value) => {
                (state.wait, state.not_before) = (Duration::ZERO, None);
                Ok(value)
            }
            Err(Broken::NotNow(text)) => {
                self.warn(&format!("400 {text}"));
                Err(Unavailable(text))
            }
            Err(Broken::Ended(why)) => {
                let ended = state.running.take().map(Running::end);
                state.rest();
                self.warn(&format!("{why} ({ended:?})"));
                Err(Unavailable(why))
            }
        }
    }
}

impl Running {
    /// Nothing came unasked, the end neither.
    fn is_quiet(&self) -> bool {
        let ready = poll::wait(&[Interest::read(self.from.as_fd())], Some(Duration::ZERO));
        self.input.is_empty() && ready.is_ok_and(|r| r.first().is_some_and(|r| !r.read))
    }

    fn ask(&mut self, key: &str, deadline: Instant) -> Result<Option<String>, Broken> {
        self.send(format!("get {}\n", encode(key)).as_bytes(), deadline)?;
        let line = self.line(deadline)?;
        let answer = understand(&line);
        self.answered |= !matches!(answer, Err(Broken::Ended(_)));
        answer
    }

    fn send(&mut self, mut rest: &[u8], deadline: Instant) -> io::Result<()> {
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or(&[]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => wait(&self.to, true, deadline)?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn line(&mut self, deadline: Instant) -> io::Result<String> {
        let mut piece = [0; 4096];
        loop {
            if let Some(end) = self.input.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                let text = line.strip_suffix(b"\n").unwrap_or(&line);
                return Ok(String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned());
            }
            if self.input.len() > ANSWER_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "an answer without end"));
            }
            match self.from.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.input.extend_from_slice(piece.get(..n).unwrap_or(&[])),
                Err(e) if e.kind() == ErrorKind::WouldBlock => wait(&self.from, false, deadline)?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Ends it with its children, and tells how it ended.
    fn end(mut self) -> io::Result<Ended> {
        end(std::mem::take(&mut self.pid))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.pid != 0 {
            let _ = end(self.pid);
        }
    }
}

fn end(pid: i32) -> io::Result<Ended> {
    process::kill_group(pid, SIGKILL);
    process::wait(pid)
}

fn wait(file: &File, write: bool, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    poll::wait(&[Interest { fd: file.as_fd(), read: !write, write }], Some(left)).map(drop)
}

fn understand(line: &str) -> Result<Option<String>, Broken> {
    let (code, text) = line.split_once(' ').unwrap_or((line, ""));
    let text = decode(text);
    match code {
        "200" if text.contains(['\n', '\0']) => Err(Broken::NotNow("a value of several lines".into())),
        "200" => Ok(Some(text)),
        "500" => Ok(None),
        "400" => Err(Broken::NotNow(text)),
        _ => Err(Broken::Ended(format!("odd answer: {}", line.chars().take(80).collect::<String>()))),
    }
}

/// tcp_table(5): `%`, white space and non-printing characters as %XX.
pub fn encode(key: &str) -> String {
    let one = |b: u8| match b {
        b'!'..=b'~' if b != b'%' => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    key.bytes().map(one).collect()
}

/// Takes the %XX back; what is none stays, so that a plain `echo "200 $value"` does for values without `%`.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
