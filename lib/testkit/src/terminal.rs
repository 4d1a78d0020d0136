//! A program at a terminal: what it asks is waited for, and answered.
//!
//! Invariants  every wait has a limit; dropped = the program is killed

use crate::wait::PATIENCE;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The other end of the terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    master: File,
    shown: String,
    read: usize,
}

impl Terminal {
    /// Starts a program whose standard descriptors are all a terminal.
    ///
    /// # Panics
    /// When there is no terminal to be had, or the program does not start.
    pub fn start(command: &mut Command) -> Terminal {
        let pair = openpty(None, None).unwrap_or_else(|e| panic!("openpty: {e}"));
        let end = || Stdio::from(pair.slave.try_clone().unwrap_or_else(|e| panic!("dup: {e}")));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn();
        let child = child.unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Terminal { child, master: pair.master.into(), shown: String::new(), read: 0 }
    }

    /// Waits until a text is shown, behind what was waited for before.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect(&mut self, text: &str) -> &mut Terminal {
        let start = Instant::now();
        loop {
            if let Some(at) = self.shown.get(self.read..).and_then(|rest| rest.find(text)) {
                self.read += at + text.len();
                return self;
            }
            assert!(start.elapsed() < PATIENCE && self.more(), "{text:?} is not shown; there is {}", self.shown);
        }
    }

    /// Types a line.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn enter(&mut self, line: &str) -> &mut Terminal {
        self.master.write_all(format!("{line}\n").as_bytes()).unwrap_or_else(|e| panic!("terminal: {e}"));
        self
    }

    /// Types the end of input, Ctrl-D.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn end(&mut self) -> &mut Terminal {
        self.master.write_all(&[4]).unwrap_or_else(|e| panic!("terminal: {e}"));
        self
    }

    /// Waits for the end of the program; its exit code, and all that was shown.
    ///
    /// # Panics
    /// When it does not end.
    pub fn finish(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        loop {
            self.more();
            if let Ok(Some(status)) = self.child.try_wait() {
                while self.more() {}
                return (status.code(), std::mem::take(&mut self.shown));
            }
            assert!(start.elapsed() < PATIENCE, "does not end; there is {}", self.shown);
        }
    }

    /// Reads what comes within a moment; false at the end.
    fn more(&mut self) -> bool {
        let running = self.child.try_wait().is_ok_and(|ended| ended.is_none());
        let mut wanted = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        match poll(&mut wanted, PollTimeout::from(100u8)) {
            // what ran until then may have written meanwhile
            Ok(0) => return running,
            Err(_) => return false,
            Ok(_) => {}
        }
        let mut buffer = [0; 4096];
        // EIO: nobody has the other end open any more
        let n = self.master.read(&mut buffer).unwrap_or(0);
        self.shown.push_str(&String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()));
        n > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered() {
        let mut terminal = Terminal::start(
            Command::new("sh").args(["-c", "test -t 0 && printf 'who? ' && read w && echo \"hi $w\"; exit 3"]),
        );
        terminal.expect("who? ").enter("ann").expect("hi ann");
        let (code, shown) = terminal.finish();
        assert_eq!(code, Some(3), "{shown}");
    }
}
