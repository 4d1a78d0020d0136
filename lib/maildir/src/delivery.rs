//! Delivery: a message becomes a file of a Maildir, durably, or nothing of it remains.
//!
//! Standards   maildir(5) delivery; names and sizes as in `name`
//! Format      tmp/ (write, fsync), rename or link into new/ or cur/, fsync of that directory, only then success
//! Invariants  1. a file in new/ or cur/ made here is complete and was fsynced before it got that name
//!             2. when `commit` returns Ok, the bytes and the name are on stable storage
//!             3. when it returns Err, no name made by this call remains (a crash may leave a file in tmp/ only)
//!             4. a failed fsync is never tried again: Linux forgets the error
//! Failures    ENOSPC, EDQUOT, EIO -> `Error::Io`, temporary
//! Trust       message bytes hostile and never looked at; no lock is needed for new/
//! Not here    quota (quota.rs), UIDs (uidlist.rs), rules

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use penny_sys::files;

use crate::dir::{Maildir, create_file, may_link};
use crate::error::{Error, Result};
use crate::name::{self, Info};

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// new/: unseen by any client so far, no flags.
    New,
    /// cur/ with these flags and keyword letters.
    Cur(Info),
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Base name: the message's identity for the rest of its life.
    pub base: String,
    /// The file.
    pub path: PathBuf,
    /// Octets on disk (S=), what quota counts.
    pub size: u64,
    /// Octets with CRLF line ends (W=), RFC822.SIZE.
    pub virtual_size: u64,
}

/// A message being written into tmp/. Dropped without `commit`, the file is removed.
pub struct Delivery {
    dir: Maildir,
    unique: String,
    tmp: TmpFile,
    buffer: Vec<u8>,
    size: u64,
    bare_lf: u64,
    last: u8,
    date: Option<SystemTime>,
}

/// Octets collected before a write(2).
const BUFFER: usize = 64 * 1024;

/// A file that removes its name on drop unless told that the name is gone.
struct TmpFile {
    file: File,
    path: PathBuf,
    live: bool,
}

