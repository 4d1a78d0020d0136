//! A line client with time limits, and ports nobody else has.

use crate::wait::{PATIENCE, until};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A port of 127.0.0.1 that was free a moment ago, and is none of those the kernel chooses for others: whoever asks binds it
/// some time later, or wants nobody to listen there.
///
/// # Panics
/// When the kernel gives no port at all.
pub fn free_port() -> u16 {
    free_base(&[0])
}

/// A base of ports: those at these offsets above it were free a moment ago, the kernel gives none of them to who asks for any
/// port, and no other block of this process has any of them, as whoever asks binds its ports some time later.
///
/// # Panics
/// When the kernel gives no port at all.
pub fn free_base(offsets: &[u16]) -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let above = offsets.iter().max().map_or(0, |most| most + 1);
    let bases = kernels_first_port().saturating_sub(LOWEST + above).max(5_000);
    loop {
        let base = LOWEST + kernels_port() % bases;
        let ports: Vec<u16> = offsets.iter().map(|offset| base + offset).collect();
        let taken = |p: &u16| given.contains(p) || TcpListener::bind(("127.0.0.1", *p)).is_err();
        if !ports.iter().any(taken) {
            given.extend(ports);
            return base;
        }
    }
}

/// The least port a block may have.
const LOWEST: u16 = 2_000;

/// A port as the kernel chooses it.
fn kernels_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|e| panic!("no port: {e}"));
    listener.local_addr().unwrap_or_else(|e| panic!("no port: {e}")).port()
}

/// Where the ports begin that it chooses from; 32768 unless somebody has changed that.
fn kernels_first_port() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768)
}

/// Waits until something accepts connections there.
///
/// # Panics
/// When nothing does in time.
#[track_caller]
pub fn wait_for_port(port: u16) {
    until(&format!("a listener on port {port}"), || TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// The same for a unix socket, of streams or of packets: its file appears before anything listens.
///
/// # Panics
/// When nothing does in time.
#[track_caller]
pub fn wait_for_socket(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let listens = || UnixStream::connect(path).is_ok() || penny_sys::net::connect_packets(path).is_ok();
    until(&format!("a listener at {}", path.display()), listens);
}

/// A TCP client that speaks in lines.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects; reads give up after [`PATIENCE`].
    ///
    /// # Panics
    /// When the connection is refused.
    pub fn connect(address: impl ToSocketAddrs) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("connect: {e}"));
        Self::over(stream)
    }

    /// Speaks over a socket that exists already.
    pub fn over(stream: TcpStream) -> Self {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_nodelay(true);
        Self { stream, buffer: Vec::new() }
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the peer is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap_or_else(|e| panic!("send: {e}"));
    }

    /// Sends a line with CRLF.
    pub fn line(&mut self, text: &str) {
        self.send(format!("{text}\r\n"));
    }

    /// Reads one line without its line end; `None` at the end of the stream.
    ///
    /// # Panics
    /// When nothing comes in time.
    pub fn read_line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=at).collect();
                return Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads exactly `n` bytes.
    ///
    /// # Panics
    /// When the stream ends before.
    pub fn read_exact(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n {
            assert!(self.fill(), "stream ended after {} of {n} bytes", self.buffer.len());
        }
        self.buffer.drain(..n).collect()
    }

    /// Everything until the peer closes.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Reads lines up to and including the first that starts with `prefix`; returns them all.
    ///
    /// # Panics
    /// When the stream ends before one comes.
    #[track_caller]
    pub fn until(&mut self, prefix: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.read_line() {
                Some(line) => {
                    let found = line.starts_with(prefix);
                    lines.push(line);
                    if found {
                        return lines;
                    }
                }
                None => panic!("stream ended before {prefix:?}; came: {lines:?}"),
            }
        }
    }

    /// Sends a line and returns the one-line answer, which must start with `prefix`.
    #[track_caller]
    pub fn ask(&mut self, text: &str, prefix: &str) -> String {
        self.line(text);
        let answer = self.read_line().unwrap_or_default();
        assert!(answer.starts_with(prefix), "{text:?} answered {answer:?}, not {prefix:?}");
        answer
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16384];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                true
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(e) => panic!("read: {e}; unread: {:?}", String::from_utf8_lossy(&self.buffer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_share_no_port() {
        let offsets = [25, 143];
        let ports: Vec<u16> = (0..50)
            .flat_map(|_| {
                let base = free_base(&offsets);
                offsets.map(|o| base + o)
            })
            .collect();
        let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), ports.len());
    }
}
