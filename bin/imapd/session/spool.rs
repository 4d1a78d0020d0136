//! Message data on its way from the client to a mailbox.
//!
//! Invariants  1. at most [`MEMORY_MAX`] octets of text in memory, the rest in an unnamed file of the user's tmp/; a literal8 is kept
//!                in memory, for its parts have to be looked at
//!             2. CRLF becomes LF, a lone CR stays; a literal8 has its binary parts re-coded
//! Failures    kept until the command is executed: the client has to finish its literal first
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;

/// Larger messages go through a file.
const MEMORY_MAX: usize = 512 * 1024;

/// One literal.
pub struct Spool {
    dir: PathBuf,
    memory: Vec<u8>,
    file: Option<File>,
    error: Option<io::Error>,
    /// The last octet was a CR, held back until the next is known.
    cr: bool,
    nul: bool,
    binary: bool,
}

impl Spool {
    pub fn new(dir: PathBuf, binary: bool) -> Spool {
        Spool { dir, memory: Vec::new(), file: None, error: None, cr: false, nul: false, binary }
    }

    /// Takes a piece.
    pub fn write(&mut self, bytes: &[u8]) {
        self.nul |= bytes.contains(&0);
        if self.binary {
            self.memory.extend_from_slice(bytes);
            return;
        }
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|&b| b == b'\r') {
            self.put_text(&rest[..at]);
            self.put_cr();
            self.cr = true;
            rest = &rest[at + 1..];
        }
        self.put_text(rest);
        if self.memory.len() > MEMORY_MAX {
            self.move_out();
        }
    }

    fn put_text(&mut self, text: &[u8]) {
        if let Some(first) = text.first() {
            if *first == b'\n' {
                self.cr = false;
            }
            self.put_cr();
            self.memory.extend_from_slice(text);
        }
    }

    fn put_cr(&mut self) {
        if std::mem::take(&mut self.cr) {
            self.memory.push(b'\r');
        }
    }

    fn move_out(&mut self) {
        if let Err(e) = self.write_out() {
            self.error.get_or_insert(e);
        }
        self.memory.clear();
    }

    fn write_out(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(penny_sys::fs::tmpfile(&self.dir, 0o600)?);
        }
        match &mut self.file {
            Some(file) => file.write_all(&self.memory),
            None => Ok(()),
        }
    }

    /// A NUL stands in a literal that may hold none (RFC 3501 9).
    pub fn has_wrong_nul(&self) -> bool {
        self.nul && !self.binary
    }

    /// Copies all of it.
    pub fn copy_to(mut self, out: &mut impl Write) -> io::Result<()> {
        if self.binary {
            let stored = penny_mime::recode::store_form(&self.memory);
            return out.write_all(&stored.ok_or(io::ErrorKind::InvalidData)?);
        }
        self.put_cr();
        if let Some(e) = self.error {
            return Err(e);
        }
        if let Some(mut file) = self.file {
            file.rewind()?;
            io::copy(&mut file, out)?;
        }
        out.write_all(&self.memory)
    }
}
