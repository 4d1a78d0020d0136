//! Client of `spawn`: asks it to start a program of its table as somebody else. See spawn(8).
//!
//! Format      one packet each way; fields separated by NUL (no value may hold one)
//! Invariants  the client names a program of the table, never a path; a session's user comes from the grant that
//!             checkauth gave on this very connection, never from the client

use crate::Config;
use penny_sys::process::Ended;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Largest packet, octets.
pub const PACKET_MAX: usize = 64 * 1024;

/// Environment variable that names an inherited connection.
pub const FD_VARIABLE: &str = "PENNYPOST_SPAWN_FD";

/// A program to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Name in spawn's table: `deliver`, `remote`, `checkauth`, `filter:NAME`, `session:imapd` ...
    pub program: String,
    /// Owner to become, where the table leaves it to the client.
    pub id: Option<penny_sys::ids::Id>,
    /// The user's name, where a program acts for one (groups, and what smtpd's deliveries are checked against).
    pub user: String,
    /// Reopen descriptor 0 read-only at its start.
    pub reopen_stdin: bool,
    /// Kill the program and its children after this many seconds; 0 is never.
    pub time_limit: u32,
    /// Nobody waits for its end; it outlives the connection.
    pub detached: bool,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment, `NAME=value`.
    pub environment: Vec<String>,
}

impl Request {
    /// A request for `program` with nothing else set.
    pub fn new(program: impl Into<String>) -> Request {
        Request { program: program.into(), ..Request::default() }
    }

    /// Adds one variable.
    pub fn env(mut self, name: &str, value: &str) -> Request {
        self.environment.push(format!("{name}={value}"));
        self
    }

    /// The packet.
    pub fn encode(&self, id: u32) -> io::Result<Vec<u8>> {
        let owner = self.id.map_or("-".into(), |i| format!("{}:{}", i.uid, i.gid));
        let mut flags = String::new();
        if self.reopen_stdin {
            flags.push('R');
        }
        if self.detached {
            flags.push('D');
        }
        let mut fields = vec!["run".into(), id.to_string(), self.program.clone(), owner, self.user.clone(), flags];
        fields.push(self.time_limit.to_string());
        fields.push(self.args.len().to_string());
        fields.extend(self.args.iter().cloned());
        fields.extend(self.environment.iter().cloned());
        if fields.iter().any(|f| f.contains('\0')) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "NUL in a request"));
        }
        let packet = fields.join("\0").into_bytes();
        if packet.len() > PACKET_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "request is too large"));
        }
        Ok(packet)
    }

    /// Takes a packet apart: the client's number and the request. `None` when it is malformed.
    pub fn decode(packet: &[u8]) -> Option<(u32, Request)> {
        let text = std::str::from_utf8(packet).ok()?;
        let mut f = text.split('\0');
        if f.next()? != "run" {
            return None;
        }
        let number = f.next()?.parse().ok()?;
        let program = f.next()?.to_string();
        let id = match f.next()? {
            "-" => None,
            owner => {
                let (uid, gid) = owner.split_once(':')?;
                Some(penny_sys::ids::Id { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
            }
        };
        let user = f.next()?.to_string();
        let flags = f.next()?;
        let time_limit = f.next()?.parse().ok()?;
        let count: usize = f.next()?.parse().ok()?;
        let args: Vec<String> = f.by_ref().take(count).map(String::from).collect();
        if args.len() != count {
            return None;
        }
        let environment = f.map(String::from).collect();
        let (reopen_stdin, detached) = (flags.contains('R'), flags.contains('D'));
        Some((number, Request { program, id, user, reopen_stdin, time_limit, detached, args, environment }))
    }
}

/// What spawn tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The program runs.
    Started {
        /// Number of the request.
        id: u32,
        /// Process id.
        pid: i32,
    },
    /// The program ended.
    Ended {
        /// Number of the request.
        id: u32,
        /// How.
        how: Ended,
    },
    /// The table forbids it, or the start failed.
    Refused {
        /// Number of the request.
        id: u32,
        /// Why.
        reason: String,
    },
}

impl Event {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Event::Started { id, pid } => format!("started\0{id}\0{pid}"),
            Event::Ended { id, how: Ended::Code(c) } => format!("exit\0{id}\0{c}"),
            Event::Ended { id, how: Ended::Signal(s) } => format!("exit\0{id}\0-{s}"),
            Event::Refused { id, reason } => format!("refused\0{id}\0{}", reason.replace('\0', " ")),
        }
        .into_bytes()
    }

    /// Takes a packet apart.
    pub fn decode(packet: &[u8]) -> Option<Event> {
        let text = std::str::from_utf8(packet).ok()?;
        let mut f = text.splitn(3, '\0');
        let word = f.next()?;
        let id = f.next()?.parse().ok()?;
        let rest = f.next()?;
        Some(match word {
            "started" => Event::Started { id, pid: rest.parse().ok()? },
            "exit" => {
                let n: i32 = rest.parse().ok()?;
                Event::Ended { id, how: if rest.starts_with('-') { Ended::Signal(-n) } else { Ended::Code(n) } }
            }
            "refused" => Event::Refused { id, reason: rest.into() },
            _ => return None,
        })
    }
}

/// A connection to spawn.
#[derive(Debug)]
pub struct Spawn {
    socket: OwnedFd,
    next: u32,
    waiting: std::collections::VecDeque<Event>,
}

