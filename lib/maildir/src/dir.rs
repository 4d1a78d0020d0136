//! One Maildir folder on disk: its directories, made durably.
//!
//! Standards   maildir(5); Maildir++ for the `maildirfolder` marker
//! Invariants  1. after `create` the directories and their names are on stable storage
//!             2. `maildirfolder` exists in every folder made below a root, never in a root made here
//!             3. what is made is for its owner alone (0700, 0600), unless the directory it is made in is its group's: writable for it,
//!                with the set-group-ID bit. Then it is for the group (2770, 0660) whatever the umask, as Dovecot has it
//! Trust       the path comes from the owner's account or a checked `FolderName`

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use penny_sys::files;

use crate::error::{Error, Result};

/// Mode of the directories of a private Maildir.
pub const DIR_MODE: u32 = 0o700;
/// Mode of message and control files of a private Maildir.
pub const FILE_MODE: u32 = 0o600;
/// The same where mail is a group's.
const GROUP_DIR_MODE: u32 = 0o2770;
/// The same where mail is a group's.
const GROUP_FILE_MODE: u32 = 0o660;
/// What the mode of a group's directory has at least.
const GROUP_BITS: u32 = 0o2070;
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
            create_dir(&dir).map_err(Error::io("make directory", &dir))?;
        }
        Ok(Maildir { path: path.to_path_buf() })
    }

    /// Makes a folder of a root: the same with the marker, and the marker first so that no delivery tool takes the
    /// half-made folder for a root.
    pub fn create_folder(path: &Path) -> Result<Maildir> {
        create_dir(path).map_err(Error::io("make directory", path))?;
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

/// The group that a directory belongs to with all that is made in it (invariant 3).
fn group_of(dir: &Path) -> Option<u32> {
    std::fs::metadata(dir).ok().filter(|m| m.mode() & GROUP_BITS == GROUP_BITS).map(|m| m.gid())
}

/// The mode of what is written at this path.
pub(crate) fn file_mode(path: &Path) -> u32 {
    if group_of(files::dir_of(path)).is_some() { GROUP_FILE_MODE } else { FILE_MODE }
}

/// Whether a file may have a second name at this path: one's own mail and a group's differ in who can change it. True for what
/// is not there, of which the link will tell.
pub(crate) fn may_link(from: &Path, to: &Path) -> bool {
    let Ok(file) = std::fs::symlink_metadata(from) else { return true };
    let bits = file.mode() & GROUP_FILE_MODE & 0o077;
    match group_of(files::dir_of(to)) {
        Some(group) => bits == GROUP_FILE_MODE & 0o077 && file.gid() == group,
        None => bits & 0o020 == 0,
    }
}

/// Makes a file that must not exist, with the mode of its place.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    create_file_as(path, FILE_MODE)
}

/// The same with another mode where it is not a group's.
pub(crate) fn create_file_as(path: &Path, mode: u32) -> io::Result<File> {
    if group_of(files::dir_of(path)).is_none() {
        return files::create_new(path, mode);
    }
    let file = files::create_new(path, GROUP_FILE_MODE)?;
    // the umask took its part
    if let Err(e) = file.set_permissions(Permissions::from_mode(GROUP_FILE_MODE)) {
        let _ = std::fs::remove_file(path);
        return Err(e);
    }
    Ok(file)
}

/// Makes a directory that may be there already, durably, with the mode of its place.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    files::create_dir_durable(path, DIR_MODE)?;
    if group_of(files::dir_of(path)).is_some() {
        std::fs::set_permissions(path, Permissions::from_mode(GROUP_DIR_MODE))?;
        files::sync_dir(path)?;
    }
    Ok(())
}

/// Writes the empty `maildirfolder` file, durably.
pub fn write_marker(folder: &Path) -> Result<()> {
    let marker = folder.join(FOLDER_MARKER);
    match create_file(&marker) {
        Ok(file) => file.sync_all().map_err(Error::io("sync", &marker))?,
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => return Err(Error::io("create", &marker)(e)),
    }
    files::sync_dir(folder).map_err(Error::io("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_made_is_for_whom_its_place_is() {
        let t = TestDir::new();
        for (root, dir, file) in
            [(0o700, 0o700, 0o600), (0o2700, 0o2700, 0o600), (0o770, 0o700, 0o600), (0o2770, 0o2770, 0o660)]
        {
            let path = t.path().join(format!("{root:o}"));
            std::fs::create_dir(&path).unwrap();
            set_mode(&path, root);
            let folder = Maildir::create_folder(&path.join(".News")).unwrap();
            assert_eq!((mode(folder.path()), mode(&folder.cur_dir())), (dir, dir), "{root:o}");
            assert_eq!(mode(&folder.path().join(FOLDER_MARKER)), file, "{root:o}");
            create_file(&folder.tmp_dir().join("x")).unwrap();
            assert_eq!(mode(&folder.tmp_dir().join("x")), file, "{root:o}");
        }
        let at = |root: &str| t.path().join(root).join(".News");
        let (own, group) = (at("700").join("tmp/x"), at("2770").join("tmp/x"));
        assert!(may_link(&own, &at("2700").join("cur/x")) && may_link(&group, &at("2770").join("cur/x")));
        assert!(!may_link(&own, &at("2770").join("cur/x")) && !may_link(&group, &at("700").join("cur/x")));
    }
}
