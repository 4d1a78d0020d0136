//! GETQUOTA, GETQUOTAROOT, SETQUOTA of administrators; telling lookup how full the mailbox is.
//!
//! Standards   RFC 9208 4.1, 5
//! Invariants  a user has one root, named by the empty string: the whole mail; administrators know those of others by their names
use super::Session;
use super::answer::Answer;
use penny_base::services::lookup;
use penny_imap::command::{Command, Name};
use penny_imap::{Code, write};
use penny_maildir::{Limits, Maildir, Quota};

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

fn no_root() -> Answer {
    Answer::no(Code::NonExistent, "No such quota root")
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
        match self.quota_of(root) {
            Ok(quota) if quota.is_active() => self.tell_quota(root, &quota),
            Ok(_) => no_root(),
            Err(no) => no,
        }
    }

    fn quota_of(&self, root: &[u8]) -> Result<Quota, Answer> {
        match root {
            b"" => Ok(self.spaces.own.quota().clone()),
            _ if self.may_set_quota() => Ok(Quota::new(&self.mail_of(root)?.1, None)),
            _ => Err(no_root()),
        }
    }

    fn tell_quota(&mut self, root: &[u8], quota: &Quota) -> Answer {
        match quota.usage() {
            Ok((usage, limits)) => {
                let storage = limits.storage.map(|l| format!("STORAGE {} {}", usage.storage.div_ceil(1024), l / 1024));
                let messages = limits.messages.map(|l| format!("MESSAGE {} {l}", usage.messages));
                let all: Vec<String> = storage.into_iter().chain(messages).collect();
                let out = &mut self.conn.out;
                out.extend_from_slice(b"* QUOTA ");
                write::string(out, root);
                out.extend_from_slice(format!(" ({})\r\n", all.join(" ")).as_bytes());
                Answer::ok("QUOTA completed")
            }
            Err(e) => Answer::of(&e),
        }
    }

    /// Whether this session may set quotas.
    pub(super) fn may_set_quota(&self) -> bool {
        crate::shares::may_set_quota(&self.config, &self.owner)
    }

    /// RFC 9208 4.1.3: the limits named replace all there were. They stand in the Maildir, so they count where neither the
    /// users table nor the configuration gives any.
    pub(super) fn set_quota(&mut self, root: &[u8], limits: &[(String, u64)]) -> Result<Answer, Answer> {
        if !self.may_set_quota() {
            return Err(Answer::no(Code::NoPerm, "Quota is set by the administrator"));
        }
        let mut wanted = Limits::default();
        for (resource, limit) in limits {
            match resource.as_str() {
                "STORAGE" => wanted.storage = Some(limit.saturating_mul(1024)),
                "MESSAGE" => wanted.messages = Some(*limit),
                _ => return Err(Answer::no(Code::Cannot, "Resource not limited here")),
            }
        }
        let (user, maildir) = self.mail_of(root)?;
        let default = &self.config.mail;
        if user.quota_kb > 0 || user.quota_messages > 0 || default.quota.0 > 0 || default.quota_messages > 0 {
            return Err(Answer::no(Code::NoPerm, "The quota of this user stands in the tables"));
        }
        let quota = Quota::new(&maildir, None);
        quota.recount(Some(wanted)).map_err(|e| Answer::of(&e))?;
        self.tell_quota(root, &quota);
        Ok(Answer::ok("SETQUOTA completed"))
    }

    /// The user whose quota root this is, and the mail; the root of others is called by their name.
    fn mail_of(&self, root: &[u8]) -> Result<(lookup::User, Maildir), Answer> {
        let name = if root.is_empty() { Some(self.owner.user.as_str()) } else { std::str::from_utf8(root).ok() };
        let unavailable = |_| Answer::no(Code::Unavailable, "Users cannot be looked up now");
        let mut lookup = lookup::Lookup::connect(&self.config, None).map_err(|e| unavailable(e.to_string()))?;
        let user = match name {
            Some(name) => lookup.user(name).map_err(|e| unavailable(e.to_string()))?,
            None => None,
        };
        let user = user.filter(|u| u.id.uid == penny_sys::ids::own_uid()).ok_or_else(no_root)?;
        let maildir = Maildir::open(&user.maildir).map_err(|_| no_root())?;
        Ok((user, maildir))
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
        if active {
            self.tell_quota(b"", &self.spaces.own.quota().clone())
        } else {
            Answer::ok("GETQUOTAROOT completed")
        }
    }
}
