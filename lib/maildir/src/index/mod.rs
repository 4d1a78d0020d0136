//! The index of one mailbox: a mapped snapshot plus the changes since, disposable at any time.
//!
//! Invariants  1. nothing here is believed without its checksum; any doubt gives `None` and the Maildir is scanned
//!             2. one writer at a time: `commit` and `rewrite` are called under the folder lock, after `catch_up`
//!             3. readers never lock; what they hold mapped is never changed (replaced by rename)
//! Not here    what the values mean and when they are stale (mailbox/)

mod log;
mod record;
mod snapshot;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use log::Op;
pub(crate) use record::{DirState, Fixed, LETTER_BITS, Meta, Record, RecordRef, SumHasher, checksum, state};
pub(crate) use snapshot::Gone;

use crate::error::{Error, Result};
use log::Log;
use snapshot::Snapshot;

/// The snapshot.
pub(crate) const FILE: &str = "pennypost.index";
/// Its log.
pub(crate) const LOG_FILE: &str = "pennypost.index.log";
/// A log beyond this many octets, plus a share of the snapshot, is folded into a new snapshot.
const LOG_MAX: u64 = 96 * 1024;
/// Expunges remembered for QRESYNC.
const GONE_MAX: usize = 50_000;
/// Tries to read a snapshot and its log of one generation while somebody replaces them.
const TRIES: u32 = 20;

/// What others did, as found in the log.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) added: Vec<u32>,
    pub(crate) flags: Vec<u32>,
    pub(crate) gone: Vec<Record>,
}

/// The index as this session sees it.
pub(crate) struct Index {
    dir: PathBuf,
    snapshot: Snapshot,
    log: Log,
    meta: Meta,
    /// Changes since the snapshot: the record as it is now, or `None` when it is gone.
    overlay: BTreeMap<u32, Option<Record>>,
    /// Expunges since the snapshot.
    gone: Vec<Gone>,
}

impl Index {
    /// Opens what is there; `None` when there is nothing or it cannot be believed.
    pub(crate) fn open(dir: &Path) -> Option<Index> {
        for attempt in 0..TRIES {
            let snapshot = Snapshot::open(&dir.join(FILE))?;
            let log = Log::open(&dir.join(LOG_FILE))?;
            if snapshot.generation == log.generation() {
                return Index::load(dir, snapshot, log).ok();
            }
            // Between the two renames of another writer, or left so by its crash.
            std::thread::sleep(std::time::Duration::from_micros(100 << attempt.min(5)));
        }
        None
    }

    fn load(dir: &Path, snapshot: Snapshot, log: Log) -> std::io::Result<Index> {
        let meta = snapshot.meta;
        let mut index =
            Index { dir: dir.to_path_buf(), snapshot, log, meta, overlay: BTreeMap::new(), gone: Vec::new() };
        index.read_log(&mut News::default())?;
        Ok(index)
    }

    /// Writes a new index from records sorted by UID.
    pub(crate) fn create(dir: &Path, meta: &Meta, records: &[Record], gone: &[Gone]) -> Result<Index> {
        // A generation nobody has seen: above whatever lies there, and different after a crash.
        let generation = Snapshot::open(&dir.join(FILE)).map_or(0, |s| s.generation).max(now_micros());
        let mut meta = *meta;
        recount(&mut meta, records.iter().map(|r| r.fixed));
        let path = dir.join(FILE);
        let snapshot = snapshot::write(&path, generation, &meta, gone, || records.iter().map(Record::borrow))
            .map_err(Error::io("write", &path))?;
        let log = new_log(dir, generation)?;
        Ok(Index { dir: dir.to_path_buf(), snapshot, log, meta, overlay: BTreeMap::new(), gone: Vec::new() })
    }

