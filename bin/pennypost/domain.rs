//! `pennypost domain`: which domains are ours, what each has of its own, and who may send as whom in them.

use crate::table::{self, say};
use clap::Subcommand;
use penny_base::{Config, Failure, Kind, Outcome};
use penny_queue::json::Object;
use penny_tables::edit::Edit;
use penny_tables::policy::{self, Policy};
use penny_tables::users::Users;
use std::collections::BTreeMap;
use std::path::Path;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a domain ours.
    Add {
        /// Domain.
        domain: String,
        /// Another name of this domain.
        #[arg(long, value_name = "DOMAIN", conflicts_with = "relay")]
        alias: Option<String>,
        /// Take its mail and pass it on (backup MX).
        #[arg(long)]
        relay: bool,
    },
    /// Forget a domain.
    Del {
        /// Domain.
        domain: String,
    },
    /// Set what a domain has of its own: filters, max_size, quota, quota_messages, rate_messages, rate_recipients,
    /// send_as, retention.
    Set {
        /// Domain.
        domain: String,
        /// NAME=VALUE; without a value the option is taken away.
        #[arg(required = true, value_name = "NAME=VALUE")]
        option: Vec<String>,
    },
    /// Show all with their numbers of users and what they have of their own.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Let logins send as an address, or as @DOMAIN, besides their own; without logins nobody else may.
    SendAs {
        /// Address or @DOMAIN.
        address: String,
        /// Logins.
        login: Vec<String>,
    },
}

/// Runs it.
pub fn run(file: &Path, action: &Action) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    match action {
        Action::Add { domain, alias, relay } => add(&config, domain, alias.as_deref(), *relay),
        Action::Del { domain } => del(&config, domain),
        Action::Set { domain, option } => set(&config, domain, option),
        Action::List { json } => list(&config, *json),
        Action::SendAs { address, login } => send_as(&config, address, login),
    }
}

/// A domain as tables and records have it.
pub fn name(text: &str) -> Result<String, Failure> {
    let domain = penny_addr::Domain::parse(text, penny_addr::Charset::Utf8);
    domain.map(|d| d.ascii().to_lowercase()).map_err(|_| Failure::usage(format!("{text:?} is no domain")))
}

fn add(config: &Config, domain: &str, alias: Option<&str>, relay: bool) -> Result<Outcome, Failure> {
    let domain = name(domain)?;
    let mut edit = table::open(config, "domains")?;
    let (_, options) = edit.find(&domain).map(|e| halves(&e.text)).unwrap_or_default();
    let kind = match alias {
        Some(other) => format!("alias {}", known(config, &edit, &name(other)?)?),
        None => joined(if relay { "relay" } else { "local" }, &options),
    };
    edit.put(&domain, &format!("{domain} {kind}"));
    table::save(config, edit, "domains")?;
    say(&format!("{domain}: {kind}"))
}

/// A domain that is ours: another name of any other would send its mail away.
fn known(config: &Config, edit: &Edit, domain: &str) -> Result<String, Failure> {
    let there = edit.find(domain).is_some() || logins(config)?.contains_key(domain);
    if there { Ok(domain.to_string()) } else { Err(unknown(domain)) }
}

/// The kind of a line of the table, and its options.
fn halves(line: &str) -> (String, Vec<String>) {
    let mut words = line.split_whitespace().skip(1).map(str::to_string);
    match words.next() {
        Some(kind) if kind == "alias" => (format!("alias {}", words.next().unwrap_or_default()), Vec::new()),
        Some(kind) => (kind, words.collect()),
        None => ("local".into(), Vec::new()),
    }
}

fn joined(kind: &str, options: &[String]) -> String {
    [&[kind.to_string()], options].concat().join(" ")
}

