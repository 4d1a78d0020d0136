//! A message with an 8-bit body for a host that takes 7 bits only (RFC 6152 3: convert, or give back).
//!
//! Standards   RFC 2045 6 (encodings), 6.4 (multipart and message carry no encoding of their own), RFC 1428 (a body
//!             without MIME header becomes text/plain; charset=unknown-8bit)
//! Invariants  1. the body that comes out is ASCII   2. decoded, every part is what it was   3. depth is bounded
//! Not here    header fields with 8-bit octets: SMTPUTF8 is for them
//! Notes       a signature over a converted part breaks, as RFC 6376 5.3 warns; better than mail given back

use penny_mime::content::ContentType;
use penny_mime::header::{Fields, body_offset, find_field};
use penny_mime::{base64, qp};

/// Deepest nesting converted; below it the octets are masked.
const DEPTH_MAX: u32 = 50;

/// Converts a whole message with LF line ends.
pub fn convert(message: &[u8]) -> Vec<u8> {
    let (header, body) = message.split_at(body_offset(message).min(message.len()));
    if find_field(header, "content-type").is_none() && find_field(header, "mime-version").is_none() {
        return untyped(header, body);
    }
    entity(message, 0)
}

/// RFC 1428 3.
fn untyped(header: &[u8], body: &[u8]) -> Vec<u8> {
    let typed = b"MIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n";
    let fields: Vec<u8> = without_encoding(header);
    [typed.as_slice(), &with_encoding(&fields, "quoted-printable"), &qp::encode(body, "\n")].concat()
}

fn entity(bytes: &[u8], depth: u32) -> Vec<u8> {
    let (header, body) = bytes.split_at(body_offset(bytes).min(bytes.len()));
    // the header of a part is body to the message
    let ascii_header = if depth > 0 { masked(header) } else { header.to_vec() };
    let header = ascii_header.as_slice();
    if body.is_ascii() {
        return [header, body].concat();
    }
    let kind = find_field(header, "content-type").and_then(|f| ContentType::parse(f.value));
    let kind = kind.unwrap_or_else(|| ContentType::new("text", "plain"));
    let fields = without_encoding(header);
    if depth >= DEPTH_MAX {
        return [header, &masked(body)].concat();
    }
    if kind.is_kind("multipart")
        && let Some(boundary) = kind.boundary()
    {
        return [with_encoding(&fields, "7bit"), parts(body, boundary, depth)].concat();
    }
    if kind.is("message", "rfc822") {
        return [with_encoding(&fields, "7bit"), entity(body, depth + 1)].concat();
    }
    match encoding(header).as_slice() {
        // these are 7-bit by definition: what is not does not belong there
        b"quoted-printable" | b"base64" => [header, &masked(body)].concat(),
        _ if kind.is_kind("text") => [with_encoding(&fields, "quoted-printable"), qp::encode(body, "\n")].concat(),
        _ => [with_encoding(&fields, "base64"), base64::encode_lines(body, "\n").into_bytes()].concat(),
    }
}

fn encoding(header: &[u8]) -> Vec<u8> {
    find_field(header, "content-transfer-encoding").map(|f| f.unfolded().to_ascii_lowercase()).unwrap_or_default()
}

/// The parts of a multipart body, each converted, with the delimiter lines as they were.
fn parts(body: &[u8], boundary: &[u8], depth: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 4);
    let mut part: Vec<u8> = Vec::new();
    let mut inside = false;
    for line in body.split_inclusive(|b| *b == b'\n') {
        match delimiter(line, boundary) {
            None => part.extend_from_slice(line),
            Some(last) => {
                finish(&mut out, &mut part, inside, depth);
                out.extend_from_slice(line);
                inside = !last;
            }
        }
    }
    finish(&mut out, &mut part, inside, depth);
    out
}

