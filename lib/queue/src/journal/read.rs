//! Reading a journal back into the state of an entry.

use super::{Action, Kind, Outcome, Resolved, Target, Verdict};
use crate::envelope::Line;
use crate::name::Name;
use std::collections::BTreeMap;
use std::fmt;

/// The journal cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalError {
    /// Line number from 1.
    pub line: usize,
    /// One phrase.
    pub what: &'static str,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for JournalError {}

/// A report announced in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The name it is committed under.
    pub name: Name,
    /// What it is about.
    pub targets: Vec<Target>,
    /// It is known to be committed.
    pub committed: bool,
}

/// Everything a journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Complete expansions by recipient index.
    pub expanded: BTreeMap<u32, Vec<Resolved>>,
    /// Latest outcome of each target.
    pub outcomes: BTreeMap<Target, Outcome>,
    /// Reports in order.
    pub reports: Vec<Report>,
    /// Rounds of tries so far.
    pub attempts: u32,
    /// Bytes of the journal that count; a writer truncates to this before it appends.
    pub good_len: u64,
}

impl State {
    /// Reads a journal of the entry `name` with `size` and `arrival`; an empty file is an empty state.
    pub fn read(bytes: &[u8], name: &Name, size: u64, arrival: (u64, u32)) -> Result<State, JournalError> {
        let mut state = State::default();
        let mut open = BTreeMap::new();
        let mut bad: Option<JournalError> = None;
        let head = super::head(name, size, arrival);
        for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let text = std::str::from_utf8(line).ok().and_then(|l| l.strip_suffix('\n'));
            let taken = match text {
                Some(text) if index == 0 => (text == head.trim_end()).then_some(()),
                Some(text) => state.line(text, &mut open),
                None => None,
            };
            match (taken, &bad) {
                (Some(()), None) => state.good_len += line.len() as u64,
                // a good line after a bad one: not a torn write but damage
                (Some(()), Some(error)) => return Err(error.clone()),
                (None, None) if index == 0 && text.is_some() => {
                    return Err(JournalError { line: 1, what: "belongs to another entry" });
                }
                (None, None) => bad = Some(JournalError { line: index + 1, what: "not understood" }),
                (None, Some(_)) => {}
            }
        }
        Ok(state)
    }

    fn line(&mut self, text: &str, open: &mut BTreeMap<u32, Vec<Resolved>>) -> Option<()> {
        let (verb, rest) = text.split_once(' ')?;
        match verb {
            "to" => {
                let (target, rest) = word(rest)?;
                let (kind, value) = rest.split_once(' ')?;
                let target = target.parse::<Target>().ok()?;
                let list = open.entry(target.rcpt).or_default();
                if target.result == 0 {
                    list.clear(); // an earlier, unfinished expansion of the same recipient
                }
                (list.len() == usize::try_from(target.result).ok()?).then_some(())?;
                list.push(Resolved { kind: Kind::from_word(kind)?, value: Line::new(value)? });
                Some(())
            }
            "expanded" => {
                let (index, count) = rest.split_once(' ')?;
                let index = index.parse().ok()?;
                let list = open.remove(&index).unwrap_or_default();
                (list.len() == count.parse::<usize>().ok()?).then_some(())?;
                self.expanded.entry(index).or_insert(list);
                Some(())
            }
            "again" => {
                self.expand_again(rest.parse().ok()?);
                Some(())
            }
            "report" => self.report(rest),
            "reported" => {
                let (_, name) = timed(rest)?;
                let report = self.reports.iter_mut().find(|r| r.name.as_str() == name)?;
                report.committed = true;
                Some(())
            }
            "attempt" => {
                rest.parse::<u64>().ok()?;
                self.attempts = self.attempts.saturating_add(1);
                Some(())
            }
            _ => self.outcome(Verdict::from_word(verb)?, rest),
        }
    }

    fn report(&mut self, rest: &str) -> Option<()> {
        let (_, rest) = timed(rest)?;
        let mut words = rest.split(' ');
        let name = words.next()?.parse().ok()?;
        let targets = words.map(|w| w.parse().ok()).collect::<Option<Vec<_>>>()?;
        self.reports.push(Report { name, targets, committed: false });
        Some(())
    }

    fn outcome(&mut self, verdict: Verdict, rest: &str) -> Option<()> {
        let (time, rest) = timed(rest)?;
        let (target, rest) = word(rest)?;
        let (status, rest) = word(rest)?;
        let (action, rest) = word(rest)?;
        let (mta, text) = word(rest)?;
        let outcome = Outcome {
            time,
            verdict,
            status: Line::new(status)?,
            action: Action::from_word(action)?,
            mta: if mta == "-" { None } else { Some(Line::new(mta)?) },
            text: Line::new(text)?,
        };
        let target = target.parse::<Target>().ok()?;
        self.record(target, outcome);
        Some(())
    }

    /// Takes an outcome; what is final stays (invariant 3).
    pub fn record(&mut self, target: Target, outcome: Outcome) {
        if !self.is_final(target) {
            self.outcomes.insert(target, outcome);
        }
    }

    /// Forgets the expansion of a recipient none of whose results is final.
    pub fn expand_again(&mut self, rcpt: u32) -> bool {
        let free = !self.outcomes.keys().any(|t| t.rcpt == rcpt && self.is_final(*t));
        if free {
            self.expanded.remove(&rcpt);
            self.outcomes.retain(|t, _| t.rcpt != rcpt);
        }
        free
    }

    /// Whether nothing more will be tried for the target.
    pub fn is_final(&self, target: Target) -> bool {
        self.outcomes.get(&target).is_some_and(|o| o.verdict != Verdict::Later)
    }

    /// Targets with a final outcome of this verdict that no report of this kind covers yet.
    pub fn unreported(&self, verdict: Verdict, kind: crate::name::Report) -> Vec<Target> {
        let covered = |t: &Target| {
            let of_kind = |r: &&Report| r.name.reports_on().is_some_and(|(_, k, _)| k == kind);
            self.reports.iter().filter(of_kind).any(|r| r.targets.contains(t))
        };
        self.outcomes.iter().filter(|(t, o)| o.verdict == verdict && !covered(t)).map(|(t, _)| *t).collect()
    }
}

fn word(text: &str) -> Option<(&str, &str)> {
    text.split_once(' ').filter(|(word, _)| !word.is_empty())
}

fn timed(text: &str) -> Option<(u64, &str)> {
    let (time, rest) = word(text)?;
    Some((time.parse().ok()?, rest))
}
