//! `--compile` and `--info`.

use crate::args::Options;
use crate::output;
use anyhow::{Context, Result};
use penny_scan::sig::Db;
use penny_scan::sig::compile::{self, Account, Input};
use std::io::{Write, stdout};
use std::path::Path;

/// Compiles the files and says what became of each line.
pub fn run(o: &Options, out: &Path) -> Result<u8> {
    let mut inputs = Vec::new();
    for path in &o.files {
        let data = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        inputs.push(Input { name: path.to_string_lossy().into_owned(), data });
    }
    let (bytes, account) = compile::compile(inputs, o.bare).map_err(anyhow::Error::msg)?;
    penny_sys::fs::replace_file(out, &bytes, 0o644).with_context(|| format!("cannot write {}", out.display()))?;
    tell(o, &account, bytes.len())?;
    Ok(0)
}

fn tell(o: &Options, account: &Account, size: usize) -> Result<()> {
    let mut out = stdout().lock();
    if !o.quiet {
        for s in &account.skipped {
            let name = if s.name.is_empty() { "-" } else { &s.name };
            let line = format!("{}:{}: {}: skipped: {}", s.file, s.line, name, s.reason);
            writeln!(out, "{}", output::one_line(&line))?;
        }
    }
    for (kind, n) in &account.taken {
        writeln!(out, "taken .{kind}: {n}")?;
    }
    for (reason, n) in account.reasons() {
        writeln!(out, "skipped: {n}: {reason}")?;
    }
    for (kind, n) in &account.other {
        writeln!(out, "not signatures we know, .{}: {n} lines", output::one_line(kind))?;
    }
    writeln!(
        out,
        "{} taken, {} ignored by .ign2, {} skipped, {size} octets",
        account.total(),
        account.ignored,
        account.skipped.len()
    )?;
    Ok(())
}

/// Says what a compiled file holds.
pub fn info(file: &Path) -> Result<u8> {
    let data = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let db = Db::open(&data).context("not a file made by virusscan --compile")?;
    output::raw(db.info)?;
    Ok(0)
}
