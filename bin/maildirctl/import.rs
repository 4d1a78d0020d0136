//! import: messages into folders, in batches that are durable before they are noted as done.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use penny_maildir::{Delivery, FlagSet, FolderName, Mailbox, Mode, Prepared, Store};

use crate::args::{Args, Format, Import, folder};
use crate::imap;
use crate::output::{Progress, record};
use crate::source::{self, Item, Sink};

/// Messages that become durable together.
const BATCH: usize = 50;

/// Imports one source; the exit code.
pub fn run(args: &Args, options: &Import) -> anyhow::Result<u8> {
    if let Some(url) = options.from.to_str().filter(|f| imap::is_url(f)) {
        return pull(args, options, url);
    }
    let format = match options.format {
        Format::Auto if options.from == Path::new("-") => Format::Mbox,
        Format::Auto => source::detect(&options.from),
        named => named,
    };
    let mut importer = Importer::new(args, options, source::total(&options.from, format))?;
    match format {
        Format::Mh => source::read_mh(&options.from, &mut importer)?,
        Format::Maildir => {
            source::read_maildir(&options.from, args.encoding(), &mut importer)?;
        }
        Format::Mbox | Format::Auto => source::read_mbox(&options.from, &mut importer)?,
    }
    importer.finish()?;
    Ok(0)
}

/// Pulls an account of another IMAP server.
fn pull(args: &Args, options: &Import, url: &str) -> anyhow::Result<u8> {
    let mut importer = Importer::new(args, options, None)?;
    let mut session = imap::login(options, url)?;
    let mut folders = session.folders()?;
    folders.retain(|f| options.only.is_empty() || imap::named(f, &options.only));
    folders.retain(|f| !imap::named(f, &options.except));
    importer.progress.expect(session.total(&folders)?);
    let subscribed = session.subscriptions(&folders)?;
    let mut at = 0;
    for folder in &folders {
        if !args.dry_run {
            importer.target(&folder.name)?;
        }
        session.read(folder, &mut at, &mut importer)?;
    }
    for name in subscribed.iter().filter(|_| !args.dry_run) {
        let name = importer.target_name(name)?;
        importer.store.subscribe(&name, true)?;
    }
    let failed = session.failed;
    session.logout();
    importer.finish()?;
    Ok(if failed == 0 { 0 } else { 75 })
}

/// The list of what is done.
struct Resume {
    path: Option<PathBuf>,
    done: HashSet<String>,
}

impl Resume {
    fn open(path: Option<&Path>) -> anyhow::Result<Resume> {
        let done = match path.map(std::fs::read_to_string) {
            Some(Ok(text)) => text.lines().map(str::to_string).collect(),
            Some(Err(e)) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).context("resume file"),
            _ => HashSet::new(),
        };
        Ok(Resume { path: path.map(Path::to_path_buf), done })
    }

    fn note(&mut self, keys: &[String]) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).context("resume file")?;
        let text: String = keys.iter().map(|k| format!("{}\n", k.replace('\n', " "))).collect();
        file.write_all(text.as_bytes()).context("resume file")
    }
}

/// A folder being filled.
struct Target {
    mailbox: Mailbox,
    waiting: Vec<(Prepared, FlagSet)>,
    keys: Vec<String>,
}

struct Importer<'a> {
    args: &'a Args,
    store: Store,
    above: FolderName,
    resume: Resume,
    progress: Progress,
    open: HashMap<FolderName, Target>,
    skipped: u64,
}

