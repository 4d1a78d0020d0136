//! Namespaces: one's own mail, other users' folders and public ones under one set of names.
//!
//! Standards   RFC 2342, RFC 4314 4 and 6
//! Invariants  1. a name below the prefix of another namespace names nothing of one's own
//!             2. what a user may not see is said not to exist
//! Trust       names come from the client; rights from the files of the folders
use super::Session;
use super::acl::refusal;
use super::answer::Answer;
use crate::shares::Subject;
use penny_base::{Config, Owner};
use penny_imap::command::Name;
use penny_maildir::acl::{Acl, Rights};
use penny_maildir::{DiskEncoding, Error, FolderName, NameStyle, Result, Store, StoreOptions, mutf7};
use std::collections::BTreeSet;

/// A mailbox: a folder of one of the trees. One's own come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which of the other trees; `None` is one's own.
    space: Option<usize>,
    pub folder: FolderName,
}

impl Place {
    pub fn own(folder: FolderName) -> Place {
        Place { space: None, folder }
    }

    pub fn is_own(&self) -> bool {
        self.space.is_none()
    }

    /// The level above; above the folders of another tree lies the tree.
    pub fn parent(&self) -> Option<Place> {
        let above = match self.folder.parent() {
            None if self.is_own() || self.folder.is_inbox() => None,
            None => Some(FolderName::inbox()),
            parent => parent,
        };
        above.map(|folder| Place { space: self.space, folder })
    }

    pub fn is_below(&self, other: &Place) -> bool {
        let of_tree = !other.is_own() && other.folder.is_inbox() && !self.folder.is_inbox();
        self.space == other.space && (of_tree || self.folder.is_below(&other.folder))
    }
}

/// A folder in a listing.
pub struct Listed {
    pub place: Place,
    pub selectable: bool,
    pub children: bool,
}

/// A tree that is not the user's own.
struct Space {
    /// Whose; nobody's where it is public.
    owner: Option<String>,
    style: NameStyle,
    store: Store,
    /// The folders to look at where the tree itself may not be listed.
    named: Vec<FolderName>,
}

impl Space {
    /// Its name, without the separator at the end.
    fn name(&self) -> &str {
        self.style.prefix.strip_suffix(self.style.separator).unwrap_or(&self.style.prefix)
    }

    fn folder(&self, text: &str) -> Option<Result<FolderName>> {
        if text == self.name() {
            return Some(Ok(FolderName::inbox()));
        }
        text.starts_with(&self.style.prefix).then(|| FolderName::from_utf8(text, &self.style))
    }

    fn text(&self, folder: &FolderName) -> String {
        if folder.is_inbox() { self.name().to_owned() } else { folder.to_utf8(&self.style) }
    }

    fn acl(&self, folder: &FolderName) -> Result<Acl> {
        if self.owner.is_none() { self.store.public_acl(folder) } else { self.store.acl(folder) }
    }

    /// A public tree is no mailbox itself.
    fn exists(&self, folder: &FolderName) -> bool {
        !(self.owner.is_none() && folder.is_inbox()) && self.store.exists(folder)
    }
}

/// All trees of a session.
pub struct Spaces {
    pub own: Store,
    pub style: NameStyle,
    others: Vec<Space>,
    /// The level above other users, where folders are shared. This name and those of the public trees are no folders of one's
    /// own, nor any below them.
    users: Option<String>,
    subject: Subject,
}

impl Spaces {
    pub fn open(own: Store, style: NameStyle, config: &Config, owner: &Owner) -> Spaces {
        let users = config.imapd.shared.is_absolute().then(|| config.imapd.shared_prefix.clone());
        let space = |share: &penny_base::owner::Share| {
            let style = NameStyle { prefix: share.prefix.clone(), ..style.clone() };
            let options = StoreOptions { style: style.clone(), ..StoreOptions::default() };
            let store = match share.owner {
                Some(_) => Store::open(&share.root, options),
                None => Store::open_public(&share.root, options),
            };
            let named = share.open.iter().filter_map(|p| p.file_name()?.to_str());
            let named = named.filter_map(|n| FolderName::from_dir(n, DiskEncoding::Mutf7)).collect();
            Some(Space { owner: share.owner.clone(), style, store: store.ok()?, named })
        };
        let others = owner.shares.iter().filter_map(space).collect();
        Spaces { own, style, others, users, subject: Subject::of(owner) }
    }

    fn other(&self, place: &Place) -> Option<&Space> {
        self.others.get(place.space?)
    }

    pub fn store(&self, place: &Place) -> &Store {
        self.other(place).map_or(&self.own, |s| &s.store)
    }

