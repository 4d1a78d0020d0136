//! The mapped snapshot of a mailbox: `pennypost.index`.
//!
//! Format      512 octets header, records of 64 octets sorted by UID, names, two checksums a block of 64 records
//!             (records, names), expunged UIDs with their modseq; see pennypost-maildir(5)
//! Invariants  1. a snapshot is never changed: it is written under another name and renamed into place
//!             2. header, records and tables are verified before first use, names block by block when touched
//! Failures    anything odd: no snapshot (the mailbox is scanned again); odd names set `is_damaged`

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use penny_sys::files::{self, Map};

use super::record::{Fixed, META, Meta, RECORD, RecordRef, checksum};
use crate::dir::create_file;

const MAGIC: &[u8; 8] = b"PPINDEX1";
const HEADER: usize = 512;
/// Where in the header its own checksum is.
const SUM_AT: usize = 504;
/// Records a checksum covers.
pub(crate) const BLOCK: usize = 64;
/// Octets of an expunged UID with its modseq.
const GONE: usize = 16;

/// A UID that was expunged, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) uid: u32,
    pub(crate) modseq: u64,
}

/// Offsets of the parts.
#[derive(Clone, Copy, Debug, Default)]
struct Layout {
    count: usize,
    names: usize,
    gone: usize,
}

impl Layout {
    fn blocks(&self) -> usize {
        self.count.div_ceil(BLOCK)
    }
    fn names_at(&self) -> usize {
        HEADER + self.count * RECORD
    }
    fn record_sums_at(&self) -> usize {
        self.names_at() + self.names
    }
    fn name_sums_at(&self) -> usize {
        self.record_sums_at() + 8 * self.blocks()
    }
    fn gone_at(&self) -> usize {
        self.name_sums_at() + 8 * self.blocks()
    }
    fn total(&self) -> usize {
        self.gone_at() + self.gone * GONE
    }
}

/// A verified snapshot.
pub(crate) struct Snapshot {
    map: Map,
    layout: Layout,
    pub(crate) generation: u64,
    pub(crate) meta: Meta,
    checked: RefCell<Vec<u64>>,
    damaged: Cell<bool>,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

impl Snapshot {
    /// Maps and verifies; `None` on any doubt.
    pub(crate) fn open(path: &Path) -> Option<Snapshot> {
        let file = files::open_regular(path).ok()?;
        let snapshot = Snapshot::map(&file)?;
        snapshot.verify().then_some(snapshot)
    }

    fn map(file: &File) -> Option<Snapshot> {
        let map = Map::of(file).ok()?;
        let header = map.get(..HEADER)?;
        if header.get(..8)? != MAGIC || checksum(header.get(..SUM_AT)?) != word(header, SUM_AT) {
            return None;
        }
        let size = |at: usize| usize::try_from(word(header, at)).ok().filter(|n| *n <= map.len());
        let layout = Layout { count: size(16)?, names: size(24)?, gone: size(32)? };
        if layout.total() != map.len() {
            return None;
        }
        let meta = Meta::decode(header.get(64..64 + META)?.try_into().ok()?);
        let generation = word(header, 8);
        let checked = RefCell::new(vec![0; layout.blocks().div_ceil(64)]);
        Some(Snapshot { map, layout, generation, meta, checked, damaged: Cell::new(false) })
    }

    fn records(&self) -> &[u8] {
        self.map.get(HEADER..self.layout.names_at()).unwrap_or_default()
    }

    fn verify(&self) -> bool {
        let tables = self.map.get(self.layout.record_sums_at()..).unwrap_or_default();
        let header = self.map.get(..HEADER).unwrap_or_default();
        let blocks = self.records().chunks(BLOCK * RECORD);
        checksum(tables) == word(header, 40)
            && blocks
                .enumerate()
                .all(|(i, b)| checksum(b) == word(self.map.bytes(), self.layout.record_sums_at() + 8 * i))
    }

    pub(crate) fn len(&self) -> usize {
        self.layout.count
    }

    /// True once a name block failed its checksum.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.get()
    }

    fn raw(&self, i: usize) -> Option<&[u8; RECORD]> {
        (i < self.layout.count).then(|| self.map.get(HEADER + i * RECORD..)?.first_chunk()).flatten()
    }

    /// The fixed part of the i-th record.
    pub(crate) fn fixed(&self, i: usize) -> Option<Fixed> {
        self.raw(i).map(|raw| Fixed::decode(raw).0)
    }

    /// The UID of the i-th record.
    pub(crate) fn uid_at(&self, i: usize) -> Option<u32> {
        self.raw(i).and_then(|raw| raw.first_chunk::<4>()).map(|b| u32::from_le_bytes(*b))
    }

    fn uid(&self, i: usize) -> u32 {
        self.uid_at(i).unwrap_or(u32::MAX)
    }

