//! Large mapped files in little memory: of all that is mapped so, only a few windows are resident at any moment.
//!
//! Standard    mprotect(2), madvise(2), sigaction(2) with SA_SIGINFO, signal-safety(7)
//! Why         what reads a mapping is a plain function over a slice, of ours or of a library, and none says how far it has
//!             come. So the mapping is kept unreadable; touching it raises SIGSEGV, whose handler opens the window touched and
//!             shuts the oldest. Its pages stay in the kernel's cache: opening it again costs some microseconds
//! Invariants  1. only shared read-only mappings of files are listed: a page that was given back comes again with the file's
//!             octets   2. a mapping is off the list before it is unmapped   3. the handler makes only async-signal-safe
//!             calls, keeps errno, and leaves any other address to the handler before it
//! Failures    where no place or no handler is to be had the mapping is an ordinary one
//! Caution     a system call that is given octets of such a mapping fails with EFAULT: copy them first

use std::cell::UnsafeCell;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Mappings listed at once.
const LIST: usize = 64;
/// Octets of a window, and how many are open.
const WINDOW: usize = 256 << 10;
const OPEN: usize = 8;

/// Addresses from and to; equal ones are a free place.
type Range = (usize, usize);
const FREE: Range = (0, 0);

/// What is mapped and which windows are open, the oldest at `next`.
struct State {
    maps: [Range; LIST],
    open: [Range; OPEN],
    next: usize,
}

/// The state behind a lock that a signal handler may take: its holder never touches a listed mapping, and so is never
/// interrupted by the handler.
struct Locked {
    busy: AtomicBool,
    state: UnsafeCell<State>,
}

// SAFETY: `with` lets one thread at a time at the state.
unsafe impl Sync for Locked {}

static LOCKED: Locked = Locked {
    busy: AtomicBool::new(false),
    state: UnsafeCell::new(State { maps: [FREE; LIST], open: [FREE; OPEN], next: 0 }),
};
/// The handler before ours; `None` where ours could not be set.
static BEFORE: OnceLock<Option<SigAction>> = OnceLock::new();

fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    while LOCKED.busy.swap(true, Ordering::Acquire) {
        std::hint::spin_loop();
    }
    // SAFETY: the flag is ours, nobody else has a reference.
    let result = work(unsafe { &mut *LOCKED.state.get() });
    LOCKED.busy.store(false, Ordering::Release);
    result
}

fn protect((from, to): Range, how: libc::c_int) -> bool {
    // SAFETY: the range is of a listed mapping, whose references are only read from, which waits for the window to open.
    unsafe { libc::mprotect(from as *mut libc::c_void, to - from, how) == 0 }
}

fn advise((from, to): Range, how: libc::c_int) {
    // SAFETY: the range is of a listed mapping; by invariant 1 its octets come again.
    unsafe { libc::madvise(from as *mut libc::c_void, to - from, how) };
}

impl State {
    /// Opens the window around an address; false when the address is none of ours.
    fn touch(&mut self, at: usize) -> bool {
        let Some(&(start, end)) = self.maps.iter().find(|m| m.0 <= at && at < m.1) else { return false };
        let from = at - (at - start) % WINDOW;
        let window = (from, end.min(from + WINDOW));
        if self.open.contains(&window) {
            return protect(window, libc::PROT_READ); // another thread was first
        }
        if let Some(place) = self.open.get_mut(self.next) {
            let old = std::mem::replace(place, window);
            if old != FREE {
                protect(old, libc::PROT_NONE);
                advise(old, libc::MADV_DONTNEED);
            }
        }
        self.next = (self.next + 1) % OPEN;
        advise(window, libc::MADV_POPULATE_READ); // an error means only that pages come one by one
        protect(window, libc::PROT_READ)
    }
}

/// One mapping on the list, until it is dropped.
#[derive(Debug)]
pub(crate) struct Listed(Range);

