//! cpio: newc, crc, odc, and the binary form in both byte orders.
//!
//! Standards   cpio(5): "070701" "070702" hexadecimal, "070707" octal, 0o070707 as a 16-bit word

use crate::sink::{Meta, Sink, Trouble};

struct Head {
    name: usize,
    size: usize,
    len: usize,
    align: usize,
}

/// Hands over every member.
pub fn read(data: &[u8], sink: &mut dyn Sink) {
    let mut at = 0;
    let mut n = 0;
    while let Some(h) = data.get(at..).and_then(head) {
        if sink.done() {
            return;
        }
        let name_at = at + h.len;
        let body_at = (name_at + h.name).next_multiple_of(h.align);
        let Some(name) = data.get(name_at..name_at + h.name) else { break };
        let name = name.split(|c| *c == 0).next().unwrap_or_default();
        if name == b"TRAILER!!!" {
            return;
        }
        let rest = data.get(body_at..).unwrap_or_default();
        let body = rest.get(..h.size).unwrap_or(rest);
        n += 1;
        let size = Some(h.size as u64);
        let meta = Meta { size, packed: size, position: n, ..Meta::named("CPIO", crate::mime::params::text(name)) };
        sink.member(&meta, body);
        at = body_at.saturating_add(h.size).checked_next_multiple_of(h.align).unwrap_or(usize::MAX);
    }
    if at < data.len() && data.get(at..).is_some_and(|d| d.iter().any(|b| *b != 0)) {
        sink.trouble(Trouble::Damaged, "a cpio archive whose headers do not add up");
    }
}

fn head(d: &[u8]) -> Option<Head> {
    if d.starts_with(b"070701") || d.starts_with(b"070702") {
        let field = |n: usize| digits(d.get(6 + 8 * n..14 + 8 * n)?, 16);
        return Some(Head { name: field(11)?, size: field(6)?, len: 110, align: 4 });
    }
    if d.starts_with(b"070707") {
        return Some(Head { name: digits(d.get(59..65)?, 8)?, size: digits(d.get(65..76)?, 8)?, len: 76, align: 1 });
    }
    let big = match d.get(..2)? {
        [0x71, 0xc7] => true,
        [0xc7, 0x71] => false,
        _ => return None,
    };
    let word = |n: usize| {
        let bytes: [u8; 2] = d.get(2 * n..2 * n + 2)?.try_into().ok()?;
        Some(usize::from(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
    };
    Some(Head { name: word(10)?, size: word(11)? << 16 | word(12)?, len: 26, align: 2 })
}

fn digits(text: &[u8], radix: u32) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(text).ok()?.trim(), radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    fn newc(name: &str, data: &[u8]) -> Vec<u8> {
        let mut out = b"070701".to_vec();
        for n in 0..13 {
            let v = match n {
                6 => data.len(),
                11 => name.len() + 1,
                _ => 0,
            };
            out.extend(format!("{v:08X}").bytes());
        }
        out.extend(name.bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(data);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    #[test]
    fn members() {
        let d = [newc("a", b"one"), newc("b/c", b"three"), newc("TRAILER!!!", b"")].concat();
        let mut c = Collect::default();
        read(&d, &mut c);
        assert_eq!(c.members, vec![("a".into(), b"one".to_vec()), ("b/c".into(), b"three".to_vec())]);
        assert!(c.troubles.is_empty());
    }

    #[test]
    fn every_cut_and_huge_sizes() {
        let mut d = newc("a", b"one");
        for n in 0..d.len() {
            read(&d[..n], &mut Collect::default());
        }
        d[54..62].copy_from_slice(b"FFFFFFFF");
        let mut c = Collect::default();
        read(&d, &mut c);
        assert_eq!(c.members.len(), 1);
    }
}
