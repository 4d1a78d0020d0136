//! Listing new/ and cur/: what is on disk, in one arena, found by base name.
//!
//! Invariants  names that begin with '.' are no messages; a name is looked at as bytes only
//! Trust       names from disk: any bytes

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::path::Path;

use penny_sys::files;

use crate::error::{Error, Result};
use crate::index::SumHasher;
use crate::name;

/// A file of the listing.
#[derive(Clone, Copy, Debug)]
struct File {
    at: u32,
    base: u16,
    len: u16,
    in_new: bool,
}

/// Files found in one or both directories.
#[derive(Default)]
pub(crate) struct Listing {
    names: Vec<u8>,
    files: Vec<File>,
}

/// A file name in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) base: &'a [u8],
    pub(crate) info: &'a [u8],
    pub(crate) in_new: bool,
}

impl Listing {
    /// Reads a directory into the listing; a missing one is an error.
    pub(crate) fn add_dir(&mut self, dir: &Path, in_new: bool) -> Result<()> {
        let mut fits = true;
        files::each_name(dir, |name| fits &= self.add(name, in_new)).map_err(Error::io("list", dir))?;
        if fits { Ok(()) } else { Err(Error::Limit("files in a folder")) }
    }

    /// False when there is no more room.
    fn add(&mut self, bytes: &[u8], in_new: bool) -> bool {
        let base = name::split(bytes).0;
        let (Ok(base_len), Ok(len)) = (u16::try_from(base.len()), u16::try_from(bytes.len())) else { return true };
        if bytes.first() == Some(&b'.') || base.is_empty() {
            return true;
        }
        let Ok(at) = u32::try_from(self.names.len()) else { return false };
        self.names.extend_from_slice(bytes);
        self.files.push(File { at, base: base_len, len, in_new });
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn get(&self, i: usize) -> Option<Found<'_>> {
        let f = self.files.get(i)?;
        let at = f.at as usize;
        let whole = self.names.get(at..at + usize::from(f.len))?;
        let (base, info) = whole.split_at_checked(usize::from(f.base))?;
        Some(Found { base, info, in_new: f.in_new })
    }

    /// A table from base name to position; of two files with one base name, that in cur/ counts.
    pub(crate) fn by_base(&self) -> Table<'_> {
        let mut table = Table::with_capacity_and_hasher(self.files.len(), BuildHasherDefault::default());
        for i in 0..self.files.len() {
            if let Some(found) = self.get(i) {
                let slot = table.entry(found.base).or_insert(i);
                if !found.in_new {
                    *slot = i;
                }
            }
        }
        table
    }
}

/// From base name to position in the listing.
pub(crate) type Table<'a> = HashMap<&'a [u8], usize, BuildHasherDefault<SumHasher>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    #[test]
    fn lists_and_finds() {
        let t = TestDir::new();
        for dir in ["new", "cur"] {
            std::fs::create_dir(t.path().join(dir)).unwrap();
        }
        for file in ["new/a", "new/b:2,S", "cur/b:2,", "cur/c:2,FS", "cur/.hidden", "cur/:2,S"] {
            std::fs::write(t.path().join(file), "").unwrap();
        }
        let mut list = Listing::default();
        list.add_dir(&t.path().join("new"), true).unwrap();
        list.add_dir(&t.path().join("cur"), false).unwrap();
        assert_eq!(list.len(), 4);
        let table = list.by_base();
        assert_eq!(table.len(), 3);
        let b = list.get(table[&b"b"[..]]).unwrap();
        assert_eq!(b, Found { base: b"b", info: b":2,", in_new: false });
        assert!(list.add_dir(&t.path().join("tmp"), true).is_err());
    }
}
