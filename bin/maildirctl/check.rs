//! check: findings as lines; 1 when something is wrong and stays so.

use std::path::Path;

use penny_maildir::check::{Finding, Plan, check_folder, check_tree};

use crate::args::Args;
use crate::output::record;

/// Checks the tree and its folders.
pub fn run(args: &Args, dir: &Path, folders: &[String], repair: bool, read: bool) -> anyhow::Result<u8> {
    let store = args.store(dir)?;
    let plan = Plan { repair: repair && !args.dry_run, read };
    let mut open = 0;
    let mut names = args.folders(&store, folders)?;
    if folders.is_empty() {
        // Half-made folders have no cur/ and are in no list.
        names.extend(broken_folders(&store)?);
    }
    for name in names {
        open += report(args, &check_folder(&store, &name, plan)?)?;
    }
    if folders.is_empty() {
        // Last, for mending folders changes what the quota should say.
        open += report(args, &check_tree(&store, plan)?)?;
    }
    Ok(u8::from(open > 0))
}

/// Folder directories that lack cur/.
fn broken_folders(store: &penny_maildir::Store) -> anyhow::Result<Vec<penny_maildir::FolderName>> {
    let encoding = store.options().encoding;
    let mut out = Vec::new();
    for entry in std::fs::read_dir(store.root().path())?.flatten() {
        let Ok(dir) = entry.file_name().into_string() else { continue };
        let Some(name) = penny_maildir::FolderName::from_dir(&dir, encoding) else { continue };
        if entry.path().is_dir() && !entry.path().join("cur").is_dir() {
            out.push(name);
        }
    }
    Ok(out)
}

/// Writes findings; returns how many are not mended.
fn report(args: &Args, findings: &[Finding]) -> anyhow::Result<usize> {
    for f in findings {
        let state = if f.mended { "mended" } else { "found" };
        let path = f.path.to_string_lossy().into_owned();
        let text = format!("{state} {} {path} {}", f.kind.word(), f.detail);
        record(
            args,
            text.trim_end(),
            &[
                ("kind", f.kind.word().into()),
                ("path", path.into()),
                ("detail", f.detail.as_str().into()),
                ("mended", f.mended.into()),
            ],
        )?;
    }
    Ok(findings.iter().filter(|f| !f.mended).count())
}
