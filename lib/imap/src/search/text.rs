//! Finding text in messages.
//!
//! Standards   RFC 3501 6.4.4 (HEADER, BODY, TEXT; strings match without case), RFC 5255 3 (by i;unicode-casemap)
//! Invariants  linear in the message; bodies are decoded, attachments that are no text are not looked at
//! # Notes
//! ASCII needles against ASCII-compatible text are searched in an upper-case copy of the bytes; what is not found so and not
//! all ASCII is converted to UTF-8 and folded, which costs about ten times more: `cafe` is a part of a decomposed `café`.
use crate::render::View;
use penny_mime::casemap::fold;
use penny_mime::{Encoding, Fields, Part, address, charset, decode_header, header::unfold};
use std::borrow::Cow;

/// A text to look for.
#[derive(Debug)]
pub struct Needle {
    finder: memchr::memmem::Finder<'static>,
    ascii: bool,
    empty: bool,
}

impl Needle {
    /// Prepares a text.
    pub fn new(text: &str) -> Self {
        let folded = fold(text);
        Needle {
            ascii: text.is_ascii(),
            empty: text.is_empty(),
            finder: memchr::memmem::Finder::new(folded.as_bytes()).into_owned(),
        }
    }

    /// The octets that are looked for in the forms that [`texts`] gives.
    pub fn folded(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Whether the text holds it.
    pub fn in_str(&self, text: &str) -> bool {
        self.empty || self.finder.find(fold(text).as_bytes()).is_some()
    }

    /// Whether bytes in an ASCII-compatible charset hold an ASCII needle.
    fn in_ascii_compatible(&self, bytes: &[u8]) -> bool {
        self.in_folded(&bytes.to_ascii_uppercase())
    }

    fn in_folded(&self, folded: &[u8]) -> bool {
        self.empty || self.finder.find(folded).is_some()
    }
}

/// Whether a field of this name holds the text; addresses are also looked at without comments and blanks.
pub fn in_field(header: &[u8], name: &[u8], needle: &Needle) -> bool {
    Fields::new(header).filter(|f| f.name.eq_ignore_ascii_case(name)).any(|f| {
        let mut value = unfold(f.value);
        if is_plain(&value) {
            value.make_ascii_uppercase();
            return needle.in_folded(&value)
                || (is_address_field(name) && could_show(f.value, needle) && in_addresses(f.value, needle));
        }
        needle.empty
            || needle.in_str(&decode_header(&value))
            || (is_address_field(name) && in_addresses(f.value, needle))
    })
}

/// False where a value that is plain surely has no address that shows the text. In [`in_addresses`] its octets stand in
/// their order, some left out (blanks, quotes, routes), with blanks and angles put in; only a comment can change its place,
/// and only unquoting can make an encoded word.
fn could_show(value: &[u8], needle: &Needle) -> bool {
    if value.iter().any(|b| matches!(b, b'(' | b'\\' | b'=')) {
        return true;
    }
    let mut rest = value.iter().map(u8::to_ascii_uppercase);
    needle.folded().iter().filter(|b| !matches!(b, b' ' | b'<' | b'>')).all(|b| rest.any(|r| r == *b))
}

fn is_address_field(name: &[u8]) -> bool {
    [b"from".as_slice(), b"to", b"cc", b"bcc", b"sender", b"reply-to"].iter().any(|n| n.eq_ignore_ascii_case(name))
}

fn in_addresses(value: &[u8], needle: &Needle) -> bool {
    address::mailboxes(value).iter().any(|a| {
        let name = a.display_name().unwrap_or_default();
        needle.in_str(&format!("{name} <{}>", a.email()))
    })
}

/// Whether the body holds the text.
pub fn in_body(view: &View<'_>, needle: &Needle) -> bool {
    if needle.empty {
        return true;
    }
    let structure = view.structure();
    structure.parts.iter().enumerate().any(|(index, part)| {
        (index > 0 && in_header(part.header.of(view.bytes()), needle))
            || (part.children.is_empty() && in_leaf(view.bytes(), part, needle))
    })
}

/// Whether header or body hold the text.
pub fn in_text(view: &View<'_>, needle: &Needle) -> bool {
    in_header(view.header(), needle) || in_body(view, needle)
}

/// Whether a header holds the text, as it stands or decoded.
fn in_header(header: &[u8], needle: &Needle) -> bool {
    if needle.ascii && needle.in_ascii_compatible(header) {
        return true;
    }
    Fields::new(header).any(|f| !is_plain(f.value) && needle.in_str(&decode_header(&unfold(f.value))))
}

/// Only fields that are folded, encoded or not ASCII can hold more than their bytes show.
fn is_plain(value: &[u8]) -> bool {
    value.is_ascii() && !value.contains(&b'\n') && memchr::memmem::find(value, b"=?").is_none()
}

/// All texts of a message in which [`in_text`] and [`in_body`] would look, in the form in which they are compared.
pub fn texts(view: &View<'_>, found: &mut dyn FnMut(&[u8])) {
    header_texts(view.header(), found);
    for (index, part) in view.structure().parts.iter().enumerate() {
        if index > 0 {
            header_texts(part.header.of(view.bytes()), found);
        }
        let kind = &part.content_type;
        if part.children.is_empty() && (kind.is_kind("text") || kind.is_kind("message")) {
            let bytes = leaf(view.bytes(), part);
            found(&bytes.to_ascii_uppercase());
            if !(bytes.is_ascii() && charset::keeps_ascii(kind.charset())) {
                found(fold(&charset::to_utf8(kind.charset(), &bytes)).as_bytes());
            }
        }
    }
}

fn header_texts(header: &[u8], found: &mut dyn FnMut(&[u8])) {
    found(&header.to_ascii_uppercase());
    Fields::new(header).filter(|f| !is_plain(f.value)).for_each(|f| {
        found(fold(&decode_header(&unfold(f.value))).as_bytes());
    });
}

/// A part without its transfer encoding.
fn leaf<'a>(message: &'a [u8], part: &Part) -> Cow<'a, [u8]> {
    let raw = part.body.of(message);
    match part.encoding {
        Encoding::Identity | Encoding::Unknown => Cow::Borrowed(raw),
        encoding => Cow::Owned(encoding.decode(raw)),
    }
}