    /// Whose a mailbox is; nobody's where it is public.
    pub fn owner(&self, place: &Place) -> Option<&str> {
        match self.other(place) {
            Some(space) => space.owner.as_deref(),
            None => Some(&self.subject.user),
        }
    }

    /// The mailbox of a name in Unicode.
    pub fn find(&self, text: &str) -> Result<Place> {
        let mut others = self.others.iter().enumerate();
        if let Some((n, folder)) = others.find_map(|(n, s)| Some((n, s.folder(text)?))) {
            return Ok(Place { space: Some(n), folder: folder? });
        }
        if self.is_reserved(text) {
            return Err(Error::NoFolder(text.into()));
        }
        FolderName::from_utf8(text, &self.style).map(Place::own)
    }

    fn is_reserved(&self, text: &str) -> bool {
        let below = |r: &str| text.strip_prefix(r).is_some_and(|t| t.starts_with(self.style.separator));
        self.users.as_deref().into_iter().chain(self.public()).any(|r| text == r || below(r))
    }

    /// The name of a mailbox in Unicode.
    pub fn text(&self, place: &Place) -> String {
        match self.other(place) {
            Some(space) => space.text(&place.folder),
            None => place.folder.to_utf8(&self.style),
        }
    }

    pub fn acl(&self, place: &Place) -> Result<Acl> {
        match self.other(place) {
            Some(space) => space.acl(&place.folder),
            None => self.own.acl(&place.folder),
        }
    }

    pub fn rights(&self, place: &Place) -> Result<Rights> {
        let acl = self.acl(place);
        if place.is_own() {
            return Ok(acl?.owner_rights(&self.subject.user));
        }
        // a file that this session cannot read gives it nothing
        Ok(acl.map_or(Rights::NONE, |acl| self.subject.rights(&acl)))
    }

    /// True for a mailbox, seen or not.
    fn is_there(&self, place: &Place) -> bool {
        self.other(place).map_or_else(|| self.own.exists(&place.folder), |space| space.exists(&place.folder))
    }

    /// True for a mailbox that is there and may be seen.
    pub fn exists(&self, place: &Place) -> bool {
        self.is_there(place) && (place.is_own() || self.rights(place).is_ok_and(|r| r.has("l")))
    }

    /// All mailboxes that may be seen, with the levels above them.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let own = self.own.list()?;
        let below_inbox = !self.style.prefix.is_empty() && own.len() > 1;
        let mut all: Vec<Listed> = own
            .into_iter()
            .map(|f| Listed {
                children: f.children || (f.name.is_inbox() && below_inbox),
                place: Place::own(f.name),
                selectable: f.selectable,
            })
            .collect();
        (0..self.others.len()).for_each(|n| all.extend(self.list_other(n)));
        Ok(all)
    }

    fn list_other(&self, n: usize) -> Vec<Listed> {
        let Some(space) = self.others.get(n) else { return Vec::new() };
        let folders = match space.store.list() {
            Ok(all) => all.into_iter().filter(|f| f.selectable).map(|f| f.name).collect(),
            Err(_) => space.named.clone(),
        };
        let places = folders.into_iter().map(|folder| Place { space: Some(n), folder });
        let seen: BTreeSet<Place> = places.filter(|p| self.exists(p)).collect();
        let above: BTreeSet<Place> =
            seen.iter().flat_map(|p| std::iter::successors(p.parent(), Place::parent)).collect();
        let all: BTreeSet<&Place> = seen.union(&above).collect();
        let listed = |p: &Place| Listed { place: p.clone(), selectable: seen.contains(p), children: above.contains(p) };
        all.into_iter().map(listed).collect()
    }

    /// The level above other users, where one of them shows something.
    pub fn users_level(&self) -> Option<&str> {
        let users = self.others.iter().any(|s| s.owner.is_some());
        self.users.as_deref().filter(|_| users)
    }

    /// The names of the public trees.
    fn public(&self) -> impl Iterator<Item = &str> {
        self.others.iter().filter(|s| s.owner.is_none()).map(Space::name)
    }

    /// The prefixes of other users and of public folders.
    pub fn prefixes(&self, public: bool) -> Vec<String> {
        let prefix = |name: &str| format!("{name}{}", self.style.separator);
        if public {
            self.public().map(prefix).collect()
        } else {
            self.users.as_deref().map(prefix).into_iter().collect()
        }
    }

    /// Subscribed mailboxes, existing or not.
    pub fn subscriptions(&self) -> Result<Vec<Place>> {
        let mut all = Vec::new();
        for levels in self.own.subscribed().list_levels()? {
            let levels: Vec<String> = levels.iter().map(|l| mutf7::decode(l).unwrap_or_else(|| l.clone())).collect();
            let text = levels.join(&self.style.separator.to_string());
            if self.is_reserved(&text) {
                all.extend(self.find(&text).ok());
            }
        }
        let own = self.own.subscriptions()?.into_iter().map(Place::own);
        all.extend(own.filter(|p| !self.is_reserved(&self.text(p))));
        Ok(all)
    }

    pub fn subscribe(&self, place: &Place, on: bool) -> Result<bool> {
        let Some(space) = self.other(place) else { return self.own.subscribe(&place.folder, on) };
        // a user's name is one level, whatever stands in it
        let separator = space.style.separator;
        let top: Vec<&str> = match (&space.owner, &self.users) {
            (Some(owner), Some(users)) => vec![users, owner],
            _ => space.name().split(separator).collect(),
        };
        let levels: Vec<String> =
            top.into_iter().chain(place.folder.parts().iter().map(String::as_str)).map(mutf7::encode).collect();
        self.own.subscribed().set_levels(&levels, on)
    }
}

