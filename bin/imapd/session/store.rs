//! STORE.
//!
//! Standards   RFC 3501 6.4.6, RFC 7162 3.1.3 (UNCHANGEDSINCE, MODIFIED), RFC 9738 (MESSAGELIMIT)
use super::Session;
use super::acl::{permitted, refusal};
use super::answer::Answer;
use super::event::{self, Events, What};
use super::selected::Selected;
use penny_imap::command::{StoreArgs, StoreOp};
use penny_imap::{Code, NumberSet};
use penny_maildir::{FlagOp, FlagSet, Flags, Stored};

impl Session {
    pub(super) fn store_flags(&mut self, args: &StoreArgs) -> Answer {
        if args.unchanged_since.is_some() {
            self.condstore();
        }
        let limit = self.limit();
        let Some(selected) = &mut self.selected else { return Answer::bad("Select a mailbox first") };
        if selected.read_only {
            return Answer::no(Code::ReadOnly, "Mailbox is read-only");
        }
        if !args.uid && selected.has_bad_number(&args.set) {
            return Answer::bad("No such message");
        }
        let mut uids = selected.uids(&args.set, args.uid);
        let left_out = limit.cut(&mut uids);
        let op = match args.op {
            StoreOp::Set => FlagOp::Set,
            StoreOp::Add => FlagOp::Add,
            StoreOp::Remove => FlagOp::Remove,
        };
        let wanted = FlagSet { flags: Flags(args.flags.system), keywords: args.flags.keywords.clone() };
        let set = permitted(selected.rights, wanted.clone());
        // RFC 4314 4: what is permitted is done; NO where nothing is, and FLAGS replaces all or nothing
        let nothing = set != wanted && set == FlagSet::default();
        if nothing || (op == FlagOp::Set && !selected.rights.has("swt")) {
            return refusal();
        }
        let stored = match selected.mailbox.store(&uids, op, &set, args.unchanged_since) {
            Ok(stored) => stored,
            Err(e) => return Answer::of(&e),
        };
        selected.touched.extend(&stored.changed);
        selected.tell_new_keywords(&mut self.conn.out);
        let mut told = if args.silent { stored.changed.clone() } else { stored.done.clone() };
        if left_out.is_some() {
            told.reverse();
        }
        match args.silent {
            false => told.iter().for_each(|&uid| selected.tell_flags(&mut self.conn.out, uid)),
            true => tell_modseqs(selected, &mut self.conn.out, &told),
        }
        let events = Events { config: &self.config, spaces: &self.spaces };
        let touched = events.happened(
            &selected.place,
            &mut selected.mailbox,
            &stored.changed,
            What::Flag(&event::words(&wanted)),
        );
        event::tell(selected, &mut self.conn.out, &touched);
        let number = |uid: u32| if args.uid { Some(uid) } else { selected.seq.seq(uid) };
        let modified = NumberSet::from_numbers(stored.modified.iter().filter_map(|&u| number(u)));
        self.limited(answer(&stored, modified), left_out)
    }
}

/// What .SILENT does not keep back (RFC 7162 3.1.3).
fn tell_modseqs(selected: &Selected, out: &mut Vec<u8>, uids: &[u32]) {
    for &uid in uids.iter().filter(|_| selected.enabled.condstore) {
        let Some(m) = selected.mailbox.get(uid) else { continue };
        if selected.begin_fetch(out, uid) {
            out.extend_from_slice(format!("MODSEQ ({}))\r\n", m.modseq).as_bytes());
        }
    }
}

fn answer(stored: &Stored, modified: NumberSet) -> Answer {
    if !modified.is_empty() {
        return Answer::ok_with(Code::Modified(modified), "Conditional STORE failed for some");
    }
    if stored.gone.is_empty() {
        return Answer::ok("STORE completed");
    }
    // RFC 2180 4.2: what could be stored was stored
    Answer::ok_with(Code::ExpungeIssued, "STORE completed, some messages have been expunged")
}
