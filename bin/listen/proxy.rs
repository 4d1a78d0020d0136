//! The PROXY protocol, versions 1 and 2, from addresses the configuration trusts.
//!
//! Format      HAProxy's proxy-protocol: `PROXY TCP4 src dst sport dport` CRLF (at most 107 octets), or the 12-octet
//!             signature, version and command, family, length, addresses
//! Invariants  1. exactly the header is taken from the socket: it is looked at (MSG_PEEK) until it is whole
//!             2. LOCAL and UNKNOWN keep the real addresses
//! Failures    a connection without a well-formed header is closed

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Longest version 1 line, octets.
const LINE_MAX: usize = 107;

/// Longest version 2 header we look at; more TLVs than this are nobody's.
const HEADER_MAX: usize = 16 + 4096;

/// Time for the whole header.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// The client's and the server's address; the header's length.
    Addresses(SocketAddr, SocketAddr, usize),
    /// The proxy speaks for itself.
    Local(usize),
    /// Not whole yet.
    More,
    /// Not a header.
    Wrong,
}

/// Reads what has come so far.
pub fn parse(bytes: &[u8]) -> Header {
    let start = SIGNATURE.len().min(bytes.len());
    if !bytes.is_empty() && bytes.get(..start) == SIGNATURE.get(..start) {
        return version2(bytes);
    }
    let prefix = b"PROXY ";
    let start = prefix.len().min(bytes.len());
    if bytes.get(..start) != prefix.get(..start) {
        return Header::Wrong;
    }
    let Some(end) = bytes.windows(2).take(LINE_MAX).position(|w| w == b"\r\n") else {
        return if bytes.len() >= LINE_MAX { Header::Wrong } else { Header::More };
    };
    std::str::from_utf8(bytes.get(..end).unwrap_or(&[]))
        .ok()
        .and_then(|l| version1(l, end + 2))
        .unwrap_or(Header::Wrong)
}

fn version1(line: &str, length: usize) -> Option<Header> {
    let words: Vec<&str> = line.split(' ').collect();
    if words.get(1) == Some(&"UNKNOWN") {
        return Some(Header::Local(length));
    }
    let &[_, family, source, destination, source_port, destination_port] = words.as_slice() else { return None };
    let address = |t: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => t.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => t.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |t: &str| if t.len() > 1 && t.starts_with('0') { None } else { t.parse::<u16>().ok() };
    let source = SocketAddr::new(address(source)?, port(source_port)?);
    let destination = SocketAddr::new(address(destination)?, port(destination_port)?);
    Some(Header::Addresses(source, destination, length))
}

fn version2(bytes: &[u8]) -> Header {
    let Some(&[version, family, high, low]) = bytes.get(12..16) else { return Header::More };
    let length = 16 + usize::from(u16::from_be_bytes([high, low]));
    if version >> 4 != 2 || version & 15 > 1 || length > HEADER_MAX {
        return Header::Wrong;
    }
    if bytes.len() < length {
        return Header::More;
    }
    if version & 15 == 0 || family >> 4 == 0 {
        return Header::Local(length);
    }
    addresses2(family, bytes.get(16..length).unwrap_or(&[]), length).unwrap_or(Header::Wrong)
}

fn addresses2(family: u8, block: &[u8], length: usize) -> Option<Header> {
    let port = |at: usize| Some(u16::from_be_bytes([*block.get(at)?, *block.get(at + 1)?]));
    let four = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(block.get(at..at + 4)?).ok()?));
    let six = |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(block.get(at..at + 16)?).ok()?));
    let (source, destination) = match family {
        0x11 => (SocketAddr::new(four(0)?, port(8)?), SocketAddr::new(four(4)?, port(10)?)),
        0x21 => (SocketAddr::new(six(0)?, port(32)?), SocketAddr::new(six(16)?, port(34)?)),
        _ => return None,
    };
    Some(Header::Addresses(source, destination, length))
}

/// Takes the header off the socket. `None` for a proxy that speaks for itself.
pub fn take(socket: &mut TcpStream) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    let end = Instant::now() + TIMEOUT;
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "no PROXY header");
    penny_sys::net::set_nonblocking(socket.as_fd(), false)?;
    let mut buffer = vec![0; HEADER_MAX];
    let mut before = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let n = socket.peek(&mut buffer)?;
        let length = match parse(buffer.get(..n).unwrap_or(&[])) {
            Header::Wrong => return Err(wrong()),
            Header::More if n == 0 || left.is_zero() => return Err(wrong()),
            Header::More => {
                // peek returns at once with the same octets: wait for more
                if n == before {
                    std::thread::sleep(Duration::from_millis(5));
                }
                before = n;
                continue;
            }
            Header::Addresses(_, _, l) | Header::Local(l) => l,
        };
        let header = parse(buffer.get(..length).unwrap_or(&[]));
        socket.read_exact(buffer.get_mut(..length).ok_or_else(wrong)?)?;
        return Ok(match header {
            Header::Addresses(source, destination, _) => Some((source, destination)),
            _ => None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(t: &str) -> SocketAddr {
        t.parse().unwrap()
    }

    #[test]
    fn version_1() {
        let line = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\nEHLO";
        assert_eq!(parse(line), Header::Addresses(a("192.0.2.1:1234"), a("192.0.2.2:25"), 40));
        for cut in 0..39 {
            assert_eq!(parse(&line[..cut]), Header::More, "{cut}");
        }
        assert_eq!(parse(b"PROXY UNKNOWN whatever\r\n"), Header::Local(24));
        for bad in [
            "GET / HTTP/1.1\r\n",
            "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n",
            "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        ] {
            assert_eq!(parse(bad.as_bytes()), Header::Wrong, "{bad}");
        }
        assert_eq!(parse(&[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat()), Header::Wrong);
    }

    #[test]
    fn version_2() {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x21, 0x11, 0, 15, 192, 0, 2, 1, 192, 0, 2, 2, 4, 210, 0, 25, 3, 0, 0]);
        assert_eq!(parse(&bytes), Header::Addresses(a("192.0.2.1:1234"), a("192.0.2.2:25"), 31));
        for cut in 1..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Header::More, "{cut}");
        }
        bytes[12] = 0x20;
        assert_eq!(parse(&bytes), Header::Local(31));
        bytes[12] = 0x11;
        assert_eq!(parse(&bytes), Header::Wrong);
    }
}
