//! All destinations with their queues: which job starts next.

use super::{FairQueue, Limits, Pace, Rate, Window};
use std::collections::{HashMap, VecDeque};

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
    window: Window,
    pace: Option<Pace>,
    running: u32,
    in_ring: bool,
}

impl<T> Dest<T> {
    fn may_start(&mut self, now: u64) -> bool {
        self.running < self.window.allowed(now) && self.pace.as_mut().is_none_or(|p| p.ready(now))
    }
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
    /// Destinations that have jobs, local and remote apart so that one kind cannot use up the other's processes.
    rings: [VecDeque<DestKey>; 2],
    running: [u32; 2],
    /// Most jobs at a time: local, remote.
    totals: [u32; 2],
    limits: [Limits; 2],
}

fn side(dest: &DestKey) -> usize {
    usize::from(!dest.is_local())
}

impl<T> Plan<T> {
    /// A plan with most jobs at a time and limits a destination, each for local and remote ones.
    pub fn new(totals: [u32; 2], limits: [Limits; 2]) -> Plan<T> {
        Plan { dests: HashMap::new(), rings: [VecDeque::new(), VecDeque::new()], running: [0, 0], totals, limits }
    }

    fn dest(&mut self, key: &DestKey) -> &mut Dest<T> {
        let limits = self.limits[side(key)];
        self.dests.entry(key.clone()).or_insert_with(|| Dest {
            queue: FairQueue::default(),
            window: Window::new(limits),
            pace: None,
            running: 0,
            in_ring: false,
        })
    }

    /// Queues a job.
    pub fn push(&mut self, key: &DestKey, priority: i8, sender: &str, entry: u64, job: T) {
        let dest = self.dest(key);
        dest.queue.push(priority, sender, entry, job);
        if !std::mem::replace(&mut dest.in_ring, true) {
            self.rings[side(key)].push_back(key.clone());
        }
    }

    /// What a route says of a destination: most jobs at a time (0: as configured) and how many may start in a time.
    pub fn shape(&mut self, key: &DestKey, most: u32, rate: Option<Rate>, now: u64) {
        let configured = self.limits[side(key)].max;
        let dest = self.dest(key);
        dest.window.set_max(if most > 0 { most } else { configured });
        if dest.pace.as_ref().map(Pace::rate) != rate {
            dest.pace = rate.map(|r| Pace::new(r, now));
        }
    }

    /// One destination turned out to be another (a domain whose hosts are those of other domains): what waits for it, and
    /// one job that runs, belong to that one.
    pub fn moved(&mut self, from: &DestKey, to: &DestKey) {
        if from == to || side(from) != side(to) {
            return;
        }
        let Some(old) = self.dests.get_mut(from) else { return };
        old.running = old.running.saturating_sub(1);
        let (queue, pace, max) = (std::mem::take(&mut old.queue), old.pace.take(), old.window.max());
        let dest = self.dest(to);
        dest.running += 1;
        dest.window.set_max(max.min(dest.window.max()));
        dest.pace = pace.or(dest.pace.take());
        dest.queue.append(queue);
        if !dest.queue.is_empty() && !std::mem::replace(&mut dest.in_ring, true) {
            self.rings[side(to)].push_back(to.clone());
        }
    }

    /// When a job that only a rate holds back may start.
    pub fn wake(&self) -> Option<u64> {
        let paced = self.dests.values().filter(|d| !d.queue.is_empty());
        paced.filter_map(|d| d.pace.as_ref()).map(Pace::next).min()
    }

    /// Takes the next job that may start now; it counts as running until [`Plan::finished`].
    pub fn next(&mut self, now: u64) -> Option<Next<T>> {
        (0..2).find_map(|side| self.next_of(side, now))
    }

