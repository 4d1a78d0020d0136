//! Microsoft cabinets: stored, MSZIP and LZX folders.
//!
//! Standards   MS-CAB; Quantum is unsupported
//! Limits      a folder is decoded once, in the order of its files

use crate::sink::{Meta, Sink, Trouble};
use miniz_oxide::inflate::core::{
    DecompressorOxide, decompress, inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use std::io::{self, Read};

const BLOCK: usize = 32768;

fn u16_at(d: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(d.get(at..at.checked_add(2)?)?.try_into().ok()?)))
}

fn u32_at(d: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(d.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}

struct File {
    size: usize,
    offset: usize,
    folder: usize,
    name: Vec<u8>,
}

/// Reads the cabinet at the start of `data`.
pub fn read(data: &[u8], guess: bool, sink: &mut dyn Sink) {
    if cabinet(data, guess, sink).is_none() && !guess {
        sink.trouble(Trouble::Damaged, "a cabinet that cannot be read");
    }
}

fn cabinet(d: &[u8], guess: bool, sink: &mut dyn Sink) -> Option<()> {
    let (files_at, folders, count, flags) = (u32_at(d, 16)?, u16_at(d, 26)?, u16_at(d, 28)?, u16_at(d, 30)?);
    let mut at = 36;
    let (mut per_folder, mut per_block) = (0, 0);
    if flags & 4 != 0 {
        (per_folder, per_block) = (usize::from(*d.get(38)?), usize::from(*d.get(39)?));
        at = 40 + u16_at(d, 36)?;
    }
    for _ in 0..(flags & 1) * 2 + (flags >> 1 & 1) * 2 {
        at += d.get(at..)?.iter().position(|c| *c == 0)? + 1;
    }
    let mut files = file_list(d, files_at, count);
    if files.len() < count && !guess {
        sink.trouble(Trouble::Damaged, "a cabinet whose list of files is cut off");
    }
    files.sort_by_key(|f| (f.folder, f.offset));
    for n in 0..folders {
        if sink.done() {
            return Some(());
        }
        let head = at + n * (8 + per_folder);
        let (start, blocks, kind) = (u32_at(d, head)?, u16_at(d, head + 4)?, u16_at(d, head + 6)?);
        let mine: Vec<&File> = files.iter().filter(|f| f.folder == n).collect();
        let stream = Stream::new(d, start, blocks, per_block, kind);
        folder(stream, &mine, guess, sink);
    }
    // files that continue from or into another cabinet
    for f in files.iter().filter(|f| f.folder >= 0xfffd) {
        sink.listed(&meta(f, guess));
        sink.trouble(Trouble::Partial, "a file that spans cabinets");
    }
    Some(())
}

fn file_list(d: &[u8], mut at: usize, count: usize) -> Vec<File> {
    let mut out = Vec::new();
    let mut next = || {
        let (size, offset, folder) = (u32_at(d, at)?, u32_at(d, at + 4)?, u16_at(d, at + 8)?);
        let rest = d.get(at + 16..)?;
        let len = rest.iter().take(1024).position(|c| *c == 0)?;
        at += 16 + len + 1;
        Some(File { size, offset, folder, name: rest.get(..len)?.to_vec() })
    };
    while let Some(f) = (out.len() < count).then(&mut next).flatten() {
        out.push(f);
    }
    out
}

fn meta(f: &File, guess: bool) -> Meta {
    Meta { size: Some(f.size as u64), guess, ..Meta::named("CAB", crate::mime::params::text(&f.name)) }
}

fn folder(stream: Option<Stream<'_>>, files: &[&File], guess: bool, sink: &mut dyn Sink) {
    let Some(mut stream) = stream else {
        files.iter().for_each(|f| sink.listed(&meta(f, guess)));
        sink.trouble(Trouble::Unsupported, "a cabinet method without a decoder");
        return;
    };
    let mut at = 0;
    for f in files {
        if sink.done() {
            return;
        }
        let gap = f.offset.saturating_sub(at);
        let skipped = io::copy(&mut stream.by_ref().take(gap as u64), &mut io::sink()).unwrap_or(0);
        if f.offset < at || skipped < gap as u64 {
            sink.listed(&meta(f, guess));
            sink.trouble(Trouble::Damaged, "a file of a cabinet that is not where it should be");
            continue;
        }
        let decoded = sink.decode(&meta(f, guess), &mut stream.by_ref().take(f.size as u64));
        at = f.offset + decoded.bytes as usize;
        let short = decoded.bytes < f.size as u64 && !sink.done();
        if (decoded.failed || short) && !guess {
            sink.trouble(Trouble::Damaged, "a file of a cabinet that does not decode");
        }
    }
}

enum Method {
    Stored,
    MsZip,
    Lzx(Box<lzxd::Lzxd>),
}

/// The decoded folder.
struct Stream<'a> {
    data: &'a [u8],
    at: usize,
    blocks: usize,
    reserve: usize,
    method: Method,
    out: Vec<u8>, // history, then the present block
    from: usize,
}

