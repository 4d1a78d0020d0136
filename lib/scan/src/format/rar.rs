//! RAR archives, versions 1.5 to 5: names and headers, and members that are stored.
//!
//! Standards   the RAR 5 technical note; the RAR 4 header notes (both public)
//! Not here    compressed members (rar_packed.rs)

use super::rar_packed;
use crate::sink::{Meta, Sink, Trouble};

fn u16_at(d: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(d.get(at..at.checked_add(2)?)?.try_into().ok()?)))
}

fn u32_at(d: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(d.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}

/// A file header of either version.
struct Member<'a> {
    name: Vec<u8>,
    body: &'a [u8],
    size: u64,
    stored: bool,
    encrypted: bool,
    split: bool,
}

impl Member<'_> {
    /// Whether a decoder is needed and may help.
    fn is_packed(&self) -> bool {
        !self.stored && !self.encrypted && !self.split && self.size > 0
    }
}

/// Reads the archive at the start of `data`.
pub fn read(data: &[u8], guess: bool, sink: &mut dyn Sink) {
    let mut members = Vec::new();
    let whole = if data.starts_with(b"Rar!\x1a\x07\x01\0") {
        version5(data, &mut members)
    } else if data.starts_with(b"Rar!\x1a\x07\0") {
        version4(data, &mut members)
    } else {
        // before 1.5: no header of its own kind to read leniently
        return rar_packed::read(data, guess, None, sink);
    };
    for (n, m) in members.iter().enumerate() {
        if sink.done() {
            return;
        }
        one(m, n as u64 + 1, guess, sink);
    }
    let packed = members.iter().filter(|m| m.is_packed()).count();
    if packed > 0 {
        rar_packed::read(data, guess, Some(packed), sink);
    }
    match whole {
        Err((Trouble::Damaged, _)) if guess => {}
        Err((trouble, detail)) => sink.trouble(trouble, detail),
        Ok(()) => {}
    }
}

fn one(m: &Member<'_>, position: u64, guess: bool, sink: &mut dyn Sink) {
    let name = crate::mime::params::text(&m.name);
    let meta = Meta {
        packed: Some(m.body.len() as u64),
        size: Some(m.size),
        encrypted: m.encrypted,
        position,
        guess,
        ..Meta::named("RAR", name)
    };
    if m.stored && !m.encrypted && !m.split {
        sink.member(&meta, m.body);
        return;
    }
    sink.listed(&meta);
    if m.encrypted {
        sink.trouble(Trouble::Encrypted, "an encrypted member of a RAR archive");
    } else if m.split {
        sink.trouble(Trouble::Partial, "a RAR member that spans volumes");
    }
}

type Done = Result<(), (Trouble, &'static str)>;
const DAMAGED: (Trouble, &str) = (Trouble::Damaged, "a RAR archive that cannot be read");
const LOCKED: (Trouble, &str) = (Trouble::Encrypted, "a RAR archive with encrypted headers");

fn version4<'a>(d: &'a [u8], out: &mut Vec<Member<'a>>) -> Done {
    let mut at = 7;
    while at + 7 <= d.len() {
        let b = d.get(at..).unwrap_or_default();
        let (Some(kind), Some(flags), Some(size)) = (b.get(2), u16_at(b, 3), u16_at(b, 5)) else { return Err(DAMAGED) };
        if !(0x72..=0x7b).contains(kind) || size < 7 {
            return if out.is_empty() { Err(DAMAGED) } else { Ok(()) };
        }
        if *kind == 0x73 && flags & 0x80 != 0 {
            return Err(LOCKED);
        }
        if *kind == 0x7b {
            return Ok(());
        }
        let mut added = if flags & 0x8000 != 0 { u32_at(b, 7).ok_or(DAMAGED)? } else { 0 };
        if matches!(kind, 0x74 | 0x7a) {
            let (member, high) = file4(b, flags, size, added).ok_or(DAMAGED)?;
            added = added.saturating_add(high);
            if *kind == 0x74 {
                out.push(member);
            }
        }
        at = at.saturating_add(size).saturating_add(added);
    }
    // what the last block announces must be there
    if at > d.len() { Err(DAMAGED) } else { Ok(()) }
}

fn file4(b: &[u8], flags: usize, size: usize, packed: usize) -> Option<(Member<'_>, usize)> {
    let unpacked = u32_at(b, 11)? as u64;
    let (method, name_len) = (*b.get(25)?, u16_at(b, 26)?);
    let wide = flags & 0x100 != 0;
    let high = if wide { u32_at(b, 32)?.checked_shl(32)? } else { 0 };
    let name_at = if wide { 40 } else { 32 };
    let name = b.get(name_at..name_at + name_len)?;
    // a Unicode name follows the plain one behind a NUL
    let name = if flags & 0x200 != 0 { name.split(|c| *c == 0).next()? } else { name };
    let rest = b.get(size..).unwrap_or_default();
    let member = Member {
        name: name.to_vec(),
        body: rest.get(..packed).unwrap_or(rest),
        size: unpacked,
        stored: method == 0x30,
        encrypted: flags & 4 != 0,
        split: flags & 3 != 0,
    };
    Some((member, high))
}

