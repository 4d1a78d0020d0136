//! One failure: what the peer is told, what the log is told, and whether trying again makes sense.
//!
//! Standard    RFC 3463 enhanced status codes
//! Invariants  the text for the peer is one line, begins with the enhanced status and names no path

use crate::exit::{Kind, Outcome};
use std::fmt;

/// A failed piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Permanent (with its kind) or temporary.
    pub outcome: Outcome,
    /// Enhanced status, `4.3.0`.
    pub status: String,
    /// For the peer, without the status.
    pub text: String,
    /// For the log only: paths, errno, addresses.
    pub detail: String,
}

impl Failure {
    /// Try again later.
    pub fn temporary(status: &str, text: impl Into<String>) -> Failure {
        Failure { outcome: Outcome::Temporary, status: status.into(), text: text.into(), detail: String::new() }
    }

    /// Will never work.
    pub fn permanent(kind: Kind, status: &str, text: impl Into<String>) -> Failure {
        let outcome = Outcome::Permanent(kind);
        Failure { outcome, status: status.into(), text: text.into(), detail: String::new() }
    }

    /// A wrong command line.
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure::permanent(Kind::Usage, "5.3.5", text)
    }

    /// A mistake in the configuration.
    pub fn config(text: impl Into<String>) -> Failure {
        Failure::permanent(Kind::Config, "5.3.5", text)
    }

    /// A system call that failed: temporary, with the enhanced status its errno deserves.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Failure {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let (status, text) = match error.kind() {
            StorageFull | QuotaExceeded => ("4.3.1", "the mail system is out of storage"),
            _ => ("4.3.0", "temporary system failure"),
        };
        Failure::temporary(status, text).with_detail(format!("{what}: {error}"))
    }

    /// Adds what only the log may see.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Failure {
        self.detail = detail.into();
        self
    }

    /// True when trying again may help.
    pub fn is_temporary(&self) -> bool {
        self.outcome == Outcome::Temporary
    }

    /// The line for the peer: status, then text.
    pub fn line(&self) -> String {
        format!("{} {}", self.status, self.text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Failure {
        Failure::io("system call", &e)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(e: anyhow::Error) -> Failure {
        match e.downcast::<Failure>() {
            Ok(f) => f,
            Err(e) => Failure::temporary("4.3.0", "temporary system failure").with_detail(format!("{e:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_status() {
        let e = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Failure::io("write", &e).status, "4.3.1");
    }

    #[test]
    fn anyhow_keeps_the_failure_inside() {
        let e = anyhow::Error::new(Failure::usage("no such option"));
        assert_eq!(Failure::from(e).outcome, Outcome::Permanent(Kind::Usage));
    }
}
