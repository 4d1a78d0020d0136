//! Checking a folder against itself: files, names, uidlist, index, quota; and mending what can be mended safely.
//!
//! Invariants  1. nothing is deleted but a second name of the same inode and leftovers in tmp/ older than 36 hours
//!             2. without `repair` nothing is changed, except that opening a mailbox gives UIDs to new files as any
//!                session would
//! Trust       any bytes on disk

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::delivery::{TMP_AGE, purge_tmp};
use crate::dir::{FOLDER_MARKER, Maildir, write_marker};
use crate::error::{Error, Result};
use crate::folder::FolderName;
use crate::index;
use crate::mailbox::Mode;
use crate::name;
use crate::store::Store;
use crate::uidlist::{self, Contents};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind (stable words, see maildirctl(1)).
    pub kind: Kind,
    /// The file or directory.
    pub path: PathBuf,
    /// Details for people.
    pub detail: String,
    /// True if it was mended.
    pub mended: bool,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// cur/, new/ or tmp/ is missing.
    MissingDirectory,
    /// A folder without `maildirfolder`.
    MissingMarker,
    /// Something in cur/ or new/ that is no message file.
    StrayFile,
    /// The same base name twice.
    DuplicateName,
    /// The file's length is not what its name says.
    WrongSize,
    /// RFC822.SIZE is not what name or index say.
    WrongVirtualSize,
    /// The uidlist breaks its rules.
    BadUidlist,
    /// The index does not say what the files say.
    BadIndex,
    /// Abandoned files in tmp/.
    OldTmp,
    /// `maildirsize` does not say what the files say.
    WrongQuota,
    /// A folder directory whose name cannot be read in the tree's encoding.
    BadFolderName,
}

impl Kind {
    /// The word for reports.
    pub fn word(self) -> &'static str {
        match self {
            Kind::MissingDirectory => "missing-directory",
            Kind::MissingMarker => "missing-maildirfolder",
            Kind::StrayFile => "stray-file",
            Kind::DuplicateName => "duplicate-name",
            Kind::WrongSize => "wrong-size",
            Kind::WrongVirtualSize => "wrong-virtual-size",
            Kind::BadUidlist => "bad-uidlist",
            Kind::BadIndex => "bad-index",
            Kind::OldTmp => "old-tmp",
            Kind::WrongQuota => "wrong-quota",
            Kind::BadFolderName => "bad-folder-name",
        }
    }
}

/// How thoroughly, and whether to mend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Mend what can be mended.
    pub repair: bool,
    /// Read every message to compare sizes.
    pub read: bool,
}

/// Checks what concerns the whole tree.
pub fn check_tree(store: &Store, plan: Plan) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for dir in store.odd_directories()? {
        let path = store.root().path().join(&dir);
        found.push(Finding {
            kind: Kind::BadFolderName,
            path,
            detail: "not a folder name in this encoding".into(),
            mended: false,
        });
    }
    if store.quota().is_active() {
        let (kept, _) = store.quota().usage()?;
        let path = store.root().path().join(crate::quota::FILE);
        let before = std::fs::read(&path).ok();
        let (counted, _) = store.quota().recount(None)?;
        if kept != counted {
            let detail = format!(
                "says {} octets, {} messages; are {}, {}",
                kept.storage, kept.messages, counted.storage, counted.messages
            );
            found.push(Finding { kind: Kind::WrongQuota, path: path.clone(), detail, mended: plan.repair });
        }
        if let Some(before) = before.filter(|_| !plan.repair) {
            std::fs::write(&path, before).map_err(Error::io("write", &path))?;
        }
    }
    Ok(found)
}

/// Checks one folder.
pub fn check_folder(store: &Store, folder: &FolderName, plan: Plan) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let path = folder.path(store.root().path(), store.options().encoding);
    directories(&path, folder, plan, &mut found)?;
    if !Maildir::is_at(&path) {
        return Ok(found);
    }
    let dir = Maildir::open(&path)?;
    files(&dir, plan, &mut found)?;
    uids(&path, plan, &mut found)?;
    contents(store, folder, plan, &mut found)?;
    Ok(found)
}

fn directories(path: &Path, folder: &FolderName, plan: Plan, found: &mut Vec<Finding>) -> Result<()> {
    let missing: Vec<PathBuf> = ["cur", "new", "tmp"].iter().map(|d| path.join(d)).filter(|d| !d.is_dir()).collect();
    for dir in missing {
        if plan.repair {
            Maildir::create(path)?;
        }
        found.push(Finding { kind: Kind::MissingDirectory, path: dir, detail: String::new(), mended: plan.repair });
    }
    if !folder.is_inbox() && !path.join(FOLDER_MARKER).exists() {
        if plan.repair {
            write_marker(path)?;
        }
        let detail = "delivery tools take the folder for a root".into();
        found.push(Finding { kind: Kind::MissingMarker, path: path.join(FOLDER_MARKER), detail, mended: plan.repair });
    }
    Ok(())
}

