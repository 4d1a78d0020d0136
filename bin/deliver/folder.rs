//! Into a folder of the Maildir, within the quota.
//!
//! Invariants  1. success means: file and name are on stable storage (penny-maildir)   2. a message over quota leaves nothing behind
//! Failures    over quota is 4.2.2, or 5.2.2 where mail.quota_permanent says so

use std::io::Write;
use std::path::Path;

use penny_base::services::lookup;
use penny_base::{Failure, Kind, log};
use penny_maildir::mailbox::{FlagSet, Mode};
use penny_maildir::{
    Delivered, Delivery, DiskEncoding, Error, Flags, FolderName, Info, Limits, Maildir, NameStyle, Place, Quota, Store,
    StoreOptions,
};

use crate::context::Context;
use crate::{fields, safe};

/// How to file a message.
#[derive(Default)]
pub struct Filing<'a> {
    /// System flags and keywords, IMAP names.
    pub flags: &'a [String],
    /// Make the folder when it is missing; else INBOX takes its place.
    pub create: bool,
    /// This message (LF or CRLF) instead of the one at hand.
    pub content: Option<&'a [u8]>,
}

/// The usual failure of the store, as ours.
pub fn failure(context: &Context, error: &Error) -> Failure {
    match error {
        Error::OverQuota if context.config.mail.quota_permanent => {
            Failure::permanent(Kind::Unavailable, "5.2.2", "mailbox is over quota")
        }
        Error::OverQuota => Failure::temporary("4.2.2", "mailbox is over quota"),
        // no mistake of ours in the store may bounce mail
        e => {
            let status = e.status().replacen('5', "4", 1);
            Failure::temporary(&status, "mailbox is not usable now").with_detail(e.to_string())
        }
    }
}

/// The root, made at the first delivery; its parts must be real directories.
pub fn root(context: &Context) -> Result<Maildir, Failure> {
    safe::check_maildir(&context.owner.maildir)?;
    Maildir::open_or_create(&context.owner.maildir).map_err(|e| failure(context, &e))
}

/// How scripts and addresses name folders: `/` between levels, like imapd's clients without a prefix.
pub fn folder_name(context: &Context, name: &str) -> Result<FolderName, Error> {
    let separator = context.config.imapd.separator.chars().next().unwrap_or('/');
    let plain = NameStyle { separator, prefix: String::new() };
    let prefix = context.config.imapd.prefix.as_str();
    let rest = name
        .strip_prefix(prefix)
        .filter(|r| !prefix.is_empty() && !r.is_empty())
        .map(|r| r.trim_start_matches(separator));
    FolderName::from_utf8(rest.filter(|r| !r.is_empty()).unwrap_or(name), &plain)
}

/// True if mail can be filed there now.
pub fn exists(context: &Context, name: &str) -> bool {
    folder_name(context, name)
        .is_ok_and(|f| f.is_inbox() || Maildir::is_at(&f.path(&context.owner.maildir, encoding(context))))
}

/// The folder an extension means: its very name, else the only one that differs in case (other mail systems write addresses in lower case).
pub fn named(context: &Context, name: &str) -> Option<String> {
    if exists(context, name) {
        return Some(name.to_owned());
    }
    let store = all(context).ok()?;
    let wanted = folder_name(context, name).ok()?;
    let same = |a: &FolderName| {
        let (a, b) = (a.parts(), wanted.parts());
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_lowercase() == b.to_lowercase())
    };
    let mut found = store.list().ok()?.into_iter().filter(|f| f.selectable && same(&f.name)).map(|f| f.name);
    let first = found.next().filter(|_| found.next().is_none())?;
    let separator = context.config.imapd.separator.chars().next().unwrap_or('/');
    Some(first.to_utf8(&NameStyle { separator, prefix: String::new() }))
}

/// The folders, to look at.
pub fn all(context: &Context) -> Result<Store, Error> {
    let options = StoreOptions { encoding: encoding(context), ..StoreOptions::default() };
    Store::open(&context.owner.maildir, options)
}

/// How folder names stand on disk: UTF-8 where such a name is there already (Courier 5, Dovecot with mailbox_list_utf8).
fn encoding(context: &Context) -> DiskEncoding {
    let has_utf8 = std::fs::read_dir(&context.owner.maildir).is_ok_and(|dir| {
        dir.flatten().any(|e| e.file_name().to_str().is_some_and(|n| n.starts_with('.') && !n.is_ascii()))
    });
    if has_utf8 { DiskEncoding::Utf8 } else { DiskEncoding::Mutf7 }
}

/// A directory that takes the message.
pub struct Target {
    pub root: Maildir,
    pub dir: Maildir,
    /// The folder's name.
    pub name: String,
}

/// The folder of that name, made if asked for; INBOX in place of one that is missing.
pub fn target(context: &Context, name: &str, create: bool) -> Result<Target, Failure> {
    let root = root(context)?;
    let wanted = folder_name(context, name).map_err(|e| failure(context, &e));
    let (dir, name) = match wanted {
        Ok(folder) if !folder.is_inbox() => {
            let path = folder.path(root.path(), encoding(context));
            safe::check_maildir(&path)?;
            match Maildir::open(&path) {
                Ok(dir) => (dir, name.to_owned()),
                Err(_) if create => (Maildir::create_folder(&path).map_err(|e| failure(context, &e))?, name.to_owned()),
                Err(_) => (root.clone(), "INBOX".to_owned()),
            }
        }
        Ok(_) => (root.clone(), "INBOX".to_owned()),
        // a name that cannot be a folder: the mail still goes to the user
        Err(_) => (root.clone(), "INBOX".to_owned()),
    };
    Ok(Target { root, dir, name })
}

