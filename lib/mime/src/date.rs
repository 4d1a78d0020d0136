//! Dates of mail: reading, writing, and the calendar arithmetic both need.
//!
//! Standards   RFC 5322 3.3 (date-time) and 4.3 (two-digit years, zone names); RFC 3501 9 (date-time of IMAP) for writing
//! Invariants  parse(format(x)) = x for years 1900-9999
//! Failures    what cannot be a date is `None`; missing seconds and zone are taken as zero
use crate::token::{ADDRESS_SPECIALS, Lexer, Token};
use std::borrow::Cow;

/// A civil date and time with its offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// Years of the common era.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// Minutes east of UTC.
    pub zone: i32,
}

/// Month names as mail writes them.
pub const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl DateTime {
    /// Reads a Date field.
    pub fn parse(field: &[u8]) -> Option<Self> {
        let mut words: Vec<Cow<'_, [u8]>> = Vec::with_capacity(16);
        for token in Lexer::new(field, ADDRESS_SPECIALS).take(32) {
            match token {
                Token::Atom(text) | Token::Quoted(text) => words.push(text),
                Token::Special(b':') => words.push(Cow::Borrowed(b":")),
                _ => {}
            }
        }
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let (date, rest) = date_words(skip_weekday(&words))?;
        let (clock, rest) = time_words(rest);
        let zone = rest.first().map_or(0, |z| zone_minutes(z));
        let result = DateTime {
            year: date.0,
            month: date.1,
            day: date.2,
            hour: clock.0,
            minute: clock.1,
            second: clock.2,
            zone,
        };
        result.is_valid().then_some(result)
    }

    fn is_valid(&self) -> bool {
        (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 61
    }

    /// Seconds since 1970 UTC.
    pub fn unix(&self) -> i64 {
        let days = days_from_civil(self.year, self.month, self.day);
        let clock = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        days * 86400 + clock - i64::from(self.zone) * 60
    }

    /// The day number since 1970 in the zone of the date itself (what SENTON compares, RFC 3501 6.4.4).
    pub fn local_day(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day)
    }

    /// The civil time `zone` minutes east of UTC at a moment.
    pub fn from_unix(seconds: i64, zone: i32) -> Self {
        let local = seconds.saturating_add(i64::from(zone) * 60);
        let (year, month, day) = civil_from_days(local.div_euclid(86400));
        let clock = local.rem_euclid(86400);
        let part = |n: i64| u8::try_from(n).unwrap_or(0); // each is below 60
        DateTime {
            year,
            month,
            day,
            hour: part(clock / 3600),
            minute: part(clock / 60 % 60),
            second: part(clock % 60),
            zone,
        }
    }

    fn month_name(&self) -> &'static str {
        MONTHS.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or("Jan")
    }

    fn zone_text(&self) -> String {
        let sign = if self.zone < 0 { '-' } else { '+' };
        let minutes = self.zone.unsigned_abs();
        format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }

    /// `Tue, 01 Jul 2003 10:52:37 +0200` (RFC 5322 3.3).
    pub fn rfc5322(&self) -> String {
        let weekday = (self.local_day() + 4).rem_euclid(7) as usize; // below 7
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} {}",
            DAYS[weekday],
            self.day,
            self.month_name(),
            self.year,
            self.hour,
            self.minute,
            self.second,
            self.zone_text()
        )
    }

    /// ` 1-Jul-2003 10:52:37 +0200`: IMAP's date-time without quotes, day padded with a space (RFC 3501 9).
    pub fn imap(&self) -> String {
        format!(
            "{:2}-{}-{:04} {:02}:{:02}:{:02} {}",
            self.day,
            self.month_name(),
            self.year,
            self.hour,
            self.minute,
            self.second,
            self.zone_text()
        )
    }
}

/// Year, month, day.
type Ymd = (i32, u8, u8);

fn skip_weekday<'a, 'b>(words: &'b [&'a [u8]]) -> &'b [&'a [u8]] {
    match words.first() {
        Some(w) if w.first().is_some_and(u8::is_ascii_alphabetic) && month_number(w).is_none() => &words[1..],
        _ => words,
    }
}

/// `1 Jul 2003`, also `1-Jul-2003` and asctime's `Jul 1 10:52:37 2003`.
fn date_words<'a, 'b>(words: &'b [&'a [u8]]) -> Option<(Ymd, &'b [&'a [u8]])> {
    let first = words.first()?;
    if first.contains(&b'-') {
        let mut parts = first.split(|&b| b == b'-');
        let date = (year_number(parts.clone().nth(2)?)?, month_number(parts.clone().nth(1)?)?, number(parts.next()?)?);
        return Some((date, &words[1..]));
    }
    if let (Some(month), Some(day)) = (month_number(first), words.get(1).and_then(|w| number(w))) {
        // asctime: the year stands after the time
        let year = words.iter().skip(2).filter(|w| w.len() == 4).find_map(|w| year_number(w))?;
        return Some(((year, month, day), &words[2..]));
    }
    let (day, month, year) = (number(first)?, month_number(words.get(1)?)?, year_number(words.get(2)?)?);
    Some(((year, month, day), &words[3..]))
}

