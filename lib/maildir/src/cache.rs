//! The cache of what clients ask for again and again: `pennypost.cache`, by message and field.
//!
//! Format      64 octets header, then records: length u32, field u16, 0 u16, message u64, checksum u64, data. The record of
//!             field 0 that the header names is a hash table of the records before it; those behind it are found by reading
//!             on. See pennypost-maildir(5)
//! Invariants  1. nothing is returned whose checksum is wrong   2. records are appended under a lock, never changed; the
//!                header is changed under it once a new table is whole; the file is replaced by rename, never truncated
//!             3. losing it costs time only
//! Failures    all quiet: no cache, no data
//! Notes       keyed by the base name, not the UID: deliver can add records before a UID exists. A table is appended instead
//!             of writing all records anew, which cost more than all that a first FETCH adds

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::hash::BuildHasherDefault;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use penny_sys::files::{self, FileLock, Map, Stamp};

use crate::dir::create_file;
use crate::index::{SumHasher, checksum};

/// Name of the file in each folder's index directory.
pub const FILE: &str = "pennypost.cache";
const MAGIC: &[u8; 8] = b"PPCACHE2";
const HEADER: usize = 64;
const RECORD: usize = 24;
/// A slot of a table: the upper bits of the key, then the offset of the record.
const SLOT: usize = 8;
const OFFSET_BITS: u32 = 30;
/// The field number of a table.
const TABLE: u16 = 0;
/// Longest value kept.
pub const VALUE_MAX: usize = 64 * 1024;
/// Largest file; beyond it nothing is added.
const FILE_MAX: u64 = 1 << OFFSET_BITS;
/// Records behind the table before it is worth writing a new one.
const TAIL_MAX: usize = 2000;

/// Records by key.
type Places = HashMap<u64, u32, BuildHasherDefault<SumHasher>>;

/// Values on their way to the cache, as they will stand in the file.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Key and offset in `bytes` of each.
    places: Vec<(u64, u32)>,
}

impl Batch {
    /// Adds the value of a field (not 0; the numbers are given out by the programs, pennypost-maildir(5)) of a message
    /// (`message_key`). One that is too long is left out.
    pub fn push(&mut self, message: u64, field: u16, data: &[u8]) {
        let Some(at) = u32::try_from(self.bytes.len()).ok().filter(|_| data.len() <= VALUE_MAX && field != TABLE)
        else {
            return;
        };
        self.places.push((key(message, field), at));
        put_record(&mut self.bytes, message, field, data);
    }

    /// Octets collected.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True without values.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }
}

fn put_record(out: &mut Vec<u8>, message: u64, field: u16, data: &[u8]) {
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(&field.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&message.to_le_bytes());
    out.extend_from_slice(&sum(message, field, data).to_le_bytes());
    out.extend_from_slice(data);
}

fn sum(message: u64, field: u16, data: &[u8]) -> u64 {
    checksum(data) ^ key(message, field)
}

