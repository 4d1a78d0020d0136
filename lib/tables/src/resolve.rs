//! What an address ends in: mailboxes, remote addresses, programs, files, refusals.
//!
//! Order       domain alias; virtual (address, without extension, bare, catch-all); aliases by local name; mailbox of
//!             the users table; account of the system; postmaster; refusal
//! Invariants  1. every recursion is bounded by depth and by the set of addresses seen   2. an alias that names itself
//!             means the mailbox of that name   3. `local` answers carry the address whose extension is still there
//! Failures    a source that cannot be asked shows in `Tables::trouble`: what is found here means nothing then

use crate::Tables;
use crate::aliases::{self, Target};
use crate::domains::Kind;
use crate::key;
use crate::policy::Policy;
use penny_addr::Mailbox;
use penny_base::Config;
use penny_base::services::lookup::User;
use penny_sys::ids::{self, Id};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Deepest nesting of aliases.
const DEPTH_MAX: usize = 20;

/// Most results of one address.
const RESULTS_MAX: usize = 50_000;

/// Largest `:include:` file, octets.
const INCLUDE_MAX: u64 = 16 << 20;

/// One end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A mailbox here; the address keeps its extension.
    Local(String),
    /// Another host's address.
    Remote(String),
    /// A program (from the aliases table).
    Pipe(String),
    /// A file or Maildir (from the aliases table).
    File(String),
    /// Thrown away.
    Discard,
    /// A refusal: `5.1.1 text` or `4.x.x text`.
    Error(String),
}

impl End {
    /// Kind and value as lookup tells them.
    pub fn fields(&self) -> (&'static str, &str) {
        match self {
            End::Local(v) => ("local", v),
            End::Remote(v) => ("remote", v),
            End::Pipe(v) => ("pipe", v),
            End::File(v) => ("file", v),
            End::Discard => ("discard", ""),
            End::Error(v) => ("error", v),
        }
    }
}

/// Resolves addresses against the tables.
#[derive(Debug)]
pub struct Resolver<'a> {
    tables: &'a Tables,
    config: &'a Config,
    seen: BTreeSet<String>,
    ends: Vec<End>,
}

