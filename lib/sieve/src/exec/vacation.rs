//! vacation.
//!
//! Standards   RFC 5230, RFC 6131, RFC 3834
//! Invariants  1. nothing is answered to: the null sender, lists, bulk or automatic mail, system addresses, oneself, mail not addressed to
//!             the owner   2. the answer goes to the envelope sender, from `<>` (RFC 3834 3.3)

use super::{Failed, Flow, action, duplicate, notify};
use crate::action::{Action, Outgoing, OutgoingKind};
use crate::address::Mailbox;
use crate::check::Call;
use crate::machine::Machine;
use penny_mime::DateTime;
use penny_mime::build::HeaderBuilder;

/// Characters of the original subject that are repeated.
const SUBJECT_MAX: usize = 256;

/// RFC 5230 4.
pub(crate) fn vacation(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let clash = action::own(m).iter().find(|a| match a {
        Action::Reject { .. } => true,
        Action::Send(o) => matches!(o.kind, OutgoingKind::Vacation { .. }),
        _ => false,
    });
    if let Some(other) = clash {
        // RFC 5230 4.7
        return Err(Failed::at(call.pos, format!("vacation conflicts with an earlier {}", other.name())));
    }
    let reason = m.text(call.text(0));
    let subject = call.text_tag("subject").map(|t| m.text(t));
    let from = call.text_tag("from").map(|t| m.text(t)).filter(|f| !f.is_empty());
    let extra = call.list_tag("addresses").map(|l| m.texts(l)).unwrap_or_default();
    let answer = Answer { reason, subject, from, mime: call.has("mime") };
    let (to, why) = match recipient(m, &extra) {
        Ok((to, own)) => (Some((to, own)), String::new()),
        Err(why) => (None, why),
    };
    if !why.is_empty() {
        m.host.log(&format!("vacation: no answer: {why}"));
    }
    let key = key(m, call, &answer);
    let seconds = period(m, call);
    let fcc = notify::fcc(m, call)?;
    let own = to.as_ref().map(|(_, own)| own.clone());
    let message = build(m, &answer, to.as_ref().map(|(t, _)| t.as_str()), own.as_deref());
    let from = if m.settings.vacation_from_recipient { m.envelope.to.clone() } else { String::new() };
    let out = Outgoing {
        kind: OutgoingKind::Vacation { key, seconds },
        from,
        to: to.into_iter().map(|(t, _)| t).collect(),
        mail_params: Vec::new(),
        rcpt_params: vec!["NOTIFY=NEVER".into()],
        message,
        fcc,
    };
    action::add(m, call, Action::Send(out))?;
    Ok(Flow::Next)
}

struct Answer {
    reason: String,
    subject: Option<String>,
    from: Option<String>,
    mime: bool,
}

/// RFC 5230 4.1, RFC 6131 2: within the administrator's bounds.
fn period(m: &Machine<'_>, call: &Call) -> u64 {
    let s = &m.settings;
    let asked = call.number_tag("seconds").or_else(|| call.number_tag("days").map(|d| d.max(1).saturating_mul(86_400)));
    let seconds = asked.unwrap_or(s.vacation_default).max(s.vacation_min);
    if s.vacation_max > 0 { seconds.min(s.vacation_max) } else { seconds }
}

/// RFC 5230 4.2: answers are the same if their handle is, or all their arguments.
fn key(m: &Machine<'_>, call: &Call, answer: &Answer) -> String {
    let sender = m.envelope.from.to_lowercase();
    match call.text_tag("handle") {
        Some(handle) => duplicate::hash(&["handle", &m.text(handle), &sender]),
        None => duplicate::hash(&[
            "text",
            &answer.reason,
            answer.subject.as_deref().unwrap_or(""),
            answer.from.as_deref().unwrap_or(""),
            if answer.mime { "mime" } else { "" },
            &sender,
        ]),
    }
}

