//! Rate counters: how much a key has used within a sliding window.
//!
//! Format      a line a key: `key TAB window start TAB count before TAB count now TAB window`, saved once a minute
//! Invariants  1. the count is the present window's plus the remaining share of the last one: it never jumps to zero
//!             2. memory is bounded: the oldest keys go first

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
pub struct Counters {
    file: PathBuf,
    map: HashMap<String, Counter>,
    saved: Instant,
    dirty: bool,
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Counter {
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
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let map = text.lines().filter_map(parse).collect();
        Counters { file: file.to_path_buf(), map, saved: Instant::now(), dirty: false }
    }

    /// Adds `cost` unless that passes `limit`; tells whether it fitted, and the count.
    pub fn add(&mut self, key: &str, cost: u64, limit: u64, window: u64) -> (bool, u64) {
        self.add_at(key, cost, limit, window, now())
    }

    fn add_at(&mut self, key: &str, cost: u64, limit: u64, window: u64, time: u64) -> (bool, u64) {
        if self.map.len() >= KEYS_MAX && !self.map.contains_key(key) {
            self.forget(time);
        }
        let fresh = Counter { start: time, window, ..Counter::default() };
        let counter = self.map.entry(key.to_string()).or_insert(fresh);
        counter.roll(time);
        let count = counter.count(time) + cost;
        if count > limit {
            return (false, count);
        }
        counter.now += cost;
        self.dirty = true;
        (true, count)
    }

    /// Drops what no longer counts, and if that is too little, the older half.
    fn forget(&mut self, time: u64) {
        self.map.retain(|_, c| time.saturating_sub(c.start) < 2 * c.window);
        if self.map.len() >= KEYS_MAX {
            let mut starts: Vec<u64> = self.map.values().map(|c| c.start).collect();
            starts.sort_unstable();
            let middle = starts.get(starts.len() / 2).copied().unwrap_or(0);
            self.map.retain(|_, c| c.start > middle);
        }
    }

    /// Saves at most once a minute, or now when `force`.
    pub fn save(&mut self, force: bool) {
        if !self.dirty || (!force && self.saved.elapsed().as_secs() < 60) {
            return;
        }
        let time = now();
        let live = self.map.iter().filter(|(_, c)| time.saturating_sub(c.start) < 2 * c.window);
        let line = |(k, c): (&String, &Counter)| {
            let key = penny_base::services::escape::escape(k);
            format!("{key}\t{}\t{}\t{}\t{}\n", c.start, c.before, c.now, c.window)
        };
        let text: String = live.map(line).collect();
        if let Err(e) = penny_sys::fs::replace_file(&self.file, text.as_bytes(), 0o600) {
            penny_base::log::warning("save", None, &[("file", &self.file.display()), ("why", &e)]);
        }
        self.saved = Instant::now();
        self.dirty = false;
    }
}

fn parse(line: &str) -> Option<(String, Counter)> {
    let fields = penny_base::services::escape::split(line);
    let number = |i: usize| fields.get(i)?.parse().ok();
    let counter = Counter { start: number(1)?, before: number(2)?, now: number(3)?, window: number(4)? };
    Some((fields.first()?.clone(), counter))
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
