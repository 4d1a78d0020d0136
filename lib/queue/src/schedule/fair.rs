//! A queue in which senders take turns, and within a sender entries take turns.
//!
//! So ten thousand messages of one sender, or one message to ten thousand recipients, delay nobody else by more
//! than one turn. Higher MT-PRIORITY goes first (RFC 6710 5.1), but every fourth turn goes to the lower ones.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// The queue of one destination. `T` is a job.
#[derive(Debug)]
pub struct FairQueue<T> {
    levels: BTreeMap<i8, Level<T>>,
    len: usize,
    turn: u32,
}

#[derive(Debug)]
struct Level<T> {
    ring: VecDeque<String>,
    senders: HashMap<String, Turns<T>>,
}

#[derive(Debug)]
struct Turns<T> {
    ring: VecDeque<u64>,
    entries: HashMap<u64, VecDeque<T>>,
}

impl<T> Default for Level<T> {
    fn default() -> Self {
        Level { ring: VecDeque::new(), senders: HashMap::new() }
    }
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Turns { ring: VecDeque::new(), entries: HashMap::new() }
    }
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        FairQueue { levels: BTreeMap::new(), len: 0, turn: 0 }
    }
}

/// Every so many turns the lowest priority goes first, so that nothing starves.
const LOW_TURN: u32 = 4;

impl<T> FairQueue<T> {
    /// Adds a job of `entry`, sent by `sender`.
    pub fn push(&mut self, priority: i8, sender: &str, entry: u64, job: T) {
        self.len += 1;
        let level = self.levels.entry(priority).or_default();
        if !level.senders.contains_key(sender) {
            level.ring.push_back(sender.to_owned());
        }
        let turns = level.senders.entry(sender.to_owned()).or_default();
        if !turns.entries.contains_key(&entry) {
            turns.ring.push_back(entry);
        }
        turns.entries.entry(entry).or_default().push_back(job);
    }

    /// Takes over all of another queue, in its order.
    pub fn append(&mut self, other: FairQueue<T>) {
        other.levels.into_iter().for_each(|(priority, level)| self.append_level(priority, level));
    }

    fn append_level(&mut self, priority: i8, mut level: Level<T>) {
        for sender in level.ring {
            let Some(mut turns) = level.senders.remove(&sender) else { continue };
            for entry in turns.ring {
                let jobs = turns.entries.remove(&entry).unwrap_or_default();
                jobs.into_iter().for_each(|job| self.push(priority, &sender, entry, job));
            }
        }
    }

    /// Takes the job whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        self.turn = self.turn.wrapping_add(1);
        let keys = &self.levels;
        let lowest_first = self.turn.is_multiple_of(LOW_TURN);
        let key = *if lowest_first { keys.keys().next() } else { keys.keys().next_back() }?;
        let level = self.levels.get_mut(&key)?;
        let job = level.pop()?;
        if level.ring.is_empty() {
            self.levels.remove(&key);
        }
        self.len -= 1;
        Some(job)
    }

    /// Jobs waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes everything out, in turn.
    pub fn drain(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    /// Takes the jobs of one entry out (it was removed or held).
    pub fn remove_entry(&mut self, entry: u64) -> Vec<T> {
        let mut out = Vec::new();
        for level in self.levels.values_mut() {
            for turns in level.senders.values_mut() {
                if let Some(jobs) = turns.entries.remove(&entry) {
                    turns.ring.retain(|e| *e != entry);
                    out.extend(jobs);
                }
            }
            level.senders.retain(|_, turns| !turns.ring.is_empty());
            let senders = &level.senders;
            level.ring.retain(|s| senders.contains_key(s));
        }
        self.levels.retain(|_, level| !level.ring.is_empty());
        self.len -= out.len();
        out
    }
}

impl<T> Level<T> {
    fn pop(&mut self) -> Option<T> {
        let sender = self.ring.pop_front()?;
        let turns = self.senders.get_mut(&sender)?;
        let job = turns.pop();
        if turns.ring.is_empty() {
            self.senders.remove(&sender);
        } else {
            self.ring.push_back(sender);
        }
        job
    }
}

impl<T> Turns<T> {
    fn pop(&mut self) -> Option<T> {
        let entry = self.ring.pop_front()?;
        let jobs = self.entries.get_mut(&entry)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.entries.remove(&entry);
        } else {
            self.ring.push_back(entry);
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_take_turns() {
        let mut q = FairQueue::default();
        for n in 0..100 {
            q.push(0, "flood@a", n, format!("flood {n}"));
        }
        q.push(0, "one@b", 1000, "single".to_owned());
        assert_eq!(q.len(), 101);
        assert_eq!(q.pop().unwrap(), "flood 0");
        assert_eq!(q.pop().unwrap(), "single");
        assert_eq!(q.pop().unwrap(), "flood 1");
    }

    #[test]
    fn a_message_to_many_does_not_hold_its_senders_next_one() {
        let mut q = FairQueue::default();
        for n in 0..100 {
            q.push(0, "a@a", 1, n);
        }
        q.push(0, "a@a", 2, 1000);
        assert_eq!(q.pop(), Some(0));
        assert_eq!(q.pop(), Some(1000));
        assert_eq!(q.pop(), Some(1));
    }

    #[test]
    fn priority_goes_first_but_starves_nobody() {
        let mut q = FairQueue::default();
        for n in 0..20 {
            q.push(5, "a@a", n, "high");
        }
        q.push(-3, "b@b", 99, "low");
        let order = (0..4).filter_map(|_| q.pop()).collect::<Vec<_>>();
        assert_eq!(order, ["high", "high", "high", "low"]);
    }

    #[test]
    fn removing_and_draining_keep_count() {
        let mut q = FairQueue::default();
        for n in 0..10u64 {
            q.push((n % 3) as i8, if n % 2 == 0 { "a" } else { "b" }, n % 5, n);
        }
        assert_eq!(q.remove_entry(3).len(), 2);
        assert_eq!(q.remove_entry(3).len(), 0);
        assert_eq!(q.len(), 8);
        let mut rest = q.drain();
        rest.sort_unstable();
        assert_eq!(rest, [0, 1, 2, 4, 5, 6, 7, 9]);
        assert!(q.is_empty() && q.levels.is_empty());
    }
}
