//! One POP3 session a maildrop (RFC 1939 4), and not too often (LOGIN-DELAY, RFC 2449 6.5).
//!
//! Invariants  1. the lock is the open file: it ends with the process, however that ends. IMAP sessions and deliveries are not kept
//!             out: numbers and sizes of this session stay as they were at its start all the same
//!             2. the file's mtime is the last login, where `pop3d.login_delay` is set; a login that was refused is none

use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use penny_sys::fs::Locked;

/// Name of the lock file in the Maildir.
const FILE: &str = "pennypost.pop3lock";
/// A session that just ended (or a connection that just broke) gets this long to let go.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no session now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Another session has the mailbox.
    InUse,
    /// The last login was less than `pop3d.login_delay` ago.
    TooEarly,
}

impl Refused {
    /// The response code (RFC 2449 8.1) and words.
    pub fn answer(self) -> (&'static str, &'static str) {
        match self {
            Refused::InUse => ("IN-USE", "another POP3 session has the mailbox"),
            Refused::TooEarly => ("LOGIN-DELAY", "too soon after the last login"),
        }
    }
}

/// Takes the lock, unless the last login was less than `delay` ago.
pub fn take(maildir: &Path, delay: Duration) -> io::Result<Result<Locked, Refused>> {
    let path = maildir.join(FILE);
    // a file that the lock itself makes tells of no login
    let known = path.exists();
    let lock = match wait(&path)? {
        Some(lock) => lock,
        None => return Ok(Err(Refused::InUse)),
    };
    let last = lock.file().metadata()?.modified()?;
    // a login in the future: the clock was set back
    let early = SystemTime::now().duration_since(last).is_ok_and(|since| since < delay);
    Ok(if known && early { Err(Refused::TooEarly) } else { Ok(lock) })
}

/// The session begins: the delay runs from here.
pub fn note_login(lock: &Locked) -> io::Result<()> {
    lock.file().set_modified(SystemTime::now())
}

/// `None` when another session holds it.
fn wait(path: &Path) -> io::Result<Option<Locked>> {
    let end = Instant::now() + PATIENCE;
    loop {
        match Locked::try_new(path, 0o600) {
            Ok(lock) => return Ok(Some(lock)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() >= end {
                    return Ok(None);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_runs_from_the_last_login() {
        let dir = penny_testkit::TempDir::new();
        let hour = Duration::from_secs(3600);
        let took = |delay: Duration| take(dir.path(), delay).unwrap().map(drop);
        // the first login, and one without a delay
        assert_eq!(took(hour), Ok(()));
        note_login(&take(dir.path(), Duration::ZERO).unwrap().unwrap()).unwrap();
        assert_eq!(took(hour), Err(Refused::TooEarly));
        assert_eq!(took(Duration::ZERO), Ok(()));
        let set = |time: SystemTime| std::fs::File::open(dir.join(FILE)).unwrap().set_modified(time).unwrap();
        set(SystemTime::now() - hour - hour);
        assert_eq!(took(hour), Ok(()));
        set(SystemTime::now() + hour);
        assert_eq!(took(hour), Ok(()), "a clock that was set back locks nobody out");
    }
}
