//! One mailbox: messages with UIDs, flags, keywords and modification sequences, in step with the disk.
//!
//! Standards   RFC 9051 and 3501 (UIDs, flags), 7162 (modseq), 4315 (UIDPLUS); Dovecot's files on disk
//! Invariants  1. no UID, UIDNEXT or UIDVALIDITY is returned before its uidlist line is on stable storage
//!             2. a UID never names two messages; modseqs never fall, not even when the index is lost
//!             3. a message is reported expunged only after its file was missing twice, under the lock
//!             4. what this session did itself is never reported again by `refresh`
//! Failures    temporary errors leave the mailbox as it was; the index is thrown away rather than left half written
//! Not here    folders (store.rs), the file formats (uidlist.rs, keywords.rs, index/)
//!
//! A session keeps its own sequence numbers (`SeqMap`) and calls `refresh` where the protocol lets it report changes.
//! Every method that changes something first takes in what others did; that is reported by the next `refresh`, while
//! what the method itself did is in its return value only.

mod build;
mod cached;
mod flags;
mod mark;
mod plan;
mod read;
mod remove;
mod save;
mod scan;
mod sync;
mod types;
mod uids;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub use types::{Appended, Changes, Copied, FlagOp, FlagSet, Guid, Keywords, Message, Mode, Status, Stored, Vanished};

use crate::dir::Maildir;
use crate::dotlock::{FolderLock, Spare};
use crate::error::{Error, Result};
use crate::folder::FolderName;
use crate::index::{Fixed, Index, News, Record, state};
use crate::keywords::KeywordTable;
use crate::quota::Quota;
use crate::seqmap::SeqMap;

pub use mark::RestoreMark;
pub use read::Extras;
pub(crate) use read::count;

/// What a mailbox needs from its store.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: FolderName,
    pub(crate) root: Maildir,
    pub(crate) dir: Maildir,
    pub(crate) index_dir: PathBuf,
    pub(crate) quota: Quota,
}

/// An open mailbox.
pub struct Mailbox {
    place: Place,
    mode: Mode,
    index: Index,
    keywords: KeywordTable,
    /// What others did and `refresh` has not reported.
    pending: Pending,
    /// Expunged messages the client has not been told of.
    ghosts: BTreeMap<u32, Record>,
    /// UIDs this session claimed as \Recent: [first, next) in rising order.
    recent: Vec<(u32, u32)>,
    /// Sizes and dates found while reading, not written to the index yet.
    facts: BTreeMap<u32, read::Facts>,
    cached: cached::Cached,
    dirs: read::Dirs,
    /// For messages that are only counted.
    buffer: Vec<u8>,
    spare: Spare,
    holding: bool,
}

#[derive(Default)]
struct Pending {
    new: BTreeSet<u32>,
    flags: BTreeSet<u32>,
    gone: BTreeSet<u32>,
    keywords: bool,
}

impl Mailbox {
    /// Opens a mailbox and brings it up to date.
    pub(crate) fn open(place: Place, mode: Mode) -> Result<Mailbox> {
        let keywords = KeywordTable::read(place.dir.path())?;
        let found = Index::open(&place.index_dir);
        let index = match found {
            Some(index) => index,
            None => build::rebuild(&place)?,
        };
        let mut mailbox = Mailbox {
            place,
            mode,
            index,
            keywords,
            pending: Pending::default(),
            ghosts: BTreeMap::new(),
            recent: Vec::new(),
            facts: BTreeMap::new(),
            cached: cached::Cached::default(),
            dirs: read::Dirs::default(),
            buffer: Vec::new(),
            spare: Spare::default(),
            holding: false,
        };
        mailbox.check_boot()?;
        if mode == Mode::ReadWrite && mailbox.index.meta().in_new > 0 {
            mailbox.locked(|m, lock| m.sync(lock, sync::Scan::New))?;
        }
        mailbox.update()?;
        mailbox.claim_recent()?;
        mailbox.pending = Pending::default();
        mailbox.ghosts.clear();
        Ok(mailbox)
    }

    /// The folder's name.
    pub fn name(&self) -> &FolderName {
        &self.place.name
    }

    /// How it was opened.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The directory.
    pub fn maildir(&self) -> &Maildir {
        &self.place.dir
    }

    /// Where its indexes lie.
    pub fn index_dir(&self) -> &std::path::Path {
        &self.place.index_dir
    }

    /// new/ and cur/, to be watched during IDLE.
    pub fn watch_paths(&self) -> [PathBuf; 2] {
        [self.place.dir.new_dir(), self.place.dir.cur_dir()]
    }

