//! expire and purge.

use std::path::Path;

use penny_maildir::delivery::{TMP_AGE, purge_tmp};
use penny_maildir::{Flags, Mode, NameStyle};

use crate::args::{Args, Expire, folder};
use crate::output::record;

/// Removes messages by age in the folder (SAVEDATE), keeping flagged ones unless told otherwise.
pub fn run(args: &Args, options: &Expire) -> anyhow::Result<()> {
    let store = args.store(&options.dir)?;
    let now = penny_sys::time::now().as_secs() as i64;
    let limit = now - i64::from(options.older) * 86_400;
    let except = options.except.iter().map(|f| folder(f)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut names = Vec::new();
    for name in &options.folders {
        match name.as_str() {
            // no folder is called so: it is a wildcard of IMAP
            "*" => names.extend(args.folders(&store, &[])?),
            name => names.push(folder(name)?),
        }
    }
    for name in names.into_iter().filter(|n| !except.contains(n)) {
        let mut mailbox = store.mailbox(&name, Mode::Target)?;
        let old: Vec<u32> = mailbox
            .messages()
            .filter(|m| m.save_date < limit)
            .filter(|m| !options.seen || m.flags.contains(Flags::SEEN))
            .filter(|m| options.flagged || !m.flags.contains(Flags::FLAGGED))
            .map(|m| m.uid)
            .collect();
        let gone = if args.dry_run { old.len() } else { mailbox.remove(&old)?.len() };
        let shown = name.to_utf8(&NameStyle::default());
        let word = if args.dry_run { "would expire" } else { "expired" };
        record(
            args,
            &format!("{word} {gone} of {shown}"),
            &[("folder", shown.as_str().into()), ("expired", gone.into())],
        )?;
    }
    Ok(())
}

/// Removes abandoned files of tmp/ in all folders and what deleted folders left.
pub fn purge(args: &Args, dir: &Path) -> anyhow::Result<()> {
    let store = args.store(dir)?;
    let mut removed = 0;
    for name in args.folders(&store, &[])? {
        if !args.dry_run {
            removed += purge_tmp(&store.maildir(&name)?, TMP_AGE)?;
        }
    }
    if !args.dry_run {
        store.empty_trash();
    }
    record(args, &format!("removed {removed} abandoned files"), &[("removed", removed.into())])?;
    Ok(())
}
