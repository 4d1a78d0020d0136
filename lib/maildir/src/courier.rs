//! Courier's files: read once at take-over, written once on the way back.
//!
//! Format      `courierimapuiddb`: `1 <uidvalidity> <uidnext>`, lines `<uid> <base name>` (a uidlist version 1);
//!             `courierimapsubscribed` in the root: names as `INBOX.Sent.2024`;
//!             `courierimapkeywords/:list`: keyword names, an empty line, then `<base name>:<number> <number>...`
//! Invariants  nothing of Courier's is removed; files of ours that exist already are not touched
//! Trust       any bytes

use std::collections::HashMap;
use std::path::Path;

use crate::dir::create_file;
use crate::error::{Error, Result};
use crate::folder::{DiskEncoding, FolderName};
use crate::keywords::KeywordTable;
use crate::mailbox::{FlagOp, FlagSet, Mailbox};
use crate::name;
use crate::subscriptions::{self, Subscriptions};
use crate::uidlist::{self, Contents, Header};

/// Courier's UID file.
pub const UIDS: &str = "courierimapuiddb";
/// Courier's subscriptions.
pub const SUBSCRIBED: &str = "courierimapsubscribed";
/// Courier's keyword list.
pub const KEYWORDS: &str = "courierimapkeywords/:list";

/// Makes a uidlist from Courier's UIDs; false if there is nothing to take or a uidlist exists.
pub fn take_uids(folder: &Path) -> Result<bool> {
    let target = folder.join(uidlist::FILE);
    if target.exists() {
        return Ok(false);
    }
    let source = folder.join(UIDS);
    let Some(contents) = Contents::read(&source)? else { return Ok(false) };
    let header = contents.header.clone().filter(|_| contents.version == 1);
    let header = header.ok_or(Error::Corrupt { path: source, why: "not Courier's format" })?;
    let (entries, odd) = contents.entries();
    let next = header.next.max(entries.last().map_or(0, |e| e.uid + 1)).saturating_add(odd as u32);
    let mut text = Vec::new();
    Header { next, guid: None, ..header }.write(&mut text);
    entries.iter().for_each(|e| e.write(&mut text));
    uidlist::replace(folder, &text)?;
    Ok(true)
}

/// Writes Courier's UIDs from the uidlist; Courier must not be running.
pub fn give_uids(folder: &Path) -> Result<bool> {
    let Some(contents) = Contents::read(&folder.join(uidlist::FILE))? else { return Ok(false) };
    let Some(header) = contents.header.clone() else { return Ok(false) };
    let (entries, _) = contents.entries();
    let next = header.next.max(entries.last().map_or(0, |e| e.uid + 1));
    let mut text = format!("1 {} {next}\n", header.validity).into_bytes();
    for e in entries {
        text.extend_from_slice(format!("{} ", e.uid).as_bytes());
        text.extend_from_slice(e.base);
        text.push(b'\n');
    }
    write_new(folder, UIDS, &text)?;
    Ok(true)
}

/// Temporary file, fsync, rename, fsync of the directory.
fn write_new(folder: &Path, file_name: &str, text: &[u8]) -> Result<()> {
    use std::io::Write;
    let tmp = folder.join("tmp").join(name::unique());
    let mut file = create_file(&tmp).map_err(Error::io("create", &tmp))?;
    let path = folder.join(file_name);
    let written = file.write_all(text).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&tmp, &path));
    written.map_err(Error::io("write", &path))?;
    penny_sys::files::sync_dir(folder).map_err(Error::io("sync", folder))
}

/// Subscriptions from Courier's list, if there are none yet; returns how many.
pub fn take_subscriptions(root: &Path, encoding: DiskEncoding) -> Result<usize> {
    let source = root.join(SUBSCRIBED);
    if root.join(subscriptions::FILE).exists() {
        return Ok(0);
    }
    let text = match std::fs::read(&source) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(Error::io("read", &source)(e)),
    };
    let name = |line: &str| match line.strip_prefix("INBOX").or_else(|| line.strip_prefix("inbox"))? {
        "" => Some(FolderName::inbox()),
        rest => FolderName::from_dir(rest, encoding),
    };
    let names: Vec<FolderName> = text.lines().filter_map(name).collect();
    Subscriptions::new(root, encoding).replace_all(&names)?;
    Ok(names.len())
}

/// Courier's list from ours.
pub fn give_subscriptions(root: &Path, encoding: DiskEncoding) -> Result<usize> {
    let names = Subscriptions::new(root, encoding).list()?;
    let lines = names.iter().map(|n| format!("INBOX{}\n", n.dir_name(encoding).unwrap_or_default()));
    write_new(root, SUBSCRIBED, lines.collect::<String>().as_bytes())?;
    Ok(names.len())
}

