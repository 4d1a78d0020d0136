//! The system's time zone.
//!
//! Standard    localtime_r(3)

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
    fn within_a_day() {
        assert!(super::zone_minutes(1_000_000_000).abs() <= 14 * 60);
    }
}
