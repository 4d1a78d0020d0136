//! Putting a file into the tables directory, whose lock the caller holds.
//!
//! Invariants  1. the file is complete, has its owner and mode and is on stable storage before it takes the name
//!             2. nothing is put where the file it was made from has changed meanwhile: `ResourceBusy`

use penny_sys::files::{self, Stamp};
use std::fs::Permissions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Whose the file shall be; `None` leaves what a new file has.
pub(crate) struct Look {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mode: u32,
}

/// Puts `bytes` in place of `to`, made from the file `source` when it had this stamp.
pub(crate) fn put(to: &Path, bytes: &[u8], look: &Look, source: (&Path, Option<Stamp>)) -> io::Result<()> {
    let beside = to.with_file_name(format!(".{}.new", to.file_name().unwrap_or_default().to_string_lossy()));
    // left over from a run that was killed: the lock says nobody uses it
    let _ = std::fs::remove_file(&beside);
    let done = write(&beside, bytes, look).and_then(|()| {
        if Stamp::at(source.0)? != source.1 {
            return Err(io::Error::new(ErrorKind::ResourceBusy, "changed by somebody else meanwhile; try again"));
        }
        std::fs::rename(&beside, to)?;
        files::sync_dir(to.parent().unwrap_or(Path::new(".")))
    });
    if done.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    done
}

fn write(beside: &Path, bytes: &[u8], look: &Look) -> io::Result<()> {
    let mut file = files::create_new(beside, 0o600)?;
    let own = penny_sys::ids::own();
    if look.uid.is_some_and(|u| u != own.uid) || look.gid.is_some_and(|g| g != own.gid) {
        std::os::unix::fs::fchown(&file, look.uid, look.gid)?;
    }
    file.set_permissions(Permissions::from_mode(look.mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}
