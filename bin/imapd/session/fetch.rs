//! FETCH.
//!
//! Standards   RFC 3501 6.4.5, 7.4.2; RFC 7162 (CHANGEDSINCE, VANISHED, MODSEQ), 3516 (BINARY), 8474, 8514, 8970, 9394 (PARTIAL), 9738 (MESSAGELIMIT)
//! Invariants  1. a message that has gone meanwhile never ends the session: the others are sent, and the answer says so
//!             2. a file is opened only for items that need it, and only its header where that is enough
use super::answer::Answer;
use super::cache::{field_of, is_kept, made};
use super::loaded::{Part, read_part};
use super::selected::Selected;
use super::{Session, io};
use penny_base::Failure;
use penny_imap::command::{FetchArgs, Item, Section, SectionText};
use penny_imap::render::{BinaryError, View, crlf_len};
use penny_imap::{Code, NumberSet, SequenceSet, write};
use penny_maildir::{Error, FlagOp, FlagSet, Flags, Message};
use penny_mime::DateTime;
use std::io::Write;

/// What can stop one message from being sent whole.
enum Fault {
    Gone,
    UnknownCte,
    Store(Error),
}

impl From<Error> for Fault {
    fn from(e: Error) -> Fault {
        match e {
            Error::Gone(_) => Fault::Gone,
            other => Fault::Store(other),
        }
    }
}

impl Session {
    pub(super) fn fetch(&mut self, args: &FetchArgs) -> Result<Answer, Failure> {
        if args.items.contains(&Item::ModSeq) || args.changed_since.is_some() {
            self.condstore();
        }
        if args.vanished && !self.enabled.qresync {
            return Ok(Answer::bad("ENABLE QRESYNC first"));
        }
        let limit = self.limit();
        let Some(selected) = &mut self.selected else { return Ok(Answer::bad("Select a mailbox first")) };
        if !args.uid && selected.has_bad_number(&args.set) {
            return Ok(Answer::bad("No such message"));
        }
        let mut uids = selected.uids(&args.set, args.uid);
        if let Some(range) = args.partial {
            // RFC 9738 3.1: the window as it was asked for counts
            if !limit.allows(range.0.abs_diff(range.1) + 1) {
                return Ok(limit.refusal());
            }
            uids = cut(&uids, range);
        }
        if let Some(modseq) = args.changed_since {
            if args.vanished {
                tell_vanished(&mut self.conn.out, selected, modseq, &args.set);
            }
            uids.retain(|&uid| selected.mailbox.get(uid).is_some_and(|m| m.modseq > modseq));
        }
        let left_out = limit.cut(&mut uids);
        let seen = match mark_seen(selected, args, &uids) {
            Ok(seen) => seen,
            Err(e) => return Ok(Answer::of(&e)),
        };
        if left_out.is_some() {
            uids.reverse();
        }
        let items = wanted_items(args, selected.enabled.uidonly);
        let mut job = Job::new(&items, args.uid);
        let mut fault = None;
        for uid in uids {
            let extra = seen.binary_search(&uid).is_ok();
            if let Err(f) = job.one(selected, &mut self.conn.out, uid, extra) {
                fault.get_or_insert(f);
            }
            self.conn.flush_if_large().map_err(io)?;
        }
        let answer = match fault {
            None => Answer::ok("FETCH completed"),
            Some(Fault::Gone) => Answer::no(Code::ExpungeIssued, "Some messages have been expunged"),
            Some(Fault::UnknownCte) => Answer::no(Code::UnknownCte, "Unknown content transfer encoding"),
            Some(Fault::Store(e)) => Answer::of(&e),
        };
        Ok(self.limited(answer, left_out))
    }

    /// Tells items of messages that nobody has fetched (RFC 5465 5.1); `\Seen` stays as it is.
    pub(super) fn tell_items(&mut self, uids: &[u32], items: &[Item]) {
        let Some(selected) = &mut self.selected else { return };
        let mut job = Job::new(items, false);
        for &uid in uids {
            // one that has gone already is told by its EXPUNGE
            let _ = job.one(selected, &mut self.conn.out, uid, false);
        }
    }
}

/// RFC 9394 3.1: a window on the results, from either end.
pub(super) fn cut(uids: &[u32], (first, last): (i64, i64)) -> Vec<u32> {
    let len = uids.len();
    let (low, high) = (first.unsigned_abs().min(last.unsigned_abs()), first.unsigned_abs().max(last.unsigned_abs()));
    let low = usize::try_from(low).unwrap_or(usize::MAX);
    let high = usize::try_from(high).unwrap_or(usize::MAX).min(len);
    let range = if first < 0 { len - high..len.saturating_sub(low - 1) } else { (low - 1)..high };
    uids.get(range).unwrap_or_default().to_vec()
}

