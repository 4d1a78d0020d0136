//! Starting a program under another uid with exactly the descriptors, environment and limits it is given.
//!
//! Standard    clone(2) as vfork(2), execve(2), setresuid(2), setpgid(2), waitpid(2)
//! Invariants  1. between clone and exec the child makes only system calls, on memory made before and a stack of its own:
//!                it shares our memory, so that no page table is copied (a fork of listen, with its keys and libssl,
//!                costs several times as much), and we stand still until it has execed or ended
//!             2. descriptors become 0, 1, 2 ... in the given order and nothing else is open
//!             3. signals are at their defaults and unblocked in the child
//! Failures    an exec that fails is reported as io::Error by the parent (errno in the shared memory)
//! Trust       the caller has checked who may start what

use crate::ids::Id;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};

/// A program to start.
#[derive(Debug)]
pub struct Program<'a> {
    /// Absolute path.
    pub path: PathBuf,
    /// Arguments after the program's name.
    pub args: Vec<Vec<u8>>,
    /// The whole environment, `NAME=value`.
    pub environment: Vec<Vec<u8>>,
    /// Descriptors that become 0, 1, 2 ...
    pub descriptors: Vec<BorrowedFd<'a>>,
    /// Uid and gid to become, with the supplementary groups; `None` keeps ours.
    pub become_id: Option<(Id, Vec<u32>)>,
    /// Working directory; `None` is `/`.
    pub directory: Option<PathBuf>,
    /// A process group of its own, so that it can be killed with its children.
    pub own_group: bool,
    /// Reopen descriptor 0 read-only at offset 0 (through /proc, before the uid changes).
    pub reopen_stdin: bool,
    /// Kill the child when the parent ends.
    pub die_with_parent: bool,
    /// Address space limit in octets.
    pub memory_limit: Option<u64>,
}

impl<'a> Program<'a> {
    /// A program with no arguments, an empty environment and no descriptors.
    pub fn new(path: impl Into<PathBuf>) -> Program<'a> {
        Program {
            path: path.into(),
            args: Vec::new(),
            environment: Vec::new(),
            descriptors: Vec::new(),
            become_id: None,
            directory: None,
            own_group: false,
            reopen_stdin: false,
            die_with_parent: false,
            memory_limit: None,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().as_bytes().to_vec());
        self
    }

    /// Adds one variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut pair = name.as_bytes().to_vec();
        pair.push(b'=');
        pair.extend_from_slice(value.as_ref().as_bytes());
        self.environment.push(pair);
        self
    }

    /// Starts the program; returns its process id.
    pub fn start(&self) -> io::Result<i32> {
        Prepared::new(self)?.start()
    }
}

/// Stack of the child between clone and exec, octets; it calls nothing deep.
const CHILD_STACK: usize = 64 * 1024;

/// Everything the child needs, laid out before the fork.
struct Prepared {
    path: CString,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    descriptors: Vec<RawFd>,
    become_id: Option<(Id, Vec<libc::gid_t>)>,
    directory: CString,
    own_group: bool,
    reopen_stdin: bool,
    die_with_parent: bool,
    memory_limit: Option<u64>,
    parent: libc::pid_t,
    // why the child could not become the program; 0: it did
    error: AtomicI32,
    // argv and envp point into these
    _strings: Vec<CString>,
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "NUL in an argument"))
}

