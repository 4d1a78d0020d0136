//! Client of enqueue: commits messages, keeps a message that is still arriving. See enqueue(8).
//!
//! Format      `COMMIT <name or -> <block octets> <field octets> <message octets or fd>` LF, block, fields, message
//!             (or one descriptor by SCM_RIGHTS); answer `OK <name>` or `ERR <status> <text>`.
//!             `SPOOL` LF; answer `OK` with a descriptor
//! Invariants  Ok from `commit` means Q1: the entry survives a power cut

use crate::commit::Message;
use crate::{Envelope, Name};
use penny_base::services::{Spawn, service_stream};
use penny_base::{Config, Failure, Kind};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Largest message sent inline, octets; larger ones travel as a descriptor.
pub const INLINE_MAX: usize = 256 * 1024;

/// Longest answer, octets.
const ANSWER_MAX: usize = 1024;

/// Longest wait for a commit: a disk that needs longer is as good as full.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A connection to enqueue.
#[derive(Debug)]
pub struct Enqueue {
    stream: UnixStream,
}

impl Enqueue {
    /// Connects: an inherited descriptor (PENNYPOST_ENQUEUE_FD), the socket, or an enqueue of our own started by spawn.
    pub fn connect(config: &Config, spawn: Option<&mut Spawn>) -> io::Result<Enqueue> {
        Enqueue::over(service_stream(config, "enqueue", "PENNYPOST_ENQUEUE_FD", spawn)?)
    }

    /// Uses an open connection.
    pub fn over(stream: UnixStream) -> io::Result<Enqueue> {
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Enqueue { stream })
    }

    /// The connection.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Commits a message under a fresh name. `fields` are header fields to put on top, each ended by LF.
    pub fn commit(&mut self, envelope: &Envelope, fields: &[u8], message: Message<'_>) -> Result<Name, Failure> {
        self.commit_as(None, envelope, fields, message)
    }

    /// Commits under a given name; only the queue's own uid may. An entry of that name that exists is success.
    pub fn commit_as(
        &mut self,
        name: Option<&Name>,
        envelope: &Envelope,
        fields: &[u8],
        message: Message<'_>,
    ) -> Result<Name, Failure> {
        self.exchange(name, envelope, fields, message).unwrap_or_else(|e| Err(Failure::io("enqueue", &e)))
    }

    fn exchange(
        &mut self,
        name: Option<&Name>,
        envelope: &Envelope,
        fields: &[u8],
        message: Message<'_>,
    ) -> io::Result<Result<Name, Failure>> {
        let block = envelope.encode();
        let (what, fd) = match message {
            Message::Bytes(b) => (b.len().to_string(), None),
            Message::File(f) => ("fd".to_string(), Some(f.as_fd())),
        };
        let name = name.map_or("-", Name::as_str);
        let mut head = format!("COMMIT {name} {} {} {what}\n", block.len(), fields.len()).into_bytes();
        head.extend_from_slice(&block);
        head.extend_from_slice(fields);
        if let Message::Bytes(b) = message {
            head.extend_from_slice(b);
        }
        self.send(&head, fd)?;
        self.answer()
    }

    fn send(&mut self, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
        let n = penny_sys::fdpass::send(self.stream.as_fd(), bytes, &fds)?;
        self.stream.write_all(bytes.get(n..).unwrap_or(&[]))
    }

    fn answer(&mut self) -> io::Result<Result<Name, Failure>> {
        let line = self.line()?;
        if let Some(name) = line.strip_prefix("OK ") {
            return Ok(name.parse().map_err(|_| Failure::temporary("4.3.0", "odd answer of enqueue")));
        }
        let text = line.strip_prefix("ERR ").unwrap_or("4.3.0 odd answer of enqueue");
        let (status, text) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Err(match status.starts_with('5') {
            true => Failure::permanent(Kind::Data, status, text),
            false => Failure::temporary(status, text),
        }))
    }

    /// One answer is one line, and nothing follows it before the next request: it is read in as few calls as it takes.
    fn line(&mut self) -> io::Result<String> {
        let mut line = [0; ANSWER_MAX];
        let mut length = 0;
        loop {
            match self.stream.read(line.get_mut(length..).unwrap_or_default())? {
                0 if length == ANSWER_MAX => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "odd answer of enqueue"));
                }
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "enqueue is gone")),
                n => length += n,
            }
            let text = line.get(..length).and_then(|l| l.strip_suffix(b"\n"));
            if let Some(text) = text {
                return Ok(String::from_utf8_lossy(text).into_owned());
            }
        }
    }

    /// Asks for an unnamed file in the queue's file system.
    pub fn spool_file(&mut self) -> io::Result<File> {
        self.stream.write_all(b"SPOOL\n")?;
        let mut buffer = [0; 256];
        let (n, fds) = penny_sys::fdpass::receive(self.stream.as_fd(), &mut buffer)?;
        let answer = String::from_utf8_lossy(buffer.get(..n).unwrap_or(&[])).into_owned();
        let fd: Option<OwnedFd> = fds.into_iter().next();
        fd.map(File::from).ok_or_else(|| io::Error::other(answer.trim_end().to_string()))
    }
}

/// A message that is still arriving: in memory while it is small, in an unnamed file of the queue when it grows.
#[derive(Debug, Default)]
pub struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    octets: u64,
}

impl Spool {
    /// An empty message.
    pub fn new() -> Spool {
        Spool::default()
    }

    /// Octets so far.
    pub fn len(&self) -> u64 {
        self.octets
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// Adds a piece (LF line ends).
    pub fn write(&mut self, enqueue: &mut Enqueue, piece: &[u8]) -> io::Result<()> {
        self.octets += piece.len() as u64;
        if self.file.is_none() && self.memory.len() + piece.len() <= INLINE_MAX {
            self.memory.extend_from_slice(piece);
            return Ok(());
        }
        if self.file.is_none() {
            let mut file = enqueue.spool_file()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        self.file.as_mut().map_or(Ok(()), |f| f.write_all(piece))
    }

    /// The message for `commit`.
    pub fn message(&self) -> Message<'_> {
        self.file.as_ref().map_or(Message::Bytes(&self.memory), Message::File)
    }

    /// The message in memory, when it is small enough to be there.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.file.is_none().then_some(&self.memory)
    }

    /// The message as a file that filters and `deliver` can be given (a memory file when it is small).
    pub fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let mut file = penny_sys::fs::memory_file("message")?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        self.file.as_ref().ok_or_else(|| io::Error::other("no spool file"))
    }

    /// Replaces the message by what a rewriting filter printed.
    pub fn replace(&mut self, mut file: File) -> io::Result<()> {
        // not metadata(): a confined program has no statx
        self.octets = io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        self.memory = Vec::new();
        self.file = Some(file);
        Ok(())
    }
}
