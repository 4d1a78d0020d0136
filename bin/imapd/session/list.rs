//! LIST and LSUB.
//!
//! Standards   RFC 3501 6.3.8, 6.3.9; RFC 5258, 5819, 6154, 3348, 8440, 9590
//! Invariants  one listing of the root answers one command; STATUS of LIST-STATUS opens what it reports
use super::Session;
use super::answer::Answer;
use super::spaces::{Listed, Place};
use super::special::SpecialUse;
use penny_imap::command::ListArgs;
use penny_imap::pattern::fit;
use penny_imap::write;
use penny_maildir::FolderName;
use std::collections::BTreeMap;

/// RFC 5258 6: extended data of a name that is listed for what lies below it.
const CHILD_INFO: &str = " (\"CHILDINFO\" (\"SUBSCRIBED\"))";

/// One name that may be listed.
#[derive(Debug, Default, Clone)]
struct Entry {
    exists: bool,
    selectable: bool,
    children: bool,
    subscribed: bool,
    /// A folder below, not matched by any pattern itself, is subscribed.
    child_subscribed: bool,
}

struct Listing {
    entries: BTreeMap<Place, Entry>,
    special: SpecialUse,
    patterns: Vec<Vec<u8>>,
    separator: u8,
}

impl Session {
    pub(super) fn list(&mut self, args: &ListArgs) -> Answer {
        if args.patterns.iter().all(Vec::is_empty) && !args.extended {
            return self.list_root(args);
        }
        let listing = match self.listing(args) {
            Ok(listing) => listing,
            Err(e) => return Answer::of(&e),
        };
        if args.lsub {
            self.lsub(&listing)
        } else {
            self.list_entries(args, &listing)
        }
        Answer::ok(if args.lsub { "LSUB completed" } else { "LIST completed" })
    }

    /// RFC 3501 6.3.8: an empty pattern asks for the separator and the root of the reference.
    fn list_root(&mut self, args: &ListArgs) -> Answer {
        let prefixes = self.spaces.prefixes(true).into_iter().chain(self.spaces.prefixes(false));
        let mut prefixes = prefixes.chain([self.spaces.style.prefix.clone()]);
        let root = prefixes.find(|p| args.reference.starts_with(p.as_bytes())).unwrap_or_default();
        let mut line = format!("* {} (\\Noselect) \"{}\" ", word(args), self.spaces.style.separator).into_bytes();
        write::string(&mut line, root.as_bytes());
        line.extend_from_slice(b"\r\n");
        self.conn.out.extend_from_slice(&line);
        Answer::ok("LIST completed")
    }

    fn listing(&self, args: &ListArgs) -> penny_maildir::Result<Listing> {
        let mut entries: BTreeMap<Place, Entry> = BTreeMap::new();
        for Listed { place, selectable, children } in self.spaces.list()? {
            entries.insert(place, Entry { exists: true, selectable, children, ..Entry::default() });
        }
        for place in self.spaces.subscriptions()? {
            entries.entry(place).or_default().subscribed = true;
        }
        let is_there = |f: &FolderName| entries.get(&Place::own(f.clone())).is_some_and(|e| e.exists && e.selectable);
        let special = self.special_use(is_there);
        let patterns = args.patterns.iter().map(|p| [args.reference.as_slice(), p].concat()).collect();
        let separator = u8::try_from(self.spaces.style.separator).unwrap_or(b'/');
        let mut listing = Listing { entries, special, patterns, separator };
        if args.recursive_match || args.lsub {
            self.mark_parents(&mut listing);
        }
        Ok(listing)
    }

    /// Parents of subscribed folders that no pattern shows (RFC 5258 3.5; LSUB with % in RFC 3501 6.3.9).
    fn mark_parents(&self, listing: &mut Listing) {
        let hidden: Vec<Place> = listing
            .entries
            .iter()
            .filter(|(n, e)| e.subscribed && !self.matches(listing, n))
            .map(|(n, _)| n.clone())
            .collect();
        for name in hidden {
            let mut parent = name.parent();
            while let Some(above) = parent {
                parent = above.parent();
                listing.entries.entry(above).or_default().child_subscribed = true;
            }
        }
    }

