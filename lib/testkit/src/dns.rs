//! A tiny DNS server over UDP and TCP on a port from the kernel, answering from a [`penny_dns::Zone`].
//!
//! Invariants  dropped = stopped; a name marked TIMEOUT in the zone gets no answer at all
//! Not here    recursion, DNSSEC: the AD bit is whatever the zone says

use crate::wait::PATIENCE;
use penny_dns::wire::{EDNS_SIZE, Message};
use penny_dns::{Data, Error, Name, Record, Type, Zone};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Ways in which real servers misbehave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quirks {
    /// Every UDP answer is cut short.
    pub truncate: bool,
    /// Queries with an OPT record get FORMERR.
    pub no_edns: bool,
    /// An answer with another id comes before the true one.
    pub forge_first: bool,
    /// Aliases are answered without what they lead to.
    pub lazy_alias: bool,
    /// This many queries over UDP get no answer.
    pub mute_first: usize,
}

/// A running server.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    zone: Mutex<Zone>,
    quirks: Quirks,
    muted: Mutex<usize>,
    log: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl DnsServer {
    /// Starts a server for a zone in the text form of [`Zone::parse`].
    pub fn new(zone: &str) -> Self {
        Self::start(Zone::parse(zone), Quirks::default())
    }

    /// Starts a server.
    ///
    /// # Panics
    /// When loopback has no port for both UDP and TCP.
    pub fn start(zone: Zone, quirks: Quirks) -> Self {
        let (tcp, udp) = sockets();
        let address = udp.local_addr().unwrap_or_else(|e| panic!("fake DNS: {e}"));
        let shared = Arc::new(Shared {
            zone: Mutex::new(zone),
            quirks,
            muted: Mutex::new(quirks.mute_first),
            log: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let (a, b) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads =
            vec![std::thread::spawn(move || serve_udp(&udp, &a)), std::thread::spawn(move || serve_tcp(&tcp, &b))];
        Self { address, shared, threads }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as `--resolver` takes it.
    pub fn at(&self) -> String {
        self.address.to_string()
    }

    /// The queries so far, as `udp NAME TYPE` or `tcp NAME TYPE`.
    pub fn queries(&self) -> Vec<String> {
        lock(&self.shared.log).clone()
    }

    /// Puts another zone in place.
    pub fn replace(&self, zone: Zone) {
        *lock(&self.shared.zone) = zone;
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address); // wakes accept
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The same port free for TCP may be taken for UDP: try a few.
fn sockets() -> (TcpListener, UdpSocket) {
    for _ in 0..50 {
        let Ok(tcp) = TcpListener::bind("127.0.0.1:0") else { continue };
        let Ok(udp) = tcp.local_addr().and_then(UdpSocket::bind) else { continue };
        return (tcp, udp);
    }
    panic!("fake DNS: no port");
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let _ = socket.set_read_timeout(Some(Duration::from_millis(50)));
    let mut buffer = [0; 4096];
    while !shared.stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        let Ok(query) = Message::decode(&buffer[..len]) else { continue };
        if shared.mute() {
            continue;
        }
        let Some(mut reply) = shared.answer(&query, "udp") else { continue };
        if shared.quirks.forge_first {
            let forged = Message { id: reply.id.wrapping_add(1), answers: Vec::new(), ..reply.clone() };
            let _ = socket.send_to(&forged.encode(), from);
        }
        let room = if query.edns { usize::from(EDNS_SIZE) } else { 512 };
        if shared.quirks.truncate || reply.encode().len() > room {
            reply = Message { truncated: true, answers: Vec::new(), authority: Vec::new(), ..reply };
        }
        let _ = socket.send_to(&reply.encode(), from);
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Shared) {
    while let Ok((mut stream, _)) = listener.accept() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = one_tcp(&mut stream, shared);
    }
}

fn one_tcp(stream: &mut TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; usize::from(u16::from_be_bytes(head))];
    stream.read_exact(&mut body)?;
    let Some(reply) = Message::decode(&body).ok().and_then(|query| shared.answer(&query, "tcp")) else { return Ok(()) };
    let bytes = reply.encode();
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    stream.write_all(&[len.to_be_bytes().as_slice(), &bytes].concat())
}

impl Shared {
    fn mute(&self) -> bool {
        let mut left = lock(&self.muted);
        let mute = *left > 0;
        *left = left.saturating_sub(1);
        mute
    }

    /// The reply to a query; `None` when the zone says there is none.
    fn answer(&self, query: &Message, transport: &str) -> Option<Message> {
        let (name, code) = &query.question;
        let kind = Type::from_code(*code);
        let word = kind.map_or_else(|| code.to_string(), |k| k.to_string());
        lock(&self.log).push(format!("{transport} {name} {word}"));
        if self.quirks.no_edns && query.edns {
            return Some(Message { edns: false, ..query.reply(1) });
        }
        let zone = lock(&self.zone);
        let mut reply = query.reply(0);
        reply.authentic = zone.authentic;
        let Some(kind) = kind else { return Some(reply) };
        match fill(&zone, name, kind, &mut reply.answers, self.quirks.lazy_alias) {
            Ok(true) => {}
            Ok(false) => reply.rcode = 3,
            Err(Error::Timeout) => return None,
            Err(Error::Rcode(code)) => reply = query.reply(code),
            Err(_) => reply = query.reply(2),
        }
        Some(reply)
    }
}

/// Collects the records, aliases included; the result says whether the last name exists.
fn fill(zone: &Zone, name: &Name, kind: Type, out: &mut Vec<Record>, lazy: bool) -> Result<bool, Error> {
    let mut here = name.clone();
    for _ in 0..8 {
        let (found, exists) = zone.direct(&here, kind)?;
        let record = |data: Data| Record { name: here.clone(), ttl: 60, data };
        if !found.is_empty() || kind == Type::Cname {
            out.extend(found.into_iter().map(record));
            return Ok(exists);
        }
        let alias = zone.direct(&here, Type::Cname).map(|(found, _)| found).unwrap_or_default().into_iter().next();
        let Some(Data::Cname(target)) = alias else { return Ok(exists) };
        out.push(record(Data::Cname(target.clone())));
        if lazy {
            return Ok(true);
        }
        here = target;
    }
    Ok(true)
}
