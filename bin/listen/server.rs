//! The loop: accept, limits, the steps of each connection, ended children, signals.
//!
//! Invariants  1. a connection over a limit is closed at once, with one line in the log   2. one connection's trouble
//!             never ends the service   3. at HUP everything that is new is there before anything old is let go: a mistake, an
//!             address that is taken or a key that does not load changes nothing   4. at USR2 the listeners go to a new
//!             process, the conversations stay here

use crate::connection::{Connection, Starter, State, read_proxy, take_proxy};
use crate::limits::{self, Most};
use crate::ports::{Opened, Ports};
use crate::tls;
use penny_base::config::{Listen, TlsMode};
use penny_base::handover::{Heir, Inheritance};
use penny_base::warm::Kept;
use penny_base::{Config, Failure, Outcome, log, reload};
use penny_sys::ids::{self, Id};
use penny_sys::poll::Interest;
use penny_sys::signals::Signals;
use penny_sys::{net, process};
use penny_tls::Context;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2};
use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Ticket keys live in the context and are as old as it (RFC 8446 C.4 asks for short lives).
const TICKET_LIFE: Duration = Duration::from_secs(12 * 3600);

/// Connections taken from one listener before the others are looked at.
const BURST: usize = 64;

/// The service.
pub struct Server {
    config: Config,
    context: Option<Context>,
    loaded: Instant,
    net: Option<Id>,
    tls: Option<Id>,
    ports: Ports,
    connections: HashMap<u64, Connection>,
    owners: HashMap<i32, u64>,
    next: u64,
    signals: Vec<(i32, Signals)>,
    kept: Kept,
    heir: Option<Heir>,
    closing: bool,
}

/// What one client of an entry may do.
fn most(entry: &Listen) -> Most {
    Most { at_once: entry.max_per_address, rate: entry.max_rate }
}

/// The keys, where an entry needs some.
fn load(config: &Config) -> Result<Option<Context>, String> {
    if config.listen.is_empty() {
        return Err("no [[listen]] entry".into());
    }
    if config.listen.iter().all(|l| l.tls == TlsMode::None) {
        return Ok(None);
    }
    Context::load(&config.tls).map(Some)
}

/// What can be done without waiting.
struct Work {
    /// Signals that came.
    signals: Vec<i32>,
    /// Tokens of connections whose descriptor became readable.
    connections: Vec<u64>,
    /// Indexes of ports that have somebody.
    ports: Vec<usize>,
}

impl Server {
    /// Binds everything and loads the keys.
    pub fn open(config: Config) -> Result<Server, Failure> {
        let mut inheritance = Inheritance::take().map_err(|e| Failure::io("handover", &e))?;
        let context = load(&config).map_err(Failure::config)?;
        let ports = Ports::open(&config.listen, &mut inheritance).map_err(|e| Failure::io("listen", &e))?;
        let role = |r: &str| config.id(r).map_err(|e| Failure::config(format!("ids: {e}")));
        let root = ids::is_root();
        let mut signals = Vec::new();
        for signal in [SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR2] {
            signals.push((signal, Signals::catch(&[signal]).map_err(|e| Failure::io("signals", &e))?));
        }
        penny_sys::files::raise_descriptor_limit();
        let (net, tls) = if root { (Some(role(&config.ids.net)?), Some(role(&config.ids.tls)?)) } else { (None, None) };
        inheritance.ready();
        Ok(Server {
            context,
            loaded: Instant::now(),
            net,
            tls,
            ports,
            connections: HashMap::new(),
            owners: HashMap::new(),
            next: 0,
            signals,
            kept: Kept::default(),
            heir: None,
            closing: false,
            config,
        })
    }

    /// Serves until told to end.
    pub fn run(mut self) -> Result<Outcome, Failure> {
        loop {
            let ready = self.wait().map_err(|e| Failure::io("poll", &e))?;
            for signal in ready.signals {
                match signal {
                    SIGCHLD => self.reap(),
                    // one that is leaving has nothing to open or to hand over any more
                    SIGHUP | SIGUSR2 if self.closing => {}
                    SIGHUP => self.reload(),
                    SIGQUIT => self.close_listeners(),
                    SIGUSR2 => self.hand_over(),
                    _ => {
                        self.end_all();
                        return Ok(Outcome::Done);
                    }
                }
            }
            if Heir::has_begun(&mut self.heir) {
                // from here on this process has only its conversations
                log::info("handed-over", None, &[("running", &self.connections.len())]);
                self.close_listeners();
            }
            if self.closing && self.connections.is_empty() {
                return Ok(Outcome::Done);
            }
            for token in ready.connections {
                self.step(token);
            }
            for index in ready.ports {
                self.accept(index);
            }
            if self.loaded.elapsed() > TICKET_LIFE {
                self.renew_keys();
            }
        }
    }

