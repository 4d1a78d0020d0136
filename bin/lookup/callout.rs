//! What hosts behind a relay domain said of its addresses: the cache of call-outs.
//!
//! Format      fields of a saved entry, whose key is an address or `@domain`: good, bad or down; until; text
//! Rules       good for 7 days, bad for 2 hours, a host that could not be asked for 5 minutes (`@domain`)
//! Invariants  memory is bounded: what expires first goes first

use crate::counters::now;
use crate::saved::Saved;
use penny_base::services::escape::escape;
use std::path::Path;

const GOOD: u64 = 7 * 86400;
const BAD: u64 = 2 * 3600;
const DOWN: u64 = 300;
const ENTRIES_MAX: usize = 200_000;
/// Longest text kept, characters.
const TEXT_MAX: usize = 300;

/// What a host said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It takes mail for the address.
    Good,
    /// It never will.
    Bad,
    /// It could not be asked.
    Down,
}

impl Verdict {
    /// The word in questions, answers and the file.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Bad => "bad",
            Verdict::Down => "down",
        }
    }

    /// From the word.
    pub fn parse(word: &str) -> Option<Verdict> {
        [Verdict::Good, Verdict::Bad, Verdict::Down].into_iter().find(|v| v.word() == word)
    }

    fn life(self) -> u64 {
        match self {
            Verdict::Good => GOOD,
            Verdict::Bad => BAD,
            Verdict::Down => DOWN,
        }
    }
}

#[derive(Debug, Clone)]
struct Entry {
    verdict: Verdict,
    until: u64,
    text: String,
}

/// The store.
#[derive(Debug)]
pub struct Callouts(Saved<Entry>);

impl Callouts {
    /// Reads the saved store.
    pub fn open(file: &Path) -> Callouts {
        Callouts(Saved::open(file, parse))
    }

    /// What is known of an address (its domain in lower case), or of all of its domain's hosts.
    pub fn find(&self, address: &str) -> Option<(Verdict, &str)> {
        self.find_at(address, now())
    }

    fn find_at(&self, address: &str, time: u64) -> Option<(Verdict, &str)> {
        let entry = |key: &str| self.0.map.get(key).filter(|e| e.until > time);
        let found = entry(address).or_else(|| entry(whole(address)))?;
        Some((found.verdict, &found.text))
    }

    /// Keeps what was said; that a host is down counts for its whole domain.
    pub fn keep(&mut self, address: &str, verdict: Verdict, text: &str) {
        self.keep_at(address, verdict, text, now());
    }

    fn keep_at(&mut self, address: &str, verdict: Verdict, text: &str, time: u64) {
        let key = if verdict == Verdict::Down { whole(address) } else { address };
        self.0.make_room(key, ENTRIES_MAX, |e| e.until > time, |e| e.until);
        let text = text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect();
        self.0.map.insert(key.to_owned(), Entry { verdict, until: time + verdict.life(), text });
        self.0.dirty = true;
    }

    /// Saves what has not expired; see [`Saved::save`].
    pub fn save(&mut self, force: bool) {
        let time = now();
        let fields = |e: &Entry| format!("{}\t{}\t{}", e.verdict.word(), e.until, escape(&e.text));
        self.0.save(force, |e| (e.until > time).then(|| fields(e)));
    }
}

/// `@domain`.
fn whole(address: &str) -> &str {
    address.rfind('@').and_then(|at| address.get(at..)).unwrap_or(address)
}

fn parse(fields: &[String]) -> Option<Entry> {
    let verdict = Verdict::parse(fields.first()?)?;
    Some(Entry { verdict, until: fields.get(1)?.parse().ok()?, text: fields.get(2).cloned().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_life() {
        let mut c = Callouts::open(Path::new("/nonexistent/callouts"));
        c.keep_at("a@b.example", Verdict::Good, "", 1000);
        c.keep_at("x@b.example", Verdict::Bad, "5.1.1 no\n", 1000);
        assert_eq!(c.find_at("a@b.example", 1000 + GOOD - 1), Some((Verdict::Good, "")));
        assert_eq!(c.find_at("a@b.example", 1000 + GOOD), None);
        assert_eq!(c.find_at("x@b.example", 1000 + BAD - 1), Some((Verdict::Bad, "5.1.1 no")));
        assert_eq!(c.find_at("x@b.example", 1000 + BAD), None);
        assert_eq!(c.find_at("other@b.example", 1000), None);
        // a host that is away is away for all of its domain, but what it said before stands
        c.keep_at("a@b.example", Verdict::Down, "refused", 2000);
        assert_eq!(c.find_at("a@b.example", 2001), Some((Verdict::Good, "")));
        assert_eq!(c.find_at("other@b.example", 2001), Some((Verdict::Down, "refused")));
        assert_eq!(c.find_at("other@c.example", 2001), None);
        assert_eq!(c.find_at("other@b.example", 2000 + DOWN), None);
    }

    #[test]
    fn the_store_survives_a_restart_and_is_bounded() {
        let file = std::env::temp_dir().join(format!("penny-callouts-{:x}", penny_sys::random::u64()));
        let mut c = Callouts::open(&file);
        c.keep("a\tb@c.example", Verdict::Bad, "5.1.1 no");
        c.save(true);
        let mut c = Callouts::open(&file);
        assert_eq!(c.find("a\tb@c.example"), Some((Verdict::Bad, "5.1.1 no")));
        for n in 0..=ENTRIES_MAX {
            c.keep_at(&format!("{n}@c.example"), Verdict::Good, "", 1000 + n as u64);
        }
        assert!(c.0.map.len() <= ENTRIES_MAX / 2 + 2, "{}", c.0.map.len());
        std::fs::remove_file(file).unwrap();
    }
}
