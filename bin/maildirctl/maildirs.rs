//! make, list, quota, restore-mark.

use std::path::Path;

use penny_maildir::mailbox::RestoreMark;
use penny_maildir::{Limits, Maildir, Mode, NameStyle, Quota};

use crate::args::{Args, Usage, folder};
use crate::output::record;

/// Makes a Maildir and folders; what exists is left alone.
pub fn make(args: &Args, dir: &Path, folders: &[String]) -> anyhow::Result<()> {
    let names = folders.iter().map(|f| folder(f)).collect::<anyhow::Result<Vec<_>>>()?;
    if !args.dry_run {
        Maildir::open_or_create(dir)?;
    }
    for name in &names {
        let shown = name.to_utf8(&NameStyle::default());
        let exists = Maildir::is_at(dir) && args.store(dir)?.exists(name);
        if !exists && !args.dry_run {
            args.store(dir)?.create(name)?;
        }
        let text = format!("{} {shown}", if exists { "exists" } else { "made" });
        record(args, &text, &[("folder", shown.as_str().into()), ("made", (!exists).into())])?;
    }
    Ok(())
}

/// Shows all folders with their counts.
pub fn list(args: &Args, dir: &Path) -> anyhow::Result<()> {
    let store = args.store(dir)?;
    for f in store.list()? {
        let name = f.name.to_utf8(&NameStyle::default());
        if !f.selectable {
            record(
                args,
                &format!("{:>8} {:>8} {:>12} {name} (level only)", "-", "-", "-"),
                &[("folder", name.as_str().into()), ("selectable", false.into())],
            )?;
            continue;
        }
        let s = store.status(&f.name)?;
        let text = format!("{:>8} {:>8} {:>12} {name}", s.messages, s.unseen, s.size);
        record(
            args,
            &text,
            &[
                ("folder", name.as_str().into()),
                ("selectable", true.into()),
                ("messages", s.messages.into()),
                ("unseen", s.unseen.into()),
                ("size", s.size.into()),
                ("uidvalidity", s.uidvalidity.into()),
                ("uidnext", s.uidnext.into()),
                ("highestmodseq", s.highest_modseq.into()),
                ("mailboxid", s.guid.to_string().into()),
            ],
        )?;
    }
    Ok(())
}

/// Shows the quota; sets limits or counts again.
pub fn quota(args: &Args, dir: &Path, limit: Option<&str>, recount: bool) -> anyhow::Result<()> {
    let root = Maildir::open(dir)?;
    let wanted = match limit {
        Some(text) => {
            let bad = || Usage(format!("{text:?} is no quota; write for instance 104857600S,1000C"));
            Some(Limits::parse(text).ok_or_else(bad)?)
        }
        None => None,
    };
    let change = wanted.is_some() || recount;
    let quota = Quota::new(&root, wanted);
    let (usage, limits) = match change && !args.dry_run {
        true => quota.recount(None)?,
        false => quota.usage()?,
    };
    let of = |n: Option<u64>| n.map_or_else(|| "unlimited".to_string(), |n| n.to_string());
    let text = format!(
        "storage {} of {} octets, messages {} of {}",
        usage.storage,
        of(limits.storage),
        usage.messages,
        of(limits.messages)
    );
    record(
        args,
        &text,
        &[
            ("storage", usage.storage.into()),
            ("storage_limit", limits.storage.unwrap_or(0).into()),
            ("messages", usage.messages.into()),
            ("messages_limit", limits.messages.unwrap_or(0).into()),
        ],
    )?;
    Ok(())
}

/// Marks folders that came back from a back-up.
pub fn restore_mark(args: &Args, dir: &Path, folders: &[String], gap: Option<u32>) -> anyhow::Result<()> {
    let store = args.store(dir)?;
    let how = gap.map_or(RestoreMark::NewValidity, RestoreMark::Gap);
    for name in args.folders(&store, folders)? {
        let mut mailbox = store.mailbox(&name, Mode::Target)?;
        let before = mailbox.status();
        let after = if args.dry_run { before } else { mailbox.restore_mark(how)? };
        let shown = name.to_utf8(&NameStyle::default());
        let text = format!(
            "{shown}: UIDVALIDITY {} -> {}, UIDNEXT {} -> {}",
            before.uidvalidity, after.uidvalidity, before.uidnext, after.uidnext
        );
        record(
            args,
            &text,
            &[
                ("folder", shown.as_str().into()),
                ("uidvalidity", after.uidvalidity.into()),
                ("uidnext", after.uidnext.into()),
                ("highestmodseq", after.highest_modseq.into()),
            ],
        )?;
    }
    Ok(())
}
