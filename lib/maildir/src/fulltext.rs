//! The full-text index of a folder: of each message which sequences of three octets its text holds.
//!
//! Format      `pennypost.fulltext`: 16 octets header (magic, UIDVALIDITY), then a record a message: UID u32, length u32, hash of the
//!             base name u64, checksum u64, and that many octets of a signature, in which each sequence has one bit.
//!             See pennypost-maildir(5)
//! Invariants  1. it only says "surely not here": a message without a sound record may hold anything, so a wrong "yes" costs time
//!             and a wrong "no" cannot come from damage   2. the file is appended to under a lock or removed, never changed
//! Failures    none that a search would notice: what cannot be read or written is not there
//! Trust       the file is the owner's; a torn or odd one is removed by the next writer

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use penny_sys::files::{FileLock, Map, Stamp};

use crate::dir::create_file;
use crate::index::checksum;
use crate::name;

/// Name of the file.
pub const FILE: &str = "pennypost.fulltext";
const MAGIC: [u8; 12] = *b"PPFULLTEXT1\n";
const HEADER: usize = 16;
const RECORD: usize = 24;
/// Octets of a signature for each sequence: one bit in eight is set.
const OCTETS_EACH: usize = 1;
/// Longest signature; a message with more sequences may hold anything.
const SIGNATURE_MAX: usize = 256 * 1024;
/// Largest file kept.
const FILE_MAX: u64 = 8 << 30;
/// All sequences of three octets.
const GRAMS: usize = 1 << 24;

/// Gathers the sequences of one message after another.
pub struct Collector {
    seen: Vec<u64>,
    list: Vec<u32>,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector { seen: vec![0; GRAMS / 64], list: Vec::new() }
    }
}

impl Collector {
    /// Adds a text of the message, in the form in which it is compared.
    pub fn add(&mut self, text: &[u8]) {
        for gram in grams(text) {
            let (word, bit) = ((gram / 64) as usize, 1u64 << (gram % 64));
            if let Some(word) = self.seen.get_mut(word)
                && *word & bit == 0
            {
                *word |= bit;
                self.list.push(gram);
            }
        }
    }

    /// The signature of what was added; the next message begins.
    pub fn finish(&mut self) -> Vec<u8> {
        let list = std::mem::take(&mut self.list);
        for gram in &list {
            if let Some(word) = self.seen.get_mut((gram / 64) as usize) {
                *word = 0;
            }
        }
        let mut signature = vec![0; list.len() * OCTETS_EACH];
        if signature.len() > SIGNATURE_MAX {
            return Vec::new();
        }
        // what holds no sequence at all is known to hold none
        signature.resize(signature.len().max(1), 0);
        for gram in list {
            let at = place(gram, signature.len());
            signature[at / 8] |= 1 << (at % 8); // at < 8 * length
        }
        signature
    }
}

fn grams(text: &[u8]) -> impl Iterator<Item = u32> + '_ {
    text.windows(3).map(|w| w.iter().fold(0, |sum, b| sum << 8 | u32::from(*b)))
}

