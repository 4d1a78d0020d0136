//! Carries octets between a TLS session and a plain socket until both directions are closed.
//!
//! Invariants  1. nothing is buffered beyond one record a direction: a slow side slows the other
//!             2. the end of the plain side becomes close_notify, close_notify becomes a shutdown of the plain side
//! Failures    any error ends both directions; the program behind sees the end of its input

use crate::Session;
use openssl::ssl::{ErrorCode, ShutdownState};
use penny_sys::poll::Interest;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Octets moved at once; one TLS record holds as many.
const PIECE: usize = 16 * 1024;

#[derive(Default)]
struct Direction {
    buffer: Vec<u8>,
    closed: bool,
}

struct Pump {
    tls: Session,
    plain: UnixStream,
    inward: Direction,
    outward: Direction,
    tls_wants_write: bool,
    plain_wants_write: bool,
}

/// Runs until the session is over.
pub fn pump(session: Session, plain: OwnedFd) -> io::Result<()> {
    let plain = UnixStream::from(plain);
    penny_sys::net::set_nonblocking(plain.as_fd(), true)?;
    let (inward, outward) = Default::default();
    let mut pump = Pump { tls: session, plain, inward, outward, tls_wants_write: false, plain_wants_write: false };
    while !(pump.outward.closed && pump.outward.buffer.is_empty()) {
        pump.receive()?;
        pump.send()?;
        if pump.outward.closed && pump.outward.buffer.is_empty() {
            break;
        }
        pump.wait()?;
    }
    pump.end();
    Ok(())
}

impl Pump {
    fn wait(&self) -> io::Result<()> {
        let tls = Interest {
            fd: self.tls.stream.get_ref().as_fd(),
            read: self.inward.buffer.is_empty() && !self.inward.closed,
            write: self.tls_wants_write,
        };
        let plain = Interest {
            fd: self.plain.as_fd(),
            read: self.outward.buffer.is_empty() && !self.outward.closed,
            write: self.plain_wants_write,
        };
        // octets OpenSSL has already decrypted do not show in poll
        let pending = self.inward.buffer.is_empty() && self.tls.stream.ssl().pending() > 0;
        let timeout = pending.then_some(std::time::Duration::ZERO);
        let asked: Vec<Interest<'_>> = [tls, plain].into_iter().filter(|i| i.read || i.write).collect();
        penny_sys::poll::wait(&asked, timeout).map(|_| ())
    }

    /// TLS to plain.
    fn receive(&mut self) -> io::Result<()> {
        if self.inward.buffer.is_empty() && !self.inward.closed {
            let mut piece = [0; PIECE];
            match self.tls.stream.ssl_read(&mut piece) {
                Ok(n) => self.inward.buffer.extend_from_slice(piece.get(..n).unwrap_or(&[])),
                Err(e) if e.code() == ErrorCode::WANT_READ => {}
                Err(e) if e.code() == ErrorCode::WANT_WRITE => self.tls_wants_write = true,
                Err(_) => self.inward.closed = true,
            }
        }
        self.plain_wants_write = false;
        while !self.inward.buffer.is_empty() {
            match self.plain.write(&self.inward.buffer) {
                Ok(n) => drop(self.inward.buffer.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.plain_wants_write = true;
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // the program is gone: what it still wrote is sent, nothing more is taken
                Err(_) => {
                    self.inward.buffer.clear();
                    self.inward.closed = true;
                }
            }
        }
        self.inward.buffer = Vec::new();
        if self.inward.closed {
            let _ = self.plain.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Plain to TLS.
    fn send(&mut self) -> io::Result<()> {
        if self.outward.buffer.is_empty() && !self.outward.closed {
            let mut piece = [0; PIECE];
            match self.plain.read(&mut piece) {
                Ok(0) => self.outward.closed = true,
                Ok(n) => self.outward.buffer.extend_from_slice(piece.get(..n).unwrap_or(&[])),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.outward.closed = true,
            }
        }
        self.tls_wants_write = false;
        while !self.outward.buffer.is_empty() {
            match self.tls.stream.ssl_write(&self.outward.buffer) {
                Ok(n) => drop(self.outward.buffer.drain(..n)),
                Err(e) if e.code() == ErrorCode::WANT_WRITE => {
                    self.tls_wants_write = true;
                    return Ok(());
                }
                Err(e) if e.code() == ErrorCode::WANT_READ => return Ok(()),
                Err(e) => return Err(e.into_io_error().unwrap_or_else(io::Error::other)),
            }
        }
        self.outward.buffer = Vec::new();
        Ok(())
    }

    fn end(&mut self) {
        if !self.tls.stream.get_shutdown().contains(ShutdownState::SENT) {
            let _ = self.tls.stream.shutdown();
        }
        let _ = self.tls.stream.get_ref().shutdown(Shutdown::Both);
    }
}
