//! take-over and give-back: from and to Dovecot and Courier, in place.
//!
//! Invariants  message files are not renamed except to give them the letters of Courier's keywords; nothing of the
//!             other server is removed

use std::path::Path;

use penny_maildir::{DiskEncoding, FolderName, Mode, NameStyle, Store, courier};

use crate::args::{Args, Server, Usage};
use crate::output::record;

/// Takes a tree over: UIDs, keywords, subscriptions; every folder is opened once, so mistakes show now.
pub fn take(args: &Args, dir: &Path, from: Server) -> anyhow::Result<()> {
    let store = args.store(dir)?;
    let from = if from == Server::Auto { detect(dir) } else { from };
    let encoding = courier::detect_encoding(&store.root().folder_dirs()?);
    if encoding == DiskEncoding::Utf8 && !args.utf8 {
        return Err(Usage("folder directories are named in UTF-8: add --utf8".into()).into());
    }
    if from == Server::Courier && !args.dry_run {
        let count = courier::take_subscriptions(dir, encoding)?;
        record(args, &format!("{count} subscriptions taken"), &[("subscriptions", count.into())])?;
    }
    for name in args.folders(&store, &[])? {
        one(args, &store, &name, from)?;
    }
    if from == Server::Dovecot && !args.json {
        let note = "modification sequences start above Dovecot's; clients with CONDSTORE resync once when you go back";
        record(args, note, &[])?;
    }
    Ok(())
}

fn one(args: &Args, store: &Store, name: &FolderName, from: Server) -> anyhow::Result<()> {
    let path = store.maildir(name)?.path().to_path_buf();
    let shown = name.to_utf8(&NameStyle::default());
    if args.dry_run {
        let has = |file: &str| path.join(file).exists();
        let uids = has("dovecot-uidlist") || has(courier::UIDS);
        return Ok(record(
            args,
            &format!("{shown}: UIDs {}", if uids { "kept" } else { "new" }),
            &[("folder", shown.as_str().into()), ("uids_kept", uids.into())],
        )?);
    }
    let taken = from == Server::Courier && courier::take_uids(&path)?;
    let mut mailbox = store.mailbox(name, Mode::Target)?;
    let keywords = if from == Server::Courier { courier::take_keywords(&mut mailbox)? } else { 0 };
    let s = mailbox.status();
    let text = format!(
        "{shown}: {} messages, UIDVALIDITY {}, UIDNEXT {}{}",
        s.messages,
        s.uidvalidity,
        s.uidnext,
        if taken { ", UIDs from Courier" } else { "" }
    );
    record(
        args,
        &text,
        &[
            ("folder", shown.as_str().into()),
            ("messages", s.messages.into()),
            ("uidvalidity", s.uidvalidity.into()),
            ("uidnext", s.uidnext.into()),
            ("keywords", keywords.into()),
        ],
    )?;
    Ok(())
}

fn detect(dir: &Path) -> Server {
    let dovecot = dir.join("dovecot-uidlist").exists();
    match !dovecot && dir.join(courier::UIDS).exists() {
        true => Server::Courier,
        false => Server::Dovecot,
    }
}

/// Writes what the other server reads, and removes what only we use.
pub fn give(args: &Args, dir: &Path, to: Server) -> anyhow::Result<()> {
    let store: Store = args.store(dir)?;
    if to == Server::Auto {
        return Err(Usage("say --to dovecot or --to courier".into()).into());
    }
    for name in args.folders(&store, &[])? {
        let path = store.maildir(&name)?.path().to_path_buf();
        let shown = name.to_utf8(&NameStyle::default());
        if !args.dry_run {
            // All that is new has its UID in the uidlist from here on.
            drop(store.mailbox(&name, Mode::Target)?);
            if to == Server::Courier {
                courier::give_uids(&path)?;
            }
            for file in ["pennypost.index", "pennypost.index.log", "pennypost.cache"] {
                let _ = std::fs::remove_file(path.join(file));
            }
        }
        record(args, &format!("{shown}: ready"), &[("folder", shown.as_str().into())])?;
    }
    if to == Server::Courier && !args.dry_run {
        courier::give_subscriptions(dir, args.encoding())?;
    }
    Ok(())
}