fn key(message: u64, field: u16) -> u64 {
    (message ^ u64::from(field).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

/// An open cache.
pub struct Cache {
    path: PathBuf,
    stamp: Stamp,
    map: Option<Map>,
    table: Table,
    /// End of what was read, or written by us.
    read: usize,
    /// Records behind the table.
    tail: Places,
}

/// The table the header names.
#[derive(Clone, Copy, Debug, Default)]
struct Table {
    /// Where its slots begin, and how many they are: a power of two, or none.
    at: usize,
    slots: usize,
    /// Slots in use.
    used: usize,
    /// Where the records behind it begin.
    end: usize,
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
    let fits = len <= VALUE_MAX || field == TABLE;
    let data = bytes.get(start..start.checked_add(len).filter(|_| fits)?)?;
    (sum(message, field, data) == u64_at(bytes, at + 16)?).then_some(Found { message, field, data, end: start + len })
}

impl Cache {
    /// Opens the cache of an index directory; an unusable file is as good as none.
    pub fn open(index_dir: &Path) -> Cache {
        let mut cache = Cache {
            path: index_dir.join(FILE),
            stamp: Stamp::default(),
            map: None,
            table: Table::default(),
            read: 0,
            tail: Places::default(),
        };
        cache.refresh();
        cache
    }

    /// Takes in what was added since, or the file that replaced this one.
    pub fn refresh(&mut self) {
        let now = Stamp::at(&self.path).ok().flatten().unwrap_or_default();
        if self.is_same(&now) && now.size == self.stamp.size {
            return;
        }
        let Some((map, stamp)) = open_map(&self.path) else {
            self.map = None;
            return;
        };
        if !(self.is_same(&stamp) && self.map.is_some()) {
            let Some(table) = header(&map) else {
                self.map = None;
                return;
            };
            (self.table, self.read) = (table, table.end);
            self.tail.clear();
        }
        self.stamp = stamp;
        while let Some(found) = record_at(&map, self.read) {
            if found.field != TABLE {
                self.tail.insert(key(found.message, found.field), self.read as u32);
            }
            self.read = found.end;
        }
        self.map = Some(map);
    }

    fn is_same(&self, other: &Stamp) -> bool {
        (other.ino, other.dev) == (self.stamp.ino, self.stamp.dev)
    }

    /// A value, if it is there and sound.
    pub fn get(&mut self, message: u64, field: u16) -> Option<&[u8]> {
        let key = key(message, field);
        let at = self.tail.get(&key).map(|at| *at as usize).or_else(|| self.slot(key))?;
        if self.map.as_ref()?.len() < self.read {
            // what we have written ourselves since
            self.map = open_map(&self.path).filter(|(_, stamp)| self.is_same(stamp)).map(|(map, _)| map);
        }
        let found = record_at(self.map.as_ref()?, at)?;
        (found.message == message && found.field == field).then_some(found.data)
    }

    fn slot(&self, key: u64) -> Option<usize> {
        let slots = self.slots(self.map.as_ref()?);
        let at = find_slot(slots, key)?;
        let word = u64_at(slots, at)?;
        (word != 0).then_some(offset(word))
    }

    fn slots<'a>(&self, map: &'a Map) -> &'a [u8] {
        map.get(self.table.at..self.table.at + self.table.slots * SLOT).unwrap_or_default()
    }

    /// Adds values and empties the batch; gives up quietly where another process is writing just now.
    pub fn add(&mut self, batch: &mut Batch) {
        let sound = self.map.as_ref().map(|_| (self.stamp, self.read));
        match append(&self.path, &batch.bytes, sound) {
            Some((file, at)) if self.map.is_some() && self.is_same(&file) && at == self.read => {
                self.tail.extend(batch.places.iter().map(|(key, n)| (*key, at as u32 + n)));
                self.read = at + batch.bytes.len();
                self.stamp.size = self.read as u64;
            }
            _ => self.refresh(),
        }
        batch.clear();
    }

    /// True when a new table should be written: while much is being added only when that is more than all there was, at
    /// the end (`last`) so that the next session has little to read behind it.
    pub fn wants_table(&self, last: bool) -> bool {
        self.tail.len() > TAIL_MAX && self.tail.len() > if last { self.table.slots / 4 } else { self.table.slots * 2 }
    }

    /// Values kept, also those of messages that are gone.
    pub fn len(&self) -> usize {
        self.table.used + self.tail.len()
    }

    /// True when it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a table of all that is there.
    pub fn write_table(&mut self) {
        self.refresh();
        let Some(_lock) = lock(&self.path) else { return };
        self.refresh();
        let Some(map) = &self.map else { return };
        let mut slots = new_slots(self.len());
        let old = self.slots(map).chunks_exact(SLOT).filter_map(|slot| u64_at(slot, 0)).filter(|word| *word != 0);
        let mut used = 0;
        for word in old.chain(self.tail.iter().map(|(key, at)| word(*key, *at as usize))) {
            used += usize::from(put_slot(&mut slots, word));
        }
        if self.append_table(&slots, used).is_some() {
            self.map = None;
            self.refresh_whole();
        }
    }

    /// Called under the lock, with all read.
    fn append_table(&self, slots: &[u8], used: usize) -> Option<()> {
        let mut record = Vec::with_capacity(RECORD + slots.len());
        put_record(&mut record, used as u64, TABLE, slots);
        let (_, at) = append_locked(&self.path, &record, Some((self.stamp, self.read)))?;
        let file = OpenOptions::new().write(true).open(&self.path).ok()?;
        file.write_all_at(&header_bytes(at), 0).ok()
    }

    fn refresh_whole(&mut self) {
        self.stamp = Stamp::default();
        self.refresh();
    }

    /// Writes a new file with only the messages that are `live`. Called under the folder lock.
    pub fn rewrite(&mut self, live: impl Fn(u64) -> bool) {
        self.refresh();
        let Some(_lock) = lock(&self.path) else { return };
        self.refresh();
        let written = self.map.as_ref().and_then(|map| write_new(&self.path, map, all(map, live)));
        if written.is_some() {
            self.map = None;
            self.refresh_whole();
        }
    }
}

