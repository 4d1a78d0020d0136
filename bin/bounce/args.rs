//! The command line, and where entry and journal come from.

use penny_base::{Failure, program};
use penny_queue::Name;
use penny_queue::entry::parse_cur;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

const USAGE: &str = "usage: bounce [-c file] [-n] entry journal [report-name]";

/// Descriptor of the journal in a job.
const JOURNAL_FD: i32 = 3;

/// Longest journal read.
const JOURNAL_MAX: u64 = 256 << 20;

/// The command line.
pub struct Args {
    /// `-c`.
    pub config: Option<PathBuf>,
    /// `-n`: show, do not commit.
    pub show: bool,
    /// Name of the report; by hand it may be missing.
    pub report: Option<Name>,
    /// Paths of entry and journal; `None` in a job.
    files: Option<(PathBuf, PathBuf)>,
}

/// Reads it.
pub fn parse() -> Result<Args, Failure> {
    let options = program::options(std::env::args_os().skip(1), "n", "c", &["job"])?;
    let config = options.config().map(Path::to_path_buf);
    let name = |text: &std::ffi::OsString| {
        let parsed = text.to_str().and_then(|t| t.parse().ok());
        parsed.ok_or_else(|| Failure::usage(format!("{}: not an entry name", text.to_string_lossy())))
    };
    let (report, files) = match options.operands.as_slice() {
        [report] if options.has("job") => (Some(name(report)?), None),
        [entry, journal] if !options.has("job") => (None, Some((entry.into(), journal.into()))),
        [entry, journal, report] if !options.has("job") => (Some(name(report)?), Some((entry.into(), journal.into()))),
        _ => return Err(Failure::usage(USAGE)),
    };
    Ok(Args { config, show: options.has("n"), report, files })
}

impl Args {
    /// The entry, open.
    pub fn entry(&self) -> Result<File, Failure> {
        let file = match &self.files {
            Some((entry, _)) => penny_sys::files::open_regular(entry),
            None => std::io::stdin().as_fd().try_clone_to_owned().map(File::from),
        };
        file.map_err(|e| Failure::io("entry", &e))
    }

    /// The journal.
    pub fn journal_bytes(&self) -> Result<Vec<u8>, Failure> {
        let read = |file: File| {
            let mut bytes = Vec::new();
            file.take(JOURNAL_MAX).read_to_end(&mut bytes).map(|_| bytes)
        };
        let file = match &self.files {
            Some((_, journal)) => penny_sys::files::open_regular(journal),
            None => penny_sys::net::inherited(JOURNAL_FD).map(File::from),
        };
        file.and_then(read).map_err(|e| Failure::io("journal", &e))
    }

    /// The name of the entry: what the report's name is made of, else the name of the file.
    pub fn about(&self) -> Result<Name, Failure> {
        if let Some(report) = &self.report {
            let parts = report.reports_on().ok_or_else(|| Failure::usage("not the name of a report"))?;
            return Ok(parts.0);
        }
        let file = self.files.as_ref().and_then(|(entry, _)| entry.file_name());
        let name = file.and_then(|f| parse_cur(f).map(|(n, _)| n).or_else(|| f.to_str()?.parse().ok()));
        name.ok_or_else(|| Failure::usage("the file is not called like an entry"))
    }
}
