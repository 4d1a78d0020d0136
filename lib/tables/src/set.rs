//! All tables together, read from the tables directory and read again when a file changed.
//!
//! Sources     a table is text that was read, NAME.cdb or a program that is asked: then a question begins with
//!             [`Tables::begin`] and its answer counts only without [`Tables::trouble`]
//! Failures    a file that is missing is an empty table; one that cannot be read keeps its last content, with a line
//!             in the log, and before it has any, a question that asks it is in trouble; a wrong line is left out, with
//!             a line in the log

use crate::access::Access;
use crate::aliases::Aliases;
use crate::apps::Apps;
use crate::behind::{Behind, Question, Source, Unavailable};
use crate::domains::Domains;
use crate::lines::Mistake;
use crate::program;
use crate::routes::Routes;
use crate::source;
use crate::users::Users;
use crate::virt::Virtual;
use penny_base::{Config, log};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

/// Names of the tables, which are their file names.
pub const NAMES: [&str; 7] = ["users", "aliases", "virtual", "domains", "routes", "access", "senders"];

/// Every table there is: app passwords are read by checkauth alone.
pub fn all() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(["app-passwords"])
}

/// What a change shows in: time, length, mode, owner and group (a program is one by its mode).
type Seen = Option<(SystemTime, u64, u32, u32, u32)>;

/// Stands behind a table whose file is there and could not be read so far.
#[derive(Debug)]
struct Unread;

impl Source for Unread {
    fn get(&self, _: &str, _: Instant) -> Result<Option<String>, Unavailable> {
        Err(Unavailable("could not be read so far".into()))
    }
}

/// Every table.
#[derive(Debug, Default)]
pub struct Tables {
    directory: PathBuf,
    stamps: Vec<[Seen; 2]>,
    hostname: String,
    config: PathBuf,
    question: Question,
    /// Those that have never been read: not to know a user is not to know that there is none.
    unread: BTreeSet<&'static str>,
    /// Mailboxes.
    pub users: Users,
    /// Local names.
    pub aliases: Aliases,
    /// Addresses.
    pub virt: Virtual,
    /// Our domains.
    pub domains: Domains,
    /// Next hops.
    pub routes: Routes,
    /// Who may come in.
    pub access: Access,
    /// Addresses a login may send as, besides its own (Postfix sender_login_maps: address, then logins).
    pub senders: Virtual,
}

impl Tables {
    /// Reads all tables.
    pub fn open(config: &Config) -> Tables {
        let mut tables = Tables {
            directory: config.paths.tables.clone(),
            config: config.file.clone(),
            unread: NAMES.into(),
            ..Tables::default()
        };
        tables.read_again(config);
        tables
    }