    /// Removes the files (the next open rebuilds).
    pub(crate) fn discard(dir: &Path) {
        let _ = std::fs::remove_file(dir.join(FILE));
        let _ = std::fs::remove_file(dir.join(LOG_FILE));
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// True once something mapped turned out to be wrong: it must be rebuilt.
    pub(crate) fn is_damaged(&self) -> bool {
        self.snapshot.is_damaged()
    }

    /// Takes in what other processes wrote; costs one stat(2) when that is nothing.
    pub(crate) fn catch_up(&mut self, news: &mut News) -> Result<()> {
        let path = self.dir.join(LOG_FILE);
        match self.log.probe().map_err(Error::io("stat", &path))? {
            Some(size) if size == self.log.len() + 32 => Ok(()),
            Some(_) => self.read_log(news).map_err(Error::io("read", &path)),
            None => self.reload(news),
        }
    }

    fn read_log(&mut self, news: &mut News) -> std::io::Result<()> {
        for batch in self.log.read()? {
            for op in batch.ops {
                self.apply(op, news);
            }
            self.meta = batch.meta;
        }
        Ok(())
    }

    /// The files were replaced: opens the new ones and finds out what differs.
    fn reload(&mut self, news: &mut News) -> Result<()> {
        let fresh = Index::open(&self.dir).ok_or(Error::Corrupt { path: self.dir.join(FILE), why: "index is gone" })?;
        if fresh.meta.uidvalidity != self.meta.uidvalidity {
            return Err(Error::FolderGone);
        }
        let old = std::mem::replace(self, fresh);
        compare(&old, self, news);
        Ok(())
    }

    /// Changes one record here, noting it as news.
    fn apply(&mut self, op: Op, news: &mut News) {
        match op {
            Op::Add(record) => {
                news.added.push(record.fixed.uid);
                self.overlay.insert(record.fixed.uid, Some(record));
            }
            Op::Flags(record) => {
                news.flags.push(record.fixed.uid);
                self.overlay.insert(record.fixed.uid, Some(record));
            }
            Op::Facts(record) => {
                self.overlay.insert(record.fixed.uid, Some(record));
            }
            Op::Gone(gone) => {
                news.gone.extend(self.get(gone.uid).map(RecordRef::to_owned));
                self.overlay.insert(gone.uid, None);
                self.gone.push(gone);
            }
        }
    }

    /// Makes changes: counted, applied, and written for others. `meta` is edited by the caller except for the counters.
    pub(crate) fn commit(&mut self, ops: Vec<Op>, edit: impl FnOnce(&mut Meta)) -> Result<()> {
        edit(&mut self.meta);
        let large = ops.len() > 2000.max(self.snapshot.len() / 8);
        let path = self.dir.join(LOG_FILE);
        let fits = !large && self.log.at_end().map_err(Error::io("stat", &path))?;
        if fits {
            ops.iter().cloned().for_each(|op| self.count_and_apply(op));
            self.log.append(&self.meta, &ops).map_err(Error::io("append to", &path))?;
        } else {
            ops.into_iter().for_each(|op| self.count_and_apply(op));
        }
        if !fits || self.log.len() > LOG_MAX + (self.snapshot.len() * 64 / 4) as u64 {
            self.rewrite()?;
        }
        Ok(())
    }

    fn count_and_apply(&mut self, op: Op) {
        let uid = match &op {
            Op::Add(r) | Op::Flags(r) | Op::Facts(r) => r.fixed.uid,
            Op::Gone(g) => g.uid,
        };
        if let Some(old) = self.fixed(uid) {
            self.meta.account(&old, false);
        }
        if let Op::Add(r) | Op::Flags(r) | Op::Facts(r) = &op {
            self.meta.account(&r.fixed, true);
        }
        match op {
            Op::Gone(gone) => {
                self.overlay.insert(uid, None);
                self.gone.push(gone);
            }
            Op::Add(r) | Op::Flags(r) | Op::Facts(r) => drop(self.overlay.insert(uid, Some(r))),
        }
    }

    /// Changes values in memory only; the next `commit` writes them.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut Meta)) {
        edit(&mut self.meta);
    }

    /// Folds log and snapshot into a new snapshot.
    pub(crate) fn rewrite(&mut self) -> Result<()> {
        let path = self.dir.join(FILE);
        let generation = (self.snapshot.generation + 1).max(now_micros());
        let mut gone: Vec<Gone> = self.gone().collect();
        if gone.len() > GONE_MAX {
            let dropped = gone.len() - GONE_MAX / 2;
            let floor = gone.drain(..dropped).map(|g| g.modseq).max().unwrap_or(0);
            self.meta.vanished_floor = self.meta.vanished_floor.max(floor);
        }
        let snapshot =
            snapshot::write(&path, generation, &self.meta, &gone, || self.iter()).map_err(Error::io("write", &path))?;
        if self.is_damaged() {
            Index::discard(&self.dir);
            return Err(Error::Corrupt { path, why: "index failed its checksum" });
        }
        self.log = new_log(&self.dir, generation)?;
        self.snapshot = snapshot;
        self.overlay.clear();
        self.gone.clear();
        Ok(())
    }

