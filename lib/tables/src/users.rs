//! The users table: Dovecot's passwd-file.
//!
//! Format      `login:password:uid:gid:gecos:home:shell:extra fields`; extra fields are `name=value` parted by spaces:
//!             `userdb_quota_rule=*:storage=100M`, `*:messages=1000`, `userdb_mail=maildir:~/Maildir`, `nologin`.
//!             A missing uid or gid is the mail id, a missing home the configuration's pattern.
//! Trust       written by the admin; passwords are never shown or logged

use crate::behind::Behind;
use crate::compile;
use crate::key;
use crate::lines::{Mistake, single};
use penny_sys::ids::Id;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;

/// One user.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Login as written.
    pub login: String,
    /// `{SCHEME}hash`; empty: nobody can log in with it.
    pub password: String,
    /// Owner of the mailbox, where the entry names one.
    pub id: Option<Id>,
    /// Home directory, where the entry names one.
    pub home: Option<PathBuf>,
    /// Login shell.
    pub shell: String,
    /// Maildir, where the entry names one; may start with `~/`.
    pub maildir: Option<String>,
    /// Storage quota in KiB, where the entry names one.
    pub quota_kb: Option<u64>,
    /// Message quota, where the entry names one.
    pub quota_messages: Option<u64>,
    /// The user may not log in (mail is still delivered).
    pub no_login: bool,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("login", &self.login).field("id", &self.id).finish_non_exhaustive()
    }
}

/// The whole table.
#[derive(Debug, Clone, Default)]
pub struct Users {
    exact: HashMap<String, User>,
    folded: HashMap<String, String>,
    behind: Behind,
}

impl Users {
    /// Reads the text of the table; a line that is wrong is left out and reported.
    pub fn parse(text: &str) -> (Users, Vec<Mistake>) {
        let mut users = Users::default();
        let mut mistakes = Vec::new();
        for (number, line) in single(text) {
            match parse_user(line) {
                Ok(user) => users.insert(user),
                Err(text) => mistakes.push(Mistake { line: number, text }),
            }
        }
        (users, mistakes)
    }

    fn insert(&mut self, user: User) {
        self.folded.entry(key::folded(&user.login)).or_insert_with(|| user.login.clone());
        self.exact.insert(key::exact(&user.login), user);
    }

    /// The table a source tells.
    pub fn behind(behind: Behind) -> Users {
        Users { behind, ..Users::default() }
    }

    /// Finds a login exactly, then in NFC and lower case when `fold`. A program is asked once: so folded when `fold`.
    pub fn find(&self, login: &str, fold: bool) -> Option<Cow<'_, User>> {
        if self.behind.is_compiled() {
            let found = self.ask(login);
            return found.map(Cow::Owned).or_else(|| if fold { self.ask_folded(login).map(Cow::Owned) } else { None });
        }
        if self.behind.is_some() {
            let found = if fold { self.ask(&key::folded(login)) } else { self.ask(login) };
            return found.map(Cow::Owned);
        }
        let written = || self.folded.get(&key::folded(login)).filter(|_| fold);
        let folded = || self.exact.get(&key::exact(written()?));
        self.exact.get(&key::exact(login)).or_else(folded).map(Cow::Borrowed)
    }

    fn ask(&self, login: &str) -> Option<User> {
        // no login has these, and some keys of a compiled table begin with NUL
        if login.is_empty() || login.contains([':', '\0', '\n']) {
            return None;
        }
        self.behind.find(login, |rest| parse_user(&format!("{login}:{rest}")))
    }

    fn ask_folded(&self, login: &str) -> Option<User> {
        let lower = key::folded(login);
        let written = self.behind.get(&compile::fold_key(&lower)).unwrap_or(lower);
        self.ask(&written)
    }

    /// All users in no order.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.exact.values()
    }

    /// Logins folded, and as written.
    pub(crate) fn folded(&self) -> impl Iterator<Item = (&str, &str)> {
        self.folded.iter().map(|(lower, login)| (lower.as_str(), login.as_str()))
    }

    /// Domains that logins have, as far as the table knows: a program cannot list them.
    pub fn implied_domains(&self) -> std::collections::BTreeSet<String> {
        if self.behind.is_compiled() {
            let key = String::from_utf8_lossy(compile::DOMAINS);
            return self.behind.get(&key).unwrap_or_default().lines().map(str::to_string).collect();
        }
        self.domains().map(str::to_lowercase).collect()
    }

    /// Domains that logins of the text have, as A-labels.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().filter_map(|l| l.rsplit_once('@')).map(|(_, d)| d)
    }
}

