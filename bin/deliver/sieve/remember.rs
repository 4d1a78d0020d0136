//! What scripts remember from one message to the next: vacation answers given, duplicates seen.
//!
//! Format      `pennypost.sieve` in the Maildir: lines `<expiry, Unix seconds> <key>`, keys are hashes with a kind in front; appended to, rewritten
//!             without the expired ones when long
//! Invariants  losing the file costs an extra answer or a duplicate, never mail

use std::io::Write;
use std::path::PathBuf;

use penny_sys::fs::Locked;

use crate::context::Context;

/// Name of the file.
const FILE: &str = "pennypost.sieve";
/// Longest file read.
const SIZE_MAX: u64 = 4 << 20;
/// Lines before expired ones are dropped.
const LINES_MAX: usize = 2000;

/// The file.
pub struct Memory {
    path: PathBuf,
}

impl Memory {
    pub fn of(context: &Context) -> Self {
        Self { path: context.owner.maildir.join(FILE) }
    }

    fn read(&self) -> String {
        let bytes = penny_sys::fs::read_limited(&self.path, SIZE_MAX).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Is the key remembered at that moment?
    pub fn has(&self, key: &str, now: i64) -> bool {
        self.read().lines().any(|line| entry(line).is_some_and(|(expiry, k)| k == key && expiry > now))
    }

    /// Remembers a key; false if it was remembered already. Asked and noted under one lock, so two deliveries at once answer once.
    pub fn note(&self, key: &str, seconds: u64, now: i64) -> std::io::Result<bool> {
        let lock = Locked::wait(&self.path.with_extension("sieve.lock"), 0o600)?;
        if self.has(key, now) {
            return Ok(false);
        }
        let expiry = now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
        let text = self.read();
        let line = format!("{expiry} {key}\n");
        if text.lines().count() >= LINES_MAX {
            let mut kept: String =
                text.lines().filter(|l| entry(l).is_some_and(|(e, _)| e > now)).map(|l| format!("{l}\n")).collect();
            kept.push_str(&line);
            penny_sys::fs::replace_file(&self.path, kept.as_bytes(), 0o600)?;
        } else {
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&self.path)?;
            file.write_all(line.as_bytes())?;
        }
        drop(lock);
        Ok(true)
    }
}

fn entry(line: &str) -> Option<(i64, &str)> {
    let (expiry, key) = line.split_once(' ')?;
    Some((expiry.parse().ok()?, key))
}
