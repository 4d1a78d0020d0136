//! SEARCH.
//!
//! Standards   RFC 3501 6.4.4, 7.2.5; RFC 4731 (ESEARCH), 5182 (SAVE), 7162 3.1.5 (MODSEQ), 9394 (PARTIAL), 9738 (MESSAGELIMIT)
use super::Session;
use super::answer::Answer;
use super::cache::{email_id, is_kept};
use super::context::Context;
use super::fetch::{cut, thread_id};
use super::fulltext::Index;
use super::loaded::{Part, read_part};
use super::progress::Progress;
use super::selected::Selected;
use penny_imap::command::{Key, SearchArgs, SearchReturn};
use penny_imap::render::View;
use penny_imap::search::{Facts, Program, Resolve, Source};
use penny_imap::{Code, NumberSet, SequenceSet, write};
use penny_maildir::Message;
use penny_maildir::mailbox::Mailbox;

const DONE: &str = "SEARCH completed";

impl Session {
    pub(super) fn search(&mut self, tag: &str, args: &SearchArgs) -> Answer {
        let key = match self.search_key(args) {
            Ok(key) => key,
            Err(no) => return no,
        };
        let limit = self.limit();
        let Some(selected) = &mut self.selected else { return Answer::bad("Select a mailbox first") };
        let mut search = Search::new(selected, &key);
        let left_out = limit.cut(&mut search.uids);
        let mut progress = Progress::new(tag, &self.config, search.uids.len() as u64);
        let found = search.run(selected, &mut || progress.step(&mut self.conn));
        let modseq = highest_modseq(selected, &key, &found);
        // RFC 9051 6.4.4: SEARCH is answered by ESEARCH
        let everything = SearchReturn { all: true, ..SearchReturn::default() };
        let mut numbers = in_numbers(selected, &found, args.uid);
        match args.ret.as_ref().or(selected.enabled.rev2.then_some(&everything)) {
            None => {
                if left_out.is_some() {
                    numbers.reverse();
                }
                plain(&mut self.conn.out, "SEARCH", &numbers, modseq);
            }
            Some(ret) => {
                if ret.save {
                    selected.saved = saved(ret, &found);
                }
                if returns_something(ret) {
                    let modseq = modseq.map(|all| returned_modseq(selected, ret, &found).unwrap_or(all));
                    let head = correlator(tag, args.uid);
                    esearch(&mut self.conn.out, &head, ret, &numbers, modseq, true);
                }
                if ret.update {
                    // what is known in part cannot be kept up to date
                    let answer = match left_out.is_none() {
                        true => self.keep_context(Context::new(tag, args.uid, key, None, found), DONE),
                        false => self.no_update(tag, DONE),
                    };
                    return self.limited(answer, left_out);
                }
            }
        }
        self.limited(Answer::ok(DONE), left_out)
    }

    /// The search itself, saved searches (RFC 5466) put in; or why it cannot be made.
    pub(super) fn search_key(&mut self, args: &SearchArgs) -> Result<Key, Answer> {
        if args.charset_given && self.enabled.utf8 {
            return Err(Answer::bad("No CHARSET once UTF8=ACCEPT is enabled")); // RFC 6855 3
        }
        let key = match args.bad_charset {
            true => Err(Answer::no(Code::BadCharset, "Charset not known")),
            false => self.with_filters(&args.key),
        };
        let key = key.inspect_err(|_| self.forget_saved(args))?;
        if Program::uses_modseq(&key) {
            self.condstore();
        }
        Ok(key)
    }

    /// RFC 5182 2.1: a search that ends with NO leaves an empty result.
    fn forget_saved(&mut self, args: &SearchArgs) {
        if let (true, Some(selected)) = (args.ret.as_ref().is_some_and(|r| r.save), &mut self.selected) {
            selected.saved = NumberSet::default();
        }
    }

    /// The UIDs of the selected mailbox that fulfil a search, rising; for what makes sense of all of them only.
    pub(super) fn find(&mut self, tag: &str, key: &Key, args: &SearchArgs) -> Result<Vec<u32>, Answer> {
        let limit = self.limit();
        let Some(selected) = &mut self.selected else { return Err(Answer::bad("Select a mailbox first")) };
        let search = Search::new(selected, key);
        if !limit.allows(search.uids.len() as u64) {
            self.forget_saved(args);
            return Err(limit.refusal()); // RFC 9738 3.3
        }
        let mut progress = Progress::new(tag, &self.config, search.uids.len() as u64);
        Ok(search.run(selected, &mut || progress.step(&mut self.conn)))
    }
}

