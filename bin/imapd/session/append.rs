//! APPEND and REPLACE.
//!
//! Standards   RFC 3501 6.3.11; RFC 3502, 4315 (APPENDUID), 4469 (CATENATE), 7889 (APPENDLIMIT), 8508 (REPLACE), 9738 (SAVELIMIT)
//! Invariants  1. OK means bytes, name and UID are on stable storage   2. several messages arrive all or not at all
//!             3. REPLACE removes the old message only after the new one is safe
use super::Session;
use super::acl::permitted;
use super::answer::Answer;
use super::event::{Events, What};
use super::loaded::read_message;
use super::spool::Spool;
use penny_imap::command::{AppendMessage, CatPart, Name, Section, SectionText};
use penny_imap::parse::Data;
use penny_imap::render::View;
use penny_imap::{Code, NumberSet, SequenceSet, command};
use penny_maildir::mailbox::Mailbox;
use penny_maildir::{Appended, FlagSet, Flags, Mode, Prepared};
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

impl Session {
    /// Asked before the client sends a message: the answer to give instead, if it may not.
    pub(super) fn may_append(&self, octets: u64) -> Option<Answer> {
        if octets > self.config.imapd.append_limit.0 {
            return Some(Answer::no(Code::TooBig, "Message too large"));
        }
        let name = command::append::target(self.reader.partial())?;
        let place = match self.place(&name) {
            Ok(place) => place,
            Err(no) => return Some(no),
        };
        if !self.spaces.exists(&place) {
            return Some(Answer::no(Code::TryCreate, "No such mailbox"));
        }
        if let Err(no) = self.demand(&place, "i") {
            return Some(no);
        }
        self.spaces.store(&place).quota().check(octets, 1).err().map(|e| Answer::of(&e))
    }

    pub(super) fn append(&mut self, name: &Name, messages: Vec<AppendMessage>) -> Answer {
        let limit = self.save_limit();
        if !limit.allows(messages.len() as u64) {
            return limit.refusal();
        }
        match self.append_all(name, messages) {
            Ok(done) => {
                let uids = NumberSet::from_numbers(done.uids.iter().copied());
                Answer::ok_with(Code::AppendUid(done.uidvalidity, uids), "APPEND completed")
            }
            Err(no) => no,
        }
    }

    fn append_all(&mut self, name: &Name, messages: Vec<AppendMessage>) -> Result<Appended, Answer> {
        let place = self.place(name)?;
        let rights = self.demand_if_there(&place, "i")?;
        let mut target =
            self.spaces.store(&place).mailbox(&place.folder, Mode::Target).map_err(|e| Answer::of_target(&e))?;
        let mut spools: Vec<Option<Spool>> = std::mem::take(&mut self.spools).into_iter().map(Some).collect();
        let mut prepared = Vec::new();
        for message in messages {
            let (file, flags) = self.prepare(&target, message, &mut spools)?;
            prepared.push((file, permitted(rights, flags)));
        }
        let done = target.append(prepared).map_err(|e| Answer::of_target(&e))?;
        let events = Events { config: &self.config, spaces: &self.spaces };
        events.happened(&place, &mut target, &done.uids, What::Append);
        Ok(done)
    }

    /// Writes one message to the target's tmp/.
    fn prepare(
        &mut self,
        target: &Mailbox,
        message: AppendMessage,
        spools: &mut [Option<Spool>],
    ) -> Result<(Prepared, FlagSet), Answer> {
        if message.utf8 && !self.enabled.utf8 {
            return Err(Answer::bad("ENABLE UTF8=ACCEPT first"));
        }
        let mut delivery = target.begin_append().map_err(|e| Answer::of(&e))?;
        if let Some(date) = message.date.and_then(|d| u64::try_from(d.unix()).ok()) {
            delivery.set_internal_date(UNIX_EPOCH + Duration::from_secs(date));
        }
        for part in message.parts {
            self.part(part, spools, &mut delivery)?;
            if delivery.virtual_size() > self.config.imapd.append_limit.0 {
                return Err(Answer::no(Code::TooBig, "Message too large"));
            }
        }
        if delivery.size() == 0 {
            // RFC 3502 6.3.11 calls an empty message an abort; a mailbox cannot hold one usefully
            return Err(Answer::no(Code::Cannot, "Empty message"));
        }
        let prepared = delivery.finish().map_err(|e| Answer::of(&e))?;
        Ok((prepared, FlagSet { flags: Flags(message.flags.system), keywords: message.flags.keywords }))
    }

