//! Which table speaks: the one named, the user's, or the site's.
//!
//! A user's table with too little in it stands back behind the site's. Trouble with a table is reported beside the verdict:
//! it never stops a message.

use crate::args::Options;
use penny_spam::engine::Engine;
use penny_spam::rules::{Context, file};
use penny_spam::store::{self, Mapped};
use penny_spam::table::Table;
use penny_spam::verdict::{Cuts, TRAINED_MIN};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The site's table when nothing else is said.
const SITE: &str = "/var/lib/pennypost/filter/spam/site";

/// Candidates, best first.
pub fn candidates(o: &Options) -> Vec<PathBuf> {
    if let Some(db) = &o.db {
        return vec![db.clone()];
    }
    if let Some(dir) = &o.tables {
        let user = recipient(o).map(|r| dir.join("users").join(r));
        return user.into_iter().chain([dir.join("site")]).collect();
    }
    home_table().into_iter().chain([PathBuf::from(SITE)]).collect()
}

fn home_table() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|h| !h.is_empty()).map(|h| Path::new(&h).join(".spamcheck").join("table"))
}

/// The one recipient, as a safe file name; several recipients share the site's table.
fn recipient(o: &Options) -> Option<OsString> {
    let environment = || std::env::var("RECIPIENTS").or_else(|_| std::env::var("RECIPIENT")).ok();
    let all = o.user.clone().or_else(environment)?;
    let mut lines = all.lines();
    let one = lines.next().filter(|_| lines.next().is_none())?.to_lowercase();
    let safe = one.chars().all(|c| c.is_ascii_alphanumeric() || "@._+=-".contains(c));
    (safe && !one.is_empty() && !one.starts_with('.') && one.len() < 200).then(|| one.into())
}

/// The table learning goes to: the first candidate.
pub fn to_learn(o: &Options) -> anyhow::Result<PathBuf> {
    candidates(o).into_iter().next().ok_or_else(|| anyhow::anyhow!("no table: give --db FILE or set HOME"))
}

/// The table that speaks, and what was wrong on the way.
pub fn open(o: &Options) -> (Option<Table<Mapped>>, Option<String>) {
    let (mut best, mut trouble) = (None::<Table<Mapped>>, None);
    if o.no_table {
        return (None, None);
    }
    for path in candidates(o) {
        match store::open(&path) {
            Ok(Some(table)) => {
                let ready = trained(&table) >= TRAINED_MIN;
                if best.as_ref().is_none_or(|b| trained(b) < trained(&table)) {
                    best = Some(table);
                }
                if ready {
                    break;
                }
            }
            Ok(None) => {}
            Err(e) => trouble = Some(e.to_string()),
        }
    }
    (best, trouble)
}

fn trained(table: &Table<Mapped>) -> u64 {
    table.trained().0.min(table.trained().1)
}

/// The engine as the options and the environment want it; a rules file with mistakes is left out and reported.
pub fn engine(o: &Options) -> (Engine, Option<String>) {
    let defaults = Cuts::default();
    let mut engine = Engine::default();
    (engine.no_rules, engine.no_table, engine.context) = (o.no_rules, o.no_table, context(o));
    engine.cuts = Cuts { spam: o.spam_cut.unwrap_or(defaults.spam), ham: o.ham_cut.unwrap_or(defaults.ham) };
    let Some(path) = &o.rules else {
        return (engine, None);
    };
    let parsed = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display())).and_then(|text| {
        file::parse(&text).map_err(|mistakes| {
            let lines = mistakes.iter().map(|m| format!("{}:{}: {}", path.display(), m.line, m.what));
            lines.collect::<Vec<_>>().join("; ")
        })
    });
    match parsed {
        Ok(rules) => {
            engine.site_rules = rules;
            (engine, None)
        }
        Err(text) => (engine, Some(text)),
    }
}

fn context(o: &Options) -> Context {
    let var = |name: &str| std::env::var(name).ok();
    if var("PENNYPOST_FILTER").as_deref() != Some("1") {
        return Context { authserv_ids: o.authserv_ids.clone(), ..Context::default() };
    }
    Context {
        authserv_ids: o.authserv_ids.clone(),
        sender: var("SENDER"),
        helo: var("HELO"),
        client_name: var("REMOTE_NAME"),
        block_lists: var("DNSBL").unwrap_or_default(),
        fields: var("FIELDS").unwrap_or_default(),
        login: var("AUTH_USER").is_some_and(|u| !u.is_empty()),
        known: false,
    }
}
