//! Who shares folders with whom: found before a session is confined, and noted for others when rights change.
//!
//! Format      `imapd.shared`/USER: what the rights of the user's folders name with `l`, a line each (`user=ann`, `anyone`)
//! Invariants  1. a note is a hint: what a session may open and do comes from the owner's own files alone
//!             2. a session can open of another user's mail what that user's rights let its user see, and no more; INBOX is the
//!             directory that holds all others, so who may see it can open those too
//! Trust       notes may be written by any session of the shared id; the owner's Maildir only by the owner's
use penny_base::owner::Share;
use penny_base::services::Lookup;
use penny_base::{Config, Owner, log};
use penny_maildir::acl::{Acl, Rights, Who};
use penny_maildir::{DiskEncoding, FolderName, Maildir, Store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Users whose folders one session shows.
const OWNERS_MAX: usize = 1000;
/// Largest note read.
const NOTE_MAX: u64 = 64 * 1024;

/// Whom rights are given to: a user and the groups it is in.
#[derive(Debug, Clone)]
pub struct Subject {
    pub user: String,
    pub groups: Vec<String>,
}

impl Subject {
    /// The session's user; groups are those of a uid of its own.
    pub fn of(owner: &Owner) -> Subject {
        let groups = if owner.is_alone() { penny_sys::ids::own_group_names() } else { Vec::new() };
        Subject { user: owner.user.clone(), groups }
    }

    /// What an ACL gives it as one who is not the owner.
    pub fn rights(&self, acl: &Acl) -> Rights {
        acl.rights_of(&self.user, &self.groups)
    }

    fn is_named(&self, identifier: &str) -> bool {
        Who::parse(identifier).is_some_and(|who| who.includes(&self.user, &self.groups))
    }
}

/// Adds what this session may open beside its own mail.
pub fn open(config: &Config, owner: &mut Owner) {
    owner.shares = find(config, owner);
    owner.writable.push(config.imapd.shared.clone());
    if may_set_quota(config, owner) {
        // any mailbox of this uid may be named
        owner.writable.push("/".into());
    }
}

/// Whether this user sets the quota of others: an administrator who has the uid of all users.
pub fn may_set_quota(config: &Config, owner: &Owner) -> bool {
    config.imapd.admins.contains(&owner.user) && !owner.is_alone()
}

fn find(config: &Config, owner: &Owner) -> Vec<Share> {
    let separator = &config.imapd.separator;
    let public = config.imapd.public.iter().filter_map(|entry| entry.split_once(' '));
    // a uid of its own that is not in the group is not told
    let public = public.filter(|(_, dir)| std::fs::read_dir(dir).is_ok()).map(|(name, dir)| Share {
        owner: None,
        prefix: format!("{}{separator}", name.trim_end_matches(separator.as_str())),
        root: PathBuf::from(dir),
        open: vec![PathBuf::from(dir)],
    });
    let mut all: Vec<Share> = public.collect();
    if is_on(config) {
        all.extend(others(config, owner));
    }
    all
}

fn is_on(config: &Config) -> bool {
    config.imapd.shared.is_absolute()
}

fn others(config: &Config, owner: &Owner) -> Vec<Share> {
    let subject = Subject::of(owner);
    let names = sharers(&config.imapd.shared, &subject);
    if names.is_empty() {
        return Vec::new();
    }
    let mut lookup = match Lookup::connect(config, None) {
        Ok(lookup) => lookup,
        Err(e) => {
            log::warning("shared", None, &[("user", &owner.user), ("why", &e)]);
            return Vec::new();
        }
    };
    let mut all = Vec::new();
    for name in names {
        let Ok(Some(user)) = lookup.user(&name) else { continue };
        let open = open_to(&user.maildir, &subject);
        if !open.is_empty() {
            let prefix = [config.imapd.shared_prefix.as_str(), &name, ""].join(&config.imapd.separator);
            all.push(Share { owner: Some(name), prefix, root: user.maildir, open });
        }
    }
    all
}

/// The users whose notes name the subject, by name.
fn sharers(dir: &Path, subject: &Subject) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return BTreeSet::new() };
    let names = entries.flatten().filter_map(|e| user_of(e.file_name().to_str()?));
    let named = |name: &String| {
        let note = penny_sys::fs::read_limited(&dir.join(file_of(name)), NOTE_MAX).unwrap_or_default();
        String::from_utf8_lossy(&note).lines().any(|l| subject.is_named(l))
    };
    names.filter(|n| *n != subject.user).filter(named).take(OWNERS_MAX).collect()
}

