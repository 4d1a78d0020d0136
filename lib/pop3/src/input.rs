//! Cuts the byte stream into lines.
//!
//! Standards   RFC 1939 3: lines end in CRLF; RFC 2449 4: at most 255 octets
//! Quirk       `quirk_bare_lf`: LF alone ends a line too (people type into nc, scripts use printf); POP3 has no message
//!             upload, so nothing can be smuggled by it
//! Invariants  1. memory stays bounded: of an overlong line nothing is kept, and it is reported once, at its end

/// Bytes received and not yet taken.
#[derive(Debug, Default)]
pub struct Input {
    buffer: Vec<u8>,
    start: usize,
    skipping: bool,
}

/// What the stream holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line without its end.
    Text(Vec<u8>),
    /// A line longer than the limit came to its end.
    TooLong,
}

impl Input {
    /// Adds bytes from the peer.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line of at most `limit` octets with its end.
    pub fn line(&mut self, limit: usize) -> Option<Line> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let Some(at) = rest.iter().position(|&b| b == b'\n') else {
            // the CR may still be outside the limit's count of text, so the line is not over before limit
            if rest.len() >= limit {
                self.skipping = true;
                self.buffer.clear();
                self.start = 0;
            }
            return None;
        };
        let line = rest.get(..at).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = (!self.skipping && at < limit).then(|| line.to_vec());
        self.start += at + 1;
        self.skipping = false;
        Some(text.map_or(Line::TooLong, Line::Text))
    }

    /// True if nothing is waiting: required before STLS (RFC 2595 4; commands sent ahead of TLS are an injection).
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len() && !self.skipping
    }

    /// Everything not yet taken, for the process that goes on with the conversation.
    pub fn into_rest(mut self) -> Vec<u8> {
        self.buffer.split_off(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &mut Input, limit: usize) -> Vec<Line> {
        std::iter::from_fn(|| input.line(limit)).collect()
    }

    #[test]
    fn however_it_is_cut() {
        let stream = b"USER a\r\nPASS b c\nNOOP\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxx\r\nQUIT\r\nhalf";
        let mut whole = Input::default();
        whole.feed(stream);
        let want = lines(&mut whole, 16);
        assert_eq!(want.len(), 6);
        assert_eq!(want.get(4), Some(&Line::TooLong));
        for cut in 0..stream.len() {
            let mut input = Input::default();
            let mut got = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                input.feed(part);
                got.extend(lines(&mut input, 16));
            }
            assert_eq!(got, want, "cut at {cut}");
            assert_eq!(input.into_rest(), b"half");
        }
        let mut input = Input::default();
        let mut got = Vec::new();
        for b in stream {
            input.feed(&[*b]);
            got.extend(lines(&mut input, 16));
        }
        assert_eq!(got, want, "byte by byte");
    }

    #[test]
    fn an_endless_line_keeps_no_memory() {
        let mut input = Input::default();
        for _ in 0..1000 {
            input.feed(&[b'x'; 1000]);
            assert_eq!(input.line(255), None);
            assert!(input.buffer.len() <= 2000);
        }
        assert!(!input.is_empty());
        input.feed(b"\r\n");
        assert_eq!(input.line(255), Some(Line::TooLong));
        assert!(input.is_empty());
    }

    #[test]
    fn the_limit_counts_crlf() {
        let mut input = Input::default();
        input.feed(b"12345678\r\n123456789\r\n");
        assert_eq!(input.line(10), Some(Line::Text(b"12345678".to_vec())));
        assert_eq!(input.line(10), Some(Line::TooLong));
    }
}