fn tell_vanished(out: &mut Vec<u8>, selected: &Selected, modseq: u64, set: &SequenceSet) {
    let known = set.resolve(u32::MAX);
    let gone: NumberSet = super::select::vanished(selected, modseq, known.as_ref());
    if !gone.is_empty() {
        out.extend_from_slice(format!("* VANISHED (EARLIER) {gone}\r\n").as_bytes());
    }
}

/// Sets `\Seen` where an item asks for it (RFC 3501 6.4.5); gives the messages that changed.
fn mark_seen(selected: &mut Selected, args: &FetchArgs, uids: &[u32]) -> Result<Vec<u32>, Error> {
    if selected.read_only || !selected.rights.has("s") || !args.items.iter().any(Item::sets_seen) {
        return Ok(Vec::new());
    }
    let unseen = |uid: &u32| selected.mailbox.get(*uid).is_some_and(|m| !m.flags.contains(Flags::SEEN));
    let unseen: Vec<u32> = uids.iter().copied().filter(unseen).collect();
    if unseen.is_empty() {
        return Ok(unseen);
    }
    let set = FlagSet { flags: Flags::SEEN, keywords: Vec::new() };
    let changed = selected.mailbox.store(&unseen, FlagOp::Add, &set, None)?.changed;
    selected.touched.extend(&changed);
    Ok(changed)
}

/// The items to send: UID in a UID FETCH (RFC 3501 6.4.8) unless the answer is named by it (RFC 9586 3.3), MODSEQ where it is due (RFC 7162 3.1.4).
fn wanted_items(args: &FetchArgs, uidonly: bool) -> Vec<Item> {
    let mut items = Vec::new();
    let add = |items: &mut Vec<Item>, item: Item| {
        if !items.contains(&item) {
            items.push(item);
        }
    };
    if args.uid && !uidonly {
        items.push(Item::Uid);
    }
    args.items.iter().for_each(|i| add(&mut items, i.clone()));
    if args.changed_since.is_some() {
        add(&mut items, Item::ModSeq);
    }
    items
}

/// How much of the file an item needs.
fn needed(item: &Item) -> Option<Part> {
    match item {
        Item::ThreadId => Some(Part::List),
        Item::Rfc822Header => Some(Part::Header),
        Item::Section { section, .. } if section.path.is_empty() => match &section.text {
            SectionText::Fields(names) if names.iter().all(|n| is_kept(n)) => Some(Part::List),
            SectionText::Header | SectionText::Fields(_) | SectionText::FieldsNot(_) => Some(Part::Header),
            _ => Some(Part::Whole),
        },
        Item::Rfc822 | Item::Rfc822Text => Some(Part::Whole),
        Item::Section { .. } | Item::Binary { .. } | Item::BinarySize(_) => Some(Part::Whole),
        _ => None,
    }
}

struct Job<'a> {
    items: &'a [Item],
    /// What the items that are not kept whole need.
    part: Option<Part>,
    /// Cache fields of those that are, with what making them needs.
    kept: Vec<(u16, Part)>,
    buffer: Vec<u8>,
    uid: bool,
}

impl<'a> Job<'a> {
    fn new(items: &'a [Item], uid: bool) -> Job<'a> {
        let kept = items.iter().filter_map(field_of).collect();
        let part = items.iter().filter_map(needed).max();
        Job { items, part, kept, buffer: Vec::new(), uid }
    }
}

impl Job<'_> {
    /// `* n FETCH (...)`; nothing is written of a message that cannot be read.
    fn one(&mut self, selected: &mut Selected, out: &mut Vec<u8>, uid: u32, seen: bool) -> Result<(), Fault> {
        let (Some(number), Some(message)) = (selected.number(uid), selected.mailbox.get(uid)) else {
            return Err(Fault::Gone);
        };
        let word = if selected.enabled.uidonly { "UIDFETCH" } else { "FETCH" };
        let mut bytes = std::mem::take(&mut self.buffer);
        let missing = self.kept.iter().filter(|(field, _)| selected.mailbox.cached(uid, *field).is_none()).map(|k| k.1);
        let part = missing.max().max(self.part);
        if let Some(part) = part {
            read_part(&mut selected.mailbox, uid, part, &mut bytes)?;
        }
        if message.virtual_size.is_none() {
            self.count(selected, uid, part, &bytes)?;
        }
        if seen || self.items.contains(&Item::Flags) {
            selected.tell_new_keywords(out);
        }
        let start = out.len();
        put(out, format_args!("* {number} {word} ("));
        let result = self.items(selected, out, &message, &bytes);
        if seen && !self.items.contains(&Item::Flags) {
            out.extend_from_slice(b" FLAGS ");
            selected.write_flags(out, &message);
            if selected.enabled.condstore && !self.items.contains(&Item::ModSeq) {
                put(out, format_args!(" MODSEQ ({})", message.modseq));
            }
            if !self.uid && !self.items.contains(&Item::Uid) {
                put(out, format_args!(" UID {uid}"));
            }
        }
        out.extend_from_slice(b")\r\n");
        if result.is_err() {
            out.truncate(start);
        }
        self.buffer = bytes;
        result
    }

