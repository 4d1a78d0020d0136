//! The TLS child: one session between the client's socket and the program's end of a pair.
//!
//! Invariants  it holds the keys it inherited, the client's socket, one end of the pair and of the control
//!             descriptor, and no other; it is the tls id, under seccomp, before it reads the first octet

use penny_base::log;
use penny_sys::ids::{self, Id};
use penny_sys::{confine, net, process};
use penny_tls::Context;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// What the child takes over.
pub struct Work<'a> {
    pub context: &'a Context,
    pub id: Option<Id>,
    pub timeout: Duration,
    pub peer: std::net::SocketAddr,
    pub socket: OwnedFd,
    pub control: OwnedFd,
    pub data: OwnedFd,
}

/// Forks the child; returns its pid. The parent's copies are closed with `work`.
pub fn start(work: Work<'_>) -> io::Result<i32> {
    if let Some(pid) = process::fork_single()? {
        return Ok(pid);
    }
    let keep = [work.socket.as_raw_fd(), work.control.as_raw_fd(), work.data.as_raw_fd()];
    net::close_from(3, &keep);
    process::reset_signals();
    process::ignore_broken_pipe();
    let peer = work.peer.ip();
    let code = match run(work) {
        Ok(()) => 0,
        Err(e) => {
            log::info("tls-failed", None, &[("ip", &peer), ("why", &e)]);
            111
        }
    };
    std::process::exit(code)
}

fn run(work: Work<'_>) -> io::Result<()> {
    if let Some(id) = work.id {
        ids::become_user(id, &[id.gid])?;
    }
    confine::network_conversation()?;
    let session = penny_tls::accept(work.context, work.socket, work.timeout)?;
    let mut control = std::fs::File::from(work.control);
    control.write_all(&session.encode_variables())?;
    drop(control);
    // a peer that cuts the connection is no fault worth a line
    let _ = penny_tls::pump(session, work.data);
    Ok(())
}
