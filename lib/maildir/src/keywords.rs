//! Keyword names of a mailbox: 26 with a letter in file names, shared with Dovecot; further ones in a file of ours.
//!
//! Format      `dovecot-keywords`: lines `<0..25> <name>`; letter = 'a' + number.
//!             `pennypost-keywords`: lines `k <26..63> <name>` and, for each message that has such keywords,
//!             `m <base name> <number> <number> ...`; the last line of a message counts
//! Invariants  1. written only under the uidlist lock, replaced by rename after fsync
//!             2. a number in use is never given to another name; lookups do not regard ASCII case
//!             3. mtime of `dovecot-keywords` grows by at least one second on each write: Dovecot compares whole seconds
//! Trust       other programs of the same user write these: any bytes

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use penny_sys::files::{self, Stamp};

use crate::dir::create_file;
use crate::dotlock::{Dotlock, STALE_UIDLIST};
use crate::error::{Error, Result, if_there};
use crate::mailbox::Keywords;
use crate::name::LETTER_KEYWORDS;

/// Dovecot's file.
pub const FILE: &str = "dovecot-keywords";
/// Ours for what has no letter.
pub const MORE_FILE: &str = "pennypost-keywords";
/// All keywords a mailbox can have.
pub const MAX: u32 = 64;
/// Longest keyword accepted.
pub const NAME_MAX: usize = 255;

/// Numbers and names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeywordTable {
    names: Vec<Option<String>>,
    stamps: (Option<Stamp>, Option<Stamp>),
}

/// Which messages have keywords without a letter, by base name.
pub type MoreKeywords = BTreeMap<Vec<u8>, u64>;

impl KeywordTable {
    /// Reads both files of a folder; missing or odd lines are skipped.
    pub fn read(folder: &Path) -> Result<KeywordTable> {
        let mut table = KeywordTable { stamps: stamps(folder)?, ..KeywordTable::default() };
        for line in read_lines(&folder.join(FILE))? {
            table.take(&line, 0, LETTER_KEYWORDS);
        }
        for line in read_lines(&folder.join(MORE_FILE))? {
            if let Some(rest) = line.strip_prefix("k ") {
                table.take(rest, LETTER_KEYWORDS, MAX);
            }
        }
        Ok(table)
    }

    fn take(&mut self, line: &str, from: u32, to: u32) {
        let Some((number, name)) = line.split_once(' ') else { return };
        let number: u32 = number.parse().unwrap_or(u32::MAX);
        if (from..to).contains(&number) && !name.is_empty() {
            self.put(number, name);
        }
    }

    fn put(&mut self, number: u32, name: &str) {
        let at = number as usize;
        if self.names.len() <= at {
            self.names.resize(at + 1, None);
        }
        if let Some(slot) = self.names.get_mut(at) {
            *slot = Some(name.to_string());
        }
    }

    /// True if the files are still those that were read.
    pub fn is_current(&self, folder: &Path) -> Result<bool> {
        Ok(stamps(folder)? == self.stamps)
    }

    /// Names by number; `None` where a number has no name.
    pub fn names(&self) -> &[Option<String>] {
        &self.names
    }

    /// The name to show for a number; letters without a name are `unknown-<n>`, as in Dovecot.
    pub fn name(&self, number: u32) -> String {
        let known = self.names.get(number as usize).and_then(Clone::clone);
        known.unwrap_or_else(|| format!("unknown-{number}"))
    }

