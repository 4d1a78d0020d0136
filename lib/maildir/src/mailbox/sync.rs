//! Keeping index and uidlist in step with the files: the scan, and when it may be skipped.
//!
//! Invariants  1. all writing happens under the folder lock   2. the uidlist is on stable storage before the index says so
//!             3. files get UIDs in arrival order   4. a file counts as gone when two listings lack it
//!             5. the modseq floor in the uidlist is never below a modseq that was shown
//! Rules       a directory whose mtime (nanoseconds) is the recorded one has not changed, unless the record was made
//!             within a clock tick of that mtime (`dirty`): then it is listed once more later

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use penny_sys::files::Stamp;

use super::scan::{Found, Listing};
use super::{Mailbox, Mode, Place};
use crate::dotlock::FolderLock;
use crate::error::{Error, Result};
use crate::index::{DirState, Gone, Index, LETTER_BITS, Meta, News, Op, Record, RecordRef, state};
use crate::keywords::{self, KeywordTable, MoreKeywords};
use crate::mailbox::Guid;
use crate::name::{self, Info};
use crate::uidlist::{self, Contents, Entry, Header, Tail};
use crate::uidvalidity;

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
    fn of(path: &Path) -> Result<DirState> {
        let stamp = Stamp::at(path).map_err(Error::io("stat", path))?.ok_or(Error::FolderGone)?;
        let mut out = DirState { mtime: stamp.mtime, nsec: stamp.mtime_nsec as u32, dirty: false };
        out.dirty = !out.is_settled();
        Ok(out)
    }

    fn age(&self) -> Duration {
        let at = Duration::new(self.mtime.max(0) as u64, self.nsec.min(999_999_999));
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(at)
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
fn same_file(a: &Stamp, b: &Stamp) -> bool {
    (a.ino, a.size, a.mtime, a.mtime_nsec) == (b.ino, b.size, b.mtime, b.mtime_nsec)
}

fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Identifies this boot of the machine; 0 if unknown.
fn boot_id() -> u64 {
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
            Err(Error::Corrupt { .. }) => self.rebuild_locked(lock),
            other => other,
        }
    }

    /// Builds a new index in an open session and finds out what differs from what the session knew.
    fn rebuild_locked(&mut self, lock: &mut FolderLock) -> Result<()> {
        let fresh = build(&self.place, lock)?;
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

    /// The uidlist's tail or whole, checked against the index.
    fn read_uidlist(&mut self) -> Result<Uids> {
        let path = self.place.dir.path().join(uidlist::FILE);
        let m = *self.index.meta();
        let stamp = Stamp::at(&path).map_err(Error::io("stat", &path))?;
        if stamp.is_some_and(|s| same_file(&s, &m.uidlist)) {
            return Ok(Uids { next: m.uidnext, ..Uids::default() });
        }
        if let Some(tail) = Tail::read(&path, &m.uidlist, m.uidnext.saturating_sub(1))? {
            let lines: Vec<(u32, Box<[u8]>)> = tail.entries().iter().map(|e| (e.uid, e.base.into())).collect();
            let next = lines.last().map_or(m.uidnext, |(uid, _)| uid + 1);
            return Ok(Uids {
                count: m.uidlist_lines + lines.len() as u32,
                lines,
                next,
                stamp: Some(tail.stamp),
                ..Uids::default()
            });
        }
        self.read_whole_uidlist(&path, &m)
    }

    fn read_whole_uidlist(&mut self, path: &Path, m: &Meta) -> Result<Uids> {
        let contents = Contents::read(path)?.unwrap_or_default();
        let Some(header) = contents.header.clone() else {
            // Missing or unusable: what the index knows is written again.
            if !contents.bytes.is_empty() {
                uidlist::set_aside(path);
            }
            return Ok(Uids { next: m.uidnext, rewrite: true, ..Uids::default() });
        };
        if header.validity != m.uidvalidity {
            Index::discard(&self.place.index_dir);
            return Err(Error::FolderGone);
        }
        let (entries, odd) = contents.entries();
        let lines: Vec<(u32, Box<[u8]>)> = entries.iter().map(|e| (e.uid, e.base.into())).collect();
        let listed = header.next.max(lines.last().map_or(0, |(uid, _)| uid + 1));
        let next = listed.max(m.uidnext).saturating_add(odd as u32);
        // Fewer UIDs than the index has seen: the file was restored from a backup; or our floor was lost.
        let rewrite = odd > 0
            || contents.is_torn()
            || contents.version != 3
            || listed < m.uidnext
            || header.floor < m.floor
            || header.guid != Some(m.guid);
        let count = lines.len() as u32;
        Ok(Uids { lines, next, stamp: Some(contents.stamp), rewrite, whole: true, count })
    }

    /// Finds what differs between the index and a listing.
    fn compare(&self, listing: &Listing, scan: Scan, uids: &Uids) -> Plan {
        let mut plan = Plan::default();
        let table = listing.by_base();
        let mut used = vec![false; listing.len()];
        let by_name = uids.by_name();
        let taken = uids.by_uid();
        let mut visit = |record: RecordRef<'_>| {
            // The uidlist is the truth: another UID for the file, or another file for the UID.
            let moved = by_name.get(record.base).is_some_and(|uid| *uid != record.fixed.uid);
            let usurped = taken.get(&record.fixed.uid).is_some_and(|base| *base != record.base);
            match table.get(record.base) {
                Some(_) if moved || usurped => plan.gone.push(record.fixed.uid),
                Some(i) => {
                    if let (Some(slot), Some(found)) = (used.get_mut(*i), listing.get(*i)) {
                        *slot = true;
                        plan.changes.extend(changed(record, found));
                    }
                }
                None => plan.missing.push(record.to_owned()),
            }
        };
        match scan {
            Scan::Full => self.index.iter().for_each(&mut visit),
            Scan::New => self.records_for(listing).for_each(&mut visit),
        }
        for (i, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
            let Some(found) = listing.get(i) else { continue };
            // The same base name twice (cur/ and new/): the one in cur/ is the message.
            if table.get(found.base) != Some(&i) {
                continue;
            }
            let known = by_name.get(found.base).copied().filter(|uid| !self.has_other(*uid, &plan));
            plan.fresh.push((known, found.base.into(), found.info.into(), found.in_new));
        }
        plan
    }

    fn has_other(&self, uid: u32, plan: &Plan) -> bool {
        self.index.fixed(uid).is_some() && !plan.gone.contains(&uid)
    }

    /// For a listing of new/ alone: the records that are in new/, or could be one of its files by their second.
    fn records_for<'a>(&'a self, listing: &Listing) -> impl Iterator<Item = RecordRef<'a>> + use<'a> {
        let seconds: Vec<u32> = (0..listing.len())
            .filter_map(|i| name::seconds(listing.get(i)?.base).and_then(|s| u32::try_from(s).ok()))
            .collect();
        let bases: std::collections::HashSet<Vec<u8>> =
            (0..listing.len()).filter_map(|i| Some(listing.get(i)?.base.to_vec())).collect();
        let likely = move |f: &crate::index::Fixed| f.is(state::NEW) || f.saved == 0 || seconds.contains(&f.saved);
        let likely: Vec<u32> = self.index.fixed_range(0, u32::MAX).filter(likely).map(|f| f.uid).collect();
        let wanted = move |r: &RecordRef<'_>| r.fixed.is(state::NEW) || bases.contains(r.base);
        likely.into_iter().filter_map(|uid| self.index.get(uid)).filter(wanted)
    }

    /// Moves files, gives UIDs, writes uidlist and index.
    fn carry_out(
        &mut self,
        mut plan: Plan,
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
    fn empty_new(&mut self, plan: &mut Plan) -> Result<bool> {
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
        for (_, base, info, in_new) in plan.fresh.iter_mut().filter(|f| f.3) {
            if self.move_to_cur(base, info)? {
                moved = true;
                *info = cur_info(info).into();
                *in_new = false;
            }
        }
        Ok(moved)
    }

    fn move_to_cur(&self, base: &[u8], info: &[u8]) -> Result<bool> {
        let from = self.place.dir.new_dir().join(name::os(&[base, info].concat()));
        let to = self.place.dir.cur_dir().join(name::os(&[base, &cur_info(info)].concat()));
        match std::fs::rename(&from, &to) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io("rename to", &to)(e)),
        }
    }

    /// Puts new UIDs into the uidlist: appended where possible. `added` says of each record whether the file has it
    /// already. Returns what the index should remember of the file.
    pub(super) fn write_uids(
        &mut self,
        added: &[(Record, bool)],
        uids: &Uids,
        uidnext: u32,
        modseq: u64,
    ) -> Result<Option<(Stamp, u32)>> {
        let m = *self.index.meta();
        let lines = if uids.stamp.is_some() { uids.count } else { m.uidlist_lines };
        let new = added.iter().filter(|(_, listed)| !listed).count();
        // Dovecot's rule: rewrite when at most 75 % of the lines are live.
        let sparse = new > 0 && lines > 20 && u64::from(m.messages) * 4 <= u64::from(lines) * 3;
        let floor = if modseq > m.floor { modseq + FLOOR_STEP } else { m.floor };
        if !(uids.rewrite || sparse || floor > m.floor) {
            if new == 0 {
                return Ok(uids.stamp.map(|s| (s, uids.count)));
            }
            let path = self.place.dir.path().join(uidlist::FILE);
            let mut text = Vec::new();
            for (r, _) in added.iter().filter(|(_, listed)| !listed) {
                Entry { uid: r.fixed.uid, extensions: b"", base: &r.base }.write(&mut text);
            }
            if let Some(stamp) = uidlist::append(&path, &uids.stamp.unwrap_or(m.uidlist), &text)? {
                return Ok(Some((stamp, lines + new as u32)));
            }
        }
        self.index.edit(|m| m.uidnext = m.uidnext.max(uidnext));
        let records: Vec<&Record> = added.iter().map(|(r, _)| r).collect();
        self.rewrite_uidlist(floor, &records, m.uidvalidity).map(Some)
    }

    /// Writes the whole uidlist from index and new records; unknown header keys and extensions are kept.
    /// `before` is the UIDVALIDITY of the file to be replaced.
    pub(super) fn rewrite_uidlist(&mut self, floor: u64, new: &[&Record], before: u32) -> Result<(Stamp, u32)> {
        let folder = self.place.dir.path().to_path_buf();
        let old = Contents::read(&folder.join(uidlist::FILE))?.unwrap_or_default();
        let m = *self.index.meta();
        let same = old.header.clone().filter(|h| h.validity == before);
        let other = same.as_ref().map(|h| h.other.clone()).unwrap_or_default();
        let next = m.uidnext.max(new.last().map_or(0, |r| r.fixed.uid + 1));
        let header = Header { validity: m.uidvalidity, next, guid: Some(m.guid), floor: floor.max(m.floor), other };
        let kept = if same.is_some() { extensions(&old) } else { HashMap::new() };
        let fresh: std::collections::HashSet<u32> = new.iter().map(|r| r.fixed.uid).collect();
        let mut all: Vec<RecordRef<'_>> = self.index.iter().filter(|r| !fresh.contains(&r.fixed.uid)).collect();
        all.extend(new.iter().map(|r| r.borrow()));
        all.sort_by_key(|r| r.fixed.uid);
        let stamp = uidlist::replace(&folder, &uidlist_text(&header, &kept, all.iter().copied()))?;
        let lines = all.len() as u32;
        drop(all);
        let more = folder.join(keywords::MORE_FILE);
        if Stamp::at(&more).is_ok_and(|s| s.is_some_and(|s| s.size > 64 * 1024)) {
            self.prune_more_keywords()?;
        }
        self.index.edit(|m| {
            m.floor = header.floor;
            (m.uidlist, m.uidlist_lines) = (stamp, lines);
        });
        Ok((stamp, lines))
    }

    /// Drops the lines of messages that are gone from our keyword file.
    fn prune_more_keywords(&mut self) -> Result<()> {
        let more: MoreKeywords = self
            .index
            .iter()
            .filter(|r| r.fixed.keywords & !LETTER_BITS != 0)
            .map(|r| (r.base.to_vec(), r.fixed.keywords & !LETTER_BITS))
            .collect();
        self.keywords.write_more(self.place.dir.path(), &more)
    }
}

