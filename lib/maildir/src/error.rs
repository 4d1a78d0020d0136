//! What can go wrong in the mail store, and whether trying again may help.
//!
//! Failures    ENOSPC, EDQUOT, EIO, lock time-outs -> temporary; a missing folder or a bad name -> permanent
//! Invariants  `Display` is one line for the log; `status` is an RFC 3463 code; neither holds message text

use std::io;
use std::path::{Path, PathBuf};

/// A failure of a store operation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    Io {
        /// What was being done.
        what: &'static str,
        /// The file or directory it was done to.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No such folder (IMAP: NONEXISTENT or TRYCREATE).
    NoFolder(String),
    /// The folder exists already (IMAP: ALREADYEXISTS).
    FolderExists(String),
    /// A folder name that cannot be stored (IMAP: CANNOT).
    BadName {
        /// The name as given, lossy.
        name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// Over the Maildir++ quota (IMAP: OVERQUOTA; SMTP: x.2.2).
    OverQuota,
    /// A lock was not free in time (IMAP: INUSE).
    Locked(PathBuf),
    /// A file of the store is not understood and was left as it is.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The mailbox was opened read-only (EXAMINE).
    ReadOnly,
    /// The message is not there any more (IMAP: EXPUNGEISSUED).
    Gone(u32),
    /// The folder was deleted or replaced under an open session.
    FolderGone,
    /// A bound was reached (IMAP: LIMIT).
    Limit(&'static str),
}

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Builds the `Io` variant; meant for `map_err`.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.to_path_buf();
        move |source| Error::Io { what, path, source }
    }

    /// True when the same call may succeed later (SMTP 4xx, exit 75).
    pub fn is_temporary(&self) -> bool {
        matches!(self, Error::Io { .. } | Error::Locked(_) | Error::Corrupt { .. } | Error::FolderGone)
    }

    /// The enhanced status (RFC 3463) that fits; over quota is given as permanent, callers may soften it.
    pub fn status(&self) -> &'static str {
        match self {
            Error::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull => "4.3.1",
                io::ErrorKind::QuotaExceeded => "4.2.2",
                _ => "4.3.0",
            },
            Error::OverQuota => "5.2.2",
            Error::Locked(_) | Error::Corrupt { .. } | Error::FolderGone => "4.2.0",
            Error::NoFolder(_) => "5.1.1",
            Error::BadName { .. } => "5.1.3",
            Error::Limit(_) => "5.3.4",
            Error::FolderExists(_) | Error::ReadOnly | Error::Gone(_) => "5.2.0",
        }
    }

    /// True when the cause is that a file or directory does not exist (any more: ESTALE of NFS).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Io { source, .. } if is_gone(source))
    }
}

/// What reading a file gave that need not be there: `None` where it is not.
pub(crate) fn if_there<T>(path: &Path, read: io::Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// Whether a name leads nowhere, or no longer to the file that was opened by it (NFS).
pub(crate) fn is_gone(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle)
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Io { what, path, source } => write!(f, "{what} {path:?}: {source}"),
            Error::NoFolder(name) => write!(f, "no such folder: {name:?}"),
            Error::FolderExists(name) => write!(f, "folder exists: {name:?}"),
            Error::BadName { name, why } => write!(f, "folder name {name:?}: {why}"),
            Error::OverQuota => f.write_str("mailbox is over quota"),
            Error::Locked(path) => write!(f, "lock {path:?} is held by another process"),
            Error::Corrupt { path, why } => write!(f, "{path:?}: {why}"),
            Error::ReadOnly => f.write_str("mailbox is open read-only"),
            Error::Gone(uid) => write!(f, "message with UID {uid} is gone"),
            Error::FolderGone => f.write_str("folder was deleted or replaced"),
            Error::Limit(what) => write!(f, "too many {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
