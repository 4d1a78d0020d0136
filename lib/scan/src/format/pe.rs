//! Windows executables: where sections and the entry point are.
//!
//! Standards   Microsoft PE/COFF; sections of at most 96 are read

use crate::sig::place::Layout;

fn u16_at(data: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?)))
}

fn u32_at(data: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?) as usize)
}

/// Offset of the `PE` signature, if this is more than a DOS program.
fn signature(data: &[u8]) -> Option<usize> {
    let at = u32_at(data, 0x3c)?;
    data.get(at..)?.starts_with(b"PE\0\0").then_some(at)
}

/// Whether the data really is a program.
pub fn is_program(data: &[u8]) -> bool {
    let dos = || u16_at(data, 4).is_some_and(|pages| pages > 0) && u16_at(data, 8).is_some_and(|p| p > 0 && p < 0x2000);
    signature(data).is_some() || (data.len() > 64 && dos())
}

/// Sections and entry point as file offsets.
pub fn layout(data: &[u8]) -> Layout {
    read(data).unwrap_or_default()
}

fn read(data: &[u8]) -> Option<Layout> {
    let pe = signature(data)?;
    let count = u16_at(data, pe + 6)?.min(96);
    let optional = u16_at(data, pe + 20)?;
    let entry = u32_at(data, pe + 24 + 16)?;
    let table = pe + 24 + optional;
    let mut out = Layout::default();
    for n in 0..count {
        let at = table + 40 * n;
        let (Some(vsize), Some(rva), Some(size), Some(raw)) =
            (u32_at(data, at + 8), u32_at(data, at + 12), u32_at(data, at + 16), u32_at(data, at + 20))
        else {
            break;
        };
        if entry >= rva && entry < rva + vsize.max(size) {
            out.entry = Some(raw + (entry - rva));
        }
        out.sections.push((raw, size));
    }
    Some(out)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A minimal executable with one section.
    pub(crate) fn sample() -> Vec<u8> {
        let mut d = vec![0u8; 0x400];
        d[..2].copy_from_slice(b"MZ");
        d[0x3c] = 0x80;
        d[0x80..0x84].copy_from_slice(b"PE\0\0");
        d[0x86] = 1;
        d[0x94] = 0xe0;
        d[0x80 + 40..0x80 + 44].copy_from_slice(&0x1010u32.to_le_bytes());
        let t = 0x80 + 24 + 0xe0;
        for (at, v) in [(8, 0x100u32), (12, 0x1000), (16, 0x200), (20, 0x200)] {
            d[t + at..t + at + 4].copy_from_slice(&v.to_le_bytes());
        }
        d
    }

    #[test]
    fn entry_and_sections() {
        let l = layout(&sample());
        assert_eq!(l.entry, Some(0x210));
        assert_eq!(l.sections, vec![(0x200, 0x200)]);
        assert!(is_program(&sample()) && !is_program(b"MZ is a town"));
        for cut in 0..0x400 {
            layout(&sample()[..cut]);
        }
    }
}