/// Whom to answer, and as which address of the owner; or why not (RFC 5230 4.5 and 4.6, RFC 3834 2).
fn recipient(m: &Machine<'_>, extra: &[String]) -> Result<(String, String), String> {
    let sender = if m.settings.vacation_to_header { header_sender(m) } else { m.envelope.from.clone() };
    if sender.is_empty() {
        return Err("the message has no sender".into());
    }
    let own = own_addresses(m, extra);
    let is_own = |address: &str| own.iter().any(|o| o.eq_ignore_ascii_case(address));
    if is_own(&sender) {
        return Err("the sender is the owner".into());
    }
    automatic(m)?;
    system_address(&sender)?;
    let addressed = addressed_as(m, &own);
    let first = own.first().cloned().unwrap_or_else(|| m.envelope.to.clone());
    match addressed {
        Some(address) => Ok((sender, address)),
        None if !m.settings.vacation_check_recipient => Ok((sender, first)),
        None => Err("no address of the owner is among the recipients in the header".into()),
    }
}

/// For envelopes rewritten on the way: the address in the header instead; still nothing for the null sender.
fn header_sender(m: &Machine<'_>) -> String {
    if m.envelope.from.is_empty() {
        return String::new();
    }
    let first = |name: &str| {
        let field = m.message.raw_values(0, name).into_iter().next()?;
        penny_mime::address::mailboxes(&field).first().map(penny_mime::Address::email)
    };
    ["sender", "resent-from", "from"].into_iter().find_map(first).unwrap_or_else(|| m.envelope.from.clone())
}

fn own_addresses(m: &Machine<'_>, extra: &[String]) -> Vec<String> {
    let mut own = Vec::new();
    let bare = |text: &str| Mailbox::parse(text).map_or_else(|| text.trim().to_owned(), |a| a.to_string());
    own.extend(m.settings.user_address.iter().map(|a| bare(a)));
    own.extend((!m.envelope.to.is_empty()).then(|| m.envelope.to.clone()));
    if m.settings.vacation_original_recipient {
        own.extend(m.envelope.original_to.clone());
    }
    own.extend(m.settings.aliases.iter().chain(extra).map(|a| bare(a)));
    own
}

/// The owner's address in To, Cc, Bcc or their Resent- forms.
fn addressed_as(m: &Machine<'_>, own: &[String]) -> Option<String> {
    for name in ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"] {
        for field in m.message.raw_values(0, name) {
            for address in penny_mime::address::mailboxes(&field) {
                let email = address.email();
                if let Some(found) = own.iter().find(|o| o.eq_ignore_ascii_case(&email)) {
                    return Some(found.clone());
                }
            }
        }
    }
    None
}

/// RFC 3834 2, RFC 2919, RFC 2369, and fields in wide use.
fn automatic(m: &Machine<'_>) -> Result<(), String> {
    for name in
        ["list-id", "list-post", "list-owner", "list-subscribe", "list-unsubscribe", "list-archive", "list-help"]
    {
        if m.message.has(0, name) {
            return Err("the message is from a mailing list".into());
        }
    }
    let word = |name: &str| m.message.value(name).map(|v| v.trim().to_ascii_lowercase());
    if word("auto-submitted").is_some_and(|v| v != "no") {
        return Err("the message is automatic".into());
    }
    if word("precedence").is_some_and(|v| matches!(v.as_str(), "bulk" | "junk" | "list")) {
        return Err("the message is bulk mail".into());
    }
    let suppress = word("x-auto-response-suppress").unwrap_or_default();
    if suppress.split(',').map(str::trim).any(|w| w == "all" || w == "oof") {
        return Err("the sender wants no answer".into());
    }
    Ok(())
}

/// RFC 5230 4.6: addresses that only machines have.
fn system_address(sender: &str) -> Result<(), String> {
    let local = sender.rsplit_once('@').map_or(sender, |(l, _)| l).to_ascii_lowercase();
    let system = matches!(
        local.as_str(),
        "mailer-daemon" | "listserv" | "majordomo" | "postmaster" | "root" | "noreply" | "no-reply"
    ) || local.starts_with("owner-")
        || local.ends_with("-request")
        || local.ends_with("-bounces")
        || local.ends_with("-owner");
    if system { Err("the sender is a system address".into()) } else { Ok(()) }
}

