//! Rate counters: how much a key has used within a sliding window.
//!
//! Format      fields of a saved entry: window start, count before, count now, window
//! Invariants  1. the count is the present window's plus the remaining share of the last one: it never jumps to zero
//!             2. memory is bounded: the oldest keys go first

use crate::saved::Saved;
use std::path::Path;

/// Most keys kept.
const KEYS_MAX: usize = 200_000;

#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    start: u64,
    before: u64,
    now: u64,
    window: u64,
}

/// All counters.
#[derive(Debug)]
pub struct Counters(Saved<Counter>);

pub fn now() -> u64 {
    penny_sys::time::now().as_secs()
}

impl Counter {
    /// Something of it still counts.
    fn is_live(&self, time: u64) -> bool {
        time.saturating_sub(self.start) < 2 * self.window
    }

    /// Moves the window up to `time`.
    fn roll(&mut self, time: u64) {
        let passed = time.saturating_sub(self.start) / self.window.max(1);
        if passed == 0 {
            return;
        }
        self.before = if passed == 1 { self.now } else { 0 };
        self.now = 0;
        self.start += passed * self.window;
    }

    fn count(&self, time: u64) -> u64 {
        let into = time.saturating_sub(self.start).min(self.window);
        self.now + self.before * (self.window - into) / self.window.max(1)
    }
}

impl Counters {
    /// Reads the saved counters.
    pub fn open(file: &Path) -> Counters {
        Counters(Saved::open(file, parse))
    }

    /// Adds `cost` unless that passes `limit`; tells whether it fitted, and the count.
    pub fn add(&mut self, key: &str, cost: u64, limit: u64, window: u64) -> (bool, u64) {
        self.add_at(key, cost, limit, window, now())
    }

    fn add_at(&mut self, key: &str, cost: u64, limit: u64, window: u64, time: u64) -> (bool, u64) {
        self.0.make_room(key, KEYS_MAX, |c| c.is_live(time), |c| c.start);
        let fresh = Counter { start: time, window, ..Counter::default() };
        let counter = self.0.map.entry(key.to_string()).or_insert(fresh);
        counter.roll(time);
        let count = counter.count(time) + cost;
        if count > limit {
            return (false, count);
        }
        counter.now += cost;
        self.0.dirty = true;
        (true, count)
    }

    /// Saves what still counts; see [`Saved::save`].
    pub fn save(&mut self, force: bool) {
        let time = now();
        let fields = |c: &Counter| format!("{}\t{}\t{}\t{}", c.start, c.before, c.now, c.window);
        self.0.save(force, |c| c.is_live(time).then(|| fields(c)));
    }
}

fn parse(fields: &[String]) -> Option<Counter> {
    let number = |i: usize| fields.get(i)?.parse().ok();
    Some(Counter { start: number(0)?, before: number(1)?, now: number(2)?, window: number(3)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters() -> Counters {
        Counters::open(Path::new("/nonexistent/counters"))
    }

    #[test]
    fn a_limit_holds_and_slides() {
        let mut c = counters();
        for i in 1..=10 {
            assert_eq!(c.add_at("k", 1, 10, 100, 1000), (true, i));
        }
        assert!(!c.add_at("k", 1, 10, 100, 1001).0);
        // half a window later half of the old count still stands
        assert_eq!(c.add_at("k", 1, 10, 100, 1150), (true, 6));
        assert_eq!(c.add_at("k", 1, 10, 100, 1400), (true, 1));
    }

    #[test]
    fn saved_counters_come_back() {
        let file = std::env::temp_dir().join(format!("penny-counters-{:x}", penny_sys::random::u64()));
        let mut c = Counters::open(&file);
        c.add("a\tb", 5, 10, 3600);
        c.save(true);
        assert_eq!(Counters::open(&file).add("a\tb", 1, 10, 3600).1, 6);
        std::fs::remove_file(file).unwrap();
    }
}
