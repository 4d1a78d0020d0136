//! Writing header fields.
//!
//! Standards   RFC 5322 2.1.1 (78 and 998), 2.2.3 (folding), 3.4; RFC 2047; RFC 2231 4
//! Invariants  1. no CR, LF or NUL of a value reaches the output except our own folds: nothing can be injected
//!             2. no line is longer than 998 octets   3. an unfolded field reads back as the value given
use crate::header::is_wsp;
use crate::word;

/// The length we aim at (RFC 5322 2.1.1).
const LINE_GOAL: usize = 78;
/// The length never exceeded, without the line end (RFC 5322 2.1.1).
const LINE_MAX: usize = 998;

/// Builds a header, field by field.
#[derive(Clone, Debug)]
pub struct HeaderBuilder {
    out: Vec<u8>,
    eol: &'static str,
}

impl HeaderBuilder {
    /// Lines end with LF (on disk) or CRLF (on the wire).
    pub fn new(eol: &'static str) -> Self {
        HeaderBuilder { out: Vec::new(), eol }
    }

    /// Adds a structured value, folded at blanks; the caller has encoded what is not ASCII.
    pub fn structured(&mut self, name: &str, value: &str) -> &mut Self {
        let line = fold(name, value.as_bytes(), self.eol);
        self.out.extend_from_slice(&line);
        self
    }

    /// Adds free text (Subject), encoded where needed.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        let coded = word::encode_header(value);
        self.structured(name, &coded)
    }

    /// Adds bytes as they are but for folding and control characters (raw UTF-8 under SMTPUTF8).
    pub fn raw(&mut self, name: &str, value: &[u8]) -> &mut Self {
        let line = fold(name, value, self.eol);
        self.out.extend_from_slice(&line);
        self
    }

    /// The header so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// Ends the header with an empty line.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(self.eol.as_bytes());
        self.out
    }
}

/// One field with its line end, folded before blanks near column 78 and, where there is no blank, cut at 998.
pub fn fold(name: &str, value: &[u8], eol: &str) -> Vec<u8> {
    let mut out = name.as_bytes().to_vec();
    out.push(b':');
    let mut column = out.len();
    for (space, word) in words(value) {
        let space = if space.is_empty() { b" ".as_slice() } else { space };
        if column + space.len() + word.len() > LINE_GOAL && column > name.len() + 1 {
            out.extend_from_slice(eol.as_bytes());
            column = 0;
        }
        out.extend_from_slice(space);
        column += space.len();
        column = push_long(word, column, eol, &mut out);
    }
    out.extend_from_slice(eol.as_bytes());
    out
}

/// A word longer than a line may be is cut; a reader sees a blank in it, which beats a refused message.
fn push_long(word: &[u8], mut column: usize, eol: &str, out: &mut Vec<u8>) -> usize {
    let mut rest = word;
    while column + rest.len() > LINE_MAX {
        let (head, tail) = rest.split_at(LINE_MAX - column);
        out.extend_from_slice(head);
        out.extend_from_slice(eol.as_bytes());
        out.push(b' ');
        (rest, column) = (tail, 1);
    }
    out.extend_from_slice(rest);
    column + rest.len()
}

/// Pairs of (blanks, word); line ends and NULs count as blanks and are dropped.
fn words(value: &[u8]) -> Vec<(&[u8], &[u8])> {
    let blank = |b: u8| is_wsp(b) || b == 0;
    let (mut out, mut rest) = (Vec::new(), value);
    loop {
        let gap = rest.iter().position(|&b| !blank(b)).unwrap_or(rest.len());
        let word = rest[gap..].iter().position(|&b| blank(b)).map_or(rest.len(), |n| gap + n);
        if gap == word {
            return out;
        }
        let clean = rest[..gap].iter().all(|&b| b == b' ' || b == b'\t') && gap < 60;
        out.push((if clean && !out.is_empty() { &rest[..gap] } else { b" ".as_slice() }, &rest[gap..word]));
        rest = &rest[word..];
    }
}

/// A display name for an address: an atom phrase, a quoted string, or encoded words (RFC 5322 3.2.5, RFC 2047 5 (3)).
pub fn phrase(name: &str) -> String {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~ ".contains(&b);
    if !name.is_ascii() || name.bytes().any(|b| b < b' ' || b == 0x7f) || name.contains("=?") {
        word::encode_words(name)
    } else if !name.is_empty() && name.bytes().all(safe) && !name.starts_with(' ') && !name.ends_with(' ') {
        name.to_owned()
    } else {
        quote(name)
    }
}

/// A quoted string (RFC 5322 3.2.4).
pub fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// `Name <local@domain>` or `local@domain`.
pub fn mailbox(name: Option<&str>, address: &str) -> String {
    match name.filter(|n| !n.is_empty()) {
        Some(name) => format!("{} <{address}>", phrase(name)),
        None => address.to_owned(),
    }
}

/// A `name=value` parameter: token, quoted string or RFC 2231 `name*=utf-8''...`.
pub fn parameter(name: &str, value: &str) -> String {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&b);
    if !value.is_empty() && value.bytes().all(token) {
        format!("{name}={value}")
    } else if value.bytes().all(|b| matches!(b, b' '..=b'~')) {
        format!("{name}={}", quote(value))
    } else {
        let coded: String =
            value.bytes().map(|b| if token(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
        format!("{name}*=utf-8''{coded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Fields;

    #[test]
    fn folds_and_reads_back() {
        let value = "word ".repeat(60);
        let bytes = fold("Subject", value.as_bytes(), "\r\n");
        assert!(bytes.split(|&b| b == b'\n').all(|l| l.len() <= 79));
        assert_eq!(Fields::new(&bytes).next().unwrap().unfolded(), value.trim().as_bytes());
        let long = "x".repeat(3000);
        assert!(fold("X", long.as_bytes(), "\n").split(|&b| b == b'\n').all(|l| l.len() <= 998));
    }

    #[test]
    fn nothing_can_be_injected() {
        let mut b = HeaderBuilder::new("\r\n");
        b.text("Subject", "a\r\nBcc: evil\0\n\nbody").structured("X", "y\r\n\r\nz").raw("Z", b"q\nr");
        let bytes = b.finish();
        let names: Vec<_> = Fields::new(&bytes).map(|f| f.name.to_vec()).collect();
        assert_eq!(names, [b"Subject".to_vec(), b"X".to_vec(), b"Z".to_vec()]);
        assert!(bytes.ends_with(b"\r\n\r\n"));
        assert_eq!(crate::header::body_offset(&bytes), bytes.len());
    }

    #[test]
    fn names_and_parameters() {
        assert_eq!(mailbox(Some("Ann Ex"), "a@b"), "Ann Ex <a@b>");
        assert_eq!(mailbox(Some("Ex, A. \"B\""), "a@b"), "\"Ex, A. \\\"B\\\"\" <a@b>");
        assert_eq!(mailbox(Some("Änn"), "a@b"), "=?utf-8?B?w4Rubg==?= <a@b>");
        assert_eq!(mailbox(None, "a@b"), "a@b");
        assert_eq!(parameter("filename", "a.txt"), "filename=a.txt");
        assert_eq!(parameter("filename", "a b.txt"), "filename=\"a b.txt\"");
        let coded = parameter("filename", "ä b.txt");
        let field = format!("attachment; {coded}");
        assert_eq!(crate::Disposition::parse(field.as_bytes()).unwrap().params.decoded("filename").unwrap(), "ä b.txt");
    }
}
