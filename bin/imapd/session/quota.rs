//! GETQUOTA and GETQUOTAROOT; telling lookup how full the mailbox is.
//!
//! Standards   RFC 9208 4.1, 5
//! Invariants  there is one root, named by the empty string: the user's whole mail
use super::Session;
use super::answer::Answer;
use penny_base::services::lookup;
use penny_imap::command::{Command, Name};
use penny_imap::{Code, write};

/// Whether a command may change what the mailbox holds.
pub fn changes_usage(command: &Command) -> bool {
    matches!(
        command,
        Command::Append { .. }
            | Command::Copy { .. }
            | Command::Replace { .. }
            | Command::Expunge(_)
            | Command::Close
            | Command::Delete(_)
    )
}

impl Session {
    /// Tells lookup the usage, so that smtpd knows at RCPT time; after the client has its answer.
    pub(super) fn report_usage(&mut self) {
        if !std::mem::take(&mut self.usage_changed) || !self.spaces.own.quota().is_active() {
            return;
        }
        if let Ok((usage, limits)) = self.spaces.own.quota().usage() {
            lookup::report_usage(&self.config, &self.owner.user, usage.storage, usage.messages);
            self.warn(usage, limits);
        }
    }

    pub(super) fn get_quota(&mut self, root: &[u8]) -> Answer {
        if !root.is_empty() || !self.spaces.own.quota().is_active() {
            return Answer::no(Code::NonExistent, "No such quota root");
        }
        self.tell_quota()
    }

    fn tell_quota(&mut self) -> Answer {
        match self.spaces.own.quota().usage() {
            Ok((usage, limits)) => {
                let storage = limits.storage.map(|l| format!("STORAGE {} {}", usage.storage.div_ceil(1024), l / 1024));
                let messages = limits.messages.map(|l| format!("MESSAGE {} {l}", usage.messages));
                let all: Vec<String> = storage.into_iter().chain(messages).collect();
                self.untagged(&format!("QUOTA \"\" ({})", all.join(" ")));
                Answer::ok("QUOTA completed")
            }
            Err(e) => Answer::of(&e),
        }
    }

    pub(super) fn get_quota_root(&mut self, name: &Name) -> Answer {
        let place = match self.place(name) {
            Ok(place) => place,
            Err(no) => return no,
        };
        if !self.spaces.exists(&place) {
            return Answer::no(Code::NonExistent, "No such mailbox");
        }
        let shown = self.shown(&place);
        // how full others are is not this user's business
        let active = place.is_own() && self.spaces.own.quota().is_active();
        let out = &mut self.conn.out;
        out.extend_from_slice(b"* QUOTAROOT ");
        write::mailbox(out, &shown);
        out.extend_from_slice(if active { b" \"\"\r\n" } else { b"\r\n" });
        if active { self.tell_quota() } else { Answer::ok("GETQUOTAROOT completed") }
    }
}
