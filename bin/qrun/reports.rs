//! Reports: announced in the journal, synced, then made by a `bounce` process and committed under a fixed name.

use crate::entry::Wanted;
use crate::runner::{Runner, now};
use penny_base::log;
use penny_queue::Name;
use penny_queue::journal::Target;
use penny_queue::name::Report;
use penny_sys::process::{Ended, Program, wait};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Reports made at a time.
const AT_ONCE: usize = 8;
/// Seconds until a report that could not be made is tried again.
const RETRY: u64 = 60;

/// One `bounce` process.
#[derive(Debug)]
struct Child {
    pid: i32,
    said: OwnedFd,
    slot: u64,
    report: Name,
}

/// The `bounce` processes, and the entries waiting for one.
#[derive(Debug, Default)]
pub struct Children {
    list: Vec<Child>,
    waiting: Vec<u64>,
}

impl Children {
    /// Pipes to wait on.
    pub fn fds(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        self.list.iter().enumerate().map(|(n, c)| (n, c.said.as_fd()))
    }

    /// How many run or wait.
    pub fn count(&self) -> usize {
        self.list.len() + self.waiting.len()
    }
}

impl Runner {
    /// Writes the line that announces a report; it starts after the next sync.
    pub fn announce_report(&mut self, slot: u64, kind: Report, targets: Vec<Target>) {
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        match entry.active.begin_report(kind, targets, now()) {
            Some(report) => {
                log::info("report", Some(entry.active.name().as_str()), &[("as", &report)]);
                entry.reporting = true;
                self.write_journal(slot);
                if self.entries.get(&slot).is_some_and(|e| e.active.has_lines()) {
                    // not announced on disk: it may not start
                    return self.put_off_report(slot);
                }
                self.pending.reports.push(slot);
                self.pending.touch();
            }
            // a report about a report about a report: nobody is left to tell, and the admin decides
            None => self.hold_undeliverable(slot),
        }
    }

    fn hold_undeliverable(&mut self, slot: u64) {
        let Some(entry) = self.forget(slot) else { return };
        let name = entry.active.name().clone();
        log::error("undeliverable-report", Some(name.as_str()), &[("now", &"held")]);
        if let Err(e) = self.queue.set_held(&name, true) {
            log::error("hold-failed", Some(name.as_str()), &[("error", &e)]);
        }
    }

    /// A report announced by an earlier qrun, or one that failed: it is announced already, and synced when the
    /// journal was read from disk after a power cut or is still in the kernel's memory after a crash. Synced again.
    pub fn resume_report(&mut self, slot: u64) {
        if let Some(report) = self.report_in_queue(slot) {
            return self.report_done(slot, &report);
        }
        if let Err(e) = self.open_journal(slot) {
            log::error("journal-failed", self.name_of(slot).as_deref(), &[("error", &e)]);
            return self.put_off_report(slot);
        }
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        entry.reporting = true;
        self.pending.journals.insert(slot);
        self.pending.reports.push(slot);
        self.pending.touch();
    }

    /// The report of an entry that lies in the queue already.
    fn report_in_queue(&self, slot: u64) -> Option<Name> {
        let report = &self.entries.get(&slot)?.active.report_open()?.name;
        let q = &self.queue;
        let places = [q.new_path(report), q.cur_path(report, false), q.cur_path(report, true)];
        places.iter().any(|p| p.exists()).then(|| report.clone())
    }

    /// A report was taken from new/: its entry's journal says so before the report can be delivered and vanish, or a
    /// crash in between would make it a second time.
    pub fn report_taken(&mut self, report: &Name) {
        let Some((about, _, _)) = report.reports_on() else { return };
        if let Some(slot) = self.slots.get(&about).copied() {
            if let Some(entry) = self.entries.get_mut(&slot) {
                entry.active.end_report(report, now());
            }
            return self.write_journal(slot);
        }
        let line = penny_queue::journal::reported(now(), report);
        let journal = std::fs::OpenOptions::new().append(true).open(self.queue.log_path(&about));
        match journal.and_then(|mut j| std::io::Write::write_all(&mut j, line.as_bytes())) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                log::warning("journal-failed", Some(about.as_str()), &[("error", &e)]);
            }
            _ => {}
        }
    }

    /// Starts the `bounce` process of an entry, or lets it wait for its turn.
    pub fn start_report(&mut self, slot: u64) {
        if self.children.list.len() >= AT_ONCE {
            return self.children.waiting.push(slot);
        }
        match self.try_report(slot) {
            Ok(child) => self.children.list.push(child),
            Err(e) => {
                log::error("start-failed", self.name_of(slot).as_deref(), &[("program", &"bounce"), ("error", &e)]);
                self.put_off_report(slot);
            }
        }
    }

    fn try_report(&mut self, slot: u64) -> io::Result<Child> {
        let entry = self.entries.get(&slot).ok_or(io::ErrorKind::NotFound)?;
        let name = entry.active.name();
        let report = entry.active.report_open().ok_or(io::ErrorKind::NotFound)?.name.clone();
        let file = penny_sys::files::open_regular(&self.queue.cur_path(name, false))?;
        let journal = penny_sys::files::open_regular(&self.queue.log_path(name))?;
        let (said, told) = penny_sys::net::pipe()?;
        let stderr = io::stderr();
        let mut program = Program::new(self.config.program("bounce"))
            .arg("-c")
            .arg(&self.config.file)
            .arg("--job")
            .arg(report.as_str())
            .env("PATH", "/usr/bin:/bin");
        program.descriptors = vec![file.as_fd(), told.as_fd(), stderr.as_fd(), journal.as_fd()];
        program.die_with_parent = true;
        let pid = program.start()?;
        Ok(Child { pid, said, slot, report })
    }

    /// A `bounce` process said something or ended.
    pub fn child_said(&mut self, n: usize) {
        if n >= self.children.list.len() {
            return;
        }
        let child = self.children.list.remove(n);
        let mut text = String::new();
        // it writes one short line and ends, so neither of these waits
        let _ = File::from(child.said).take(2048).read_to_string(&mut text);
        let committed = matches!(wait(child.pid), Ok(Ended::Code(0)));
        if committed {
            self.report_done(child.slot, &child.report);
        } else {
            let why = text.lines().next().unwrap_or_default().to_owned();
            log::error("report-failed", self.name_of(child.slot).as_deref(), &[("as", &child.report), ("why", &why)]);
            self.put_off_report(child.slot);
        }
        if let Some(slot) = self.children.waiting.pop() {
            self.start_report(slot);
        }
    }

    fn report_done(&mut self, slot: u64, report: &Name) {
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        entry.reporting = false;
        entry.active.end_report(report, now());
        self.write_journal(slot);
        let Some(entry) = self.entries.get(&slot) else { return };
        if entry.active.report_open().is_some() {
            return self.resume_report(slot);
        }
        // loaded for the report only (after a restart): what else is left has not been looked at in this round
        if entry.tried || entry.active.settled() || entry.wanted != Wanted::Nothing {
            self.round_over(slot)
        } else {
            self.begin_round(slot)
        }
    }

    /// The report is owed still; the entry stays until it is made.
    pub fn put_off_report(&mut self, slot: u64) {
        self.write_journal(slot);
        if let Some(entry) = self.forget(slot) {
            self.put_off(entry.active.name().clone(), now() + RETRY);
        }
    }
}