    /// RFC822.SIZE of a message whose name does not tell it: from the bytes if they are here. Otherwise it is read before
    /// INTERNALDATE asks for the file's time, which the open file tells as well.
    fn count(&self, selected: &mut Selected, uid: u32, part: Option<Part>, bytes: &[u8]) -> Result<(), Fault> {
        if part == Some(Part::Whole) {
            selected.mailbox.learned(uid, crlf_len(bytes) as u64);
        } else if self.items.contains(&Item::Rfc822Size) {
            selected.mailbox.virtual_size(uid)?;
        }
        Ok(())
    }

    fn items(&self, selected: &mut Selected, out: &mut Vec<u8>, message: &Message, bytes: &[u8]) -> Result<(), Fault> {
        let view = View::new(bytes);
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            self.item(item, selected, out, message, &view)?;
        }
        Ok(())
    }

    fn item(
        &self,
        item: &Item,
        selected: &mut Selected,
        out: &mut Vec<u8>,
        m: &Message,
        view: &View<'_>,
    ) -> Result<(), Fault> {
        match item {
            Item::Uid => put(out, format_args!("UID {}", m.uid)),
            Item::ModSeq => put(out, format_args!("MODSEQ ({})", m.modseq)),
            Item::Rfc822Size => put(out, format_args!("RFC822.SIZE {}", selected.mailbox.virtual_size(m.uid)?)),
            Item::InternalDate => {
                let date = DateTime::from_unix(selected.mailbox.internal_date(m.uid)?, 0);
                put(out, format_args!("INTERNALDATE \"{}\"", date.imap()));
            }
            Item::SaveDate => put(out, format_args!("SAVEDATE \"{}\"", DateTime::from_unix(m.save_date, 0).imap())),
            Item::ThreadId => match thread_id(view.header()) {
                Some(id) => put(out, format_args!("THREADID ({id})")),
                None => out.extend_from_slice(b"THREADID NIL"), // RFC 8474 5.2
            },
            Item::Flags => {
                out.extend_from_slice(b"FLAGS ");
                selected.write_flags(out, m);
            }
            Item::Envelope | Item::BodyStructure | Item::Body | Item::Preview { .. } | Item::EmailId => {
                kept_item(item, selected, out, m.uid, view);
            }
            _ => return self.content(item, out, view),
        }
        Ok(())
    }

    /// Items made from the message's octets.
    fn content(&self, item: &Item, out: &mut Vec<u8>, view: &View<'_>) -> Result<(), Fault> {
        let section = |text: SectionText| Section { path: Vec::new(), text };
        match item {
            Item::Rfc822 => named(out, "RFC822", view, &section(SectionText::All)),
            Item::Rfc822Header => named(out, "RFC822.HEADER", view, &section(SectionText::Header)),
            Item::Rfc822Text => named(out, "RFC822.TEXT", view, &section(SectionText::Text)),
            Item::Section { section, partial, .. } => {
                out.extend_from_slice(b"BODY");
                write_section(out, section);
                write_origin(out, *partial);
                out.push(b' ');
                view.section(out, section, *partial);
            }
            Item::Binary { path, partial, .. } => return binary(out, view, path, *partial),
            Item::BinarySize(path) => return binary_size(out, view, path),
            _ => {}
        }
        Ok(())
    }
}

