//! The uidlist of an open mailbox: what it says beyond the index, and writing UIDs into it.
//!
//! Invariants  1. a line is on stable storage before its UID is told   2. lines of another server are known before the
//!             file is written again   3. unknown header keys and extensions survive every rewrite

use std::collections::HashMap;
use std::path::Path;

use penny_sys::files::Stamp;

use super::Mailbox;
use super::sync::{FLOOR_STEP, same_file};
use crate::error::{Error, Result};
use crate::index::{Index, LETTER_BITS, Meta, Record, RecordRef};
use crate::keywords::{self, MoreKeywords};
use crate::uidlist::{self, Contents, Entry, Header, Tail};

impl Mailbox {
    /// The uidlist's tail or whole, checked against the index.
    pub(super) fn read_uidlist(&mut self) -> Result<Uids> {
        let path = self.place.dir.path().join(uidlist::FILE);
        let m = *self.index.meta();
        let stamp = Stamp::at(&path).map_err(Error::io("stat", &path))?;
        if stamp.is_some_and(|s| same_file(&s, &m.uidlist)) {
            return Ok(Uids { next: m.uidnext, ..Uids::default() });
        }
        if let Some(tail) = Tail::read(&path, &m.uidlist, m.uidnext.saturating_sub(1))? {
            let lines: Vec<(u32, Box<[u8]>)> = tail.entries().iter().map(|e| (e.uid, e.base.into())).collect();
            let next = lines.last().map_or(m.uidnext, |(uid, _)| uid + 1);
            return Ok(Uids {
                count: m.uidlist_lines + lines.len() as u32,
                lines,
                next,
                stamp: Some(tail.stamp),
                ..Uids::default()
            });
        }
        self.read_whole_uidlist(&path, &m)
    }

    fn read_whole_uidlist(&mut self, path: &Path, m: &Meta) -> Result<Uids> {
        let contents = Contents::read(path)?.unwrap_or_default();
        let Some(header) = contents.header.clone() else {
            // Missing or unusable: what the index knows is written again.
            if !contents.bytes.is_empty() {
                uidlist::set_aside(path);
            }
            return Ok(Uids { next: m.uidnext, rewrite: true, ..Uids::default() });
        };
        if header.validity != m.uidvalidity {
            Index::discard(&self.place.index_dir);
            return Err(Error::FolderGone);
        }
        let (entries, odd) = contents.entries();
        let lines: Vec<(u32, Box<[u8]>)> = entries.iter().map(|e| (e.uid, e.base.into())).collect();
        let listed = header.next.max(lines.last().map_or(0, |(uid, _)| uid + 1));
        let next = listed.max(m.uidnext).saturating_add(odd as u32);
        // Fewer UIDs than the index has seen: the file was restored from a backup; or our floor was lost.
        let rewrite = odd > 0
            || contents.is_torn()
            || contents.version != 3
            || listed < m.uidnext
            || header.floor < m.floor
            || header.guid != Some(m.guid);
        let count = lines.len() as u32;
        Ok(Uids { lines, next, stamp: Some(contents.stamp), rewrite, whole: true, count })
    }

    /// Puts new UIDs into the uidlist: appended where possible. `added` says of each record whether the file has it
    /// already. Returns what the index should remember of the file.
    pub(super) fn write_uids(
        &mut self,
        added: &[(Record, bool)],
        uids: &Uids,
        uidnext: u32,
        modseq: u64,
    ) -> Result<Option<(Stamp, u32)>> {
        let m = *self.index.meta();
        let lines = if uids.stamp.is_some() { uids.count } else { m.uidlist_lines };
        let new = added.iter().filter(|(_, listed)| !listed).count();
        // Dovecot's rule: rewrite when at most 75 % of the lines are live.
        let sparse = new > 0 && lines > 20 && u64::from(m.messages) * 4 <= u64::from(lines) * 3;
        let floor = if modseq > m.floor { modseq + FLOOR_STEP } else { m.floor };
        if !(uids.rewrite || sparse || floor > m.floor) {
            if new == 0 {
                return Ok(uids.stamp.map(|s| (s, uids.count)));
            }
            let path = self.place.dir.path().join(uidlist::FILE);
            let mut text = Vec::new();
            for (r, _) in added.iter().filter(|(_, listed)| !listed) {
                Entry { uid: r.fixed.uid, extensions: b"", base: &r.base }.write(&mut text);
            }
            if let Some(stamp) = uidlist::append(&path, &uids.stamp.unwrap_or(m.uidlist), &text)? {
                return Ok(Some((stamp, lines + new as u32)));
            }
        }
        self.index.edit(|m| m.uidnext = m.uidnext.max(uidnext));
        let records: Vec<&Record> = added.iter().map(|(r, _)| r).collect();
        self.rewrite_uidlist(floor, &records, m.uidvalidity).map(Some)
    }