impl Prepared {
    fn new(program: &Program<'_>) -> io::Result<Prepared> {
        let path = c_string(program.path.as_os_str().as_bytes())?;
        let name = program.path.file_name().unwrap_or(program.path.as_os_str());
        let mut strings = vec![c_string(name.as_bytes())?];
        for a in &program.args {
            strings.push(c_string(a)?);
        }
        let split = strings.len();
        for e in &program.environment {
            strings.push(c_string(e)?);
        }
        let pointers = |s: &[CString]| s.iter().map(|c| c.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
        let directory = program.directory.as_deref().unwrap_or(Path::new("/"));
        Ok(Prepared {
            path,
            argv: pointers(&strings[..split]),
            envp: pointers(&strings[split..]),
            descriptors: program.descriptors.iter().map(|d| d.as_raw_fd()).collect(),
            become_id: program.become_id.clone(),
            directory: c_string(directory.as_os_str().as_bytes())?,
            own_group: program.own_group,
            reopen_stdin: program.reopen_stdin,
            die_with_parent: program.die_with_parent,
            memory_limit: program.memory_limit,
            parent: std::process::id() as libc::pid_t,
            error: AtomicI32::new(0),
            _strings: strings,
        })
    }

    /// Starts the child and waits until it is another program, or has failed to become one.
    fn start(&self) -> io::Result<i32> {
        use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
        let mut stack = vec![0u128; CHILD_STACK / 16];
        // a handler of ours must not run in the child, which has our memory; it unblocks what it set to default
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut before))?;
        // SAFETY: the stack is the child's own, aligned, and lives until CLONE_VFORK lets us go on, when the child no
        // longer uses our memory; the child runs only `child`, which keeps to invariant 1 and never returns.
        let pid = unsafe {
            let top = stack.as_mut_ptr().add(stack.len()).cast();
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            libc::clone(child, top, flags, std::ptr::from_ref(self).cast_mut().cast())
        };
        let failed = io::Error::last_os_error();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
        if pid < 0 {
            return Err(failed);
        }
        match self.error.load(Ordering::SeqCst) {
            0 => Ok(pid),
            errno => {
                let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
                Err(io::Error::from_raw_os_error(errno))
            }
        }
    }

    /// Order: descriptors, signals, group, limits, directory, ids.
    ///
    /// # Safety
    /// Only in a fresh child of clone.
    unsafe fn set_up(&self) -> Result<(), i32> {
        // SAFETY: as the caller's; see the single calls.
        unsafe {
            let count = self.descriptors.len() as RawFd;
            let high = 64 + count;
            // out of the way first, so that no dup2 below overwrites a source
            let mut lifted = [-1; 64];
            for (i, fd) in self.descriptors.iter().enumerate().take(64) {
                lifted[i] = check(libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, high))?;
            }
            if self.reopen_stdin && count > 0 {
                lifted[0] = reopen(lifted[0])?;
            }
            for i in 0..count.min(64) {
                check(libc::dup2(lifted[i as usize], i))?;
            }
            libc::syscall(libc::SYS_close_range, count as u32, u32::MAX, 0u32);
            default_signals();
            if self.own_group {
                check(libc::setpgid(0, 0))?;
            }
            if let Some(limit) = self.memory_limit {
                let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
                check(libc::setrlimit(libc::RLIMIT_AS, &raw const limit))?;
            }
            if let Some((id, groups)) = &self.become_id {
                // the bare calls: the library's would change the ids of every thread that shares this memory
                check_long(libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()))?;
                check_long(libc::syscall(libc::SYS_setresgid, id.gid, id.gid, id.gid))?;
                check_long(libc::syscall(libc::SYS_setresuid, id.uid, id.uid, id.uid))?;
                if id.uid != 0 && libc::syscall(libc::SYS_setuid, 0) == 0 {
                    return Err(libc::EPERM);
                }
            }
            if libc::chdir(self.directory.as_ptr()) != 0 {
                check(libc::chdir(c"/".as_ptr()))?;
            }
            if self.die_with_parent {
                check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong, 0, 0, 0))?;
                if libc::getppid() != self.parent {
                    return Err(libc::ESRCH);
                }
            }
            Ok(())
        }
    }
}

/// The child's side: becomes the program, or says why not and ends.
extern "C" fn child(prepared: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `start` passes its `Prepared`, which outlives this function; only system calls with plain integers or
    // pointers into it.
    unsafe {
        let prepared = &*prepared.cast::<Prepared>();
        let error = match prepared.set_up() {
            Ok(()) => {
                libc::execve(prepared.path.as_ptr(), prepared.argv.as_ptr(), prepared.envp.as_ptr());
                *libc::__errno_location()
            }
            Err(e) => e,
        };
        prepared.error.store(error.max(1), Ordering::SeqCst);
        libc::_exit(111)
    }
}

fn check(result: libc::c_int) -> Result<libc::c_int, i32> {
    if result < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)) } else { Ok(result) }
}

fn check_long(result: libc::c_long) -> Result<(), i32> {
    check(if result < 0 { -1 } else { 0 }).map(|_| ())
}

