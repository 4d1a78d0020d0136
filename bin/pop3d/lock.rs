//! One POP3 session a maildrop, RFC 1939 4.
//!
//! Invariants  the lock is the open file: it ends with the process, however that ends. IMAP sessions and deliveries are not kept out: numbers
//!             and sizes of this session stay as they were at its start all the same

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use penny_sys::fs::Locked;

/// Name of the lock file in the Maildir.
const FILE: &str = "pennypost.pop3lock";
/// A session that just ended (or a connection that just broke) gets this long to let go.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes the lock; `None` when another session holds it.
pub fn take(maildir: &Path) -> io::Result<Option<Locked>> {
    let path = maildir.join(FILE);
    let end = Instant::now() + PATIENCE;
    loop {
        match Locked::try_new(&path, 0o600) {
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