    /// The i-th record with its names.
    pub(crate) fn get(&self, i: usize) -> Option<RecordRef<'_>> {
        let (fixed, (off, name_len, info_len)) = Fixed::decode(self.raw(i)?);
        self.check_names(i / BLOCK);
        let at = self.layout.names_at() + off as usize;
        let end = at + usize::from(name_len);
        let in_names = end + usize::from(info_len) <= self.layout.record_sums_at();
        if !in_names || self.damaged.get() {
            self.damaged.set(true);
            return Some(RecordRef { fixed, base: b"", info: b"" });
        }
        let base = self.map.get(at..end).unwrap_or_default();
        let info = self.map.get(end..end + usize::from(info_len)).unwrap_or_default();
        Some(RecordRef { fixed, base, info })
    }

    /// Verifies the names of a block once.
    fn check_names(&self, block: usize) {
        let (slot, bit) = (block / 64, 1u64 << (block % 64));
        let mut checked = self.checked.borrow_mut();
        let Some(bits) = checked.get_mut(slot).filter(|bits| **bits & bit == 0) else { return };
        *bits |= bit;
        let first = self.name_offset(block * BLOCK);
        let end = match (block + 1) * BLOCK {
            next if next < self.layout.count => self.name_offset(next),
            _ => self.layout.names,
        };
        let at = self.layout.names_at();
        let sum = word(self.map.bytes(), self.layout.name_sums_at() + 8 * block);
        let good = self.map.get(at + first..at + end).is_some_and(|names| checksum(names) == sum);
        if !good {
            self.damaged.set(true);
        }
    }

    fn name_offset(&self, i: usize) -> usize {
        self.raw(i).map_or(0, |raw| Fixed::decode(raw).1.0 as usize)
    }

    /// Position of a UID, or where it would be.
    pub(crate) fn find(&self, uid: u32) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.layout.count);
        // UIDs without gaps put a UID exactly this far from the first; with gaps, further to the front.
        if high > 0 {
            let guess = (uid.saturating_sub(self.uid(0)) as usize).min(high - 1);
            match self.uid(guess).cmp(&uid) {
                std::cmp::Ordering::Equal => return Ok(guess),
                std::cmp::Ordering::Less => low = guess + 1,
                std::cmp::Ordering::Greater => high = guess,
            }
        }
        while low < high {
            let mid = low + (high - low) / 2;
            match self.uid(mid).cmp(&uid) {
                std::cmp::Ordering::Equal => return Ok(mid),
                std::cmp::Ordering::Less => low = mid + 1,
                std::cmp::Ordering::Greater => high = mid,
            }
        }
        Err(low)
    }

    /// Expunged UIDs in the order they went.
    pub(crate) fn gone(&self) -> impl Iterator<Item = Gone> + '_ {
        let table = self.map.get(self.layout.gone_at()..).unwrap_or_default();
        let entry = |b: &[u8]| Gone { uid: word(b, 0) as u32, modseq: word(b, 8) };
        table.chunks_exact(GONE).map(entry)
    }
}

/// Writes a snapshot beside the old one and renames it into place. `records` is asked for twice and must give the same.
pub(crate) fn write<'a, I, F>(
    path: &Path,
    generation: u64,
    meta: &Meta,
    gone: &[Gone],
    records: F,
) -> std::io::Result<Snapshot>
where
    I: Iterator<Item = RecordRef<'a>>,
    F: Fn() -> I,
{
    let mut tmp = path.as_os_str().to_os_string();
    tmp.push(".tmp");
    let tmp = std::path::PathBuf::from(tmp);
    let _ = std::fs::remove_file(&tmp);
    let file = create_file(&tmp)?;
    let mut out = BufWriter::with_capacity(256 * 1024, &file);
    out.write_all(&[0; HEADER])?;
    let (layout, record_sums) = write_records(&mut out, records())?;
    let name_sums = write_names(&mut out, records())?;
    let mut tables: Vec<u8> = Vec::new();
    record_sums.iter().chain(&name_sums).for_each(|s| tables.extend_from_slice(&s.to_le_bytes()));
    for g in gone {
        tables.extend_from_slice(&u64::from(g.uid).to_le_bytes());
        tables.extend_from_slice(&g.modseq.to_le_bytes());
    }
    out.write_all(&tables)?;
    let layout = Layout { gone: gone.len(), ..layout };
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header(generation, meta, layout, checksum(&tables)))?;
    out.flush()?;
    drop(out);
    let bad = || std::io::Error::other("index written does not read back");
    let snapshot = Snapshot::map(&file).ok_or_else(bad)?;
    std::fs::rename(&tmp, path)?;
    Ok(snapshot)
}