    /// The record of a UID.
    pub(crate) fn get(&self, uid: u32) -> Option<RecordRef<'_>> {
        match self.overlay.get(&uid) {
            Some(changed) => changed.as_ref().map(Record::borrow),
            None => self.snapshot.get(self.snapshot.find(uid).ok()?),
        }
    }

    /// The record of a UID without its names (no name block is touched).
    pub(crate) fn fixed(&self, uid: u32) -> Option<Fixed> {
        match self.overlay.get(&uid) {
            Some(changed) => changed.as_ref().map(|r| r.fixed),
            None => self.snapshot.fixed(self.snapshot.find(uid).ok()?),
        }
    }

    /// All records by UID.
    pub(crate) fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        let mut merge = self.merge(0, u32::MAX);
        std::iter::from_fn(move || match merge.next()? {
            Source::Old(i) => self.snapshot.get(i),
            Source::New(r) => Some(r.borrow()),
        })
    }

    /// Fixed parts of the records with UIDs from `first` to `last`.
    pub(crate) fn fixed_range(&self, first: u32, last: u32) -> impl Iterator<Item = Fixed> + '_ {
        let mut merge = self.merge(first, last);
        std::iter::from_fn(move || match merge.next()? {
            Source::Old(i) => self.snapshot.fixed(i),
            Source::New(r) => Some(r.fixed),
        })
    }

    fn merge(&self, first: u32, last: u32) -> Merge<'_, impl Iterator<Item = (&u32, &Option<Record>)>> {
        let at = self.snapshot.find(first).unwrap_or_else(|i| i);
        // An empty range would make BTreeMap panic.
        let last = last.max(first);
        Merge { index: self, at, last, overlay: self.overlay.range(first..=last).peekable() }
    }

    /// Expunges remembered, oldest first.
    pub(crate) fn gone(&self) -> impl Iterator<Item = Gone> + '_ {
        self.snapshot.gone().chain(self.gone.iter().copied())
    }
}

enum Source<'a> {
    Old(usize),
    New(&'a Record),
}

/// Walks snapshot and overlay together by UID.
struct Merge<'a, I: Iterator<Item = (&'a u32, &'a Option<Record>)>> {
    index: &'a Index,
    at: usize,
    last: u32,
    overlay: std::iter::Peekable<I>,
}

impl<'a, I: Iterator<Item = (&'a u32, &'a Option<Record>)>> Merge<'a, I> {
    fn next(&mut self) -> Option<Source<'a>> {
        loop {
            let old = self.index.snapshot.uid_at(self.at).filter(|uid| *uid <= self.last);
            let new = self.overlay.peek().map(|(uid, _)| **uid);
            match (old, new) {
                (None, None) => return None,
                (Some(old), new) if new.is_none_or(|new| old < new) => {
                    self.at += 1;
                    return Some(Source::Old(self.at - 1));
                }
                (old, _) => {
                    let (uid, record) = self.overlay.next()?;
                    self.at += usize::from(old == Some(*uid));
                    if let Some(record) = record {
                        return Some(Source::New(record));
                    }
                }
            }
        }
    }
}

/// Makes the index doubt a uidlist that was found to be odd: its mtime changes, so that the next session reads it whole.
pub(crate) fn touch_uidlist(path: &Path) -> Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(path).map_err(Error::io("open", path))?;
    penny_sys::files::touch(&file).map_err(Error::io("set time of", path))
}

fn new_log(dir: &Path, generation: u64) -> Result<Log> {
    let path = dir.join(LOG_FILE);
    Log::create(&path, generation).map_err(Error::io("create", &path))
}

fn now_micros() -> u64 {
    let now = penny_sys::time::now();
    u64::try_from(now.as_micros()).unwrap_or(0)
}

/// Sets all counters from the records.
fn recount(meta: &mut Meta, records: impl Iterator<Item = Fixed>) {
    (meta.messages, meta.unseen, meta.deleted, meta.unsized_count, meta.in_new) = (0, 0, 0, 0, 0);
    (meta.size, meta.deleted_storage) = (0, 0);
    meta.unseen_hint = meta.uidnext;
    records.for_each(|f| meta.account(&f, true));
}

/// Finds what differs between two states of one mailbox.
pub(crate) fn compare(old: &Index, new: &Index, news: &mut News) {
    let mut before = old.iter().peekable();
    for now in new.iter() {
        while let Some(gone) = before.next_if(|b| b.fixed.uid < now.fixed.uid) {
            news.gone.push(gone.to_owned());
        }
        match before.next_if(|b| b.fixed.uid == now.fixed.uid) {
            None => news.added.push(now.fixed.uid),
            Some(b) if b.fixed.flags != now.fixed.flags || b.fixed.keywords != now.fixed.keywords => {
                news.flags.push(now.fixed.uid);
            }
            Some(_) => {}
        }
    }
    news.gone.extend(before.map(RecordRef::to_owned));
}

#[cfg(test)]
mod tests;
