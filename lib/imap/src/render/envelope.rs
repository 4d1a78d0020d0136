//! ENVELOPE.
//!
//! Standards   RFC 3501 7.4.2
//! Failures    a missing field is NIL; sender and reply-to default to from; an address without domain has an empty host,
//!             because NIL there would mean a group
use crate::write::{nstring, string};
use penny_mime::{Address, Entry, Fields, header::unfold, parse_addresses};

/// The fields of an envelope as found in a header.
#[derive(Default)]
struct Found {
    date: Option<Vec<u8>>,
    subject: Option<Vec<u8>>,
    in_reply_to: Option<Vec<u8>>,
    message_id: Option<Vec<u8>>,
    from: Vec<Entry>,
    sender: Vec<Entry>,
    reply_to: Vec<Entry>,
    to: Vec<Entry>,
    cc: Vec<Entry>,
    bcc: Vec<Entry>,
}

impl Found {
    fn read(header: &[u8]) -> Self {
        let mut found = Found::default();
        for field in Fields::new(header) {
            let mut lower = [0; "in-reply-to".len()];
            let Some(name) = lower.get_mut(..field.name.len()) else { continue };
            name.copy_from_slice(field.name);
            name.make_ascii_lowercase();
            found.field(name, field.value);
        }
        found
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let text = |slot: &mut Option<Vec<u8>>| {
            slot.get_or_insert_with(|| unfold(value));
        };
        match name {
            b"date" => text(&mut self.date),
            b"subject" => text(&mut self.subject),
            b"in-reply-to" => text(&mut self.in_reply_to),
            b"message-id" => text(&mut self.message_id),
            b"from" => self.from.extend(parse_addresses(value)),
            b"sender" => self.sender.extend(parse_addresses(value)),
            b"reply-to" => self.reply_to.extend(parse_addresses(value)),
            b"to" => self.to.extend(parse_addresses(value)),
            b"cc" => self.cc.extend(parse_addresses(value)),
            b"bcc" => self.bcc.extend(parse_addresses(value)),
            _ => {}
        }
    }
}

/// Appends the envelope of a header.
pub fn envelope(out: &mut Vec<u8>, header: &[u8]) {
    let e = Found::read(header);
    out.push(b'(');
    nstring(out, e.date.as_deref());
    out.push(b' ');
    nstring(out, e.subject.as_deref());
    for list in [e.from.as_slice(), or(&e.sender, &e.from), or(&e.reply_to, &e.from), &e.to, &e.cc, &e.bcc] {
        out.push(b' ');
        addresses(out, list);
    }
    out.push(b' ');
    nstring(out, e.in_reply_to.as_deref());
    out.push(b' ');
    nstring(out, e.message_id.as_deref());
    out.push(b')');
}

fn or<'a>(list: &'a [Entry], other: &'a [Entry]) -> &'a [Entry] {
    if list.is_empty() { other } else { list }
}

fn addresses(out: &mut Vec<u8>, list: &[Entry]) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for entry in list {
        match entry {
            Entry::Mailbox(a) => mailbox(out, a),
            Entry::GroupStart(name) => {
                out.extend_from_slice(b"(NIL NIL ");
                string(out, name);
                out.extend_from_slice(b" NIL)");
            }
            Entry::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        }
    }
    out.push(b')');
}

/// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
fn mailbox(out: &mut Vec<u8>, a: &Address) {
    out.push(b'(');
    nstring(out, a.name.as_deref());
    out.push(b' ');
    nstring(out, a.route.as_deref());
    out.push(b' ');
    string(out, &a.local);
    out.push(b' ');
    string(out, &a.domain);
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(header: &str) -> String {
        let mut out = Vec::new();
        envelope(&mut out, header.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rfc3501_section_8_example() {
        let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\nFrom: Terry Gray <gray@cac.washington.edu>\nSubject: IMAP4rev1 WG mtg summary and minutes\nTo: imap@cac.washington.edu\ncc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\nMessage-Id: <B27397-0100000@cac.washington.edu>\n\n";
        assert_eq!(
            render(header),
            "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \"<B27397-0100000@cac.washington.edu>\")"
        );
    }

    #[test]
    fn groups_and_missing_parts() {
        let text = render("To: g: a@b;\nSubject:\nCc: nobody\n\n");
        assert!(text.starts_with("(NIL \"\" NIL NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)) ((NIL NIL \"nobody\" \"\"))"), "{text}");
        assert_eq!(render(""), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    }

    #[test]
    fn eight_bit_and_quotes_keep_the_framing() {
        let text = render("Subject: ä \"x\"\n\n");
        assert!(text.contains("{6}\r\nä \"x\""), "{text}");
    }
}
