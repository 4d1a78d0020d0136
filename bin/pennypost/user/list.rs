//! `pennypost user list`: who there is, with quota and use.

use super::entry::Entry;
use crate::table::{self, say};
use penny_base::services::lookup::User;
use penny_base::{Config, Failure, Outcome};
use penny_queue::json::Object;

struct Row {
    entry: Entry,
    user: Option<User>,
    used: Option<u64>,
    apps: usize,
}

/// Shows users; exit 67 when one that was named is not there.
pub fn run(config: &Config, which: &[String], json: bool) -> Result<Outcome, Failure> {
    let entries: Vec<Entry> = table::entries(config, "users")?.iter().map(|e| Entry::parse(&e.text)).collect();
    let wanted = |e: &Entry| which.is_empty() || which.iter().any(|w| e.login == *w || domain(w, &e.login));
    let mut lookup = crate::route::connect(config).ok();
    let apps = super::app::all(config).ok();
    let mut rows = Vec::new();
    for entry in entries.into_iter().filter(wanted) {
        let user = lookup.as_mut().and_then(|l| l.user(&entry.login).ok().flatten());
        let used = user.as_ref().and_then(|u| used(&u.maildir));
        let apps = apps.as_ref().and_then(|a| a.of(&entry.login).ok()).map_or(0, |a| a.len());
        rows.push(Row { entry, user, used, apps });
    }
    rows.sort_by_cached_key(|r| {
        let (local, domain) = r.entry.login.rsplit_once('@').unwrap_or((&r.entry.login, ""));
        (domain.to_string(), local.to_string())
    });
    if json {
        rows.iter().try_for_each(|r| say(&object(r)).map(drop))?
    } else {
        show(&rows)?
    }
    let missing = which.iter().find(|w| !w.starts_with('@') && !rows.iter().any(|r| r.entry.login == **w));
    missing.map_or(Ok(Outcome::Done), |login| Err(super::unknown(login)))
}

fn domain(wanted: &str, login: &str) -> bool {
    wanted.starts_with('@') && login.to_lowercase().ends_with(&wanted.to_lowercase())
}

/// Octets in the Maildir as its maildirsize file says (Maildir++); `None` where no quota is kept.
fn used(maildir: &std::path::Path) -> Option<u64> {
    let text = std::fs::read_to_string(maildir.join("maildirsize")).ok()?;
    let sum: i64 = text.lines().skip(1).filter_map(|l| l.split_whitespace().next()?.parse::<i64>().ok()).sum();
    u64::try_from(sum).ok()
}

fn state(entry: &Entry) -> &'static str {
    let locked = entry.suspended() || entry.extra.split_whitespace().any(|f| f == "nologin");
    match entry.password.as_str() {
        _ if locked => "suspended",
        "" => "no-password",
        _ => "active",
    }
}

fn show(rows: &[Row]) -> Result<(), Failure> {
    let mut lines = vec![["LOGIN", "STATE", "QUOTA", "USED", "APPS", "MAILDIR"].map(str::to_string)];
    lines.extend(rows.iter().map(|r| {
        let (storage, messages) = r.entry.quota();
        let quota = match (storage, messages) {
            (None, None) => "-".to_string(),
            (s, None) => s.unwrap_or("-").to_string(),
            (s, Some(m)) => format!("{}, {m} messages", s.unwrap_or("-")),
        };
        let used = r.used.map_or_else(|| "-".to_string(), table::octets);
        let maildir = r.user.as_ref().map_or_else(|| "-".to_string(), |u| u.maildir.display().to_string());
        [r.entry.login.clone(), state(&r.entry).to_string(), quota, used, r.apps.to_string(), maildir]
    }));
    table::columns(&lines)
}

fn object(r: &Row) -> String {
    let (storage, messages) = r.entry.quota();
    let mut o = Object::new().text("login", &r.entry.login).text("state", state(&r.entry));
    o = o.maybe("name", Some(r.entry.name.as_str()).filter(|n| !n.is_empty()));
    o = o.maybe("quota", storage).maybe("quota_messages", messages).number("apps", r.apps as u64);
    if let Some(used) = r.used {
        o = o.number("used", used);
    }
    o.maybe("maildir", r.user.as_ref().map(|u| u.maildir.display().to_string()).as_deref()).finish()
}
