//! Comparing a listing with the index, and what follows from it.
//!
//! Invariants  1. the uidlist decides which UID a file has   2. a file counts as gone when two listings lack it
//!             3. files get UIDs in arrival order

use std::borrow::Cow;

use super::Mailbox;
use super::scan::{Found, Listing};
use super::sync::{Scan, now_secs};
use super::uids::Uids;
use crate::error::{Error, Result};
use crate::index::{LETTER_BITS, Op, Record, RecordRef, state};
use crate::name::{self, Info};
use crate::uidlist;

impl Mailbox {
    /// Finds what differs between the index and a listing.
    pub(super) fn compare<'a>(&self, listing: &'a Listing, scan: Scan, uids: &Uids) -> Plan<'a> {
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
            plan.fresh.push(Fresh { known, base: found.base, info: found.info.into(), in_new: found.in_new });
        }
        plan
    }

    fn has_other(&self, uid: u32, plan: &Plan<'_>) -> bool {
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
}

/// The info part for cur/.
pub(super) fn cur_info(info: &[u8]) -> Vec<u8> {
    match info.starts_with(b":2,") {
        true => info.to_vec(),
        false => b":2,".to_vec(),
    }
}

/// A record that differs from its file.
pub(super) struct Change {
    pub(super) record: Record,
    pub(super) visible: bool,
}

impl Change {
    pub(super) fn into_op(mut self, modseq: u64) -> Op {
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

/// A file without a record.
pub(super) struct Fresh<'a> {
    /// Its UID in the uidlist.
    pub(super) known: Option<u32>,
    pub(super) base: &'a [u8],
    pub(super) info: Cow<'a, [u8]>,
    pub(super) in_new: bool,
}

/// What a scan found out.
#[derive(Default)]
pub(super) struct Plan<'a> {
    pub(super) changes: Vec<Change>,
    pub(super) missing: Vec<Record>,
    pub(super) gone: Vec<u32>,
    pub(super) fresh: Vec<Fresh<'a>>,
}

impl Plan<'_> {
    pub(super) fn is_visible(&self) -> bool {
        !(self.gone.is_empty() && self.fresh.is_empty()) || self.changes.iter().any(|c| c.visible)
    }

    /// What is missing from a second listing as well is gone; what is there was renamed meanwhile.
    pub(super) fn second_look(&mut self, again: &Listing) {
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
    pub(super) fn number(&mut self, mut next: u32, modseq: u64) -> Result<(Vec<(Record, bool)>, u32)> {
        let fresh = std::mem::take(&mut self.fresh);
        let mut order: Vec<((u64, u64), &Fresh<'_>)> = fresh.iter().map(|f| (name::arrival_key(f.base), f)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.base.cmp(b.1.base)));
        // Two files with one base name are one message: the one in cur/.
        order.dedup_by(|next, kept| {
            let same = next.1.base == kept.1.base;
            if same && !next.1.in_new {
                kept.1 = next.1;
            }
            same
        });
        let mut out = Vec::with_capacity(fresh.len());
        let mut seen = std::collections::HashSet::new();
        for (_, file) in order {
            let known = file.known.filter(|uid| seen.insert(*uid));
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
            let mut record = Record::found(uid, file.base, &file.info, file.in_new);
            record.fixed.modseq = modseq;
            if record.fixed.saved == 0 {
                record.fixed.saved = now_secs() as u32;
            }
            out.push((record, known.is_some()));
        }
        if !out.is_sorted_by_key(|(r, _)| r.fixed.uid) {
            out.sort_by_key(|(r, _)| r.fixed.uid);
        }
        let next = out.last().map_or(next, |(r, _)| next.max(r.fixed.uid + 1));
        Ok((out, next))
    }
}
