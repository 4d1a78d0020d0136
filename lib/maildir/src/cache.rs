//! The cache of what clients ask for again and again: `pennypost.cache`, by message and field.
//!
//! Format      64 octets header, a hash table of (key, offset), records; records appended later are found by reading on
//!             from the end of those the table knows. A record: length u32, field u16, 0 u16, base name hash u64,
//!             checksum u64, data. See pennypost-maildir(5)
//! Invariants  1. nothing is returned whose checksum is wrong   2. the file is appended to under a lock, or replaced by
//!                rename; it is never truncated   3. losing it costs time only
//! Failures    all quiet: no cache, no data
//! Notes       keyed by the base name, not the UID: deliver can add records before a UID exists

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use penny_sys::files::{self, FileLock, Map, Stamp};

use crate::dir::FILE_MODE;
use crate::index::checksum;
use crate::name;

/// Name of the file in each folder's index directory.
pub const FILE: &str = "pennypost.cache";
const MAGIC: &[u8; 8] = b"PPCACHE1";
const HEADER: usize = 64;
const SLOT: usize = 16;
const RECORD: usize = 24;
/// Longest value kept.
pub const VALUE_MAX: usize = 64 * 1024;
/// Largest file; beyond it nothing is added.
const FILE_MAX: u64 = 1 << 30;
/// Records behind the table before it is worth writing a new one.
const TAIL_MAX: usize = 2000;

/// A value for the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Hash of the base name (`name::hash`).
    pub message: u64,
    /// What it is; numbers are given out by the programs (pennypost-maildir(5)).
    pub field: u16,
    /// The bytes.
    pub data: Vec<u8>,
}

impl Value {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.data.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.field.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.message.to_le_bytes());
        out.extend_from_slice(&sum(self.message, self.field, &self.data).to_le_bytes());
        out.extend_from_slice(&self.data);
    }
}

fn sum(message: u64, field: u16, data: &[u8]) -> u64 {
    checksum(data) ^ key(message, field)
}

fn key(message: u64, field: u16) -> u64 {
    (message ^ u64::from(field).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd) | 1
}

/// An open cache.
pub struct Cache {
    path: PathBuf,
    stamp: Stamp,
    map: Option<Map>,
    slots: usize,
    /// End of what the table knows.
    known: usize,
    /// End of what was read behind it.
    read: usize,
    tail: HashMap<u64, usize>,
}

/// A record in the file.
struct Found<'a> {
    message: u64,
    field: u16,
    data: &'a [u8],
    end: usize,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

/// Reads the record at an offset; `None` if it is not whole or not right.
fn record_at(bytes: &[u8], at: usize) -> Option<Found<'_>> {
    let len = u32_at(bytes, at)? as usize;
    let field = u16::from_le_bytes(bytes.get(at + 4..at + 6)?.try_into().ok()?);
    let message = u64_at(bytes, at + 8)?;
    let start = at + RECORD;
    let data = bytes.get(start..start.checked_add(len).filter(|_| len <= VALUE_MAX)?)?;
    (sum(message, field, data) == u64_at(bytes, at + 16)?).then_some(Found { message, field, data, end: start + len })
}

impl Cache {
    /// Opens the cache of an index directory; an unusable file is as good as none.
    pub fn open(index_dir: &Path) -> Cache {
        let path = index_dir.join(FILE);
        let mut cache =
            Cache { path, stamp: Stamp::default(), map: None, slots: 0, known: 0, read: 0, tail: HashMap::new() };
        cache.refresh();
        cache
    }

    /// Takes in what was added since, or the file that replaced this one.
    pub fn refresh(&mut self) {
        let now = Stamp::at(&self.path).ok().flatten().unwrap_or_default();
        if (now.ino, now.dev, now.size) == (self.stamp.ino, self.stamp.dev, self.stamp.size) {
            return;
        }
        let same = now.ino == self.stamp.ino && now.dev == self.stamp.dev && self.map.is_some();
        let Some((map, stamp)) = open_map(&self.path) else {
            self.map = None;
            return;
        };
        self.stamp = stamp;
        if !same {
            let Some((slots, known)) = header(&map) else {
                self.map = None;
                return;
            };
            (self.slots, self.known, self.read) = (slots, known, known);
            self.tail.clear();
        }
        while let Some(found) = record_at(&map, self.read) {
            self.tail.insert(key(found.message, found.field), self.read);
            self.read = found.end;
        }
        self.map = Some(map);
    }

    /// A value, if it is there and sound.
    pub fn get(&self, message: u64, field: u16) -> Option<&[u8]> {
        let map = self.map.as_ref()?;
        let key = key(message, field);
        let at = self.tail.get(&key).copied().or_else(|| self.slot(map, key))?;
        let found = record_at(map, at)?;
        (found.message == message && found.field == field).then_some(found.data)
    }

