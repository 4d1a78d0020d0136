//! The outermost form of a message: header fields as they stand, and the body.
//!
//! Standards   RFC 5322 2.2 (fields, folding)
//! Invariants  1. nothing is decoded or changed: signatures are over exact octets   2. lines end in LF or CRLF; both
//!             count as CRLF when hashed, so a message from the queue and one from the wire give the same result
//!             3. at most `FIELDS_MAX` fields are looked at; more make the message unverifiable
//! Trust       hostile bytes

/// Header fields of one message; beyond that nothing is verified.
pub const FIELDS_MAX: usize = 2000;

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Everything from the name to the end of the last line, the final line end excluded.
    pub raw: &'a [u8],
    /// The name as written; empty when the line is no field.
    pub name: &'a [u8],
}

impl<'a> Field<'a> {
    /// Takes a field apart; `raw` may be folded.
    pub fn new(raw: &'a [u8]) -> Self {
        let name = raw.split(|&b| b == b':').next().filter(|n| n.len() < raw.len()).unwrap_or_default();
        let name = name.trim_ascii_end(); // obsolete syntax allows white space before the colon (RFC 5322 4.5)
        let valid = name.iter().all(|b| matches!(b, b'!'..=b'~'));
        Self { raw, name: if valid { name } else { &[] } }
    }

    /// Whether the name is this one, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Everything after the colon, folds included.
    pub fn value(&self) -> &'a [u8] {
        let colon = self.raw.iter().position(|&b| b == b':');
        colon.and_then(|at| self.raw.get(at + 1..)).unwrap_or_default()
    }

    /// The value as text without its folds; octets that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        let value = String::from_utf8_lossy(self.value());
        value.replace(['\r', '\n'], "").trim().to_owned()
    }
}

/// A message in its two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The fields, topmost first.
    pub fields: Vec<Field<'a>>,
    /// What follows the first empty line.
    pub body: &'a [u8],
    /// There were more than [`FIELDS_MAX`] fields.
    pub overlong: bool,
}

impl<'a> Message<'a> {
    /// Splits a message; never fails.
    pub fn parse(bytes: &'a [u8]) -> Self {
        let mut message = Self { fields: Vec::new(), body: &[], overlong: false };
        let (mut start, mut at) = (0, 0);
        while at < bytes.len() {
            let next = line_end(bytes, at);
            let line = trim_eol(bytes.get(at..next).unwrap_or_default());
            let folded = at > start && line.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
            if !folded && at > start {
                message.push(bytes.get(start..at).unwrap_or_default());
                start = at;
            }
            if line.is_empty() {
                message.body = bytes.get(next..).unwrap_or_default();
                return message;
            }
            at = next;
        }
        if start < bytes.len() {
            message.push(bytes.get(start..).unwrap_or_default());
        }
        message
    }

    fn push(&mut self, raw: &'a [u8]) {
        if self.fields.len() < FIELDS_MAX {
            self.fields.push(Field::new(trim_eol(raw)));
        } else {
            self.overlong = true;
        }
    }

    /// The fields of one name, topmost first.
    pub fn all<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Field<'a>> {
        self.fields.iter().filter(move |f| f.is(name))
    }
}

/// One past the line feed that ends the line at `at`.
pub(crate) fn line_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(bytes.len(), |n| at + n + 1)
}

/// Without the final LF or CRLF.
pub(crate) fn trim_eol(line: &[u8]) -> &[u8] {
    match line {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let message = Message::parse(text.as_bytes());
        message.fields.iter().map(|f| String::from_utf8_lossy(f.name).into_owned()).collect()
    }

    #[test]
    fn both_line_ends_split_alike() {
        for text in ["A: 1\r\nB : 2\r\n x\r\n\r\nbody\r\n", "A: 1\nB : 2\n x\n\nbody\n"] {
            let message = Message::parse(text.as_bytes());
            assert_eq!(names(text), ["A", "B"]);
            assert!(message.body.starts_with(b"body"));
            assert_eq!(message.fields[1].text(), "2 x");
        }
    }

    #[test]
    fn odd_shapes() {
        assert_eq!(names(""), Vec::<String>::new());
        assert_eq!(names("\r\nbody"), Vec::<String>::new());
        assert_eq!(Message::parse(b"\r\nbody").body, b"body");
        assert_eq!(names("no colon\r\nA: b\r\n\r\n"), ["", "A"]);
        assert_eq!(names("A: b"), ["A"]);
        assert_eq!(names("A: b\r\n c"), ["A"]);
        assert_eq!(names(" begins folded\r\nA: b\r\n"), ["", "A"]);
    }

    #[test]
    fn too_many_fields_are_seen() {
        let text = "A: b\n".repeat(FIELDS_MAX + 1);
        let message = Message::parse(text.as_bytes());
        assert!(message.overlong && message.fields.len() == FIELDS_MAX);
    }
}
