//! The control socket paths.run/qrun: requests of `qctl` and `mailq`, one line each, worked off in small portions.
//!
//! Format      request `verb TAB key=value TAB ... LF`; answer JSON lines, then `OK TAB count` or `ERR TAB text`.
//!             `cat` answers `OK TAB fd` with the entry's descriptor. See qrun(8)
//! Invariants  1. a request over 100,000 entries never stops the loop: it proceeds a portion a round
//!             2. hold, release and remove are on stable storage when `OK` is written
//! Trust       SO_PEERCRED: root and the queue's own uid may do all; others see what they sent, and change nothing

use crate::control_list::{Request, Sweep};
use crate::entry::Wanted;
use crate::runner::Runner;
use penny_base::{Config, log};
use penny_queue::Name;
use penny_queue::json::Object;
use penny_sys::poll::Interest;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Connections at a time.
const CLIENTS_MAX: usize = 50;
/// Longest request.
const REQUEST_MAX: usize = 64 << 10;
/// Output kept before a sweep waits for its reader.
const OUTPUT_MAX: usize = 256 << 10;

/// The listening socket and its clients.
#[derive(Debug)]
pub struct Control {
    listener: OwnedFd,
    clients: BTreeMap<u64, Client>,
    next: u64,
}

/// One connection.
#[derive(Debug)]
struct Client {
    stream: UnixStream,
    /// `None` for those who may do all.
    uid: Option<u32>,
    input: Vec<u8>,
    output: Vec<u8>,
    sweep: Option<Sweep>,
    /// Entries whose running deliveries have to end before the request is answered.
    awaited: Vec<u64>,
    done: Option<usize>,
}

impl Control {
    /// Listens; an old socket is replaced (the lock says that nobody else uses it).
    pub fn listen(config: &Config) -> io::Result<Control> {
        let listener = penny_sys::net::listen_stream(&config.socket("qrun"), 0o666)?;
        Ok(Control { listener, clients: BTreeMap::new(), next: 0 })
    }

    /// The listening socket.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// The connections and what they wait for.
    pub fn clients(&self) -> impl Iterator<Item = (u64, Interest<'_>)> {
        self.clients.iter().map(|(id, c)| {
            let busy = c.sweep.is_some() || c.done.is_some();
            (*id, Interest { fd: c.stream.as_fd(), read: !busy, write: !c.output.is_empty() })
        })
    }

    /// A sweep can go on without waiting for anything.
    pub fn has_work(&self) -> bool {
        self.clients.values().any(|c| c.sweep.is_some() && c.output.len() < OUTPUT_MAX)
    }
}

impl Runner {
    /// Takes a connection.
    pub fn control_accept(&mut self) {
        let Some(control) = self.control.as_mut() else { return };
        let Ok(fd) = penny_sys::net::accept(control.listener.as_fd()) else { return };
        let peer = penny_sys::net::peer(fd.as_fd());
        let stream = UnixStream::from(fd);
        if control.clients.len() >= CLIENTS_MAX || stream.set_nonblocking(true).is_err() {
            return;
        }
        let own = penny_sys::ids::own_uid();
        let uid = peer.map_or(Some(u32::MAX), |p| (p.uid != 0 && p.uid != own).then_some(p.uid));
        let client =
            Client { stream, uid, input: Vec::new(), output: Vec::new(), sweep: None, awaited: Vec::new(), done: None };
        control.clients.insert(control.next, client);
        control.next += 1;
    }

    /// A connection can be read or written.
    pub fn control_client(&mut self, id: u64) {
        let Some(client) = self.control.as_mut().and_then(|c| c.clients.get_mut(&id)) else { return };
        let alive = client.write().and_then(|()| client.read());
        match alive {
            Ok(Some(line)) => self.request(id, &line),
            Ok(None) => {}
            Err(_) => drop(self.control.as_mut().map(|c| c.clients.remove(&id))),
        }
    }

    fn request(&mut self, id: u64, line: &str) {
        let uid = self.control.as_ref().and_then(|c| c.clients.get(&id)).and_then(|c| c.uid);
        let answer = match Request::parse(line, uid) {
            Ok(request) if request.verb == "status" => {
                let text = self.status();
                self.reply(id, &format!("{text}\nOK\t1\n"));
                return;
            }
            Ok(request) if request.verb == "cat" => return self.cat(id, &request),
            Ok(request) => self.begin_sweep(request),
            Err(why) => Err(why),
        };
        let Some(client) = self.control.as_mut().and_then(|c| c.clients.get_mut(&id)) else { return };
        match answer {
            Ok(sweep) => client.sweep = Some(sweep),
            Err(why) => self.reply(id, &format!("ERR\t{}\n", penny_base::services::escape::escape(&why))),
        }
    }

