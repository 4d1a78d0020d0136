//! LZW in the two dialects that mail carries: compress(1) `.Z` and PDF's LZWDecode.
//!
//! Standards   compress 4.0 file format (least significant bit first, codes of 9 to 16 bits, block mode, groups of eight
//!             codes); PDF 32000-1 7.4.4 (most significant bit first, 9 to 12 bits, early change)

use std::io::{self, Read};

const NONE: u16 = u16::MAX;

/// A decoder over a slice.
pub struct Lzw<'a> {
    data: &'a [u8],
    bit: usize,
    width: u32,
    max: u32,
    pdf: Option<bool>, // early change
    block: bool,
    group: usize,
    prefix: Vec<u16>,
    suffix: Vec<u8>,
    old: u16,
    first: u8,
    pending: Vec<u8>, // reversed: the next octet is at the end
    ended: bool,
}

const CLEAR: u16 = 256;

impl<'a> Lzw<'a> {
    /// A `.Z` file, header included; `None` when it is none.
    pub fn compress(data: &'a [u8]) -> Option<Lzw<'a>> {
        let [0x1f, 0x9d, flags, body @ ..] = data else { return None };
        let max = u32::from(flags & 0x1f);
        (9..=16).contains(&max).then(|| Lzw::new(body, max, None, flags & 0x80 != 0))
    }

    /// A PDF stream.
    pub fn pdf(data: &'a [u8], early: bool) -> Lzw<'a> {
        Lzw::new(data, 12, Some(early), true)
    }

    fn new(data: &'a [u8], max: u32, pdf: Option<bool>, block: bool) -> Lzw<'a> {
        let mut lzw = Lzw {
            data,
            bit: 0,
            width: 9,
            max,
            pdf,
            block,
            group: 0,
            prefix: Vec::new(),
            suffix: Vec::new(),
            old: NONE,
            first: 0,
            pending: Vec::new(),
            ended: false,
        };
        lzw.clear();
        lzw
    }

    fn clear(&mut self) {
        let reserved = if self.pdf.is_some() {
            258
        } else if self.block {
            257
        } else {
            256
        };
        self.prefix.clear();
        self.suffix.clear();
        self.prefix.resize(reserved, NONE);
        self.suffix.extend((0..reserved).map(|n| n as u8));
        self.old = NONE;
    }

    /// compress pads each run of codes of one width to eight codes.
    fn align(&mut self) {
        if self.pdf.is_none() {
            let run = self.width as usize * 8;
            let used = self.bit - self.group;
            self.bit = self.group + used.div_ceil(run) * run;
            self.group = self.bit;
        }
    }

    fn code(&mut self) -> Option<u16> {
        let mut value = 0u32;
        let at = self.bit;
        for n in 0..self.width as usize {
            let byte = *self.data.get((at + n) >> 3)?;
            let shift = (at + n) & 7;
            if self.pdf.is_some() {
                value = value << 1 | u32::from(byte >> (7 - shift) & 1);
            } else {
                value |= u32::from(byte >> shift & 1) << n;
            }
        }
        self.bit += self.width as usize;
        Some(value as u16)
    }

    fn grow(&mut self) {
        let early = usize::from(self.pdf == Some(true));
        let full = 1usize << self.width;
        let next = self.prefix.len();
        let reached = if self.pdf.is_some() { next + early >= full } else { next >= full };
        if reached && self.width < self.max {
            self.align();
            self.width += 1;
        }
    }

    /// Decodes one code into `pending`.
    fn step(&mut self) -> Option<()> {
        let code = self.code()?;
        if self.block && code == CLEAR {
            self.align();
            self.clear();
            self.width = 9;
            return Some(());
        }
        if self.pdf.is_some() && code == 257 {
            return None;
        }
        let known = usize::from(code) < self.prefix.len();
        if !known && (self.old == NONE || usize::from(code) > self.prefix.len()) {
            return None;
        }
        let mut at = code;
        if !known {
            self.pending.push(self.first);
            at = self.old;
        }
        while let (Some(&p), Some(&s)) = (self.prefix.get(usize::from(at)), self.suffix.get(usize::from(at))) {
            self.pending.push(s);
            self.first = s;
            at = p;
        }
        if self.old != NONE && self.prefix.len() < 1 << self.max {
            self.prefix.push(self.old);
            self.suffix.push(self.first);
        }
        self.old = code;
        self.grow();
        Some(())
    }
}

impl Read for Lzw<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while let Some(slot) = buf.get_mut(n) {
            if let Some(b) = self.pending.pop() {
                *slot = b;
                n += 1;
            } else if self.ended || self.step().is_none() {
                self.ended = true;
                break;
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pdf_vector() {
        // PDF 32000-1 7.4.4.2
        let coded = [0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01];
        let mut out = Vec::new();
        Lzw::pdf(&coded, true).read_to_end(&mut out).unwrap();
        assert_eq!(out, [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]);
    }

    #[test]
    fn compress_short() {
        // "aaaa" by ncompress: codes 97, 257, 97 at nine bits
        let bits = 97u32 | 257 << 9 | 97 << 18;
        let mut z = vec![0x1f, 0x9d, 0x90];
        z.extend(bits.to_le_bytes());
        let mut out = Vec::new();
        Lzw::compress(&z).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, b"aaaa");
    }

    #[test]
    fn noise_ends() {
        let noise: Vec<u8> = (0..5000u32).map(|n| (n.wrapping_mul(2654435761) >> 13) as u8).collect();
        let mut z = vec![0x1f, 0x9d, 0x90];
        z.extend(&noise);
        let mut out = Vec::new();
        Lzw::compress(&z).unwrap().take(1 << 20).read_to_end(&mut out).unwrap();
        Lzw::pdf(&noise, false).take(1 << 20).read_to_end(&mut out).unwrap();
    }
}
