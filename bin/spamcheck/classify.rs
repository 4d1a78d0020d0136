//! Judging: one message on stdin, a list of files, or as a filter of smtpd.

use crate::args::Options;
use crate::{output, tables};
use penny_spam::engine::Engine;
use penny_spam::store::Mapped;
use penny_spam::table::Table;
use penny_spam::verdict::{Class, Verdict};
use penny_spam::view::{Message, READ_MAX};
use penny_spam::{engine, explain};
use std::io::{self, BufRead, Read, Write};
use std::path::Path;

/// A filter ready to judge.
pub struct Judge {
    engine: Engine,
    table: Option<Table<Mapped>>,
    /// What is wrong with table or rules.
    pub trouble: Option<String>,
}

impl Judge {
    /// Opens table and rules; trouble is kept to be told.
    pub fn new(o: &Options) -> Judge {
        let (table, table_trouble) = tables::open(o);
        let (engine, rules_trouble) = tables::engine(o);
        Judge { engine, table, trouble: table_trouble.or(rules_trouble) }
    }

    /// The score from which a message is spam.
    pub fn spam_cut(&self) -> f64 {
        self.engine.cuts.spam
    }

    /// Judges one message. With a damaged table nobody is called ham: the rules alone speak.
    pub fn judge(&mut self, bytes: &[u8]) -> Verdict {
        self.engine.examine(bytes, self.table.as_ref())
    }

    /// The words that weighed most.
    pub fn words(&self, bytes: &[u8]) -> Vec<explain::Word> {
        let message = Message::read(engine::without_from_line(bytes));
        self.table.as_ref().map_or_else(Vec::new, |t| explain::strongest(t, &message, 12))
    }

    fn warn(&self) {
        if let Some(text) = &self.trouble {
            let _ = writeln!(io::stderr(), "spamcheck: {}", output::one_line(text)); // the verdict goes on without
        }
    }
}

/// Reads what is looked at, and no more.
pub fn read_bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    from.take(READ_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The exit code of a verdict, as bogofilter's.
pub fn code(class: Class) -> u8 {
    match class {
        Class::Spam => 0,
        Class::Ham => 1,
        Class::Unsure => 2,
    }
}

/// One message on stdin.
pub fn one(o: &Options) -> anyhow::Result<u8> {
    let bytes = read_bounded(io::stdin().lock())?;
    let mut judge = Judge::new(o);
    judge.warn();
    let verdict = judge.judge(&bytes);
    let text = match (o.json, o.explain) {
        (true, _) => output::json(None, &verdict, o.explain, judge.trouble.as_deref()) + "\n",
        (_, true) => output::explanation(&verdict, &judge.words(&bytes)),
        _ => output::field(&verdict, judge.trouble.as_deref()),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(code(verdict.class))
}

/// As a filter (pennypost-overview(7)): fields on stdout, 0 or 99.
pub fn filter(o: &Options) -> anyhow::Result<u8> {
    let bytes = read_bounded(io::stdin().lock())?;
    let mut judge = Judge::new(o);
    judge.warn();
    let verdict = judge.judge(&bytes);
    io::stdout().lock().write_all(output::field(&verdict, judge.trouble.as_deref()).as_bytes())?;
    Ok(if verdict.class == Class::Spam { 99 } else { 0 })
}

/// Files named on stdin or as arguments: one line each, in order. A file that cannot be read is reported in
/// its line, the others go on.
pub fn bulk(o: &Options) -> anyhow::Result<u8> {
    let mut judge = Judge::new(o);
    judge.warn();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut failed = false;
    let mut each = |path: &Path| -> anyhow::Result<()> {
        let shown = path.to_string_lossy();
        let (verdict, trouble) = match std::fs::File::open(path).and_then(read_bounded) {
            Ok(bytes) => (judge.judge(&bytes), judge.trouble.clone()),
            Err(e) => {
                failed = true;
                let _ = writeln!(io::stderr(), "spamcheck: {}: {e}", output::one_line(&shown)); // also in the line
                (judge.judge(b""), Some(e.to_string()))
            }
        };
        let line = if o.json {
            output::json(Some(&shown), &verdict, o.explain, trouble.as_deref())
        } else {
            format!("{} {} {}", verdict.class.word(), verdict.score, output::one_line(&shown))
        };
        writeln!(out, "{line}")?;
        Ok(())
    };
    if o.bulk {
        for_each_line(io::stdin().lock(), |line| each(path_of(line)))?;
    }
    o.paths.iter().try_for_each(|p| each(p))?;
    out.flush()?;
    Ok(if failed { crate::ERROR } else { 0 })
}

/// A file name as bytes.
pub fn path_of(line: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(line))
}

/// Lines of a list, without their ends; empty ones are skipped.
pub fn for_each_line(mut from: impl BufRead, mut each: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if !text.is_empty() {
            each(text)?;
        }
        line.clear();
    }
    Ok(())
}
