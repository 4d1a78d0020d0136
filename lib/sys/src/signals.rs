//! Signals as something to poll: a socket that can be read once one has come.
//!
//! Standard    signal(7), the self-pipe; the handler writes one octet and nothing else
//! Invariants  registered for the life of the process: a pipe that is dropped leaves its signals without effect

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// One or more signals that mean the same.
#[derive(Debug)]
pub struct Signals(UnixStream);

impl Signals {
    /// Catches these signals from now on.
    pub fn catch(signals: &[i32]) -> io::Result<Signals> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        for signal in signals {
            signal_hook::low_level::pipe::register(*signal, write.try_clone()?)?;
        }
        Ok(Signals(read))
    }

    /// Whether one has come since the last question.
    pub fn came(&self) -> bool {
        let mut any = false;
        while matches!((&self.0).read(&mut [0; 64]), Ok(n) if n > 0) {
            any = true;
        }
        any
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_once() {
        let signals = Signals::catch(&[libc::SIGUSR2]).unwrap();
        assert!(!signals.came());
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGUSR2).unwrap();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGUSR2).unwrap();
        assert!(signals.came());
        assert!(!signals.came());
    }
}
