//! Keeping index and uidlist in step with the files: the scan, and when it may be skipped.
//!
//! Invariants  1. all writing happens under the folder lock   2. the uidlist is on stable storage before the index says so
//!             3. files get UIDs in arrival order   4. a file counts as gone when two listings lack it
//!             5. the modseq floor in the uidlist is never below a modseq that was shown
//! Rules       a directory whose mtime (nanoseconds) is the recorded one has not changed, unless the record was made
//!             within a clock tick of that mtime (`dirty`): then it is listed once more later

use std::path::Path;
use std::time::{Duration, Instant};

use penny_sys::files::Stamp;

use super::plan::{Change, Plan, cur_info};
use super::scan::Listing;
use super::uids::Uids;
use super::{Mailbox, Mode};
use crate::dotlock::FolderLock;
use crate::error::{Error, Result, is_gone};
use crate::index::{DirState, Gone, Index, Meta, News, Op, Record, RecordRef, state};
use crate::keywords::KeywordTable;
use crate::name;
use crate::uidlist;

/// Modseqs reserved in the uidlist at a time.
pub(super) const FLOOR_STEP: u64 = 10_000;
/// With nanosecond times, a change this much later than another has another mtime (kernel tick: 10 ms at most).
const TICK: Duration = Duration::from_millis(100);
/// The same on file systems with whole seconds.
const COARSE_TICK: Duration = Duration::from_secs(2);
/// A second look at a dirty cur/ may take this share of the time.
const RESCAN_SHARE: u32 = 30;

/// How much to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Only new/.
    New,
    /// Both directories and the uidlist.
    Full,
}

impl DirState {
    pub(super) fn of(path: &Path) -> Result<DirState> {
        let stamp = Stamp::at(path).map_err(Error::io("stat", path))?.ok_or(Error::FolderGone)?;
        let mut out = DirState { mtime: stamp.mtime, nsec: stamp.mtime_nsec as u32, dirty: false };
        out.dirty = !out.is_settled();
        Ok(out)
    }

    fn age(&self) -> Duration {
        let at = Duration::new(self.mtime.max(0) as u64, self.nsec.min(999_999_999));
        penny_sys::time::now().saturating_sub(at)
    }

    /// True when a later change is bound to show another mtime.
    fn is_settled(&self) -> bool {
        self.age() > if self.nsec == 0 { COARSE_TICK } else { TICK }
    }

    fn same_time(&self, other: &DirState) -> bool {
        (self.mtime, self.nsec) == (other.mtime, other.nsec)
    }
}

/// The parts of a stamp the index keeps.
pub(super) fn same_file(a: &Stamp, b: &Stamp) -> bool {
    (a.ino, a.size, a.mtime, a.mtime_nsec) == (b.ino, b.size, b.mtime, b.mtime_nsec)
}

pub(super) fn now_secs() -> u64 {
    penny_sys::time::now().as_secs()
}

/// Identifies this boot of the machine; 0 if unknown.
pub(super) fn boot_id() -> u64 {
    static BOOT: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *BOOT.get_or_init(|| std::fs::read("/proc/sys/kernel/random/boot_id").map_or(0, |id| name::hash(&id)))
}

impl Mailbox {
    /// Takes in other sessions' changes and, if the disk shows others, scans.
    pub(super) fn update(&mut self) -> Result<()> {
        let mut news = News::default();
        let caught = self.index.catch_up(&mut news);
        self.note(news);
        let needed = match caught {
            Ok(()) => self.needed()?,
            Err(Error::Corrupt { .. }) => Some(Scan::Full),
            Err(e) => return Err(e),
        };
        self.reload_keywords()?;
        if needed.is_none() && !self.index.is_damaged() {
            return Ok(());
        }
        self.locked(|m, lock| match m.needed()? {
            Some(scan) => m.sync(lock, scan),
            None => Ok(()),
        })
    }

    /// After how long a dirty directory wants another look; `None` when all is settled. For IDLE.
    pub fn recheck_after(&self) -> Option<Duration> {
        let m = self.index.meta();
        (m.new.dirty || m.cur.dirty).then_some(TICK + Duration::from_millis(20))
    }

    /// What the disk says must be listed.
    fn needed(&self) -> Result<Option<Scan>> {
        let m = self.index.meta();
        let dir = &self.place.dir;
        let cur = DirState::of(&dir.cur_dir())?;
        if !self.uidlist_is_known()? || !cur.same_time(&m.cur) || (m.cur.dirty && cur.is_settled() && self.rescan_due())
        {
            return Ok(Some(Scan::Full));
        }
        let new = DirState::of(&dir.new_dir())?;
        let stale = !new.same_time(&m.new) || (m.new.dirty && new.is_settled());
        Ok(stale.then_some(Scan::New))
    }

    /// A cur/ that is dirty only by our own doing is listed again when that costs little of the time.
    fn rescan_due(&self) -> bool {
        let m = self.index.meta();
        let since = (now_secs() as i64).saturating_sub(m.scanned).max(0) as u64;
        Duration::from_secs(since) >= Duration::from_micros(u64::from(m.scan_usec) * u64::from(RESCAN_SHARE))
    }

