//! The connection: replies with a deadline, writes with a deadline, and the change to TLS.
//!
//! Invariants  1. a reply is whole by its deadline however slowly its octets come   2. TLS begins with an empty buffer

use penny_smtp::client::{Reply, ReplyError, ReplyParser};
use penny_tls::client::{Connector, Stream, Verify};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What carries the octets.
#[derive(Debug)]
enum Carrier {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Stream>),
    /// In the middle of a handshake, or after one that failed.
    Gone,
}

/// How a connection was lost.
#[derive(Debug)]
pub enum Lost {
    /// The other side closed it.
    Closed,
    /// It did not answer in time.
    Silent,
    /// It spoke no SMTP.
    Garbage(ReplyError),
    /// The system says so.
    Failed(io::Error),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Closed => f.write_str("the connection was closed"),
            Lost::Silent => f.write_str("no answer in time"),
            Lost::Garbage(e) => write!(f, "{e}"),
            Lost::Failed(e) => write!(f, "{e}"),
        }
    }
}

impl From<io::Error> for Lost {
    fn from(e: io::Error) -> Lost {
        match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Lost::Silent,
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Lost::Closed,
            _ => Lost::Failed(e),
        }
    }
}

/// A connection to a host.
#[derive(Debug)]
pub struct Wire {
    carrier: Carrier,
    parser: ReplyParser,
    input: Vec<u8>,
    /// Time-outs the socket has now.
    limit: Option<Duration>,
}

impl Wire {
    /// Over TCP.
    pub fn tcp(stream: TcpStream) -> Wire {
        Wire { carrier: Carrier::Tcp(stream), parser: ReplyParser::new(), input: Vec::new(), limit: None }
    }

    /// Over a unix socket.
    pub fn unix(stream: UnixStream) -> Wire {
        Wire { carrier: Carrier::Unix(stream), parser: ReplyParser::new(), input: Vec::new(), limit: None }
    }

    /// Our address and the other side's.
    pub fn addresses(&self) -> (Option<IpAddr>, Option<IpAddr>) {
        let Carrier::Tcp(s) = &self.carrier else { return (None, None) };
        (s.local_addr().ok().map(|a| a.ip()), s.peer_addr().ok().map(|a| a.ip()))
    }

    /// The TLS session, if there is one.
    pub fn tls(&self) -> Option<&Stream> {
        match &self.carrier {
            Carrier::Tls(stream) => Some(stream),
            _ => None,
        }
    }

    /// Whether octets came that no reply has used yet.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty() || self.parser.is_mid_reply()
    }

    /// One reply.
    pub fn reply(&mut self, limit: Duration) -> Result<Reply, Lost> {
        let end = Instant::now() + limit;
        let mut buffer = [0; 4096];
        loop {
            if !self.input.is_empty() {
                let (used, reply) = self.parser.feed(&self.input).map_err(Lost::Garbage)?;
                self.input.drain(..used);
                if let Some(reply) = reply {
                    return Ok(reply);
                }
            }
            self.set_limit(end)?;
            match self.read(&mut buffer) {
                Ok(0) => return Err(Lost::Closed),
                Ok(n) => self.input.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Writes it all.
    pub fn send(&mut self, mut bytes: &[u8], limit: Duration) -> Result<(), Lost> {
        let end = Instant::now() + limit;
        while !bytes.is_empty() {
            self.set_limit(end)?;
            let written = match &mut self.carrier {
                Carrier::Tcp(s) => s.write(bytes),
                Carrier::Unix(s) => s.write(bytes),
                Carrier::Tls(s) => s.write(bytes),
                Carrier::Gone => Err(ErrorKind::NotConnected.into()),
            };
            match written {
                Ok(0) => return Err(Lost::Closed),
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Shakes hands; `name` is the host's. Only after a 220 to STARTTLS, with an empty buffer (RFC 3207 4).
    pub fn start_tls(&mut self, connector: &Connector, name: &str, verify: Verify, limit: Duration) -> io::Result<()> {
        if self.has_input() {
            return Err(io::Error::new(ErrorKind::InvalidData, "octets before the handshake"));
        }
        self.set_limit(Instant::now() + limit).map_err(|e| io::Error::other(e.to_string()))?;
        let Carrier::Tcp(socket) = std::mem::replace(&mut self.carrier, Carrier::Gone) else {
            return Err(io::Error::new(ErrorKind::InvalidInput, "TLS needs TCP"));
        };
        self.carrier = Carrier::Tls(Box::new(connector.connect(name, socket, verify)?));
        Ok(())
    }

    /// Everything up to the end, for what is no SMTP; more than `max` octets is an error.
    pub fn read_to_end(&mut self, max: usize, limit: Duration) -> Result<Vec<u8>, Lost> {
        let end = Instant::now() + limit;
        let mut all = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            self.set_limit(end)?;
            match self.read(&mut buffer) {
                Ok(0) => return Ok(all),
                Ok(n) => all.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // many web servers close without TLS's good-bye; the length is checked by the caller
                Err(_) if !all.is_empty() => return Ok(all),
                Err(e) => return Err(e.into()),
            }
            if all.len() > max {
                return Err(Lost::Failed(ErrorKind::InvalidData.into()));
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.carrier {
            Carrier::Tcp(s) => s.read(buffer),
            Carrier::Unix(s) => s.read(buffer),
            Carrier::Tls(s) => s.read(buffer),
            Carrier::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Time-outs of the socket that end at `end`; a little less is near enough and saves two calls a reply.
    fn set_limit(&mut self, end: Instant) -> Result<(), Lost> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Lost::Silent);
        }
        if self.limit.is_some_and(|set| set <= left && set + set / 16 >= left) {
            return Ok(());
        }
        let rounded = left - left / 32;
        let set = |s: &TcpStream| s.set_read_timeout(Some(rounded)).and_then(|()| s.set_write_timeout(Some(rounded)));
        match &self.carrier {
            Carrier::Tcp(s) => set(s)?,
            Carrier::Tls(s) => set(s.socket())?,
            Carrier::Unix(s) => s.set_read_timeout(Some(rounded)).and_then(|()| s.set_write_timeout(Some(rounded)))?,
            Carrier::Gone => {}
        }
        self.limit = Some(rounded);
        Ok(())
    }
}
