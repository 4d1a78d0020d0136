//! Files: the few calls the mail store needs that std does not offer safely.
//!
//! Standards   open(2), flock(2), fsync(2), mmap(2), kill(2) as Linux has them
//! Invariants  1. a directory is on stable storage when `sync_dir` has returned Ok
//!             2. a `Map` is never of a file that this project truncates (files are replaced by rename)
//! Failures    everything is an `io::Error`, unchanged
//! Not here    pathname policy, Maildir rules (penny-maildir)

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use crate::passing::Listed;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::signal::kill;
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;

/// Tries again at most so often after ESTALE.
const STALE_TRIES: u32 = 5;

/// Creates a file that must not exist, never through a symbolic link.
pub fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
}

/// Opens a regular file for reading; a symbolic link, FIFO or device is refused and never blocks.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Opens a file of a directory for reading; a symbolic link is refused and nothing blocks. Whether it is a regular file
/// shows when it is read: a directory cannot be, a FIFO is empty.
pub fn open_at(dir: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::openat(dir, name, flags, nix::sys::stat::Mode::empty())?.into())
}

/// Gives each name of a directory but `.` and `..`, without a copy of it on the heap.
pub fn each_name(dir: &Path, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut dir = nix::dir::Dir::open(dir, flags, nix::sys::stat::Mode::empty())?;
    for entry in dir.iter() {
        match entry?.file_name().to_bytes() {
            b"." | b".." => {}
            name => each(name),
        }
    }
    Ok(())
}

/// Reads what is left of a file that should have `size` octets: one read(2) where that is true. `read_to_end` asks
/// for size and position first and for the end last, which is half of what a small file costs.
pub fn read_known(mut file: &File, size: u64, out: &mut Vec<u8>) -> io::Result<()> {
    let size = usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // one octet more than there should be: when it stays free, that was the end
    out.resize(size + 1, 0);
    let mut filled = 0;
    while filled <= size {
        match file.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        if filled == size {
            break;
        }
    }
    out.truncate(filled);
    // it has grown since
    if filled > size { file.read_to_end(out).map(drop) } else { Ok(()) }
}

/// Tries again while the file that was opened is not the one that has the name now (ESTALE): on NFS another machine may
/// have replaced it between open(2) and read(2).
pub fn while_stale<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..STALE_TRIES {
        match work() {
            Err(e) if e.kind() == io::ErrorKind::StaleNetworkFileHandle => {}
            other => return other,
        }
    }
    work()
}

/// Raises the soft limit of open descriptors to the hard one, for services with many connections.
pub fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Sets a file's times to now: who may write it can, where any other time is its owner's to set (utimensat(2)).
pub fn touch(file: &File) -> io::Result<()> {
    let now = TimeSpec::UTIME_NOW;
    Ok(nix::sys::stat::futimens(file, &now, &now)?)
}

/// The directory that a path names something in.
pub fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts a directory's names on stable storage (fsync(2): a new name needs its directory's own fsync).
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a directory and those above it that are missing, each synced together with the directory that names it.
pub fn create_dir_durable(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = dir_of(path);
    create_dir_durable(parent, mode)?;
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other?,
    }
    sync_dir(path)?;
    sync_dir(parent)
}

/// An exclusive whole-file lock (flock(2)), released on drop or process end.
pub struct FileLock {
    _inner: Flock<File>,
}

impl FileLock {
    /// Waits for the lock.
    pub fn exclusive(file: File) -> io::Result<FileLock> {
        let mut file = file;
        loop {
            match Flock::lock(file, FlockArg::LockExclusive) {
                Ok(inner) => return Ok(FileLock { _inner: inner }),
                Err((back, nix::errno::Errno::EINTR)) => file = back,
                Err((_, e)) => return Err(e.into()),
            }
        }
    }

    /// Takes the lock if it is free; `None` when somebody holds it.
    pub fn try_exclusive(file: File) -> io::Result<Option<FileLock>> {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(inner) => Ok(Some(FileLock { _inner: inner })),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, e)) => Err(e.into()),
        }
    }
}

/// True unless the process is known not to exist (ESRCH); EPERM means alive.
pub fn process_exists(pid: i32) -> bool {
    // a process that is dead but not yet waited for holds nothing any more
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let dead = state.as_deref().and_then(|s| s.rsplit_once(") ")).is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']));
    pid > 0 && !dead && kill(Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
}

/// This machine's name as gethostname(2) tells it, lossy if it is not UTF-8.
pub fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(|_| "localhost".into(), |n| n.to_string_lossy().into_owned())
}

/// A moment of a file's life: device, inode, size, and nanosecond mtime and ctime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Size in octets.
    pub size: u64,
    /// Last modification, seconds.
    pub mtime: i64,
    /// Last modification, nanoseconds part.
    pub mtime_nsec: i64,
    /// Last inode change, seconds.
    pub ctime: i64,
    /// Link count.
    pub nlink: u64,
}

impl Stamp {
    /// Reads it from metadata.
    pub fn of(meta: &std::fs::Metadata) -> Stamp {
        Stamp {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime: meta.mtime(),
            mtime_nsec: meta.mtime_nsec(),
            ctime: meta.ctime(),
            nlink: meta.nlink(),
        }
    }

