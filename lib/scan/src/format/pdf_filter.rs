//! The filters of PDF streams.
//!
//! Standards   ISO 32000-2 7.4.2 to 7.4.5, 7.4.4.4 (predictors); image filters end a chain, their data are handed over as
//!             they are
//! Limits      64 MiB between two filters

use super::lzw::Lzw;
use super::pdf::{integer, value};
use crate::sink::{Decoded, Meta, Sink};
use flate2::bufread::{DeflateDecoder, ZlibDecoder};
use std::io::Read;

const BETWEEN_MAX: usize = 64 << 20;

/// Too much came out of a filter.
#[derive(Debug, PartialEq, Eq)]
pub struct Overflow;

/// Runs a chain and hands over what comes out.
pub fn run(filters: &[Vec<u8>], body: &[u8], dict: &[u8], meta: &Meta, sink: &mut dyn Sink) -> Result<(), Overflow> {
    let mut held: Option<Vec<u8>> = None;
    let predictor = value(dict, b"Predictor").and_then(integer).unwrap_or(1);
    for (n, filter) in filters.iter().enumerate() {
        let data = held.as_deref().unwrap_or(body);
        let flate_like = matches!(&filter[..], b"FlateDecode" | b"Fl" | b"LZWDecode" | b"LZW");
        if matches!(&filter[..], b"FlateDecode" | b"Fl") && n + 1 == filters.len() && predictor < 2 {
            flate(data, meta, sink);
            return Ok(());
        }
        let Some(plain) = step(filter, data, dict)? else { break };
        held = Some(if predictor >= 10 && flate_like { unpredict(&plain, dict) } else { plain });
    }
    sink.member(meta, held.as_deref().unwrap_or(body));
    Ok(())
}

/// zlib; where its header is wrong, deflate.
fn flate(data: &[u8], meta: &Meta, sink: &mut dyn Sink) {
    let Decoded { bytes, failed } = sink.decode(meta, &mut ZlibDecoder::new(data));
    if failed && bytes == 0 && !sink.done() {
        for raw in [data.get(2..).unwrap_or_default(), data] {
            if sink.decode(meta, &mut DeflateDecoder::new(raw)).bytes > 0 {
                return;
            }
        }
    }
}

/// One filter; `None` for those that end a chain.
fn step(filter: &[u8], data: &[u8], dict: &[u8]) -> Result<Option<Vec<u8>>, Overflow> {
    let out = match filter {
        b"FlateDecode" | b"Fl" => drain(ZlibDecoder::new(data))?,
        b"LZWDecode" | b"LZW" => {
            let early = value(dict, b"EarlyChange").and_then(integer).unwrap_or(1) != 0;
            drain(Lzw::pdf(data, early))?
        }
        b"ASCIIHexDecode" | b"AHx" => hex(data),
        b"ASCII85Decode" | b"A85" => ascii85(data),
        b"RunLengthDecode" | b"RL" => run_length(data)?,
        b"Crypt" => data.to_vec(),
        _ => return Ok(None),
    };
    Ok(Some(out))
}

fn drain(r: impl Read) -> Result<Vec<u8>, Overflow> {
    let mut out = Vec::new();
    let _ = r.take(BETWEEN_MAX as u64 + 1).read_to_end(&mut out); // what came out before an error counts
    if out.len() > BETWEEN_MAX { Err(Overflow) } else { Ok(out) }
}

/// Hexadecimal digits up to `>`.
pub fn hex(data: &[u8]) -> Vec<u8> {
    let digits = data.iter().take_while(|c| **c != b'>').filter_map(|c| char::from(*c).to_digit(16));
    let mut out = Vec::new();
    let mut half = None;
    for d in digits {
        match half.take() {
            None => half = Some(d),
            Some(h) => out.push((h << 4 | d) as u8),
        }
    }
    out.extend(half.map(|h| (h << 4) as u8));
    out
}

