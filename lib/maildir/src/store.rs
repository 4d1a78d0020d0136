//! A user's whole mail: the root Maildir and its folders.
//!
//! Standards   Maildir++; RFC 9051 6.3.4 to 6.3.9 (CREATE, DELETE, RENAME, subscriptions, LIST)
//! Invariants  1. a folder is one directory directly below the root   2. a deleted folder vanishes in one rename
//!             3. a name used again gets another UIDVALIDITY (a counter of the root)
//! Trust       folder names are checked types; nothing outside the root is touched

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use penny_sys::files;

use crate::acl::Acl;
use crate::annotation::Annotations;
use crate::dir::{Maildir, create_dir};
use crate::dotlock::{FolderLock, Spare};
use crate::error::{Error, Result};
use crate::folder::{DiskEncoding, FolderName, NameStyle};
use crate::mailbox::{Mailbox, Mode, Place, Status};
use crate::quota::{Limits, Quota};
use crate::subscriptions::Subscriptions;

/// Deleted folders are renamed to names that begin so, then removed.
const TRASH: &str = "..PENNYPOST-TRASH";

/// How a store is used.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// How clients write names.
    pub style: NameStyle,
    /// How directories are named.
    pub encoding: DiskEncoding,
    /// Quota from the configuration; `None` takes what `maildirsize` says.
    pub limits: Option<Limits>,
    /// Folder directories left out of the quota.
    pub quota_ignore: Vec<String>,
    /// Where indexes lie instead of beside the mail (for shared file systems); one directory a user.
    pub index_dir: Option<PathBuf>,
}

/// A folder in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: FolderName,
    /// False for a mere level above existing folders (`\Noselect`, `\NonExistent`).
    pub selectable: bool,
    /// True if folders lie below it.
    pub children: bool,
}

/// A user's Maildir tree.
#[derive(Clone, Debug)]
pub struct Store {
    root: Maildir,
    options: StoreOptions,
    quota: Quota,
}

impl Store {
    /// Opens an existing tree.
    pub fn open(root: &Path, options: StoreOptions) -> Result<Store> {
        Ok(Store::of(Maildir::open(root)?, options))
    }

    /// Opens a directory of folders that need not be a mailbox itself: public folders.
    pub fn open_public(root: &Path, options: StoreOptions) -> Result<Store> {
        Ok(Store::of(Maildir::tree(root)?, options))
    }

    /// Opens a tree, making the root where it is missing.
    pub fn open_or_create(root: &Path, options: StoreOptions) -> Result<Store> {
        Ok(Store::of(Maildir::open_or_create(root)?, options))
    }

    fn of(root: Maildir, options: StoreOptions) -> Store {
        let quota = Quota::new(&root, options.limits).ignoring(&options.quota_ignore);
        Store { root, options, quota }
    }

    /// The root, which is INBOX.
    pub fn root(&self) -> &Maildir {
        &self.root
    }

    /// How it was opened.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// The quota of the whole tree.
    pub fn quota(&self) -> &Quota {
        &self.quota
    }

    fn path(&self, name: &FolderName) -> PathBuf {
        name.path(self.root.path(), self.options.encoding)
    }

    /// The folder's directory; `NoFolder` if it does not exist.
    pub fn maildir(&self, name: &FolderName) -> Result<Maildir> {
        Maildir::open(&self.path(name)).map_err(|_| Error::NoFolder(name.to_utf8(&self.options.style)))
    }

    /// True if the folder exists.
    pub fn exists(&self, name: &FolderName) -> bool {
        Maildir::is_at(&self.path(name))
    }

