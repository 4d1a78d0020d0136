//! The client's octets: descriptors 0 and 1 with time limits.
//!
//! Standards   RFC 5321 4.5.3.2 (time-outs)
//! Invariants  1. nothing is read ahead of what `fill` returns, so that TLS can take the socket over
//!             2. a write that the client does not take ends by the limit too

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Octets read at once.
const READ_SIZE: usize = 64 * 1024;

/// Both directions.
pub struct Conn {
    input: File,
    output: File,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// What waiting for input led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Filled {
    /// There is input.
    Data,
    /// The client closed.
    End,
    /// The time is over.
    Late,
}

impl Conn {
    /// Takes descriptors 0 and 1.
    pub fn open(write_limit: Duration) -> io::Result<Conn> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        limit_writes(&output, write_limit);
        Ok(Conn { input: input.into(), output: output.into(), buffer: vec![0; READ_SIZE], start: 0, end: 0 })
    }

    /// What was read and not used.
    pub fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Marks octets as used.
    pub fn consume(&mut self, used: usize) {
        self.start = (self.start + used).min(self.end);
    }

    /// Reads more; call when nothing is pending.
    pub fn fill(&mut self, deadline: Instant) -> io::Result<Filled> {
        let left = deadline.saturating_duration_since(Instant::now());
        if !penny_sys::net::wait_readable(self.input.as_fd(), left)? {
            return Ok(Filled::Late);
        }
        loop {
            match self.input.read(&mut self.buffer) {
                Ok(n) => {
                    (self.start, self.end) = (0, n);
                    return Ok(if n == 0 { Filled::End } else { Filled::Data });
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(Filled::End),
                Err(e) => return Err(e),
            }
        }
    }

    /// Whether the client says something within `time`.
    pub fn speaks_within(&self, time: Duration) -> io::Result<bool> {
        penny_sys::net::wait_readable(self.input.as_fd(), time)
    }

    /// Writes a whole answer in one go.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.output.write_all(octets)
    }
}

/// A socket takes the limit; a pipe does not, and needs none: its reader is local.
fn limit_writes(output: &OwnedFd, limit: Duration) {
    if let Ok(copy) = output.try_clone() {
        let _ = TcpStream::from(copy).set_write_timeout(Some(limit));
    }
}
