//! Unpredictable query ids and choices.
//!
//! The standard library seeds each `RandomState` from the kernel's generator; SipHash under such a secret key is a
//! pseudo-random function, which is what RFC 5452 10 asks of query ids. (Ports come from the kernel.)

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static COUNTER: Cell<u64> = const { Cell::new(0) };
    static KEY: RandomState = RandomState::new();
}

/// 64 bits nobody outside the process can foresee.
pub(crate) fn word() -> u64 {
    let count = COUNTER.with(|c| c.replace(c.get().wrapping_add(1)));
    KEY.with(|key| key.hash_one((count, std::process::id())))
}

/// A query id.
pub(crate) fn id() -> u16 {
    let [a, b, ..] = word().to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// Fisher-Yates; the modulo's bias is far below what load sharing could notice.
pub(crate) fn shuffle<T>(items: &mut [T]) {
    for i in (1..items.len()).rev() {
        let pick = usize::try_from(word() % (i as u64 + 1)).unwrap_or(0);
        items.swap(i, pick);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<u16> = (0..1000).map(|_| super::id()).collect();
        assert!(ids.len() > 900, "{}", ids.len());
    }
}