fn parse_user(line: &str) -> Result<User, String> {
    let mut fields = line.splitn(8, ':');
    let mut next = || fields.next().unwrap_or("").trim().to_string();
    let (login, password, uid, gid) = (next(), next(), next(), next());
    let (_gecos, home, shell, extra) = (next(), next(), next(), next());
    if login.is_empty() || login.contains(['/', '\0']) || login.starts_with('.') {
        return Err("a login is empty or holds a slash".into());
    }
    let id = match (uid.as_str(), gid.as_str()) {
        ("", _) => None,
        (u, "") => Some(penny_sys::ids::parse(u).map_err(|e| e.to_string())?),
        (u, g) => Some(Id { uid: number(u)?, gid: number(g)? }),
    };
    let mut user = User {
        login,
        password,
        id,
        home: (!home.is_empty()).then(|| home.into()),
        shell,
        maildir: None,
        quota_kb: None,
        quota_messages: None,
        no_login: false,
    };
    extra.split_whitespace().try_for_each(|field| take_extra(&mut user, field))?;
    Ok(user)
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn take_extra(user: &mut User, field: &str) -> Result<(), String> {
    let (name, value) = field.split_once('=').unwrap_or((field, ""));
    match name.strip_prefix("userdb_").unwrap_or(name) {
        "mail" => user.maildir = Some(value.strip_prefix("maildir:").unwrap_or(value).to_string()),
        "nologin" => user.no_login = true,
        rule if rule.starts_with("quota_rule") => take_quota(user, value)?,
        // Dovecot has many more; those that do not concern us are no mistake
        _ => {}
    }
    Ok(())
}

/// `*:storage=100M:messages=1000`; other patterns than `*` are for single folders, which we do not limit.
fn take_quota(user: &mut User, rule: &str) -> Result<(), String> {
    let mut parts = rule.split(':');
    if parts.next() != Some("*") {
        return Ok(());
    }
    for part in parts {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("quota rule: {part}"))?;
        match name {
            "storage" => user.quota_kb = Some(storage(value)?),
            "bytes" => user.quota_kb = Some(number(value)?.div_ceil(1024).into()),
            "messages" => user.quota_messages = Some(number(value)?.into()),
            _ => return Err(format!("quota rule: {part}")),
        }
    }
    Ok(())
}

/// A storage limit in KiB: a bare number is KiB already.
fn storage(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let n: u64 = digits.parse().map_err(|_| format!("quota: {text}"))?;
    let factor = match text.get(digits.len()..).unwrap_or("").to_ascii_uppercase().as_str() {
        "B" => return Ok(n.div_ceil(1024)),
        "" | "K" => 1,
        "M" => 1024,
        "G" => 1024 * 1024,
        "T" => 1024 * 1024 * 1024,
        _ => return Err(format!("quota: {text}")),
    };
    n.checked_mul(factor).ok_or_else(|| format!("quota: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let text =
            "a@x:{PLAIN}p:1001:1002::/home/a:/bin/sh:userdb_quota_rule=*:storage=2M:messages=7\nB@x:::::::nologin\n";
        let (users, mistakes) = Users::parse(text);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let a = users.find("a@x", false).unwrap();
        assert_eq!((a.id, a.quota_kb, a.quota_messages), (Some(Id { uid: 1001, gid: 1002 }), Some(2048), Some(7)));
        assert!(users.find("b@x", false).is_none());
        assert!(users.find("b@X", true).unwrap().no_login);
    }

    #[test]
    fn mistakes_do_not_hide_the_rest() {
        let (users, mistakes) = Users::parse("../x:p\nok:p\nz:p:uid::\n");
        assert_eq!(mistakes.iter().map(|m| m.line).collect::<Vec<_>>(), [1, 3]);
        assert!(users.find("ok", false).is_some());
    }

    #[test]
    fn passwords_are_not_shown() {
        let (users, _) = Users::parse("a:{PLAIN}secret\n");
        assert!(!format!("{users:?}").contains("secret"));
    }
}
