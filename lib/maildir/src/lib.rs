//! The mail store: Maildir++ on disk, shared byte for byte with Dovecot.
//!
//! Layers, each in its own file:
//! `name` and `folder` (names), `dir` and `delivery` (files), `quota` (maildirsize).
//!
//! Trust       runs as the mailbox's owner; message bytes and folder names are hostile
//! Not here    MIME, IMAP, rules

pub mod acl;
pub mod annotation;
pub mod cache;
pub mod check;
pub mod courier;
pub mod date;
pub mod delivery;
pub mod dir;
pub mod dotlock;
pub mod error;
pub mod folder;
pub mod fulltext;
mod index;
pub mod keywords;
pub mod mailbox;
pub mod mbox;
pub mod mh;
pub mod mutf7;
pub mod name;
pub mod quota;
pub mod seqmap;
pub mod store;
pub mod subscriptions;
#[cfg(test)]
mod testdir;
pub mod uidlist;
pub mod uidvalidity;

pub use annotation::Annotations;
pub use delivery::{Delivered, Delivery, Place, Placed, Prepared, sync_placed};
pub use dir::Maildir;
pub use error::{Error, Result};
pub use folder::{DiskEncoding, FolderName, NameStyle};
pub use mailbox::{
    Appended, Changes, Copied, FlagOp, FlagSet, Guid, Keywords, Mailbox, Message, Mode, Status, Stored, Vanished,
};
pub use name::{Flags, Info};
pub use quota::{Limits, Quota, Usage};
pub use seqmap::SeqMap;
pub use store::{Folder, Store, StoreOptions};
