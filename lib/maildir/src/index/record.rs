//! The index's fixed records and its header values, and how they are laid out in bytes.
//!
//! Format      little endian; a record is 64 octets, a header value block (`Meta`) 256; see pennypost-maildir(5)
//! Trust       bytes come from a checksummed file, yet every length and offset is checked again by the reader

use std::hash::Hasher;

use penny_sys::files::Stamp;

use crate::mailbox::Guid;
use crate::name::{self, Flags, Info};

/// Octets of a fixed record.
pub(crate) const RECORD: usize = 64;
/// Octets of `Meta` on disk.
pub(crate) const META: usize = 256;

/// Bits of `Fixed::state`.
pub(crate) mod state {
    /// The file is in new/.
    pub(crate) const NEW: u8 = 1;
    /// `size` is known.
    pub(crate) const SIZE: u8 = 2;
    /// `virtual_size` is known.
    pub(crate) const VIRTUAL: u8 = 4;
    /// `date` is known.
    pub(crate) const DATE: u8 = 8;
    /// `virtual_size` was counted from the bytes and beats the name's W=.
    pub(crate) const COUNTED: u8 = 16;
}

/// The part of a record that has a fixed size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) uid: u32,
    pub(crate) flags: Flags,
    pub(crate) state: u8,
    pub(crate) keywords: u64,
    pub(crate) size: u64,
    pub(crate) virtual_size: u64,
    pub(crate) date: i64,
    pub(crate) modseq: u64,
    pub(crate) saved: u32,
    /// What the Date field tells, as on disk: 48 bits, 0 where nobody has looked (a program that does not know of it writes
    /// that, so no bit of `state` says it), `UNDATED`, or Unix seconds above `EPOCH`.
    sent: u64,
}

/// `Fixed::sent` of a message whose Date field tells none.
const UNDATED: u64 = 1;
/// `Fixed::sent` of the beginning of 1970.
const EPOCH: i64 = 1 << 47;

impl Fixed {
    pub(crate) fn is(&self, bit: u8) -> bool {
        self.state & bit != 0
    }

    pub(crate) fn set(&mut self, bit: u8, on: bool) {
        self.state = if on { self.state | bit } else { self.state & !bit };
    }

    /// What the Date field tells in Unix seconds, where that is known.
    pub(crate) fn sent(&self) -> Option<Option<i64>> {
        match self.sent {
            0 => None,
            UNDATED => Some(None),
            sent => Some(Some(sent as i64 - EPOCH)),
        }
    }

    pub(crate) fn set_sent(&mut self, told: Option<i64>) {
        self.sent = told.map_or(UNDATED, |seconds| (seconds + EPOCH) as u64);
    }

    pub(crate) fn encode(&self, name_off: u32, name_len: u16, info_len: u16) -> [u8; RECORD] {
        let mut w = Writer::<RECORD>::new();
        w.u32(self.uid);
        w.u8(self.flags.0);
        w.u8(self.state);
        w.u16(name_len);
        w.u64(self.keywords);
        w.u64(self.size);
        w.u64(self.virtual_size);
        w.u64(self.date as u64);
        w.u64(self.modseq);
        w.u32(self.saved);
        w.u32(name_off);
        w.u16(info_len);
        w.put(&self.sent.to_le_bytes()[..6]);
        w.bytes
    }

    /// The record and (name offset, name length, info length).
    pub(crate) fn decode(bytes: &[u8; RECORD]) -> (Fixed, (u32, u16, u16)) {
        let mut r = Reader { bytes, at: 0 };
        let uid = r.u32();
        let flags = Flags(r.u8());
        let state = r.u8();
        let name_len = r.u16();
        let keywords = r.u64();
        let size = r.u64();
        let virtual_size = r.u64();
        let date = r.u64() as i64;
        let modseq = r.u64();
        let saved = r.u32();
        let name_off = r.u32();
        let info_len = r.u16();
        let sent = u64::from(r.u32()) | u64::from(r.u16()) << 32;
        let fixed = Fixed { uid, flags, state, keywords, size, virtual_size, date, modseq, saved, sent };
        (fixed, (name_off, name_len, info_len))
    }
}

/// A message in the index, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordRef<'a> {
    pub(crate) fixed: Fixed,
    /// Base name.
    pub(crate) base: &'a [u8],
    /// In cur/: flag letters not understood and what follows the flags. In new/: the whole info part. Mostly empty.
    pub(crate) info: &'a [u8],
}

/// A message in the index, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) fixed: Fixed,
    pub(crate) base: Box<[u8]>,
    pub(crate) info: Box<[u8]>,
}

/// Keyword bits that have letters.
pub(crate) const LETTER_BITS: u64 = (1 << name::LETTER_KEYWORDS) - 1;