    fn next_of(&mut self, side: usize, now: u64) -> Option<Next<T>> {
        if self.running[side] >= self.totals[side] {
            return None;
        }
        // each destination with jobs is looked at once at most
        for _ in 0..self.rings[side].len() {
            let key = self.rings[side].pop_front()?;
            let Some(dest) = self.dests.get_mut(&key) else { continue };
            let job = if dest.may_start(now) { dest.queue.pop() } else { None };
            if dest.queue.is_empty() {
                dest.in_ring = false;
            } else {
                self.rings[side].push_back(key.clone());
            }
            if let Some(job) = job {
                dest.running += 1;
                dest.pace.iter_mut().for_each(Pace::started);
                self.running[side] += 1;
                return Some(Next { dest: key, job });
            }
        }
        None
    }

    /// A job ended. `reached`: `Some(true)` when the destination did its part, `Some(false)` when it could not be
    /// reached or sent us away, `None` when the end says nothing about it. True when it is now left alone.
    pub fn finished(&mut self, key: &DestKey, reached: Option<bool>, now: u64) -> bool {
        let Some(dest) = self.dests.get_mut(key) else { return false };
        dest.running = dest.running.saturating_sub(1);
        self.running[side(key)] = self.running[side(key)].saturating_sub(1);
        match reached {
            Some(true) => dest.window.success(),
            Some(false) => return dest.window.failure(now),
            None => {}
        }
        false
    }

    /// Until when a destination is left alone.
    pub fn paused(&self, key: &DestKey, now: u64) -> Option<u64> {
        self.dests.get(key)?.window.paused(now)
    }

    /// Ends the pause of every destination whose text `matches`.
    pub fn retry_now(&mut self, matches: impl Fn(&str) -> bool) {
        for (key, dest) in &mut self.dests {
            if matches(key.text()) {
                dest.window.retry_now();
            }
        }
    }

    /// Takes out all jobs of a destination (it is left alone; its entries are put off).
    pub fn drain(&mut self, key: &DestKey) -> Vec<T> {
        let Some(dest) = self.dests.get_mut(key) else { return Vec::new() };
        dest.queue.drain()
    }

    /// Takes out all jobs of an entry.
    pub fn remove_entry(&mut self, entry: u64) -> Vec<(DestKey, T)> {
        let mut out = Vec::new();
        for (key, dest) in self.dests.iter_mut().filter(|(_, d)| !d.queue.is_empty()) {
            out.extend(dest.queue.remove_entry(entry).into_iter().map(|job| (key.clone(), job)));
        }
        out
    }

    /// Jobs waiting for a destination.
    pub fn waiting(&self, key: &DestKey) -> usize {
        self.dests.get(key).map_or(0, |d| d.queue.len())
    }

    /// Jobs running in all.
    pub fn running(&self) -> u32 {
        self.running.iter().sum()
    }

    /// Forgets destinations that are idle and about which there is nothing to remember.
    pub fn forget_idle(&mut self, now: u64) {
        self.dests.retain(|_, d| {
            let held_back = d.pace.as_mut().is_some_and(|p| !p.is_full(now));
            d.running > 0 || d.in_ring || held_back || d.window.paused(now).is_some()
        });
    }

