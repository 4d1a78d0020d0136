//! 7z archives.
//!
//! Standards   7-Zip's 7zFormat.txt and Methods.txt
//! Methods     copy, LZMA, LZMA2, BCJ (x86, ARM, ARM64, ARMT, PPC, SPARC, IA-64, RISC-V), BCJ2, delta, PPMd, bzip2,
//!             deflate, deflate64, zstd; AES is an encrypted archive
//! Limits      counts are bounded by the header's own length; a header unpacks to at most 16 MiB
//! Not here    other archives inside: the walker opens each member

use super::sevenz_coder;
use crate::sink::{Meta, Sink, Trouble};
use std::io::Read;

const HEADER_MAX: u64 = 16 << 20;

/// Why an archive could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Not 7z, or damaged.
    Damaged,
    /// Encrypted.
    Encrypted,
    /// A method without a decoder.
    Unsupported,
}

/// One coder of a folder.
#[derive(Clone, Debug, Default)]
pub struct Coder {
    /// Method.
    pub id: Vec<u8>,
    /// Input streams.
    pub inputs: usize,
    /// Properties.
    pub properties: Vec<u8>,
}

/// A folder: coders and how they are joined.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// Coders; each has one output.
    pub coders: Vec<Coder>,
    /// Input stream, output stream that feeds it.
    pub bonds: Vec<(usize, usize)>,
    /// Input streams fed by packed streams, in order.
    pub packed: Vec<usize>,
    /// Unpacked size of each coder.
    pub sizes: Vec<u64>,
}

#[derive(Default)]
struct Streams {
    pack_at: u64,
    pack_sizes: Vec<u64>,
    folders: Vec<Folder>,
    members: Vec<Vec<u64>>, // sizes of the files in each folder
}

/// A cursor over a header.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(Bad::Damaged)?;
        self.0 = tail;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, Bad> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }

    /// The variable-length number of the format.
    fn number(&mut self) -> Result<u64, Bad> {
        let first = self.byte()?;
        let extra = first.leading_ones() as usize;
        let low = self.take(extra)?.iter().rev().fold(0u64, |acc, b| acc << 8 | u64::from(*b));
        let high = if extra >= 7 { 0 } else { u64::from(first) & (0x7f >> extra) };
        Ok(low | high.checked_shl(8 * extra as u32).unwrap_or(0))
    }

    /// A count of things that take at least one octet, or are bounded by the caller's list.
    fn count(&mut self) -> Result<usize, Bad> {
        let n = self.number()?;
        if n > 1 << 20 { Err(Bad::Damaged) } else { Ok(n as usize) }
    }

    fn expect(&mut self, id: u8) -> Result<(), Bad> {
        if self.byte()? == id { Ok(()) } else { Err(Bad::Damaged) }
    }

    /// A bit for each of `n`, or "all".
    fn bits(&mut self, n: usize, all_possible: bool) -> Result<Vec<bool>, Bad> {
        if all_possible && self.byte()? != 0 {
            return Ok(vec![true; n]);
        }
        let bytes = self.take(n.div_ceil(8))?;
        Ok((0..n).map(|i| bytes.get(i / 8).is_some_and(|b| b & (0x80 >> (i % 8)) != 0)).collect())
    }

    fn digests(&mut self, n: usize) -> Result<Vec<bool>, Bad> {
        let defined = self.bits(n, true)?;
        self.take(4 * defined.iter().filter(|d| **d).count())?;
        Ok(defined)
    }
}

/// Reads the archive that begins at the start of `data`.
pub fn read(data: &[u8], guess: bool, sink: &mut dyn Sink) {
    let result = archive(data, sink);
    let text = match result {
        Ok(()) => return,
        Err(Bad::Damaged) if guess => return,
        Err(Bad::Damaged) => (Trouble::Damaged, "a 7z archive that cannot be read"),
        Err(Bad::Encrypted) => (Trouble::Encrypted, "an encrypted 7z archive"),
        Err(Bad::Unsupported) => (Trouble::Unsupported, "a 7z method without a decoder"),
    };
    sink.trouble(text.0, text.1);
}

