//! What happened, as the journal will have it.

use penny_queue::envelope::Line;
use penny_queue::journal::{Action, Outcome, Verdict};
use penny_smtp::client::Reply;

/// Why a host, or all of them, could not be used. It concerns every recipient alike.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// Trying again is of no use.
    pub permanent: bool,
    /// Enhanced status.
    pub status: String,
    /// One line.
    pub text: String,
    /// Who said it; `None` when it is our own finding.
    pub mta: Option<String>,
}

impl Trouble {
    /// Try again.
    pub fn temporary(status: &str, text: impl Into<String>) -> Trouble {
        Trouble { permanent: false, status: status.into(), text: text.into(), mta: None }
    }

    /// Never.
    pub fn permanent(status: &str, text: impl Into<String>) -> Trouble {
        Trouble { permanent: true, ..Trouble::temporary(status, text) }
    }

    /// As told by `mta`.
    pub fn by(self, mta: &str) -> Trouble {
        Trouble { mta: Some(mta.to_owned()), ..self }
    }

    /// A reply that is not the wished one. `permanent` is what a 5xx means at that place.
    pub fn reply(reply: &Reply, mta: &str, permanent: bool) -> Trouble {
        let permanent = permanent && reply.is_permanent();
        let status = reply.status();
        // a status has to agree with what we make of it (RFC 3464 2.3.4)
        let class = if permanent { 5 } else { 4 };
        let status = format!("{class}.{}.{}", status.subject, status.detail);
        Trouble { permanent, status, text: reply.to_string(), mta: Some(mta.to_owned()) }
    }

    /// As an outcome.
    pub fn outcome(&self) -> Outcome {
        let verdict = if self.permanent { Verdict::Fail } else { Verdict::Later };
        make(verdict, Action::None, &self.status, self.mta.as_deref(), &self.text)
    }
}

/// A reply to RCPT, to the end of the data, or to MAIL for all recipients.
pub fn of_reply(reply: &Reply, mta: &str, success: Action) -> Outcome {
    if reply.is_success() {
        return make(Verdict::Done, success, &reply.status().to_string(), Some(mta), &reply.to_string());
    }
    // 552 to RCPT is 452 of old servers (RFC 5321 4.5.3.1.10): too many recipients, not a full mailbox
    Trouble::reply(reply, mta, true).outcome()
}

fn make(verdict: Verdict, action: Action, status: &str, mta: Option<&str>, text: &str) -> Outcome {
    let line = |text: &str| Line::clean(text.as_bytes());
    let word = |text: &str| Line::clean(text.replace(' ', "_").as_bytes());
    Outcome { time: 0, verdict, status: word(status), action, mta: mta.map(word), text: line(text) }
}
