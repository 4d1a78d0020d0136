//! The whole report: header, text for people, status part, and where the original goes in.

use super::fields::{field, final_address, status_part};
use super::{Item, Request, date};
use crate::envelope::{Address, Envelope, Line, Param, Recipient, Sender};
use crate::journal::Verdict;
use crate::name::Report;
use penny_addr::Ret;

/// Who reports, and how much is returned.
#[derive(Clone, Debug)]
pub struct Style {
    /// This host's name.
    pub host: String,
    /// Where reports come from; the header address, never the envelope's.
    pub from: String,
    /// Who hears of undeliverable reports.
    pub postmaster: String,
    /// Largest original returned whole unless RET says otherwise.
    pub return_max: u64,
    /// Largest original returned whole even when RET=FULL asks for it.
    pub return_full_max: u64,
}

/// How much of the original is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The whole message.
    Full,
    /// Its header.
    Headers,
}

/// A report ready to be committed: `head`, then the original (or its header), then `tail`.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The report's envelope; sizes are for the caller to fill in.
    pub envelope: Envelope,
    /// Everything before the returned content.
    pub head: Vec<u8>,
    /// What to put between.
    pub content: Content,
    /// The closing boundary.
    pub tail: Vec<u8>,
}

impl Request<'_> {
    /// Whether the internationalised form is used (RFC 6533 1: only when the message came with SMTPUTF8).
    pub(super) fn is_utf8(&self) -> bool {
        self.envelope.sender.smtputf8()
    }

    /// A report about a message that has no sender goes to the postmaster.
    fn is_double(&self) -> bool {
        self.envelope.is_null_sender()
    }

    /// RFC 3461 4.3: RET matters for failures only; other reports return the header.
    pub fn content(&self) -> Content {
        let size = self.envelope.size;
        match (self.kind, self.envelope.sender.ret()) {
            (Report::Bounce, Some(Ret::Full)) if size <= self.style.return_full_max => Content::Full,
            (Report::Bounce, None) if size <= self.style.return_max => Content::Full,
            _ => Content::Headers,
        }
    }

    /// Builds the report. `eight_bit` says whether the returned content holds octets above 127,
    /// `message_id` is that of the original when it has one.
    pub fn compose(&self, eight_bit: bool, message_id: Option<&str>) -> Composed {
        let content = self.content();
        let boundary = format!("=_{}", self.name);
        let mut out = self.header(&boundary, eight_bit, message_id);
        out.push_str("This is a report in MIME format (RFC 3464).\n");
        self.text_part(&mut out, &boundary);
        let global = if self.is_utf8() { "global-delivery-status" } else { "delivery-status" };
        out.push_str(&format!("\n--{boundary}\nContent-Type: message/{global}\n"));
        if self.is_utf8() {
            out.push_str("Content-Transfer-Encoding: 8bit\n");
        }
        out.push('\n');
        out.push_str(&status_part(self));
        out.push_str(&format!("\n--{boundary}\nContent-Type: {}\n", content_type(content, self.is_utf8())));
        if eight_bit {
            out.push_str("Content-Transfer-Encoding: 8bit\n");
        }
        out.push('\n');
        let tail = format!("\n--{boundary}--\n").into_bytes();
        Composed { envelope: self.report_envelope(eight_bit), head: out.into_bytes(), content, tail }
    }

    fn header(&self, boundary: &str, eight_bit: bool, message_id: Option<&str>) -> String {
        let mut out = String::new();
        field(&mut out, "Date", &date::rfc5322(self.now));
        field(&mut out, "From", &format!("Mail Delivery System <{}>", self.style.from));
        field(&mut out, "To", &format!("<{}>", self.addressee()));
        field(&mut out, "Subject", self.subject());
        field(&mut out, "Message-ID", &format!("<{}@{}>", self.name, self.style.host));
        // a broken identifier of the original must not break ours
        let referable = |id: &&str| id.len() < 900 && id.bytes().all(|b| b.is_ascii_graphic());
        if let Some(id) = message_id.filter(referable) {
            field(&mut out, "In-Reply-To", id);
            field(&mut out, "References", id);
        }
        field(&mut out, "Auto-Submitted", "auto-replied"); // RFC 3834 5
        field(&mut out, "MIME-Version", "1.0");
        out.push_str("Content-Type: multipart/report; report-type=delivery-status;\n");
        out.push_str(&format!(" boundary=\"{boundary}\"\n"));
        if eight_bit || self.is_utf8() {
            out.push_str("Content-Transfer-Encoding: 8bit\n");
        }
        out.push('\n');
        out
    }

    fn addressee(&self) -> &str {
        if self.is_double() { &self.style.postmaster } else { self.envelope.sender.address.as_str() }
    }

    fn subject(&self) -> &'static str {
        match self.kind {
            Report::Bounce if self.is_double() => "Undeliverable report",
            Report::Bounce => "Undelivered mail, returned to sender",
            Report::Delay => "Delayed mail, still being tried",
            Report::Success => "Delivery report",
        }
    }

    fn text_part(&self, out: &mut String, boundary: &str) {
        out.push_str(&format!("\n--{boundary}\nContent-Type: text/plain; charset=utf-8\n"));
        out.push_str("Content-Transfer-Encoding: ");
        let text = self.text();
        // RFC 2045 6.2: say 8bit only where it is so; the envelope then asks for 8BITMIME
        let safe = if self.is_utf8() { text } else { super::fields::ascii_unless(false, &text) };
        out.push_str(if safe.is_ascii() { "7bit\n\n" } else { "8bit\n\n" });
        out.push_str(&safe);
    }

    fn text(&self) -> String {
        let mut out = format!("This is the mail system at {}.\n\n", self.style.host);
        out.push_str(match self.kind {
            Report::Bounce if self.is_double() => {
                "The attached message has no sender to report to, and it could not be\ndelivered to:\n"
            }
            Report::Bounce => "Your message could not be delivered to the recipients below. It is\nattached, and will not be tried again.\n",
            Report::Delay => "Your message could not be delivered yet to the recipients below. It is\nstill being tried; you need not send it again.\n",
            Report::Success => "Your message reached the recipients below.\n",
        });
        if let (Report::Delay, Some(until)) = (self.kind, self.retry_until) {
            out.push_str(&format!("It will be tried until {}.\n", date::rfc5322(until)));
        }
        for item in &self.items {
            out.push('\n');
            item_text(&mut out, item);
        }
        out
    }

    fn report_envelope(&self, eight_bit: bool) -> Envelope {
        let mut params = Vec::new();
        if eight_bit || self.is_utf8() {
            params.extend(Param::new("BODY", Some("8BITMIME")));
        }
        let to = Address::new(self.addressee()).unwrap_or_default();
        if self.is_utf8() || to.needs_utf8() {
            params.extend(Param::new("SMTPUTF8", None));
        }
        Envelope {
            arrival: (self.now, 0),
            protocol: Line::new("report"),
            sender: Sender { address: Address::null(), params },
            recipients: vec![Recipient::plain(to)],
            ..Envelope::default()
        }
    }
}