    /// stat(2); `None` when there is no such file.
    pub fn at(path: &Path) -> io::Result<Option<Stamp>> {
        match std::fs::metadata(path) {
            Ok(meta) => Ok(Some(Stamp::of(&meta))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Sleeps between `low` and `high` milliseconds; the spread comes from the clock and the pid, enough to part two waiters.
pub fn sleep_between(low: u64, high: u64) {
    let now = crate::time::now();
    let mixed = u64::from(now.subsec_nanos()) ^ (u64::from(std::process::id()).wrapping_mul(2_654_435_761));
    let spread = high.saturating_sub(low).max(1);
    std::thread::sleep(Duration::from_millis(low + mixed % spread));
}

/// A read-only shared mapping of a file.
pub struct Map {
    // before `inner`: fields are dropped in their order
    _passing: Option<Listed>,
    inner: Option<memmap2::Mmap>,
}

impl Map {
    /// Maps the whole file; an empty file gives an empty slice.
    pub fn of(file: &File) -> io::Result<Map> {
        if file.metadata()?.len() == 0 {
            return Ok(Map { _passing: None, inner: None });
        }
        // SAFETY: the mapping is only as sound as the file is stable. Files mapped here are written under a temporary
        // name, renamed into place and never truncated or written again by this project (invariant 2). Another
        // program of the same user that truncates one can only kill its own session by SIGBUS; contents are checked
        // (checksums, bounds) before use and no reference into the map is given a type other than bytes.
        let inner = unsafe { memmap2::MmapOptions::new().map(file)? };
        Ok(Map { _passing: None, inner: Some(inner) })
    }

    /// Maps `len` octets from `offset`, a multiple of the page size. The file is one that only this process knows
    /// (unnamed) and does not change there while the map lives, or one whose shrinking may end this process.
    pub fn range(file: &File, offset: u64, len: usize) -> io::Result<Map> {
        // SAFETY: as in `of`. A file of another program that shrinks meanwhile raises SIGBUS, which ends the process;
        // no reference into the map is given a type other than bytes.
        let inner = unsafe { memmap2::MmapOptions::new().offset(offset).len(len).map(file)? };
        Ok(Map { _passing: None, inner: Some(inner) })
    }

    /// As [`range`](Map::range), for what is large and would fill memory: few pages are resident at any moment. The octets
    /// may be read, but not handed to a system call.
    pub fn passing(file: &File, offset: u64, len: usize) -> io::Result<Map> {
        let map = Map::range(file, offset, len)?;
        Ok(Map { _passing: Listed::new(map.bytes())?, ..map })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.inner.as_deref().unwrap_or_default()
    }
}

impl std::ops::Deref for Map {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_directory_are_named_and_opened_but_no_links() {
        let dir = std::env::temp_dir().join(format!("penny-sys-names-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", dir.join("link")).unwrap();
        let mut names = Vec::new();
        each_name(&dir, |name| names.push(name.to_vec())).unwrap();
        names.sort();
        assert_eq!(names, [b"file", b"link"]);
        let opened = File::open(&dir).unwrap();
        assert_eq!(io::read_to_string(open_at(&opened, OsStr::new("file")).unwrap()).unwrap(), "x");
        for refused in ["link", "none"] {
            assert!(open_at(&opened, OsStr::new(refused)).is_err(), "{refused}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_is_read_whole_whatever_size_was_said() {
        let path = std::env::temp_dir().join(format!("penny-sys-known-{}", std::process::id()));
        std::fs::write(&path, "0123456789").unwrap();
        // as told, shorter than told (it was cut since), and longer (it has grown)
        for size in [10, 200, 3, 0] {
            let mut out = b"old".to_vec();
            read_known(&File::open(&path).unwrap(), size, &mut out).unwrap();
            assert_eq!(out, b"0123456789", "{size}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_has_gone_stale_is_tried_again() {
        let stale = || io::Error::from_raw_os_error(libc::ESTALE);
        let mut calls = 0;
        let mut after = |n: u32| {
            calls = 0;
            while_stale(|| {
                calls += 1;
                if calls > n { Ok(calls) } else { Err(stale()) }
            })
        };
        assert_eq!(after(0).unwrap(), 1);
        assert_eq!(after(3).unwrap(), 4);
        assert_eq!(after(100).unwrap_err().raw_os_error(), Some(libc::ESTALE));
        let other = while_stale(|| Err::<(), _>(io::ErrorKind::NotFound.into()));
        assert_eq!(other.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_dead_child_does_not_exist() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        assert!(process_exists(pid));
        child.kill().unwrap();
        // not waited for: it stays in the process table
        let gone = (0..12_000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            !process_exists(pid)
        });
        child.wait().unwrap();
        assert!(gone, "a zombie counts as alive");
    }

    #[test]
    fn directories_are_made_with_their_parents() {
        let base = std::env::temp_dir().join(format!("penny-sys-{}-{}", std::process::id(), line!()));
        let deep = base.join("a/b/c");
        create_dir_durable(&deep, 0o700).unwrap();
        assert!(deep.is_dir());
        create_dir_durable(&deep, 0o700).unwrap();
        assert_eq!(std::fs::metadata(&deep).unwrap().mode() & 0o777, 0o700);
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn fifo_and_link_are_refused() {
        let base = std::env::temp_dir().join(format!("penny-sys-{}-{}", std::process::id(), line!()));
        create_dir_durable(&base, 0o700).unwrap();
        let fifo = base.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open_regular(&fifo).is_err());
        std::fs::write(base.join("f"), b"x").unwrap();
        std::os::unix::fs::symlink("f", base.join("l")).unwrap();
        assert!(open_regular(&base.join("l")).is_err());
        let map = Map::of(&open_regular(&base.join("f")).unwrap()).unwrap();
        assert_eq!(map.bytes(), b"x");
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn processes() {
        assert!(process_exists(std::process::id() as i32));
        assert!(!process_exists(i32::MAX - 1));
        assert!(!process_exists(0) && !process_exists(-1));
    }
}
