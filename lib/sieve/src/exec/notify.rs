//! Notifications by mail.
//!
//! Standards   RFC 5435; RFC 5436 (mailto), RFC 6068 (mailto URI)
//! Invariants  1. a notification is never sent about a notification or to a mail loop: Auto-Submitted says so (RFC 5436 2.7)
//!             2. fields a URI may not set are left out (RFC 5436 2.2)

use super::{Failed, Flow, action, matches};
use crate::action::{Action, Outgoing, OutgoingKind, Store};
use crate::address::Mailbox;
use crate::check::Call;
use crate::machine::Machine;
use penny_mime::DateTime;
use penny_mime::build::HeaderBuilder;

/// Recipients of one notification.
const RECIPIENTS_MAX: usize = 8;

/// Characters of a subject; longer ones end in an ellipsis.
const SUBJECT_MAX: usize = 256;

/// A recipient: the address, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub address: Mailbox,
    pub text: String,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

/// A mailto URI taken apart.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct MailTo {
    pub to: Vec<Target>,
    pub cc: Vec<Target>,
    pub bcc: Vec<Target>,
    pub subject: Option<String>,
    pub body: Option<String>,
    pub fields: Vec<(String, String)>,
}

/// RFC 6068 2.
///
/// # Errors
/// Why it is no such URI.
pub(crate) fn parse_mailto(uri: &str) -> Result<MailTo, String> {
    let (scheme, rest) = uri.split_once(':').ok_or("no URI")?;
    if !scheme.eq_ignore_ascii_case("mailto") {
        return Err(format!("method '{}' is not available", crate::check::printable(scheme)));
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut out = MailTo { to: addresses(&decode(path)?)?, ..MailTo::default() };
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| format!("'{}' has no value", crate::check::printable(pair)))?;
        let (name, value) = (decode(name)?, decode(value)?);
        match name.to_ascii_lowercase().as_str() {
            "to" => out.to.extend(addresses(&value)?),
            "cc" => out.cc.extend(addresses(&value)?),
            "bcc" => out.bcc.extend(addresses(&value)?),
            "subject" => out.subject = Some(one_line(&value)),
            "body" => out.body = Some(value),
            // RFC 5436 2.2: these are ours to set
            "from" | "date" | "auto-submitted" | "message-id" | "received" | "return-path" | "x-sieve"
            | "x-priority" | "importance" | "sender" => {}
            other if other.starts_with("content-") || other.starts_with("resent-") || other == "mime-version" => {}
            _ if super::edit::valid_name(&name) => out.fields.push((name, one_line(&value))),
            _ => return Err(format!("'{}' is no field name", crate::check::printable(&name))),
        }
    }
    let mut seen: Vec<String> = Vec::new();
    for list in [&mut out.to, &mut out.cc, &mut out.bcc] {
        list.retain(|a| {
            let text = a.to_string().to_lowercase();
            let fresh = !seen.contains(&text);
            seen.push(text);
            fresh
        });
    }
    if seen.is_empty() {
        return Err("no recipients".into());
    }
    Ok(out)
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn addresses(list: &str) -> Result<Vec<Target>, String> {
    let words = list.split(',').map(str::trim).filter(|w| !w.is_empty());
    let target = |w: &str| Mailbox::parse(w).map(|address| Target { address, text: one_line(w) });
    words.map(|w| target(w).ok_or_else(|| format!("invalid address '{}'", crate::check::printable(w)))).collect()
}

fn shortened(text: &str) -> String {
    let line = one_line(text);
    if line.chars().count() <= SUBJECT_MAX {
        return line;
    }
    line.chars().take(SUBJECT_MAX - 1).chain(['\u{2026}']).collect()
}

fn decode(text: &str) -> Result<String, String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            // RFC 6068 2 and RFC 3986 3.3: what else must be encoded
            if b <= b' ' || b >= 127 || b"<>\"{}|\\^`;[]".contains(&b) {
                return Err("a character that must be encoded".into());
            }
            out.push(b);
            continue;
        }
        let hex = [bytes.next().unwrap_or(b'x'), bytes.next().unwrap_or(b'x')];
        let value = std::str::from_utf8(&hex).ok().and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(value.ok_or("bad % encoding")?);
    }
    String::from_utf8(out).map_err(|_| "not UTF-8".to_owned())
}

/// RFC 5435 3.
pub(crate) fn notify(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let uri = m.text(call.text(0));
    let target = parse_mailto(&uri).map_err(|e| Failed::at(call.pos, format!("notify: {e}")))?;
    let from = call.text_tag("from").map(|t| m.text(t));
    let limit = m.settings.limits.notifications;
    let is_notify = |a: &Action| matches!(a, Action::Send(o) if o.kind == OutgoingKind::Notify);
    if limit == 0 {
        return Err(Failed::at(call.pos, "local policy prohibits the use of a notify action"));
    }
    if m.actions.iter().filter(|a| is_notify(a)).count() >= limit {
        return Err(Failed::at(call.pos, format!("number of notify actions exceeds policy limit ({limit})")));
    }
    let served: Vec<String> = m.actions.iter().filter(|a| is_notify(a)).flat_map(recipients_of).collect();
    let target = without(target, &served);
    let importance = call.text_tag("importance").map_or_else(|| "2".to_owned(), |t| m.text(t));
    let fcc = fcc(m, call)?;
    // RFC 5436 2.7.1, and nothing about anything automatic (RFC 3834 2)
    let own_loop = m.message.value("Auto-Submitted").is_some_and(|v| !v.trim().eq_ignore_ascii_case("no"));
    let mut to: Vec<String> = Vec::new();
    if !own_loop {
        let all = target.to.iter().chain(&target.cc).chain(&target.bcc);
        to.extend(all.map(ToString::to_string).take(RECIPIENTS_MAX));
    }
    let message = build(m, call, &target, from.as_deref(), &importance);
    let from = envelope_from(m, from.as_deref());
    let out = Outgoing {
        kind: OutgoingKind::Notify,
        from,
        to,
        mail_params: Vec::new(),
        // RFC 5436 2.5
        rcpt_params: vec!["NOTIFY=NEVER".into()],
        message,
        fcc,
    };
    action::add(m, call, Action::Send(out))?;
    Ok(Flow::Next)
}

