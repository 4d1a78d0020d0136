//! SELECT, EXAMINE, CLOSE, UNSELECT, STATUS.
//!
//! Standards   RFC 3501 and 9051 6.3.1, 6.3.2, 6.3.10, 6.4.2; RFC 3691 (UNSELECT); RFC 7162 3.1.2, 3.2.5 (CONDSTORE, QRESYNC); RFC 8474 (MAILBOXID)
//! Invariants  a failed SELECT leaves no mailbox selected (RFC 3501 6.3.1)
use super::Session;
use super::answer::Answer;
use super::selected::Selected;
use super::spaces::Place;
use penny_imap::command::mailbox::QResync;
use penny_imap::command::{Name, SelectArgs, StatusItem};
use penny_imap::{Code, NumberSet, write};
use penny_maildir::{Mode, Status};

impl Session {
    pub(super) fn select(&mut self, args: &SelectArgs) -> Answer {
        if args.qresync.is_some() && !self.enabled.qresync {
            return Answer::bad("ENABLE QRESYNC first");
        }
        if let Some(old) = self.selected.take() {
            drop(old);
            write::status(&mut self.conn.out, "*", "OK", Some(&Code::Closed), "Previous mailbox closed");
        }
        let place = match self.place(&args.name) {
            Ok(place) => place,
            Err(no) => return no,
        };
        let rights = match self.demand(&place, "r") {
            Ok(rights) => rights,
            Err(no) => return no,
        };
        let read_only = args.read_only || !rights.has_any("swtie"); // RFC 4314 4
        let mode = if read_only { Mode::ReadOnly } else { Mode::ReadWrite };
        let mailbox = match self.spaces.store(&place).mailbox(&place.folder, mode) {
            Ok(mailbox) => mailbox,
            Err(e) => return Answer::of(&e),
        };
        self.enabled.condstore |= args.condstore || args.qresync.is_some();
        let mut selected = self.with_index(Selected::new(mailbox, place, read_only, self.enabled));
        selected.rights = rights;
        tell_state(&mut self.conn.out, &mut selected);
        if self.enabled.rev2 {
            self.tell_list("LIST", &selected.place, "", ""); // RFC 9051 6.3.2
        }
        if let Some(q) = &args.qresync {
            resync(&mut self.conn.out, &mut selected, q);
        }
        self.selected = Some(selected);
        self.notify_selection();
        let code = if read_only { Code::ReadOnly } else { Code::ReadWrite };
        Answer::ok_with(code, if args.read_only { "EXAMINE completed" } else { "SELECT completed" })
    }

    pub(super) fn close(&mut self, expunge: bool) -> Answer {
        if let Some(mut selected) = self.selected.take() {
            // RFC 3501 6.4.2: no untagged EXPUNGE, and nothing at all when read-only
            if expunge
                && !selected.read_only
                && selected.rights.has("e")
                && let Err(e) = selected.mailbox.expunge(None)
            {
                return Answer::of(&e);
            }
            let _ = selected.mailbox.release();
        }
        Answer::ok("Mailbox closed")
    }

    pub(super) fn status(&mut self, name: &Name, items: &[StatusItem]) -> Answer {
        let place = match self.place(name) {
            Ok(place) => place,
            Err(no) => return no,
        };
        if let Err(no) = self.demand(&place, "r") {
            return no;
        }
        match self.folder_status(&place, items) {
            Ok(status) => {
                self.status_enables(items);
                let shown = self.shown(&place);
                self.tell_status(&shown, &status, items);
                Answer::ok("STATUS completed")
            }
            Err(e) => Answer::of(&e),
        }
    }

    /// The counts of a folder; messages are only measured when sizes are asked for.
    pub(super) fn folder_status(&self, place: &Place, items: &[StatusItem]) -> penny_maildir::Result<Status> {
        if items.iter().any(|i| matches!(i, StatusItem::Size | StatusItem::DeletedStorage)) {
            return self.spaces.store(place).status(&place.folder);
        }
        self.spaces.store(place).status_without_size(&place.folder)
    }

    /// RFC 7162 3.1: who asks for HIGHESTMODSEQ wants CONDSTORE.
    pub(super) fn status_enables(&mut self, items: &[StatusItem]) {
        if items.contains(&StatusItem::HighestModSeq) {
            self.condstore();
        }
    }

    pub(super) fn tell_status(&mut self, shown: &str, status: &Status, items: &[StatusItem]) {
        let limit = self.config.imapd.append_limit.0;
        let words: Vec<String> = items.iter().map(|item| status_word(*item, status, limit)).collect();
        let out = &mut self.conn.out;
        out.extend_from_slice(b"* STATUS ");
        write::mailbox(out, shown);
        out.extend_from_slice(format!(" ({})\r\n", words.join(" ")).as_bytes());
    }
}

