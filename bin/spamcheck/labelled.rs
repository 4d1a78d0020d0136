//! Mail on disk: files, mbox files, Maildirs (with their subfolders' cur/ and new/), MH-like folders.
//!
//! Invariants  1. one message in memory at a time, and no more of it than is looked at   2. what cannot be read is
//!             reported and counted, the rest goes on

use crate::classify::read_bounded;
use penny_spam::view::READ_MAX;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Calls `each` for every message at `path`.
pub fn messages(path: &Path, each: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if path.as_os_str() == "-" {
        return each(&read_bounded(io::stdin().lock())?);
    }
    if path.is_dir() {
        return folder(path, each);
    }
    let mut file = BufReader::new(File::open(path)?);
    if file.fill_buf()?.starts_with(b"From ") { mbox(file, each) } else { each(&read_bounded(file)?) }
}

/// A Maildir's new/ and cur/, or else every plain file.
fn folder(path: &Path, each: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
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
    files.sort();
    for file in files {
        match File::open(&file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {} // moved or read meanwhile
            other => each(&read_bounded(other?)?)?,
        }
    }
    Ok(())
}

/// An mbox: a line `From ` at the start or behind an empty line begins a message; `>From ` lines lose their mark.
fn mbox(mut file: impl BufRead, each: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (mut message, mut line) = (Vec::new(), Vec::new());
    let mut after_empty = true;
    let mut any = false;
    loop {
        line.clear();
        // a line longer than what is looked at is read in pieces
        let n = Read::take(&mut file, READ_MAX as u64).read_until(b'\n', &mut line)?;
        if n == 0 || (after_empty && line.starts_with(b"From ")) {
            if any {
                each(&message)?;
            }
            message.clear();
            any = n > 0;
            after_empty = false;
            if n == 0 {
                return Ok(());
            }
            continue;
        }
        after_empty = line == b"\n" || line == b"\r\n";
        let quoted = line.trim_ascii_start().starts_with(b">") && {
            let bare = line.iter().position(|&c| c != b'>').and_then(|i| line.get(i..)).unwrap_or(b"");
            bare.starts_with(b"From ")
        };
        let text = if quoted { line.get(1..).unwrap_or(b"") } else { &line };
        let room = (READ_MAX + 1).saturating_sub(message.len());
        message.extend_from_slice(text.get(..room).unwrap_or(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mbox_splits_and_unquotes() {
        let text = b"From a\nS: 1\n\nx\n>From y\nFrom not a start\n\nFrom b\nS: 2\n\n";
        let mut got = Vec::new();
        mbox(&text[..], &mut |m| {
            got.push(String::from_utf8_lossy(m).into_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(got, ["S: 1\n\nx\nFrom y\nFrom not a start\n\n", "S: 2\n\n"]);
    }
}
