//! The static Huffman LZSS of LHA (-lh4- to -lh7-) and ARJ (methods 1 to 4).
//!
//! Standards   the public ar002 description of the blocks: 16-bit count, three code tables, codes; most significant bit first
//! Limits      output ends at the stated size; the window is at most 64 KiB

use std::io::{self, Read};

const LITERALS: usize = 510; // 256 octets and lengths 3 to 256
const TABLE_CODES: usize = 19;

/// A canonical code, decoded bit by bit.
#[derive(Default)]
struct Code {
    single: Option<u16>,
    counts: [u16; 17],
    symbols: Vec<u16>,
}

impl Code {
    fn one(symbol: u16) -> Code {
        Code { single: Some(symbol), ..Code::default() }
    }

    fn of(lengths: &[u8]) -> Code {
        let mut code = Code::default();
        for l in lengths.iter().filter(|l| (1..=16).contains(*l)) {
            code.counts[usize::from(*l)] += 1;
        }
        for len in 1..=16u8 {
            let of_len = lengths.iter().enumerate().filter(|(_, l)| **l == len);
            code.symbols.extend(of_len.map(|(n, _)| n as u16));
        }
        code
    }
}

/// How positions are coded.
#[derive(Clone, Copy)]
enum Method {
    Huffman { positions: usize, bits: u32 },
    ArjFast,
}

/// A decoder over a slice.
pub struct Lzh<'a> {
    data: &'a [u8],
    bit: usize,
    method: Method,
    left: u64,
    block: u32,
    literal: Code,
    position: Code,
    window: Vec<u8>,
    at: usize,
    copy: (usize, usize), // distance, count still to copy
}

