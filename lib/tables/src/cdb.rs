//! Constant databases: a file that tells a value by its key with two reads, however many there are.
//!
//! Format      D. J. Bernstein's cdb: 256 pairs of 32-bit little-endian numbers (place and slots of a hash table), then
//!             the records (length of key, length of value, key, value), then the hash tables (pairs of hash and place of
//!             the record, place 0 is an empty slot). The hash starts at 5381 and for each octet is multiplied by 33
//!             and xored with it; its low 8 bits choose the table, the rest the first slot that is looked at
//! Invariants  a file is mapped, never read as a whole; what stands in it is checked before it is followed
//! Failures    InvalidData for a damaged file; a database ends at 4 GiB

use penny_sys::files::{Map, open_regular};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Octets of the 256 pairs.
const HEADER: usize = 2048;

fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |h: u32, b| h.wrapping_mul(33) ^ u32::from(*b))
}

/// A database open for reading.
pub struct Cdb(Map);

impl std::fmt::Debug for Cdb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cdb").field(&self.0.bytes().len()).finish()
    }
}

fn damaged() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "damaged database")
}

impl Cdb {
    /// Maps a database.
    pub fn open(path: &Path) -> io::Result<Cdb> {
        let map = Map::of(&open_regular(path)?)?;
        if map.bytes().len() < HEADER { Err(damaged()) } else { Ok(Cdb(map)) }
    }

    fn bytes(&self, at: usize, len: usize) -> io::Result<&[u8]> {
        let end = at.checked_add(len).ok_or_else(damaged)?;
        self.0.bytes().get(at..end).ok_or_else(damaged)
    }

    fn pair(&self, at: usize) -> io::Result<(u32, u32)> {
        match self.bytes(at, 8)? {
            [a, b, c, d, e, f, g, h] => {
                Ok((u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h])))
            }
            _ => Err(damaged()),
        }
    }

    /// The first value of a key.
    pub fn get(&self, key: &[u8]) -> io::Result<Option<&[u8]>> {
        let hash = hash(key);
        let (table, slots) = self.pair((hash & 255) as usize * 8)?;
        let (table, slots) = (table as usize, slots as usize);
        let mut slot = (hash >> 8) as usize % slots.max(1);
        for _ in 0..slots {
            let (found, place) = self.pair(table.checked_add(slot * 8).ok_or_else(damaged)?)?;
            if place == 0 {
                return Ok(None);
            }
            if found == hash
                && let (there, value) = self.record(place as usize)?
                && there == key
            {
                return Ok(Some(value));
            }
            slot = (slot + 1) % slots;
        }
        Ok(None)
    }

    fn record(&self, at: usize) -> io::Result<(&[u8], &[u8])> {
        let (key, value) = self.pair(at)?;
        let start = at.checked_add(8).ok_or_else(damaged)?;
        let both = self.bytes(start, (key as usize).checked_add(value as usize).ok_or_else(damaged)?)?;
        both.split_at_checked(key as usize).ok_or_else(damaged)
    }
}

/// Makes the octets of a database, records in their order.
pub fn make<'a>(records: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> io::Result<Vec<u8>> {
    let large = |_| io::Error::new(ErrorKind::FileTooLarge, "a database ends at 4 GiB");
    let number = |n: usize| u32::try_from(n).map_err(large);
    let mut out = vec![0; HEADER];
    let mut tables: Vec<Vec<(u32, u32)>> = vec![Vec::new(); 256];
    for (key, value) in records {
        let (hash, place) = (hash(key), number(out.len())?);
        if let Some(table) = tables.get_mut((hash & 255) as usize) {
            table.push((hash, place));
        }
        out.extend(number(key.len())?.to_le_bytes());
        out.extend(number(value.len())?.to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    let mut header = Vec::with_capacity(HEADER);
    for entries in tables {
        // half of the slots stay empty
        let slots = spread(&entries);
        header.extend(number(out.len())?.to_le_bytes());
        header.extend(number(slots.len())?.to_le_bytes());
        out.extend(slots.iter().flat_map(|(h, p)| [h.to_le_bytes(), p.to_le_bytes()]).flatten());
    }
    number(out.len())?;
    out.splice(..HEADER, header);
    Ok(out)
}

fn spread(entries: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut slots = vec![(0, 0); entries.len() * 2];
    let len = slots.len();
    for entry in entries {
        let first = (entry.0 >> 8) as usize % len;
        let free = (first..len).chain(0..first).find(|at| slots.get(*at).is_some_and(|s| s.1 == 0));
        if let Some(slot) = free.and_then(|at| slots.get_mut(at)) {
            *slot = *entry;
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn file(bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("penny-cdb-{:x}", penny_sys::random::u64()));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn every_key_is_found_and_no_other() {
        let records: Vec<(Vec<u8>, Vec<u8>)> =
            (0..5000u32).map(|n| (format!("user{n}").into_bytes(), n.to_string().repeat(3).into_bytes())).collect();
        let again = (b"user7".as_slice(), b"second".as_slice());
        let all =
            records.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).chain([again, (b"", b"empty"), (b"\0x", b"")]);
        let path = file(&make(all).unwrap());
        let cdb = Cdb::open(&path).unwrap();
        for (key, value) in &records {
            assert_eq!(cdb.get(key).unwrap(), Some(value.as_slice()));
        }
        assert_eq!(cdb.get(b"").unwrap(), Some(b"empty".as_slice()));
        assert_eq!(cdb.get(b"\0x").unwrap(), Some(b"".as_slice()));
        assert!((0..5000).all(|n| cdb.get(format!("other{n}").as_bytes()).unwrap().is_none()));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_empty_one_and_damaged_ones() {
        let path = file(&make([]).unwrap());
        assert_eq!(Cdb::open(&path).unwrap().get(b"k").unwrap(), None);
        std::fs::write(&path, b"short").unwrap();
        assert!(Cdb::open(&path).is_err());
        let good = make([(b"key".as_slice(), b"value".as_slice())]).unwrap();
        // every octet of the file in turn, and every length: an error, nothing, or the value, but no end of the program
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            std::fs::write(&path, &bad).unwrap();
            let _ = Cdb::open(&path).unwrap().get(b"key");
        }
        // a table of two slots of 8 octets is the end; the second one need not be looked at
        for len in HEADER..=good.len() - 16 {
            std::fs::write(&path, &good[..len]).unwrap();
            assert!(Cdb::open(&path).unwrap().get(b"key").is_err(), "{len}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
