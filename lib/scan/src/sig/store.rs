//! The compiled signature file: named sections behind a small directory, read in place from a mapping.
//!
//! Format      "PPSIGS1\n", u32 count, u32 0, count x { u32 id, u32 0, u64 offset, u64 length }, sections.
//!             All numbers little-endian. Specified for readers in pennypost-signatures(5).
//! Invariants  every read is bounds-checked: a damaged file gives no match or an error, never a panic
//! Trust       written by `virusscan --compile`; the administrator's

/// First bytes of a compiled file; the digit is the version.
pub const MAGIC: &[u8; 8] = b"PPSIGS1\n";

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Section {
    /// One bit for each hashed anchor.
    Bitmap = 1,
    /// Start of each bucket in `Entries`.
    Buckets = 2,
    /// Anchor and pattern offset, 8 bytes each, sorted by bucket.
    Entries = 3,
    /// Patterns.
    Patterns = 4,
    /// Offsets of patterns that have no anchor but a fixed place.
    Placed = 5,
    /// Signatures, 12 bytes each.
    Sigs = 6,
    /// Names: u16 length, bytes.
    Names = 7,
    /// Logical signatures.
    Logic = 8,
    /// Container rules, one line each.
    Container = 9,
    /// YARA rules as text; see `yara.rs`.
    Yara = 10,
    /// Hash tables; see `hashes.rs`. Six follow each other from here.
    Hashes = 16,
    /// Allow-listed hashes, three tables from here.
    Allowed = 24,
    /// Counts and provenance, text.
    Info = 32,
}

/// A read cursor over little-endian data that never panics.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

/// The u32 at `at`.
pub fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Reader(data.get(at..)?).u32()
}

/// Writes the directory and the sections as one file.
pub fn assemble(sections: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut offset = 16 + 24 * sections.len() as u64;
    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    for (id, body) in sections {
        offset = offset.next_multiple_of(8);
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
        offset += body.len() as u64;
    }
    for (_, body) in sections {
        out.resize(out.len().next_multiple_of(8), 0);
        out.extend_from_slice(body);
    }
    out
}

/// Finds the sections of a file; `None` when it is not a compiled signature file or is cut short.
pub fn directory(data: &[u8]) -> Option<Vec<(u32, std::ops::Range<usize>)>> {
    let mut r = Reader(data);
    if r.take(8)? != MAGIC {
        return None;
    }
    let count = r.u32()?;
    r.u32()?;
    let mut out = Vec::new();
    for _ in 0..count.min(64) {
        let id = r.u32()?;
        r.u32()?;
        let start = usize::try_from(r.u64()?).ok()?;
        let end = start.checked_add(usize::try_from(r.u64()?).ok()?)?;
        data.get(start..end)?;
        out.push((id, start..end));
    }
    Some(out)
}
