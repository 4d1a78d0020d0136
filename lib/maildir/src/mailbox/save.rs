//! APPEND, COPY and MOVE.
//!
//! Standards   RFC 9051 6.3.12, 6.4.7, 6.4.8; RFC 3502 (MULTIAPPEND: all or none); RFC 4315 (UIDPLUS)
//! Invariants  1. when a method returns Ok, bytes, names and UIDs are on stable storage, in this order
//!             2. COPY and APPEND are all or nothing: on error no name made by the call remains
//!             3. MOVE: link, sync of the target's directory and UIDs, only then unlink here
//!             4. two folder locks are never held at once

use super::uids::Uids;
use super::{Appended, Copied, FlagSet, Mailbox, sync};
use crate::delivery::{self, Delivered, Delivery, Place, Placed, Prepared};
use crate::dotlock::FolderLock;
use crate::error::{Error, Result};
use crate::index::{Fixed, LETTER_BITS, Op, Record, RecordRef, state};
use crate::name::{self, Info};

/// Rounds of copying when others rename the sources meanwhile.
const ROUNDS: u32 = 5;

/// A message with its place in this mailbox.
struct Item {
    placed: Placed,
    info: Info,
    more: u64,
}

impl Mailbox {
    /// Starts a message for this mailbox: write into it, `finish` it, then `append`.
    pub fn begin_append(&self) -> Result<Delivery> {
        self.writable()?;
        Delivery::begin(&self.place.dir)
    }

    /// Adds finished messages with their flags, all or none.
    pub fn append(&mut self, messages: Vec<(Prepared, FlagSet)>) -> Result<Appended> {
        self.writable()?;
        let octets = messages.iter().map(|(p, _)| p.size()).sum();
        self.place.quota.check(octets, messages.len() as u64)?;
        self.locked(|m, lock| {
            let names: Vec<String> = messages.iter().flat_map(|(_, f)| f.keywords.iter().cloned()).collect();
            m.ensure_keywords(&names)?;
            m.ready_to_add(lock)?;
            let known = m.cur_known()?;
            let mut items = Vec::new();
            for (prepared, set) in messages {
                let bits = m.keyword_bits(&set.keywords).0;
                let info = Info { flags: set.flags, letters: (bits & LETTER_BITS) as u32, ..Info::default() };
                let placed = prepared.place(&Place::Cur(info.clone()))?;
                items.push(Item { placed, info, more: bits & !LETTER_BITS });
            }
            let uids = m.add(lock, items, known)?;
            Ok(Appended { uidvalidity: m.index.meta().uidvalidity, uids })
        })
    }

    /// New UIDs are about to be given: other servers' lines must be known.
    fn ready_to_add(&mut self, lock: &mut FolderLock) -> Result<()> {
        self.sync_uidlist(lock)
    }

