//! ARJ archives.
//!
//! Standards   the ARJ technical notes (public): header id 60 EA, basic header, extended headers, data

use super::lzh::Lzh;
use crate::sink::{Meta, Sink, Trouble};

fn u16_at(d: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(d.get(at..at.checked_add(2)?)?.try_into().ok()?)))
}

fn u32_at(d: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(d.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}

/// A header and what follows it.
struct Header<'a> {
    basic: &'a [u8],
    end: usize,
}

fn header(d: &[u8], at: usize) -> Option<Header<'_>> {
    d.get(at..)?.starts_with(b"\x60\xea").then_some(())?;
    let len = u16_at(d, at + 2)?;
    (len > 0 && len <= 2600).then_some(())?;
    let basic = d.get(at + 4..at + 4 + len)?;
    let mut end = at + 4 + len + 4;
    loop {
        let extra = u16_at(d, end)?;
        end += 2;
        if extra == 0 {
            return Some(Header { basic, end });
        }
        end += extra + 4;
    }
}

/// Reads the archive whose main header is at the start of `data`.
pub fn read(data: &[u8], guess: bool, sink: &mut dyn Sink) {
    let Some(main) = header(data, 0).filter(|h| h.basic.get(6) == Some(&2)) else {
        // two octets are a weak magic
        return;
    };
    let mut at = main.end;
    let mut n = 0;
    while let Some(h) = header(data, at) {
        if sink.done() {
            return;
        }
        n += 1;
        let Some(next) = member(data, &h, n, guess, sink) else { break };
        at = next;
    }
    if n == 0 && !guess {
        sink.trouble(Trouble::Damaged, "an ARJ archive that cannot be read");
    }
}

fn member(data: &[u8], h: &Header<'_>, n: u64, guess: bool, sink: &mut dyn Sink) -> Option<usize> {
    let b = h.basic;
    let (flags, method) = (*b.get(4)?, *b.get(5)?);
    let (packed, size) = (u32_at(b, 12)?, u32_at(b, 16)?);
    let name = b.get(usize::from(*b.first()?)..)?.split(|c| *c == 0).next()?;
    let rest = data.get(h.end..)?;
    let body = rest.get(..packed).unwrap_or(rest);
    let encrypted = flags & 1 != 0;
    let meta = Meta {
        packed: Some(packed as u64),
        size: Some(size as u64),
        encrypted,
        position: n,
        guess,
        ..Meta::named("ARJ", crate::mime::params::text(name))
    };
    match method {
        _ if encrypted => {
            sink.listed(&meta);
            sink.trouble(Trouble::Encrypted, "an encrypted member of an ARJ archive");
        }
        0 => sink.member(&meta, body),
        1..=4 => {
            if sink.decode(&meta, &mut Lzh::arj(body, method, size as u64)).failed && !guess {
                sink.trouble(Trouble::Damaged, "a member of an ARJ archive that does not decode");
            }
        }
        _ => {
            sink.listed(&meta);
            sink.trouble(Trouble::Unsupported, "an ARJ method without a decoder");
        }
    }
    h.end.checked_add(packed)
}
