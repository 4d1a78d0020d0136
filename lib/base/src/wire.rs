//! The two ends of a conversation on descriptors 0 and 1: reads with a time limit, writes in one go.
//!
//! Invariants  1. nothing is read ahead of what the caller asks to be read: after STARTTLS no old octet remains here
//!             2. output is kept until [`Wire::flush`], so that pipelined commands get one write (and TCP no Nagle delay)
//! Failures    a peer that does not take our answers within the limit is an error like one that went away

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// Answers are sent when this many octets wait.
const OUTPUT_MAX: usize = 128 * 1024;
/// Octets read at once.
const INPUT_MAX: usize = 16 * 1024;

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// So many octets, put at the end of the buffer.
    Octets(usize),
    /// The peer has closed.
    End,
    /// Nothing came in time.
    Timeout,
}

/// Descriptors 0 and 1.
#[derive(Debug)]
pub struct Wire {
    input: File,
    output: File,
    waiting: Vec<u8>,
}

impl Wire {
    /// Takes descriptors 0 and 1 as they are now; to be called again after STARTTLS has replaced them.
    pub fn open() -> io::Result<Wire> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        penny_sys::net::nodelay(output.as_fd());
        penny_sys::net::send_timeout(output.as_fd(), Duration::from_secs(300));
        Ok(Wire { input, output, waiting: Vec::new() })
    }

    /// Sends what waits, then waits for input.
    pub fn read(&mut self, buffer: &mut Vec<u8>, limit: Duration) -> io::Result<Got> {
        self.flush()?;
        if !penny_sys::net::wait_readable(self.input.as_fd(), limit)? {
            return Ok(Got::Timeout);
        }
        loop {
            match penny_sys::net::read_more(self.input.as_fd(), buffer, INPUT_MAX) {
                Ok(0) => return Ok(Got::End),
                Ok(n) => return Ok(Got::Octets(n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(Got::End),
                Err(e) => return Err(e),
            }
        }
    }

    /// Adds to the output.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        self.flush_if_large()
    }

    /// The output, for what is made in its place; [`Wire::flush_if_large`] from time to time keeps it small.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// Writes when much waits.
    pub fn flush_if_large(&mut self) -> io::Result<()> {
        if self.waiting.len() >= OUTPUT_MAX { self.flush() } else { Ok(()) }
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> io::Result<()> {
        let result = self.output.write_all(&self.waiting);
        self.waiting.clear();
        result
    }
}
