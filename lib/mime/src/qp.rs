//! Quoted-printable, lenient to read and exact to write.
//!
//! Standards   RFC 2045 6.7
//! Invariants  1. the decoder's output does not depend on how the input is cut   2. decode(encode(x)) = x
//! Failures    `=` that is no escape stays as it is (RFC 2045 6.7 note 3); lower-case hex is read
/// A decoder that takes its input in pieces.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// Bytes not decided yet: blanks that may end a line, or an escape cut short.
    held: Vec<u8>,
}

/// Blanks held back at most; more than this many in a row are text.
const HELD_MAX: usize = 4096;

impl Decoder {
    /// Decodes a piece and appends the bytes to `out`; line ends come out as they came in.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for &b in input {
            self.byte(b, out);
        }
    }

    fn byte(&mut self, b: u8, out: &mut Vec<u8>) {
        if self.held.is_empty() {
            match b {
                b'=' | b' ' | b'\t' | b'\r' => self.held.push(b),
                _ => out.push(b),
            }
        } else if self.held[0] == b'=' {
            self.in_escape(b, out);
        } else {
            self.after_blanks(b, out);
        }
    }

    /// `held` is `=`, `=` and one hex digit, or `=` and blanks (a soft break whose end is not seen yet).
    fn in_escape(&mut self, b: u8, out: &mut Vec<u8>) {
        let last = self.held[self.held.len() - 1];
        match b {
            b'\n' if self.held.len() == 1 || crate::header::is_wsp(last) => self.held.clear(),
            b' ' | b'\t' | b'\r'
                if (self.held.len() == 1 || crate::header::is_wsp(last)) && self.held.len() < HELD_MAX =>
            {
                self.held.push(b)
            }
            _ if self.held.len() == 1 && b.is_ascii_hexdigit() => self.held.push(b),
            _ if self.held.len() == 2 && last.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(hex(last) << 4 | hex(b));
                self.held.clear();
            }
            _ => {
                self.release(out);
                self.byte(b, out);
            }
        }
    }

    /// `held` is blanks; they vanish before a line end (RFC 2045 6.7 rule 3).
    fn after_blanks(&mut self, b: u8, out: &mut Vec<u8>) {
        match b {
            b'\n' => {
                if self.held.last() == Some(&b'\r') {
                    out.push(b'\r');
                }
                out.push(b'\n');
                self.held.clear();
            }
            b' ' | b'\t' | b'\r' if self.held.len() < HELD_MAX => self.held.push(b),
            _ => {
                self.release(out);
                self.byte(b, out);
            }
        }
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    /// Ends the input.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let soft = self.held.first() == Some(&b'=') && self.held[1..].iter().all(|&b| crate::header::is_wsp(b));
        let blanks = self.held.iter().all(|&b| b == b' ' || b == b'\t');
        if soft || blanks {
            self.held.clear();
        }
        self.release(out);
    }
}

fn hex(b: u8) -> u8 {
    char::from(b).to_digit(16).unwrap_or(0) as u8
}

/// Decodes all of `input`.
pub fn decode(input: &[u8]) -> Vec<u8> {
    let (mut decoder, mut out) = (Decoder::default(), Vec::with_capacity(input.len()));
    decoder.feed(input, &mut out);
    decoder.finish(&mut out);
    out
}

/// Encodes text with LF or CRLF line ends; lines of at most 76 (RFC 2045 6.7 rule 5), ends written as `eol`.
pub fn encode(input: &[u8], eol: &str) -> Vec<u8> {
    let (mut out, mut column) = (Vec::with_capacity(input.len() + input.len() / 8), 0);
    let mut rest = input;
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        if b == b'\n' || b == b'\r' && tail.first() == Some(&b'\n') {
            rest = if b == b'\r' { &tail[1..] } else { tail };
            out.extend_from_slice(eol.as_bytes());
            column = 0;
            continue;
        }
        let last = tail.is_empty() || tail[0] == b'\n' || tail.starts_with(b"\r\n");
        let plain = matches!(b, b'!'..=b'<' | b'>'..=b'~') && !(column == 0 && (b == b'.' || b == b'F'))
            || matches!(b, b' ' | b'\t') && !last;
        let width = if plain { 1 } else { 3 };
        if column + width > 75 {
            out.extend_from_slice(b"=");
            out.extend_from_slice(eol.as_bytes());
            column = 0;
        }
        if plain {
            out.push(b)
        } else {
            out.extend_from_slice(format!("={b:02X}").as_bytes())
        }
        column += width;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2045_6_7_example_and_soft_breaks() {
        assert_eq!(
            decode(b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."),
            b"Now's the time for all folk to come to the aid of their country.".to_vec()
        );
        assert_eq!(decode(b"a=  \nb"), b"ab");
        assert_eq!(decode(b"tail  \t\r\nx \ny"), b"tail\r\nx\ny");
        assert_eq!(decode(b"=e4=C3"), b"\xe4\xc3");
    }

    #[test]
    fn broken_escapes_stay() {
        assert_eq!(decode(b"a=b"), b"a=b");
        assert_eq!(decode(b"1=zz=4"), b"1=zz=4");
        assert_eq!(decode(b"end="), b"end");
        assert_eq!(decode(b"x==41"), b"x=A");
        assert_eq!(decode(b"a\rb"), b"a\rb");
    }

    #[test]
    fn every_cut_gives_the_same() {
        let text = b"a=\r\nb =41 \t\r\nc=4\n= \nd==4Z\r=\t x ";
        let want = decode(text);
        for cut in 0..text.len() {
            let (mut d, mut out) = (Decoder::default(), Vec::new());
            d.feed(&text[..cut], &mut out);
            d.feed(&text[cut..], &mut out);
            d.finish(&mut out);
            assert_eq!(out, want, "cut at {cut}");
        }
    }

    #[test]
    fn round_trip_and_line_length() {
        let mut data: Vec<u8> = (0..=255u8).cycle().take(3000).filter(|&b| b != b'\r').collect();
        data.extend_from_slice(b"trailing \nFrom x\n.\n");
        let coded = encode(&data, "\n");
        assert_eq!(decode(&coded), data);
        assert!(
            coded.split(|&b| b == b'\n').all(|l| l.len() <= 76 && !l.starts_with(b".") && !l.starts_with(b"From "))
        );
    }
}
