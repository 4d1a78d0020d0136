//! What submission mends in a header, and whom it may be from.
//!
//! Standards   RFC 6409 6.1 (sender must be allowed), 8.1-8.4 (missing Date, Message-ID, From), RFC 5322 3.6 (Bcc), 3.6.2
//! Invariants  nothing that is there is changed, but Bcc and (when asked) the client's own Received; what is missing is
//!             put on top of the header itself, so that signing filters see it

use penny_mime::DateTime;
use penny_mime::address::mailboxes;
use penny_mime::header::Fields;

/// A mended header.
pub struct Fixed {
    /// The new header, with its empty line.
    pub header: Vec<u8>,
    /// Addresses in From and Sender.
    pub authors: Vec<String>,
}

/// What new fields are made from.
pub struct Facts<'a> {
    /// The envelope sender; empty for the null path.
    pub sender: &'a str,
    /// This host.
    pub hostname: &'a str,
    /// Name of the transaction.
    pub id: &'a str,
    /// Now, Unix seconds.
    pub now: i64,
}

/// Mends a header.
pub fn fix(header: &[u8], facts: &Facts<'_>) -> Fixed {
    let mut seen = Seen::default();
    let mut kept = Vec::with_capacity(header.len());
    let mut at = 0;
    for field in Fields::new(header) {
        kept.extend_from_slice(header.get(at..field.start).unwrap_or_default());
        at = field.end;
        seen.note(field.name, field.value);
        if !field.is("Bcc") && !field.is("Resent-Bcc") {
            kept.extend_from_slice(field.raw);
        }
    }
    kept.extend_from_slice(header.get(at..).unwrap_or_default());
    let mut fixed = missing(&seen, facts).into_bytes();
    if seen.any || kept.first() == Some(&b'\n') {
        fixed.extend_from_slice(&kept);
    } else {
        // no header at all: what came is the body
        fixed.push(b'\n');
        fixed.extend_from_slice(&kept);
    }
    Fixed { header: fixed, authors: seen.authors }
}

#[derive(Default)]
struct Seen {
    any: bool,
    date: bool,
    message_id: bool,
    from: bool,
    authors: Vec<String>,
}

impl Seen {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        self.any = true;
        match name.to_ascii_lowercase().as_slice() {
            b"date" => self.date = true,
            b"message-id" => self.message_id = true,
            b"from" => {
                self.from = true;
                self.authors.extend(mailboxes(value).iter().map(penny_mime::Address::email));
            }
            b"sender" => self.authors.extend(mailboxes(value).iter().map(penny_mime::Address::email)),
            _ => {}
        }
    }
}

fn missing(seen: &Seen, facts: &Facts<'_>) -> String {
    let mut out = String::new();
    if !seen.date {
        out.push_str(&format!("Date: {}\n", DateTime::from_unix(facts.now, 0).rfc5322()));
    }
    if !seen.message_id {
        out.push_str(&format!("Message-ID: <{}@{}>\n", facts.id.to_ascii_lowercase(), facts.hostname));
    }
    if !seen.from && !facts.sender.is_empty() {
        out.push_str(&format!("From: <{}>\n", facts.sender));
    }
    out
}
