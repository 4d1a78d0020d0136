//! A header in UTF-8 for a host without SMTPUTF8, where no address needs it: texts become encoded words.
//!
//! Standards   RFC 2047 (encoded words), RFC 6532 (what UTF-8 may stand in), RFC 5890 (A-labels)
//! Invariants  1. what comes out is ASCII and says the same   2. a field that cannot say it otherwise (an address with a
//!             local part in UTF-8, a Message-ID) is not touched: then the message goes back with 5.6.7
//! Notes       a signature over a converted field breaks; better than mail given back for its Subject

use penny_mime::address::{Address, Entry, parse_addresses};
use penny_mime::build::{fold, mailbox};
use penny_mime::header::{Field, Fields, body_offset};
use penny_mime::word::encode_words;

/// Fields that hold addresses.
const ADDRESSES: [&str; 10] =
    ["from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-to", "resent-cc"];
/// Fields of free text (RFC 5322 3.6.5, and what people and programs add for people).
const TEXTS: [&str; 6] = ["subject", "comments", "content-description", "organization", "thread-topic", "user-agent"];

/// The message with its own header in ASCII; `None` where that cannot be.
pub fn ascii_header(message: &[u8]) -> Option<Vec<u8>> {
    let (header, body) = message.split_at(body_offset(message).min(message.len()));
    let mut out = Vec::with_capacity(message.len() + header.len());
    let mut fields = Fields::new(header);
    for field in fields.by_ref() {
        if field.raw.is_ascii() { out.extend_from_slice(field.raw) } else { out.extend(ascii_field(&field)?) }
    }
    let rest = header.get(fields.position()..).unwrap_or_default();
    if !rest.is_ascii() {
        return None;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(body);
    Some(out)
}

fn ascii_field(field: &Field<'_>) -> Option<Vec<u8>> {
    let name = std::str::from_utf8(field.name).ok().filter(|n| n.is_ascii())?;
    let lower = name.to_ascii_lowercase();
    let value = field.unfolded();
    let text = std::str::from_utf8(&value).ok()?;
    let value = if ADDRESSES.contains(&lower.as_str()) {
        list(&value)?
    } else if TEXTS.contains(&lower.as_str()) || lower.starts_with("x-") {
        encode_words(text)
    } else {
        return None;
    };
    Some(fold(name, value.as_bytes(), "\n"))
}

/// An address list.
fn list(value: &[u8]) -> Option<String> {
    let one = |entry| match entry {
        Entry::Mailbox(address) => in_ascii(&address),
        // rare enough to be given back when it needs more than ASCII
        Entry::GroupStart(_) | Entry::GroupEnd => None,
    };
    let all: Vec<String> = parse_addresses(value).into_iter().map(one).collect::<Option<_>>()?;
    (!all.is_empty()).then(|| all.join(", "))
}

fn in_ascii(address: &Address) -> Option<String> {
    let local = std::str::from_utf8(&address.local).ok()?;
    let atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let plain = !local.is_empty() && local.chars().all(atext) && !local.starts_with('.') && !local.ends_with('.');
    let domain = penny_dns::to_ascii(std::str::from_utf8(&address.domain).ok()?)?;
    let route = address.route.is_none();
    if !plain || !route {
        return None;
    }
    Some(mailbox(address.display_name().as_deref(), &format!("{local}@{domain}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_mime::word::decode_header;

    fn convert(text: &str) -> Option<String> {
        let out = ascii_header(text.as_bytes())?;
        let header = body_offset(&out);
        assert!(out[..header].is_ascii(), "{out:?}");
        assert!(out[..header].split(|b| *b == b'\n').all(|l| l.len() <= 120));
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn texts_and_names_become_words() {
        let subject = "Grüße an alle, die dies lesen, und noch ein paar Wörter dazu: äöü";
        let text =
            format!("Received: x\nSubject: {subject}\nTo: Jörg <j@f\u{fc}r.test>, a@b.test\nX-Note: naïve\n\nKörper\n");
        let out = convert(&text).unwrap();
        let fields: Vec<_> = Fields::new(out.as_bytes()).collect();
        let value = |name: &str| fields.iter().find(|f| f.is(name)).unwrap().unfolded();
        assert_eq!(decode_header(&value("subject")), subject);
        let to = penny_mime::address::mailboxes(&value("to"));
        assert_eq!((to[0].display_name().unwrap().as_str(), to[0].email().as_str()), ("Jörg", "j@xn--fr-xka.test"));
        assert_eq!(to[1].email(), "a@b.test");
        assert_eq!(decode_header(&value("x-note")), "naïve");
        assert!(out.starts_with("Received: x\nSubject: ") && out.ends_with("\n\nKörper\n"));
    }

    #[test]
    fn what_cannot_be_said_in_ascii() {
        for text in [
            "To: jörg@far.test\n\n",
            "Message-ID: <ü@far.test>\n\n",
            "Content-Type: text/plain; name=ü\n\n",
            "Überfeld: x\n\n",
            "To: Gruppe: Jörg <a@b>;\n\n",
        ] {
            assert_eq!(convert(text), None, "{text}");
        }
        assert_eq!(ascii_header(b"Subject: \xff\n\n"), None, "no UTF-8");
        assert_eq!(convert("A: b\n\nü\n").unwrap(), "A: b\n\nü\n");
    }
}
