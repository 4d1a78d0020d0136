//! Records as a zone file (RFC 1035 5), as a table and as JSON.

use super::compare::Found;
use super::facts::Facts;
use super::records::Record;
use crate::table::{columns, say};
use penny_base::Failure;
use penny_dns::Data;
use penny_queue::json::Object;
use std::fmt::Write as _;

/// Octets of one string of a TXT record (RFC 1035 3.3).
const STRING_MAX: usize = 250;

/// The value as a zone file has it.
pub fn value(data: &Data) -> String {
    match data {
        Data::A(ip) => ip.to_string(),
        Data::Aaaa(ip) => ip.to_string(),
        Data::Mx(preference, host) => format!("{preference} {}", dotted(&host.to_string())),
        Data::Txt(text) => strings(&String::from_utf8_lossy(text)),
        Data::Cname(host) | Data::Ptr(host) | Data::Ns(host) => dotted(&host.to_string()),
        Data::Srv(priority, weight, port, host) => format!("{priority} {weight} {port} {}", dotted(&host.to_string())),
        Data::Tlsa(usage, selector, matching, data) => {
            let hex: String = data.iter().map(|b| format!("{b:02x}")).collect();
            format!("{usage} {selector} {matching} {hex}")
        }
        Data::Soa(_) => String::new(),
    }
}

fn dotted(name: &str) -> String {
    if name.ends_with('.') { name.to_string() } else { format!("{name}.") }
}

fn strings(text: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, tail) = rest.split_at_checked(STRING_MAX).unwrap_or((rest, ""));
        parts.push(format!("\"{}\"", part.replace('\\', "\\\\").replace('"', "\\\"")));
        rest = tail;
    }
    if parts.len() == 1 { parts.concat() } else { format!("( {} )", parts.join(" ")) }
}

/// The zone file as text.
pub fn zone_text(facts: &Facts, records: &[Record]) -> String {
    let mut out = format!("; mail records of {}, host {}\n", facts.domain, facts.host);
    let mut why = "";
    for r in records {
        if r.why != why {
            why = r.why;
            let _ = writeln!(out, "; {why}");
        }
        let _ = writeln!(out, "{} 3600 IN {} {}", dotted(&r.name), r.data.kind(), value(&r.data));
    }
    let _ = writeln!(out, "; in the zone of the addresses (ask who gave them to you):");
    for ip in &facts.ips {
        let _ = writeln!(out, "; {} IN PTR {}", dotted(&penny_dns::reverse_name(*ip).to_string()), dotted(&facts.host));
    }
    out
}

/// Prints the zone file.
pub fn zone(facts: &Facts, records: &[Record]) -> Result<(), Failure> {
    say(zone_text(facts, records).trim_end()).map(drop)
}

/// Rows of the table.
pub fn rows(records: &[Record]) -> Vec<[String; 4]> {
    let short = |v: String| if v.len() > 60 { format!("{}...", &v[..57]) } else { v };
    let mut rows = vec![["NAME", "TYPE", "VALUE", "FOR"].map(str::to_string)];
    rows.extend(
        records.iter().map(|r| [r.name.clone(), r.data.kind().to_string(), short(value(&r.data)), r.why.to_string()]),
    );
    rows
}

/// Prints the table.
pub fn table(records: &[Record]) -> Result<(), Failure> {
    columns(&rows(records))
}

fn object(r: &Record) -> Object {
    let plain = match &r.data {
        Data::Txt(text) => String::from_utf8_lossy(text).into_owned(),
        other => value(other),
    };
    let o = Object::new().text("name", &r.name).text("type", &r.data.kind().to_string()).text("value", &plain);
    o.text("for", r.why).text("need", if r.must { "must" } else { "should" })
}

/// Prints JSON lines.
pub fn json(records: &[Record]) -> Result<(), Failure> {
    records.iter().try_for_each(|r| say(&object(r).finish()).map(drop))
}

/// Prints what the comparison found.
pub fn compared(found: &[Found], json: bool) -> Result<(), Failure> {
    if json {
        let line =
            |f: &Found| object(&f.record).text("state", f.state.word()).text("detail", &f.state.detail()).finish();
        return found.iter().try_for_each(|f| say(&line(f)).map(drop));
    }
    let mut rows = vec![["STATE", "NAME", "TYPE", "DETAIL"].map(str::to_string)];
    rows.extend(
        found.iter().map(|f| {
            [f.state.word().into(), f.record.name.clone(), f.record.data.kind().to_string(), f.state.detail()]
        }),
    );
    columns(&rows)
}
