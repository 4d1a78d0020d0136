//! A BINARYMIME message as one that every later program can read: binary parts become base64.
//!
//! Standards   RFC 3030 section 3 (a server that takes BINARYMIME must convert for those who do not), RFC 2045 6.1-6.2
//!             (encodings; multipart and message only 7bit, 8bit, binary), RFC 2046 5.1.1 (delimiters)
//! Invariants  1. the output holds LF as the only line end, no CR and no NUL
//!             2. decoding a re-coded part gives the octets that came
//! Failures    [`NotMime`]: the message cannot be told in lines (a header with bare CR, LF or NUL; too deep)
//! Notes       a leaf that is proper text already keeps its octets, only its line ends change

use penny_mime::param::value_and_params;
use penny_mime::{ContentType, Fields};

/// Deepest nesting.
const DEPTH_MAX: usize = 50;
/// Longest line that stays as it is, RFC 5322 2.1.1.
const LINE_MAX: usize = 998;

/// The message cannot be re-coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMime;

/// What the encoding of an entity says about its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// 7bit, 8bit or nothing: lines.
    Lines,
    /// Any octets.
    Binary,
    /// Encoded, so lines again.
    Encoded,
}

impl Form {
    fn parse(field: Option<Vec<u8>>) -> Self {
        let word = field.map(|value| value_and_params(&value).0.to_ascii_lowercase()).unwrap_or_default();
        match word.as_slice() {
            b"binary" => Self::Binary,
            b"7bit" | b"8bit" | b"" => Self::Lines,
            _ => Self::Encoded,
        }
    }
}

/// Re-codes a whole message, CRLF and binary in, LF out.
pub fn recode(message: &[u8]) -> Result<Vec<u8>, NotMime> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 2);
    entity(message, 0, &mut out)?;
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    Ok(out)
}

fn entity(input: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), NotMime> {
    if depth > DEPTH_MAX {
        return Err(NotMime);
    }
    let (header, body) = split(input);
    let header = lines(header).ok_or(NotMime)?;
    let field = |name: &str| Fields::new(&header).find(|f| f.is(name)).map(|f| f.unfolded());
    let kind = field("Content-Type").and_then(|value| ContentType::parse(&value));
    let form = Form::parse(field("Content-Transfer-Encoding"));
    let identity = form != Form::Encoded;
    if let Some(boundary) = kind.as_ref().filter(|k| k.is_kind("multipart") && identity).and_then(|k| k.boundary()) {
        write_header(&header, eight_bit(form), out);
        return multipart(body, boundary, depth, out);
    }
    if kind.as_ref().is_some_and(|k| k.is("message", "rfc822") || k.is("message", "global")) && identity {
        write_header(&header, eight_bit(form), out);
        return entity(body, depth + 1, out);
    }
    leaf(&header, body, form, out)
}

/// What a composite type may be called instead of binary.
fn eight_bit(form: Form) -> Option<&'static str> {
    (form == Form::Binary).then_some("8bit")
}

fn leaf(header: &[u8], body: &[u8], form: Form, out: &mut Vec<u8>) -> Result<(), NotMime> {
    match (lines(body), form) {
        (Some(text), Form::Binary) => {
            write_header(header, Some(if text.is_ascii() { "7bit" } else { "8bit" }), out);
            out.extend_from_slice(&text);
        }
        (Some(text), _) => {
            write_header(header, None, out);
            out.extend_from_slice(&text);
        }
        (None, Form::Lines | Form::Binary) => {
            write_header(header, Some("base64"), out);
            out.extend_from_slice(penny_mime::base64::encode_lines(body, "\n").as_bytes());
        }
        (None, _) => return Err(NotMime),
    }
    Ok(())
}

fn multipart(body: &[u8], boundary: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), NotMime> {
    let mut rest = body;
    let mut first = true;
    loop {
        let (part, delimiter) = next_delimiter(rest, boundary);
        if first {
            out.extend_from_slice(&lines(part).ok_or(NotMime)?); // preamble
        } else {
            entity(part, depth + 1, out)?;
        }
        let Some(Delimiter { after, close }) = delimiter else { return Ok(()) };
        if !(first && part.is_empty()) {
            out.push(b'\n');
        }
        first = false;
        out.extend_from_slice(b"--");
        out.extend_from_slice(boundary);
        out.extend_from_slice(if close { b"--\n" } else { b"\n" });
        rest = after;
        if close {
            out.extend_from_slice(&lines(rest).ok_or(NotMime)?); // epilogue
            return Ok(());
        }
    }
}

struct Delimiter<'a> {
    after: &'a [u8],
    close: bool,
}

/// The octets up to the next delimiter line (without the CRLF that belongs to it), and the delimiter.
fn next_delimiter<'a>(input: &'a [u8], boundary: &[u8]) -> (&'a [u8], Option<Delimiter<'a>>) {
    let needle = [b"--", boundary].concat();
    for at in memchr::memmem::find_iter(input, &needle) {
        let before = input.get(..at).unwrap_or_default();
        let part = if at == 0 { Some(before) } else { before.strip_suffix(b"\r\n") };
        let tail = input.get(at + needle.len()..).unwrap_or_default();
        if let (Some(part), Some(delimiter)) = (part, delimiter_end(tail)) {
            return (part, Some(delimiter));
        }
    }
    (input, None)
}

