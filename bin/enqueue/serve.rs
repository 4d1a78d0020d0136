//! The service side: one thread a connection, each commit synced before its answer.
//!
//! Invariants  1. an envelope field that only smtpd may know is dropped when another uid sends it
//!             2. a given name (a report about an entry) is taken from the queue's own uid only
//! Failures    answered as `ERR <status> <text>`; a malformed request ends the connection
//! Trust       the caller's uid is the kernel's word; everything else is parsed

use penny_base::handover::{Heir, Inheritance};
use penny_base::{Config, Failure, Outcome, log, reload};
use penny_queue::{Directories, Envelope, Message, Name};
use penny_sys::poll::Interest;
use penny_sys::signals::Signals;
use penny_sys::{fdpass, ids, net};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

/// Connections served at once; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 512;

/// Largest block or field text, octets.
const TEXT_MAX: usize = 2 * penny_queue::envelope::BLOCK_MAX;

struct Service {
    directories: Directories,
    queue_uid: u32,
    net_uid: u32,
    inline_max: usize,
    counter: AtomicU32,
    connections: AtomicUsize,
}

fn open(config: &Config) -> Result<Arc<Service>, Failure> {
    let directories = Directories::open(&config.paths.queue).map_err(|e| Failure::io("queue directories", &e))?;
    Ok(Arc::new(Service {
        directories,
        queue_uid: ids::own_uid(),
        net_uid: config.id(&config.ids.net).map_or_else(|_| ids::own_uid(), |i| i.uid),
        inline_max: penny_queue::client::INLINE_MAX,
        counter: AtomicU32::new(0),
        connections: AtomicUsize::new(0),
    }))
}

/// Serves the socket until the process is ended.
pub fn resident(config: &Config) -> Result<Outcome, Failure> {
    let service = open(config)?;
    let path = config.socket("enqueue");
    let mut inheritance = Inheritance::take().map_err(|e| Failure::io("handover", &e))?;
    let listener = inheritance.or_open("enqueue", || net::listen_stream(&path, 0o666));
    let listener = listener.map_err(|e| Failure::io(path.display(), &e))?;
    let catch = |signal| Signals::catch(&[signal]).map_err(|e| Failure::io("signals", &e));
    let (usr2, hangup) = (catch(signal_hook::consts::SIGUSR2)?, catch(signal_hook::consts::SIGHUP)?);
    let mut heir: Option<Heir> = None;
    inheritance.ready();
    log::info("ready", None, &[("socket", &path.display())]);
    loop {
        let mut interests: Vec<_> = [listener.as_fd(), usr2.as_fd(), hangup.as_fd()].map(Interest::read).into();
        interests.extend(heir.iter().map(|h| Interest::read(h.as_fd())));
        let ready = penny_sys::poll::wait(&interests, None).map_err(|e| Failure::io("poll", &e))?;
        // it lives by places and ids alone, which stay as they are: all there is to do is to say so
        if hangup.came() && reload::read(config).is_some() {
            log::info("reloaded", None, &[]);
        }
        if usr2.came() {
            Heir::call(&mut heir, &config.program("enqueue"), &[("enqueue", listener.as_fd())]);
        }
        if Heir::has_begun(&mut heir) {
            log::info("handed-over", None, &[("running", &service.connections.load(Ordering::Relaxed))]);
            drop(listener);
            return Ok(last_words(&service));
        }
        if !ready.first().is_some_and(|r| r.read) {
            continue;
        }
        let connection = match net::accept(listener.as_fd()) {
            Ok(c) => c,
            // the other process of a handover has taken it
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(e) => {
                log::warning("accept", None, &[("why", &e)]);
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        start(&service, connection);
    }
}

/// Waits for the clients there are.
fn last_words(service: &Service) -> Outcome {
    while service.connections.load(Ordering::Relaxed) > 0 {
        std::thread::sleep(Duration::from_millis(200));
    }
    Outcome::Done
}

fn start(service: &Arc<Service>, connection: OwnedFd) {
    while service.connections.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    service.connections.fetch_add(1, Ordering::Relaxed);
    let worker = Arc::clone(service);
    let started = std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        serve(&worker, connection.into());
        worker.connections.fetch_sub(1, Ordering::Relaxed);
    });
    if let Err(e) = started {
        service.connections.fetch_sub(1, Ordering::Relaxed);
        log::warning("thread", None, &[("why", &e)]);
    }
}