/// The bit of a sequence in a signature of `len` octets.
fn place(gram: u32, len: usize) -> usize {
    let mixed = (u64::from(gram) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (mixed as usize) % (len * 8)
}

/// The index as read so far.
#[derive(Default)]
pub struct Fulltext {
    path: PathBuf,
    uidvalidity: u32,
    map: Option<Map>,
    ino: u64,
    /// End of the last sound record.
    end: usize,
    /// Where the record of a UID begins.
    records: HashMap<u32, usize>,
}

impl Fulltext {
    /// Of a folder whose indexes lie in this directory; nothing is read yet.
    pub fn new(index_dir: &Path, uidvalidity: u32) -> Fulltext {
        Fulltext { path: index_dir.join(FILE), uidvalidity, ..Fulltext::default() }
    }

    /// Takes in what was added since the last look.
    pub fn refresh(&mut self) {
        match File::open(&self.path) {
            Ok(file) => self.take_in(&file),
            Err(_) => self.forget(),
        }
    }

    fn forget(&mut self) {
        *self = Fulltext { path: std::mem::take(&mut self.path), uidvalidity: self.uidvalidity, ..Fulltext::default() };
    }

    fn take_in(&mut self, file: &File) {
        let (Ok(meta), Ok(map)) = (file.metadata(), Map::of(file)) else { return self.forget() };
        let ino = Stamp::of(&meta).ino;
        if ino != self.ino || self.end > map.len() {
            self.forget();
        }
        if self.end == 0 {
            if map.get(..HEADER) != Some(&header(self.uidvalidity)) {
                return self.forget();
            }
            self.end = HEADER;
        }
        while let Some((uid, end)) = record_at(&map, self.end) {
            self.records.insert(uid, self.end);
            self.end = end;
        }
        (self.ino, self.map) = (ino, Some(map));
    }

    /// Removes it when most of its records are of messages that have gone; `live` is the number of those that have not.
    pub fn prune(&mut self, live: u32) {
        if self.records.len() > 2 * live as usize + 1000 {
            let _ = std::fs::remove_file(&self.path);
            self.forget();
        }
    }

    /// Whether a message has a record.
    pub fn knows(&self, uid: u32) -> bool {
        self.records.contains_key(&uid)
    }

    /// False when the message of this base name surely does not hold the text, which is in the form that was added.
    pub fn may_hold(&self, uid: u32, base_name: &[u8], text: &[u8]) -> bool {
        match self.signature(uid, base_name) {
            Some([]) | None => true,
            Some(signature) => grams(text).all(|gram| {
                let at = place(gram, signature.len());
                signature.get(at / 8).is_none_or(|octet| octet & 1 << (at % 8) != 0)
            }),
        }
    }

    fn signature(&self, uid: u32, base_name: &[u8]) -> Option<&[u8]> {
        let record = self.map.as_ref()?.get(*self.records.get(&uid)?..)?;
        let len = usize::try_from(u32_at(record, 4)?).ok()?;
        (u64_at(record, 8)? == name::hash(base_name)).then_some(record.get(RECORD..RECORD + len)?)
    }

    /// Adds messages: UID, base name, signature. False when it could not be done now.
    pub fn add(&mut self, messages: &[(u32, Vec<u8>, Vec<u8>)]) -> bool {
        self.append(messages).is_some()
    }

    fn append(&mut self, messages: &[(u32, Vec<u8>, Vec<u8>)]) -> Option<()> {
        if let Ok(mut new) = create_file(&self.path) {
            new.write_all(&header(self.uidvalidity)).ok()?;
        }
        let file = OpenOptions::new().read(true).append(true).open(&self.path).ok()?;
        let ino = Stamp::of(&file.metadata().ok()?).ino;
        let _lock = FileLock::try_exclusive(file.try_clone().ok()?).ok()??;
        if Stamp::at(&self.path).ok()??.ino != ino {
            return None;
        }
        self.take_in(&file);
        let len = file.metadata().ok()?.len();
        let mut bytes = Vec::new();
        messages.iter().for_each(|(uid, name, signature)| encode(&mut bytes, *uid, name, signature));
        // a torn tail, another UIDVALIDITY, or more than is worth keeping
        if self.end as u64 != len || len + bytes.len() as u64 > FILE_MAX {
            let _ = std::fs::remove_file(&self.path);
            self.forget();
            return None;
        }
        (&file).write_all(&bytes).ok()?;
        self.take_in(&file);
        Some(())
    }
}

fn header(uidvalidity: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..12].copy_from_slice(&MAGIC);
    header[12..].copy_from_slice(&uidvalidity.to_le_bytes());
    header
}

fn encode(out: &mut Vec<u8>, uid: u32, base_name: &[u8], signature: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&uid.to_le_bytes());
    out.extend_from_slice(&u32::try_from(signature.len()).unwrap_or(0).to_le_bytes()); // at most SIGNATURE_MAX
    out.extend_from_slice(&name::hash(base_name).to_le_bytes());
    let sum = checksum(&out[start..]) ^ checksum(signature);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(signature);
}

