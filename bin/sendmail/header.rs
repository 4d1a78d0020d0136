//! The header of a submitted message: recipients of `-t`, Bcc taken out, what is missing added.
//!
//! Standards   RFC 5322 3.6 (Date and From are required, Message-ID should be there), RFC 6409 8 (what a submission
//!             agent may add), RFC 5322 3.6.3 (Bcc)

use penny_addr::{Charset, Domain, LocalPart, Mailbox};
use penny_base::Failure;
use penny_mime::address::mailboxes;
use penny_mime::build::mailbox;
use penny_mime::header::{Fields, find_field};

/// Fields that `-t` takes recipients from.
const RECIPIENT_FIELDS: [&str; 6] = ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"];

/// Recipients of the header, as RFC 5321 addresses qualified with `host`. Resent fields win over the others.
pub fn recipients(header: &[u8], host: &str) -> Result<Vec<String>, Failure> {
    let resent = Fields::new(header).any(|f| f.name.to_ascii_lowercase().starts_with(b"resent-"));
    let wanted = |name: &&&str| name.starts_with("resent-") == resent;
    let names: Vec<&&str> = RECIPIENT_FIELDS.iter().filter(wanted).collect();
    let mut out = Vec::new();
    for field in Fields::new(header).filter(|f| names.iter().any(|n| f.is(n))) {
        for address in mailboxes(field.value) {
            out.push(qualified(&address.local, &address.domain, host)?);
        }
    }
    Ok(out)
}

/// An address given on the command line: bare, in angle brackets, or with a name beside it.
pub fn operand(text: &str, host: &str) -> Result<Vec<String>, Failure> {
    if text.contains('@') && !text.contains(['<', '>', ',', '"', '(', ' ', ';', ':']) {
        // a plain address is read strictly: what is odd about it is a mistake, not a display name
        let bad = |_| Failure::permanent(penny_base::Kind::Data, "5.1.3", format!("not an address: {text}"));
        return Mailbox::parse_any(text).map(|m| vec![m.exact()]).map_err(bad);
    }
    let list = mailboxes(text.as_bytes());
    if list.is_empty() {
        return Err(Failure::usage(format!("not an address: {text}")));
    }
    list.iter().map(|a| qualified(&a.local, &a.domain, host)).collect()
}

/// Quotes where the grammar asks for it, adds the host where there is no domain.
fn qualified(local: &[u8], domain: &[u8], host: &str) -> Result<String, Failure> {
    let shown = || format!("{}@{}", String::from_utf8_lossy(local), String::from_utf8_lossy(domain));
    let bad = |_| Failure::permanent(penny_base::Kind::Data, "5.1.3", format!("not an address: {}", shown()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let domain = if domain.is_empty() { host.to_owned() } else { text(domain) };
    let local = LocalPart::from_value(&text(local)).map_err(bad)?;
    let domain = Domain::parse(&domain, Charset::Utf8).map_err(bad)?;
    Mailbox::new(local, domain).map(|m| m.exact()).map_err(bad)
}

/// The header without Bcc.
pub fn without_bcc(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    let mut at = 0;
    for field in Fields::new(header).filter(|f| f.is("bcc") || f.is("resent-bcc")) {
        out.extend_from_slice(header.get(at..field.start).unwrap_or_default());
        at = field.end;
    }
    out.extend_from_slice(header.get(at..).unwrap_or_default());
    out
}

/// What is put on top: a trace field and what is missing.
pub struct Additions<'a> {
    /// This host.
    pub host: &'a str,
    /// Uid of the caller.
    pub uid: u32,
    /// Envelope sender, for From.
    pub sender: &'a str,
    /// `-F` or the user's name.
    pub full_name: Option<&'a str>,
    /// Seconds since 1970.
    pub now: u64,
    /// Makes the Message-ID unique.
    pub unique: String,
}

impl Additions<'_> {
    /// The fields.
    pub fn fields(&self, header: &[u8]) -> String {
        let date = penny_queue::report::date::rfc5322(self.now);
        let mut out = format!("Received: by {} (sendmail, from uid {});\n\t{date}\n", self.host, self.uid);
        let missing = |name: &str| find_field(header, name).is_none();
        if missing("date") {
            out.push_str(&format!("Date: {date}\n"));
        }
        if missing("from") {
            out.push_str(&format!("From: {}\n", mailbox(self.full_name, self.sender)));
        }
        if missing("message-id") {
            out.push_str(&format!("Message-ID: <{}@{}>\n", self.unique, self.host));
        }
        // RFC 5322 3.6.3 asks for none of them; an empty header field keeps old relays from adding Apparently-To
        if missing("to") && missing("cc") {
            out.push_str("To: undisclosed-recipients:;\n");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_of_a_header() {
        let h = b"To: A <a@x>, \"b c\"@y, root\nCc: g: d@z, e@z;\nBcc: hidden@x\nSubject: t\n";
        let list = recipients(h, "mx.test").unwrap();
        assert_eq!(list, ["a@x", "\"b c\"@y", "root@mx.test", "d@z", "e@z", "hidden@x"]);
        assert_eq!(recipients(b"To: a@x\nResent-To: b@x\n", "h").unwrap(), ["b@x"]);
        assert!(recipients(b"Subject: x\n", "h").unwrap().is_empty());
    }

    #[test]
    fn blind_copies_are_blind() {
        let h = b"To: a@x\nBcc: h@x,\n i@x\nSubject: t\nBCC : k@x\n";
        assert_eq!(without_bcc(h), b"To: a@x\nSubject: t\n");
        assert_eq!(without_bcc(b"To: a\n"), b"To: a\n");
    }

    #[test]
    fn what_is_missing_is_added() {
        let a = Additions {
            host: "mx.test",
            uid: 7,
            sender: "me@mx.test",
            full_name: Some("J. D\u{f6}"),
            now: 0,
            unique: "u".into(),
        };
        let all = a.fields(b"Subject: x\n");
        for part in [
            "Received: by mx.test (sendmail, from uid 7)",
            "Date: Thu, 1 Jan 1970",
            "Message-ID: <u@mx.test>\n",
            "<me@mx.test>\n",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
        assert!(all.is_ascii(), "{all}");
        let none = a.fields(b"From: a@b\nDate: x\nMessage-ID: <y@z>\nCc: q@r\n");
        assert_eq!(none.lines().count(), 2, "{none}");
    }

    #[test]
    fn operands_in_every_form() {
        assert_eq!(operand("joe", "h.test").unwrap(), ["joe@h.test"]);
        assert_eq!(operand("<a@b.test>", "h").unwrap(), ["a@b.test"]);
        assert_eq!(operand("A B <a@b.test>, c@d.test", "h").unwrap(), ["a@b.test", "c@d.test"]);
        assert!(operand("", "h").is_err() && operand("a b c d", "h").is_err() || operand("a b c d", "h").is_ok());
    }
}
