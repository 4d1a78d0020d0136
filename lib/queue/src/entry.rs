//! The queue directory: where entries lie in each state, and the order of calls between states.
//!
//! Format      states Q0 to Q5 of pennypost-queue(5): `tmp/` `new/N` `cur/N:2,` `cur/N:2,H` `log/N` `corrupt/N`
//! Invariants  1. an entry has one name and one link at every moment
//!             2. a state is entered by one rename; held and released are synced before they are answered
//!             3. Q5: unlink cur/N, sync cur/, unlink log/N: a journal without entry is rubbish, never the reverse
//!             4. nothing here deletes what it does not understand
//! Failures    [`EntryError::Corrupt`]: set it aside; [`EntryError::Gone`]: somebody was faster; the rest is io
//! Trust       the directory belongs to the queue's uid; contents were checked by `enqueue`, and are checked again

use crate::envelope::{BLOCK_MAX, Envelope, find_end};
use crate::name::Name;
use std::ffi::{OsStr, OsString};
use std::fs::{File, FileTimes};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Age in seconds after which what lies in tmp/ is nobody's (Q0).
pub const TMP_AGE_MAX: u64 = 36 * 3600;

/// The directories of a queue.
const DIRS: [&str; 5] = ["tmp", "new", "cur", "log", "corrupt"];

/// Bytes read first when an envelope is wanted: nearly all end within.
const FIRST_READ: usize = 8 << 10;

/// A queue directory.
#[derive(Clone, Debug)]
pub struct Queue {
    root: PathBuf,
}

/// Why an entry cannot be used.
#[derive(Debug)]
pub enum EntryError {
    /// Not understood, or not ours: to be set aside.
    Corrupt(String),
    /// No longer there.
    Gone,
    /// The system failed; try again later.
    Io(io::Error),
}

impl From<io::Error> for EntryError {
    fn from(e: io::Error) -> EntryError {
        if e.kind() == ErrorKind::NotFound { EntryError::Gone } else { EntryError::Io(e) }
    }
}

/// An entry opened and understood.
#[derive(Debug)]
pub struct Opened {
    /// The file; its offset is at the first byte of the message.
    pub file: File,
    /// Its envelope.
    pub envelope: Envelope,
    /// Offset of the first byte of the message.
    pub body: u64,
}

impl Opened {
    /// Whether whoever committed this entry has finished: until then the file is locked (Q1) and may still be taken back.
    pub fn is_answered(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => self.file.unlock().map(|()| true),
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(e)) => Err(e),
        }
    }
}

/// A name found in cur/.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An entry: name, whether it is held, when it is due (seconds since 1970).
    Entry(Name, bool, u64),
    /// Something else.
    Stranger(OsString),
}

impl Queue {
    /// The queue at `root`; nothing is touched yet.
    pub fn new(root: impl Into<PathBuf>) -> Queue {
        Queue { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// One of the directories inside.
    pub fn dir(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes what is missing of the directories, mode 0700, durable.
    pub fn create(&self) -> io::Result<()> {
        DIRS.iter().try_for_each(|d| penny_sys::files::create_dir_durable(&self.dir(d), 0o700))
    }

    /// The lock that one scheduler holds; `WouldBlock` when another does.
    pub fn lock(&self) -> io::Result<penny_sys::fs::Locked> {
        penny_sys::fs::Locked::try_new(&self.dir("lock"), 0o600)
    }

    /// Path of an entry not yet taken.
    pub fn new_path(&self, name: &Name) -> PathBuf {
        self.dir("new").join(name)
    }

    /// Path of a taken entry.
    pub fn cur_path(&self, name: &Name, held: bool) -> PathBuf {
        self.dir("cur").join(format!("{name}:2,{}", if held { "H" } else { "" }))
    }

    /// Path of a journal.
    pub fn log_path(&self, name: &Name) -> PathBuf {
        self.dir("log").join(name)
    }

    /// Names in new/ and log/ that are entry names, and strangers.
    pub fn list(&self, dir: &str) -> io::Result<(Vec<Name>, Vec<OsString>)> {
        let (mut names, mut strangers) = (Vec::new(), Vec::new());
        for item in std::fs::read_dir(self.dir(dir))? {
            let name = item?.file_name();
            match name.to_str().and_then(|n| n.parse().ok()) {
                Some(n) => names.push(n),
                None => strangers.push(name),
            }
        }
        Ok((names, strangers))
    }

    /// Everything in cur/, one at a time: start-up needs one pass and no envelope.
    pub fn scan_cur(&self) -> io::Result<impl Iterator<Item = io::Result<Found>> + use<>> {
        let dir = std::fs::read_dir(self.dir("cur"))?;
        Ok(dir.filter_map(|item| match item {
            Ok(item) => found(&item).transpose(),
            Err(e) => Some(Err(e)),
        }))
    }

    /// Q1 to Q2, or to Q3. Not synced: after a power cut it is in new/ or in cur/, and both are states.
    pub fn take(&self, name: &Name, held: bool) -> io::Result<()> {
        penny_sys::fs::rename_new(&self.new_path(name), &self.cur_path(name, held))
    }

    /// Opens and checks an entry in cur/.
    pub fn open(&self, name: &Name, held: bool) -> Result<Opened, EntryError> {
        open_entry(&self.cur_path(name, held))
    }

    /// When an entry is due next (Q2: the file's mtime). Not synced: a lost change means an earlier try.
    pub fn set_due(&self, name: &Name, held: bool, due: u64) -> io::Result<()> {
        let file = penny_sys::files::open_regular(&self.cur_path(name, held))?;
        file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(due)))
    }

    /// Q2 to Q3 or back, durable before it returns.
    pub fn set_held(&self, name: &Name, held: bool) -> io::Result<()> {
        penny_sys::fs::rename_new(&self.cur_path(name, !held), &self.cur_path(name, held))?;
        self.sync("cur")
    }

    /// Q4: moves whatever is called `file` in `dir` aside, and its journal too when `name` is known. Never deletes.
    pub fn set_aside(&self, dir: &str, file: &OsStr, name: Option<&Name>) -> io::Result<()> {
        let to = self.dir("corrupt");
        if let Some(name) = name {
            let journal = to.join(format!("{name}.log"));
            match penny_sys::fs::rename_new(&self.log_path(name), &journal) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        let from = self.dir(dir).join(file);
        match penny_sys::fs::rename_new(&from, &to.join(file)) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let mut other = file.to_owned();
                other.push(format!(".{:x}", penny_sys::random::u64()));
                penny_sys::fs::rename_new(&from, &to.join(other))?;
            }
            other => other?,
        }
        self.sync("corrupt")?;
        self.sync(dir)
    }

