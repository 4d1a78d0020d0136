//! Connecting to one of several addresses, the first that answers (RFC 8305 as it fits mail: a server is no browser,
//! but a dead IPv6 route should not cost a time-out either).
//!
//! Standards   RFC 8305 4-5 (interleaved families, staggered attempts), tcp(7)
//! Invariants  1. at most one connection comes out, the others are closed   2. it ends by its time limit
//! Failures    every address with its own error, in the order tried

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, bind,
    connect, getsockopt, socket, sockopt,
};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::poll::{Interest, wait};

/// Time between the starts of two attempts (RFC 8305 5: 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// Puts addresses into the order to try: families take turns, beginning with that of the first (RFC 8305 4).
pub fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().copied().partition(|a| a.is_ipv6() == first_is_v6);
    first.reverse();
    second.reverse();
    let mut out: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    while !first.is_empty() || !second.is_empty() {
        out.extend(first.pop());
        out.extend(second.pop());
    }
    out
}

struct Attempt {
    address: SocketAddr,
    socket: OwnedFd,
}

/// Connects to the first of `addresses` (in their order) that answers within `limit`. `source` is the address to
/// come from; addresses of the other family are then passed over.
pub fn race(
    addresses: &[SocketAddr],
    source: Option<IpAddr>,
    limit: Duration,
) -> Result<(TcpStream, SocketAddr), Vec<(SocketAddr, io::Error)>> {
    let end = Instant::now() + limit;
    let fits = |a: &&SocketAddr| source.is_none_or(|s| s.is_ipv6() == a.is_ipv6());
    let mut queue = addresses.iter().filter(fits).copied();
    let mut running: Vec<Attempt> = Vec::new();
    let mut errors = Vec::new();
    let mut more = true;
    let mut next_start = Instant::now();
    loop {
        if more && (running.is_empty() || Instant::now() >= next_start) {
            match queue.next() {
                None => more = false,
                Some(address) => {
                    next_start = Instant::now() + STAGGER;
                    match begin(address, source) {
                        Ok(socket) => running.push(Attempt { address, socket }),
                        Err(e) => {
                            errors.push((address, e));
                            continue;
                        }
                    }
                }
            }
        }
        if running.is_empty() && !more {
            return Err(errors);
        }
        let until = if more { next_start.min(end) } else { end };
        let interests: Vec<_> =
            running.iter().map(|a| Interest { fd: a.socket.as_fd(), read: false, write: true }).collect();
        let ready = wait(&interests, Some(until.saturating_duration_since(Instant::now()))).unwrap_or_default();
        drop(interests);
        for at in (0..ready.len()).rev().filter(|at| ready[*at].write) {
            let attempt = running.remove(at);
            match finish(attempt.socket) {
                Ok(stream) => return Ok((stream, attempt.address)),
                Err(e) => errors.push((attempt.address, e)),
            }
        }
        if Instant::now() >= end {
            errors.extend(running.into_iter().map(|a| (a.address, io::ErrorKind::TimedOut.into())));
            return Err(errors);
        }
    }
}

fn begin(address: SocketAddr, source: Option<IpAddr>) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Stream, flags, SockProtocol::Tcp)?;
    if let Some(source) = source {
        bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0)))?;
    }
    let connected = match address {
        SocketAddr::V4(a) => start(&fd, &SockaddrIn::from(a)),
        SocketAddr::V6(a) => start(&fd, &SockaddrIn6::from(a)),
    };
    connected.map(|()| fd)
}

fn start(fd: &OwnedFd, address: &dyn SockaddrLike) -> io::Result<()> {
    match connect(fd.as_raw_fd(), address) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn finish(fd: OwnedFd) -> io::Result<TcpStream> {
    match getsockopt(&fd, sockopt::SocketError)? {
        0 => {}
        error => return Err(io::Error::from_raw_os_error(error)),
    }
    let stream = TcpStream::from(fd);
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Time enough on a machine with much to do.
    const LONG: Duration = Duration::from_secs(100);

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// An address that refuses; nobody else gets it as long as the descriptor lives.
    fn refusing() -> (OwnedFd, SocketAddr) {
        let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp).unwrap();
        bind(fd.as_raw_fd(), &SockaddrStorage::from(address("127.0.0.1:0"))).unwrap();
        let here = TcpListener::from(fd.try_clone().unwrap()).local_addr().unwrap();
        (fd, here)
    }

    #[test]
    fn families_take_turns() {
        let list = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(address);
        let order: Vec<String> = interleave(&list).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert!(interleave(&[]).is_empty());
    }

    #[test]
    fn a_refused_address_costs_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let (_held, dead) = refusing();
        let start = Instant::now();
        // four hundred times a quarter second would be more than a minute
        let list = [vec![dead; 400], vec![good]].concat();
        let (_, took) = race(&list, None, LONG).unwrap();
        assert_eq!(took, good);
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_silent_address_costs_a_quarter_second() {
        // TEST-NET-1: nothing answers; where the network is unreachable it is refused at once, which is faster still
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let start = Instant::now();
        let (_, took) = race(&[address("192.0.2.1:9"), good], None, LONG).unwrap();
        assert_eq!(took, good);
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn all_errors_are_told_in_time() {
        let (_held, dead) = refusing();
        let errors = race(&[dead, dead], None, LONG).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert_eq!(errors[0].1.kind(), io::ErrorKind::ConnectionRefused);
        assert!(race(&[], None, LONG).unwrap_err().is_empty());
    }

    #[test]
    fn the_source_address_is_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let (stream, _) = race(&[good], Some("127.0.0.9".parse().unwrap()), LONG).unwrap();
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), "127.0.0.9");
        assert!(race(&[address("[::1]:1")], Some("127.0.0.9".parse().unwrap()), Duration::from_secs(1)).is_err());
    }
}
