//! Whose mailbox a process works on, and its confinement to that mailbox.
//!
//! Contract    USER HOME MAILDIR PENNYPOST_SHELL_OK PENNYPOST_QUOTA_KB PENNYPOST_QUOTA_MESSAGES, set by spawn from lookup's answer,
//!             PENNYPOST_SHARED from its own ids
//! Invariants  who may not run programs (a shared uid, no login shell) is confined to home and Maildir, or refused where the kernel
//!             cannot do that and ids.landlock does not allow it

use crate::services::lookup::User;
use crate::{Config, Failure};
use penny_sys::confine::{self, Confined};
use std::path::{Path, PathBuf};

/// The owner of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Login or canonical address.
    pub user: String,
    /// Home directory.
    pub home: PathBuf,
    /// Maildir, absolute.
    pub maildir: PathBuf,
    /// May run programs and use files outside the home.
    pub shell_ok: bool,
    /// The uid of this process is that of all users without one of their own, as spawn says.
    pub shared: bool,
    /// Storage quota in KiB of this user; 0 = the default one.
    pub quota_kb: u64,
    /// Message quota of this user; 0 = the default one.
    pub quota_messages: u64,
    /// Mail of others that this process may open.
    pub shares: Vec<Share>,
    /// Further places that this process writes.
    pub writable: Vec<PathBuf>,
}

/// Mail of others: another user's folders, or public ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Whose it is; nobody's where it is public.
    pub owner: Option<String>,
    /// Its name among the mailboxes, with a separator at the end.
    pub prefix: String,
    /// The Maildir, or the directory of the public folders.
    pub root: PathBuf,
    /// What of it is open to this process.
    pub open: Vec<PathBuf>,
}

/// Set to 1 by spawn for a session under the shared uid.
pub const SHARED: &str = "PENNYPOST_SHARED";

/// A variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

impl Owner {
    /// One with the default quota, who may run no programs.
    pub fn new(user: String, home: PathBuf, maildir: PathBuf) -> Owner {
        let (shares, writable) = (Vec::new(), Vec::new());
        Owner { user, home, maildir, shell_ok: false, shared: false, quota_kb: 0, quota_messages: 0, shares, writable }
    }

    /// Takes the environment spawn made; by hand HOME and USER are enough.
    pub fn from_env(config: &Config) -> Result<Owner, Failure> {
        let need = |name: &str| variable(name).ok_or_else(|| Failure::temporary("4.3.5", format!("{name} is not set")));
        let number = |name: &str| variable(name).and_then(|v| v.parse().ok()).unwrap_or(0);
        let is_set = |name: &str| variable(name).is_some_and(|v| v == "1");
        let home = PathBuf::from(need("HOME")?);
        let maildir = home.join(variable("MAILDIR").unwrap_or_else(|| config.mail.maildir.clone()));
        Ok(Owner {
            shell_ok: is_set("PENNYPOST_SHELL_OK"),
            shared: is_set(SHARED),
            quota_kb: number("PENNYPOST_QUOTA_KB"),
            quota_messages: number("PENNYPOST_QUOTA_MESSAGES"),
            ..Owner::new(need("USER")?, home, maildir)
        })
    }

    /// Storage limit in octets and message limit, the defaults included; `None` = unlimited.
    pub fn quota(&self, config: &Config) -> (Option<u64>, Option<u64>) {
        let storage = if self.quota_kb > 0 { self.quota_kb * 1024 } else { config.mail.quota.0 };
        let default = u64::from(config.mail.quota_messages);
        let messages = if self.quota_messages > 0 { self.quota_messages } else { default };
        ((storage > 0).then_some(storage), (messages > 0).then_some(messages))
    }

    /// Confines this process where the owner may not run programs; `readable` are further paths it needs.
    pub fn confine(&self, config: &Config, readable: &[&Path]) -> Result<(), Failure> {
        if self.shell_ok { Ok(()) } else { self.confine_with(&[], config, readable) }
    }

    /// Confines this process to the mailboxes of this owner and others of the same uid.
    pub fn confine_with(&self, others: &[Owner], config: &Config, readable: &[&Path]) -> Result<(), Failure> {
        let run = config.paths.run.as_path();
        let all = confine::system_paths().into_iter().chain([run]).chain(readable.iter().copied());
        // one that is not there is passed over when the rule is made
        let all: Vec<&Path> = all.filter(|p| p.is_absolute()).collect();
        let owners = std::iter::once(self).chain(others);
        let own = owners.flat_map(|o| [existing(&o.home), existing(&o.maildir)]);
        let open = self.shares.iter().flat_map(|s| &s.open).chain(&self.writable).map(PathBuf::as_path);
        match confine::paths_only(&own.chain(open).collect::<Vec<_>>(), &all) {
            Ok(Confined::Yes) => Ok(()),
            Ok(Confined::Unsupported) => self.unconfined(config),
            Err(e) => Err(Failure::io("confine to the home", &e)),
        }
    }

    fn unconfined(&self, config: &Config) -> Result<(), Failure> {
        if config.ids.landlock == crate::config::Confinement::Optional || self.is_alone() {
            let why = "no Landlock in this kernel";
            crate::log::debug("unconfined", None, &[("user", &self.user), ("why", &why)]);
            return Ok(());
        }
        Err(Failure::temporary("4.3.5", "this system cannot confine a shared mail user")
            .with_detail("no Landlock; set ids.landlock = \"optional\" to go on without"))
    }

    /// The uid is this user's own account: its files are its own business.
    pub fn is_alone(&self) -> bool {
        if self.shared {
            return false; // what NSS would say costs as much as a tenth of a login
        }
        let account = penny_sys::ids::account_by_uid(penny_sys::ids::own_uid()).ok().flatten();
        account.is_some_and(|a| a.name == self.user)
    }
}

impl From<User> for Owner {
    fn from(user: User) -> Owner {
        let User { name, home, maildir, shell_ok, quota_kb, quota_messages, .. } = user;
        Owner { shell_ok, quota_kb, quota_messages, ..Owner::new(name, home, maildir) }
    }
}

/// The nearest directory above that exists: the home itself may have to be made.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|p| p.is_dir()).unwrap_or(path)
}
