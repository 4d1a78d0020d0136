//! Learning: from stdin, listed files, mboxes and Maildirs. One lock, one replacement of the table for all of them.

use crate::args::Options;
use crate::classify::{for_each_line, path_of, read_bounded};
use crate::{labelled, output, tables};
use penny_spam::engine::Engine;
use penny_spam::model::Outcome;
use penny_spam::store::Writer;
use std::io::{self, Write};
use std::path::Path;

/// What a run of learning did.
#[derive(Default)]
struct Tally {
    new: u64,
    again: u64,
    corrected: u64,
    failed: u64,
}

/// Opens the table for learning and says if a damaged one was set aside.
pub fn writer(o: &Options) -> anyhow::Result<Writer> {
    let writer = Writer::open(&tables::to_learn(o)?)?;
    if let Some((path, why)) = &writer.set_aside {
        let text = format!("{why}: set aside as {}, starting anew", path.display());
        let _ = writeln!(io::stderr(), "spamcheck: {}", output::one_line(&text)); // learning goes on
    }
    Ok(writer)
}

/// Learns everything named.
pub fn run(o: &Options, spam: bool) -> anyhow::Result<u8> {
    let mut writer = writer(o)?;
    let mut engine = Engine::default();
    let mut tally = Tally::default();
    let mut each = |tally: &mut Tally, bytes: &[u8]| match engine.learn(bytes, &mut writer.table, spam) {
        Outcome::New => tally.new += 1,
        Outcome::Again => tally.again += 1,
        Outcome::Corrected => tally.corrected += 1,
    };
    if o.bulk {
        for_each_line(io::stdin().lock(), |line| {
            let path = path_of(line);
            match std::fs::File::open(path).and_then(read_bounded) {
                Ok(bytes) => each(&mut tally, &bytes),
                Err(e) => failed(&mut tally, path, &e),
            }
            Ok(())
        })?;
    } else if o.paths.is_empty() {
        each(&mut tally, &read_bounded(io::stdin().lock())?);
    }
    for path in &o.paths {
        let result = labelled::messages(path, &mut |bytes| {
            each(&mut tally, bytes);
            Ok(())
        });
        if let Err(e) = result {
            failed(&mut tally, path, &e);
        }
    }
    writer.commit()?;
    if o.explain {
        let Tally { new, again, corrected, .. } = tally;
        writeln!(io::stdout().lock(), "learned {new} new, {corrected} corrected, {again} known already")?;
    }
    Ok(if tally.failed > 0 { crate::ERROR } else { 0 })
}

fn failed(tally: &mut Tally, path: &Path, e: &dyn std::fmt::Display) {
    tally.failed += 1;
    let _ = writeln!(io::stderr(), "spamcheck: {}: {e}", output::one_line(&path.to_string_lossy())); // counted too
}

/// Learns two heaps of mail mixed, so that neither is learned last.
pub fn train(o: &Options) -> anyhow::Result<u8> {
    let gather = |paths: &[std::path::PathBuf]| -> anyhow::Result<Vec<labelled::Place>> {
        let all: anyhow::Result<Vec<_>> = paths.iter().map(|p| labelled::places(p)).collect();
        Ok(all?.into_iter().flatten().collect())
    };
    let (ham, spam) = (gather(&o.ham)?, gather(&o.spam)?);
    anyhow::ensure!(
        !ham.is_empty() && !spam.is_empty(),
        "--train wants --in-ham PATH and --in-spam PATH with mail in both"
    );
    let mut writer = writer(o)?;
    let mut engine = Engine::default();
    let (mut h, mut s, mut learned) = (ham.iter(), spam.iter(), 0u64);
    loop {
        // the heap of which the smaller share is done goes on
        let spam_next = s.len() * ham.len() >= h.len() * spam.len();
        let Some(place) = (if spam_next { s.next() } else { h.next() }) else {
            break;
        };
        if let Some(bytes) = place.read()? {
            engine.learn(&bytes, &mut writer.table, spam_next);
            learned += 1;
        }
    }
    writer.commit()?;
    if o.explain {
        writeln!(io::stdout().lock(), "learned from {learned} messages")?;
    }
    Ok(0)
}

/// Learns the recipients of sent mail as known correspondents.
pub fn sent(o: &Options) -> anyhow::Result<u8> {
    let mut writer = writer(o)?;
    let mut failures = 0;
    let stdin = [std::path::PathBuf::from("-")];
    for path in if o.paths.is_empty() { &stdin[..] } else { &o.paths } {
        let result = labelled::messages(path, &mut |bytes| {
            penny_spam::senders::note_recipients(&mut writer.table, bytes);
            Ok(())
        });
        if let Err(e) = result {
            failures += 1;
            let _ = writeln!(io::stderr(), "spamcheck: {}: {e}", output::one_line(&path.to_string_lossy())); // counted
        }
    }
    writer.commit()?;
    Ok(if failures > 0 { crate::ERROR } else { 0 })
}
