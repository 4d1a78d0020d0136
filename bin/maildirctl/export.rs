//! export: folders as mbox files, MH folders or another Maildir tree. The source is not changed.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use penny_maildir::{Error, FlagSet, FolderName, Mailbox, Message, Mode, NameStyle, Store, StoreOptions, mbox, mh};

use crate::args::{Args, Export, Format, Usage};
use crate::output::{Progress, record};

/// Messages of a Maildir target that become durable together.
const BATCH: usize = 50;

/// Exports folders.
pub fn run(args: &Args, options: &Export) -> anyhow::Result<()> {
    let store = args.store(&options.dir)?;
    let folders = args.folders(&store, &options.folders)?;
    let single = options.folders.len() == 1;
    let mut total = 0u64;
    let mut progress = Progress::new(args, "exported", None);
    for name in &folders {
        let mut source = store.mailbox(name, Mode::ReadOnly)?;
        if args.dry_run {
            total += u64::from(source.len());
            continue;
        }
        match options.format {
            Format::Mbox | Format::Auto if single => to_mbox(&mut source, &options.to, &mut progress)?,
            Format::Mbox | Format::Auto => {
                std::fs::create_dir_all(&options.to)?;
                let file = format!("{}.mbox", name.to_utf8(&NameStyle::default()).replace('/', "."));
                to_mbox(&mut source, &options.to.join(file), &mut progress)?;
            }
            Format::Mh => to_mh(&mut source, &mh_dir(&options.to, name, single), &mut progress)?,
            Format::Maildir => to_maildir(args, &mut source, &options.to, name, &mut progress)?,
        }
    }
    total += progress.finish();
    record(
        args,
        &format!("exported {total} messages of {} folders", folders.len()),
        &[("exported", total.into()), ("folders", folders.len().into())],
    )?;
    Ok(())
}

fn mh_dir(to: &Path, name: &FolderName, single: bool) -> std::path::PathBuf {
    match (single, name.is_inbox()) {
        (true, _) => to.to_path_buf(),
        (false, true) => to.join("inbox"),
        (false, false) => name.parts().iter().fold(to.to_path_buf(), |dir, part| dir.join(part)),
    }
}

/// Calls for every message that still exists.
fn each(
    source: &mut Mailbox,
    progress: &mut Progress,
    mut work: impl FnMut(&mut Mailbox, Message, FlagSet, File) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let messages: Vec<Message> = source.messages().collect();
    for (i, message) in messages.into_iter().enumerate() {
        let file = match source.open_message(message.uid) {
            Ok(file) => file,
            Err(Error::Gone(_)) => continue,
            Err(e) => return Err(e.into()),
        };
        let keywords = source.keyword_names(message.keywords).collect();
        work(source, message, FlagSet { flags: message.flags, keywords }, file)?;
        progress.step(i as u64);
    }
    Ok(())
}

fn to_mbox(source: &mut Mailbox, path: &Path, progress: &mut Progress) -> anyhow::Result<()> {
    let stdout = path == Path::new("-");
    let out: Box<dyn Write> = match stdout {
        true => Box::new(std::io::stdout().lock()),
        false => Box::new(
            File::options().write(true).create_new(true).open(path).with_context(|| path.display().to_string())?,
        ),
    };
    let mut out = BufWriter::new(out);
    each(source, progress, |source, message, set, file| {
        let date = source.internal_date(message.uid).ok();
        let meta = mbox::Meta { offset: 0, date, flags: set.flags, keywords: set.keywords };
        let mut input = BufReader::new(file);
        let sender = return_path(input.fill_buf()?);
        mbox::write(&mut out, &meta, &sender, &mut input).context("writing the mbox")
    })?;
    out.flush().context("writing the mbox")?;
    if !stdout {
        File::open(path)?.sync_all()?;
    }
    Ok(())
}

/// The address of a Return-Path at the top of a message.
fn return_path(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let header = text.lines().take_while(|l| !l.is_empty());
    let found = header.filter_map(|l| l.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case("return-path"));
    found.map(|(_, v)| v.trim().trim_matches(['<', '>']).to_string()).unwrap_or_default()
}

fn to_mh(source: &mut Mailbox, dir: &Path, progress: &mut Progress) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let mut next = mh::messages(dir)?.last().map_or(1, |n| n + 1);
    let mut sequences = mh::Sequences::read(dir)?;
    each(source, progress, |source, message, set, mut file| {
        let path = dir.join(next.to_string());
        let mut out = penny_sys::files::create_new(&path, 0o600).with_context(|| path.display().to_string())?;
        std::io::copy(&mut file, &mut out)?;
        if let Ok(date) = source.internal_date(message.uid) {
            out.set_modified(UNIX_EPOCH + Duration::from_secs(u64::try_from(date).unwrap_or(0)))?;
        }
        sequences.add(next, set.flags, &set.keywords);
        next += 1;
        Ok(())
    })?;
    std::fs::write(dir.join(mh::SEQUENCES), sequences.to_text()).context("writing sequences")
}

fn to_maildir(
    args: &Args,
    source: &mut Mailbox,
    to: &Path,
    name: &FolderName,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    if source.maildir().path().starts_with(to) {
        return Err(Usage("the target is the source".into()).into());
    }
    let options = StoreOptions { encoding: args.encoding(), ..StoreOptions::default() };
    let store = Store::open_or_create(to, options)?;
    if !store.exists(name) {
        store.create(name)?;
    }
    let mut target = store.mailbox(name, Mode::Target)?;
    let mut waiting = Vec::new();
    each(source, progress, |source, message, set, mut file| {
        let mut delivery = target.begin_append()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        delivery.write_all(&bytes)?;
        if let Ok(date) = source.internal_date(message.uid) {
            delivery.set_internal_date(UNIX_EPOCH + Duration::from_secs(u64::try_from(date).unwrap_or(0)));
        }
        waiting.push((delivery.finish()?, set));
        if waiting.len() >= BATCH {
            target.append(std::mem::take(&mut waiting))?;
        }
        Ok(())
    })?;
    target.append(waiting)?;
    Ok(())
}
