//! ELF executables: where sections and the entry point are.
//!
//! Standards   System V ABI, ELF-32 and ELF-64, both byte orders

use crate::sig::place::Layout;

struct Elf<'a> {
    data: &'a [u8],
    wide: bool,
    big: bool,
}

impl Elf<'_> {
    fn number(&self, at: usize, len: usize) -> Option<u64> {
        let bytes = self.data.get(at..at + len)?;
        let fold = |acc: u64, b: &u8| acc << 8 | u64::from(*b);
        Some(if self.big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }

    fn word(&self, at32: usize, at64: usize) -> Option<usize> {
        let n = if self.wide { self.number(at64, 8)? } else { self.number(at32, 4)? };
        usize::try_from(n).ok()
    }

    fn half(&self, at32: usize, at64: usize) -> Option<usize> {
        usize::try_from(self.number(if self.wide { at64 } else { at32 }, 2)?).ok()
    }
}

/// Sections and entry point as file offsets.
pub fn layout(data: &[u8]) -> Layout {
    let wide = data.get(4) == Some(&2);
    let big = data.get(5) == Some(&2);
    read(&Elf { data, wide, big }).unwrap_or_default()
}

fn read(e: &Elf<'_>) -> Option<Layout> {
    let mut out = Layout::default();
    let entry = e.word(24, 24)?;
    let (programs, size, count) = (e.word(28, 32)?, e.half(42, 54)?, e.half(44, 56)?);
    for n in 0..count.min(256) {
        let at = programs.checked_add(size * n)?;
        let field = |at32: usize, at64: usize| e.word(at.checked_add(at32)?, at.checked_add(at64)?);
        let (Some(offset), Some(address), Some(len)) = (field(4, 8), field(8, 16), field(16, 32)) else { break };
        if e.number(at, 4) == Some(1) && entry >= address && entry - address < len {
            out.entry = offset.checked_add(entry - address);
        }
    }
    let (sections, size, count) = (e.word(32, 40)?, e.half(46, 58)?, e.half(48, 60)?);
    for n in 0..count.min(256) {
        let at = sections.checked_add(size * n)?;
        let field = |at32: usize, at64: usize| e.word(at.checked_add(at32)?, at.checked_add(at64)?);
        let (Some(offset), Some(len)) = (field(16, 24), field(20, 32)) else { break };
        out.sections.push((offset, len));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_program() {
        let exe = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let l = layout(&exe);
        assert!(l.entry.is_some_and(|e| e < exe.len()) && l.sections.len() > 5);
        for cut in (0..200).chain(exe.len() - 200..exe.len()) {
            layout(&exe[..cut]);
        }
    }
}
