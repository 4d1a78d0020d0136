//! Hash signatures: sorted digests found by interpolation.
//!
//! Format      table: u32 digest length, u32 1 if some record has no size, u32 n, u32 0, bitmap of `size mod 2^n`, records
//!             { digest, u32 size or 0xffffffff, u32 name } sorted by digest
//! Why         five million records take one look-up of a few pages instead of a resident tree; the size bitmap
//!             saves hashing at all where no signature has that size
//! Invariants  look-up is bounded: eight interpolation steps, then bisection

use super::store::{Reader, u32_at};

/// Size of a record that matches any size.
pub const ANY_SIZE: u32 = u32::MAX;
const HEAD: usize = 16;

/// The digests signatures use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// All, in table order.
    pub const ALL: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256];

    /// Octets of the digest.
    pub fn octets(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }

    /// By the length of a digest.
    pub fn by_len(len: usize) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.octets() == len)
    }

    /// Digests `data`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        use sha2::Digest;
        match self {
            Algorithm::Md5 => md5::Md5::digest(data).to_vec(),
            Algorithm::Sha1 => sha1::Sha1::digest(data).to_vec(),
            Algorithm::Sha256 => sha2::Sha256::digest(data).to_vec(),
        }
    }
}

/// One hash signature before it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The digest.
    pub digest: Vec<u8>,
    /// The object's size, or [`ANY_SIZE`].
    pub size: u32,
    /// Offset of its name.
    pub name: u32,
}

/// Stores records of one algorithm.
pub fn write(algorithm: Algorithm, records: &mut Vec<Record>) -> Vec<u8> {
    records.sort_unstable();
    records.dedup_by(|a, b| a.digest == b.digest && a.size == b.size);
    // sixteen bits a record: most sizes that no signature has are seen to be so
    let log = (records.len().max(64) * 16).next_power_of_two().ilog2().min(24);
    let mut bitmap = vec![0u8; 1 << (log - 3)];
    for r in records.iter().filter(|r| r.size != ANY_SIZE) {
        let bit = r.size as usize & ((1 << log) - 1);
        bitmap[bit >> 3] |= 1 << (bit & 7);
    }
    let any = records.iter().any(|r| r.size == ANY_SIZE);
    let mut out = Vec::with_capacity(HEAD + bitmap.len() + records.len() * (algorithm.octets() + 8));
    out.extend_from_slice(&(algorithm.octets() as u32).to_le_bytes());
    out.extend_from_slice(&u32::from(any).to_le_bytes());
    out.extend_from_slice(&log.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&bitmap);
    for r in records.iter() {
        out.extend_from_slice(&r.digest);
        out.extend_from_slice(&r.size.to_le_bytes());
        out.extend_from_slice(&r.name.to_le_bytes());
    }
    out
}

/// A stored table.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    data: &'a [u8],
    bitmap: &'a [u8],
    head: usize,
    width: usize,
    count: usize,
}

impl<'a> Table<'a> {
    /// Opens a section; `None` when it is not a table or empty.
    pub fn open(data: &'a [u8]) -> Option<Table<'a>> {
        let len = u32_at(data, 0)? as usize;
        Algorithm::by_len(len)?;
        let log = u32_at(data, 8).filter(|n| (3..=24).contains(n))?;
        let head = HEAD + (1 << (log - 3));
        let bitmap = data.get(HEAD..head)?;
        let width = len + 8;
        let count = data.get(head..)?.len() / width;
        (count > 0).then_some(Table { data, bitmap, head, width, count })
    }

    /// Whether an object of this size can be in the table.
    pub fn may_hold(&self, size: usize) -> bool {
        let bit = size & (self.bitmap.len() * 8 - 1);
        u32_at(self.data, 4) == Some(1) || self.bitmap.get(bit >> 3).is_some_and(|byte| byte & (1 << (bit & 7)) != 0)
    }

    fn record(&self, index: usize) -> Option<(&'a [u8], &'a [u8])> {
        let start = self.head + index * self.width;
        self.data.get(start..start + self.width)?.split_at_checked(self.width - 8)
    }

    /// The name offset of the record with this digest and size.
    pub fn find(&self, digest: &[u8], size: usize) -> Option<u32> {
        let mut index = self.lower_bound(digest)?;
        while let Some((found, rest)) = self.record(index).filter(|r| r.0 == digest) {
            let mut rest = Reader(rest);
            let (want, name) = (rest.u32()?, rest.u32()?);
            if want == ANY_SIZE || want as usize == size {
                return Some(name);
            }
            debug_assert_eq!(found.len(), digest.len());
            index += 1;
        }
        None
    }

    /// Index of the first record whose digest is not below `digest`.
    fn lower_bound(&self, digest: &[u8]) -> Option<usize> {
        let key = prefix(digest);
        let (mut low, mut high) = (0, self.count);
        let (mut low_key, mut high_key) = (0u64, u64::MAX);
        let mut steps = 0;
        while low < high {
            let mid = if steps < 8 && high_key > low_key {
                let share = u128::from(key.saturating_sub(low_key)) * (high - low) as u128;
                low + ((share / u128::from(high_key - low_key)) as usize).min(high - low - 1)
            } else {
                low + (high - low) / 2
            };
            steps += 1;
            let (found, _) = self.record(mid)?;
            if found < digest {
                (low, low_key) = (mid + 1, prefix(found));
            } else {
                (high, high_key) = (mid, prefix(found));
            }
        }
        Some(low)
    }
}

fn prefix(digest: &[u8]) -> u64 {
    digest.first_chunk::<8>().map_or(0, |p| u64::from_be_bytes(*p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_found_and_no_other() {
        let mut records: Vec<Record> = (0..5000u32)
            .map(|n| Record { digest: Algorithm::Sha1.digest(&n.to_le_bytes()), size: n, name: n * 3 })
            .collect();
        // a cluster that defeats interpolation
        records.extend((0..200u8).map(|n| {
            let mut digest = vec![0xee; 20];
            digest[19] = n;
            Record { digest, size: ANY_SIZE, name: 7 }
        }));
        let all = records.clone();
        let stored = write(Algorithm::Sha1, &mut records);
        let table = Table::open(&stored).unwrap();
        for r in &all {
            assert_eq!(table.find(&r.digest, if r.size == ANY_SIZE { 99 } else { r.size as usize }), Some(r.name));
        }
        assert_eq!(table.find(&all[0].digest, 4711), None, "the size counts");
        assert_eq!(table.find(&[0xff; 20], 1), None);
        assert_eq!(table.find(&[0; 20], 1), None);
    }

    #[test]
    fn the_size_bitmap_saves_hashing() {
        let mut one = vec![Record { digest: vec![1; 16], size: 68, name: 0 }];
        let stored = write(Algorithm::Md5, &mut one);
        let table = Table::open(&stored).unwrap();
        assert!(table.may_hold(68) && !table.may_hold(69));
        assert!(Table::open(&stored[..table.head]).is_none(), "an empty table is no table");
    }
}
