//! A queue in which senders take turns, and within a sender entries take turns.
//!
//! A turn costs what it moves: a job for a hundred recipients counts as much as eleven for one. So ten thousand messages of
//! one sender, or one message to ten thousand recipients, delay nobody else by more than one turn, and single messages
//! overtake a large one as Postfix's preemption lets them. Higher MT-PRIORITY goes first (RFC 6710 5.1), but every fourth
//! turn goes to the lowest.

use super::ring::Ring;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// A job with what decides whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn<T> {
    /// MT-PRIORITY.
    pub priority: i8,
    /// Who sent it.
    pub sender: String,
    /// The entry it is of.
    pub entry: u64,
    /// What it counts for.
    pub cost: u32,
    /// The job.
    pub job: T,
}

impl<T> Turn<T> {
    /// The same turn for something else.
    pub fn with<U>(&self, job: U) -> Turn<U> {
        Turn { priority: self.priority, sender: self.sender.clone(), entry: self.entry, cost: self.cost, job }
    }
}

/// Recipients that are as much work as a transaction without any.
const RECIPIENTS_A_TRANSACTION: usize = 10;

/// What a job for so many recipients counts for.
pub fn cost(recipients: usize) -> u32 {
    u32::try_from(recipients / RECIPIENTS_A_TRANSACTION).unwrap_or(u32::MAX - 1) + 1
}

/// The queue of one destination, or of those that wait for a free process. `T` is a job.
#[derive(Debug)]
pub struct FairQueue<T> {
    levels: BTreeMap<i8, Level<T>>,
    len: usize,
    entries: usize,
    turn: u32,
}

/// All of one priority.
#[derive(Debug)]
struct Level<T> {
    ring: Ring<String>,
    /// Some have nothing waiting: they are kept a while for what their entries owe.
    senders: HashMap<String, Turns<T>>,
}

/// All of one sender.
#[derive(Debug)]
struct Turns<T> {
    ring: Ring<u64>,
    entries: HashMap<u64, VecDeque<(u32, T)>>,
}

impl<T> Default for Level<T> {
    fn default() -> Self {
        Level { ring: Ring::default(), senders: HashMap::new() }
    }
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Turns { ring: Ring::default(), entries: HashMap::new() }
    }
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        FairQueue { levels: BTreeMap::new(), len: 0, entries: 0, turn: 0 }
    }
}

/// Every so many turns the lowest priority goes first, so that nothing starves.
const LOW_TURN: u32 = 4;
/// Senders with nothing waiting are forgotten when there are so many more of them.
const IDLE_SENDERS: usize = 64;

impl<T> FairQueue<T> {
    /// Adds a job.
    pub fn push(&mut self, turn: Turn<T>) {
        let Turn { priority, sender, entry, cost, job } = turn;
        self.len += 1;
        let level = self.levels.entry(priority).or_default();
        let turns = level.senders.entry(sender.clone()).or_default();
        if turns.ring.is_empty() {
            level.ring.join(sender);
        }
        if !turns.entries.contains_key(&entry) {
            turns.ring.join(entry);
            self.entries += 1;
        }
        turns.entries.entry(entry).or_default().push_back((cost, job));
    }

    /// Takes over all of another queue, in its order.
    pub fn append(&mut self, other: FairQueue<T>) {
        other.levels.into_iter().for_each(|(priority, level)| self.append_level(priority, level));
    }

    fn append_level(&mut self, priority: i8, mut level: Level<T>) {
        for sender in level.ring.into_keys() {
            let Some(mut turns) = level.senders.remove(&sender) else { continue };
            for entry in turns.ring.into_keys() {
                for (cost, job) in turns.entries.remove(&entry).unwrap_or_default() {
                    self.push(Turn { priority, sender: sender.clone(), entry, cost, job });
                }
            }
        }
    }

    /// Takes the job whose turn it is.
    pub fn pop(&mut self) -> Option<Turn<T>> {
        self.turn = self.turn.wrapping_add(1);
        let lowest_first = self.turn.is_multiple_of(LOW_TURN);
        let mut busy = self.levels.iter_mut().filter(|(_, level)| !level.ring.is_empty());
        let (priority, level) = if lowest_first { busy.next() } else { busy.next_back() }?;
        let (sender, entry, cost, job) = level.pop()?;
        let goes_on = level.senders.get(&sender).is_some_and(|t| t.entries.contains_key(&entry));
        self.entries -= usize::from(!goes_on);
        self.len -= 1;
        Some(Turn { priority: *priority, sender, entry, cost, job })
    }

    /// Jobs waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries of which jobs wait.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Entries of one sender.
    pub fn entries_of(&self, sender: &str) -> usize {
        self.levels.values().filter_map(|l| l.senders.get(sender)).map(|t| t.entries.len()).sum()
    }

    /// Senders of which jobs wait.
    pub fn senders(&self) -> usize {
        self.levels.values().map(|l| l.ring.len()).sum()
    }

    /// Takes everything out, in turn.
    pub fn drain(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop()).map(|turn| turn.job).collect()
    }

    /// Takes those jobs of an entry out that are `wanted` (it was removed or held).
    pub fn remove(&mut self, entry: u64, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut out = Vec::new();
        for level in self.levels.values_mut() {
            self.entries -= level.remove(entry, &wanted, &mut out);
        }
        self.len -= out.len();
        out
    }
}

impl<T> Level<T> {
    fn pop(&mut self) -> Option<(String, u64, u32, T)> {
        let first = self.ring.first()?;
        let sender = first.key.clone();
        let turns = self.senders.get_mut(&sender)?;
        let (entry, cost, job) = turns.pop()?;
        if turns.ring.is_empty() {
            self.ring.left(first, cost);
            self.forget_idle();
        } else {
            self.ring.again(first, cost);
        }
        Some((sender, entry, cost, job))
    }

    fn forget_idle(&mut self) {
        if self.senders.len() > self.ring.len() + IDLE_SENDERS {
            self.senders.retain(|_, turns| !turns.ring.is_empty());
        }
    }

    /// Gives how many entries have no job left.
    fn remove(&mut self, entry: u64, wanted: impl Fn(&T) -> bool, out: &mut Vec<T>) -> usize {
        let mut gone = 0;
        for turns in self.senders.values_mut() {
            let Some(jobs) = turns.entries.get_mut(&entry) else { continue };
            let (taken, kept): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(jobs).into_iter().partition(|(_, job)| wanted(job));
            *jobs = kept;
            out.extend(taken.into_iter().map(|(_, job)| job));
            if jobs.is_empty() {
                turns.entries.remove(&entry);
                turns.ring.remove(|e| *e == entry);
                gone += 1;
            }
        }
        let senders = &self.senders;
        self.ring.remove(|s| senders.get(s).is_none_or(|turns| turns.ring.is_empty()));
        gone
    }
}

impl<T> Turns<T> {
    fn pop(&mut self) -> Option<(u64, u32, T)> {
        let first = self.ring.first()?;
        let entry = first.key;
        let jobs = self.entries.get_mut(&entry)?;
        let (cost, job) = jobs.pop_front()?;
        if jobs.is_empty() {
            self.entries.remove(&entry);
            self.ring.left(first, cost);
        } else {
            self.ring.again(first, cost);
        }
        Some((entry, cost, job))
    }
}

#[cfg(test)]
mod tests;
