//! The time, the system's time zone, and how well its clock is kept.
//!
//! Standard    localtime_r(3), adjtimex(2)

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the kernel knows of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Something (NTP, PTP) keeps it.
    pub kept: bool,
    /// It is at most this far off, as far as the keeper knows.
    pub error: Duration,
}

/// Asks the kernel about its clock; nothing is changed.
pub fn clock() -> std::io::Result<Clock> {
    // SAFETY: an all-zero timex is a valid value (integers only); modes = 0 makes the call read-only.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live value of the right type.
    if unsafe { libc::adjtimex(&raw mut timex) } == -1 {
        return Err(std::io::Error::last_os_error());
    }
    let error = Duration::from_micros(u64::try_from(timex.maxerror).unwrap_or(0));
    Ok(Clock { kept: timex.status & libc::STA_UNSYNC == 0, error })
}

/// The time since 1970; zero on a clock that stands before it.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Minutes east of UTC of local time at `moment` (seconds since 1970); 0 when the system cannot tell.
pub fn zone_minutes(moment: i64) -> i32 {
    let moment: libc::time_t = moment;
    // SAFETY: an all-zero tm is a valid value (integers and a null pointer).
    let mut broken: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right type; localtime_r writes only to `broken`.
    let result = unsafe { libc::localtime_r(&raw const moment, &raw mut broken) };
    if result.is_null() { 0 } else { i32::try_from(broken.tm_gmtoff / 60).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_clock_that_nobody_keeps_may_be_far_off() {
        let clock = super::clock().unwrap();
        // the kernel lets maxerror grow to 16 s, and sets STA_UNSYNC there
        assert!(!clock.kept || clock.error.as_secs() <= 16, "{clock:?}");
    }

    #[test]
    fn within_a_day() {
        assert!(super::zone_minutes(1_000_000_000).abs() <= 14 * 60);
    }
}
