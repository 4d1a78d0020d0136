//! Scanning: by hand over files or standard input, and as a filter.

use crate::args::Options;
use crate::input::{self, Bytes, Signatures};
use crate::verdict::{self, Kind, Verdict};
use crate::{clamd, output, strip};
use anyhow::Result;
use penny_scan::policy::Action;
use penny_scan::scratch::Scratch;
use penny_scan::sig::Db;
use penny_scan::walk::{self, Report};
use std::fs::File;
use std::path::Path;

/// Files opened by one process; more are shared out to others.
const BATCH: usize = 256;
/// A filter's codes.
const JUNK: u8 = 99;
const REJECT: u8 = 100;

/// Options of a walk.
pub fn walk_options(o: &Options) -> walk::Options {
    walk::Options { policy: o.policy.clone(), limits: o.limits.clone(), all: o.all, tree: o.tree }
}

/// One input that is open, or the reason why not.
struct Opened {
    name: String,
    file: Result<File, String>,
    second: Option<Verdict>,
}

fn open(path: &Path, o: &Options) -> Opened {
    let name = path.to_string_lossy().into_owned();
    let file = File::open(path).map_err(|e| e.to_string());
    let second = match (&file, &o.clamd) {
        (Ok(file), Some(address)) => clamd::ask(address, file),
        _ => None,
    };
    Opened { name, file, second }
}

/// Scans files, or standard input when there are none.
pub fn by_hand(o: &Options) -> Result<u8> {
    if o.files.len() > BATCH {
        return in_batches(o);
    }
    let signatures = Signatures::open(o)?;
    let db = signatures.db()?;
    let inputs: Vec<Opened> = if o.files.is_empty() {
        let file = input::stdin()?;
        let second = o.clamd.as_deref().and_then(|a| clamd::ask(a, &file));
        vec![Opened { name: "-".into(), file: Ok(file), second }]
    } else {
        o.files.iter().map(|p| open(p, o)).collect()
    };
    let mut scratch = input::scratch();
    input::confine(o, &signatures, false)?;
    let options = walk_options(o);
    let mut worst = Kind::Clean;
    for one in inputs {
        let (report, verdict) = scan_one(&db, &options, &mut scratch, &one);
        if verdict.kind.rank() > worst.rank() {
            worst = verdict.kind;
        }
        output::result(o, &one.name, &verdict, &report)?;
    }
    Ok(worst.code())
}

fn scan_one(db: &Db<'_>, options: &walk::Options, scratch: &mut Scratch, one: &Opened) -> (Report, Verdict) {
    let bytes = match &one.file {
        Ok(file) => Bytes::of(file).map_err(|e| e.to_string()),
        Err(e) => Err(e.clone()),
    };
    match bytes {
        Err(e) => (Report::default(), Verdict::error(e)),
        Ok(bytes) => {
            let report = walk::walk(db, options, scratch, bytes.get(), &[]);
            let verdict = merge(verdict::judge(&report, &options.policy), one.second.clone());
            (report, verdict)
        }
    }
}

/// Our verdict and that of clamd: a find of either counts; a clamd that cannot answer is an error unless we found.
fn merge(ours: Verdict, second: Option<Verdict>) -> Verdict {
    match second {
        Some(theirs) if theirs.kind == Kind::Found && ours.kind != Kind::Found => theirs,
        Some(theirs) if theirs.kind == Kind::Error && ours.kind == Kind::Clean => theirs,
        _ => ours,
    }
}

/// One process for each batch, for a confined process opens nothing.
fn in_batches(o: &Options) -> Result<u8> {
    let mut worst = Kind::Clean;
    for files in o.files.chunks(BATCH) {
        let status =
            std::process::Command::new(std::env::current_exe()?).args(&o.given).arg("--").args(files).status()?;
        let kind = [Kind::Clean, Kind::Found, Kind::Unscannable, Kind::Policy]
            .into_iter()
            .find(|k| status.code() == Some(i32::from(k.code())))
            .unwrap_or(Kind::Error);
        if kind.rank() > worst.rank() {
            worst = kind;
        }
    }
    Ok(worst.code())
}

/// The filter contract: message on standard input, fields or the message on standard output.
pub fn filter(o: &Options) -> Result<u8> {
    let signatures = Signatures::open(o)?;
    let db = signatures.db()?;
    let file = input::stdin()?;
    let second = o.clamd.as_deref().and_then(|a| clamd::ask(a, &file));
    let mut scratch = input::scratch();
    input::confine(o, &signatures, false)?;
    let bytes = Bytes::of(&file)?;
    let report = walk::walk(&db, &walk_options(o), &mut scratch, bytes.get(), &[]);
    let verdict = merge(verdict::judge(&report, &o.policy), second);
    if verdict.kind == Kind::Error {
        anyhow::bail!("{}", verdict.reason);
    }
    match verdict.action {
        _ if verdict.kind == Kind::Found => refuse(&verdict),
        Action::Reject => refuse(&verdict),
        Action::Strip if !o.rewrite => refuse(&verdict),
        Action::Strip => strip::rewrite(bytes.get(), &verdict),
        action => {
            output::fields(&verdict)?;
            if o.rewrite {
                output::raw(bytes.get())?;
            }
            Ok(if action == Action::Junk { JUNK } else { 0 })
        }
    }
}

/// Exit 100 and the line that goes into the SMTP dialogue.
pub fn refuse(verdict: &Verdict) -> Result<u8> {
    output::refusal(verdict)?;
    Ok(REJECT)
}