    /// The number of a name.
    pub fn number(&self, name: &str) -> Option<u32> {
        let found = self.names.iter().position(|n| n.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(name)));
        if let Some(found) = found {
            return u32::try_from(found).ok();
        }
        let (word, digits) = name.split_at_checked("unknown-".len())?;
        let number: u32 = digits.parse().ok().filter(|n| *n < MAX)?;
        let free = self.names.get(number as usize).is_none_or(Option::is_none);
        (word.eq_ignore_ascii_case("unknown-") && free).then_some(number)
    }

    /// The set of the names that exist here.
    pub fn lookup<S: AsRef<str>>(&self, names: &[S]) -> Keywords {
        Keywords(names.iter().filter_map(|n| self.number(n.as_ref())).fold(0, |bits, n| bits | Keywords::one(n).0))
    }

    /// The names that must be added before all of these can be stored.
    pub fn missing<'a, S: AsRef<str>>(&self, names: &'a [S]) -> Vec<&'a str> {
        names.iter().map(AsRef::as_ref).filter(|n| self.number(n).is_none()).collect()
    }

    /// Gives numbers to new names and writes the files. The caller holds the uidlist lock and has read the table
    /// under it; `used` are the numbers that messages have, so that a nameless letter in use is not taken.
    pub fn add(&mut self, folder: &Path, names: &[&str], used: u64) -> Result<()> {
        let before = self.clone();
        for name in names {
            if self.number(name).is_some() {
                continue;
            }
            if !is_atom(name) {
                return Err(Error::BadName { name: (*name).to_string(), why: "not a keyword" });
            }
            let taken =
                |n: u32| used & Keywords::one(n).0 != 0 || self.names.get(n as usize).is_some_and(Option::is_some);
            let free = (0..MAX).find(|n| !taken(*n)).ok_or(Error::Limit("keywords in this mailbox"))?;
            self.put(free, name);
        }
        let written = self.write_changed(folder, &before);
        if written.is_err() {
            *self = before;
        }
        written
    }

    fn write_changed(&mut self, folder: &Path, before: &KeywordTable) -> Result<()> {
        let (letters, more) = (LETTER_KEYWORDS as usize, &self.names);
        let part = |names: &[Option<String>], low: bool| -> Vec<Option<String>> {
            if low {
                names.iter().take(letters).cloned().collect()
            } else {
                names.iter().skip(letters).cloned().collect()
            }
        };
        if part(more, true) != part(&before.names, true) {
            self.write_letters(folder)?;
        }
        if part(&self.names, false) != part(&before.names, false) {
            let members = read_more(folder)?;
            self.write_more(folder, &members)?;
        }
        self.stamps = stamps(folder)?;
        Ok(())
    }

    fn write_letters(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        // Dovecot takes this lock as well as the uidlist's.
        let _lock = Dotlock::take(&path, STALE_UIDLIST)?;
        let mut text = String::new();
        for (i, name) in self.names.iter().take(LETTER_KEYWORDS as usize).enumerate() {
            if let Some(name) = name {
                text.push_str(&format!("{i} {name}\n"));
            }
        }
        let earlier = std::fs::metadata(&path).and_then(|m| m.modified()).ok();
        let later = earlier.map(|e| SystemTime::now().max(e + Duration::from_secs(1)));
        replace(folder, FILE, text.as_bytes(), later)
    }

    /// Writes our file: names from 26 on, and the messages that have them.
    pub fn write_more(&mut self, folder: &Path, members: &MoreKeywords) -> Result<()> {
        let mut text = Vec::new();
        for (i, name) in self.names.iter().enumerate().skip(LETTER_KEYWORDS as usize) {
            if let Some(name) = name {
                text.extend_from_slice(format!("k {i} {name}\n").as_bytes());
            }
        }
        for (base, bits) in members {
            text.extend_from_slice(&member_line(base, *bits));
        }
        replace(folder, MORE_FILE, &text, None)?;
        self.stamps = stamps(folder)?;
        Ok(())
    }

    /// Notes the further keywords of messages: one append, synced, before the change counts as made.
    pub fn append_more(&mut self, folder: &Path, members: &[(Vec<u8>, u64)]) -> Result<()> {
        let path = folder.join(MORE_FILE);
        let mut text: Vec<u8> = Vec::new();
        for (base, bits) in members {
            text.extend_from_slice(&member_line(base, *bits));
        }
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).map_err(Error::io("open", &path))?;
        file.write_all(&text).map_err(Error::io("append to", &path))?;
        file.sync_data().map_err(Error::io("sync", &path))?;
        self.stamps = stamps(folder)?;
        Ok(())
    }
}

fn member_line(base: &[u8], bits: u64) -> Vec<u8> {
    let mut line = b"m ".to_vec();
    line.extend_from_slice(base);
    for n in Keywords(bits).iter().filter(|n| *n >= LETTER_KEYWORDS) {
        line.extend_from_slice(format!(" {n}").as_bytes());
    }
    line.push(b'\n');
    line
}

/// Reads which messages have keywords without a letter.
pub fn read_more(folder: &Path) -> Result<MoreKeywords> {
    let mut out = MoreKeywords::new();
    let path = folder.join(MORE_FILE);
    let Some(bytes) = if_there(&path, files::while_stale(|| std::fs::read(&path)))? else { return Ok(out) };
    // A last line without LF is a torn append.
    let complete = memchr::memrchr(b'\n', &bytes).map_or(0, |i| i);
    for line in bytes.get(..complete).unwrap_or_default().split(|c| *c == b'\n') {
        let Some(rest) = line.strip_prefix(b"m ") else { continue };
        let mut fields = rest.split(|c| *c == b' ');
        let base = fields.next().unwrap_or_default().to_vec();
        let numbers = fields.filter_map(|f| std::str::from_utf8(f).ok()?.parse::<u32>().ok());
        let bits = numbers.filter(|n| (LETTER_KEYWORDS..MAX).contains(n)).fold(0, |b, n| b | Keywords::one(n).0);
        match bits {
            0 => out.remove(&base),
            _ => out.insert(base, bits),
        };
    }
    Ok(out)
}

