//! BODY[...] and BINARY[...].
//!
//! Standards   RFC 3501 6.4.5 (sections, part numbers), RFC 3516 (BINARY)
//! Failures    a part that does not exist is NIL; an encoding we cannot undo is [`BinaryError::UnknownCte`]
use super::{crlf, crlf_slice};
use crate::command::{Section, SectionText};
use penny_mime::{Encoding, Fields, Limits, Structure, body_offset};
use std::cell::OnceCell;

/// A message with what has been found out about it so far.
#[derive(Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    structure: OnceCell<Structure>,
    body: OnceCell<usize>,
}

/// Why a BINARY section cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryError {
    /// There is no such part.
    NoPart,
    /// Its transfer encoding is none of RFC 2045 (tagged NO with UNKNOWN-CTE).
    UnknownCte,
}

/// Where a part number path leads.
#[derive(Clone, Copy)]
struct Found {
    part: usize,
    /// The part is a whole message (path empty), not a part of one.
    message: bool,
}

impl<'a> View<'a> {
    /// Looks at a message; nothing is parsed yet.
    pub fn new(bytes: &'a [u8]) -> Self {
        View { bytes, structure: OnceCell::new(), body: OnceCell::new() }
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The part tree.
    pub fn structure(&self) -> &Structure {
        self.structure.get_or_init(|| Structure::parse(self.bytes, Limits::default()))
    }

    fn body_start(&self) -> usize {
        *self.body.get_or_init(|| body_offset(self.bytes))
    }

    /// The header with its closing empty line.
    pub fn header(&self) -> &'a [u8] {
        &self.bytes[..self.body_start()]
    }

    /// The body.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.body_start()..]
    }

    /// Appends the section as a literal, or NIL.
    pub fn section(&self, out: &mut Vec<u8>, section: &Section, partial: Option<(u32, u32)>) {
        match &section.text {
            SectionText::Fields(names) => self.fields(out, section, names, true, partial),
            SectionText::FieldsNot(names) => self.fields(out, section, names, false, partial),
            _ => match self.range(section) {
                Some(bytes) => literal_crlf(out, bytes, partial),
                None => out.extend_from_slice(b"NIL"),
            },
        }
    }

    /// The bytes of a section that is one run of the message.
    pub fn range(&self, section: &Section) -> Option<&'a [u8]> {
        if section.path.is_empty() {
            return match section.text {
                SectionText::All => Some(self.bytes),
                SectionText::Text => Some(self.body()),
                _ => Some(self.header()),
            };
        }
        let found = self.find(&section.path)?;
        let part = &self.structure().parts[found.part];
        match section.text {
            SectionText::All => Some(part.body.of(self.bytes)),
            SectionText::Mime => Some(part.header.of(self.bytes)),
            _ => {
                let inner = &self.structure().parts[*part.children.first().filter(|_| part.is_message())?];
                Some(if section.text == SectionText::Text { inner.body } else { inner.header }.of(self.bytes))
            }
        }
    }

    /// RFC 3501 6.4.5: a message that is no multipart has one part, number 1; a message/rfc822 is passed through.
    fn find(&self, path: &[u32]) -> Option<Found> {
        let mut found = Found { part: 0, message: true };
        for &number in path {
            found = self.step(found, number)?;
        }
        Some(found)
    }

    fn step(&self, from: Found, number: u32) -> Option<Found> {
        let parts = &self.structure().parts;
        let mut index = from.part;
        let mut message = from.message;
        if !message && parts[index].is_message() {
            (index, message) = (*parts[index].children.first()?, true);
        }
        let child = usize::try_from(number).ok()?.checked_sub(1)?;
        if parts[index].is_multipart() {
            return parts[index].children.get(child).map(|&part| Found { part, message: false });
        }
        (message && number == 1).then_some(Found { part: index, message: false })
    }

    fn fields(&self, out: &mut Vec<u8>, section: &Section, names: &[Vec<u8>], want: bool, partial: Option<(u32, u32)>) {
        let header = Section { path: section.path.clone(), text: SectionText::Header };
        let Some(header) = self.range(&header) else { return out.extend_from_slice(b"NIL") };
        let mut picked = Vec::new();
        for field in Fields::new(header) {
            if names.iter().any(|n| n.eq_ignore_ascii_case(field.name)) == want {
                crlf(&mut picked, field.raw);
                if !picked.ends_with(b"\n") {
                    picked.extend_from_slice(b"\r\n");
                }
            }
        }
        picked.extend_from_slice(b"\r\n");
        literal_crlf(out, &picked, partial);
    }

    /// The decoded bytes of a part (RFC 3516 4.3); composite parts come as they are.
    pub fn binary(&self, path: &[u32]) -> Result<Vec<u8>, BinaryError> {
        let mut whole = Vec::new();
        if path.is_empty() {
            crlf(&mut whole, self.bytes);
            return Ok(whole);
        }
        let found = self.find(path).ok_or(BinaryError::NoPart)?;
        let part = &self.structure().parts[found.part];
        crlf(&mut whole, part.body.of(self.bytes));
        match part.encoding {
            _ if !part.children.is_empty() => Ok(whole),
            Encoding::Unknown => Err(BinaryError::UnknownCte),
            Encoding::Identity => Ok(whole),
            encoding => Ok(encoding.decode(&whole)),
        }
    }
}

