//! Which domains' hosts had TLS lately: an opportunistic session that suddenly finds none is taken for a stripped one.
//!
//! Format      one file a domain (or fixed host) in `paths.state`/out/tls: seconds since 1970 of the last session with TLS
//! Invariants  1. what is remembered ends by itself, before mail that waits for it is given up   2. a name is a plain file name
//! Failures    without a place to keep it nothing is remembered

use crate::dialogue::Settings;
use std::path::PathBuf;

/// A time younger than this is not written again.
const FRESH: u64 = 3600;

fn file(settings: &Settings, name: &str) -> Option<PathBuf> {
    let name = name.to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let safe = !name.is_empty() && name.len() < 255 && !name.starts_with('.') && name.bytes().all(plain);
    (safe && settings.tls_memory > 0).then(|| settings.state.join("out").join("tls").join(name))
}

fn read(settings: &Settings, name: &str) -> Option<u64> {
    let bytes = penny_sys::fs::read_limited(&file(settings, name)?, 64).ok()?;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// Whether the domain's hosts had TLS lately.
pub fn had_tls(settings: &Settings, name: &str) -> bool {
    let now = settings.now();
    // a time of the future says that the clock is wrong, not that the domain is safe
    read(settings, name).is_some_and(|at| at <= now && now - at < settings.tls_memory)
}

/// A session with TLS came about.
pub fn remember(settings: &Settings, name: &str) {
    let now = settings.now();
    if read(settings, name).is_some_and(|at| at <= now && now - at < FRESH.min(settings.tls_memory / 4)) {
        return;
    }
    let Some(path) = file(settings, name).filter(|_| settings.state.is_dir()) else { return };
    if let Some(dir) = path.parent() {
        let _ = std::fs::create_dir_all(dir);
    }
    let _ = penny_sys::fs::replace_file(&path, format!("{now}\n").as_bytes(), 0o600);
}
