//! The daily job of those who report: results are written down, a file a day, and sent when the day is over.
//!
//! Invariants  1. results are appended in one write, so that processes running side by side do not mix theirs
//!             2. a day's file goes only when each of its reports is sent or can never be, or a week later; what failed for
//!             now stays
//! Failures    the caller holds a lock: two jobs never run over one directory

use crate::day::{day_begin, day_name};
use crate::mail::{Mail, Part};
use penny_base::{Config, Failure};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Seconds after which unsent results are given up.
const AGE_MAX: u64 = 7 * 86_400;

/// Appends results of now; a day's file beyond `max` octets takes no more.
pub fn append(dir: &Path, now: u64, lines: &str, max: u64) -> io::Result<()> {
    let path = dir.join(day_name(now));
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.len() > max {
        return Err(io::Error::other("too many results for one day"));
    }
    file.write_all(lines.as_bytes())
}

/// The files of a directory, by name.
pub fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir)?.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Sends the results of all finished days among these files of a directory. `send` gets a day's lines and its first second,
/// and says how many reports wait and which lines they are made of. How many wait in all.
pub fn days(
    dir: &Path,
    names: &[String],
    now: u64,
    mut send: impl FnMut(&str, u64) -> (usize, String),
) -> Result<usize, Failure> {
    let mut left = 0;
    for name in names {
        let Some(begin) = day_begin(name).filter(|_| *name < day_name(now)) else { continue };
        let path = dir.join(name);
        let text = std::fs::read_to_string(&path).map_err(|e| Failure::io(path.display(), &e))?;
        let (waiting, unsent) = send(&text, begin);
        left += waiting;
        let result = match unsent.is_empty() || now > begin + AGE_MAX {
            true => std::fs::remove_file(&path),
            false => penny_sys::fs::replace_file(&path, unsent.as_bytes(), 0o600),
        };
        result.map_err(|e| Failure::io(path.display(), &e))?;
    }
    Ok(left)
}

/// Hands a mail to the queue, or writes it into a directory.
pub fn deliver(config: &Config, mail: &Mail<'_>, parts: &[Part], into: Option<&Path>) -> Result<(), Failure> {
    let boundary = format!("=_{:016x}{:016x}", penny_sys::random::u64(), penny_sys::random::u64());
    let bytes = mail.write(parts, &boundary);
    if let Some(dir) = into {
        let path = dir.join(format!("{}.eml", mail.id.replace(['/', '@'], "_")));
        return std::fs::write(&path, bytes).map_err(|e| Failure::io(path.display(), &e));
    }
    penny_base::services::submit(config, mail.from, mail.to, &bytes)
}