impl Drop for TmpFile {
    fn drop(&mut self) {
        if self.live {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Delivery {
    /// Starts a message for one folder.
    pub fn begin(dir: &Maildir) -> Result<Delivery> {
        let unique = name::unique();
        let path = dir.tmp_dir().join(&unique);
        let file = create_file(&path).map_err(Error::io("create", &path))?;
        let tmp = TmpFile { file, path, live: true };
        Ok(Delivery { dir: dir.clone(), unique, tmp, buffer: Vec::new(), size: 0, bare_lf: 0, last: 0, date: None })
    }

    /// Sets the INTERNALDATE (the file's mtime); without it the time of writing counts.
    pub fn set_internal_date(&mut self, date: SystemTime) {
        self.date = Some(date);
    }

    /// Octets written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Octets so far with every line end as CRLF.
    pub fn virtual_size(&self) -> u64 {
        self.size + self.bare_lf
    }

    /// Writes all of a reader.
    pub fn write_from(&mut self, reader: &mut impl io::Read) -> Result<u64> {
        let fail = Error::io("write", &self.tmp.path);
        io::copy(reader, self).map_err(fail)
    }

    /// Completes the file in tmp/: flushed, dated, fsynced. It can now be given to one or more folders.
    pub fn finish(mut self) -> Result<Prepared> {
        let path = self.tmp.path.clone();
        self.flush().map_err(Error::io("write", &path))?;
        if let Some(date) = self.date {
            let times = std::fs::FileTimes::new().set_modified(date).set_accessed(date);
            self.tmp.file.set_times(times).map_err(Error::io("set time of", &path))?;
        }
        self.tmp.file.sync_all().map_err(Error::io("sync", &path))?;
        let virtual_size = self.virtual_size();
        Ok(Prepared { dir: self.dir, unique: self.unique, tmp: self.tmp, size: self.size, virtual_size })
    }

    /// Completes the message in its own folder (invariants 2 and 3).
    pub fn commit(self, place: Place) -> Result<Delivered> {
        let prepared = self.finish()?;
        let placed = prepared.place(&place)?;
        sync_placed(vec![placed]).and_then(|mut all| all.pop().ok_or(Error::Limit("nothing placed")))
    }
}

impl Write for Delivery {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        for i in memchr::memchr_iter(b'\n', data) {
            let before = if i == 0 { self.last } else { data.get(i - 1).copied().unwrap_or(0) };
            self.bare_lf += u64::from(before != b'\r');
        }
        if let Some(last) = data.last() {
            self.last = *last;
        }
        self.size += data.len() as u64;
        if self.buffer.len() + data.len() > BUFFER {
            self.flush()?;
        }
        if data.len() > BUFFER {
            self.tmp.file.write_all(data)?;
        } else {
            self.buffer.extend_from_slice(data);
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tmp.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// A complete, fsynced message in tmp/. Dropped, it is removed.
pub struct Prepared {
    dir: Maildir,
    unique: String,
    tmp: TmpFile,
    size: u64,
    virtual_size: u64,
}

impl Prepared {
    /// Octets on disk.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Octets with CRLF line ends.
    pub fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    fn target(&self, dir: &Maildir, unique: &str, place: &Place) -> Delivered {
        let base = name::with_sizes(unique, self.size, self.virtual_size);
        let path = path_in(dir, &base, place);
        Delivered { base, path, size: self.size, virtual_size: self.virtual_size }
    }

    /// Renames the file into its folder without syncing the directory; `sync_placed` must follow.
    pub fn place(mut self, place: &Place) -> Result<Placed> {
        let target = self.target(&self.dir, &self.unique, place);
        std::fs::rename(&self.tmp.path, &target.path).map_err(Error::io("rename to", &target.path))?;
        self.tmp.live = false;
        Ok(Placed { delivered: target, kept: false })
    }

    /// Links the file into another folder under a fresh name (copying where a link cannot be made) without syncing
    /// the directory; `sync_placed` must follow.
    pub fn place_copy(&self, dir: &Maildir, place: &Place) -> Result<Placed> {
        let target = self.target(dir, &name::unique(), place);
        link_or_copy(&self.tmp.path, dir, &target.path)?;
        Ok(Placed { delivered: target, kept: false })
    }
}

/// A name in new/ or cur/ whose directory is not synced yet. Dropped, the name is removed again.
#[must_use = "a placed message is removed again unless sync_placed is called"]
pub struct Placed {
    delivered: Delivered,
    kept: bool,
}

impl Placed {
    /// What it will be once synced.
    pub fn delivered(&self) -> &Delivered {
        &self.delivered
    }
}

/// Gives an existing message a name in a folder, by link or copy, without syncing; `sync_placed` must follow.
pub(crate) fn place_existing(
    from: &Path,
    dir: &Maildir,
    base: String,
    place: &Place,
    sizes: (u64, u64),
) -> Result<Placed> {
    let path = path_in(dir, &base, place);
    link_or_copy(from, dir, &path)?;
    Ok(Placed { delivered: Delivered { base, path, size: sizes.0, virtual_size: sizes.1 }, kept: false })
}

impl Drop for Placed {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.delivered.path);
        }
    }
}

/// Syncs each directory that got a name, once; on any failure all names are removed and the first error is returned.
/// All links of a group are made before the first sync, so that a group costs one journal commit a directory.
pub fn sync_placed(mut placed: Vec<Placed>) -> Result<Vec<Delivered>> {
    let mut done: Vec<&Path> = Vec::new();
    for item in &placed {
        let dir = item.delivered.path.parent().unwrap_or(Path::new("."));
        if !done.contains(&dir) {
            files::sync_dir(dir).map_err(Error::io("sync", dir))?;
            done.push(dir);
        }
    }
    Ok(placed
        .iter_mut()
        .map(|item| {
            item.kept = true;
            item.delivered.clone()
        })
        .collect())
}

/// The path a base name gets at a place.
pub(crate) fn path_in(dir: &Maildir, base: &str, place: &Place) -> PathBuf {
    match place {
        Place::New => dir.new_dir().join(base),
        Place::Cur(info) => dir.cur_dir().join(name::os(&name::join(base.as_bytes(), info))),
    }
}

/// Makes `to` (in new/ or cur/ of `dir`) the same message as `from`: a hard link, or a synced copy where links cannot be.
pub(crate) fn link_or_copy(from: &Path, dir: &Maildir, to: &Path) -> Result<()> {
    if !may_link(from, to) {
        return copy_into(from, dir, to);
    }
    match std::fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(e) if must_copy(&e) => copy_into(from, dir, to),
        Err(e) => Err(Error::io("link to", to)(e)),
    }
}

/// EXDEV, EMLINK, EPERM (another owner's file, or a file system without links), EOPNOTSUPP: copy instead.
fn must_copy(e: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(e.kind(), CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
}

fn copy_into(from: &Path, dir: &Maildir, to: &Path) -> Result<()> {
    let mut source = files::open_regular(from).map_err(Error::io("open", from))?;
    let meta = source.metadata().map_err(Error::io("stat", from))?;
    let path = dir.tmp_dir().join(name::unique());
    let file = create_file(&path).map_err(Error::io("create", &path))?;
    let mut tmp = TmpFile { file, path, live: true };
    io::copy(&mut source, &mut tmp.file).map_err(Error::io("copy to", &tmp.path))?;
    if let Ok(date) = meta.modified() {
        let times = std::fs::FileTimes::new().set_modified(date);
        tmp.file.set_times(times).map_err(Error::io("set time of", &tmp.path))?;
    }
    tmp.file.sync_all().map_err(Error::io("sync", &tmp.path))?;
    std::fs::rename(&tmp.path, to).map_err(Error::io("rename to", to))?;
    tmp.live = false;
    Ok(())
}

/// Removes files of tmp/ that nobody can still be writing: inode change older than `age`; returns how many.
pub fn purge_tmp(dir: &Maildir, age: std::time::Duration) -> Result<usize> {
    let tmp = dir.tmp_dir();
    let limit = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let limit = limit.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    let mut removed = 0;
    for entry in std::fs::read_dir(&tmp).map_err(Error::io("list", &tmp))?.flatten() {
        let old = entry.metadata().is_ok_and(|m| m.is_file() && files::Stamp::of(&m).ctime < limit);
        removed += usize::from(old && std::fs::remove_file(entry.path()).is_ok());
    }
    Ok(removed)
}

/// Age after which a file in tmp/ is abandoned (maildir(5): 36 hours).
pub const TMP_AGE: std::time::Duration = std::time::Duration::from_secs(36 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Flags;
    use crate::testdir::TestDir;

    fn entries(path: PathBuf) -> Vec<String> {
        let mut v: Vec<String> =
            std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        v.sort();
        v
    }

    #[test]
    fn commit_names_the_message_with_its_sizes() {
        let t = TestDir::new();
        let dir = Maildir::create(&t.path().join("M")).unwrap();
        let mut d = Delivery::begin(&dir).unwrap();
        for part in [&b"Subject: x\n\nline\r"[..], b"\nend", b"\n"] {
            d.write_all(part).unwrap();
        }
        let done = d.commit(Place::New).unwrap();
        assert_eq!((done.size, done.virtual_size), (22, 25));
        assert!(done.base.ends_with(",S=22,W=25"), "{}", done.base);
        assert_eq!(std::fs::read(&done.path).unwrap().len(), 22);
        assert_eq!(entries(dir.new_dir()), [done.base]);
        assert!(entries(dir.tmp_dir()).is_empty());
    }

    #[test]
    fn flags_and_date_are_kept() {
        let t = TestDir::new();
        let dir = Maildir::create(&t.path().join("M")).unwrap();
        let mut d = Delivery::begin(&dir).unwrap();
        d.write_all(&vec![b'a'; 200_000]).unwrap();
        let date = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        d.set_internal_date(date);
        let info = Info { flags: Flags::SEEN.union(Flags::FLAGGED), letters: 2, ..Info::default() };
        let done = d.commit(Place::Cur(info)).unwrap();
        assert!(done.path.to_str().unwrap().ends_with(",S=200000,W=200000:2,FSb"));
        assert_eq!(std::fs::metadata(&done.path).unwrap().modified().unwrap(), date);
    }

    #[test]
    fn dropped_or_failed_deliveries_leave_nothing() {
        let t = TestDir::new();
        let dir = Maildir::create(&t.path().join("M")).unwrap();
        let mut d = Delivery::begin(&dir).unwrap();
        d.write_all(b"x").unwrap();
        drop(d);
        let mut d = Delivery::begin(&dir).unwrap();
        d.write_all(b"x").unwrap();
        std::fs::remove_dir(dir.new_dir()).unwrap();
        let err = d.commit(Place::New).unwrap_err();
        assert!(err.is_temporary());
        assert!(entries(dir.tmp_dir()).is_empty());
    }

    #[test]
    fn one_message_to_many_folders_is_one_inode() {
        use std::os::unix::fs::MetadataExt;
        let t = TestDir::new();
        let dirs: Vec<Maildir> =
            (0..3).map(|i| Maildir::create(&t.path().join(format!("u{i}/Maildir"))).unwrap()).collect();
        let mut d = Delivery::begin(&dirs[0]).unwrap();
        d.write_all(b"Subject: x\n\n").unwrap();
        std::fs::remove_dir(dirs[1].new_dir()).unwrap();
        let prepared = d.finish().unwrap();
        let mut placed: Vec<Result<Placed>> = dirs.iter().map(|d| prepared.place_copy(d, &Place::New)).collect();
        drop(prepared);
        assert!(placed.remove(1).is_err());
        let done = sync_placed(placed.into_iter().map(|p| p.unwrap()).collect()).unwrap();
        let inodes: Vec<u64> = done.iter().map(|d| std::fs::metadata(&d.path).unwrap().ino()).collect();
        assert_eq!(inodes[0], inodes[1]);
        assert!(entries(dirs[0].tmp_dir()).is_empty());
    }

    #[test]
    fn purge_leaves_the_young() {
        let t = TestDir::new();
        let dir = Maildir::create(&t.path().join("M")).unwrap();
        std::fs::write(dir.tmp_dir().join("x"), b"").unwrap();
        assert_eq!(purge_tmp(&dir, TMP_AGE).unwrap(), 0);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert_eq!(purge_tmp(&dir, std::time::Duration::ZERO).unwrap(), 1);
    }
}
