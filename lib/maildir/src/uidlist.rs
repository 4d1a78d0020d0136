//! `dovecot-uidlist` version 3: which file has which UID, shared with Dovecot.
//!
//! Format      header `3 V<uidvalidity> N<uidnext> G<guid>[ P<uidl format>][ M<floor>][ other keys]`, then lines
//!             `<uid>[ <KEY><value>]... :<base name>`; version 1 (`1 <uidvalidity> <uidnext>`, `<uid> <name>`) is read
//! Ours        header key M: the modseq floor, 20 digits; unknown keys survive Dovecot's rewrites, so it does
//! Invariants  1. UIDs strictly rise; UIDNEXT = max(N, last UID + 1) and never falls under one UIDVALIDITY
//!             2. appended with one write and fdatasync, or replaced: temporary file, fdatasync, rename, fsync of the directory
//!             3. writers hold `dovecot-uidlist.lock` and have read the file under it; readers take no lock
//! Failures    a line that breaks a rule is `Damage`; the caller salvages, sets the file aside and writes a new one
//! Trust       other programs of the same user write it: any bytes

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use penny_sys::files::{self, Stamp};

use crate::dir::create_file;
use crate::error::{Error, Result, if_there};
use crate::mailbox::Guid;
use crate::name::decimal;

/// Name of the file in each folder.
pub const FILE: &str = "dovecot-uidlist";
/// Dovecot takes no UID from here on.
pub const UID_MAX: u32 = u32::MAX - 1;

/// The first line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// UIDVALIDITY, not zero.
    pub validity: u32,
    /// N as written: UIDNEXT may be higher, see the entries.
    pub next: u32,
    /// Mailbox GUID.
    pub guid: Option<Guid>,
    /// Modseq floor of ours; 0 when missing.
    pub floor: u64,
    /// All other tokens, kept as they are.
    pub other: Vec<Vec<u8>>,
}

impl Header {
    /// Reads the line (without LF); `None` if Dovecot would refuse it.
    pub fn parse(line: &[u8]) -> Option<(u8, Header)> {
        let mut tokens = line.split(|c| *c == b' ').filter(|t| !t.is_empty());
        let version = tokens.next()?;
        let header = match version {
            b"3" => Header::parse_v3(tokens)?,
            b"1" => Header { validity: number(tokens.next()?)?, next: number(tokens.next()?)?, ..Header::default() },
            _ => return None,
        };
        let version = version.first()? - b'0';
        (header.validity != 0 && header.next != 0).then_some((version, header))
    }

    fn parse_v3<'a>(tokens: impl Iterator<Item = &'a [u8]>) -> Option<Header> {
        let mut out = Header::default();
        for token in tokens {
            let (key, value) = token.split_first()?;
            match key {
                b'V' => out.validity = number(value)?,
                b'N' => out.next = number(value)?,
                b'G' if Guid::parse(value).is_some() => out.guid = Guid::parse(value),
                b'M' if value.len() == 20 => out.floor = decimal(value).unwrap_or(0),
                _ => out.other.push(token.to_vec()),
            }
        }
        Some(out)
    }

    /// The line with LF, exactly as Dovecot orders the keys; ours and the unknown ones last.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("3 V{} N{}", self.validity, self.next).as_bytes());
        if let Some(guid) = self.guid {
            out.extend_from_slice(format!(" G{guid}").as_bytes());
        }
        if self.floor > 0 {
            out.extend_from_slice(format!(" M{:020}", self.floor).as_bytes());
        }
        for token in &self.other {
            out.push(b' ');
            out.extend_from_slice(token);
        }
        out.push(b'\n');
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    decimal(digits).and_then(|n| u32::try_from(n).ok())
}