fn stamps(folder: &Path) -> Result<(Option<Stamp>, Option<Stamp>)> {
    let at = |name: &str| {
        let path = folder.join(name);
        Stamp::at(&path).map_err(Error::io("stat", &path))
    };
    Ok((at(FILE)?, at(MORE_FILE)?))
}

fn read_lines(path: &Path) -> Result<Vec<String>> {
    let Some(bytes) = if_there(path, files::while_stale(|| std::fs::read(path)))? else { return Ok(Vec::new()) };
    Ok(bytes.split(|c| *c == b'\n').map(|l| String::from_utf8_lossy(l).into_owned()).collect())
}

/// An IMAP flag-keyword is an atom (RFC 9051 9); names are kept within what a line of the files can hold.
fn is_atom(name: &str) -> bool {
    let special = |c: char| c <= ' ' || c == '\u{7f}' || "(){%*\"\\]".contains(c);
    !name.is_empty() && name.len() <= NAME_MAX && name.is_ascii() && !name.chars().any(special)
}

/// Temporary file, fsync, rename, fsync of the directory.
fn replace(folder: &Path, name: &str, content: &[u8], mtime: Option<SystemTime>) -> Result<()> {
    let tmp = folder.join(format!("{name}.tmp"));
    let _ = std::fs::remove_file(&tmp);
    let mut file = create_file(&tmp).map_err(Error::io("create", &tmp))?;
    file.write_all(content).map_err(Error::io("write", &tmp))?;
    if let Some(mtime) = mtime {
        file.set_modified(mtime).map_err(Error::io("set time of", &tmp))?;
    }
    file.sync_all().map_err(Error::io("sync", &tmp))?;
    let path = folder.join(name);
    std::fs::rename(&tmp, &path).map_err(Error::io("rename to", &path))?;
    files::sync_dir(folder).map_err(Error::io("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    #[test]
    fn dovecots_file_is_read_and_continued() {
        let t = TestDir::new();
        std::fs::write(t.path().join(FILE), "0 $Forwarded\n1 Work\n3 Zeta\n99 no\nodd\n").unwrap();
        let mut table = KeywordTable::read(t.path()).unwrap();
        assert_eq!(table.number("work"), Some(1));
        assert_eq!(table.name(2), "unknown-2");
        assert_eq!(table.number("unknown-2"), Some(2));
        table.add(t.path(), &["new", "WORK", "more"], 1 << 2).unwrap();
        let text = std::fs::read_to_string(t.path().join(FILE)).unwrap();
        assert_eq!(text, "0 $Forwarded\n1 Work\n3 Zeta\n4 new\n5 more\n");
        assert!(table.is_current(t.path()).unwrap());
        assert_eq!(KeywordTable::read(t.path()).unwrap(), table);
    }

    #[test]
    fn mtime_grows_by_whole_seconds() {
        let t = TestDir::new();
        let mut table = KeywordTable::default();
        let mut last = 0;
        for name in ["a", "b", "c"] {
            table.add(t.path(), &[name], 0).unwrap();
            let now = Stamp::at(&t.path().join(FILE)).unwrap().unwrap().mtime;
            assert!(now > last);
            last = now;
        }
    }

    #[test]
    fn beyond_26_go_to_our_file_and_64_is_the_end() {
        let t = TestDir::new();
        let mut table = KeywordTable::default();
        let names: Vec<String> = (0..64).map(|i| format!("kw{i}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        table.add(t.path(), &all, 0).unwrap();
        table.append_more(t.path(), &[(b"m1".to_vec(), 1 << 26 | 1 << 63), (b"m2".to_vec(), 1 << 30)]).unwrap();
        table.append_more(t.path(), &[(b"m2".to_vec(), 0)]).unwrap();
        let read = KeywordTable::read(t.path()).unwrap();
        assert_eq!(read.number("KW63"), Some(63));
        let more = read_more(t.path()).unwrap();
        assert_eq!(more.into_iter().collect::<Vec<_>>(), [(b"m1".to_vec(), 1 << 26 | 1 << 63)]);
        assert!(matches!(table.add(t.path(), &["one more"], 0), Err(Error::BadName { .. })));
        assert!(matches!(table.add(t.path(), &["one-more"], 0), Err(Error::Limit(_))));
        assert_eq!(table.number("one-more"), None);
    }
}
