//! ISO 9660 disk images, with Joliet names.
//!
//! Standards   ECMA-119 8.4, 9.1; Joliet: supplementary descriptors with UCS-2 names
//! Limits      4096 directories, each walked once, 64 levels by the order of the walk
//! Class       every image is one of disk-image: a mounted file loses the mark that it came by mail

use crate::sink::{Class, Meta, Sink, Trouble};
use std::collections::HashSet;

const DIRECTORIES_MAX: usize = 4096;

fn u32_at(d: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(d.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}

/// Hands over every file of every volume.
pub fn read(data: &[u8], sink: &mut dyn Sink) {
    sink.class(Class::DiskImage, "ISO 9660 image");
    let (first, sector) = if data.get(0x9311..).is_some_and(|d| d.starts_with(b"CD001")) {
        (0x9310, 2352) // raw sectors
    } else {
        (0x8000, 2048)
    };
    if sector != 2048 {
        sink.trouble(Trouble::Unsupported, "an image of raw sectors");
        return;
    }
    let mut seen = HashSet::new();
    for n in 0..32 {
        let Some(d) = data.get(first + n * sector..first + (n + 1) * sector) else { break };
        if d.get(1..6) != Some(b"CD001") || d.first() == Some(&255) {
            break;
        }
        let joliet = d.first() == Some(&2);
        if let (Some(1 | 2), Some(at), Some(len)) = (d.first(), u32_at(d, 156 + 2), u32_at(d, 156 + 10)) {
            tree(data, at, len, joliet, &mut seen, sink);
        }
    }
}

fn tree(data: &[u8], at: usize, len: usize, joliet: bool, seen: &mut HashSet<usize>, sink: &mut dyn Sink) {
    let mut todo = vec![(at, len, String::new())];
    while let Some((at, len, path)) = todo.pop() {
        if !seen.insert(at) {
            continue;
        }
        if seen.len() > DIRECTORIES_MAX {
            sink.trouble(Trouble::Limit, "too many directories in an image");
            return;
        }
        let rest = data.get(at.saturating_mul(2048)..).unwrap_or_default();
        let dir = rest.get(..len).unwrap_or(rest);
        let mut here = 0;
        while here < dir.len() && !sink.done() {
            let size = usize::from(dir.get(here).copied().unwrap_or(0));
            if size == 0 {
                // records do not cross sectors
                here = (here + 1).next_multiple_of(2048);
                continue;
            }
            let record = dir.get(here..here + size).unwrap_or_default();
            here += size;
            entry(data, record, &path, joliet, &mut todo, sink);
        }
    }
}

fn entry(
    data: &[u8],
    record: &[u8],
    path: &str,
    joliet: bool,
    todo: &mut Vec<(usize, usize, String)>,
    sink: &mut dyn Sink,
) -> Option<()> {
    let (at, len) = (u32_at(record, 2)?, u32_at(record, 10)?);
    let flags = *record.get(25)?;
    let name = record.get(33..33 + usize::from(*record.get(32)?))?;
    if matches!(name, [0 | 1]) {
        return None;
    }
    let name = if joliet { ucs2(name) } else { crate::mime::params::text(name) };
    let name = name.split(';').next().unwrap_or_default().to_owned();
    let full = if path.is_empty() { name } else { format!("{path}/{name}") };
    if flags & 2 != 0 {
        todo.push((at, len, full));
        return None;
    }
    let rest = data.get(at.checked_mul(2048)?..).unwrap_or_default();
    let size = Some(len as u64);
    sink.member(&Meta { size, packed: size, ..Meta::named("ISO9660", full) }, rest.get(..len).unwrap_or(rest));
    Some(())
}

fn ucs2(name: &[u8]) -> String {
    let units: Vec<u16> = name.as_chunks::<2>().0.iter().map(|c| u16::from_be_bytes(*c)).collect();
    String::from_utf16_lossy(&units)
}
