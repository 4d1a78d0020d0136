//! Mail on disk: files, mbox files, Maildirs (with their subfolders' cur/ and new/), MH-like folders.
//!
//! Invariants  1. one message in memory at a time, and no more of it than is looked at   2. what cannot be read is
//!             reported and counted, the rest goes on

use crate::classify::read_bounded;
use anyhow::Context;
use penny_spam::view::READ_MAX;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Where one message lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
    /// Octets of an mbox it takes, its `From ` line left out.
    range: Option<(u64, u64)>,
}

/// Calls `each` for every message at `path`.
pub fn messages(path: &Path, each: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if path.as_os_str() == "-" {
        return each(&read_bounded(io::stdin().lock())?);
    }
    for place in places(path)? {
        if let Some(bytes) = place.read()? {
            each(&bytes)?;
        }
    }
    Ok(())
}

/// All messages at `path`: a file, an mbox, a Maildir or a folder of files.
pub fn places(path: &Path) -> anyhow::Result<Vec<Place>> {
    if path.is_dir() {
        return folder(path);
    }
    let mut file = BufReader::new(File::open(path).with_context(|| path.display().to_string())?);
    if !file.fill_buf()?.starts_with(b"From ") {
        return Ok(vec![Place { path: path.to_owned(), range: None }]);
    }
    let ranges = mbox(file)?;
    Ok(ranges.into_iter().map(|r| Place { path: path.to_owned(), range: Some(r) }).collect())
}

impl Place {
    /// The message, as far as it is looked at; `None` if it was moved away meanwhile.
    pub fn read(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut file = match File::open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| self.path.display().to_string())?,
        };
        let Some((at, length)) = self.range else {
            return Ok(Some(read_bounded(file)?));
        };
        file.seek(SeekFrom::Start(at))?;
        Ok(Some(unquote(&read_bounded(file.take(length))?)))
    }
}

/// A Maildir's new/ and cur/, or else every plain file.
fn folder(path: &Path) -> anyhow::Result<Vec<Place>> {
    let maildir = path.join("cur").is_dir();
    let folders = if maildir { vec![path.join("cur"), path.join("new")] } else { vec![path.to_owned()] };
    let mut files: Vec<PathBuf> = Vec::new();
    for dir in folders.iter().filter(|d| d.is_dir()) {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !hidden && entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name())); // Maildir names begin with the time of arrival
    Ok(files.into_iter().map(|path| Place { path, range: None }).collect())
}

/// Messages of an mbox as (offset, length): a line `From ` at the start or behind an empty line begins one.
fn mbox(mut file: impl BufRead) -> io::Result<Vec<(u64, u64)>> {
    let (mut out, mut line) = (Vec::new(), Vec::new());
    let (mut at, mut start, mut after_empty) = (0u64, None::<u64>, true);
    loop {
        line.clear();
        // a line longer than what is looked at is read in pieces
        let n = Read::take(&mut file, READ_MAX as u64).read_until(b'\n', &mut line)?;
        if n == 0 || (after_empty && line.starts_with(b"From ")) {
            out.extend(start.map(|s| (s, at - s)));
            start = Some(at + n as u64);
        }
        if n == 0 {
            return Ok(out);
        }
        at += n as u64;
        after_empty = line == b"\n" || line == b"\r\n";
    }
}

/// Takes one `>` from each line `>From `, `>>From ` ...
fn unquote(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|&c| c == b'\n') {
        let bare = line.iter().position(|&c| c != b'>').and_then(|i| line.get(i..)).unwrap_or(b"");
        let quoted = line.starts_with(b">") && bare.starts_with(b"From ");
        out.extend_from_slice(if quoted { line.get(1..).unwrap_or(b"") } else { line });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mbox_splits_and_unquotes() {
        let text = b"From a\nS: 1\n\nx\n>From y\nFrom not a start\n\nFrom b\nS: 2\n\n";
        let got: Vec<Vec<u8>> = mbox(&text[..])
            .unwrap()
            .into_iter()
            .map(|(at, length)| unquote(&text[at as usize..(at + length) as usize]))
            .collect();
        assert_eq!(got, [&b"S: 1\n\nx\nFrom y\nFrom not a start\n\n"[..], b"S: 2\n\n"]);
        assert!(mbox(&b""[..]).unwrap().is_empty());
    }
}
