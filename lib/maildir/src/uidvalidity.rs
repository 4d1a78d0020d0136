//! UIDVALIDITY for new mailboxes, from the counter in the root that Dovecot uses too.
//!
//! Format      `dovecot-uidvalidity`: 8 lower-case hexadecimal digits, no newline; and an empty file
//!             `dovecot-uidvalidity.<the same 8 digits>` whose rename to the next number is the lock
//! Invariants  a number is given out once, also among processes and beside Dovecot

use std::io::Write;
use std::path::Path;

use penny_sys::files;

use crate::dir::{FILE_MODE, create_file};
use crate::dotlock::{Dotlock, STALE_SHORT};
use crate::error::{Error, Result};

const FILE: &str = "dovecot-uidvalidity";
/// Numbers tried when others are quicker.
const TRIES: u32 = 10;

/// Gives out the next UIDVALIDITY of a root.
pub fn next(root: &Path) -> Result<u32> {
    let path = root.join(FILE);
    // Dovecot has no such lock and relies on the rename alone; among ourselves it closes the race of the first use.
    let _lock = Dotlock::take(&path, STALE_SHORT)?;
    let known = read(&path).or_else(|| newest_marker(root));
    let value = match known {
        Some(current) => advance(root, current)?,
        None => start(root)?,
    };
    // Replaced whole: a reader never sees half a number.
    let tmp = root.join(format!("{FILE}.tmp.{}", crate::name::unique()));
    let written = create_file(&tmp).and_then(|mut file| file.write_all(format!("{value:08x}").as_bytes()));
    written.map_err(Error::io("write", &tmp))?;
    std::fs::rename(&tmp, &path).map_err(Error::io("rename to", &path))?;
    Ok(value)
}

fn read(path: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(path).ok()?;
    u32::from_str_radix(text.get(..8)?, 16).ok().filter(|v| *v > 0)
}

/// The highest marker, when the main file is missing or odd.
fn newest_marker(root: &Path) -> Option<u32> {
    let names = std::fs::read_dir(root).ok()?.flatten().filter_map(|e| e.file_name().into_string().ok());
    let number = |n: String| {
        let hex = n.strip_prefix(FILE)?.strip_prefix('.')?.to_string();
        u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == 8)
    };
    names.filter_map(number).max()
}

fn marker(root: &Path, value: u32) -> std::path::PathBuf {
    root.join(format!("{FILE}.{value:08x}"))
}

/// Renames the marker upward; ENOENT means that another process took that step.
fn advance(root: &Path, current: u32) -> Result<u32> {
    let now = seconds();
    for step in 0..TRIES {
        let from = current.saturating_add(step);
        let to = from.saturating_add(1);
        match std::fs::rename(marker(root, from), marker(root, to)) {
            Ok(()) => return Ok(to),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("rename", &marker(root, from))(e)),
        }
    }
    claim(root, now.max(current.saturating_add(TRIES)))
}

/// First use in this root: the time of day.
fn start(root: &Path) -> Result<u32> {
    claim(root, seconds())
}

/// Creates a marker nobody has.
fn claim(root: &Path, from: u32) -> Result<u32> {
    let mut value = from.max(1);
    loop {
        let path = marker(root, value);
        match files::create_new(&path, FILE_MODE & 0o444) {
            Ok(_) => return Ok(value),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && value < u32::MAX => value += 1,
            Err(e) => return Err(Error::io("create", &path)(e)),
        }
    }
}

fn seconds() -> u32 {
    let secs = penny_sys::time::now().as_secs();
    u32::try_from(secs).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    #[test]
    fn starts_at_the_time_and_rises() {
        let t = TestDir::new();
        let first = next(t.path()).unwrap();
        assert!(first >= seconds() - 2);
        assert_eq!(next(t.path()).unwrap(), first + 1);
        assert_eq!(std::fs::read_to_string(t.path().join(FILE)).unwrap(), format!("{:08x}", first + 1));
        assert!(t.path().join(format!("{FILE}.{:08x}", first + 1)).exists());
        assert!(!t.path().join(format!("{FILE}.{first:08x}")).exists());
    }

    #[test]
    fn dovecots_files_are_continued_and_survive_loss() {
        let t = TestDir::new();
        std::fs::write(t.path().join(FILE), "7d000000").unwrap();
        std::fs::write(t.path().join("dovecot-uidvalidity.7d000002"), "").unwrap();
        assert_eq!(next(t.path()).unwrap(), 0x7d00_0003);
        std::fs::remove_file(t.path().join(FILE)).unwrap();
        assert_eq!(next(t.path()).unwrap(), 0x7d00_0004);
        std::fs::remove_file(t.path().join("dovecot-uidvalidity.7d000004")).unwrap();
        assert!(next(t.path()).unwrap() >= 0x7d00_000e);
    }

    #[test]
    fn many_at_once_get_different_numbers() {
        let t = TestDir::new();
        let root = t.path().to_path_buf();
        let mut all: Vec<u32> = std::thread::scope(|s| {
            let workers: Vec<_> =
                (0..8).map(|_| s.spawn(|| (0..20).filter_map(|_| next(&root).ok()).collect::<Vec<_>>())).collect();
            workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
        });
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(count > 100, "{count}");
    }
}
