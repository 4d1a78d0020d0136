//! Temporary directories that clean up after themselves.
//!
//! Place       under $PENNYPOST_TESTTMP, else the system's temporary directory
//! Invariants  1. names never repeat within a run   2. dropped = removed, unless $PENNYPOST_KEEP is set (to look inside)

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own, removed with everything below it when the value goes.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
}

/// Puts an executable script at `path`, in place of what is there.
///
/// A descriptor open for writing, inherited by a child that another thread is about to start, would make the kernel
/// refuse to run the file (ETXTBSY). So cp writes it, and cp has no other children.
pub fn executable(path: &Path, content: &str) {
    let text = path.with_extension("text");
    let made = fs::write(&text, content).and_then(|()| {
        let new = path.with_extension("new");
        std::process::Command::new("cp").arg(&text).arg(&new).status()?;
        std::process::Command::new("chmod").arg("755").arg(&new).status()?;
        fs::rename(&new, path)?;
        fs::remove_file(&text)
    });
    made.unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

impl TempDir {
    /// Makes a fresh empty directory, mode 0700.
    pub fn new() -> Self {
        let base = std::env::var_os("PENNYPOST_TESTTMP").map_or_else(std::env::temp_dir, PathBuf::from);
        let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        loop {
            let n = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("pennytest-{}-{stamp}-{n}", std::process::id()));
            match make_private(&path) {
                Ok(()) => return Self { path },
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => panic!("cannot make {}: {e}", path.display()),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something inside.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file inside, with the directories it needs, and returns its path.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).unwrap_or_else(|e| panic!("cannot make {}: {e}", parent.display()));
        }
        fs::write(&path, content).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
        path
    }

    /// Writes an executable script inside and returns its path.
    pub fn script(&self, name: impl AsRef<Path>, content: &str) -> PathBuf {
        let path = self.write(name, "");
        executable(&path, content);
        path
    }

    /// Makes an empty Maildir (tmp, new, cur) inside and returns its path.
    pub fn maildir(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.join(name);
        for sub in ["tmp", "new", "cur"] {
            fs::create_dir_all(path.join(sub)).unwrap_or_else(|e| panic!("cannot make {}: {e}", path.display()));
        }
        path
    }
}

impl Default for TempDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if std::env::var_os("PENNYPOST_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// The files in `dir`, sorted by name; empty if there is no such directory.
pub fn list(dir: impl AsRef<Path>) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut all: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

/// The messages of one Maildir folder, new/ first, then cur/.
pub fn mails(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = folder.as_ref();
    let mut all = list(folder.join("new"));
    all.extend(list(folder.join("cur")));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_when_dropped() {
        let dir = TempDir::new();
        let path = dir.path().to_owned();
        dir.write("a/b", "x");
        assert!(path.join("a/b").is_file());
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn two_never_share_a_name() {
        assert_ne!(TempDir::new().path(), TempDir::new().path());
    }

    #[test]
    fn mails_lists_new_before_cur() {
        let dir = TempDir::new();
        dir.maildir("M");
        dir.write("M/cur/a", "");
        dir.write("M/new/b", "");
        let names: Vec<_> = mails(dir.join("M")).iter().map(|p| p.file_name().map(|n| n.to_owned())).collect();
        assert_eq!(names, [Some("b".into()), Some("a".into())]);
    }
}