/// Files the message; returns the folder's name that took it.
pub fn deliver(context: &Context, name: &str, filing: &Filing<'_>) -> Result<String, Failure> {
    let target = target(context, name, filing.create)?;
    if filing.flags.iter().any(|f| !f.starts_with('\\')) {
        with_keywords(context, &target.name, filing)?;
    } else {
        store(context, &target, filing)?;
    }
    Ok(target.name)
}

/// Keywords have numbers that the mailbox keeps: such a message is appended as imapd would.
fn with_keywords(context: &Context, name: &str, filing: &Filing<'_>) -> Result<(), Failure> {
    let fail = |e: Error| failure(context, &e);
    let (storage, messages) = context.owner.quota(&context.config);
    let limits = Limits { storage, messages };
    let options = StoreOptions {
        limits: (!limits.is_unlimited()).then_some(limits),
        encoding: encoding(context),
        ..StoreOptions::default()
    };
    let store = Store::open(&context.owner.maildir, options).map_err(fail)?;
    let folder = folder_name(context, name).map_err(fail)?;
    let mut mailbox = store.mailbox(&folder, Mode::Target).map_err(fail)?;
    let mut delivery = mailbox.begin_append().map_err(fail)?;
    write_message(context, &mut delivery, filing)?;
    let prepared = delivery.finish().map_err(fail)?;
    let size = prepared.size();
    mailbox.append(vec![(prepared, FlagSet::of(filing.flags))]).map_err(fail)?;
    log::info(
        "delivered",
        context.id(),
        &[("user", &context.owner.user), ("to", &context.recipient()), ("folder", &name)],
    );
    tell(context, store.quota(), size);
    Ok(())
}

/// Into any Maildir directory (an instruction named it); not part of the quota.
pub fn deliver_to_path(context: &Context, path: &Path) -> Result<(), Failure> {
    safe::check_maildir(path)?;
    let dir = Maildir::open_or_create(path).map_err(|e| failure(context, &e))?;
    write(context, &dir, &Filing::default()).map(drop)
}

fn store(context: &Context, target: &Target, filing: &Filing<'_>) -> Result<(), Failure> {
    let quota = admit(context, &target.root, filing)?;
    let stored = write(context, &target.dir, filing)?;
    count(context, &quota, stored);
    tell(context, &quota, stored);
    Ok(())
}

/// Refuses what does not fit.
pub fn admit(context: &Context, root: &Maildir, filing: &Filing<'_>) -> Result<Quota, Failure> {
    let quota = quota(context, root);
    let size = filing.content.map_or(context.mail.size(), |c| c.len() as u64);
    let added = fields::filed(context).len() as u64;
    quota.check(size + added, 1).map_err(|e| failure(context, &e))?;
    Ok(quota)
}

/// Notes a message in the quota.
pub fn count(context: &Context, quota: &Quota, stored: u64) {
    if let Err(e) = quota.update(i64::try_from(stored).unwrap_or(i64::MAX), 1) {
        // delivered all the same: the next recount finds it
        log::warning("quota", context.id(), &[("user", &context.owner.user), ("why", &e)]);
    }
}

fn quota(context: &Context, root: &Maildir) -> Quota {
    let (storage, messages) = context.owner.quota(&context.config);
    let limits = Limits { storage, messages };
    Quota::new(root, (!limits.is_unlimited()).then_some(limits))
}

/// After a delivery of `octets`: tells lookup how full the mailbox is, so that smtpd can refuse at RCPT time, and the user where
/// it fills; best effort.
pub fn tell(context: &Context, quota: &Quota, octets: u64) {
    if !quota.is_active() {
        return;
    }
    if let Ok((usage, limits)) = quota.usage() {
        lookup::report_usage(&context.config, &context.owner.user, usage.storage, usage.messages);
        crate::warn::passed(context, usage, limits, (octets, 1));
    }
}

fn write(context: &Context, dir: &Maildir, filing: &Filing<'_>) -> Result<u64, Failure> {
    let fail = |e: Error| failure(context, &e);
    let mut delivery = Delivery::begin(dir).map_err(fail)?;
    write_message(context, &mut delivery, filing)?;
    let done = delivery.commit(place(filing.flags)).map_err(fail)?;
    note(context, &done);
    Ok(done.size)
}

/// Logs a delivery.
pub fn note(context: &Context, done: &Delivered) {
    log::info(
        "delivered",
        context.id(),
        &[("user", &context.owner.user), ("to", &context.recipient()), ("size", &done.size), ("file", &done.base)],
    );
}

/// Writes the message into a file that is being made.
pub fn write_message(context: &Context, delivery: &mut Delivery, filing: &Filing<'_>) -> Result<(), Failure> {
    let head = delivery.write_all(fields::filed(context).as_bytes());
    let written = head.and_then(|()| match filing.content {
        Some(content) => write_lf(content, delivery),
        None => fields::write_original(context, delivery),
    });
    written.map_err(|e| Failure::io("write message", &e))
}

fn write_lf(content: &[u8], out: &mut impl Write) -> std::io::Result<()> {
    for line in content.split_inclusive(|&b| b == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(text) => out.write_all(text).and_then(|()| out.write_all(b"\n"))?,
            None => out.write_all(line)?,
        }
    }
    Ok(())
}

/// new/ unless a flag is to be set.
fn place(flags: &[String]) -> Place {
    let flags = FlagSet::of(flags).flags;
    if flags == Flags::NONE { Place::New } else { Place::Cur(Info { flags, ..Info::default() }) }
}
