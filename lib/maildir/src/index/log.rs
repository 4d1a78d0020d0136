//! The append-only log beside a snapshot: `pennypost.index.log`.
//!
//! Format      32 octets header (magic, generation of the snapshot, checksum), then batches: length u32, number of
//!             operations u32, checksum u64, `Meta` after the batch (256 octets), operations
//! Invariants  1. a batch counts only whole and with the right checksum; what follows a bad one does not exist
//!             2. a log belongs to the snapshot of the same generation; a new snapshot brings a new log
//! Failures    a torn tail (crash) is noticed by the next writer, which then writes a new snapshot instead

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use penny_sys::files::Stamp;

use super::record::{Fixed, META, Meta, RECORD, Record, checksum};
use super::snapshot::Gone;
use crate::dir::create_file;

const MAGIC: &[u8; 8] = b"PPIXLOG1";
const HEADER: usize = 32;
const BATCH: usize = 16;
/// No batch is larger: beyond this a snapshot is written instead.
const BATCH_MAX: usize = 64 << 20;

/// A change to the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A message is new.
    Add(Record),
    /// Flags or keywords changed (and maybe the file's place); the whole record follows.
    Flags(Record),
    /// Something no client is told: size, date, new/ to cur/.
    Facts(Record),
    /// A message is gone.
    Gone(Gone),
}

impl Op {
    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, record) = match self {
            Op::Add(r) => (1u8, r),
            Op::Flags(r) => (2, r),
            Op::Facts(r) => (3, r),
            Op::Gone(g) => {
                out.push(4);
                out.extend_from_slice(&g.uid.to_le_bytes());
                out.extend_from_slice(&g.modseq.to_le_bytes());
                return;
            }
        };
        out.push(kind);
        let len = |b: &[u8]| u16::try_from(b.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&record.fixed.encode(0, len(&record.base), len(&record.info)));
        out.extend_from_slice(&record.base);
        out.extend_from_slice(&record.info);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Op> {
        let kind = *take(bytes, 1)?.first()?;
        if kind == 4 {
            let uid = u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?);
            let modseq = u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?);
            return Some(Op::Gone(Gone { uid, modseq }));
        }
        let raw: &[u8; RECORD] = take(bytes, RECORD)?.try_into().ok()?;
        let (fixed, (_, base, info)) = Fixed::decode(raw);
        let base = take(bytes, usize::from(base))?.into();
        let info = take(bytes, usize::from(info))?.into();
        let record = Record { fixed, base, info };
        match kind {
            1 => Some(Op::Add(record)),
            2 => Some(Op::Flags(record)),
            3 => Some(Op::Facts(record)),
            _ => None,
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(n)?;
    *bytes = tail;
    Some(head)
}

/// A whole batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) meta: Meta,
    pub(crate) ops: Vec<Op>,
}

/// An open log and how far it was read.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    stamp: Stamp,
    generation: u64,
    position: u64,
}

impl Log {
    /// Starts a new, empty log for a generation, replacing the old one.
    pub(crate) fn create(path: &Path, generation: u64) -> io::Result<Log> {
        let mut tmp = path.as_os_str().to_os_string();
        tmp.push(".tmp");
        let tmp = PathBuf::from(tmp);
        let _ = std::fs::remove_file(&tmp);
        let mut file = create_file(&tmp)?;
        let mut header = [0u8; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..16].copy_from_slice(&generation.to_le_bytes());
        let sum = checksum(&header[..16]);
        header[16..24].copy_from_slice(&sum.to_le_bytes());
        file.write_all(&header)?;
        std::fs::rename(&tmp, path)?;
        Log::of(path, file, generation)
    }

    fn of(path: &Path, file: File, generation: u64) -> io::Result<Log> {
        let stamp = Stamp::of(&file.metadata()?);
        Ok(Log { path: path.to_path_buf(), file, stamp, generation, position: HEADER as u64 })
    }

    /// Opens an existing log; `None` if it is not one.
    pub(crate) fn open(path: &Path) -> Option<Log> {
        let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        let mut header = [0u8; HEADER];
        file.read_exact_at(&mut header, 0).ok()?;
        let sum = u64::from_le_bytes(header.get(16..24)?.try_into().ok()?);
        if header.get(..8)? != MAGIC || checksum(header.get(..16)?) != sum {
            return None;
        }
        let generation = u64::from_le_bytes(header.get(8..16)?.try_into().ok()?);
        Log::of(path, file, generation).ok()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Octets of batches read so far.
    pub(crate) fn len(&self) -> u64 {
        self.position - HEADER as u64
    }

    /// Looks at the path: replaced by another file (`None`), or how long it is now.
    pub(crate) fn probe(&self) -> io::Result<Option<u64>> {
        let now = Stamp::at(&self.path)?;
        Ok(now.filter(|n| n.ino == self.stamp.ino && n.dev == self.stamp.dev).map(|n| n.size))
    }

    /// True if nothing follows what was read.
    pub(crate) fn at_end(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == self.position)
    }