fn archive(data: &[u8], sink: &mut dyn Sink) -> Result<(), Bad> {
    let mut c = Cursor(data.get(12..).ok_or(Bad::Damaged)?);
    let mut u64_le = || c.take(8).map(|b| b.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b)));
    let (offset, size) = (u64_le()?, u64_le()?);
    let base = data.get(32..).ok_or(Bad::Damaged)?;
    let mut header = range(base, offset, size.min(HEADER_MAX))?.to_vec();
    // a packed header may itself be packed
    for _ in 0..4 {
        let mut c = Cursor(&header);
        let packed = match c.byte() {
            Ok(0x01) => return files(base, &mut c, sink),
            Ok(0x17) => streams(&mut c)?,
            _ => return if size == 0 { Ok(()) } else { Err(Bad::Damaged) },
        };
        let folder = packed.folders.first().ok_or(Bad::Damaged)?;
        let reader = sevenz_coder::reader(folder, &inputs(base, &packed, 0)?)?;
        let mut plain = Vec::new();
        reader.take(HEADER_MAX).read_to_end(&mut plain).map_err(|_| Bad::Damaged)?;
        header = plain;
    }
    Err(Bad::Damaged)
}

fn range(base: &[u8], offset: u64, size: u64) -> Result<&[u8], Bad> {
    let start = usize::try_from(offset).map_err(|_| Bad::Damaged)?;
    let end = start.checked_add(usize::try_from(size).map_err(|_| Bad::Damaged)?).ok_or(Bad::Damaged)?;
    base.get(start..end).ok_or(Bad::Damaged)
}

/// Packed streams of folder `n`.
fn inputs<'a>(base: &'a [u8], s: &Streams, n: usize) -> Result<Vec<&'a [u8]>, Bad> {
    let before: usize = s.folders.iter().take(n).map(|f| f.packed.len()).sum();
    let count = s.folders.get(n).map_or(0, |f| f.packed.len());
    let mut at = s.pack_sizes.iter().take(before).fold(s.pack_at, |acc, size| acc.saturating_add(*size));
    let mut out = Vec::new();
    for size in s.pack_sizes.iter().skip(before).take(count) {
        out.push(range(base, at, *size)?);
        at = at.saturating_add(*size);
    }
    Ok(out)
}

/// StreamsInfo: PackInfo, CodersInfo, SubStreamsInfo.
fn streams(c: &mut Cursor<'_>) -> Result<Streams, Bad> {
    let mut s = Streams::default();
    loop {
        match c.byte()? {
            0x00 => break,
            0x06 => pack_info(c, &mut s)?,
            0x07 => coders_info(c, &mut s)?,
            0x08 => sub_streams(c, &mut s)?,
            _ => return Err(Bad::Damaged),
        }
    }
    if s.members.is_empty() {
        s.members = s.folders.iter().map(|f| vec![main_size(f)]).collect();
    }
    Ok(s)
}

fn pack_info(c: &mut Cursor<'_>, s: &mut Streams) -> Result<(), Bad> {
    s.pack_at = c.number()?;
    let count = c.count()?;
    loop {
        match c.byte()? {
            0x00 => return Ok(()),
            0x09 => s.pack_sizes = (0..count).map(|_| c.number()).collect::<Result<_, _>>()?,
            0x0a => drop(c.digests(count)?),
            _ => return Err(Bad::Damaged),
        }
    }
}

fn coders_info(c: &mut Cursor<'_>, s: &mut Streams) -> Result<(), Bad> {
    c.expect(0x0b)?;
    let count = c.count()?;
    if c.byte()? != 0 {
        return Err(Bad::Unsupported);
    }
    s.folders = (0..count).map(|_| folder(c)).collect::<Result<_, _>>()?;
    c.expect(0x0c)?;
    for f in &mut s.folders {
        f.sizes = (0..f.coders.len()).map(|_| c.number()).collect::<Result<_, _>>()?;
    }
    loop {
        match c.byte()? {
            0x00 => return Ok(()),
            0x0a => drop(c.digests(count)?),
            _ => return Err(Bad::Damaged),
        }
    }
}

