//! Dotlocks (`<file>.lock`) that Dovecot honours, and the folder lock that our own processes queue on.
//!
//! Format      content `<pid>:<host>` without newline, mode 0666 before umask as Dovecot has it (0660 where mail is a group's); linked into place whole
//! Stale       same host and the process is dead: at once (but not in the lock's first 2 s); another host or unreadable
//!             content: when neither lock nor protected file changed for the stale time
//! Invariants  1. the folder lock (flock on the directory) is always taken before the dotlock, so of our processes at
//!                most one looks at a stale dotlock at a time   2. a lock we no longer own is not removed
//! Failures    `Error::Locked` after the time limit

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use penny_sys::files::{self, FileLock, Stamp};

use crate::dir::create_file_as;
use crate::error::{Error, Result};

/// Longest wait for a lock.
pub const TIMEOUT: Duration = Duration::from_secs(120);
/// A uidlist or keywords lock of an unknown holder is stale after this long without a change.
pub const STALE_UIDLIST: Duration = Duration::from_secs(120);
/// The same for subscriptions and maildirsize.
pub const STALE_SHORT: Duration = Duration::from_secs(30);
/// A lock younger than this is not questioned.
const YOUNG: Duration = Duration::from_secs(2);

/// A held dotlock; released on drop.
#[derive(Debug)]
pub struct Dotlock {
    path: PathBuf,
    ino: u64,
    taken: Instant,
    touched: Instant,
}

impl Dotlock {
    /// Waits for `<file>.lock`.
    pub fn take(file: &Path, stale: Duration) -> Result<Dotlock> {
        Dotlock::take_within(file, stale, TIMEOUT)
    }

    /// The same with a limit of its own.
    pub fn take_within(file: &Path, stale: Duration, limit: Duration) -> Result<Dotlock> {
        Dotlock::wait(file, stale, limit, create)
    }

    /// Waits until `make` has made the lock file; it fails with AlreadyExists while somebody holds it.
    fn wait(
        file: &Path,
        stale: Duration,
        limit: Duration,
        mut make: impl FnMut(&Path) -> std::io::Result<u64>,
    ) -> Result<Dotlock> {
        let path = lock_path(file);
        let start = Instant::now();
        loop {
            match make(&path) {
                Ok(ino) => return Ok(Dotlock { path, ino, taken: Instant::now(), touched: Instant::now() }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("create lock", &path)(e)),
            }
            if is_stale(&path, file, stale) {
                let _ = std::fs::remove_file(&path);
                continue;
            }
            if start.elapsed() >= limit {
                return Err(Error::Locked(path));
            }
            files::sleep_between(5, 40);
        }
    }