    /// STATUS values; O(1) unless sizes are unknown, then `size` counts what is known (see `complete_sizes`).
    pub fn status(&self) -> Status {
        let m = self.index.meta();
        Status {
            messages: m.messages,
            recent: self.recent_count(),
            unseen: m.unseen,
            deleted: m.deleted,
            uidnext: m.uidnext,
            uidvalidity: m.uidvalidity,
            highest_modseq: m.highest_modseq,
            size: m.size,
            deleted_storage: m.deleted_storage,
            guid: m.guid,
        }
    }

    fn recent_count(&self) -> u32 {
        let count = |first: u32, last: u32| self.index.fixed_range(first, last).count();
        let claimed: usize = self.recent.iter().map(|(first, next)| count(*first, next - 1)).sum();
        let free = self.index.meta().first_recent;
        let waiting = if free < self.index.meta().uidnext { count(free, u32::MAX) } else { 0 };
        u32::try_from(claimed + waiting).unwrap_or(u32::MAX)
    }

    fn is_recent(&self, uid: u32) -> bool {
        uid >= self.index.meta().first_recent || self.recent.iter().any(|(first, next)| (*first..*next).contains(&uid))
    }

    /// The quota its messages count against.
    pub fn quota(&self) -> &Quota {
        &self.place.quota
    }

    /// Number of messages.
    pub fn len(&self) -> u32 {
        self.index.meta().messages
    }

    /// True without messages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The UID of the first message without `\Seen`.
    pub fn first_unseen(&self) -> Option<u32> {
        let m = self.index.meta();
        if m.unseen == 0 {
            return None;
        }
        let unseen = |f: &Fixed| !f.flags.contains(crate::name::Flags::SEEN);
        self.index.fixed_range(m.unseen_hint, u32::MAX).find(unseen).map(|f| f.uid)
    }

    /// Keyword names by number; `None` where a number has no name.
    pub fn keywords(&self) -> &[Option<String>] {
        self.keywords.names()
    }