/// Names and kinds of files, without opening one.
fn files(dir: &Maildir, plan: Plan, found: &mut Vec<Finding>) -> Result<()> {
    let mut seen: HashMap<Vec<u8>, PathBuf> = HashMap::new();
    for sub in [dir.cur_dir(), dir.new_dir()] {
        for entry in std::fs::read_dir(&sub).map_err(Error::io("list", &sub))?.flatten() {
            let file_name = entry.file_name();
            let bytes = std::os::unix::ffi::OsStrExt::as_bytes(&*file_name);
            let path = entry.path();
            let base = name::split(bytes).0.to_vec();
            let Ok(meta) = entry.metadata() else { continue };
            if !meta.is_file() || base.is_empty() || bytes.first() == Some(&b'.') {
                let detail = if meta.is_file() { "name that is no message name" } else { "not a file" };
                found.push(Finding { kind: Kind::StrayFile, path, detail: detail.into(), mended: false });
                continue;
            }
            match seen.get(&base) {
                Some(first) => found.push(duplicate(dir, first, &path, &meta, plan)?),
                None => drop(seen.insert(base, path)),
            }
        }
    }
    let old = old_tmp(dir)?;
    if old > 0 {
        if plan.repair {
            purge_tmp(dir, TMP_AGE)?;
        }
        let detail = format!("{old} files older than 36 hours");
        found.push(Finding { kind: Kind::OldTmp, path: dir.tmp_dir(), detail, mended: plan.repair });
    }
    Ok(())
}

/// Two names with one base: a second link of the same file goes, another file gets a name of its own.
fn duplicate(dir: &Maildir, first: &Path, second: &Path, meta: &std::fs::Metadata, plan: Plan) -> Result<Finding> {
    let same = std::fs::symlink_metadata(first).is_ok_and(|m| (m.ino(), m.dev()) == (meta.ino(), meta.dev()));
    let detail = format!("{} {}", if same { "same file as" } else { "another file than" }, first.display());
    if plan.repair {
        if same {
            std::fs::remove_file(second).map_err(Error::io("remove", second))?;
        } else {
            let to = dir.new_dir().join(name::unique());
            std::fs::rename(second, &to).map_err(Error::io("rename", second))?;
        }
    }
    Ok(Finding { kind: Kind::DuplicateName, path: second.to_path_buf(), detail, mended: plan.repair })
}

fn old_tmp(dir: &Maildir) -> Result<usize> {
    let tmp = dir.tmp_dir();
    let entries = std::fs::read_dir(&tmp).map_err(Error::io("list", &tmp))?.flatten();
    let limit = std::time::SystemTime::now().checked_sub(TMP_AGE).unwrap_or(std::time::UNIX_EPOCH);
    let limit = limit.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    Ok(entries.filter(|e| e.metadata().is_ok_and(|m| m.is_file() && m.ctime() < limit)).count())
}

/// The rules of the uidlist. Mending is left to the index, which has the UIDs a second time.
fn uids(folder: &Path, plan: Plan, found: &mut Vec<Finding>) -> Result<()> {
    let path = folder.join(uidlist::FILE);
    let Some(contents) = Contents::read(&path)? else { return Ok(()) };
    let (entries, odd) = contents.entries();
    let mut seen: HashMap<&[u8], u32> = HashMap::new();
    let doubled = entries.iter().filter(|e| seen.insert(e.base, e.uid).is_some()).count();
    let mut problems = Vec::new();
    if contents.header.is_none() && !contents.bytes.is_empty() {
        problems.push("unusable first line".to_string());
    }
    if odd > 0 {
        problems.push(format!("{odd} octets in lines that break a rule"));
    }
    if doubled > 0 {
        problems.push(format!("{doubled} names with two UIDs"));
    }
    if contents.is_torn() {
        problems.push("torn last line".into());
    }
    if problems.is_empty() {
        return Ok(());
    }
    if plan.repair {
        // A session that opens the folder now writes a sound one; only the index must not claim to know this file.
        index::touch_uidlist(&path)?;
    }
    found.push(Finding { kind: Kind::BadUidlist, path, detail: problems.join(", "), mended: plan.repair });
    Ok(())
}

/// What the index says against what the files are.
fn contents(store: &Store, folder: &FolderName, plan: Plan, found: &mut Vec<Finding>) -> Result<()> {
    let mut mailbox = store.mailbox(folder, Mode::Target)?;
    let differences = mailbox.differences()?;
    if !differences.is_empty() {
        if plan.repair {
            mailbox.rebuild_index()?;
        }
        let path = mailbox.maildir().path().join(index::FILE);
        let detail =
            format!("{} differences, first: {}", differences.len(), differences.first().map_or("", String::as_str));
        found.push(Finding { kind: Kind::BadIndex, path, detail, mended: plan.repair });
    }
    let uids: Vec<u32> = mailbox.messages().map(|m| m.uid).collect();
    for uid in uids {
        sizes(&mut mailbox, uid, plan, found)?;
    }
    mailbox.release()
}

