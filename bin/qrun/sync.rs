//! Syncing journals and removals as a group: the price of a sync is shared by all that happened in a tick.
//!
//! Invariants  1. a report starts only after the line that announces it is synced
//!             2. a journal is unlinked only after the unlinking of its entry is synced
//! Notes       a tick bounds what a power cut can repeat to 100 ms of deliveries; a crash of qrun alone repeats
//!             nothing that was written, for the kernel keeps it

use crate::runner::Runner;
use penny_base::log;
use penny_queue::Name;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Longest time between a written outcome and its sync.
pub const TICK: Duration = Duration::from_millis(100);

/// What waits for the next tick.
#[derive(Debug, Default)]
pub struct Pending {
    /// Entries whose journals have lines that are not synced.
    pub journals: BTreeSet<u64>,
    /// Journals with such lines whose entries have left memory.
    pub orphans: Vec<std::fs::File>,
    /// A journal was created or removed.
    pub log_dir: bool,
    /// Entries unlinked, with whether they have a journal.
    pub unlinked: Vec<(Name, bool)>,
    /// Entries whose reports may start after the sync.
    pub reports: Vec<u64>,
    due: Option<Instant>,
}

impl Pending {
    /// Something waits: starts the clock.
    pub fn touch(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + TICK);
    }

    /// When the next tick is.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Runner {
    /// Syncs what waits, if it is time or `now` is set.
    pub fn sync_tick(&mut self, now: bool) {
        if self.pending.due().is_none_or(|due| !now && Instant::now() < due) {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let failed = self.sync_journals(&pending);
        self.sync_removals(pending.unlinked);
        for slot in pending.reports {
            if failed.contains(&slot) {
                self.put_off_report(slot);
            } else {
                self.start_report(slot);
            }
        }
    }

    /// Syncs the journals; gives the entries for which that failed.
    fn sync_journals(&mut self, pending: &Pending) -> BTreeSet<u64> {
        let mut failed = BTreeSet::new();
        for slot in &pending.journals {
            let journal = self.entries.get(slot).and_then(|e| e.journal.as_ref());
            if let Some(Err(e)) = journal.map(std::fs::File::sync_data) {
                log::error("sync-failed", self.name_of(*slot).as_deref(), &[("what", &"journal"), ("error", &e)]);
                failed.insert(*slot);
            }
        }
        for journal in &pending.orphans {
            if let Err(e) = journal.sync_data() {
                log::error("sync-failed", None, &[("what", &"journal"), ("error", &e)]);
            }
        }
        if pending.log_dir
            && let Err(e) = self.queue.sync("log")
        {
            log::error("sync-failed", None, &[("what", &"log"), ("error", &e)]);
            failed.extend(&pending.journals);
        }
        failed
    }

    fn sync_removals(&mut self, unlinked: Vec<(Name, bool)>) {
        if unlinked.is_empty() {
            return;
        }
        if let Err(e) = self.queue.sync("cur") {
            // the journals stay: if an entry comes back after a power cut, its journal says it is done
            log::error("sync-failed", None, &[("what", &"cur"), ("error", &e)]);
            return;
        }
        for (name, _) in unlinked.iter().filter(|(_, journalled)| *journalled) {
            if let Err(e) = self.queue.unlink_journal(name) {
                log::warning("unlink-failed", Some(name.as_str()), &[("error", &e)]);
            }
        }
    }
}