/// A literal of the CRLF form of `bytes`, or of a piece of it.
fn literal_crlf(out: &mut Vec<u8>, bytes: &[u8], partial: Option<(u32, u32)>) {
    let Some((from, count)) = partial else {
        // the length stands first, but to count the line ends would be a pass of its own
        let start = out.len();
        let room = format!("{{{}}}\r\n", bytes.len());
        out.extend_from_slice(room.as_bytes());
        let body = out.len();
        crlf(out, bytes);
        no_nul(&mut out[body..]);
        let head = format!("{{{}}}\r\n", out.len() - body);
        out.splice(start..body, head.bytes());
        return;
    };
    let mut piece = Vec::new();
    crlf_slice(&mut piece, bytes, from as usize, count as usize);
    crate::write::literal(out, &piece);
}

/// A literal may hold no NUL (RFC 3501 9); such a message is broken anyway.
fn no_nul(bytes: &mut [u8]) {
    if memchr::memchr(0, bytes).is_some() {
        bytes.iter_mut().filter(|b| **b == 0).for_each(|b| *b = 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Item};
    use crate::testing::command;

    const MIXED: &[u8] = b"Subject: s\nFrom: a@b\nContent-Type: multipart/mixed; boundary=x\n\npre\n--x\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVs\nbG8=\n--x\nContent-Type: message/rfc822\n\nSubject: in\n\ninner\n--x--\n";

    fn fetch(message: &[u8], item: &str) -> String {
        let Ok(Command::Fetch(args)) = command(&format!("FETCH 1 BODY.PEEK{item}")) else { panic!("{item}") };
        let Item::Section { section, partial, .. } = &args.items[0] else { panic!() };
        let mut out = Vec::new();
        View::new(message).section(&mut out, section, *partial);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sections_of_a_multipart() {
        assert_eq!(fetch(MIXED, "[1]"), "{10}\r\naGVs\r\nbG8=");
        assert_eq!(fetch(MIXED, "[2.MIME]"), "{32}\r\nContent-Type: message/rfc822\r\n\r\n");
        assert_eq!(fetch(MIXED, "[2.HEADER]"), "{15}\r\nSubject: in\r\n\r\n");
        assert_eq!(fetch(MIXED, "[2.TEXT]"), "{5}\r\ninner");
        assert_eq!(fetch(MIXED, "[2.1]"), "{5}\r\ninner");
        assert_eq!(fetch(MIXED, "[3]"), "NIL");
        assert_eq!(fetch(MIXED, "[1.TEXT]"), "NIL");
        assert_eq!(fetch(MIXED, "[1.1]"), "NIL");
    }

    #[test]
    fn header_fields_and_partials() {
        assert_eq!(fetch(MIXED, "[HEADER.FIELDS (from x)]"), "{13}\r\nFrom: a@b\r\n\r\n");
        assert_eq!(fetch(MIXED, "[HEADER.FIELDS.NOT (from content-type)]"), "{14}\r\nSubject: s\r\n\r\n");
        assert_eq!(fetch(MIXED, "[TEXT]<0.4>"), "{4}\r\npre\r");
        assert_eq!(fetch(MIXED, "[TEXT]<100000.4>"), "{0}\r\n");
        assert_eq!(fetch(b"no header end", "[TEXT]"), "{0}\r\n");
        // the length has more digits than that of the file
        let lines = "\n".repeat(60);
        assert_eq!(fetch(lines.as_bytes(), "[]"), format!("{{120}}\r\n{}", "\r\n".repeat(60)));
    }

    #[test]
    fn a_nul_never_reaches_the_wire() {
        let mut out = Vec::new();
        View::new(b"A: b\n\nx\0y").section(&mut out, &Section { path: vec![1], text: SectionText::All }, None);
        assert_eq!(out, b"{3}\r\nx\x80y");
    }

    #[test]
    fn binary_decodes() {
        let view = View::new(MIXED);
        assert_eq!(view.binary(&[1]).unwrap(), b"hello");
        assert_eq!(view.binary(&[9]), Err(BinaryError::NoPart));
        assert_eq!(view.binary(&[2]).unwrap(), b"Subject: in\r\n\r\ninner");
        assert_eq!(View::new(b"Content-Transfer-Encoding: x-foo\n\nabc").binary(&[1]), Err(BinaryError::UnknownCte));
        assert_eq!(
            View::new(b"Content-Transfer-Encoding: quoted-printable\n\na=\nb=41\n").binary(&[1]).unwrap(),
            b"abA\r\n"
        );
    }
}