impl Record {
    pub(crate) fn borrow(&self) -> RecordRef<'_> {
        RecordRef { fixed: self.fixed, base: &self.base, info: &self.info }
    }

    /// A record for a file as found on disk.
    pub(crate) fn found(uid: u32, base: impl Into<Box<[u8]>>, info: &[u8], in_new: bool) -> Record {
        let base = base.into();
        let mut fixed = Fixed { uid, ..Fixed::default() };
        fixed.set(state::NEW, in_new);
        let (size, virtual_size) = name::sizes(&base);
        if let Some(size) = size {
            fixed.size = size;
            fixed.set(state::SIZE, true);
        }
        if let Some(size) = virtual_size {
            fixed.virtual_size = size;
            fixed.set(state::VIRTUAL, true);
        }
        fixed.saved = name::seconds(&base).and_then(|s| u32::try_from(s).ok()).unwrap_or(0);
        let mut record = Record { fixed, base, info: Box::default() };
        record.take_info(info, in_new);
        record
    }

    /// Takes flags and letters from the info part of a file name; keywords without a letter stay.
    pub(crate) fn take_info(&mut self, info: &[u8], in_new: bool) {
        let parsed = Info::parse(info);
        self.fixed.set(state::NEW, in_new);
        self.fixed.flags = parsed.flags;
        self.fixed.keywords = self.fixed.keywords & !LETTER_BITS | u64::from(parsed.letters);
        self.info = match in_new {
            true => info.into(),
            false => [parsed.other, parsed.rest].concat().into(),
        };
    }
}

impl RecordRef<'_> {
    pub(crate) fn to_owned(self) -> Record {
        Record { fixed: self.fixed, base: self.base.into(), info: self.info.into() }
    }

    /// The info part the file would have in cur/ with other flags.
    pub(crate) fn info_with(&self, flags: Flags, keywords: u64) -> Info {
        let (other, rest) = match self.fixed.is(state::NEW) {
            true => {
                let parsed = Info::parse(self.info);
                (parsed.other, parsed.rest)
            }
            false => {
                let comma = memchr::memchr(b',', self.info).unwrap_or(self.info.len());
                let (other, rest) = self.info.split_at(comma);
                (other.to_vec(), rest.to_vec())
            }
        };
        Info { flags, letters: (keywords & LETTER_BITS) as u32, other, rest }
    }

    /// The file name (without directory) as last known.
    pub(crate) fn file_name(&self) -> Vec<u8> {
        if self.fixed.is(state::NEW) {
            return [self.base, self.info].concat();
        }
        if self.info.is_empty() {
            let info = Info {
                flags: self.fixed.flags,
                letters: (self.fixed.keywords & LETTER_BITS) as u32,
                ..Info::default()
            };
            return name::join(self.base, &info);
        }
        name::join(self.base, &self.info_with(self.fixed.flags, self.fixed.keywords))
    }
}

/// What is known of a directory at the last scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DirState {
    pub(crate) mtime: i64,
    pub(crate) nsec: u32,
    /// A change in the same tick as the recorded mtime could have been missed: look again.
    pub(crate) dirty: bool,
}

/// The values of the whole mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) uidvalidity: u32,
    pub(crate) uidnext: u32,
    pub(crate) guid: Guid,
    pub(crate) highest_modseq: u64,
    pub(crate) floor: u64,
    /// Expunges are recorded completely from this modseq on.
    pub(crate) vanished_floor: u64,
    pub(crate) messages: u32,
    pub(crate) unseen: u32,
    pub(crate) deleted: u32,
    /// Messages from this UID on are \Recent for the next session that claims them.
    pub(crate) first_recent: u32,
    /// Messages whose virtual size is not known.
    pub(crate) unsized_count: u32,
    /// Messages whose file is in new/.
    pub(crate) in_new: u32,
    /// No message below this UID is unseen.
    pub(crate) unseen_hint: u32,
    pub(crate) size: u64,
    pub(crate) deleted_storage: u64,
    pub(crate) cur: DirState,
    pub(crate) new: DirState,
    pub(crate) uidlist: Stamp,
    /// Lines of the uidlist, live or stale (for the 75 % rule).
    pub(crate) uidlist_lines: u32,
    pub(crate) keywords: Stamp,
    pub(crate) more_keywords: Stamp,
    /// Hash of the boot id: after a reboot the tail of the index may be lost.
    pub(crate) boot: u64,
    /// Microseconds the last scan of cur/ took, and when it ended.
    pub(crate) scan_usec: u32,
    pub(crate) scanned: i64,
}

