//! `pennypost user app`: passwords for single devices, each withdrawn by itself.
//!
//! Format      penny_tables::apps. They are random, so a fast hash protects them as well as a slow one would; SCRAM keys
//!             take 2 ms to check, whatever their number.

use super::secret;
use crate::table::{self, say};
use clap::Subcommand;
use penny_base::{Config, Failure, Kind, Outcome};
use penny_tables::apps::{App, Apps};

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
                say(&format!("{}  {}", app.date, app.label))?;
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
    let now = penny_sys::time::now().as_secs_f64();
    crate::logs::day(now)
}

/// The table.
pub fn all(config: &Config) -> Result<Apps, Failure> {
    Ok(Apps::parse(&table::text(config, TABLE)?).0)
}

/// Each of a user's.
fn of(config: &Config, login: &str) -> Result<Vec<App>, Failure> {
    all(config)?.of(login).map_err(|e| Failure::io(TABLE, &e))
}

/// Withdraws all of a user's.
pub fn remove_all(config: &Config, login: &str) -> Result<(), Failure> {
    let apps = of(config, login)?;
    if apps.is_empty() {
        return Ok(());
    }
    let mut edit = table::open(config, TABLE)?;
    for app in apps {
        edit.remove(&format!("{login}:{}", app.label));
    }
    table::save(config, edit, TABLE)
}