    /// Waits for something to do.
    fn wait(&self) -> io::Result<Work> {
        let mut interests: Vec<Interest<'_>> = self.signals.iter().map(|s| Interest::read(s.1.as_fd())).collect();
        let mut tokens = Vec::new();
        for (token, c) in &self.connections {
            let fd = match &c.state {
                State::Proxy(fd) | State::Handshake { control: fd, .. } | State::Offered { control: fd, .. } => fd,
                State::Running => continue,
            };
            tokens.push(*token);
            interests.push(Interest::read(fd.as_fd()));
        }
        interests.extend(self.ports.sockets().map(|(_, socket)| Interest::read(socket)));
        interests.extend(self.heir.iter().map(|h| Interest::read(h.as_fd())));
        let ready = penny_sys::poll::wait(&interests, Some(Duration::from_secs(600)))?;
        let (signals, rest) = ready.split_at(self.signals.len());
        let (connections, ports) = rest.split_at(tokens.len());
        let came = signals.iter().zip(&self.signals).filter(|(ready, (_, pipe))| ready.read && pipe.came());
        Ok(Work {
            signals: came.map(|(_, (signal, _))| *signal).collect(),
            connections: connections.iter().zip(tokens).filter(|(r, _)| r.read).map(|(_, t)| t).collect(),
            ports: self.ports.open_indexes().zip(ports).filter(|(_, r)| r.read).map(|(n, _)| n).collect(),
        })
    }