fn folder(c: &mut Cursor<'_>) -> Result<Folder, Bad> {
    let mut f = Folder::default();
    let count = c.count()?;
    if count == 0 || count > 16 {
        return Err(Bad::Damaged);
    }
    for _ in 0..count {
        let flags = c.byte()?;
        let id = c.take(usize::from(flags & 0x0f))?.to_vec();
        let (inputs, outputs) = if flags & 0x10 != 0 { (c.count()?, c.count()?) } else { (1, 1) };
        let properties = if flags & 0x20 != 0 {
            let n = c.count()?;
            c.take(n)?.to_vec()
        } else {
            Vec::new()
        };
        if outputs != 1 || inputs > 8 {
            return Err(Bad::Unsupported);
        }
        f.coders.push(Coder { id, inputs, properties });
    }
    let inputs: usize = f.coders.iter().map(|c| c.inputs).sum();
    f.bonds = (1..count).map(|_| Ok((c.count()?, c.count()?))).collect::<Result<_, Bad>>()?;
    let packed = inputs.checked_sub(f.bonds.len()).ok_or(Bad::Damaged)?;
    f.packed = if packed == 1 {
        (0..inputs).filter(|i| f.bonds.iter().all(|b| b.0 != *i)).collect()
    } else {
        (0..packed).map(|_| c.count()).collect::<Result<_, _>>()?
    };
    Ok(f)
}

/// Size of what the folder as a whole gives: the output no bond takes.
fn main_size(f: &Folder) -> u64 {
    let main = (0..f.coders.len()).find(|o| f.bonds.iter().all(|b| b.1 != *o)).unwrap_or(0);
    f.sizes.get(main).copied().unwrap_or(0)
}

fn sub_streams(c: &mut Cursor<'_>, s: &mut Streams) -> Result<(), Bad> {
    let mut counts = vec![1usize; s.folders.len()];
    let mut id = c.byte()?;
    if id == 0x0d {
        counts = counts.iter().map(|_| c.count()).collect::<Result<_, _>>()?;
        id = c.byte()?;
    }
    if counts.iter().sum::<usize>() > 1 << 20 {
        return Err(Bad::Damaged);
    }
    for (f, n) in s.folders.iter().zip(&counts) {
        let mut sizes = Vec::new();
        let mut left = main_size(f);
        for _ in 1..*n {
            let size = if id == 0x09 { c.number()? } else { 0 };
            sizes.push(size);
            left = left.saturating_sub(size);
        }
        if *n > 0 {
            sizes.push(left);
        }
        s.members.push(sizes);
    }
    if id == 0x09 {
        id = c.byte()?;
    }
    while id != 0 {
        if id == 0x0a {
            // digests of the members whose folder has none; how many there are does not matter here
            let n = counts.iter().sum();
            if c.digests(n).is_err() {
                return Ok(());
            }
        } else {
            return Err(Bad::Damaged);
        }
        id = c.byte()?;
    }
    Ok(())
}

fn files(base: &[u8], c: &mut Cursor<'_>, sink: &mut dyn Sink) -> Result<(), Bad> {
    let mut s = Streams::default();
    let mut names = Vec::new();
    let mut empty = Vec::new();
    loop {
        match c.byte()? {
            0x00 => break,
            0x02 => archive_properties(c)?,
            0x03 => drop(streams(c)?),
            0x04 => s = streams(c)?,
            0x05 => (names, empty) = file_info(c)?,
            _ => return Err(Bad::Damaged),
        }
    }
    let mut names =
        names.into_iter().enumerate().filter(|(n, _)| !empty.get(*n).copied().unwrap_or(false)).map(|(_, n)| n);
    let mut worst = Ok(());
    for n in 0..s.folders.len() {
        if sink.done() {
            break;
        }
        if let Err(bad) = one_folder(base, &s, n, &mut names, sink) {
            worst = Err(bad);
        }
    }
    worst
}

