//! OLE2 compound files: Word, Excel, PowerPoint, Outlook and installer files.
//!
//! Standards   MS-CFB; MS-OLEDS 2.3.6 (Ole10Native); MS-XLS 2.4 (records); MS-PPT 2.10.34 (compressed objects)
//! Leniency    names and tree colours are not believed: every stream entry of the directory is read
//! Limits      a chain has at most as many sectors as the file; 16,384 directory entries

use crate::sink::{Class, Meta, Sink, Trouble};
use std::io::{self, Read};

const END: u32 = 0xffff_fffa; // and above: free, end of chain, FAT and DIFAT sectors
const ENTRIES_MAX: usize = 16_384;
const PARSE_MAX: u64 = 16 << 20;

fn u16_at(d: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(d.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(d: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(d.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

struct File<'a> {
    data: &'a [u8],
    shift: u32,
    fat: Vec<u32>,
    mini_fat: Vec<u32>,
    mini: Vec<u32>, // sectors of the stream that holds the small ones
    cutoff: u64,
}

struct Entry {
    name: String,
    kind: u8,
    start: u32,
    size: u64,
}

/// Reads the compound file at the start of `data`.
pub fn read(data: &[u8], guess: bool, sink: &mut dyn Sink) {
    let Some((file, entries)) = open(data) else {
        if !guess {
            sink.trouble(Trouble::Damaged, "a compound file that cannot be read");
        }
        return;
    };
    for e in entries.iter().filter(|e| e.kind == 2) {
        if sink.done() {
            return;
        }
        stream(&file, e, guess, sink);
    }
    let has = |name: &str| entries.iter().any(|e| e.name.eq_ignore_ascii_case(name));
    if has("EncryptedPackage") || has("EncryptionInfo") {
        sink.trouble(Trouble::Encrypted, "an encrypted Office document");
    }
    if has("_VBA_PROJECT") || has("VBA") {
        sink.class(Class::Macro, "VBA project");
    }
}

fn open(data: &[u8]) -> Option<(File<'_>, Vec<Entry>)> {
    let shift = u32::from(u16_at(data, 30)?);
    (7..=16).contains(&shift).then_some(())?;
    let mut f =
        File { data, shift, fat: Vec::new(), mini_fat: Vec::new(), mini: Vec::new(), cutoff: u32_at(data, 56)?.into() };
    f.fat = f.read_fat()?;
    f.mini_fat = f.chain(u32_at(data, 60)?).iter().flat_map(|s| f.words(*s)).collect();
    let mut entries = Vec::new();
    for sector in f.chain(u32_at(data, 48)?) {
        let body = f.sector(sector);
        entries.extend(body.as_chunks::<128>().0.iter().filter_map(|e| entry(e)));
        if entries.len() > ENTRIES_MAX {
            break;
        }
    }
    let root = entries.iter().find(|e| e.kind == 5).map(|e| e.start);
    f.mini = root.map(|s| f.chain(s)).unwrap_or_default();
    Some((f, entries))
}

fn entry(e: &[u8]) -> Option<Entry> {
    let len = usize::from(u16_at(e, 64)?).min(64) & !1;
    let units: Vec<u16> = e.get(..len)?.as_chunks::<2>().0.iter().map(|c| u16::from_le_bytes(*c)).collect();
    let name = String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned();
    Some(Entry { name, kind: *e.get(66)?, start: u32_at(e, 116)?, size: u32_at(e, 120)?.into() })
}

impl<'a> File<'a> {
    fn sector(&self, n: u32) -> &'a [u8] {
        let start = (n as usize + 1) << self.shift;
        let rest = self.data.get(start..).unwrap_or_default();
        rest.get(..1 << self.shift).unwrap_or(rest)
    }

    fn words(&self, n: u32) -> impl Iterator<Item = u32> + use<'a> {
        self.sector(n).as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(*c))
    }

    fn sectors(&self) -> usize {
        (self.data.len() >> self.shift) + 1
    }

    fn read_fat(&self) -> Option<Vec<u32>> {
        let mut list: Vec<u32> = (0..109).filter_map(|n| u32_at(self.data, 76 + 4 * n)).collect();
        let mut next = u32_at(self.data, 68)?;
        let mut steps = 0;
        while next < END && steps < self.sectors() {
            let mut words: Vec<u32> = self.words(next).collect();
            next = words.pop().unwrap_or(END);
            list.extend(words);
            steps += 1;
        }
        list.truncate(self.sectors());
        Some(list.into_iter().filter(|s| *s < END).flat_map(|s| self.words(s)).collect())
    }

    fn chain(&self, start: u32) -> Vec<u32> {
        follow(&self.fat, start, self.sectors())
    }

    /// The octets of a stream, in order.
    fn pieces(&self, e: &Entry) -> Vec<&'a [u8]> {
        if e.size >= self.cutoff {
            return self.chain(e.start).into_iter().map(|s| self.sector(s)).collect();
        }
        let chain = follow(&self.mini_fat, e.start, self.sectors() << 4);
        chain.into_iter().map(|n| self.mini_sector(n)).collect()
    }

    fn mini_sector(&self, n: u32) -> &'a [u8] {
        let at = n as usize * 64;
        let sector = self.mini.get(at >> self.shift).map(|s| self.sector(*s)).unwrap_or_default();
        let rest = sector.get(at & ((1 << self.shift) - 1)..).unwrap_or_default();
        rest.get(..64).unwrap_or(rest)
    }
}