/// One line: UID, extension text (`Kvalue Kvalue`, may be empty), base name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// UID.
    pub uid: u32,
    /// Extensions as written, without surrounding spaces.
    pub extensions: &'a [u8],
    /// Base file name.
    pub base: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads a line without LF.
    fn parse(line: &'a [u8], version: u8) -> Option<Entry<'a>> {
        let space = memchr::memchr(b' ', line)?;
        let uid = number(line.get(..space)?).filter(|u| *u > 0 && *u <= UID_MAX)?;
        let rest = line.get(space + 1..)?;
        let (extensions, file) = match version {
            1 => (&b""[..], rest),
            _ => split_extensions(rest)?,
        };
        let base = crate::name::split(file).0;
        (!base.is_empty() && !base.contains(&b'/')).then_some(Entry { uid, extensions, base })
    }

    /// The value of an extension key.
    pub fn extension(&self, key: u8) -> Option<&'a [u8]> {
        self.extensions.split(|c| *c == b' ').find_map(|t| match t.split_first() {
            Some((k, value)) if *k == key => Some(value),
            _ => None,
        })
    }

    /// Writes the line with LF.
    pub fn write(&self, out: &mut Vec<u8>) {
        // writing to a vector cannot fail
        let _ = write!(out, "{}", self.uid);
        if !self.extensions.is_empty() {
            out.push(b' ');
            out.extend_from_slice(self.extensions);
        }
        out.extend_from_slice(b" :");
        out.extend_from_slice(self.base);
        out.push(b'\n');
    }
}

/// `Kvalue Kvalue :name` into extensions and name. A ':' inside a value does not end them: only at a token's start.
fn split_extensions(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        let token = rest.get(at..)?;
        if token.first()? == &b':' {
            let extensions = rest.get(..at)?;
            return Some((extensions.trim_ascii_end(), token.get(1..)?));
        }
        at += memchr::memchr(b' ', token)? + 1;
    }
}

/// What a look at a whole file gave.
#[derive(Debug, Default)]
pub struct Contents {
    /// The bytes read, complete lines only count.
    pub bytes: Vec<u8>,
    /// The file they came from.
    pub stamp: Stamp,
    /// The first line, `None` if it is unusable.
    pub header: Option<Header>,
    /// Format version.
    pub version: u8,
    /// Octets of the header line with LF.
    body: usize,
    /// Octets up to and with the last LF.
    pub complete: usize,
}

impl Contents {
    /// Reads the file; `None` when there is none.
    pub fn read(path: &Path) -> Result<Option<Contents>> {
        let read = || {
            let mut file = files::open_regular(path)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok((Stamp::of(&file.metadata()?), bytes))
        };
        let Some((mut stamp, bytes)) = if_there(path, files::while_stale(read))? else { return Ok(None) };
        stamp.size = bytes.len() as u64;
        Ok(Some(Contents::of(bytes, stamp)))
    }

    /// Takes bytes apart.
    pub fn of(bytes: Vec<u8>, stamp: Stamp) -> Contents {
        let body = memchr::memchr(b'\n', &bytes).map_or(0, |i| i + 1);
        let complete = memchr::memrchr(b'\n', &bytes).map_or(0, |i| i + 1);
        let line = bytes.get(..body.saturating_sub(1)).unwrap_or_default();
        let (version, header) = match Header::parse(line) {
            Some((version, header)) => (version, Some(header)),
            None => (0, None),
        };
        Contents { bytes, stamp, header, version, body, complete }
    }

    /// The lines that are whole and well-formed, in file order, and how many octets were not.
    pub fn entries(&self) -> (Vec<Entry<'_>>, usize) {
        parse_lines(self.bytes.get(self.body..self.complete).unwrap_or_default(), self.version, 0)
    }

    /// True if the last line lacks its LF (a torn append).
    pub fn is_torn(&self) -> bool {
        self.complete != self.bytes.len()
    }
}

/// Entries of a block of lines whose UIDs must rise above `last`; also the number of octets that broke a rule.
fn parse_lines(block: &[u8], version: u8, mut last: u32) -> (Vec<Entry<'_>>, usize) {
    let mut out = Vec::new();
    let mut odd = 0;
    for line in block.split(|c| *c == b'\n').filter(|l| !l.is_empty()) {
        match Entry::parse(line, version).filter(|e| e.uid > last) {
            Some(entry) => {
                last = entry.uid;
                out.push(entry);
            }
            None => odd += line.len() + 1,
        }
    }
    (out, odd)
}