fn sizes(mailbox: &mut crate::mailbox::Mailbox, uid: u32, plan: Plan, found: &mut Vec<Finding>) -> Result<()> {
    let base = mailbox.base_name(uid).unwrap_or_default();
    let path = mailbox.maildir().cur_dir().join(name::os(&base));
    let mut file = match mailbox.open_message(uid) {
        Ok(file) => file,
        Err(Error::Gone(_)) => return Ok(()),
        Err(e) => return Err(e),
    };
    let length = file.metadata().map_err(Error::io("stat", &path))?.len();
    if name::physical_size(&base).is_some_and(|size| size != length) {
        let detail = format!("UID {uid}: is {length} octets");
        found.push(Finding { kind: Kind::WrongSize, path: path.clone(), detail, mended: false });
    }
    if plan.read {
        let count = crate::mailbox::count(&mut file).map_err(Error::io("read", &path))?;
        let known = mailbox.get(uid).and_then(|m| m.virtual_size);
        if known.is_some_and(|k| k != count) {
            let detail = format!("UID {uid}: is {count} octets with CRLF, known as {}", known.unwrap_or(0));
            found.push(Finding { kind: Kind::WrongVirtualSize, path, detail, mended: plan.repair });
        }
        if plan.repair || known.is_none() {
            mailbox.learned(uid, count);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;
    use crate::testdir::TestDir;

    fn kinds(found: &[Finding]) -> Vec<&'static str> {
        let mut words: Vec<&str> = found.iter().map(|f| f.kind.word()).collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn finds_and_mends() {
        let t = TestDir::new();
        let store = Store::open_or_create(&t.path().join("M"), StoreOptions::default()).unwrap();
        let inbox = FolderName::inbox();
        let root = store.root().path().to_path_buf();
        std::fs::write(root.join("cur/1.a.h,S=2,W=3:2,S"), "x\n").unwrap();
        drop(store.mailbox(&inbox, Mode::ReadWrite).unwrap());
        let look = Plan { repair: false, read: true };
        assert_eq!(check_folder(&store, &inbox, look).unwrap(), []);
        std::fs::write(root.join("cur/2.b.h,S=9,W=9:2,"), "y\n").unwrap();
        std::fs::hard_link(root.join("cur/1.a.h,S=2,W=3:2,S"), root.join("new/1.a.h,S=2,W=3")).unwrap();
        std::fs::write(root.join("new/2.b.h,S=9,W=9"), "other\n").unwrap();
        std::fs::create_dir(root.join("cur/subdir")).unwrap();
        let bad = kinds(&check_folder(&store, &inbox, look).unwrap());
        assert_eq!(bad, ["duplicate-name", "duplicate-name", "stray-file", "wrong-size", "wrong-virtual-size"]);
        check_folder(&store, &inbox, Plan { repair: true, read: true }).unwrap();
        std::fs::remove_dir(root.join("cur/subdir")).unwrap();
        assert_eq!(kinds(&check_folder(&store, &inbox, look).unwrap()), ["wrong-size"]);
        assert_eq!(store.status(&inbox).unwrap().messages, 3);
    }

    #[test]
    fn uidlist_index_and_marker() {
        let t = TestDir::new();
        let store = Store::open_or_create(&t.path().join("M"), StoreOptions::default()).unwrap();
        let sub = FolderName::from_parts(&["Sub"]).unwrap();
        let path = store.create(&sub).unwrap().path().to_path_buf();
        for i in 1..4 {
            std::fs::write(path.join(format!("cur/{i}.a.h,S=2,W=3:2,S")), "x\n").unwrap();
        }
        let uidvalidity = store.status(&sub).unwrap().uidvalidity;
        std::fs::remove_file(path.join(FOLDER_MARKER)).unwrap();
        let list = std::fs::read_to_string(path.join(uidlist::FILE)).unwrap();
        std::fs::write(path.join(uidlist::FILE), format!("{list}2 :again\nnonsense\n")).unwrap();
        let found = check_folder(&store, &sub, Plan::default()).unwrap();
        assert_eq!(kinds(&found), ["bad-uidlist", "missing-maildirfolder"]);
        check_folder(&store, &sub, Plan { repair: true, read: false }).unwrap();
        assert_eq!(check_folder(&store, &sub, Plan::default()).unwrap(), []);
        let status = store.status(&sub).unwrap();
        assert_eq!((status.uidvalidity, status.messages), (uidvalidity, 3));
    }

    #[test]
    fn quota_is_compared_and_left_alone() {
        let t = TestDir::new();
        let store = Store::open_or_create(&t.path().join("M"), StoreOptions::default()).unwrap();
        let file = store.root().path().join("maildirsize");
        std::fs::write(&file, "100S\n55 5\n").unwrap();
        assert_eq!(kinds(&check_tree(&store, Plan::default()).unwrap()), ["wrong-quota"]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "100S\n55 5\n");
        check_tree(&store, Plan { repair: true, read: false }).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "100S\n0 0\n");
    }
}
