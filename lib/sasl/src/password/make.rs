//! Making the stored form of a new password.
//!
//! Standards   RFC 9106 (Argon2id; 19 MiB, 2 passes, 1 lane: the least OWASP recommends, about 20 ms), RFC 7677 4
//! Invariants  the password is prepared by SASLprep first, as it is when it is checked

use super::derive_scram;
use crate::saslprep;
use argon2::password_hash::{PasswordHasher, SaltString};

/// `{ARGON2ID}$argon2id$...`; `None` when the password is empty or the salt is too short.
pub fn argon2id(password: &str, salt: &[u8]) -> Option<String> {
    let prepared = prepared(password)?;
    let salt = SaltString::encode_b64(salt).ok()?;
    let hash = argon2::Argon2::default().hash_password(prepared.as_bytes(), &salt).ok()?;
    Some(format!("{{ARGON2ID}}{hash}"))
}

/// `{SCRAM-SHA-256}...`: the keys with which the server never sees the password, and cheap to check.
pub fn scram_sha256(password: &str, salt: &[u8], iterations: u32) -> Option<String> {
    let keys = derive_scram(prepared(password)?.as_bytes(), salt, iterations)?;
    Some(format!("{{SCRAM-SHA-256}}{keys}"))
}

fn prepared(password: &str) -> Option<String> {
    let text = saslprep(password).unwrap_or_else(|| password.to_string());
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Password, Secret};

    #[test]
    fn what_is_made_is_understood() {
        for made in [argon2id("pä ss", b"0123456789abcdef"), scram_sha256("pä ss", b"0123456789abcdef", 4096)] {
            let stored = Password::parse(&made.unwrap()).unwrap();
            assert_eq!(stored.verify(&Secret::new("pä ss")), Some(true));
            assert_eq!(stored.verify(&Secret::new("pa ss")), Some(false));
        }
        assert!(argon2id("", b"0123456789abcdef").is_none());
    }
}
