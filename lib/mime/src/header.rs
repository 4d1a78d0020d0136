//! Header fields over raw bytes.
//!
//! Standards   RFC 5322 2.2 (fields), 2.2.3 (folding), 3.5; RFC 5322 4 (obsolete: blanks before the colon)
//! Format      `name: value` lines up to an empty line; LF or CRLF; a line that begins with SP or HT continues the one before
//! Invariants  offsets of a [`Field`] point into the bytes given, `start..end` covers whole lines with their ends
//! Failures    none: a line without a colon (an mbox `From ` line, rubbish) is skipped with its continuations
use memchr::{memchr, memchr3};

/// One header field as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name without the colon and without blanks before it.
    pub name: &'a [u8],
    /// Everything after the colon up to the last line end, folds included.
    pub value: &'a [u8],
    /// All bytes of the field with its line ends.
    pub raw: &'a [u8],
    /// Where `raw` begins.
    pub start: usize,
    /// Where `raw` ends.
    pub end: usize,
}

impl Field<'_> {
    /// Tells whether the field has this name, in any letter case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value with folds undone and outer blanks cut.
    pub fn unfolded(&self) -> Vec<u8> {
        unfold(self.value)
    }
}

/// Iterates over the fields of a header; stops at the empty line or the end of the bytes.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Starts at the first byte of a header (a whole message will do).
    pub fn new(bytes: &'a [u8]) -> Self {
        Fields { bytes, at: 0 }
    }

    /// Where the next field would begin.
    pub fn position(&self) -> usize {
        self.at
    }

    fn line_end(&self, from: usize) -> usize {
        line_end(self.bytes, from)
    }

    fn field_end(&self, start: usize) -> usize {
        let mut end = self.line_end(start);
        while self.bytes.get(end).is_some_and(|&b| b == b' ' || b == b'\t') {
            end = self.line_end(end);
        }
        end
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        while self.at < self.bytes.len() && !is_empty_line(self.bytes, self.at) {
            let (start, end) = (self.at, self.field_end(self.at));
            self.at = end;
            if let Some(field) = split_field(self.bytes, start, end) {
                return Some(field);
            }
        }
        None
    }
}

/// The offset just after the line that holds `from`.
pub(crate) fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |n| from + n + 1)
}

/// True when an empty line (LF or CRLF) stands at `at`.
pub(crate) fn is_empty_line(bytes: &[u8], at: usize) -> bool {
    let rest = &bytes[at..];
    rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
}

fn split_field(bytes: &[u8], start: usize, end: usize) -> Option<Field<'_>> {
    let raw = &bytes[start..end];
    let colon = memchr(b':', raw)?;
    let name = trim_end(&raw[..colon]);
    if name.is_empty() || !name.iter().all(|&b| b > b' ' && b != 0x7f) {
        return None;
    }
    Some(Field { name, value: strip_eol(&raw[colon + 1..]), raw, start, end })
}

/// Cuts one line end (LF or CRLF) off the end.
pub fn strip_eol(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Cuts blanks, CR and LF off the end.
pub fn trim_end(bytes: &[u8]) -> &[u8] {
    let keep = bytes.iter().rposition(|&b| !is_wsp(b)).map_or(0, |n| n + 1);
    &bytes[..keep]
}

/// Cuts blanks, CR and LF off both ends.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let from = bytes.iter().position(|&b| !is_wsp(b)).unwrap_or(bytes.len());
    trim_end(&bytes[from..])
}

/// SP, HT, CR or LF.
pub fn is_wsp(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// Undoes folding (RFC 5322 2.2.3: the line end goes, the blank stays) and cuts outer blanks; NULs and lone CRs become spaces.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    if memchr3(b'\n', b'\r', 0, value).is_none() {
        return trim(value).to_vec();
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&b, tail)) = rest.split_first() {
        match b {
            b'\n' => {}
            b'\r' if tail.first() == Some(&b'\n') => {}
            b'\r' | 0 => out.push(b' '),
            _ => out.push(b),
        }
        rest = tail;
    }
    let keep = trim(&out);
    if keep.len() == out.len() { out } else { keep.to_vec() }
}

/// The offset of the first byte after the empty line that ends the header; the length when there is none.
pub fn body_offset(message: &[u8]) -> usize {
    let mut at = 0;
    while at < message.len() {
        let end = line_end(message, at);
        if is_empty_line(message, at) {
            return end;
        }
        at = end;
    }
    at
}

/// The first field with this name.
pub fn find_field<'a>(header: &'a [u8], name: &str) -> Option<Field<'a>> {
    Fields::new(header).find(|field| field.is(name))
}

/// All fields with this name, in order.
pub fn all_fields<'a>(header: &'a [u8], name: &'a str) -> impl Iterator<Item = Field<'a>> {
    Fields::new(header).filter(move |field| field.is(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> Vec<String> {
        Fields::new(bytes).map(|f| String::from_utf8_lossy(f.name).into_owned()).collect()
    }

    #[test]
    fn folded_fields_and_both_line_ends() {
        let lf = b"From x@y Mon\nSubject: one\n two\nTo : a@b\n\nbody: no\n";
        let f: Vec<_> = Fields::new(lf).collect();
        assert_eq!(names(lf), ["Subject", "To"]);
        assert_eq!(f[0].unfolded(), b"one two");
        assert_eq!(f[0].raw, b"Subject: one\n two\n");
        assert_eq!(&lf[f[1].start..f[1].end], b"To : a@b\n");
        let crlf = b"Subject: one\r\n\ttwo\r\n\r\nx";
        assert_eq!(Fields::new(crlf).next().unwrap().unfolded(), b"one\ttwo");
        assert_eq!(body_offset(crlf), crlf.len() - 1);
    }

    #[test]
    fn rubbish_is_skipped_not_fatal() {
        assert_eq!(names(b"no colon here\n continued: x\n: empty\nA b: c\nX: y"), ["X"]);
        assert_eq!(names(b""), Vec::<String>::new());
        assert_eq!(names(b"\nA: b\n"), Vec::<String>::new());
        assert_eq!(body_offset(b"A: b"), 4);
        assert_eq!(body_offset(b"\nbody"), 1);
    }

    #[test]
    fn nul_and_bare_cr_do_not_survive_unfolding() {
        assert_eq!(unfold(b" a\0b\rc\r\n d "), b"a b c d");
    }

    #[test]
    fn finds_by_any_case() {
        let h = b"A: 1\nb: 2\nB: 3\n\n";
        assert_eq!(find_field(h, "B").unwrap().unfolded(), b"2");
        assert_eq!(all_fields(h, "b").count(), 2);
        assert!(find_field(h, "c").is_none());
    }
}
