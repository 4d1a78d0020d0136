//! Entries that wait outside: where a destination, or one sender's mail, would take all the room there is in memory.
//!
//! Invariants  1. of a parked entry only the name is kept   2. it comes back in its sender's turn when there is room
//!             3. a sender alone may use the room; once it is half used, it keeps a share and the others come in

use crate::entry::Job;
use crate::intake::{ACTIVE_MAX, sender_of};
use crate::runner::Runner;
use penny_queue::Name;
use penny_queue::active::Active;
use penny_queue::schedule::{DestKey, FairQueue, Turn};

/// Entries that may wait for one destination, twice as many while their senders have few there.
const DEST_QUEUE_MAX: usize = 200;
/// Entries in memory from which on there is a share for each sender.
const LITTLE_ROOM: usize = ACTIVE_MAX / 2;
/// The share.
const SENDER_MAX: usize = ACTIVE_MAX / 4;

/// What an entry is too many for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Crowd {
    /// A destination has enough waiting.
    Destination(DestKey),
    /// A sender has enough in memory.
    Sender(String),
}

impl Runner {
    /// An entry all of whose jobs go to destinations that have enough waiting.
    pub fn crowded(&self, slot: u64, jobs: &[(DestKey, Job)]) -> Option<Crowd> {
        let sender = &self.entries.get(&slot)?.sender;
        let full = |dest: &DestKey| self.plan.is_crowded(dest, sender, DEST_QUEUE_MAX);
        let all = !jobs.is_empty() && jobs.iter().all(|(dest, _)| full(dest));
        all.then(|| jobs.first().map(|(dest, _)| Crowd::Destination(dest.clone()))).flatten()
    }

    /// Lets an entry wait until there is room for it.
    pub fn park(&mut self, slot: u64, crowd: Crowd) {
        self.write_journal(slot);
        let Some(entry) = self.forget(slot) else { return };
        let job = entry.active.name().clone();
        self.park_name(crowd, Turn { priority: entry.priority, sender: entry.sender, entry: slot, cost: 1, job });
    }

    fn park_name(&mut self, crowd: Crowd, turn: Turn<Name>) {
        self.parked_names.insert(turn.job.clone());
        self.parked.entry(crowd).or_default().push(turn);
    }

    /// Whether there is little room and an entry's sender has its share of it. What an admin wants tried is let in.
    pub fn is_hogging(&self, active: &Active) -> bool {
        self.entries.len() >= LITTLE_ROOM
            && !self.forced.contains(active.name())
            && self.active_of(sender_of(active)) >= SENDER_MAX
    }

    fn active_of(&self, sender: &str) -> usize {
        self.entries.values().filter(|e| e.sender == sender).count()
    }

    /// Lets an entry wait that has not been brought into memory.
    pub fn hold_back(&mut self, active: Active) {
        let (sender, priority) = (sender_of(&active).to_owned(), active.envelope().sender.priority());
        let entry = self.next_slot;
        self.next_slot += 1;
        let turn = Turn { priority, sender: sender.clone(), entry, cost: 1, job: active.name().clone() };
        self.park_name(Crowd::Sender(sender), turn);
    }

    /// How many of a crowd may come in: in batches, so that each job that ends does not cost a look at all.
    fn room_for(&self, crowd: &Crowd) -> usize {
        let (used, most) = match crowd {
            Crowd::Destination(dest) => (self.plan.entries(dest), DEST_QUEUE_MAX),
            Crowd::Sender(sender) => (self.active_of(sender), SENDER_MAX),
        };
        Some(most.saturating_sub(used)).filter(|free| *free >= most / 2).unwrap_or(0)
    }

    /// Brings those back for whom there is room now.
    pub fn unpark(&mut self) {
        let mut names = Vec::new();
        let room = ACTIVE_MAX.saturating_sub(self.entries.len());
        let mut parked = std::mem::take(&mut self.parked);
        parked.retain(|crowd, queue| {
            let free = self.room_for(crowd).min(room.saturating_sub(names.len()));
            names.extend((0..free).map_while(|_| queue.pop()).map(|turn| turn.job));
            !FairQueue::is_empty(queue)
        });
        self.parked = parked;
        for name in names {
            self.parked_names.remove(&name);
            self.load(name);
        }
    }
}
