//! An entry being worked on: envelope and journal together, and what is left to do. Pure.
//!
//! Invariants  1. whatever changes here is also a journal line waiting in `lines`, in order
//!             2. a target is offered for delivery only while it has no final outcome
//!             3. the same resulting address is delivered to once, however many recipients led to it
//! Not here    files, processes, time (callers give it)

use crate::envelope::{Address, Envelope, Line, Param, Recipient};
use crate::journal::{self, Action, Kind, Outcome, Resolved, State, Target, Verdict};
use crate::name::{Name, Report};
use crate::report;
use penny_addr::{ByMode, xtext_encode};

/// Times that govern an entry.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Age at which it is given up.
    pub lifetime: u64,
    /// Age at which the sender is told of a delay; 0 is never.
    pub delay_warning: u64,
    /// Ages are not to be believed: nothing is given up or called late.
    pub patient: bool,
}

/// An entry being worked on.
#[derive(Debug)]
pub struct Active {
    name: Name,
    envelope: Envelope,
    state: State,
    lines: String,
    journalled: bool,
    weighty: bool,
}

impl Active {
    /// Puts an entry together from its envelope and journal (empty when there is none).
    pub fn new(name: Name, envelope: Envelope, journal: &[u8]) -> Result<Active, journal::JournalError> {
        let state = State::read(journal, &name, envelope.size, envelope.arrival)?;
        let journalled = state.good_len > 0;
        Ok(Active { name, envelope, state, lines: String::new(), journalled, weighty: false })
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its envelope.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// What its journal says, with what is not yet written.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Journal lines to write, the first line included when the journal is new.
    pub fn take_lines(&mut self) -> String {
        if self.lines.is_empty() {
            return String::new();
        }
        let lines = std::mem::take(&mut self.lines);
        if std::mem::replace(&mut self.journalled, true) {
            return lines;
        }
        journal::head(&self.name, self.envelope.size, self.envelope.arrival) + &lines
    }

    /// Whether lines written since the last call have to reach the disk: final outcomes (or they are repeated after a
    /// power cut) and reports. A deferral that is lost costs one try.
    pub fn take_weighty(&mut self) -> bool {
        std::mem::take(&mut self.weighty)
    }

    /// The journal holds `len` octets more: what opens it again must not cut them off.
    pub fn wrote(&mut self, len: usize) {
        self.state.good_len += len as u64;
    }

    /// Gives lines back that could not be written.
    pub fn put_back(&mut self, lines: String) {
        self.lines.insert_str(0, &lines);
    }

    /// Whether there are lines to write.
    pub fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Recipients not yet expanded.
    pub fn unresolved(&self) -> Vec<u32> {
        self.indexes().filter(|i| !self.state.expanded.contains_key(i)).collect()
    }

    fn indexes(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.envelope.recipients.len()).unwrap_or(u32::MAX)
    }

    /// The recipient a target stems from.
    pub fn recipient(&self, target: Target) -> Option<&Recipient> {
        self.envelope.recipients.get(usize::try_from(target.rcpt).ok()?)
    }

    /// What a target is.
    pub fn resolved(&self, target: Target) -> Option<&Resolved> {
        self.state.expanded.get(&target.rcpt)?.get(usize::try_from(target.result).ok()?)
    }

    /// Records what a recipient expanded to. Results that another recipient led to already are done with it.
    pub fn resolve(&mut self, rcpt: u32, results: Vec<Resolved>, now: u64) {
        if self.state.expanded.contains_key(&rcpt) {
            return;
        }
        let known = |r: &Resolved| self.state.expanded.values().flatten().any(|k| k == r);
        let repeated: Vec<usize> =
            results.iter().enumerate().filter(|(_, r)| r.kind != Kind::Error && known(r)).map(|(j, _)| j).collect();
        self.lines.push_str(&journal::expansion(rcpt, &results));
        self.state.expanded.insert(rcpt, results);
        for j in repeated {
            let target = Target { rcpt, result: u32::try_from(j).unwrap_or(u32::MAX) };
            self.record(target, success(now, Action::Passed, "the same mailbox as another recipient's"));
        }
    }

    /// Makes recipients be expanded again, as aliases have changed. A recipient of whose results one is final keeps
    /// them: the others would otherwise come back under other numbers.
    pub fn requeue(&mut self) {
        for rcpt in self.state.expanded.keys().copied().collect::<Vec<_>>() {
            if self.state.expand_again(rcpt) {
                self.lines.push_str(&journal::again(rcpt));
            }
        }
    }

