//! Giving up power: what each kind of process may still do after its start.
//!
//! Standard    prctl(2), seccomp(2), landlock(7), setrlimit(2)
//! Invariants  1. nothing here can be undone   2. after `network_conversation` open, socket, execve and kill fail
//! Failures    io::Error: a program that cannot be confined does not serve

use crate::landlock::Ruleset;
use crate::seccomp::{self, BASIC, NEW_SOCKETS, OPEN_SOCKETS, OWN_FILES};
use std::io;
use std::path::Path;

fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the options used here take one integer and no pointer.
    if unsafe { libc::prctl(option, value, 0, 0, 0) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// No program this process starts can gain privileges.
pub fn no_new_privs() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// No core dump, no ptrace by the same uid: for processes that hold a secret or another user's mail.
pub fn not_dumpable() -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0)
}

/// Lets this process become the parent of orphaned grandchildren, so that a whole delivery can be waited for.
pub fn child_subreaper() -> io::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
}

/// Sends this process `signal` when its parent ends.
pub fn die_with_parent(signal: i32) -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong)
}

/// Limits the address space (octets), so that hostile input cannot take the machine's memory. A lower limit that the
/// parent has set stays.
pub fn limit_memory(octets: u64) -> io::Result<()> {
    lower(nix::sys::resource::Resource::RLIMIT_AS, octets)
}

/// Limits CPU time (seconds); a lower limit of the parent stays.
pub fn limit_cpu(seconds: u64) -> io::Result<()> {
    lower(nix::sys::resource::Resource::RLIMIT_CPU, seconds)
}

fn lower(resource: nix::sys::resource::Resource, value: u64) -> io::Result<()> {
    use nix::sys::resource::{getrlimit, setrlimit};
    let (_, hard) = getrlimit(resource)?;
    let value = value.min(hard);
    Ok(setrlimit(resource, value, value)?)
}

/// For a program that talks to a stranger: only its open descriptors, memory and time are left.
/// No file can be opened, no socket made, nothing executed, nobody signalled.
pub fn network_conversation() -> io::Result<()> {
    not_dumpable()?;
    let calls: Vec<libc::c_long> = BASIC.iter().chain(OPEN_SOCKETS).copied().collect();
    seccomp::allow_only(&calls)
}

/// For a program that makes connections to strangers: sockets of its own and files below what [`paths_only`] left, but
/// nothing executed, nobody signalled or traced, no process made.
pub fn sending() -> io::Result<()> {
    not_dumpable()?;
    let calls: Vec<libc::c_long> = [BASIC, OPEN_SOCKETS, NEW_SOCKETS, OWN_FILES].concat();
    seccomp::allow_only(&calls)
}

/// For a program that works on one stream of octets: as [`network_conversation`] without any socket call.
pub fn pure_filter() -> io::Result<()> {
    seccomp::allow_only(BASIC)
}

/// How far [`home_only`] could confine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confined {
    /// Landlock holds.
    Yes,
    /// The kernel has no Landlock.
    Unsupported,
}

/// Confines file access to `writable` (read and write) and `readable` (read and execute) for good.
pub fn paths_only(writable: &[&Path], readable: &[&Path]) -> io::Result<Confined> {
    let mut rules = match Ruleset::new() {
        Err(e) if e.kind() == io::ErrorKind::Unsupported => return Ok(Confined::Unsupported),
        other => other?,
    };
    for path in writable {
        rules = rules.allow_write(path)?;
    }
    for path in readable {
        rules = rules.allow_execute(path)?;
    }
    rules = rules.allow_file(Path::new("/dev/null"))?;
    rules.enforce()?;
    Ok(Confined::Yes)
}

/// What any program needs to read and execute. /lib and /bin that are links lead below /usr, which is there already.
pub fn system_paths() -> Vec<&'static Path> {
    let below_usr = |p: &&Path| std::fs::read_link(p).is_ok_and(|to| to.starts_with("usr") || to.starts_with("/usr"));
    let mut all: Vec<&Path> = ["/lib", "/lib64", "/bin"].map(Path::new).into_iter().filter(|p| !below_usr(p)).collect();
    all.extend(["/usr", "/etc/localtime"].map(Path::new));
    all
}

/// Lets every file be read, and none written, made or executed any more.
pub fn read_only() -> io::Result<Confined> {
    match Ruleset::new() {
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(Confined::Unsupported),
        rules => rules?.allow_read(Path::new("/"))?.enforce().map(|()| Confined::Yes),
    }
}

/// Confines a session or delivery of a shared uid to one user's home: only files below it can be opened or made;
/// the system's libraries and time zones stay readable.
pub fn home_only(home: &Path, extra_readable: &[&Path]) -> io::Result<Confined> {
    let mut readable = system_paths();
    readable.extend(extra_readable);
    paths_only(&[home], &readable)
}