/// Base name and extension text of uidlist lines, by UID.
type Extensions = HashMap<u32, (Box<[u8]>, Box<[u8]>)>;

/// Those of lines that have any.
fn extensions(contents: &Contents) -> Extensions {
    let (entries, _) = contents.entries();
    let with = entries.iter().filter(|e| !e.extensions.is_empty());
    with.map(|e| (e.uid, (e.base.into(), e.extensions.into()))).collect()
}

/// A whole uidlist.
fn uidlist_text<'a>(header: &Header, extensions: &Extensions, records: impl Iterator<Item = RecordRef<'a>>) -> Vec<u8> {
    let mut text = Vec::new();
    header.write(&mut text);
    for r in records {
        let kept = extensions.get(&r.fixed.uid).filter(|(base, _)| **base == *r.base);
        let extensions = kept.map_or(&b""[..], |(_, e)| e);
        Entry { uid: r.fixed.uid, extensions, base: r.base }.write(&mut text);
    }
    text
}

/// The info part for cur/.
fn cur_info(info: &[u8]) -> Vec<u8> {
    match info.starts_with(b":2,") {
        true => info.to_vec(),
        false => b":2,".to_vec(),
    }
}

/// What the uidlist says beyond the index.
#[derive(Default)]
pub(super) struct Uids {
    lines: Vec<(u32, Box<[u8]>)>,
    next: u32,
    stamp: Option<Stamp>,
    rewrite: bool,
    whole: bool,
    count: u32,
}

