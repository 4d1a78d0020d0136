//! Where unpacked objects live: in memory while small, in one unnamed file beyond that.
//!
//! Why         a scanner of 16 MiB must open a 100 MiB member; the file is opened before the sandbox shuts, used like
//!             a stack (a container outlives its members), and its pages belong to the kernel
//! Invariants  a mapping of the file never outlives the range it maps: contents are dropped before `release`

use penny_sys::files::Map;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;

/// Octets of one object kept in memory.
const IN_MEMORY: usize = 1 << 20;
/// What an object larger than that gathers before it is written on.
const PIECE: usize = 128 << 10;
/// Alignment of a mapping.
const PAGE: u64 = 65536;

/// The store.
#[derive(Default)]
pub struct Scratch {
    file: Option<File>,
    used: u64,
}

/// An unpacked object.
pub enum Content {
    /// In memory.
    Heap(Vec<u8>),
    /// In the scratch file.
    File(Map),
}

impl Deref for Content {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Content::Heap(v) => v,
            Content::File(m) => m,
        }
    }
}

/// An object being unpacked.
pub struct Filling<'a> {
    scratch: &'a mut Scratch,
    memory: Vec<u8>,
    start: u64,
    len: u64,
}

impl Scratch {
    /// A store over an unnamed file, or in memory only.
    pub fn new(file: Option<File>) -> Scratch {
        Scratch { file, used: 0 }
    }

    /// The present height of the stack.
    pub fn mark(&self) -> u64 {
        self.used
    }

    /// Gives back everything above `mark`.
    pub fn release(&mut self, mark: u64) {
        self.used = mark;
    }

    /// Begins an object.
    pub fn begin(&mut self) -> Filling<'_> {
        let start = self.used;
        Filling { scratch: self, memory: Vec::new(), start, len: 0 }
    }
}

impl Filling<'_> {
    /// Appends octets.
    pub fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(bytes);
        let most = if self.len == 0 { IN_MEMORY } else { PIECE };
        if self.memory.len() > most && self.scratch.file.is_some() {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = &self.scratch.file {
            file.write_all_at(&self.memory, self.start + self.len)?;
            self.len += self.memory.len() as u64;
            self.memory.clear();
            self.memory.shrink_to(PIECE * 2);
            self.scratch.used = (self.start + self.len).next_multiple_of(PAGE);
        }
        Ok(())
    }

    /// The finished object.
    pub fn finish(mut self) -> io::Result<Content> {
        if self.len == 0 {
            return Ok(Content::Heap(self.memory));
        }
        self.flush()?;
        match &self.scratch.file {
            Some(file) => Ok(Content::File(Map::passing(file, self.start, self.len as usize)?)),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
