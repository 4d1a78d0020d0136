//! Greylisting: a triple seen for the first time waits; a client that came back once passes with everything.
//!
//! Format      fields of a saved entry: first seen, last seen, passed
//! Rules       wait 300 s; come back within 2 days; entries and passed clients are forgotten after 36 days unused
//! Invariants  memory is bounded: what has not been seen for longest goes first

use crate::counters::now;
use crate::saved::Saved;
use std::net::IpAddr;
use std::path::Path;

const WAIT: u64 = 300;
const COME_BACK: u64 = 2 * 86400;
const FORGET: u64 = 36 * 86400;
const ENTRIES_MAX: usize = 500_000;

#[derive(Debug, Clone, Copy)]
struct Entry {
    first: u64,
    last: u64,
    passed: bool,
}

/// The store.
#[derive(Debug)]
pub struct Greylist(Saved<Entry>);

/// One client is a /24, or a /64: large senders retry from a neighbour.
fn network(ip: &str) -> String {
    match ip.parse::<IpAddr>().map(|a| a.to_canonical()) {
        Ok(IpAddr::V4(a)) => {
            let [x, y, z, _] = a.octets();
            format!("{x}.{y}.{z}")
        }
        Ok(IpAddr::V6(a)) => a.segments().iter().take(4).map(|s| format!("{s:x}:")).collect(),
        Err(_) => ip.to_string(),
    }
}

impl Greylist {
    /// Reads the saved store.
    pub fn open(file: &Path) -> Greylist {
        Greylist(Saved::open(file, parse))
    }

    /// Seconds to wait; 0 passes.
    pub fn ask(&mut self, ip: &str, sender: &str, recipient: &str) -> u64 {
        self.ask_at(ip, sender, recipient, now())
    }

    fn ask_at(&mut self, ip: &str, sender: &str, recipient: &str, time: u64) -> u64 {
        let client = network(ip);
        self.0.dirty = true;
        let known = self.0.map.get_mut(&client);
        if let Some(known) = known.filter(|e| e.passed && time.saturating_sub(e.last) < FORGET) {
            known.last = time;
            return 0;
        }
        let key = format!("{client} {} {}", sender.to_lowercase(), recipient.to_lowercase());
        let live = |e: &Entry| time.saturating_sub(e.last) < if e.passed { FORGET } else { COME_BACK };
        self.0.make_room(&key, ENTRIES_MAX, live, |e| e.last);
        let entry = self.0.map.entry(key).or_insert(Entry { first: time, last: time, passed: false });
        if time.saturating_sub(entry.first) > COME_BACK {
            *entry = Entry { first: time, last: time, passed: false };
        }
        entry.last = time;
        let waited = time.saturating_sub(entry.first);
        if waited < WAIT {
            return WAIT - waited;
        }
        self.0.map.insert(client, Entry { first: time, last: time, passed: true });
        0
    }

    /// Saves everything; see [`Saved::save`].
    pub fn save(&mut self, force: bool) {
        self.0.save(force, |e| Some(format!("{}\t{}\t{}", e.first, e.last, u8::from(e.passed))));
    }
}

fn parse(fields: &[String]) -> Option<Entry> {
    let number = |i: usize| fields.get(i)?.parse().ok();
    Some(Entry { first: number(0)?, last: number(1)?, passed: fields.get(2)? == "1" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_come_back_pass() {
        let mut g = Greylist::open(Path::new("/nonexistent/greylist"));
        assert_eq!(g.ask_at("192.0.2.1", "a@b", "c@d", 1000), 300);
        assert_eq!(g.ask_at("192.0.2.9", "A@b", "c@d", 1100), 200);
        assert_eq!(g.ask_at("192.0.2.9", "a@b", "c@d", 1300), 0);
        // the client has shown that it retries
        assert_eq!(g.ask_at("192.0.2.200", "x@y", "z@d", 1301), 0);
        assert_eq!(g.ask_at("198.51.100.1", "a@b", "c@d", 1301), 300);
    }

    #[test]
    fn what_is_saved_comes_back_until_it_expires() {
        let file = std::env::temp_dir().join(format!("penny-greylist-{:x}", penny_sys::random::u64()));
        let mut g = Greylist::open(&file);
        g.ask_at("192.0.2.1", "a\tb@c", "d@e", 1000);
        g.ask_at("192.0.2.1", "a\tb@c", "d@e", 1300);
        g.ask_at("198.51.100.1", "x@y", "d@e", 1300);
        g.save(true);
        let mut g = Greylist::open(&file);
        assert_eq!(g.ask_at("192.0.2.77", "new@y", "new@e", 1301), 0, "a client that has passed");
        assert_eq!(g.ask_at("198.51.100.1", "x@y", "d@e", 1400), 200, "the wait goes on");
        // unused for longer than that it is unknown again
        assert_eq!(g.ask_at("192.0.2.77", "new@y", "new@e", 1302 + FORGET), WAIT);
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_client_that_keeps_coming_is_saved_as_such() {
        let file = std::env::temp_dir().join(format!("penny-greylist-{:x}", penny_sys::random::u64()));
        let mut g = Greylist::open(&file);
        g.ask_at("192.0.2.1", "a@b", "d@e", 1000);
        g.ask_at("192.0.2.1", "a@b", "d@e", 1300);
        g.save(true);
        g.ask_at("192.0.2.1", "x@y", "d@e", 1300 + FORGET - 1);
        g.save(true);
        let mut g = Greylist::open(&file);
        assert_eq!(g.ask_at("192.0.2.1", "z@y", "d@e", 1300 + FORGET), 0);
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut g = Greylist::open(Path::new("/nonexistent/greylist"));
        for n in 0..=ENTRIES_MAX {
            g.ask_at("192.0.2.1", &n.to_string(), "d@e", 1000 + n as u64 / 100);
        }
        assert!(g.0.map.len() <= ENTRIES_MAX, "{}", g.0.map.len());
    }

    #[test]
    fn who_comes_back_too_late_starts_again() {
        let mut g = Greylist::open(Path::new("/nonexistent/greylist"));
        g.ask_at("2001:db8::1", "a@b", "c@d", 0);
        assert_eq!(g.ask_at("2001:db8::2", "a@b", "c@d", COME_BACK + 1), 300);
    }
}
