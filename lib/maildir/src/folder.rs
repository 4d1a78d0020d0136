//! Folder names: what a client calls a mailbox, and the directory that holds it.
//!
//! Standards   Maildir++ (`.Parent.Child` directories of the root), RFC 3501 5.1 and 5.1.3, RFC 9051 5.1
//! Invariants  1. a `FolderName` always maps to one directory directly below the root: no traversal is expressible
//!             2. the empty name is INBOX, which is the root itself
//! Trust       names from clients and scripts are hostile; names from disk may be any bytes

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::mutf7;

/// Longest directory name of a folder: NAME_MAX of every Linux file system.
const DIR_NAME_MAX: usize = 255;
/// Deepest nesting accepted.
const DEPTH_MAX: usize = 50;

/// How clients write folder names: the separator and an optional prefix of the personal namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameStyle {
    /// Hierarchy separator, `/` or `.`.
    pub separator: char,
    /// Prefix of all personal folders except INBOX, for instance `INBOX.`; empty for none.
    pub prefix: String,
}

impl Default for NameStyle {
    fn default() -> Self {
        NameStyle { separator: '/', prefix: String::new() }
    }
}

/// How folder names are written in directory names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskEncoding {
    /// Modified UTF-7: Dovecot's default, Courier before 5.0.
    #[default]
    Mutf7,
    /// UTF-8: Courier from 5.0 on, Dovecot with `mailbox_list_utf8`.
    Utf8,
}

/// A checked folder name: the components of its path, none for INBOX.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FolderName {
    parts: Vec<String>,
}

fn bad(name: &str, why: &'static str) -> Error {
    Error::BadName { name: name.chars().take(100).collect(), why }
}

impl FolderName {
    /// INBOX, the root of the Maildir.
    pub fn inbox() -> FolderName {
        FolderName::default()
    }

    /// True for INBOX.
    pub fn is_inbox(&self) -> bool {
        self.parts.is_empty()
    }

    /// From components in Unicode.
    pub fn from_parts<S: AsRef<str>>(parts: &[S]) -> Result<FolderName> {
        let parts: Vec<String> = parts.iter().map(|p| p.as_ref().to_string()).collect();
        if matches!(parts.as_slice(), [only] if only.eq_ignore_ascii_case("INBOX")) {
            return Ok(FolderName::inbox());
        }
        let name = FolderName { parts };
        name.check()?;
        Ok(name)
    }

    /// From the name a client uses, in Unicode (IMAP4rev2, UTF8=ACCEPT, Sieve).
    pub fn from_utf8(name: &str, style: &NameStyle) -> Result<FolderName> {
        if name.eq_ignore_ascii_case("INBOX") {
            return Ok(FolderName::inbox());
        }
        let rest = strip_prefix(name, &style.prefix).ok_or_else(|| bad(name, "outside the namespace"))?;
        let rest = rest.strip_suffix(style.separator).unwrap_or(rest);
        let parts: Vec<&str> = rest.split(style.separator).collect();
        FolderName::from_parts(&parts)
    }

    /// From the name a client uses, in modified UTF-7 (IMAP4rev1).
    pub fn from_mutf7(name: &str, style: &NameStyle) -> Result<FolderName> {
        let decoded = mutf7::decode(name).ok_or_else(|| bad(name, "not modified UTF-7"))?;
        FolderName::from_utf8(&decoded, style)
    }

    /// From a directory name such as `.Archive.2024`; `None` if it is no folder's name.
    pub fn from_dir(dir: &str, encoding: DiskEncoding) -> Option<FolderName> {
        let rest = dir.strip_prefix('.').filter(|r| !r.is_empty() && !r.starts_with('.'))?;
        let parts: Option<Vec<String>> = rest.split('.').map(|p| decode_part(p, encoding)).collect();
        let name = FolderName { parts: parts? };
        // INBOX alone as a directory would shadow the root.
        let shadows = matches!(name.parts.as_slice(), [one] if one.eq_ignore_ascii_case("INBOX"));
        (!shadows && name.check().is_ok()).then_some(name)
    }

    fn check(&self) -> Result<()> {
        let whole = || self.parts.join("/");
        if self.parts.len() > DEPTH_MAX {
            return Err(bad(&whole(), "too many levels"));
        }
        for part in &self.parts {
            if part.is_empty() {
                return Err(bad(&whole(), "empty level"));
            }
            if part.contains(['.', '/']) {
                return Err(bad(&whole(), "'.' and '/' cannot be stored in Maildir++"));
            }
            if part.chars().any(char::is_control) {
                return Err(bad(&whole(), "control character"));
            }
        }
        match self.dir_name(DiskEncoding::Mutf7) {
            Some(dir) if dir.len() > DIR_NAME_MAX => Err(bad(&whole(), "too long")),
            _ => Ok(()),
        }
    }

