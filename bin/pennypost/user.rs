//! `pennypost user`: accounts in the users table and their app passwords.
//!
//! Invariants  a password is never an argument (ps shows those) and never printed unless it was generated here
//! Failures    65 no such user or one too many, 77 the table cannot be written, 75 somebody else changed it

mod app;
mod entry;
mod list;
mod secret;

use crate::table::{self, say};
use clap::{Args, Subcommand, ValueEnum};
use entry::Entry;
pub use entry::check_login;
use penny_base::{Config, Failure, Outcome};
use penny_tables::edit::Edit;
use secret::From;
use std::path::Path;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Add a user; asks for the password.
    Add(Add),
    /// Remove a user and its app passwords; its mail stays.
    Del {
        /// Login.
        login: String,
    },
    /// Set the password.
    Passwd {
        /// Login.
        login: String,
        #[command(flatten)]
        secret: Secret,
    },
    /// Show all users, or some.
    List {
        /// Logins, or domains as @DOMAIN.
        which: Vec<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Set the quota: 500M, 2G, none.
    Quota {
        /// Login.
        login: String,
        /// Storage.
        storage: Option<String>,
        /// Messages.
        #[arg(long)]
        messages: Option<String>,
    },
    /// Lock a user out; mail is still delivered, the password is kept.
    Suspend {
        /// Login.
        login: String,
    },
    /// Let a suspended user in again.
    Resume {
        /// Login.
        login: String,
    },
    /// Passwords for single devices.
    App {
        #[command(subcommand)]
        action: app::Action,
    },
}

/// A new user.
#[derive(Debug, Args)]
pub struct Add {
    /// Login: an address.
    login: String,
    #[command(flatten)]
    secret: Secret,
    /// Storage quota: 500M, 2G.
    #[arg(long)]
    quota: Option<String>,
    /// Quota of messages.
    #[arg(long)]
    messages: Option<String>,
    /// Full name.
    #[arg(long, default_value = "")]
    name: String,
    /// Home directory, where not the configured one.
    #[arg(long, default_value = "")]
    home: String,
    /// Owner of the mailbox, UID or UID:GID or an account's name, where not the mail id.
    #[arg(long)]
    owner: Option<String>,
}

/// Where the password comes from and how it is kept.
#[derive(Debug, Args)]
pub struct Secret {
    /// Make a password and print it.
    #[arg(long)]
    generate: bool,
    /// The hash as it is to be kept, read from standard input, scheme included.
    #[arg(long, conflicts_with = "generate")]
    hashed: bool,
    /// How it is kept.
    #[arg(long, value_enum, default_value = "argon2id")]
    scheme: Scheme,
}

/// Ways to keep a password.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Scheme {
    /// Argon2id, slow to guess.
    Argon2id,
    /// SCRAM-SHA-256 keys: clients can log in without sending the password.
    ScramSha256,
}

/// Runs it.
pub fn run(file: &Path, action: &Action) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    match action {
        Action::Add(new) => add(&config, new),
        Action::Del { login } => del(&config, login),
        Action::Passwd { login, secret } => {
            // refused before anybody types a password
            find(&open(&config)?, login).ok_or_else(|| unknown(login))?;
            let new = secret.take(login)?;
            change(&config, login, "password set", |e| {
                e.password.clone_from(&new.field);
                Ok(())
            })?;
            new.tell(login).map(|()| Outcome::Done)
        }
        Action::List { which, json } => list::run(&config, which, *json),
        Action::Quota { login, storage, messages } => quota(&config, login, storage.as_deref(), messages.as_deref()),
        Action::Suspend { login } => change(&config, login, "suspended", |e| {
            e.suspend();
            Ok(())
        }),
        Action::Resume { login } => change(&config, login, "may log in again", |e| {
            e.resume();
            Ok(())
        }),
        Action::App { action } => app::run(&config, action),
    }
}