impl<'a> Stream<'a> {
    fn new(data: &'a [u8], at: usize, blocks: usize, reserve: usize, kind: usize) -> Option<Stream<'a>> {
        let method = match kind & 0x0f {
            0 => Method::Stored,
            1 => Method::MsZip,
            3 => Method::Lzx(Box::new(lzxd::Lzxd::new(window(kind >> 8 & 0x1f)?))),
            _ => return None,
        };
        Some(Stream { data, at, blocks, reserve, method, out: Vec::new(), from: 0 })
    }

    fn block(&mut self) -> io::Result<()> {
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let (packed, size) = u16_at(self.data, self.at + 4).zip(u16_at(self.data, self.at + 6)).ok_or_else(bad)?;
        let start = self.at + 8 + self.reserve;
        let body = self.data.get(start..start + packed).ok_or_else(bad)?;
        self.at = start + packed;
        self.blocks -= 1;
        let keep = self.out.len().saturating_sub(BLOCK);
        self.out.drain(..keep);
        self.from = self.out.len();
        if size > BLOCK {
            return Err(bad());
        }
        match &mut self.method {
            Method::Stored => self.out.extend_from_slice(body),
            Method::MsZip => {
                let body = body.strip_prefix(b"CK").ok_or_else(bad)?;
                self.out.resize(self.from + size, 0);
                let mut inflater = DecompressorOxide::new();
                let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
                let (_, _, n) = decompress(&mut inflater, body, &mut self.out, self.from, flags);
                self.out.truncate(self.from + n);
            }
            Method::Lzx(lzx) => {
                let plain = lzx.decompress_next(body, size).map_err(|_| bad())?;
                self.out.extend_from_slice(plain);
            }
        }
        if self.out.len() == self.from { Err(bad()) } else { Ok(()) }
    }
}

fn window(bits: usize) -> Option<lzxd::WindowSize> {
    Some(match bits {
        15 => lzxd::WindowSize::KB32,
        16 => lzxd::WindowSize::KB64,
        17 => lzxd::WindowSize::KB128,
        18 => lzxd::WindowSize::KB256,
        19 => lzxd::WindowSize::KB512,
        20 => lzxd::WindowSize::MB1,
        21 => lzxd::WindowSize::MB2,
        _ => return None,
    })
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.from == self.out.len() {
            if self.blocks == 0 {
                return Ok(0);
            }
            self.block()?;
        }
        let ready = self.out.get(self.from..).unwrap_or_default();
        let n = ready.len().min(buf.len());
        buf.get_mut(..n).zip(ready.get(..n)).into_iter().for_each(|(b, r)| b.copy_from_slice(r));
        self.from += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    const STORED: &[u8] = include_bytes!("../../../../tests/fuzz/corpus/scan-cab/stored");
    const MSZIP: &[u8] = include_bytes!("../../../../tests/fuzz/corpus/scan-cab/mszip");

    #[test]
    fn members_stored_and_packed() {
        let text = b"harmless content of a sample, packed, packed, packed, packed\n".repeat(3);
        for data in [STORED, MSZIP] {
            let mut c = Collect::default();
            read(data, false, &mut c);
            assert_eq!(c.members, [("a.txt".to_owned(), text.clone())]);
            assert!(c.troubles.is_empty(), "{:?}", c.troubles);
        }
    }

    #[test]
    fn half_a_cabinet_is_never_clean() {
        for len in 8..MSZIP.len() {
            let mut c = Collect::default();
            read(&MSZIP[..len], false, &mut c);
            assert!(!c.troubles.is_empty(), "cut at {len}");
        }
    }
}
