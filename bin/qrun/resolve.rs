//! Questions to `lookup`, without waiting: sent at once, answered in order.
//!
//! A lookup that was restarted is asked again; one that stays away too long answers "not now" for itself. What it said
//! yes to is remembered for a second, which is as long as it takes its own tables as unchanged: under load the same
//! mailboxes come again and again.

use penny_base::services::escape::{join, split};
use penny_base::services::lookup::Answer;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long lookup may be away before its questions are answered with "not now".
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two tries to connect.
const RETRY: Duration = Duration::from_millis(500);
/// How long an answer is believed.
const REMEMBER: Duration = Duration::from_secs(1);
/// Answers remembered.
const REMEMBER_MAX: usize = 4096;
/// Longest answer in octets.
const ANSWER_MAX: usize = 4 << 20;

/// What is asked, and for whom.
#[derive(Debug, Clone)]
pub enum Question {
    /// What an address becomes.
    Expand {
        /// The entry.
        slot: u64,
        /// Index of the recipient.
        rcpt: u32,
        /// Its address.
        address: String,
    },
    /// Whose mailbox.
    User {
        /// The entry.
        slot: u64,
        /// The address.
        address: String,
    },
    /// Where a domain's mail goes.
    Route {
        /// The entry.
        slot: u64,
        /// The domain.
        domain: String,
        /// The sender's domain, which some routes ask for.
        from: String,
    },
    /// With which sender mail is forwarded.
    Sender {
        /// The entry.
        slot: u64,
        /// The sender.
        address: String,
    },
}

impl Question {
    fn line(&self) -> String {
        let mut line = match self {
            Question::Expand { address, .. } => join(&["expand", address]),
            Question::Sender { address, .. } => join(&["srs", address]),
            Question::User { address, .. } => join(&["user", address]),
            Question::Route { domain, from, .. } => join(&["route", domain, from]),
        };
        line.push('\n');
        line
    }
}

/// The connection with what is under way.
#[derive(Debug)]
pub struct Client {
    stream: Option<UnixStream>,
    out: Vec<u8>,
    input: Vec<u8>,
    pending: VecDeque<Question>,
    remembered: HashMap<String, (Instant, Vec<String>)>,
    known: Vec<(Question, Answer)>,
    away_since: Option<Instant>,
    next_try: Instant,
}

impl Client {
    /// A client that is not yet connected.
    pub fn new() -> Client {
        Client {
            stream: None,
            out: Vec::new(),
            input: Vec::new(),
            pending: VecDeque::new(),
            remembered: HashMap::new(),
            known: Vec::new(),
            away_since: None,
            next_try: Instant::now(),
        }
    }

    /// Asks.
    pub fn ask(&mut self, question: Question) {
        let line = question.line();
        if let Some((_, fields)) = self.remembered.get(&line).filter(|(at, _)| at.elapsed() < REMEMBER) {
            return self.known.push((question, Answer::Ok(fields.clone())));
        }
        self.out.extend_from_slice(line.as_bytes());
        self.pending.push_back(question);
    }

    fn remember(&mut self, answers: &[(Question, Answer)]) {
        if self.remembered.len() > REMEMBER_MAX {
            self.remembered.clear();
        }
        for (question, answer) in answers {
            if let Answer::Ok(fields) = answer {
                self.remembered.insert(question.line(), (Instant::now(), fields.clone()));
            }
        }
    }

    /// The connection, and whether there is something to send.
    pub fn fd(&self) -> Option<(BorrowedFd<'_>, bool)> {
        self.stream.as_ref().map(|s| (s.as_fd(), !self.out.is_empty()))
    }

    /// When something is to be done without a descriptor being ready.
    pub fn wake(&self) -> Option<Instant> {
        if !self.known.is_empty() {
            return Some(Instant::now());
        }
        (self.stream.is_none() && !self.pending.is_empty()).then_some(self.next_try)
    }

    /// Sends and receives what is possible now; gives the answers.
    pub fn pump(&mut self, connect: impl FnOnce() -> io::Result<UnixStream>) -> Vec<(Question, Answer)> {
        if self.stream.is_none() && !self.pending.is_empty() && Instant::now() >= self.next_try {
            self.connect(connect);
        }
        let mut answers = Vec::new();
        if self.exchange(&mut answers).is_err() {
            self.stream = None;
            self.input.clear();
            self.next_try = Instant::now();
        }
        self.remember(&answers);
        self.give_up(&mut answers);
        answers.append(&mut self.known);
        answers
    }

    fn connect(&mut self, connect: impl FnOnce() -> io::Result<UnixStream>) {
        match connect().and_then(|s| s.set_nonblocking(true).map(|()| s)) {
            Ok(stream) => {
                self.stream = Some(stream);
                self.away_since = None;
                // questions change nothing: those without an answer are simply asked again
                self.out = self.pending.iter().flat_map(|q| q.line().into_bytes()).collect();
            }
            Err(_) => {
                self.next_try = Instant::now() + RETRY;
                self.away_since.get_or_insert_with(Instant::now);
            }
        }
    }

    fn exchange(&mut self, answers: &mut Vec<(Question, Answer)>) -> io::Result<()> {
        let Some(stream) = self.stream.as_mut() else { return Ok(()) };
        while !self.out.is_empty() {
            match stream.write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let mut buffer = [0; 16 << 10];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.input.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.take_lines(answers)
    }

    fn take_lines(&mut self, answers: &mut Vec<(Question, Answer)>) -> io::Result<()> {
        let mut start = 0;
        while let Some(len) = self.input.get(start..).and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
            let line = String::from_utf8_lossy(&self.input[start..start + len]).into_owned();
            start += len + 1;
            match self.pending.pop_front() {
                Some(question) => answers.push((question, understand(&line))),
                None => return Err(ErrorKind::InvalidData.into()),
            }
        }
        self.input.drain(..start);
        if self.input.len() > ANSWER_MAX { Err(ErrorKind::InvalidData.into()) } else { Ok(()) }
    }

    fn give_up(&mut self, answers: &mut Vec<(Question, Answer)>) {
        if self.away_since.is_some_and(|since| since.elapsed() > PATIENCE) {
            self.away_since = None;
            self.out.clear();
            answers.extend(self.pending.drain(..).map(|q| (q, Answer::Temp("lookup does not answer".into()))));
        }
    }
}

fn understand(line: &str) -> Answer {
    let mut fields = split(line);
    let word = if fields.is_empty() { String::new() } else { fields.remove(0) };
    match word.as_str() {
        "OK" => Answer::Ok(fields),
        "NO" => Answer::No(fields),
        _ => Answer::Temp(fields.join(" ")),
    }
}
