//! The service: one poll loop over the socket, its clients, the grant pipes and ended children.
//!
//! Invariants  1. a grant is bound to the connection whose checkauth gave it and is read before any later packet of
//!             that connection   2. a client that does not read its events is dropped, never waited for
//!             3. a program with a time limit is killed with its whole process group   4. at USR2 new clients go to a
//!             new process, those there are and what they started stay here

use crate::child;
use crate::table::Table;
use penny_base::handover::{Heir, Inheritance};
use penny_base::services::{Event, Request, lookup::User, spawn::PACKET_MAX};
use penny_base::warm::Kept;
use penny_base::{Config, Failure, Outcome, log, reload};
use penny_sys::poll::Interest;
use penny_sys::process::{self, Ended};
use penny_sys::signals::Signals;
use penny_sys::{fdpass, net};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGKILL, SIGTERM, SIGUSR2};
use std::collections::HashMap;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Time between the polite and the final signal.
const GRACE: Duration = Duration::from_secs(5);

/// Name of the listening socket in a handover.
const SOCKET: &str = "spawn";

/// Requests one client may have running.
const RUNNING_MAX: usize = 1000;

struct Client {
    socket: OwnedFd,
    uid: u32,
    grant: Option<User>,
}

struct Child {
    client: u64,
    request: u32,
    program: String,
    deadline: Option<Instant>,
    terminated: bool,
    detached: bool,
    dies_with_client: bool,
    session_of: Option<String>,
    grant: Option<OwnedFd>,
}

/// What can be done without waiting.
struct Work {
    chld: bool,
    term: bool,
    usr2: bool,
    hangup: bool,
    /// Those with something to read.
    clients: Vec<u64>,
    listener: bool,
}

/// The service's state.
pub struct Server {
    table: Table,
    listener: Option<OwnedFd>,
    clients: HashMap<u64, Client>,
    children: HashMap<i32, Child>,
    next_client: u64,
    /// Room for one request.
    packet: Vec<u8>,
    /// None for one conversation: nothing would be started twice.
    kept: Option<Kept>,
    chld: Signals,
    term: Signals,
    usr2: Signals,
    /// None for one conversation: SIGHUP ends it, as its terminal has gone.
    hangup: Option<Signals>,
    heir: Option<Heir>,
    closing: bool,
}

fn catch(signal: i32) -> Result<Signals, Failure> {
    Signals::catch(&[signal]).map_err(|e| Failure::io("signals", &e))
}

/// Serves paths.run/spawn until it is told to end.
pub fn resident(config: Config) -> Result<Outcome, Failure> {
    let path = config.socket("spawn");
    let mut server = Server::new(config)?;
    let mut inheritance = Inheritance::take().map_err(|e| Failure::io("handover", &e))?;
    let listener = inheritance.or_open(SOCKET, || net::listen_packets(&path, 0o666));
    server.listener = Some(listener.map_err(|e| Failure::io(path.display(), &e))?);
    server.hangup = Some(catch(SIGHUP)?);
    inheritance.ready();
    server.kept = server.table.config().top.waiting.then(Kept::default);
    log::info("ready", None, &[("socket", &path.display())]);
    server.run(&mut |_, _| false)?;
    Ok(Outcome::Done)
}