impl<'a> Importer<'a> {
    fn new(args: &'a Args, options: &Import, total: Option<u64>) -> anyhow::Result<Importer<'a>> {
        let above = options.folder.as_deref().map_or_else(|| Ok(FolderName::inbox()), folder)?;
        let resume = Resume::open(options.resume.as_deref())?;
        let store = args.store(&options.dir)?;
        let progress = Progress::new(args, "imported", total);
        Ok(Importer { args, store, above, resume, progress, open: HashMap::new(), skipped: 0 })
    }

    /// The folder here for a folder of the source.
    fn target_name(&self, source: &FolderName) -> anyhow::Result<FolderName> {
        let parts: Vec<&String> = self.above.parts().iter().chain(source.parts()).collect();
        Ok(if parts.is_empty() { FolderName::inbox() } else { FolderName::from_parts(&parts)? })
    }

    fn target(&mut self, source: &FolderName) -> anyhow::Result<&mut Target> {
        let name = self.target_name(source)?;
        if !self.open.contains_key(&name) {
            // Sources come folder by folder: the one before is complete.
            self.flush_all()?;
            self.open.clear();
            if !self.store.exists(&name) {
                self.store.create(&name)?;
            }
            let mailbox = self.store.mailbox(&name, Mode::Target)?;
            self.open.insert(name.clone(), Target { mailbox, waiting: Vec::new(), keys: Vec::new() });
        }
        self.open.get_mut(&name).context("folder was just opened")
    }

    fn flush_all(&mut self) -> anyhow::Result<()> {
        for target in self.open.values_mut() {
            flush(target, &mut self.resume)?;
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.flush_all()?;
        let count = self.progress.finish();
        let text = format!("imported {count}, skipped {}", self.skipped);
        record(self.args, &text, &[("imported", count.into()), ("skipped", self.skipped.into())])?;
        Ok(())
    }
}

/// Makes a batch durable, then notes it.
fn flush(target: &mut Target, resume: &mut Resume) -> anyhow::Result<()> {
    if target.waiting.is_empty() {
        return Ok(());
    }
    target.mailbox.append(std::mem::take(&mut target.waiting))?;
    resume.note(&std::mem::take(&mut target.keys))
}

/// Keywords as IMAP can show them: characters that no atom holds become '_'.
fn storable(set: FlagSet) -> FlagSet {
    let clean = |k: String| -> String {
        let bad = |c: char| c <= ' ' || !c.is_ascii() || c.is_ascii_control() || "(){%*\"\\]".contains(c);
        k.chars().map(|c| if bad(c) { '_' } else { c }).collect()
    };
    FlagSet { flags: set.flags, keywords: set.keywords.into_iter().map(clean).filter(|k| !k.is_empty()).collect() }
}

/// A message on its way into a folder; nothing is written in a dry run.
pub struct Out(Option<Delivery>);

impl Write for Out {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.as_mut().map_or(Ok(data.len()), |d| d.write(data))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for Importer<'_> {
    type Out = Out;

    fn wants(&mut self, item: &Item<'_>) -> bool {
        if self.resume.done.contains(&item.key) {
            self.skipped += 1;
            return false;
        }
        if self.args.dry_run {
            self.progress.step(item.at);
        }
        !self.args.dry_run
    }

    fn begin(&mut self, item: &Item<'_>) -> anyhow::Result<Option<Out>> {
        if self.resume.done.contains(&item.key) {
            self.skipped += 1;
            return Ok(None);
        }
        if self.args.dry_run {
            return Ok(Some(Out(None)));
        }
        let mut delivery = self.target(item.folder)?.mailbox.begin_append()?;
        if let Some(date) = item.date {
            delivery.set_internal_date(date);
        }
        Ok(Some(Out(Some(delivery))))
    }

    fn done(&mut self, item: Item<'_>, out: Out) -> anyhow::Result<()> {
        self.progress.step(item.at);
        let Some(delivery) = out.0 else { return Ok(()) };
        let name = self.target_name(item.folder)?;
        let target = self.open.get_mut(&name).context("the folder is open")?;
        target.waiting.push((delivery.finish()?, storable(item.set)));
        target.keys.push(item.key);
        match target.waiting.len() >= BATCH {
            true => flush(target, &mut self.resume),
            false => Ok(()),
        }
    }
}
