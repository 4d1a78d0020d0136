//! IDLE.
//!
//! Standards   RFC 2177
//! Invariants  1. a delivery is told as soon as the kernel tells us (inotify on new/ and cur/)
//!             2. where the kernel's watches are used up, or on a network file system, the mailbox is looked at every 2 s
use super::answer::Answer;
use super::{Flow, Next, Session, io};
use crate::conn::Got;
use penny_sys::poll::Watch;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How often to look where no watch tells.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Session {
    pub(super) fn idle(&mut self, tag: &str) -> Flow {
        self.conn.out.extend_from_slice(b"+ idling\r\n");
        // with NOTIFY one watch sees this mailbox and the others
        let own = self.selected.as_ref().filter(|_| self.notify.is_none());
        let watch = own.and_then(|s| {
            let [new, cur] = s.mailbox.watch_paths();
            Watch::folder(&[&new, &cur]).ok()
        });
        let end = Instant::now() + self.timeout();
        loop {
            if let Some(lost) = self.sync(true).or_else(|| self.notify_look()) {
                self.untagged(&format!("BYE {lost}"));
                return Ok(Next::Leave);
            }
            match self.reader.line() {
                Some(Ok(line)) if line.eq_ignore_ascii_case(b"DONE") => break,
                Some(_) => {
                    Answer::bad("DONE expected").write(&mut self.conn.out, tag);
                    return self.count_error();
                }
                None => {}
            }
            if !self.idle_wait(watch.as_ref(), end)? {
                return Ok(Next::Leave);
            }
        }
        Answer::ok("IDLE completed").write(&mut self.conn.out, tag);
        Ok(Next::Go)
    }

    /// Waits for a change or for the client; false when the conversation is over.
    fn idle_wait(&mut self, watch: Option<&Watch>, end: Instant) -> Result<bool, penny_base::Failure> {
        self.conn.flush().map_err(io)?;
        self.build_index();
        self.release();
        self.report_usage();
        let left = end.saturating_duration_since(Instant::now());
        let recheck = self.selected.as_ref().and_then(|s| s.mailbox.recheck_after());
        let look = if watch.is_none() && self.selected.is_some() { Some(LOOK_EVERY) } else { recheck };
        let mut buffer = Vec::new();
        let got = if self.notify.is_some() {
            self.wait_watched(end, &mut buffer)?
        } else {
            let limit = look.map_or(left, |l| l.min(left));
            self.conn.wait(watch.map(AsFd::as_fd), limit, &mut buffer).map_err(io)?
        };
        match got {
            Got::Input => self.reader.feed(&buffer),
            Got::Other => {
                if let Some(w) = watch {
                    w.changes().map_err(io)?;
                }
            }
            Got::Timeout if left.is_zero() => {
                self.untagged("BYE Idle for too long");
                return Ok(false);
            }
            Got::Timeout => {}
            Got::End => return Ok(false),
        }
        Ok(true)
    }
}