/// RAR 5 variable-length number: value and octets used.
fn vint(d: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for n in 0..10 {
        let b = *d.get(at + n)?;
        value |= u64::from(b & 0x7f).checked_shl(7 * n as u32)?;
        if b & 0x80 == 0 {
            return Some((value, at + n + 1));
        }
    }
    None
}

fn version5<'a>(d: &'a [u8], out: &mut Vec<Member<'a>>) -> Done {
    let mut at = 8;
    while at + 7 <= d.len() {
        let (len, start) = vint(d, at + 4).ok_or(DAMAGED)?;
        let len = usize::try_from(len).map_err(|_| DAMAGED)?;
        let end = start.checked_add(len).ok_or(DAMAGED)?;
        let header = d.get(start..end).ok_or(DAMAGED)?;
        let (kind, added) = match block5(header, d.get(end..).unwrap_or_default(), out) {
            Some(k) => k,
            None => return Err(DAMAGED),
        };
        match kind {
            4 => return Err(LOCKED),
            5 => return Ok(()),
            _ => at = end.saturating_add(added),
        }
    }
    if at > d.len() { Err(DAMAGED) } else { Ok(()) }
}

/// Kind of a block and the length of the data behind it; files go to `out`.
fn block5<'a>(h: &[u8], rest: &'a [u8], out: &mut Vec<Member<'a>>) -> Option<(u64, usize)> {
    let (kind, at) = vint(h, 0)?;
    let (flags, mut at) = vint(h, at)?;
    let (mut extra, mut added) = (0, 0);
    if flags & 1 != 0 {
        (extra, at) = vint(h, at)?;
    }
    if flags & 2 != 0 {
        (added, at) = vint(h, at)?;
    }
    let added = usize::try_from(added).ok()?;
    if kind != 2 {
        return Some((kind, added));
    }
    let (file_flags, at) = vint(h, at)?;
    let (size, at) = vint(h, at)?;
    let (_, mut at) = vint(h, at)?;
    at += if file_flags & 2 != 0 { 4 } else { 0 } + if file_flags & 4 != 0 { 4 } else { 0 };
    let (compression, at) = vint(h, at)?;
    let (_, at) = vint(h, at)?;
    let (name_len, at) = vint(h, at)?;
    let name = h.get(at..at.checked_add(usize::try_from(name_len).ok()?)?)?.to_vec();
    let area = h.get(h.len().checked_sub(usize::try_from(extra).ok()?)?..)?;
    if file_flags & 1 == 0 {
        out.push(Member {
            name,
            body: rest.get(..added).unwrap_or(rest),
            size,
            stored: compression >> 7 & 7 == 0,
            encrypted: has_record(area, 1),
            split: flags & 0x18 != 0,
        });
    }
    Some((kind, added))
}

/// Whether an extra area holds a record of this type.
fn has_record(area: &[u8], want: u64) -> bool {
    let mut at = 0;
    while let Some((len, body)) = vint(area, at) {
        if vint(area, body).is_some_and(|(kind, _)| kind == want) {
            return true;
        }
        at = body.saturating_add(usize::try_from(len).unwrap_or(usize::MAX).max(1));
        if at >= area.len() {
            break;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    /// A RAR 4 archive with one member.
    fn rar4(flags: u16, method: u8, body: &[u8]) -> Vec<u8> {
        let mut d = b"Rar!\x1a\x07\0".to_vec();
        d.extend([0, 0, 0x73, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0]);
        let name = b"a.exe";
        let mut h = vec![0, 0, 0x74];
        h.extend((0x8000 | flags).to_le_bytes());
        h.extend((32 + name.len() as u16).to_le_bytes());
        h.extend((body.len() as u32).to_le_bytes());
        h.extend((body.len() as u32).to_le_bytes());
        h.extend([0; 9]);
        h.extend([29, method, name.len() as u8, 0, 0, 0, 0, 0]);
        h.extend(name);
        d.extend(h);
        d.extend(body);
        d
    }

    #[test]
    fn stored_and_not() {
        let mut c = Collect::default();
        read(&rar4(0, 0x30, b"data"), false, &mut c);
        assert_eq!(c.members, vec![("a.exe".to_owned(), b"data".to_vec())]);
        let mut c = Collect::default();
        read(&rar4(0, 0x33, b"data"), false, &mut c);
        assert_eq!((c.listed.len(), c.troubles[0].0), (1, Trouble::Damaged), "compressed, but not so");
        let mut c = Collect::default();
        read(&rar4(4, 0x30, b"data"), false, &mut c);
        assert_eq!(c.troubles[0].0, Trouble::Encrypted);
    }

    #[test]
    fn version_5() {
        let mut d = b"Rar!\x1a\x07\x01\0".to_vec();
        // crc, size, type 2, flags 2, data size 4, file flags 0, size 4, attributes, compression 0, host, name
        let h = [2, 2, 4, 0, 4, 0, 0, 0, 5, b'b', b'.', b't', b'x', b't'];
        d.extend([0, 0, 0, 0, h.len() as u8]);
        d.extend(h);
        d.extend(b"five");
        let mut c = Collect::default();
        read(&d, false, &mut c);
        assert_eq!(c.members, vec![("b.txt".to_owned(), b"five".to_vec())]);
        for n in 0..d.len() {
            read(&d[..n], false, &mut Collect::default());
        }
    }
}
