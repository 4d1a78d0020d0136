//! Who may do what with a folder: the `dovecot-acl` file.
//!
//! Standards   RFC 4314 2.1 (the rights)
//! Format      Dovecot's: lines `identifier rights [:words]`, identifier `owner`, `user=NAME`, `group=NAME`,
//!             `group-override=NAME`, `authenticated` or `anyone`, with `-` in front for rights taken away, in quotes when it
//!             holds blanks; letters lrwstipekxa, after a colon the same as words
//! Invariants  1. without a file the owner has all rights and others none   2. the owner always has `l` and `a`: a user can
//!             take back what was given away   3. lines that are not understood are kept as they are
//! Trust       the file may be written by other programs of the same user

use std::path::{Path, PathBuf};

use crate::dir::{FILE_MODE, Maildir};
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
    fn parse(text: &str) -> Option<Who> {
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

    fn text(&self) -> String {
        match self {
            Who::Anyone => "anyone".into(),
            Who::Authenticated => "authenticated".into(),
            Who::Owner => "owner".into(),
            Who::Group(name) => format!("group={name}"),
            Who::User(name) => format!("user={name}"),
            Who::GroupOverride(name) => format!("group-override={name}"),
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
    lines: Vec<Line>,
}

impl Acl {
    /// Reads the file of a folder; none is an empty one.
    pub fn of_folder(dir: &Maildir) -> Result<Acl> {
        let path = dir.path().join(FILE);
        let lines = read(&path)?;
        Ok(Acl { path, lines })
    }

    /// What the file says, with the owner's rights in front where it does not say those.
    pub fn entries(&self) -> Vec<Entry> {
        let written: Vec<Entry> =
            self.lines.iter().filter_map(|l| if let Line::Entry(e) = l { Some(e.clone()) } else { None }).collect();
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
        let mut entries: Vec<Entry> = self.entries().into_iter().filter(applies).collect();
        entries.sort_by_key(|e| (e.who.rank(), e.negative));
        let sum = entries.iter().fold(Rights::NONE, |sum, e| match e.negative {
            true => sum.without(e.rights),
            false => e.rights,
        });
        sum.with(Rights(of('l') | of('a')))
    }

    /// Changes the rights of one identifier under the lock: `change` gets what it has and gives what it shall have;
    /// no rights at all remove the line, but the owner's own, which would mean the default.
    pub fn set(&mut self, who: &Who, negative: bool, change: impl Fn(Rights) -> Rights) -> Result<()> {
        let _lock = Dotlock::take(&self.path, STALE_SHORT)?;
        self.lines = read(&self.path)?;
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
        self.lines = read(&self.path)?;
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
        penny_sys::fs::replace_file(&self.path, text.as_bytes(), FILE_MODE).map_err(Error::io("write", &self.path))
    }
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
