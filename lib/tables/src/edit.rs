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
use std::collections::{HashMap, HashSet};
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
        entries(&self.name, self.lines.iter().map(String::as_str))
    }

    /// The entry with this key.
    pub fn find(&self, key: &str) -> Option<Entry> {
        self.entries().into_iter().rev().find(|e| self.key(&e.text) == self.fold(key))
    }

    /// Adds a line at the end, whatever its key.
    pub fn append(&mut self, line: &str) {
        self.lines.push(line.to_string());
    }

    /// Replaces the entries with this key by one line, or appends it; true when there was one.
    pub fn put(&mut self, key: &str, line: &str) -> bool {
        self.put_all(&[(key.to_string(), line.to_string())]) > 0
    }

    /// The same for many keys with a line each, in one pass over the table; tells how many were there.
    pub fn put_all(&mut self, lines: &[(String, String)]) -> usize {
        let new: HashMap<String, Option<&str>> = lines.iter().map(|(k, l)| (self.fold(k), Some(l.as_str()))).collect();
        let mut done = self.rewrite(&new);
        let there = done.len();
        for (key, _) in lines {
            let key = self.fold(key);
            if let Some(Some(line)) = new.get(&key)
                && done.insert(key)
            {
                self.append(line);
            }
        }
        there
    }

    /// Removes the entries with this key; true when there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        !self.rewrite(&HashMap::from([(self.fold(key), None)])).is_empty()
    }

    /// The first entry with each of these keys becomes the key's line, or goes like all further ones; comments between
    /// their lines stay. Tells the keys that were found.
    fn rewrite(&mut self, new: &HashMap<String, Option<&str>>) -> HashSet<String> {
        let entries = self.entries();
        let mut old = std::mem::take(&mut self.lines).into_iter();
        let mut lines = Vec::with_capacity(old.len());
        let mut found = HashSet::new();
        let mut at = 0;
        for Entry { lines: own, text } in entries {
            let key = self.key(&text);
            let Some(line) = new.get(&key) else { continue };
            lines.extend(old.by_ref().take(own.start - at));
            if found.insert(key) {
                lines.extend(line.map(str::to_string));
            }
            let noted = |l: &String| l.trim().is_empty() || l.trim().starts_with('#');
            lines.extend(old.by_ref().take(own.len()).filter(noted));
            at = own.end;
        }
        lines.extend(old);
        self.lines = lines;
        found
    }

    fn fold(&self, key: &str) -> String {
        fold(&self.name, key)
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

/// The entries among the physical lines of a table.
pub fn entries<'a>(table: &str, lines: impl Iterator<Item = &'a str>) -> Vec<Entry> {
    let continued = !is_single(table);
    let mut out: Vec<Entry> = Vec::new();
    for (i, raw) in lines.enumerate() {
        let text = raw.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match out.last_mut() {
            Some(last) if continued && raw.starts_with([' ', '\t']) => {
                last.text.push(' ');
                last.text.push_str(text);
                last.lines.end = i + 1;
            }
            _ => out.push(Entry { lines: i..i + 1, text: text.to_string() }),
        }
    }
    out
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
        let pairs = [("m", "m: 1"), ("a", "A: e"), ("m", "m: 2"), ("k", "k: 3")];
        assert_eq!(edit.put_all(&pairs.map(|(k, l)| (k.into(), l.into()))), 1);
        edit.save(NEW).unwrap();
        let text = std::fs::read_to_string(dir.join("aliases")).unwrap();
        assert_eq!(text, "# top\nA: e\n # inside\n\n# of x\nx: w\nnew: n\nm: 2\nk: 3\n");
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
