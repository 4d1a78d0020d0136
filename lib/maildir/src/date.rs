//! Calendar dates for mbox lines and reports: Unix seconds to text and back, UTC.
//!
//! Standards   asctime(3) format as in mbox(5): `Www Mmm dd hh:mm:ss yyyy`

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Days since 1970-01-01 of a civil date (proleptic Gregorian).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month, day of a day number.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// `Thu Jan  1 00:00:00 1970`
pub fn to_ctime(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let weekday = DAYS.get(days.rem_euclid(7) as usize).copied().unwrap_or("Thu");
    let month = MONTHS.get((month - 1) as usize).copied().unwrap_or("Jan");
    format!("{weekday} {month} {day:2} {:02}:{:02}:{:02} {year}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Finds `Mmm dd hh:mm[:ss] [zone] yyyy` in the words of a line; a numeric zone is applied, a name is not.
pub fn from_ctime(line: &str) -> Option<i64> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let at = words.iter().position(|w| MONTHS.contains(w))?;
    let month = MONTHS.iter().position(|m| words.get(at) == Some(m))? as i64 + 1;
    let day: i64 = words.get(at + 1)?.parse().ok().filter(|d| (1..=31).contains(d))?;
    let mut clock = words.get(at + 2)?.split(':').map(str::parse::<i64>);
    let (hour, minute) = (clock.next()?.ok()?, clock.next()?.ok()?);
    let second = clock.next().transpose().ok()?.unwrap_or(0);
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let rest = words.get(at + 3..)?;
    let year: i64 = rest.iter().find(|w| w.len() == 4 && w.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    let zone = rest.iter().find_map(|w| zone_seconds(w)).unwrap_or(0);
    Some(days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - zone)
}

fn zone_seconds(word: &str) -> Option<i64> {
    let sign = if word.starts_with('+') { 1 } else { -1 };
    let digits = word.strip_prefix(['+', '-']).filter(|d| d.len() == 4)?;
    let value: i64 = digits.parse().ok()?;
    Some(sign * (value / 100 * 3600 + value % 100 * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(to_ctime(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(to_ctime(1_000_000_000), "Sun Sep  9 01:46:40 2001");
        assert_eq!(to_ctime(951_782_400), "Tue Feb 29 00:00:00 2000");
        assert_eq!(from_ctime("a@b Sun Sep  9 01:46:40 2001"), Some(1_000_000_000));
        assert_eq!(from_ctime("Sun Sep 9 01:46:40 +0100 2001"), Some(1_000_000_000 - 3600));
        assert_eq!(from_ctime("Sun Sep 9 01:46 CEST 2001"), Some(1_000_000_000 - 40));
        for bad in ["", "x@y", "Sep 9 2001", "Sep 99 01:00:00 2001", "Sep 9 25:00:00 2001", "Sep 9 01:00:00"] {
            assert_eq!(from_ctime(bad), None, "{bad}");
        }
    }

    #[test]
    fn both_ways() {
        for day in (-200_000..200_000).step_by(13) {
            let t = day * 86_400 + 12_345;
            if (1..=9999).contains(&civil_from_days(day).0) && civil_from_days(day).0 >= 1000 {
                assert_eq!(from_ctime(&to_ctime(t)), Some(t));
            }
        }
    }
}
