//! Reports as text for people: a heading, then a table with one line a group of messages.

use crate::{aggregate, tlsrpt};
use std::fmt::Write;

/// Foreign text in one table cell: one line, printable, bounded.
fn cell(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).take(60).collect();
    if clean.is_empty() { "-".into() } else { clean }
}

/// Columns padded to the widest cell.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(c, w)| format!("{c:w$}", w = *w)).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn heading(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// Seconds since 1970 as a UTC date (days to civil date, proleptic Gregorian).
fn date(seconds: u64) -> String {
    let days = i64::try_from(seconds / 86_400).unwrap_or(0) + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A DMARC aggregate report.
pub fn show_aggregate(report: &aggregate::Report) -> String {
    let p = &report.policy;
    let mut out = format!(
        "DMARC report of {} for {}, {} to {}, id {}\npolicy p={} sp={} np={} adkim={} aspf={} testing={}\n",
        cell(&report.org_name),
        cell(&p.domain),
        date(report.begin),
        date(report.end),
        cell(&report.report_id),
        cell(&p.p),
        cell(&p.sp),
        cell(&p.np),
        cell(&p.adkim),
        cell(&p.aspf),
        cell(&p.testing),
    );
    let mut rows =
        vec![heading(&["messages", "client", "from", "done", "dkim", "spf", "signatures", "spf domain", "why"])];
    for r in &report.records {
        let signatures: Vec<String> = r.signatures.iter().map(|(d, _, result)| format!("{d}={result}")).collect();
        let spf = r.spf_checked.as_ref().map(|(d, result)| format!("{d}={result}")).unwrap_or_default();
        rows.push(vec![
            r.count.to_string(),
            cell(&r.source_ip),
            cell(&r.header_from),
            cell(&r.disposition),
            cell(&r.dkim),
            cell(&r.spf),
            cell(&signatures.join(",")),
            cell(&spf),
            cell(&r.reason),
        ]);
    }
    out += &columns(&rows);
    let total = report.records.iter().fold(0u64, |n, r| n.saturating_add(r.count));
    let passing = report.records.iter().filter(|r| r.dkim == "pass" || r.spf == "pass");
    let passing = passing.fold(0u64, |n, r| n.saturating_add(r.count));
    let _ = writeln!(out, "{total} messages, {passing} pass");
    out
}

/// A TLS report.
pub fn show_tls(report: &tlsrpt::Report) -> String {
    let out = format!(
        "TLS report of {} ({}), {} to {}, id {}\n",
        cell(&report.organization),
        cell(&report.contact),
        cell(&report.begin),
        cell(&report.end),
        cell(&report.id)
    );
    let mut rows = vec![heading(&["policy", "domain", "good", "bad", "failure", "host", "from", "sessions"])];
    for p in &report.policies {
        rows.push(vec![cell(&p.kind), cell(&p.domain), p.good.to_string(), p.bad.to_string()]);
        for (kind, host, from, sessions) in &p.failures {
            let mut row = vec![String::new(); 4];
            row.extend([cell(kind), cell(host), cell(from), sessions.to_string()]);
            rows.push(row);
        }
    }
    out + &columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_669_507_200), "2022-11-27");
        assert_eq!(date(4_102_444_800), "2100-01-01");
    }

    #[test]
    fn foreign_text_cannot_write_to_the_terminal() {
        let report = aggregate::Report { org_name: "\u{1b}[2J\nx".into(), ..aggregate::Report::default() };
        let text = show_aggregate(&report);
        assert!(!text.contains('\u{1b}') && text.lines().count() == 4, "{text}");
    }
}
