//! Subscribed folders: the `subscriptions` file of the root, shared with Dovecot.
//!
//! Format      version 2: `V<TAB>2<LF><LF>`, then one name a line, levels split by TAB, each level tab-escaped;
//!             version 1: no header, levels split by '.'. Names are as on disk (modified UTF-7 or UTF-8).
//!             A file keeps its version; a new one is version 2. INBOX is written in capitals
//! Invariants  changed only under `subscriptions.lock`: copy with the change, fsync, rename, fsync of the directory

use std::io::Write;
use std::path::{Path, PathBuf};

use penny_sys::files;

use crate::dir::create_file;
use crate::dotlock::{Dotlock, STALE_SHORT};
use crate::error::{Error, Result, if_there};
use crate::folder::{DiskEncoding, FolderName};

/// Name of the file.
pub const FILE: &str = "subscriptions";
const V2: &str = "V\t2";

/// The subscriptions of one root.
pub struct Subscriptions<'a> {
    root: &'a Path,
    encoding: DiskEncoding,
}

impl<'a> Subscriptions<'a> {
    /// Of a root whose folder names are in this encoding.
    pub fn new(root: &'a Path, encoding: DiskEncoding) -> Subscriptions<'a> {
        Subscriptions { root, encoding }
    }

    fn path(&self) -> PathBuf {
        self.root.join(FILE)
    }

    /// All subscribed folders, whether or not they exist; lines that name no possible folder are skipped.
    pub fn list(&self) -> Result<Vec<FolderName>> {
        let (v2, lines) = self.read()?;
        let mut names: Vec<FolderName> = lines.iter().filter_map(|l| self.parse(l, v2)).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The levels of all lines as they are: for names that are no folders of this root (other users' and public ones).
    pub fn list_levels(&self) -> Result<Vec<Vec<String>>> {
        let (v2, lines) = self.read()?;
        Ok(lines.iter().map(|l| levels(l, v2)).collect())
    }

    /// Adds or removes one; false if nothing had to change.
    pub fn set(&self, name: &FolderName, subscribed: bool) -> Result<bool> {
        let is_it = |line: &str, v2: bool| self.parse(line, v2).as_ref() == Some(name);
        self.change(subscribed, is_it, |v2| Some(self.format(name, v2)))
    }

    /// The same for a name that is no folder of this root. A level may hold a dot, which only version 2 can say.
    pub fn set_levels(&self, name: &[String], subscribed: bool) -> Result<bool> {
        let version2 = escaped(name);
        let version1 = (!name.iter().any(|l| l.contains('.'))).then(|| name.join("."));
        let line = |v2: bool| if v2 { Some(version2.clone()) } else { version1.clone() };
        self.change(subscribed, |line, v2| levels(line, v2) == name, line)
    }

    /// `line` gives the new line in a version; `None` makes the file one of version 2.
    fn change(
        &self,
        subscribed: bool,
        is_it: impl Fn(&str, bool) -> bool,
        line: impl Fn(bool) -> Option<String>,
    ) -> Result<bool> {
        let _lock = Dotlock::take(&self.path(), STALE_SHORT)?;
        let (v2, mut lines) = self.read()?;
        if lines.iter().any(|l| is_it(l, v2)) == subscribed {
            return Ok(false);
        }
        lines.retain(|l| !is_it(l, v2));
        let stays = v2 || !subscribed || line(false).is_some();
        if !stays {
            lines = lines.iter().map(|l| escaped(levels(l, false))).collect();
        }
        let version = v2 || !stays;
        lines.extend(line(version).filter(|_| subscribed));
        self.write(version, &lines)?;
        Ok(true)
    }

    /// Replaces all (for take-over).
    pub fn replace_all(&self, names: &[FolderName]) -> Result<()> {
        let _lock = Dotlock::take(&self.path(), STALE_SHORT)?;
        let lines: Vec<String> = names.iter().map(|n| self.format(n, true)).collect();
        self.write(true, &lines)
    }

    fn read(&self) -> Result<(bool, Vec<String>)> {
        let path = self.path();
        let bytes = if_there(&path, files::while_stale(|| std::fs::read(&path)))?;
        let Some(bytes) = bytes else { return Ok((true, Vec::new())) };
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.split('\n').peekable();
        let v2 = lines.peek() == Some(&V2);
        let lines = lines.skip(usize::from(v2)).filter(|l| !l.is_empty()).map(str::to_string).collect();
        Ok((v2, lines))
    }

    fn write(&self, v2: bool, lines: &[String]) -> Result<()> {
        let mut text = if v2 { format!("{V2}\n\n") } else { String::new() };
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        let tmp = self.root.join(format!("{FILE}.tmp.{}", crate::name::unique()));
        let mut file = create_file(&tmp).map_err(Error::io("create", &tmp))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let path = self.path();
        if let Err(e) = written.and_then(|()| std::fs::rename(&tmp, &path)) {
            let _ = std::fs::remove_file(&tmp);
            return Err(Error::io("write", &path)(e));
        }
        files::sync_dir(self.root).map_err(Error::io("sync", self.root))
    }

    fn parse(&self, line: &str, v2: bool) -> Option<FolderName> {
        if line.eq_ignore_ascii_case("INBOX") {
            return Some(FolderName::inbox());
        }
        FolderName::from_dir(&format!(".{}", levels(line, v2).join(".")), self.encoding)
    }

    fn format(&self, name: &FolderName, v2: bool) -> String {
        let Some(dir) = name.dir_name(self.encoding) else { return "INBOX".into() };
        let levels = dir.split('.').skip(1);
        match v2 {
            true => escaped(levels),
            false => levels.collect::<Vec<_>>().join("."),
        }
    }
}

fn levels(line: &str, v2: bool) -> Vec<String> {
    match v2 {
        true => line.split('\t').map(tab_unescape).collect(),
        false => line.split('.').map(str::to_string).collect(),
    }
}

/// A line of version 2.
fn escaped<S: AsRef<str>>(levels: impl IntoIterator<Item = S>) -> String {
    levels.into_iter().map(|l| tab_escape(l.as_ref())).collect::<Vec<_>>().join("\t")
}

/// Dovecot's tab-escape: \001 and a digit or letter for the bytes that would break a line.
fn tab_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push_str("\u{1}0"),
            '\u{1}' => out.push_str("\u{1}1"),
            '\t' => out.push_str("\u{1}t"),
            '\r' => out.push_str("\u{1}r"),
            '\n' => out.push_str("\u{1}n"),
            c => out.push(c),
        }
    }
    out
}

