//! The passwords in the users table.
//!
//! Format      Dovecot's passwd-file, read by penny-tables
//! Invariants  read anew for each process: a changed password counts at once
//! Not here    uid, home and quota of a user: `lookup` tells them

use penny_base::Failure;
use penny_sasl::Password;
use std::path::Path;

/// Largest users table read, octets.
const FILE_MAX: u64 = 256 << 20;

/// The table in memory.
pub struct Users {
    text: String,
    table: penny_tables::users::Users,
}

impl Users {
    /// Reads the file; a missing one is an empty table.
    pub fn read(path: &Path) -> Result<Users, Failure> {
        let text = match penny_sys::fs::read_limited(path, FILE_MAX) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Failure::io(path.display(), &e)),
        };
        let table = penny_tables::users::Users::parse(&text).0;
        Ok(Users { text, table })
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
        passwords.peek().is_some() && passwords.all(|p| matches!(p, Password::Plain(_) | Password::Scram(_)))
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
