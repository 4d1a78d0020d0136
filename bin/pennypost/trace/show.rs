//! The way of a message for people and for programs.

use super::{Found, Message};
use crate::logs::{Line, clock, day};
use crate::table::{octets, say};
use penny_base::Failure;
use penny_queue::json::Object;
use std::collections::BTreeSet;

/// Messages that are not named by another one, the newest last.
fn roots(found: &Found, limit: usize) -> Vec<&String> {
    let children: BTreeSet<&String> = found.messages.values().flat_map(|m| &m.children).collect();
    let roots: Vec<&String> = found.messages.keys().filter(|id| !children.contains(id)).collect();
    let skip = roots.len().saturating_sub(limit);
    roots.into_iter().skip(skip).collect()
}

/// For people.
pub fn text(found: &Found, limit: usize) -> Result<(), Failure> {
    let mut shown = BTreeSet::new();
    for id in roots(found, limit) {
        tree(found, id, 0, &mut shown)?;
    }
    let skip = found.refused.len().saturating_sub(limit);
    if !found.refused.is_empty() {
        say("never taken:")?;
    }
    for line in found.refused.iter().skip(skip) {
        say(&format!("  {}  {}", stamp(line), words(line)))?;
    }
    Ok(())
}

fn tree(found: &Found, id: &str, depth: usize, shown: &mut BTreeSet<String>) -> Result<(), Failure> {
    let Some(message) = found.messages.get(id) else { return Ok(()) };
    if !shown.insert(id.to_string()) {
        return Ok(());
    }
    let indent = "    ".repeat(depth);
    say(&format!("{indent}{id}"))?;
    for line in message.lines.iter().filter(|l| l.event != "taken") {
        say(&format!("{indent}  {}  {}", stamp(line), words(line)))?;
    }
    say(&format!("{indent}  {}", state(message)))?;
    message.children.iter().try_for_each(|child| tree(found, child, depth + 1, shown))
}

fn stamp(line: &Line) -> String {
    line.when().map_or_else(|| " ".repeat(19), |t| format!("{} {}", day(t), clock(t)))
}

/// What became of it in the end.
fn state(message: &Message) -> &'static str {
    if message.lines.iter().any(|l| l.event == "removed") {
        return "settled: it left the queue";
    }
    let ends = ["delivered", "deferred", "bounced", "held"];
    let last = message.lines.iter().rev().find(|l| ends.contains(&l.event.as_str()));
    match last.map(|l| l.event.as_str()) {
        Some("held") => "held: it waits for qctl release",
        Some("deferred") => "in the queue: it is tried again",
        Some("delivered") if message.lines.iter().all(|l| l.event != "queued") => {
            "settled: delivered without the queue"
        }
        _ => "no end in this log: in the queue, or the log ends before",
    }
}

/// One event in words.
fn words(line: &Line) -> String {
    let t = |key: &str| line.text(key).escape_debug().to_string();
    let by = |key: &str, word: &str| line.get(key).map(|v| format!(" {word} {}", v.escape_debug())).unwrap_or_default();
    match line.event.as_str() {
        "queued" => {
            let size = line.get("size").and_then(|s| s.parse().ok()).map(octets).unwrap_or_default();
            let ways = [("msgid", "Message-ID"), ("ip", "ip"), ("proto", "by"), ("login", "login")];
            let ways: String = ways.iter().map(|(k, w)| by(k, w)).collect();
            format!("queued: from {}, {} recipient(s), {size}{ways}", t("from"), t("rcpts"))
        }
        "accepted" => {
            let ways = by("ip", "ip") + &by("login", "login") + &by("junk", "junk by");
            format!("accepted by {}: service {}{ways}", line.program, t("service"))
        }
        "filter" => format!("filter {}: {}", t("name"), t("verdict")),
        "delivered" if line.program == "deliver" => {
            format!("{}: stored{}{}", t("user"), by("folder", "in"), by("file", "as"))
        }
        "delivered" | "deferred" | "bounced" => {
            let said = line.get("text").or(line.get("reply")).unwrap_or("").escape_debug().to_string();
            format!("{}: {} {}{} {said}", t("to"), line.event, t("status"), by("mta", "by"))
        }
        "reject" => format!("refused by {} ({}){}: {}", t("rule"), t("service"), by("ip", "ip"), t("reply")),
        "report" => format!("report made: {}", t("as")),
        "forwarded" => format!("{}: passed on to {} as {}", t("user"), t("to"), t("as")),
        "removed" => "left the queue".into(),
        event => {
            let rest: Vec<String> = line.fields.iter().map(|(k, v)| format!("{k}={}", v.escape_debug())).collect();
            format!("{} {event} {}", line.program, rest.join(" "))
        }
    }
}

fn event(line: &Line) -> Object {
    let mut o = Object::new().maybe("time", line.when().map(|t| format!("{}T{}Z", day(t), clock(t))).as_deref());
    o = o.text("program", &line.program).text("event", &line.event);
    let own = ["time", "program", "event"];
    let others = line.fields.iter().filter(|(key, _)| !own.contains(&key.as_str()));
    others.fold(o, |o, (key, value)| o.text(key, value))
}

/// For programs.
pub fn json(found: &Found, limit: usize) -> Result<(), Failure> {
    let skip = found.messages.len().saturating_sub(limit);
    for (id, message) in found.messages.iter().skip(skip) {
        let children = message.children.iter().map(|c| Object::new().text("id", c));
        let o = Object::new().text("id", id).text("state", state(message));
        say(&o.array("events", message.lines.iter().map(event)).array("children", children).finish())?;
    }
    let skip = found.refused.len().saturating_sub(limit);
    let refused = found.refused.iter().skip(skip);
    refused.map(|l| Object::new().array("refused", [event(l)]).finish()).try_for_each(|l| say(&l).map(drop))
}
