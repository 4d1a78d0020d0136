//! `mailq` and `-q`: the queue as qrun shows it, in the shape scripts know from other sendmails.

use crate::args::Args;
use penny_base::{Config, Failure, Outcome};
use penny_queue::control::Control;
use penny_queue::json::Value;
use penny_queue::report::date;
use std::io::{self, Write};

/// Prints the queue.
pub fn list(config: &Config) -> Result<Outcome, Failure> {
    let mut control = Control::connect(config)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut octets, mut count) = (0u64, 0u64);
    control.request(&["show"], |line| {
        let Some(entry) = Value::parse(line) else { return Ok(()) };
        if count == 0 {
            writeln!(out, "{:<46} {:>8} {:<24} Sender/Recipient", "Queue ID", "Size", "Arrival")?;
        }
        count += 1;
        octets += entry.number("size");
        show(&mut out, &entry)
    })?;
    let end = if count == 0 {
        writeln!(out, "Mail queue is empty")
    } else {
        writeln!(out, "-- {} Kbytes in {count} Request{}.", octets.div_ceil(1024), if count == 1 { "" } else { "s" })
    };
    end.and_then(|()| out.flush()).map_err(|e| Failure::io("standard output", &e))?;
    Ok(Outcome::Done)
}

fn show(out: &mut impl Write, entry: &Value) -> io::Result<()> {
    // the marks of Postfix: * being delivered, ! held
    let mark = match entry.text("state") {
        "active" | "new" => '*',
        "held" => '!',
        _ => ' ',
    };
    let arrival = date::rfc5322(entry.number("arrival"));
    let arrival = arrival.trim_end_matches(" +0000");
    let sender = if entry.text("sender").is_empty() { "MAILER-DAEMON" } else { entry.text("sender") };
    writeln!(out, "{:<45}{mark} {:>8} {arrival:<24} {}", entry.text("id"), entry.number("size"), clean(sender))?;
    for recipient in entry.items("recipients").iter().filter(|r| matches!(r.text("state"), "open" | "later")) {
        if !recipient.text("text").is_empty() {
            writeln!(out, "{:>54} ({})", "", clean(recipient.text("text")))?;
        }
        writeln!(out, "{:>80} {}", "", clean(recipient.text("address")))?;
    }
    writeln!(out)
}

/// Nothing from outside reaches a terminal as a control character.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Tries everything that waits now, or what the option names.
pub fn flush(config: &Config, args: &Args) -> Result<Outcome, Failure> {
    let filter = match &args.flush {
        Some(('I', id)) => format!("id={id}"),
        Some(('S', sender)) => format!("sender={sender}"),
        Some((_, place)) if place.contains('@') && !place.starts_with('@') => format!("recipient={place}"),
        Some((_, place)) => format!("domain={}", place.trim_start_matches('@')),
        None => "all".to_owned(),
    };
    Control::connect(config)?.request(&["retry", &filter], |_| Ok(()))?;
    Ok(Outcome::Done)
}
