//! What outcomes do to an entry: journal, next try, reports, removal.
//!
//! Invariants  1. an outcome line is written (not synced) before anything follows from it, unless this very outcome
//!                settles the whole entry   2. an entry is unlinked only when settled and every report is committed

use crate::entry::{Entry, Job, Running, Wanted};
use crate::runner::{Runner, now};
use penny_base::log;
use penny_queue::active::deferral;
use penny_queue::journal::{Outcome, Target, Verdict};
use penny_queue::schedule::DestKey;
use penny_sys::random;
use std::io::Write;

/// Seconds until a journal that could not be written is tried again.
const WRITE_RETRY: u64 = 30;

impl Runner {
    /// A job ended: outcomes for its targets, and whether its destination could be reached.
    pub fn finish(&mut self, running: Running, outcomes: Vec<(Target, Outcome)>, reached: Option<bool>) {
        let slot = running.job.slot;
        let paused = self.plan.finished(&running.dest, reached, self.steady());
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.jobs = entry.jobs.saturating_sub(1);
            entry.tried = true;
        }
        for (target, outcome) in outcomes {
            self.record(slot, target, outcome);
        }
        self.job_over(slot);
        if paused {
            self.leave_alone(&running.dest);
        }
    }

    fn record(&mut self, slot: u64, target: Target, outcome: Outcome) {
        if let Some(entry) = self.entries.get_mut(&slot) {
            note(entry, target, outcome);
        }
    }

    /// The destination could not be reached by a whole round of tries: what waits for it is put off.
    fn leave_alone(&mut self, dest: &DestKey) {
        let Some(until) = self.paused(dest) else { return };
        let jobs = self.plan.drain(dest);
        log::info("left-alone", None, &[("dest", &dest.text()), ("until", &until), ("jobs", &jobs.len())]);
        for job in jobs {
            self.left_alone(&job, until);
            if let Some(entry) = self.entries.get_mut(&job.slot) {
                entry.jobs = entry.jobs.saturating_sub(1);
            }
            self.job_over(job.slot);
        }
    }

    /// A job that is not tried, for its destination is left alone. What the journal says of it stays, if anything.
    pub fn left_alone(&mut self, job: &Job, until: u64) {
        let Some(entry) = self.entries.get_mut(&job.slot) else { return };
        // spread, so that the destination does not get everything in the same second
        entry.not_before = entry.not_before.max(until + random::u64() % 30);
        for target in &job.targets {
            if !entry.active.state().outcomes.contains_key(target) {
                let text = "the destination did not answer others; it is left alone for a while";
                entry.active.record(*target, deferral(now(), "4.4.1", text));
            }
        }
    }

    /// After a job: the journal, and the end of the round if it was the last.
    fn job_over(&mut self, slot: u64) {
        let Some(entry) = self.entries.get(&slot) else { return };
        if entry.jobs > 0 || !self.may_vanish(slot) {
            self.write_journal(slot);
        }
        self.round_over(slot);
    }

    /// Settled by this, with no report owed and no journal yet: it needs none.
    fn may_vanish(&self, slot: u64) -> bool {
        let Some(entry) = self.entries.get(&slot) else { return true };
        entry.journal.is_none()
            && entry.active.state().good_len == 0
            && entry.active.settled()
            && entry.active.report_due(now(), self.times()).is_none()
    }

    /// Appends what is new to the journal. What could not be written stays and is written later.
    pub fn write_journal(&mut self, slot: u64) {
        if !self.entries.get(&slot).is_some_and(|e| e.active.has_lines()) {
            return;
        }
        let opened = self.open_journal(slot);
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        let lines = entry.active.take_lines();
        let written = opened.and_then(|()| match entry.journal.as_mut() {
            Some(journal) => journal.write_all(lines.as_bytes()),
            None => Err(std::io::ErrorKind::NotFound.into()),
        });
        if let Err(e) = written {
            log::error("journal-failed", Some(entry.active.name().as_str()), &[("error", &e)]);
            entry.active.put_back(lines);
            entry.journal = None; // a half-written line is cut off when it is opened again
            entry.not_before = entry.not_before.max(now() + WRITE_RETRY);
            return;
        }
        entry.active.wrote(lines.len());
        if entry.active.take_weighty() {
            self.pending.journals.insert(slot);
            self.pending.touch();
        }
    }

    /// Ends the round of an entry when nothing of it runs any more.
    pub fn round_over(&mut self, slot: u64) {
        let times = self.times();
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        if entry.jobs > 0 || entry.awaiting > 0 || entry.reporting {
            return;
        }
        match std::mem::replace(&mut entry.wanted, Wanted::Nothing) {
            Wanted::Remove => return self.remove_entry(slot),
            Wanted::Hold => return self.hold_entry(slot),
            Wanted::Requeue => {
                entry.active.requeue();
                self.write_journal(slot);
                return self.begin_round(slot);
            }
            Wanted::Bounce => entry.active.fail_all(now(), "returned by the administrator"),
            Wanted::Nothing if now() >= entry.active.expires(times) => entry.active.expire(now()),
            Wanted::Nothing if times.patient => {}
            Wanted::Nothing => {
                let lapsed = entry.lapsed(now());
                entry.active.expire_targets(&lapsed, now());
            }
        }
        if let Some((kind, targets)) = entry.active.report_due(now(), times) {
            return self.announce_report(slot, kind, targets);
        }
        if entry.active.settled() { self.remove_entry(slot) } else { self.defer_entry(slot) }
    }

    /// Q5, first half; the second half comes with the next sync.
    fn remove_entry(&mut self, slot: u64) {
        let Some(entry) = self.entries.get(&slot) else { return };
        let name = entry.active.name().clone();
        let journalled = entry.journal.is_some() || entry.active.state().good_len > 0;
        match self.queue.unlink(&name, false) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                // it stays, with a journal that says what is done
                log::error("unlink-failed", Some(name.as_str()), &[("error", &e)]);
                self.write_journal(slot);
                self.forget(slot);
                return self.put_off(name, now() + WRITE_RETRY);
            }
            _ => {}
        }
        log::info("removed", Some(name.as_str()), &[]);
        self.forget(slot);
        self.pending.unlinked.push((name, journalled));
        self.pending.touch();
    }

    fn hold_entry(&mut self, slot: u64) {
        self.write_journal(slot);
        let Some(entry) = self.forget(slot) else { return };
        let name = entry.active.name().clone();
        match self.queue.set_held(&name, true) {
            Ok(()) => log::info("held", Some(name.as_str()), &[("why", &"admin")]),
            Err(e) => log::error("hold-failed", Some(name.as_str()), &[("error", &e)]),
        }
    }

    /// Not settled: to be tried again.
    fn defer_entry(&mut self, slot: u64) {
        let (time, times) = (now(), self.times());
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        if entry.tried {
            entry.active.end_round(time);
        }
        let due = entry.next_try(self.backoff, times, time, random::u64());
        self.write_journal(slot);
        // the lines are in the kernel now, or lost if the disk is full: then what was done may be done again
        let unsynced = self.pending.journals.contains(&slot);
        let Some(entry) = self.forget(slot) else { return };
        if unsynced && let Some(journal) = entry.journal {
            self.pending.journals.remove(&slot);
            self.pending.orphans.push(journal);
        }
        self.put_off(entry.active.name().clone(), due);
    }
}

/// Logs what became of one recipient and keeps it.
pub fn note(entry: &mut Entry, target: Target, outcome: Outcome) {
    let event = match outcome.verdict {
        Verdict::Done => "delivered",
        Verdict::Later => "deferred",
        Verdict::Fail => "bounced",
    };
    let given = entry.active.recipient(target).map(|r| r.address.to_string()).unwrap_or_default();
    let resolved = entry.active.resolved(target).filter(|r| r.kind != penny_queue::journal::Kind::Error);
    let to = resolved.map_or(given, |r| r.value.as_str().to_owned());
    let age = now().saturating_sub(entry.active.envelope().arrival.0);
    log::info(
        event,
        Some(entry.active.name().as_str()),
        &[
            ("to", &format_args!("<{to}>")),
            ("status", &outcome.status),
            ("mta", &outcome.mta.as_ref().map_or("-", |m| m.as_str())),
            ("age", &age),
            ("text", &outcome.text),
        ],
    );
    entry.active.record(target, outcome);
}