    /// Each destination with jobs or a pause: key, waiting, running, allowed at a time, pause end.
    pub fn overview(&self, now: u64) -> Vec<(&DestKey, usize, u32, u32, Option<u64>)> {
        self.dests
            .iter()
            .map(|(k, d)| (k, d.queue.len(), d.running, d.window.allowed(now), d.window.paused(now)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan<u32> {
        let limits = Limits { start: 2, max: 4, pause_min: 60, pause_max: 600 };
        Plan::new([10, 3], [limits, limits])
    }

    fn remote(name: &str) -> DestKey {
        DestKey::Remote(name.to_owned())
    }

    #[test]
    fn one_busy_destination_does_not_hold_another() {
        let mut p = plan();
        for n in 0..100 {
            p.push(&remote("slow"), 0, "s", u64::from(n), n);
        }
        p.push(&remote("fast"), 0, "s", 1000, 1000);
        let started = std::iter::from_fn(|| p.next(0)).map(|n| n.job).collect::<Vec<_>>();
        assert_eq!(started, [0, 1000, 1], "turns, a limit for each and one for all");
        assert!(!p.finished(&remote("fast"), Some(true), 0));
        assert_eq!(p.next(0), None, "slow has its two");
        p.finished(&remote("slow"), Some(true), 0);
        assert_eq!(p.next(0).unwrap().job, 2);
    }

    #[test]
    fn remote_jobs_do_not_use_up_the_local_ones() {
        let mut p = plan();
        for n in 0..10 {
            p.push(&remote(&format!("d{n}")), 0, "s", n, 1);
        }
        while p.next(0).is_some() {}
        p.push(&DestKey::Local("u@x".into()), 0, "s", 99, 2);
        assert_eq!(p.next(0).unwrap().job, 2);
        assert_eq!(p.running(), 4);
    }

    #[test]
    fn a_dead_destination_is_left_alone_and_comes_back() {
        let mut p = plan();
        let dead = remote("dead");
        for n in 0..5 {
            p.push(&dead, 0, "s", n, 7);
        }
        assert!(p.next(0).is_some() && p.next(0).is_some());
        assert!(p.finished(&dead, Some(false), 0));
        assert_eq!(p.paused(&dead, 0), Some(60));
        assert_eq!(p.next(1), None);
        assert_eq!(p.drain(&dead).len(), 3);
        p.finished(&dead, None, 1);
        p.forget_idle(1);
        assert_eq!(p.paused(&dead, 1), Some(60), "a pause is remembered");
        p.push(&dead, 0, "s", 9, 8);
        assert_eq!(p.next(61).unwrap().job, 8);
        p.finished(&dead, Some(true), 62);
        p.forget_idle(62);
        assert!(p.overview(62).is_empty());
    }

    #[test]
    fn a_route_bounds_connections_and_pace() {
        let mut p = plan();
        let small = remote("small");
        p.shape(&small, 1, Some(Rate { jobs: 6, seconds: 60 }), 0);
        for n in 0..3 {
            p.push(&small, 0, "s", n, n as u32);
        }
        assert_eq!(p.next(0).unwrap().job, 0);
        assert_eq!(p.next(0), None, "one connection");
        p.finished(&small, Some(true), 0);
        assert_eq!(p.next(9), None, "six a minute");
        assert_eq!(p.wake(), Some(10));
        assert_eq!(p.next(10).unwrap().job, 1);
        p.shape(&small, 1, None, 10);
        p.finished(&small, Some(true), 10);
        assert_eq!(p.next(10).unwrap().job, 2, "the admin lifted it");
        assert_eq!(p.wake(), None);
    }

    #[test]
    fn domains_of_one_site_share_its_limit() {
        let mut p = plan();
        let (a, b, site) = (remote("a.example"), remote("b.example"), remote("mx:host"));
        for n in 0..4 {
            p.push(&a, 0, "s", n, 1);
            p.push(&b, 0, "s", 10 + n, 2);
        }
        assert!(p.next(0).is_some() && p.next(0).is_some());
        p.moved(&a, &site);
        p.moved(&b, &site);
        assert_eq!((p.waiting(&a), p.waiting(&b), p.waiting(&site)), (0, 0, 6));
        assert_eq!(p.next(0), None, "two run there already");
        p.finished(&site, Some(true), 0);
        assert!(p.next(0).is_some());
        assert_eq!(p.running(), 2);
        p.finished(&site, Some(true), 0);
        p.finished(&site, Some(true), 0);
        p.forget_idle(0);
        assert_eq!(p.overview(0).len(), 1, "nothing is left of the domains");
    }

    #[test]
    fn an_entry_can_be_taken_out() {
        let mut p = plan();
        for n in 0..6 {
            p.push(&remote(&format!("d{}", n % 2)), 0, "s", u64::from(n % 3), n);
        }
        assert_eq!(p.remove_entry(1).len(), 2);
        assert_eq!(p.waiting(&remote("d0")) + p.waiting(&remote("d1")), 4);
        let mut left = std::iter::from_fn(|| p.next(0)).map(|n| n.job).collect::<Vec<_>>();
        left.sort_unstable();
        assert_eq!(left.len(), 3);
        assert!(left.iter().all(|n| n % 3 != 1));
    }
}