impl Session {
    /// The mailbox a client names.
    pub(super) fn place(&self, name: &Name) -> std::result::Result<Place, Answer> {
        let text = std::str::from_utf8(&name.0).map_err(|_| bad_name())?;
        let place = match self.enabled.has_utf8_names() {
            true => self.spaces.find(text),
            false => self.spaces.find(&mutf7::decode(text).ok_or_else(bad_name)?),
        };
        place.map_err(|e| Answer::of(&e))
    }

    /// A mailbox's name for this client.
    pub(super) fn shown(&self, place: &Place) -> String {
        let text = self.spaces.text(place);
        if self.enabled.has_utf8_names() { text } else { mutf7::encode(&text) }
    }

    pub(super) fn namespace(&mut self) -> Answer {
        let separator = self.spaces.style.separator;
        let utf8 = self.enabled.has_utf8_names();
        let list = |prefixes: Vec<String>| {
            let mut text = Vec::new();
            for prefix in prefixes {
                let prefix = if utf8 { prefix } else { mutf7::encode(&prefix) };
                text.push(b'(');
                penny_imap::write::string(&mut text, prefix.as_bytes());
                text.extend_from_slice(format!(" \"{separator}\")").as_bytes());
            }
            if text.is_empty() { b"NIL".to_vec() } else { [b"(", text.as_slice(), b")"].concat() }
        };
        let own = list(vec![self.spaces.style.prefix.clone()]);
        let (users, public) = (list(self.spaces.prefixes(false)), list(self.spaces.prefixes(true)));
        let line = [b"* NAMESPACE ".as_slice(), &own, b" ", &users, b" ", &public, b"\r\n"].concat();
        self.conn.out.extend_from_slice(&line);
        Answer::ok("NAMESPACE completed")
    }

    /// What this user may do with a mailbox.
    pub(super) fn rights(&self, place: &Place) -> std::result::Result<Rights, Answer> {
        let rights = self.spaces.rights(place).map_err(|e| Answer::of(&e))?;
        // RFC 4314 6
        if rights == Rights::NONE || !self.spaces.is_there(place) {
            Err(Answer::of(&Error::NoFolder(String::new())))
        } else {
            Ok(rights)
        }
    }

    /// The answer to give where a right is missing.
    pub(super) fn demand(&self, place: &Place, letters: &str) -> std::result::Result<Rights, Answer> {
        let rights = self.rights(place)?;
        match rights.has(letters) {
            true => Ok(rights),
            false if rights.has("l") => Err(refusal()),
            false => Err(Answer::of(&Error::NoFolder(String::new()))),
        }
    }

    /// CREATE needs `k` on what is above (RFC 4314 4); on the top level of one's own mail nothing is.
    pub(super) fn demand_create(&self, place: &Place) -> std::result::Result<(), Answer> {
        let mut above = std::iter::successors(place.parent(), Place::parent);
        let nearest = above.find(|p| place.is_own() || p.parent().is_none() || self.spaces.exists(p));
        match nearest {
            Some(parent) if place.is_own() => self.demand_if_there(&parent, "k").map(drop),
            Some(parent) if !self.spaces.rights(&parent).is_ok_and(|r| r.has("k")) => Err(refusal()),
            _ => Ok(()),
        }
    }

    /// As `demand`; on a folder that is not there all is allowed, for it has no rights of its own.
    pub(super) fn demand_if_there(&self, place: &Place, letters: &str) -> std::result::Result<Rights, Answer> {
        if self.spaces.is_there(place) { self.demand(place, letters) } else { Ok(Rights::ALL) }
    }
}

fn bad_name() -> Answer {
    Answer::no(penny_imap::Code::Cannot, "Mailbox name is not valid")
}
