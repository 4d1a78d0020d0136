//! The message a script looks at, and changes.
//!
//! Invariants  1. a message is never modified in place: an edit makes a new one, actions keep the one they saw (RFC 5293 6)
//!             2. sizes are octets with CRLF line ends, as sent

use std::cell::OnceCell;
use std::rc::Rc;

use penny_mime::{Fields, Limits, Structure, body_offset, header, word};

/// A message, cheap to clone.
#[derive(Debug, Clone)]
pub struct Message {
    raw: Rc<Vec<u8>>,
    structure: OnceCell<Rc<Structure>>,
}

impl Message {
    /// A message with LF or CRLF line ends.
    pub fn new(raw: impl Into<Vec<u8>>) -> Self {
        Self { raw: Rc::new(raw.into()), structure: OnceCell::new() }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.raw
    }

    /// True if both are one and the same message, unedited.
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.raw, &other.raw)
    }

    pub(crate) fn structure(&self) -> Rc<Structure> {
        self.structure.get_or_init(|| Rc::new(Structure::parse(&self.raw, Limits { depth: 64, parts: 2000 }))).clone()
    }

    /// Octets as sent.
    pub(crate) fn size(&self) -> u64 {
        let mut size = self.raw.len() as u64;
        let mut before = 0;
        for &b in self.raw.iter() {
            size += u64::from(b == b'\n' && before != b'\r');
            before = b;
        }
        size
    }

    /// The line end the message uses.
    pub(crate) fn eol(&self) -> &'static str {
        match self.raw.iter().position(|&b| b == b'\n') {
            Some(at) if at > 0 && self.raw.get(at - 1) == Some(&b'\r') => "\r\n",
            _ => "\n",
        }
    }

    /// Header of a part (0 = the message).
    pub(crate) fn header_of(&self, part: usize) -> &[u8] {
        if part == 0 {
            return self.raw.get(..body_offset(&self.raw)).unwrap_or_default();
        }
        self.structure().parts.get(part).map_or(&[], |p| self.raw.get(p.header.start..p.header.end).unwrap_or_default())
    }

    /// Values of the fields of that name in a part, unfolded, not decoded.
    pub(crate) fn raw_values(&self, part: usize, name: &str) -> Vec<Vec<u8>> {
        header::all_fields(self.header_of(part), name).map(|f| f.unfolded()).collect()
    }

    /// Values as text, RFC 2047 decoded (RFC 5228 2.7.2).
    pub(crate) fn values(&self, part: usize, name: &str) -> Vec<String> {
        self.raw_values(part, name).iter().map(|v| word::decode_header(v)).collect()
    }

    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.values(0, name).into_iter().next()
    }

    pub(crate) fn has(&self, part: usize, name: &str) -> bool {
        header::all_fields(self.header_of(part), name).next().is_some()
    }

    /// Everything after the header.
    pub(crate) fn body(&self) -> &[u8] {
        self.raw.get(body_offset(&self.raw)..).unwrap_or_default()
    }

    /// The decoded content of a part.
    pub(crate) fn content(&self, part: usize) -> Vec<u8> {
        let structure = self.structure();
        structure.parts.get(part).map_or_else(Vec::new, |p| p.encoding.decode(p.body.of(&self.raw)))
    }

    /// The content of a text part in UTF-8.
    pub(crate) fn content_text(&self, part: usize) -> String {
        let structure = self.structure();
        let Some(p) = structure.parts.get(part) else { return String::new() };
        let bytes = self.content(part);
        penny_mime::charset::to_utf8(p.content_type.charset(), &bytes).into_owned()
    }

    /// The same message with one more field, on top or (`last`) below all others.
    pub(crate) fn with_field(&self, field: &[u8], last: bool) -> Self {
        let at = if last { self.end_of_fields() } else { 0 };
        let (before, after) = self.raw.split_at_checked(at).unwrap_or((&self.raw, &[]));
        let mut raw = before.to_vec();
        if !raw.is_empty() && raw.last() != Some(&b'\n') {
            raw.extend_from_slice(self.eol().as_bytes());
        }
        raw.extend_from_slice(field);
        raw.extend_from_slice(after);
        Self::new(raw)
    }

    fn end_of_fields(&self) -> usize {
        Fields::new(&self.raw).map(|f| f.end).last().unwrap_or(0)
    }

    /// The same message without the fields of these positions (in order of appearance).
    pub(crate) fn without_fields(&self, positions: &[usize]) -> Self {
        let mut raw = Vec::with_capacity(self.raw.len());
        let mut from = 0;
        for (at, field) in Fields::new(&self.raw).enumerate() {
            if positions.contains(&at) {
                raw.extend_from_slice(self.raw.get(from..field.start).unwrap_or_default());
                from = field.end;
            }
        }
        raw.extend_from_slice(self.raw.get(from..).unwrap_or_default());
        Self::new(raw)
    }

    /// Position and value (as text) of each field of that name.
    pub(crate) fn positions(&self, name: &str) -> Vec<(usize, String)> {
        let all = Fields::new(&self.raw).enumerate().filter(|(_, f)| f.is(name));
        all.map(|(at, f)| (at, word::decode_header(&f.unfolded()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_make_new_messages() {
        let m = Message::new(*b"A: 1\nB: 2\n\nbody\n");
        assert_eq!(m.with_field(b"C: 3\n", false).bytes(), b"C: 3\nA: 1\nB: 2\n\nbody\n");
        assert_eq!(m.with_field(b"C: 3\n", true).bytes(), b"A: 1\nB: 2\nC: 3\n\nbody\n");
        assert_eq!(m.without_fields(&[0]).bytes(), b"B: 2\n\nbody\n");
        assert_eq!(m.without_fields(&[0, 1]).bytes(), b"\nbody\n");
        assert_eq!(m.bytes(), b"A: 1\nB: 2\n\nbody\n");
        assert_eq!(m.size(), 20);
    }
}