impl Meta {
    pub(crate) fn encode(&self) -> [u8; META] {
        let mut w = Writer::<META>::new();
        w.u32(self.uidvalidity);
        w.u32(self.uidnext);
        self.guid.0.iter().for_each(|b| w.u8(*b));
        [self.highest_modseq, self.floor, self.vanished_floor].iter().for_each(|v| w.u64(*v));
        let counts =
            [self.messages, self.unseen, self.deleted, self.first_recent, self.unsized_count, self.unseen_hint];
        counts.iter().for_each(|v| w.u32(*v));
        w.u64(self.size);
        w.u64(self.deleted_storage);
        for dir in [self.cur, self.new] {
            w.u64(dir.mtime as u64);
            w.u32(dir.nsec);
            w.u8(u8::from(dir.dirty));
        }
        for stamp in [self.uidlist, self.keywords, self.more_keywords] {
            w.u64(stamp.ino);
            w.u64(stamp.size);
            w.u64(stamp.mtime as u64);
            w.u32(stamp.mtime_nsec as u32);
        }
        w.u64(self.uidlist.dev);
        w.u32(self.uidlist_lines);
        w.u64(self.boot);
        w.u32(self.scan_usec);
        w.u64(self.scanned as u64);
        w.u32(self.in_new);
        w.bytes
    }

    pub(crate) fn decode(bytes: &[u8; META]) -> Meta {
        let mut r = Reader { bytes, at: 0 };
        let mut m = Meta { uidvalidity: r.u32(), uidnext: r.u32(), ..Meta::default() };
        m.guid.0.iter_mut().for_each(|b| *b = r.u8());
        (m.highest_modseq, m.floor, m.vanished_floor) = (r.u64(), r.u64(), r.u64());
        (m.messages, m.unseen, m.deleted) = (r.u32(), r.u32(), r.u32());
        (m.first_recent, m.unsized_count, m.unseen_hint) = (r.u32(), r.u32(), r.u32());
        (m.size, m.deleted_storage) = (r.u64(), r.u64());
        for dir in [&mut m.cur, &mut m.new] {
            *dir = DirState { mtime: r.u64() as i64, nsec: r.u32(), dirty: r.u8() != 0 };
        }
        for stamp in [&mut m.uidlist, &mut m.keywords, &mut m.more_keywords] {
            stamp.ino = r.u64();
            stamp.size = r.u64();
            stamp.mtime = r.u64() as i64;
            stamp.mtime_nsec = i64::from(r.u32());
        }
        m.uidlist.dev = r.u64();
        m.uidlist_lines = r.u32();
        m.boot = r.u64();
        m.scan_usec = r.u32();
        m.scanned = r.u64() as i64;
        m.in_new = r.u32();
        m
    }

    /// Counts a record in or out.
    pub(crate) fn account(&mut self, f: &Fixed, add: bool) {
        let count = |n: &mut u32, on: bool| {
            if on {
                *n = if add { n.saturating_add(1) } else { n.saturating_sub(1) };
            }
        };
        let sum = |n: &mut u64, v: u64| *n = if add { n.saturating_add(v) } else { n.saturating_sub(v) };
        let deleted = f.flags.contains(Flags::DELETED);
        let unseen = !f.flags.contains(Flags::SEEN);
        count(&mut self.messages, true);
        count(&mut self.unseen, unseen);
        count(&mut self.deleted, deleted);
        count(&mut self.unsized_count, !f.is(state::VIRTUAL));
        count(&mut self.in_new, f.is(state::NEW));
        sum(&mut self.size, f.virtual_size);
        sum(&mut self.deleted_storage, if deleted { f.size } else { 0 });
        if add && unseen && f.uid < self.unseen_hint {
            self.unseen_hint = f.uid;
        }
    }
}

/// A fixed buffer filled from the front; what does not fit is a programming error caught by the round-trip test.
struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    fn new() -> Self {
        Writer { bytes: [0; N], at: 0 }
    }

    fn put(&mut self, data: &[u8]) {
        if let Some(slot) = self.bytes.get_mut(self.at..self.at + data.len()) {
            slot.copy_from_slice(data);
        }
        self.at += data.len();
    }

    fn u8(&mut self, v: u8) {
        self.put(&[v]);
    }

    fn u16(&mut self, v: u16) {
        self.put(&v.to_le_bytes());
    }

    fn u32(&mut self, v: u32) {
        self.put(&v.to_le_bytes());
    }

    fn u64(&mut self, v: u64) {
        self.put(&v.to_le_bytes());
    }
}

/// Reads from the front; beyond the end it reads zeros.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const K: usize>(&mut self) -> [u8; K] {
        let out = self.bytes.get(self.at..self.at + K).and_then(|s| s.try_into().ok()).unwrap_or([0; K]);
        self.at += K;
        out
    }

    fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

