//! The connection: input with a time limit, output gathered and written in one go.
//!
//! Invariants  1. output leaves before we wait for input, and in pieces of [`FLUSH_AT`] before that
//!             2. nothing is read ahead of a STARTTLS: the caller checks its reader
//! Failures    the end of input is a value; a broken output is an error that ends the conversation
use penny_sys::poll::{Interest, Ready, wait};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Octets gathered before they are written.
const FLUSH_AT: usize = 128 * 1024;
/// Octets read at once.
const READ_SIZE: usize = 16 * 1024;
/// Capacity kept between commands, so that an idle session stays small.
const KEEP: usize = 16 * 1024;

/// What a wait found.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    /// Input, now in the buffer given.
    Input,
    /// The other descriptor is ready.
    Other,
    /// The peer has closed.
    End,
    /// The time is over.
    Timeout,
}

/// Descriptors 0 and 1.
pub struct Conn {
    input: File,
    output: File,
    /// Answers not written yet.
    pub out: Vec<u8>,
}

impl Conn {
    /// Takes descriptors 0 and 1 as they are now; again after STARTTLS has replaced them.
    pub fn open() -> io::Result<Conn> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        penny_sys::net::nodelay(output.as_fd());
        Ok(Conn { input, output, out: Vec::new() })
    }

    /// Writes everything.
    pub fn flush(&mut self) -> io::Result<()> {
        let result = self.output.write_all(&self.out);
        self.out.clear();
        if self.out.capacity() > KEEP {
            self.out.shrink_to(KEEP);
        }
        result
    }

    /// Writes when much has gathered.
    pub fn flush_if_large(&mut self) -> io::Result<()> {
        if self.out.len() < FLUSH_AT {
            return Ok(());
        }
        let result = self.output.write_all(&self.out);
        self.out.clear();
        result
    }

    /// Waits for input, or for another descriptor.
    pub fn wait(&mut self, other: Option<BorrowedFd<'_>>, limit: Duration, buffer: &mut Vec<u8>) -> io::Result<Got> {
        self.flush()?;
        let mut all = vec![Interest::read(self.input.as_fd())];
        all.extend(other.map(Interest::read));
        let ready = wait(&all, Some(limit))?;
        let is_ready = |n: usize| ready.get(n).copied().unwrap_or(Ready::default()).read;
        if is_ready(0) {
            return self.read(buffer);
        }
        Ok(if is_ready(1) { Got::Other } else { Got::Timeout })
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<Got> {
        let mut chunk = [0; READ_SIZE];
        loop {
            match self.input.read(&mut chunk) {
                Ok(0) => return Ok(Got::End),
                Ok(n) => {
                    buffer.extend_from_slice(&chunk[..n]);
                    return Ok(Got::Input);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(Got::End),
                Err(e) => return Err(e),
            }
        }
    }
}
