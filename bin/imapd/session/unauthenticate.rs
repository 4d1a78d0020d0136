//! UNAUTHENTICATE: the session ends, and the connection goes on with a process that owns nothing.
//!
//! Standards   RFC 8437
//! Invariants  1. the process that was a user's never serves another   2. TLS stays, all else of the session goes, COMPRESS too
//! Not here    the answer: the next process gives it, so that both never write at once
use super::answer::Answer;
use super::{Flow, Next, Session, io};
use penny_base::services::Handed;
use penny_base::{Config, log};
use penny_imap::Code;

/// Whether there is a spawn that could start the next process; a session run by hand has no login to go back to.
pub fn is_possible(config: &Config, handed: Option<&Handed>) -> bool {
    handed.is_some() && config.socket("spawn").exists()
}

impl Session {
    pub(super) fn unauthenticate(&mut self, tag: &str) -> Flow {
        if !self.can_unauthenticate {
            Answer::bad("Not possible here").write(&mut self.conn.out, tag);
            return Ok(Next::Go);
        }
        // no EXPUNGE is told or done (RFC 8437 3)
        self.selected = None;
        self.notify = None;
        let handed = Handed::new(self.reader.pending().to_vec());
        let compressed = self.conn.is_compressed();
        if compressed {
            Answer::ok("UNAUTHENTICATE completed").write(&mut self.conn.out, tag);
        }
        self.conn.flush().map_err(io)?;
        let handed = handed.with("tag", (!compressed).then_some(tag));
        let Err(e) = handed.hand_back(&self.config, "imapd") else { return Ok(Next::Leave) };
        log::warning("session", None, &[("user", &self.owner.user), ("why", &e)]);
        if compressed {
            self.untagged("BYE Temporary failure");
            return Ok(Next::Leave);
        }
        Answer::no(Code::Unavailable, "Temporary failure").write(&mut self.conn.out, tag);
        Ok(Next::Go)
    }
}
