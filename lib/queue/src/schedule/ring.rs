//! Who is next among those that take turns, when turns differ in cost.
//!
//! Each has a pass, the sum of what its turns cost; the lowest goes next, among equals the one that has waited longer. Who
//! comes new begins one step behind the turn that is being taken: before those that had dear turns, behind those that
//! have waited since. So a stream of newcomers holds nobody for ever, and nobody saves turns up by staying away.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Those that take turns.
#[derive(Debug)]
pub(super) struct Ring<K> {
    order: BTreeSet<(u64, u64, K)>,
    /// Passes of those that left before their last turn was paid for.
    debts: HashMap<K, u64>,
    now: u64,
    seq: u64,
}

/// The one whose turn it is, with its pass.
pub(super) struct First<K> {
    pub key: K,
    pass: u64,
}

impl<K> Default for Ring<K> {
    fn default() -> Self {
        Ring { order: BTreeSet::new(), debts: HashMap::new(), now: 0, seq: 0 }
    }
}

/// Debts are looked through when there are this many more than members.
const DEBTS_SPARE: usize = 64;

impl<K: Ord + Hash + Clone> Ring<K> {
    fn insert(&mut self, pass: u64, key: K) {
        self.seq += 1;
        self.order.insert((pass, self.seq, key));
    }

    /// A newcomer, or one that comes back.
    pub fn join(&mut self, key: K) {
        let owed = self.debts.remove(&key).unwrap_or(0);
        self.insert(owed.max(self.now + 1), key);
    }

    /// Takes the one whose turn it is out; it is put back with [`Ring::again`] or has [`Ring::left`].
    pub fn first(&mut self) -> Option<First<K>> {
        let (pass, _, key) = self.order.pop_first()?;
        self.now = pass;
        Some(First { key, pass })
    }

    /// It has had its turn and wants another.
    pub fn again(&mut self, first: First<K>, cost: u32) {
        self.insert(first.pass + u64::from(cost), first.key);
    }

    /// It has had its turn and wants no other now.
    pub fn left(&mut self, first: First<K>, cost: u32) {
        if self.debts.len() > self.order.len() + DEBTS_SPARE {
            let now = self.now;
            self.debts.retain(|_, pass| *pass > now + 1);
        }
        // less than that is what a newcomer begins with
        if cost > 1 {
            self.debts.insert(first.key, first.pass + u64::from(cost));
        }
    }

    /// Members without turn for whom `gone` holds.
    pub fn remove(&mut self, gone: impl Fn(&K) -> bool) {
        self.order.retain(|(_, _, key)| !gone(key));
    }

    /// Members in the order of their next turns.
    pub fn into_keys(self) -> impl Iterator<Item = K> {
        self.order.into_iter().map(|(_, _, key)| key)
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(ring: &mut Ring<&'static str>, cost: impl Fn(&str) -> u32, count: usize) -> Vec<&'static str> {
        (0..count)
            .filter_map(|_| {
                let first = ring.first()?;
                let (key, cost) = (first.key, cost(first.key));
                ring.again(first, cost);
                Some(key)
            })
            .collect()
    }

    #[test]
    fn who_costs_more_comes_less_often() {
        let mut ring = Ring::default();
        ["dear", "cheap"].into_iter().for_each(|k| ring.join(k));
        let order = turns(&mut ring, |k| if k == "dear" { 5 } else { 1 }, 60);
        assert_eq!(order.iter().filter(|k| **k == "dear").count(), 10);
        assert_eq!(order[..7], ["dear", "cheap", "cheap", "cheap", "cheap", "cheap", "dear"]);
    }

    #[test]
    fn newcomers_go_before_the_dear_and_starve_nobody() {
        let mut ring = Ring::default();
        ring.join(0);
        let first = ring.first().unwrap();
        ring.again(first, 10);
        // each newcomer has one turn and leaves; the next is already there
        let before = (1..100).take_while(|n| {
            ring.join(*n);
            let first = ring.first().unwrap();
            let is_new = first.key == *n;
            if is_new {
                ring.left(first, 1)
            } else {
                ring.again(first, 10)
            }
            is_new
        });
        assert!((5..=10).contains(&before.count()));
    }

    #[test]
    fn leaving_and_coming_back_pays_no_less() {
        let mut ring = Ring::default();
        ring.join("one");
        ring.join("other");
        let mut taken = HashMap::new();
        for _ in 0..44 {
            let first = ring.first().unwrap();
            let (key, cost) = (first.key, if first.key == "one" { 10 } else { 1 });
            ring.left(first, cost);
            ring.join(key);
            *taken.entry(key).or_insert(0) += 1;
        }
        assert_eq!(taken, HashMap::from([("one", 4), ("other", 40)]));
    }

    #[test]
    fn debts_are_forgotten_in_time() {
        let mut ring = Ring::default();
        for n in 0..10_000 {
            ring.join(n);
            let first = ring.first().unwrap();
            ring.left(first, 2);
        }
        assert!(ring.debts.len() <= DEBTS_SPARE + 1, "{}", ring.debts.len());
    }
}