    /// First half of Q5: the entry goes; its journal may go once cur/ is synced.
    pub fn unlink(&self, name: &Name, held: bool) -> io::Result<()> {
        std::fs::remove_file(self.cur_path(name, held))
    }

    /// Second half of Q5.
    pub fn unlink_journal(&self, name: &Name) -> io::Result<()> {
        match std::fs::remove_file(self.log_path(name)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Syncs one of the directories.
    pub fn sync(&self, dir: &str) -> io::Result<()> {
        penny_sys::files::sync_dir(&self.dir(dir))
    }

    /// Q0: removes what has lain in tmp/ for too long.
    pub fn clean_tmp(&self, now: SystemTime) -> io::Result<usize> {
        let mut removed = 0;
        for item in std::fs::read_dir(self.dir("tmp"))? {
            let item = item?;
            let age = item.metadata().and_then(|m| m.modified()).ok().and_then(|m| now.duration_since(m).ok());
            if age.is_some_and(|a| a.as_secs() > TMP_AGE_MAX) && std::fs::remove_file(item.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn found(item: &std::fs::DirEntry) -> io::Result<Option<Found>> {
    let file = item.file_name();
    let Some((name, held)) = parse_cur(&file) else { return Ok(Some(Found::Stranger(file))) };
    match item.metadata() {
        Ok(meta) => Ok(Some(Found::Entry(name, held, u64::try_from(meta.mtime()).unwrap_or(0)))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Name and held flag of a file name in cur/.
pub fn parse_cur(file: &OsStr) -> Option<(Name, bool)> {
    let (name, flags) = file.to_str()?.split_once(":2,")?;
    let held = match flags {
        "" => false,
        "H" => true,
        _ => return None,
    };
    Some((name.parse().ok()?, held))
}

/// Opens any file in entry format and checks everything that can be checked without reading the message.
pub fn open_entry(path: &Path) -> Result<Opened, EntryError> {
    let corrupt = |what: &str| EntryError::Corrupt(what.to_owned());
    let mut file = match penny_sys::files::open_regular(path) {
        Err(e) if e.kind() == ErrorKind::InvalidInput => return Err(corrupt("not a regular file")),
        // O_NOFOLLOW on a symbolic link
        Err(e) if e.raw_os_error() == Some(ELOOP) => return Err(corrupt("a symbolic link")),
        other => other?,
    };
    let meta = file.metadata()?;
    if meta.nlink() != 1 {
        return Err(if meta.nlink() == 0 { EntryError::Gone } else { corrupt("has a second link") });
    }
    if meta.uid() != penny_sys::ids::own_uid() {
        return Err(corrupt("belongs to another user"));
    }
    let (envelope, body) = read_envelope(&file)?;
    if meta.len() != body.saturating_add(envelope.size) {
        return Err(corrupt("size differs from the envelope's"));
    }
    io::Seek::seek(&mut file, io::SeekFrom::Start(body))?;
    Ok(Opened { file, envelope, body })
}

/// ELOOP of Linux on every architecture but alpha, mips and sparc, where a link is then an ordinary failure.
const ELOOP: i32 = 40;

/// Reads the envelope at the start of a file: the envelope, and the offset of the message.
pub fn read_envelope(file: &File) -> Result<(Envelope, u64), EntryError> {
    let mut bytes = Vec::new();
    let mut want = FIRST_READ;
    loop {
        let from = bytes.len();
        bytes.resize(want, 0);
        let got = read_full_at(file, &mut bytes[from..], from as u64)?;
        bytes.truncate(from + got);
        // one octet back, in case the empty line lies across the two reads
        let search = from.saturating_sub(1);
        if let Some(end) = bytes.get(search..).and_then(find_end).map(|end| search + end) {
            let envelope = Envelope::parse(&bytes[..end]).map_err(|e| EntryError::Corrupt(e.to_string()))?;
            return Ok((envelope, end as u64));
        }
        if bytes.len() < want || want >= BLOCK_MAX {
            return Err(EntryError::Corrupt("the envelope has no end".to_owned()));
        }
        want *= 4;
    }
}

fn read_full_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests;