/// A fast 64-bit checksum against torn and rotten data (not against an enemy, who owns the mailbox anyway).
/// Four lanes, so that it runs at memory speed: a warm SELECT sums the whole record table.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [K, K ^ 1, K ^ 2, K ^ 3];
    let mut chunks = bytes.chunks_exact(32);
    for chunk in &mut chunks {
        for (lane, word) in lanes.iter_mut().zip(chunk.chunks_exact(8)) {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            *lane = (*lane ^ word).wrapping_mul(K).rotate_left(29);
        }
    }
    let mut words = chunks.remainder().chunks_exact(8);
    let mut tail = bytes.len() as u64;
    for word in &mut words {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        tail = (tail ^ word).wrapping_mul(K).rotate_left(11);
    }
    let tail = words.remainder().iter().fold(tail, |h, b| (h ^ u64::from(*b)).wrapping_mul(K).rotate_left(11));
    lanes.iter().fold(tail, |h, lane| (h ^ lane).wrapping_mul(K).rotate_left(31))
}

/// Hashes with [`checksum`]: file names need speed, and their owner needs no protection from himself beyond
/// slowness.
#[derive(Default)]
pub(crate) struct SumHasher(u64);

impl Hasher for SumHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(5) ^ checksum(bytes);
    }
    fn write_usize(&mut self, _length: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_survives_the_round_trip() {
        let mut fixed = Fixed {
            uid: 1,
            flags: Flags(2),
            state: 3,
            keywords: u64::MAX - 4,
            size: u64::MAX - 5,
            virtual_size: u64::MAX - 6,
            date: -7,
            modseq: u64::MAX - 8,
            saved: u32::MAX - 9,
            sent: 0,
        };
        assert_eq!(Fixed::decode(&fixed.encode(10, 11, 12)), (fixed, (10, 11, 12)));
        for sent in [Some(0), Some(-1), None, Some(253_402_300_799), Some(-62_167_219_200)] {
            fixed.set_sent(sent);
            assert_eq!(Fixed::decode(&fixed.encode(10, 11, 12)), (fixed, (10, 11, 12)));
            assert_eq!(fixed.sent(), Some(sent));
        }
        let stamp = |n: u64| Stamp { ino: n, size: n + 1, mtime: -5, mtime_nsec: 999_999_999, ..Stamp::default() };
        let meta = Meta {
            uidvalidity: u32::MAX,
            uidnext: 2,
            guid: Guid([7; 16]),
            highest_modseq: 3,
            floor: 4,
            vanished_floor: 5,
            messages: 6,
            unseen: 7,
            deleted: 8,
            first_recent: 9,
            unsized_count: 10,
            unseen_hint: 11,
            size: 12,
            deleted_storage: 13,
            cur: DirState { mtime: -14, nsec: 15, dirty: true },
            new: DirState { mtime: 16, nsec: 17, dirty: false },
            uidlist: Stamp { dev: 18, ..stamp(19) },
            uidlist_lines: 20,
            keywords: stamp(21),
            more_keywords: stamp(22),
            boot: u64::MAX,
            scan_usec: 23,
            scanned: i64::MAX,
            in_new: 24,
        };
        assert_eq!(Meta::decode(&meta.encode()), meta);
    }

    #[test]
    fn a_program_that_knows_no_sent_date_loses_it_only() {
        let mut fixed = Fixed::default();
        fixed.set_sent(Some(5));
        let mut raw = fixed.encode(0, 0, 0);
        // such a program writes zeros there, and all bits of the state as it read them
        raw[58..].fill(0);
        assert_eq!(Fixed::decode(&raw).0.sent(), None);
    }

    #[test]
    fn checksum_sees_each_bit() {
        let data: Vec<u8> = (0..100u8).collect();
        let good = checksum(&data);
        for i in 0..data.len() * 8 {
            let mut bad = data.clone();
            bad[i / 8] ^= 1 << (i % 8);
            assert_ne!(checksum(&bad), good, "{i}");
        }
        assert_ne!(checksum(&data[..99]), good);
        assert_ne!(checksum(&[0; 32]), checksum(&[0; 64]));
    }

    #[test]
    fn file_names() {
        let r = Record::found(1, &b"5.x,S=3"[..], b":2,PSa,q", false);
        assert_eq!((r.fixed.flags, r.fixed.keywords, r.fixed.size, r.fixed.saved), (Flags::SEEN, 1, 3, 5));
        assert_eq!(r.borrow().file_name(), b"5.x,S=3:2,PSa,q");
        let r = Record::found(1, &b"5.x"[..], b":2,S", true);
        assert_eq!(r.borrow().file_name(), b"5.x:2,S");
        let info = r.borrow().info_with(Flags::FLAGGED, 2);
        assert_eq!(name::join(&r.base, &info), b"5.x:2,Fb");
        assert_eq!(Record::found(1, &b"5.x"[..], b"", true).borrow().file_name(), b"5.x");
        assert_eq!(Record::found(1, &b"5.x"[..], b":2,FS", false).borrow().file_name(), b"5.x:2,FS");
    }
}