fn set(config: &Config, domain: &str, changes: &[String]) -> Result<Outcome, Failure> {
    let domain = name(domain)?;
    let mut edit = table::open(config, "domains")?;
    let (kind, mut options) = match edit.find(&domain).map(|e| halves(&e.text)) {
        Some(halves) => halves,
        None if logins(config)?.contains_key(&domain) => ("local".into(), Vec::new()),
        None => return Err(unknown(&domain)),
    };
    if kind.starts_with("alias") {
        return Err(Failure::usage(format!("{domain} is {kind}: set it there")));
    }
    for change in changes {
        let (name, value) = change.split_once('=').ok_or_else(|| Failure::usage(format!("{change}: NAME=VALUE")))?;
        if !policy::NAMES.contains(&name) {
            return Err(Failure::usage(format!("{name}: expected one of {}", policy::NAMES.join(", "))));
        }
        options.retain(|o| o.split_once('=').is_none_or(|(n, _)| n != name));
        if !value.is_empty() {
            // names of folders may have spaces
            options.push(format!("{name}={}", value.replace(' ', "%20")));
        }
    }
    Policy::parse(options.iter().map(String::as_str)).map_err(Failure::usage)?;
    let right = joined(&kind, &options);
    edit.put(&domain, &format!("{domain} {right}"));
    table::save(config, edit, "domains")?;
    say(&format!("{domain}: {right}"))
}

fn unknown(domain: &str) -> Failure {
    Failure::permanent(Kind::NoHost, "5.1.2", format!("no domain {domain}"))
}

fn del(config: &Config, domain: &str) -> Result<Outcome, Failure> {
    let domain = name(domain)?;
    if let Some(users) = logins(config)?.get(&domain) {
        // a login's domain is local without a line
        return Err(Failure::permanent(Kind::Data, "5.1.2", format!("{domain} still has {users} users")));
    }
    let mut edit = table::open(config, "domains")?;
    if !edit.remove(&domain) {
        return Err(unknown(&domain));
    }
    table::save(config, edit, "domains")?;
    say(&format!("{domain}: removed"))
}

/// Users of each domain.
fn logins(config: &Config) -> Result<BTreeMap<String, usize>, Failure> {
    let (users, _) = Users::parse(&table::text(config, "users")?);
    let mut count = BTreeMap::new();
    users.domains().for_each(|d| *count.entry(d.to_lowercase()).or_insert(0) += 1);
    Ok(count)
}

/// The domains that are ours in full: local by the table or by a user.
pub fn local(config: &Config) -> Vec<String> {
    let mut all: Vec<String> = logins(config).map(|l| l.into_keys().collect()).unwrap_or_default();
    let entries = table::entries(config, "domains").unwrap_or_default();
    let local = entries.iter().filter(|e| halves(&e.text).0 == "local");
    all.extend(local.filter_map(|e| e.text.split_whitespace().next()).map(str::to_lowercase));
    all.sort();
    all.dedup();
    all
}

fn list(config: &Config, json: bool) -> Result<Outcome, Failure> {
    let mut users = logins(config)?;
    let mut rows = Vec::new();
    for entry in table::entries(config, "domains")? {
        let domain = entry.text.split_whitespace().next().unwrap_or("").to_string();
        let (kind, options) = halves(&entry.text);
        let count = users.remove(&domain.to_lowercase()).unwrap_or(0);
        rows.push((domain, kind, count, options));
    }
    let implied = if json { "local" } else { "local (by its users)" };
    rows.extend(users.into_iter().map(|(domain, count)| (domain, implied.to_string(), count, Vec::new())));
    if json {
        rows.iter().try_for_each(|r| say(&object(r)).map(drop))?;
        return Ok(Outcome::Done);
    }
    let mut lines = vec![["DOMAIN", "KIND", "USERS", "OPTIONS"].map(str::to_string)];
    lines.extend(rows.into_iter().map(|(domain, kind, count, o)| [domain, kind, count.to_string(), o.join(" ")]));
    table::columns(&lines)?;
    Ok(Outcome::Done)
}

fn object((domain, kind, users, options): &(String, String, usize, Vec<String>)) -> String {
    let mut o = Object::new().text("domain", domain).text("kind", kind).number("users", *users as u64);
    for (name, value) in options.iter().filter_map(|o| o.split_once('=')) {
        o = o.text(name, value);
    }
    o.finish()
}

fn send_as(config: &Config, address: &str, logins: &[String]) -> Result<Outcome, Failure> {
    if !address.contains('@') || address.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
        return Err(Failure::usage(format!("{address:?} is no address")));
    }
    let mut edit = table::open(config, "senders")?;
    if logins.is_empty() {
        edit.remove(address);
    } else {
        edit.put(address, &format!("{address} {}", logins.join(", ")));
    }
    table::save(config, edit, "senders")?;
    say(&format!("{address}: {}", if logins.is_empty() { "its own login only".into() } else { logins.join(", ") }))
}