/// Offsets and keys of all sound records of live messages; of two with one key, the later.
fn all(map: &Map, live: impl Fn(u64) -> bool) -> Places {
    let mut out = Places::default();
    let mut at = HEADER;
    while let Some(found) = record_at(map, at) {
        if found.field != TABLE && live(found.message) {
            out.insert(key(found.message, found.field), at as u32);
        }
        at = found.end;
    }
    out
}

fn open_map(path: &Path) -> Option<(Map, Stamp)> {
    let file = files::open_regular(path).ok()?;
    let stamp = Stamp::of(&file.metadata().ok()?);
    Some((Map::of(&file).ok()?, stamp))
}

/// The table that the header names.
fn header(map: &Map) -> Option<Table> {
    let head = map.get(..HEADER)?;
    if head.get(..8)? != MAGIC || u64_at(head, 16)? != checksum(head.get(..16)?) {
        return None;
    }
    let at = usize::try_from(u64_at(head, 8)?).ok()?;
    if at == 0 {
        return Some(Table { end: HEADER, ..Table::default() });
    }
    let found = record_at(map, at).filter(|found| found.field == TABLE)?;
    let slots = found.data.len() / SLOT;
    let used = usize::try_from(found.message).ok()?;
    (slots.is_power_of_two() && used < slots).then_some(Table { at: at + RECORD, slots, used, end: found.end })
}

fn header_bytes(table: usize) -> [u8; HEADER] {
    let mut head = [0u8; HEADER];
    head[..8].copy_from_slice(MAGIC);
    head[8..16].copy_from_slice(&(table as u64).to_le_bytes());
    let sum = checksum(&head[..16]);
    head[16..24].copy_from_slice(&sum.to_le_bytes());
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
pub fn offer(index_dir: &Path, batch: &Batch) -> bool {
    append(&index_dir.join(FILE), &batch.bytes, None).is_some()
}

/// Appends records. `sound`: a file and how far it was found right before. The file and where in it they begin.
fn append(path: &Path, bytes: &[u8], sound: Option<(Stamp, usize)>) -> Option<(Stamp, usize)> {
    if bytes.is_empty() {
        return None;
    }
    if let Ok(mut new) = create_file(path) {
        new.write_all(&header_bytes(0)).ok()?;
    }
    let _lock = lock(path)?;
    append_locked(path, bytes, sound)
}

fn append_locked(path: &Path, bytes: &[u8], sound: Option<(Stamp, usize)>) -> Option<(Stamp, usize)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    let end = file.seek(SeekFrom::End(0)).ok()?;
    if end + bytes.len() as u64 > FILE_MAX || !ends_sound(&file, path, sound) {
        return None;
    }
    let stamp = Stamp::of(&file.metadata().ok()?);
    file.write_all(bytes).ok()?;
    Some((stamp, usize::try_from(end).ok()?))
}

