//! A time limit that this process keeps on itself, without a thread of its own.
//!
//! Standard    alarm(2), sigaction(2), signal-safety(7)
//! Invariants  1. at the limit a named process group is killed, one line is written to descriptor 1 and the process ends, whatever it
//!             was doing   2. the handler makes only async-signal-safe calls   3. a program started meanwhile has no limit of ours

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

static GROUP: AtomicI32 = AtomicI32::new(0);
static END: OnceLock<(&'static str, i32)> = OnceLock::new();

/// Ends this process after `seconds` with `line` and the exit code `code`. The first call counts.
pub fn start(seconds: u64, line: &'static str, code: i32) -> io::Result<()> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    if END.set((line, code)).is_err() {
        return Ok(());
    }
    let action = SigAction::new(SigHandler::Handler(over), SaFlags::empty(), SigSet::empty());
    // SAFETY: `over` keeps to invariant 2.
    unsafe { sigaction(Signal::SIGALRM, &action) }?;
    let mut alarm = SigSet::empty();
    alarm.add(Signal::SIGALRM);
    alarm.thread_unblock()?;
    // SAFETY: the call only sets this process's timer.
    unsafe { libc::alarm(u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)) };
    Ok(())
}

/// Names the group to kill at the limit; 0 for none.
pub fn group(pid: i32) {
    GROUP.store(pid, Ordering::SeqCst);
}

extern "C" fn over(_: libc::c_int) {
    let group = GROUP.load(Ordering::SeqCst);
    let (line, code) = END.get().copied().unwrap_or(("", 1));
    // SAFETY: kill, write and _exit are async-signal-safe; `line` lives for ever.
    unsafe {
        if group > 1 {
            libc::kill(-group, libc::SIGKILL);
        }
        libc::write(1, line.as_ptr().cast(), line.len());
        libc::_exit(code)
    }
}
