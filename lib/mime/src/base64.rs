//! Base64, lenient to read and exact to write.
//!
//! Standards   RFC 2045 6.8, RFC 4648 4
//! Invariants  1. the decoder's output does not depend on how the input is cut   2. decode(encode(x)) = x
//! Failures    bytes outside the alphabet are skipped (RFC 2045 6.8 asks for it); data after padding starts a new
//!             run, because concatenated encodings exist in the wild and a scanner must see what a reader sees
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SKIP: u8 = 0xff;
const PAD: u8 = 0xfe;

const fn table() -> [u8; 256] {
    let mut t = [SKIP; 256];
    let mut i = 0;
    while i < 64 {
        t[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    t[b'=' as usize] = PAD;
    t
}
static TABLE: [u8; 256] = table();

/// A decoder that takes its input in pieces.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    bits: u32,
    count: u8,
    skipped: usize,
}

impl Decoder {
    /// Decodes a piece and appends the bytes to `out`.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() / 4 * 3 + 3);
        for &b in input {
            match TABLE[usize::from(b)] {
                SKIP => self.skipped += usize::from(!crate::header::is_wsp(b)),
                PAD => self.flush(out),
                v => self.push(v, out),
            }
        }
    }

    fn push(&mut self, value: u8, out: &mut Vec<u8>) {
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 {
            out.extend_from_slice(&self.bits.to_be_bytes()[1..]);
            (self.bits, self.count) = (0, 0);
        }
    }

    /// Writes what a short last group still holds.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let [_, a, b, _] = (self.bits << (6 * (4 - u32::from(self.count)))).to_be_bytes();
        match self.count {
            2 => out.push(a),
            3 => out.extend_from_slice(&[a, b]),
            _ => {}
        }
        (self.bits, self.count) = (0, 0);
    }

    /// Ends the input; padding may be missing.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.flush(out);
    }

    /// How many bytes that are neither alphabet, padding nor blank were skipped.
    pub fn skipped(&self) -> usize {
        self.skipped
    }
}

/// Decodes all of `input`, leniently.
pub fn decode(input: &[u8]) -> Vec<u8> {
    let (mut decoder, mut out) = (Decoder::default(), Vec::new());
    decoder.feed(input, &mut out);
    decoder.finish(&mut out);
    out
}

/// Decodes one exact value (SASL, tokens): no blanks, right padding, zero spare bits; `None` otherwise.
pub fn decode_strict(input: &[u8]) -> Option<Vec<u8>> {
    let out = decode(input);
    (encode(&out).as_bytes() == input).then_some(out)
}

/// Encodes without line breaks.
pub fn encode(input: &[u8]) -> String {
    let mut out = String::with_capacity(input.len().div_ceil(3) * 4);
    for chunk in input.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |w, (i, &b)| w | u32::from(b) << (16 - 8 * i));
        for i in 0..4 {
            let sextet = (word >> (18 - 6 * i) & 63) as usize;
            out.push(if i <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    out
}

/// Encodes as a body: lines of 76 (RFC 2045 6.8), each closed with `eol`.
pub fn encode_lines(input: &[u8], eol: &str) -> String {
    let mut out = String::with_capacity(input.len().div_ceil(3) * 4 / 76 * (76 + eol.len()) + 80);
    for line in input.chunks(57) {
        out.push_str(&encode(line));
        out.push_str(eol);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4648_vectors_both_ways() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded.as_bytes()), plain.as_bytes());
            assert_eq!(decode_strict(coded.as_bytes()).unwrap(), plain.as_bytes());
        }
    }

    #[test]
    fn lenient_to_noise_missing_and_inner_padding() {
        assert_eq!(decode(b"Zm\r\n9v!"), b"foo");
        assert_eq!(decode(b"Zg"), b"f");
        assert_eq!(decode(b"Zg==Zg=="), b"ff");
        assert_eq!(decode(b"Z"), b"");
        assert!(
            decode_strict(b"Zg").is_none() && decode_strict(b"Zh==").is_none() && decode_strict(b"Zm 9v").is_none()
        );
    }

    #[test]
    fn every_cut_gives_the_same() {
        let (coded, want) = (b"Zm9v YmFy\r\nZg==Zm8=x", decode(b"Zm9v YmFy\r\nZg==Zm8=x"));
        for cut in 0..coded.len() {
            let (mut d, mut out) = (Decoder::default(), Vec::new());
            d.feed(&coded[..cut], &mut out);
            d.feed(&coded[cut..], &mut out);
            d.finish(&mut out);
            assert_eq!(out, want, "cut at {cut}");
        }
    }

    #[test]
    fn round_trip_of_all_lengths() {
        let data: Vec<u8> = (0..=255).collect();
        for n in 0..data.len() {
            assert_eq!(decode(encode(&data[..n]).as_bytes()), &data[..n]);
            assert_eq!(decode(encode_lines(&data[..n], "\r\n").as_bytes()), &data[..n]);
        }
        assert!(encode_lines(&data, "\n").lines().all(|l| l.len() <= 76));
    }
}