    fn slot(&self, map: &Map, key: u64) -> Option<usize> {
        let mask = self.slots.checked_sub(1)?;
        for step in 0..self.slots {
            let at = HEADER + (((key >> 1) as usize + step) & mask) * SLOT;
            match u64_at(map, at)? {
                0 => return None,
                k if k == key => return usize::try_from(u64_at(map, at + 8)?).ok(),
                _ => {}
            }
        }
        None
    }

    /// Adds values; gives up quietly where another process is writing just now.
    pub fn add(&mut self, values: &[Value]) {
        append(&self.path, values, self.map.as_ref().map(|_| (self.stamp, self.read)));
        self.refresh();
    }

    /// True when the table should be written anew: while much is being added only when it is three times as much, at the
    /// end (`last`) so that the next session has little to read behind it.
    pub fn wants_rewrite(&self, last: bool) -> bool {
        self.tail.len() > TAIL_MAX && self.tail.len() > if last { self.slots / 8 } else { self.slots * 2 }
    }

    /// Writes a new file with only the messages that are `live`. Called under the folder lock.
    pub fn rewrite(&mut self, live: impl Fn(u64) -> bool) {
        self.refresh();
        let Some(_lock) = lock(&self.path) else { return };
        self.refresh();
        let written = self.map.as_ref().and_then(|map| write_new(&self.path, map, self.all(map, live)));
        if written.is_some() {
            self.map = None;
            self.refresh();
        }
    }

    /// Offsets and keys of all sound records of live messages; of two with one key, the later.
    fn all(&self, map: &Map, live: impl Fn(u64) -> bool) -> HashMap<u64, usize> {
        let mut out = HashMap::new();
        let mut at = HEADER + self.slots * SLOT;
        while let Some(found) = record_at(map, at) {
            if live(found.message) {
                out.insert(key(found.message, found.field), at);
            }
            at = found.end;
        }
        out
    }
}

fn open_map(path: &Path) -> Option<(Map, Stamp)> {
    let file = files::open_regular(path).ok()?;
    let stamp = Stamp::of(&file.metadata().ok()?);
    Some((Map::of(&file).ok()?, stamp))
}

/// Slots and end of the records the table knows.
fn header(map: &Map) -> Option<(usize, usize)> {
    let head = map.get(..HEADER)?;
    let slots = usize::try_from(u64_at(head, 8)?).ok()?;
    let known = usize::try_from(u64_at(head, 16)?).ok()?;
    let table = map.get(HEADER..HEADER.checked_add(slots.checked_mul(SLOT)?)?)?;
    let sound = head.get(..8)? == MAGIC
        && (slots == 0 || slots.is_power_of_two())
        && u64_at(head, 24)? == checksum(table) ^ checksum(head.get(..24)?)
        && known <= map.len();
    sound.then_some((slots, known))
}

fn header_bytes(table: &[u8], known: usize) -> [u8; HEADER] {
    let mut head = [0u8; HEADER];
    head[..8].copy_from_slice(MAGIC);
    head[8..16].copy_from_slice(&((table.len() / SLOT) as u64).to_le_bytes());
    head[16..24].copy_from_slice(&(known as u64).to_le_bytes());
    let sum = checksum(table) ^ checksum(&head[..24]);
    head[24..32].copy_from_slice(&sum.to_le_bytes());
    head
}

/// The lock of the file at this path, if nobody has it and it is still that file once locked.
fn lock(path: &Path) -> Option<FileLock> {
    let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    let stamp = Stamp::of(&file.metadata().ok()?);
    let lock = FileLock::try_exclusive(file).ok()??;
    (Stamp::at(path).ok()??.ino == stamp.ino).then_some(lock)
}

/// Adds values to the cache of an index directory without opening it: what `deliver` does. Never waits; false when
/// nothing was added.
pub fn offer(index_dir: &Path, values: &[Value]) -> bool {
    append(&index_dir.join(FILE), values, None).is_some()
}

/// `sound`: a file and how far it was found right before.
fn append(path: &Path, values: &[Value], sound: Option<(Stamp, usize)>) -> Option<()> {
    let mut bytes = Vec::new();
    values.iter().filter(|v| v.data.len() <= VALUE_MAX).for_each(|v| v.encode(&mut bytes));
    if bytes.is_empty() {
        return None;
    }
    if let Ok(mut new) = files::create_new(path, FILE_MODE) {
        new.write_all(&header_bytes(&[], HEADER)).ok()?;
    }
    let _lock = lock(path)?;
    let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    let end = file.seek(SeekFrom::End(0)).ok()?;
    if end < HEADER as u64 || end + bytes.len() as u64 > FILE_MAX || !ends_sound(&file, path, sound) {
        return None;
    }
    file.write_all(&bytes).ok()
}

