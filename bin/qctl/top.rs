//! `qctl top`: what qrun is doing, refreshed.

use crate::table::{clean, span};
use penny_base::{Failure, Outcome};
use penny_queue::control::Control;
use penny_queue::json::Value;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Destinations shown.
const SHOWN: usize = 20;

/// Looks again and again.
pub fn run(control: &mut Control, seconds: u64, count: u64) -> Result<Outcome, Failure> {
    let mut looks = 0;
    loop {
        let mut status = None;
        control.request(&["status"], |line| {
            status = Value::parse(line);
            Ok(())
        })?;
        let status = status.ok_or_else(|| Failure::temporary("4.3.0", "odd answer of the queue runner"))?;
        let mut out = io::stdout().lock();
        screen(&mut out, &status).map_err(|e| Failure::io("output", &e))?;
        looks += 1;
        if looks == count {
            return Ok(Outcome::Done);
        }
        std::thread::sleep(Duration::from_secs(seconds.max(1)));
    }
}

fn screen(out: &mut (impl Write + IsTerminal), status: &Value) -> io::Result<()> {
    if out.is_terminal() {
        write!(out, "\x1b[H\x1b[2J")?;
    }
    let n = |key: &str| status.number(key);
    let numbers = ["new", "active", "parked", "waiting", "running", "reports"];
    let line: Vec<String> = numbers.iter().map(|key| format!("{key} {}", n(key))).collect();
    writeln!(out, "{}", line.join("   "))?;
    let mut dests: Vec<&Value> = status.items("destinations").iter().collect();
    dests.sort_by_key(|d| std::cmp::Reverse((d.number("running"), d.number("waiting"))));
    writeln!(out, "{:<40} {:>7} {:>7} {:>7} {:>8}", "destination", "running", "waiting", "allowed", "paused")?;
    for d in dests.iter().take(SHOWN) {
        let paused = if d.number("paused") == 0 { "-".to_owned() } else { span(d.number("paused")) };
        writeln!(
            out,
            "{:<40} {:>7} {:>7} {:>7} {paused:>8}",
            clean(d.text("destination")),
            d.number("running"),
            d.number("waiting"),
            d.number("allowed")
        )?;
    }
    out.flush()
}