impl<'a> Resolver<'a> {
    /// A resolver over the tables.
    pub fn new(tables: &'a Tables, config: &'a Config) -> Resolver<'a> {
        Resolver { tables, config, seen: BTreeSet::new(), ends: Vec::new() }
    }

    /// Everything an address ends in, each end once.
    pub fn expand(mut self, address: &str) -> Vec<End> {
        self.address(address, 0);
        let mut unique = BTreeSet::new();
        self.ends.retain(|e| unique.insert(e.clone()));
        self.ends
    }

    fn end(&mut self, end: End) {
        if self.ends.len() < RESULTS_MAX {
            self.ends.push(end);
        }
    }

    fn address(&mut self, text: &str, depth: usize) {
        let qualified =
            if text.contains('@') { text.to_string() } else { format!("{text}@{}", self.config.hostname()) };
        let Ok(mailbox) = Mailbox::parse_any(&qualified) else {
            return self.end(End::Error("5.1.3 malformed address".into()));
        };
        if depth > DEPTH_MAX {
            return self.end(End::Error("5.4.6 alias nesting is too deep".into()));
        }
        let domain = mailbox.domain().ascii().to_string();
        match self.tables.domains.find(&domain).as_deref() {
            Some(Kind::Alias(real)) => {
                let local = mailbox.local().to_string();
                self.address(&format!("{local}@{real}"), depth + 1);
            }
            Some(Kind::Local) => self.ours(&mailbox, &domain, true, depth),
            Some(Kind::Relay) | None => self.ours(&mailbox, &domain, false, depth),
        }
    }

    fn ours(&mut self, mailbox: &Mailbox, domain: &str, local_domain: bool, depth: usize) {
        let local = mailbox.local().value().to_string();
        let base = base_of(&local, &self.config.mail.separators).to_string();
        let first_visit = self.seen.insert(mailbox.folded());
        if first_visit {
            let found = self.tables.virt.resolve(&local, &base, domain, local_domain);
            // a catch-all never takes what has a mailbox or an alias of its own
            if let Some((targets, catch_all)) = found
                && !(catch_all && local_domain && self.has_own(&local, &base, domain))
            {
                return self.each(&targets, domain, depth);
            }
        }
        if !local_domain {
            return self.end(End::Remote(mailbox.exact()));
        }
        if first_visit && let Some(targets) = self.alias(&local, &base) {
            return self.targets(&targets, domain, depth);
        }
        if first_visit || mailbox_of(self.tables, self.config, &mailbox.exact()).is_some() {
            self.mailbox(mailbox, &local, &base, domain, depth);
        }
    }

    fn has_own(&self, local: &str, base: &str, domain: &str) -> bool {
        self.alias(local, base).is_some()
            || mailbox_of(self.tables, self.config, &format!("{local}@{domain}")).is_some()
            || is_postmaster(local)
    }

    fn alias(&self, local: &str, base: &str) -> Option<Cow<'a, [Target]>> {
        self.tables.aliases.find(local).or_else(|| self.tables.aliases.find(base))
    }

    fn each(&mut self, addresses: &[String], domain: &str, depth: usize) {
        for a in addresses {
            let target = aliases::target(a);
            self.target(&target, domain, depth);
        }
    }

    fn targets(&mut self, targets: &[Target], domain: &str, depth: usize) {
        for t in targets {
            self.target(t, domain, depth);
        }
    }

    fn target(&mut self, target: &Target, domain: &str, depth: usize) {
        match target {
            Target::Address(a) if a.contains('@') => self.address(a, depth + 1),
            // a bare name stays in the domain it was found in
            Target::Address(a) => self.address(&format!("{}@{domain}", a.trim_start_matches('\\')), depth + 1),
            Target::Pipe(p) => self.end(End::Pipe(p.clone())),
            Target::File(f) => self.end(End::File(f.clone())),
            Target::Discard => self.end(End::Discard),
            Target::Fail(why) if why.is_empty() => self.end(End::Error("5.1.1 address refused".into())),
            Target::Fail(why) => self.end(End::Error(format!("5.1.1 {}", why.replace(char::is_control, " ")))),
            Target::Include(path) => self.include(path, domain, depth),
        }
    }

    fn include(&mut self, path: &str, domain: &str, depth: usize) {
        if !self.seen.insert(format!(":include:{path}")) || depth > DEPTH_MAX {
            return;
        }
        match penny_sys::fs::read_limited(Path::new(path), INCLUDE_MAX) {
            Ok(bytes) => {
                let targets = aliases::include(&String::from_utf8_lossy(&bytes));
                self.targets(&targets, domain, depth + 1);
            }
            Err(_) => self.end(End::Error("4.3.5 the list cannot be read now".into())),
        }
    }

    fn mailbox(&mut self, mailbox: &Mailbox, local: &str, base: &str, domain: &str, depth: usize) {
        if mailbox_of(self.tables, self.config, &mailbox.exact()).is_some() {
            return self.end(End::Local(mailbox.exact()));
        }
        // RFC 5321 4.5.1: postmaster exists in every domain; RFC 2142: abuse should
        if (is_postmaster(local) || is_postmaster(base)) && !self.config.queue.postmaster.is_empty() {
            let postmaster = self.config.queue.postmaster.clone();
            if !self.seen.contains(&postmaster) || depth == 0 {
                return self.address(&postmaster, depth + 1);
            }
        }
        self.end(End::Error(format!("5.1.1 no such user: {local}@{domain}").replace(char::is_control, " ")));
    }
}

fn is_postmaster(local: &str) -> bool {
    local.eq_ignore_ascii_case("postmaster") || local.eq_ignore_ascii_case("abuse")
}

/// The local part without its extension.
pub fn base_of<'a>(local: &'a str, separators: &str) -> &'a str {
    match local.find(|c| separators.contains(c)) {
        Some(at) if at > 0 => &local[..at],
        _ => local,
    }
}

