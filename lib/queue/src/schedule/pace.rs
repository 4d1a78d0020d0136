//! How many jobs of a destination may start in a span of time: an admin's `rate=`.
//!
//! A bucket: credit grows with time, a start costs it. What may be saved up is one second's worth and one start, so that a
//! destination that was idle for a night does not get the night's mail at once.

/// Jobs that may start in some seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Jobs.
    pub jobs: u32,
    /// Seconds.
    pub seconds: u32,
}

/// The bucket of one destination.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: Rate,
    /// Jobs times seconds; a start costs `rate.seconds`.
    credit: u64,
    at: u64,
}

impl Pace {
    /// A bucket that lets the first job start at once.
    pub fn new(rate: Rate, now: u64) -> Pace {
        let mut pace = Pace { rate: Rate { jobs: rate.jobs.max(1), seconds: rate.seconds.max(1) }, credit: 0, at: now };
        pace.credit = u64::from(pace.rate.jobs.max(pace.rate.seconds));
        pace
    }

    fn most(&self) -> u64 {
        u64::from(self.rate.jobs) + u64::from(self.rate.seconds) - 1
    }

    fn refill(&mut self, now: u64) {
        // a clock that was set back grants nothing and takes nothing
        let grown = now.saturating_sub(self.at).saturating_mul(u64::from(self.rate.jobs));
        self.credit = self.credit.saturating_add(grown).min(self.most());
        self.at = now;
    }

    /// Whether a job may start.
    pub fn ready(&mut self, now: u64) -> bool {
        self.refill(now);
        self.credit >= u64::from(self.rate.seconds)
    }

    /// A job started.
    pub fn started(&mut self) {
        self.credit = self.credit.saturating_sub(u64::from(self.rate.seconds));
    }

    /// When the next job may start.
    pub fn next(&self) -> u64 {
        let missing = u64::from(self.rate.seconds).saturating_sub(self.credit);
        self.at.saturating_add(missing.div_ceil(u64::from(self.rate.jobs)))
    }

    /// The rate it keeps.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether nothing is to be remembered of it.
    pub fn is_full(&mut self, now: u64) -> bool {
        self.refill(now);
        self.credit == self.most()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(rate: Rate, seconds: u64) -> Vec<u64> {
        let mut pace = Pace::new(rate, 1000);
        let mut out = Vec::new();
        for now in 1000..1000 + seconds {
            while pace.ready(now) {
                pace.started();
                out.push(now - 1000);
            }
        }
        out
    }

    #[test]
    fn a_slow_rate_is_evenly_spread() {
        assert_eq!(starts(Rate { jobs: 4, seconds: 60 }, 60), [0, 15, 30, 45]);
    }

    #[test]
    fn a_fast_rate_is_kept_second_by_second() {
        let all = starts(Rate { jobs: 10, seconds: 1 }, 5);
        assert_eq!(all.len(), 50);
        assert_eq!(all.iter().filter(|t| **t == 3).count(), 10);
        assert_eq!(starts(Rate { jobs: 90, seconds: 60 }, 120).len(), 180);
    }

    #[test]
    fn idle_time_is_not_saved_up_and_clocks_may_go_back() {
        let mut pace = Pace::new(Rate { jobs: 4, seconds: 60 }, 0);
        pace.started();
        assert!(!pace.ready(14));
        assert_eq!(pace.next(), 15);
        assert!(pace.ready(90_000));
        pace.started();
        assert!(!pace.ready(90_000), "one start was saved up, not a day's");
        assert!(!pace.ready(100));
        assert!(pace.ready(115), "counted from the new time");
        assert!(!pace.is_full(115) || pace.ready(115));
    }
}
