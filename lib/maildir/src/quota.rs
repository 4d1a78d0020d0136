//! Maildir++ quota: the `maildirsize` file that Dovecot and Courier read too.
//!
//! Standards   Maildir++ quota (README.maildirquota of Courier), rules as in Dovecot's maildir quota backend
//! Format      line 1: limits, `<n>S` octets and `<n>C` messages by comma; then `<octets> <messages>` lines whose sum is the usage
//! Invariants  1. the file is appended to with one O_APPEND write, or replaced by rename; never edited in place
//!             2. it is removed, not trusted, when folders changed whenever it was counted; kept where only it names the limits
//! Failures    a missing or odd file is recounted; I/O errors are temporary
//! Trust       the file may be written by other programs of the same user: any content

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use penny_sys::files;

use crate::dir::{Maildir, create_file};
use crate::error::{Error, Result};
use crate::name;

/// Name of the file in the root.
pub const FILE: &str = "maildirsize";
/// A file this long is recounted (Maildir++).
const FILE_MAX: usize = 5120;
/// How often it is counted while mail comes and goes.
const RECOUNTS: u32 = 3;
/// Over quota and older than this: recounted before mail is refused (Maildir++: 15 minutes).
const STALE: Duration = Duration::from_secs(15 * 60);

/// The limits of line 1; `None` = unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Octets on disk.
    pub storage: Option<u64>,
    /// Messages.
    pub messages: Option<u64>,
}

impl Limits {
    /// Reads a definition such as `104857600S,1000C`; 0 means no limit.
    pub fn parse(text: &str) -> Option<Limits> {
        let mut out = Limits::default();
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let (digits, unit) = part.split_at_checked(part.len() - 1)?;
            let value = name::decimal(digits.as_bytes())?;
            let value = (value > 0).then_some(value);
            match unit {
                "S" => out.storage = value,
                "C" => out.messages = value,
                _ => return None,
            }
        }
        Some(out)
    }

    /// True if nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        self.storage.is_none() && self.messages.is_none()
    }

    /// True if the usage is within the limits.
    pub fn admit(&self, usage: Usage) -> bool {
        self.storage.is_none_or(|max| usage.storage <= max) && self.messages.is_none_or(|max| usage.messages <= max)
    }
}

impl std::fmt::Display for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.storage, self.messages) {
            (Some(s), Some(c)) => write!(f, "{s}S,{c}C"),
            (Some(s), None) => write!(f, "{s}S"),
            (None, Some(c)) => write!(f, "{c}C"),
            (None, None) => f.write_str("0S"),
        }
    }
}

/// What a mailbox holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets on disk.
    pub storage: u64,
    /// Messages.
    pub messages: u64,
}

/// What the file said.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    limits: Limits,
    sum: Usage,
    data_lines: usize,
}

/// The quota of one Maildir root.
#[derive(Clone, Debug)]
pub struct Quota {
    root: Maildir,
    limits: Option<Limits>,
    ignore: Vec<String>,
}

impl Quota {
    /// With limits from the configuration, or `None` to take those the file names (none: unlimited).
    pub fn new(root: &Maildir, limits: Option<Limits>) -> Quota {
        Quota { root: root.clone(), limits, ignore: Vec::new() }
    }

    /// Leaves folders out of the count, by directory name (for instance `.Trash`).
    pub fn ignoring(mut self, folders: &[String]) -> Quota {
        self.ignore = folders.to_vec();
        self
    }

    fn path(&self) -> PathBuf {
        self.root.path().join(FILE)
    }

    /// Usage and limits, recounted where the file cannot be believed.
    pub fn usage(&self) -> Result<(Usage, Limits)> {
        match self.read()? {
            Some(record) if self.believable(&record) => Ok((record.sum, self.effective(&record))),
            other => self.recount(other.map(|r| r.limits)),
        }
    }

    /// True where a count is kept at all: limits are configured or a file exists.
    pub fn is_active(&self) -> bool {
        self.limits.is_some_and(|l| !l.is_unlimited()) || self.path().exists()
    }

