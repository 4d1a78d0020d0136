//! `pennypost trace`: the whole way of a message, from the log.
//!
//! Input       a queue id (or its beginning), an address, or a Message-ID; several may be given
//! How         lines of an entry have its id; the lines of its transaction (filters) the id that `accepted` names; what came
//!             out of it (reports, forwarded copies) is named by `as=`. Passes over the log go on until nothing new comes.

mod show;

use crate::logs::{Line, Source};
use clap::Args;
use penny_base::{Config, Failure, Kind, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What to look for.
#[derive(Debug, Args)]
pub struct Options {
    /// Queue ids, addresses, Message-IDs.
    #[arg(required = true)]
    what: Vec<String>,
    #[command(flatten)]
    source: Source,
    /// One JSON object a message.
    #[arg(long)]
    json: bool,
    /// Show at most this many messages, the newest.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// One message with its lines.
#[derive(Debug, Default)]
pub struct Message {
    /// Its lines in order.
    pub lines: Vec<Line>,
    /// Entries that came out of it.
    pub children: BTreeSet<String>,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Found {
    /// By queue id.
    pub messages: BTreeMap<String, Message>,
    /// Refusals that name what was asked for.
    pub refused: Vec<Line>,
}

/// Runs it; exit 67 when nothing was found.
pub fn run(file: &Path, options: &Options) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let lines = options.source.clone().or_beside(&config).all()?;
    let found = search(&lines, &options.what);
    if found.messages.is_empty() && found.refused.is_empty() {
        let text = format!("the log tells nothing of {}", options.what.join(", "));
        return Err(Failure::permanent(Kind::NoUser, "5.1.0", text));
    }
    if options.json {
        show::json(&found, options.limit)?
    } else {
        show::text(&found, options.limit)?
    }
    Ok(Outcome::Done)
}

/// Finds the messages and all that belongs to them.
pub fn search(lines: &[Line], what: &[String]) -> Found {
    let wanted: Vec<String> = what.iter().map(|w| bare(w).to_lowercase()).collect();
    let mut ids: BTreeSet<String> = lines.iter().filter(|l| fits(l, &wanted)).filter_map(|l| l.id.clone()).collect();
    let mut by_transaction: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let before = ids.len() + by_transaction.len();
        let mut more = Vec::new();
        for line in lines {
            let Some(id) = line.id.as_ref() else { continue };
            if !ids.contains(id) {
                continue;
            }
            if let (true, Some(transaction)) = (line.event == "accepted", line.get("id")) {
                by_transaction.insert(transaction.into(), id.clone());
            }
            more.extend(ids_of(line));
        }
        ids.extend(more);
        // a report is named after what it is about
        let about: Vec<String> = ids.iter().filter_map(|id| report_about(id)).collect();
        ids.extend(about);
        if ids.len() + by_transaction.len() == before {
            break;
        }
    }
    collect(lines, &ids, &by_transaction, &wanted)
}

fn collect(
    lines: &[Line],
    ids: &BTreeSet<String>,
    by_transaction: &BTreeMap<String, String>,
    wanted: &[String],
) -> Found {
    let mut found = Found::default();
    for line in lines {
        let of_transaction = || by_transaction.get(line.get("id")?).cloned();
        match line.id.clone().filter(|id| ids.contains(id)).or_else(of_transaction) {
            Some(id) => {
                let message = found.messages.entry(id).or_default();
                message.children.extend(ids_of(line));
                message.lines.push(line.clone());
            }
            None if fits(line, wanted) => found.refused.push(line.clone()),
            None => {}
        }
    }
    for message in found.messages.values_mut() {
        message.lines.sort_by(|a, b| order(a).total_cmp(&order(b)));
    }
    found
}

/// Time, and where that is not told or the same, the way of a message.
fn order(line: &Line) -> f64 {
    let rank = match line.event.as_str() {
        "filter" => 1,
        "queued" => 2,
        "accepted" => 3,
        "taken" => 4,
        "removed" => 9,
        _ => {
            if line.program == "qrun" {
                7
            } else {
                5
            }
        }
    };
    let last = if rank == 9 && line.time.is_none() { f64::MAX / 2.0 } else { 0.0 };
    let first = if rank == 1 && line.time.is_none() { -1.0 } else { 1.0 };
    first * (line.when().unwrap_or(0.0).floor() + last) + f64::from(rank) / 100.0
}

/// `<a@b>` and `a@b` are the same question.
fn bare(text: &str) -> &str {
    text.trim().trim_start_matches('<').trim_end_matches('>')
}

fn ids_of(line: &Line) -> impl Iterator<Item = String> + '_ {
    line.get("as").into_iter().filter(|v| v.contains('.') && !v.contains('@')).map(str::to_string)
}

/// `ID.b1` is about `ID`.
fn report_about(id: &str) -> Option<String> {
    let (about, last) = id.rsplit_once('.')?;
    let mut letters = last.chars();
    let report = letters.next()?.is_ascii_lowercase() && letters.all(|c| c.is_ascii_digit()) && last.len() > 1;
    (report && about.split('.').count() >= 5).then(|| about.to_string())
}

fn fits(line: &Line, wanted: &[String]) -> bool {
    wanted.iter().any(|w| {
        let named = |id: &str| id.eq_ignore_ascii_case(w) || prefix(id, w);
        line.id.as_deref().is_some_and(named)
            || line.get("id").is_some_and(named)
            || line.fields.iter().any(|(key, value)| match key.as_str() {
                "from" | "to" | "user" | "login" | "msgid" | "sender" => {
                    value.split(',').any(|v| bare(v).eq_ignore_ascii_case(w))
                }
                "reply" | "text" => {
                    line.event == "reject" && value.to_lowercase().split([' ', '<', '>', ':']).any(|v| v == w)
                }
                _ => false,
            })
    })
}

/// The beginning of an id, long enough to mean one.
fn prefix(id: &str, wanted: &str) -> bool {
    wanted.len() >= 12 && !wanted.contains('@') && id.to_ascii_lowercase().starts_with(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_what() {
        assert_eq!(report_about("1.2.3.0.ab.b1").as_deref(), Some("1.2.3.0.ab"));
        assert_eq!(report_about("1.2.3.0.ab"), None);
        assert_eq!(report_about("1795520726.157051.28621.1.897f56dc83220bdb"), None);
        assert!(prefix("1795520726.157051.28621", "1795520726.157") && !prefix("1795520726.1", "1795"));
        assert_eq!(bare(" <a@b> "), "a@b");
    }
}