    fn reload_keywords(&mut self) -> Result<()> {
        if !self.keywords.is_current(self.place.dir.path())? {
            let fresh = KeywordTable::read(self.place.dir.path())?;
            self.pending.keywords |= fresh.names() != self.keywords.names();
            self.keywords = fresh;
        }
        Ok(())
    }

    /// Under the lock: the index as the last writer left it, rebuilt if it is not to be believed.
    pub(super) fn catch_up_locked(&mut self, lock: &mut FolderLock) -> Result<()> {
        let mut news = News::default();
        let caught = if self.index.is_damaged() {
            Index::discard(&self.place.index_dir);
            Err(Error::Corrupt { path: self.place.index_dir.clone(), why: "index failed its checksum" })
        } else {
            self.index.catch_up(&mut news)
        };
        self.note(news);
        match caught {
            Err(Error::Corrupt { .. }) => self.rebuild_locked(lock)?,
            other => other?,
        }
        // names of keywords that others have just made are on disk before the index uses their numbers
        self.reload_keywords()
    }

    /// Builds a new index in an open session and finds out what differs from what the session knew.
    fn rebuild_locked(&mut self, lock: &mut FolderLock) -> Result<()> {
        let fresh = super::build::build(&self.place, lock)?;
        if fresh.meta().uidvalidity != self.index.meta().uidvalidity {
            return Err(Error::FolderGone);
        }
        let old = std::mem::replace(&mut self.index, fresh);
        let mut news = News::default();
        crate::index::compare(&old, &self.index, &mut news);
        self.note(news);
        self.reload_keywords()
    }

    /// After a reboot the tail of the index may be lost although it was shown: modseqs go on above the floor.
    pub(super) fn check_boot(&mut self) -> Result<()> {
        if self.index.meta().boot == boot_id() {
            return Ok(());
        }
        self.locked(|m, _| {
            m.index.commit(Vec::new(), |meta| {
                if meta.boot != boot_id() {
                    meta.highest_modseq = meta.highest_modseq.max(meta.floor);
                    meta.vanished_floor = meta.highest_modseq;
                    meta.boot = boot_id();
                    meta.cur.dirty = true;
                    meta.new.dirty = true;
                }
            })
        })
    }

    /// The next modseq, reserved in the uidlist. Called under the lock.
    pub(super) fn next_modseq(&mut self, lock: &mut FolderLock) -> Result<u64> {
        let m = self.index.meta();
        if m.highest_modseq >= m.floor {
            // Lines of another server must be known before they are written again.
            self.sync_uidlist(lock)?;
            let floor = self.index.meta().highest_modseq + FLOOR_STEP;
            let validity = self.index.meta().uidvalidity;
            self.rewrite_uidlist(floor, &[], validity)?;
        }
        Ok(self.index.meta().highest_modseq + 1)
    }

    /// Takes in what another server did to the uidlist. Called under the lock, before UIDs are given.
    pub(super) fn sync_uidlist(&mut self, lock: &mut FolderLock) -> Result<()> {
        match self.uidlist_is_known()? {
            true => Ok(()),
            false => self.sync(lock, Scan::Full),
        }
    }

    fn uidlist_is_known(&self) -> Result<bool> {
        let path = self.place.dir.path().join(uidlist::FILE);
        let stamp = Stamp::at(&path).map_err(Error::io("stat", &path))?.unwrap_or_default();
        Ok(same_file(&stamp, &self.index.meta().uidlist))
    }

    /// Writes a change to the index; if that fails the index is thrown away, since half a change must not be believed.
    pub(super) fn commit(&mut self, ops: Vec<Op>, edit: impl FnOnce(&mut Meta)) -> Result<()> {
        let written = self.index.commit(ops, edit);
        if written.is_err() {
            Index::discard(&self.place.index_dir);
        }
        written
    }

    /// The state of cur/ before our own renames: whether the index knows it.
    pub(super) fn cur_known(&self) -> Result<bool> {
        Ok(DirState::of(&self.place.dir.cur_dir())?.same_time(&self.index.meta().cur))
    }

    /// The state of cur/ to record after our own renames; `None` keeps the old one, so that a foreign change is found.
    pub(super) fn cur_after(&self, known: bool) -> Result<Option<DirState>> {
        match known {
            true => Ok(Some(DirState { dirty: true, ..DirState::of(&self.place.dir.cur_dir())? })),
            false => Ok(None),
        }
    }

    /// Lists directories and takes in all that differs. Called under the lock.
    pub(super) fn sync(&mut self, lock: &mut FolderLock, scan: Scan) -> Result<()> {
        self.reload_keywords()?;
        let scan = if self.uidlist_is_known()? { scan } else { Scan::Full };
        let dir = self.place.dir.clone();
        let start = Instant::now();
        let before = (DirState::of(&dir.new_dir())?, DirState::of(&dir.cur_dir())?);
        let uids = match scan {
            Scan::New => Uids::default(),
            Scan::Full => self.read_uidlist()?,
        };
        let mut listing = Listing::default();
        listing.add_dir(&dir.new_dir(), true)?;
        if scan == Scan::Full {
            listing.add_dir(&dir.cur_dir(), false)?;
        }
        lock.keep_alive();
        let mut plan = self.compare(&listing, scan, &uids);
        if !plan.missing.is_empty() {
            let mut again = Listing::default();
            again.add_dir(&dir.new_dir(), true)?;
            again.add_dir(&dir.cur_dir(), false)?;
            plan.second_look(&again);
        }
        self.carry_out(plan, uids, scan, before, start.elapsed())
    }