    /// Reads all tables again, by what the configuration says now; programs in place of tables are started anew.
    pub fn read_again(&mut self, config: &Config) {
        self.hostname = config.hostname().to_lowercase();
        self.question.set_limit(Duration::from_secs(config.lookup.table_timeout.0.max(1)));
        let now = self.current_stamps();
        for name in NAMES {
            self.load(name);
        }
        self.imply_domains();
        self.stamps = now;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A question that is answered from these tables begins.
    pub fn begin(&self) {
        self.question.begin();
    }

    /// Why the answer to this question means nothing: a source could not be asked.
    pub fn trouble(&self) -> Option<String> {
        self.question.trouble()
    }

    fn current_stamps(&self) -> Vec<[Seen; 2]> {
        let stamp = |path: &Path| {
            let m = std::fs::metadata(path).ok()?;
            Some((m.modified().ok()?, m.len(), m.mode(), m.uid(), m.gid()))
        };
        let both = |n: &&str| [stamp(&self.path(n)), stamp(&crate::compile::path(&self.directory, n))];
        NAMES.iter().map(both).collect()
    }

    /// Reads again what changed on disk; true when something did.
    pub fn refresh(&mut self) -> bool {
        let now = self.current_stamps();
        if now == self.stamps {
            return false;
        }
        let mut changed: BTreeSet<&str> =
            NAMES.iter().zip(now.iter().zip(&self.stamps)).filter(|(_, (a, b))| a != b).map(|(n, _)| *n).collect();
        if changed.contains("users") {
            // a domain goes with its last user
            changed.insert("domains");
        }
        for name in changed {
            self.load(name);
        }
        self.imply_domains();
        self.stamps = now;
        true
    }

    fn load(&mut self, name: &str) {
        match self.read(name) {
            Ok(()) => drop(self.unread.remove(name)),
            Err(e) => {
                log::warning("table", None, &[("file", &self.path(name).display()), ("why", &e)]);
                if self.unread.contains(name) {
                    self.put_unread(name);
                }
            }
        }
    }

    fn read(&mut self, name: &str) -> Result<(), String> {
        let from = source::of(&self.directory, name).map_err(|e| e.to_string())?;
        if let Some(source) = from.behind(&self.directory, name, &self.config) {
            self.put_behind(name, Behind::new(name, source, &self.question));
            return Ok(());
        }
        let path = self.path(name);
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e.to_string()),
        };
        for m in self.take(name, &text) {
            log::warning("table", None, &[("file", &path.display()), ("line", &m.line), ("why", &m.text)]);
        }
        Ok(())
    }

    fn take(&mut self, name: &str, text: &str) -> Vec<Mistake> {
        fn put<T>(place: &mut T, (table, mistakes): (T, Vec<Mistake>)) -> Vec<Mistake> {
            *place = table;
            mistakes
        }
        match name {
            "users" => put(&mut self.users, Users::parse(text)),
            "aliases" => put(&mut self.aliases, Aliases::parse(text)),
            "virtual" => put(&mut self.virt, Virtual::parse(text)),
            "domains" => put(&mut self.domains, Domains::parse(text)),
            "routes" => put(&mut self.routes, Routes::parse(text)),
            "access" => put(&mut self.access, Access::parse(text)),
            _ => put(&mut self.senders, Virtual::parse(text)),
        }
    }

    fn put_behind(&mut self, name: &str, behind: Behind) {
        match name {
            "users" => self.users = Users::behind(behind),
            "aliases" => self.aliases = Aliases::behind(behind),
            "virtual" => self.virt = Virtual::behind(behind),
            "domains" => self.domains = Domains::behind(behind),
            "routes" => self.routes = Routes::behind(behind),
            "access" => self.access = Access::behind(behind),
            _ => self.senders = Virtual::behind(behind),
        }
    }

    fn put_unread(&mut self, name: &str) {
        self.put_behind(name, Behind::new(name, Rc::new(Unread), &self.question));
    }

    fn imply_domains(&mut self) {
        if self.unread.contains("users") {
            // which domains its users have is not known
            return self.put_unread("domains");
        }
        self.question.begin();
        let implied = self.users.implied_domains();
        for domain in implied.into_iter().chain(["localhost".into(), self.hostname.clone()]) {
            self.domains.imply_local(&domain);
        }
    }

    /// Finds the mistakes in the text of one table.
    pub fn mistakes(name: &str, text: &str) -> Vec<Mistake> {
        if name == "app-passwords" { Apps::parse(text).1 } else { Tables::default().take(name, text) }
    }

    /// Finds the mistakes of one table file without using it.
    pub fn check(name: &str, path: &Path) -> std::io::Result<Vec<Mistake>> {
        if let Ok(file) = std::fs::metadata(path)
            && program::is_program(&file)
        {
            let wrong = program::check(&file).err();
            return Ok(wrong.map(|text| Mistake { line: 0, text }).into_iter().collect());
        }
        let text = match std::fs::read_to_string(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        Ok(Tables::mistakes(name, &text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (PathBuf, Config) {
        let dir = std::env::temp_dir().join(format!("penny-set-{:x}", penny_sys::random::u64()));
        std::fs::create_dir(&dir).unwrap();
        let text = format!("hostname = \"mx.test\"\n[paths]\ntables = \"{}\"\n", dir.display());
        (dir, Config::parse(Path::new("p.toml"), &text).unwrap())
    }

    #[test]
    fn a_table_that_was_never_read_knows_nothing_and_says_so() {
        let (dir, config) = place();
        // no permission stops root; a directory does
        std::fs::create_dir(dir.join("users")).unwrap();
        std::fs::write(dir.join("aliases"), "team: x@far.test\n").unwrap();
        let mut tables = Tables::open(&config);
        for find in
            [|t: &Tables| t.users.find("ann@a.test", true).is_some(), |t: &Tables| t.domains.find("a.test").is_some()]
        {
            tables.begin();
            assert!(!find(&tables) && tables.trouble().is_some());
        }
        tables.begin();
        assert!(tables.aliases.find("team").is_some() && tables.trouble().is_none(), "another table is not hurt");
        std::fs::remove_dir(dir.join("users")).unwrap();
        std::fs::write(dir.join("users"), "ann@a.test:x\n").unwrap();
        assert!(tables.refresh());
        tables.begin();
        assert!(tables.users.find("ann@a.test", true).is_some() && tables.domains.find("a.test").is_some());
        assert!(tables.trouble().is_none());
        // once read it keeps what it had; a domain goes with its last user
        std::fs::remove_file(dir.join("users")).unwrap();
        std::fs::create_dir(dir.join("users")).unwrap();
        assert!(tables.refresh() && tables.users.find("ann@a.test", true).is_some());
        std::fs::remove_dir(dir.join("users")).unwrap();
        assert!(tables.refresh());
        assert!(tables.domains.find("a.test").is_none() && tables.domains.find("mx.test").is_some());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
