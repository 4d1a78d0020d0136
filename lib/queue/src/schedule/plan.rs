//! All destinations with their queues: which job starts next.
//!
//! A destination that may start something shows the job whose turn it is; among those jobs senders and entries take turns
//! again. So a message to ten thousand destinations delays nobody more than one to ten thousand recipients of one.
//!
//! Invariants  1. a destination shows one job at most, and only while its limit, its pause and its pace allow a start
//!             2. time is that of the caller and must not jump: seconds of a steady clock

use super::fair::Turn;
use super::{FairQueue, Limits, Pace, Rate, Window};
use std::collections::{BTreeSet, HashMap};

/// What makes two jobs share a limit and a connection: a mailbox here, or a route and domain elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DestKey {
    /// A local mailbox by its canonical address.
    Local(String),
    /// A route and what it applies to, as text.
    Remote(String),
}

impl DestKey {
    fn is_local(&self) -> bool {
        matches!(self, DestKey::Local(_))
    }

    /// The address or route.
    pub fn text(&self) -> &str {
        match self {
            DestKey::Local(text) | DestKey::Remote(text) => text,
        }
    }
}

#[derive(Debug)]
struct Dest<T> {
    queue: FairQueue<T>,
    /// The job it shows.
    shown: Option<Turn<T>>,
    window: Window,
    pace: Option<Pace>,
    running: u32,
}

/// What a destination lacks to start another job.
enum Lacks {
    /// Nothing.
    Nothing,
    /// A job that ends.
    Room,
    /// Time, until then.
    Time(u64),
}

impl<T> Dest<T> {
    fn lacks(&mut self, now: u64) -> Lacks {
        if let Some(until) = self.window.paused(now) {
            return Lacks::Time(until);
        }
        if self.running >= self.window.allowed(now) {
            return Lacks::Room;
        }
        match self.pace.as_mut().map(|pace| (pace.ready(now), pace.next())) {
            Some((false, at)) => Lacks::Time(at),
            _ => Lacks::Nothing,
        }
    }

    fn waiting(&self) -> usize {
        self.queue.len() + usize::from(self.shown.is_some())
    }
}

/// Local or remote destinations; apart, so that one kind cannot use up the other's processes.
#[derive(Debug)]
struct Side {
    /// Destinations that show a job.
    ready: FairQueue<DestKey>,
    /// Destinations that only time holds back.
    timed: BTreeSet<(u64, DestKey)>,
    running: u32,
    /// Most jobs at a time.
    total: u32,
    limits: Limits,
}

/// A job that may start.
#[derive(Debug, PartialEq, Eq)]
pub struct Next<T> {
    /// Where it goes.
    pub dest: DestKey,
    /// The job.
    pub job: T,
}

/// The destinations. `T` is a job.
#[derive(Debug)]
pub struct Plan<T> {
    dests: HashMap<DestKey, Dest<T>>,
    sides: [Side; 2],
}

fn side(dest: &DestKey) -> usize {
    usize::from(!dest.is_local())
}

impl<T> Plan<T> {
    /// A plan with most jobs at a time and limits a destination, each for local and remote ones.
    pub fn new(totals: [u32; 2], limits: [Limits; 2]) -> Plan<T> {
        let side = |n: usize| Side {
            ready: FairQueue::default(),
            timed: BTreeSet::new(),
            running: 0,
            total: totals[n],
            limits: limits[n],
        };
        Plan { dests: HashMap::new(), sides: [side(0), side(1)] }
    }

    /// Other bounds from now on. What is known of the destinations stays, and so does what runs over the new bounds.
    pub fn rebound(&mut self, totals: [u32; 2], limits: [Limits; 2]) {
        for (key, dest) in &mut self.dests {
            let n = side(key);
            dest.window.follow(self.sides[n].limits, limits[n]);
        }
        for ((side, total), limits) in self.sides.iter_mut().zip(totals).zip(limits) {
            (side.total, side.limits) = (total, limits);
        }
    }

    fn dest(&mut self, key: &DestKey) -> &mut Dest<T> {
        let limits = self.sides[side(key)].limits;
        self.dests.entry(key.clone()).or_insert_with(|| Dest {
            queue: FairQueue::default(),
            shown: None,
            window: Window::new(limits),
            pace: None,
            running: 0,
        })
    }