/// The UID of the sound record at a place, and its end.
fn record_at(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let record = bytes.get(at..)?;
    let (uid, len) = (u32_at(record, 0)?, usize::try_from(u32_at(record, 4)?).ok()?);
    let signature = record.get(RECORD..RECORD.checked_add(len)?)?;
    let sum = checksum(record.get(..16)?) ^ checksum(signature);
    (u64_at(record, 16)? == sum).then_some((uid, at + RECORD + len))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    fn message(collector: &mut Collector, uid: u32, text: &str) -> (u32, Vec<u8>, Vec<u8>) {
        collector.add(text.as_bytes());
        (uid, format!("{uid}.x").into_bytes(), collector.finish())
    }

    fn holds(f: &Fulltext, uid: u32, text: &str) -> bool {
        f.may_hold(uid, format!("{uid}.x").as_bytes(), text.as_bytes())
    }

    #[test]
    fn every_part_of_a_text_is_found_and_most_others_are_not() {
        let t = TestDir::new();
        let mut c = Collector::default();
        let text: String = (0..200).map(|n| format!("WORD{} ", n * 7919)).collect();
        let mut f = Fulltext::new(t.path(), 7);
        assert!(f.add(&[message(&mut c, 1, &text), message(&mut c, 2, "AB"), message(&mut c, 3, "SOMETHING ELSE")]));
        for (from, to) in [(0, text.len()), (5, 9), (100, 130), (text.len() - 3, text.len())] {
            assert!(holds(&f, 1, &text[from..to]));
        }
        assert!(!holds(&f, 1, "SOMETHING") && holds(&f, 3, "SOMETHING") && !holds(&f, 3, "WORD"));
        // too short to tell; a text too short to hold three octets; a message not known, or another one of this UID
        assert!(holds(&f, 3, "QQ") && !holds(&f, 2, "ABC") && holds(&f, 4, "ABC") && f.may_hold(3, b"other", b"ABC"));
        let wrong = (0..1000).filter(|n| holds(&f, 1, &format!("XYZ{n}QV"))).count();
        assert!(wrong < 10, "{wrong}");
    }

    #[test]
    fn sessions_share_it_and_damage_is_no_answer() {
        let t = TestDir::new();
        let mut c = Collector::default();
        let (mut a, mut b) = (Fulltext::new(t.path(), 7), Fulltext::new(t.path(), 7));
        assert!(a.add(&[message(&mut c, 1, "FIRST")]));
        b.refresh();
        assert!(b.knows(1) && b.add(&[message(&mut c, 2, "SECOND")]));
        a.refresh();
        assert!(a.knows(2) && !holds(&a, 2, "FIRST"));
        a.prune(1);
        assert!(a.knows(2));
        // another UIDVALIDITY
        let mut other = Fulltext::new(t.path(), 8);
        other.refresh();
        assert!(!other.knows(1) && holds(&other, 1, "NOTHING"));
        // a rotten octet: what stands before it counts
        let path = t.path().join(FILE);
        let good = std::fs::read(&path).unwrap();
        for at in HEADER + 29..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            let mut f = Fulltext::new(t.path(), 7);
            f.refresh();
            assert!(f.knows(1) && !f.knows(2), "{at}");
            // the next writer begins anew
            assert!(!f.add(&[message(&mut c, 3, "THIRD")]) && !path.exists());
            assert!(f.add(&[message(&mut c, 3, "THIRD")]) && f.knows(3) && !f.knows(1));
        }
        for cut in 0..good.len() {
            std::fs::write(&path, &good[..cut]).unwrap();
            let mut f = Fulltext::new(t.path(), 7);
            f.refresh();
            assert!(holds(&f, 2, "SECOND") && !f.knows(2));
        }
    }

    #[test]
    fn an_index_of_the_gone_is_removed() {
        let t = TestDir::new();
        let mut c = Collector::default();
        let mut f = Fulltext::new(t.path(), 7);
        assert!(f.add(&(1..=1003).map(|uid| message(&mut c, uid, "ABC")).collect::<Vec<_>>()));
        f.prune(2);
        assert!(f.knows(3) && t.path().join(FILE).exists());
        f.prune(1);
        assert!(!f.knows(3) && !t.path().join(FILE).exists());
    }

    #[test]
    fn a_text_with_too_many_sequences_may_hold_anything() {
        let mut c = Collector::default();
        let text: Vec<u8> = (0..2_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        c.add(&text);
        assert!(c.finish().is_empty());
        c.add(b"ABCD");
        assert_eq!(c.finish().len(), 2);
    }
}