    /// Moves files, gives UIDs, writes uidlist and index.
    fn carry_out(
        &mut self,
        mut plan: Plan<'_>,
        uids: Uids,
        scan: Scan,
        before: (DirState, DirState),
        took: Duration,
    ) -> Result<()> {
        let moved = self.mode == Mode::ReadWrite && self.empty_new(&mut plan)?;
        let modseq = self.index.meta().highest_modseq + u64::from(plan.is_visible());
        let next = uids.next.max(self.index.meta().uidnext);
        let (added, uidnext) = plan.number(next, modseq)?;
        let stamp = self.write_uids(&added, &uids, uidnext, modseq)?;
        let mut ops: Vec<Op> = plan.gone.iter().map(|uid| Op::Gone(Gone { uid: *uid, modseq })).collect();
        ops.extend(plan.changes.into_iter().map(|c| c.into_op(modseq)));
        ops.extend(added.into_iter().map(|(r, _)| Op::Add(r)));
        self.report(&ops);
        let mut after = before;
        if moved {
            after = (DirState::of(&self.place.dir.new_dir())?, DirState::of(&self.place.dir.cur_dir())?);
            (after.0.dirty, after.1.dirty) = (true, true);
        }
        let scanned = scan == Scan::Full;
        let cur_is_known = scanned || before.1.same_time(&self.index.meta().cur);
        let claim = self.mode == Mode::ReadWrite && self.index.meta().first_recent < uidnext;
        if claim {
            self.recent.push((self.index.meta().first_recent, uidnext));
        }
        self.commit(ops, |m| {
            m.highest_modseq = m.highest_modseq.max(modseq);
            m.uidnext = uidnext;
            m.new = after.0;
            if claim {
                m.first_recent = uidnext;
            }
            if scanned || (moved && cur_is_known) {
                m.cur = after.1;
            }
            if scanned {
                m.scan_usec = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
                m.scanned = now_secs() as i64;
            }
            if let Some((stamp, lines)) = stamp {
                (m.uidlist, m.uidlist_lines) = (stamp, lines);
            }
        })
    }

    /// Notes what a scan found as news for `refresh`.
    fn report(&mut self, ops: &[Op]) {
        let mut news = News::default();
        for op in ops {
            match op {
                Op::Add(r) => news.added.push(r.fixed.uid),
                Op::Flags(r) => news.flags.push(r.fixed.uid),
                Op::Gone(g) => news.gone.extend(self.index.get(g.uid).map(RecordRef::to_owned)),
                Op::Facts(_) => {}
            }
        }
        self.note(news);
    }

    /// Moves all messages of new/ to cur/ (a session that writes owns them now). Files that are gone already stay
    /// listed as they are; the next scan finds them.
    fn empty_new(&mut self, plan: &mut Plan<'_>) -> Result<bool> {
        let mut moved = false;
        let changed: std::collections::HashSet<u32> = plan.changes.iter().map(|c| c.record.fixed.uid).collect();
        let old: Vec<Record> = match self.index.meta().in_new > 0 {
            true => self.index.iter().filter(|r| r.fixed.is(state::NEW)).map(RecordRef::to_owned).collect(),
            false => Vec::new(),
        };
        for mut record in old {
            let uid = record.fixed.uid;
            if changed.contains(&uid) || plan.gone.contains(&uid) {
                continue;
            }
            if self.move_to_cur(&record.base, &record.info)? {
                moved = true;
                let info = cur_info(&record.info);
                record.take_info(&info, false);
                plan.changes.push(Change { record, visible: false });
            }
        }
        for change in plan.changes.iter_mut().filter(|c| c.record.fixed.is(state::NEW)) {
            if self.move_to_cur(&change.record.base, &change.record.info)? {
                moved = true;
                let info = cur_info(&change.record.info);
                change.record.take_info(&info, false);
            }
        }
        for file in plan.fresh.iter_mut().filter(|file| file.in_new) {
            if self.move_to_cur(file.base, &file.info)? {
                moved = true;
                file.info = cur_info(&file.info).into();
                file.in_new = false;
            }
        }
        Ok(moved)
    }

    fn move_to_cur(&self, base: &[u8], info: &[u8]) -> Result<bool> {
        let from = self.place.dir.new_dir().join(name::os(&[base, info].concat()));
        let to = self.place.dir.cur_dir().join(name::os(&[base, &cur_info(info)].concat()));
        match std::fs::rename(&from, &to) {
            Ok(()) => Ok(true),
            Err(e) if is_gone(&e) => Ok(false),
            Err(e) => Err(Error::io("rename to", &to)(e)),
        }
    }
}