    /// Lets a destination show a job, if it may.
    fn show(&mut self, key: &DestKey, now: u64) {
        let idle = |d: &&mut Dest<T>| d.shown.is_none() && !d.queue.is_empty();
        let Some(dest) = self.dests.get_mut(key).filter(idle) else { return };
        let side = &mut self.sides[side(key)];
        match dest.lacks(now) {
            Lacks::Nothing => {}
            Lacks::Room => return,
            Lacks::Time(at) => {
                side.timed.insert((at, key.clone()));
                return;
            }
        }
        let Some(turn) = dest.queue.pop() else { return };
        side.ready.push(turn.with(key.clone()));
        dest.shown = Some(turn);
    }

    /// Takes the job a destination shows back.
    fn hide(&mut self, key: &DestKey) -> Option<Turn<T>> {
        let turn = self.dests.get_mut(key)?.shown.take()?;
        self.sides[side(key)].ready.remove(turn.entry, |shown| shown == key);
        Some(turn)
    }

    /// The same, and it waits again with the others.
    fn withdraw(&mut self, key: &DestKey) {
        if let Some(turn) = self.hide(key) {
            self.dest(key).queue.push(turn);
        }
    }

    /// Queues a job.
    pub fn push(&mut self, key: &DestKey, turn: Turn<T>, now: u64) {
        self.dest(key).queue.push(turn);
        self.show(key, now);
    }

    /// What a route says of a destination: most jobs at a time (0: as configured) and how many may start in a time.
    pub fn shape(&mut self, key: &DestKey, most: u32, rate: Option<Rate>, now: u64) {
        let configured = self.sides[side(key)].limits.max;
        let dest = self.dest(key);
        dest.window.set_max(if most > 0 { most } else { configured });
        if dest.pace.as_ref().map(Pace::rate) != rate {
            dest.pace = rate.map(|r| Pace::new(r, now));
            self.show(key, now);
        }
    }

    /// One destination turned out to be another (a domain whose hosts are those of other domains): what waits for it, and
    /// one job that runs, belong to that one.
    pub fn moved(&mut self, from: &DestKey, to: &DestKey, now: u64) {
        if from == to || side(from) != side(to) {
            return;
        }
        self.withdraw(from);
        let Some(old) = self.dests.get_mut(from) else { return };
        old.running = old.running.saturating_sub(1);
        let (queue, pace, max) = (std::mem::take(&mut old.queue), old.pace.take(), old.window.max());
        let dest = self.dest(to);
        dest.running += 1;
        dest.window.set_max(max.min(dest.window.max()));
        dest.pace = pace.or(dest.pace.take());
        dest.queue.append(queue);
        if dest.running >= dest.window.allowed(now) {
            self.withdraw(to);
        }
        self.show(to, now);
    }

    /// When a job that only time holds back may start.
    pub fn wake(&self) -> Option<u64> {
        self.sides.iter().filter_map(|s| s.timed.first()).map(|(at, _)| *at).min()
    }

    /// Takes the next job that may start now; it counts as running until [`Plan::finished`].
    pub fn next(&mut self, now: u64) -> Option<Next<T>> {
        (0..2).find_map(|side| self.next_of(side, now))
    }

    fn next_of(&mut self, side: usize, now: u64) -> Option<Next<T>> {
        self.show_due(side, now);
        let of = &mut self.sides[side];
        if of.running >= of.total {
            return None;
        }
        let key = of.ready.pop()?.job;
        let dest = self.dests.get_mut(&key)?;
        let job = dest.shown.take()?.job;
        dest.running += 1;
        dest.pace.iter_mut().for_each(Pace::started);
        of.running += 1;
        self.show(&key, now);
        Some(Next { dest: key, job })
    }

    /// Destinations whose time has come.
    fn show_due(&mut self, side: usize, now: u64) {
        let timed = &mut self.sides[side].timed;
        if timed.first().is_none_or(|(at, _)| *at > now) {
            return;
        }
        let later = timed.split_off(&(now + 1, DestKey::Local(String::new())));
        for (_, key) in std::mem::replace(timed, later) {
            self.show(&key, now);
        }
    }