/// False for a file with a torn tail: what came after it would never be found. Such a file is removed.
fn ends_sound(file: &File, path: &Path, sound: Option<(Stamp, usize)>) -> bool {
    let ends = || {
        let now = Stamp::of(&file.metadata().ok()?);
        let map = Map::of(file).ok()?;
        let known = sound.filter(|(before, _)| (before.ino, before.dev) == (now.ino, now.dev));
        let mut at = known.map(|(_, end)| end).or_else(|| header(&map).map(|(_, end)| end))?;
        while let Some(found) = record_at(&map, at) {
            at = found.end;
        }
        (at == map.len()).then_some(())
    };
    let ok = ends().is_some();
    if !ok {
        let _ = std::fs::remove_file(path);
    }
    ok
}

fn write_new(path: &Path, old: &Map, records: HashMap<u64, usize>) -> Option<()> {
    let slots = (records.len() * 2).next_power_of_two().max(16);
    let mut table = vec![0u8; slots * SLOT];
    let mut by_place: Vec<(usize, u64)> = records.into_iter().map(|(key, at)| (at, key)).collect();
    by_place.sort_unstable();
    let mut out = path.as_os_str().to_os_string();
    out.push(".tmp");
    let tmp = PathBuf::from(out);
    let _ = std::fs::remove_file(&tmp);
    let mut file = files::create_new(&tmp, FILE_MODE).ok()?;
    let mut body = Vec::new();
    let start = HEADER + table.len();
    for (at, key) in by_place {
        let found = record_at(old, at)?;
        put_slot(&mut table, slots, key, start + body.len());
        body.extend_from_slice(old.get(at..found.end)?);
    }
    file.write_all(&header_bytes(&table, start + body.len())).ok()?;
    file.write_all(&table).ok()?;
    file.write_all(&body).ok()?;
    std::fs::rename(&tmp, path).ok()
}

fn put_slot(table: &mut [u8], slots: usize, key: u64, offset: usize) {
    for step in 0..slots {
        let at = (((key >> 1) as usize + step) & (slots - 1)) * SLOT;
        if let Some(slot) = table.get_mut(at..at + SLOT).filter(|s| s.iter().take(8).all(|b| *b == 0)) {
            slot[..8].copy_from_slice(&key.to_le_bytes());
            slot[8..].copy_from_slice(&(offset as u64).to_le_bytes());
            return;
        }
    }
}

/// The key part of a message.
pub fn message_key(base: &[u8]) -> u64 {
    name::hash(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    fn value(message: u64, field: u16) -> Value {
        Value { message, field, data: format!("{message}/{field}").repeat((message % 5) as usize + 1).into_bytes() }
    }

    #[test]
    fn finds_what_was_added_before_and_after_a_rewrite() {
        let t = TestDir::new();
        let mut a = Cache::open(t.path());
        assert!(a.get(1, 1).is_none());
        let all: Vec<Value> = (0..3000).flat_map(|m| [value(m, 1), value(m, 2)]).collect();
        a.add(&all[..4000]);
        let mut b = Cache::open(t.path());
        assert!(b.wants_rewrite(true));
        b.rewrite(|m| m % 10 != 3);
        assert!(!b.wants_rewrite(true));
        assert!(offer(t.path(), &all[4000..]));
        for cache in [&mut a, &mut b] {
            cache.refresh();
            for v in &all {
                let gone = v.message < 2000 && v.message % 10 == 3;
                assert_eq!(cache.get(v.message, v.field), (!gone).then_some(&v.data[..]), "{}", v.message);
            }
            assert!(cache.get(5, 3).is_none());
        }
        // The later value counts.
        b.add(&[Value { message: 5, field: 1, data: b"new".to_vec() }]);
        assert_eq!(b.get(5, 1), Some(&b"new"[..]));
        b.rewrite(|_| true);
        assert_eq!(b.get(5, 1), Some(&b"new"[..]));
    }

    #[test]
    fn damage_is_never_returned() {
        let t = TestDir::new();
        let mut cache = Cache::open(t.path());
        cache.add(&[value(1, 1), value(2, 1)]);
        cache.rewrite(|_| true);
        cache.add(&[value(3, 1)]);
        let path = t.path().join(FILE);
        let good = std::fs::read(&path).unwrap();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bad).unwrap();
            let cache = Cache::open(t.path());
            for m in 1..4 {
                assert!(cache.get(m, 1).is_none_or(|d| d == value(m, 1).data), "octet {i}");
            }
        }
        // A torn tail is not built upon.
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(!offer(t.path(), &[value(4, 1)]));
        assert!(offer(t.path(), &[value(4, 1)]));
        assert!(Cache::open(t.path()).get(4, 1).is_some());
    }

    #[test]
    fn a_busy_cache_is_left_alone() {
        let t = TestDir::new();
        assert!(offer(t.path(), &[value(1, 1)]));
        let _held = lock(&t.path().join(FILE)).unwrap();
        assert!(!offer(t.path(), &[value(2, 1)]));
    }
}
