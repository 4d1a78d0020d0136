//! BinHex 4 files in text.
//!
//! Standards   RFC 1741 Appendix A: six-bit text between colons, run-length 0x90, header, data fork, resource fork

use super::params;
use crate::sink::{Meta, Sink};

const ALPHABET: &[u8; 64] = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
/// Most octets decoded; runs expand up to 85 times.
const MAX: usize = 64 << 20;

/// Reads the file whose banner is at `at`.
pub fn read(data: &[u8], at: usize, sink: &mut dyn Sink) {
    let rest = data.get(at..).unwrap_or_default();
    let Some(start) = memchr::memchr(b':', rest) else { return };
    if start > 200 {
        return;
    }
    let plain = expand(&six_bits(rest.get(start + 1..).unwrap_or_default()));
    forks(&plain, sink);
}

fn six_bits(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for c in text.iter().filter(|c| !c.is_ascii_whitespace()) {
        let Some(v) = ALPHABET.iter().position(|a| a == c) else { break };
        bits = bits << 6 | v as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

fn expand(data: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut octets = data.iter();
    while let Some(&c) = octets.next() {
        if out.len() > MAX {
            break;
        }
        match (c, (c == 0x90).then(|| octets.next()).flatten()) {
            (0x90, Some(0)) => out.push(0x90),
            (0x90, Some(&n)) => {
                let last = out.last().copied().unwrap_or(0);
                out.extend(std::iter::repeat_n(last, usize::from(n) - 1));
            }
            _ => out.push(c),
        }
    }
    out
}

/// Header: length, name, version, type and creator, flags, data and resource length, CRC.
fn forks(plain: &[u8], sink: &mut dyn Sink) -> Option<()> {
    let len = usize::from(*plain.first()?);
    let name = params::text(plain.get(1..1 + len)?);
    let lengths = plain.get(1 + len + 1 + 8 + 2..)?;
    let read = |at: usize| Some(u32::from_be_bytes(lengths.get(at..at + 4)?.try_into().ok()?) as usize);
    let (data, resource) = (read(0)?, read(4)?);
    let body = lengths.get(8 + 2..)?;
    let fork = body.get(..data).unwrap_or(body);
    sink.member(&Meta::named("MAIL", name.clone()), fork);
    if let Some(fork) = body.get(data + 2..).filter(|f| !f.is_empty() && resource > 0) {
        sink.member(&Meta::named("MAIL", format!("{name}.rsrc")), fork.get(..resource).unwrap_or(fork));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    fn encode(plain: &[u8]) -> Vec<u8> {
        let (mut bits, mut count, mut out) = (0u32, 0, Vec::new());
        for b in plain {
            bits = bits << 8 | u32::from(*b);
            count += 8;
            while count >= 6 {
                count -= 6;
                out.push(ALPHABET[(bits >> count) as usize & 63]);
            }
        }
        if count > 0 {
            out.push(ALPHABET[(bits << (6 - count)) as usize & 63]);
        }
        out
    }

    #[test]
    fn both_forks() {
        let mut plain = vec![5];
        plain.extend(b"a.txt\0TEXTttxt\0\0");
        plain.extend([0, 0, 0, 6, 0, 0, 0, 2, 9, 9]);
        plain.extend(b"aaaabb\x01\x01RS\x02\x02");
        let packed = [&plain[..plain.len() - 12], b"a\x90\x04bb\x01\x01RS\x02\x02"].concat();
        let mut text = b"(This file must be converted with BinHex 4.0)\n:".to_vec();
        text.extend(encode(&packed));
        text.push(b':');
        let mut c = Collect::default();
        read(&text, 27, &mut c);
        assert!(c.has(b"aaaabb") && c.has(b"RS"), "{:?}", c.members);
    }
}