    fn part(&mut self, part: CatPart, spools: &mut [Option<Spool>], out: &mut impl Write) -> Result<(), Answer> {
        let spool = match part {
            CatPart::Url(url) => return self.url_part(&url, out),
            CatPart::Text(Data::Inline(bytes)) => {
                let mut spool = Spool::new(self.spaces.own.root().tmp_dir(), false);
                spool.write(&bytes);
                spool
            }
            CatPart::Text(Data::Streamed(number, _)) => {
                spools.get_mut(number).and_then(Option::take).ok_or_else(|| Answer::bad("Literal lost"))?
            }
        };
        if spool.has_wrong_nul() {
            return Err(Answer::bad("NUL in a literal; use literal8"));
        }
        spool.copy_to(out).map_err(|e| io_answer(&e))
    }

    /// RFC 4469 4: a message or part of one, by URL.
    fn url_part(&mut self, url: &[u8], out: &mut impl Write) -> Result<(), Answer> {
        let text = String::from_utf8_lossy(url).into_owned();
        let bad = || Answer::no(Code::BadUrl(text.clone()), "URL names nothing here");
        let target = penny_imap::url::MessageUrl::parse(url).ok_or_else(bad)?;
        let bytes = match &target.mailbox {
            None => {
                let selected = self.selected.as_mut().ok_or_else(bad)?;
                selected.seq.seq(target.uid).ok_or_else(bad)?;
                read_message(&mut selected.mailbox, target.uid)
            }
            Some(name) => {
                let place = self.spaces.find(name).map_err(|_| bad())?;
                self.demand(&place, "r").map_err(|_| bad())?;
                let store = self.spaces.store(&place);
                let mut mailbox = store.mailbox(&place.folder, Mode::ReadOnly).map_err(|_| bad())?;
                if target.uidvalidity.is_some_and(|v| v != mailbox.status().uidvalidity) {
                    return Err(bad());
                }
                read_message(&mut mailbox, target.uid)
            }
        };
        let bytes = bytes.map_err(|_| bad())?;
        let section = target.section.unwrap_or_default();
        let (from, count) = target.partial.unwrap_or((0, usize::MAX));
        let mut wire = Vec::new();
        url_section(&bytes, &section, &mut wire).ok_or_else(bad)?;
        let from = from.min(wire.len());
        let piece = &wire[from..from.saturating_add(count).min(wire.len())];
        let mut spool = Spool::new(self.spaces.own.root().tmp_dir(), false);
        spool.write(piece);
        spool.copy_to(out).map_err(|e| io_answer(&e))
    }

    /// RFC 8508: the new message, then the old one goes.
    pub(super) fn replace(&mut self, set: &SequenceSet, uid: bool, name: &Name, message: AppendMessage) -> Answer {
        let Some(selected) = &self.selected else { return Answer::bad("Select a mailbox first") };
        if selected.read_only {
            return Answer::no(Code::ReadOnly, "Mailbox is read-only");
        }
        if !selected.rights.has("te") {
            return super::acl::refusal();
        }
        let [old] = selected.uids(set, uid)[..] else {
            return Answer::no(Code::NonExistent, "REPLACE needs one existing message");
        };
        let done = match self.append_all(name, vec![message]) {
            Ok(done) => done,
            Err(no) => return no,
        };
        let uids = NumberSet::from_numbers(done.uids.iter().copied());
        penny_imap::write::status(
            &mut self.conn.out,
            "*",
            "OK",
            Some(&Code::AppendUid(done.uidvalidity, uids)),
            "Replacement",
        );
        let _ = self.sync(true);
        let Some(selected) = &mut self.selected else { return Answer::ok("REPLACE completed") };
        match selected.mailbox.remove(&[old]) {
            Ok(gone) => {
                selected.tell_expunged(&mut self.conn.out, &gone);
                Answer::ok("REPLACE completed")
            }
            Err(e) => Answer::of(&e),
        }
    }
}

fn url_section(message: &[u8], section: &Section, out: &mut Vec<u8>) -> Option<()> {
    let view = View::new(message);
    let mut framed = Vec::new();
    match &section.text {
        SectionText::Fields(_) | SectionText::FieldsNot(_) => view.section(&mut framed, section, None),
        _ => {
            penny_imap::render::crlf(out, view.range(section)?);
            return Some(());
        }
    }
    // a literal: the length line goes
    let start = framed.iter().position(|&b| b == b'\n')? + 1;
    out.extend_from_slice(&framed[start..]);
    Some(())
}

fn io_answer(e: &std::io::Error) -> Answer {
    penny_base::log::error("append", None, &[("why", e)]);
    match e.kind() {
        std::io::ErrorKind::InvalidData => Answer::no(Code::UnknownCte, "NUL where nothing can be re-coded"),
        std::io::ErrorKind::StorageFull => Answer::no(Code::Limit, "Out of storage"),
        std::io::ErrorKind::QuotaExceeded => Answer::no(Code::OverQuota, "Quota exceeded"),
        _ => Answer::no(Code::Unavailable, "Temporary failure"),
    }
}
