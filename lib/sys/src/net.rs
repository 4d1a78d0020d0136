//! Unix and TCP sockets: who is at the other end, no Nagle delay, packet sockets.
//!
//! Standard    unix(7) SO_PEERCRED, tcp(7) TCP_NODELAY
//! Trust       SO_PEERCRED is the kernel's word at connect time

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect, getsockopt, listen, setsockopt,
    socket, socketpair, sockopt,
};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Uid and pid of the process that connected to a unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Effective uid at connect time.
    pub uid: u32,
    /// Effective gid at connect time.
    pub gid: u32,
    /// Process id at connect time.
    pub pid: i32,
}

/// Asks the kernel who connected.
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let c = getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok(Peer { uid: c.uid(), gid: c.gid(), pid: c.pid() })
}

/// Gives up on a peer that takes nothing for this long; nothing happens on a pipe.
pub fn send_timeout(socket: BorrowedFd<'_>, limit: std::time::Duration) {
    let limit = nix::sys::time::TimeVal::new(i64::try_from(limit.as_secs()).unwrap_or(300), 0);
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::SendTimeout, &limit);
}

/// Makes a receive fail with `WouldBlock` after this long.
pub fn receive_timeout(socket: BorrowedFd<'_>, limit: std::time::Duration) -> io::Result<()> {
    let limit = nix::sys::time::TimeVal::new(i64::try_from(limit.as_secs()).unwrap_or(300), 0);
    Ok(setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?)
}

/// Switches Nagle's algorithm off: every answer of ours is written in one piece.
pub fn nodelay(socket: BorrowedFd<'_>) {
    // fails on pipes and unix sockets, which need none
    let _ = setsockopt(&socket, sockopt::TcpNoDelay, &true);
}

/// Sets O_NONBLOCK by fcntl(2): std uses ioctl(2), which a confined program may not call.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let mut flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(fd, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// A listening unix packet socket (SOCK_SEQPACKET) at `path` with file mode `mode`; an old socket file is replaced.
pub fn listen_packets(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    listen_unix(path, mode, SockType::SeqPacket)
}

/// A listening unix stream socket at `path` with file mode `mode`; an old socket file is replaced.
pub fn listen_stream(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    listen_unix(path, mode, SockType::Stream)
}

fn listen_unix(path: &Path, mode: u32, kind: SockType) -> io::Result<OwnedFd> {
    if let Some(directory) = path.parent() {
        // an ordinary user has no installer that made it
        let _ = std::fs::create_dir(directory);
    }
    // a socket file nobody answers is left from a crash; one that answers is another server's
    let probe = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if connect(probe.as_raw_fd(), &UnixAddr::new(path)?).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers on this socket (in use)"));
    }
    let _ = std::fs::remove_file(path);
    let fd = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    listen(&fd, Backlog::new(1024).map_err(io::Error::from)?)?;
    Ok(fd)
}

/// A listening TCP socket with a chosen backlog; an IPv6 wildcard takes IPv4 too (IPV6_V6ONLY off), SO_REUSEADDR set.
pub fn listen_tcp(address: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    use nix::sys::socket::{SockaddrIn, SockaddrIn6};
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    match address {
        SocketAddr::V4(a) => bind(fd.as_raw_fd(), &SockaddrIn::from(a))?,
        SocketAddr::V6(a) => {
            setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
            bind(fd.as_raw_fd(), &SockaddrIn6::from(a))?;
        }
    }
    listen(&fd, Backlog::new(backlog.min(4095)).map_err(io::Error::from)?)?;
    Ok(fd)
}

/// Takes one connection; close-on-exec.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let fd = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: accept4 has just made this descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Connects to a unix packet socket.
pub fn connect_packets(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

/// A connected pair of packet sockets, close-on-exec.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// A connected pair of stream sockets, close-on-exec.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?)
}

/// The two ends of a pipe (read, write), close-on-exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
}

/// Remote and local address of a TCP socket; `None` where the descriptor is none.
pub fn tcp_addresses(fd: BorrowedFd<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let stream = std::net::TcpStream::from(fd.try_clone_to_owned().ok()?);
    Some((stream.peer_addr().ok()?, stream.local_addr().ok()?))
}