/// Base 85 up to `~>` (7.4.3).
fn ascii85(data: &[u8]) -> Vec<u8> {
    let data = data.trim_ascii_start();
    let data = data.strip_prefix(b"<~").unwrap_or(data);
    let mut out = Vec::new();
    let (mut group, mut count) = (0u32, 0);
    for c in data.iter().take_while(|c| **c != b'~') {
        match c {
            b'z' if count == 0 => out.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => {
                group = group.wrapping_mul(85).wrapping_add(u32::from(c - b'!'));
                count += 1;
                if count == 5 {
                    out.extend_from_slice(&group.to_be_bytes());
                    (group, count) = (0, 0);
                }
            }
            _ => {}
        }
    }
    if count > 1 {
        for _ in count..5 {
            group = group.wrapping_mul(85).wrapping_add(84);
        }
        out.extend_from_slice(group.to_be_bytes().get(..count - 1).unwrap_or_default());
    }
    out
}

fn run_length(data: &[u8]) -> Result<Vec<u8>, Overflow> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&n) = data.get(at).filter(|n| **n != 128) {
        let n = usize::from(n);
        if n < 128 {
            let rest = data.get(at + 1..).unwrap_or_default();
            out.extend_from_slice(rest.get(..=n).unwrap_or(rest));
            at += n + 2;
        } else {
            let Some(&b) = data.get(at + 1) else { break };
            out.extend(std::iter::repeat_n(b, 257 - n));
            at += 2;
        }
        if out.len() > BETWEEN_MAX {
            return Err(Overflow);
        }
    }
    Ok(out)
}

/// Undoes PNG predictors (7.4.4.4).
fn unpredict(data: &[u8], dict: &[u8]) -> Vec<u8> {
    let number =
        |key: &[u8], other| value(dict, key).and_then(integer).and_then(|n| usize::try_from(n).ok()).unwrap_or(other);
    let (colors, bits, columns) =
        (number(b"Colors", 1).min(64), number(b"BitsPerComponent", 8).min(32), number(b"Columns", 1));
    let pixel = (colors * bits).div_ceil(8).max(1);
    let row = columns.saturating_mul(colors * bits).div_ceil(8).clamp(1, 1 << 20);
    let mut out: Vec<u8> = Vec::with_capacity(data.len());
    for line in data.chunks(row + 1) {
        let Some((kind, bytes)) = line.split_first() else { break };
        let start = out.len();
        for (n, b) in bytes.iter().enumerate() {
            let at = |back: usize| start.checked_add(n)?.checked_sub(back).and_then(|i| out.get(i)).copied();
            let left = if n >= pixel { at(pixel).unwrap_or(0) } else { 0 };
            let up = at(row).unwrap_or(0);
            let corner = if n >= pixel { at(row + pixel).unwrap_or(0) } else { 0 };
            let guess = match kind {
                1 => left,
                2 => up,
                3 => ((u16::from(left) + u16::from(up)) / 2) as u8,
                4 => paeth(left, up, corner),
                _ => 0,
            };
            out.push(b.wrapping_add(guess));
        }
    }
    out
}

fn paeth(a: u8, b: u8, c: u8) -> u8 {
    let (a16, b16, c16) = (i16::from(a), i16::from(b), i16::from(c));
    let p = a16 + b16 - c16;
    let (pa, pb, pc) = ((p - a16).abs(), (p - b16).abs(), (p - c16).abs());
    if pa <= pb && pa <= pc {
        a
    } else if pb <= pc {
        b
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_filters() {
        assert_eq!(ascii85(b"<~9jqo^BlbD-~>"), b"Man is d");
        assert_eq!(ascii85(b"9jqo^Bl~>"), b"Man is".get(..5).unwrap());
        assert_eq!(hex(b"4 1\n427>99"), b"ABp");
        assert_eq!(run_length(&[2, b'a', b'b', b'c', 254, b'x', 128, 9]).unwrap(), b"abcxxx");
    }

    #[test]
    fn predictors() {
        assert_eq!(unpredict(&[2, 1, 2, 2, 1, 1], b"/Columns 2"), [1, 2, 2, 3]);
        assert_eq!(unpredict(&[1, 5, 5], b"/Columns 2"), [5, 10]);
    }

    #[test]
    fn a_bomb_overflows() {
        let packed = [129u8, b'x'].repeat(600_000);
        assert_eq!(run_length(&packed), Err(Overflow));
    }
}