fn header(generation: u64, meta: &Meta, layout: Layout, tables: u64) -> [u8; HEADER] {
    let mut out = [0u8; HEADER];
    let mut put = |at: usize, data: &[u8]| {
        if let Some(slot) = out.get_mut(at..at + data.len()) {
            slot.copy_from_slice(data);
        }
    };
    put(0, MAGIC);
    put(8, &generation.to_le_bytes());
    put(16, &(layout.count as u64).to_le_bytes());
    put(24, &(layout.names as u64).to_le_bytes());
    put(32, &(layout.gone as u64).to_le_bytes());
    put(40, &tables.to_le_bytes());
    put(64, &meta.encode());
    let (body, sum) = out.split_at_mut(SUM_AT);
    sum.copy_from_slice(&checksum(body).to_le_bytes());
    out
}

fn short(len: usize) -> std::io::Result<u16> {
    u16::try_from(len).map_err(|_| std::io::Error::other("name too long for the index"))
}

fn write_records<'a>(
    out: &mut impl Write,
    records: impl Iterator<Item = RecordRef<'a>>,
) -> std::io::Result<(Layout, Vec<u64>)> {
    let mut layout = Layout::default();
    let mut sums = Vec::new();
    let mut block: Vec<u8> = Vec::with_capacity(BLOCK * RECORD);
    for r in records {
        let off = u32::try_from(layout.names).map_err(|_| std::io::Error::other("index too large"))?;
        block.extend_from_slice(&r.fixed.encode(off, short(r.base.len())?, short(r.info.len())?));
        layout.names += r.base.len() + r.info.len();
        layout.count += 1;
        if block.len() == BLOCK * RECORD {
            sums.push(checksum(&block));
            out.write_all(&block)?;
            block.clear();
        }
    }
    if !block.is_empty() {
        sums.push(checksum(&block));
        out.write_all(&block)?;
    }
    Ok((layout, sums))
}

fn write_names<'a>(out: &mut impl Write, records: impl Iterator<Item = RecordRef<'a>>) -> std::io::Result<Vec<u64>> {
    let mut sums = Vec::new();
    let mut block: Vec<u8> = Vec::with_capacity(BLOCK * 64);
    let mut in_block = 0;
    for r in records {
        block.extend_from_slice(r.base);
        block.extend_from_slice(r.info);
        in_block += 1;
        if in_block == BLOCK {
            sums.push(checksum(&block));
            out.write_all(&block)?;
            block.clear();
            in_block = 0;
        }
    }
    if in_block > 0 {
        sums.push(checksum(&block));
        out.write_all(&block)?;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::super::record::Record;
    use super::*;
    use crate::testdir::TestDir;

    fn sample(n: u32) -> Vec<Record> {
        let one = |i: u32| Record::found(i * 2 + 1, format!("{i}.M1P1.host,S={i}").as_bytes(), b":2,S", false);
        (0..n).map(one).collect()
    }

    fn write_sample(path: &Path, n: u32) -> Vec<Record> {
        let records = sample(n);
        let gone = [Gone { uid: 4, modseq: 9 }];
        write(path, 3, &Meta { uidnext: 77, ..Meta::default() }, &gone, || records.iter().map(Record::borrow)).unwrap();
        records
    }

    #[test]
    fn reads_back_what_was_written() {
        let t = TestDir::new();
        let path = t.path().join("i");
        for n in [0, 1, 63, 64, 65, 1000] {
            let records = write_sample(&path, n);
            let s = Snapshot::open(&path).unwrap();
            assert_eq!((s.len(), s.generation, s.meta.uidnext), (n as usize, 3, 77));
            for (i, r) in records.iter().enumerate() {
                assert_eq!(s.get(i).unwrap().to_owned(), *r);
                assert_eq!(s.find(r.fixed.uid), Ok(i));
                assert_eq!(s.find(r.fixed.uid + 1), Err(i + 1));
            }
            assert_eq!(s.find(0), Err(0));
            assert_eq!(s.gone().collect::<Vec<_>>(), [Gone { uid: 4, modseq: 9 }]);
            assert!(!s.is_damaged() && s.get(n as usize).is_none());
        }
    }

    #[test]
    fn every_flipped_octet_is_seen() {
        let t = TestDir::new();
        let path = t.path().join("i");
        write_sample(&path, 70);
        let good = std::fs::read(&path).unwrap();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0x40;
            // A new file each time: replacing by truncation makes ext4 flush.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bad).unwrap();
            if let Some(s) = Snapshot::open(&path) {
                let _all: Vec<_> = (0..s.len()).map(|i| s.get(i).map(|r| r.base.len())).collect();
                assert!(s.is_damaged(), "octet {i}");
            }
        }
        for cut in [0, 1, 511, 512, 600, good.len() - 1] {
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(Snapshot::open(&path).is_none());
        }
    }
}
