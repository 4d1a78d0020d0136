//! The connection: input with a time limit, output gathered and written in one go.
//!
//! Invariants  1. output leaves before we wait for input, and in pieces of [`FLUSH_AT`] before that
//!             2. nothing is read ahead of a STARTTLS: the caller checks its reader
//!             3. COMPRESS=DEFLATE (RFC 4978) sits between the gathered answers and the descriptor, both ways
//! Failures    the end of input is a value; a broken output is an error that ends the conversation
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use penny_sys::poll::{Interest, Ready, wait};
use std::fs::File;
use std::io::{self, Write};
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
    deflate: Option<Box<(Compress, Decompress)>>,
}

impl Conn {
    /// Takes descriptors 0 and 1 as they are now; again after STARTTLS has replaced them.
    pub fn open() -> io::Result<Conn> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        penny_sys::net::nodelay(output.as_fd());
        Ok(Conn { input, output, out: Vec::new(), deflate: None })
    }

    /// Compresses from here on, both ways; what was said before has been written.
    pub fn compress(&mut self) -> io::Result<()> {
        self.flush()?;
        self.deflate = Some(Box::new((Compress::new(Compression::fast(), false), Decompress::new(false))));
        Ok(())
    }

    /// True when compression is on.
    pub fn is_compressed(&self) -> bool {
        self.deflate.is_some()
    }

    fn write_out(&mut self) -> io::Result<()> {
        let result = match &mut self.deflate {
            Some(d) if !self.out.is_empty() => deflate(&mut d.0, &self.out).and_then(|b| self.output.write_all(&b)),
            _ => self.output.write_all(&self.out),
        };
        self.out.clear();
        result
    }

    /// Writes everything.
    pub fn flush(&mut self) -> io::Result<()> {
        let result = self.write_out();
        if self.out.capacity() > KEEP {
            self.out.shrink_to(KEEP);
        }
        result
    }

    /// Writes when much has gathered.
    pub fn flush_if_large(&mut self) -> io::Result<()> {
        if self.out.len() < FLUSH_AT { Ok(()) } else { self.write_out() }
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

    /// Whether the client has said something, or has gone.
    pub fn has_input(&self) -> bool {
        wait(&[Interest::read(self.input.as_fd())], Some(Duration::ZERO)).is_ok_and(|r| r.iter().any(|r| r.read))
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<Got> {
        let had = buffer.len();
        loop {
            match penny_sys::net::read_more(self.input.as_fd(), buffer, READ_SIZE) {
                Ok(0) => return Ok(Got::End),
                Ok(_) => {
                    if let Some(d) = &mut self.deflate {
                        let compressed = buffer.split_off(had);
                        inflate(&mut d.1, &compressed, buffer)?;
                    }
                    return Ok(Got::Input);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(Got::End),
                Err(e) => return Err(e),
            }
        }
    }
}

/// All of `bytes`, so that the other side can read it at once (RFC 4978 3: a sync flush).
fn deflate(state: &mut Compress, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() / 2 + 64);
    let mut rest = bytes;
    loop {
        let before = state.total_in();
        state.compress_vec(rest, &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
        rest = &rest[usize::try_from(state.total_in() - before).unwrap_or(rest.len())..];
        // room left means that nothing is held back
        if rest.is_empty() && out.len() < out.capacity() {
            return Ok(out);
        }
        out.reserve(4096);
    }
}

/// What one read holds: at most about 1000 times its size, which the reader's limits then cut down.
fn inflate(state: &mut Decompress, bytes: &[u8], buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut rest = bytes;
    loop {
        buffer.reserve(READ_SIZE);
        let (before, had) = (state.total_in(), buffer.len());
        let status = state.decompress_vec(rest, buffer, FlushDecompress::Sync).map_err(io::Error::other)?;
        rest = &rest[usize::try_from(state.total_in() - before).unwrap_or(rest.len())..];
        let full = buffer.len() == buffer.capacity();
        let stuck = buffer.len() == had && state.total_in() == before;
        if status == Status::StreamEnd || stuck || (rest.is_empty() && !full) {
            return Ok(());
        }
    }
}