/// The mailbox of an address or login, with its extension taken off when nothing fits exactly.
pub fn mailbox_of(tables: &Tables, config: &Config, name: &str) -> Option<User> {
    let (local, domain) = name.rsplit_once('@').unwrap_or((name, ""));
    let local_value = penny_addr::LocalPart::parse(local, penny_addr::Charset::Utf8).ok()?;
    let local = local_value.value();
    let domain = real_domain(tables, domain);
    let at = |l: &str| if domain.is_empty() { l.to_string() } else { format!("{l}@{domain}") };
    let base = base_of(local, &config.mail.separators);
    let fold = config.mail.fold_case;
    let found = tables.users.find(&at(local), fold).or_else(|| tables.users.find(&at(base), fold));
    if let Some(user) = found {
        let policy = tables.domains.policy(&domain);
        return Some(complete(config, &policy, &user));
    }
    let is_system = config.mail.system_users && (domain.is_empty() || is_host_domain(tables, config, &domain));
    if is_system { system_user(config, local).or_else(|| system_user(config, base)) } else { None }
}

fn real_domain(tables: &Tables, domain: &str) -> String {
    let domain = key::domain(domain);
    match tables.domains.find(&domain).as_deref() {
        Some(Kind::Alias(real)) => real.clone(),
        _ => domain,
    }
}

fn is_host_domain(tables: &Tables, config: &Config, domain: &str) -> bool {
    domain == "localhost"
        || domain == config.hostname().to_lowercase()
        || tables.domains.find(domain).as_deref() == Some(&Kind::Local)
}

fn complete(config: &Config, policy: &Policy, user: &crate::users::User) -> User {
    let (local, domain) = user.login.rsplit_once('@').unwrap_or((&user.login, ""));
    let home = user.home.clone().unwrap_or_else(|| {
        config.mail.home.replace("%u", local).replace("%d", domain).replace("%n", &user.login).into()
    });
    let nobody = Id { uid: u32::MAX, gid: u32::MAX };
    let shared = || config.id(&config.ids.mail).unwrap_or(nobody);
    let id = if config.separate_ids() { user.id.unwrap_or_else(shared) } else { ids::own() };
    User {
        name: user.login.clone(),
        id,
        maildir: maildir(config, &home, user.maildir.as_deref()),
        home,
        shell_ok: (!user.shell.is_empty() && shell_allowed(&user.shell)) || domain_allows_pipes(config, domain),
        quota_kb: user.quota_kb.or(policy.quota_kb).unwrap_or(config.mail.quota.0.div_ceil(1024)),
        quota_messages: user.quota_messages.or(policy.quota_messages).unwrap_or(config.mail.quota_messages.into()),
    }
}

fn domain_allows_pipes(config: &Config, domain: &str) -> bool {
    config.deliver.pipe_domains.iter().any(|d| d.eq_ignore_ascii_case(domain))
}

fn maildir(config: &Config, home: &Path, own: Option<&str>) -> PathBuf {
    let place = own.unwrap_or(&config.mail.maildir);
    home.join(place.strip_prefix("~/").unwrap_or(place))
}

fn shell_allowed(shell: &str) -> bool {
    let shells = std::fs::read_to_string("/etc/shells").unwrap_or_default();
    shells.lines().any(|l| l.trim() == shell)
}

fn system_user(config: &Config, name: &str) -> Option<User> {
    let account = ids::account(name).ok()??;
    if account.id.uid == 0 || account.id.uid < config.ids.min_uid {
        return None;
    }
    Some(User {
        maildir: maildir(config, &account.home, None),
        shell_ok: shell_allowed(&account.shell.to_string_lossy()),
        name: account.name,
        id: account.id,
        home: account.home,
        quota_kb: config.mail.quota.0.div_ceil(1024),
        quota_messages: config.mail.quota_messages.into(),
    })
}

#[cfg(test)]
mod tests;
