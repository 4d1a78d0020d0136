//! Writing one entry: the only code that makes names in `new/`.
//!
//! Format      pennypost-queue(5): envelope block, added header fields, message, all with LF line ends
//! Invariants  Q1: when `commit` returns Ok, the file is complete and synced, its name is in `new/` with link count 1
//!             and `new/` is synced. On an error no name exists and nothing is left but an ignored temporary file.
//!             The file is locked from before it has its name until `new/` is synced: qrun leaves a locked entry alone,
//!             so that what the client is told to send again was not delivered meanwhile.
//! Failures    ENOSPC, EDQUOT -> 4.3.1; a CR in the message -> 5.6.0; everything else -> 4.3.0
//! Trust       the envelope was parsed by the caller; the message is any octets

use crate::{Envelope, Name};
use penny_base::Failure;
use penny_sys::{files, fs};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The bare message, LF line ends.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file, from offset 0 to its end.
    File(&'a File),
}

/// The queue's directories.
#[derive(Debug, Clone)]
pub struct Directories {
    root: PathBuf,
}

const PARTS: [&str; 5] = ["tmp", "new", "cur", "log", "corrupt"];

impl Directories {
    /// Opens the queue at `root`, making what is missing.
    pub fn open(root: &Path) -> io::Result<Directories> {
        for part in PARTS {
            files::create_dir_durable(&root.join(part), 0o700)?;
        }
        Ok(Directories { root: root.to_path_buf() })
    }

    /// One of tmp, new, cur, log, corrupt.
    pub fn part(&self, part: &str) -> PathBuf {
        self.root.join(part)
    }

    /// An unnamed file for a message that is still arriving.
    pub fn spool(&self) -> io::Result<File> {
        match fs::tmpfile(&self.part("tmp"), 0o600) {
            Ok(file) => Ok(file),
            Err(_) => self.named_temporary().and_then(|(file, path)| std::fs::remove_file(path).map(|()| file)),
        }
    }

    fn named_temporary(&self) -> io::Result<(File, PathBuf)> {
        let path = self.part("tmp").join(format!("{}.{:016x}", std::process::id(), penny_sys::random::u64()));
        Ok((files::create_new(&path, 0o600)?, path))
    }

    /// Commits one entry under `name`. `AlreadyCommitted` is told apart, for reports are committed under fixed names.
    pub fn commit(
        &self,
        name: &Name,
        envelope: &mut Envelope,
        fields: &[u8],
        message: Message<'_>,
    ) -> Result<Committed, Failure> {
        if self.already_taken(name) {
            return Ok(Committed::Before);
        }
        let measure = measure(message).map_err(|e| Failure::io("read message", &e))?;
        if measure.bare_cr || fields.contains(&b'\r') {
            let text = "message holds a carriage return";
            return Err(Failure::permanent(penny_base::Kind::Data, "5.6.0", text));
        }
        let lines = memchr_count(fields);
        envelope.size = measure.octets + fields.len() as u64;
        envelope.wire_size = envelope.size + measure.lines + lines;
        self.write(name, &envelope.encode(), fields, message).map_err(|e| Failure::io("write queue entry", &e))
    }

    /// A report committed before may have left new/ meanwhile; fresh names are never used twice and need no look.
    fn already_taken(&self, name: &Name) -> bool {
        let queue = crate::Queue::new(&self.root);
        name.reports_on().is_some() && [false, true].iter().any(|held| queue.cur_path(name, *held).exists())
    }

    fn write(&self, name: &Name, block: &[u8], fields: &[u8], message: Message<'_>) -> io::Result<Committed> {
        let target = self.part("new").join(name.as_str());
        let linked = match fs::tmpfile(&self.part("tmp"), 0o600) {
            Ok(mut file) => {
                fill(&mut file, block, fields, message)?;
                fs::link_fd(&file, &target).map(|()| file)
            }
            // file systems without O_TMPFILE
            Err(_) => self.write_named(&target, block, fields, message),
        };
        match linked {
            // the file, and with it the lock, goes after the sync
            Ok(_locked) => self.sync_new(&target).map(|()| Committed::Now),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Committed::Before),
            Err(e) => Err(e),
        }
    }

    fn write_named(&self, target: &Path, block: &[u8], fields: &[u8], message: Message<'_>) -> io::Result<File> {
        let (mut file, path) = self.named_temporary()?;
        let result = fill(&mut file, block, fields, message).and_then(|()| fs::rename_new(&path, target));
        if result.is_err() {
            let _ = std::fs::remove_file(&path);
        }
        result.map(|()| file)
    }

    /// A name that may not be on stable storage must not stay: the sender is told to try again.
    fn sync_new(&self, target: &Path) -> io::Result<()> {
        let synced = files::sync_dir(&self.part("new"));
        if synced.is_err() {
            let _ = std::fs::remove_file(target);
        }
        synced
    }
}