/// Waits until `fd` can be read, at most `timeout`; false when the time is over.
pub fn wait_readable(fd: BorrowedFd<'_>, timeout: std::time::Duration) -> io::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let end = std::time::Instant::now() + timeout;
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], left) {
            Ok(n) => return Ok(n > 0),
            Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Takes over a descriptor whose number came in the environment (`SSLCTLFD`, `PENNYPOST_SPAWN_FD` ...), setting
/// close-on-exec. The caller takes each number once.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD only touches the descriptor table and fails with EBADF when the number is not open.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the parent opened the descriptor for us and named it in the environment; by contract nobody else
    // in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A second descriptor for standard input and output (0 and 1), close-on-exec.
pub fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

/// Puts `fd` in the place of the descriptor `number` (dup2), inheritable by children: for 0 and 1 after STARTTLS, and those of a copy.
pub fn replace_descriptor(fd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: dup2 changes only the descriptor table; `number` is 0, 1 or 2, which std reads anew at each call, or one that
    // nothing in this process owns.
    if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A copy of a descriptor at number `at` or above that a program started by exec inherits.
pub fn inheritable_copy(fd: &OwnedFd, at: i32) -> io::Result<OwnedFd> {
    copy(fd, libc::F_DUPFD, at)
}

/// A copy of a descriptor at number `at` or above, close-on-exec.
pub fn copy_above(fd: &OwnedFd, at: i32) -> io::Result<OwnedFd> {
    copy(fd, libc::F_DUPFD_CLOEXEC, at)
}

fn copy(fd: &OwnedFd, command: libc::c_int, at: i32) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD and F_DUPFD_CLOEXEC make a new descriptor that nobody else owns, or fail.
    let n = unsafe { libc::fcntl(fd.as_raw_fd(), command, at) };
    if n < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made above.
    Ok(unsafe { OwnedFd::from_raw_fd(n) })
}

/// Reads once, at most `room` octets, to the end of `buffer`; 0 is the end. The room is not filled first: a page of it that
/// nobody touches costs a short process nothing.
pub fn read_more(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>, room: usize) -> io::Result<usize> {
    buffer.reserve(room);
    // SAFETY: the kernel writes at most `room` octets, and there is room for so many.
    let n = unsafe { libc::read(fd.as_raw_fd(), buffer.spare_capacity_mut().as_mut_ptr().cast(), room) };
    let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has written these octets.
    unsafe { buffer.set_len(buffer.len() + n) };
    Ok(n)
}

/// Closes every descriptor from `first` on, except those in `keep` (close_range(2)).
pub fn close_from(first: i32, keep: &[i32]) {
    let mut keep: Vec<i32> = keep.iter().copied().filter(|k| *k >= first).collect();
    keep.sort_unstable();
    let mut from = first;
    for k in keep.iter().chain([&i32::MAX]) {
        if *k > from {
            // SAFETY: closing descriptors we do not own Rust objects for; called in a fresh child only.
            unsafe { libc::syscall(libc::SYS_close_range, from as u32, (*k - 1) as u32, 0u32) };
        }
        from = k.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_of_a_pair_is_ourselves() {
        let (a, _b) = packet_pair().unwrap();
        let p = peer(a.as_fd()).unwrap();
        assert_eq!(p.uid, nix::unistd::geteuid().as_raw());
        assert_eq!(p.pid, std::process::id() as i32);
    }

    #[test]
    fn what_is_read_comes_after_what_was_there() {
        let (a, b) = stream_pair().unwrap();
        nix::unistd::write(&b, b"cdef").unwrap();
        drop(b);
        let mut buffer = b"ab".to_vec();
        let sizes: Vec<usize> = (0..3).map(|_| read_more(a.as_fd(), &mut buffer, 3).unwrap()).collect();
        assert_eq!((sizes, &buffer[..]), (vec![3, 1, 0], &b"abcdef"[..]));
        assert!(read_more(a.as_fd(), &mut buffer, 0).is_ok());
    }

    #[test]
    fn waiting_ends() {
        let (a, b) = stream_pair().unwrap();
        assert!(!wait_readable(a.as_fd(), std::time::Duration::from_millis(10)).unwrap());
        nix::unistd::write(&b, b"x").unwrap();
        assert!(wait_readable(a.as_fd(), std::time::Duration::from_secs(5)).unwrap());
    }
}
