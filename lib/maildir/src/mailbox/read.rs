//! Reading messages: bytes, sizes, dates, and what the uidlist says about POP3.
//!
//! Invariants  a file that another process renamed is found again; one that is gone is `Error::Gone`, never a broken session
//! Trust       `,W=` in a name is believed until the bytes were counted; then the count wins

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use penny_sys::files;

use super::{Mailbox, sync};
use crate::dir::Maildir;
use crate::error::{Error, Result, is_gone};
use crate::index::{Op, RecordRef, state};
use crate::name;
use crate::uidlist::{self, Contents};

/// How often a file that keeps being renamed is looked for again (Dovecot's limit).
const TRIES: u32 = 10;

/// Messages up to this size are read in one go to count their line ends.
const COUNT_WHOLE: u64 = 256 * 1024;

/// What was found out about a message and is not in the index yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) size: Option<u64>,
    pub(super) virtual_size: Option<u64>,
    pub(super) date: Option<i64>,
    pub(super) sent: Option<Option<i64>>,
}

/// What the uidlist holds of a message beyond its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// POP3 UIDL that another server gave (P).
    pub pop3_uidl: Option<String>,
    /// Position in the POP3 listing (O).
    pub pop3_order: Option<u32>,
    /// Message GUID other than the base name (G).
    pub guid: Option<String>,
}

/// The directories of the messages, opened when the first one is read: to walk the whole path for each one costs more
/// than many a message. Closed by `release`, so that a folder that is renamed or removed is noticed.
#[derive(Default)]
pub(super) struct Dirs {
    new: OnceCell<File>,
    cur: OnceCell<File>,
}

impl Dirs {
    fn open(&self, dir: &Maildir, record: RecordRef<'_>) -> std::io::Result<File> {
        let (slot, path) = match record.fixed.is(state::NEW) {
            true => (&self.new, Maildir::new_dir as fn(&Maildir) -> PathBuf),
            false => (&self.cur, Maildir::cur_dir as fn(&Maildir) -> PathBuf),
        };
        let opened = match slot.get() {
            Some(opened) => opened,
            None => {
                let opened = File::open(path(dir))?;
                slot.get_or_init(|| opened)
            }
        };
        files::open_at(opened, name::os(&record.file_name()))
    }
}

impl Mailbox {
    /// Where the file of a record is, as last known.
    pub(super) fn path_of(&self, record: RecordRef<'_>) -> PathBuf {
        let dir = if record.fixed.is(state::NEW) { self.place.dir.new_dir() } else { self.place.dir.cur_dir() };
        dir.join(name::os(&record.file_name()))
    }

    /// Opens a message for reading; its size and date are noted on the way.
    pub fn open_message(&mut self, uid: u32) -> Result<File> {
        self.open_known(uid).map(|(file, _)| file)
    }

    /// Reads a whole message into a buffer that may be used again.
    pub fn read_message(&mut self, uid: u32, bytes: &mut Vec<u8>) -> Result<()> {
        let (file, size) = self.open_known(uid)?;
        files::read_known(&file, size, bytes).map_err(Error::io("read a message of", self.place.dir.path()))
    }

    /// Opens a message; the file and the size it should have.
    fn open_known(&mut self, uid: u32) -> Result<(File, u64)> {
        let file = self.with_record(uid, |mailbox, record| mailbox.dirs.open(&mailbox.place.dir, record))?;
        let fixed = self.index.fixed(uid).unwrap_or_default();
        if fixed.is(state::DATE) && fixed.is(state::SIZE) {
            return Ok((file, fixed.size));
        }
        let meta = file.metadata().map_err(Error::io("stat a message of", self.place.dir.path()))?;
        self.note_stat(uid, &meta);
        Ok((file, meta.len()))
    }

