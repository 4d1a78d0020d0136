//! Searches whose result the client wants to be kept up to date.
//!
//! Standards   RFC 5267 4 (CONTEXT=SEARCH, CONTEXT=SORT): UPDATE, ADDTO, REMOVEFROM, NOUPDATE, CANCELUPDATE
//! Invariants  1. numbers in a notice are those of the moment: it comes before an EXPUNGE and behind an EXISTS
//!             2. at most [`CONTEXTS_MAX`] at once; they end with the mailbox
use super::Session;
use super::answer::Answer;
use super::search::{correlator, filter_in, in_numbers};
use super::selected::Selected;
use super::sort::order;
use penny_imap::command::Key;
use penny_imap::command::search::SortKey;
use penny_imap::{Code, NumberSet, write};

/// Results kept up to date at once.
const CONTEXTS_MAX: usize = 16;

/// A result that is kept up to date.
pub struct Context {
    tag: String,
    uid: bool,
    key: Key,
    order: Option<Vec<(SortKey, bool)>>,
    /// UIDs: rising, or in the order asked for.
    hits: Vec<u32>,
}

impl Context {
    pub fn new(tag: &str, uid: bool, key: Key, order: Option<Vec<(SortKey, bool)>>, hits: Vec<u32>) -> Context {
        Context { tag: tag.to_owned(), uid, key, order, hits }
    }
}

impl Session {
    /// Keeps a result; the search itself has been answered.
    pub(super) fn keep_context(&mut self, context: Context, done: &str) -> Answer {
        let Some(selected) = &mut self.selected else { return Answer::ok(done) };
        if selected.contexts.iter().any(|c| c.tag == context.tag) {
            return Answer::bad("A result of this tag is kept up to date already");
        }
        if selected.contexts.len() >= CONTEXTS_MAX {
            return self.no_update(&context.tag, done);
        }
        selected.contexts.push(context);
        Answer::ok(done)
    }

    /// The search has been answered, its result is not kept (RFC 5267 4.3.2).
    pub(super) fn no_update(&mut self, tag: &str, done: &str) -> Answer {
        let code = Code::NoUpdate(tag.to_owned());
        write::status(&mut self.conn.out, "*", "OK", Some(&code), "Too much to keep up to date");
        Answer::ok(done)
    }

    /// RFC 5267 4.3.5
    pub(super) fn cancel_update(&mut self, tags: &[Vec<u8>]) -> Answer {
        let Some(selected) = &mut self.selected else { return Answer::bad("Select a mailbox first") };
        let known = |tag: &Vec<u8>| selected.contexts.iter().any(|c| c.tag.as_bytes() == tag.as_slice());
        if !tags.iter().all(known) {
            return Answer::bad("No such result");
        }
        selected.contexts.retain(|c| !tags.iter().any(|t| c.tag.as_bytes() == t.as_slice()));
        Answer::ok("CANCELUPDATE completed")
    }
}

impl Selected {
    /// Messages that go are taken out of all results; to be told before their EXPUNGE.
    pub fn contexts_lose(&mut self, out: &mut Vec<u8>, uids: &[u32]) {
        let mut contexts = std::mem::take(&mut self.contexts);
        for context in &mut contexts {
            let lost: Vec<u32> = uids.iter().copied().filter(|u| context.hits.contains(u)).collect();
            remove(self, context, out, &lost);
        }
        self.contexts = contexts;
    }

    /// Messages that are new or whose flags have changed are looked at again.
    pub fn contexts_see(&mut self, out: &mut Vec<u8>, uids: &[u32]) {
        let mut contexts = std::mem::take(&mut self.contexts);
        for context in &mut contexts {
            let now = filter_in(self, &context.key, uids);
            let lost: Vec<u32> =
                uids.iter().copied().filter(|u| now.binary_search(u).is_err() && context.hits.contains(u)).collect();
            remove(self, context, out, &lost);
            let gained: Vec<u32> = now.into_iter().filter(|u| !context.hits.contains(u)).collect();
            add(self, context, out, &gained);
        }
        self.contexts = contexts;
    }
}

/// RFC 5267 4.3.4; of a sorted result each with its place, from the end, so that each place is right when it is read.
fn remove(selected: &Selected, context: &mut Context, out: &mut Vec<u8>, uids: &[u32]) {
    if uids.is_empty() {
        return;
    }
    let pairs = if context.order.is_none() {
        context.hits.retain(|u| uids.binary_search(u).is_err());
        whole(selected, context, uids)
    } else {
        let mut places: Vec<usize> = uids.iter().filter_map(|u| context.hits.iter().position(|h| h == u)).collect();
        places.sort_unstable();
        let one = |place: usize| {
            let uid = context.hits.remove(place);
            number(selected, context, uid).map(|n| format!("{} {n}", place + 1))
        };
        places.into_iter().rev().filter_map(one).collect::<Vec<_>>().join(" ")
    };
    tell(context, out, "REMOVEFROM", &pairs);
}

/// RFC 5267 4.3.3
fn add(selected: &mut Selected, context: &mut Context, out: &mut Vec<u8>, uids: &[u32]) {
    if uids.is_empty() {
        return;
    }
    context.hits.extend_from_slice(uids);
    let pairs = match &context.order {
        None => {
            context.hits.sort_unstable();
            whole(selected, context, uids)
        }
        Some(keys) => {
            let mut all = context.hits.clone();
            all.sort_unstable();
            context.hits = order(selected, keys, &all);
            let places = context.hits.iter().enumerate().filter(|(_, u)| uids.contains(u));
            let one =
                |(place, &uid): (usize, &u32)| number(selected, context, uid).map(|n| format!("{} {n}", place + 1));
            places.filter_map(one).collect::<Vec<_>>().join(" ")
        }
    };
    tell(context, out, "ADDTO", &pairs);
}

fn number(selected: &Selected, context: &Context, uid: u32) -> Option<u32> {
    if context.uid { Some(uid) } else { selected.seq.seq(uid) }
}

/// An unsorted result has no places: 0 (RFC 5267 4.3.3).
fn whole(selected: &Selected, context: &Context, uids: &[u32]) -> String {
    let numbers = in_numbers(selected, uids, context.uid);
    if numbers.is_empty() { String::new() } else { format!("0 {}", NumberSet::from_numbers(numbers.into_iter())) }
}

fn tell(context: &Context, out: &mut Vec<u8>, word: &str, pairs: &str) {
    if !pairs.is_empty() {
        let head = correlator(&context.tag, context.uid);
        out.extend_from_slice(format!("* ESEARCH {head} {word} ({pairs})\r\n").as_bytes());
    }
}