impl<'a> Lzh<'a> {
    /// `-lh4-` to `-lh7-` by its digit; `None` for a method that is no static Huffman.
    pub fn lha(data: &'a [u8], digit: u8, size: u64) -> Option<Lzh<'a>> {
        let (positions, bits, window) = match digit {
            b'4' => (14, 4, 1 << 12),
            b'5' => (14, 4, 1 << 13),
            b'6' => (16, 5, 1 << 15),
            b'7' => (17, 5, 1 << 16),
            _ => return None,
        };
        Some(Lzh::new(data, Method::Huffman { positions, bits }, window, size))
    }

    /// ARJ's methods 1 to 4.
    pub fn arj(data: &'a [u8], method: u8, size: u64) -> Lzh<'a> {
        let method = if method == 4 { Method::ArjFast } else { Method::Huffman { positions: 17, bits: 5 } };
        Lzh::new(data, method, 1 << 16, size)
    }

    fn new(data: &'a [u8], method: Method, window: usize, left: u64) -> Lzh<'a> {
        let window = vec![b' '; window];
        let (literal, position) = (Code::default(), Code::default());
        Lzh { data, bit: 0, method, left, block: 0, literal, position, window, at: 0, copy: (0, 0) }
    }

    /// The next `n` bits; zeros behind the end, as the original does, but not for ever.
    fn bits(&mut self, n: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..n {
            let byte = self.data.get(self.bit >> 3).copied();
            if byte.is_none() && self.bit > self.data.len() * 8 + 64 {
                return None;
            }
            value = value << 1 | u32::from(byte.unwrap_or(0) >> (7 - (self.bit & 7)) & 1);
            self.bit += 1;
        }
        Some(value)
    }

    fn symbol(&mut self, which: fn(&Self) -> &Code) -> Option<u16> {
        if let Some(s) = which(self).single {
            return Some(s);
        }
        let (mut code, mut first, mut index) = (0u32, 0u32, 0u32);
        for len in 1..=16 {
            code |= self.bits(1)?;
            let count = u32::from(which(self).counts[len]);
            if code < first + count {
                return which(self).symbols.get((index + code - first) as usize).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }

    /// Lengths of the table or position codes.
    fn small_table(&mut self, symbols: usize, bits: u32, gap_at: Option<usize>) -> Option<Code> {
        let n = self.bits(bits)? as usize;
        if n == 0 {
            return Some(Code::one(self.bits(bits)? as u16));
        }
        let mut lengths = Vec::with_capacity(symbols);
        while lengths.len() < n.min(symbols) {
            let mut len = self.bits(3)?;
            if len == 7 {
                while self.bits(1)? == 1 {
                    len += 1;
                    (len <= 16).then_some(())?;
                }
            }
            lengths.push(len as u8);
            if Some(lengths.len()) == gap_at {
                let zeros = self.bits(2)? as usize;
                lengths.resize(lengths.len() + zeros, 0);
            }
        }
        Some(Code::of(&lengths))
    }

    fn literal_table(&mut self) -> Option<Code> {
        let n = self.bits(9)? as usize;
        if n == 0 {
            return Some(Code::one(self.bits(9)? as u16));
        }
        let mut lengths = Vec::with_capacity(LITERALS);
        while lengths.len() < n.min(LITERALS) {
            match self.symbol(|s| &s.position)? {
                0 => lengths.push(0),
                1 => {
                    let zeros = self.bits(4)? as usize + 3;
                    lengths.resize(lengths.len() + zeros, 0);
                }
                2 => {
                    let zeros = self.bits(9)? as usize + 20;
                    lengths.resize(lengths.len() + zeros, 0);
                }
                c => lengths.push((c - 2) as u8),
            }
        }
        lengths.truncate(LITERALS);
        Some(Code::of(&lengths))
    }

    fn tables(&mut self, positions: usize, bits: u32) -> Option<()> {
        self.block = self.bits(16)?;
        self.position = self.small_table(TABLE_CODES, 5, Some(3))?;
        self.literal = self.literal_table()?;
        self.position = self.small_table(positions, bits, None)?;
        (self.block > 0).then_some(())
    }

    /// One literal, or a copy put into `copy`.
    fn step(&mut self) -> Option<Option<u8>> {
        match self.method {
            Method::Huffman { positions, bits } => {
                if self.block == 0 {
                    self.tables(positions, bits)?;
                }
                self.block -= 1;
                let c = self.symbol(|s| &s.literal)?;
                if c < 256 {
                    return Some(Some(c as u8));
                }
                let p = u32::from(self.symbol(|s| &s.position)?);
                (p <= 17).then_some(())?;
                let distance = if p == 0 { 0 } else { (1 << (p - 1)) + self.bits(p - 1)? as usize };
                self.copy = (distance + 1, usize::from(c) - 253);
            }
            Method::ArjFast => {
                let len = self.unary(0, 7)?;
                if len == 0 {
                    return Some(Some(self.bits(8)? as u8));
                }
                let distance = self.unary(9, 13)?;
                self.copy = (distance + 1, len + 2);
            }
        }
        Some(None)
    }

    /// ARJ's numbers: a width in ones, then that many bits.
    fn unary(&mut self, start: u32, stop: u32) -> Option<usize> {
        let (mut width, mut plus, mut power) = (start, 0, 1usize << start);
        while width < stop && self.bits(1)? == 1 {
            plus += power;
            power <<= 1;
            width += 1;
        }
        Some(self.bits(width)? as usize + plus)
    }

    fn put(&mut self, byte: u8) -> u8 {
        if let Some(slot) = self.window.get_mut(self.at) {
            *slot = byte;
        }
        self.at = (self.at + 1) % self.window.len();
        self.left -= 1;
        byte
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        if self.left == 0 {
            return Ok(None);
        }
        loop {
            if self.copy.1 > 0 {
                self.copy.1 -= 1;
                let len = self.window.len();
                let from = (self.at + len - self.copy.0 % len) % len;
                let byte = self.window.get(from).copied().unwrap_or(0);
                return Ok(Some(self.put(byte)));
            }
            match self.step() {
                None => return Err(io::ErrorKind::InvalidData.into()),
                Some(Some(byte)) => return Ok(Some(self.put(byte))),
                Some(None) => {}
            }
        }
    }
}

impl Read for Lzh<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while let Some(slot) = buf.get_mut(n) {
            match self.next() {
                Ok(Some(b)) => *slot = b,
                Ok(None) => break,
                Err(e) if n == 0 => return Err(e),
                Err(_) => break,
            }
            n += 1;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_ends() {
        let noise: Vec<u8> = (0..4000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        for digit in b'4'..=b'7' {
            let mut out = Vec::new();
            let _ = Lzh::lha(&noise, digit, 1 << 20).unwrap().read_to_end(&mut out);
        }
        for method in 1..=4 {
            let mut out = Vec::new();
            let _ = Lzh::arj(&noise, method, 1 << 20).read_to_end(&mut out);
            let _ = Lzh::arj(&[], method, 1 << 40).read_to_end(&mut out);
        }
    }
}
