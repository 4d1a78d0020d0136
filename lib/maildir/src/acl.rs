//! Who may do what with a folder: the `dovecot-acl` file.
//!
//! Standards   RFC 4314 2.1 (the rights)
//! Format      Dovecot's: lines `identifier rights [:words]`, identifier `owner`, `user=NAME`, `group=NAME`,
//!             `group-override=NAME`, `authenticated` or `anyone`, with `-` in front for rights taken away, in quotes when it
//!             holds blanks; letters lrwstipekxa, after a colon the same as words
//! Invariants  1. without a file the owner has all rights and others none   2. the owner always has `l` and `a`: a user can
//!             take back what was given away   3. lines that are not understood are kept as they are
//!             4. who is not the owner has what the file gives, and without a file nothing
//! Trust       the file may be written by other programs of the same user

use std::path::{Path, PathBuf};

use crate::dir::{Maildir, file_mode};
use crate::dotlock::{Dotlock, STALE_SHORT};
use crate::error::{Error, Result, if_there};

/// Name of the file.
pub const FILE: &str = "dovecot-acl";
/// Largest file read.
const FILE_MAX: u64 = 1 << 20;
/// Letters with their bits, and Dovecot's words for them.
const LETTERS: [(char, &str); 11] = [
    ('l', "lookup"),
    ('r', "read"),
    ('w', "write"),
    ('s', "write-seen"),
    ('t', "write-deleted"),
    ('i', "insert"),
    ('p', "post"),
    ('e', "expunge"),
    ('k', "create"),
    ('x', "delete"),
    ('a', "admin"),
];

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u16);

impl Rights {
    /// All of them.
    pub const ALL: Rights = Rights((1 << LETTERS.len()) - 1);
    /// None.
    pub const NONE: Rights = Rights(0);

    /// From letters; `c` and `d` of RFC 2086 stand for `kx` and `et` (RFC 4314 2.1.1). `None` when one is not known.
    pub fn parse(text: &str) -> Option<Rights> {
        let bits = |letter: char| match letter {
            'c' => Some(of('k') | of('x')),
            'd' => Some(of('e') | of('t')),
            other => Some(of(other)).filter(|b| *b != 0),
        };
        text.chars().try_fold(0, |sum, c| Some(sum | bits(c)?)).map(Rights)
    }

    /// True if it holds all of these letters.
    pub fn has(self, letters: &str) -> bool {
        letters.chars().all(|c| self.0 & of(c) != 0)
    }

    /// True if it holds one of these letters.
    pub fn has_any(self, letters: &str) -> bool {
        letters.chars().any(|c| self.0 & of(c) != 0)
    }

    /// Both together.
    pub fn with(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// Those not in the other.
    pub fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    /// Letters as kept in the file.
    pub fn letters(self) -> String {
        LETTERS.iter().filter(|(c, _)| self.0 & of(*c) != 0).map(|(c, _)| *c).collect()
    }

    /// Letters as told to clients: with the virtual `c` and `d` where a part of them is held (RFC 4314 2.1.1).
    pub fn shown(self) -> String {
        let mut text = self.letters();
        text.extend(self.has_any("kx").then_some('c'));
        text.extend(self.has_any("et").then_some('d'));
        text
    }
}

fn of(letter: char) -> u16 {
    LETTERS.iter().position(|(c, _)| *c == letter).map_or(0, |n| 1 << n)
}

/// Whom a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    Anyone,
    /// Everybody who has logged in.
    Authenticated,
    /// A group.
    Group(String),
    /// The owner of the mail.
    Owner,
    /// A user.
    User(String),
    /// A group, before all others.
    GroupOverride(String),
}

impl Who {
    /// Reads what the file writes.
    pub fn parse(text: &str) -> Option<Who> {
        Some(match text.split_once('=') {
            None if text == "owner" => Who::Owner,
            None if text == "anyone" => Who::Anyone,
            None if text == "authenticated" => Who::Authenticated,
            Some(("user", name)) => Who::User(name.to_owned()),
            Some(("group", name)) => Who::Group(name.to_owned()),
            Some(("group-override", name)) => Who::GroupOverride(name.to_owned()),
            _ => return None,
        })
    }

