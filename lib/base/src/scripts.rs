//! Where the Sieve scripts of a user lie.
//!
//! Format      `~/sieve/NAME.sieve`; the active one is named by the symbolic link `~/.dovecot.sieve` -> `sieve/NAME.sieve`, as Pigeonhole has
//!             it, so a switch in place keeps it. A regular file `~/.dovecot.sieve` or `~/.sieve` written by hand is active too
//! Invariants  1. only that form of link is followed, so no link leads out of the directory   2. scripts are replaced by rename, synced
//! Trust       names come from clients, checked by the caller (`valid_name`); content is the user's

use penny_sys::files;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The link.
const ACTIVE: &str = ".dovecot.sieve";
/// A script written by hand.
const PLAIN: &str = ".sieve";
/// The directory.
const DIRECTORY: &str = "sieve";
/// Ending of every script.
const ENDING: &str = ".sieve";
/// Longest script read.
const SIZE_MAX: u64 = 16 << 20;

/// The scripts of one home.
#[derive(Debug, Clone)]
pub struct Scripts {
    home: PathBuf,
}

/// A name that can be stored: no separator, no control character, not hidden (RFC 5804 1.6).
pub fn valid_name(name: &str) -> bool {
    let bad = |c: char| c.is_control() || matches!(c, '/' | '\u{2028}' | '\u{2029}');
    !name.is_empty() && name.len() <= 240 && !name.starts_with('.') && !name.chars().any(bad)
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a script name")
}

impl Scripts {
    /// Those below this home.
    pub fn of(home: &Path) -> Scripts {
        Scripts { home: home.to_path_buf() }
    }

    /// The directory of the scripts.
    pub fn directory(&self) -> PathBuf {
        self.home.join(DIRECTORY)
    }

    fn link(&self) -> PathBuf {
        self.home.join(ACTIVE)
    }

    /// Where a script lies.
    pub fn path(&self, name: &str) -> io::Result<PathBuf> {
        if !valid_name(name) {
            return Err(invalid());
        }
        Ok(self.directory().join(format!("{name}{ENDING}")))
    }

    /// All names, sorted.
    pub fn list(&self) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(self.directory()) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter_map(|n| n.strip_suffix(ENDING).map(String::from)).collect();
        names.retain(|n| valid_name(n));
        names.sort();
        Ok(names)
    }

    /// The name of the active script, where a link names one.
    pub fn active(&self) -> io::Result<Option<String>> {
        let target = match std::fs::read_link(self.link()) {
            Ok(target) => target,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => return Ok(None),
            Err(e) => return Err(e),
        };
        let text = target.to_string_lossy();
        // Pigeonhole may write the whole path
        let inside = text.strip_prefix(&format!("{}/", self.home.display())).unwrap_or(&text);
        let name = inside.strip_prefix("sieve/").and_then(|n| n.strip_suffix(ENDING));
        Ok(name.filter(|n| valid_name(n)).map(String::from))
    }

    /// The file that is active, whatever its form; `None` if there is none. A link of another form is an error.
    pub fn active_file(&self) -> io::Result<Option<PathBuf>> {
        if let Some(name) = self.active()? {
            return self.path(&name).map(Some);
        }
        match std::fs::symlink_metadata(self.link()) {
            Ok(meta) if meta.file_type().is_symlink() => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the active script is a link to elsewhere"));
            }
            Ok(_) => return Ok(Some(self.link())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let plain = self.home.join(PLAIN);
        Ok(plain.exists().then_some(plain))
    }

    /// A script's text.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        files::open_regular(&self.path(name)?)?.take(SIZE_MAX).read_to_end(&mut text)?;
        Ok(text)
    }

    /// Stores a script durably.
    pub fn write(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let path = self.path(name)?;
        files::create_dir_durable(&self.directory(), 0o700)?;
        penny_sys::fs::replace_file(&path, text, 0o600)
    }

    /// Removes a script.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name)?)?;
        files::sync_dir(&self.directory())
    }

    /// Renames a script; the active one stays active under its new name. An existing target is `AlreadyExists`.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (old, new) = (self.path(from)?, self.path(to)?);
        let was_active = self.active()?.as_deref() == Some(from);
        // linked first, so that the active script exists at every moment
        std::fs::hard_link(&old, &new)?;
        files::sync_dir(&self.directory())?;
        if was_active {
            self.activate(Some(to))?;
        }
        std::fs::remove_file(&old)?;
        files::sync_dir(&self.directory())
    }

    /// Makes a script the active one; `None`: none is.
    pub fn activate(&self, name: Option<&str>) -> io::Result<()> {
        let link = self.link();
        match name {
            Some(name) => {
                self.path(name)?;
                let fresh = self.home.join(format!("{ACTIVE}.{:x}", penny_sys::random::u64()));
                std::os::unix::fs::symlink(format!("{DIRECTORY}/{name}{ENDING}"), &fresh)?;
                std::fs::rename(&fresh, &link).inspect_err(|_| drop(std::fs::remove_file(&fresh)))?;
            }
            None => match std::fs::remove_file(&link) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            },
        }
        files::sync_dir(&self.home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (PathBuf, Scripts) {
        let path =
            std::env::temp_dir().join(format!("pennyscripts-{}-{:x}", std::process::id(), penny_sys::random::u64()));
        std::fs::create_dir(&path).unwrap();
        (path.clone(), Scripts::of(&path))
    }

    #[test]
    fn a_life_of_scripts() {
        let (path, s) = home();
        assert_eq!((s.list().unwrap().len(), s.active_file().unwrap()), (0, None));
        s.write("a", b"keep;").unwrap();
        s.write("b", b"stop;").unwrap();
        s.activate(Some("a")).unwrap();
        assert_eq!(s.active().unwrap().as_deref(), Some("a"));
        s.rename("a", "c").unwrap();
        assert_eq!((s.list().unwrap(), s.active().unwrap().as_deref()), (vec!["b".into(), "c".into()], Some("c")));
        assert_eq!(s.rename("c", "b").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(path.join(".dovecot.sieve")).unwrap(), "keep;");
        s.activate(None).unwrap();
        assert_eq!(s.active_file().unwrap(), None);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn no_way_out() {
        let (path, s) = home();
        for name in ["../x", "a/b", ".x", "", "a\0b", "a\nb"] {
            assert!(s.write(name, b"x").is_err() && s.path(name).is_err(), "{name:?}");
        }
        std::os::unix::fs::symlink("/etc/passwd", path.join(".dovecot.sieve")).unwrap();
        assert!(s.active_file().is_err());
        std::fs::remove_dir_all(path).unwrap();
    }
}
