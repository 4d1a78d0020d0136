//! Annotations of a folder or of the whole mail: text values under slash-separated names (IMAP METADATA, Sieve mboxmetadata).
//!
//! Standards   RFC 5464 3, 4.1 (names), 5490 (their use in Sieve)
//! Format      `pennypost-metadata` in the folder, `pennypost-metadata-server` in the root: lines
//!             `<name in lower case> <TAB> <value>`; in values `\\`, `\n`, `\r`, `\t`, `\0` stand for the octets that would
//!             break a line; sorted by name; lines that are not so are skipped and dropped by the next change
//! Invariants  1. a change of several names happens whole or not at all (lock, copy, fsync, rename, fsync of the directory)
//!             2. RENAME and DELETE of the folder carry its annotations along: they are a file in it
//! Trust       values are any octets; names are checked before they are written

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::dir::{Maildir, file_mode};
use crate::dotlock::{Dotlock, STALE_SHORT};
use crate::error::{Error, Result, if_there};

/// Name of a folder's file.
pub const FILE: &str = "pennypost-metadata";
/// Name of the file in the root for what belongs to no folder.
pub const SERVER_FILE: &str = "pennypost-metadata-server";
/// Longest value, octets.
pub const VALUE_MAX: usize = 64 * 1024;
/// Most names in one file.
pub const NAMES_MAX: usize = 1000;
/// Longest name, octets.
const NAME_MAX: usize = 1024;
/// Largest file read.
const FILE_MAX: u64 = 16 << 20;

/// All names with their values.
pub type Values = BTreeMap<String, Vec<u8>>;

/// Where the annotations of one folder, or of the server, lie.
#[derive(Clone, Debug)]
pub struct Annotations {
    path: PathBuf,
}

impl Annotations {
    /// Of a folder.
    pub fn of_folder(dir: &Maildir) -> Annotations {
        Annotations { path: dir.path().join(FILE) }
    }

    /// Of the user's mail as a whole.
    pub fn of_server(root: &Maildir) -> Annotations {
        Annotations { path: root.path().join(SERVER_FILE) }
    }

    /// Everything, by name.
    pub fn all(&self) -> Result<Values> {
        let bytes = if_there(&self.path, penny_sys::fs::read_limited(&self.path, FILE_MAX))?.unwrap_or_default();
        Ok(bytes.split(|&b| b == b'\n').filter_map(parse_line).collect())
    }

    /// One value; names are compared without regard to case.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.all()?.remove(&name.to_ascii_lowercase()))
    }

    /// Sets (or with `None` removes) values; all or none. `Limit` names the bound that would be passed.
    pub fn set(&self, changes: &[(String, Option<Vec<u8>>)]) -> Result<()> {
        if changes.iter().any(|(_, value)| value.as_ref().is_some_and(|v| v.len() > VALUE_MAX)) {
            return Err(Error::Limit("annotation too long"));
        }
        let _lock = Dotlock::take(&self.path, STALE_SHORT)?;
        let before = self.all()?;
        let mut values = before.clone();
        for (name, value) in changes {
            let name = name.to_ascii_lowercase();
            match value {
                _ if !is_valid_name(&name) => return Err(Error::BadName { name, why: "no annotation name" }),
                Some(value) => drop(values.insert(name, value.clone())),
                None => drop(values.remove(&name)),
            }
        }
        if values.len() > NAMES_MAX {
            return Err(Error::Limit("too many annotations"));
        }
        if values == before { Ok(()) } else { self.write(&values) }
    }

    fn write(&self, values: &Values) -> Result<()> {
        let mut text = Vec::new();
        for (name, value) in values {
            text.extend_from_slice(name.as_bytes());
            text.push(b'\t');
            escape(value, &mut text);
            text.push(b'\n');
        }
        penny_sys::fs::replace_file_exactly(&self.path, &text, file_mode(&self.path))
            .map_err(Error::io("write", &self.path))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// RFC 5464 4.1: components of printable ASCII after slashes, below /private or /shared, without wildcards.
pub fn is_valid_name(name: &str) -> bool {
    let fits =
        |part: &str| !part.is_empty() && part.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'*' && b != b'%');
    let mut parts = name.split('/');
    name.len() <= NAME_MAX
        && parts.next() == Some("")
        && parts.next().is_some_and(|p| p.eq_ignore_ascii_case("private") || p.eq_ignore_ascii_case("shared"))
        && parts.clone().next().is_some()
        && parts.all(fits)
}

fn parse_line(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let tab = line.iter().position(|&b| b == b'\t')?;
    let name = std::str::from_utf8(&line[..tab]).ok().filter(|n| is_valid_name(n))?;
    Some((name.to_ascii_lowercase(), unescape(&line[tab + 1..])))
}

fn escape(value: &[u8], out: &mut Vec<u8>) {
    for &b in value {
        match b {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0 => out.extend_from_slice(b"\\0"),
            other => out.push(other),
        }
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&b) = bytes.next() {
        let plain = if b == b'\\' { bytes.next().map(|&c| escaped(c)) } else { Some(b) };
        out.extend(plain);
    }
    out
}

fn escaped(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0' => 0,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    fn folder(t: &TestDir) -> Annotations {
        Annotations::of_folder(&Maildir::create(&t.path().join("M")).unwrap())
    }

    #[test]
    fn values_of_any_octets_come_back() {
        let t = TestDir::new();
        let a = folder(&t);
        assert!(a.all().unwrap().is_empty());
        let value: Vec<u8> = (0..=255).chain(*b"\\n\\\\\n").collect();
        let set = |n: &str, v: Option<&[u8]>| (n.to_owned(), v.map(<[u8]>::to_vec));
        a.set(&[set("/private/Comment", Some(&value)), set("/shared/x", Some(b""))]).unwrap();
        assert_eq!(a.get("/PRIVATE/comment").unwrap(), Some(value));
        assert_eq!(a.get("/shared/x").unwrap(), Some(vec![]));
        a.set(&[set("/private/comment", None), set("/private/none", None)]).unwrap();
        assert_eq!(a.all().unwrap().keys().collect::<Vec<_>>(), ["/shared/x"]);
        assert_eq!(std::fs::read(a.path()).unwrap(), b"/shared/x\t\n");
    }

    #[test]
    fn nothing_changes_when_one_of_them_is_wrong() {
        let t = TestDir::new();
        let a = folder(&t);
        let good = ("/private/a".to_owned(), Some(b"x".to_vec()));
        for bad in
            ["/private/a*", "private/a", "/other/a", "/private", "/private/", "/private//a", "/shared/\u{e4}", ""]
        {
            assert!(a.set(&[good.clone(), (bad.to_owned(), Some(vec![]))]).is_err(), "{bad}");
        }
        let long = ("/private/b".to_owned(), Some(vec![b'x'; VALUE_MAX + 1]));
        assert!(matches!(a.set(&[good.clone(), long]), Err(Error::Limit(_))));
        let many: Vec<_> = (0..=NAMES_MAX).map(|n| (format!("/private/{n}"), Some(vec![]))).collect();
        assert!(matches!(a.set(&many), Err(Error::Limit(_))));
        assert!(!a.path().exists());
        a.set(&[good]).unwrap();
    }

    #[test]
    fn odd_lines_are_skipped() {
        let t = TestDir::new();
        let a = folder(&t);
        std::fs::write(a.path(), b"no tab\n/private/a\tx\\q\\\n\xff\t1\n\n/bad\t1\n/shared/B\tend").unwrap();
        let all = a.all().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all["/private/a"].as_slice(), all["/shared/b"].as_slice()), (&b"xq"[..], &b"end"[..]));
    }
}
