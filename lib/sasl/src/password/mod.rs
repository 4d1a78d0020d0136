//! Stored passwords.
//!
//! Formats     Dovecot's `{SCHEME}data`: PLAIN, CLEARTEXT, PLAINTEXT; SHA512-CRYPT (`$6$`); BLF-CRYPT (`$2a$`, `$2b$`,
//!             `$2y$`); ARGON2ID, ARGON2I (PHC string); SCRAM-SHA-256 (`iterations,salt,stored,server`); CRYPT, or no
//!             scheme at all, goes by the prefix of the data
//! Invariants  an empty password never matches; an unknown or broken scheme is an error, not a mismatch
//! Failures    [`Password::parse`] gives None for what it does not understand: the caller reports a temporary failure

mod make;
mod scram_keys;
mod sha512crypt;

pub use make::{argon2id, scram_sha256};
pub use scram_keys::{ScramKeys, decoy_keys, derive_scram, steady_salt};
pub(crate) use scram_keys::{mac, salted};
pub use sha512crypt::sha512_crypt;

use crate::{Secret, same, saslprep};
use argon2::password_hash::{PasswordHash, PasswordVerifier};

/// Most memory in KiB an ARGON2 hash may ask for.
const ARGON2_KIB_MAX: u32 = 1 << 20;

/// A stored password.
#[derive(Clone, Debug)]
pub enum Password {
    /// The password itself.
    Plain(Secret),
    /// `$6$...`
    Sha512Crypt(Secret),
    /// `$2b$...`
    Bcrypt(Secret),
    /// `$argon2id$...`
    Argon2(Secret),
    /// Keys made from it.
    Scram(ScramKeys),
    /// No password is right (`{NOLOGIN}`, `*`, `!`, empty).
    None,
}

impl Password {
    /// Parses the second field of a passwd-file line.
    pub fn parse(field: &str) -> Option<Self> {
        let (scheme, data) = match field.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((scheme, data)) => (scheme.to_ascii_uppercase(), data),
            None => ("CRYPT".to_owned(), field),
        };
        let secret = Secret::new(data);
        match scheme.as_str() {
            "PLAIN" | "CLEARTEXT" | "PLAINTEXT" if data.is_empty() => Some(Self::None),
            "PLAIN" | "CLEARTEXT" | "PLAINTEXT" => Some(Self::Plain(secret)),
            "SHA512-CRYPT" => data.starts_with("$6$").then_some(Self::Sha512Crypt(secret)),
            "BLF-CRYPT" => data.starts_with("$2").then_some(Self::Bcrypt(secret)),
            "ARGON2ID" | "ARGON2I" => data.starts_with("$argon2i").then_some(Self::Argon2(secret)),
            "SCRAM-SHA-256" => ScramKeys::parse(data).map(Self::Scram),
            "NOLOGIN" => Some(Self::None),
            "CRYPT" => Self::by_prefix(data),
            _ => None,
        }
    }

    fn by_prefix(data: &str) -> Option<Self> {
        let secret = Secret::new(data);
        match data {
            "" | "*" | "x" => Some(Self::None),
            locked if locked.starts_with('!') || locked.starts_with('*') => Some(Self::None),
            d if d.starts_with("$6$") => Some(Self::Sha512Crypt(secret)),
            d if d.starts_with("$2") => Some(Self::Bcrypt(secret)),
            d if d.starts_with("$argon2i") => Some(Self::Argon2(secret)),
            _ => None,
        }
    }

    /// Whether `given` is the password, as it is or after SASLprep. `None`: the stored form is broken.
    pub fn verify(&self, given: &Secret) -> Option<bool> {
        if given.expose().is_empty() {
            return Some(false);
        }
        let first = self.verify_octets(given.expose())?;
        let prepared = given.text().and_then(saslprep).filter(|p| p.as_bytes() != given.expose());
        match prepared {
            Some(prepared) if !first => self.verify_octets(prepared.as_bytes()),
            _ => Some(first),
        }
    }

    fn verify_octets(&self, given: &[u8]) -> Option<bool> {
        match self {
            Self::Plain(stored) => Some(same(stored.expose(), given)),
            Self::Sha512Crypt(stored) => {
                let stored = stored.text()?;
                sha512_crypt(given, stored).map(|made| same(made.as_bytes(), stored.as_bytes()))
            }
            Self::Bcrypt(stored) => bcrypt::verify(given, stored.text()?).ok(),
            Self::Argon2(stored) => argon2_verify(stored.text()?, given),
            Self::Scram(keys) => keys.verify(given),
            Self::None => Some(false),
        }
    }

    /// The keys for a SCRAM exchange; a plain password gives them with `salt`.
    pub fn scram(&self, salt: &[u8]) -> Option<ScramKeys> {
        match self {
            Self::Scram(keys) => Some(keys.clone()),
            Self::Plain(stored) => {
                let prepared = stored.text().and_then(saslprep);
                let octets = prepared.as_deref().map_or(stored.expose(), str::as_bytes);
                derive_scram(octets, salt, 4096)
            }
            _ => None,
        }
    }
}

fn argon2_verify(stored: &str, given: &[u8]) -> Option<bool> {
    let hash = PasswordHash::new(stored).ok()?;
    if argon2::Params::try_from(&hash).ok()?.m_cost() > ARGON2_KIB_MAX {
        return None;
    }
    match argon2::Argon2::default().verify_password(given, &hash) {
        Ok(()) => Some(true),
        Err(argon2::password_hash::Error::Password) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: &str, given: &str) -> Option<bool> {
        Password::parse(field)?.verify(&Secret::new(given))
    }

    /// bcrypt: OpenBSD/crypt_blowfish test vector (public domain); argon2: made with argon2(1) from the reference
    /// implementation (CC0); SHA512-CRYPT: Drepper's specification (public domain); SCRAM: RFC 7677 section 3.
    #[test]
    fn schemes_know_their_password() {
        let stored = [
            ("{PLAIN}U*U", "U*U"),
            ("{blf-crypt}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
            ("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
            (
                "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                "password",
            ),
            (
                "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
                "Hello world!",
            ),
            (
                "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
                "pencil",
            ),
        ];
        for (field, password) in stored {
            assert_eq!(check(field, password), Some(true), "{field}");
            assert_eq!(check(field, "wrong"), Some(false), "{field}");
            assert_eq!(check(field, ""), Some(false), "{field}");
        }
    }

    #[test]
    fn locked_and_broken_fields() {
        for locked in ["", "*", "!", "!$6$x$y", "x", "{NOLOGIN}", "{PLAIN}"] {
            assert_eq!(check(locked, "x"), Some(false), "{locked}");
            assert_eq!(check(locked, ""), Some(false), "{locked}");
        }
        for broken in [
            "{MD5}abc",
            "abc",
            "{PLAIN",
            "{SHA512-CRYPT}x",
            "{SCRAM-SHA-256}1,2",
            "{ARGON2ID}$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$AAAA",
        ] {
            assert_eq!(check(broken, "x"), None, "{broken}");
        }
    }

    #[test]
    fn prepared_forms_match() {
        assert_eq!(check("{PLAIN}IX", "I\u{ad}X"), Some(true));
        assert_eq!(check("{PLAIN}\u{2168}", "\u{2168}"), Some(true));
    }
}