fn tab_unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1}' => out.extend(chars.next().map(|e| match e {
                '0' => '\0',
                '1' => '\u{1}',
                't' => '\t',
                'r' => '\r',
                'n' => '\n',
                other => other,
            })),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::NameStyle;
    use crate::testdir::TestDir;

    fn name(text: &str) -> FolderName {
        FolderName::from_utf8(text, &NameStyle::default()).unwrap()
    }

    #[test]
    fn a_new_file_is_version_2_as_dovecot_writes_it() {
        let t = TestDir::new();
        let subs = Subscriptions::new(t.path(), DiskEncoding::Mutf7);
        assert!(subs.set(&name("Archive/2024"), true).unwrap());
        assert!(subs.set(&FolderName::inbox(), true).unwrap());
        assert!(!subs.set(&FolderName::inbox(), true).unwrap());
        assert_eq!(std::fs::read_to_string(t.path().join(FILE)).unwrap(), "V\t2\n\nArchive\t2024\nINBOX\n");
        assert_eq!(subs.list().unwrap(), [FolderName::inbox(), name("Archive/2024")]);
        assert!(subs.set(&name("Archive/2024"), false).unwrap());
        assert_eq!(std::fs::read_to_string(t.path().join(FILE)).unwrap(), "V\t2\n\nINBOX\n");
        assert!(!t.path().join("subscriptions.lock").exists());
    }

    #[test]
    fn version_1_stays_version_1() {
        let t = TestDir::new();
        std::fs::write(t.path().join(FILE), "Sent\n").unwrap();
        let subs = Subscriptions::new(t.path(), DiskEncoding::Mutf7);
        subs.set(&FolderName::inbox(), true).unwrap();
        subs.set(&name("a/Entwürfe"), true).unwrap();
        assert_eq!(std::fs::read_to_string(t.path().join(FILE)).unwrap(), "Sent\nINBOX\na.Entw&APw-rfe\n");
        assert_eq!(subs.list().unwrap().len(), 3);
    }

    #[test]
    fn names_of_other_trees_may_hold_dots() {
        let t = TestDir::new();
        let subs = Subscriptions::new(t.path(), DiskEncoding::Mutf7);
        let other = ["user", "ann@example.org", "Box"].map(str::to_owned);
        for old in ["", "a.b\nSent\n"] {
            std::fs::write(t.path().join(FILE), old).unwrap();
            assert!(subs.set_levels(&other, true).unwrap());
            assert!(!subs.set_levels(&other, true).unwrap());
            assert!(subs.list_levels().unwrap().contains(&other.to_vec()));
            let text = std::fs::read_to_string(t.path().join(FILE)).unwrap();
            assert!(text.starts_with("V\t2\n\n") && text.ends_with("user\tann@example.org\tBox\n"), "{text}");
            assert_eq!(text.contains("a\tb\nSent\n"), !old.is_empty());
            assert!(subs.set_levels(&other, false).unwrap());
            assert!(!subs.list_levels().unwrap().contains(&other.to_vec()));
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(tab_unescape(&tab_escape("a\tb\u{1}c\nd\re")), "a\tb\u{1}c\nd\re");
    }
}
