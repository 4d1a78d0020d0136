//! Changing one entry of a table while comments, order and everything else stay as the admin wrote them.
//!
//! Invariants  1. two changes at once never lose one: the tables directory is locked from reading to renaming
//!             2. a change by an editor meanwhile is noticed and nothing is written   3. the new file is complete, has the
//!             old one's owner and mode and is on stable storage before it takes the name
//!             4. a compiled form (NAME.cdb) is made again   5. a change that makes the table worse (more mistakes than before) is refused
//! Failures    io::Error: `InvalidData` for 5, `ResourceBusy` for 2, `Unsupported` for a program in place of the table

use crate::compile;
use crate::put::{Look, put};
use crate::set::Tables;
use penny_sys::files::Stamp;
use penny_sys::fs::Locked;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A table being changed; the lock lasts as long as this value.
#[derive(Debug)]
pub struct Edit {
    name: String,
    directory: PathBuf,
    path: PathBuf,
    stamp: Option<Stamp>,
    before: usize,
    lines: Vec<String>,
    _lock: Locked,
}

/// One entry: its physical lines and its logical text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Physical lines, from 0.
    pub lines: Range<usize>,
    /// Continuations joined, comments inside left out.
    pub text: String,
}

impl Edit {
    /// Locks the tables directory and reads one table; a missing file is an empty table.
    pub fn open(directory: &Path, name: &str) -> io::Result<Edit> {
        let lock = Locked::wait(&directory.join(".lock"), 0o600)?;
        let path = directory.join(name);
        // a link keeps pointing where it points
        let path = std::fs::canonicalize(&path).unwrap_or(path);
        let stamp = Stamp::at(&path)?;
        if std::fs::metadata(&path).is_ok_and(|file| crate::program::is_program(&file)) {
            return Err(io::Error::new(
                ErrorKind::Unsupported,
                "a program answers for this table: change what it asks",
            ));
        }
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            other => other?,
        };
        let before = Tables::mistakes(name, &text).len();
        let lines = text.lines().map(str::to_string).collect();
        Ok(Edit { name: name.into(), directory: directory.to_path_buf(), path, stamp, before, lines, _lock: lock })
    }

    /// Every entry in the order of the file.
    pub fn entries(&self) -> Vec<Entry> {
        let continued = !self.is_single();
        let mut out: Vec<Entry> = Vec::new();
        for (i, raw) in self.lines.iter().enumerate() {
            let text = raw.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            match out.last_mut() {
                Some(last) if continued && raw.starts_with([' ', '\t']) => {
                    last.text = format!("{} {text}", last.text);
                    last.lines.end = i + 1;
                }
                _ => out.push(Entry { lines: i..i + 1, text: text.to_string() }),
            }
        }
        out
    }

    /// The entry with this key.
    pub fn find(&self, key: &str) -> Option<Entry> {
        self.entries().into_iter().rev().find(|e| self.key(&e.text) == self.fold(key))
    }

    /// The keys of all entries, folded as keys are compared.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.entries().into_iter().map(|e| self.key(&e.text))
    }

    /// Adds a line at the end, whatever its key.
    pub fn append(&mut self, line: &str) {
        self.lines.push(line.to_string());
    }

    /// Replaces the entries with this key by one line, or appends it; true when there was one.
    pub fn put(&mut self, key: &str, line: &str) -> bool {
        let old = self.take(key);
        let at = old.unwrap_or(self.lines.len());
        self.lines.insert(at, line.to_string());
        old.is_some()
    }

    /// Removes the entries with this key; true when there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        self.take(key).is_some()
    }

    /// Takes entries out and tells where the first one stood; comments between their lines stay.
    fn take(&mut self, key: &str) -> Option<usize> {
        let mine = |e: &Entry| self.key(&e.text) == self.fold(key);
        let found: Vec<Entry> = self.entries().into_iter().filter(mine).collect();
        for entry in found.iter().rev() {
            let (start, end) = (entry.lines.start, entry.lines.end);
            let kept: Vec<String> =
                self.lines.drain(start..end).filter(|l| l.trim().is_empty() || l.trim().starts_with('#')).collect();
            self.lines.splice(start..start, kept);
        }
        found.first().map(|e| e.lines.start.min(self.lines.len()))
    }

    fn fold(&self, key: &str) -> String {
        fold(&self.name, key)
    }

    fn is_single(&self) -> bool {
        is_single(&self.name)
    }

    fn key(&self, text: &str) -> String {
        key(&self.name, text)
    }

    /// Writes the table; `new` gives owner, group and mode of a file that was not there.
    pub fn save(self, new: (Option<u32>, Option<u32>, u32)) -> io::Result<()> {
        let mut text = self.lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        let mistakes = Tables::mistakes(&self.name, &text);
        if mistakes.len() > self.before {
            let last = mistakes.last().map(|m| format!("{}: {}", m.line, m.text)).unwrap_or_default();
            return Err(io::Error::new(ErrorKind::InvalidData, last));
        }
        let (uid, gid, mode) = match std::fs::metadata(&self.path) {
            Ok(m) => (Some(m.uid()), Some(m.gid()), m.mode() & 0o7777),
            Err(e) if e.kind() == ErrorKind::NotFound => new,
            Err(e) => return Err(e),
        };
        put(&self.path, text.as_bytes(), &Look { uid, gid, mode }, (&self.path, self.stamp))?;
        compile::again_locked(&self.directory, &self.name)
            .map_err(|e| io::Error::new(e.kind(), format!("changed, but {}.cdb was not made again: {e}", self.name)))
    }
}