    /// All folders, INBOX first, with the levels above them that do not exist themselves.
    pub fn list(&self) -> Result<Vec<Folder>> {
        let dirs = self.root.folder_dirs()?;
        let names: BTreeSet<FolderName> =
            dirs.iter().filter_map(|d| FolderName::from_dir(d, self.options.encoding)).collect();
        let mut all: BTreeSet<FolderName> = names.clone();
        let mut parents: BTreeSet<FolderName> = BTreeSet::new();
        for name in &names {
            let mut above = name.parent();
            while let Some(parent) = above {
                above = parent.parent();
                parents.insert(parent);
            }
        }
        all.extend(parents.iter().cloned());
        let folder = |name: &FolderName| Folder {
            name: name.clone(),
            selectable: names.contains(name),
            children: parents.contains(name),
        };
        let inbox = Folder { name: FolderName::inbox(), selectable: true, children: false };
        Ok(std::iter::once(inbox).chain(all.iter().map(folder)).collect())
    }

    /// Directory names that look like folders but are not valid names in this encoding (for the tools to report).
    pub fn odd_directories(&self) -> Result<Vec<String>> {
        let dirs = self.root.folder_dirs()?;
        Ok(dirs.into_iter().filter(|d| FolderName::from_dir(d, self.options.encoding).is_none()).collect())
    }

    /// Makes a folder; the levels above it need not exist.
    pub fn create(&self, name: &FolderName) -> Result<Maildir> {
        if name.is_inbox() || self.exists(name) {
            return Err(Error::FolderExists(name.to_utf8(&self.options.style)));
        }
        Maildir::create_folder(&self.path(name))
    }

    /// Removes a folder with its mail; folders below it stay.
    pub fn delete(&self, name: &FolderName) -> Result<()> {
        let dir = self.maildir(name)?;
        if name.is_inbox() {
            return Err(Error::BadName { name: "INBOX".into(), why: "INBOX cannot be deleted" });
        }
        let trash = self.root.path().join(format!("{TRASH}.{}", crate::name::unique()));
        std::fs::rename(dir.path(), &trash).map_err(Error::io("rename", dir.path()))?;
        files::sync_dir(self.root.path()).map_err(Error::io("sync", self.root.path()))?;
        if let Some(index) = self.options.index_dir.as_ref().and(Some(self.index_dir(name))) {
            let _ = std::fs::remove_dir_all(index);
        }
        self.empty_trash();
        if self.quota.is_active() {
            self.quota.recount(None)?;
        }
        Ok(())
    }

    /// Removes what deleted folders left, also those of a session that died in the middle.
    pub fn empty_trash(&self) {
        let Ok(entries) = std::fs::read_dir(self.root.path()) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TRASH) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Renames a folder and all below it. INBOX: its messages move to the new folder, INBOX stays (RFC 9051 6.3.6).
    pub fn rename(&self, from: &FolderName, to: &FolderName) -> Result<()> {
        if to.is_inbox() || self.exists(to) {
            return Err(Error::FolderExists(to.to_utf8(&self.options.style)));
        }
        if from.is_inbox() {
            return self.empty_inbox_into(to);
        }
        if to.is_below(from) {
            return Err(Error::BadName { name: to.to_utf8(&self.options.style), why: "lies below the folder itself" });
        }
        let affected: Vec<FolderName> = self
            .list()?
            .into_iter()
            .filter(|f| f.selectable && (f.name == *from || f.name.is_below(from)))
            .map(|f| f.name)
            .collect();
        if affected.is_empty() {
            return Err(Error::NoFolder(from.to_utf8(&self.options.style)));
        }
        // All names are checked before the first directory moves.
        let moves: Vec<(FolderName, FolderName)> =
            affected.into_iter().map(|f| f.moved(from, to).map(|t| (f, t))).collect::<Result<_>>()?;
        if let Some((_, taken)) = moves.iter().find(|(_, t)| self.exists(t)) {
            return Err(Error::FolderExists(taken.to_utf8(&self.options.style)));
        }
        for (old, new) in &moves {
            let (old_path, new_path) = (self.path(old), self.path(new));
            // a session that holds the lock would leave it behind in the renamed folder, for all to wait on
            let index_dir = self.index_dir(old);
            let lock = index_dir.is_dir().then(|| FolderLock::acquire(&old_path, &index_dir, &mut Spare::default()));
            let mut lock = lock.transpose()?;
            std::fs::rename(&old_path, &new_path).map_err(Error::io("rename", &old_path))?;
            if let Some(lock) = &mut lock {
                lock.moved_to(&new_path);
            }
            if self.options.index_dir.is_some() {
                let _ = std::fs::rename(self.index_dir(old), self.index_dir(new));
            }
        }
        files::sync_dir(self.root.path()).map_err(Error::io("sync", self.root.path()))
    }

