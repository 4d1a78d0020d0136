//! tar: v7, ustar, GNU, pax.
//!
//! Standards   POSIX.1-2001 pax; GNU tar manual (L and K members, base-256 numbers)
//! Leniency    checksums are not required once the magic is there; a bad header is skipped by 512 octets

use crate::sink::{Meta, Sink};

const BLOCK: usize = 512;

/// One member.
pub struct Entry<'a> {
    /// The name, long names resolved.
    pub name: Vec<u8>,
    /// The content.
    pub data: &'a [u8],
}

struct Entries<'a> {
    data: &'a [u8],
    at: usize,
    long: Option<Vec<u8>>,
}

/// All regular members.
pub fn entries(data: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    Entries { data, at: 0, long: None }
}

/// Hands over every member.
pub fn read(data: &[u8], sink: &mut dyn Sink) {
    for (n, entry) in entries(data).enumerate() {
        if sink.done() {
            break;
        }
        let size = Some(entry.data.len() as u64);
        let name = crate::mime::params::text(&entry.name);
        let meta = Meta { packed: size, size, position: n as u64 + 1, ..Meta::named("TAR", name) };
        sink.member(&meta, entry.data);
    }
}

/// Whether the first block is a v7 header: its checksum holds.
pub fn looks_old(data: &[u8]) -> bool {
    let Some(block) = data.get(..BLOCK) else { return false };
    !block.starts_with(b"\0") && block.get(148..156).and_then(number).is_some_and(|sum| sum == checksum(block))
}

/// Sum of all octets, the checksum field counted as blanks.
fn checksum(block: &[u8]) -> u64 {
    let sum = |r: &[u8]| r.iter().map(|b| u64::from(*b)).sum::<u64>();
    sum(block.get(..148).unwrap_or_default()) + 8 * 32 + sum(block.get(156..).unwrap_or_default())
}

/// Octal digits, or base 256 with the first bit set.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((first, rest)) = field.split_first().filter(|(f, _)| **f & 0x80 != 0) {
        return Some(rest.iter().fold(u64::from(first & 0x3f), |acc, b| acc << 8 | u64::from(*b)));
    }
    let digits: Vec<u8> = field.iter().copied().filter(|c| (b'0'..=b'7').contains(c)).collect();
    u64::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

fn text(field: &[u8]) -> &[u8] {
    field.split(|c| *c == 0).next().unwrap_or_default()
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let block = self.data.get(self.at..self.at.checked_add(BLOCK)?)?;
            self.at += BLOCK;
            if block.iter().all(|b| *b == 0) {
                continue;
            }
            let Some(size) = block.get(124..136).and_then(number) else { continue };
            let rest = self.data.get(self.at..)?;
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let body = rest.get(..size).unwrap_or(rest);
            let kind = block.get(156).copied().unwrap_or(0);
            self.at = self.at.saturating_add(size.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX));
            match kind {
                b'L' => self.long = Some(text(body).to_vec()),
                b'x' => self.long = pax_path(body).or(self.long.take()),
                b'K' | b'g' | b'5' => {}
                _ => {
                    let name = self.long.take().unwrap_or_else(|| name(block));
                    return Some(Entry { name, data: body });
                }
            }
        }
    }
}

fn name(block: &[u8]) -> Vec<u8> {
    let own = text(block.get(..100).unwrap_or_default());
    let prefix = text(block.get(345..500).unwrap_or_default());
    let ustar = block.get(257..262) == Some(b"ustar") && !prefix.is_empty();
    if ustar { [prefix, b"/", own].concat() } else { own.to_vec() }
}

/// `LENGTH path=VALUE` in a pax header.
fn pax_path(body: &[u8]) -> Option<Vec<u8>> {
    let at = memchr::memmem::find(body, b" path=")? + 6;
    let rest = body.get(at..)?;
    Some(rest.split(|c| *c == b'\n').next()?.to_vec())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sink::Collect;

    /// A ustar member.
    pub(crate) fn member(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
        let mut b = vec![0u8; BLOCK];
        b[..name.len()].copy_from_slice(name.as_bytes());
        b[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        b[156] = kind;
        b[257..263].copy_from_slice(b"ustar\0");
        let sum = format!("{:06o}\0 ", checksum(&b));
        b[148..156].copy_from_slice(sum.as_bytes());
        b.extend(data);
        b.resize(b.len().next_multiple_of(BLOCK), 0);
        b
    }

    #[test]
    fn long_names_and_members() {
        let t = [
            member("a", b'0', b"one"),
            member("././@LongLink", b'L', b"very/long/name\0"),
            member("short", b'0', b"two"),
            member("PaxHeaders/x", b'x', b"20 path=pax/name.exe\n"),
            member("y", b'0', b"three"),
            vec![0; 1024],
        ]
        .concat();
        let mut c = Collect::default();
        read(&t, &mut c);
        let names: Vec<_> = c.members.iter().map(|m| m.0.as_str()).collect();
        assert_eq!(names, ["a", "very/long/name", "pax/name.exe"]);
        assert!(looks_old(&t));
    }

    #[test]
    fn sizes_beyond_the_end() {
        let mut t = member("a", b'0', b"rest");
        t[124..136].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
        let mut c = Collect::default();
        read(&t, &mut c);
        assert_eq!(c.members.len(), 1);
    }
}