/// A search of one mailbox.
pub struct Search {
    program: Program,
    /// The messages to look at, rising.
    pub uids: Vec<u32>,
}

impl Search {
    pub fn new(selected: &Selected, key: &Key) -> Search {
        let program = ready(selected, key);
        let sets = program.candidates();
        let uids = selected.seq.iter().filter(|&uid| sets.iter().all(|set| set.contains(uid))).collect();
        Search { program, uids }
    }

    /// The UIDs that fulfil it, rising; `step` is called once a message.
    pub fn run(self, selected: &mut Selected, step: &mut dyn FnMut()) -> Vec<u32> {
        run(&self.program, selected, self.uids, step)
    }
}

/// Which of some messages fulfil a search.
pub(super) fn filter_in(selected: &mut Selected, key: &Key, uids: &[u32]) -> Vec<u32> {
    let program = ready(selected, key);
    run(&program, selected, uids.to_vec(), &mut || {})
}

/// Those that fulfil the search, in their order; the full-text index is brought up to date where it may look into bodies.
fn run(program: &Program, selected: &mut Selected, mut uids: Vec<u32>, step: &mut dyn FnMut()) -> Vec<u32> {
    let mut index = selected.index.take();
    if let Some(index) = index.as_mut().filter(|_| program.needs_body()) {
        index.begin_search();
    }
    let mut file = Vec::new();
    let (part, by_email_id) = (needed(program), program.needs_email_id());
    uids.retain(|&uid| {
        step();
        let Some(message) = selected.mailbox.get(uid) else { return false };
        let mailbox = &mut selected.mailbox;
        let id = if by_email_id { email_id(mailbox, uid) } else { Vec::new() };
        let mut source = Disk { mailbox, message, index: index.as_ref(), part, file: &mut file, loaded: None };
        program.matches(&facts(&message, &id), &mut source)
    });
    selected.index = index;
    uids
}

fn ready(selected: &Selected, key: &Key) -> Program {
    let now = penny_sys::time::now().as_secs() as i64;
    Program::new(key, &mut Names { selected }, now)
}

/// The highest modseq among the hits, where MODSEQ was searched for (RFC 7162 3.1.5).
pub(super) fn highest_modseq(selected: &Selected, key: &Key, found: &[u32]) -> Option<u64> {
    let all = || found.iter().filter_map(|&u| selected.mailbox.get(u)).map(|m| m.modseq).max();
    Program::uses_modseq(key).then(all).flatten()
}

/// RFC 5182 2.1: SAVE alone is answered by nothing.
pub(super) fn returns_something(ret: &SearchReturn) -> bool {
    !ret.save || ret.min || ret.max || ret.count || ret.all || ret.partial.is_some()
}

struct Names<'a> {
    selected: &'a Selected,
}

impl Resolve for Names<'_> {
    fn set(&mut self, set: &SequenceSet, uid: bool) -> NumberSet {
        match set {
            SequenceSet::Saved => self.selected.saved.clone(),
            ranges if uid => ranges.resolve(self.selected.seq.last_uid().unwrap_or(0)).unwrap_or_default(),
            ranges => NumberSet::from_numbers(self.selected.uids(ranges, false).into_iter()),
        }
    }

    fn keyword(&mut self, name: &str) -> u64 {
        self.selected.mailbox.keyword_set(&[name]).0
    }
}

fn facts<'a>(message: &Message, email_id: &'a [u8]) -> Facts<'a> {
    Facts {
        uid: message.uid,
        flags: message.flags.0,
        keywords: message.keywords.0,
        recent: message.recent,
        modseq: message.modseq,
        email_id,
    }
}

fn needed(program: &Program) -> Part {
    if program.needs_body() {
        Part::Whole
    } else if program.only_fields(&is_kept) {
        Part::List
    } else {
        Part::Header
    }
}

/// A message on disk, read at most once.
struct Disk<'a> {
    mailbox: &'a mut Mailbox,
    message: Message,
    index: Option<&'a Index>,
    part: Part,
    /// Used again for the next one.
    file: &'a mut Vec<u8>,
    loaded: Option<bool>,
}

