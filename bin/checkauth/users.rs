//! The passwords in the users table.
//!
//! Format      Dovecot's passwd-file: `user:{SCHEME}data:uid:gid:gecos:home:shell:extra`; `#` begins a comment line
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
}

impl Users {
    /// Reads the file; a missing one is an empty table.
    pub fn read(path: &Path) -> Result<Users, Failure> {
        match penny_sys::fs::read_limited(path, FILE_MAX) {
            Ok(bytes) => Ok(Users { text: String::from_utf8_lossy(&bytes).into_owned() }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Users { text: String::new() }),
            Err(e) => Err(Failure::io(path.display(), &e)),
        }
    }

    /// Name and password field of each entry.
    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.text.lines().map(str::trim_start).filter(|l| !l.is_empty() && !l.starts_with('#'));
        lines.filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            Some((name, rest.split(':').next().unwrap_or_default()))
        })
    }

    /// The password field of a user.
    pub fn field(&self, user: &str) -> Option<&str> {
        self.entries().find(|(name, _)| *name == user).map(|(_, field)| field)
    }

    /// Whether every user who can log in has SCRAM keys, or a password to make them from.
    pub fn all_have_scram(&self) -> bool {
        let mut any = false;
        let fit = self.entries().filter_map(|(_, field)| Password::parse(field)).all(|password| match password {
            Password::None => true,
            password => {
                any = true;
                matches!(password, Password::Plain(_) | Password::Scram(_))
            }
        });
        fit && any
    }

    /// Some stored password, to spend the same time on users that do not exist.
    pub fn sample(&self) -> Option<Password> {
        self.entries().filter_map(|(_, field)| Password::parse(field)).find(|p| !matches!(p, Password::None))
    }

    /// What outsiders do not know.
    pub fn secret(&self) -> &[u8] {
        self.text.as_bytes()
    }
}
