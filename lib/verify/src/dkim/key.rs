//! Public keys: the record in the DNS, and keeping what was parsed.
//!
//! Standards   RFC 6376 3.6.1 (the record), 3.6.2.2 (several records), 6.1.2 (what to do when there is none)
//! Invariants  a [`Key`] is usable for mail: right version, service, algorithm, not revoked, not weak

use crate::crypto::{Algorithm, PublicKey, from_base64};
use crate::tags::{Tags, squeeze};
use penny_dns::{Name, Resolve, txt};
use std::cell::RefCell;
use std::collections::HashMap;

/// Records of one name that are looked at.
const RECORDS_MAX: usize = 4;
/// Octets of one record: an RSA key of 8192 bits needs 1,400.
const RECORD_MAX: usize = 8192;
/// Keys kept by one process.
const KEYS_MAX: usize = 1000;

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// Ask again later.
    Temporary(String),
    /// There is none to be had.
    Permanent(String),
}

/// A key record that may be used.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key itself.
    pub public: PublicKey,
    /// `t=y`: the domain is trying DKIM out.
    pub testing: bool,
    /// `t=s`: the domain of `i=` must be that of `d=`, not one below.
    pub strict: bool,
}

impl Key {
    /// Parses a record for one algorithm.
    pub fn parse(text: &[u8], algorithm: Algorithm) -> Result<Self, String> {
        let text = std::str::from_utf8(text).ok().filter(|t| t.len() <= RECORD_MAX).ok_or("key record is no text")?;
        let tags = Tags::parse(text).map_err(|e| format!("key record: {e}"))?;
        // 3.6.1: v=DKIM1 is recommended; when given it is the first tag
        if tags.get("v").is_some() && tags.first() != Some(("v", "DKIM1")) {
            return Err("key record has another version".into());
        }
        let has = |name: &str, default: &str, wanted: &[&str]| {
            let value = squeeze(tags.get(name).unwrap_or(default));
            value.split(':').any(|word| wanted.contains(&word))
        };
        if tags.get("k").unwrap_or("rsa") != algorithm.key_word() {
            return Err("key is of another type".into());
        }
        if !has("h", "sha256", &["sha256"]) {
            return Err("key does not allow sha256".into());
        }
        if !has("s", "*", &["*", "email"]) {
            return Err("key is not for mail".into());
        }
        let p = squeeze(tags.get("p").ok_or("key record without p=")?);
        if p.is_empty() {
            return Err("key is revoked".into()); // 3.6.1
        }
        let octets = from_base64(&p).ok_or("p= is no base64")?;
        let public = PublicKey::parse(algorithm, &octets)?;
        Ok(Self { public, testing: has("t", "", &["y"]), strict: has("t", "", &["s"]) })
    }
}

/// A record and the word of the algorithm it was parsed for.
type Slot = (Vec<u8>, &'static str);

/// Parsed keys of one process, by record: parsing costs OpenSSL more than verifying.
#[derive(Debug, Default)]
pub struct Keys {
    parsed: RefCell<HashMap<Slot, Result<Key, String>>>,
}

impl Keys {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fetches the key a selector of a domain stands for.
    pub fn fetch(&self, dns: &dyn Resolve, domain: &Name, selector: &str, algorithm: Algorithm) -> Result<Key, NoKey> {
        let name = domain.child(&format!("{selector}._domainkey"));
        let name = name.map_err(|_| NoKey::Permanent("no name for the key".into()))?;
        let records = txt(dns, &name).map_err(|e| NoKey::Temporary(format!("{name}: {e}")))?;
        let mut why = format!("no key at {name}");
        // 3.6.2.2: several records are undefined; the first good one is taken
        for record in records.into_iter().take(RECORDS_MAX) {
            match self.parse(record, algorithm) {
                Ok(key) => return Ok(key),
                Err(reason) => why = reason,
            }
        }
        Err(NoKey::Permanent(why))
    }

    fn parse(&self, record: Vec<u8>, algorithm: Algorithm) -> Result<Key, String> {
        let slot = (record, algorithm.key_word());
        if let Some(known) = self.parsed.borrow().get(&slot) {
            return known.clone();
        }
        let key = Key::parse(&slot.0, algorithm);
        let mut parsed = self.parsed.borrow_mut();
        if parsed.len() >= KEYS_MAX {
            parsed.clear();
        }
        parsed.insert(slot, key.clone());
        key
    }
}