    fn reply(&mut self, id: u64, text: &str) {
        if let Some(client) = self.control.as_mut().and_then(|c| c.clients.get_mut(&id)) {
            client.output.extend_from_slice(text.as_bytes());
            let _ = client.write(); // the rest, or the failure, comes with the next round
        }
    }

    /// Hands the entry itself over, read-only.
    fn cat(&mut self, id: u64, request: &Request) {
        let found = request.ids.first().and_then(|name| self.find_file(name));
        let Some(file) = found.filter(|_| request.uid.is_none()) else {
            return self.reply(id, "ERR\tno such entry\n");
        };
        if let Some(client) = self.control.as_mut().and_then(|c| c.clients.get_mut(&id)) {
            let _ = penny_sys::fdpass::send(client.stream.as_fd(), b"OK\tfd\n", &[file.as_fd()]);
        }
    }

    fn find_file(&self, name: &Name) -> Option<std::fs::File> {
        let q = &self.queue;
        let places = [q.cur_path(name, false), q.cur_path(name, true), q.new_path(name), q.dir("corrupt").join(name)];
        places.iter().find_map(|p| penny_sys::files::open_regular(p).ok())
    }

    /// One portion of each sweep, and the answers that have become due.
    pub fn pump_control(&mut self) {
        let Some(control) = self.control.as_mut() else { return };
        let ready = |c: &Client| c.sweep.is_some() && c.output.len() < OUTPUT_MAX;
        let mut sweeps = Vec::new();
        for (id, client) in control.clients.iter_mut().filter(|(_, c)| ready(c)) {
            sweeps.extend(client.sweep.take().map(|s| (*id, s)));
        }
        for (id, mut sweep) in sweeps {
            let over = self.proceed(&mut sweep);
            let text = std::mem::take(&mut sweep.output);
            self.reply(id, &text);
            let Some(client) = self.control.as_mut().and_then(|c| c.clients.get_mut(&id)) else { continue };
            client.awaited.append(&mut sweep.awaited);
            if over {
                client.done = Some(sweep.count);
            } else {
                client.sweep = Some(sweep);
            }
        }
        self.answer_done();
    }

    /// Answers requests whose last deliveries have ended, after a sync.
    fn answer_done(&mut self) {
        let Some(control) = self.control.as_mut() else { return };
        let entries = &self.entries;
        let mut over = Vec::new();
        for (id, client) in control.clients.iter_mut().filter(|(_, c)| c.done.is_some()) {
            client.awaited.retain(|slot| entries.get(slot).is_some_and(|e| e.wanted != Wanted::Nothing || e.reporting));
            if client.awaited.is_empty() {
                over.extend(client.done.take().map(|count| (*id, count)));
            }
        }
        if over.is_empty() {
            return;
        }
        self.pending.touch();
        self.sync_tick(true);
        for (id, count) in over {
            self.reply(id, &format!("OK\t{count}\n"));
        }
    }

    /// Numbers for `qctl top`.
    fn status(&self) -> String {
        let time = self.steady();
        let parked: usize = self.parked_names.len();
        let dests = self.plan.overview(time).into_iter().map(|(key, waiting, running, allowed, pause)| {
            let kind = match key {
                penny_queue::schedule::DestKey::Local(_) => "local",
                penny_queue::schedule::DestKey::Remote(_) => "remote",
            };
            Object::new()
                .text("kind", kind)
                .text("destination", key.text())
                .number("waiting", waiting as u64)
                .number("running", u64::from(running))
                .number("allowed", u64::from(allowed))
                .number("paused", pause.map_or(0, |until| until.saturating_sub(time)))
        });
        Object::new()
            .number("new", self.fresh.len() as u64)
            .number("active", self.entries.len() as u64)
            .number("parked", parked as u64)
            .number("waiting", self.waiting.len() as u64)
            .number("running", u64::from(self.plan.running()))
            .number("reports", self.children.count() as u64)
            .array("destinations", dests)
            .finish()
    }
}

impl Client {
    /// The next whole request; an end is an error.
    fn read(&mut self) -> io::Result<Option<String>> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = self.input.iter().position(|b| *b == b'\n') {
                let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
                self.input.drain(..=end);
                return Ok(Some(line));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.input.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            if self.input.len() > REQUEST_MAX {
                log::warning("control-odd", None, &[("octets", &self.input.len())]);
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(n) => drop(self.output.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
