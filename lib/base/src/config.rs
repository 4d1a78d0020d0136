//! The configuration: one TOML file, every key optional, every mistake shown with its place.
//!
//! Format      pennypost.toml(5); the compiled form (`FILE.checked`) is the same keys, one `section.key<TAB>value`
//!             line each, written by `pennypost check -w` and trusted only when newer than the file
//! Invariants  1. an unknown key is an error   2. all mistakes are found in one pass
//! Failures    `Mistakes`: the list, each `file:line:column: text`
//! Trust       written by the admin

pub mod value;

mod advice;
mod compiled;
mod read;
mod sections;

pub use sections::*;
pub use value::{Chance, Raw, Seconds, Setting, Size};

use std::fmt;
use std::path::{Path, PathBuf};

/// Where the file is unless `-c` or PENNYPOST_CONFIG say else.
pub const DEFAULT_FILE: &str = "/etc/pennypost/pennypost.toml";

/// Everything an admin can set.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The file this came from.
    pub file: PathBuf,
    /// Keys above the first section.
    pub top: Top,
    /// Places.
    pub paths: Paths,
    /// Who runs what.
    pub ids: Ids,
    /// Mailboxes.
    pub mail: Mail,
    /// Receiving.
    pub smtpd: Smtpd,
    /// Authentication.
    pub auth: Auth,
    /// Answers about addresses.
    pub lookup: Lookup,
    /// The queue.
    pub queue: Queue,
    /// Sending.
    pub remote: Remote,
    /// TLS as a server.
    pub tls: TlsServer,
    /// IMAP.
    pub imapd: Imapd,
    /// POP3.
    pub pop3d: Pop3d,
    /// Local delivery.
    pub deliver: Deliver,
    /// ManageSieve.
    pub sieved: Sieved,
    /// The filter mailauth.
    pub mailauth: Mailauth,
    /// The filter dkimsign.
    pub dkimsign: Dkimsign,
    /// The filter spamcheck.
    pub spamcheck: Spamcheck,
    /// The filter virusscan.
    pub virusscan: Virusscan,
    /// What the checks go by.
    pub check: Check,
    /// Listening addresses.
    pub listen: Vec<Listen>,
    /// Filters in their order.
    pub filter: Vec<Filter>,
}

/// One mistake in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// 1-based line.
    pub line: usize,
    /// 1-based column.
    pub column: usize,
    /// What is wrong.
    pub text: String,
}

/// All mistakes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    /// The file.
    pub file: PathBuf,
    /// In the order of their places.
    pub list: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, m) in self.list.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{}:{}: {}", self.file.display(), m.line, m.column, m.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl From<Mistakes> for crate::Failure {
    fn from(m: Mistakes) -> crate::Failure {
        crate::Failure::config("mistakes in the configuration").with_detail(m.to_string().replace('\n', "; "))
    }
}

impl Deliver {
    /// Every message goes through a script of the administrator's.
    pub fn scripts_for_all(&self) -> bool {
        !self.sieve_before.as_os_str().is_empty() || !self.sieve_after.as_os_str().is_empty()
    }
}

impl Config {
    /// The file to read: the option's value, else PENNYPOST_CONFIG, else the default place.
    pub fn file(option: Option<&Path>) -> PathBuf {
        option
            .map(Path::to_path_buf)
            .or_else(|| std::env::var_os("PENNYPOST_CONFIG").map(PathBuf::from))
            .unwrap_or_else(|| DEFAULT_FILE.into())
    }

    /// Reads the compiled form when it is newer than the file, else the file; a missing default file is an empty one.
    pub fn load(option: Option<&Path>) -> Result<Config, Mistakes> {
        let file = Config::file(option);
        if let Some(config) = compiled::load(&file) {
            return Ok(config);
        }
        Config::load_source(&file)
    }

    /// Changes when the file or its compiled form does; two system calls.
    pub fn stamp(&self) -> (Option<String>, Option<String>) {
        compiled::stamps(&self.file)
    }

