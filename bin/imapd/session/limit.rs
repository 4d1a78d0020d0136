//! MESSAGELIMIT and SAVELIMIT: how many messages one command may work on.
//!
//! Standards   RFC 9738
//! Invariants  1. of more messages the ones with the highest UIDs are worked on, from the highest down, and the client is told the lowest
//!             2. what is done for all of them or not at all (COPY, APPEND of several, SORT, THREAD, a window of PARTIAL) is refused
//!             3. EXPUNGE, CLOSE and STATUS know no limit (3.1)
use super::Session;
use super::answer::Answer;
use penny_imap::{Code, write};

/// What a refused client is told.
pub const TOO_MANY: &str = "Too many messages for one command";

/// How many messages one command may work on; 0 is any number.
#[derive(Debug, Clone, Copy)]
pub struct Limit(u32);

impl Limit {
    pub fn allows(self, messages: u64) -> bool {
        self.0 == 0 || messages <= u64::from(self.0)
    }

    /// Leaves the highest of rising UIDs; the code that tells it where there were more.
    pub fn cut(self, uids: &mut Vec<u32>) -> Option<Code> {
        if self.allows(uids.len() as u64) {
            return None;
        }
        uids.drain(..uids.len() - self.0 as usize);
        Some(Code::MessageLimit(self.0, uids.first().copied()))
    }

    /// The answer where all or nothing is done.
    pub fn refusal(self) -> Answer {
        Answer::no(Code::MessageLimit(self.0, None), TOO_MANY)
    }
}

impl Session {
    pub(super) fn limit(&self) -> Limit {
        Limit(self.config.imapd.message_limit)
    }

    /// The limit of COPY and APPEND.
    pub(super) fn save_limit(&self) -> Limit {
        let config = &self.config.imapd;
        Limit(if config.message_limit > 0 { config.message_limit } else { config.save_limit })
    }

    /// The answer to a command that left messages out. Where it carries another code, the limit is told untagged (3.1).
    pub(super) fn limited(&mut self, answer: Answer, cut: Option<Code>) -> Answer {
        let Some(code) = cut else { return answer };
        if answer.is_plain_ok() {
            return answer.with_code(code, ", of the newest messages only");
        }
        write::status(&mut self.conn.out, "*", "NO", Some(&code), TOO_MANY);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_left() {
        let mut uids = vec![2, 5, 9];
        assert_eq!(Limit(0).cut(&mut uids), None);
        assert_eq!(Limit(3).cut(&mut uids), None);
        assert_eq!(Limit(2).cut(&mut uids), Some(Code::MessageLimit(2, Some(5))));
        assert_eq!(uids, [5, 9]);
        assert!(Limit(2).allows(2) && !Limit(2).allows(3) && Limit(0).allows(u64::MAX));
    }
}
