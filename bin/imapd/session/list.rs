//! LIST and LSUB.
//!
//! Standards   RFC 3501 6.3.8, 6.3.9; RFC 5258, 5819, 6154, 3348, 8440, 9590
//! Invariants  one listing of the root answers one command; STATUS of LIST-STATUS opens what it reports
use super::Session;
use super::answer::Answer;
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
    entries: BTreeMap<FolderName, Entry>,
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
        let prefix = self.style.prefix.as_bytes();
        let root = if !prefix.is_empty() && args.reference.starts_with(prefix) { prefix } else { b"" };
        let mut line = format!("* {} (\\Noselect) \"{}\" ", word(args), self.style.separator).into_bytes();
        write::string(&mut line, root);
        line.extend_from_slice(b"\r\n");
        self.conn.out.extend_from_slice(&line);
        Answer::ok("LIST completed")
    }

    fn listing(&self, args: &ListArgs) -> penny_maildir::Result<Listing> {
        let mut entries: BTreeMap<FolderName, Entry> = BTreeMap::new();
        for folder in self.store.list()? {
            let children = folder.children || (folder.name.is_inbox() && self.inbox_has_children());
            entries.insert(
                folder.name,
                Entry { exists: true, selectable: folder.selectable, children, ..Entry::default() },
            );
        }
        for name in self.store.subscriptions()? {
            entries.entry(name).or_default().subscribed = true;
        }
        let special = self.special_use(|f| entries.get(f).is_some_and(|e| e.exists && e.selectable));
        let patterns = args.patterns.iter().map(|p| [args.reference.as_slice(), p].concat()).collect();
        let separator = u8::try_from(self.style.separator).unwrap_or(b'/');
        let mut listing = Listing { entries, special, patterns, separator };
        if args.recursive_match || args.lsub {
            self.mark_parents(&mut listing);
        }
        Ok(listing)
    }

    /// With a prefix such as `INBOX.` all folders lie below INBOX.
    fn inbox_has_children(&self) -> bool {
        !self.style.prefix.is_empty() && self.store.list().is_ok_and(|l| l.len() > 1)
    }

    /// Parents of subscribed folders that no pattern shows (RFC 5258 3.5; LSUB with % in RFC 3501 6.3.9).
    fn mark_parents(&self, listing: &mut Listing) {
        let hidden: Vec<FolderName> = listing
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

    fn matches(&self, listing: &Listing, name: &FolderName) -> bool {
        let shown = self.shown(name);
        listing.patterns.iter().any(|p| fit(p, shown.as_bytes(), listing.separator).full)
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
            let special = listing.special.get(name);
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
    }

    /// What LIST tells of a mailbox besides its name (RFC 5819, 8440, 9590).
    fn list_returns(&mut self, args: &ListArgs, name: &FolderName) {
        if let Some(items) = &args.return_status
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

    pub(super) fn tell_list(&mut self, word: &str, name: &FolderName, attributes: &str, extended: &str) {
        let shown = self.shown(name);
        let out = &mut self.conn.out;
        out.extend_from_slice(format!("* {word} ({attributes}) \"{}\" ", self.style.separator).as_bytes());
        write::mailbox(out, &shown);
        out.extend_from_slice(extended.as_bytes());
        out.extend_from_slice(b"\r\n");
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