    fn empty_inbox_into(&self, to: &FolderName) -> Result<()> {
        self.create(to)?;
        let mut source = self.mailbox(&FolderName::inbox(), Mode::Target)?;
        let mut target = self.mailbox(to, Mode::Target)?;
        let uids: Vec<u32> = source.messages().map(|m| m.uid).collect();
        source.move_to(&uids, &mut target).map(drop)
    }

    /// Where a folder's index lies.
    fn index_dir(&self, name: &FolderName) -> PathBuf {
        match &self.options.index_dir {
            Some(dir) => dir.join(name.dir_name(self.options.encoding).unwrap_or_else(|| "INBOX".into())),
            None => self.path(name),
        }
    }

    /// Opens a folder's messages.
    pub fn mailbox(&self, name: &FolderName, mode: Mode) -> Result<Mailbox> {
        let dir = self.maildir(name)?;
        let index_dir = self.index_dir(name);
        if self.options.index_dir.is_some() {
            create_dir(&index_dir).map_err(Error::io("make directory", &index_dir))?;
        }
        let place = Place { name: name.clone(), root: self.root.clone(), dir, index_dir, quota: self.quota.clone() };
        Mailbox::open(place, mode)
    }

    /// STATUS without SIZE: O(1) even where names tell no sizes (`size` then counts what is known).
    pub fn status_without_size(&self, name: &FolderName) -> Result<Status> {
        Ok(self.mailbox(name, Mode::ReadOnly)?.status())
    }

    /// STATUS of a folder without keeping it open. Messages whose name has no W= are read once for SIZE.
    pub fn status(&self, name: &FolderName) -> Result<Status> {
        let mut mailbox = self.mailbox(name, Mode::ReadOnly)?;
        mailbox.complete_sizes()?;
        Ok(mailbox.status())
    }

    /// The rights on a folder; `NoFolder` if it does not exist.
    pub fn acl(&self, name: &FolderName) -> Result<Acl> {
        Acl::of_folder(&self.maildir(name)?)
    }

    /// The rights on a public folder; where it says nothing, what the root says.
    pub fn public_acl(&self, name: &FolderName) -> Result<Acl> {
        let dir = if name.is_inbox() { self.root.clone() } else { self.maildir(name)? };
        Acl::of_public(&dir, &self.root)
    }

    /// The annotations of a folder; `NoFolder` if it does not exist.
    pub fn annotations(&self, name: &FolderName) -> Result<Annotations> {
        Ok(Annotations::of_folder(&self.maildir(name)?))
    }

    /// The annotations of the mail as a whole (METADATA of the server).
    pub fn server_annotations(&self) -> Annotations {
        Annotations::of_server(&self.root)
    }

    /// Subscribed folders, existing or not.
    pub fn subscriptions(&self) -> Result<Vec<FolderName>> {
        self.subscribed().list()
    }

    /// Subscribes or unsubscribes; false if it was so already.
    pub fn subscribe(&self, name: &FolderName, on: bool) -> Result<bool> {
        self.subscribed().set(name, on)
    }

    /// The subscribed names of this user, of other users' folders too.
    pub fn subscribed(&self) -> Subscriptions<'_> {
        Subscriptions::new(self.root.path(), self.options.encoding)
    }
}
