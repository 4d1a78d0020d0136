//! Quoted-printable, leniently.
//!
//! Standards   RFC 2045 6.7, RFC 2047 4.2 (the Q form); a `=` that introduces nothing known stays as it is

use std::io::{self, Read};

/// A decoder over a slice.
pub struct Decoder<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Decodes `data`.
    pub fn new(data: &'a [u8]) -> Decoder<'a> {
        Decoder { data, at: 0 }
    }

    fn next(&mut self) -> Option<Option<u8>> {
        let c = *self.data.get(self.at)?;
        self.at += 1;
        if c != b'=' {
            return Some(Some(c));
        }
        let rest = self.data.get(self.at..)?;
        if let Some(byte) = hex(rest) {
            self.at += 2;
            return Some(Some(byte));
        }
        // a soft line break, with blanks that transport may have added
        let blanks = rest.iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
        let behind = rest.get(blanks..)?;
        let end =
            if behind.starts_with(b"\r\n") { 2 } else { usize::from(matches!(behind.first(), Some(b'\n' | b'\r'))) };
        if end == 0 && !behind.is_empty() {
            return Some(Some(b'='));
        }
        self.at += blanks + end;
        Some(None)
    }
}

fn hex(rest: &[u8]) -> Option<u8> {
    let digit = |n: usize| rest.get(n).and_then(|c| char::from(*c).to_digit(16));
    Some((digit(0)? << 4 | digit(1)?) as u8)
}

impl Read for Decoder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < buf.len() {
            let Some(byte) = self.next() else { break };
            if let (Some(byte), Some(slot)) = (byte, buf.get_mut(n)) {
                *slot = byte;
                n += 1;
            }
        }
        Ok(n)
    }
}

/// The Q form of an RFC 2047 word: `_` is a space.
pub fn decode_word(data: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = data.iter().map(|c| if *c == b'_' { b' ' } else { *c }).collect();
    let mut d = Decoder::new(&spaced);
    std::iter::from_fn(|| d.next()).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes() {
        let mut out = Vec::new();
        Decoder::new(b"a=3D=\r\nb=  \nc=4\n=zz=").read_to_end(&mut out).unwrap();
        assert_eq!(out, b"a=bc=4\n=zz");
        assert_eq!(decode_word(b"a_b=2E"), b"a b.");
    }
}
