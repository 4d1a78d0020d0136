//! SORT and THREAD.
//!
//! Standards   RFC 5256, RFC 5957, RFC 5267 3 (ESORT), RFC 9738 3.3
use super::Session;
use super::answer::Answer;
use super::cache::sent_date;
use super::context::Context;
use super::loaded::{Part, read_part};
use super::search::{correlator, esearch, highest_modseq, in_numbers, plain, returns_something, saved};
use super::selected::Selected;
use penny_imap::command::SortArgs;
use penny_imap::command::search::{SortKey, ThreadArgs};
use penny_imap::sort::{Needs, Value, compare, header_value};
use penny_imap::thread::{Message, thread};

impl Session {
    pub(super) fn sort(&mut self, tag: &str, args: &SortArgs) -> Answer {
        let key = match self.search_key(&args.search) {
            Ok(key) => key,
            Err(no) => return no,
        };
        let found = match self.find(tag, &key, &args.search) {
            Ok(found) => found,
            Err(no) => return no,
        };
        let Some(selected) = &mut self.selected else { return Answer::bad("Select a mailbox first") };
        let sorted = order(selected, &args.order, &found);
        let numbers = in_numbers(selected, &sorted, args.search.uid);
        let modseq = highest_modseq(selected, &key, &found);
        match &args.search.ret {
            None => plain(&mut self.conn.out, "SORT", &numbers, modseq),
            Some(ret) => {
                if ret.save {
                    selected.saved = saved(ret, &found);
                }
                if returns_something(ret) {
                    let head = correlator(tag, args.search.uid);
                    esearch(&mut self.conn.out, &head, ret, &numbers, modseq, false);
                }
                if ret.update {
                    let order = Some(args.order.clone());
                    return self.keep_context(Context::new(tag, args.search.uid, key, order, sorted), "SORT completed");
                }
            }
        }
        Answer::ok("SORT completed")
    }

    pub(super) fn thread(&mut self, tag: &str, args: &ThreadArgs) -> Answer {
        let found = match self.search_key(&args.search).and_then(|key| self.find(tag, &key, &args.search)) {
            Ok(found) => found,
            Err(no) => return no,
        };
        let Some(selected) = &mut self.selected else { return Answer::bad("Select a mailbox first") };
        let numbers = in_numbers(selected, &found, args.search.uid);
        let mut buffer = Vec::new();
        let mut messages = Vec::with_capacity(found.len());
        for (uid, number) in found.into_iter().zip(numbers) {
            let date = selected.mailbox.internal_date(uid).unwrap_or(0);
            if read_part(&mut selected.mailbox, uid, Part::List, &mut buffer).is_ok() {
                messages.push(Message::read(number, &buffer, date));
            }
        }
        let out = &mut self.conn.out;
        out.extend_from_slice(b"* THREAD");
        if !messages.is_empty() {
            out.push(b' ');
            thread(out, args.algorithm, &messages);
        }
        out.extend_from_slice(b"\r\n");
        Answer::ok("THREAD completed")
    }
}

/// The UIDs in the order asked for.
pub(super) fn order(selected: &mut Selected, keys: &[(SortKey, bool)], uids: &[u32]) -> Vec<u32> {
    let headers = keys.iter().any(|(k, _)| k.needs() == Needs::Header);
    let (mut buffer, mut spare) = (Vec::new(), Vec::new());
    let mut rows: Vec<(Vec<Value>, u32)> = Vec::with_capacity(uids.len());
    for &uid in uids {
        if headers && read_part(&mut selected.mailbox, uid, Part::List, &mut buffer).is_err() {
            buffer.clear();
        }
        let values = keys.iter().map(|(key, _)| value(selected, *key, uid, &buffer, &mut spare)).collect();
        rows.push((values, uid));
    }
    rows.sort_by(|a, b| compare(keys, &a.0, &b.0).then(a.1.cmp(&b.1)));
    rows.into_iter().map(|r| r.1).collect()
}

fn value(selected: &mut Selected, key: SortKey, uid: u32, header: &[u8], spare: &mut Vec<u8>) -> Value {
    match key.needs() {
        Needs::Size => {
            Value::Number(selected.mailbox.virtual_size(uid).map_or(0, |s| i64::try_from(s).unwrap_or(i64::MAX)))
        }
        Needs::Arrival => Value::Number(selected.mailbox.internal_date(uid).unwrap_or(0)),
        Needs::Sent => Value::Number(sent_date(&mut selected.mailbox, uid, spare).unwrap_or(0)),
        Needs::Header => header_value(key, header),
    }
}
