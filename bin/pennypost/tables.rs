//! `pennypost tables`: large tables compiled, what answers for each table, and the bridge to socketmap servers.

mod socketmap;

use crate::table::{columns, refused, say};
use clap::Subcommand;
use penny_base::{Config, Failure, Kind, Outcome};
use penny_tables::source::{self, From};
use penny_tables::{compile, set};
use std::io::ErrorKind;
use std::path::Path;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Write NAME.cdb beside NAME: a large table that is looked up and no longer read.
    Compile {
        /// Tables.
        #[arg(required = true)]
        name: Vec<String>,
    },
    /// Show what answers for each table: text, its compiled form, or a program.
    List,
    /// Be a table program that asks a socketmap server.
    Socketmap {
        /// Where it listens: unix:PATH or inet:HOST:PORT.
        place: String,
        /// The map to ask.
        map: String,
        /// Longest wait for an answer, seconds.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
    },
}

/// Runs it.
pub fn run(file: &Path, action: &Action) -> Result<Outcome, Failure> {
    match action {
        Action::Compile { name } => {
            let config = Config::load(Some(file))?;
            name.iter().try_fold(Outcome::Done, |_, name| compile(&config, name))
        }
        Action::List => list(&Config::load(Some(file))?),
        Action::Socketmap { place, map, timeout } => socketmap::run(place, map, *timeout),
    }
}

fn compile(config: &Config, name: &str) -> Result<Outcome, Failure> {
    let directory = &config.paths.tables;
    let entries = compile::compile(directory, name).map_err(|e| match e.kind() {
        ErrorKind::InvalidInput => Failure::usage(e.to_string()),
        ErrorKind::NotFound => Failure::permanent(Kind::Data, "5.3.5", format!("no table {name}")),
        _ => refused(config, name, &e),
    })?;
    say(&format!("{}: {entries} entries", compile::path(directory, name).display()))
}

fn list(config: &Config) -> Result<Outcome, Failure> {
    let mut rows = vec![["TABLE", "ANSWERED BY"].map(str::to_string)];
    for name in set::all() {
        let from = source::of(&config.paths.tables, name).map_err(|e| refused(config, name, &e))?;
        let by = match from {
            From::Nothing => "nothing: the table is empty".into(),
            From::Text => "text".into(),
            From::Compiled(_) => format!("{name}.cdb"),
            From::Program(Ok(())) => "a program".into(),
            From::Program(Err(why)) => format!("nobody: {why}"),
        };
        rows.push([name.to_string(), by]);
    }
    columns(&rows)?;
    Ok(Outcome::Done)
}
