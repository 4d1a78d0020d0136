//! Dovecot's passwd-files.
//!
//! Format      `login:{SCHEME}hash:uid:gid:gecos:home:shell:extra`; a hash without a scheme has the passdb's

use super::Import;
use crate::table::{self, say};
use penny_base::Failure;
use std::collections::BTreeMap;

/// Login and the fields behind the password.
type Entries = BTreeMap<String, String>;

/// Takes the users of a file, whose bare hashes are of this scheme; a userdb file may know more about them. The hash of
/// a user that has none here yet (see import-postfix) is filled in.
pub fn take(import: &mut Import<'_>, text: &str, scheme: &str, more: &Entries) -> Result<(), Failure> {
    let (entries, change) = import.open("users")?;
    // a line of the file may name a user that another one named
    let mut there: Entries = entries.into_iter().collect();
    let mut new = Vec::new();
    for (_, line) in penny_tables::lines::single(text) {
        let mut fields = line.splitn(3, ':');
        let (login, hash) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        let hash =
            if hash.starts_with('{') || hash.is_empty() { hash.to_string() } else { format!("{{{scheme}}}{hash}") };
        if penny_sasl::Password::parse(&hash).is_none() {
            import.lost(format!("{login}: its password scheme is not known here: pennypost user passwd"));
            continue;
        }
        let rest = fields.next().filter(|r| !r.trim_matches(':').is_empty());
        let rest = rest.or(more.get(login).map(String::as_str)).unwrap_or(":::::");
        let old: Option<Vec<&str>> = there.get(login).map(|old| old.splitn(3, ':').collect());
        if old.as_ref().and_then(|o| o.get(1)).is_some_and(|hash| !hash.is_empty()) {
            say(&format!("# users: {login} is here already, kept"))?;
            continue;
        }
        let rest = old.and_then(|o| o.get(2).copied()).unwrap_or(rest);
        let line = format!("{login}:{hash}:{rest}");
        if let Some(wrong) = penny_tables::Tables::mistakes("users", &line).first() {
            import.lost(format!("users: {login}: {}", wrong.text));
            continue;
        }
        // the hash is nobody's business on a screen
        say(&format!("# users: {login}"))?;
        there.insert(login.to_string(), line.clone());
        new.push((login.to_string(), line));
    }
    let Some(mut change) = change else { return Ok(()) };
    change.put_all(&new);
    table::save(import.config, change, "users")
}

/// What a userdb file knows of each login: all behind the password.
pub fn fields(text: &str) -> Entries {
    let part = |line: &str| {
        let mut fields = line.splitn(3, ':');
        Some((fields.next()?.to_string(), fields.nth(1)?.to_string()))
    };
    penny_tables::lines::single(text).filter_map(|(_, line)| part(line)).collect()
}