fn content_type(content: Content, utf8: bool) -> &'static str {
    match (content, utf8) {
        (Content::Full, false) => "message/rfc822",
        (Content::Headers, false) => "text/rfc822-headers",
        (Content::Full, true) => "message/global",            // RFC 6533 5
        (Content::Headers, true) => "message/global-headers", // RFC 6533 5
    }
}

/// `  <address> (for <original>)` and what was said, wrapped and indented.
fn item_text(out: &mut String, item: &Item<'_>) {
    let (address, original) = (final_address(item), item.recipient.address.as_str());
    out.push_str(&format!("  <{address}>"));
    if address != original {
        out.push_str(&format!(" (for <{original}>)"));
    }
    out.push('\n');
    let said = match (&item.outcome.mta, item.outcome.verdict) {
        (_, Verdict::Done) => format!("{} {}", item.outcome.status, item.outcome.text),
        (Some(mta), _) => format!("{mta} said: {}", item.outcome.text),
        (None, _) => format!("{} {}", item.outcome.status, item.outcome.text),
    };
    let mut wrapped = String::new();
    field(&mut wrapped, "", &said); // the folding of a field without a name
    for line in wrapped.trim_start_matches(':').lines() {
        out.push_str(&format!("    {}\n", line.trim_start()));
    }
}