    /// Targets to be tried.
    pub fn open_targets(&self) -> Vec<Target> {
        let targets = self.state.expanded.iter().flat_map(|(rcpt, results)| {
            (0..u32::try_from(results.len()).unwrap_or(u32::MAX)).map(|result| Target { rcpt: *rcpt, result })
        });
        targets.filter(|t| !self.state.is_final(*t)).collect()
    }

    /// Whether every recipient is expanded and every target final.
    pub fn settled(&self) -> bool {
        self.unresolved().is_empty() && self.open_targets().is_empty()
    }

    /// Records an outcome, unless the target has a final one.
    pub fn record(&mut self, target: Target, outcome: Outcome) {
        if self.state.is_final(target) {
            return;
        }
        let outcome = self.dutiful(target, outcome);
        self.weighty |= outcome.verdict != Verdict::Later;
        self.lines.push_str(&journal::outcome(target, &outcome));
        self.state.record(target, outcome);
    }

    /// RFC 3461 5.2.7.3: an alias of several addresses reports once that it was expanded, and its members do not
    /// report to the sender of the message.
    fn dutiful(&self, target: Target, mut outcome: Outcome) -> Outcome {
        let several = self.state.expanded.get(&target.rcpt).is_some_and(|r| r.len() > 1);
        if outcome.verdict == Verdict::Done && several {
            outcome.action = if target.result == 0 { Action::Expanded } else { Action::Passed };
        }
        outcome
    }

    /// A recipient that could not be expanded now: an outcome without a target of its own would be lost, so it is
    /// kept under result 0, which the later expansion takes over.
    pub fn unresolvable(&mut self, rcpt: u32, outcome: Outcome) {
        self.record(Target { rcpt, result: 0 }, outcome);
    }

    /// Ends a round of tries.
    pub fn end_round(&mut self, now: u64) {
        self.state.attempts = self.state.attempts.saturating_add(1);
        self.lines.push_str(&journal::attempt(now));
    }

    /// When the entry is given up: its lifetime, or sooner where the sender asked for it (RFC 2852 4.1.4).
    pub fn expires(&self, times: Times) -> u64 {
        if times.patient {
            return u64::MAX;
        }
        let by = self.envelope.sender.deliver_by().filter(|by| by.mode == ByMode::Return);
        let asked = by.and_then(|by| u64::try_from(by.seconds).ok()).unwrap_or(u64::MAX);
        self.envelope.arrival.0.saturating_add(times.lifetime.min(asked))
    }

    /// When the sender is told of a delay; `None` is never.
    fn warns(&self, times: Times) -> Option<u64> {
        if times.patient {
            return None;
        }
        let by = self.envelope.sender.deliver_by().filter(|by| by.mode == ByMode::Notify);
        let asked = by.map(|by| u64::try_from(by.seconds).unwrap_or(0));
        let age = asked.or((times.delay_warning > 0).then_some(times.delay_warning))?;
        Some(self.envelope.arrival.0.saturating_add(age))
    }

    /// Makes every open target fail because the time is up. The last reason is kept in the text.
    pub fn expire(&mut self, now: u64) {
        let unresolved = self.unresolved().into_iter().map(|rcpt| Target { rcpt, result: 0 });
        let targets: Vec<Target> = unresolved.chain(self.open_targets()).collect();
        self.expire_targets(&targets, now);
    }

    /// The same for some targets: a route may give its domain less time than the rest.
    pub fn expire_targets(&mut self, targets: &[Target], now: u64) {
        for target in targets.iter().copied() {
            let last = self.state.outcomes.get(&target);
            let why = last.map_or("never tried", |o| o.text.as_str());
            let text = format!("delivery time expired; last: {why}");
            let mta = last.and_then(|o| o.mta.clone());
            self.fail_unresolved(target.rcpt);
            // RFC 3463 3.5: X.4.7 delivery time expired
            self.record(target, Outcome { mta, ..failure(now, "5.4.7", &text) });
        }
    }

    /// Makes every open target fail at the admin's wish.
    pub fn fail_all(&mut self, now: u64, text: &str) {
        for rcpt in self.unresolved() {
            self.fail_unresolved(rcpt);
        }
        for target in self.open_targets() {
            self.record(target, failure(now, "5.7.0", text));
        }
    }

    /// A recipient that never could be expanded gets one target, so that its failure has a place.
    fn fail_unresolved(&mut self, rcpt: u32) {
        if self.state.expanded.contains_key(&rcpt) {
            return;
        }
        let index = usize::try_from(rcpt).unwrap_or(usize::MAX);
        let Some(recipient) = self.envelope.recipients.get(index) else { return };
        let value = Line::clean(recipient.address.as_str().as_bytes());
        let results = vec![Resolved { kind: Kind::Error, value }];
        self.lines.push_str(&journal::expansion(rcpt, &results));
        self.state.expanded.insert(rcpt, results);
    }

