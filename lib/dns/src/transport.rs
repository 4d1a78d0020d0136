//! One question to one server: UDP, then TCP when the answer was cut short.
//!
//! Standards   RFC 1035 4.2, 7766 (TCP), 5452 (matching answers), 6891 7 (servers without EDNS)
//! Invariants  1. returns by the deadline   2. an octet string that does not answer the question is passed over, so
//!             that a forger gains nothing by sending rubbish first
//! Trust       the network between us and the resolver is hostile unless it is loopback

use crate::record::Error;
use crate::wire::{EDNS_SIZE, Message};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Asks over UDP and, when truncated, over TCP.
pub(crate) fn exchange(
    server: SocketAddr,
    query: &Message,
    deadline: Instant,
    tcp_only: bool,
) -> Result<Message, Error> {
    if tcp_only {
        return tcp(server, query, deadline);
    }
    let reply = udp(server, query, deadline)?;
    if reply.truncated { tcp(server, query, deadline) } else { Ok(reply) }
}

/// Time left, or `Timeout`: a zero time-out would mean "for ever" to the socket.
fn left(deadline: Instant) -> Result<Duration, Error> {
    deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()).ok_or(Error::Timeout)
}

fn failure(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout,
        _ => Error::Unreachable,
    }
}

fn udp(server: SocketAddr, query: &Message, deadline: Instant) -> Result<Message, Error> {
    let socket = bound(server).map_err(|e| failure(&e))?;
    socket.send(&query.encode()).map_err(|e| failure(&e))?;
    // The size we announce, with room for servers that ignore it.
    let mut buffer = [0u8; 4096];
    const { assert!(EDNS_SIZE as usize <= 4096) };
    loop {
        socket.set_read_timeout(Some(left(deadline)?)).map_err(|e| failure(&e))?;
        let len = match socket.recv(&mut buffer) {
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(failure(&e)),
        };
        if let Some(reply) = buffer.get(..len).and_then(|bytes| matching(bytes, query)) {
            return Ok(reply);
        }
    }
}

/// A fresh socket: its port, drawn by the kernel, is half of the defence against forgers (RFC 5452 9.2).
fn bound(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?; // others' datagrams never reach us
    Ok(socket)
}

/// The reply, if the octets are one. Servers that can't read a query may answer without its question.
fn matching(bytes: &[u8], query: &Message) -> Option<Message> {
    let reply = Message::decode(bytes).ok()?;
    let bare_refusal = reply.response && reply.id == query.id && reply.rcode == 1 && reply.question.1 == 0;
    (reply.answers_to(query) || bare_refusal).then_some(reply)
}

fn tcp(server: SocketAddr, query: &Message, deadline: Instant) -> Result<Message, Error> {
    let mut stream = TcpStream::connect_timeout(&server, left(deadline)?).map_err(|e| failure(&e))?;
    let bytes = query.encode();
    let len = u16::try_from(bytes.len()).map_err(|_| Error::BadName)?;
    let framed = [len.to_be_bytes().as_slice(), &bytes].concat();
    stream.set_write_timeout(Some(left(deadline)?)).map_err(|e| failure(&e))?;
    stream.write_all(&framed).map_err(|e| failure(&e))?;
    let mut head = [0u8; 2];
    read_full(&mut stream, &mut head, deadline)?;
    let mut body = vec![0u8; usize::from(u16::from_be_bytes(head))];
    read_full(&mut stream, &mut body, deadline)?;
    let reply = matching(&body, query).ok_or(Error::Malformed)?;
    if reply.truncated { Err(Error::Malformed) } else { Ok(reply) }
}

/// `read_exact` that keeps the deadline however slowly octets drip in.
fn read_full(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> Result<(), Error> {
    let mut rest = buffer;
    while !rest.is_empty() {
        stream.set_read_timeout(Some(left(deadline)?)).map_err(|e| failure(&e))?;
        match stream.read(rest) {
            Ok(0) => return Err(Error::Malformed),
            Ok(n) => rest = rest.get_mut(n..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failure(&e)),
        }
    }
    Ok(())
}