/// `10:52:37`, the colons being words of their own.
fn time_words<'a, 'b>(words: &'b [&'a [u8]]) -> ((u8, u8, u8), &'b [&'a [u8]]) {
    let at = |i: usize| words.get(i).and_then(|w| number(w));
    let colon = |i: usize| words.get(i) == Some(&b":".as_slice());
    match (at(0), colon(1), at(2), colon(3), at(4)) {
        (Some(h), true, Some(m), true, Some(s)) => ((h, m, s), &words[5..]),
        (Some(h), true, Some(m), false, _) => ((h, m, 0), &words[3..]),
        _ => ((0, 0, 0), words),
    }
}

fn number(word: &[u8]) -> Option<u8> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// RFC 5322 4.3: two digits 00-49 mean 2000s, 50-99 and three digits mean 1900 + n.
fn year_number(word: &[u8]) -> Option<i32> {
    let value: i32 = std::str::from_utf8(word).ok().filter(|w| w.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    match (word.len(), value) {
        (2, 0..=49) => Some(2000 + value),
        (2 | 3, _) => Some(1900 + value),
        (4, _) => Some(value),
        _ => None,
    }
}

/// The number of a month by its first three letters.
pub fn month_number(word: &[u8]) -> Option<u8> {
    let head = word.get(..3)?;
    let index = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(head))?;
    u8::try_from(index + 1).ok()
}

/// `+hhmm`, or one of the names of RFC 5322 4.3; unknown names are -0000.
fn zone_minutes(word: &[u8]) -> i32 {
    if let Some((sign @ (b'+' | b'-'), digits)) = word.split_first() {
        let value: i32 =
            std::str::from_utf8(digits).ok().filter(|d| d.len() == 4).and_then(|d| d.parse().ok()).unwrap_or(0);
        let minutes = value / 100 * 60 + value % 100;
        return if *sign == b'-' { -minutes } else { minutes };
    }
    match word.to_ascii_uppercase().as_slice() {
        b"EDT" => -4 * 60,
        b"EST" | b"CDT" => -5 * 60,
        b"CST" | b"MDT" => -6 * 60,
        b"MST" | b"PDT" => -7 * 60,
        b"PST" => -8 * 60,
        _ => 0,
    }
}

/// Days in a month of the Gregorian calendar; 0 for a month that does not exist.
pub fn days_in_month(year: i32, month: u8) -> u8 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u8::from(leap),
        1..=12 => 31,
        _ => 0,
    }
}

/// Days since 1970-01-01 of a Gregorian date.
pub fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    // years begin in March, so that the leap day is the last of its year
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The Gregorian date of a day number since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (i32::try_from(year).unwrap_or(9999), u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5322_appendix_dates() {
        for (text, unix) in [
            ("Fri, 21 Nov 1997 09:55:06 -0600", 880_127_706),
            ("Tue, 1 Jul 2003 10:52:37 +0200", 1_057_049_557),
            ("Thu, 13 Feb 1969 23:32:54 -0330", -27_723_426),
            (
                "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
                -27_723_480,
            ),
            ("21 Nov 97 09:55:06 GMT", 880_106_106),
            ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880_127_706),
            ("Fri Nov 21 09:55:06 1997", 880_106_106),
            ("21-Nov-1997 09:55:06 EST", 880_124_106),
        ] {
            assert_eq!(DateTime::parse(text.as_bytes()).map(|d| d.unix()), Some(unix), "{text}");
        }
    }

    #[test]
    fn not_a_date() {
        for text in [
            "",
            "Mon",
            "32 Jan 2000 00:00:00 +0000",
            "30 Feb 2000",
            "1 Jan",
            "1 Jan 2000 25:00:00",
            "x y z",
            "1 Foo 2000",
        ] {
            assert_eq!(DateTime::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn agrees_with_an_independent_reader() {
        for day in (1i64..40_000).step_by(377) {
            let date = DateTime::from_unix(day * 86400 + 12_345, (day % 23) as i32 * 30);
            assert_eq!(mailparse::dateparse(&date.rfc5322()).unwrap(), date.unix());
            assert_eq!(DateTime::parse(date.rfc5322().as_bytes()), Some(date));
        }
    }

    #[test]
    fn formats() {
        let date = DateTime::from_unix(1_057_049_557, 120);
        assert_eq!(date.rfc5322(), "Tue, 01 Jul 2003 10:52:37 +0200");
        assert_eq!(date.imap(), " 1-Jul-2003 10:52:37 +0200");
        assert_eq!(DateTime::from_unix(0, -90).imap(), "31-Dec-1969 22:30:00 -0130");
    }

    #[test]
    fn the_calendar_is_a_bijection() {
        for day in (-800_000i64..800_000).step_by(61) {
            let (y, m, d) = civil_from_days(day);
            assert_eq!(days_from_civil(y, m, d), day);
        }
        assert_eq!(civil_from_days(11_016), (2000, 2, 29));
    }
}