    /// The report to make next, if one is owed. A report announced earlier and not known to be committed comes first.
    pub fn report_due(&self, now: u64, times: Times) -> Option<(Report, Vec<Target>)> {
        [Report::Bounce, Report::Success, Report::Delay].into_iter().find_map(|kind| {
            if kind == Report::Delay && self.warns(times).is_none_or(|at| now < at) {
                return None;
            }
            let targets = report::due(kind, &self.envelope, &self.state);
            (!targets.is_empty()).then_some((kind, targets))
        })
    }

    /// A report announced but not known to be committed.
    pub fn report_open(&self) -> Option<&journal::Report> {
        self.state.reports.iter().find(|r| !r.committed)
    }

    /// Announces a report; the line must be synced before it is committed. `None` when reports nest too deep.
    pub fn begin_report(&mut self, kind: Report, targets: Vec<Target>, now: u64) -> Option<Name> {
        let same = |r: &&journal::Report| r.name.reports_on().is_some_and(|(_, k, _)| k == kind);
        let number = u32::try_from(self.state.reports.iter().filter(same).count()).ok()?.checked_add(1)?;
        let name = self.name.report(kind, number).ok()?;
        self.lines.push_str(&journal::report(now, &name, &targets));
        self.weighty = true;
        self.state.reports.push(journal::Report { name: name.clone(), targets, committed: false });
        Some(name)
    }

    /// A report is committed.
    pub fn end_report(&mut self, name: &Name, now: u64) {
        if let Some(r) = self.state.reports.iter_mut().find(|r| r.name == *name && !r.committed) {
            r.committed = true;
            self.weighty = true;
            self.lines.push_str(&journal::reported(now, name));
        }
    }

    /// The envelope of a job: the targets as recipients, with the parameters they inherit.
    pub fn job_envelope(&self, targets: &[Target]) -> Envelope {
        let recipients = targets.iter().filter_map(|t| self.job_recipient(*t)).collect();
        Envelope { recipients, id: Line::new(self.name.as_str()), ..self.envelope.clone() }
    }

    fn job_recipient(&self, target: Target) -> Option<Recipient> {
        let (original, resolved) = (self.recipient(target)?, self.resolved(target)?);
        let several = self.state.expanded.get(&target.rcpt).is_some_and(|r| r.len() > 1);
        let address = match resolved.kind {
            Kind::Local | Kind::Remote => Address::new(resolved.value.as_str())?,
            _ => original.address.clone(),
        };
        let mut params = original.params.clone();
        // RFC 3461 5.2.7.1: what was forwarded still says whom the sender meant
        if address != original.address && original.original().is_none() {
            params.retain(|p| !p.is("ORCPT"));
            let kind = if original.address.needs_utf8() { "utf-8" } else { "rfc822" };
            let value = format!("{kind};{}", xtext_encode(original.address.as_str()));
            params.extend(Param::new("ORCPT", Some(&value)).filter(|_| value.len() <= ORCPT_MAX));
        }
        if several {
            strip_success(&mut params);
        }
        Some(Recipient { address, params })
    }
}

/// Longest ORCPT value, RFC 3461 4.2.
const ORCPT_MAX: usize = 500;

/// RFC 3461 5.2.7.3: members of a list do not inherit NOTIFY=SUCCESS.
fn strip_success(params: &mut [Param]) {
    for p in params.iter_mut().filter(|p| p.is("NOTIFY")) {
        let kept: Vec<&str> =
            p.value().unwrap_or_default().split(',').filter(|w| !w.eq_ignore_ascii_case("SUCCESS")).collect();
        let value = if kept.is_empty() { "NEVER".to_owned() } else { kept.join(",") };
        if let Some(new) = Param::new("NOTIFY", Some(&value)) {
            *p = new;
        }
    }
}

fn make(time: u64, verdict: Verdict, action: Action, status: &str, text: &str) -> Outcome {
    Outcome {
        time,
        verdict,
        status: Line::clean(status.as_bytes()),
        action,
        mta: None,
        text: Line::clean(text.as_bytes()),
    }
}

/// A success of ours.
pub fn success(time: u64, action: Action, text: &str) -> Outcome {
    make(time, Verdict::Done, action, "2.0.0", text)
}

/// A temporary failure of ours.
pub fn deferral(time: u64, status: &str, text: &str) -> Outcome {
    make(time, Verdict::Later, Action::None, status, text)
}

/// A permanent failure of ours.
pub fn failure(time: u64, status: &str, text: &str) -> Outcome {
    make(time, Verdict::Fail, Action::None, status, text)
}

#[cfg(test)]
mod tests;
