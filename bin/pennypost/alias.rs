//! `pennypost alias`: names in the tables aliases (local names) and virtual (whole addresses).

use crate::table::{self, say};
use clap::Subcommand;
use penny_base::{Config, Failure, Kind, Outcome};
use std::path::Path;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Let a name or address (or @DOMAIN, the catch-all) stand for others; adds to what is there.
    Add {
        /// Name, address or @DOMAIN.
        name: String,
        /// Addresses, |programs, files, :include: lists.
        #[arg(required = true)]
        target: Vec<String>,
        /// Instead of what is there.
        #[arg(long)]
        replace: bool,
    },
    /// Remove a name, or some of its targets.
    Del {
        /// Name, address or @DOMAIN.
        name: String,
        /// Only these targets.
        target: Vec<String>,
    },
    /// Show all.
    List,
}

/// Runs it.
pub fn run(file: &Path, action: &Action) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    match action {
        Action::Add { name, target, replace } => {
            check(name, target)?;
            change(&config, name, |old| {
                let mut all = if *replace { Vec::new() } else { old };
                let new = target.iter().map(|t| quoted(t)).filter(|t| !all.contains(t)).collect::<Vec<_>>();
                all.extend(new);
                Ok(all)
            })
        }
        Action::Del { name, target } => change(&config, name, |old| {
            let gone: Vec<String> = target.iter().map(|t| quoted(t)).collect();
            let missing = gone.iter().find(|t| !old.contains(t));
            if old.is_empty() || missing.is_some() {
                let what = missing.map_or_else(String::new, |m| format!(" -> {m}"));
                return Err(Failure::permanent(Kind::NoUser, "5.1.1", format!("no alias {name}{what}")));
            }
            Ok(if gone.is_empty() { Vec::new() } else { old.into_iter().filter(|t| !gone.contains(t)).collect() })
        }),
        Action::List => list(&config),
    }
}

fn place(name: &str) -> &'static str {
    if name.contains('@') { "virtual" } else { "aliases" }
}

fn check(name: &str, target: &[String]) -> Result<(), Failure> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ':' | '"' | ',' | '#');
    if name.is_empty() || name.contains(odd) {
        return Err(Failure::usage(format!("{name:?} is no name of an alias")));
    }
    match target.iter().find(|t| t.trim().is_empty() || t.contains(char::is_control)) {
        Some(bad) => Err(Failure::usage(format!("{bad:?} is no target"))),
        None => Ok(()),
    }
}

/// A target as the table needs it.
fn quoted(target: &str) -> String {
    let target = target.trim();
    // `:include:` and `:fail:` take the rest of the item as it is
    if target.starts_with('"') || target.starts_with(':') || !target.contains([' ', ',', '"']) {
        return target.to_string();
    }
    format!("\"{}\"", target.replace('\\', "\\\\").replace('"', "\\\""))
}

fn change(
    config: &Config,
    name: &str,
    with: impl FnOnce(Vec<String>) -> Result<Vec<String>, Failure>,
) -> Result<Outcome, Failure> {
    let table = place(name);
    let mut edit = table::open(config, table)?;
    let old = edit.find(name).map(|e| halves(table, &e.text).1).unwrap_or_default();
    let new = with(old)?;
    if new.is_empty() {
        edit.remove(name);
    } else {
        let colon = if table == "aliases" { ":" } else { "" };
        edit.put(name, &format!("{name}{colon} {}", new.join(", ")));
    }
    table::save(config, edit, table)?;
    say(&if new.is_empty() { format!("{name}: removed") } else { format!("{name} -> {}", new.join(", ")) })
}

/// The name of an entry, and its targets.
fn halves<'a>(table: &str, text: &'a str) -> (&'a str, Vec<String>) {
    let found = match table {
        "aliases" => text.strip_prefix('"').and_then(|t| t.split_once("\":")).or_else(|| text.split_once(':')),
        _ => text.split_once(char::is_whitespace),
    };
    let (name, right) = found.unwrap_or((text, ""));
    (name.trim(), penny_tables::lines::items(right))
}

fn list(config: &Config) -> Result<Outcome, Failure> {
    for table in ["aliases", "virtual"] {
        for entry in table::entries(config, table)? {
            let (name, targets) = halves(table, &entry.text);
            say(&format!("{name} -> {}", targets.join(", ")))?;
        }
    }
    Ok(Outcome::Done)
}
