//! One line of the users table, field by field; what is not changed stays as it was.

use penny_base::Failure;

/// The fields of a passwd-file line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Login.
    pub login: String,
    /// `{SCHEME}hash`.
    pub password: String,
    /// Owner.
    pub uid: String,
    /// Group.
    pub gid: String,
    /// Full name.
    pub name: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Extra fields.
    pub extra: String,
}

/// A login that is fit for the table and for a path.
pub fn check_login(login: &str) -> Result<(), Failure> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | '#' | ',');
    if login.is_empty() || login.starts_with(['.', '@']) || login.ends_with('@') || login.contains(odd) {
        return Err(Failure::usage(format!("{login:?} is no login")));
    }
    Ok(())
}

impl Entry {
    /// A user with a name only.
    pub fn new(login: &str) -> Entry {
        Entry { login: login.into(), ..Entry::default() }
    }

    /// Takes a line apart.
    pub fn parse(line: &str) -> Entry {
        let mut fields = line.splitn(8, ':').map(str::to_string);
        let mut next = || fields.next().unwrap_or_default();
        Entry {
            login: next(),
            password: next(),
            uid: next(),
            gid: next(),
            name: next(),
            home: next(),
            shell: next(),
            extra: next(),
        }
    }

    /// The line.
    pub fn line(&self) -> String {
        let Entry { login, password, uid, gid, name, home, shell, extra } = self;
        [login, password, uid, gid, name, home, shell, extra].map(String::as_str).join(":")
    }

    /// Whether the user may log in.
    pub fn suspended(&self) -> bool {
        self.password.starts_with('!')
    }

    /// Locks the password as passwd(1) does: nothing fits a field that begins with `!`.
    pub fn suspend(&mut self) {
        if !self.suspended() {
            self.password.insert(0, '!');
        }
    }

    /// Takes the lock away.
    pub fn resume(&mut self) {
        self.password = self.password.trim_start_matches('!').to_string();
    }

    /// The quota as the table has it: storage, messages.
    pub fn quota(&self) -> (Option<&str>, Option<&str>) {
        let rule = self.extra.split_whitespace().find_map(rule).unwrap_or("");
        let part = |name: &str| rule.split(':').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
        (part("storage"), part("messages"))
    }

    /// Sets what is given; `none` takes a limit away.
    pub fn set_quota(&mut self, storage: Option<&str>, messages: Option<&str>) -> Result<(), Failure> {
        let (old_storage, old_messages) = self.quota();
        let storage = limit(storage.or(old_storage), "KMGT")?;
        let messages = limit(messages.or(old_messages), "")?;
        let mut fields: Vec<String> =
            self.extra.split_whitespace().filter(|f| rule(f).is_none()).map(str::to_string).collect();
        let parts = [storage.map(|s| format!(":storage={s}")), messages.map(|m| format!(":messages={m}"))];
        if parts.iter().any(Option::is_some) {
            fields.push(format!("userdb_quota_rule=*{}", parts.into_iter().flatten().collect::<String>()));
        }
        self.extra = fields.join(" ");
        Ok(())
    }
}

fn rule(field: &str) -> Option<&str> {
    let field = field.strip_prefix("userdb_").unwrap_or(field);
    field.strip_prefix("quota_rule=").filter(|r| r.starts_with("*:"))
}

fn limit(text: Option<&str>, units: &str) -> Result<Option<String>, Failure> {
    let Some(text) = text.filter(|t| *t != "none" && *t != "0") else { return Ok(None) };
    let upper = text.to_ascii_uppercase();
    let digits = upper.trim_end_matches(|c: char| units.contains(c));
    let fine = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && upper.len() - digits.len() <= 1;
    if fine { Ok(Some(upper)) } else { Err(Failure::usage(format!("{text} is no limit: 500M, 2G, none"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_and_the_quota_is_replaced() {
        let line = "a@x:{PLAIN}p:1:2:n:/h:/bin/sh:x=y userdb_quota_rule=*:storage=1M:messages=5 nologin";
        let mut e = Entry::parse(line);
        assert_eq!(e.line(), line);
        e.set_quota(Some("2g"), None).unwrap();
        assert_eq!(e.extra, "x=y nologin userdb_quota_rule=*:storage=2G:messages=5");
        e.set_quota(Some("none"), Some("none")).unwrap();
        assert_eq!(e.extra, "x=y nologin");
        assert!(e.set_quota(Some("2GB"), None).is_err() && e.set_quota(Some("M"), None).is_err());
    }

    #[test]
    fn suspending_keeps_the_hash() {
        let mut e = Entry::parse("a:{PLAIN}p");
        e.suspend();
        e.suspend();
        assert_eq!(e.password, "!{PLAIN}p");
        e.resume();
        assert_eq!(e.password, "{PLAIN}p");
    }

    #[test]
    fn logins_that_would_break_the_table() {
        for bad in ["", "a:b@x", "a b@x", "../x", "@x", "a@", "a\n@x", "#a"] {
            assert!(check_login(bad).is_err(), "{bad:?}");
        }
        assert!(check_login("ann.o'neil+x@example.org").is_ok());
    }
}