    /// Reads the batches that are complete and were not read yet.
    pub(crate) fn read(&mut self) -> io::Result<Vec<Batch>> {
        let end = self.file.metadata()?.len();
        let mut bytes = vec![0u8; usize::try_from(end.saturating_sub(self.position)).unwrap_or(0)];
        let mut got = 0;
        while let Some(rest) = bytes.get_mut(got..).filter(|r| !r.is_empty()) {
            match self.file.read_at(rest, self.position + got as u64)? {
                0 => break,
                n => got += n,
            }
        }
        bytes.truncate(got);
        let mut rest = bytes.as_slice();
        let mut out = Vec::new();
        while let Some((batch, used)) = decode_batch(rest) {
            out.push(batch);
            self.position += used as u64;
            rest = rest.get(used..).unwrap_or_default();
        }
        Ok(out)
    }

    /// Appends a batch in one write; the caller holds the lock and has read to the end.
    pub(crate) fn append(&mut self, meta: &Meta, ops: &[Op]) -> io::Result<()> {
        let bytes = encode_batch(meta, ops);
        self.file.write_all_at(&bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

fn encode_batch(meta: &Meta, ops: &[Op]) -> Vec<u8> {
    let mut out = vec![0u8; BATCH];
    out.reserve(META + ops.len() * (RECORD + 1));
    out.extend_from_slice(&meta.encode());
    ops.iter().for_each(|op| op.encode(&mut out));
    let body = out.len() - BATCH;
    let sum = checksum(out.get(BATCH..).unwrap_or_default());
    let mut head = Vec::with_capacity(BATCH);
    head.extend_from_slice(&(body as u32).to_le_bytes());
    head.extend_from_slice(&(ops.len() as u32).to_le_bytes());
    head.extend_from_slice(&sum.to_le_bytes());
    out.splice(..BATCH, head);
    out
}

/// One batch from the front and its length; `None` if it is not whole or not right.
fn decode_batch(bytes: &[u8]) -> Option<(Batch, usize)> {
    let head = bytes.get(..BATCH)?;
    let body = u32::from_le_bytes(head.get(..4)?.try_into().ok()?) as usize;
    let count = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?) as usize;
    let sum = u64::from_le_bytes(head.get(8..16)?.try_into().ok()?);
    if !(META..=BATCH_MAX).contains(&body) {
        return None;
    }
    let body_bytes = bytes.get(BATCH..BATCH + body)?;
    if checksum(body_bytes) != sum {
        return None;
    }
    let (meta, mut rest) = body_bytes.split_at_checked(META)?;
    let meta = Meta::decode(meta.try_into().ok()?);
    let mut ops = Vec::with_capacity(count.min(body));
    for _ in 0..count {
        ops.push(Op::decode(&mut rest)?);
    }
    rest.is_empty().then_some((Batch { meta, ops }, BATCH + body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    fn ops() -> Vec<Op> {
        let r = Record::found(5, &b"5.x,S=1"[..], b":2,PS", false);
        vec![Op::Add(r.clone()), Op::Flags(r.clone()), Op::Facts(r), Op::Gone(Gone { uid: 5, modseq: 12 })]
    }

    #[test]
    fn batches_are_read_once_and_whole() {
        let t = TestDir::new();
        let path = t.path().join("log");
        let mut writer = Log::create(&path, 7).unwrap();
        let mut reader = Log::open(&path).unwrap();
        assert_eq!(reader.generation(), 7);
        assert!(reader.read().unwrap().is_empty());
        let meta = Meta { uidnext: 6, ..Meta::default() };
        writer.append(&meta, &ops()).unwrap();
        writer.append(&Meta { uidnext: 7, ..meta }, &[]).unwrap();
        let batches = reader.read().unwrap();
        assert_eq!(batches.len(), 2);
        assert_eq!(batches[0].ops, ops());
        assert_eq!((batches[0].meta.uidnext, batches[1].meta.uidnext), (6, 7));
        assert!(reader.at_end().unwrap() && reader.read().unwrap().is_empty());
    }

    #[test]
    fn a_torn_or_wrong_tail_does_not_exist() {
        let t = TestDir::new();
        let path = t.path().join("log");
        let mut writer = Log::create(&path, 1).unwrap();
        writer.append(&Meta::default(), &ops()).unwrap();
        let first = std::fs::metadata(&path).unwrap().len();
        writer.append(&Meta::default(), &ops()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in first as usize..whole.len() {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(Log::open(&path).unwrap().read().unwrap().len(), 1, "{cut}");
            let mut bad = whole.clone();
            bad[cut] ^= 1;
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bad).unwrap();
            let mut log = Log::open(&path).unwrap();
            assert_eq!(log.read().unwrap().len(), 1, "{cut}");
            assert!(!log.at_end().unwrap());
        }
    }

    #[test]
    fn replaced_logs_are_noticed() {
        let t = TestDir::new();
        let path = t.path().join("log");
        let log = Log::create(&path, 1).unwrap();
        assert!(log.probe().unwrap().is_some());
        Log::create(&path, 2).unwrap();
        assert!(log.probe().unwrap().is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(log.probe().unwrap().is_none());
    }
}
