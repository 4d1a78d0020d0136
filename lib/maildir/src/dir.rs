//! One Maildir folder on disk: its directories, made durably.
//!
//! Standards   maildir(5); Maildir++ for the `maildirfolder` marker
//! Invariants  1. after `create` the directories and their names are on stable storage, mode 0700
//!             2. `maildirfolder` exists in every folder made below a root, never in a root made here
//! Trust       the path comes from the owner's account or a checked `FolderName`

use std::path::{Path, PathBuf};

use penny_sys::files;

use crate::error::{Error, Result};

/// Mode of the directories of a private Maildir.
pub const DIR_MODE: u32 = 0o700;
/// Mode of message and control files of a private Maildir.
pub const FILE_MODE: u32 = 0o600;
/// Marks a directory as a folder of the Maildir above it (Maildir++).
pub const FOLDER_MARKER: &str = "maildirfolder";

/// A Maildir directory that has cur/, new/ and tmp/.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maildir {
    path: PathBuf,
}

impl Maildir {
    /// Opens an existing one; `NoFolder` unless new/ and cur/ and tmp/ are there.
    pub fn open(path: &Path) -> Result<Maildir> {
        match Maildir::is_at(path) {
            true => Ok(Maildir { path: path.to_path_buf() }),
            false => Err(Error::NoFolder(path.to_string_lossy().into_owned())),
        }
    }

    /// Opens a directory that only holds folders and may be no mailbox itself; `NoFolder` if it is not there.
    pub(crate) fn tree(path: &Path) -> Result<Maildir> {
        match path.is_dir() {
            true => Ok(Maildir { path: path.to_path_buf() }),
            false => Err(Error::NoFolder(path.to_string_lossy().into_owned())),
        }
    }

    /// Opens one, making what is missing as a root (no marker).
    pub fn open_or_create(path: &Path) -> Result<Maildir> {
        match Maildir::is_at(path) {
            true => Ok(Maildir { path: path.to_path_buf() }),
            false => Maildir::create(path),
        }
    }

    /// Makes a root Maildir; parts that exist are kept.
    pub fn create(path: &Path) -> Result<Maildir> {
        for sub in ["tmp", "new", "cur"] {
            let dir = path.join(sub);
            files::create_dir_durable(&dir, DIR_MODE).map_err(Error::io("make directory", &dir))?;
        }
        Ok(Maildir { path: path.to_path_buf() })
    }

    /// Makes a folder of a root: the same with the marker, and the marker first so that no delivery tool takes the
    /// half-made folder for a root.
    pub fn create_folder(path: &Path) -> Result<Maildir> {
        files::create_dir_durable(path, DIR_MODE).map_err(Error::io("make directory", path))?;
        write_marker(path)?;
        Maildir::create(path)
    }

    /// True if the three directories exist.
    pub fn is_at(path: &Path) -> bool {
        ["cur", "new", "tmp"].iter().all(|d| path.join(d).is_dir())
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// new/
    pub fn new_dir(&self) -> PathBuf {
        self.path.join("new")
    }

    /// cur/
    pub fn cur_dir(&self) -> PathBuf {
        self.path.join("cur")
    }

    /// tmp/
    pub fn tmp_dir(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// The folders of this root in Maildir++ order of the directory: every `.Name` directory with a cur/ in it.
    pub fn folder_dirs(&self) -> Result<Vec<String>> {
        let fail = Error::io("list", &self.path);
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(e) => return Err(fail(e)),
        };
        let mut out: Vec<String> = entries
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .filter(|n| n.starts_with('.') && !n.starts_with("..") && n.len() > 1)
            .filter(|n| self.path.join(n).join("cur").is_dir())
            .collect();
        out.sort();
        Ok(out)
    }
}

/// Writes the empty `maildirfolder` file, durably.
pub fn write_marker(folder: &Path) -> Result<()> {
    let marker = folder.join(FOLDER_MARKER);
    match files::create_new(&marker, FILE_MODE) {
        Ok(file) => file.sync_all().map_err(Error::io("sync", &marker))?,
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => return Err(Error::io("create", &marker)(e)),
    }
    files::sync_dir(folder).map_err(Error::io("sync", folder))
}