fn status_word(item: StatusItem, s: &Status, append_limit: u64) -> String {
    match item {
        StatusItem::Messages => format!("MESSAGES {}", s.messages),
        StatusItem::Recent => format!("RECENT {}", s.recent),
        StatusItem::UidNext => format!("UIDNEXT {}", s.uidnext),
        StatusItem::UidValidity => format!("UIDVALIDITY {}", s.uidvalidity),
        StatusItem::Unseen => format!("UNSEEN {}", s.unseen),
        StatusItem::HighestModSeq => format!("HIGHESTMODSEQ {}", s.highest_modseq),
        StatusItem::Size => format!("SIZE {}", s.size),
        StatusItem::Deleted => format!("DELETED {}", s.deleted),
        StatusItem::DeletedStorage => format!("DELETED-STORAGE {}", s.deleted_storage.div_ceil(1024)),
        StatusItem::MailboxId => format!("MAILBOXID ({})", s.guid),
        StatusItem::AppendLimit => format!("APPENDLIMIT {append_limit}"),
    }
}

/// The untagged answers of SELECT (RFC 3501 6.3.1).
fn tell_state(out: &mut Vec<u8>, selected: &mut Selected) {
    let s = selected.mailbox.status();
    selected.tell_flag_list(out);
    out.extend_from_slice(format!("* {} EXISTS\r\n", s.messages).as_bytes());
    let enabled = selected.enabled;
    if !enabled.rev2 {
        out.extend_from_slice(format!("* {} RECENT\r\n", s.recent).as_bytes());
    }
    let mut ok = |code: Code, text: &str| write::status(out, "*", "OK", Some(&code), text);
    // RFC 9051 E: neither RECENT nor UNSEEN; RFC 9586 3.5: no message numbers
    if !(enabled.rev2 || enabled.uidonly)
        && let Some(seq) = selected.mailbox.first_unseen().and_then(|uid| selected.seq.seq(uid))
    {
        ok(Code::Unseen(seq), "First unseen");
    }
    ok(Code::UidValidity(s.uidvalidity), "UIDs valid");
    ok(Code::UidNext(s.uidnext), "Predicted next UID");
    ok(Code::HighestModSeq(s.highest_modseq), "Highest");
    ok(Code::MailboxId(s.guid.to_string()), "Mailbox id");
}

/// RFC 7162 3.2.5: what has gone and what has changed since the client's last session.
fn resync(out: &mut Vec<u8>, selected: &mut Selected, q: &QResync) {
    if q.uidvalidity != selected.mailbox.status().uidvalidity {
        return;
    }
    let known = q.known_uids.as_ref().and_then(|set| set.resolve(u32::MAX));
    let wanted = |uid: u32| known.as_ref().is_none_or(|k| k.contains(uid));
    let mut gone = vanished(selected, q.modseq, known.as_ref());
    if let Some(from) = first_difference(selected, q) {
        gone = NumberSet::from_ranges(
            gone.ranges().iter().map(|&(low, high)| (low.max(from), high)).filter(|r| r.0 <= r.1),
        );
    }
    if !gone.is_empty() {
        out.extend_from_slice(format!("* VANISHED (EARLIER) {gone}\r\n").as_bytes());
    }
    let changed: Vec<u32> = selected.mailbox.changed_since(q.modseq).map(|m| m.uid).filter(|&u| wanted(u)).collect();
    for uid in changed {
        selected.tell_flags(out, uid);
    }
}

/// UIDs gone since a modseq, within those the client asked about.
pub(super) fn vanished(selected: &Selected, modseq: u64, known: Option<&NumberSet>) -> NumberSet {
    let all = selected.mailbox.vanished_since(modseq).ranges;
    match known {
        None => NumberSet::from_ranges(all.into_iter()),
        Some(known) => {
            let cut = |&(a, b): &(u32, u32)| {
                let ranges = known.ranges().iter().map(move |&(c, d)| (a.max(c), b.min(d)));
                ranges.filter(|r| r.0 <= r.1).collect::<Vec<_>>()
            };
            NumberSet::from_ranges(all.iter().flat_map(cut))
        }
    }
}

/// RFC 7162 3.2.5.2: pairs of number and UID that still fit tell below which UID nothing has gone.
fn first_difference(selected: &Selected, q: &QResync) -> Option<u32> {
    let (seqs, uids) = q.seq_match.as_ref()?;
    let (seqs, uids) = (seqs.resolve(u32::MAX)?, uids.resolve(u32::MAX)?);
    let pairs = seqs.iter().zip(uids.iter()).take(10_000);
    let fitting = pairs.take_while(|&(seq, uid)| selected.seq.uid(seq) == Some(uid));
    fitting.last().map(|(_, uid)| uid.saturating_add(1))
}