fn one_folder(
    base: &[u8],
    s: &Streams,
    n: usize,
    names: &mut impl Iterator<Item = String>,
    sink: &mut dyn Sink,
) -> Result<(), Bad> {
    let sizes = s.members.get(n).cloned().unwrap_or_default();
    let metas: Vec<Meta> = sizes.iter().map(|size| meta(*size, names.next())).collect();
    let folder = s.folders.get(n).ok_or(Bad::Damaged)?;
    let streams = inputs(base, s, n);
    let packed: u64 = streams.iter().flatten().map(|s| s.len() as u64).sum();
    let mut reader = match streams.and_then(|streams| sevenz_coder::reader(folder, &streams)) {
        Ok(reader) => reader,
        Err(bad) => {
            metas.iter().for_each(|m| sink.listed(&Meta { encrypted: bad == Bad::Encrypted, ..m.clone() }));
            return Err(bad);
        }
    };
    for (n, (meta, size)) in metas.iter().zip(&sizes).enumerate() {
        if sink.done() {
            return Ok(());
        }
        let mut member = reader.by_ref().take(*size);
        let meta = Meta { packed: Some(packed), ..meta.clone() };
        // the folder ends with its last member: the reader sees its own end, and gives its memory back
        let last = n + 1 == sizes.len();
        let decoded = if last { sink.decode(&meta, &mut reader) } else { sink.decode(&meta, &mut member) };
        if decoded.failed || decoded.bytes == 0 && *size > 0 {
            return Err(Bad::Damaged);
        }
        if decoded.bytes < *size {
            // more is there: a limit, which the sink has told of
            return if sink.done() || matches!(reader.read(&mut [0]), Ok(1)) { Ok(()) } else { Err(Bad::Damaged) };
        }
    }
    Ok(())
}

fn meta(size: u64, name: Option<String>) -> Meta {
    Meta { container: "7Z", names: name.into_iter().collect(), size: Some(size), ..Meta::default() }
}

fn archive_properties(c: &mut Cursor<'_>) -> Result<(), Bad> {
    while c.byte()? != 0 {
        let n = c.count()?;
        c.take(n)?;
    }
    Ok(())
}

/// Names, and which of them have no stream.
fn file_info(c: &mut Cursor<'_>) -> Result<(Vec<String>, Vec<bool>), Bad> {
    let count = c.count()?;
    let (mut names, mut empty) = (Vec::new(), vec![false; count]);
    loop {
        let id = c.byte()?;
        if id == 0 {
            return Ok((names, empty));
        }
        let n = usize::try_from(c.number()?).map_err(|_| Bad::Damaged)?;
        let mut body = Cursor(c.take(n)?);
        match id {
            0x0e => empty = body.bits(count, false)?,
            0x11 if body.byte()? == 0 => names = utf16_names(body.0),
            _ => {}
        }
    }
}

fn utf16_names(body: &[u8]) -> Vec<String> {
    let units: Vec<u16> = body.as_chunks::<2>().0.iter().map(|c| u16::from_le_bytes(*c)).collect();
    let mut names: Vec<String> = units.split(|u| *u == 0).map(String::from_utf16_lossy).collect();
    names.pop();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    /// A number in its longest form.
    fn number(n: usize) -> Vec<u8> {
        [&[0xff][..], &(n as u64).to_le_bytes()].concat()
    }

    /// An archive of one member: one coder, and the size it is said to give.
    fn archive_of(coder: &[u8], packed: &[u8], size: usize) -> Vec<u8> {
        let len = packed.len();
        let pack_info = [&[0x06, 0, 1, 0x09], number(len).as_slice(), &[0]].concat();
        let folder = [&[1, coder.len() as u8][..], coder].concat();
        let coders_info = [&[0x07, 0x0b, 1, 0], folder.as_slice(), &[0x0c], &number(size), &[0]].concat();
        let header = [&[0x01, 0x04], pack_info.as_slice(), &coders_info, &[0, 0x05, 1, 0, 0]].concat();
        let places = [len as u64, header.len() as u64].map(u64::to_le_bytes).concat();
        [b"7z\xbc\xaf\x27\x1c\x00\x04\x00\x00\x00\x00", places.as_slice(), &[0; 4], packed, &header].concat()
    }

    fn read_all(archive: &[u8]) -> Collect {
        let mut c = Collect::default();
        read(archive, false, &mut c);
        c
    }

    #[test]
    fn a_stream_that_ends_early_is_damaged() {
        let c = read_all(&archive_of(&[0], b"whole", 5));
        assert!(c.has(b"whole") && c.troubles.is_empty(), "{:?}", c.troubles);
        let c = read_all(&archive_of(&[0], b"cut", 5));
        assert!(c.has(b"cut") && c.troubles[0].0 == Trouble::Damaged, "{:?}", c.troubles);
    }
}