/// What the tail of a grown file held.
#[derive(Debug, Default)]
pub struct Tail {
    /// The bytes after the known part, whole lines.
    bytes: Vec<u8>,
    last: u32,
    /// The file as it was.
    pub stamp: Stamp,
}

impl Tail {
    /// Reads what was appended behind `known.size`; `None` when the file is not the known one grown, or the tail
    /// breaks a rule (then the whole must be read).
    pub fn read(path: &Path, known: &Stamp, last_uid: u32) -> Result<Option<Tail>> {
        let Ok(mut file) = files::open_regular(path) else { return Ok(None) };
        let mut stamp = Stamp::of(&file.metadata().map_err(Error::io("stat", path))?);
        if stamp.ino != known.ino || stamp.dev != known.dev || stamp.size < known.size || known.size == 0 {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(known.size)).map_err(Error::io("seek", path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        bytes.truncate(memchr::memrchr(b'\n', &bytes).map_or(0, |i| i + 1));
        stamp.size = known.size + bytes.len() as u64;
        let tail = Tail { bytes, last: last_uid, stamp };
        Ok((parse_lines(&tail.bytes, 3, last_uid).1 == 0).then_some(tail))
    }

    /// The new lines.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        parse_lines(&self.bytes, 3, self.last).0
    }
}

/// Appends lines to the file, which must be what `known` says; durable when it returns. `None`: it is not, rewrite.
pub fn append(path: &Path, known: &Stamp, lines: &[u8]) -> Result<Option<Stamp>> {
    let open = OpenOptions::new().read(true).write(true).open(path);
    let mut file = match open {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("open", path)(e)),
    };
    let now = Stamp::of(&file.metadata().map_err(Error::io("stat", path))?);
    if now.ino != known.ino || now.dev != known.dev || now.size != known.size || now.size == 0 {
        return Ok(None);
    }
    file.seek(SeekFrom::End(0)).map_err(Error::io("seek", path))?;
    let written = file.write_all(lines).and_then(|()| file.sync_data());
    if let Err(e) = written {
        // No UID of these lines was told to anybody: take back what may have been written, best effort.
        let _ = file.set_len(known.size);
        return Err(Error::io("append to", path)(e));
    }
    Ok(Some(Stamp::of(&file.metadata().map_err(Error::io("stat", path))?)))
}

/// Replaces the file; durable, with its name, when it returns.
pub fn replace(folder: &Path, content: &[u8]) -> Result<Stamp> {
    let path = folder.join(FILE);
    // Dovecot's own temporary name: the lock guards it, and a leftover of either server is simply overwritten.
    let tmp = folder.join("dovecot-uidlist.tmp");
    let _ = std::fs::remove_file(&tmp);
    let mut file = create_file(&tmp).map_err(Error::io("create", &tmp))?;
    file.write_all(content).map_err(Error::io("write", &tmp))?;
    file.sync_data().map_err(Error::io("sync", &tmp))?;
    std::fs::rename(&tmp, &path).map_err(Error::io("rename to", &path))?;
    files::sync_dir(folder).map_err(Error::io("sync", folder))?;
    let stamp = Stamp::of(&file.metadata().map_err(Error::io("stat", &path))?);
    match Stamp::at(&path).map_err(Error::io("stat", &path))? {
        Some(now) if now.ino == stamp.ino && now.size == content.len() as u64 => Ok(stamp),
        // Somebody else wrote at the same time: our lock was overridden.
        _ => Err(Error::Locked(path)),
    }
}