/// The directories of a Maildir that its rights show to the subject, and the file that counts its quota.
fn open_to(maildir: &Path, subject: &Subject) -> Vec<PathBuf> {
    // most folders have no rights written, which is one question and shows nothing
    let written = |dir: &Path| dir.join(penny_maildir::acl::FILE).exists();
    // never through a link: it could lead into a third user's mail
    let own = |dir: &Path| std::fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir());
    let acl = |dir: &Path| Maildir::open(dir).and_then(|d| Acl::of_folder(&d));
    let sees = |dir: &Path| written(dir) && own(dir) && acl(dir).is_ok_and(|acl| subject.rights(&acl).has("l"));
    if sees(maildir) {
        return vec![maildir.to_path_buf()];
    }
    let Ok(entries) = std::fs::read_dir(maildir) else { return Vec::new() };
    let folder = |name: &str| FolderName::from_dir(name, DiskEncoding::Mutf7).is_some();
    let dirs = entries.flatten().filter(|e| e.file_name().to_str().is_some_and(folder)).map(|e| e.path());
    let mut open: Vec<PathBuf> = dirs.filter(|d| sees(d)).collect();
    if !open.is_empty() {
        let size = maildir.join(penny_maildir::quota::FILE);
        open.extend(std::fs::symlink_metadata(&size).is_ok_and(|m| m.is_file()).then_some(size));
    }
    open
}

/// Notes whom the rights of this user's folders name, where that has changed.
pub fn note(config: &Config, user: &str, store: &Store) {
    if is_on(config)
        && let Err(e) = write_note(&config.imapd.shared.join(file_of(user)), store)
    {
        log::warning("shared", None, &[("user", &user), ("why", &e)]);
    }
}

fn write_note(path: &Path, store: &Store) -> std::io::Result<()> {
    let folders = store.list().unwrap_or_default().into_iter().filter(|f| f.selectable);
    let entries = folders.filter_map(|f| store.acl(&f.name).ok()).flat_map(|acl| acl.written());
    let shown = entries.filter(|e| !e.negative && e.who != Who::Owner && e.rights.has("l"));
    let lines: BTreeSet<String> = shown.map(|e| format!("{}\n", e.who.text())).collect();
    let text: String = lines.into_iter().collect();
    let before = penny_sys::fs::read_limited(path, NOTE_MAX).unwrap_or_default();
    if before == text.as_bytes() {
        return Ok(());
    }
    if text.is_empty() {
        return std::fs::remove_file(path);
    }
    penny_sys::fs::replace_file(path, text.as_bytes(), 0o644)
}

/// The file of a user: what would hide it or lead elsewhere is written as %XX.
fn file_of(user: &str) -> String {
    let mut name = user.replace('%', "%25").replace('/', "%2F").replace('\0', "%00");
    if name.starts_with('.') {
        name.replace_range(..1, "%2E");
    }
    name
}

fn user_of(file: &str) -> Option<String> {
    let user = file.replace("%2E", ".").replace("%00", "\0").replace("%2F", "/").replace("%25", "%");
    (file_of(&user) == file).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_a_file() {
        for user in ["ann", "ann@example.org", "../x", ".hidden", "100%", "%2F", "a/b"] {
            let file = file_of(user);
            assert!(!file.contains('/') && !file.starts_with('.'), "{file}");
            assert_eq!(user_of(&file).as_deref(), Some(user), "{file}");
        }
        // the temporary files of a note that is being written
        assert_eq!(user_of(".ann.12.ab"), None);
    }

    #[test]
    fn a_link_opens_nothing() {
        let t = penny_testkit::TempDir::new();
        let ann = Maildir::open_or_create(&t.join("ann")).unwrap();
        let third = Maildir::create_folder(&t.join("third")).unwrap();
        let shared = Maildir::create_folder(&ann.path().join(".Shared")).unwrap();
        Maildir::create_folder(&ann.path().join(".Own")).unwrap();
        for dir in [&third, &shared] {
            std::fs::write(dir.path().join(penny_maildir::acl::FILE), "user=bob lr\n").unwrap();
        }
        std::os::unix::fs::symlink(third.path(), ann.path().join(".Link")).unwrap();
        let bob = Subject { user: "bob".into(), groups: Vec::new() };
        assert_eq!(open_to(ann.path(), &bob), [shared.path()]);
        std::fs::write(ann.path().join(penny_maildir::quota::FILE), "1000S\n").unwrap();
        assert_eq!(open_to(ann.path(), &bob).len(), 2);
        std::fs::write(ann.path().join(penny_maildir::acl::FILE), "anyone l\n").unwrap();
        assert_eq!(open_to(ann.path(), &bob), [ann.path()]);
        assert!(open_to(&t.join("nobody"), &bob).is_empty());
    }
}