    /// As the file writes it.
    pub fn text(&self) -> String {
        match self {
            Who::Anyone => "anyone".into(),
            Who::Authenticated => "authenticated".into(),
            Who::Owner => "owner".into(),
            Who::Group(name) => format!("group={name}"),
            Who::User(name) => format!("user={name}"),
            Who::GroupOverride(name) => format!("group-override={name}"),
        }
    }

    /// Whether this means somebody who is not the owner: a user, member of these groups.
    pub fn includes(&self, user: &str, groups: &[String]) -> bool {
        match self {
            Who::Anyone | Who::Authenticated => true,
            Who::Owner => false,
            Who::User(name) => name == user,
            Who::Group(name) | Who::GroupOverride(name) => groups.contains(name),
        }
    }

    /// Later ones replace earlier ones.
    fn rank(&self) -> u8 {
        match self {
            Who::Anyone => 0,
            Who::Authenticated => 1,
            Who::Group(_) => 2,
            Who::Owner => 3,
            Who::User(_) => 4,
            Who::GroupOverride(_) => 5,
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whom it is about.
    pub who: Who,
    /// The rights are taken away instead of given.
    pub negative: bool,
    /// The rights.
    pub rights: Rights,
}

enum Line {
    Entry(Entry),
    Other(String),
}

/// The rights on one folder.
pub struct Acl {
    path: PathBuf,
    /// Stands for a missing file.
    default: Option<PathBuf>,
    lines: Vec<Line>,
}

impl Acl {
    /// Reads the file of a folder; none is an empty one.
    pub fn of_folder(dir: &Maildir) -> Result<Acl> {
        Acl::open(dir, None)
    }

    /// Reads the file of a public folder; where it has none, that of the root of the public folders counts.
    pub fn of_public(dir: &Maildir, root: &Maildir) -> Result<Acl> {
        Acl::open(dir, Some(root.path().join(FILE)))
    }

    fn open(dir: &Maildir, default: Option<PathBuf>) -> Result<Acl> {
        let mut acl = Acl { path: dir.path().join(FILE), default, lines: Vec::new() };
        acl.reread()?;
        Ok(acl)
    }

    fn reread(&mut self) -> Result<()> {
        let default = self.default.as_ref().filter(|_| !self.path.exists());
        self.lines = read(default.unwrap_or(&self.path))?;
        Ok(())
    }

    /// What the file says.
    pub fn written(&self) -> Vec<Entry> {
        self.lines.iter().filter_map(|l| if let Line::Entry(e) = l { Some(e.clone()) } else { None }).collect()
    }

    /// The same, with the owner's rights in front where it does not say those.
    pub fn entries(&self) -> Vec<Entry> {
        let written = self.written();
        let owner = written.iter().any(|e| e.who == Who::Owner && !e.negative);
        let default = Entry { who: Who::Owner, negative: false, rights: Rights::ALL };
        (!owner).then_some(default).into_iter().chain(written).collect()
    }

    /// What the owner, logged in as `user`, may do.
    pub fn owner_rights(&self, user: &str) -> Rights {
        let applies = |e: &Entry| match &e.who {
            Who::Anyone | Who::Authenticated | Who::Owner => true,
            Who::User(name) => name == user,
            Who::Group(_) | Who::GroupOverride(_) => false,
        };
        sum(self.entries().into_iter().filter(applies).collect()).with(Rights(of('l') | of('a')))
    }

    /// What somebody else may do: a user, member of these groups.
    pub fn rights_of(&self, user: &str, groups: &[String]) -> Rights {
        sum(self.written().into_iter().filter(|e| e.who.includes(user, groups)).collect())
    }

    /// Gives a new folder the rights written for the one above it, as Dovecot does.
    pub fn inherit(&self, folder: &Maildir) -> Result<()> {
        if self.lines.is_empty() || !self.path.exists() {
            return Ok(());
        }
        let lines = read(&self.path)?;
        Acl { path: folder.path().join(FILE), default: None, lines }.write()
    }

    /// Changes the rights of one identifier under the lock: `change` gets what it has and gives what it shall have;
    /// no rights at all remove the line, but the owner's own, which would mean the default.
    pub fn set(&mut self, who: &Who, negative: bool, change: impl Fn(Rights) -> Rights) -> Result<()> {
        let _lock = Dotlock::take(&self.path, STALE_SHORT)?;
        self.reread()?;
        let same = |e: &Entry| e.who == *who && e.negative == negative;
        let had = self.entries().into_iter().find(same).map_or(Rights::NONE, |e| e.rights);
        let rights = change(had);
        self.lines.retain(|l| !matches!(l, Line::Entry(e) if same(e)));
        if rights != Rights::NONE || (*who == Who::Owner && !negative) {
            self.lines.push(Line::Entry(Entry { who: who.clone(), negative, rights }));
        }
        self.write()
    }

    /// Removes what is said of one identifier.
    pub fn remove(&mut self, who: &Who, negative: bool) -> Result<()> {
        let _lock = Dotlock::take(&self.path, STALE_SHORT)?;
        self.reread()?;
        let before = self.lines.len();
        self.lines.retain(|l| !matches!(l, Line::Entry(e) if e.who == *who && e.negative == negative));
        if self.lines.len() == before { Ok(()) } else { self.write() }
    }

    fn write(&self) -> Result<()> {
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Entry(e) => text.push_str(&format_entry(e)),
                Line::Other(other) => text.push_str(other),
            }
            text.push('\n');
        }
        penny_sys::fs::replace_file_exactly(&self.path, text.as_bytes(), file_mode(&self.path))
            .map_err(Error::io("write", &self.path))
    }
}

