//! The passwords in the users table, and the app passwords beside it.
//!
//! Format      Dovecot's passwd-file and app-passwords, read by penny-tables
//! Invariants  read anew for each process: a changed password counts at once
//! Not here    uid, home and quota of a user: `lookup` tells them

use penny_base::Failure;
use penny_sasl::{Password, Secret};
use penny_tables::apps::Apps;
use std::path::Path;

/// Largest users table read, octets.
const FILE_MAX: u64 = 256 << 20;

/// The table in memory.
pub struct Users {
    text: String,
    table: penny_tables::users::Users,
    apps: Apps,
}

impl Users {
    /// Reads both files; a missing one is an empty table.
    pub fn read(path: &Path) -> Result<Users, Failure> {
        let text = contents(path)?;
        let table = penny_tables::users::Users::parse(&text).0;
        let apps = Apps::parse(&contents(&path.with_file_name("app-passwords"))?).0;
        Ok(Users { text, table, apps })
    }

    /// The label of the app password that fits. A login that is locked has none.
    pub fn app(&self, login: &str, given: &Secret) -> Option<&str> {
        if matches!(self.password(login), Ok(None | Some(Password::None))) && !self.only_apps(login) {
            return None;
        }
        let fits = |field: &str| Password::parse(field).and_then(|p| p.verify(given)) == Some(true);
        self.apps.of(login).find(|app| fits(&app.password)).map(|app| app.label.as_str())
    }

    /// A user whose password field is empty has no password, but is not locked.
    fn only_apps(&self, login: &str) -> bool {
        self.table.find(login, false).is_some_and(|user| user.password.is_empty() && !user.no_login)
    }

    /// The stored password of a user by its canonical login: `Ok(None)` when there is no such user, `Err` when the
    /// password field is not understood.
    pub fn password(&self, login: &str) -> Result<Option<Password>, ()> {
        match self.table.find(login, false) {
            None => Ok(None),
            Some(user) if user.no_login => Ok(Some(Password::None)),
            Some(user) => Password::parse(&user.password).map(Some).ok_or(()),
        }
    }

    fn passwords(&self) -> impl Iterator<Item = Password> {
        let usable = self.table.iter().filter(|user| !user.no_login);
        usable.filter_map(|user| Password::parse(&user.password)).filter(|p| !matches!(p, Password::None))
    }

    /// Whether every user who can log in has SCRAM keys, or a password to make them from.
    pub fn all_have_scram(&self) -> bool {
        let mut passwords = self.passwords().peekable();
        // a client that chose SCRAM could not log in with an app password: the server must name one salt
        self.apps.is_empty()
            && passwords.peek().is_some()
            && passwords.all(|p| matches!(p, Password::Plain(_) | Password::Scram(_)))
    }

    /// Some stored password, to spend the same time on users that do not exist.
    pub fn sample(&self) -> Option<Password> {
        self.passwords().next()
    }

    /// What outsiders do not know.
    pub fn secret(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

fn contents(path: &Path) -> Result<String, Failure> {
    match penny_sys::fs::read_limited(path, FILE_MAX) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(Failure::io(path.display(), &e)),
    }
}