    /// Shows others that the holder lives; to be called now and then during long work (Dovecot: every 10 s).
    pub fn keep_alive(&mut self) {
        if self.touched.elapsed() < Duration::from_secs(10) {
            return;
        }
        self.touched = Instant::now();
        if let Ok(file) = std::fs::OpenOptions::new().write(true).open(&self.path) {
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// False when somebody overrode the lock, which can only be after it looked dead for a while.
    pub fn is_ours(&self) -> bool {
        self.taken.elapsed() < YOUNG || Stamp::at(&self.path).is_ok_and(|s| s.is_some_and(|s| s.ino == self.ino))
    }
}

impl Drop for Dotlock {
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes the lock at `path` in one step, content and all; its inode. A process killed between creating an empty lock and
/// writing its pid would leave one that says nothing and holds everybody for the whole stale time.
fn create(path: &Path) -> std::io::Result<u64> {
    if path.symlink_metadata().is_ok() {
        return Err(std::io::ErrorKind::AlreadyExists.into());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let spare = folder.join("tmp").join(crate::name::unique());
    // a place without tmp/, or a file system without links
    let Ok(ino) = create_in_place(&spare) else { return create_in_place(path) };
    let linked = std::fs::hard_link(&spare, path);
    let _ = std::fs::remove_file(&spare);
    match linked {
        Ok(()) => Ok(ino),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(e),
        Err(_) => create_in_place(path),
    }
}

/// Makes a file with the content of a lock; its inode.
fn create_in_place(path: &Path) -> std::io::Result<u64> {
    let mut lock = create_file_as(path, 0o666)?;
    let content = format!("{}:{}", std::process::id(), host());
    let written = lock.write_all(content.as_bytes()).and_then(|()| lock.metadata());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written.map(|m| Stamp::of(&m).ino)
}

/// A lock file kept in tmp/ by a session that locks again and again: link(2) makes it the lock, unlink(2) undoes that,
/// and no inode is made and freed for each change. (An ext4 without journal looks through all inodes freed in the last
/// seconds for every new file: 1,000 changes of a flag took 710 ms instead of 85.)
#[derive(Debug, Default)]
pub struct Spare {
    uses: u32,
    file: Option<(PathBuf, u64, Instant)>,
}

impl Spare {
    /// Makes the lock at `path`: created for the first time, linked from the spare file after that.
    fn make(&mut self, folder: &Path, path: &Path) -> std::io::Result<u64> {
        if self.uses == 0 {
            return create(path).inspect(|_| self.uses = 1);
        }
        if self.file.is_none() {
            let spare = folder.join("tmp").join(crate::name::unique());
            let ino = create_in_place(&spare)?;
            self.file = Some((spare, ino, Instant::now()));
        }
        let Some((spare, ino, touched)) = &mut self.file else { return create(path) };
        if touched.elapsed() > Duration::from_secs(1) {
            let open = std::fs::OpenOptions::new().write(true).open(&*spare);
            // One that was purged from tmp/ shows when it is linked.
            let _ = open.and_then(|f| f.set_modified(SystemTime::now()));
            *touched = Instant::now();
        }
        match std::fs::hard_link(&*spare, path) {
            Ok(()) => Ok(*ino),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(e),
            // Purged from tmp/, or a file system without links.
            Err(_) => {
                self.forget();
                create(path)
            }
        }
    }

    fn forget(&mut self) {
        if let Some((spare, _, _)) = self.file.take() {
            let _ = std::fs::remove_file(spare);
        }
        self.uses = 0;
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.forget();
    }
}

fn lock_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

fn host() -> &'static str {
    static HOST: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    HOST.get_or_init(files::host_name)
}

/// Decides by the rules in the header. Looks at the lock twice around reading, so that a fresh one is not judged by
/// the content of its predecessor.
fn is_stale(lock: &Path, file: &Path, stale: Duration) -> bool {
    let Ok(Some(before)) = Stamp::at(lock) else { return false };
    let holder = holder(lock);
    let age = age_of(before);
    let dead = match holder {
        Some((pid, true)) => age >= YOUNG && !files::process_exists(pid),
        _ => age >= stale && Stamp::at(file).is_ok_and(|s| s.is_none_or(|s| age_of(s) >= stale)),
    };
    dead && Stamp::at(lock).is_ok_and(|s| s == Some(before))
}

fn age_of(stamp: Stamp) -> Duration {
    let changed = Duration::from_secs(stamp.mtime.max(stamp.ctime).max(0) as u64);
    penny_sys::time::now().saturating_sub(changed)
}

/// Pid of the holder and whether it is on this host.
fn holder(lock: &Path) -> Option<(i32, bool)> {
    let mut text = String::new();
    files::open_regular(lock).ok()?.take(300).read_to_string(&mut text).ok()?;
    let (pid, on) = text.split_once(':')?;
    Some((pid.parse().ok()?, on == host()))
}

/// The lock of a folder: flock(2) on the index directory (ours), and `dovecot-uidlist.lock` (shared with Dovecot).
pub struct FolderLock {
    dotlock: Dotlock,
    _ours: FileLock,
}

impl FolderLock {
    /// Waits for both.
    pub fn take(folder: &Path, index_dir: &Path, spare: &mut Spare) -> Result<FolderLock> {
        let gone = |e: Error| if e.is_not_found() { Error::FolderGone } else { e };
        let ours = take_flock(index_dir).map_err(gone)?;
        let make = |path: &Path| spare.make(folder, path);
        let file = folder.join(crate::uidlist::FILE);
        let dotlock = Dotlock::wait(&file, STALE_UIDLIST, TIMEOUT, make).map_err(gone)?;
        Ok(FolderLock { dotlock, _ours: ours })
    }

    /// The folder has got another name, and the lock with it.
    pub fn moved_to(&mut self, folder: &Path) {
        self.dotlock.path = lock_path(&folder.join(crate::uidlist::FILE));
    }

    /// See `Dotlock::keep_alive`.
    pub fn keep_alive(&mut self) {
        self.dotlock.keep_alive();
    }

    /// See `Dotlock::is_ours`.
    pub fn is_ours(&self) -> bool {
        self.dotlock.is_ours()
    }
}

/// The lock this process keeps between two calls (`Mailbox::hold`), at most one: waiting for a second folder while
/// keeping a first could end in a deadlock with another process, and another mailbox of this process on the same folder
/// (COPY into itself, APPEND to the selected mailbox) must get it at once.
static PARKED: Mutex<Option<(PathBuf, FolderLock)>> = Mutex::new(None);

impl FolderLock {
    /// Takes the kept lock if it is this folder's, else gives it up and waits for this folder's.
    pub fn acquire(folder: &Path, index_dir: &Path, spare: &mut Spare) -> Result<FolderLock> {
        match unpark() {
            Some((dir, mut lock)) if dir == index_dir && lock.is_ours() => {
                lock.keep_alive();
                Ok(lock)
            }
            other => {
                drop(other);
                FolderLock::take(folder, index_dir, spare)
            }
        }
    }

    /// Keeps the lock for the next `acquire`.
    pub fn park(self, index_dir: &Path) {
        let before = PARKED.lock().unwrap_or_else(PoisonError::into_inner).replace((index_dir.to_path_buf(), self));
        drop(before);
    }

    /// Gives up a kept lock of this folder.
    pub fn give_up(index_dir: &Path) {
        match unpark() {
            Some((dir, lock)) if dir != index_dir => lock.park(&dir),
            ours => drop(ours),
        }
    }
}

fn unpark() -> Option<(PathBuf, FolderLock)> {
    PARKED.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Polls with growing pauses, so that a stopped holder cannot stop everybody for ever.
fn take_flock(dir: &Path) -> Result<FileLock> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(50);
    loop {
        let file = std::fs::File::open(dir).map_err(Error::io("open", dir))?;
        if let Some(lock) = FileLock::try_exclusive(file).map_err(Error::io("lock", dir))? {
            return Ok(lock);
        }
        if start.elapsed() > TIMEOUT {
            return Err(Error::Locked(dir.to_path_buf()));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn content_and_release() {
        let t = TestDir::new();
        let file = t.path().join("dovecot-uidlist");
        let lock = Dotlock::take(&file, STALE_UIDLIST).unwrap();
        let text = std::fs::read_to_string(t.path().join("dovecot-uidlist.lock")).unwrap();
        assert_eq!(text, format!("{}:{}", std::process::id(), files::host_name()));
        let second = Dotlock::take_within(&file, STALE_UIDLIST, Duration::from_millis(50));
        assert!(matches!(second, Err(Error::Locked(_))));
        drop(lock);
        assert!(!t.path().join("dovecot-uidlist.lock").exists());
    }

    fn plant(path: &Path, content: &str, age: u64) {
        std::fs::write(path, content).unwrap();
        let when = SystemTime::now() - Duration::from_secs(age);
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_modified(when).unwrap();
    }

    #[test]
    fn dead_holder_on_this_host_is_overridden_after_two_seconds() {
        let t = TestDir::new();
        let file = t.path().join("f");
        let start = Instant::now();
        plant(&t.path().join("f.lock"), &format!("2147483000:{}", files::host_name()), 0);
        let _lock = Dotlock::take_within(&file, STALE_UIDLIST, Duration::from_secs(100)).unwrap();
        // ctime has whole seconds here: between one and three.
        assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    }

    #[test]
    fn live_holder_and_other_hosts_are_respected() {
        let t = TestDir::new();
        let file = t.path().join("f");
        let lock = t.path().join("f.lock");
        for content in [format!("{}:{}", std::process::id(), files::host_name()), "1:elsewhere".into(), "".into()] {
            plant(&lock, &content, 600);
            // ctime is now, so neither rule applies yet.
            assert!(Dotlock::take_within(&file, STALE_UIDLIST, Duration::from_millis(30)).is_err(), "{content}");
        }
    }

    #[test]
    fn folder_lock_excludes() {
        let t = TestDir::new();
        let dir = t.path().to_path_buf();
        let lock = FolderLock::take(&dir, &dir, &mut Spare::default()).unwrap();
        let taken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&taken);
        let other = std::thread::spawn(move || {
            let lock = FolderLock::take(&dir, &dir, &mut Spare::default()).unwrap();
            flag.store(true, Ordering::SeqCst);
            drop(lock);
        });
        // time enough for one that does not wait
        std::thread::sleep(Duration::from_millis(100));
        assert!(!taken.load(Ordering::SeqCst));
        drop(lock);
        other.join().unwrap();
        assert!(taken.load(Ordering::SeqCst));
    }

    #[test]
    fn a_spare_file_is_used_from_the_second_time_on() {
        let t = TestDir::new();
        std::fs::create_dir(t.path().join("tmp")).unwrap();
        let count = || std::fs::read_dir(t.path().join("tmp")).unwrap().count();
        let lock_file = t.path().join("dovecot-uidlist.lock");
        let mut spare = Spare::default();
        for round in 0..4 {
            let lock = FolderLock::take(t.path(), t.path(), &mut spare).unwrap();
            let text = std::fs::read_to_string(&lock_file).unwrap();
            assert_eq!(text, format!("{}:{}", std::process::id(), files::host_name()));
            assert_eq!(count(), usize::from(round == 1 || round == 2), "{round}");
            drop(lock);
            assert!(!lock_file.exists());
            if round == 2 {
                // Somebody purged tmp/.
                std::fs::remove_dir_all(t.path().join("tmp")).unwrap();
                std::fs::create_dir(t.path().join("tmp")).unwrap();
                drop(FolderLock::take(t.path(), t.path(), &mut spare).unwrap());
            }
        }
        drop(spare);
        assert_eq!(count(), 0);
    }
}
