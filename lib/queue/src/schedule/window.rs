//! How many tries at a time a destination bears, learned from its answers.
//!
//! Starts at a few, grows by one after as many successes as are in flight (so it doubles no faster than the
//! destination answers), halves on a connection that fails or a 4xx to the connection itself. When a whole round
//! of tries has failed in a row, the destination is left alone for a while that doubles each time.

/// Bounds of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tries at a time of a destination not yet known.
    pub start: u32,
    /// Most at a time.
    pub max: u32,
    /// First pause in seconds after a destination failed.
    pub pause_min: u64,
    /// Longest pause.
    pub pause_max: u64,
}

/// State of one destination.
#[derive(Clone, Debug)]
pub struct Window {
    limits: Limits,
    /// Allowed at a time, in hundredths.
    allowed: u32,
    failures: u32,
    pause: u64,
    until: u64,
}

/// One try, in the unit of `allowed`.
const ONE: u32 = 100;

impl Window {
    /// A destination nothing is known of.
    pub fn new(limits: Limits) -> Window {
        let allowed = limits.start.clamp(1, limits.max.max(1)) * ONE;
        Window { limits, allowed, failures: 0, pause: 0, until: 0 }
    }

    /// Another maximum, as the route of the destination has it.
    pub fn set_max(&mut self, max: u32) {
        self.limits.max = max.max(1);
        self.allowed = self.allowed.min(self.limits.max * ONE);
    }

    /// The configuration has other limits now; a maximum that is the route's stays.
    pub fn follow(&mut self, old: Limits, new: Limits) {
        let max = if self.limits.max == old.max { new.max } else { self.limits.max };
        self.limits = new;
        self.set_max(max);
    }

    /// The maximum.
    pub fn max(&self) -> u32 {
        self.limits.max
    }

    /// Tries allowed at a time at `now`: none while the destination is left alone.
    pub fn allowed(&self, now: u64) -> u32 {
        if self.paused(now).is_some() { 0 } else { (self.allowed / ONE).max(1) }
    }

    /// Until when the destination is left alone.
    pub fn paused(&self, now: u64) -> Option<u64> {
        (self.until > now).then_some(self.until)
    }

    /// The destination took a message, or refused it for a reason of the message's own.
    pub fn success(&mut self) {
        self.failures = 0;
        self.pause = 0;
        self.until = 0;
        let step = (ONE * ONE / self.allowed.max(1)).max(1);
        self.allowed = (self.allowed + step).min(self.limits.max.max(1) * ONE);
    }

    /// The destination could not be reached or sent us away. True when it is now left alone.
    pub fn failure(&mut self, now: u64) -> bool {
        self.failures += 1;
        self.allowed = (self.allowed / 2).max(ONE);
        if self.failures * ONE < self.allowed {
            return false;
        }
        // tries that were in flight when the pause began are no new evidence
        if self.paused(now).is_none() {
            self.pause =
                (self.pause * 2).clamp(self.limits.pause_min, self.limits.pause_max.max(self.limits.pause_min));
            self.until = now + self.pause;
        }
        true
    }

    /// Ends a pause, as the admin wants it tried now.
    pub fn retry_now(&mut self) {
        self.until = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const L: Limits = Limits { start: 5, max: 20, pause_min: 60, pause_max: 1800 };

    #[test]
    fn grows_with_success_to_its_maximum() {
        let mut w = Window::new(L);
        assert_eq!(w.allowed(0), 5);
        for _ in 0..6 {
            w.success();
        }
        assert_eq!(w.allowed(0), 6);
        for _ in 0..1000 {
            w.success();
        }
        assert_eq!(w.allowed(0), 20);
    }

    #[test]
    fn shrinks_and_pauses_with_failure() {
        let mut w = Window::new(L);
        assert!(!w.failure(0), "one failure of five in flight is no reason to stop");
        assert_eq!(w.allowed(0), 2);
        assert!(w.failure(0));
        assert_eq!(w.allowed(0), 0);
        assert_eq!(w.paused(0), Some(60));
        assert!(w.failure(1), "stragglers");
        assert_eq!(w.paused(1), Some(60), "do not prolong the pause");
        assert_eq!(w.allowed(60), 1, "then one at a time");
        assert!(w.failure(60));
        assert_eq!(w.paused(60), Some(180), "and a longer pause");
        for _ in 0..20 {
            let again = w.paused(60).unwrap_or(60);
            w.failure(again);
        }
        assert!(w.until <= 60 + 1800 * 20 && w.pause == 1800);
        w.retry_now();
        assert_eq!(w.allowed(0), 1);
        w.success();
        assert!(!w.failure(100) || w.pause == 60, "a success forgets the past");
    }
}