    /// Makes placed files messages: synced, numbered, in uidlist and index. Called under the lock.
    fn add(&mut self, lock: &mut FolderLock, items: Vec<Item>, known: bool) -> Result<Vec<u32>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let more: Vec<(Vec<u8>, u64)> = items
            .iter()
            .filter(|i| i.more != 0)
            .map(|i| (i.placed.delivered().base.clone().into_bytes(), i.more))
            .collect();
        if !more.is_empty() {
            self.keywords.append_more(self.place.dir.path(), &more)?;
        }
        let modseq = self.next_modseq(lock)?;
        let (placed, infos): (Vec<Placed>, Vec<(Info, u64)>) =
            items.into_iter().map(|i| (i.placed, (i.info, i.more))).unzip();
        let delivered = delivery::sync_placed(placed)?;
        let first = self.index.meta().uidnext;
        let records: Vec<(Record, bool)> = delivered
            .iter()
            .zip(infos)
            .enumerate()
            .map(|(i, (d, (info, more)))| (new_record(first.saturating_add(i as u32), d, &info, more, modseq), false))
            .collect();
        let uidnext = first.saturating_add(records.len() as u32);
        let stamp = match uidnext > crate::uidlist::UID_MAX {
            true => Err(Error::Limit("UIDs in this mailbox")),
            false => self.write_uids(&records, &Uids::default(), uidnext, modseq),
        };
        let stamp = stamp.inspect_err(|_| take_back(&delivered))?;
        let uids = records.iter().map(|(r, _)| r.fixed.uid).collect();
        let octets: u64 = delivered.iter().map(|d| d.size).sum();
        let after = self.cur_after(known)?;
        let ops = records.into_iter().map(|(r, _)| Op::Add(r)).collect();
        let done = self.commit(ops, |m| {
            m.highest_modseq = m.highest_modseq.max(modseq);
            m.uidnext = uidnext;
            m.cur = after.unwrap_or(m.cur);
            if let Some((stamp, lines)) = stamp {
                (m.uidlist, m.uidlist_lines) = (stamp, lines);
            }
        });
        // The messages and their UIDs are on disk; an index that cannot be written is rebuilt by the next session.
        drop(done);
        let _ = self.place.quota.update(i64::try_from(octets).unwrap_or(i64::MAX), delivered.len() as i64);
        Ok(uids)
    }

    /// Copies messages to another mailbox (opened as `Mode::Target`), all or none of those that still exist.
    pub fn copy(&mut self, uids: &[u32], target: &mut Mailbox) -> Result<Copied> {
        let octets = uids.iter().filter_map(|u| self.index.fixed(*u)).map(|f| f.size).sum();
        target.place.quota.check(octets, uids.len() as u64)?;
        self.copy_rounds(uids, target)
    }

    /// Moves messages to another mailbox: copied, synced there, then removed here. Needs no free quota.
    pub fn move_to(&mut self, uids: &[u32], target: &mut Mailbox) -> Result<Copied> {
        self.writable()?;
        let copied = self.copy_rounds(uids, target)?;
        let moved: Vec<u32> = copied.pairs.iter().map(|(from, _)| *from).collect();
        self.remove(&moved)?;
        Ok(copied)
    }

    fn copy_rounds(&mut self, uids: &[u32], target: &mut Mailbox) -> Result<Copied> {
        target.writable()?;
        for _ in 0..ROUNDS {
            let (live, gone): (Vec<u32>, Vec<u32>) = uids.iter().partition(|uid| self.is_live(**uid));
            let tried = target.locked(|t, lock| t.copy_from(lock, self, &live));
            match tried? {
                Some(pairs) => {
                    let uidvalidity = target.index.meta().uidvalidity;
                    return Ok(Copied { uidvalidity, pairs, gone });
                }
                // The target's lock is free again: it may be the lock of this folder as well.
                None => self.locked(|m, lock| m.sync(lock, sync::Scan::Full))?,
            }
        }
        Err(Error::Locked(self.place.dir.cur_dir()))
    }

    /// Links the sources here; `None` if one was not where its mailbox thought. Called under the target's lock.
    fn copy_from(&mut self, lock: &mut FolderLock, source: &Mailbox, uids: &[u32]) -> Result<Option<Vec<(u32, u32)>>> {
        let bits = uids.iter().filter_map(|u| source.index.fixed(*u)).fold(0, |bits, f| bits | f.keywords);
        let names: Vec<String> = source.keyword_names(super::Keywords(bits)).collect();
        self.ensure_keywords(&names)?;
        self.ready_to_add(lock)?;
        let known = self.cur_known()?;
        let mut items = Vec::new();
        for uid in uids {
            let Some(record) = source.index.get(*uid) else { return Ok(None) };
            match self.link_from(source, record) {
                Ok(item) => items.push(item),
                Err(e) if e.is_not_found() => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        let added = self.add(lock, items, known)?;
        Ok(Some(uids.iter().copied().zip(added).collect()))
    }

    fn link_from(&self, source: &Mailbox, record: RecordRef<'_>) -> Result<Item> {
        let names: Vec<String> = source.keyword_names(super::Keywords(record.fixed.keywords)).collect();
        let bits = self.keyword_bits(&names).0;
        let info = Info { flags: record.fixed.flags, letters: (bits & LETTER_BITS) as u32, ..Info::default() };
        let from = source.path_of(record);
        let size = match record.fixed.is(state::SIZE) {
            true => record.fixed.size,
            false => std::fs::symlink_metadata(&from).map_err(Error::io("stat", &from))?.len(),
        };
        let base = copied_name(&record.fixed, size);
        let sizes = (size, record.fixed.virtual_size);
        let placed = delivery::place_existing(&from, &self.place.dir, base, &Place::Cur(info.clone()), sizes)?;
        Ok(Item { placed, info, more: bits & !LETTER_BITS })
    }
}

/// A fresh name; W= only where the size is known.
fn copied_name(fixed: &Fixed, size: u64) -> String {
    match fixed.is(state::VIRTUAL) {
        true => name::with_sizes(&name::unique(), size, fixed.virtual_size),
        false => format!("{},S={size}", name::unique()),
    }
}

fn new_record(uid: u32, delivered: &Delivered, info: &Info, more: u64, modseq: u64) -> Record {
    let mut text = Vec::new();
    info.write(&mut text);
    let mut record = Record::found(uid, delivered.base.as_bytes(), &text, false);
    record.fixed.modseq = modseq;
    record.fixed.keywords |= more;
    record
}

/// The UIDs could not be written: the names go again, so that nothing half done stays.
fn take_back(delivered: &[Delivered]) {
    for d in delivered {
        let _ = std::fs::remove_file(&d.path);
    }
}
