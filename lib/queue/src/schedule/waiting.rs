//! Entries that wait for their time: only name and time are kept, and only the soonest of them.

use crate::name::Name;
use std::collections::{BTreeSet, HashMap};

/// The waiting entries.
#[derive(Debug)]
pub struct Waiting {
    by_time: BTreeSet<(u64, Name)>,
    times: HashMap<Name, u64>,
    max: usize,
    overflow: bool,
}

impl Waiting {
    /// At most `max` entries are remembered.
    pub fn new(max: usize) -> Waiting {
        Waiting { by_time: BTreeSet::new(), times: HashMap::new(), max: max.max(1), overflow: false }
    }

    /// Remembers an entry, or changes its time.
    pub fn insert(&mut self, due: u64, name: Name) {
        self.remove(&name);
        self.times.insert(name.clone(), due);
        self.by_time.insert((due, name));
        if self.by_time.len() > self.max
            && let Some((_, last)) = self.by_time.pop_last()
        {
            self.times.remove(&last);
            self.overflow = true;
        }
    }

    /// Forgets an entry; true when it was there.
    pub fn remove(&mut self, name: &Name) -> bool {
        match self.times.remove(name) {
            Some(due) => self.by_time.remove(&(due, name.clone())),
            None => false,
        }
    }

    /// The clock was set back by `seconds`: what waits goes with it.
    pub fn shift_back(&mut self, seconds: u64) {
        let shifted = std::mem::take(&mut self.by_time).into_iter();
        self.by_time = shifted.map(|(due, name)| (due.saturating_sub(seconds), name)).collect();
        self.times = self.by_time.iter().map(|(due, name)| (name.clone(), *due)).collect();
    }

    /// Takes one entry that is due.
    pub fn pop_due(&mut self, now: u64) -> Option<Name> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, name) = self.by_time.pop_first()?;
        self.times.remove(&name);
        Some(name)
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<u64> {
        self.by_time.first().map(|(due, _)| *due)
    }

    /// When this entry is due.
    pub fn due(&self, name: &Name) -> Option<u64> {
        self.times.get(name).copied()
    }

    /// Entries remembered.
    pub fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    /// Some were forgotten for want of room and half the room is free again: scan the directory.
    pub fn wants_scan(&mut self) -> bool {
        let wants = self.overflow && self.by_time.len() <= self.max / 2;
        if wants {
            self.overflow = false;
        }
        wants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u32) -> Name {
        Name::new(1, 1, 1, n, 1)
    }

    #[test]
    fn due_ones_come_in_order() {
        let mut w = Waiting::new(10);
        w.insert(30, name(3));
        w.insert(10, name(1));
        w.insert(20, name(2));
        w.insert(5, name(3));
        assert_eq!((w.len(), w.next_due()), (3, Some(5)));
        assert_eq!(w.pop_due(4), None);
        assert_eq!(w.pop_due(10), Some(name(3)));
        assert_eq!(w.pop_due(10), Some(name(1)));
        assert_eq!(w.pop_due(10), None);
        assert!(w.remove(&name(2)) && !w.remove(&name(2)) && w.is_empty());
    }

    #[test]
    fn the_clock_may_be_set_back() {
        let mut w = Waiting::new(10);
        for n in 1..4 {
            w.insert(u64::from(100 * n), name(n));
        }
        w.shift_back(150);
        assert_eq!(
            (w.next_due(), w.due(&name(1)), w.due(&name(2)), w.due(&name(3))),
            (Some(0), Some(0), Some(50), Some(150))
        );
        assert!(w.remove(&name(2)) && w.pop_due(0) == Some(name(1)) && w.len() == 1);
    }

    #[test]
    fn room_is_bounded_and_the_forgotten_are_asked_for_again() {
        let mut w = Waiting::new(10);
        for n in 0..100 {
            w.insert(u64::from(100 - n), name(n));
        }
        assert_eq!(w.len(), 10);
        assert_eq!(w.next_due(), Some(1), "the soonest are kept");
        assert!(!w.wants_scan());
        for _ in 0..5 {
            w.pop_due(100);
        }
        assert!(w.wants_scan());
        assert!(!w.wants_scan(), "once");
    }
}
