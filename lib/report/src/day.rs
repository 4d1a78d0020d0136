//! Days of reports, in UTC, as names of files: `YYYYMMDD`.

/// The name of a day's file.
pub fn day_name(now: u64) -> String {
    let date = penny_mime::date::DateTime::from_unix(i64::try_from(now).unwrap_or(0), 0);
    format!("{:04}{:02}{:02}", date.year, date.month, date.day)
}

/// The first second of the day a file is named after; `None` for other files.
pub fn day_begin(name: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| name.get(range).and_then(|t| t.parse::<u32>().ok());
    if name.len() != 8 || !name.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let days = penny_mime::date::days_from_civil(
        i32::try_from(year).ok()?,
        u8::try_from(month).ok()?,
        u8::try_from(day).ok()?,
    );
    u64::try_from(days.checked_mul(86_400)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_their_names() {
        assert_eq!(day_name(1_700_000_000), "20231114");
        assert_eq!(day_begin("20231114"), Some(1_699_920_000));
        for other in ["2023111", ".lock", "2023-1-1", "failures"] {
            assert_eq!(day_begin(other), None, "{other}");
        }
    }
}
