//! Tagged answers, and what store errors are to a client.
//!
//! Standards   RFC 3501 7.1, RFC 5530
//! Invariants  paths and system errors stay in the log; the client gets a code and words
use penny_base::log;
use penny_imap::{Code, write};
use penny_maildir::Error;

/// A tagged answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    word: &'static str,
    code: Option<Code>,
    text: String,
}

impl Answer {
    pub fn ok(text: &str) -> Answer {
        Answer { word: "OK", code: None, text: text.into() }
    }

    pub fn ok_with(code: Code, text: &str) -> Answer {
        Answer { word: "OK", code: Some(code), text: text.into() }
    }

    pub fn no(code: Code, text: &str) -> Answer {
        Answer { word: "NO", code: Some(code), text: text.into() }
    }

    pub fn bad(text: &str) -> Answer {
        Answer { word: "BAD", code: None, text: text.into() }
    }

    pub fn bad_with(code: Code, text: &str) -> Answer {
        Answer { word: "BAD", code: Some(code), text: text.into() }
    }

    /// What a failed store operation is to the client.
    pub fn of(error: &Error) -> Answer {
        match error {
            Error::NoFolder(_) => Answer::no(Code::NonExistent, "No such mailbox"),
            Error::FolderExists(_) => Answer::no(Code::AlreadyExists, "Mailbox exists already"),
            Error::BadName { why, .. } => Answer::no(Code::Cannot, &format!("Mailbox name not possible: {why}")),
            Error::OverQuota => Answer::no(Code::OverQuota, "Quota exceeded"),
            Error::Locked(_) => Answer::no(Code::InUse, "Mailbox is locked, try again"),
            Error::ReadOnly => Answer::no(Code::ReadOnly, "Mailbox is read-only"),
            Error::Gone(_) => Answer::no(Code::ExpungeIssued, "Some messages have been expunged"),
            Error::FolderGone => Answer::no(Code::NonExistent, "Mailbox has been deleted"),
            Error::Limit(what) => Answer::no(Code::Limit, &format!("Limit reached: {what}")),
            other => {
                log::error("store", None, &[("why", other)]);
                let full = other.status() == "4.3.1";
                if full {
                    Answer::no(Code::Limit, "Out of storage")
                } else {
                    Answer::no(Code::Unavailable, "Temporary failure")
                }
            }
        }
    }

    /// The same for a mailbox that is a target: a missing one may be created by the client (RFC 3501 6.3.11).
    pub fn of_target(error: &Error) -> Answer {
        match error {
            Error::NoFolder(_) => Answer::no(Code::TryCreate, "No such mailbox"),
            other => Answer::of(other),
        }
    }

    /// OK without a code.
    pub fn is_plain_ok(&self) -> bool {
        self.word == "OK" && self.code.is_none()
    }

    /// The same with a code, and more words.
    pub fn with_code(self, code: Code, more: &str) -> Answer {
        Answer { code: Some(code), text: self.text + more, ..self }
    }

    pub fn write(&self, out: &mut Vec<u8>, tag: &str) {
        write::status(out, tag, self.word, self.code.as_ref(), &self.text);
    }
}
