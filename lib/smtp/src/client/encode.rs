//! Message content on its way out: LF becomes CRLF, dots are stuffed.
//!
//! Standards   RFC 5321 2.3.8 (only CRLF ends a line, CR and LF occur nowhere else), 4.5.2 (transparency), RFC 3030
//! Invariants  1. the output holds CR and LF only as CRLF, whatever the input holds
//!             2. CRLF . CRLF occurs at the end only
//!             3. the output does not depend on where the input is cut
//! Notes       a CR that is not part of CRLF becomes a space: as a line end it could forge structure, and dropping it
//!             could join words. NUL stays, for it cannot be taken for a line end

/// Encoder for DATA (with dot-stuffing) or BDAT (without).
#[derive(Debug)]
pub struct DataEncoder {
    stuff: bool,
    at_line_start: bool,
    pending_cr: bool,
}

impl DataEncoder {
    /// For DATA.
    pub fn data() -> Self {
        Self { stuff: true, at_line_start: true, pending_cr: false }
    }

    /// For BDAT: line ends only.
    pub fn bdat() -> Self {
        Self { stuff: false, ..Self::data() }
    }

    /// Encodes a piece of the stored message.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.pending_cr) && first != b'\n' {
                self.literal(b" ", out);
            }
            let run = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            self.literal(&rest[..run], out);
            match rest.get(run) {
                Some(b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    self.at_line_start = true;
                }
                Some(_) => self.pending_cr = true,
                None => {}
            }
            rest = rest.get(run + 1..).unwrap_or_default();
        }
    }

    fn literal(&mut self, run: &[u8], out: &mut Vec<u8>) {
        if run.is_empty() {
            return;
        }
        if self.stuff && self.at_line_start && run.starts_with(b".") {
            out.push(b'.');
        }
        self.at_line_start = false;
        out.extend_from_slice(run);
    }

    /// Ends the last line, and for DATA the message.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.pending_cr {
            self.literal(b" ", out);
        }
        if !self.at_line_start {
            out.extend_from_slice(b"\r\n");
        }
        if self.stuff {
            out.extend_from_slice(b".\r\n");
        }
    }
}

/// The octets a whole stored message takes with CRLF line ends and without dot-stuffing: the number for BDAT and SIZE.
pub fn wire_len(message: &[u8]) -> u64 {
    let mut counter = WireLen::default();
    counter.push(message);
    counter.finish()
}

#[derive(Default)]
struct WireLen {
    total: u64,
    last: Option<u8>,
}

impl WireLen {
    fn push(&mut self, message: &[u8]) {
        for at in memchr::memchr_iter(b'\n', message) {
            let before = if at == 0 { self.last } else { message.get(at - 1).copied() };
            self.total += u64::from(before != Some(b'\r'));
        }
        self.total += message.len() as u64;
        self.last = message.last().copied().or(self.last);
    }

    fn finish(self) -> u64 {
        self.total + if matches!(self.last, None | Some(b'\n')) { 0 } else { 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(input: &[u8], cut: usize, mut encoder: DataEncoder) -> Vec<u8> {
        let mut out = Vec::new();
        for part in input.chunks(cut.max(1)) {
            encoder.push(part, &mut out);
        }
        encoder.finish(&mut out);
        out
    }

    const CASES: [(&[u8], &[u8]); 10] = [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\n.b\n..\n", b"a\r\n..b\r\n...\r\n.\r\n"),
        (b".\n", b"..\r\n.\r\n"),
        (b"a\n.\nMAIL FROM:<x>\n", b"a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n"),
        (b"a\r\n.\r\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb\n", b"a . b\r\n.\r\n"),
        (b"\n\n.", b"\r\n\r\n..\r\n.\r\n"),
        (b"a\n\r.\r\nb\r", b"a\r\n .\r\nb \r\n.\r\n"),
        (b"a\r\r\n.\n", b"a \r\n..\r\n.\r\n"),
    ];

    #[test]
    fn every_cut_gives_the_same_octets() {
        for (input, expected) in CASES {
            for cut in 1..=input.len().max(1) {
                assert_eq!(encode(input, cut, DataEncoder::data()), expected, "{input:?} cut {cut}");
            }
        }
    }

    #[test]
    fn bdat_length_is_known_before() {
        for (input, _) in CASES {
            assert_eq!(encode(input, 3, DataEncoder::bdat()).len() as u64, wire_len(input), "{input:?}");
        }
    }
}