/// Moves a file that is not understood out of the way, never deletes it.
pub fn set_aside(path: &Path) -> Option<PathBuf> {
    let mut aside = path.as_os_str().to_os_string();
    aside.push(format!(".bad.{}", crate::name::unique().split('.').next().unwrap_or("0")));
    let aside = PathBuf::from(aside);
    std::fs::rename(path, &aside).is_ok().then_some(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    fn contents(text: &str) -> Contents {
        Contents::of(text.as_bytes().to_vec(), Stamp::default())
    }

    #[test]
    fn dovecots_own_file() {
        let c = contents(
            "3 V1795409907 N3 Gdebd7506f3c7036b952a000083ecc375\n1 :1795409907.M106194P10901.vm,S=75,W=81\n\
             2 :1795409907.M114522P10901.vm,S=75,W=81\n",
        );
        let header = c.header.clone().unwrap();
        assert_eq!((c.version, header.validity, header.next), (3, 1_795_409_907, 3));
        assert_eq!(header.guid.unwrap().to_string(), "debd7506f3c7036b952a000083ecc375");
        let (entries, odd) = c.entries();
        assert_eq!((entries.len(), odd), (2, 0));
        assert_eq!(entries[1].base, b"1795409907.M114522P10901.vm,S=75,W=81");
        let mut out = Vec::new();
        header.write(&mut out);
        entries.iter().for_each(|e| e.write(&mut out));
        assert_eq!(out, c.bytes);
    }

    #[test]
    fn unknown_keys_survive() {
        let text = "3 V77 N20 G0123456789abcdef0123456789abcdef M00000000000000010000 P%08Xu%08Xv M4711 x9\n\
                    7 W33 Z42 Qx Pa:b :base,S=1\n12 :b\n";
        let c = contents(text);
        let header = c.header.clone().unwrap();
        assert_eq!(header.floor, 10_000);
        assert_eq!(header.other, [b"P%08Xu%08Xv".to_vec(), b"M4711".to_vec(), b"x9".to_vec()]);
        let (entries, _) = c.entries();
        assert_eq!(entries[0].extension(b'W'), Some(&b"33"[..]));
        assert_eq!(entries[0].extension(b'P'), Some(&b"a:b"[..]));
        assert_eq!(entries[0].extension(b'S'), None);
        let mut out = Vec::new();
        header.write(&mut out);
        entries.iter().for_each(|e| e.write(&mut out));
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn version_one_and_refused_headers() {
        let c = contents("1 795410474 9\n3 123.x.h\n8 124.y.h:2,S\n");
        assert_eq!((c.version, c.header.as_ref().unwrap().next), (1, 9));
        let bases: Vec<&[u8]> = c.entries().0.iter().map(|e| e.base).collect();
        assert_eq!(bases, [b"123.x.h", b"124.y.h"]);
        for bad in ["", "\n", "2 V1 N1\n", "3 V0 N1\n", "3 V1 N0\n", "3 V1\n", "3 N1\n", "3 Vx N1\n", "garbage\n"] {
            assert!(contents(bad).header.is_none(), "{bad:?}");
        }
    }

    #[test]
    fn lines_that_break_a_rule_are_counted() {
        let c = contents("3 V1 N9\n1 :a\n1 :b\n0 :c\n5 :d/e\n4294967295 :f\n6 g\n7 :\n8 :h\n9 :torn");
        let (entries, odd) = c.entries();
        assert_eq!(entries.iter().map(|e| e.uid).collect::<Vec<_>>(), [1, 8]);
        assert_eq!(odd, "1 :b\n0 :c\n5 :d/e\n4294967295 :f\n6 g\n7 :\n".len());
        assert!(c.is_torn());
    }

    #[test]
    fn append_tail_replace() {
        let t = TestDir::new();
        let path = t.path().join(FILE);
        let first = replace(t.path(), b"3 V1 N2\n1 :a\n").unwrap();
        let second = append(&path, &first, b"2 :b\n").unwrap().unwrap();
        assert!(append(&path, &first, b"3 :c\n").unwrap().is_none(), "not the file we know");
        let tail = Tail::read(&path, &first, 1).unwrap().unwrap();
        assert_eq!(tail.stamp.size, second.size);
        assert_eq!(tail.entries()[0], Entry { uid: 2, extensions: b"", base: b"b" });
        assert!(Tail::read(&path, &first, 2).unwrap().is_none(), "UIDs do not rise");
        let third = replace(t.path(), b"3 V1 N3\n2 :b\n").unwrap();
        assert!(Tail::read(&path, &second, 2).unwrap().is_none(), "another file");
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"4 :half").unwrap();
        assert!(Tail::read(&path, &third, 2).unwrap().unwrap().entries().is_empty());
        assert!(append(&path, &third, b"4 :c\n").unwrap().is_none(), "torn line in between");
    }
}