/// Makes a vanished reader an error value instead of a signal, as std does at start.
pub fn ignore_broken_pipe() {
    // SAFETY: the call only changes this process's disposition of SIGPIPE.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Puts every signal back to its default and unblocks all: for a forked child that goes on in Rust.
pub fn reset_signals() {
    // SAFETY: the call only changes this process's signal dispositions.
    unsafe { default_signals() }
}

/// # Safety
/// Only in a fresh child of fork.
unsafe fn default_signals() {
    // SAFETY: plain calls with stack memory; the loop covers the standard signals.
    unsafe {
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Opens `/proc/self/fd/N` read-only, without allocating.
///
/// # Safety
/// Only in a fresh child of fork.
unsafe fn reopen(fd: RawFd) -> Result<RawFd, i32> {
    let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut digits = [0u8; 10];
    let (mut n, mut i) = (fd as u32, 10);
    while i > 0 {
        i -= 1;
        digits[i] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    path[14..14 + (10 - i)].copy_from_slice(&digits[i..]);
    // SAFETY: `path` is NUL-terminated.
    check(unsafe { libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) })
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// Ends this process at once: nothing that was registered for its end runs.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: the call takes an integer and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Takes the next ended child, if any, without waiting.
pub fn reap() -> Option<(i32, Ended)> {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    loop {
        return match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => Some((pid.as_raw(), Ended::Code(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => Some((pid.as_raw(), Ended::Signal(signal as i32))),
            Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::ECHILD) => None,
            Err(nix::errno::Errno::EINTR) | Ok(_) => continue,
            Err(_) => None,
        };
    }
}

/// Waits for one child to end.
pub fn wait(pid: i32) -> io::Result<Ended> {
    use nix::sys::wait::{WaitStatus, waitpid};
    loop {
        match waitpid(nix::unistd::Pid::from_raw(pid), None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(Ended::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ended::Signal(signal as i32)),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Signals a process group (made by `own_group`); a group that is gone is no error.
pub fn kill_group(pid: i32, signal: i32) {
    if let Ok(signal) = nix::sys::signal::Signal::try_from(signal) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid), signal);
    }
}

/// Signals one process; one that is gone is no error.
pub fn kill(pid: i32, signal: i32) {
    if let Ok(signal) = nix::sys::signal::Signal::try_from(signal) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    }
}

/// Forks: true in the child. Only for a process with one thread, whose child goes on in Rust.
///
/// # Safety
/// The process must have only one thread: locks held by others would never be released in the child.
pub unsafe fn fork() -> io::Result<Option<i32>> {
    // SAFETY: the caller's promise above.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Forks a process that has one thread (checked in /proc): `None` in the child, the child's pid in the parent.
pub fn fork_single() -> io::Result<Option<i32>> {
    let threads = std::fs::read_dir("/proc/self/task").map(|d| d.count()).unwrap_or(1);
    if threads > 1 {
        return Err(io::Error::other("fork in a process with several threads"));
    }
    // SAFETY: there is one thread, as just counted.
    unsafe { fork() }
}

/// Replaces this process by another program, keeping descriptors that are not close-on-exec. Returns only on error.
pub fn exec(path: &Path, args: &[Vec<u8>]) -> io::Error {
    exec_with(path, args, &[])
}

/// As [`exec`], with more variables.
pub fn exec_with(path: &Path, args: &[Vec<u8>], variables: &[(&str, String)]) -> io::Error {
    use std::os::unix::process::CommandExt;
    let args = args.iter().map(|a| OsStr::from_bytes(a));
    std::process::Command::new(path).args(args).envs(variables.iter().map(|(n, v)| (n, v))).exec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn starts_with_descriptors_and_environment_only() {
        let (read, write) = crate::net::pipe().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let mut program = Program::new("/bin/sh").arg("-c").arg("echo $A; ls /proc/self/fd; exit 7").env("A", "x y");
        program.descriptors = vec![null.as_fd(), write.as_fd(), null.as_fd()];
        let pid = program.start().unwrap();
        drop(program);
        drop(write);
        let mut out = String::new();
        std::fs::File::from(read).read_to_string(&mut out).unwrap();
        assert_eq!(wait(pid).unwrap(), Ended::Code(7));
        // 3 is the directory that ls itself opened
        assert_eq!(out, "x y\n0\n1\n2\n3\n");
    }

    #[test]
    fn a_missing_program_is_an_error() {
        assert_eq!(Program::new("/nonexistent/x").start().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn stdin_is_reopened_at_its_start() {
        let dir = std::env::temp_dir();
        let mut file = crate::fs::tmpfile(&dir, 0o600).unwrap();
        std::io::Write::write_all(&mut file, b"abc").unwrap();
        let (read, write) = crate::net::pipe().unwrap();
        let mut program = Program::new("/bin/cat");
        program.descriptors = vec![file.as_fd(), write.as_fd(), write.as_fd()];
        program.reopen_stdin = true;
        let pid = program.start().unwrap();
        drop(program);
        drop(write);
        let mut out = String::new();
        std::fs::File::from(read).read_to_string(&mut out).unwrap();
        assert_eq!(wait(pid).unwrap(), Ended::Code(0));
        assert_eq!(out, "abc");
    }
}
