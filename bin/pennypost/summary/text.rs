//! The summary as text, to read or to mail.

use super::stats::{Counts, DELAYS, Stats, largest};
use crate::logs::{clock, day};
use crate::table::{octets, say};
use penny_base::Failure;

/// Width of a bar in characters.
const WIDTH: u64 = 40;

/// Prints it.
pub fn show(s: &Stats, host: &str, top: usize) -> Result<(), Failure> {
    say(&format!("Mail of {host}, {} {} to {} {} UTC\n", day(s.from), clock(s.from), day(s.to), clock(s.to)))?;
    for (name, value) in totals(s) {
        say(&format!("  {name:24}{value:>12}"))?;
    }
    let most = s.hours.values().map(|h| h.received).max().unwrap_or(0);
    if most > 0 {
        say("\nReceived by hour")?;
        for (hour, counts) in &s.hours {
            let start = *hour as f64 * 3600.0;
            say(&format!("  {} {:>6} {}", &clock(start)[..5], counts.received, bar(counts.received, most)))?;
        }
    }
    let slowest = s.delays.iter().copied().max().unwrap_or(0);
    if slowest > 0 {
        say("\nDelay of deliveries")?;
        for ((_, name), count) in DELAYS.iter().zip(s.delays) {
            say(&format!("  {name:14} {count:>8} {}", bar(count, slowest)))?;
        }
    }
    for (title, counts) in lists(s) {
        list(title, counts, top)?;
    }
    Ok(())
}

fn bar(count: u64, most: u64) -> String {
    let length = if count == 0 { 0 } else { (count * WIDTH).div_ceil(most.max(1)) };
    "#".repeat(usize::try_from(length).unwrap_or(0))
}

/// Single numbers.
pub fn totals(s: &Stats) -> Vec<(&'static str, String)> {
    let n = |v: u64| v.to_string();
    vec![
        ("messages received", n(s.received())),
        ("volume", octets(s.octets)),
        ("delivered here", n(s.stored)),
        ("sent to other hosts", n(s.sent)),
        ("clients refused", n(s.rejects.values().sum())),
        ("called junk", n(s.junk.values().sum())),
        ("tries put off", n(s.deferred)),
        ("recipients given up", n(s.bounced)),
        ("reports made", n(s.reports)),
        ("wrong passwords", n(s.wrong_passwords)),
    ]
}

/// Lists with their titles.
pub fn lists(s: &Stats) -> [(&'static str, &Counts); 9] {
    [
        ("Received by service", &s.accepted),
        ("Refused by rule", &s.rejects),
        ("Refused addresses", &s.refused_ips),
        ("Verdicts of filters", &s.verdicts),
        ("Called junk by", &s.junk),
        ("Top senders", &s.senders),
        ("Top destinations", &s.destinations),
        ("Why put off or given up", &s.reasons),
        ("Logins", &s.logins),
    ]
}

fn list(title: &str, counts: &Counts, top: usize) -> Result<(), Failure> {
    if counts.is_empty() {
        return Ok(());
    }
    say(&format!("\n{title}"))?;
    for (name, count) in largest(counts, top) {
        say(&format!("  {count:>8}  {}", name.escape_debug()))?;
    }
    Ok(())
}
