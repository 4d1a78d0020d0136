//! `qctl show` and `qctl cat`: one entry in full.

use crate::table::{clean, now, span};
use penny_base::{Failure, Outcome};
use penny_queue::control::Control;
use penny_queue::entry::read_envelope;
use penny_queue::json::Value;
use penny_queue::report::date::rfc5322;
use std::io::{self, Seek, SeekFrom, Write};

/// Prints all that is known.
pub fn show(control: &mut Control, ids: &[String], json: bool) -> Result<Outcome, Failure> {
    let filters: Vec<String> = ids.iter().map(|id| format!("id={id}")).collect();
    let fields: Vec<&str> = std::iter::once("show").chain(filters.iter().map(String::as_str)).collect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    control.request(&fields, |line| match Value::parse(line).filter(|_| !json) {
        Some(entry) => detail(&mut out, &entry),
        None => writeln!(out, "{line}"),
    })?;
    out.flush().map_err(|e| Failure::io("output", &e))?;
    Ok(Outcome::Done)
}

fn detail(out: &mut impl Write, entry: &Value) -> io::Result<()> {
    writeln!(out, "id:       {}", entry.text("id"))?;
    writeln!(out, "state:    {}", entry.text("state"))?;
    let age = span(now().saturating_sub(entry.number("arrival")));
    writeln!(out, "arrival:  {} ({age} ago)", rfc5322(entry.number("arrival")))?;
    if entry.text("state") == "waiting" {
        writeln!(out, "next try: {}", rfc5322(entry.number("due")))?;
    }
    writeln!(out, "tries:    {}", entry.number("attempts"))?;
    writeln!(out, "size:     {}", entry.number("size"))?;
    for (key, label) in
        [("sender", "sender:  "), ("login", "login:   "), ("client", "client:  "), ("hold", "held for:")]
    {
        let value = entry.text(key);
        if key == "sender" || !value.is_empty() {
            writeln!(out, "{label} {}", clean(value))?;
        }
    }
    for r in entry.items("recipients") {
        let to = if r.text("to").is_empty() { String::new() } else { format!(" -> {}", r.text("to")) };
        let said = [r.text("status"), r.text("mta"), r.text("text")].join(" ");
        writeln!(out, "  <{}>{} {} {}", clean(r.text("address")), clean(&to), r.text("state"), clean(said.trim()))?;
    }
    writeln!(out)
}

/// Copies the entry, or only its message, to standard output.
pub fn cat(control: &mut Control, id: &str, message: bool) -> Result<Outcome, Failure> {
    let mut file = control.open(id)?;
    let start = if message {
        read_envelope(&file).map_err(|_| Failure::temporary("4.3.0", "the envelope is not understood"))?.1
    } else {
        0
    };
    let mut out = io::stdout().lock();
    let copied = file.seek(SeekFrom::Start(start)).and_then(|_| io::copy(&mut file, &mut out));
    copied.and_then(|_| out.flush()).map_err(|e| Failure::io("output", &e))?;
    Ok(Outcome::Done)
}