impl Uids {
    /// Later lines win (Dovecot: an expunged file that was moved back).
    fn by_name(&self) -> HashMap<&[u8], u32> {
        self.lines.iter().map(|(uid, base)| (&**base, *uid)).collect()
    }

    fn by_uid(&self) -> HashMap<u32, &[u8]> {
        match self.whole {
            true => self.lines.iter().map(|(uid, base)| (*uid, &**base)).collect(),
            false => HashMap::new(),
        }
    }
}

/// A record that differs from its file.
struct Change {
    record: Record,
    visible: bool,
}

impl Change {
    fn into_op(mut self, modseq: u64) -> Op {
        match self.visible {
            true => {
                self.record.fixed.modseq = modseq;
                Op::Flags(self.record)
            }
            false => Op::Facts(self.record),
        }
    }
}

/// The record as its file says, if that is not what the index says.
fn changed(record: RecordRef<'_>, found: Found<'_>) -> Option<Change> {
    if record.fixed.is(state::NEW) == found.in_new && record.info.is_empty() {
        let info = Info::parse(found.info);
        let same = info.flags == record.fixed.flags && u64::from(info.letters) == record.fixed.keywords & LETTER_BITS;
        if same && info.other.is_empty() && info.rest.is_empty() && (!found.in_new || found.info.is_empty()) {
            return None;
        }
    }
    let mut now = record.to_owned();
    now.take_info(found.info, found.in_new);
    if now.borrow() == record {
        return None;
    }
    let visible = now.fixed.flags != record.fixed.flags || now.fixed.keywords != record.fixed.keywords;
    Some(Change { record: now, visible })
}