    /// `OverQuota` unless that much more fits; a refusal is never based on a stale file.
    pub fn check(&self, octets: u64, messages: u64) -> Result<()> {
        if !self.is_active() {
            return Ok(());
        }
        let (usage, limits) = match self.usage() {
            // another user's tree, of which only one folder is open to us: its owner's next change counts what came
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => return Ok(()),
            known => known?,
        };
        if fits(usage, limits, octets, messages) {
            return Ok(());
        }
        if self.may_be_stale()? {
            let (usage, limits) = self.recount(Some(limits))?;
            if fits(usage, limits, octets, messages) {
                return Ok(());
            }
        }
        Err(Error::OverQuota)
    }

    /// Notes a delivery or an expunge: one append; does nothing where no count is kept.
    pub fn update(&self, octets: i64, messages: i64) -> Result<()> {
        if !self.is_active() {
            return Ok(());
        }
        let path = self.path();
        let line = format!("{octets} {messages}\n");
        match OpenOptions::new().append(true).open(&path) {
            Ok(mut file) => file.write_all(line.as_bytes()).map_err(Error::io("append to", &path)),
            // The file will be counted whole, this change included.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => self.recount(None).map(drop),
            Err(e) => Err(Error::io("open", &path)(e)),
        }
    }

    fn effective(&self, record: &Record) -> Limits {
        self.limits.unwrap_or(record.limits)
    }

    fn believable(&self, record: &Record) -> bool {
        self.limits.is_none_or(|wanted| wanted == record.limits)
    }

    /// Over quota is believed only from a file with one data line younger than 15 minutes (Maildir++).
    fn may_be_stale(&self) -> Result<bool> {
        let path = self.path();
        let Ok(meta) = std::fs::metadata(&path) else { return Ok(true) };
        let age = meta.modified().ok().and_then(|m| SystemTime::now().duration_since(m).ok()).unwrap_or_default();
        Ok(age > STALE || self.read()?.is_none_or(|r| r.data_lines > 1))
    }