impl Spawn {
    /// Connects: the inherited descriptor (PENNYPOST_SPAWN_FD), else the socket.
    pub fn connect(config: &Config) -> io::Result<Spawn> {
        if let Some(n) = std::env::var(FD_VARIABLE).ok().and_then(|v| v.parse().ok()) {
            return Ok(Spawn::over(penny_sys::net::inherited(n)?));
        }
        penny_sys::net::connect_packets(&config.socket("spawn")).map(Spawn::over)
    }

    /// Uses an open connection.
    pub fn over(socket: OwnedFd) -> Spawn {
        Spawn { socket, next: 1, waiting: std::collections::VecDeque::new() }
    }

    /// The connection, to wait on.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends a request; the descriptors become 0, 1, 2 ... of the program. Returns the request's number.
    pub fn start(&mut self, request: &Request, fds: &[BorrowedFd<'_>]) -> io::Result<u32> {
        let id = self.next;
        self.next = self.next.wrapping_add(1).max(1);
        penny_sys::fdpass::send(self.socket.as_fd(), &request.encode(id)?, fds)?;
        Ok(id)
    }

    /// Asks for a program and its children to be killed.
    pub fn kill(&mut self, id: u32) -> io::Result<()> {
        penny_sys::fdpass::send(self.socket.as_fd(), format!("kill\0{id}").as_bytes(), &[]).map(|_| ())
    }

    /// Waits for the next event.
    pub fn event(&mut self) -> io::Result<Event> {
        match self.waiting.pop_front() {
            Some(e) => Ok(e),
            None => self.receive(),
        }
    }

    /// Takes the next event if there is one now, for callers that wait on several things.
    pub fn event_now(&mut self) -> io::Result<Option<Event>> {
        if let Some(e) = self.waiting.pop_front() {
            return Ok(Some(e));
        }
        let mut buffer = [0u8; 4096];
        match penny_sys::fdpass::receive_now(self.socket.as_fd(), &mut buffer) {
            Ok((n, _)) => Spawn::understand(&buffer, n).map(Some),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn receive(&mut self) -> io::Result<Event> {
        let mut buffer = [0u8; 4096];
        let (n, _) = penny_sys::fdpass::receive(self.socket.as_fd(), &mut buffer)?;
        Spawn::understand(&buffer, n)
    }

    fn understand(buffer: &[u8], n: usize) -> io::Result<Event> {
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "spawn is gone"));
        }
        let event = Event::decode(buffer.get(..n).unwrap_or(&[]));
        event.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "odd packet from spawn"))
    }

    /// Waits until the request's program has started; its end comes later through [`Spawn::wait`].
    pub fn started(&mut self, id: u32) -> io::Result<()> {
        self.wait_for(id, |e| matches!(e, Event::Started { .. })).map(|_| ())
    }

    /// Waits for the end of the request's program.
    pub fn wait(&mut self, id: u32) -> io::Result<Ended> {
        match self.wait_for(id, |e| matches!(e, Event::Ended { .. }))? {
            Event::Ended { how, .. } => Ok(how),
            _ => Err(io::Error::other("odd packet from spawn")),
        }
    }

    fn wait_for(&mut self, wanted: u32, found: impl Fn(&Event) -> bool) -> io::Result<Event> {
        let number = |e: &Event| match e {
            Event::Started { id, .. } | Event::Ended { id, .. } | Event::Refused { id, .. } => *id,
        };
        let mut seen = std::mem::take(&mut self.waiting);
        loop {
            let event = match seen.pop_front() {
                Some(e) => e,
                None => self.receive()?,
            };
            match &event {
                Event::Refused { id, reason } if *id == wanted => {
                    self.waiting.append(&mut seen);
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason.clone()));
                }
                e if number(e) == wanted && found(e) => {
                    self.waiting.append(&mut seen);
                    return Ok(event);
                }
                Event::Started { id, .. } if *id == wanted => {}
                _ => self.waiting.push_back(event),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_events_come_back() {
        let mut r = Request::new("filter:spam").env("A", "b=c");
        r.args = vec!["x".into(), String::new()];
        r.reopen_stdin = true;
        r.time_limit = 9;
        r.id = Some(penny_sys::ids::Id { uid: 5, gid: 6 });
        assert_eq!(Request::decode(&r.encode(7).unwrap()).unwrap(), (7, r));
        for e in [
            Event::Started { id: 1, pid: 99 },
            Event::Ended { id: 2, how: Ended::Signal(9) },
            Event::Ended { id: 3, how: Ended::Code(0) },
            Event::Refused { id: 4, reason: "no".into() },
        ] {
            assert_eq!(Event::decode(&e.encode()).unwrap(), e);
        }
    }

    #[test]
    fn a_nul_cannot_make_a_second_field() {
        let r = Request::new("deliver").env("X", "a\0run");
        assert!(r.encode(1).is_err());
        assert!(Request::decode(b"run\0x").is_none());
    }

    #[test]
    fn waiting_keeps_events_of_others() {
        let (a, b) = penny_sys::net::packet_pair().unwrap();
        let mut spawn = Spawn::over(a);
        let one = spawn.start(&Request::new("a"), &[]).unwrap();
        let two = spawn.start(&Request::new("b"), &[]).unwrap();
        for e in [
            Event::Started { id: two, pid: 2 },
            Event::Ended { id: two, how: Ended::Code(2) },
            Event::Started { id: one, pid: 1 },
            Event::Ended { id: one, how: Ended::Code(1) },
        ] {
            penny_sys::fdpass::send(b.as_fd(), &e.encode(), &[]).unwrap();
        }
        assert_eq!(spawn.wait(one).unwrap(), Ended::Code(1));
        spawn.started(two).unwrap();
        assert_eq!(spawn.wait(two).unwrap(), Ended::Code(2));
    }
}
