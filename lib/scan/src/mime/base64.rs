//! Base64 as readers really decode it.
//!
//! Standards   RFC 2045 6.8; readers differ on junk, on padding in the middle and on what follows
//! Readings    `Lenient`: skip what is no digit, padding ends a quantum and decoding goes on; `Strict`: stop at the first
//!             padding or at the first line that is not pure base64; `Unaligned`: padding is junk like any other
//! Failures    none: what does not decode yields nothing

use std::io::{self, Read};

/// How padding and junk are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Go on behind padding.
    Lenient,
    /// Stop at padding or at a line with junk.
    Strict,
    /// Padding is junk.
    Unaligned,
}

const JUNK: u8 = 0xff;
const PAD: u8 = 0xfe;

static TABLE: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut t = [JUNK; 256];
    let mut n = 0;
    while n < 64 {
        t[digits[n] as usize] = n as u8;
        n += 1;
    }
    t[b'=' as usize] = PAD;
    t
}

/// Whether an octet is a base64 digit.
pub fn is_digit(c: u8) -> bool {
    TABLE[usize::from(c)] < 64
}

/// A decoder over a slice.
pub struct Decoder<'a> {
    data: &'a [u8],
    at: usize,
    mode: Mode,
    bits: u32,
    count: u32,
    ended: bool,
    pending: Vec<u8>,
}

impl<'a> Decoder<'a> {
    /// Decodes `data` in one reading.
    pub fn new(data: &'a [u8], mode: Mode) -> Decoder<'a> {
        let data = if mode == Mode::Strict { pure_lines(data) } else { data };
        Decoder { data, at: 0, mode, bits: 0, count: 0, ended: false, pending: Vec::new() }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        match self.count {
            2 => out.push((self.bits >> 4) as u8),
            3 => out.extend_from_slice(&[(self.bits >> 10) as u8, (self.bits >> 2) as u8]),
            _ => {}
        }
        (self.bits, self.count) = (0, 0);
    }

    fn digit(&mut self, value: u8, out: &mut Vec<u8>) {
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 {
            out.extend_from_slice(&[(self.bits >> 16) as u8, (self.bits >> 8) as u8, self.bits as u8]);
            (self.bits, self.count) = (0, 0);
        }
    }

    /// Whole quanta without junk, the common case.
    fn quanta(&mut self, out: &mut Vec<u8>, max: usize) {
        let rest = self.data.get(self.at..).unwrap_or_default();
        for quantum in rest.chunks_exact(4) {
            let &[a, b, c, d] = quantum else { break };
            let v = [a, b, c, d].map(|c| TABLE[usize::from(c)]);
            if v.iter().any(|v| *v >= 64) || out.len() >= max {
                break;
            }
            let bits = v.iter().fold(0u32, |acc, v| acc << 6 | u32::from(*v));
            out.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
            self.at += 4;
        }
    }

    fn fill(&mut self, out: &mut Vec<u8>, max: usize) {
        while out.len() < max && !self.ended {
            if self.count == 0 {
                self.quanta(out, max);
            }
            let Some(&c) = self.data.get(self.at) else {
                self.flush(out);
                self.ended = true;
                break;
            };
            self.at += 1;
            match TABLE[usize::from(c)] {
                JUNK => {}
                PAD if self.mode == Mode::Unaligned => {}
                PAD => {
                    self.flush(out);
                    self.ended = self.mode == Mode::Strict;
                }
                v => self.digit(v, out),
            }
        }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut out = std::mem::take(&mut self.pending);
        if out.len() < buf.len() {
            self.fill(&mut out, buf.len());
        }
        let n = out.len().min(buf.len());
        buf.get_mut(..n).zip(out.get(..n)).into_iter().for_each(|(b, o)| b.copy_from_slice(o));
        // a quantum may give up to three octets more than were asked for
        self.pending = out.split_off(n);
        Ok(n)
    }
}

/// Decodes leniently into memory; for short texts.
pub fn decode(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Decoder::new(data, Mode::Lenient).fill(&mut out, usize::MAX);
    out
}

/// The leading lines that hold nothing but base64, with blanks at their ends.
fn pure_lines(data: &[u8]) -> &[u8] {
    let mut at = 0;
    while at < data.len() {
        let rest = data.get(at..).unwrap_or_default();
        let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = rest.get(..len).unwrap_or_default().trim_ascii();
        if !line.iter().all(|c| TABLE[usize::from(*c)] != JUNK) {
            return data.get(..at).unwrap_or_default();
        }
        at += len + 1;
    }
    data
}

/// Whether an undeclared body reads as base64: its first line of text, at least, and the line after it.
pub fn looks_encoded(data: &[u8]) -> bool {
    let head = data.get(..4096).unwrap_or(data);
    let mut lines = head.split(|c| matches!(c, b'\r' | b'\n')).map(<[u8]>::trim_ascii).filter(|l| !l.is_empty());
    let Some(first) = lines.next() else { return false };
    let second = lines.next();
    let pure = |l: &[u8]| l.iter().all(|c| TABLE[usize::from(*c)] != JUNK);
    let rich = first.iter().any(u8::is_ascii_uppercase) || first.iter().any(u8::is_ascii_digit);
    first.len() >= 20 && rich && pure(first) && second.is_none_or(|l| pure(l) || l.starts_with(b"--"))
}

/// Whether readings differ: padding before the end, or text that is no base64.
pub fn is_clean(data: &[u8]) -> bool {
    let padded = memchr::memchr(b'=', data).unwrap_or(data.len());
    let (digits, tail) = data.split_at_checked(padded).unwrap_or((data, &[]));
    digits.iter().all(|c| is_digit(*c) || c.is_ascii_whitespace())
        && tail.iter().all(|c| *c == b'=' || c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8], mode: Mode) -> Vec<u8> {
        let mut out = Vec::new();
        Decoder::new(data, mode).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn vectors() {
        // RFC 4648 10
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(decode(coded.as_bytes()), plain.as_bytes());
            assert_eq!(read(coded.trim_end_matches('=').as_bytes(), Mode::Lenient), plain.as_bytes());
        }
    }

    #[test]
    fn readings_differ_as_readers_do() {
        assert_eq!(read(b"Zm8=Zm9v", Mode::Lenient), b"fofoo");
        assert_eq!(read(b"Zm8=Zm9v", Mode::Strict), b"fo");
        assert_eq!(read(b"Zm=9v", Mode::Unaligned), b"foo");
        assert_eq!(read(b"Z*m-9!v", Mode::Lenient), b"foo");
        assert_eq!(read(b"Zm9v\nhello there\n", Mode::Strict), b"foo");
        assert!(is_clean(b"Zm9v\r\nZg==\r\n") && !is_clean(b"Zg==Zg==") && !is_clean(b"Zm9v!"));
    }

    #[test]
    fn any_cut_gives_the_same() {
        let coded: Vec<u8> = (0..1000u32)
            .flat_map(|n| [b"ABab01+/"[(n % 8) as usize], b"\n"[0]].into_iter().take(1 + usize::from(n % 76 == 0)))
            .collect();
        let whole = decode(&coded);
        let mut d = Decoder::new(&coded, Mode::Lenient);
        let mut out = Vec::new();
        let mut buf = [0; 8];
        while let Ok(n @ 1..) = d.read(&mut buf) {
            out.extend_from_slice(&buf[..n]);
        }
        assert_eq!(out, whole);
    }
}
