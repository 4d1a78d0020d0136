//! LHA archives: header levels 0 to 3, stored members and -lh4- to -lh7-.
//!
//! Standards   the LHA header notes by Yoshizaki and Watazaki (public)

use super::lzh::Lzh;
use crate::sink::{Meta, Sink, Trouble};

struct Member<'a> {
    method: [u8; 5],
    name: Vec<u8>,
    body: &'a [u8],
    size: u64,
    next: usize,
}

fn u16_at(d: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(d.get(at..at.checked_add(2)?)?.try_into().ok()?)))
}

fn u32_at(d: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(d.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}

/// Reads the archive at the start of `data`.
pub fn read(data: &[u8], guess: bool, sink: &mut dyn Sink) {
    let mut at = 0;
    let mut n = 0;
    while let Some(m) = data.get(at..).and_then(member) {
        if sink.done() {
            return;
        }
        n += 1;
        let meta = Meta {
            packed: Some(m.body.len() as u64),
            size: Some(m.size),
            position: n,
            guess,
            ..Meta::named("LHA", crate::mime::params::text(&m.name))
        };
        one(&m, &meta, guess, sink);
        at += m.next.max(1);
    }
    if n == 0 && !guess {
        sink.trouble(Trouble::Damaged, "an LHA archive that cannot be read");
    }
}

fn one(m: &Member<'_>, meta: &Meta, guess: bool, sink: &mut dyn Sink) {
    match &m.method {
        b"-lhd-" => {}
        b"-lh0-" | b"-lz4-" => sink.member(meta, m.body),
        [b'-', b'l', b'h', digit, b'-'] => match Lzh::lha(m.body, *digit, m.size) {
            Some(mut r) => {
                if sink.decode(meta, &mut r).failed && !guess {
                    sink.trouble(Trouble::Damaged, "a member of an LHA archive that does not decode");
                }
            }
            None => unsupported(meta, sink),
        },
        _ => unsupported(meta, sink),
    }
}

fn unsupported(meta: &Meta, sink: &mut dyn Sink) {
    sink.listed(meta);
    if !meta.guess {
        sink.trouble(Trouble::Unsupported, "an LHA method without a decoder");
    }
}

fn member(d: &[u8]) -> Option<Member<'_>> {
    let method: [u8; 5] = d.get(2..7)?.try_into().ok()?;
    matches!(method, [b'-', b'l', b'h' | b'z', _, b'-']).then_some(())?;
    let (packed, size) = (u32_at(d, 7)?, u32_at(d, 11)?);
    let (mut name, body_at, packed) = match d.get(20)? {
        level @ (0 | 1) => {
            let len = usize::from(*d.first()?) + 2;
            let name_len = usize::from(*d.get(21)?);
            let name = d.get(22..22 + name_len)?.to_vec();
            if *level == 1 {
                let first = u16_at(d, len.checked_sub(2)?)?;
                let (extra, long) = extensions(d, len, first, 2)?;
                (long.unwrap_or(name), len + extra, packed.checked_sub(extra)?)
            } else {
                (name, len, packed)
            }
        }
        2 => {
            let (_, long) = extensions(d, 26, u16_at(d, 24)?, 2)?;
            (long.unwrap_or_default(), u16_at(d, 0)?, packed)
        }
        3 => {
            let (_, long) = extensions(d, 32, u32_at(d, 28)?, 4)?;
            (long.unwrap_or_default(), u32_at(d, 24)?, packed)
        }
        _ => return None,
    };
    // directories are separated by 0xff
    name.iter_mut().filter(|c| **c == 0xff).for_each(|c| *c = b'/');
    let rest = d.get(body_at..)?;
    let body = rest.get(..packed).unwrap_or(rest);
    Some(Member { method, name, body, size: size as u64, next: body_at.checked_add(packed)? })
}

/// Length of the chain of extended headers at `at`, and the name in it.
fn extensions(d: &[u8], at: usize, first: usize, width: usize) -> Option<(usize, Option<Vec<u8>>)> {
    let (mut size, mut total) = (first, 0);
    let (mut dir, mut name) = (Vec::new(), None);
    for _ in 0..64 {
        if size <= width {
            break;
        }
        let ext = d.get(at + total..at + total + size)?;
        let (kind, body) = ext.get(..size - width)?.split_first()?;
        match kind {
            1 => name = Some(body.to_vec()),
            2 => dir = body.to_vec(),
            _ => {}
        }
        total += size;
        size = if width == 2 { u16_at(d, at + total - 2)? } else { u32_at(d, at + total - 4)? };
    }
    Some((total, name.map(|n| [dir, n].concat())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    #[test]
    fn stored_level_0() {
        let mut d = vec![24, 0];
        d.extend(b"-lh0-");
        d.extend(4u32.to_le_bytes());
        d.extend(4u32.to_le_bytes());
        d.extend([0; 4]);
        d.extend([0x20, 0, 2]);
        d.extend(b"ab\0\0");
        d.extend(b"data\0");
        let mut c = Collect::default();
        read(&d, false, &mut c);
        assert_eq!(c.members, vec![("ab".to_owned(), b"data".to_vec())]);
        for n in 0..d.len() {
            read(&d[..n], true, &mut Collect::default());
        }
    }
}