/// A file without a record: UID from the uidlist if it has one, base, info, in new/.
type Fresh = (Option<u32>, Box<[u8]>, Box<[u8]>, bool);

/// What a scan found out.
#[derive(Default)]
struct Plan {
    changes: Vec<Change>,
    missing: Vec<Record>,
    gone: Vec<u32>,
    fresh: Vec<Fresh>,
}

impl Plan {
    fn is_visible(&self) -> bool {
        !(self.gone.is_empty() && self.fresh.is_empty()) || self.changes.iter().any(|c| c.visible)
    }

    /// What is missing from a second listing as well is gone; what is there was renamed meanwhile.
    fn second_look(&mut self, again: &Listing) {
        let table = again.by_base();
        for record in std::mem::take(&mut self.missing) {
            match table.get(&*record.base).and_then(|i| again.get(*i)) {
                Some(found) => self.changes.extend(changed(record.borrow(), found)),
                None => self.gone.push(record.fixed.uid),
            }
        }
    }

    /// Gives UIDs to files that have none, in arrival order; returns the records by UID, each with whether the
    /// uidlist has it already, and the next UID.
    fn number(&mut self, mut next: u32, modseq: u64) -> Result<(Vec<(Record, bool)>, u32)> {
        let mut fresh: Vec<((u64, u64), Fresh)> =
            std::mem::take(&mut self.fresh).into_iter().map(|f| (name::arrival_key(&f.1), f)).collect();
        fresh.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.1.cmp(&b.1.1)));
        let mut out = Vec::with_capacity(fresh.len());
        let mut seen = std::collections::HashSet::new();
        for (_, (known, base, info, in_new)) in fresh {
            let known = known.filter(|uid| seen.insert(*uid));
            let uid = match known {
                Some(uid) => uid,
                None => {
                    next += 1;
                    next - 1
                }
            };
            if uid == 0 || uid > uidlist::UID_MAX {
                return Err(Error::Limit("UIDs in this mailbox"));
            }
            let mut record = Record::found(uid, base, &info, in_new);
            record.fixed.modseq = modseq;
            if record.fixed.saved == 0 {
                record.fixed.saved = now_secs() as u32;
            }
            out.push((record, known.is_some()));
        }
        out.sort_by_key(|(r, _)| r.fixed.uid);
        let next = out.last().map_or(next, |(r, _)| next.max(r.fixed.uid + 1));
        Ok((out, next))
    }
}

/// Builds the index of a folder that has none.
pub(super) fn rebuild(place: &Place) -> Result<Index> {
    let mut lock = FolderLock::take(place.dir.path(), &place.index_dir)?;
    match Index::open(&place.index_dir) {
        Some(index) => Ok(index),
        None => build(place, &mut lock),
    }
}

