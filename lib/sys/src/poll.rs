//! Waiting for several descriptors at once, and for names that appear in a directory.
//!
//! Standard    poll(2), inotify(7)
//! Invariants  an inotify queue that overflowed is told as [`Change::Overflow`], so the caller scans again
//! Failures    EINTR counts as nothing ready, so that signal flags are looked at

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

/// What to wait for on one descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Interest<'a> {
    /// The descriptor.
    pub fd: BorrowedFd<'a>,
    /// Something to read, or the end.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

impl<'a> Interest<'a> {
    /// Waits for something to read.
    pub fn read(fd: BorrowedFd<'a>) -> Interest<'a> {
        Interest { fd, read: true, write: false }
    }
}

/// What is possible now on one descriptor; an error or a hang-up counts as both, so that the caller meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready {
    /// A read will not wait.
    pub read: bool,
    /// A write will not wait.
    pub write: bool,
}

/// Waits until one of the descriptors is ready or the time is over (`None`: without end). The answers stand in the
/// order of the questions.
pub fn wait(interests: &[Interest<'_>], timeout: Option<Duration>) -> io::Result<Vec<Ready>> {
    let flags = |i: &Interest<'_>| {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, i.read);
        flags.set(PollFlags::POLLOUT, i.write);
        flags
    };
    let mut fds: Vec<PollFd<'_>> = interests.iter().map(|i| PollFd::new(i.fd, flags(i))).collect();
    let timeout = match timeout {
        None => PollTimeout::NONE,
        // rounded up, or a caller would spin through the last millisecond
        Some(t) => PollTimeout::try_from(t + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX),
    };
    match nix::poll::poll(&mut fds, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(fds.iter().map(ready).collect())
}

fn ready(fd: &PollFd<'_>) -> Ready {
    let got = fd.revents().unwrap_or(PollFlags::empty());
    let broken = got.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL);
    Ready { read: broken || got.contains(PollFlags::POLLIN), write: broken || got.contains(PollFlags::POLLOUT) }
}

/// A change in a watched directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A name appeared (created and closed, linked or renamed into place).
    Appeared(OsString),
    /// Some changes were lost: scan the directory.
    Overflow,
}

/// Watches one directory for names that appear.
#[derive(Debug)]
pub struct Watch(Inotify);

impl Watch {
    /// Starts watching; fails where the kernel's limits are used up (EMFILE, ENOSPC): the caller then scans by time.
    pub fn new(dir: &Path) -> io::Result<Watch> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        inotify.add_watch(dir, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR)?;
        Ok(Watch(inotify))
    }

    /// Watches the directories of a mail folder for every change of names: arrivals, renames and removals.
    pub fn folder(dirs: &[&Path]) -> io::Result<Watch> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVE | AddWatchFlags::IN_DELETE;
        for dir in dirs {
            inotify.add_watch(*dir, flags | AddWatchFlags::IN_ONLYDIR)?;
        }
        Ok(Watch(inotify))
    }

    /// Takes what happened since the last call, without waiting.
    pub fn changes(&self) -> io::Result<Vec<Change>> {
        let events = match self.0.read_events() {
            Ok(events) => events,
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        };
        let change = |e: nix::sys::inotify::InotifyEvent| match e.name {
            _ if e.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) => Some(Change::Overflow),
            Some(name) => Some(Change::Appeared(name)),
            None => None,
        };
        Ok(events.into_iter().filter_map(change).collect())
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_and_time() {
        let (a, b) = crate::net::stream_pair().unwrap();
        let both = [Interest::read(a.as_fd()), Interest { fd: b.as_fd(), read: true, write: true }];
        let ready = wait(&both, Some(Duration::from_secs(5))).unwrap();
        assert_eq!((ready[0].read, ready[1].read, ready[1].write), (false, false, true));
        assert!(!wait(&both[..1], Some(Duration::from_millis(1))).unwrap()[0].read);
        let only_a = [Interest::read(a.as_fd())];
        drop(b);
        assert!(wait(&only_a, None).unwrap()[0].read, "a hang-up can be read");
    }

    #[test]
    fn names_that_appear_are_told() {
        let dir = std::env::temp_dir().join(format!("penny-poll-{:x}", crate::random::u64()));
        std::fs::create_dir(&dir).unwrap();
        let watch = Watch::new(&dir).unwrap();
        assert!(watch.changes().unwrap().is_empty());
        std::fs::write(dir.join("a"), "").unwrap();
        std::fs::write(dir.join("../b-of-poll-test"), "").unwrap();
        std::fs::rename(dir.join("../b-of-poll-test"), dir.join("b")).unwrap();
        assert!(wait(&[Interest::read(watch.as_fd())], Some(Duration::from_secs(5))).unwrap()[0].read);
        let names = watch.changes().unwrap();
        assert_eq!(names, [Change::Appeared("a".into()), Change::Appeared("b".into())]);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