/// Writes what was collected: a part converted, preamble and epilogue masked.
fn finish(out: &mut Vec<u8>, part: &mut Vec<u8>, inside: bool, depth: u32) {
    let collected = std::mem::take(part);
    if !inside {
        return out.extend(masked(&collected));
    }
    // the line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1)
    let (content, end) = match collected.strip_suffix(b"\n") {
        Some(content) => (content, &b"\n"[..]),
        None => (collected.as_slice(), &b""[..]),
    };
    out.extend(entity(content, depth + 1));
    if !out.ends_with(b"\n") || content.is_empty() {
        out.extend_from_slice(end);
    }
}

/// `Some(last)` when the line is a delimiter of this boundary.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let rest = rest.trim_ascii_end();
    match rest {
        b"" => Some(false),
        b"--" => Some(true),
        _ => None,
    }
}

fn masked(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|b| if b.is_ascii() { *b } else { b'?' }).collect()
}

/// The fields of a header without its Content-Transfer-Encoding and without the empty line.
fn without_encoding(header: &[u8]) -> Vec<u8> {
    let kept = Fields::new(header).filter(|f| !f.is("content-transfer-encoding"));
    kept.flat_map(|f| f.raw.to_vec()).collect()
}

fn with_encoding(fields: &[u8], encoding: &str) -> Vec<u8> {
    let end = if fields.is_empty() || fields.ends_with(b"\n") { "" } else { "\n" };
    [fields, format!("{end}Content-Transfer-Encoding: {encoding}\n\n").as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn text_becomes_quoted_printable() {
        let m = "A: b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nMIME-Version: 1.0\n\nh\u{e9} =\n";
        let out = convert(m.as_bytes());
        assert!(out.is_ascii());
        let body = &out[body_offset(&out)..];
        assert_eq!(qp::decode(body), "h\u{e9} =\n".as_bytes());
        assert_eq!(text(&out).matches("Content-Transfer-Encoding").count(), 1);
        assert!(text(&out).contains("Content-Transfer-Encoding: quoted-printable\n\n"));
    }

    #[test]
    fn a_body_without_mime_is_typed() {
        let out = convert("Subject: x\n\ncaf\u{e9}\n".as_bytes());
        assert!(
            text(&out).starts_with("MIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nSubject: x\n")
        );
        assert!(text(&out).ends_with("\n\ncaf=C3=A9\n"));
    }

    #[test]
    fn parts_are_converted_one_by_one() {
        let m = b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\nContent-Transfer-Encoding: 8bit\n\n\
            pre\xe9\n--b\n\nplain\n--b\nContent-Type: text/html\n\nh\xc3\xa9\n--b\nContent-Type: image/x\n\n\x01\xff\x02\n\n--b\n\
            Content-Type: message/rfc822\n\nSubject: in\nContent-Type: text/plain\n\n\xc3\xa4\n--b--\nepi\n";
        let out = convert(m);
        assert!(out.is_ascii());
        let t = text(&out);
        assert!(t.contains("boundary=\"b\"\nContent-Transfer-Encoding: 7bit\n\n"));
        assert!(t.contains("\n--b\n\nplain\n--b\n"), "{t}");
        assert!(
            t.contains("Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\nh=C3=A9\n--b\n"),
            "{t}"
        );
        assert!(t.contains("Content-Transfer-Encoding: base64\n\nAf8CCg==\n--b\n"), "{t}");
        assert!(t.contains("message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: in\n"), "{t}");
        assert!(t.contains("\n\n=C3=A4\n--b--\nepi\n"), "{t}");
    }

    #[test]
    fn odd_messages_come_out_in_ascii() {
        for m in [
            &b"\xff"[..],
            b"\n\xff",
            b"Content-Type: multipart/mixed\n\n\xff\n",
            b"Content-Type: multipart/x; boundary=b\n\n--b\n\xff",
        ] {
            assert!(convert(m)[..].is_ascii() || !m[..body_offset(m).min(m.len())].is_ascii(), "{m:?}");
        }
        let mut deep = Vec::new();
        for _ in 0..200 {
            deep.extend_from_slice(b"Content-Type: message/rfc822\n\n");
        }
        deep.extend_from_slice(b"\xff\n");
        assert!(convert(&deep).is_ascii());
    }
}
