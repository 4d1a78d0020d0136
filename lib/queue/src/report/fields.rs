//! The machine-readable part: message/delivery-status (RFC 3464) or its global form (RFC 6533 4).

use super::{Item, Request, date};
use crate::journal::{Action, Kind, Verdict};
use crate::name::Report;

/// Longest line before a fold is tried; RFC 5322 2.1.1 recommends 78.
const FOLD_AT: usize = 76;
/// Longest word on a line of its own; the hard limit of RFC 5322 2.1.1 is 998.
const WORD_MAX: usize = 900;

/// The whole part body.
pub(super) fn status_part(r: &Request<'_>) -> String {
    let mut out = String::new();
    // RFC 3464 2.2: per-message fields
    if let Some(envid) = r.envelope.sender.envid() {
        field(&mut out, "Original-Envelope-Id", &envid);
    }
    field(&mut out, "Reporting-MTA", &format!("dns; {}", r.style.host));
    if let Some(helo) = &r.envelope.helo {
        field(&mut out, "Received-From-MTA", &format!("dns; {helo}"));
    }
    field(&mut out, "Arrival-Date", &date::rfc5322(r.envelope.arrival.0));
    for item in &r.items {
        out.push('\n');
        recipient_fields(&mut out, r, item);
    }
    out
}

/// RFC 3464 2.3: per-recipient fields.
fn recipient_fields(out: &mut String, r: &Request<'_>, item: &Item<'_>) {
    if let Some(original) = item.recipient.original() {
        field(
            out,
            "Original-Recipient",
            &format!("{}; {}", original.kind, ascii_unless(r.is_utf8(), &original.address)),
        );
    }
    field(out, "Final-Recipient", &typed_address(r, final_address(item)));
    field(out, "Action", action(r.kind, item));
    field(out, "Status", item.outcome.status.as_str());
    if let Some(mta) = &item.outcome.mta {
        field(out, "Remote-MTA", &format!("dns; {mta}"));
    }
    if item.outcome.verdict != Verdict::Done {
        // smtp only when a host really said it (RFC 3464 2.3.6)
        let kind = if item.outcome.mta.is_some() { "smtp" } else { "x-pennypost" };
        let text = ascii_unless(r.is_utf8(), item.outcome.text.as_str());
        field(out, "Diagnostic-Code", &format!("{kind}; {text}"));
    }
    field(out, "Last-Attempt-Date", &date::rfc5322(item.outcome.time));
    if let (Report::Delay, Some(until)) = (r.kind, r.retry_until) {
        field(out, "Will-Retry-Until", &date::rfc5322(until));
    }
}

/// RFC 3464 2.3.3.
fn action(kind: Report, item: &Item<'_>) -> &'static str {
    match (kind, item.outcome.action) {
        (Report::Bounce, _) => "failed",
        (Report::Delay, _) => "delayed",
        (Report::Success, Action::Expanded) => "expanded",
        (Report::Success, Action::Relayed | Action::Passed) => "relayed",
        (Report::Success, _) => "delivered",
    }
}

/// The address the message was to be delivered to; commands and files of aliases are nobody's business.
pub(super) fn final_address<'a>(item: &Item<'a>) -> &'a str {
    match item.resolved {
        // RFC 3464 2.3.3: "expanded" speaks of the list, not of its members
        _ if item.outcome.action == Action::Expanded => item.recipient.address.as_str(),
        Some(r) if matches!(r.kind, Kind::Local | Kind::Remote) => r.value.as_str(),
        _ => item.recipient.address.as_str(),
    }
}

/// RFC 6533 3: `utf-8` for addresses that need it, in the ASCII form where the part is plain delivery-status.
fn typed_address(r: &Request<'_>, address: &str) -> String {
    if address.is_ascii() {
        format!("rfc822; {address}")
    } else {
        format!("utf-8; {}", ascii_unless(r.is_utf8(), address))
    }
}

/// Text as it is, or with `\x{HEX}` for what is not ASCII (RFC 6533 3, utf-8-addr-unitext and -xtext).
pub(super) fn ascii_unless(utf8: bool, text: &str) -> String {
    if utf8 || text.is_ascii() {
        return text.to_owned();
    }
    let escape = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\x{{{:X}}}", u32::from(c)) };
    text.chars().map(escape).collect()
}

/// Appends `Name: value` folded at spaces; a word without spaces is cut rather than exceed the limit.
pub(super) fn field(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push(':');
    let mut column = name.len() + 1;
    for word in value.split(' ').filter(|w| !w.is_empty()) {
        let word = cut(word, WORD_MAX);
        if column + 1 + word.len() > FOLD_AT && column > name.len() + 1 {
            out.push('\n');
            column = 0;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + word.len();
    }
    out.push('\n');
}

/// At most `max` octets, at a character boundary.
fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}
