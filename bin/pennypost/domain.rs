//! `pennypost domain`: which domains are ours, and who may send as whom in them.

use crate::table::{self, say};
use clap::Subcommand;
use penny_base::{Config, Failure, Kind, Outcome};
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
    /// Show all with their numbers of users.
    List,
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
        Action::List => list(&config),
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
    let kind = match alias {
        Some(other) => format!("alias {}", name(other)?),
        None => if relay { "relay" } else { "local" }.to_string(),
    };
    let mut edit = table::open(config, "domains")?;
    edit.put(&domain, &format!("{domain} {kind}"));
    table::save(config, edit, "domains")?;
    say(&format!("{domain}: {kind}"))
}

fn del(config: &Config, domain: &str) -> Result<Outcome, Failure> {
    let domain = name(domain)?;
    let users = logins(config)?.remove(&domain).unwrap_or(0);
    let mut edit = table::open(config, "domains")?;
    let there = edit.remove(&domain);
    table::save(config, edit, "domains")?;
    if users > 0 {
        // a login's domain is local without a line
        return Err(Failure::permanent(Kind::Data, "5.1.2", format!("{domain} still has {users} users")));
    }
    if !there {
        return Err(Failure::permanent(Kind::NoHost, "5.1.2", format!("no domain {domain}")));
    }
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
    let text = table::text(config, "domains").unwrap_or_default();
    let words = penny_tables::lines::logical(&text);
    let lines = words.iter().filter_map(|l| l.text.split_once(char::is_whitespace));
    all.extend(lines.filter(|(_, kind)| kind.trim() == "local").map(|(d, _)| d.to_lowercase()));
    all.sort();
    all.dedup();
    all
}

fn list(config: &Config) -> Result<Outcome, Failure> {
    let mut users = logins(config)?;
    let mut rows = vec![["DOMAIN", "KIND", "USERS"].map(str::to_string)];
    for entry in table::open(config, "domains")?.entries() {
        let (domain, kind) = entry.text.split_once(char::is_whitespace).unwrap_or((&entry.text, "local"));
        let count = users.remove(&domain.to_lowercase()).unwrap_or(0);
        rows.push([domain.to_string(), kind.trim().to_string(), count.to_string()]);
    }
    rows.extend(users.into_iter().map(|(d, n)| [d, "local (by its users)".into(), n.to_string()]));
    table::columns(&rows)?;
    Ok(Outcome::Done)
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