impl Secret {
    fn take(&self, login: &str) -> Result<secret::New, Failure> {
        let from = match (self.generate, self.hashed) {
            (true, _) => From::Generated,
            (_, true) => From::Hash,
            _ => From::Person,
        };
        secret::New::take(login, from, self.scheme)
    }
}

fn add(config: &Config, new: &Add) -> Result<Outcome, Failure> {
    entry::check_login(&new.login)?;
    // refused before anybody types a password
    if find(&open(config)?, &new.login).is_some() {
        return Err(Failure::permanent(penny_base::Kind::Data, "5.1.1", format!("{} is there already", new.login)));
    }
    let mut entry = Entry::new(&new.login);
    entry.name = new.name.replace([':', '\n'], " ");
    entry.home.clone_from(&new.home);
    if let Some(owner) = &new.owner {
        let id = penny_sys::ids::parse(owner).map_err(|e| Failure::usage(format!("--owner: {e}")))?;
        (entry.uid, entry.gid) = (id.uid.to_string(), id.gid.to_string());
    }
    entry.set_quota(new.quota.as_deref(), new.messages.as_deref())?;
    let password = new.secret.take(&new.login)?;
    entry.password.clone_from(&password.field);
    let mut edit = open(config)?;
    if find(&edit, &new.login).is_some() {
        return Err(Failure::permanent(penny_base::Kind::Data, "5.1.1", format!("{} is there already", new.login)));
    }
    edit.put(&new.login, &entry.line());
    table::save(config, edit, "users")?;
    password.tell(&new.login)?;
    say(&format!("{}: added", new.login))
}

fn del(config: &Config, login: &str) -> Result<Outcome, Failure> {
    let maildir = crate::route::connect(config).and_then(|mut l| l.user(login)).ok().flatten().map(|u| u.maildir);
    let mut edit = open(config)?;
    if !edit.remove(login) {
        return Err(unknown(login));
    }
    table::save(config, edit, "users")?;
    app::remove_all(config, login)?;
    say(&format!("{login}: removed"))?;
    if let Some(maildir) = maildir.filter(|m| m.exists()) {
        say(&format!("its mail is still in {}", maildir.display()))?;
    }
    for place in table::mentions(config, login) {
        say(&format!("still named in {place}"))?;
    }
    Ok(Outcome::Done)
}

fn quota(config: &Config, login: &str, storage: Option<&str>, messages: Option<&str>) -> Result<Outcome, Failure> {
    if storage.is_none() && messages.is_none() {
        return list::run(config, &[login.to_string()], false);
    }
    change(config, login, "quota set", |e| e.set_quota(storage, messages))
}

/// Changes one entry of the table.
fn change(
    config: &Config,
    login: &str,
    done: &str,
    with: impl FnOnce(&mut Entry) -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    let mut edit = open(config)?;
    let mut entry = find(&edit, login).ok_or_else(|| unknown(login))?;
    with(&mut entry)?;
    edit.put(login, &entry.line());
    table::save(config, edit, "users")?;
    say(&format!("{login}: {done}"))
}

/// A password for a new user, typed twice at the terminal; none when nothing was typed.
pub fn ask(login: &str) -> Result<Option<String>, Failure> {
    secret::twice(login).map(|typed| Some(typed).filter(|t| !t.is_empty()))
}

/// A password for a new user.
pub fn generate() -> String {
    secret::generate()
}

/// A new user with this password and nothing else.
pub fn put_new(config: &Config, login: &str, password: &str) -> Result<(), Failure> {
    entry::check_login(login)?;
    let mut edit = open(config)?;
    let entry = Entry { password: secret::hash(password, Scheme::Argon2id)?, ..Entry::new(login) };
    edit.put(login, &entry.line());
    table::save(config, edit, "users")
}

fn open(config: &Config) -> Result<Edit, Failure> {
    table::open(config, "users")
}

fn find(edit: &Edit, login: &str) -> Option<Entry> {
    edit.find(login).map(|e| Entry::parse(&e.text))
}

fn unknown(login: &str) -> Failure {
    Failure::permanent(penny_base::Kind::NoUser, "5.1.1", format!("no user {login}"))
}