    /// The names of a set, in the order of their numbers.
    pub fn keyword_names(&self, set: Keywords) -> impl Iterator<Item = String> + '_ {
        set.iter().map(|n| self.keywords.name(n))
    }

    /// The set of those names that this mailbox knows (SEARCH KEYWORD).
    pub fn keyword_set<S: AsRef<str>>(&self, names: &[S]) -> Keywords {
        self.keywords.lookup(names)
    }

    fn message(&self, f: &Fixed) -> Message {
        let facts = self.facts.get(&f.uid);
        let virtual_size = f.is(state::VIRTUAL).then_some(f.virtual_size);
        let date = f.is(state::DATE).then_some(f.date);
        Message {
            uid: f.uid,
            flags: f.flags,
            keywords: Keywords(f.keywords),
            recent: self.is_recent(f.uid),
            modseq: f.modseq,
            virtual_size: facts.and_then(|x| x.virtual_size).or(virtual_size),
            internal_date: facts.and_then(|x| x.date).or(date),
            save_date: i64::from(f.saved),
        }
    }

    /// All messages by UID.
    pub fn messages(&self) -> impl Iterator<Item = Message> + '_ {
        self.range(0, u32::MAX)
    }

    /// Messages with UIDs from `first` to `last`.
    pub fn range(&self, first: u32, last: u32) -> impl Iterator<Item = Message> + '_ {
        let first_to_last = if first > last { (1, 0) } else { (first, last) };
        let all = self.index.fixed_range(first_to_last.0, first_to_last.1);
        all.filter(move |f| (first..=last).contains(&f.uid)).map(|f| self.message(&f))
    }

    /// A message; also one that is gone but not yet forgotten.
    pub fn get(&self, uid: u32) -> Option<Message> {
        let live = self.index.fixed(uid);
        live.or_else(|| self.ghosts.get(&uid).map(|r| r.fixed)).map(|f| self.message(&f))
    }

    /// True if the message is there (not gone, not merely remembered).
    pub fn is_live(&self, uid: u32) -> bool {
        self.index.fixed(uid).is_some()
    }

    /// The sequence map of the mailbox as it is now.
    pub fn seq_map(&self) -> SeqMap {
        self.index.fixed_range(0, u32::MAX).map(|f| f.uid).collect()
    }

    /// The base file name: the message's identity (EMAILID, POP3 UIDL).
    pub fn base_name(&self, uid: u32) -> Option<Vec<u8>> {
        let live = self.index.get(uid).map(|r| r.base.to_vec());
        live.or_else(|| self.ghosts.get(&uid).map(|r| r.base.to_vec()))
    }

    /// Messages whose modseq is higher (RFC 7162 CHANGEDSINCE), by UID.
    pub fn changed_since(&self, modseq: u64) -> impl Iterator<Item = Message> + '_ {
        self.messages().filter(move |m| m.modseq > modseq)
    }

    /// What has gone since a modseq (RFC 7162 3.2.5.2).
    pub fn vanished_since(&self, modseq: u64) -> Vanished {
        if modseq >= self.index.meta().vanished_floor {
            let mut uids: Vec<u32> = self.index.gone().filter(|g| g.modseq > modseq).map(|g| g.uid).collect();
            uids.sort_unstable();
            uids.dedup();
            let ranges = uids.into_iter().collect::<SeqMap>().ranges().collect();
            return Vanished { ranges, exact: true };
        }
        let mut ranges = Vec::new();
        let mut next = 1;
        let end = (self.index.meta().uidnext, 0);
        for (first, last) in self.seq_map().ranges().chain([end]) {
            if first > next {
                ranges.push((next, first - 1));
            }
            next = last.saturating_add(1);
        }
        Vanished { ranges, exact: false }
    }

    /// The lowest modseq at which one of these messages (sorted) went, as far as the record reaches.
    pub fn first_gone_modseq(&self, uids: &[u32]) -> Option<u64> {
        let ours = |g: &crate::index::Gone| uids.binary_search(&g.uid).is_ok();
        if uids.is_empty() { None } else { self.index.gone().filter(ours).map(|g| g.modseq).min() }
    }

    /// Takes in what others did and reports it: cheap when that is nothing (a few stat(2) calls).
    pub fn refresh(&mut self) -> Result<Changes> {
        self.update()?;
        self.claim_recent()?;
        Ok(self.take_pending())
    }

    /// True if `refresh` has something to report without looking at the disk.
    pub fn has_pending(&self) -> bool {
        let p = &self.pending;
        !(p.new.is_empty() && p.flags.is_empty() && p.gone.is_empty()) || p.keywords
    }

    fn take_pending(&mut self) -> Changes {
        let p = std::mem::take(&mut self.pending);
        // A message that came and went meanwhile was never told: it is neither new nor expunged.
        let expunged: Vec<u32> = p.gone.iter().copied().filter(|u| !p.new.contains(u)).collect();
        self.ghosts.retain(|uid, _| !p.new.contains(uid) || !p.gone.contains(uid));
        let new: Vec<u32> = p.new.iter().copied().filter(|u| !p.gone.contains(u)).collect();
        let flags = p.flags.iter().copied().filter(|u| !p.new.contains(u) && !p.gone.contains(u)).collect();
        Changes { new, flags, expunged, keywords: p.keywords }
    }

    /// The client was told that these are gone: their last state is dropped.
    pub fn forget(&mut self, uids: &[u32]) {
        for uid in uids {
            self.ghosts.remove(uid);
        }
    }

    fn note(&mut self, news: News) {
        self.pending.new.extend(news.added);
        self.pending.flags.extend(news.flags);
        for record in news.gone {
            self.pending.gone.insert(record.fixed.uid);
            self.ghosts.insert(record.fixed.uid, record);
        }
    }

    /// Keeps the folder lock between calls from now on, until `release`: for pipelined commands. The process keeps one
    /// lock at most: work on another folder gives it up, another `Mailbox` of the same folder uses it.
    pub fn hold(&mut self) {
        self.holding = true;
    }

    /// Gives the lock up and writes what was learned; to be called before waiting for the client.
    pub fn release(&mut self) -> Result<()> {
        self.holding = false;
        self.dirs = read::Dirs::default();
        self.buffer = Vec::new();
        self.save_cache(true);
        let saved = match self.facts.is_empty() {
            true => Ok(()),
            false => self.locked(|m, _| m.save_facts()),
        };
        FolderLock::give_up(&self.place.index_dir);
        saved
    }

    /// Runs with the folder lock, with the index caught up.
    fn locked<T>(&mut self, work: impl FnOnce(&mut Mailbox, &mut FolderLock) -> Result<T>) -> Result<T> {
        let mut lock = FolderLock::acquire(self.place.dir.path(), &self.place.index_dir, &mut self.spare)?;
        let result = self.catch_up_locked(&mut lock).and_then(|()| work(self, &mut lock));
        if self.holding {
            lock.park(&self.place.index_dir);
        }
        result
    }

    fn writable(&self) -> Result<()> {
        match self.mode {
            Mode::ReadOnly => Err(Error::ReadOnly),
            _ => Ok(()),
        }
    }

    /// Claims new messages as \Recent for this session (RFC 3501 2.3.2).
    fn claim_recent(&mut self) -> Result<()> {
        let m = self.index.meta();
        if self.mode != Mode::ReadWrite || m.first_recent >= m.uidnext {
            return Ok(());
        }
        self.locked(|mailbox, _| {
            let m = *mailbox.index.meta();
            if m.first_recent < m.uidnext {
                mailbox.index.commit(Vec::new(), |m| m.first_recent = m.uidnext)?;
                mailbox.recent.push((m.first_recent, m.uidnext));
            }
            Ok(())
        })
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // Sizes and dates are only a saving: failing to keep them loses nothing.
        let _ = self.release();
    }
}

#[cfg(test)]
mod tests;
