//! Abuse reports.
//!
//! Standards   spec-bosch-sieve-report; RFC 5965 (feedback report)

use super::{Failed, Flow, action};
use crate::action::{Action, Outgoing, OutgoingKind};
use crate::address::Mailbox;
use crate::check::Call;
use crate::machine::Machine;
use penny_mime::DateTime;
use penny_mime::build::HeaderBuilder;

/// Sends a report about the message.
pub(crate) fn report(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let (kind, text, address) = (m.text(call.text(0)), m.text(call.text(1)), m.text(call.text(2)));
    if !valid_feedback_type(&kind) {
        return Err(Failed::at(call.pos, format!("'{}' is no feedback type", crate::check::printable(&kind))));
    }
    let to = Mailbox::parse(&address)
        .ok_or_else(|| Failed::at(call.pos, format!("invalid address '{}'", crate::check::printable(&address))))?;
    let from = action::sender(m, &m.settings.report_from);
    let message = build(m, call.has("headers_only"), &kind, &text, &to, &from);
    let out = Outgoing {
        kind: OutgoingKind::Report,
        from,
        to: vec![to.to_string()],
        mail_params: Vec::new(),
        rcpt_params: Vec::new(),
        message,
        fcc: None,
    };
    action::add(m, call, Action::Send(out))?;
    Ok(Flow::Next)
}

/// RFC 5965 3.1: a token.
pub(crate) fn valid_feedback_type(kind: &str) -> bool {
    !kind.is_empty() && kind.len() <= 64 && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn build(m: &mut Machine<'_>, headers_only: bool, kind: &str, text: &str, to: &Mailbox, from: &str) -> Vec<u8> {
    let now = m.host.now();
    let date = DateTime::from_unix(now, m.host.zone(now)).rfc5322();
    let boundary = format!("=_{}", super::duplicate::hash(&[&m.host.unique(), text]));
    let mut head = HeaderBuilder::new("\n");
    head.structured("X-Sieve", crate::PRODUCT);
    head.structured("Message-ID", &format!("<{}@{}>", m.host.unique(), m.settings.hostname));
    head.structured("Date", &date);
    head.text("From", if from.is_empty() { &m.settings.postmaster } else { from });
    head.structured("To", &to.to_string());
    head.text("Subject", &format!("Report: {}", m.message.value("Subject").unwrap_or_else(|| "(no subject)".into())));
    head.structured("Auto-Submitted", "auto-generated (report)");
    head.structured("Precedence", "bulk");
    head.structured("MIME-Version", "1.0");
    head.structured("Content-Type", &format!("multipart/report; report-type=feedback-report; boundary=\"{boundary}\""));
    let mut out = head.finish();
    let clean = |t: &str| t.chars().filter(|c| !c.is_control()).collect::<String>();
    let mut feedback = format!(
        "Feedback-Type: {kind}\nUser-Agent: {}\nVersion: 1\nOriginal-Mail-From: <{}>\n",
        crate::PRODUCT,
        clean(&m.envelope.from)
    );
    if !m.envelope.to.is_empty() {
        feedback.push_str(&format!("Original-Rcpt-To: <{}>\n", clean(&m.envelope.to)));
    }
    if let Some(user) = m.settings.user_address.as_ref().or(m.envelope.original_to.as_ref()) {
        feedback.push_str(&format!("Dovecot-Reporting-User: <{}>\n", clean(user)));
    }
    feedback.push_str(&format!("Received-Date: {date}\n"));
    let subtype = if headers_only { "text/rfc822-headers" } else { "message/rfc822" };
    let parts = [
        ("text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit", text.replace("\r\n", "\n").into_bytes()),
        ("message/feedback-report", feedback.into_bytes()),
        (subtype, original(m, headers_only)),
    ];
    for (kind, body) in parts {
        out.extend_from_slice(format!("--{boundary}\nContent-Type: {kind}\n\n").as_bytes());
        out.extend_from_slice(&body);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("--{boundary}--\n").as_bytes());
    out
}

fn original(m: &Machine<'_>, headers_only: bool) -> Vec<u8> {
    let bytes = if headers_only { m.message.header_of(0) } else { m.message.bytes() };
    String::from_utf8_lossy(bytes).replace("\r\n", "\n").into_bytes()
}
