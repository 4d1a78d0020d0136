//! STORE: flags and keywords changed by renaming files.
//!
//! Standards   RFC 9051 6.4.6; RFC 7162 3.1.3 (UNCHANGEDSINCE)
//! Invariants  1. keyword names are on disk before a file name uses their letter
//!             2. keywords without a letter are on disk before the change is told
//!             3. a message whose file was renamed by others is looked for again before it counts as gone
//! Failures    what was changed before an error stays changed and is in the index

use super::{FlagOp, FlagSet, Keywords, Mailbox, Stored, sync};
use crate::dotlock::FolderLock;
use crate::error::{Error, Result, is_gone};
use crate::index::{LETTER_BITS, Op, Record, RecordRef, state};
use crate::name::{self, Flags};

/// Rounds of looking for files that others rename meanwhile.
const ROUNDS: u32 = 10;

/// A STORE in numbers of this mailbox.
#[derive(Clone, Copy)]
struct Wanted {
    op: FlagOp,
    flags: Flags,
    keywords: u64,
    unchanged_since: u64,
}

impl Wanted {
    fn apply(&self, flags: Flags, keywords: u64) -> (Flags, u64) {
        match self.op {
            FlagOp::Set => (self.flags, self.keywords),
            FlagOp::Add => (flags.union(self.flags), keywords | self.keywords),
            FlagOp::Remove => (flags.minus(self.flags), keywords & !self.keywords),
        }
    }
}

impl Mailbox {
    /// Changes flags of messages; UIDs in any order. See `Stored` for the outcome.
    pub fn store(&mut self, uids: &[u32], op: FlagOp, set: &FlagSet, unchanged_since: Option<u64>) -> Result<Stored> {
        self.writable()?;
        self.locked(|m, lock| {
            if op != FlagOp::Remove {
                m.ensure_keywords(&set.keywords)?;
            }
            let keywords = m.keywords.lookup(&set.keywords).0;
            let wanted =
                Wanted { op, flags: set.flags, keywords, unchanged_since: unchanged_since.unwrap_or(u64::MAX) };
            m.store_rounds(lock, uids, wanted)
        })
    }

    /// Makes sure that all these names have numbers. Called under the lock.
    pub(super) fn ensure_keywords(&mut self, names: &[String]) -> Result<()> {
        if self.keywords.missing(names).is_empty() {
            return Ok(());
        }
        self.keywords = crate::keywords::KeywordTable::read(self.place.dir.path())?;
        let missing = self.keywords.missing(names);
        let used = self.index.fixed_range(0, u32::MAX).fold(0, |bits, f| bits | f.keywords);
        self.keywords.add(self.place.dir.path(), &missing, used)
    }

    fn store_rounds(&mut self, lock: &mut FolderLock, uids: &[u32], wanted: Wanted) -> Result<Stored> {
        let mut out = Stored::default();
        let mut todo = uids.to_vec();
        for round in 0..ROUNDS {
            let lost = self.store_once(lock, &todo, wanted, &mut out)?;
            if lost.is_empty() {
                break;
            }
            if round + 1 == ROUNDS {
                out.gone.extend(&lost);
                break;
            }
            self.sync(lock, sync::Scan::Full)?;
            todo = lost;
        }
        for list in [&mut out.done, &mut out.changed, &mut out.modified, &mut out.gone] {
            list.sort_unstable();
            list.dedup();
        }
        Ok(out)
    }

    /// One pass; returns the UIDs whose file was not where the index says.
    fn store_once(
        &mut self,
        lock: &mut FolderLock,
        uids: &[u32],
        wanted: Wanted,
        out: &mut Stored,
    ) -> Result<Vec<u32>> {
        let mut changes: Vec<(Record, Vec<u8>)> = Vec::new();
        for uid in uids {
            let Some(record) = self.index.get(*uid) else {
                out.gone.push(*uid);
                continue;
            };
            if record.fixed.modseq > wanted.unchanged_since {
                out.modified.push(*uid);
                continue;
            }
            let before = (record.fixed.flags, record.fixed.keywords);
            let after = wanted.apply(before.0, before.1);
            if after == before {
                out.done.push(*uid);
            } else {
                changes.push(changed_record(record, after));
            }
        }
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.rename_all(lock, changes, out)
    }

    fn rename_all(
        &mut self,
        lock: &mut FolderLock,
        changes: Vec<(Record, Vec<u8>)>,
        out: &mut Stored,
    ) -> Result<Vec<u32>> {
        let modseq = self.next_modseq(lock)?;
        self.note_more_keywords(&changes)?;
        let known = self.cur_known()?;
        let (mut ops, mut lost, mut failure) = (Vec::new(), Vec::new(), None);
        let touches_new = self.index.meta().in_new > 0;
        for (i, (mut record, new_name)) in changes.into_iter().enumerate() {
            if i % 1024 == 1023 {
                lock.keep_alive();
            }
            let uid = record.fixed.uid;
            let Some(old) = self.index.get(uid) else { continue };
            let from = self.path_of(old);
            let to = self.place.dir.cur_dir().join(name::os(&new_name));
            let renamed = if from == to { from.symlink_metadata().map(drop) } else { std::fs::rename(&from, &to) };
            match renamed {
                Ok(()) => {
                    record.fixed.modseq = modseq;
                    out.done.push(uid);
                    out.changed.push(uid);
                    ops.push(Op::Flags(record));
                }
                Err(e) if is_gone(&e) => lost.push(uid),
                Err(e) => {
                    failure = Some(Error::io("rename to", &to)(e));
                    break;
                }
            }
        }
        if !ops.is_empty() {
            let after = self.cur_after(known)?;
            self.commit(ops, |m| {
                m.highest_modseq = m.highest_modseq.max(modseq);
                m.cur = after.unwrap_or(m.cur);
                m.new.dirty |= touches_new;
            })?;
        }
        failure.map_or(Ok(lost), Err)
    }

    /// Writes down keywords that have no letter, before any name changes.
    fn note_more_keywords(&mut self, changes: &[(Record, Vec<u8>)]) -> Result<()> {
        let mut members = Vec::new();
        for (record, _) in changes {
            let more = record.fixed.keywords & !LETTER_BITS;
            let before = self.index.fixed(record.fixed.uid).map_or(0, |f| f.keywords & !LETTER_BITS);
            if more != before {
                members.push((record.base.to_vec(), more));
            }
        }
        match members.is_empty() {
            true => Ok(()),
            false => self.keywords.append_more(self.place.dir.path(), &members),
        }
    }

    /// The numbers of names that are known to exist after `ensure_keywords`.
    pub(super) fn keyword_bits(&self, names: &[String]) -> Keywords {
        self.keywords.lookup(names)
    }
}

/// The record with other flags, and the name its file gets in cur/.
fn changed_record(record: RecordRef<'_>, (flags, keywords): (Flags, u64)) -> (Record, Vec<u8>) {
    let info = record.info_with(flags, keywords);
    let new_name = name::join(record.base, &info);
    let mut changed = record.to_owned();
    changed.fixed.set(state::NEW, false);
    changed.fixed.flags = flags;
    changed.fixed.keywords = keywords;
    changed.info = [info.other, info.rest].concat().into();
    (changed, new_name)
}
