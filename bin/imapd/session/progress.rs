//! Signs of life during long commands.
//!
//! Standards   RFC 9585 (INPROGRESS)
//! Invariants  nothing is said before `imapd.progress` is over, and no more often than that
use crate::conn::Conn;
use penny_base::Config;
use penny_imap::{Code, write};
use std::time::{Duration, Instant};

/// Messages between two looks at the clock.
const CLOCK: u64 = 16;

/// How far a command is.
pub struct Progress {
    tag: String,
    every: Duration,
    last: Instant,
    done: u64,
    goal: u64,
}

impl Progress {
    pub fn new(tag: &str, config: &Config, goal: u64) -> Progress {
        let every = Duration::from_secs(config.imapd.progress.0);
        Progress { tag: tag.to_owned(), every, last: Instant::now(), done: 0, goal }
    }

    /// One message more is done.
    pub fn step(&mut self, conn: &mut Conn) {
        // to ask the clock costs as much as to look at the flags of a message
        let asks = self.done.is_multiple_of(CLOCK) || self.every.is_zero();
        // RFC 9585 4: the goal is larger than what is done
        if asks && self.last.elapsed() >= self.every && self.done < self.goal {
            self.last = Instant::now();
            let code = Code::InProgress(self.tag.clone(), Some((self.done, self.goal)));
            write::status(&mut conn.out, "*", "OK", Some(&code), "Still at it");
            // a client that is gone is noticed at the answer
            let _ = conn.flush();
        }
        self.done += 1;
    }
}
