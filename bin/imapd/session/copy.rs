//! COPY, MOVE, EXPUNGE.
//!
//! Standards   RFC 3501 6.4.3, 6.4.7; RFC 6851 (MOVE); RFC 4315 (COPYUID, UID EXPUNGE); RFC 9738 (MESSAGELIMIT)
//! Invariants  COPY and MOVE copy all of the set or nothing (RFC 3501 6.4.7)
use super::Session;
use super::answer::Answer;
use super::event::{Events, What};
use super::limit::TOO_MANY;
use penny_imap::command::Name;
use penny_imap::{Code, SequenceSet, write};
use penny_maildir::{Copied, Flags, Mode};

impl Session {
    pub(super) fn copy(&mut self, set: &SequenceSet, uid: bool, name: &Name, is_move: bool) -> Answer {
        let place = match self.place(name) {
            Ok(place) => place,
            Err(no) => return no,
        };
        if let Err(no) = self.demand_if_there(&place, "i") {
            return no;
        }
        let limit = if is_move { self.limit() } else { self.save_limit() };
        let Some(selected) = &mut self.selected else { return Answer::bad("Select a mailbox first") };
        if !uid && selected.has_bad_number(set) {
            return Answer::bad("No such message");
        }
        if is_move && selected.read_only {
            return Answer::no(Code::ReadOnly, "Mailbox is read-only");
        }
        if is_move && !selected.rights.has("te") {
            return super::acl::refusal(); // RFC 6851 4.1
        }
        let mut uids = selected.uids(set, uid);
        let left_out = limit.cut(&mut uids);
        if let (false, Some(code)) = (is_move, &left_out) {
            return Answer::no(code.clone(), TOO_MANY); // RFC 9738 3.1
        }
        let mut target = match self.spaces.store(&place).mailbox(&place.folder, Mode::Target) {
            Ok(target) => target,
            Err(e) => return Answer::of_target(&e),
        };
        let copied = if is_move {
            selected.mailbox.move_to(&uids, &mut target)
        } else {
            selected.mailbox.copy(&uids, &mut target)
        };
        let copied = match copied {
            Ok(copied) => copied,
            Err(e) => return Answer::of_target(&e),
        };
        let done = if is_move { "MOVE completed" } else { "COPY completed" };
        if copied.pairs.is_empty() {
            // RFC 4315 3: no COPYUID when nothing was copied
            let answer = match copied.gone.is_empty() {
                true => Answer::ok(done),
                false => Answer::no(Code::ExpungeIssued, "The messages have been expunged"),
            };
            return self.limited(answer, left_out);
        }
        let new: Vec<u32> = copied.pairs.iter().map(|p| p.1).collect();
        if place.is_own() && selected.place.is_own() {
            super::learn::learn(&self.config, &selected.place.folder, &mut target, &new);
        }
        let from = self.spaces.text(&selected.place);
        let events = Events { config: &self.config, spaces: &self.spaces };
        events.happened(&place, &mut target, &new, What::Copy(&from));
        if !is_move {
            return Answer::ok_with(copy_uid(&copied), done);
        }
        // RFC 6851 4.3: COPYUID comes untagged before the EXPUNGEs
        write::status(&mut self.conn.out, "*", "OK", Some(&copy_uid(&copied)), "Moved");
        let moved: Vec<u32> = copied.pairs.iter().map(|p| p.0).collect();
        selected.tell_expunged(&mut self.conn.out, &sorted(moved));
        self.limited(Answer::ok(done), left_out)
    }

    pub(super) fn expunge(&mut self, set: Option<&SequenceSet>) -> Answer {
        let limit = self.limit();
        let Some(selected) = &mut self.selected else { return Answer::bad("Select a mailbox first") };
        if selected.read_only {
            return Answer::no(Code::ReadOnly, "Mailbox is read-only");
        }
        if !selected.rights.has("e") {
            return super::acl::refusal();
        }
        let mut only = set.map(|s| selected.uids(s, true));
        let mut left_out = None;
        if let Some(uids) = only.as_mut().filter(|uids| !limit.allows(uids.len() as u64)) {
            // RFC 9738 3.1: those that go are counted
            uids.retain(|&uid| selected.mailbox.get(uid).is_some_and(|m| m.flags.contains(Flags::DELETED)));
            left_out = limit.cut(uids);
        }
        match selected.mailbox.expunge(only.as_deref()) {
            Ok(gone) => {
                selected.tell_expunged(&mut self.conn.out, &sorted(gone));
                self.limited(Answer::ok("EXPUNGE completed"), left_out)
            }
            Err(e) => Answer::of(&e),
        }
    }
}

fn sorted(mut uids: Vec<u32>) -> Vec<u32> {
    uids.sort_unstable();
    uids
}

/// The two lists of COPYUID, which pair up position by position (RFC 4315 3), so they are not sorted apart.
fn copy_uid(copied: &Copied) -> Code {
    let from: Vec<u32> = copied.pairs.iter().map(|p| p.0).collect();
    let to: Vec<u32> = copied.pairs.iter().map(|p| p.1).collect();
    Code::CopyUid(copied.uidvalidity, runs(&from), runs(&to))
}

/// `1:3,7,5`: rising runs in the order given.
pub(super) fn runs(uids: &[u32]) -> String {
    let chunks = uids.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let text = chunks.map(|c| match c {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}:{last}"),
        [] => String::new(),
    });
    text.collect::<Vec<_>>().join(",")
}
