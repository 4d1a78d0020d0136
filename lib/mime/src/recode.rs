//! Makes a message with binary parts storable: they become base64, line ends become LF.
//!
//! Standards   RFC 3516 4.4 (a server may re-code what came as literal8), RFC 3030 3 (BINARYMIME), RFC 2045 6
//! Invariants  1. decoding a re-coded part gives its octets back   2. text keeps its lines   3. no NUL is left in a part said to be binary
use crate::base64;
use crate::content::Encoding;
use crate::header::{Fields, find_field, trim};
use crate::structure::{Limits, Part, Structure};

/// Re-codes a message as it came off the wire (CRLF); `None` when a NUL stands where nothing can be re-coded.
pub fn store_form(message: &[u8]) -> Option<Vec<u8>> {
    let structure = Structure::parse(message, Limits::default());
    let mut out = Vec::with_capacity(message.len() + message.len() / 2);
    let mut at = 0;
    for part in structure.parts.iter().filter(|p| is_binary_leaf(message, p)) {
        // parts come in the order of the message, leaves do not overlap
        push_text(&mut out, message.get(at..part.header.start)?);
        push_header(&mut out, part.header.of(message));
        out.extend_from_slice(base64::encode_lines(part.body.of(message), "\n").as_bytes());
        // the line end before a boundary belongs to the boundary
        if part.body.end < message.len() && out.ends_with(b"\n") {
            out.pop();
        }
        at = part.body.end;
    }
    push_text(&mut out, message.get(at..)?);
    (memchr::memchr(0, &out).is_none()).then_some(out)
}

fn is_binary_leaf(message: &[u8], part: &Part) -> bool {
    let field = find_field(part.header.of(message), "Content-Transfer-Encoding");
    let binary = field.is_some_and(|f| trim(f.value).eq_ignore_ascii_case(b"binary"));
    part.children.is_empty()
        && part.encoding == Encoding::Identity
        && (binary || memchr::memchr(0, part.body.of(message)).is_some())
}

/// The header with its encoding changed to base64.
fn push_header(out: &mut Vec<u8>, header: &[u8]) {
    let mut at = 0;
    out.extend_from_slice(b"Content-Transfer-Encoding: base64\n");
    for field in Fields::new(header).filter(|f| f.is("Content-Transfer-Encoding")) {
        push_text(out, &header[at..field.start]);
        at = field.end;
    }
    push_text(out, &header[at..]);
}

/// CRLF becomes LF.
fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    for (index, &b) in text.iter().enumerate() {
        if !(b == b'\r' && text.get(index + 1) == Some(&b'\n')) {
            out.push(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_parts_come_back_whole() {
        let m = b"A: b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: binary\r\nContent-Type: a/b\r\n\r\n\0\x01\r\n\n\xff\r\n--x\r\n\r\ntext\r\n--x--\r\n";
        let stored = store_form(m).unwrap();
        assert!(!stored.contains(&0) && !stored.contains(&b'\r'));
        let s = Structure::parse(&stored, Limits::default());
        assert_eq!(s.parts[1].encoding, Encoding::Base64);
        assert_eq!(s.parts[1].encoding.decode(s.parts[1].body.of(&stored)), b"\0\x01\r\n\n\xff");
        assert_eq!(s.parts[2].body.of(&stored), b"text");
        assert_eq!(s.parts[1].content_type.sub, b"b");
    }

    #[test]
    fn a_single_part_and_text() {
        assert_eq!(store_form(b"A: b\r\n\r\nx\r\n").unwrap(), b"A: b\n\nx\n");
        let stored = store_form(b"A: b\r\n\r\nx\0y").unwrap();
        assert_eq!(stored, b"Content-Transfer-Encoding: base64\nA: b\n\neAB5\n");
        assert!(store_form(b"A: \0b\r\n\r\nx").is_none());
    }
}
