//! The words of journal lines as types.

use crate::envelope::Line;
use std::fmt;
use std::str::FromStr;

/// Recipient `i` of the envelope, result `j` of its expansion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Index of the recipient in the envelope.
    pub rcpt: u32,
    /// Index of the result.
    pub result: u32,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.rcpt, self.result)
    }
}

impl FromStr for Target {
    type Err = ();

    fn from_str(text: &str) -> Result<Target, ()> {
        let (rcpt, result) = text.split_once('.').ok_or(())?;
        Ok(Target { rcpt: rcpt.parse().map_err(drop)?, result: result.parse().map_err(drop)? })
    }
}

/// Defines an enum whose variants are written as one word each.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// The word in the journal.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// The value of a word.
            pub fn from_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// How a resulting recipient is delivered.
    Kind {
        /// A mailbox here.
        Local = "local",
        /// An address elsewhere.
        Remote = "remote",
        /// A command of an alias.
        Pipe = "pipe",
        /// A file of an alias.
        File = "file",
        /// The table said no: the value is `x.y.z text`.
        Error = "error",
    }
}

words! {
    /// The outcome of one try for one target.
    Verdict {
        /// Final: accepted.
        Done = "done",
        /// To be tried again.
        Later = "later",
        /// Final: refused or expired.
        Fail = "fail",
    }
}

words! {
    /// What a success means for the sender's wish to hear of it (RFC 3464 2.3.3), `-` otherwise.
    Action {
        /// Not a success.
        None = "-",
        /// In the mailbox.
        Delivered = "delivered",
        /// Handed to a host that will not report success (RFC 3461 5.2.3: we do).
        Relayed = "relayed",
        /// Handed to a host that takes over the duty to report (DSN announced).
        Passed = "passed",
        /// Became several addresses that no longer report to the sender.
        Expanded = "expanded",
    }
}

/// One outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Seconds since 1970.
    pub time: u64,
    /// Final or not.
    pub verdict: Verdict,
    /// Enhanced status code (RFC 3463), `x.y.z`.
    pub status: Line,
    /// What a success means.
    pub action: Action,
    /// The host that answered; no space inside.
    pub mta: Option<Line>,
    /// What it said, or what we say.
    pub text: Line,
}
