//! Which domains' hosts had TLS lately: an opportunistic session that suddenly finds none is taken for a stripped one.
//!
//! Format      one file a domain (or fixed host) in `paths.state`/out/tls: seconds since 1970 of the last session with TLS
//! Invariants  what is remembered ends by itself, before mail that waits for it is given up
//! Failures    without a place to keep it nothing is remembered

use crate::dialogue::Settings;
use crate::state;

/// Where it is kept.
const FOLDER: &str = "tls";
/// A time younger than this is not written again.
const FRESH: u64 = 3600;

fn read(settings: &Settings, name: &str) -> Option<u64> {
    if settings.tls_memory == 0 {
        return None;
    }
    state::read(settings, FOLDER, name, 64)?.trim().parse().ok()
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
    if settings.tls_memory > 0 && settings.state.is_dir() {
        state::write(settings, FOLDER, name, &format!("{now}\n"));
    }
}