/// Keyword names of each message, by base name.
pub fn read_keywords(folder: &Path) -> Result<HashMap<Vec<u8>, Vec<String>>> {
    let path = folder.join(KEYWORDS);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(parse_keywords(&bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(HashMap::new()),
        Err(e) => Err(Error::io("read", &path)(e)),
    }
}

fn parse_keywords(bytes: &[u8]) -> HashMap<Vec<u8>, Vec<String>> {
    let mut lines = bytes.split(|c| *c == b'\n');
    let names: Vec<String> =
        lines.by_ref().take_while(|l| !l.is_empty()).map(|l| String::from_utf8_lossy(l).into_owned()).collect();
    let entry = |line: &[u8]| {
        let colon = memchr::memchr(b':', line)?;
        let (base, list) = line.split_at(colon);
        let numbers = list.get(1..)?.split(|c| *c == b' ').filter_map(name::decimal);
        let words: Vec<String> = numbers.filter_map(|n| names.get(usize::try_from(n).ok()?).cloned()).collect();
        Some((base.to_vec(), words)).filter(|(_, w)| !w.is_empty())
    };
    lines.filter_map(entry).collect()
}

/// Gives the messages of an open mailbox Courier's keywords, unless Dovecot's keyword file exists; returns how many.
pub fn take_keywords(mailbox: &mut Mailbox) -> Result<usize> {
    let folder = mailbox.maildir().path().to_path_buf();
    if folder.join(crate::keywords::FILE).exists() {
        return Ok(0);
    }
    let all = read_keywords(&folder)?;
    let uids: Vec<u32> = mailbox.messages().map(|m| m.uid).collect();
    let mut count = 0;
    for uid in uids {
        let Some(keywords) = mailbox.base_name(uid).and_then(|b| all.get(&b).cloned()) else { continue };
        let set = FlagSet { keywords, ..FlagSet::default() };
        count += mailbox.store(&[uid], FlagOp::Add, &set, None)?.changed.len();
    }
    Ok(count)
}

/// How the folder names of a tree seem to be encoded: a byte above 0x7f, or an '&' that is no modified UTF-7, is UTF-8.
pub fn detect_encoding(dirs: &[String]) -> DiskEncoding {
    let odd = |d: &String| !d.is_ascii() || FolderName::from_dir(d, DiskEncoding::Mutf7).is_none();
    let utf8 = dirs.iter().filter(|d| FolderName::from_dir(d, DiskEncoding::Utf8).is_some()).any(odd);
    if utf8 { DiskEncoding::Utf8 } else { DiskEncoding::Mutf7 }
}

/// The keyword table of a folder, for reports.
pub fn keyword_names(folder: &Path) -> Result<Vec<String>> {
    Ok(KeywordTable::read(folder)?.names().iter().flatten().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::Maildir;
    use crate::mailbox::Mode;
    use crate::store::{Store, StoreOptions};
    use crate::testdir::TestDir;

    #[test]
    fn a_courier_folder_keeps_uids_keywords_and_subscriptions() {
        let t = TestDir::new();
        let root = Maildir::create(&t.path().join("M")).unwrap();
        let path = root.path();
        for (i, base) in ["1.a.h", "2.b.h", "3.c.h"].iter().enumerate() {
            std::fs::write(root.cur_dir().join(format!("{base}:2,{}", ["", "S", "F"][i])), "x\n").unwrap();
        }
        std::fs::write(path.join(UIDS), "1 795410474 9\n3 1.a.h\n8 2.b.h\n").unwrap();
        std::fs::write(path.join(SUBSCRIBED), "INBOX\nINBOX.Sent.2024\n").unwrap();
        std::fs::create_dir(path.join("courierimapkeywords")).unwrap();
        std::fs::write(path.join(KEYWORDS), "Work\n$Later\n\n2.b.h:0 1\ngone:1\nodd\n").unwrap();
        assert!(take_uids(path).unwrap() && !take_uids(path).unwrap());
        assert_eq!(take_subscriptions(path, DiskEncoding::Mutf7).unwrap(), 2);
        let store = Store::open(path, StoreOptions::default()).unwrap();
        let mut m = store.mailbox(&FolderName::inbox(), Mode::ReadWrite).unwrap();
        assert_eq!(m.status().uidvalidity, 795_410_474);
        assert_eq!(m.messages().map(|m| m.uid).collect::<Vec<_>>(), [3, 8, 9]);
        assert_eq!(take_keywords(&mut m).unwrap(), 1);
        let set = m.get(8).unwrap().keywords;
        assert_eq!(m.keyword_names(set).collect::<Vec<_>>(), ["Work", "$Later"]);
        assert_eq!(store.subscriptions().unwrap().len(), 2);
        drop(m);
        std::fs::remove_file(path.join(UIDS)).unwrap();
        assert!(give_uids(path).unwrap());
        assert_eq!(std::fs::read_to_string(path.join(UIDS)).unwrap(), "1 795410474 10\n3 1.a.h\n8 2.b.h\n9 3.c.h\n");
        give_subscriptions(path, DiskEncoding::Mutf7).unwrap();
        assert_eq!(std::fs::read_to_string(path.join(SUBSCRIBED)).unwrap(), "INBOX\nINBOX.Sent.2024\n");
    }

    #[test]
    fn encodings_are_told_apart() {
        let dirs = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(detect_encoding(&dirs(&[".Sent", ".Entw&APw-rfe"])), DiskEncoding::Mutf7);
        assert_eq!(detect_encoding(&dirs(&[".Sent", ".Entwürfe"])), DiskEncoding::Utf8);
        assert_eq!(detect_encoding(&dirs(&[".R&D"])), DiskEncoding::Utf8);
    }
}
