//! What people and programs see: a line of text or a JSON object, and progress on a terminal.
//!
//! Invariants  names from disk are escaped before they reach a terminal; JSON strings are always valid

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::args::Args;

/// A value of a record.
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(u64),
    /// Yes or no.
    Bool(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        Value::Number(n)
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Value {
        Value::Number(n.into())
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Value {
        Value::Number(n as u64)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

/// Writes one record: `text` for people, the fields as a JSON object.
pub fn record(args: &Args, text: &str, fields: &[(&str, Value)]) -> std::io::Result<()> {
    let line = if args.json { json(fields) } else { one_line(text) };
    writeln!(std::io::stdout().lock(), "{line}")
}

/// The text with control characters made visible.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

fn json(fields: &[(&str, Value)]) -> String {
    let field = |(name, value): &(&str, Value)| {
        let value = match value {
            Value::Text(text) => quoted(text),
            Value::Number(n) => n.to_string(),
            Value::Bool(b) => b.to_string(),
        };
        format!("{}:{value}", quoted(name))
    };
    format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
}

/// A JSON string (RFC 8259 7).
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A counter on the terminal; silent elsewhere.
pub struct Progress {
    show: bool,
    what: &'static str,
    done: u64,
    total: Option<u64>,
    last: Instant,
}

impl Progress {
    /// Starts counting; `total` is in the unit of `at`.
    pub fn new(args: &Args, what: &'static str, total: Option<u64>) -> Progress {
        let show = !args.quiet && !args.json && std::io::stderr().is_terminal();
        Progress { show, what, done: 0, total, last: Instant::now() }
    }

    /// The total, where it is known only later.
    pub fn expect(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// One message more, `at` of the total.
    pub fn step(&mut self, at: u64) {
        self.done += 1;
        if !self.show || self.last.elapsed() < Duration::from_millis(200) {
            return;
        }
        self.last = Instant::now();
        let bar = self.total.filter(|t| *t > 0).map(|total| {
            let part = (at.min(total) * 30 / total) as usize;
            format!(" [{}{}] {:3} %", "#".repeat(part), ".".repeat(30 - part), at.min(total) * 100 / total)
        });
        let _ = write!(std::io::stderr(), "\r{} {}{}", self.what, self.done, bar.unwrap_or_default());
    }

    /// Ends the line; returns how many there were.
    pub fn finish(&self) -> u64 {
        if self.show && self.done > 0 {
            let _ = writeln!(std::io::stderr(), "\r{} {}{}", self.what, self.done, " ".repeat(45));
        }
        self.done
    }
}