    /// Writes the whole uidlist from index and new records; unknown header keys and extensions are kept.
    /// `before` is the UIDVALIDITY of the file to be replaced.
    pub(super) fn rewrite_uidlist(&mut self, floor: u64, new: &[&Record], before: u32) -> Result<(Stamp, u32)> {
        let folder = self.place.dir.path().to_path_buf();
        let old = Contents::read(&folder.join(uidlist::FILE))?.unwrap_or_default();
        let m = *self.index.meta();
        let same = old.header.clone().filter(|h| h.validity == before);
        let other = same.as_ref().map(|h| h.other.clone()).unwrap_or_default();
        let next = m.uidnext.max(new.last().map_or(0, |r| r.fixed.uid + 1));
        let header = Header { validity: m.uidvalidity, next, guid: Some(m.guid), floor: floor.max(m.floor), other };
        let kept = if same.is_some() { extensions(&old) } else { HashMap::new() };
        let fresh: std::collections::HashSet<u32> = new.iter().map(|r| r.fixed.uid).collect();
        let mut all: Vec<RecordRef<'_>> = self.index.iter().filter(|r| !fresh.contains(&r.fixed.uid)).collect();
        all.extend(new.iter().map(|r| r.borrow()));
        all.sort_by_key(|r| r.fixed.uid);
        let stamp = uidlist::replace(&folder, &uidlist_text(&header, &kept, all.iter().copied()))?;
        let lines = all.len() as u32;
        drop(all);
        let more = folder.join(keywords::MORE_FILE);
        if Stamp::at(&more).is_ok_and(|s| s.is_some_and(|s| s.size > 64 * 1024)) {
            self.prune_more_keywords()?;
        }
        self.index.edit(|m| {
            m.floor = header.floor;
            (m.uidlist, m.uidlist_lines) = (stamp, lines);
        });
        Ok((stamp, lines))
    }

    /// Drops the lines of messages that are gone from our keyword file.
    fn prune_more_keywords(&mut self) -> Result<()> {
        let more: MoreKeywords = self
            .index
            .iter()
            .filter(|r| r.fixed.keywords & !LETTER_BITS != 0)
            .map(|r| (r.base.to_vec(), r.fixed.keywords & !LETTER_BITS))
            .collect();
        self.keywords.write_more(self.place.dir.path(), &more)
    }
}

/// Base name and extension text of uidlist lines, by UID.
pub(super) type Extensions = HashMap<u32, (Box<[u8]>, Box<[u8]>)>;

/// Those of lines that have any.
pub(super) fn extensions(contents: &Contents) -> Extensions {
    let (entries, _) = contents.entries();
    let with = entries.iter().filter(|e| !e.extensions.is_empty());
    with.map(|e| (e.uid, (e.base.into(), e.extensions.into()))).collect()
}

/// A whole uidlist.
pub(super) fn uidlist_text<'a>(
    header: &Header,
    extensions: &Extensions,
    records: impl Iterator<Item = RecordRef<'a>>,
) -> Vec<u8> {
    let mut text = Vec::with_capacity(256 + 64 * records.size_hint().0);
    header.write(&mut text);
    for r in records {
        let kept = extensions.get(&r.fixed.uid).filter(|(base, _)| **base == *r.base);
        let extensions = kept.map_or(&b""[..], |(_, e)| e);
        Entry { uid: r.fixed.uid, extensions, base: r.base }.write(&mut text);
    }
    text
}

/// What the uidlist says beyond the index.
#[derive(Default)]
pub(super) struct Uids {
    pub(super) lines: Vec<(u32, Box<[u8]>)>,
    pub(super) next: u32,
    pub(super) stamp: Option<Stamp>,
    pub(super) rewrite: bool,
    pub(super) whole: bool,
    pub(super) count: u32,
}

impl Uids {
    /// Later lines win (Dovecot: an expunged file that was moved back).
    pub(super) fn by_name(&self) -> HashMap<&[u8], u32> {
        self.lines.iter().map(|(uid, base)| (&**base, *uid)).collect()
    }

    pub(super) fn by_uid(&self) -> HashMap<u32, &[u8]> {
        match self.whole {
            true => self.lines.iter().map(|(uid, base)| (*uid, &**base)).collect(),
            false => HashMap::new(),
        }
    }
}
