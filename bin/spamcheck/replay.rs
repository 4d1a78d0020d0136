//! `--replay`: judge, print, then learn the truth, message by message, as a user would over time.

use crate::args::Options;
use crate::classify::{for_each_line, path_of, read_bounded};
use crate::{learn, output, tables};
use std::io::{self, Write};

/// Runs it. The table is replaced once, at the end: whoever stops it half way has learned nothing.
pub fn run(o: &Options) -> anyhow::Result<u8> {
    let mut writer = learn::writer(o)?;
    let (mut engine, trouble) = tables::engine(o);
    if let Some(text) = trouble {
        anyhow::bail!(text);
    }
    let mut failed = false;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for_each_line(io::stdin().lock(), |line| {
        let space = line.iter().position(|&c| c == b' ').unwrap_or(line.len());
        let (label, path) = line.split_at(space);
        let spam = match label {
            b"spam" => true,
            b"ham" => false,
            _ => anyhow::bail!("--replay wants lines `ham PATH` or `spam PATH`"),
        };
        let path = path_of(path.trim_ascii_start());
        let shown = path.to_string_lossy();
        let read = std::fs::File::open(path).and_then(read_bounded);
        let trouble = read.as_ref().err().map(ToString::to_string);
        if let Some(e) = &trouble {
            failed = true;
            let _ = writeln!(io::stderr(), "spamcheck: {}: {e}", output::one_line(&shown)); // also in the line
        }
        let bytes = read.unwrap_or_default();
        let verdict = engine.examine(&bytes, Some(&writer.table));
        let text = if o.json {
            output::json(Some(&shown), &verdict, o.explain, trouble.as_deref())
        } else {
            format!("{} {} {}", verdict.class.word(), verdict.score, output::one_line(&shown))
        };
        writeln!(out, "{text}")?;
        if trouble.is_none() {
            engine.learn(&bytes, &mut writer.table, spam);
        }
        Ok(())
    })?;
    out.flush()?;
    writer.commit()?;
    Ok(if failed { crate::ERROR } else { 0 })
}
