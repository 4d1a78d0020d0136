//! The service: one poll loop, whole lines only.
//!
//! Invariants  1. one client cannot hold another: nothing here waits but for programs in place of tables, which get
//!                `lookup.table_timeout` for one question and after a failure are not asked again before a back-off
//!             2. a client that sends too long a line or does not read its answers is dropped

use crate::answer::{Caller, Knowledge};
use penny_base::handover::{Heir, Inheritance};
use penny_base::{Config, Failure, Outcome, log};
use penny_sys::poll::Interest;
use penny_sys::signals::Signals;
use penny_sys::{ids, net};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Longest question, octets.
const LINE_MAX: usize = 16 * 1024;

/// Answers a client may leave unread, octets.
const UNREAD_MAX: usize = 1 << 20;

struct Client {
    stream: UnixStream,
    caller: Caller,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Serves paths.run/lookup until it is told to end.
pub fn resident(config: &Config) -> Result<Outcome, Failure> {
    let path = config.socket("lookup");
    let mut inheritance = Inheritance::take().map_err(|e| Failure::io("handover", &e))?;
    let listener = inheritance.or_open("lookup", || net::listen_stream(&path, 0o666));
    let mut listener = Some(listener.map_err(|e| Failure::io(path.display(), &e))?);
    let catch = |signals: &[i32]| Signals::catch(signals).map_err(|e| Failure::io("signals", &e));
    let (term, usr2, hangup) = (catch(&[SIGTERM, SIGINT])?, catch(&[SIGUSR2])?, catch(&[SIGHUP])?);
    let mut heir: Option<Heir> = None;
    let mut knowledge = Knowledge::new(config);
    let programs = Programs::new(config);
    let mut clients: Vec<Client> = Vec::new();
    inheritance.ready();
    log::info("ready", None, &[("socket", &path.display())]);
    loop {
        if listener.is_none() && clients.is_empty() {
            return Ok(Outcome::Done);
        }
        let mut interests: Vec<_> = [term.as_fd(), usr2.as_fd(), hangup.as_fd()].map(Interest::read).into();
        let first = interests.len();
        interests.extend(clients.iter().map(|c| Interest {
            fd: c.stream.as_fd(),
            read: true,
            write: !c.output.is_empty(),
        }));
        interests.extend(listener.iter().map(|l| Interest::read(l.as_fd())));
        interests.extend(heir.iter().map(|h| Interest::read(h.as_fd())));
        let ready = penny_sys::poll::wait(&interests, Some(Duration::from_secs(60)));
        let ready = ready.map_err(|e| Failure::io("poll", &e))?;
        drop(interests);
        if ready.first().is_some_and(|r| r.read) {
            // what is remembered is the new process's by now
            if listener.is_some() {
                save(&mut knowledge, true);
            }
            return Ok(Outcome::Done);
        }
        let usr2_came = usr2.came();
        if hangup.came() {
            knowledge.reload();
        }
        let mut states = ready.iter().skip(first);
        clients.retain_mut(|c| {
            let state = states.next().copied().unwrap_or_default();
            if state.read || state.write { c.serve(&mut knowledge).is_ok() } else { true }
        });
        let Some(socket) = &listener else { continue };
        if states.next().is_some_and(|r| r.read) {
            clients.extend(accept(socket.as_fd(), &programs));
        }
        save(&mut knowledge, usr2_came);
        if usr2_came {
            Heir::call(&mut heir, &config.program("lookup"), &[("lookup", socket.as_fd())]);
        }
        if Heir::has_begun(&mut heir) {
            log::info("handed-over", None, &[("running", &clients.len())]);
            listener = None;
        }
    }
}

fn save(knowledge: &mut Knowledge, force: bool) {
    knowledge.counters.save(force);
    knowledge.greylist.save(force);
    knowledge.callouts.save(force);
}

/// The uids of our own programs.
struct Programs {
    all: Vec<u32>,
    auth: Vec<u32>,
}

impl Programs {
    fn new(config: &Config) -> Programs {
        let i = &config.ids;
        let uid = |role: &String| config.id(role).ok().map(|i| i.uid);
        let roles = [&i.net, &i.queue, &i.auth, &i.filter, &i.out, &i.mail, &i.sign, &i.tls];
        let all = roles.into_iter().filter_map(uid).chain([0, ids::own_uid()]).collect();
        Programs { all, auth: uid(&i.auth).into_iter().chain([0, ids::own_uid()]).collect() }
    }

    fn caller(&self, uid: u32) -> Caller {
        match uid {
            _ if self.auth.contains(&uid) => Caller::Auth,
            _ if self.all.contains(&uid) => Caller::Program,
            _ => Caller::User(uid),
        }
    }
}

fn accept(listener: std::os::fd::BorrowedFd<'_>, programs: &Programs) -> Option<Client> {
    let socket = net::accept(listener).ok()?;
    let caller = programs.caller(net::peer(socket.as_fd()).ok()?.uid);
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(true).ok()?;
    Some(Client { stream, caller, input: Vec::new(), output: Vec::new() })
}

impl Client {
    /// Reads what is there, answers whole lines, writes what fits. An error ends the client.
    fn serve(&mut self, knowledge: &mut Knowledge) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => self.input.extend_from_slice(piece.get(..n).unwrap_or(&[])),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        while let Some(end) = self.input.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let line = String::from_utf8_lossy(line.get(..end).unwrap_or(&[])).into_owned();
            self.output.extend_from_slice(knowledge.answer(&line, self.caller).as_bytes());
            self.output.push(b'\n');
        }
        if self.input.len() > LINE_MAX || self.output.len() > UNREAD_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.output) {
            Ok(n) => drop(self.output.drain(..n)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

/// Answers the lines of descriptor 0 on descriptor 1: a socket of spawn's (`-i`), or a pipe by hand.
pub fn one(config: &Config) -> Result<Outcome, Failure> {
    let mut knowledge = Knowledge::new(config);
    // a pipe: by hand, with the rights of who runs it
    let caller = net::peer(io::stdin().as_fd()).map_or(Caller::Auth, |peer| Programs::new(config).caller(peer.uid));
    let mut out = io::stdout().lock();
    for line in io::stdin().lines() {
        let line = line.map_err(|e| Failure::io("standard input", &e))?;
        let answer = knowledge.answer(&line, caller);
        let written = out.write_all(format!("{answer}\n").as_bytes()).and_then(|()| out.flush());
        written.map_err(|e| Failure::io("standard output", &e))?;
    }
    Ok(Outcome::Done)
}
