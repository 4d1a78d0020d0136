//! Where imported messages come from: mbox, MH, Maildir trees, read without changing them.
//!
//! Invariants  a message is handed on with its flags, keywords and date, and a key that names it in the resume file

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use penny_maildir::keywords::KeywordTable;
use penny_maildir::mailbox::Keywords;
use penny_maildir::{DiskEncoding, FlagSet, FolderName, Info, Maildir, mbox, mh, name};

use crate::args::Format;

/// A message on its way in.
pub struct Item<'a> {
    /// Names it within the source.
    pub key: String,
    /// The folder within the source.
    pub folder: &'a FolderName,
    /// Flags and keywords.
    pub set: FlagSet,
    /// INTERNALDATE.
    pub date: Option<SystemTime>,
    /// How far the source is read, in the unit of its total.
    pub at: u64,
}

/// Takes messages: `begin` says whether it wants one and where its bytes go, `done` that they are complete.
pub trait Sink {
    /// Where bytes are written.
    type Out: Write;
    /// False: the message need not even be fetched (it is there already, or nothing is to be changed).
    fn wants(&mut self, item: &Item<'_>) -> bool;
    /// A message begins; `None` skips it.
    fn begin(&mut self, item: &Item<'_>) -> anyhow::Result<Option<Self::Out>>;
    /// It is complete.
    fn done(&mut self, item: Item<'_>, out: Self::Out) -> anyhow::Result<()>;
}

/// Finds out what kind of source a path is.
pub fn detect(path: &Path) -> Format {
    if Maildir::is_at(path) {
        Format::Maildir
    } else if path.is_dir() {
        Format::Mh
    } else {
        Format::Mbox
    }
}

/// The size of a source in its own unit (octets or messages), if known, for the progress bar.
pub fn total(path: &Path, format: Format) -> Option<u64> {
    match format {
        Format::Mbox => std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|m| m.len()),
        Format::Mh => mh::messages(path).ok().map(|m| m.len() as u64),
        _ => None,
    }
}

/// Reads an mbox file, or standard input for `-`.
pub fn read_mbox(path: &Path, sink: &mut impl Sink) -> anyhow::Result<()> {
    let input: Box<dyn BufRead> = match path == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path).with_context(|| path.display().to_string())?)),
    };
    let folder = FolderName::inbox();
    let mut reader = mbox::Reader::new(input)?;
    loop {
        let mut failed = None;
        let next = reader.next(|meta| {
            let item = mbox_item(&folder, meta, meta.offset);
            match sink.begin(&item) {
                Ok(Some(out)) => Ok(Maybe::Some(out)),
                Ok(None) => Ok(Maybe::None),
                Err(e) => {
                    failed = Some(e);
                    Err(std::io::Error::other("stopped"))
                }
            }
        });
        let next = match (next, failed) {
            (_, Some(e)) => return Err(e),
            (next, None) => next.context("reading the mbox")?,
        };
        let Some((meta, out)) = next else { return Ok(()) };
        if let Maybe::Some(out) = out {
            sink.done(mbox_item(&folder, &meta, reader.position()), out)?;
        }
    }
}

fn mbox_item<'a>(folder: &'a FolderName, meta: &mbox::Meta, at: u64) -> Item<'a> {
    let date = meta.date.and_then(|d| u64::try_from(d).ok()).map(|d| UNIX_EPOCH + Duration::from_secs(d));
    let set = FlagSet { flags: meta.flags, keywords: meta.keywords.clone() };
    Item { key: format!("mbox:{}", meta.offset), folder, set, date, at }
}

/// Somewhere to write, or nowhere.
enum Maybe<W> {
    Some(W),
    None,
}

impl<W: Write> Write for Maybe<W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        match self {
            Maybe::Some(out) => out.write(data),
            Maybe::None => Ok(data.len()),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads an MH folder.
pub fn read_mh(path: &Path, sink: &mut impl Sink) -> anyhow::Result<()> {
    let folder = FolderName::inbox();
    let sequences = mh::Sequences::read(path)?;
    for (i, number) in mh::messages(path)?.into_iter().enumerate() {
        let set = FlagSet { flags: sequences.flags(number), keywords: sequences.keywords(number) };
        let item = Item { key: format!("mh:{number}"), folder: &folder, set, date: None, at: i as u64 };
        pass(&path.join(number.to_string()), item, sink)?;
    }
    Ok(())
}

/// Reads a Maildir with its folders.
pub fn read_maildir(path: &Path, encoding: DiskEncoding, sink: &mut impl Sink) -> anyhow::Result<()> {
    let root = Maildir::open(path)?;
    one_folder(root.path(), &FolderName::inbox(), sink)?;
    for dir in root.folder_dirs()? {
        match FolderName::from_dir(&dir, encoding) {
            Some(name) => one_folder(&path.join(&dir), &name, sink)?,
            None => anyhow::bail!("{dir:?} is no folder name in this encoding (try --utf8)"),
        }
    }
    Ok(())
}

fn one_folder(path: &Path, folder: &FolderName, sink: &mut impl Sink) -> anyhow::Result<()> {
    let keywords = KeywordTable::read(path)?;
    let mut files: Vec<(Vec<u8>, PathBuf)> = Vec::new();
    for sub in ["cur", "new"] {
        for entry in std::fs::read_dir(path.join(sub)).with_context(|| path.display().to_string())?.flatten() {
            let bytes = entry.file_name().as_bytes().to_vec();
            if bytes.first() != Some(&b'.') && entry.path().is_file() {
                files.push((bytes, entry.path()));
            }
        }
    }
    files.sort_by(|a, b| name::arrival_order(&a.0, &b.0));
    for (i, (bytes, file)) in files.into_iter().enumerate() {
        let (base, info) = name::split(&bytes);
        let info = Info::parse(info);
        let names = Keywords(info.letters.into()).iter().map(|n| keywords.name(n)).collect();
        let key = format!("maildir:{}:{}", folder.parts().join("/"), String::from_utf8_lossy(base));
        let set = FlagSet { flags: info.flags, keywords: names };
        pass(&file, Item { key, folder, set, date: None, at: i as u64 }, sink)?;
    }
    Ok(())
}

/// Hands one file on; its mtime is the date, CRLF line ends become LF.
fn pass(path: &Path, mut item: Item<'_>, sink: &mut impl Sink) -> anyhow::Result<()> {
    let mut file = match penny_sys::files::open_regular(path) {
        Ok(file) => file,
        // Renamed by its reader meanwhile, or no message at all.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    item.date = file.metadata()?.modified().ok();
    let Some(mut out) = sink.begin(&item)? else { return Ok(()) };
    copy_lf(&mut file, &mut out).with_context(|| path.display().to_string())?;
    sink.done(item, out)
}

/// Copies with every CRLF as LF.
pub fn copy_lf(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut buffer = vec![0u8; 64 * 1024];
    let mut carry = false;
    loop {
        let n = from.read(&mut buffer)?;
        let data = buffer.get(..n).unwrap_or_default();
        if data.is_empty() {
            return if carry { to.write_all(b"\r") } else { Ok(()) };
        }
        for part in data.split_inclusive(|c| *c == b'\r' || *c == b'\n') {
            if carry && part != b"\n" {
                to.write_all(b"\r")?;
            }
            carry = part.ends_with(b"\r");
            to.write_all(if carry { part.get(..part.len() - 1).unwrap_or_default() } else { part })?;
        }
    }
}