/// The same under the lock: uidlist and listing give everything; modseqs start above all that was ever shown.
fn build(place: &Place, lock: &mut FolderLock) -> Result<Index> {
    let dir = &place.dir;
    let start = Instant::now();
    let states = (DirState::of(&dir.new_dir())?, DirState::of(&dir.cur_dir())?);
    let path = dir.path().join(uidlist::FILE);
    let contents = Contents::read(&path)?;
    let base = Base::of(place, contents.as_ref(), &path)?;
    let mut listing = Listing::default();
    listing.add_dir(&dir.new_dir(), true)?;
    listing.add_dir(&dir.cur_dir(), false)?;
    lock.keep_alive();
    let (entries, _) = contents.as_ref().filter(|_| base.usable).map(Contents::entries).unwrap_or_default();
    let uids = Uids { lines: entries.iter().map(|e| (e.uid, e.base.into())).collect(), ..Uids::default() };
    let by_name = uids.by_name();
    let table = listing.by_base();
    let mut plan = Plan::default();
    for i in 0..listing.len() {
        if let Some(f) = listing.get(i).filter(|f| table.get(f.base) == Some(&i)) {
            plan.fresh.push((by_name.get(f.base).copied(), f.base.into(), f.info.into(), f.in_new));
        }
    }
    let (numbered, uidnext) = plan.number(base.next, base.modseq)?;
    let mut records: Vec<Record> = numbered.into_iter().map(|(r, _)| r).collect();
    add_more_keywords(&keywords::read_more(dir.path())?, &mut records);
    let in_new = records.iter().filter(|r| r.fixed.is(state::NEW)).map(|r| r.fixed.uid).min();
    let mut meta = Meta {
        uidvalidity: base.validity,
        uidnext,
        guid: base.guid,
        highest_modseq: base.modseq,
        floor: base.floor,
        vanished_floor: base.modseq,
        first_recent: in_new.unwrap_or(uidnext),
        cur: states.1,
        new: states.0,
        boot: boot_id(),
        scan_usec: u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX),
        scanned: now_secs() as i64,
        ..Meta::default()
    };
    let header =
        Header { validity: base.validity, next: uidnext, guid: Some(base.guid), floor: base.floor, other: base.other };
    let kept = contents.as_ref().filter(|_| base.usable).map(extensions).unwrap_or_default();
    meta.uidlist = uidlist::replace(dir.path(), &uidlist_text(&header, &kept, records.iter().map(Record::borrow)))?;
    meta.uidlist_lines = records.len() as u32;
    Index::create(&place.index_dir, &meta, &records, &[])
}

fn add_more_keywords(more: &MoreKeywords, records: &mut [Record]) {
    if more.is_empty() {
        return;
    }
    for r in records {
        r.fixed.keywords |= more.get(&*r.base).copied().unwrap_or(0);
    }
}

/// What a new index starts from.
struct Base {
    validity: u32,
    next: u32,
    guid: Guid,
    modseq: u64,
    floor: u64,
    other: Vec<Vec<u8>>,
    usable: bool,
}

impl Base {
    fn of(place: &Place, contents: Option<&Contents>, path: &Path) -> Result<Base> {
        let header = contents.and_then(|c| c.header.clone());
        let Some(header) = header else {
            if contents.is_some_and(|c| !c.bytes.is_empty()) {
                uidlist::set_aside(path);
            }
            let validity = uidvalidity::next(place.root.path())?;
            return Ok(Base {
                validity,
                next: 1,
                guid: new_guid(),
                modseq: 1,
                floor: FLOOR_STEP,
                other: Vec::new(),
                usable: false,
            });
        };
        let (entries, odd) = contents.map(Contents::entries).unwrap_or_default();
        let last = entries.last().map_or(0, |e| e.uid);
        let next = header.next.max(last.saturating_add(1)).saturating_add(odd as u32);
        // With a floor: one above it, for the floor itself may have been shown. Without: Dovecot's modseqs count
        // changes, so the time of day is above any it can have shown.
        let modseq = if header.floor > 0 { header.floor + 1 } else { now_secs() };
        Ok(Base {
            validity: header.validity,
            next,
            guid: header.guid.unwrap_or_else(new_guid),
            modseq,
            floor: modseq + FLOOR_STEP,
            other: header.other,
            usable: true,
        })
    }
}

/// A new mailbox GUID: time, process and kernel randomness.
pub(crate) fn new_guid() -> Guid {
    let mut out = [0u8; 16];
    let mut random = || std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut out));
    if random().is_err() {
        let (a, b) = (name::hash(name::unique().as_bytes()), name::hash(name::unique().as_bytes()));
        out[..8].copy_from_slice(&a.to_le_bytes());
        out[8..].copy_from_slice(&b.to_le_bytes());
    }
    Guid(out)
}
