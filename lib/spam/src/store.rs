//! The table on disk: mapped for reading, replaced whole for learning.
//!
//! States      S1 FILE: a complete sealed table; never written in place, so a reader's mapping never changes
//!             S2 FILE.new-PID-TIME: being written under the lock; leftovers are removed by the next writer
//!             S3 FILE.lock: empty, the lock of all writers; never removed
//!             S4 FILE.bad-TIME: a table that failed its checks, set aside by a writer
//! Invariants  1. FILE is replaced by rename after fsync: a crash leaves the old or the new table   2. learners hold
//!             the lock from reading to renaming: none loses another's lesson   3. works over NFS: flock there is a
//!             byte-range lock on the server, rename is atomic, an open mapping keeps its inode
//! Failures    io::Error; a bad table is an error for readers and is set aside by writers, except one of another
//!             version, which is refused
//! Trust       the path is the caller's own

use crate::table::{Bad, SIZE, Table};
use penny_sys::files;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A table mapped read-only.
pub struct Mapped(files::Map);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

fn bad(path: &Path, why: Bad) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
}

/// Opens a table for scoring; `None` if there is no such file.
pub fn open(path: &Path) -> io::Result<Option<Table<Mapped>>> {
    let file = match std::fs::File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?,
    };
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() != SIZE as u64 {
        return Err(wrong_size(path, file, meta.len()));
    }
    Table::open(Mapped(files::Map::of(&file)?)).map(Some).map_err(|why| bad(path, why))
}

/// Says what a file of the wrong size is; it is not mapped.
fn wrong_size(path: &Path, file: std::fs::File, len: u64) -> io::Error {
    let mut head = Vec::new();
    let why = match file.take(4096).read_to_end(&mut head) {
        Ok(_) => Table::open(head).err().filter(|b| !matches!(b, Bad::Size(_) | Bad::Header)),
        Err(e) => return io::Error::new(e.kind(), format!("{}: {e}", path.display())),
    };
    bad(path, why.unwrap_or(Bad::Size(len)))
}

/// A table held for learning: the lock, and a copy in memory.
pub struct Writer {
    path: PathBuf,
    _lock: files::FileLock,
    /// The table; change it, then [`Writer::commit`].
    pub table: Table<Vec<u8>>,
    /// Where a bad table was moved, and why.
    pub set_aside: Option<(PathBuf, String)>,
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    penny_sys::time::now().as_secs()
}

impl Writer {
    /// Waits for the lock and reads the table; a missing one is made, a damaged one set aside.
    pub fn open(path: &Path) -> io::Result<Writer> {
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty() && !d.exists()) {
            files::create_dir_durable(dir, 0o700)?;
        }
        let lock = std::fs::OpenOptions::new().create(true).append(true).open(beside(path, ".lock"))?;
        let lock = files::FileLock::exclusive(lock)?;
        let (table, set_aside) = match read(path) {
            Ok(table) => (table.unwrap_or_else(Table::empty), None),
            Err(Failed::Bad(why @ Bad::Version(_))) => return Err(bad(path, why)),
            Err(Failed::Io(e)) => return Err(e),
            Err(Failed::Bad(why)) => {
                let aside = beside(path, &format!(".bad-{}", now()));
                std::fs::rename(path, &aside)?;
                (Table::empty(), Some((aside, why.to_string())))
            }
        };
        Ok(Writer { path: path.to_owned(), _lock: lock, table, set_aside })
    }

    /// Seals the table and puts it in the old one's place.
    pub fn commit(&mut self) -> io::Result<()> {
        self.remove_leftovers();
        let stamp = penny_sys::time::now().as_nanos();
        let temp = beside(&self.path, &format!(".new-{}-{stamp}", std::process::id()));
        let mode = std::fs::metadata(&self.path).ok();
        let result = self.write(&temp, mode).and_then(|()| std::fs::rename(&temp, &self.path));
        if result.is_err() {
            let _ = std::fs::remove_file(&temp); // the error that matters is the first one
        }
        result?;
        files::sync_dir(files::dir_of(&self.path))
    }

    fn write(&mut self, temp: &Path, old: Option<std::fs::Metadata>) -> io::Result<()> {
        let mut file = files::create_new(temp, 0o600)?;
        file.write_all(self.table.seal(now()))?;
        if let Some(old) = old {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()
    }

    /// Removes what writers that died left; we hold the lock, so nobody is writing.
    fn remove_leftovers(&self) {
        let Some(name) = self.path.file_name() else { return };
        let mut prefix = name.to_owned();
        prefix.push(".new-");
        for entry in std::fs::read_dir(files::dir_of(&self.path)).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
                let _ = std::fs::remove_file(entry.path()); // only tidying; a failure harms nobody
            }
        }
    }
}

enum Failed {
    Io(io::Error),
    Bad(Bad),
}

fn read(path: &Path) -> Result<Option<Table<Vec<u8>>>, Failed> {
    let mut bytes = Vec::with_capacity(SIZE + 1);
    match std::fs::File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failed::Io(io::Error::new(e.kind(), format!("{}: {e}", path.display())))),
        Ok(file) => file.take(SIZE as u64 + 1).read_to_end(&mut bytes).map_err(Failed::Io)?,
    };
    let table = Table::open(bytes).map_err(Failed::Bad)?;
    table.verify().map_err(Failed::Bad)?;
    Ok(Some(table))
}
