//! Expunging messages.
//!
//! Standards   RFC 9051 6.4.3, RFC 4315 2.1 (UID EXPUNGE), 6.4.8 of RFC 9051 (MOVE's second half)
//! Invariants  1. only what is `\Deleted` on disk at that moment is expunged by `expunge`
//!             2. unlink first, then the index: a crash in between is found by the next scan
//! Not promised across a power cut (the page pennypost-maildir(5) says so)

use super::{Mailbox, sync};
use crate::dotlock::FolderLock;
use crate::error::{Error, Result, is_gone};
use crate::index::{Fixed, Gone, Op};
use crate::name::Flags;

/// Rounds of looking for files that others rename meanwhile.
const ROUNDS: u32 = 10;

impl Mailbox {
    /// Removes the messages that have `\Deleted`, or of these those with the given UIDs; returns the UIDs that went.
    pub fn expunge(&mut self, only: Option<&[u32]>) -> Result<Vec<u32>> {
        self.writable()?;
        let deleted = |f: &Fixed| f.flags.contains(Flags::DELETED);
        self.locked(|m, lock| {
            let uids: Vec<u32> = match only {
                Some(uids) => uids.to_vec(),
                None if m.index.meta().deleted == 0 => Vec::new(),
                None => m.index.fixed_range(0, u32::MAX).filter(deleted).map(|f| f.uid).collect(),
            };
            m.remove_rounds(lock, uids, deleted)
        })
    }

    /// Removes messages whatever their flags (MOVE, POP3, expiry); returns the UIDs that went.
    pub fn remove(&mut self, uids: &[u32]) -> Result<Vec<u32>> {
        self.writable()?;
        self.locked(|m, lock| m.remove_rounds(lock, uids.to_vec(), |_| true))
    }

    fn remove_rounds(
        &mut self,
        lock: &mut FolderLock,
        uids: Vec<u32>,
        wanted: impl Fn(&Fixed) -> bool,
    ) -> Result<Vec<u32>> {
        let mut gone = Vec::new();
        let mut todo = uids;
        for _ in 0..ROUNDS {
            todo.retain(|uid| self.index.fixed(*uid).is_some_and(|f| wanted(&f)));
            if todo.is_empty() {
                break;
            }
            todo = self.unlink_all(lock, &todo, &mut gone)?;
            if !todo.is_empty() {
                self.sync(lock, sync::Scan::Full)?;
            }
        }
        gone.sort_unstable();
        Ok(gone)
    }

    /// Unlinks what is where the index says; returns the others.
    fn unlink_all(&mut self, lock: &mut FolderLock, uids: &[u32], gone: &mut Vec<u32>) -> Result<Vec<u32>> {
        let modseq = self.next_modseq(lock)?;
        let known = self.cur_known()?;
        let (mut ops, mut lost, mut failure) = (Vec::new(), Vec::new(), None);
        let (mut octets, mut messages) = (0i64, 0i64);
        for (i, uid) in uids.iter().enumerate() {
            if i % 1024 == 1023 {
                lock.keep_alive();
            }
            let Some(record) = self.index.get(*uid) else { continue };
            let path = self.path_of(record);
            match std::fs::remove_file(&path) {
                Ok(()) => {
                    octets -= i64::try_from(record.fixed.size).unwrap_or(0);
                    messages -= 1;
                    ops.push(Op::Gone(Gone { uid: *uid, modseq }));
                    gone.push(*uid);
                }
                Err(e) if is_gone(&e) => lost.push(*uid),
                Err(e) => {
                    failure = Some(Error::io("remove", &path)(e));
                    break;
                }
            }
        }
        if !ops.is_empty() {
            for op in &ops {
                if let Op::Gone(g) = op {
                    self.facts.remove(&g.uid);
                    // one that others brought and nobody was told of never was
                    self.pending.new.remove(&g.uid);
                    self.pending.flags.remove(&g.uid);
                }
            }
            let after = self.cur_after(known)?;
            let touches_new = self.index.meta().in_new > 0;
            self.commit(ops, |m| {
                m.highest_modseq = m.highest_modseq.max(modseq);
                m.cur = after.unwrap_or(m.cur);
                m.new.dirty |= touches_new;
            })?;
            // Failing to keep the sum only makes the next reader count again.
            let _ = self.place.quota.update(octets, messages);
        }
        failure.map_or(Ok(lost), Err)
    }
}
