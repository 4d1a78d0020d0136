//! Life time and back-off where a route sets its own (`lifetime=`, `retry=`): they hold for a recipient's domain, not for
//! the whole entry.
//!
//! Invariants  1. a recipient is given up when its own time is over, while the others go on
//!             2. a recipient whose own wait is longer is passed over in rounds that belong to others

use crate::entry::Entry;
use penny_queue::active::Times;
use penny_queue::job::Route;
use penny_queue::journal::{Target, Verdict};
use penny_queue::schedule::Backoff;

/// What a route says of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Age in seconds at which delivery is given up; 0 as configured.
    lifetime: u64,
    /// Shortest and longest wait between two tries.
    retry: Option<(u64, u64)>,
}

impl Terms {
    /// Of a route; `None` when it says nothing.
    pub fn of(route: &Route) -> Option<Terms> {
        let hop = route.hop()?;
        (hop.lifetime > 0 || hop.retry.is_some()).then_some(Terms { lifetime: hop.lifetime, retry: hop.retry })
    }

    fn backoff(self, usual: Backoff) -> Backoff {
        let (min, max) = self.retry.unwrap_or((usual.min, usual.max));
        let lifetime = if self.lifetime > 0 { self.lifetime } else { usual.lifetime };
        Backoff { min, max, lifetime }
    }
}

impl Entry {
    /// Whether a target's own back-off says that it is not its turn yet.
    pub fn too_early(&self, target: Target, terms: Terms, usual: Backoff, now: u64) -> bool {
        if self.forced || terms.retry.is_none() {
            return false;
        }
        let last = self.active.state().outcomes.get(&target).filter(|o| o.verdict == Verdict::Later);
        let arrival = self.active.envelope().arrival.0;
        // the earliest second its next try may have got; an outcome of the future is that of a clock set back since
        last.is_some_and(|o| o.time <= now && now < terms.backoff(usual).next(arrival, o.time, 0).max(o.time + 1))
    }

    /// Targets whose own time is over.
    pub fn lapsed(&self, now: u64) -> Vec<Target> {
        let arrival = self.active.envelope().arrival.0;
        let over = |t: &Target| {
            self.terms.get(t).is_some_and(|terms| terms.lifetime > 0 && now >= arrival.saturating_add(terms.lifetime))
        };
        self.active.open_targets().into_iter().filter(over).collect()
    }

    /// When the entry is to be looked at again: the nearest time of what is left of it.
    pub fn next_try(&self, usual: Backoff, times: Times, now: u64, random: u64) -> u64 {
        let arrival = self.active.envelope().arrival.0;
        let own = |t: Target| match self.terms.get(&t) {
            None => usual.next(arrival, now, random),
            Some(terms) => {
                let last = self.active.state().outcomes.get(&t).map_or(now, |o| o.time.clamp(1, now));
                terms.backoff(usual).next(arrival, last, random).max(now + 1)
            }
        };
        let unresolved = !self.active.unresolved().is_empty();
        let general = unresolved.then(|| usual.next(arrival, now, random));
        let due = self.active.open_targets().into_iter().map(own).chain(general).min();
        let due = due.unwrap_or_else(|| usual.next(arrival, now, random)).max(self.not_before);
        due.min(self.active.expires(times).max(now + 1))
    }
}
