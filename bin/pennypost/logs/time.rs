//! Times before log lines, and times for people (UTC, as the journals of the queue).

use penny_mime::date::{civil_from_days, days_from_civil, month_number};

/// TAI is ahead of UTC by so much (since 2017; 10 + 27 leap seconds).
const TAI_OFFSET: f64 = 10.0;

/// The time in what stands before `program[pid]:`.
pub fn prefix(text: &str) -> Option<f64> {
    let first = text.split_whitespace().next()?;
    if let Some(hex) = first.strip_prefix('@') {
        // multilog's TAI64N: 16 digits of seconds from 2^62, 8 of nanoseconds
        let seconds = u64::from_str_radix(hex.get(..16)?, 16).ok()?.checked_sub(1 << 62)?;
        return Some(seconds as f64 - TAI_OFFSET);
    }
    if first.contains('T') && first.contains('-') {
        return iso(first);
    }
    if let Ok(seconds) = first.parse::<f64>() {
        return Some(seconds);
    }
    old(text)
}

/// `2026-11-24T08:53:00.5+01:00`.
fn iso(text: &str) -> Option<f64> {
    let (date, time) = text.split_once('T')?;
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let zone_at = time.find(['+', '-', 'Z']).unwrap_or(time.len());
    let (time, zone) = time.split_at_checked(zone_at)?;
    let offset = match zone.get(1..).and_then(|z| z.split_once(':')) {
        Some((h, m)) => (h.parse::<f64>().ok()? * 60.0 + m.parse::<f64>().ok()?) * 60.0,
        None => 0.0,
    };
    let sign = if zone.starts_with('-') { -1.0 } else { 1.0 };
    let days = days_from_civil(i32::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?);
    Some(days as f64 * 86400.0 + day_seconds(time)? - sign * offset)
}

fn day_seconds(time: &str) -> Option<f64> {
    let mut parts = time.splitn(3, ':').map(str::parse::<f64>);
    let (h, m, s) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some((h * 60.0 + m) * 60.0 + s)
}

/// `Nov 24 08:53:00`, local time without a year: the last such moment.
fn old(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let month = month_number(words.next()?.as_bytes())?;
    let day: u8 = words.next()?.parse().ok()?;
    let seconds = day_seconds(words.next()?)?;
    let now = penny_sys::time::now().as_secs() as i64;
    let zone = f64::from(penny_sys::time::zone_minutes(now)) * 60.0;
    let (year, ..) = civil_from_days(now / 86400);
    let at = |year: i32| days_from_civil(year, month, day) as f64 * 86400.0 + seconds - zone;
    // a day ahead may be a clock or a zone; more is last year
    Some(if at(year) > now as f64 + 86400.0 { at(year - 1) } else { at(year) })
}

/// `2026-11-24`.
pub fn day(time: f64) -> String {
    let (year, month, day) = civil_from_days((time / 86400.0).floor() as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `08:53:00`.
pub fn clock(time: f64) -> String {
    let s = time.rem_euclid(86400.0) as u64;
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// Hours since 1970.
pub fn hour(time: f64) -> i64 {
    (time / 3600.0).floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones() {
        assert_eq!(prefix("2026-11-24T08:53:00+01:00 mx"), Some(1_795_506_780.0));
        assert_eq!(prefix("2026-11-24T08:53:00Z mx"), Some(1_795_510_380.0));
        assert_eq!((day(1_795_510_380.0), clock(1_795_510_380.0)), ("2026-11-24".into(), "08:53:00".into()));
        assert!(prefix("Nov 24 08:53:00 mx").is_some() && prefix("whatever").is_none());
    }
}