fn in_leaf(message: &[u8], part: &Part, needle: &Needle) -> bool {
    let kind = &part.content_type;
    if !(kind.is_kind("text") || kind.is_kind("message")) {
        return false;
    }
    let bytes = leaf(message, part);
    let ascii = bytes.is_ascii() && charset::keeps_ascii(kind.charset());
    if needle.ascii && (ascii || is_ascii_compatible(kind.charset())) {
        let found = needle.in_ascii_compatible(&bytes);
        if found || ascii {
            return found;
        }
    }
    needle.in_str(&charset::to_utf8(kind.charset(), &bytes))
}

/// Charsets whose ASCII letters are always themselves.
fn is_ascii_compatible(charset: &[u8]) -> bool {
    let c = charset.to_ascii_lowercase();
    c == b"utf-8"
        || c == b"us-ascii"
        || c.starts_with(b"iso-8859-")
        || c.starts_with(b"windows-125")
        || c.starts_with(b"koi8-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(message: &[u8], text: &str) -> bool {
        in_body(&View::new(message), &Needle::new(text))
    }

    #[test]
    fn only_text_is_searched_and_decoded_first() {
        let m = b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: base64\n\n8NLJ18XU\n--x\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename=report.bin\n\nneedle\n--x--\n";
        assert!(
            body(m, "привет") && body(m, "ПРИВЕТ") && !body(m, "needle") && !body(m, "8NLJ") && body(m, "report.BIN")
        );
    }

    #[test]
    fn a_field_is_searched_as_it_is_shown() {
        let hit = |field: &str, text: &str| in_field(format!("{field}\n\n").as_bytes(), b"subject", &Needle::new(text));
        for value in ["a b", "a\n b", "=?utf-8?Q?a?= b", "a\rb", "a\0b"] {
            let field = format!("Subject: {value} ");
            assert!(hit(&field, "a b") && hit(&field, "A B"), "{value:?}");
            assert!(!hit(&field, " a") && !hit(&field, "b "), "no blanks around it: {value:?}");
        }
    }

    #[test]
    fn texts_are_all_that_is_searched() {
        let m = "Subject: =?utf-8?Q?gr=C3=BCn?= a\n b\nContent-Type: multipart/mixed; boundary=x\n\nprolog\n--x\nContent-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: base64\n\n8NLJ18XU\n--x\nContent-Type: text/plain; charset=utf-8\n\nCaf\u{e9} abc\n--x\nContent-Type: application/pdf; name=\"r.pdf\"\n\nneedle\n--x--\n";
        let view = View::new(m.as_bytes());
        let mut all: Vec<Vec<u8>> = Vec::new();
        texts(&view, &mut |text| all.push(text.to_vec()));
        for text in [
            "gr\u{fc}n",
            "a b",
            "=?utf",
            "привет",
            "cafe",
            "caf\u{e9}",
            "abc",
            "R.PDF",
            "needle",
            "prolog",
            "8NLJ",
            "n a b",
        ] {
            let needle = Needle::new(text);
            let indexed = all.iter().any(|t| memchr::memmem::find(t, needle.folded()).is_some());
            assert_eq!(in_text(&view, &needle), indexed, "{text}");
        }
    }

    #[test]
    fn stateful_charsets_are_not_searched_as_ascii() {
        for charset in ["iso-2022-jp", "csISO2022JP"] {
            let m = format!("Content-Type: text/plain; charset={charset}\n\n\x1b$B$\"$\"\x1b(B\n");
            assert!(body(m.as_bytes(), "あ") && !body(m.as_bytes(), "$B"), "{charset}");
            let mut indexed = false;
            texts(&View::new(m.as_bytes()), &mut |text| indexed |= text.ends_with("ああ\n".as_bytes()));
            assert!(indexed, "{charset}");
        }
    }

    #[test]
    fn a_letter_is_found_however_it_is_written() {
        let utf8 = "Content-Type: text/plain; charset=utf-8\n\nein CAFÉ\n".as_bytes();
        let latin = b"Content-Type: text/plain; charset=iso-8859-1\n\nein caf\xe9\n";
        for m in [utf8, latin] {
            assert!(body(m, "café") && body(m, "cafe\u{301}") && body(m, "cafe") && !body(m, "cafè"));
        }
    }
}
