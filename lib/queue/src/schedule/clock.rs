//! The wall clock against a steady one: was it set, and can ages of messages be believed?
//!
//! Invariants  1. a clock set back shifts what waits with it: nothing waits longer than it had to
//!             2. after a leap forward, be it a clock that was set wrong or right, a machine that slept or a scheduler that
//!                did not run, nothing is given up for its age until it could be tried for as long as the leap was, a day
//!                at most

/// A leap forward that counts, in seconds.
const FORWARD: u64 = 3600;
/// A step back that counts.
const BACK: u64 = 60;
/// Longest time in which ages are not believed.
const PATIENCE_MAX: u64 = 86_400;

/// What became of the clock since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// Nothing.
    None,
    /// It was set back by so many seconds.
    Back(u64),
    /// It leapt forward by so many.
    Forward(u64),
}

/// The state of the watch.
#[derive(Clone, Debug)]
pub struct Clock {
    wall: u64,
    steady: u64,
    patient_until: u64,
}

impl Clock {
    /// The wall clock was last looked at by an earlier run at `seen`, and says `wall` now.
    pub fn new(seen: u64, wall: u64, steady: u64) -> Clock {
        let mut clock = Clock { wall: seen.min(wall), steady, patient_until: steady };
        clock.look(wall, steady);
        clock
    }

    /// Looks at both clocks.
    pub fn look(&mut self, wall: u64, steady: u64) -> Jump {
        let expected = self.wall + steady.saturating_sub(self.steady);
        (self.wall, self.steady) = (wall, steady);
        if wall + BACK < expected {
            // the leap that was forgiven may have been the mistake that is mended now
            if self.patient_until > steady && expected - wall >= FORWARD {
                self.patient_until = steady;
            }
            return Jump::Back(expected - wall);
        }
        if wall <= expected + FORWARD {
            return Jump::None;
        }
        self.patient_until = self.patient_until.max(steady + (wall - expected).min(PATIENCE_MAX));
        Jump::Forward(wall - expected)
    }

    /// Whether nothing is to be given up for its age now.
    pub fn is_patient(&self, steady: u64) -> bool {
        steady < self.patient_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn a_clock_that_runs_is_believed() {
        let mut clock = Clock::new(1_000_000, 1_000_003, 0);
        assert_eq!(clock.look(1_000_063, 60), Jump::None);
        assert_eq!(clock.look(1_000_053, 70), Jump::None, "NTP may correct it");
        assert_eq!(clock.look(1_000_953, 100), Jump::None);
        assert!(!clock.is_patient(100));
    }

    #[test]
    fn after_six_days_in_a_second_nothing_is_given_up_for_a_day() {
        let mut clock = Clock::new(1_000_000, 1_000_000, 10);
        assert_eq!(clock.look(1_000_001 + 6 * DAY, 11), Jump::Forward(6 * DAY));
        assert!(clock.is_patient(11) && clock.is_patient(10 + DAY));
        assert_eq!(clock.look(1_000_001 + 7 * DAY, 11 + DAY), Jump::None);
        assert!(!clock.is_patient(11 + DAY));
    }

    #[test]
    fn a_leap_of_two_hours_is_forgiven_for_two_hours() {
        let mut clock = Clock::new(1_000_000, 1_000_000, 0);
        assert_eq!(clock.look(1_007_200, 0), Jump::Forward(7200));
        assert!(clock.is_patient(7199) && !clock.is_patient(7200));
    }

    #[test]
    fn what_is_set_back_is_told_and_mends_a_leap() {
        let mut clock = Clock::new(1_000_000, 1_000_000, 0);
        assert_eq!(clock.look(1_000_000 - DAY, 0), Jump::Back(DAY));
        assert_eq!(clock.look(1_000_010 - DAY, 10), Jump::None, "once");
        clock.look(1_000_010 + 6 * DAY, 10);
        assert!(clock.is_patient(10));
        assert_eq!(clock.look(1_000_010, 10), Jump::Back(6 * DAY));
        assert!(!clock.is_patient(10));
    }

    #[test]
    fn time_in_which_nobody_tried_is_a_leap_too() {
        let clock = Clock::new(1_000_000, 1_000_000 + 8 * DAY, 0);
        assert!(clock.is_patient(DAY - 1) && !clock.is_patient(DAY));
        assert!(!Clock::new(1_000_000, 1_000_600, 0).is_patient(0), "a restart");
        assert!(!Clock::new(1_000_000 + DAY, 1_000_000, 0).is_patient(0), "the last run was in the future");
    }
}