    /// Runs something on the file, looking for it again when it was renamed meanwhile.
    fn with_record<T>(&mut self, uid: u32, work: impl Fn(&Mailbox, RecordRef<'_>) -> std::io::Result<T>) -> Result<T> {
        for attempt in 0..TRIES {
            let Some(record) = self.index.get(uid) else { break };
            match work(self, record) {
                Ok(done) => return Ok(done),
                Err(e) if is_gone(&e) => {}
                Err(e) => return Err(Error::io("open", &self.path_of(record))(e)),
            }
            self.dirs = Dirs::default();
            // Usually one of our own sessions renamed it, and its log says so; else the directory must be listed.
            match attempt {
                0 => self.update()?,
                _ => self.locked(|m, lock| m.sync(lock, sync::Scan::Full))?,
            }
        }
        Err(Error::Gone(uid))
    }

    fn note_stat(&mut self, uid: u32, meta: &std::fs::Metadata) {
        let facts = self.facts.entry(uid).or_default();
        facts.size = Some(meta.len());
        facts.date = meta.modified().ok().map(unix_seconds);
    }

    /// RFC822.SIZE: from the index, else by counting the line ends of the file.
    pub fn virtual_size(&mut self, uid: u32) -> Result<u64> {
        if let Some(size) = self.get(uid).and_then(|m| m.virtual_size) {
            return Ok(size);
        }
        let (mut file, size) = self.open_known(uid)?;
        let counted = if size <= COUNT_WHOLE {
            files::read_known(&file, size, &mut self.buffer).map(|()| wire_len(&self.buffer, 0))
        } else {
            count(&mut file)
        };
        let size = counted.map_err(Error::io("read a message of", self.place.dir.path()))?;
        self.learned(uid, size);
        Ok(size)
    }

    /// Notes the true RFC822.SIZE of a message whose bytes were seen; a wrong W= in its name is overruled from now on.
    pub fn learned(&mut self, uid: u32, virtual_size: u64) {
        let known = self.get(uid).and_then(|m| m.virtual_size);
        if known != Some(virtual_size) && self.is_live(uid) {
            self.facts.entry(uid).or_default().virtual_size = Some(virtual_size);
        }
    }

    /// INTERNALDATE in Unix seconds: the file's mtime.
    pub fn internal_date(&mut self, uid: u32) -> Result<i64> {
        if let Some(date) = self.get(uid).and_then(|m| m.internal_date) {
            return Ok(date);
        }
        let meta = self.with_record(uid, |mailbox, record| std::fs::symlink_metadata(mailbox.path_of(record)))?;
        self.note_stat(uid, &meta);
        Ok(meta.modified().ok().map_or(0, unix_seconds))
    }

    /// What the Date field of a message tells, in Unix seconds, where that was noted before.
    pub fn sent(&self, uid: u32) -> Option<Option<i64>> {
        let noted = self.facts.get(&uid).and_then(|facts| facts.sent);
        noted.or_else(|| self.index.fixed(uid)?.sent())
    }

    /// Notes what the Date field of a message tells.
    pub fn learned_sent(&mut self, uid: u32, sent: Option<i64>) {
        if self.is_live(uid) {
            self.facts.entry(uid).or_default().sent = Some(sent);
        }
    }

    /// Counts the sizes that no name tells, so that `status().size` is exact (STATUS SIZE).
    pub fn complete_sizes(&mut self) -> Result<()> {
        if self.index.meta().unsized_count == 0 {
            return Ok(());
        }
        let unknown: Vec<u32> = self.messages().filter(|m| m.virtual_size.is_none()).map(|m| m.uid).collect();
        for uid in unknown {
            match self.virtual_size(uid) {
                Ok(_) | Err(Error::Gone(_)) => {}
                Err(e) => return Err(e),
            }
        }
        self.locked(|m, _| m.save_facts())
    }

    /// Writes learned sizes and dates to the index. Called under the lock.
    pub(super) fn save_facts(&mut self) -> Result<()> {
        let facts = std::mem::take(&mut self.facts);
        let mut ops = Vec::new();
        for (uid, facts) in facts {
            let Some(mut record) = self.index.get(uid).map(RecordRef::to_owned) else { continue };
            let f = &mut record.fixed;
            if let Some(size) = facts.size {
                f.size = size;
                f.set(state::SIZE, true);
            }
            if let Some(size) = facts.virtual_size {
                f.virtual_size = size;
                f.set(state::VIRTUAL, true);
                f.set(state::COUNTED, true);
            }
            if let Some(date) = facts.date {
                f.date = date;
                f.set(state::DATE, true);
            }
            if let Some(sent) = facts.sent {
                f.set_sent(sent);
            }
            ops.push(Op::Facts(record));
        }
        match ops.is_empty() {
            true => Ok(()),
            false => self.commit(ops, |_| ()),
        }
    }

    /// POP3 and GUID values of the uidlist for the messages that have any (what Dovecot left: P, O, G).
    pub fn extras(&self) -> Result<HashMap<u32, Extras>> {
        let Some(contents) = Contents::read(&self.place.dir.path().join(uidlist::FILE))? else {
            return Ok(HashMap::new());
        };
        let text = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
        let (entries, _) = contents.entries();
        let with = entries.iter().filter(|e| !e.extensions.is_empty());
        let extras = with.map(|e| {
            let pop3_order = e.extension(b'O').and_then(name::decimal).and_then(|n| u32::try_from(n).ok());
            let extras =
                Extras { pop3_uidl: e.extension(b'P').map(text), pop3_order, guid: e.extension(b'G').map(text) };
            (e.uid, extras)
        });
        Ok(extras.filter(|(_, e)| *e != Extras::default()).collect())
    }
}

fn unix_seconds(time: std::time::SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}

/// Octets with every bare LF counted as CRLF.
pub(crate) fn count(reader: &mut impl Read) -> std::io::Result<u64> {
    let mut buffer = vec![0u8; 64 * 1024];
    let (mut total, mut last) = (0u64, 0u8);
    loop {
        let n = reader.read(&mut buffer)?;
        let data = buffer.get(..n).unwrap_or_default();
        let Some(end) = data.last() else { return Ok(total) };
        total += wire_len(data, last);
        last = *end;
    }
}

/// The same of a piece that follows the octet `last`.
fn wire_len(data: &[u8], last: u8) -> u64 {
    let before = |i: usize| if i == 0 { last } else { data.get(i - 1).copied().unwrap_or(0) };
    data.len() as u64 + memchr::memchr_iter(b'\n', data).filter(|&i| before(i) != b'\r').count() as u64
}
