//! The message on standard input: lines with LF, the end at a dot unless told otherwise, the header apart.
//!
//! Invariants  1. what comes out holds no CR at all: CRLF is a line end, a CR elsewhere becomes a space
//!             2. a header is only what looks like one; a text without it gets an empty line in front
//! Quirks      `quirk_mbox_from`: a first line `From ...` of an mbox is dropped

use std::io::{self, BufRead};

/// Longest header kept.
const HEADER_MAX: usize = 1 << 20;

/// Lines of the input, with their ends made LF.
pub struct Lines<R> {
    input: R,
    ignore_dots: bool,
    over: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads `input`.
    pub fn new(input: R, ignore_dots: bool) -> Lines<R> {
        Lines { input, ignore_dots, over: false }
    }

    /// The next line with its LF (a last line without one gets it); `None` at the end.
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.over {
            return Ok(None);
        }
        let mut line = Vec::new();
        if self.input.read_until(b'\n', &mut line)? == 0 {
            self.over = true;
            return Ok(None);
        }
        if line.ends_with(b"\n") {
            line.pop();
        }
        if line.ends_with(b"\r") {
            line.pop();
        }
        if !self.ignore_dots && line == b"." {
            self.over = true;
            return Ok(None);
        }
        line.iter_mut().filter(|b| **b == b'\r').for_each(|b| *b = b' ');
        line.push(b'\n');
        Ok(Some(line))
    }
}

/// Reads the header: its lines, and the first line of the body if it was read already.
pub fn header<R: BufRead>(lines: &mut Lines<R>) -> io::Result<(Vec<u8>, Option<Vec<u8>>)> {
    let mut header = Vec::new();
    let mut first = true;
    while let Some(line) = lines.next_line()? {
        if std::mem::take(&mut first) && line.starts_with(b"From ") {
            continue;
        }
        if line == b"\n" {
            return Ok((header, None));
        }
        let continued = !header.is_empty() && line.starts_with(b" ") || line.starts_with(b"\t");
        if !(continued || is_field(&line)) || header.len() + line.len() > HEADER_MAX {
            return Ok((header, Some(line)));
        }
        header.extend_from_slice(&line);
    }
    Ok((header, None))
}

/// RFC 5322 2.2: a name of printable characters without colon, then a colon (blanks before it are obsolete).
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|b| *b == b':') else { return false };
    let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
    !name.is_empty() && name.iter().all(|b| (b'!'..=b'~').contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &str, ignore_dots: bool) -> String {
        let mut lines = Lines::new(input.as_bytes(), ignore_dots);
        let mut out = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            out.extend(line);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn line_ends_and_dots() {
        assert_eq!(all("a\r\nb\nc", true), "a\nb\nc\n");
        assert_eq!(all("a\rb\n\r\r\n", true), "a b\n \n");
        assert_eq!(all("a\n.\nb\n", false), "a\n");
        assert_eq!(all("a\n.\nb\n", true), "a\n.\nb\n");
        assert_eq!(all("..\n. \n", false), "..\n. \n");
    }

    #[test]
    fn headers_and_what_is_none() {
        let of = |text: &str| {
            let mut lines = Lines::new(text.as_bytes(), true);
            let (h, first) = header(&mut lines).unwrap();
            (String::from_utf8(h).unwrap(), first.map(|l| String::from_utf8(l).unwrap()))
        };
        assert_eq!(of("A: b\n c\nB : d\n\nx\n"), ("A: b\n c\nB : d\n".into(), None));
        assert_eq!(of("hello world\nA: b\n"), (String::new(), Some("hello world\n".into())));
        assert_eq!(of("A: b\nno colon\n"), ("A: b\n".into(), Some("no colon\n".into())));
        assert_eq!(of("From me Tue\nA: b\n\n"), ("A: b\n".into(), None));
        assert_eq!(of(""), (String::new(), None));
    }
}
