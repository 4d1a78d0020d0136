//! `qctl list`: a line an entry.

use crate::args::Which;
use penny_base::{Failure, Outcome};
use penny_queue::control::Control;
use penny_queue::json::Value;
use std::io::{self, Write};

/// Prints the entries.
pub fn list(control: &mut Control, which: &Which, json: bool) -> Result<Outcome, Failure> {
    let filters = which.fields()?;
    let fields: Vec<&str> = std::iter::once("list").chain(filters.iter().map(String::as_str)).collect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let now = now();
    let mut first = true;
    let count = control.request(&fields, |line| {
        if json {
            return writeln!(out, "{line}");
        }
        if std::mem::take(&mut first) {
            writeln!(out, "{:<46} {:<8} {:>5} {:>6} {:>8}  From, to, why", "Id", "State", "Age", "Next", "Size")?;
        }
        match Value::parse(line) {
            Some(entry) => row(&mut out, &entry, now),
            None => writeln!(out, "? {}", clean(line)),
        }
    })?;
    if !json {
        writeln!(out, "{count} entr{}", if count == 1 { "y" } else { "ies" }).map_err(|e| Failure::io("output", &e))?;
    }
    out.flush().map_err(|e| Failure::io("output", &e))?;
    Ok(Outcome::Done)
}

fn row(out: &mut impl Write, entry: &Value, now: u64) -> io::Result<()> {
    let due = match entry.text("state") {
        "waiting" => span(entry.number("due").saturating_sub(now)),
        _ => "-".to_owned(),
    };
    let to = entry.items("recipients").first().map(|r| r.text("address")).unwrap_or_default();
    let more = match entry.number("recipient_count") {
        0 | 1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let why = match (entry.text("hold"), entry.text("reason")) {
        ("", "") => String::new(),
        ("", reason) => format!(": {reason}"),
        (hold, _) => format!(": {hold}"),
    };
    let age = span(now.saturating_sub(entry.number("arrival")));
    let line = format!("<{}> to <{to}>{more}{why}", entry.text("sender"));
    writeln!(
        out,
        "{:<46} {:<8} {age:>5} {due:>6} {:>8}  {}",
        entry.text("id"),
        entry.text("state"),
        size(entry.number("size")),
        clean(&line)
    )
}

/// Seconds since 1970.
pub fn now() -> u64 {
    penny_sys::time::now().as_secs()
}

/// A time span in its largest unit.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn size(octets: u64) -> String {
    match octets {
        0..10_000 => octets.to_string(),
        10_000..10_000_000 => format!("{}K", octets / 1000),
        _ => format!("{}M", octets / 1_000_000),
    }
}

/// Nothing from outside reaches a terminal as a control character.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes() {
        assert_eq!([span(59), span(60), span(7200), span(200_000)], ["59s", "1m", "2h", "2d"]);
        assert_eq!([size(9999), size(10_000), size(12_000_000)], ["9999", "10K", "12M"]);
    }

    #[test]
    fn a_row_is_one_line() {
        let entry = Value::parse(
            "{\"id\":\"1.2\",\"state\":\"waiting\",\"due\":160,\"sender\":\"a\\u000ab\",\"reason\":\"no\\u001b[0m\"}",
        );
        let mut out = Vec::new();
        row(&mut out, &entry.unwrap(), 100).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains(" 1m ") && !text.contains('\u{1b}'), "{text}");
    }
}
