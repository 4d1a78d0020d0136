//! File system confinement by Landlock, straight on the three system calls.
//!
//! Standard    landlock(7), ABI 1 to 5
//! Invariants  what is not named in a rule cannot be opened, made, renamed, linked, removed or executed
//! Failures    `Unsupported` when the kernel has no Landlock: the caller refuses or goes on by its configuration

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const ALL_ABI1: u64 = (1 << 13) - 1;
const REFER: u64 = 1 << 13; // ABI 2
const TRUNCATE: u64 = 1 << 14; // ABI 3
const IOCTL_DEV: u64 = 1 << 15; // ABI 5

#[repr(C)]
struct RulesetAttribute {
    handled_access_fs: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// The Landlock ABI version of this kernel; 0 where there is none.
pub fn abi() -> u32 {
    // SAFETY: with a null attribute and flag 1 the call only reports its version.
    let n = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, 1u32) };
    if n > 0 { n as u32 } else { 0 }
}

fn handled(abi: u32) -> u64 {
    let mut access = ALL_ABI1;
    if abi >= 2 {
        access |= REFER;
    }
    if abi >= 3 {
        access |= TRUNCATE;
    }
    if abi >= 5 {
        access |= IOCTL_DEV;
    }
    access
}

/// A set of paths that stay open to the process.
#[derive(Debug)]
pub struct Ruleset {
    fd: OwnedFd,
    handled: u64,
}

impl Ruleset {
    /// Starts with everything forbidden.
    pub fn new() -> io::Result<Ruleset> {
        let abi = abi();
        if abi == 0 {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel has no Landlock"));
        }
        let attribute = RulesetAttribute { handled_access_fs: handled(abi) };
        // SAFETY: pointer and size describe `attribute`.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                &raw const attribute,
                std::mem::size_of::<RulesetAttribute>(),
                0u32,
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just made this descriptor.
        Ok(Ruleset { fd: unsafe { OwnedFd::from_raw_fd(fd as i32) }, handled: attribute.handled_access_fs })
    }

    /// Allows reading, writing, making and removing below `path` (not executing).
    pub fn allow_write(self, path: &Path) -> io::Result<Ruleset> {
        let access = self.handled & !EXECUTE;
        self.allow(path, access)
    }

    /// Allows reading below `path`.
    pub fn allow_read(self, path: &Path) -> io::Result<Ruleset> {
        self.allow(path, READ_FILE | READ_DIR)
    }

    /// Allows reading and executing below `path`.
    pub fn allow_execute(self, path: &Path) -> io::Result<Ruleset> {
        self.allow(path, READ_FILE | READ_DIR | EXECUTE)
    }

    /// Allows reading and writing one device or file that exists.
    pub fn allow_file(self, path: &Path) -> io::Result<Ruleset> {
        self.allow(path, READ_FILE | WRITE_FILE)
    }

    fn allow(self, path: &Path, access: u64) -> io::Result<Ruleset> {
        let open = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(path);
        let file = match open {
            // not there, or not ours to reach: no rule is needed to keep it closed
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => return Ok(self),
            other => other?,
        };
        let access = if file.metadata()?.is_dir() { access } else { access & (READ_FILE | WRITE_FILE | EXECUTE) };
        let rule = PathBeneath { allowed_access: access & self.handled, parent_fd: file.as_raw_fd() };
        // SAFETY: `rule` is a valid landlock_path_beneath_attr and lives through the call.
        let result =
            unsafe { libc::syscall(libc::SYS_landlock_add_rule, self.fd.as_raw_fd(), 1u32, &raw const rule, 0u32) };
        if result == 0 { Ok(self) } else { Err(io::Error::last_os_error()) }
    }

    /// Binds this process and its children to the rules, for good.
    pub fn enforce(self) -> io::Result<()> {
        super::confine::no_new_privs()?;
        // SAFETY: only a descriptor and a zero flag are passed.
        let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.fd.as_raw_fd(), 0u32) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
