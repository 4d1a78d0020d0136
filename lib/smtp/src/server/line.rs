//! Command lines.
//!
//! Standards   RFC 5321 2.3.8 (a line ends in CRLF), 4.5.3.1.4 (512 octets, extensions add), RFC 4954 4 (12,288 for AUTH)
//! Invariants  1. a line event covers exactly the octets up to and with one LF
//!             2. at most [`AUTH_MAX`] octets are kept
//! Failures    lines that are too long, or hold a bare CR or LF, come out as what they are, never as a command

/// Longest command line in octets without CRLF: 512 and what the offered extensions add (SIZE 26, BODY 17, SMTPUTF8 10,
/// RET 8, ENVID 107, AUTH 500, REQUIRETLS 11, BY 17, HOLDUNTIL 34, MT-PRIORITY 15; NOTIFY 28, ORCPT 507).
pub const COMMAND_MAX: usize = 2048;
/// Longest AUTH line in octets, RFC 4954 section 4.
pub const AUTH_MAX: usize = 12_288;
/// Octets without a line end after which nobody is talking SMTP.
const ENDLESS: usize = 65_536;

/// One line, or what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line without its CRLF.
    Text(Vec<u8>),
    /// Ended by LF without CR; the text is given for the quirk that takes it.
    BareLf(Vec<u8>),
    /// A CR inside the line.
    BareCr,
    /// Too long, read to its end.
    TooLong,
    /// Too long and still without end: close.
    Endless,
}

/// Incremental reader of lines.
#[derive(Debug, Default)]
pub struct LineReader {
    buf: Vec<u8>,
    seen: usize,
}

impl LineReader {
    /// Whether a part of a line has been read.
    pub fn is_mid_line(&self) -> bool {
        self.seen > 0
    }

    /// Reads up to one line end; gives the octets used and the line once it is whole.
    pub fn feed(&mut self, input: &[u8]) -> (usize, Option<Line>) {
        match memchr::memchr(b'\n', input) {
            Some(end) => {
                self.push(input.get(..end).unwrap_or_default());
                (end + 1, Some(self.end_of_line()))
            }
            None => {
                self.push(input);
                (input.len(), (self.seen > ENDLESS).then_some(Line::Endless))
            }
        }
    }

    fn push(&mut self, part: &[u8]) {
        self.seen = self.seen.saturating_add(part.len());
        let room = (AUTH_MAX + 1).saturating_sub(self.buf.len());
        self.buf.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    fn end_of_line(&mut self) -> Line {
        let mut text = std::mem::take(&mut self.buf);
        let seen = std::mem::take(&mut self.seen);
        let crlf = seen == text.len() && text.last() == Some(&b'\r');
        if crlf {
            text.pop();
        }
        if seen > AUTH_MAX + 1 || text.len() > AUTH_MAX {
            return Line::TooLong;
        }
        if memchr::memchr(b'\r', &text).is_some() {
            return Line::BareCr;
        }
        if crlf { Line::Text(text) } else { Line::BareLf(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], cut: usize) -> Vec<Line> {
        let mut reader = LineReader::default();
        let mut lines = Vec::new();
        for mut part in input.chunks(cut) {
            while !part.is_empty() {
                let (used, line) = reader.feed(part);
                lines.extend(line);
                part = &part[used..];
            }
        }
        lines
    }

    #[test]
    fn every_cut_gives_the_same_lines() {
        let long = vec![b'x'; AUTH_MAX + 5];
        let input = [b"NOOP\r\nA\nB\rC\r\n\r\nD\r\r\n".as_slice(), &long, b"\r\nQUIT\r\n"].concat();
        let expected = [
            Line::Text(b"NOOP".to_vec()),
            Line::BareLf(b"A".to_vec()),
            Line::BareCr,
            Line::Text(vec![]),
            Line::BareCr,
            Line::TooLong,
            Line::Text(b"QUIT".to_vec()),
        ];
        for cut in [1, 2, 3, 5, 7, 11, 4096, input.len()] {
            assert_eq!(lines(&input, cut), expected, "cut {cut}");
        }
    }

    #[test]
    fn memory_stays_flat_on_an_endless_line() {
        let mut reader = LineReader::default();
        let part = vec![b'x'; 4096];
        let mut endless = false;
        for _ in 0..64 {
            endless |= reader.feed(&part).1 == Some(Line::Endless);
        }
        assert!(endless && reader.buf.len() <= AUTH_MAX + 1);
    }
}