    /// The file's content; `None` when it is missing or must be recounted.
    fn read(&self) -> Result<Option<Record>> {
        let path = self.path();
        let mut text = Vec::new();
        match files::open_regular(&path) {
            Ok(file) => {
                file.take(FILE_MAX as u64).read_to_end(&mut text).map_err(Error::io("read", &path))?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", &path)(e)),
        }
        Ok(parse(&text))
    }

    /// Counts all folders and replaces the file; returns usage and limits.
    pub fn recount(&self, previous: Option<Limits>) -> Result<(Usage, Limits)> {
        let limits = self.limits.or(previous).or_else(|| self.limits_on_file()).unwrap_or_default();
        let mut usage = Usage::default();
        for _ in 0..RECOUNTS {
            let before = self.newest_change()?;
            usage = self.count()?;
            self.replace(limits, usage)?;
            if self.newest_change()? == before {
                return Ok((usage, limits));
            }
        }
        // Something came or went each time: the sum may be wrong, so the next reader counts again. Limits that stand nowhere
        // else are worth more than the sum.
        if self.limits.is_some() {
            let _ = std::fs::remove_file(self.path());
        }
        Ok((usage, limits))
    }

    /// Line 1 of the file, even if the rest is to be counted again.
    fn limits_on_file(&self) -> Option<Limits> {
        let mut text = Vec::new();
        files::open_regular(&self.path()).ok()?.take(200).read_to_end(&mut text).ok()?;
        let line = text.split(|c| *c == b'\n').next()?;
        Limits::parse(std::str::from_utf8(line).ok()?.trim_end())
    }

    fn replace(&self, limits: Limits, usage: Usage) -> Result<()> {
        let tmp = self.root.tmp_dir().join(name::unique());
        let mut file = create_file(&tmp).map_err(Error::io("create", &tmp))?;
        let text = format!("{limits}\n{} {}\n", usage.storage, usage.messages);
        file.write_all(text.as_bytes()).map_err(Error::io("write", &tmp))?;
        let path = self.path();
        std::fs::rename(&tmp, &path).map_err(Error::io("rename to", &path))
    }

    /// All cur/ and new/ directories that count.
    fn directories(&self) -> Result<Vec<PathBuf>> {
        let root = self.root.path();
        let mut folders = vec![root.to_path_buf()];
        let counted = self.root.folder_dirs()?.into_iter().filter(|d| !self.ignore.contains(d));
        folders.extend(counted.map(|d| root.join(d)));
        Ok(folders.iter().flat_map(|f| [f.join("cur"), f.join("new")]).collect())
    }

    fn newest_change(&self) -> Result<Vec<Option<(i64, i64)>>> {
        let stamp = |dir: &PathBuf| files::Stamp::at(dir).map_err(Error::io("stat", dir));
        self.directories()?.iter().map(|d| Ok(stamp(d)?.map(|s| (s.mtime, s.mtime_nsec)))).collect()
    }

    fn count(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        for dir in self.directories()? {
            count_dir(&dir, &mut usage)?;
        }
        Ok(usage)
    }
}

/// The highest of these percentages that usage reached between two moments: each is told once on the way up.
pub fn passed(marks: &[u32], limits: Limits, before: Usage, after: Usage) -> Option<u32> {
    let reached = |used: u64, limit: Option<u64>, mark: u32| {
        limit.is_some_and(|limit| used.saturating_mul(100) >= limit.saturating_mul(u64::from(mark)))
    };
    let came = |limit: Option<u64>, before: u64, after: u64, mark: u32| {
        reached(after, limit, mark) && !reached(before, limit, mark)
    };
    let one = |mark: &&u32| {
        came(limits.storage, before.storage, after.storage, **mark)
            || came(limits.messages, before.messages, after.messages, **mark)
    };
    marks.iter().filter(one).max().copied()
}

fn fits(usage: Usage, limits: Limits, octets: u64, messages: u64) -> bool {
    let after =
        Usage { storage: usage.storage.saturating_add(octets), messages: usage.messages.saturating_add(messages) };
    limits.admit(after)
}

/// Sums the sizes of one directory: `,S=` from the name, stat(2) only where it lacks one.
fn count_dir(dir: &Path, usage: &mut Usage) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("list", dir)(e)),
    };
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let bytes = file_name.as_bytes();
        if bytes.first() == Some(&b'.') {
            continue;
        }
        let size = name::physical_size(bytes).or_else(|| entry.metadata().ok().map(|m| m.len()));
        // A file that vanished meanwhile is not counted.
        if let Some(size) = size {
            usage.storage = usage.storage.saturating_add(size);
            usage.messages += 1;
        }
    }
    Ok(())
}