/// When an entry got its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// By this call.
    Now,
    /// By an earlier one.
    Before,
}

/// Writes and locks the file; nobody else knows it yet.
fn fill(file: &mut File, block: &[u8], fields: &[u8], message: Message<'_>) -> io::Result<()> {
    file.lock()?;
    match message {
        Message::Bytes(bytes) => file.write_all(&[block, fields, bytes].concat())?,
        Message::File(from) => {
            file.write_all(&[block, fields].concat())?;
            fs::copy_from_offset(from, 0, file)?;
        }
    }
    file.sync_all()
}

#[derive(Default)]
struct Measure {
    octets: u64,
    lines: u64,
    bare_cr: bool,
}

fn memchr_count(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

impl Measure {
    fn add(&mut self, bytes: &[u8]) {
        self.octets += bytes.len() as u64;
        self.lines += memchr_count(bytes);
        self.bare_cr |= memchr::memchr(b'\r', bytes).is_some();
    }
}

fn measure(message: Message<'_>) -> io::Result<Measure> {
    use std::os::unix::fs::FileExt;
    let mut measure = Measure::default();
    match message {
        Message::Bytes(bytes) => measure.add(bytes),
        Message::File(file) => {
            let mut buffer = vec![0; 128 * 1024];
            loop {
                match file.read_at(&mut buffer, measure.octets) {
                    Ok(0) => break,
                    Ok(n) => measure.add(&buffer[..n]),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
        }
    }
    Ok(measure)
}

/// Reads the block of an entry's file: everything before the first empty line, at most the block limit.
pub fn read_block(file: &mut File) -> io::Result<(Vec<u8>, u64)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        if let Some(end) = crate::envelope::find_end(&bytes) {
            bytes.truncate(end);
            return Ok((bytes, end as u64));
        }
        let n = file.read(&mut buffer)?;
        if n == 0 || bytes.len() > crate::envelope::BLOCK_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no end of the envelope block"));
        }
        bytes.extend_from_slice(buffer.get(..n).unwrap_or(&[]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Recipient};

    fn queue() -> (Directories, PathBuf) {
        let root = std::env::temp_dir().join(format!("penny-queue-{:x}", penny_sys::random::u64()));
        (Directories::open(&root).unwrap(), root)
    }

    fn envelope() -> Envelope {
        let recipient = Recipient { address: Address::new("b@example.test").unwrap(), params: Vec::new() };
        Envelope { arrival: (1, 2), recipients: vec![recipient], ..Envelope::default() }
    }

    fn name(n: u32) -> Name {
        Name::new(1, 2, 3, n, 5)
    }

    #[test]
    fn an_entry_is_envelope_fields_message() {
        let (queue, root) = queue();
        let done = queue.commit(&name(1), &mut envelope(), b"X-A: b\n", Message::Bytes(b"S: x\n\nhi\n")).unwrap();
        assert_eq!(done, Committed::Now);
        let mut file = File::open(root.join("new").join(name(1).as_str())).unwrap();
        let (block, at) = read_block(&mut file).unwrap();
        let read = Envelope::parse(&block).unwrap();
        assert_eq!((read.size, read.wire_size), (16, 20));
        let all = std::fs::read(root.join("new").join(name(1).as_str())).unwrap();
        assert_eq!(&all[at as usize..], b"X-A: b\nS: x\n\nhi\n");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_name_is_committed_once() {
        let (queue, root) = queue();
        let mut file = queue.spool().unwrap();
        file.write_all(b"A: b\n\nx\n").unwrap();
        let commit = || queue.commit(&name(1), &mut envelope(), b"", Message::File(&file)).unwrap();
        assert_eq!((commit(), commit()), (Committed::Now, Committed::Before));
        assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_report_already_taken_is_not_committed_again() {
        let (queue, root) = queue();
        let report = name(1).report(crate::name::Report::Bounce, 1).unwrap();
        let commit = || queue.commit(&report, &mut envelope(), b"", Message::Bytes(b"A: b\n\nx\n")).unwrap();
        assert_eq!(commit(), Committed::Now);
        crate::Queue::new(&root).take(&report, false).unwrap();
        assert_eq!(commit(), Committed::Before);
        assert_eq!(std::fs::read_dir(root.join("new")).unwrap().count(), 0);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_carriage_return_is_refused() {
        let (queue, root) = queue();
        let e = queue.commit(&name(1), &mut envelope(), b"", Message::Bytes(b"A: b\r\n\r\n")).unwrap_err();
        assert_eq!(e.status, "5.6.0");
        assert_eq!(std::fs::read_dir(root.join("new")).unwrap().count(), 0);
        std::fs::remove_dir_all(root).unwrap();
    }
}
