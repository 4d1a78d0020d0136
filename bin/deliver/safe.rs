//! Opening files of a user that say what to do.
//!
//! Invariants  1. no symbolic link, FIFO, device or directory is ever opened   2. the file and its directory belong to us or root and nobody
//!             else may write them   3. no read blocks
//! Failures    "not there" is a value; anything unsafe is temporary and logged: the owner can mend it, mail waits
//! Trust       names come from us; content and permissions are the user's

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use penny_base::Failure;

/// Longest rules file.
const SIZE_MAX: u64 = 1 << 20;
/// errno ELOOP on Linux: the last component is a symbolic link.
const ELOOP: i32 = 40;

/// A file read safely.
pub struct Rules {
    /// Its content.
    pub text: Vec<u8>,
    /// Its mode.
    pub mode: u32,
}

/// Reads a rules file; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<Rules>, Failure> {
    let Some((mut file, meta)) = open(path)? else { return Ok(None) };
    let mut text = Vec::new();
    let read = (&mut file).take(SIZE_MAX + 1).read_to_end(&mut text);
    read.map_err(|e| Failure::io(path.display(), &e))?;
    if text.len() as u64 > SIZE_MAX {
        return Err(unsafe_file(path, "longer than 1 MiB"));
    }
    Ok(Some(Rules { text, mode: meta.mode() }))
}

/// Opens a regular file of ours that nobody else can write.
pub fn open(path: &Path) -> Result<Option<(File, Metadata)>, Failure> {
    let file = match penny_sys::files::open_regular(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) if e.raw_os_error() == Some(ELOOP) => return Err(unsafe_file(path, "a symbolic link")),
        Err(e) if e.kind() == ErrorKind::InvalidInput => return Err(unsafe_file(path, "not a regular file")),
        // a socket (ENXIO) and the like
        Err(e) => return Err(unsafe_file(path, &e.to_string())),
    };
    let meta = file.metadata().map_err(|e| Failure::io(path.display(), &e))?;
    check_owner(path, &meta)?;
    if let Some(dir) = path.parent() {
        let meta = std::fs::metadata(dir).map_err(|e| Failure::io(dir.display(), &e))?;
        check_owner(dir, &meta)?;
    }
    Ok(Some((file, meta)))
}

fn check_owner(path: &Path, meta: &Metadata) -> Result<(), Failure> {
    let own = penny_sys::ids::own();
    if meta.uid() != own.uid && meta.uid() != 0 {
        return Err(unsafe_file(path, "owned by somebody else"));
    }
    if meta.mode() & 0o002 != 0 {
        return Err(unsafe_file(path, "writable by everybody"));
    }
    if meta.mode() & 0o020 != 0 {
        return Err(unsafe_file(path, "writable by its group"));
    }
    Ok(())
}

fn unsafe_file(path: &Path, why: &str) -> Failure {
    Failure::temporary("4.3.0", "the recipient's delivery instructions are not safe to use")
        .with_detail(format!("{}: {why}", path.display()))
}

/// The directories of a Maildir must be directories, not links to somewhere.
pub fn check_maildir(path: &Path) -> Result<(), Failure> {
    for sub in ["tmp", "new", "cur"] {
        let dir = path.join(sub);
        match std::fs::symlink_metadata(&dir) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(unsafe_file(&dir, "not a directory")),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Failure::io(dir.display(), &e)),
        }
    }
    Ok(())
}

/// The home must be ours and nobody else's to write, else anyone could put a .forward there.
pub fn check_home(home: &Path) -> Result<(), Failure> {
    match std::fs::metadata(home) {
        Ok(meta) if !meta.is_dir() => Err(unsafe_file(home, "not a directory")),
        Ok(meta) => check_owner(home, &meta),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Failure::io(home.display(), &e)),
    }
}
