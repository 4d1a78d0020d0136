//! `qctl summary`: recipients that wait, by domain and age, as a chart for a terminal.

use crate::args::Which;
use crate::table::{clean, span};
use penny_base::{Failure, Outcome};
use penny_queue::control::Control;
use penny_queue::json::Value;
use std::io::{self, Write};

/// Domains shown.
const SHOWN: usize = 30;

/// Prints the chart.
pub fn run(control: &mut Control, which: &Which, json: bool) -> Result<Outcome, Failure> {
    let filters = which.fields()?;
    let fields: Vec<&str> = std::iter::once("summary").chain(filters.iter().map(String::as_str)).collect();
    let mut domains = Vec::new();
    let mut raw = Vec::new();
    control.request(&fields, |line| {
        raw.push(line.to_owned());
        domains.extend(Value::parse(line));
        Ok(())
    })?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = if json { raw.iter().try_for_each(|l| writeln!(out, "{l}")) } else { chart(&mut out, &mut domains) };
    written.and_then(|()| out.flush()).map_err(|e| Failure::io("output", &e))?;
    Ok(Outcome::Done)
}

fn chart(out: &mut impl Write, domains: &mut [Value]) -> io::Result<()> {
    domains.sort_by_key(|d| std::cmp::Reverse(d.number("recipients")));
    let Some(first) = domains.first() else { return writeln!(out, "nothing waits") };
    write!(out, "{:<32} {:>7}", "domain", "all")?;
    for age in first.items("ages") {
        let bound = age.number("below");
        let label = if bound == 0 { "older".to_owned() } else { format!("<{}", span(bound)) };
        write!(out, " {label:>6}")?;
    }
    writeln!(out)?;
    let total: u64 = domains.iter().map(|d| d.number("recipients")).sum();
    row(out, "TOTAL", total, &sums(domains))?;
    for d in domains.iter().take(SHOWN) {
        let name = if d.text("domain").is_empty() { "(no domain)" } else { d.text("domain") };
        let counts: Vec<u64> = d.items("ages").iter().map(|a| a.number("recipients")).collect();
        row(out, name, d.number("recipients"), &counts)?;
    }
    let rest = domains.len().saturating_sub(SHOWN);
    if rest > 0 { writeln!(out, "and {rest} more domains") } else { Ok(()) }
}

fn row(out: &mut impl Write, name: &str, total: u64, counts: &[u64]) -> io::Result<()> {
    write!(out, "{:<32} {total:>7}", clean(name))?;
    counts.iter().try_for_each(|n| if *n == 0 { write!(out, " {:>6}", ".") } else { write!(out, " {n:>6}") })?;
    writeln!(out)
}

fn sums(domains: &[Value]) -> Vec<u64> {
    let columns = domains.first().map_or(0, |d| d.items("ages").len());
    let cell = |d: &Value, n: usize| d.items("ages").get(n).map_or(0, |a| a.number("recipients"));
    (0..columns).map(|n| domains.iter().map(|d| cell(d, n)).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first() {
        let line = |name: &str, n: u64| {
            format!(
                "{{\"domain\":\"{name}\",\"recipients\":{n},\"ages\":[{{\"below\":300,\"recipients\":{n}}},{{\"below\":0,\"recipients\":0}}]}}"
            )
        };
        let mut domains: Vec<Value> =
            [line("a.test", 1), line("b.test", 5)].iter().filter_map(|l| Value::parse(l)).collect();
        let mut out = Vec::new();
        chart(&mut out, &mut domains).unwrap();
        let text = String::from_utf8(out).unwrap();
        let words: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["domain", "all", "<5m", "older"]);
        assert_eq!(words[1], ["TOTAL", "6", "6", "."]);
        assert_eq!(words[2][0], "b.test");
    }
}
