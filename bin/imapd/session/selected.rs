//! The selected mailbox as this client knows it, and telling the client what changed.
//!
//! Standards   RFC 3501 5.2, 7.3, 7.4; RFC 7162 3.2.10 (VANISHED)
//! Invariants  1. sequence numbers change only by what the client was told   2. expunged messages stay readable until then
use super::context::Context;
use super::fulltext::Index;
use super::spaces::Place;
use super::{Enabled, Session};
use penny_imap::flag::write_flags;
use penny_imap::set::SequenceSet;
use penny_imap::{Code, NumberSet, write};
use penny_maildir::acl::Rights;
use penny_maildir::mailbox::Mailbox;
use penny_maildir::{Changes, Message, SeqMap};

/// An open mailbox.
pub struct Selected {
    pub mailbox: Mailbox,
    pub place: Place,
    /// Message numbers as the client knows them.
    pub seq: SeqMap,
    pub read_only: bool,
    /// What this user may do here.
    pub rights: Rights,
    /// What the client has switched on; changes what it is told.
    pub enabled: Enabled,
    /// UIDs that are gone and not told yet, sorted.
    gone: Vec<u32>,
    /// Results kept up to date (RFC 5267).
    pub contexts: Vec<Context>,
    /// Messages whose flags this session has changed since the last look.
    pub touched: Vec<u32>,
    /// The saved search result (RFC 5182).
    pub saved: NumberSet,
    /// The full-text index, where one is kept.
    pub index: Option<Index>,
    /// How many keywords the client has been told of.
    told_keywords: usize,
}

impl Selected {
    pub fn new(mailbox: Mailbox, place: Place, read_only: bool, enabled: Enabled) -> Selected {
        let seq = mailbox.seq_map();
        Selected {
            mailbox,
            place,
            seq,
            read_only,
            rights: Rights::ALL,
            enabled,
            gone: Vec::new(),
            contexts: Vec::new(),
            touched: Vec::new(),
            saved: NumberSet::default(),
            index: None,
            told_keywords: 0,
        }
    }

    /// The UIDs that a set names, of messages the client knows; rising.
    pub fn uids(&self, set: &SequenceSet, uid: bool) -> Vec<u32> {
        let mut out = Vec::new();
        let max = if uid { self.seq.last_uid().unwrap_or(0) } else { self.seq.len() };
        match set.resolve(max) {
            None => out.extend(self.saved.iter().filter(|&u| self.seq.seq(u).is_some())),
            Some(numbers) if uid => {
                for &(low, high) in numbers.ranges() {
                    self.push_uid_range(low, high, &mut out);
                }
            }
            Some(numbers) => {
                for &(low, high) in numbers.ranges() {
                    out.extend((low..=high.min(self.seq.len())).filter_map(|n| self.seq.uid(n)));
                }
            }
        }
        out
    }

    fn push_uid_range(&self, low: u32, high: u32, out: &mut Vec<u32>) {
        let Some(mut seq) = self.seq.seq_from(low) else { return };
        while let Some(uid) = self.seq.uid(seq).filter(|&u| u <= high) {
            out.push(uid);
            seq += 1;
        }
    }

    /// Whether a set of message numbers names one that does not exist (RFC 3501 9: an error, unlike unknown UIDs).
    pub fn has_bad_number(&self, set: &SequenceSet) -> bool {
        let max = self.seq.len();
        // `*` in an empty mailbox names nothing
        set.resolve(max).is_some_and(|n| n.last().is_some_and(|l| l > max) || n.first() == Some(0))
    }

    /// FLAGS of a message, with its keywords by name.
    pub fn write_flags(&self, out: &mut Vec<u8>, message: &Message) {
        let recent = message.recent && !self.enabled.rev2; // RFC 9051 has no \Recent
        if message.keywords.0 == 0 {
            return write_flags(out, message.flags.0, std::iter::empty(), recent);
        }
        let names: Vec<String> = self.mailbox.keyword_names(message.keywords).collect();
        write_flags(out, message.flags.0, names.iter().map(String::as_str), recent);
    }

    /// A keyword is never shown before FLAGS has named it (RFC 3501 7.2.6).
    pub fn tell_new_keywords(&mut self, out: &mut Vec<u8>) {
        if self.mailbox.keywords().iter().flatten().count() != self.told_keywords {
            self.tell_flag_list(out);
        }
    }

    /// The number a client knows a message by: its UID where UIDONLY is on (RFC 9586 3.3).
    pub fn number(&self, uid: u32) -> Option<u32> {
        self.seq.seq(uid).map(|seq| if self.enabled.uidonly { uid } else { seq })
    }

    /// `* n FETCH (`, with the UID where the answer is not already named by it; false when the client knows no such message.
    pub fn begin_fetch(&self, out: &mut Vec<u8>, uid: u32) -> bool {
        let Some(seq) = self.seq.seq(uid) else { return false };
        let head =
            if self.enabled.uidonly { format!("* {uid} UIDFETCH (") } else { format!("* {seq} FETCH (UID {uid} ") };
        out.extend_from_slice(head.as_bytes());
        true
    }

    /// `* n FETCH (UID u FLAGS (...) MODSEQ (m))`
    pub fn tell_flags(&mut self, out: &mut Vec<u8>, uid: u32) {
        self.tell_new_keywords(out);
        let Some(message) = self.mailbox.get(uid) else { return };
        if !self.begin_fetch(out, uid) {
            return;
        }
        out.extend_from_slice(b"FLAGS ");
        self.write_flags(out, &message);
        if self.enabled.condstore {
            out.extend_from_slice(format!(" MODSEQ ({})", message.modseq).as_bytes());
        }
        out.extend_from_slice(b")\r\n");
    }

