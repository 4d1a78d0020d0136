//! yEnc files in text.
//!
//! Standards   yEnc 1.3: `=ybegin line= size= name=`, `=ypart`, octets + 42 with `=` escapes (+64), `=yend`

use super::params;
use crate::sink::{Meta, Sink};

/// Reads the file whose `=ybegin` is at `at`.
pub fn read(data: &[u8], at: usize, sink: &mut dyn Sink) {
    let rest = data.get(at..).unwrap_or_default();
    let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
    let head = rest.get(..len).unwrap_or_default();
    if at > 0 && !matches!(data.get(at - 1), Some(b'\n' | b'\r')) {
        return;
    }
    let name = memchr::memmem::find(head, b"name=").and_then(|n| head.get(n + 5..)).unwrap_or_default();
    let out = decode(rest.get(len..).unwrap_or_default());
    if !out.is_empty() {
        sink.member(&Meta::named("MAIL", params::text(name.trim_ascii())), &out);
    }
}

fn decode(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = line_at_lf(body, 0).1;
    while at < body.len() {
        let line = line_at_lf(body, at);
        let text = body.get(at..line.0).unwrap_or_default();
        at = line.1;
        if text.starts_with(b"=yend") {
            break;
        }
        if text.starts_with(b"=ypart") || text.starts_with(b"=ybegin") {
            continue;
        }
        let mut octets = text.iter();
        while let Some(c) = octets.next() {
            let c = if *c == b'=' { octets.next().map_or(0, |c| c.wrapping_sub(64)) } else { *c };
            out.push(c.wrapping_sub(42));
        }
    }
    out
}

/// End of text and start of the next line.
fn line_at_lf(data: &[u8], at: usize) -> (usize, usize) {
    let rest = data.get(at..).unwrap_or_default();
    let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
    let crlf = rest.get(len..).is_some_and(|r| r.starts_with(b"\r\n"));
    (at + len, at + len + if crlf { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    #[test]
    fn decodes_escapes() {
        let plain: Vec<u8> = (0..=255).collect();
        let mut text = b"x\n=ybegin line=128 size=256 name=a.bin\r\n".to_vec();
        for b in &plain {
            let c = b.wrapping_add(42);
            if matches!(c, 0 | b'\n' | b'\r' | b'=') {
                text.extend([b'=', c.wrapping_add(64)]);
            } else {
                text.push(c);
            }
        }
        text.extend(b"\r\n=yend size=256\r\n");
        let mut c = Collect::default();
        read(&text, 2, &mut c);
        assert_eq!(c.members, vec![("a.bin".to_owned(), plain)]);
    }
}