/// Later ones replace earlier ones; groups of one rank add up.
fn sum(mut entries: Vec<Entry>) -> Rights {
    entries.sort_by_key(|e| (e.who.rank(), e.negative));
    let mut sum = Rights::NONE;
    let mut rank = None;
    for e in entries {
        let again = rank.replace(e.who.rank()) == Some(e.who.rank());
        sum = match (e.negative, again) {
            (true, _) => sum.without(e.rights),
            (false, true) => sum.with(e.rights),
            (false, false) => e.rights,
        };
    }
    sum
}

fn read(path: &Path) -> Result<Vec<Line>> {
    let bytes = if_there(path, penny_sys::fs::read_limited(path, FILE_MAX))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let line = |l: &str| parse_line(l).map_or_else(|| Line::Other(l.to_owned()), Line::Entry);
    Ok(text.lines().map(line).collect())
}

fn parse_line(line: &str) -> Option<Entry> {
    let (identifier, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => line.split_once(' ').unwrap_or((line, "")),
    };
    let (negative, name) = identifier.strip_prefix('-').map_or((false, identifier), |n| (true, n));
    let (letters, words) = rest.trim().split_once(':').unwrap_or((rest.trim(), ""));
    let mut rights = Rights::parse(letters.trim())?;
    for word in words.split_whitespace() {
        let (letter, _) = LETTERS.iter().find(|(_, w)| *w == word)?;
        rights = rights.with(Rights(of(*letter)));
    }
    Some(Entry { who: Who::parse(name)?, negative, rights })
}