    /// Components in Unicode; empty for INBOX.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The directory name (`.A.B`), `None` for INBOX.
    pub fn dir_name(&self, encoding: DiskEncoding) -> Option<String> {
        if self.parts.is_empty() {
            return None;
        }
        let mut out = String::new();
        for part in &self.parts {
            out.push('.');
            match encoding {
                DiskEncoding::Mutf7 => out.push_str(&mutf7::encode(part)),
                DiskEncoding::Utf8 => out.push_str(part),
            }
        }
        Some(out)
    }

    /// The directory below a root.
    pub fn path(&self, root: &Path, encoding: DiskEncoding) -> PathBuf {
        match self.dir_name(encoding) {
            Some(dir) => root.join(dir),
            None => root.to_path_buf(),
        }
    }

    /// The name for clients in Unicode.
    pub fn to_utf8(&self, style: &NameStyle) -> String {
        if self.parts.is_empty() {
            return "INBOX".into();
        }
        let mut out = style.prefix.clone();
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                out.push(style.separator);
            }
            out.push_str(part);
        }
        out
    }

    /// The name for IMAP4rev1 clients.
    pub fn to_mutf7(&self, style: &NameStyle) -> String {
        mutf7::encode(&self.to_utf8(style))
    }

    /// The folder above, `None` for INBOX and top-level folders.
    pub fn parent(&self) -> Option<FolderName> {
        match self.parts.split_last() {
            Some((_, above)) if !above.is_empty() => Some(FolderName { parts: above.to_vec() }),
            _ => None,
        }
    }

    /// True if this folder lies below the other (at any depth); nothing lies below INBOX in Maildir++.
    pub fn is_below(&self, other: &FolderName) -> bool {
        !other.parts.is_empty() && self.parts.len() > other.parts.len() && self.parts.starts_with(&other.parts)
    }

    /// This name with the leading part `from` replaced by `to` (for renaming a tree).
    pub fn moved(&self, from: &FolderName, to: &FolderName) -> Result<FolderName> {
        let tail = self.parts.get(from.parts.len()..).unwrap_or_default();
        let parts: Vec<String> = to.parts.iter().chain(tail).cloned().collect();
        FolderName::from_parts(&parts)
    }
}

/// Strips the namespace prefix; its `INBOX` part is matched in any case (RFC 3501 5.1).
fn strip_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let head = name.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| name.get(prefix.len()..)).flatten()
}

fn decode_part(part: &str, encoding: DiskEncoding) -> Option<String> {
    match encoding {
        DiskEncoding::Mutf7 => mutf7::decode(part),
        DiskEncoding::Utf8 => Some(part.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slash() -> NameStyle {
        NameStyle::default()
    }

    #[test]
    fn names_and_directories() {
        let courier = NameStyle { separator: '.', prefix: "INBOX.".into() };
        for (name, style, dir) in [
            ("Archive/2024", &slash(), ".Archive.2024"),
            ("Entwürfe", &slash(), ".Entw&APw-rfe"),
            ("INBOX/x", &slash(), ".INBOX.x"),
            ("INBOX.Sent.a", &courier, ".Sent.a"),
            ("A & B", &slash(), ".A &- B"),
        ] {
            let folder = FolderName::from_utf8(name, style).unwrap();
            assert_eq!(folder.dir_name(DiskEncoding::Mutf7).unwrap(), dir);
            assert_eq!(folder.to_utf8(style), name);
            assert_eq!(FolderName::from_dir(dir, DiskEncoding::Mutf7).unwrap(), folder);
        }
        assert!(FolderName::from_utf8("inbox", &slash()).unwrap().is_inbox());
        assert_eq!(FolderName::from_utf8("inbox.Sent", &courier).unwrap().parts(), ["Sent"]);
        assert!(FolderName::from_utf8("Sent", &courier).is_err());
    }

    #[test]
    fn nothing_escapes_the_root() {
        for name in ["", "/", "a//b", "../x", "..", ".", "a/..", "/etc", "a.b", "x\0y", "a\nb", &"x".repeat(300)] {
            assert!(FolderName::from_utf8(name, &slash()).is_err(), "{name:?}");
        }
        let dots = NameStyle { separator: '.', prefix: String::new() };
        for name in ["a..b", "../../x", "a/b", ".x", "..DOVECOT-TRASHED"] {
            assert!(FolderName::from_utf8(name, &dots).is_err(), "{name:?}");
        }
        for dir in ["", ".", "..", "..DOVECOT-TRASHED", "cur", ".a..b", ".INBOX", ".&AGE-"] {
            assert!(FolderName::from_dir(dir, DiskEncoding::Mutf7).is_none(), "{dir:?}");
        }
    }

    #[test]
    fn trees() {
        let name = |s: &str| FolderName::from_utf8(s, &slash()).unwrap();
        assert!(name("a/b/c").is_below(&name("a/b")));
        assert!(!name("a/bc").is_below(&name("a/b")));
        assert!(!name("a").is_below(&FolderName::inbox()));
        assert_eq!(name("a/b/c").moved(&name("a"), &name("x/y")).unwrap(), name("x/y/b/c"));
        assert_eq!(name("a/b").parent(), Some(name("a")));
        assert_eq!(name("a").parent(), None);
    }
}