/// ENVELOPE, BODYSTRUCTURE, BODY and PREVIEW: from the cache, else made and kept.
fn kept_item(item: &Item, selected: &mut Selected, out: &mut Vec<u8>, uid: u32, view: &View<'_>) {
    let Some((field, _)) = field_of(item) else { return };
    let value = match selected.mailbox.cached(uid, field) {
        Some(kept) => return told(item, out, kept),
        None => {
            let value = made(item, view);
            selected.mailbox.cache(uid, field, &value);
            value
        }
    };
    told(item, out, &value);
}

fn told(item: &Item, out: &mut Vec<u8>, value: &[u8]) {
    match item {
        Item::EmailId => return put(out, format_args!("EMAILID ({})", String::from_utf8_lossy(value))),
        Item::Envelope => out.extend_from_slice(b"ENVELOPE "),
        Item::BodyStructure => out.extend_from_slice(b"BODYSTRUCTURE "),
        Item::Body => out.extend_from_slice(b"BODY "),
        _ => {
            out.extend_from_slice(b"PREVIEW ");
            return write::string(out, value);
        }
    }
    out.extend_from_slice(value);
}

/// Formats without a string in between.
fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // writing to a vector cannot fail
    let _ = out.write_fmt(text);
}

fn named(out: &mut Vec<u8>, name: &str, view: &View<'_>, section: &Section) {
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    view.section(out, section, None);
}

fn write_path(out: &mut Vec<u8>, path: &[u32]) {
    let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
    out.extend_from_slice(numbers.join(".").as_bytes());
}

/// The section as the client wrote it, names in the same order.
fn write_section(out: &mut Vec<u8>, section: &Section) {
    out.push(b'[');
    write_path(out, &section.path);
    let dot = !section.path.is_empty() && section.text != SectionText::All;
    if dot {
        out.push(b'.');
    }
    match &section.text {
        SectionText::All => {}
        SectionText::Header => out.extend_from_slice(b"HEADER"),
        SectionText::Text => out.extend_from_slice(b"TEXT"),
        SectionText::Mime => out.extend_from_slice(b"MIME"),
        SectionText::Fields(names) => write_names(out, "HEADER.FIELDS", names),
        SectionText::FieldsNot(names) => write_names(out, "HEADER.FIELDS.NOT", names),
    }
    out.push(b']');
}

fn write_names(out: &mut Vec<u8>, word: &str, names: &[Vec<u8>]) {
    out.extend_from_slice(word.as_bytes());
    for (index, name) in names.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b" (" } else { b" " });
        write::astring(out, name);
    }
    out.push(b')');
}

fn write_origin(out: &mut Vec<u8>, partial: Option<(u32, u32)>) {
    if let Some((from, _)) = partial {
        out.extend_from_slice(format!("<{from}>").as_bytes());
    }
}

fn binary(out: &mut Vec<u8>, view: &View<'_>, path: &[u32], partial: Option<(u32, u32)>) -> Result<(), Fault> {
    out.extend_from_slice(b"BINARY[");
    write_path(out, path);
    out.push(b']');
    write_origin(out, partial);
    out.push(b' ');
    let bytes = match view.binary(path) {
        Ok(bytes) => bytes,
        Err(BinaryError::NoPart) => {
            out.extend_from_slice(b"NIL");
            return Ok(());
        }
        Err(BinaryError::UnknownCte) => return Err(Fault::UnknownCte),
    };
    let (from, count) = partial.map_or((0, usize::MAX), |(f, c)| (f as usize, c as usize));
    let from = from.min(bytes.len());
    let piece = &bytes[from..from.saturating_add(count).min(bytes.len())];
    if piece.contains(&0) {
        out.extend_from_slice(format!("~{{{}}}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
    } else {
        write::literal(out, piece);
    }
    Ok(())
}

fn binary_size(out: &mut Vec<u8>, view: &View<'_>, path: &[u32]) -> Result<(), Fault> {
    let size = match view.binary(path) {
        Ok(bytes) => bytes.len(),
        Err(BinaryError::NoPart) => 0,
        Err(BinaryError::UnknownCte) => return Err(Fault::UnknownCte),
    };
    out.extend_from_slice(b"BINARY.SIZE[");
    write_path(out, path);
    out.extend_from_slice(format!("] {size}").as_bytes());
    Ok(())
}

/// RFC 8474 5.2: the root of the references names the thread.
pub(super) fn thread_id(header: &[u8]) -> Option<String> {
    let message = penny_imap::thread::Message::read(0, header, 0);
    let root = message.references.into_iter().next().or(message.id)?;
    Some(format!("T{:016x}", penny_maildir::name::hash(&root)))
}