    fn accept(&mut self, index: usize) {
        for _ in 0..BURST {
            let Some(listener) = self.ports.get(index).and_then(|p| p.socket.as_ref()) else { return };
            match listener.accept() {
                Ok((socket, remote)) => self.enter(index, socket, remote),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) => {
                    // out of descriptors or memory: the connection waits in the backlog
                    log::warning("accept", None, &[("why", &e)]);
                    return std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    fn enter(&mut self, index: usize, socket: TcpStream, remote: SocketAddr) {
        let Some(port) = self.ports.get_mut(index) else { return };
        let entry = Rc::clone(&port.entry);
        let client = limits::client(remote.ip());
        let ip = remote.ip().to_canonical();
        let trusted = |n: &String| penny_tables::cidr::Network::parse(n).is_some_and(|n| n.contains(remote.ip()));
        let proxied = entry.proxy_from.iter().any(trusted);
        // a proxy speaks for many: its clients are counted, once they are known
        let most = if proxied { Most { at_once: u32::MAX, rate: 0 } } else { most(&entry) };
        if let Err(limit) = port.limits.enter(client, entry.max_connections, most) {
            return log::warning("limit", None, &[("service", &entry.name), ("ip", &ip), ("limit", &limit)]);
        }
        net::nodelay(socket.as_fd());
        let local = socket.local_addr().unwrap_or(remote);
        let mut c = Connection {
            port: index,
            client,
            remote,
            local,
            socket: Some(socket),
            state: State::Running,
            pids: Vec::new(),
        };
        let result = if proxied { read_proxy(&mut c, self.net) } else { self.begin(&mut c) };
        self.keep(c, result);
    }

    /// The entry a connection came in by, as it is now.
    fn entry(&self, c: &Connection) -> Option<Rc<Listen>> {
        self.ports.get(c.port).map(|p| Rc::clone(&p.entry))
    }

    /// The first step after the addresses are known.
    fn begin(&mut self, c: &mut Connection) -> io::Result<()> {
        let entry = self.entry(c).ok_or(io::ErrorKind::NotFound)?;
        if entry.tls != TlsMode::Implicit {
            return Starter { config: &self.config, entry: &entry, id: self.net, kept: &mut self.kept }.plain(c);
        }
        let (control, child_control) = net::stream_pair()?;
        let (data, child_data) = net::stream_pair()?;
        let socket = c.socket.take().ok_or(io::ErrorKind::NotConnected)?;
        self.start_tls(c, socket.into(), child_control, child_data)?;
        c.state = State::Handshake { control, data };
        Ok(())
    }

    fn start_tls(&self, c: &mut Connection, socket: OwnedFd, control: OwnedFd, data: OwnedFd) -> io::Result<()> {
        let context = self.context.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let timeout = self.config.tls.handshake_timeout.duration();
        let work = tls::Work { context, id: self.tls, timeout, peer: c.remote, socket, control, data };
        c.pids.push(tls::start(work)?);
        Ok(())
    }

    /// Keeps a connection whose step went well; closes it otherwise.
    fn keep(&mut self, c: Connection, result: io::Result<()>) {
        if let Err(e) = result {
            let name = self.entry(&c).map_or_else(String::new, |e| e.name.clone());
            log::warning("closed", None, &[("service", &name), ("ip", &c.remote.ip().to_canonical()), ("why", &e)]);
            return self.leave(&c);
        }
        let token = self.next;
        self.next += 1;
        self.owners.extend(c.pids.iter().map(|p| (*p, token)));
        self.connections.insert(token, c);
    }

    fn leave(&mut self, c: &Connection) {
        if let Some(port) = self.ports.get_mut(c.port) {
            port.limits.leave(c.client);
        }
    }

    /// The next step of a connection whose descriptor became readable.
    fn step(&mut self, token: u64) {
        let Some(mut c) = self.connections.remove(&token) else { return };
        self.owners.retain(|_, t| *t != token);
        let state = std::mem::replace(&mut c.state, State::Running);
        let Some(entry) = self.entry(&c) else { return };
        let mut starter = Starter { config: &self.config, entry: &entry, id: self.net, kept: &mut self.kept };
        let result = match state {
            State::Proxy(pipe) => {
                take_proxy(&mut c, pipe).and_then(|()| self.recount(&mut c)).and_then(|()| self.begin(&mut c))
            }
            State::Handshake { control, data } => starter.behind_tls(&mut c, control, &data),
            State::Offered { control, data } => self.wanted(&mut c, control, data),
            State::Running => Ok(()),
        };
        // a client that never shook hands was logged by its TLS child
        let quiet = matches!(&result, Err(e) if e.kind() == io::ErrorKind::UnexpectedEof);
        if quiet { self.leave(&c) } else { self.keep(c, result) }
    }

    /// The program asked for TLS, or ended without.
    fn wanted(&self, c: &mut Connection, control: OwnedFd, data: OwnedFd) -> io::Result<()> {
        let mut go = [0];
        let asked = matches!((&std::fs::File::from(control.try_clone()?)).read(&mut go), Ok(1)) && go == *b"Y";
        let socket = c.socket.take();
        match (asked, socket) {
            (true, Some(socket)) => self.start_tls(c, socket.into(), control, data),
            _ => Ok(()),
        }
    }

    /// The place of a proxied connection is its client's from now on, if there is one left.
    fn recount(&mut self, c: &mut Connection) -> io::Result<()> {
        let client = limits::client(c.remote.ip());
        let Some(port) = self.ports.get_mut(c.port) else { return Ok(()) };
        if client == c.client {
            return Ok(()); // the proxy itself, looking whether we are there
        }
        if let Err(limit) = port.limits.enter(client, u32::MAX, most(&port.entry)) {
            let ip = c.remote.ip().to_canonical();
            log::warning("limit", None, &[("service", &port.entry.name), ("ip", &ip), ("limit", &limit)]);
            return Err(io::ErrorKind::UnexpectedEof.into()); // closed without another line in the log
        }
        port.limits.leave(std::mem::replace(&mut c.client, client));
        Ok(())
    }

    fn reap(&mut self) {
        while let Some((pid, how)) = process::reap() {
            self.kept.ended(how);
            let Some(token) = self.owners.remove(&pid) else { continue };
            let Some(c) = self.connections.get_mut(&token) else { continue };
            c.pids.retain(|p| *p != pid);
            let waits = matches!(c.state, State::Proxy(_) | State::Handshake { .. });
            if c.pids.is_empty()
                && !waits
                && let Some(c) = self.connections.remove(&token)
            {
                self.leave(&c);
            }
        }
    }

    /// At HUP: goes by the file as it is now, if all of it can be had.
    fn reload(&mut self) {
        let Some(config) = reload::read(&self.config) else { return };
        match self.prepare(&config) {
            Ok((context, opened)) => {
                self.ports.follow(&config.listen, opened);
                (self.config, self.context, self.loaded) = (config, context, Instant::now());
                log::info("reloaded", None, &[]);
            }
            Err(why) => log::error("reload", None, &[("why", &why)]),
        }
    }

    fn prepare(&self, config: &Config) -> Result<(Option<Context>, Opened), String> {
        Ok((load(config)?, self.ports.open_more(&config.listen).map_err(|e| e.to_string())?))
    }

    /// New tickets, and certificates that were renewed without a word to us.
    fn renew_keys(&mut self) {
        match load(&self.config) {
            Ok(context) => self.context = context,
            Err(why) => log::error("reload", None, &[("why", &why)]),
        }
        self.loaded = Instant::now();
    }

    /// Starts the program as it is installed now on the same listeners.
    fn hand_over(&mut self) {
        let sockets: Vec<_> = self.ports.sockets().collect();
        Heir::call(&mut self.heir, &self.config.program("listen"), &sockets);
    }

    fn close_listeners(&mut self) {
        self.ports.close();
        self.closing = true;
    }

    fn end_all(&mut self) {
        for pid in self.owners.keys() {
            process::kill_group(*pid, SIGTERM);
            process::kill(*pid, SIGTERM);
        }
    }
}
