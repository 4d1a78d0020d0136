//! A new index for a folder that has none, or none to be believed.
//!
//! Invariants  1. UIDs, UIDVALIDITY and GUID come from the uidlist; without one the mailbox is new
//!             2. modseqs start above all that was ever shown

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use super::plan::{Fresh, Plan};
use super::scan::Listing;
use super::sync::{FLOOR_STEP, boot_id, now_secs};
use super::uids::{Uids, extensions, uidlist_text};
use super::{Guid, Place};
use crate::dotlock::{FolderLock, Spare};
use crate::error::Result;
use crate::index::{DirState, Index, Meta, Record, state};
use crate::keywords::{self, MoreKeywords};
use crate::name;
use crate::uidlist::{self, Contents, Header};
use crate::uidvalidity;

/// Builds the index of a folder that has none.
pub(super) fn rebuild(place: &Place) -> Result<Index> {
    let mut lock = FolderLock::acquire(place.dir.path(), &place.index_dir, &mut Spare::default())?;
    match Index::open(&place.index_dir) {
        Some(index) => Ok(index),
        None => build(place, &mut lock),
    }
}

/// The same under the lock: uidlist and listing give everything; modseqs start above all that was ever shown.
pub(super) fn build(place: &Place, lock: &mut FolderLock) -> Result<Index> {
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
    let mut plan = Plan { fresh: Vec::with_capacity(listing.len()), ..Plan::default() };
    for f in (0..listing.len()).filter_map(|i| listing.get(i)) {
        let known = by_name.get(f.base).copied();
        plan.fresh.push(Fresh { known, base: f.base, info: f.info.into(), in_new: f.in_new });
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