fn build(m: &mut Machine<'_>, answer: &Answer, to: Option<&str>, own: Option<&str>) -> Vec<u8> {
    let now = m.host.now();
    let mut head = HeaderBuilder::new("\n");
    head.structured("X-Sieve", crate::PRODUCT);
    head.structured("Message-ID", &format!("<{}@{}>", m.host.unique(), m.settings.hostname));
    head.structured("Date", &DateTime::from_unix(now, m.host.zone(now)).rfc5322());
    let from = answer.from.as_deref().or(own).unwrap_or(&m.envelope.to);
    // what is ASCII is an address list already, encoded words and all
    if from.is_ascii() {
        head.structured("From", from)
    } else {
        head.text("From", from)
    };
    if let Some(to) = reply_to(m, to) {
        head.structured("To", &to);
    }
    head.text("Subject", &subject(m, answer));
    thread(m, &mut head);
    // RFC 3834 5
    head.structured("Auto-Submitted", "auto-replied (vacation)");
    head.structured("Precedence", "bulk");
    head.structured("X-Auto-Response-Suppress", "All");
    head.structured("MIME-Version", "1.0");
    let text = answer.reason.replace("\r\n", "\n");
    let mut out = if answer.mime {
        let mut out = head.as_bytes().to_vec();
        out.extend_from_slice(text.as_bytes());
        out
    } else {
        head.structured("Content-Type", "text/plain; charset=utf-8");
        head.structured("Content-Transfer-Encoding", "8bit");
        let mut out = head.finish();
        out.extend_from_slice(text.as_bytes());
        out
    };
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    out
}

/// A display name, quoted or encoded, with its address.
fn named(name: &str, address: &str) -> String {
    if name.is_ascii() {
        return format!("{} <{address}>", penny_mime::build::quote(name));
    }
    format!("{} <{address}>", penny_mime::word::encode_header(name))
}

/// RFC 5230 5.3: the name the sender gave with the address, where the header has it.
fn reply_to(m: &Machine<'_>, to: Option<&str>) -> Option<String> {
    let to = to?;
    for name in ["sender", "resent-from", "from"] {
        for field in m.message.raw_values(0, name) {
            for address in penny_mime::address::mailboxes(&field) {
                if address.email().eq_ignore_ascii_case(to) {
                    let name = address.display_name();
                    return Some(name.map_or_else(|| format!("<{to}>"), |n| named(&n, to)));
                }
            }
        }
    }
    Some(format!("<{to}>"))
}

/// RFC 5230 4.3: `:subject`, else made from the original.
fn subject(m: &Machine<'_>, answer: &Answer) -> String {
    let one_line = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let text = match (&answer.subject, m.message.value("Subject")) {
        (Some(subject), _) => penny_mime::decode_header(subject.as_bytes()),
        (None, Some(original)) => {
            m.settings.vacation_subject_template.replace("%$", &original).replace("%{subject}", &original)
        }
        (None, None) => m.settings.vacation_subject.clone(),
    };
    let mut text = one_line(&text);
    if text.chars().count() > SUBJECT_MAX {
        text = text.chars().take(SUBJECT_MAX - 1).collect::<String>() + "\u{2026}";
    }
    text
}

/// RFC 5230 5.8: In-Reply-To and References (RFC 5322 3.6.4).
fn thread(m: &Machine<'_>, head: &mut HeaderBuilder) {
    let Some(id) = m.message.raw_values(0, "message-id").into_iter().next() else { return };
    let id = String::from_utf8_lossy(&id).trim().to_owned();
    if id.is_empty() || id.len() > 500 || !id.is_ascii() {
        return;
    }
    head.structured("In-Reply-To", &id);
    let before = m.message.raw_values(0, "references").into_iter().next().unwrap_or_default();
    let before = String::from_utf8_lossy(&before).split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let kept = before.iter().rev().take(20).rev().filter(|r| r.is_ascii()).cloned().chain([id]).collect::<Vec<_>>();
    head.structured("References", &kept.join(" "));
}
