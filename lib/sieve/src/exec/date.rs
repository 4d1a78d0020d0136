//! date and currentdate.
//!
//! Standards   RFC 5260 4 and 5

use super::{Failed, matches, pick};
use crate::check::Call;
use crate::machine::Machine;
use penny_mime::DateTime;

/// RFC 5260 4.
pub(crate) fn date(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let name = m.text(call.text(0));
    let fields = pick(call, m.message.raw_values(0, &name));
    let dates: Vec<DateTime> = fields.iter().filter_map(|f| field_date(f)).collect();
    let part = m.text(call.text(1));
    let values: Vec<String> = dates
        .into_iter()
        .filter_map(|d| {
            let zone = zone(m, call, Some(d.zone), d.unix());
            value(&DateTime::from_unix(d.unix(), zone), &part)
        })
        .collect();
    matches(m, call, &values, call.list(2))
}

/// RFC 5260 5.
pub(crate) fn currentdate(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let now = m.host.now();
    let zone = zone(m, call, None, now);
    let part = m.text(call.text(0));
    let values: Vec<String> = value(&DateTime::from_unix(now, zone), &part).into_iter().collect();
    matches(m, call, &values, call.list(1))
}

/// RFC 5260 4: the date of a Received field stands after its last semicolon.
fn field_date(field: &[u8]) -> Option<DateTime> {
    let after = field.rsplit(|&b| b == b';').next().unwrap_or(field);
    DateTime::parse(after).or_else(|| DateTime::parse(field))
}

fn zone(m: &Machine<'_>, call: &Call, original: Option<i32>, moment: i64) -> i32 {
    if let (true, Some(zone)) = (call.has("originalzone"), original) {
        return zone;
    }
    let given = call.text_tag("zone").and_then(|t| parse_zone(&m.text(t)));
    given.unwrap_or_else(|| m.host.zone(moment))
}

/// `+hhmm`; RFC 5260 4.1.
pub(crate) fn parse_zone(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    Some(sign * (number / 100 * 60 + number % 100))
}

/// RFC 5260 4.2.
fn value(d: &DateTime, part: &str) -> Option<String> {
    let day = format!("{:04}-{:02}-{:02}", d.year, d.month, d.day);
    let time = format!("{:02}:{:02}:{:02}", d.hour, d.minute, d.second);
    Some(match part.to_ascii_lowercase().as_str() {
        "year" => format!("{:04}", d.year),
        "month" => format!("{:02}", d.month),
        "day" => format!("{:02}", d.day),
        "date" => day,
        // Modified Julian Day 40587 is 1970-01-01
        "julian" => (d.local_day() + 40_587).to_string(),
        "hour" => format!("{:02}", d.hour),
        "minute" => format!("{:02}", d.minute),
        "second" => format!("{:02}", d.second),
        "time" => time,
        "iso8601" => format!("{day}T{time}{}", offset(d.zone, ":")),
        "std11" => d.rfc5322(),
        "zone" => offset(d.zone, ""),
        "weekday" => (d.local_day() + 4).rem_euclid(7).to_string(),
        _ => return None,
    })
}

fn offset(zone: i32, colon: &str) -> String {
    let sign = if zone < 0 { '-' } else { '+' };
    format!("{sign}{:02}{colon}{:02}", zone.abs() / 60, zone.abs() % 60)
}

/// RFC 3339 date-time in seconds since 1970 (RFC 6009 5, :bytimeabsolute).
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let at = |i: usize, c: u8| text.as_bytes().get(i) == Some(&c);
    let marks = at(4, b'-') && at(7, b'-') && (at(10, b'T') || at(10, b't')) && at(13, b':') && at(16, b':');
    if !marks {
        return None;
    }
    let rest = text.get(19..)?;
    let rest = rest.strip_prefix('.').map_or(rest, |r| r.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = if rest.eq_ignore_ascii_case("z") { 0 } else { parse_zone(&rest.replace(':', ""))? };
    let date = DateTime {
        year: i32::try_from(number(0, 4)?).ok()?,
        month: u8::try_from(number(5, 7)?).ok()?,
        day: u8::try_from(number(8, 10)?).ok()?,
        hour: u8::try_from(number(11, 13)?).ok()?,
        minute: u8::try_from(number(14, 16)?).ok()?,
        second: u8::try_from(number(17, 19)?).ok()?,
        zone,
    };
    ((1..=12).contains(&date.month) && (1..=31).contains(&date.day)).then(|| date.unix())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5260_parts() {
        let d = DateTime::from_unix(1_000_000_000, -300);
        for (part, want) in [
            ("year", "2001"),
            ("month", "09"),
            ("DAY", "08"),
            ("date", "2001-09-08"),
            ("julian", "52160"),
            ("time", "20:46:40"),
            ("iso8601", "2001-09-08T20:46:40-05:00"),
            ("zone", "-0500"),
            ("weekday", "6"),
        ] {
            assert_eq!(value(&d, part).as_deref(), Some(want), "{part}");
        }
        assert_eq!(value(&d, "century"), None);
    }

    #[test]
    fn iso() {
        assert_eq!(parse_iso("2001-09-09T01:46:40Z"), Some(1_000_000_000));
        assert_eq!(parse_iso("2001-09-08T20:46:40.5-05:00"), Some(1_000_000_000));
        assert_eq!(parse_iso("2001-09-08"), None);
    }
}