/// Parses the file; `None` = recount: too long, odd line, negative sum.
fn parse(text: &[u8]) -> Option<Record> {
    if text.len() >= FILE_MAX {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.split('\n');
    let limits = Limits::parse(lines.next()?.trim_end())?;
    let (mut storage, mut messages, mut data_lines) = (0i64, 0i64, 0);
    for line in lines.filter(|l| !l.trim().is_empty()) {
        let mut fields = line.split_ascii_whitespace();
        storage = storage.checked_add(fields.next()?.parse().ok()?)?;
        messages = messages.checked_add(fields.next()?.parse().ok()?)?;
        data_lines += 1;
    }
    let sum = Usage { storage: u64::try_from(storage).ok()?, messages: u64::try_from(messages).ok()? };
    (data_lines > 0).then_some(Record { limits, sum, data_lines })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Delivery, Place};
    use crate::testdir::TestDir;

    fn deliver(dir: &Maildir, size: usize) {
        let mut d = Delivery::begin(dir).unwrap();
        d.write_all(&vec![b'x'; size]).unwrap();
        d.commit(Place::New).unwrap();
    }

    #[test]
    fn file_format_as_dovecot_writes_it() {
        let record = parse(b"104857600S,1000C\n0 0\n75 1\n75 1\n").unwrap();
        assert_eq!(record.limits, Limits { storage: Some(104_857_600), messages: Some(1000) });
        assert_eq!(record.sum, Usage { storage: 150, messages: 2 });
        assert_eq!(record.limits.to_string(), "104857600S,1000C");
        // Courier pads lines to 14 octets.
        assert_eq!(parse(b"10S\n75           1\n").unwrap().sum.storage, 75);
        for bad in ["", "10S\n", "10X\n1 1\n", "10S\n1\n", "10S\n1 x\n", "10S\n1 1\n-2 -2\n", "S\n1 1\n"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse(&[b'1'; FILE_MAX]), None);
    }

    #[test]
    fn counts_checks_and_updates() {
        let t = TestDir::new();
        let root = Maildir::create(&t.path().join("M")).unwrap();
        let sub = Maildir::create_folder(&root.path().join(".Sub")).unwrap();
        deliver(&root, 100);
        deliver(&sub, 50);
        std::fs::write(root.cur_dir().join("plain:2,S"), b"12345").unwrap();
        let quota = Quota::new(&root, Some(Limits { storage: Some(200), messages: None }));
        assert_eq!(quota.usage().unwrap().0, Usage { storage: 155, messages: 3 });
        assert_eq!(std::fs::read_to_string(root.path().join(FILE)).unwrap(), "200S\n155 3\n");
        quota.check(45, 1).unwrap();
        assert!(matches!(quota.check(46, 1), Err(Error::OverQuota)));
        quota.update(40, 1).unwrap();
        quota.update(-100, -1).unwrap();
        assert_eq!(quota.usage().unwrap().0, Usage { storage: 95, messages: 3 });
        // Other limits than the file's: recounted, which also undoes the made-up changes above.
        let other = Quota::new(&root, Some(Limits { storage: None, messages: Some(3) }));
        assert_eq!(other.usage().unwrap().0, Usage { storage: 155, messages: 3 });
        assert!(matches!(other.check(0, 1), Err(Error::OverQuota)));
        let ignoring = Quota::new(&root, None).ignoring(&[".Sub".into()]);
        assert_eq!(ignoring.recount(None).unwrap().0.storage, 105);
    }

    #[test]
    fn a_stale_file_never_refuses_mail() {
        let t = TestDir::new();
        let root = Maildir::create(&t.path().join("M")).unwrap();
        std::fs::write(root.path().join(FILE), "100S\n90 1\n90 1\n").unwrap();
        Quota::new(&root, None).check(100, 1).unwrap();
        assert!(matches!(Quota::new(&root, None).check(101, 1), Err(Error::OverQuota)));
    }

    #[test]
    fn without_limits_and_file_nothing_is_kept() {
        let t = TestDir::new();
        let root = Maildir::create(&t.path().join("M")).unwrap();
        let quota = Quota::new(&root, None);
        quota.check(u64::MAX, 1).unwrap();
        quota.update(1, 1).unwrap();
        assert!(!root.path().join(FILE).exists());
    }

    #[test]
    fn each_percentage_is_passed_once_on_the_way_up() {
        let limits = Limits { storage: Some(1000), messages: Some(10) };
        let at = |storage, messages, octets| {
            let before = Usage { storage: storage - octets, messages: messages - 1 };
            passed(&[80, 95], limits, before, Usage { storage, messages })
        };
        assert_eq!(at(799, 1, 100), None);
        assert_eq!(at(800, 1, 100), Some(80));
        assert_eq!(at(900, 1, 100), None);
        assert_eq!(at(990, 1, 100), Some(95));
        assert_eq!(at(990, 1, 300), Some(95));
        assert_eq!(at(10, 8, 1), Some(80));
        assert_eq!(at(10, 9, 1), None);
        assert_eq!(passed(&[80], Limits::default(), Usage::default(), Usage { storage: 5, messages: 5 }), None);
    }
}