    /// Reads the TOML file itself and finds every mistake.
    pub fn load_source(file: &Path) -> Result<Config, Mistakes> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && file == Path::new(DEFAULT_FILE) => String::new(),
            Err(e) => {
                let list = vec![Mistake { line: 1, column: 1, text: e.to_string() }];
                return Err(Mistakes { file: file.into(), list });
            }
        };
        Config::parse(file, &text)
    }

    /// Reads the text of a file.
    pub fn parse(file: &Path, text: &str) -> Result<Config, Mistakes> {
        read::parse(file, text)
    }

    /// Writes the compiled form beside the file.
    pub fn write_compiled(&self) -> std::io::Result<()> {
        compiled::write(self)
    }

    /// The name of this host in greetings.
    pub fn hostname(&self) -> String {
        if !self.top.hostname.is_empty() {
            return self.top.hostname.clone();
        }
        nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_else(|| "localhost".into())
    }

    /// Starts the log as configured.
    pub fn start_log(&self, program: &'static str) {
        crate::log::init(program, self.top.log == LogTarget::Syslog, self.top.debug);
    }

    /// True when each role has an id of its own: this process is root or one of the roles. An ordinary user runs all.
    pub fn separate_ids(&self) -> bool {
        let own = penny_sys::ids::own_uid();
        let i = &self.ids;
        let roles = [&i.tls, &i.lookup, &i.queue, &i.net, &i.mail, &i.out, &i.filter, &i.sign, &i.auth];
        own == 0 || roles.iter().any(|r| penny_sys::ids::parse(r).is_ok_and(|id| id.uid == own))
    }

    /// The id a role runs as; this process's own when an ordinary user runs everything.
    pub fn id(&self, role: &str) -> std::io::Result<penny_sys::ids::Id> {
        if self.separate_ids() { penny_sys::ids::parse(role) } else { Ok(penny_sys::ids::own()) }
    }

    /// The socket of a resident service: in a directory of that service's own id, so that no other id can take its place.
    pub fn socket(&self, service: &str) -> PathBuf {
        self.paths.run.join(service).join("socket")
    }

    /// The path of one of our programs.
    pub fn program(&self, name: &str) -> PathBuf {
        if name.starts_with('/') { name.into() } else { self.paths.libexec.join(name) }
    }

    /// Sets one key of a plain section; `Ok(false)` when there is no such section or key.
    fn set(&mut self, section: &str, key: &str, raw: &Raw) -> Result<bool, String> {
        match section {
            Top::SECTION => self.top.set(key, raw),
            Paths::SECTION => self.paths.set(key, raw),
            Ids::SECTION => self.ids.set(key, raw),
            Mail::SECTION => self.mail.set(key, raw),
            Smtpd::SECTION => self.smtpd.set(key, raw),
            Auth::SECTION => self.auth.set(key, raw),
            Lookup::SECTION => self.lookup.set(key, raw),
            Queue::SECTION => self.queue.set(key, raw),
            Remote::SECTION => self.remote.set(key, raw),
            TlsServer::SECTION => self.tls.set(key, raw),
            Imapd::SECTION => self.imapd.set(key, raw),
            Pop3d::SECTION => self.pop3d.set(key, raw),
            Deliver::SECTION => self.deliver.set(key, raw),
            Sieved::SECTION => self.sieved.set(key, raw),
            Mailauth::SECTION => self.mailauth.set(key, raw),
            Dkimsign::SECTION => self.dkimsign.set(key, raw),
            Spamcheck::SECTION => self.spamcheck.set(key, raw),
            Virusscan::SECTION => self.virusscan.set(key, raw),
            Check::SECTION => self.check.set(key, raw),
            _ => Ok(false),
        }
    }

    /// Shows every key of the plain sections in the order of the file.
    pub fn each(&self, show: &mut dyn FnMut(Shown)) {
        self.top.each(show);
        self.paths.each(show);
        self.ids.each(show);
        self.mail.each(show);
        self.smtpd.each(show);
        self.auth.each(show);
        self.lookup.each(show);
        self.queue.each(show);
        self.remote.each(show);
        self.tls.each(show);
        self.imapd.each(show);
        self.pop3d.each(show);
        self.deliver.each(show);
        self.sieved.each(show);
        self.mailauth.each(show);
        self.dkimsign.each(show);
        self.spamcheck.each(show);
        self.virusscan.each(show);
        self.check.each(show);
    }
}

#[cfg(test)]
mod tests;
