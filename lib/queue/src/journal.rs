//! The outcome journal of an entry: what became of each resulting recipient so far.
//!
//! Format      text lines ended by LF, fields separated by one space; specified in pennypost-queue(5):
//!             `pennypost-journal: 1 <name> <size> <secs.usec>` first, then
//!             `to <i>.<j> <kind> <value>`, `expanded <i> <n>`,
//!             `done|later|fail <secs> <i>.<j> <x.y.z> <action> <mta or -> <text>`,
//!             `report <secs> <name> <i>.<j>...`, `reported <secs> <name>`, `attempt <secs>`, `again <i>`
//! Invariants  1. append-only; a line counts when its LF is there
//!             2. an expansion counts when its `expanded` line is there, outcomes come after it
//!             3. `done` and `fail` are final: later lines for the same target are ignored
//!             4. a `report` line is synced before the report is committed under that name, so
//!                recovery commits it again and finds it there
//! Failures    a torn tail is cut off; damage before good lines is [`JournalError`]: set aside
//! Trust       written by qrun only; texts inside come from peers and are one escaped line
//! Not here    writing and syncing (bin/qrun), file names (`entry`)

mod line;
mod read;
#[cfg(test)]
mod tests;

pub use line::{Action, Kind, Outcome, Target, Verdict};
pub use read::{JournalError, Report, State};

use crate::envelope::{Address, Line};
use crate::name::Name;

/// What an address turned into, as `lookup` answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// How to deliver.
    pub kind: Kind,
    /// Canonical address, foreign address, command, path or text of the error.
    pub value: Line,
}

/// The first line of a journal: ties it to its entry.
pub fn head(name: &Name, size: u64, arrival: (u64, u32)) -> String {
    format!("pennypost-journal: 1 {name} {size} {}.{:06}\n", arrival.0, arrival.1)
}

/// The lines that record an expansion of recipient `index` of the envelope.
pub fn expansion(index: u32, results: &[Resolved]) -> String {
    let mut out = String::new();
    for (j, r) in results.iter().enumerate() {
        out.push_str(&format!("to {index}.{j} {} {}\n", r.kind.word(), r.value));
    }
    out.push_str(&format!("expanded {index} {}\n", results.len()));
    out
}

/// The line that records an outcome.
pub fn outcome(target: Target, o: &Outcome) -> String {
    let mta = o.mta.as_ref().map_or("-", Line::as_str);
    format!("{} {} {target} {} {} {mta} {}\n", o.verdict.word(), o.time, o.status, o.action.word(), o.text)
}

/// The line that announces a report; to be synced before the report is committed.
pub fn report(time: u64, name: &Name, targets: &[Target]) -> String {
    let list = targets.iter().map(|t| format!(" {t}")).collect::<String>();
    format!("report {time} {name}{list}\n")
}

/// The line that says a report is committed.
pub fn reported(time: u64, name: &Name) -> String {
    format!("reported {time} {name}\n")
}

/// Recipient `index` is to be expanded again; what is final of it stays.
pub fn again(index: u32) -> String {
    format!("again {index}\n")
}

/// A round of tries ended without settling the entry.
pub fn attempt(time: u64) -> String {
    format!("attempt {time}\n")
}

/// A foreign or local address as a resolved recipient; `None` when it cannot stand in a journal.
pub fn resolved_address(kind: Kind, address: &Address) -> Option<Resolved> {
    Some(Resolved { kind, value: Line::new(address.as_str())? })
}
