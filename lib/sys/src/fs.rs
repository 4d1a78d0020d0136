//! Durable files: what must be synced, in which order, for a name to survive a power cut.
//!
//! Standard    fsync(2), linkat(2), open(2) O_TMPFILE; pennypost-overview(7) rule 1 ("250 is a promise")
//! Invariants  1. a failed fsync is never retried: Linux forgets the error   2. no call here overwrites a file
//!             except `rename_over`
//! Failures    io::Error; the caller unlinks and reports a temporary failure

use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::Mode;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Opens an unnamed file in `dir` (O_TMPFILE), readable and writable, that vanishes unless [`link_fd`] names it.
pub fn tmpfile(dir: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).mode(mode).custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC).open(dir)
}

/// Gives an unnamed file its first and only name. `EEXIST` when the name is taken.
pub fn link_fd(file: &File, to: &Path) -> io::Result<()> {
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    let cwd = nix::fcntl::AT_FDCWD;
    nix::unistd::linkat(cwd, from.as_str(), cwd, to, AtFlags::AT_SYMLINK_FOLLOW)?;
    Ok(())
}

/// Renames without ever replacing an existing file (`renameat2` with RENAME_NOREPLACE; link+unlink where missing).
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let flags = nix::fcntl::RenameFlags::RENAME_NOREPLACE;
    match nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, from, nix::fcntl::AT_FDCWD, to, flags) {
        Ok(()) => Ok(()),
        Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOSYS) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        Err(e) => Err(e.into()),
    }
}

/// Replaces `path` with `bytes`: temporary file beside it, fsync, rename, fsync of the directory.
pub fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(path, bytes, mode, |_| Ok(()))
}

/// The same with this mode whatever the umask.
pub fn replace_file_exactly(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(path, bytes, mode, |file| file.set_permissions(std::fs::Permissions::from_mode(mode)))
}

fn replace(path: &Path, bytes: &[u8], mode: u32, ready: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let dir = crate::files::dir_of(path);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{:x}", std::process::id(), crate::random::u64()));
    let temporary = dir.join(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        ready(&file)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        crate::files::sync_dir(dir)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Opens the file behind a descriptor once more, read-only and at offset 0 (an open file description of its own).
pub fn reopen_readonly(fd: BorrowedFd<'_>) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let fd = open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    Ok(File::from(fd))
}

/// Copies `from` from offset `start` to its end, without moving its offset if it is shared.
pub fn copy_from_offset(from: &File, start: u64, to: &mut File) -> io::Result<u64> {
    let mut at = start as i64;
    let mut total = 0u64;
    loop {
        match nix::fcntl::copy_file_range(from.as_fd(), Some(&mut at), to.as_fd(), None, 1 << 30) {
            Ok(0) => return Ok(total),
            Ok(n) => total += n as u64,
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) if total == 0 => return copy_by_read(from, start, to),
            Err(e) => return Err(e.into()),
        }
    }
}

fn copy_by_read(from: &File, start: u64, to: &mut File) -> io::Result<u64> {
    use std::os::unix::fs::FileExt;
    let mut buffer = vec![0u8; 64 * 1024];
    let mut at = start;
    loop {
        match from.read_at(&mut buffer, at) {
            Ok(0) => return Ok(at - start),
            Ok(n) => {
                to.write_all(&buffer[..n])?;
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Reads at most `limit` octets of a file; more is an error (`InvalidData`).
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let bytes = crate::files::while_stale(|| {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    })?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "file is larger than its limit"));
    }
    Ok(bytes)
}

/// An exclusive flock(2) on a file, held as long as this value lives.
#[derive(Debug)]
pub struct Locked(nix::fcntl::Flock<File>);

impl Locked {
    /// Takes the lock without waiting; `WouldBlock` when somebody else holds it.
    pub fn try_new(path: &Path, mode: u32) -> io::Result<Locked> {
        Locked::take(path, mode, nix::fcntl::FlockArg::LockExclusiveNonblock)
    }

    /// Waits for the lock.
    pub fn wait(path: &Path, mode: u32) -> io::Result<Locked> {
        Locked::take(path, mode, nix::fcntl::FlockArg::LockExclusive)
    }

    fn take(path: &Path, mode: u32, how: nix::fcntl::FlockArg) -> io::Result<Locked> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode).open(path)?;
        nix::fcntl::Flock::lock(file, how).map(Locked).map_err(|(_, e)| e.into())
    }

    /// The locked file.
    pub fn file(&self) -> &File {
        &self.0
    }
}

/// Moves the offset of a file to its start.
pub fn rewind(file: &mut File) -> io::Result<()> {
    file.seek(SeekFrom::Start(0)).map(|_| ())
}

/// Makes an anonymous file in memory, close-on-exec.
pub fn memory_file(name: &str) -> io::Result<File> {
    let name = std::ffi::CString::new(name)?;
    let fd = nix::sys::memfd::memfd_create(name.as_c_str(), nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    Ok(File::from(fd))
}

/// One that holds these octets, with its offset at the start.
pub fn memory_file_of(name: &str, bytes: &[u8]) -> io::Result<File> {
    let mut file = memory_file(name)?;
    file.write_all(bytes)?;
    rewind(&mut file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("penny-sys-{}-{:x}", std::process::id(), crate::random::u64()));
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn unnamed_file_gets_one_name_and_never_replaces() {
        let dir = directory();
        let mut file = tmpfile(&dir, 0o600).unwrap();
        file.write_all(b"x").unwrap();
        link_fd(&file, &dir.join("a")).unwrap();
        assert_eq!(std::fs::read(dir.join("a")).unwrap(), b"x");
        let other = tmpfile(&dir, 0o600).unwrap();
        assert_eq!(link_fd(&other, &dir.join("a")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn rename_new_refuses_an_existing_name() {
        let dir = directory();
        std::fs::write(dir.join("a"), "1").unwrap();
        std::fs::write(dir.join("b"), "2").unwrap();
        assert!(rename_new(&dir.join("a"), &dir.join("b")).is_err());
        rename_new(&dir.join("a"), &dir.join("c")).unwrap();
        assert_eq!(std::fs::read(dir.join("c")).unwrap(), b"1");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn copy_from_offset_leaves_the_offset() {
        let dir = directory();
        std::fs::write(dir.join("a"), "headbody").unwrap();
        let mut from = File::open(dir.join("a")).unwrap();
        let mut to = tmpfile(&dir, 0o600).unwrap();
        assert_eq!(copy_from_offset(&from, 4, &mut to).unwrap(), 4);
        let mut all = String::new();
        from.read_to_string(&mut all).unwrap();
        assert_eq!(all, "headbody");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn one_lock_at_a_time() {
        let dir = directory();
        let held = Locked::try_new(&dir.join("lock"), 0o600).unwrap();
        assert!(Locked::try_new(&dir.join("lock"), 0o600).is_err());
        drop(held);
        assert!(Locked::try_new(&dir.join("lock"), 0o600).is_ok());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
