//! The keys a SCRAM server keeps.
//!
//! Standards   RFC 5802 section 3 (SaltedPassword, StoredKey, ServerKey), RFC 7677 (SHA-256)
//! Format      Dovecot's `iterations,base64 salt,base64 StoredKey,base64 ServerKey`

use crate::{base64_decode, base64_encode, same};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Least and most iterations taken; RFC 7677 4 asks for at least 4096.
const ITERATIONS: std::ops::RangeInclusive<u32> = 1..=10_000_000;

/// Keys of one user.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored: [u8; 32],
    pub(crate) server: [u8; 32],
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramKeys")
    }
}

impl ScramKeys {
    /// Parses Dovecot's form.
    pub fn parse(data: &str) -> Option<Self> {
        let mut fields = data.split(',');
        let iterations = fields.next()?.parse().ok().filter(|n| ITERATIONS.contains(n))?;
        let salt = base64_decode(fields.next()?).filter(|salt| !salt.is_empty())?;
        let stored = base64_decode(fields.next()?)?.try_into().ok()?;
        let server = base64_decode(fields.next()?)?.try_into().ok()?;
        fields.next().is_none().then_some(Self { iterations, salt, stored, server })
    }

    /// Checks a password against the keys.
    pub(super) fn verify(&self, password: &[u8]) -> Option<bool> {
        let made = derive_scram(password, &self.salt, self.iterations)?;
        Some(same(&made.stored, &self.stored))
    }
}

impl std::fmt::Display for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (salt, stored, server) =
            (base64_encode(&self.salt), base64_encode(&self.stored), base64_encode(&self.server));
        write!(f, "{},{salt},{stored},{server}", self.iterations)
    }
}

/// HMAC-SHA-256; a key of any length is taken, so this cannot fail.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

/// RFC 5802 2.2 Hi(): PBKDF2 with one block.
pub(crate) fn salted(password: &[u8], salt: &[u8], iterations: u32) -> Option<[u8; 32]> {
    let keyed = Hmac::<Sha256>::new_from_slice(password).ok()?;
    let step = |input: &[&[u8]]| -> [u8; 32] {
        let mut mac = keyed.clone();
        input.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut u = step(&[salt, &1u32.to_be_bytes()]);
    let mut hi = u;
    for _ in 1..iterations {
        u = step(&[&u]);
        hi.iter_mut().zip(u).for_each(|(h, x)| *h ^= x);
    }
    Some(hi)
}

/// Makes the keys from a password.
pub fn derive_scram(password: &[u8], salt: &[u8], iterations: u32) -> Option<ScramKeys> {
    let salted = salted(password, salt, iterations)?;
    let client = mac(&salted, &[b"Client Key"])?;
    let server = mac(&salted, &[b"Server Key"])?;
    Some(ScramKeys { iterations, salt: salt.to_vec(), stored: Sha256::digest(client).into(), server })
}

/// A salt that looks random and is the same each time: for users without stored keys, known or not, so that nobody can
/// tell the two apart. `secret` is something outsiders do not know.
pub fn steady_salt(secret: &[u8], user: &str) -> Vec<u8> {
    mac(secret, &[b"salt", user.as_bytes()]).map(|m| m[..16].to_vec()).unwrap_or_default()
}

/// Keys no password fits, for a user that does not exist.
pub fn decoy_keys(secret: &[u8], user: &str) -> Option<ScramKeys> {
    derive_scram(&mac(secret, &[b"decoy", user.as_bytes()])?, &steady_salt(secret, user), 4096)
}