/// False for a file with a torn tail or no whole header: what came after it would never be found. Such a file is removed.
fn ends_sound(file: &File, path: &Path, sound: Option<(Stamp, usize)>) -> bool {
    let ends = || {
        let now = Stamp::of(&file.metadata().ok()?);
        let known = sound.filter(|(before, _)| (before.ino, before.dev) == (now.ino, now.dev)).map(|(_, end)| end);
        if known.is_some_and(|end| end as u64 == now.size) {
            return Some(());
        }
        let map = Map::of(file).ok()?;
        let mut at = known.or_else(|| header(&map).map(|table| table.end))?;
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

fn write_new(path: &Path, old: &Map, records: Places) -> Option<()> {
    let mut by_place: Vec<(u32, u64)> = records.into_iter().map(|(key, at)| (at, key)).collect();
    by_place.sort_unstable();
    let mut out = path.as_os_str().to_os_string();
    out.push(".tmp");
    let tmp = PathBuf::from(out);
    let _ = std::fs::remove_file(&tmp);
    let mut file = create_file(&tmp).ok()?;
    let mut slots = new_slots(by_place.len());
    let (mut body, mut used) = (Vec::new(), 0);
    for (at, key) in by_place {
        let found = record_at(old, at as usize)?;
        used += usize::from(put_slot(&mut slots, word(key, HEADER + body.len())));
        body.extend_from_slice(old.get(at as usize..found.end)?);
    }
    let table = HEADER + body.len();
    put_record(&mut body, used as u64, TABLE, &slots);
    file.write_all(&header_bytes(table)).ok()?;
    file.write_all(&body).ok()?;
    std::fs::rename(&tmp, path).ok()
}

fn word(key: u64, offset: usize) -> u64 {
    key >> OFFSET_BITS << OFFSET_BITS | offset as u64
}

fn offset(word: u64) -> usize {
    (word & (FILE_MAX - 1)) as usize
}

/// Room for so many words, at most two thirds full.
fn new_slots(words: usize) -> Vec<u8> {
    vec![0; (words + words / 2 + 1).next_power_of_two() * SLOT]
}

/// The position of the slot that has the key, or of the free one where it would be. Keys that differ only where a slot
/// does not keep them count as one: a value is lost then, and made again.
fn find_slot(slots: &[u8], key: u64) -> Option<usize> {
    let mask = (slots.len() / SLOT).checked_sub(1)?;
    let from = (key >> OFFSET_BITS) as usize;
    let mut places = (0..=mask).map(|step| ((from + step) & mask) * SLOT);
    places.find(|at| u64_at(slots, *at).is_some_and(|word| word == 0 || word >> OFFSET_BITS == key >> OFFSET_BITS))
}

/// Puts a word in, over one with its key; true if there was none.
fn put_slot(slots: &mut [u8], word: u64) -> bool {
    let Some(slot) = find_slot(slots, word).and_then(|at| slots.get_mut(at..at + SLOT)) else { return false };
    let new = slot == [0; SLOT];
    slot.copy_from_slice(&word.to_le_bytes());
    new
}

/// The key part of a message.
pub fn message_key(base: &[u8]) -> u64 {
    checksum(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    fn data(message: u64, field: u16) -> Vec<u8> {
        format!("{message}/{field}").repeat((message % 5) as usize + 1).into_bytes()
    }

    fn batch(values: &[(u64, u16)]) -> Batch {
        let mut batch = Batch::default();
        values.iter().for_each(|(message, field)| batch.push(*message, *field, &data(*message, *field)));
        batch
    }

    /// What `get` gives for each of these, beside what it should.
    fn expect(cache: &mut Cache, values: &[(u64, u16)], gone: impl Fn(u64) -> bool) {
        for (message, field) in values {
            let want = (!gone(*message)).then(|| data(*message, *field));
            assert_eq!(cache.get(*message, *field), want.as_deref(), "{message}/{field}");
        }
    }

    #[test]
    fn finds_what_was_added_before_and_after_a_table() {
        let t = TestDir::new();
        let mut a = Cache::open(t.path());
        assert!(a.get(1, 1).is_none() && a.is_empty());
        let all: Vec<(u64, u16)> = (0..4000).flat_map(|m| [(m, 1), (m, 2)]).collect();
        let mut b = Cache::open(t.path());
        let mut size = 0;
        for part in all.chunks(2000) {
            a.add(&mut batch(part));
            expect(&mut a, part, |_| false);
            b.refresh();
            if b.wants_table(true) {
                b.write_table();
                assert!(!b.wants_table(true));
            }
            assert!(b.len() > size);
            size = b.len();
        }
        for mut cache in [a, b, Cache::open(t.path())] {
            cache.refresh();
            expect(&mut cache, &all, |_| false);
            assert_eq!((cache.len(), cache.get(5, 3)), (all.len(), None));
        }
    }

    #[test]
    fn finds_what_was_added_before_and_after_a_rewrite() {
        let t = TestDir::new();
        let mut a = Cache::open(t.path());
        let all: Vec<(u64, u16)> = (0..3000).flat_map(|m| [(m, 1), (m, 2)]).collect();
        a.add(&mut batch(&all[..4000]));
        let mut b = Cache::open(t.path());
        assert!(b.wants_table(true));
        b.rewrite(|m| m % 10 != 3);
        assert!(!b.wants_table(true));
        assert!(offer(t.path(), &batch(&all[4000..])));
        for cache in [&mut a, &mut b] {
            cache.refresh();
            expect(cache, &all, |m| m < 2000 && m % 10 == 3);
        }
        // The later value counts.
        let mut new = Batch::default();
        new.push(5, 1, b"new");
        b.add(&mut new);
        for again in [Cache::write_table, |c: &mut Cache| c.rewrite(|_| true), Cache::write_table] {
            assert_eq!(b.get(5, 1), Some(&b"new"[..]));
            again(&mut b);
        }
        assert_eq!(Cache::open(t.path()).get(5, 1), Some(&b"new"[..]));
    }

    #[test]
    fn damage_is_never_returned() {
        let t = TestDir::new();
        let mut cache = Cache::open(t.path());
        cache.add(&mut batch(&[(1, 1)]));
        cache.rewrite(|_| true);
        cache.add(&mut batch(&[(2, 1)]));
        cache.write_table();
        cache.add(&mut batch(&[(3, 1)]));
        let path = t.path().join(FILE);
        let good = std::fs::read(&path).unwrap();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bad).unwrap();
            let mut cache = Cache::open(t.path());
            for m in 1..4 {
                assert!(cache.get(m, 1).is_none_or(|d| d == data(m, 1)), "octet {i}");
            }
        }
        // A torn tail is not built upon.
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(!offer(t.path(), &batch(&[(4, 1)])));
        assert!(offer(t.path(), &batch(&[(4, 1)])));
        assert!(Cache::open(t.path()).get(4, 1).is_some());
    }

    #[test]
    fn a_file_without_a_whole_header_is_made_anew() {
        let t = TestDir::new();
        // whoever made it was killed before it wrote the header, or it has the header of another program
        for there in [&b""[..], MAGIC, &[b"PPCACHE1".to_vec(), vec![0; HEADER]].concat()] {
            std::fs::write(t.path().join(FILE), there).unwrap();
            assert!(!offer(t.path(), &batch(&[(1, 1)])), "{there:?}");
            assert!(offer(t.path(), &batch(&[(1, 1)])), "{there:?}");
            expect(&mut Cache::open(t.path()), &[(1, 1)], |_| false);
        }
    }

    #[test]
    fn a_busy_cache_is_left_alone() {
        let t = TestDir::new();
        assert!(offer(t.path(), &batch(&[(1, 1)])));
        let _held = lock(&t.path().join(FILE)).unwrap();
        assert!(!offer(t.path(), &batch(&[(2, 1)])));
    }
}
