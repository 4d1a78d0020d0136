//! Message bytes as the body of a multi-line answer.
//!
//! Standards   RFC 1939 3 (byte-stuffing, CRLF.CRLF end), 7 (TOP: header, blank line, n body lines)
//! Invariants  1. any stored bytes come out with CRLF line ends, every leading dot doubled, one final CRLF, then `.` CRLF
//!             2. the output is the same however the input is cut

/// Encodes one message; `feed` as often as needed, then `finish`.
#[derive(Debug)]
pub struct Multiline {
    line_start: bool,
    after_cr: bool,
    in_header: bool,
    line_empty: bool,
    body_lines: Option<u64>,
    done: bool,
}

impl Multiline {
    /// Encodes everything (RETR).
    pub fn whole() -> Self {
        Self { line_start: true, after_cr: false, in_header: true, line_empty: true, body_lines: None, done: false }
    }

    /// Encodes the header, the empty line and `lines` lines of the body (TOP).
    pub fn top(lines: u64) -> Self {
        Self { body_lines: Some(lines), ..Self::whole() }
    }

    /// True when no further input changes the output: the caller may stop reading.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Adds stored bytes (LF or CRLF line ends); appends what goes to the wire.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        // lines are seldom shorter than 32 octets
        out.reserve(input.len() + input.len() / 32 + 64);
        let mut rest = input;
        while !self.done && !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            self.text(line, out);
            let Some(end) = end else { return };
            self.end_of_line(out);
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }

    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let Some(&first) = text.first() else { return };
        if self.line_start && first == b'.' {
            out.push(b'.');
        }
        out.extend_from_slice(text);
        self.line_empty &= self.line_start && text == b"\r";
        self.line_start = false;
        self.after_cr = text.last() == Some(&b'\r');
    }

    fn end_of_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.after_cr { b"\n" } else { b"\r\n" });
        if self.in_header {
            self.in_header = !self.line_empty;
        } else if let Some(n) = &mut self.body_lines {
            *n = n.saturating_sub(1);
        }
        self.done = !self.in_header && self.body_lines == Some(0);
        self.line_start = true;
        self.after_cr = false;
        self.line_empty = true;
    }

    /// Appends the end: a last line without line end gets one, then the dot.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if !self.line_start {
            self.end_of_line(out);
        }
        if self.body_lines.is_some() && self.in_header {
            // RFC 1939 7: the blank line belongs to the answer of TOP even when the stored header never ends
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}

/// The octets `LIST` counts for stored bytes: every line end is two, a missing last one is not added.
pub fn wire_size(stored: &[u8]) -> u64 {
    let mut size = stored.len() as u64;
    let mut before = 0;
    for &b in stored {
        if b == b'\n' && before != b'\r' {
            size += 1;
        }
        before = b;
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(mut coder: Multiline, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            coder.feed(part, &mut out);
        }
        coder.finish(&mut out);
        out
    }

    #[test]
    fn stuffing_and_ends() {
        for (stored, wire) in [
            (&b"A: b\n\n.x\n..\nlast"[..], &b"A: b\r\n\r\n..x\r\n...\r\nlast\r\n.\r\n"[..]),
            (b"A: b\r\n\r\nx\r\n", b"A: b\r\n\r\nx\r\n.\r\n"),
            (b"", b".\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"\n", b"\r\n.\r\n"),
            (b"a\rb\n\0\n", b"a\rb\r\n\0\r\n.\r\n"),
        ] {
            assert_eq!(encode(Multiline::whole(), &[stored]), wire);
        }
    }

    #[test]
    fn top_counts_body_lines() {
        let stored = b"A: b\nC: d\n\n1\n.2\n3\n";
        assert_eq!(encode(Multiline::top(0), &[stored]), b"A: b\r\nC: d\r\n\r\n.\r\n");
        assert_eq!(encode(Multiline::top(2), &[stored]), b"A: b\r\nC: d\r\n\r\n1\r\n..2\r\n.\r\n");
        assert_eq!(encode(Multiline::top(9), &[stored]), b"A: b\r\nC: d\r\n\r\n1\r\n..2\r\n3\r\n.\r\n");
        assert_eq!(encode(Multiline::top(0), &[b"A: b\r\n\r\nx\r\n"]), b"A: b\r\n\r\n.\r\n");
        assert_eq!(encode(Multiline::top(5), &[b"A: b"]), b"A: b\r\n\r\n.\r\n");
    }

    #[test]
    fn however_it_is_cut() {
        let stored = b"H: 1\r\nI: 2\n\n.a\r\n..b\n\n\r\r\nend.";
        for coder in [Multiline::whole as fn() -> Multiline, || Multiline::top(2)] {
            let want = encode(coder(), &[stored]);
            for cut in 0..=stored.len() {
                assert_eq!(encode(coder(), &[&stored[..cut], &stored[cut..]]), want, "cut at {cut}");
            }
            let bytes: Vec<&[u8]> = stored.chunks(1).collect();
            assert_eq!(encode(coder(), &bytes), want, "byte by byte");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(wire_size(b"a\nb\r\nc"), 7);
        assert_eq!(wire_size(b""), 0);
    }
}
