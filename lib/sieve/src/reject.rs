//! The message that tells a sender of a refusal.
//!
//! Standards   RFC 5429 2.1.2 (MDN), RFC 8098 (disposition: deleted automatically)

use penny_mime::DateTime;
use penny_mime::build::HeaderBuilder;

use crate::message::Message;
use crate::settings::Settings;

/// A disposition notification: reason, machine-readable part, header of the refused message. `made` is a unique word and the time.
pub fn report(
    settings: &Settings,
    message: &Message,
    sender: &str,
    recipient: &str,
    reason: &str,
    made: (&str, i64),
) -> Vec<u8> {
    let (unique, now) = made;
    let boundary = format!("=_{}", crate::exec::duplicate::hash(&[unique, reason]));
    let mut head = HeaderBuilder::new("\n");
    head.structured("X-Sieve", crate::PRODUCT);
    head.structured("Message-ID", &format!("<{unique}@{}>", settings.hostname));
    head.structured("Date", &DateTime::from_unix(now, 0).rfc5322());
    head.structured("From", &format!("Mail Delivery Subsystem <{}>", settings.postmaster));
    head.structured("To", &format!("<{sender}>"));
    head.structured("Subject", "Automatically rejected mail");
    head.structured("Auto-Submitted", "auto-replied (rejected)");
    head.structured("Precedence", "bulk");
    head.structured("MIME-Version", "1.0");
    head.structured(
        "Content-Type",
        &format!("multipart/report; report-type=disposition-notification; boundary=\"{boundary}\""),
    );
    let mut out = head.finish();
    let clean = |t: &str| t.chars().filter(|c| !c.is_control()).collect::<String>();
    let id = message.value("Message-ID").map(|v| format!("Original-Message-ID: {}\n", clean(&v))).unwrap_or_default();
    let human = format!(
        "Your message to <{}> was automatically rejected:\n{}\n",
        clean(recipient),
        reason.replace("\r\n", "\n")
    );
    let machine = format!(
        "Reporting-UA: {}; {}\nFinal-Recipient: rfc822; {}\n{id}Disposition: automatic-action/MDN-sent-automatically; deleted\n",
        clean(&settings.hostname),
        crate::PRODUCT,
        clean(recipient)
    );
    let header = String::from_utf8_lossy(message.header_of(0)).replace("\r\n", "\n");
    for (kind, body) in [
        ("text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit", human.as_str()),
        ("message/disposition-notification", machine.as_str()),
        ("text/rfc822-headers", header.as_str()),
    ] {
        out.extend_from_slice(format!("--{boundary}\nContent-Type: {kind}\n\n{body}\n").as_bytes());
    }
    out.extend_from_slice(format!("--{boundary}--\n").as_bytes());
    out
}
