//! The only door to OpenSSL: keys, signatures, hashes, base64.
//!
//! Standards   RFC 8301 (rsa-sha256 only, 1024 bits at least), 8463 (ed25519 over the SHA-256 hash), 4648 (base64)
//! Invariants  1. a [`PublicKey`] is strong enough to count   2. secrets never reach a log: [`SigningKey`] has no Debug
//!             of its contents
//! Trust       public keys come from anybody: their size is bounded before they are used

use openssl::hash::{Hasher as Digest, MessageDigest};
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::rsa::Rsa;
use openssl::sign::{Signer, Verifier};
use std::fmt;

/// RFC 8301 3.2: shorter keys must not be believed.
const RSA_BITS_MIN: u32 = 1024;
/// RFC 8301 3.2 wants 4096; beyond 8192 a check costs more than mail is worth.
const RSA_BITS_MAX: u32 = 8192;
/// The longest signature or key in base64 we look at.
const BASE64_MAX: usize = 16 * 1024;

/// Signature algorithms we sign with and believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// Ed25519 over a SHA-256 hash.
    Ed25519Sha256,
}

impl Algorithm {
    /// The word of an `a=` tag; rsa-sha1 is none any more (RFC 8301 3.1).
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "rsa-sha256" => Some(Self::RsaSha256),
            "ed25519-sha256" => Some(Self::Ed25519Sha256),
            _ => None,
        }
    }

    /// The word of a `k=` tag.
    pub fn key_word(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa",
            Self::Ed25519Sha256 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-sha256", self.key_word())
    }
}

/// A running SHA-256.
pub struct Hasher {
    digest: Option<Digest>,
}

impl Hasher {
    /// An empty hash.
    pub fn new() -> Self {
        Self { digest: Digest::new(MessageDigest::sha256()).ok() }
    }

    /// Adds octets.
    pub fn update(&mut self, bytes: &[u8]) {
        let failed = self.digest.as_mut().is_some_and(|d| d.update(bytes).is_err());
        if failed {
            self.digest = None;
        }
    }

    /// The hash; `None` when OpenSSL failed on the way, which matches nothing.
    pub fn finish(mut self) -> Option<[u8; 32]> {
        let bytes = self.digest.as_mut()?.finish().ok()?;
        bytes.as_ref().try_into().ok()
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

/// A key that may verify signatures.
#[derive(Clone)]
pub struct PublicKey {
    key: PKey<Public>,
    algorithm: Algorithm,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {} bits)", self.algorithm, self.bits())
    }
}

impl PublicKey {
    /// Reads the `p=` of a key record.
    pub fn parse(algorithm: Algorithm, octets: &[u8]) -> Result<Self, &'static str> {
        let key = match algorithm {
            Algorithm::RsaSha256 => rsa(octets)?,
            // RFC 8463 4: the bare 32 octets
            Algorithm::Ed25519Sha256 => {
                PKey::public_key_from_raw_bytes(octets, Id::ED25519).map_err(|_| "key is no ed25519 key")?
            }
        };
        Ok(Self { key, algorithm })
    }

    /// Size of the key.
    pub fn bits(&self) -> u32 {
        self.key.bits()
    }

    /// Whether `signature` is one of `data`, given in pieces.
    pub fn verify(&self, data: &[u8], signature: &[u8]) -> bool {
        let result = match self.algorithm {
            Algorithm::RsaSha256 => {
                Verifier::new(MessageDigest::sha256(), &self.key).and_then(|mut v| v.verify_oneshot(signature, data))
            }
            Algorithm::Ed25519Sha256 => Verifier::new_without_digest(&self.key)
                .and_then(|mut v| v.verify_oneshot(signature, &openssl::sha::sha256(data))),
        };
        // A malformed signature is an error to OpenSSL; the queue is emptied so that it can't surface elsewhere.
        result.unwrap_or_else(|_| {
            let _ = openssl::error::ErrorStack::get();
            false
        })
    }
}

/// An RSA key as SubjectPublicKeyInfo (what everybody publishes) or RSAPublicKey (what RFC 6376 3.6.1 says).
fn rsa(octets: &[u8]) -> Result<PKey<Public>, &'static str> {
    let key = Rsa::public_key_from_der(octets).or_else(|_| Rsa::public_key_from_der_pkcs1(octets));
    let key = key.map_err(|_| "key is no RSA key")?;
    let bits = u32::try_from(key.n().num_bits()).unwrap_or(0);
    if bits < RSA_BITS_MIN {
        return Err("RSA key under 1024 bits");
    }
    if bits > RSA_BITS_MAX {
        return Err("RSA key over 8192 bits");
    }
    PKey::from_rsa(key).map_err(|_| "key is no RSA key")
}

