//! The message at hand: a file from an offset on, read by position, never moved.
//!
//! Invariants  1. the same bytes however often they are read   2. LF line ends: input by hand with CRLF is normalised once, here
//!             3. an mbox `From ` line in front is taken off (fetchmail, Postfix pipe and formail leave one)

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use penny_base::Failure;
use penny_mime::Fields;

use crate::context::standard_input;

/// Headers longer than this are looked at no further.
const HEADER_MAX: u64 = 4 << 20;
/// Messages up to here stay in memory.
const MEMORY_MAX: usize = 1 << 20;

/// A message.
pub struct Mail {
    file: File,
    start: u64,
    end: u64,
    header: Vec<u8>,
    from_line: Option<String>,
}

impl Mail {
    /// In a job: standard input is a file, positioned at the message.
    pub fn at_offset() -> Result<Self, Failure> {
        let fail = |e: io::Error| Failure::io("read message", &e);
        let mut file = standard_input()?;
        let start = file.stream_position().map_err(fail)?;
        let end = file.metadata().map_err(fail)?.len().max(start);
        Self::over(file, start, end, None).map_err(fail)
    }

    /// By hand: all of standard input, kept in memory or in an unnamed file of `tmp`.
    pub fn from_stream(tmp: &Path) -> Result<Self, Failure> {
        let fail = |e: io::Error| Failure::io("read message", &e);
        let mut input = standard_input()?;
        let mut normal = Normalise::default();
        let mut kept = Kept::new(tmp);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let n = match input.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(fail(e)),
            };
            let mut out = Vec::with_capacity(n);
            normal.feed(chunk.get(..n).unwrap_or_default(), &mut out);
            kept.write(&out).map_err(fail)?;
        }
        let mut rest = Vec::new();
        normal.finish(&mut rest);
        kept.write(&rest).map_err(fail)?;
        let file = kept.into_file().map_err(fail)?;
        let end = file.metadata().map_err(fail)?.len();
        let from_line = from_line(&file).map_err(fail)?;
        let start = from_line.as_ref().map_or(0, |l| l.len() as u64 + 1);
        Self::over(file, start, end, from_line).map_err(fail)
    }

    fn over(file: File, start: u64, end: u64, from_line: Option<String>) -> io::Result<Self> {
        let mut mail = Self { file, start, end, header: Vec::new(), from_line };
        mail.read_header()?;
        Ok(mail)
    }

    fn read_header(&mut self) -> io::Result<()> {
        self.header = header_of(self.reader().take(HEADER_MAX), buffer_size(self.size(), 16))?;
        Ok(())
    }

    /// Octets.
    pub fn size(&self) -> u64 {
        self.end - self.start
    }

    /// The header with the empty line that ends it.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// All of it, from the start.
    pub fn reader(&self) -> Reader<'_> {
        self.reader_from(0)
    }

    /// What follows the header.
    pub fn body(&self) -> Reader<'_> {
        self.reader_from(self.header.len() as u64)
    }

    /// Octets of what follows the header.
    pub fn body_size(&self) -> u64 {
        self.size().saturating_sub(self.header.len() as u64)
    }

    fn reader_from(&self, skip: u64) -> Reader<'_> {
        Reader { file: &self.file, at: self.start + skip, end: self.end }
    }

    /// Who sent it by its own words: Return-Path, else the mbox line.
    pub fn stated_sender(&self) -> Option<String> {
        let field = Fields::new(&self.header).find(|f| f.is("return-path"));
        let path = field.map(|f| String::from_utf8_lossy(&f.unfolded()).trim().to_owned());
        path.or_else(|| self.from_line.as_ref()?.split_whitespace().nth(1).map(str::to_owned))
    }
}

/// A buffer for `octets`, at most `kib`: in a process that lives for one message each page of it costs a page fault.
pub fn buffer_size(octets: u64, kib: usize) -> usize {
    usize::try_from(octets).unwrap_or(usize::MAX).clamp(512, kib * 1024)
}

/// Everything up to and with the first empty line.
fn header_of(mut reader: impl Read, at_once: usize) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    let mut chunk = vec![0; at_once];
    let mut seen = 0;
    loop {
        let n = reader.read(&mut chunk)?;
        header.extend_from_slice(chunk.get(..n).unwrap_or_default());
        let end = if header.starts_with(b"\n") { Some(1) } else { find(&header, b"\n\n", seen).map(|at| at + 2) };
        if let Some(end) = end {
            header.truncate(end);
            return Ok(header);
        }
        if n == 0 {
            return Ok(header);
        }
        seen = header.len().saturating_sub(1);
    }
}

/// Reads a file by position.
pub struct Reader<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(out.len());
        let n = self.file.read_at(out.get_mut(..left).unwrap_or_default(), self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// The mbox line in front, without its end.
fn from_line(file: &File) -> io::Result<Option<String>> {
    let mut start = vec![0; 1024];
    let n = file.read_at(&mut start, 0)?;
    start.truncate(n);
    let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
    let is_one = line.starts_with(b"From ") && line.len() < start.len();
    Ok(is_one.then(|| String::from_utf8_lossy(line).into_owned()).filter(|l| l.len() == line.len()))
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|w| w == what).map(|at| at + from)
}

/// Memory first, an unnamed file when it grows.
struct Kept<'a> {
    tmp: &'a Path,
    memory: Vec<u8>,
    file: Option<File>,
}

impl<'a> Kept<'a> {
    fn new(tmp: &'a Path) -> Self {
        Self { tmp, memory: Vec::new(), file: None }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() + bytes.len() > MEMORY_MAX {
            let mut file =
                penny_sys::fs::tmpfile(self.tmp, 0o600).or_else(|_| penny_sys::fs::memory_file("message"))?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => {
                self.memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn into_file(self) -> io::Result<File> {
        if let Some(file) = self.file {
            return Ok(file);
        }
        let mut file = penny_sys::fs::memory_file("message")?;
        file.write_all(&self.memory)?;
        Ok(file)
    }
}

/// CRLF to LF; a CR anywhere else stays what it is.
#[derive(Default)]
struct Normalise {
    cr: bool,
}

impl Normalise {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for &b in input {
            if self.cr && b != b'\n' {
                out.push(b'\r');
            }
            self.cr = b == b'\r';
            if !self.cr {
                out.push(b);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.cr) {
            out.push(b'\r');
        }
    }
}
