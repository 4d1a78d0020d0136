//! uuencoded files in text, and their base64 form.
//!
//! Standards   POSIX uuencode; `begin MODE NAME` ... `end`, `begin-base64 MODE NAME` ... `====`
//! Leniency    blanks lost at line ends, space for backquote, a missing end, lines that are too long or too short

use super::{base64, params};
use crate::sink::{Meta, Sink};

/// Reads the file whose `begin` is at `at`.
pub fn read(data: &[u8], at: usize, sink: &mut dyn Sink) {
    if at > 0 && !matches!(data.get(at - 1), Some(b'\n' | b'\r' | b' ' | b'\t' | b'>')) {
        return;
    }
    let Some((name, coded64)) = begin(data.get(at..line_end(data, at)).unwrap_or_default()) else { return };
    let body = data.get(next(data, line_end(data, at))..).unwrap_or_default();
    let meta = Meta { packed: Some(body.len() as u64), ..Meta::named("MAIL", name) };
    if coded64 {
        let len = memchr::memmem::find(body, b"\n====").unwrap_or(body.len());
        sink.decode(&meta, &mut base64::Decoder::new(body.get(..len).unwrap_or(body), base64::Mode::Strict));
        return;
    }
    let out = decode(body);
    if !out.is_empty() {
        sink.member(&meta, &out);
    }
}

fn line_end(data: &[u8], at: usize) -> usize {
    let rest = data.get(at..).unwrap_or_default();
    at + memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())
}

fn next(data: &[u8], end: usize) -> usize {
    end + if data.get(end..).is_some_and(|d| d.starts_with(b"\r\n")) { 2 } else { 1 }
}

/// Name and form of a `begin` line.
fn begin(line: &[u8]) -> Option<(String, bool)> {
    let (rest, coded64) = match line.strip_prefix(b"begin-base64 ") {
        Some(rest) => (rest, true),
        None => (line.strip_prefix(b"begin ")?, false),
    };
    let rest = rest.trim_ascii_start();
    let digits = rest.iter().take_while(|c| matches!(c, b'0'..=b'7')).count();
    (3..=5).contains(&digits).then_some(())?;
    let name = rest.get(digits..)?.trim_ascii();
    Some((params::text(name), coded64))
}

/// Decodes lines until `end`, an empty line of data, or text that is none.
fn decode(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut bad = 0;
    while at < body.len() {
        let end = line_end(body, at);
        let line = body.get(at..end).unwrap_or_default();
        at = next(body, end);
        if line == b"end" {
            break;
        }
        bad = if one_line(line, &mut out) { 0 } else { bad + 1 };
        if bad > 3 {
            break;
        }
    }
    out
}

fn one_line(line: &[u8], out: &mut Vec<u8>) -> bool {
    let Some((first, rest)) = line.split_first() else { return true };
    if !(0x20..=0x60).contains(first) {
        return false;
    }
    let want = usize::from((first - 0x20) & 63);
    // a line far shorter than it says is text, not data
    if rest.len() * 3 + 12 < want * 4 || rest.len() > want * 4 / 3 + 70 {
        return false;
    }
    let start = out.len();
    let value = |n: usize| u32::from(rest.get(n).map_or(0, |c| c.wrapping_sub(0x20) & 63));
    for n in (0..want.div_ceil(3)).map(|n| n * 4) {
        let bits = value(n) << 18 | value(n + 1) << 12 | value(n + 2) << 6 | value(n + 3);
        out.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
    }
    out.truncate(start + want);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    #[test]
    fn a_known_file() {
        // "Cat" from the POSIX rationale
        let text = b"hello\nbegin 644 cat.txt\n#0V%T\n`\nend\nbye\n";
        let mut c = Collect::default();
        read(text, 6, &mut c);
        assert_eq!(c.members, vec![("cat.txt".to_owned(), b"Cat".to_vec())]);
    }

    #[test]
    fn prose_is_not_a_file() {
        let text = b"begin 644 things to do\nand then some words that are not data at all\nmore\nmore words here\nagain words\n";
        let mut c = Collect::default();
        read(text, 0, &mut c);
        assert!(c.members.iter().all(|(_, d)| d.len() < 60));
        let mut c = Collect::default();
        read(b"begin a new day\n", 0, &mut c);
        assert!(c.members.is_empty());
    }

    #[test]
    fn base64_form() {
        let mut c = Collect::default();
        read(b"begin-base64 644 f\nQ2F0\n====\n", 0, &mut c);
        assert!(c.has(b"Cat"));
    }
}
