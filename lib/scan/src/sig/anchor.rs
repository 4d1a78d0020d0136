//! The choice of the four bytes by which a pattern is found.
//!
//! Why         one hashed look-up a position decides whether anything is compared, so an anchor should be rare in
//!             mail, documents and programs, and not already be the anchor of many other patterns
//! Invariants  an anchor lies inside one fixed piece and stands for at most 256 four-byte values

use super::pattern::{Elem, Pattern, Piece};
use std::collections::HashMap;

/// Length of an anchor in octets.
pub const WIDTH: usize = 4;
const MANY: u32 = 16; // variants taken without a second thought
const MOST: u32 = 256; // variants when there is nothing better

/// Where a pattern's anchor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Index of the segment.
    pub segment: usize,
    /// Offset in it.
    pub offset: usize,
}

/// How many patterns use a value already.
pub type Usage = HashMap<u32, u32>;

/// Picks the rarest anchor, or `None` where no four neighbouring bytes are known well enough.
pub fn choose(pattern: &Pattern, usage: &Usage) -> Option<Anchor> {
    let mut best: Option<(u64, Anchor)> = None;
    for (segment, s) in pattern.0.iter().enumerate() {
        let Piece::Fixed(run) = &s.piece else { continue };
        for (offset, window) in run.windows(WIDTH).enumerate().take(4096) {
            let options: u32 = window.iter().map(|e| e.options()).fold(1, u32::saturating_mul);
            if options > MOST {
                continue;
            }
            let cost = cost(window, options, usage);
            if best.is_none_or(|(b, _)| cost < b) {
                best = Some((cost, Anchor { segment, offset }));
            }
        }
    }
    best.map(|(_, anchor)| anchor)
}

/// Every four-byte value (little-endian) that the elements match.
pub fn variants(window: &[Elem]) -> Vec<u32> {
    let mut out = vec![0u32];
    for (at, e) in window.iter().take(WIDTH).enumerate() {
        let values: Vec<u8> = (0..=255).filter(|b| e.matches(*b)).collect();
        out = out.iter().flat_map(|v| values.iter().map(move |b| v | u32::from(*b) << (8 * at))).collect();
    }
    out
}

fn cost(window: &[Elem], options: u32, usage: &Usage) -> u64 {
    let common: u64 = window.iter().map(|e| u64::from(if e.mask == 0xff { frequency(e.value) } else { 60 })).sum();
    let same = window.windows(2).all(|w| w.first() == w.last());
    let used = variants_used(window, usage);
    let spread = u64::from(options.ilog2()) * if options > MANY { 60 } else { 25 };
    common + spread + if same { 200 } else { 0 } + u64::from(used) * 8
}

fn variants_used(window: &[Elem], usage: &Usage) -> u32 {
    let value = match window {
        [a, b, c, d] if window.iter().all(|e| e.mask == 0xff) => {
            u32::from_le_bytes([a.value, b.value, c.value, d.value])
        }
        _ => return 0,
    };
    usage.get(&value).copied().unwrap_or(0).min(64)
}

/// A rough log-frequency of a byte over mail text, base64 and machine code; 0 is rarest.
fn frequency(byte: u8) -> u32 {
    match byte {
        0 => 110,
        b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' => 90,
        0xff | b'\n' | b'\r' | b's' | b'r' | b'h' | b'l' | b'd' | b'c' | b'u' => 80,
        b'a'..=b'z' | b'A' | b'=' | b'.' | b'/' | b'-' | b'<' | b'>' => 66,
        b'A'..=b'Z' | b'0'..=b'9' => 56,
        0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x8b | 0x89 | 0x24 | 0xe8 | 0x83 | 0xc0 => 50,
        b'!'..=b'~' => 46,
        0x03..=0x1f => 40,
        0xcc | 0x90 | 0xc3 | 0x85 | 0x8d | 0xfe | 0xf0 | 0xe0 | 0x80 => 36,
        _ => 24,
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::parse;
    use super::*;

    #[test]
    fn rare_bytes_win() {
        let p = parse(b"0000000020206520d7f19bd3202065").unwrap();
        assert_eq!(choose(&p, &Usage::new()), Some(Anchor { segment: 0, offset: 8 }));
    }

    #[test]
    fn a_used_value_is_avoided() {
        let p = parse(b"d7f19bd3??d7f19bd4").unwrap();
        let usage = Usage::from([(u32::from_le_bytes([0xd7, 0xf1, 0x9b, 0xd3]), 9)]);
        assert_eq!(choose(&p, &usage).map(|a| a.offset), Some(5));
    }

    #[test]
    fn masks_expand() {
        let mut p = parse(b"61314231").unwrap();
        p.ignore_case();
        let Piece::Fixed(run) = &p.0[0].piece else { panic!() };
        assert_eq!(variants(run).len(), 4);
        assert!(choose(&parse(b"4142????4344").unwrap(), &Usage::new()).is_none());
    }
}
