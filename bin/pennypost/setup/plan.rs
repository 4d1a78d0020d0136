//! Steps: done, kept or only told.

use crate::hier::Place;
use crate::table::say;
use penny_base::Failure;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// What is being done.
pub struct Plan {
    /// Only told.
    pub dry: bool,
}

impl Plan {
    /// A new one.
    pub fn new(dry: bool) -> Plan {
        Plan { dry }
    }

    /// One step: done when it is needed, told in any case.
    pub fn step(
        &mut self,
        what: &str,
        needed: bool,
        work: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !needed {
            return say(&format!("kept  {what}")).map(drop);
        }
        if self.dry {
            return say(&format!("would make  {what}")).map(drop);
        }
        work()?;
        say(&format!("made  {what}")).map(drop)
    }

    /// A file with these contents.
    pub fn file(&mut self, path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
        let same = std::fs::read(path).is_ok_and(|old| old == text.as_bytes());
        self.step(&path.display().to_string(), !same, || {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|e| Failure::io(parent.display(), &e))?;
            }
            put(path, text.as_bytes(), mode)
        })
    }
}

/// Writes a file with this mode, whatever the caller's umask.
pub fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    penny_sys::fs::replace_file_exactly(path, bytes, mode).map_err(|e| Failure::io(path.display(), &e))
}

/// Whether a place exists with its owner and mode.
pub fn is_as_wanted(place: &Place) -> bool {
    std::fs::metadata(&place.path).is_ok_and(|m| {
        (m.uid(), m.gid(), m.mode() & 0o7777, m.is_dir()) == (place.uid, place.gid, place.mode, place.is_dir)
    })
}

/// Makes a place, or gives it the owner and mode it should have.
pub fn make_place(place: &Place) -> Result<(), Failure> {
    let io = |e: std::io::Error| Failure::io(place.path.display(), &e);
    if place.is_dir {
        std::fs::create_dir_all(&place.path).map_err(io)?;
    } else if !place.path.exists() {
        penny_sys::files::create_new(&place.path, place.mode).map_err(io)?;
    }
    if penny_sys::ids::is_root() {
        std::os::unix::fs::chown(&place.path, Some(place.uid), Some(place.gid)).map_err(io)?;
    }
    std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(place.mode)).map_err(io)
}