fn format_entry(e: &Entry) -> String {
    let name = format!("{}{}", if e.negative { "-" } else { "" }, e.who.text());
    let name = if name.contains(' ') { format!("\"{name}\"") } else { name };
    format!("{name} {}", e.rights.letters())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    fn acl(t: &TestDir, text: &str) -> Acl {
        let dir = Maildir::open_or_create(&t.path().join("M")).unwrap();
        if !text.is_empty() {
            std::fs::write(dir.path().join(FILE), text).unwrap();
        }
        Acl::of_folder(&dir).unwrap()
    }

    #[test]
    fn rights_and_virtual_rights() {
        assert_eq!(Rights::ALL.letters(), "lrwstipekxa");
        assert_eq!(Rights::ALL.shown(), "lrwstipekxacd");
        assert_eq!(Rights::parse("lrd").unwrap().letters(), "lrte");
        assert_eq!(Rights::parse("c").unwrap().shown(), "kxc");
        assert_eq!(Rights::parse("lrz"), None);
        assert!(Rights::parse("rs").unwrap().has("rs") && !Rights::parse("r").unwrap().has("rs"));
    }

    #[test]
    fn what_the_owner_may_do() {
        let t = TestDir::new();
        assert_eq!(acl(&t, "").owner_rights("joe"), Rights::ALL);
        assert_eq!(acl(&t, "user=bob lr\n").owner_rights("joe"), Rights::ALL);
        assert_eq!(acl(&t, "owner lr\nanyone lrwi\n").owner_rights("joe").letters(), "lra");
        assert_eq!(acl(&t, "owner lr\nuser=joe lrs\n").owner_rights("joe").letters(), "lrsa");
        assert_eq!(acl(&t, "-owner xe\n").owner_rights("joe").letters(), "lrwstipka");
        assert_eq!(acl(&t, "owner :lookup read\n").owner_rights("joe").letters(), "lra");
        assert_eq!(acl(&t, "owner \n").owner_rights("joe").letters(), "la");
    }

    #[test]
    fn what_others_may_do() {
        let t = TestDir::new();
        let groups = ["staff".to_owned(), "board".to_owned()];
        let rights = |text: &str, user: &str| acl(&t, text).rights_of(user, &groups).letters();
        assert_eq!(acl(&t, "").rights_of("bob", &groups), Rights::NONE);
        assert_eq!(rights("owner lrw\nanyone l\nuser=bob lr\n", "bob"), "lr");
        assert_eq!(rights("authenticated l\nuser=bob lr\n", "eve"), "l");
        assert_eq!(rights("group=staff lr\ngroup=board li\ngroup=other x\n", "eve"), "lri");
        assert_eq!(rights("anyone lrs\n-user=eve s\n", "eve"), "lr");
        assert_eq!(rights("user=eve lrs\ngroup-override=board l\n", "eve"), "l");
    }

    #[test]
    fn public_folders_go_by_the_file_of_their_root() {
        let t = TestDir::new();
        let root = Maildir::open_or_create(&t.path().join("P")).unwrap();
        let folder = Maildir::create_folder(&t.path().join("P/.News")).unwrap();
        std::fs::write(root.path().join(FILE), "authenticated lr\n").unwrap();
        let mut a = Acl::of_public(&folder, &root).unwrap();
        assert_eq!(a.rights_of("bob", &[]).letters(), "lr");
        // the first change of its own begins with what held
        a.set(&Who::User("bob".into()), false, |_| Rights::parse("lri").unwrap()).unwrap();
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(text, "authenticated lr\nuser=bob lri\n");
        let below = Maildir::create_folder(&t.path().join("P/.News.Old")).unwrap();
        a.inherit(&below).unwrap();
        assert_eq!(Acl::of_public(&below, &root).unwrap().rights_of("bob", &[]).letters(), "lri");
    }

    #[test]
    fn changes_keep_what_is_not_understood() {
        let t = TestDir::new();
        let mut a = acl(&t, "# a comment\n\"user=two words\" lr\ngroup=staff lrw:post\nodd =\n");
        assert_eq!(a.entries().len(), 3);
        a.set(&Who::User("bob".into()), false, |had| had.with(Rights::parse("lr").unwrap())).unwrap();
        a.set(&Who::User("bob".into()), false, |had| had.without(Rights::parse("l").unwrap())).unwrap();
        a.set(&Who::User("bob".into()), true, |_| Rights::parse("x").unwrap()).unwrap();
        let text = std::fs::read_to_string(&a.path).unwrap();
        assert_eq!(text, "# a comment\n\"user=two words\" lr\ngroup=staff lrwp\nodd =\nuser=bob r\n-user=bob x\n");
        a.set(&Who::User("bob".into()), false, |_| Rights::NONE).unwrap();
        a.remove(&Who::User("bob".into()), true).unwrap();
        a.set(&Who::Owner, false, |had| had.without(Rights::parse("e").unwrap())).unwrap();
        assert!(std::fs::read_to_string(&a.path).unwrap().ends_with("odd =\nowner lrwstipkxa\n"));
    }
}