/// RFC 2046 5.1.1: after the boundary only `--` and blanks may stand on the line.
fn delimiter_end(tail: &[u8]) -> Option<Delimiter<'_>> {
    let close = tail.starts_with(b"--");
    let rest = if close { tail.get(2..)? } else { tail };
    let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let rest = rest.get(blanks..)?;
    match rest.strip_prefix(b"\r\n") {
        Some(after) => Some(Delimiter { after, close }),
        None if rest.is_empty() => Some(Delimiter { after: rest, close }),
        None => None,
    }
}

/// Header (with its last CRLF) and body.
fn split(input: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = input.strip_prefix(b"\r\n") {
        return (&[], body);
    }
    match memchr::memmem::find(input, b"\r\n\r\n") {
        Some(at) => (input.get(..at + 2).unwrap_or_default(), input.get(at + 4..).unwrap_or_default()),
        None => (input, &[]),
    }
}

/// Proper text with LF line ends, or nothing when it holds a bare CR or LF, a NUL or too long a line.
fn lines(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let run = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
        if run > LINE_MAX {
            return None;
        }
        out.extend_from_slice(rest.get(..run)?);
        rest = rest.get(run..)?;
        if rest.is_empty() {
            return Some(out);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        out.push(b'\n');
    }
}

/// Writes a header with its encoding replaced, and the empty line.
fn write_header(header: &[u8], encoding: Option<&str>, out: &mut Vec<u8>) {
    let mut at = 0;
    for field in Fields::new(header) {
        out.extend_from_slice(header.get(at..field.start).unwrap_or_default());
        at = field.end;
        if encoding.is_none() || !field.is("Content-Transfer-Encoding") {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(header.get(at..).unwrap_or_default());
    if let Some(encoding) = encoding {
        out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\n").as_bytes());
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &[u8]) -> String {
        String::from_utf8(recode(message).unwrap()).unwrap()
    }

    #[test]
    fn a_binary_body_becomes_base64() {
        let message =
            b"Subject: x\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: BINARY\r\n\r\n\0\r\n.\r\n\n\xff";
        let expected = "Subject: x\nContent-Type: image/x\nContent-Transfer-Encoding: base64\n\nAA0KLg0KCv8=\n";
        assert_eq!(text(message), expected);
    }

    #[test]
    fn text_stays_text() {
        let message = b"Content-Transfer-Encoding: binary\r\n\r\nhello\r\n.\r\nbye\r\n";
        assert_eq!(text(message), "Content-Transfer-Encoding: 7bit\n\nhello\n.\nbye\n");
        assert_eq!(text(b"A: b\r\n\r\nx"), "A: b\n\nx\n");
        assert_eq!(text(b"A: b\r\n\r\nb\xc3\xbc"), "A: b\n\nb\u{fc}\n");
        let long = [b"A: b\r\n\r\n".as_slice(), &[b'x'; 2000]].concat();
        assert!(text(&long).contains("Content-Transfer-Encoding: base64\n\neHh4"));
    }

    /// RFC 2046 5.1.1 and RFC 3030 4.2: the line end before a delimiter is not part of the part.
    #[test]
    fn multipart_with_a_binary_part() {
        let message = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\
            Content-Transfer-Encoding: binary\r\n\r\npreamble\r\n--b\r\n\r\ntext --b inside\r\n--bb\r\n--b  \r\n\
            Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\x01\n--b\r\n\x00\r\n--b--\r\nend\r\n";
        let expected = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\nContent-Transfer-Encoding: 8bit\n\n\
            preamble\n--b\n\ntext --b inside\n--bb\n--b\nContent-Type: application/octet-stream\n\
            Content-Transfer-Encoding: base64\n\nAQotLWINCgA=\n\n--b--\nend\n";
        assert_eq!(text(message), expected);
        let octets = penny_mime::base64::decode(b"AQotLWINCgA=");
        assert_eq!(octets, b"\x01\n--b\r\n\x00");
    }

    #[test]
    fn nested_messages_are_followed() {
        let message =
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\nSubject: in\r\n\r\n\x00";
        let expected = "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: in\n\
            Content-Transfer-Encoding: base64\n\nAA==\n";
        assert_eq!(text(message), expected);
        let deep = b"Content-Type: message/rfc822\r\n\r\n".repeat(60);
        assert_eq!(recode(&deep), Err(NotMime));
    }

    #[test]
    fn what_cannot_be_lines_is_refused() {
        for bad in [&b"Subject: a\nb\r\n\r\nx"[..], b"Subject: \0\r\n\r\nx", b"A: b\rc\r\n\r\nx"] {
            assert_eq!(recode(bad), Err(NotMime), "{bad:?}");
        }
        let qp = b"Content-Transfer-Encoding: quoted-printable\r\n\r\na\nb";
        assert_eq!(recode(qp), Err(NotMime));
    }

    #[test]
    fn output_never_holds_cr_or_nul() {
        let mut seed = 7u64;
        let pieces: [&[u8]; 9] = [
            b"\r\n",
            b"\r",
            b"\n",
            b"\0",
            b"--b",
            b"--b--\r\n",
            b"Content-Type: multipart/x; boundary=b\r\n",
            b"\r\n\r\n",
            b"x",
        ];
        for _ in 0..3000 {
            let mut message = Vec::new();
            for _ in 0..(seed >> 40) % 20 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                message.extend_from_slice(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if let Ok(out) = recode(&message) {
                assert!(!out.contains(&b'\r') && !out.contains(&0), "{message:?}");
            }
        }
    }
}
