//! Care for a mailbox by tools: restore marks, comparing with the disk, rebuilding.
//!
//! Invariants  1. after `restore_mark` no UID and no modseq given out before is given out again under the same
//!                UIDVALIDITY   2. message files and flags are not touched

use super::scan::Listing;
use super::sync::{self, Scan};
use super::{Mailbox, Status};
use crate::error::Result;
use crate::index::{Index, LETTER_BITS, state};
use crate::name::Info;
use crate::uidvalidity;

/// How to keep a restored mailbox from using UIDs twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreMark {
    /// UIDNEXT rises by this many: right when fewer messages than that came after the back-up. Clients keep their copies.
    Gap(u32),
    /// A new UIDVALIDITY: always right; clients fetch everything again.
    NewValidity,
}

/// Modseqs skipped with a gap: far more than changes between back-up and loss.
const MODSEQ_GAP: u64 = 1_000_000;

impl Mailbox {
    /// Marks a mailbox that came back from a back-up.
    pub fn restore_mark(&mut self, how: RestoreMark) -> Result<Status> {
        self.writable()?;
        let root = self.place.root.path().to_path_buf();
        self.locked(|m, lock| {
            m.sync(lock, Scan::Full)?;
            let validity = match how {
                RestoreMark::Gap(_) => m.index.meta().uidvalidity,
                RestoreMark::NewValidity => uidvalidity::next(&root)?,
            };
            let before = m.index.meta().uidvalidity;
            m.index.edit(|meta| {
                if let RestoreMark::Gap(gap) = how {
                    meta.uidnext = meta.uidnext.saturating_add(gap).min(crate::uidlist::UID_MAX);
                }
                meta.uidvalidity = validity;
                meta.highest_modseq = meta.highest_modseq.max(meta.floor) + MODSEQ_GAP;
                meta.vanished_floor = meta.highest_modseq;
            });
            let floor = m.index.meta().highest_modseq + sync::FLOOR_STEP;
            m.rewrite_uidlist(floor, &[], before)?;
            m.commit(Vec::new(), |_| ())?;
            m.index.rewrite()
        })?;
        Ok(self.status())
    }

    /// Compares the index with the files under the lock, after a full scan; each difference in words. Empty is right.
    pub fn differences(&mut self) -> Result<Vec<String>> {
        let dir = self.place.dir.clone();
        self.locked(|m, lock| {
            m.sync(lock, Scan::Full)?;
            let mut listing = Listing::default();
            listing.add_dir(&dir.new_dir(), true)?;
            listing.add_dir(&dir.cur_dir(), false)?;
            Ok(m.compare_with(&listing))
        })
    }

    fn compare_with(&self, listing: &Listing) -> Vec<String> {
        let mut out = Vec::new();
        let table = listing.by_base();
        let (mut count, mut unseen, mut last) = (0u32, 0u32, 0u32);
        for r in self.index.iter() {
            let uid = r.fixed.uid;
            count += 1;
            unseen += u32::from(!r.fixed.flags.contains(crate::name::Flags::SEEN));
            if uid <= last || uid >= self.index.meta().uidnext {
                out.push(format!("UID {uid} is out of order"));
            }
            last = uid;
            match table.get(r.base).and_then(|i| listing.get(*i)) {
                None => out.push(format!("UID {uid} has no file")),
                Some(f) => {
                    let info = Info::parse(f.info);
                    let same = info.flags == r.fixed.flags && u64::from(info.letters) == r.fixed.keywords & LETTER_BITS;
                    if !same || f.in_new != r.fixed.is(state::NEW) {
                        out.push(format!("UID {uid} has other flags"));
                    }
                }
            }
        }
        let meta = self.index.meta();
        if table.len() != count as usize {
            out.push(format!("{} files, {count} messages", table.len()));
        }
        if (meta.messages, meta.unseen) != (count, unseen) {
            out.push(format!("counters say {} messages, {} unseen; are {count}, {unseen}", meta.messages, meta.unseen));
        }
        out
    }

    /// Throws the index away and builds it from files and uidlist.
    pub fn rebuild_index(&mut self) -> Result<()> {
        Index::discard(&self.place.index_dir);
        self.locked(|m, lock| m.sync(lock, Scan::Full))
    }
}
