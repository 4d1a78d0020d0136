//! What a script decided.
//!
//! Invariants  an action carries the message as it was when the action was taken (RFC 5293 6)

use crate::message::Message;

/// Where a copy goes, and how.
#[derive(Debug, Clone)]
pub struct Store {
    /// Mailbox name, `/` between levels; INBOX for keep.
    pub mailbox: String,
    /// Flags to set; `None`: none were named.
    pub flags: Option<Vec<String>>,
    /// Make the mailbox if it is missing.
    pub create: bool,
    /// Prefer the mailbox with this special use (RFC 8579).
    pub special_use: Option<String>,
    /// Prefer the mailbox with this id (RFC 9042).
    pub mailbox_id: Option<String>,
    /// It was `keep`, not `fileinto`.
    pub keep: bool,
    /// The message.
    pub message: Message,
}

/// Mail the script wants sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What it is.
    pub kind: OutgoingKind,
    /// Envelope sender; empty for `<>`.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// ESMTP parameters of MAIL and RCPT.
    pub mail_params: Vec<String>,
    /// ESMTP parameters of each RCPT.
    pub rcpt_params: Vec<String>,
    /// The whole message.
    pub message: Vec<u8>,
    /// Keep a copy there (RFC 8580).
    pub fcc: Option<Box<Store>>,
}

/// Kind of mail sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingKind {
    /// The message itself, passed on.
    Redirect,
    /// An answer; at most one in `seconds` under this key.
    Vacation {
        /// Who is answered, and by which text (hashed).
        key: String,
        /// For how long.
        seconds: u64,
    },
    /// A notification.
    Notify,
    /// An abuse report.
    Report,
}

/// One decision.
#[derive(Debug, Clone)]
pub enum Action {
    /// keep, fileinto.
    Store(Store),
    /// redirect, vacation, notify, report.
    Send(Outgoing),
    /// Drop silently.
    Discard,
    /// Refuse with this text; `ereject` prefers the SMTP answer to a bounce (RFC 5429).
    Reject {
        /// One or more lines.
        reason: String,
        /// ereject.
        extended: bool,
    },
    /// Give the message to a program.
    Pipe {
        /// Name within the administrator's directory.
        program: String,
        /// Arguments.
        args: Vec<String>,
        /// A failure is no failure of the delivery.
        try_only: bool,
        /// The message.
        message: Message,
    },
    /// Remember a key of `duplicate` once the delivery has succeeded (RFC 7352 3.1).
    Remember {
        /// The key, hashed.
        key: String,
        /// For how long.
        seconds: u64,
    },
}

impl Action {
    /// The command's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Store(s) if s.keep => "keep",
            Self::Store(_) => "store",
            Self::Send(o) => match o.kind {
                OutgoingKind::Redirect => "redirect",
                OutgoingKind::Vacation { .. } => "vacation",
                OutgoingKind::Notify => "notify",
                OutgoingKind::Report => "report",
            },
            Self::Discard => "discard",
            Self::Reject { .. } => "reject",
            Self::Pipe { .. } => "pipe",
            Self::Remember { .. } => "duplicate",
        }
    }

    /// One line for people: a dry run, a trace.
    pub fn describe(&self) -> String {
        match self {
            Self::Store(s) => {
                let flags = s.flags.as_ref().filter(|f| !f.is_empty()).map(|f| format!(" flags ({})", f.join(" ")));
                let create = if s.create { " (create)" } else { "" };
                let verb = if s.keep { "keep in" } else { "file into" };
                format!("{verb} {:?}{create}{}", s.mailbox, flags.unwrap_or_default())
            }
            Self::Send(o) => {
                let verb = self.name();
                format!("{verb} to <{}> from <{}>", o.to.join(">, <"), o.from)
            }
            Self::Discard => "discard".into(),
            Self::Reject { reason, extended } => {
                format!("{} {reason:?}", if *extended { "ereject" } else { "reject" })
            }
            Self::Pipe { program, args, .. } => format!("pipe to {program:?} {args:?}"),
            Self::Remember { seconds, .. } => format!("remember for {seconds} s (duplicate)"),
        }
    }
}

/// What all scripts decided.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// In order.
    pub actions: Vec<Action>,
    /// Keep the message (as edited) besides.
    pub implicit_keep: bool,
    /// Flags for that.
    pub keep_flags: Vec<String>,
    /// The message as edited.
    pub message: Message,
}