/// A private key.
pub struct SigningKey {
    key: PKey<Private>,
    algorithm: Algorithm,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm)
    }
}

impl SigningKey {
    /// Reads a key in PEM (PKCS#8, or the old RSA form).
    pub fn from_pem(pem: &[u8]) -> Result<Self, &'static str> {
        let key = PKey::private_key_from_pem(pem).map_err(|_| "no private key in PEM")?;
        Self::usable(key)
    }

    /// Makes an RSA key.
    pub fn generate_rsa(bits: u32) -> Result<Self, &'static str> {
        let key = Rsa::generate(bits).and_then(PKey::from_rsa).map_err(|_| "key can't be made")?;
        Self::usable(key)
    }

    /// Makes an ed25519 key.
    pub fn generate_ed25519() -> Result<Self, &'static str> {
        Self::usable(PKey::generate_ed25519().map_err(|_| "key can't be made")?)
    }

    fn usable(key: PKey<Private>) -> Result<Self, &'static str> {
        let algorithm = match key.id() {
            Id::RSA if key.bits() < RSA_BITS_MIN => return Err("RSA key under 1024 bits (RFC 8301)"),
            Id::RSA => Algorithm::RsaSha256,
            Id::ED25519 => Algorithm::Ed25519Sha256,
            _ => return Err("key is neither RSA nor ed25519"),
        };
        Ok(Self { key, algorithm })
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs octets.
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>, &'static str> {
        let signature = match self.algorithm {
            Algorithm::RsaSha256 => {
                Signer::new(MessageDigest::sha256(), &self.key).and_then(|mut s| s.sign_oneshot_to_vec(data))
            }
            Algorithm::Ed25519Sha256 => Signer::new_without_digest(&self.key)
                .and_then(|mut s| s.sign_oneshot_to_vec(&openssl::sha::sha256(data))),
        };
        signature.map_err(|_| "OpenSSL can't sign with this key")
    }

    /// The key in PEM (PKCS#8).
    pub fn to_pem(&self) -> Result<Vec<u8>, &'static str> {
        self.key.private_key_to_pem_pkcs8().map_err(|_| "key can't be written")
    }

    /// The `p=` value that goes with it.
    pub fn public_base64(&self) -> Result<String, &'static str> {
        let octets = match self.algorithm {
            Algorithm::RsaSha256 => self.key.public_key_to_der(),
            Algorithm::Ed25519Sha256 => self.key.raw_public_key(),
        };
        octets.map(|o| to_base64(&o)).map_err(|_| "key has no public part")
    }
}

/// Base64 with padding.
pub fn to_base64(octets: &[u8]) -> String {
    openssl::base64::encode_block(octets)
}

/// Strict base64 without white space; `None` for anything else.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let padding = text.len() - body.len();
    if text.is_empty()
        || text.len() > BASE64_MAX
        || !text.len().is_multiple_of(4)
        || padding > 2
        || !body.bytes().all(valid)
    {
        return None;
    }
    openssl::base64::decode_block(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_strict() {
        assert_eq!(from_base64("AAEC").unwrap(), [0, 1, 2]);
        assert_eq!(from_base64("AA==").unwrap(), [0]);
        assert_eq!(from_base64("AAE=").unwrap(), [0, 1]);
        for bad in ["", "A", "AA", "AA=A", "A A=", "AA=", "====", "AAA*", "A==="] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_sign_and_verify() {
        for key in [SigningKey::generate_ed25519().unwrap(), SigningKey::generate_rsa(1024).unwrap()] {
            let public =
                PublicKey::parse(key.algorithm(), &from_base64(&key.public_base64().unwrap()).unwrap()).unwrap();
            let signature = key.sign(b"data").unwrap();
            assert!(public.verify(b"data", &signature));
            assert!(!public.verify(b"Data", &signature));
            assert!(!public.verify(b"data", &signature[1..]));
            let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
            assert_eq!(again.public_base64(), key.public_base64());
        }
    }

    #[test]
    fn weak_and_foreign_keys_are_refused() {
        let weak = PKey::from_rsa(Rsa::generate(512).unwrap()).unwrap();
        assert!(SigningKey::from_pem(&weak.private_key_to_pem_pkcs8().unwrap()).is_err());
        let der = weak.public_key_to_der().unwrap();
        assert_eq!(PublicKey::parse(Algorithm::RsaSha256, &der).unwrap_err(), "RSA key under 1024 bits");
        assert!(PublicKey::parse(Algorithm::RsaSha256, b"junk").is_err());
        assert!(PublicKey::parse(Algorithm::Ed25519Sha256, &[0; 31]).is_err());
    }
}
