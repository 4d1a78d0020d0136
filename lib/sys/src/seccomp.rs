//! A system call filter (seccomp-bpf) built from a list of allowed calls; every other call fails with EPERM.
//!
//! Standard    seccomp(2), linux/filter.h
//! Cost        the kernel compiles the filter and tries it on every call number when it is set, in each process that sets it:
//!             a search tree over ranges of numbers takes a third of the time of one comparison a call after another, and with
//!             two comparisons a range and ends that all share it is as short as can be
//! Invariants  1. a call of another architecture kills the process   2. no_new_privs is set first   3. no program has more than
//!             250 steps, so that the length of a jump fits its octet (the tests build every list in use)
//! Failures    io::Error when the kernel has no seccomp; the caller decides

use std::io;

const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_ABOVE: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const JUMP_FROM: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const OFFSET_NUMBER: u32 = 0; // struct seccomp_data: nr
const OFFSET_ARCH: u32 = 4; // struct seccomp_data: arch

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xC000_003E; // AUDIT_ARCH_X86_64
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xC000_00B7; // AUDIT_ARCH_AARCH64

fn step(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

const ALLOW: libc::sock_filter = libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
const REFUSE: libc::sock_filter =
    libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::EPERM as u32 };

/// The numbers as ranges, first and last, in their order.
fn ranges(allowed: &[libc::c_long]) -> Vec<(u32, u32)> {
    let mut numbers: Vec<u32> = allowed.iter().map(|n| *n as u32).collect();
    numbers.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for n in numbers {
        match ranges.last_mut() {
            Some((_, last)) if n <= *last + 1 => *last = n,
            _ => ranges.push((n, n)),
        }
    }
    ranges
}

/// In a jump of a leaf, until the length of the program is known: to its last two steps.
const TO_ALLOW: u8 = 254;
const TO_REFUSE: u8 = 255;

/// A search tree over ranges, each leaf of which knows that the number is not below its range.
fn tree(ranges: &[(u32, u32)]) -> Vec<libc::sock_filter> {
    if let [(_, last)] = *ranges {
        return vec![step(JUMP_ABOVE, TO_REFUSE, TO_ALLOW, last)];
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (low, above) = (tree(low), tree(high));
    let from = high.first().map_or(0, |r| r.0);
    let mut all = vec![step(JUMP_FROM, low.len() as u8, 0, from)];
    all.extend(low);
    all.extend(above);
    all
}

fn program(allowed: &[libc::c_long]) -> Vec<libc::sock_filter> {
    let mut steps = vec![
        step(LOAD_WORD, 0, 0, OFFSET_ARCH),
        step(JUMP_EQUAL, 1, 0, ARCH),
        step(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        step(LOAD_WORD, 0, 0, OFFSET_NUMBER),
    ];
    let ranges = ranges(allowed);
    match ranges.first() {
        Some((first, _)) => steps.push(step(JUMP_FROM, 0, TO_REFUSE, *first)),
        None => return vec![REFUSE],
    }
    steps.extend(tree(&ranges));
    let end = steps.len();
    for (at, s) in steps.iter_mut().enumerate() {
        for (to, place) in [(TO_ALLOW, end), (TO_REFUSE, end + 1)] {
            let jump = (place - at - 1) as u8;
            s.jt = if s.jt == to { jump } else { s.jt };
            s.jf = if s.jf == to { jump } else { s.jf };
        }
    }
    steps.extend([ALLOW, REFUSE]);
    steps
}

/// Allows only the listed calls from now on, in this process and its children.
pub fn allow_only(allowed: &[libc::c_long]) -> io::Result<()> {
    super::confine::no_new_privs()?;
    let mut steps = program(allowed);
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: `filter` points at `steps`, which lives until after the call; the kernel copies the program.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER as libc::c_ulong, &raw const filter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What any Rust program needs to run on and to end: memory, time, signals, its open descriptors.
pub const BASIC: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_fstat,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_ppoll,
    libc::SYS_ftruncate,
    libc::SYS_copy_file_range,
    libc::SYS_memfd_create,
    libc::SYS_pipe2,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_uname,
    libc::SYS_exit,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// Talking over sockets that are open already.
pub const OPEN_SOCKETS: &[libc::c_long] = &[
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
];

/// Making connections.
pub const NEW_SOCKETS: &[libc::c_long] =
    &[libc::SYS_socket, libc::SYS_connect, libc::SYS_bind, libc::SYS_recvmmsg, libc::SYS_sendmmsg, libc::SYS_ioctl];

/// Files by name: reading, writing, replacing.
pub const OWN_FILES: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_renameat2,
    libc::SYS_renameat,
    libc::SYS_unlinkat,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_fchmod,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program says of a call number, run as the kernel does.
    fn judge(program: &[libc::sock_filter], number: u32) -> u32 {
        let (mut at, mut a) = (0, 0);
        loop {
            let s = program[at];
            let jump = |yes: bool| 1 + usize::from(if yes { s.jt } else { s.jf });
            at += match s.code {
                LOAD_WORD => {
                    a = if s.k == OFFSET_ARCH { ARCH } else { number };
                    1
                }
                JUMP_EQUAL => jump(a == s.k),
                JUMP_ABOVE => jump(a > s.k),
                JUMP_FROM => jump(a >= s.k),
                _ => return s.k,
            }
        }
    }

    #[test]
    fn exactly_the_listed_calls_pass() {
        let all: Vec<libc::c_long> = BASIC.iter().chain(OPEN_SOCKETS).copied().collect();
        let most = [BASIC, OPEN_SOCKETS, NEW_SOCKETS, OWN_FILES].concat();
        for list in [&most[..], &all, BASIC, &[libc::SYS_read], &[libc::SYS_read, libc::SYS_write, 7, 400], &[]] {
            let program = program(list);
            assert!(program.len() <= 250, "{}", program.len());
            for number in (0..2000).chain([u32::MAX, 0x4000_0000]) {
                let passes = judge(&program, number) == libc::SECCOMP_RET_ALLOW;
                assert_eq!(passes, list.contains(&libc::c_long::from(number)), "{number}");
            }
        }
    }
}
