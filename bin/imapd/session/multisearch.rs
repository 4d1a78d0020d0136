//! ESEARCH: one search over several mailboxes; UIDBATCHES: the selected mailbox in pieces of equal size.
//!
//! Standards   RFC 7377 (MULTISEARCH), RFC 5465 6 (which mailboxes), RFC 10022 (UIDBATCHES), RFC 9738 (MESSAGELIMIT)
//! Invariants  1. a mailbox without hits is not mentioned (RFC 7377 2.1)   2. one that cannot be opened is passed over: a search
//!             is no way to learn what exists   3. one lowest UID says nothing of several mailboxes: beyond the limit they are not searched
use super::Session;
use super::answer::Answer;
use super::progress::Progress;
use super::search::{Search, esearch, highest_modseq, saved};
use super::selected::Selected;
use super::spaces::Place;
use super::uidonly::key_has_numbers;
use penny_imap::command::sources::Source;
use penny_imap::command::{Key, SearchArgs, SearchReturn};
use penny_imap::{Code, SequenceSet, write};
use penny_maildir::Mode;

const DONE: &str = "ESEARCH completed";

impl Session {
    pub(super) fn multi_search(&mut self, tag: &str, sources: &[Source], args: &SearchArgs) -> Answer {
        let sources = if sources.is_empty() { &[Source::Selected] } else { sources };
        let own = sources.iter().any(|s| matches!(s, Source::Selected | Source::SelectedDelayed));
        if own && self.selected.is_none() {
            return Answer::bad("Select a mailbox first"); // RFC 7377 2.2
        }
        let folders = match self.source_folders(sources) {
            Ok(folders) => folders,
            Err(no) => return no,
        };
        let key = match self.search_key(args) {
            Ok(key) => key,
            Err(no) => return no,
        };
        let ret = args.ret.clone().unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
        let only_selected = folders.iter().all(|f| self.selected.as_ref().is_some_and(|s| s.place == *f));
        // RFC 7377 2.2: message numbers, `$`, SAVE and UPDATE mean the selected mailbox
        if !only_selected && (ret.save || ret.update || key_has_numbers(&key) || names_saved(&key)) {
            return Answer::bad("Only possible in the selected mailbox");
        }
        let limit = self.limit();
        let (mut looked_at, mut left_out) = (0, None);
        for folder in folders {
            let Some((other, mut search)) = self.search_of(&folder, &key) else { continue };
            if only_selected {
                left_out = limit.cut(&mut search.uids);
            }
            looked_at += search.uids.len() as u64;
            if !limit.allows(looked_at) {
                return limit.refusal();
            }
            self.search_one(tag, &folder, &key, &ret, other, search);
        }
        self.limited(Answer::ok(DONE), left_out)
    }

    /// The folders that filters name, each once, in the order of names.
    fn source_folders(&self, sources: &[Source]) -> Result<Vec<Place>, Answer> {
        let listed = self.spaces.list().map_err(|e| Answer::of(&e))?;
        let filters = sources.iter().map(|s| self.filter(s)).collect::<Result<Vec<_>, _>>()?;
        let subscribed = match sources.contains(&Source::Subscribed) {
            true => self.spaces.subscriptions().map_err(|e| Answer::of(&e))?,
            false => Vec::new(),
        };
        let named = |f: &Place| filters.iter().any(|filter| filter.fits(f, &subscribed));
        Ok(listed.into_iter().filter(|f| f.selectable).map(|f| f.place).filter(named).collect())
    }

    /// What is to be looked at in a mailbox; and the mailbox itself, where it is not the selected one.
    fn search_of(&self, place: &Place, key: &Key) -> Option<(Option<Selected>, Search)> {
        if let Some(selected) = self.selected.as_ref().filter(|s| s.place == *place) {
            return Some((None, Search::new(selected, key)));
        }
        self.demand(place, "r").ok()?;
        let mailbox = self.spaces.store(place).mailbox(&place.folder, Mode::ReadOnly).ok()?;
        let selected = self.with_index(Selected::new(mailbox, place.clone(), true, self.enabled));
        let search = Search::new(&selected, key);
        Some((Some(selected), search))
    }

    fn search_one(
        &mut self,
        tag: &str,
        place: &Place,
        key: &Key,
        ret: &SearchReturn,
        mut other: Option<Selected>,
        search: Search,
    ) {
        let shown = self.shown(place);
        let Some(selected) = other.as_mut().or(self.selected.as_mut()) else { return };
        let mut progress = Progress::new(tag, &self.config, search.uids.len() as u64);
        let found = search.run(selected, &mut || progress.step(&mut self.conn));
        if ret.save {
            selected.saved = saved(ret, &found);
        }
        if found.is_empty() || !super::search::returns_something(ret) {
            return;
        }
        let mut name = Vec::new();
        write::mailbox(&mut name, &shown);
        let validity = selected.mailbox.status().uidvalidity;
        let modseq = highest_modseq(selected, key, &found);
        let tag = write::quoted_text(tag);
        let head = format!("(TAG {tag} MAILBOX {} UIDVALIDITY {validity}) UID", String::from_utf8_lossy(&name));
        esearch(&mut self.conn.out, &head, ret, &found, modseq, true);
    }

    /// RFC 10022 3.1: batches of UIDs from the highest down.
    pub(super) fn uid_batches(&mut self, tag: &str, size: u64, range: Option<(u64, u64)>) -> Answer {
        let (first, last) = range.unwrap_or((1, u64::MAX));
        if size == 0 || first == 0 || last < first {
            return Answer::bad_with(Code::ClientBug, "Invalid batch size or range");
        }
        let Some(selected) = &self.selected else { return Answer::bad("Select a mailbox first") };
        let count = u64::from(selected.seq.len());
        let uid = |number: u64| u32::try_from(number).ok().and_then(|n| selected.seq.uid(n)).unwrap_or(1);
        let batches = count.div_ceil(size).min(last);
        let text = (first..=batches).map(|n| {
            let high = count - (n - 1) * size;
            // the last batch of all ends at 1, so that the batches name every UID (RFC 10022 3.1.4)
            let low = if high > size { uid(high - size + 1) } else { 1 };
            format!("{}:{low}", uid(high))
        });
        let text = text.collect::<Vec<_>>().join(",");
        let line = format!("UIDBATCHES (TAG {}) {text}", write::quoted_text(tag));
        self.untagged(line.trim_end());
        Answer::ok("UIDBATCHES completed")
    }
}

fn names_saved(key: &Key) -> bool {
    key.any(|k| matches!(k, Key::Set(SequenceSet::Saved) | Key::Uid(SequenceSet::Saved)))
}
