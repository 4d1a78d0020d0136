//! The time of the next try.
//!
//! The delay grows with the age of the message, so it needs no memory of earlier tries: a message as old as
//! `d` seconds waits about `d` seconds more, between `min` and `max`, spread by a quarter either way.

/// Settings of the back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Shortest delay in seconds.
    pub min: u64,
    /// Longest delay in seconds.
    pub max: u64,
    /// Age in seconds at which a message is given up (RFC 5321 4.5.4.1: at least 4 to 5 days).
    pub lifetime: u64,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { min: 300, max: 4 * 3600, lifetime: 5 * 86_400 }
    }
}

impl Backoff {
    /// The next try after a failed one at `now` of a message that arrived at `arrival`.
    /// `random` is any number; it spreads the tries of messages that failed together.
    pub fn next(&self, arrival: u64, now: u64, random: u64) -> u64 {
        let base = now.saturating_sub(arrival).clamp(self.min, self.max.max(self.min));
        let spread = base / 4;
        let jitter = if spread == 0 { 0 } else { random % (2 * spread + 1) };
        let next = now + base - spread + jitter;
        // the last try comes at the end of the lifetime, not up to `max` after it
        let end = arrival.saturating_add(self.lifetime);
        if now < end { next.min(end) } else { next }
    }

    /// Whether the message is too old to be tried again.
    pub fn expired(&self, arrival: u64, now: u64) -> bool {
        now >= arrival.saturating_add(self.lifetime)
    }

    /// A due time read from disk, made sane: after a clock that was set back nothing waits for years.
    pub fn sane_due(&self, due: u64, now: u64) -> u64 {
        due.min(now.saturating_add(self.max + self.max / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: Backoff = Backoff { min: 300, max: 14_400, lifetime: 432_000 };

    #[test]
    fn delays_grow_with_age_within_their_limits() {
        for random in [0, 1, 75, 76, 1_000_003, u64::MAX] {
            let first = B.next(1000, 1010, random) - 1010;
            assert!((225..=375).contains(&first), "{first}");
            let hour = B.next(0, 3600, random) - 3600;
            assert!((2700..=4500).contains(&hour), "{hour}");
            let day = B.next(0, 86_400, random) - 86_400;
            assert!((10_800..=18_000).contains(&day), "{day}");
        }
    }

    #[test]
    fn tries_of_one_batch_are_spread() {
        let times = (0..200).map(|r| B.next(0, 86_400, r * 31)).collect::<std::collections::BTreeSet<_>>();
        assert!(times.len() > 150);
    }

    #[test]
    fn the_last_try_is_at_the_end_of_the_lifetime() {
        assert_eq!(B.next(0, 431_000, 7), 432_000);
        assert!(!B.expired(0, 431_999));
        assert!(B.expired(0, 432_000));
        assert!(B.next(0, 432_000, 7) > 432_000, "an expired one that must wait for a report is not due at once");
    }

    #[test]
    fn odd_clocks_do_not_freeze_a_message() {
        assert_eq!(B.sane_due(u64::MAX, 1000), 1000 + 18_000);
        assert_eq!(B.sane_due(5, 1000), 5);
        assert!(B.next(5000, 1000, 0) >= 1000 + 225, "arrival in the future");
    }

    #[test]
    fn a_zero_backoff_is_possible_for_tests() {
        let b = Backoff { min: 0, max: 0, lifetime: 10 };
        assert_eq!(b.next(0, 3, 99), 3);
    }
}
