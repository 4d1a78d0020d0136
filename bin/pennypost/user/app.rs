//! `pennypost user app`: passwords for single devices, each withdrawn by itself.
//!
//! Format      penny_tables::apps. They are random, so a fast hash protects them as well as a slow one would; SCRAM keys
//!             take 2 ms to check, whatever their number.

use super::secret;
use crate::table::{self, say};
use clap::Subcommand;
use penny_base::{Config, Failure, Kind, Outcome};
use penny_tables::apps::Apps;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a password for a device and print it.
    Add {
        /// Login.
        login: String,
        /// The device or program.
        label: String,
    },
    /// Withdraw one.
    Del {
        /// Login.
        login: String,
        /// The device or program.
        label: String,
    },
    /// Show which there are.
    List {
        /// Login.
        login: String,
    },
}

const TABLE: &str = "app-passwords";

/// Runs it.
pub fn run(config: &Config, action: &Action) -> Result<Outcome, Failure> {
    match action {
        Action::Add { login, label } => add(config, login, label),
        Action::Del { login, label } => {
            let mut edit = table::open(config, TABLE)?;
            if !edit.remove(&format!("{login}:{label}")) {
                return Err(Failure::permanent(Kind::NoUser, "5.1.1", format!("{login} has no {label}")));
            }
            table::save(config, edit, TABLE)?;
            say(&format!("{login}: {label} withdrawn"))
        }
        Action::List { login } => {
            for app in of(config, login)? {
                say(&format!("{}  {}", app.1, app.0))?;
            }
            Ok(Outcome::Done)
        }
    }
}

fn add(config: &Config, login: &str, label: &str) -> Result<Outcome, Failure> {
    if label.is_empty() || label.contains(|c: char| c.is_control() || c == ':') || label.starts_with('#') {
        return Err(Failure::usage(format!("{label:?} is no name of a device")));
    }
    if super::find(&table::open(config, "users")?, login).is_none() {
        return Err(super::unknown(login));
    }
    let key = format!("{login}:{label}");
    let mut edit = table::open(config, TABLE)?;
    if edit.find(&key).is_some() {
        return Err(Failure::permanent(Kind::Data, "5.1.1", format!("{login} has a {label} already")));
    }
    let password = secret::generate();
    let hash = secret::hash(&password, super::Scheme::ScramSha256)?;
    edit.put(&key, &format!("{key}:{hash}:{}", today()));
    table::save(config, edit, TABLE)?;
    say(&format!("password of {login} for {label}: {password}"))
}

fn today() -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = penny_mime::date::civil_from_days(i64::try_from(seconds / 86400).unwrap_or(0));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Label and date of each of a user's.
pub fn of(config: &Config, login: &str) -> Result<Vec<(String, String)>, Failure> {
    let (apps, _) = Apps::parse(&table::text(config, TABLE)?);
    let apps = apps.of(login).map_err(|e| Failure::io(TABLE, &e))?;
    Ok(apps.into_iter().map(|a| (a.label, a.date)).collect())
}

/// Withdraws all of a user's.
pub fn remove_all(config: &Config, login: &str) -> Result<(), Failure> {
    let labels = of(config, login)?;
    if labels.is_empty() {
        return Ok(());
    }
    let mut edit = table::open(config, TABLE)?;
    for (label, _) in labels {
        edit.remove(&format!("{login}:{label}"));
    }
    table::save(config, edit, TABLE)
}