impl Source for Disk<'_> {
    fn size(&mut self) -> Option<u64> {
        self.mailbox.virtual_size(self.message.uid).ok()
    }

    fn internal_date(&mut self) -> Option<i64> {
        self.mailbox.internal_date(self.message.uid).ok()
    }

    fn sent(&mut self) -> Option<i64> {
        self.mailbox.sent(self.message.uid).flatten()
    }

    fn save_date(&mut self) -> Option<i64> {
        Some(self.message.save_date)
    }

    fn thread_id(&mut self) -> Option<Vec<u8>> {
        self.with_message(&mut |view| thread_id(view.header())).flatten().map(String::into_bytes)
    }

    fn may_hold(&mut self, folded: &[u8]) -> bool {
        let Some(index) = self.index.filter(|i| i.file.knows(self.message.uid)) else { return true };
        let name = self.mailbox.base_name(self.message.uid).unwrap_or_default();
        index.file.may_hold(self.message.uid, &name, folded)
    }

    fn look(&mut self, at: &mut dyn FnMut(&View<'_>) -> bool) -> bool {
        self.with_message(&mut |view| at(view)).unwrap_or(false)
    }
}

impl Disk<'_> {
    fn with_message<T>(&mut self, at: &mut dyn FnMut(&View<'_>) -> T) -> Option<T> {
        if self.loaded.is_none() {
            self.loaded = Some(read_part(self.mailbox, self.message.uid, self.part, self.file).is_ok());
        }
        (self.loaded == Some(true)).then(|| at(&View::new(self.file)))
    }
}

pub(super) fn in_numbers(selected: &Selected, uids: &[u32], uid: bool) -> Vec<u32> {
    if uid { uids.to_vec() } else { uids.iter().filter_map(|&u| selected.seq.seq(u)).collect() }
}

/// `* SEARCH 1 2 3 (MODSEQ 5)`
pub(super) fn plain(out: &mut Vec<u8>, word: &str, numbers: &[u32], modseq: Option<u64>) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(word.as_bytes());
    for n in numbers {
        out.push(b' ');
        write::number(out, *n);
    }
    if let Some(m) = modseq {
        out.extend_from_slice(format!(" (MODSEQ {m})").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 5182 2.1: with MIN or MAX alone only those are saved.
pub(super) fn saved(ret: &SearchReturn, uids: &[u32]) -> NumberSet {
    if (ret.min || ret.max) && !ret.all && !ret.count {
        let ends = ret.min.then(|| uids.first()).flatten().into_iter().chain(ret.max.then(|| uids.last()).flatten());
        return NumberSet::from_numbers(ends.copied());
    }
    NumberSet::from_numbers(uids.iter().copied())
}

/// RFC 4731 3.2: the modseq of what is returned: of MIN and MAX alone, of theirs only.
fn returned_modseq(selected: &Selected, ret: &SearchReturn, uids: &[u32]) -> Option<u64> {
    if ret.all || ret.count || !(ret.min || ret.max) {
        return None;
    }
    saved(&SearchReturn { all: false, count: false, ..ret.clone() }, uids)
        .iter()
        .filter_map(|u| selected.mailbox.get(u))
        .map(|m| m.modseq)
        .max()
}

/// `(TAG "x") UID`: what an ESEARCH answers (RFC 4466 2.6.2).
pub(super) fn correlator(tag: &str, uid: bool) -> String {
    format!("(TAG {}){}", penny_imap::write::quoted_text(tag), if uid { " UID" } else { "" })
}

/// `* ESEARCH (TAG "x") UID MIN 1 MAX 9 COUNT 3 ALL 1,5,9`; `sorted` hits may be written as ranges.
pub(super) fn esearch(
    out: &mut Vec<u8>,
    head: &str,
    ret: &SearchReturn,
    hits: &[u32],
    modseq: Option<u64>,
    sorted: bool,
) {
    let list = |numbers: &[u32]| {
        if sorted { NumberSet::from_numbers(numbers.iter().copied()).to_string() } else { super::copy::runs(numbers) }
    };
    let mut line = format!("* ESEARCH {head}");
    if let (true, Some(first)) = (ret.min, hits.first()) {
        line.push_str(&format!(" MIN {first}"));
    }
    if let (true, Some(last)) = (ret.max, hits.last()) {
        line.push_str(&format!(" MAX {last}"));
    }
    if ret.count {
        line.push_str(&format!(" COUNT {}", hits.len()));
    }
    if ret.all && !hits.is_empty() {
        line.push_str(&format!(" ALL {}", list(hits)));
    }
    if let Some((first, last)) = ret.partial {
        // `4:2` is the same window as `2:4` and told as that; from the end the client's order stays
        let (first, last) = if first > 0 { (first.min(last), first.max(last)) } else { (first, last) };
        let window = cut(hits, (first, last));
        let text = if window.is_empty() { "NIL".to_owned() } else { list(&window) };
        line.push_str(&format!(" PARTIAL ({first}:{last} {text})"));
    }
    if let Some(m) = modseq {
        line.push_str(&format!(" MODSEQ {m}"));
    }
    line.push_str("\r\n");
    out.extend_from_slice(line.as_bytes());
}