/// The key of a logical line of a table, folded as keys are compared.
pub fn key(table: &str, text: &str) -> String {
    let key = match table {
        "users" => text.split(':').next(),
        "app-passwords" => text.match_indices(':').nth(1).map(|(at, _)| &text[..at]),
        // a list: no line replaces another
        "access" => Some(text),
        "aliases" => match text.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => text.split(':').next(),
        },
        _ => text.split_whitespace().next(),
    };
    fold(table, key.unwrap_or("").trim())
}

fn fold(table: &str, key: &str) -> String {
    if is_single(table) { key.to_string() } else { key.to_lowercase() }
}

/// A table of logins: no continuation (see [`crate::lines::single`]), keys as written.
fn is_single(table: &str) -> bool {
    table == "users" || table == "app-passwords"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn table(name: &str, text: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("penny-edit-{:x}", penny_sys::random::u64()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join(name), text).unwrap();
        dir
    }

    const NEW: (Option<u32>, Option<u32>, u32) = (None, None, 0o644);

    #[test]
    fn comments_and_order_stay() {
        let dir = table("aliases", "# top\na: b,\n # inside\n\tc\n\n# of x\nX: y\nz: 1\n");
        let mut edit = Edit::open(&dir, "aliases").unwrap();
        assert_eq!(edit.find("A").unwrap().text, "a: b, c");
        assert!(edit.put("a", "a: d"));
        assert!(edit.put("x", "x: w"));
        assert!(!edit.put("new", "new: n"));
        assert!(edit.remove("z") && !edit.remove("none"));
        edit.save(NEW).unwrap();
        let text = std::fs::read_to_string(dir.join("aliases")).unwrap();
        assert_eq!(text, "# top\na: d\n # inside\n\n# of x\nx: w\nnew: n\n");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn owner_and_mode_stay_and_a_worse_table_is_refused() {
        let dir = table("users", "ann:{PLAIN}x\n");
        std::fs::set_permissions(dir.join("users"), std::fs::Permissions::from_mode(0o640)).unwrap();
        let mut edit = Edit::open(&dir, "users").unwrap();
        edit.put("bob", "bob:x:abc:def");
        assert_eq!(edit.save(NEW).unwrap_err().kind(), ErrorKind::InvalidData);
        let mut edit = Edit::open(&dir, "users").unwrap();
        edit.put("Ann", "Ann:x");
        edit.save(NEW).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("users")).unwrap(), "ann:{PLAIN}x\nAnn:x\n");
        assert_eq!(std::fs::metadata(dir.join("users")).unwrap().mode() & 0o777, 0o640);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn an_editors_change_is_not_overwritten() {
        let dir = table("domains", "a.test local\n");
        let mut edit = Edit::open(&dir, "domains").unwrap();
        edit.put("b.test", "b.test local");
        std::fs::write(dir.join("other"), "a.test local\nc.test relay\n").unwrap();
        std::fs::rename(dir.join("other"), dir.join("domains")).unwrap();
        assert_eq!(edit.save(NEW).unwrap_err().kind(), ErrorKind::ResourceBusy);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn many_writers_lose_nothing() {
        let dir = table("virtual", "# kept\n");
        std::thread::scope(|s| {
            for n in 0..8 {
                let dir = &dir;
                s.spawn(move || {
                    for m in 0..5 {
                        let mut edit = Edit::open(dir, "virtual").unwrap();
                        edit.put(&format!("u{n}{m}@x"), &format!("u{n}{m}@x ann"));
                        edit.save(NEW).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(dir.join("virtual")).unwrap().lines().count(), 41);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