impl Server {
    pub fn new(config: Config) -> Result<Server, Failure> {
        Ok(Server {
            table: Table::new(config)?,
            listener: None,
            clients: HashMap::new(),
            children: HashMap::new(),
            next_client: 1,
            packet: vec![0; PACKET_MAX],
            kept: None,
            chld: catch(SIGCHLD)?,
            term: catch(SIGTERM)?,
            usr2: catch(SIGUSR2)?,
            hangup: None,
            heir: None,
            closing: false,
        })
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Adds a connected client.
    pub fn add(&mut self, socket: OwnedFd, uid: u32) {
        self.clients.insert(self.next_client, Client { socket, uid, grant: None });
        self.next_client += 1;
    }

    /// Runs until SIGTERM, or until `finished` says so: it sees each ended child that no client asked for, and the
    /// number of children left.
    pub fn run(&mut self, finished: &mut dyn FnMut(Option<(i32, Ended)>, usize) -> bool) -> Result<(), Failure> {
        loop {
            let ready = self.wait().map_err(|e| Failure::io("poll", &e))?;
            if ready.term && self.term.came() {
                self.end_all();
                return Ok(());
            }
            self.read_grants();
            if ready.chld && self.chld.came() {
                while let Some((pid, how)) = process::reap() {
                    if !self.ended(pid, how) {
                        finished(Some((pid, how)), self.children.len());
                    }
                }
            }
            for token in ready.clients {
                self.serve(token);
            }
            if ready.hangup {
                self.reload();
            }
            if ready.listener {
                self.accept();
            }
            self.enforce_deadlines();
            self.hand_over(ready.usr2);
            let left_alone = self.closing && self.clients.is_empty() && self.children.is_empty();
            if left_alone || finished(None, self.children.len()) {
                return Ok(());
            }
        }
    }

    /// Waits for something to do.
    fn wait(&self) -> io::Result<Work> {
        let signals = [&self.chld, &self.term, &self.usr2].into_iter().chain(&self.hangup);
        let mut interests: Vec<_> = signals.map(|s| Interest::read(s.as_fd())).collect();
        interests.extend(self.clients.values().map(|c| Interest::read(c.socket.as_fd())));
        interests.extend(self.listener.iter().map(|l| Interest::read(l.as_fd())));
        interests.extend(self.children.values().filter_map(|c| c.grant.as_ref()).map(|g| Interest::read(g.as_fd())));
        interests.extend(self.heir.iter().map(|h| Interest::read(h.as_fd())));
        let next = self.children.values().filter_map(|c| c.deadline).min();
        let timeout = next.map(|d| d.saturating_duration_since(Instant::now()));
        let ready = penny_sys::poll::wait(&interests, timeout)?;
        let mut ready = ready.into_iter().map(|r| r.read);
        let mut next = || ready.next().unwrap_or(false);
        Ok(Work {
            chld: next(),
            term: next(),
            usr2: next(),
            hangup: self.hangup.is_some() && next(),
            clients: self.clients.keys().copied().filter(|_| next()).collect(),
            listener: self.listener.is_some() && next(),
        })
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        // while another process takes over, that one may have been first
        let waiting = net::wait_readable(listener.as_fd(), Duration::ZERO).unwrap_or(false);
        if !waiting {
            return;
        }
        let Ok(socket) = net::accept(listener.as_fd()) else { return };
        match net::peer(socket.as_fd()) {
            Ok(peer) if self.table.may_connect(peer.uid) => self.add(socket, peer.uid),
            Ok(peer) => log::warning("refused", None, &[("uid", &peer.uid), ("why", &"not one of ours")]),
            Err(_) => {}
        }
    }

    /// Takes what checkauth processes have granted so far.
    fn read_grants(&mut self) {
        for child in self.children.values_mut() {
            let Some(pipe) = &child.grant else { continue };
            if !net::wait_readable(pipe.as_fd(), Duration::ZERO).unwrap_or(false) {
                continue;
            }
            let mut line = [0u8; 4096];
            let n = nix_read(pipe, &mut line);
            child.grant = None;
            let text = String::from_utf8_lossy(line.get(..n).unwrap_or(&[])).into_owned();
            if let (Some(user), Some(client)) = (child::read_grant(&text), self.clients.get_mut(&child.client)) {
                client.grant = Some(user);
            }
        }
    }

    fn serve(&mut self, token: u64) {
        let mut packet = std::mem::take(&mut self.packet);
        self.serve_with(token, &mut packet);
        self.packet = packet;
    }

    fn serve_with(&mut self, token: u64, packet: &mut [u8]) {
        let Some(client) = self.clients.get(&token) else { return };
        let (n, fds) = match fdpass::receive_now(client.socket.as_fd(), packet) {
            Ok((0, _)) => return self.gone(token),
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => return self.gone(token),
        };
        // a grant written before this packet was sent may have become readable only after the poll
        self.read_grants();
        let packet = packet.get(..n).unwrap_or(&[]);
        if let Some(id) = packet.strip_prefix(b"kill\0") {
            return self.kill(token, String::from_utf8_lossy(id).parse().unwrap_or(0));
        }
        match Request::decode(packet) {
            Some((id, request)) => self.request(token, id, &request, &fds),
            None => {
                log::warning("malformed", None, &[]);
                self.gone(token);
            }
        }
    }

    fn request(&mut self, token: u64, id: u32, request: &Request, fds: &[OwnedFd]) {
        match self.start(token, id, request, fds) {
            Ok(pid) => self.tell(token, &Event::Started { id, pid }),
            Err(reason) => {
                let uid = self.clients.get(&token).map_or(0, |c| c.uid);
                log::warning("refused", None, &[("program", &request.program), ("uid", &uid), ("why", &reason)]);
                self.tell(token, &Event::Refused { id, reason });
            }
        }
    }

    fn start(&mut self, token: u64, id: u32, request: &Request, fds: &[OwnedFd]) -> Result<i32, String> {
        let client = self.clients.get(&token).ok_or("no client")?;
        if self.children.values().filter(|c| c.client == token).count() >= RUNNING_MAX {
            return Err("too many programs are running".into());
        }
        let allowed = self.table.judge(client.uid, request, client.grant.as_ref())?;
        if let Some(user) = &allowed.session_of {
            let running = self.children.values().filter(|c| c.session_of.as_ref() == Some(user)).count();
            if running >= self.table.config().imapd.max_sessions as usize {
                return Err(format!("LIMIT {user} has {running} sessions"));
            }
        }
        let started = child::start(self.table.config(), &allowed, request, fds, self.kept.as_mut());
        let (pid, grant) = started.map_err(|e| format!("{}: {e}", allowed.path.display()))?;
        let limit = Duration::from_secs(u64::from(request.time_limit));
        self.children.insert(
            pid,
            Child {
                client: token,
                request: id,
                program: request.program.clone(),
                deadline: (request.time_limit > 0).then(|| Instant::now() + limit),
                terminated: false,
                detached: request.detached,
                dies_with_client: allowed.dies_with_client,
                session_of: allowed.session_of,
                grant,
            },
        );
        log::debug("started", None, &[("program", &request.program), ("pid", &pid)]);
        Ok(pid)
    }

    /// True when the child was one of a client.
    fn ended(&mut self, pid: i32, how: Ended) -> bool {
        if let Some(kept) = &mut self.kept {
            kept.ended(how);
        }
        // its last word may still be in the grant pipe
        self.read_grants();
        let Some(child) = self.children.remove(&pid) else { return false };
        // what it left behind in its group ends with it, except under a session's own children
        if child.dies_with_client || child.terminated {
            process::kill_group(pid, SIGKILL);
        }
        if let Ended::Signal(s) = how
            && !child.terminated
        {
            log::warning("killed", None, &[("program", &child.program), ("pid", &pid), ("signal", &s)]);
        }
        if !child.detached {
            self.tell(child.client, &Event::Ended { id: child.request, how });
        }
        true
    }

    fn tell(&mut self, token: u64, event: &Event) {
        let Some(client) = self.clients.get(&token) else { return };
        let writable = penny_sys::poll::wait(
            &[Interest { fd: client.socket.as_fd(), read: false, write: true }],
            Some(Duration::ZERO),
        );
        let room = writable.is_ok_and(|r| r.first().is_some_and(|r| r.write));
        if !room || fdpass::send(client.socket.as_fd(), &event.encode(), &[]).is_err() {
            self.gone(token);
        }
    }

    fn kill(&mut self, token: u64, id: u32) {
        let found = self.children.iter_mut().find(|(_, c)| c.client == token && c.request == id);
        if let Some((pid, child)) = found {
            terminate(*pid, child);
        }
    }

    fn gone(&mut self, token: u64) {
        self.clients.remove(&token);
        for (pid, child) in self.children.iter_mut().filter(|(_, c)| c.client == token && c.dies_with_client) {
            terminate(*pid, child);
        }
    }

    fn enforce_deadlines(&mut self) {
        let now = Instant::now();
        for (pid, child) in self.children.iter_mut().filter(|(_, c)| c.deadline.is_some_and(|d| d <= now)) {
            if child.terminated {
                process::kill_group(*pid, SIGKILL);
                child.deadline = None;
            } else {
                log::warning("time-limit", None, &[("program", &child.program), ("pid", pid)]);
                terminate(*pid, child);
            }
        }
    }

    /// At SIGHUP the next start goes by the file as it is then; what runs goes on.
    fn reload(&mut self) {
        if !self.hangup.as_ref().is_some_and(Signals::came) {
            return;
        }
        let Some(config) = reload::read(self.table.config()) else { return };
        let waiting = config.top.waiting;
        match Table::new(config) {
            Ok(table) => {
                self.table = table;
                self.kept = waiting.then(|| self.kept.take().unwrap_or_default());
                log::info("reloaded", None, &[]);
            }
            Err(e) => log::error("reload", None, &[("why", &e.text)]),
        }
    }

    /// At SIGUSR2 a new process begins on the same socket; once it is ready, this one takes no new clients.
    fn hand_over(&mut self, called: bool) {
        if called
            && self.usr2.came()
            && let Some(listener) = &self.listener
        {
            Heir::call(&mut self.heir, &self.table.config().program("spawn"), &[(SOCKET, listener.as_fd())]);
        }
        if Heir::has_begun(&mut self.heir) {
            log::info("handed-over", None, &[("running", &self.children.len())]);
            (self.listener, self.closing) = (None, true);
        }
    }

    fn end_all(&mut self) {
        for pid in self.children.keys() {
            process::kill_group(*pid, SIGTERM);
        }
    }
}

fn terminate(pid: i32, child: &mut Child) {
    process::kill_group(pid, SIGTERM);
    child.terminated = true;
    child.deadline = Some(Instant::now() + GRACE);
}

fn nix_read(pipe: &OwnedFd, buffer: &mut [u8]) -> usize {
    let Ok(copy) = pipe.try_clone() else { return 0 };
    std::fs::File::from(copy).read(buffer).unwrap_or(0)
}