    fn matches(&self, listing: &Listing, name: &Place) -> bool {
        listing.fits(&self.shown(name))
    }

    fn lsub(&mut self, listing: &Listing) {
        for (name, entry) in &listing.entries {
            if !self.matches(listing, name) || !(entry.subscribed || entry.child_subscribed) {
                continue;
            }
            let attributes = if entry.subscribed { "" } else { "\\Noselect" };
            self.tell_list("LSUB", name, attributes, "");
        }
    }

    fn list_entries(&mut self, args: &ListArgs, listing: &Listing) {
        for (name, entry) in &listing.entries {
            let special = listing.special.get(&name.folder).filter(|_| name.is_own());
            if !is_chosen(args, entry, special.is_some()) || !self.matches(listing, name) {
                continue;
            }
            let text = attributes(args, entry, special);
            let child_info = args.recursive_match && entry.child_subscribed;
            self.tell_list("LIST", name, &text, if child_info { CHILD_INFO } else { "" });
            if entry.exists && entry.selectable {
                self.list_returns(args, name);
            }
        }
        let plain = !(args.select_subscribed || args.select_special_use || args.recursive_match);
        let users = self.spaces.users_level().filter(|level| plain && listing.fits(level));
        if let Some(level) = users.map(str::to_owned) {
            self.tell_name("LIST", &level, "\\Noselect \\HasChildren", "");
        }
    }

    /// What LIST tells of a mailbox besides its name (RFC 5819, 8440, 9590).
    fn list_returns(&mut self, args: &ListArgs, name: &Place) {
        if let Some(items) = &args.return_status
            && self.demand(name, "r").is_ok()
            && let Ok(status) = self.folder_status(name, items)
        {
            self.status_enables(items);
            let shown = self.shown(name);
            self.tell_status(&shown, &status, items);
        }
        if args.return_myrights
            && let Ok(rights) = self.rights(name)
        {
            self.tell_my_rights(name, rights);
        }
        if let Some(entries) = &args.return_metadata {
            self.list_metadata(name, entries);
        }
    }

    pub(super) fn tell_list(&mut self, word: &str, name: &Place, attributes: &str, extended: &str) {
        let shown = self.shown(name);
        self.tell_name(word, &shown, attributes, extended);
    }

    fn tell_name(&mut self, word: &str, shown: &str, attributes: &str, extended: &str) {
        let out = &mut self.conn.out;
        out.extend_from_slice(format!("* {word} ({attributes}) \"{}\" ", self.spaces.style.separator).as_bytes());
        write::mailbox(out, shown);
        out.extend_from_slice(extended.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

impl Listing {
    fn fits(&self, shown: &str) -> bool {
        self.patterns.iter().any(|p| fit(p, shown.as_bytes(), self.separator).full)
    }
}

fn word(args: &ListArgs) -> &'static str {
    if args.lsub { "LSUB" } else { "LIST" }
}

/// The selection options (RFC 5258 3.1).
fn is_chosen(args: &ListArgs, entry: &Entry, special: bool) -> bool {
    let subscribed = entry.subscribed || (args.recursive_match && entry.child_subscribed);
    if args.select_special_use && !special {
        return false;
    }
    if args.select_subscribed { subscribed } else { entry.exists }
}

fn attributes(args: &ListArgs, entry: &Entry, special: Option<&str>) -> String {
    let mut list = Vec::new();
    match (entry.exists, entry.selectable) {
        (false, _) => list.push("\\NonExistent"),
        (true, false) => list.push("\\Noselect"),
        (true, true) => {}
    }
    if args.return_subscribed && entry.subscribed {
        list.push("\\Subscribed");
    }
    if entry.exists {
        list.push(if entry.children { "\\HasChildren" } else { "\\HasNoChildren" });
    }
    list.extend(special);
    list.join(" ")
}
