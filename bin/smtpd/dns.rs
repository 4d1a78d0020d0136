//! DNS questions over sockets that were opened before the process confined itself, all at once, under one deadline.
//!
//! Standards   RFC 1035, 5452 9.1 (an answer must match id and question)
//! Invariants  1. no question outlives its deadline   2. an answer that did not come is None, never "no such name"
//! Not here    TCP: an answer that was cut short counts for what arrived; nothing asked here needs more

use penny_dns::wire::Message;
use penny_dns::{Data, Name, Settings, Type};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Time before a question is sent again, to the next server.
const RETRY: Duration = Duration::from_millis(1500);
/// Largest answer, octets.
const ANSWER_MAX: usize = 4096;

/// Connected sockets, one a resolver.
pub struct Dns {
    sockets: Vec<UdpSocket>,
}

/// Questions under way.
pub struct Asked {
    queries: Vec<Message>,
    answers: Vec<Option<Vec<Data>>>,
    sent: Instant,
    turn: usize,
    /// The only resolver is not there.
    dead: bool,
}

impl Dns {
    /// Opens a socket to each resolver; without any, every question stays unanswered.
    pub fn open(resolver: &str) -> Dns {
        let given = Some(resolver).filter(|r| !r.is_empty());
        let settings = Settings::choose(given).unwrap_or_else(|_| Settings::system());
        let connect = |server: std::net::SocketAddr| {
            let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
            let socket = UdpSocket::bind((any, 0)).ok()?;
            socket.connect(server).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        };
        Dns { sockets: settings.servers.into_iter().filter_map(connect).collect() }
    }

    /// Sends questions; the answers are fetched by [`Dns::collect`].
    pub fn ask(&self, questions: &[(Name, Type)]) -> Asked {
        let query = |(name, kind): &(Name, Type)| Message::query(penny_sys::random::u64() as u16, name, *kind, true);
        let queries: Vec<Message> = questions.iter().map(query).collect();
        let mut asked =
            Asked { answers: vec![None; queries.len()], queries, sent: Instant::now(), turn: 0, dead: false };
        self.send(&mut asked);
        asked
    }

    fn send(&self, asked: &mut Asked) {
        if let Some(socket) = self.sockets.get(asked.turn % self.sockets.len().max(1)) {
            for (query, answer) in asked.queries.iter().zip(&asked.answers) {
                if answer.is_none() {
                    let _ = socket.send(&query.encode()); // a lost question is sent again
                }
            }
        }
        asked.turn += 1;
        asked.sent = Instant::now();
    }

    /// Waits for the answers, at most until the deadline: the records of each question, None where nothing came.
    pub fn collect(&self, mut asked: Asked, deadline: Instant) -> Vec<Option<Vec<Data>>> {
        while asked.answers.iter().any(Option::is_none) && !self.sockets.is_empty() && !asked.dead {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            if now >= asked.sent + RETRY {
                self.send(&mut asked);
            }
            let until = deadline.min(asked.sent + RETRY);
            if !self.receive(&mut asked, until) {
                break;
            }
        }
        asked.answers
    }

    /// Reads what has come; false when no socket works any more.
    fn receive(&self, asked: &mut Asked, until: Instant) -> bool {
        let interests: Vec<_> = self.sockets.iter().map(|s| penny_sys::poll::Interest::read(s.as_fd())).collect();
        let left = until.saturating_duration_since(Instant::now());
        if penny_sys::poll::wait(&interests, Some(left)).is_err() {
            return false;
        }
        let mut buffer = [0; ANSWER_MAX];
        for socket in &self.sockets {
            loop {
                match socket.recv(&mut buffer) {
                    Ok(n) => asked.take(buffer.get(..n).unwrap_or_default()),
                    Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => asked.refused(&self.sockets),
                    Err(_) => break,
                }
            }
        }
        true
    }

    /// One question, waited for.
    pub fn one(&self, name: &Name, kind: Type, deadline: Instant) -> Option<Vec<Data>> {
        self.collect(self.ask(&[(name.clone(), kind)]), deadline).pop().flatten()
    }
}

impl Asked {
    fn take(&mut self, octets: &[u8]) {
        let Ok(answer) = Message::decode(octets) else { return };
        // 0 there are records or none, 3 there is no such name; all else is no answer (RFC 2308)
        if !matches!(answer.rcode, 0 | 3) {
            return;
        }
        if let Some(at) = self.queries.iter().position(|query| answer.answers_to(query)) {
            let kind = self.queries.get(at).map_or(0, |q| q.question.1);
            let data = answer.answers.into_iter().map(|r| r.data).filter(|d| d.kind().code() == kind).collect();
            if let Some(slot) = self.answers.get_mut(at) {
                *slot = Some(data);
            }
        }
    }

    /// Nobody listens there: with a single resolver there is nothing to wait for.
    fn refused(&mut self, sockets: &[UdpSocket]) {
        self.dead = sockets.len() == 1;
    }
}