impl Listed {
    /// Lists the mapping of `bytes`, which obeys invariant 1 and is unmapped after this value is dropped.
    pub(crate) fn new(bytes: &[u8]) -> io::Result<Option<Listed>> {
        if !catch() {
            return Ok(None);
        }
        let range = (bytes.as_ptr() as usize, bytes.as_ptr() as usize + bytes.len());
        let listed = with(|s| {
            let place = s.maps.iter_mut().find(|m| **m == FREE)?;
            *place = range;
            Some(Listed(range))
        });
        if listed.is_some() && !protect(range, libc::PROT_NONE) {
            return Err(io::Error::last_os_error());
        }
        Ok(listed)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let (from, to) = self.0;
        with(|s| {
            let mine = |r: &&mut Range| from <= r.0 && r.1 <= to;
            s.maps.iter_mut().chain(&mut s.open).filter(mine).for_each(|r| *r = FREE);
        });
    }
}

/// Sets the handler once, in front of the one of the language for overflown stacks; tells whether it is set.
fn catch() -> bool {
    let before = BEFORE.get_or_init(|| {
        let mut segv = SigSet::empty();
        segv.add(Signal::SIGSEGV);
        segv.thread_unblock().ok()?;
        let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
        let action = SigAction::new(SigHandler::SigAction(fault), flags, SigSet::empty());
        // SAFETY: `fault` keeps to invariant 3.
        unsafe { sigaction(Signal::SIGSEGV, &action) }.ok()
    });
    before.is_some()
}

extern "C" fn fault(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands over a valid record (SA_SIGINFO); errno is this thread's own.
    let (at, errno) = unsafe { ((*info).si_addr() as usize, *libc::__errno_location()) };
    if !with(|s| s.touch(at)) {
        // SAFETY: back to the handler before; the fault comes again and is its business.
        let _ = BEFORE.get().and_then(Option::as_ref).map(|before| unsafe { sigaction(Signal::SIGSEGV, before) });
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Map;
    use std::fs::File;
    use std::io::Write;

    /// KiB of this mapping that are resident.
    fn resident(map: &Map) -> u64 {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (from, to) = (map.bytes().as_ptr() as usize, map.bytes().as_ptr() as usize + map.bytes().len());
        let mut within = false;
        let mut sum = 0;
        for line in smaps.lines() {
            if let Some((a, _)) = line.split_once('-').filter(|(a, _)| !a.is_empty() && !a.contains(' ')) {
                within = usize::from_str_radix(a, 16).is_ok_and(|a| from <= a && a < to);
            } else if let Some(rss) = line.strip_prefix("Rss:").filter(|_| within) {
                sum += rss.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
            }
        }
        sum
    }

    fn file(data: &[u8]) -> File {
        let mut file = crate::fs::tmpfile(&std::env::temp_dir(), 0o600).unwrap();
        file.write_all(data).unwrap();
        file
    }

    fn data() -> Vec<u8> {
        (0..(20 << 20) + 1234u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[test]
    fn all_octets_are_there_and_few_of_them_resident() {
        let data = data();
        let file = file(&data);
        for _ in 0..2 {
            let map = Map::passing(&file, 0, data.len()).unwrap();
            assert!(map.bytes() == data);
            assert!(resident(&map) <= (OPEN * WINDOW) as u64 / 1024, "{} KiB", resident(&map));
            // back and forth
            for n in 0..200 {
                let at = n * 7_919_777 % data.len();
                assert_eq!(map.bytes()[at], data[at]);
            }
        }
    }

    #[test]
    fn threads_may_read_at_once() {
        let data = data();
        let file = file(&data);
        let map = Map::passing(&file, 0, data.len()).unwrap();
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| assert!(map.bytes() == data));
            }
        });
    }

    #[test]
    fn more_mappings_than_places() {
        let data = &data()[..1 << 20];
        let file = file(data);
        let maps: Vec<Map> = (0..LIST + 9).map(|_| Map::passing(&file, 0, data.len()).unwrap()).collect();
        assert!(maps.iter().all(|m| m.bytes() == data));
    }
}