/// Serves the connection on descriptor 0.
pub fn one(config: &Config) -> Result<Outcome, Failure> {
    let service = open(config)?;
    let connection = io::stdin().as_fd().try_clone_to_owned().map_err(|e| Failure::io("descriptor 0", &e))?;
    serve(&service, connection.into());
    Ok(Outcome::Done)
}

fn serve(service: &Service, stream: UnixStream) {
    let Ok(peer) = net::peer(stream.as_fd()) else { return };
    let mut connection = Connection { service, uid: peer.uid, stream, buffer: Vec::new(), fds: VecDeque::new() };
    if let Err(e) = connection.run()
        && e.kind() != io::ErrorKind::UnexpectedEof
    {
        log::warning("client", None, &[("uid", &peer.uid), ("why", &e)]);
    }
}

struct Connection<'a> {
    service: &'a Service,
    uid: u32,
    stream: UnixStream,
    buffer: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Connection<'_> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let line = self.line()?;
            let mut words = line.split(' ');
            match words.next() {
                Some("SPOOL") => self.spool()?,
                Some("COMMIT") => {
                    let request = CommitRequest::parse(&mut words).ok_or_else(|| malformed("COMMIT"))?;
                    let answer = match self.commit(&request)? {
                        Ok(name) => format!("OK {}\n", name.as_str()),
                        Err(f) => {
                            log::warning(
                                "refused",
                                None,
                                &[("uid", &self.uid), ("status", &f.status), ("text", &f.text), ("why", &f.detail)],
                            );
                            format!("ERR {} {}\n", f.status, f.text)
                        }
                    };
                    self.stream.write_all(answer.as_bytes())?;
                }
                _ => return Err(malformed("unknown request")),
            }
        }
    }

    fn spool(&mut self) -> io::Result<()> {
        match self.service.directories.spool() {
            Ok(file) => fdpass::send(self.stream.as_fd(), b"OK\n", &[file.as_fd()]).map(|_| ()),
            Err(e) => self.stream.write_all(format!("ERR {}\n", Failure::io("spool", &e).line()).as_bytes()),
        }
    }

    fn commit(&mut self, request: &CommitRequest) -> io::Result<Result<Name, Failure>> {
        let block = self.take(request.block)?;
        let fields = self.take(request.fields)?;
        let bytes = match request.message {
            Some(n) if n <= self.service.inline_max => Some(self.take(n)?),
            Some(_) => return Err(malformed("inline message is too large")),
            None => None,
        };
        let file = match bytes {
            None => Some(File::from(self.fds.pop_front().ok_or_else(|| malformed("no descriptor came"))?)),
            Some(_) => None,
        };
        let message = match (&bytes, &file) {
            (Some(b), _) => Message::Bytes(b),
            (None, Some(f)) => Message::File(f),
            (None, None) => return Err(malformed("no message")),
        };
        Ok(self.enter(request.name.as_deref(), &block, &fields, message))
    }

    fn enter(&self, name: Option<&str>, block: &[u8], fields: &[u8], message: Message<'_>) -> Result<Name, Failure> {
        let name = self.name(name)?;
        let mut envelope = Envelope::parse(block).map_err(|e| {
            Failure::permanent(penny_base::Kind::Data, "5.5.2", "malformed envelope").with_detail(e.to_string())
        })?;
        if !fields.is_empty() && !fields.ends_with(b"\n") {
            return Err(Failure::permanent(penny_base::Kind::Data, "5.6.0", "malformed header fields"));
        }
        self.own(&mut envelope);
        let msgid = crate::ident::message_id(fields, &message);
        self.service.directories.commit(&name, &mut envelope, fields, message)?;
        self.log(&name, &envelope, &msgid);
        Ok(name)
    }

    fn log(&self, name: &Name, e: &Envelope, msgid: &str) {
        let dash = || "-".to_string();
        let text = |l: &Option<penny_queue::Line>| l.as_ref().map_or_else(dash, |l| l.as_str().to_string());
        log::info(
            "queued",
            Some(name.as_str()),
            &[
                ("from", &format_args!("<{}>", e.sender.address)),
                ("rcpts", &e.recipients.len()),
                ("size", &e.size),
                ("uid", &self.uid),
                ("ip", &text(&e.client_ip)),
                ("proto", &text(&e.protocol)),
                ("login", &text(&e.login)),
                ("msgid", &msgid),
            ],
        );
    }

    /// A name for the entry: a fresh one, or the one a report has by the entry it is about.
    fn name(&self, given: Option<&str>) -> Result<Name, Failure> {
        let Some(given) = given else { return Ok(self.fresh_name()) };
        let denied = || Failure::permanent(penny_base::Kind::Permission, "5.7.0", "this name is not yours to give");
        if self.uid != self.service.queue_uid {
            return Err(denied());
        }
        given.parse().map_err(|_| denied())
    }

    fn fresh_name(&self) -> Name {
        let now = penny_sys::time::now();
        let counter = self.service.counter.fetch_add(1, Ordering::Relaxed);
        Name::new(now.as_secs(), now.subsec_micros(), std::process::id(), counter, penny_sys::random::u64())
    }

    /// Drops what this caller cannot know and says who it was.
    fn own(&self, envelope: &mut Envelope) {
        let trusted = [self.service.queue_uid, self.service.net_uid, 0].contains(&self.uid);
        envelope.client_uid = Some(self.uid);
        if !trusted {
            envelope.client_ip = None;
            envelope.client_name = None;
            envelope.helo = None;
            envelope.login = None;
            envelope.tls = None;
            envelope.junk = None;
            envelope.protocol = penny_queue::Line::new("local");
        }
        if envelope.arrival.0 == 0 || !trusted {
            let now = penny_sys::time::now();
            envelope.arrival = (now.as_secs(), now.subsec_micros());
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut piece = [0; 64 * 1024];
        let (n, fds) = fdpass::receive(self.stream.as_fd(), &mut piece)?;
        self.fds.extend(fds);
        if self.fds.len() > 1 {
            return Err(malformed("more than one descriptor"));
        }
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(piece.get(..n).unwrap_or(&[]));
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let text = std::str::from_utf8(line.get(..end).unwrap_or(&[])).map_err(|_| malformed("not UTF-8"))?;
                return Ok(text.to_string());
            }
            if self.buffer.len() > 1000 {
                return Err(malformed("line is too long"));
            }
            self.fill()?;
        }
    }

    fn take(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < n {
            self.fill()?;
        }
        let rest = self.buffer.split_off(n);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }
}

struct CommitRequest {
    name: Option<String>,
    block: usize,
    fields: usize,
    message: Option<usize>,
}

impl CommitRequest {
    fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<CommitRequest> {
        let name = Some(words.next()?).filter(|n| *n != "-").map(String::from);
        let block: usize = words.next()?.parse().ok()?;
        let fields: usize = words.next()?.parse().ok()?;
        let message = match words.next()? {
            "fd" => None,
            n => Some(n.parse().ok()?),
        };
        let fits = block <= TEXT_MAX && fields <= TEXT_MAX && words.next().is_none();
        fits.then_some(CommitRequest { name, block, fields, message })
    }
}