    /// A job ended. `reached`: `Some(true)` when the destination did its part, `Some(false)` when it could not be
    /// reached or sent us away, `None` when the end says nothing about it. True when it is now left alone.
    pub fn finished(&mut self, key: &DestKey, reached: Option<bool>, now: u64) -> bool {
        let Some(dest) = self.dests.get_mut(key) else { return false };
        let side = &mut self.sides[side(key)];
        dest.running = dest.running.saturating_sub(1);
        side.running = side.running.saturating_sub(1);
        let alone = match reached {
            Some(true) => {
                dest.window.success();
                false
            }
            Some(false) => dest.window.failure(now),
            None => false,
        };
        if reached == Some(false) {
            self.withdraw(key);
        }
        self.show(key, now);
        alone
    }

    /// Until when a destination is left alone.
    pub fn paused(&self, key: &DestKey, now: u64) -> Option<u64> {
        self.dests.get(key)?.window.paused(now)
    }

    /// Ends the pause of every destination whose text `matches`.
    pub fn retry_now(&mut self, matches: impl Fn(&str) -> bool, now: u64) {
        let found: Vec<DestKey> = self.dests.keys().filter(|k| matches(k.text())).cloned().collect();
        for key in found {
            self.dest(&key).window.retry_now();
            self.show(&key, now);
        }
    }

    /// Takes out all jobs of a destination (it is left alone; its entries are put off).
    pub fn drain(&mut self, key: &DestKey) -> Vec<T> {
        self.withdraw(key);
        self.dests.get_mut(key).map(|dest| dest.queue.drain()).unwrap_or_default()
    }

    /// Takes out all jobs of an entry.
    pub fn remove_entry(&mut self, entry: u64, now: u64) -> Vec<(DestKey, T)> {
        let shows = |d: &Dest<T>| d.shown.as_ref().is_some_and(|turn| turn.entry == entry);
        let shown: Vec<DestKey> = self.dests.iter().filter(|(_, d)| shows(d)).map(|(k, _)| k.clone()).collect();
        shown.iter().for_each(|key| self.withdraw(key));
        let mut out = Vec::new();
        for (key, dest) in self.dests.iter_mut().filter(|(_, d)| !d.queue.is_empty()) {
            out.extend(dest.queue.remove(entry, |_| true).into_iter().map(|job| (key.clone(), job)));
        }
        shown.iter().for_each(|key| self.show(key, now));
        out
    }

    /// Jobs waiting for a destination.
    pub fn waiting(&self, key: &DestKey) -> usize {
        self.dests.get(key).map_or(0, Dest::waiting)
    }

    /// Entries waiting for a destination.
    pub fn entries(&self, key: &DestKey) -> usize {
        self.dests.get(key).map_or(0, |d| d.queue.entries())
    }

    /// Whether so many entries wait for a destination that one more of this sender had better wait elsewhere: `most` of
    /// them, or twice as many where the sender has fewer there than its share.
    pub fn is_crowded(&self, key: &DestKey, sender: &str, most: usize) -> bool {
        let Some(queue) = self.dests.get(key).map(|d| &d.queue).filter(|q| q.entries() >= most) else { return false };
        queue.entries() >= 2 * most || queue.entries_of(sender) >= most.div_ceil(queue.senders().max(1))
    }

    /// Jobs running in all.
    pub fn running(&self) -> u32 {
        self.sides.iter().map(|s| s.running).sum()
    }

    /// Forgets destinations that are idle and about which there is nothing to remember.
    pub fn forget_idle(&mut self, now: u64) {
        self.dests.retain(|_, d| {
            let held_back = d.pace.as_mut().is_some_and(|p| !p.is_full(now));
            d.running > 0 || d.waiting() > 0 || held_back || d.window.paused(now).is_some()
        });
    }

    /// Each destination with jobs or a pause: key, waiting, running, allowed at a time, pause end.
    pub fn overview(&self, now: u64) -> Vec<(&DestKey, usize, u32, u32, Option<u64>)> {
        self.dests
            .iter()
            .map(|(k, d)| (k, d.waiting(), d.running, d.window.allowed(now), d.window.paused(now)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