    /// `* FLAGS (...)` and PERMANENTFLAGS.
    pub fn tell_flag_list(&mut self, out: &mut Vec<u8>) {
        self.told_keywords = self.mailbox.keywords().iter().flatten().count();
        let names: Vec<&str> = self.mailbox.keywords().iter().flatten().map(String::as_str).collect();
        let mut list = Vec::new();
        write_flags(&mut list, 31, names.iter().copied(), false);
        out.extend_from_slice(b"* FLAGS ");
        out.extend_from_slice(&list);
        out.extend_from_slice(b"\r\n* OK [PERMANENTFLAGS ");
        if self.read_only {
            out.extend_from_slice(b"()] Read-only mailbox\r\n");
        } else {
            // what STORE may change (RFC 4314 4)
            let (flags, keywords) = super::acl::settable(self.rights);
            list.clear();
            write_flags(&mut list, flags.0, names.iter().copied().filter(|_| keywords), false);
            list.pop();
            out.extend_from_slice(&list);
            out.extend_from_slice(if keywords { b" \\*)] Limited\r\n" } else { b")] Limited\r\n" });
        }
    }

    /// Takes messages out of the numbering and tells it; by VANISHED where QRESYNC or UIDONLY is on.
    pub fn tell_expunged(&mut self, out: &mut Vec<u8>, uids: &[u32]) {
        if uids.is_empty() {
            return;
        }
        self.contexts_lose(out, uids);
        if self.enabled.qresync || self.enabled.uidonly {
            let known = NumberSet::from_numbers(uids.iter().copied().filter(|&u| self.seq.seq(u).is_some()));
            if !known.is_empty() {
                out.extend_from_slice(format!("* VANISHED {known}\r\n").as_bytes());
            }
            self.seq.remove_all(uids);
        } else {
            // from the end, so that each number is the one the client has at that moment
            for &uid in uids.iter().rev() {
                if let Some(seq) = self.seq.remove(uid) {
                    out.extend_from_slice(format!("* {seq} EXPUNGE\r\n").as_bytes());
                }
            }
        }
        self.mailbox.forget(uids);
        if !self.saved.is_empty() {
            self.saved = NumberSet::from_numbers(self.saved.iter().filter(|u| uids.binary_search(u).is_err()));
        }
    }

    fn hold_back(&mut self, uids: Vec<u32>) {
        self.gone.extend(uids);
        self.gone.sort_unstable();
        self.gone.dedup();
    }
}

impl Session {
    /// Tells the client what others did. Gives a text when the session cannot go on.
    pub(super) fn sync(&mut self, expunges: bool) -> Option<String> {
        // RFC 5465 6.1: of the selected mailbox only what NOTIFY asked for, if it spoke of it
        let wanted = self.notify.as_ref().and_then(|n| n.selected.clone());
        if wanted.as_ref().is_some_and(|events| !events.messages) {
            return None;
        }
        let selected = self.selected.as_mut()?;
        let changes = match selected.mailbox.refresh() {
            Ok(changes) => changes,
            Err(penny_maildir::Error::FolderGone | penny_maildir::Error::NoFolder(_)) => {
                return Some("The selected mailbox has been deleted".into());
            }
            Err(e) => {
                penny_base::log::warning("refresh", None, &[("user", &self.owner.user), ("why", &e)]);
                return None;
            }
        };
        let new = changes.new.clone();
        selected.tell_changes(&mut self.conn.out, changes, expunges, wanted.as_ref().is_none_or(|e| e.flags));
        match wanted {
            Some(events) if !new.is_empty() && !events.items.is_empty() => self.tell_items(&new, &events.items),
            _ => {}
        }
        None
    }
}

impl Selected {
    fn tell_changes(&mut self, out: &mut Vec<u8>, changes: Changes, expunges: bool, flags: bool) {
        if changes.keywords {
            self.tell_flag_list(out);
        }
        self.hold_back(changes.expunged);
        if expunges {
            let gone = std::mem::take(&mut self.gone);
            self.tell_expunged(out, &gone);
        }
        if !changes.new.is_empty() {
            changes.new.iter().for_each(|&uid| self.seq.push(uid));
            self.tell_count(out);
        }
        for &uid in changes.flags.iter().filter(|_| flags) {
            self.tell_flags(out, uid);
        }
        self.tell_safe_modseq(out);
        let mut seen = std::mem::take(&mut self.touched);
        if !self.contexts.is_empty() {
            seen.extend(changes.new.iter().chain(&changes.flags));
            seen.sort_unstable();
            seen.dedup();
            self.contexts_see(out, &seen);
        }
    }

    /// A client takes the highest MODSEQ it was told before a tagged answer for what it has seen all of (RFC 7162 3.2.3). With
    /// expunges that it cannot be told yet, that would lose them at the next QRESYNC, so it is told how far it may believe.
    fn tell_safe_modseq(&self, out: &mut Vec<u8>) {
        let pending = if self.enabled.qresync { self.mailbox.first_gone_modseq(&self.gone) } else { None };
        if let Some(modseq) = pending {
            let code = Code::HighestModSeq(modseq.saturating_sub(1));
            write::status(out, "*", "OK", Some(&code), "Expunges are to be told");
        }
    }

    /// EXISTS, and RECENT where it still is (RFC 9051 has none).
    fn tell_count(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("* {} EXISTS\r\n", self.seq.len()).as_bytes());
        if !self.enabled.rev2 {
            let recent = self.mailbox.status().recent;
            out.extend_from_slice(format!("* {recent} RECENT\r\n").as_bytes());
        }
    }
}