fn recipients_of(action: &Action) -> Vec<String> {
    match action {
        Action::Send(o) => o.to.iter().map(|t| t.to_lowercase()).collect(),
        _ => Vec::new(),
    }
}

/// Who was notified once by this script is not notified again.
fn without(mut target: MailTo, served: &[String]) -> MailTo {
    for list in [&mut target.to, &mut target.cc, &mut target.bcc] {
        list.retain(|a| !served.contains(&a.to_string().to_lowercase()));
    }
    target
}

/// `:fcc` of notify and vacation, RFC 8580.
pub(crate) fn fcc(m: &Machine<'_>, call: &Call) -> Result<Option<Box<Store>>, Failed> {
    match call.text_tag("fcc") {
        Some(name) => action::store_of(m, call, name).map(|s| Some(Box::new(s))),
        None => Ok(None),
    }
}

/// RFC 5436 2.3: a message without sender makes notifications without sender.
fn envelope_from(m: &Machine<'_>, from: Option<&str>) -> String {
    if m.envelope.from.is_empty() {
        return String::new();
    }
    match &m.settings.notify_from {
        Some(setting) => action::sender(m, setting),
        // what bounces must not make a new notification
        None => match from.and_then(Mailbox::parse) {
            Some(address) => address.to_string(),
            None => m.settings.postmaster.clone(),
        },
    }
}

fn build(m: &mut Machine<'_>, call: &Call, target: &MailTo, from: Option<&str>, importance: &str) -> Vec<u8> {
    let now = m.host.now();
    let mut head = HeaderBuilder::new("\n");
    // as written, with a name and encoded words; those can hold nothing but one address (Mailbox::parse)
    let shown = |t: &Target| if t.text.is_ascii() { t.text.clone() } else { t.address.to_string() };
    let list = |all: &[Target]| all.iter().map(shown).collect::<Vec<_>>().join(", ");
    head.structured("X-Sieve", crate::PRODUCT);
    head.structured("Message-ID", &format!("<{}@{}>", m.host.unique(), m.settings.hostname));
    head.structured("Date", &DateTime::from_unix(now, m.host.zone(now)).rfc5322());
    // RFC 5436 2.7.1
    head.structured(
        "Auto-Submitted",
        &format!("auto-notified; owner-email=\"{}\"", m.envelope.to.replace(['"', '\\'], "")),
    );
    let default_from = || if m.envelope.to.is_empty() { m.settings.postmaster.clone() } else { m.envelope.to.clone() };
    head.text("From", &from.map_or_else(default_from, str::to_owned));
    if !target.to.is_empty() {
        head.structured("To", &list(&target.to));
    }
    if !target.cc.is_empty() {
        head.structured("Cc", &list(&target.cc));
    }
    let given = call.text_tag("message").map(|t| m.text(t));
    let subject = given
        .clone()
        .or_else(|| target.subject.clone())
        .unwrap_or_else(|| m.message.value("Subject").unwrap_or_else(|| "New mail has arrived".into()));
    head.text("Subject", &shortened(&subject));
    let (priority, word) = match importance.trim() {
        "1" => ("1 (Highest)", "High"),
        "3" => ("5 (Lowest)", "Low"),
        _ => ("3 (Normal)", "Normal"),
    };
    head.structured("X-Priority", priority);
    head.structured("Importance", word);
    for (name, value) in &target.fields {
        head.text(name, value);
    }
    head.structured("MIME-Version", "1.0");
    head.structured("Content-Type", "text/plain; charset=utf-8");
    head.structured("Content-Transfer-Encoding", "8bit");
    let mut out = head.finish();
    let body = target.body.clone().unwrap_or_else(|| "You have new mail.\n".into());
    out.extend_from_slice(body.replace("\r\n", "\n").as_bytes());
    if !body.ends_with('\n') {
        out.push(b'\n');
    }
    out
}

/// RFC 5435 4.
pub(crate) fn valid_notify_method(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let uris = m.texts(call.list(0));
    Ok(uris.iter().all(|u| parse_mailto(u).is_ok()))
}

/// RFC 5435 5; RFC 5436 2.9: whether somebody is online nobody knows.
pub(crate) fn notify_method_capability(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let (uri, capability) = (m.text(call.text(0)), m.text(call.text(1)));
    if parse_mailto(&uri).is_err() || !capability.eq_ignore_ascii_case("online") {
        return Ok(false);
    }
    matches(m, call, &["maybe".to_owned()], call.list(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailto_uris() {
        let uri = "mailto:a@x.example%2Cb@x.example?cc=c@x.example&subject=Hi%20there&From=evil@x&X-A=1%0D%0AEvil:2&body=a%0D%0Ab";
        let parsed = parse_mailto(uri).unwrap_or_default();
        assert_eq!((parsed.to.len(), parsed.cc.len()), (2, 1));
        assert_eq!(parsed.subject.as_deref(), Some("Hi there"));
        assert_eq!(parsed.fields, [("X-A".to_owned(), "1  Evil:2".to_owned())]);
        for bad in ["xmpp:a@x", "mailto:", "mailto:a", "mailto:a@x?b", "mailto:a@x%zz", "mailto:a b@x", "nothing"] {
            assert!(parse_mailto(bad).is_err(), "{bad}");
        }
    }
}
