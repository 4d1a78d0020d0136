//! A process that has started and waits: for each piece of work it makes a copy of itself.
//!
//! Standard    clone(2) CLONE_PARENT, setpgid(2), prctl(2) PR_SET_NAME
//! Invariants  1. the process has one thread, so that its copy may go on in Rust   2. a copy is a child of our parent, which
//!             learns of its end as of a child it started itself   3. a copy has exactly the descriptors it was given
//! Not here    what is waited for, and who asks (penny-base)

use crate::net;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// Where [`aside`] puts a descriptor: above every number that [`take_descriptors`] gives away, below 64, for a larger table
/// costs a copy at each fork.
const ASIDE: RawFd = 40;

/// Fails in a process with several threads.
pub fn one_thread() -> io::Result<()> {
    match std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count) {
        1 => Ok(()),
        n => Err(io::Error::other(format!("{n} threads in a process that copies itself"))),
    }
}

/// Makes a copy of this process as a child of its parent; true in the copy. Call [`one_thread`] once before.
pub fn copy() -> io::Result<bool> {
    // SAFETY: without CLONE_VM this is a fork: the copy has memory of its own, and there is no other thread whose locks
    // it could inherit (invariant 1).
    match unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) } {
        0 => Ok(true),
        n if n > 0 => Ok(false),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks the processor now what it can do: in a virtual machine each such question takes the host tens of microseconds, and
/// the answers are kept for the copies.
pub fn know_processor() {
    #[cfg(target_arch = "x86_64")]
    let _ = std::is_x86_feature_detected!("avx2");
}

/// Moves a descriptor out of the way of [`take_descriptors`].
pub fn aside(fd: OwnedFd) -> io::Result<OwnedFd> {
    net::copy_above(&fd, ASIDE)
}

/// In the copy: a process group of its own; `fds` become 0, 1, 2 ... and nothing else but `keep` (see [`aside`]) stays open.
pub fn take_descriptors(fds: Vec<OwnedFd>, keep: &OwnedFd) -> io::Result<()> {
    let count = fds.len() as RawFd;
    if count >= ASIDE || keep.as_raw_fd() < ASIDE {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0))?;
    // one that already has the number of an earlier one would be overwritten before its turn
    let above = |(number, fd): (RawFd, &OwnedFd)| fd.as_raw_fd() > number;
    let fds = if (0..).zip(&fds).all(above) {
        fds
    } else {
        let lifted = fds.iter().map(|fd| net::copy_above(fd, ASIDE)).collect::<io::Result<Vec<_>>>()?;
        drop(fds);
        lifted
    };
    for (number, fd) in (0..).zip(&fds) {
        net::replace_descriptor(fd.as_fd(), number)?;
    }
    // some of these numbers belong to others by now, and all the rest are closed in one call
    for fd in fds {
        let _ = fd.into_raw_fd();
    }
    net::close_from(count, &[keep.as_raw_fd()]);
    Ok(())
}

unsafe extern "C" {
    /// environ(7).
    static mut environ: *mut *mut libc::c_char;
}

/// Replaces the whole environment by these `NAME=value`.
pub fn set_environment(pairs: impl Iterator<Item = &'static CStr>) {
    let pointers = pairs.map(|pair| pair.as_ptr().cast_mut()).chain([std::ptr::null_mut()]);
    let list: &'static mut [*mut libc::c_char] = Box::leak(pointers.collect());
    // SAFETY: one thread (invariant 1), so nobody reads the environment meanwhile; list and strings live as long as the
    // process, and nobody writes into the strings: setenv(3) and putenv(3) replace pointers.
    unsafe { environ = list.as_mut_ptr() };
}

/// The name that ps(1) and top(1) show in their short form, at most 15 octets.
pub fn set_name(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        // SAFETY: the kernel reads a NUL-terminated string.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_threads_are_seen() {
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || told.recv());
        assert!(one_thread().is_err());
        drop(tell);
        assert!(other.join().is_ok());
    }

    #[test]
    fn descriptors_keep_out_of_the_way() {
        let (a, _b) = net::pipe().unwrap();
        let moved = aside(a).unwrap();
        assert!(moved.as_raw_fd() >= ASIDE);
    }
}