fn follow(table: &[u32], start: u32, max: usize) -> Vec<u32> {
    let mut out = Vec::new();
    let mut at = start;
    while at < END && out.len() < max {
        out.push(at);
        at = table.get(at as usize).copied().unwrap_or(END);
    }
    out
}

/// A stream as a reader.
struct Chain<'a> {
    pieces: std::vec::IntoIter<&'a [u8]>,
    now: &'a [u8],
    left: u64,
}

impl Read for Chain<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.pieces.next() {
                Some(p) => self.now = p,
                None => return Ok(0),
            }
        }
        let n = buf.len().min(self.now.len()).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (head, tail) = self.now.split_at(n);
        buf.get_mut(..n).into_iter().for_each(|b| b.copy_from_slice(head));
        self.now = tail;
        self.left -= n as u64;
        Ok(n)
    }
}

fn reader<'a>(f: &File<'a>, e: &Entry) -> Chain<'a> {
    Chain { pieces: f.pieces(e).into_iter(), now: &[], left: e.size }
}

fn stream(f: &File<'_>, e: &Entry, guess: bool, sink: &mut dyn Sink) {
    let shown = e.name.trim_start_matches(char::is_control);
    let meta = Meta { size: Some(e.size), guess, piece: true, ..Meta::named("OLE2", shown) };
    sink.decode(&meta, &mut reader(f, e));
    match e.name.as_str() {
        "\u{1}Ole10Native" => {
            sink.class(Class::Active, "an embedded package");
            native(f, e, sink);
        }
        "WordDocument" => word(f, e, sink),
        "Workbook" | "Book" => workbook(&held(f, e), sink),
        "PowerPoint Document" => presentation(&held(f, e), sink),
        _ => {}
    }
}

fn held(f: &File<'_>, e: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = reader(f, e).take(PARSE_MAX).read_to_end(&mut out); // what is there is looked at
    out
}

/// The file inside a package.
fn native(f: &File<'_>, e: &Entry, sink: &mut dyn Sink) {
    let mut head = Vec::new();
    if reader(f, e).take(4096).read_to_end(&mut head).is_err() {
        return;
    }
    let Some((names, at, size)) = native_head(&head) else { return };
    let mut r = reader(f, e);
    if io::copy(&mut r.by_ref().take(at as u64), &mut io::sink()).is_ok() {
        let meta = Meta { size: Some(size), names, ..Meta::plain("OLE2") };
        sink.decode(&meta, &mut r.take(size));
    }
}

/// Names, offset and size of the data of an Ole10Native stream.
pub fn native_head(d: &[u8]) -> Option<(Vec<String>, usize, u64)> {
    let text = |at: usize| {
        let rest = d.get(at..)?;
        let len = rest.iter().position(|c| *c == 0)?;
        Some((crate::mime::params::text(rest.get(..len)?), at + len + 1))
    };
    let (label, at) = text(6)?;
    let (file, at) = text(at)?;
    let len = u32_at(d, at + 4)? as usize;
    let at = at.checked_add(8)?.checked_add(len)?;
    let size = u32_at(d, at)?;
    let mut names = vec![file, label];
    names.retain(|n| !n.is_empty());
    names.dedup();
    Some((names, at + 4, size.into()))
}

/// fEncrypted of the file information block (MS-DOC 2.5.2).
fn word(f: &File<'_>, e: &Entry, sink: &mut dyn Sink) {
    let mut head = Vec::new();
    let read = reader(f, e).take(32).read_to_end(&mut head);
    if read.is_ok() && u16_at(&head, 10).is_some_and(|flags| flags & 0x0100 != 0) {
        sink.trouble(Trouble::Encrypted, "an encrypted Word document");
    }
}

/// FILEPASS, macro sheets and names that run at opening.
fn workbook(d: &[u8], sink: &mut dyn Sink) {
    let mut at = 0;
    let mut sheets = false;
    while let (Some(kind), Some(len)) = (u16_at(d, at), u16_at(d, at + 2)) {
        let body = d.get(at + 4..at + 4 + usize::from(len)).unwrap_or_default();
        match kind {
            0x002f => sink.trouble(Trouble::Encrypted, "an encrypted Excel workbook"),
            0x0085 if body.get(5) == Some(&1) => {
                sheets = true;
                sink.class(Class::Macro, "Excel 4 macro sheet");
            }
            // a built-in name whose number is Auto_Open or Auto_Close
            0x0018 if body.first().is_some_and(|f| f & 0x20 != 0) && matches!(body.get(15), Some(1 | 2)) && sheets => {
                sink.class(Class::AutoMacro, "Excel 4 macro that runs when opened");
            }
            _ => {}
        }
        at += 4 + usize::from(len);
    }
}

/// Objects packed with zlib inside a presentation: atoms of type 0x1011, instance 1.
fn presentation(d: &[u8], sink: &mut dyn Sink) {
    for at in memchr::memmem::find_iter(d, b"\x10\x00\x11\x10").take(1000) {
        let body = d.get(at + 12..).unwrap_or_default();
        if body.first() == Some(&0x78) && !sink.done() {
            let meta = Meta { guess: true, ..Meta::named("OLE2", "object") };
            sink.decode(&meta, &mut flate2::bufread::ZlibDecoder::new(body));
        }
    }
}
