//! All tables together, read from the tables directory and read again when a file changed.
//!
//! Failures    a file that is missing is an empty table; one that cannot be read keeps its last content, with a line
//!             in the log; a wrong line is left out, with a line in the log

use crate::access::Access;
use crate::aliases::Aliases;
use crate::apps::Apps;
use crate::domains::Domains;
use crate::lines::Mistake;
use crate::routes::Routes;
use crate::users::Users;
use crate::virt::Virtual;
use penny_base::{Config, log};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Names of the tables, which are their file names.
pub const NAMES: [&str; 7] = ["users", "aliases", "virtual", "domains", "routes", "access", "senders"];

/// Every table.
#[derive(Debug, Default)]
pub struct Tables {
    directory: PathBuf,
    stamps: Vec<Option<(SystemTime, u64)>>,
    hostname: String,
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
            stamps: vec![None; NAMES.len()],
            hostname: config.hostname().to_lowercase(),
            ..Tables::default()
        };
        for name in NAMES {
            tables.load(name);
        }
        tables.imply_domains();
        tables.stamps = tables.current_stamps();
        tables
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn current_stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let stamp = |n: &&str| {
            let m = std::fs::metadata(self.path(n)).ok()?;
            Some((m.modified().ok()?, m.len()))
        };
        NAMES.iter().map(stamp).collect()
    }

    /// Reads again what changed on disk; true when something did.
    pub fn refresh(&mut self) -> bool {
        let now = self.current_stamps();
        if now == self.stamps {
            return false;
        }
        let changed: Vec<&str> =
            NAMES.iter().zip(now.iter().zip(&self.stamps)).filter(|(_, (a, b))| a != b).map(|(n, _)| *n).collect();
        for name in changed {
            self.load(name);
        }
        if self.stamps.get(3) != now.get(3) {
            self.load("domains");
        }
        self.imply_domains();
        self.stamps = now;
        true
    }

    fn load(&mut self, name: &str) {
        let path = self.path(name);
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(e) => return log::warning("table", None, &[("file", &path.display()), ("why", &e)]),
        };
        for m in self.take(name, &text) {
            log::warning("table", None, &[("file", &path.display()), ("line", &m.line), ("why", &m.text)]);
        }
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

    fn imply_domains(&mut self) {
        let implied: std::collections::BTreeSet<String> =
            self.users.domains().map(str::to_lowercase).chain(["localhost".into(), self.hostname.clone()]).collect();
        for domain in implied {
            self.domains.imply_local(&domain);
        }
    }

    /// Finds the mistakes in the text of one table.
    pub fn mistakes(name: &str, text: &str) -> Vec<Mistake> {
        if name == "app-passwords" { Apps::parse(text).1 } else { Tables::default().take(name, text) }
    }

    /// Finds the mistakes of one table file without using it.
    pub fn check(name: &str, path: &Path) -> std::io::Result<Vec<Mistake>> {
        let text = match std::fs::read_to_string(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        Ok(Tables::mistakes(name, &text))
    }
}
