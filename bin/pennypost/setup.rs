//! `pennypost setup DOMAIN`: from a machine with the programs to a running mail server.
//!
//! Invariants  1. idempotent: what is there is kept, a second run makes nothing   2. with --dry-run nothing is touched
//!             3. an own configuration is never overwritten; the shipped one, all comments, is kept beside the new one
//! Questions   without a domain, at a terminal: see ask.rs
//! Order       configuration, accounts of the roles, directories, TLS, DKIM, tables, checked form, files for clients,
//!             services, DNS records

pub mod accounts;
mod ask;
mod config;
mod keys;
pub mod plan;
mod start;
mod tables;

use crate::table::{columns, say};
use clap::{Args, ValueEnum};
use penny_base::{Config, Failure, Kind, Outcome};
use plan::Plan;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What is given; the rest is asked for, or has its default.
#[derive(Debug, Args)]
pub struct Given {
    /// The domain of the mail addresses; without it, at a terminal, everything that is not given is asked for.
    domain: Option<String>,
    /// Filters out of mailauth, virusscan, spamcheck, dkimsign, or none; all that are installed by default.
    #[arg(long, value_delimiter = ',')]
    filters: Option<Vec<String>>,
    #[command(flatten)]
    options: Options,
}

/// What is wanted.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The domain of the mail addresses.
    #[arg(skip)]
    domain: String,
    /// Filters.
    #[arg(skip)]
    filters: Vec<String>,
    /// Password of the postmaster, where one was typed.
    #[arg(skip)]
    password: Option<String>,
    /// Name of this host; mx.DOMAIN unless the host's own name is in the domain.
    #[arg(long)]
    hostname: Option<String>,
    /// Who gets mail for postmaster, abuse and root; made when missing.
    #[arg(long, value_name = "LOGIN")]
    postmaster: Option<String>,
    /// Addresses the world sees, where they are not this host's.
    #[arg(long)]
    ip: Vec<IpAddr>,
    /// Certificate chain there is already, PEM; without one a self-signed one is made.
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// Its private key.
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// Selector of new DKIM keys; by default pp and the year.
    #[arg(long)]
    selector: Option<String>,
    /// Where all mail to other hosts goes: HOST:PORT.
    #[arg(long)]
    smarthost: Option<String>,
    /// Everything below this directory; no root needed.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Numbers from this one on instead of accounts for the roles (containers).
    #[arg(long, value_name = "UID")]
    ids: Option<u32>,
    /// Address to listen on.
    #[arg(long, default_value = "[::]")]
    listen: String,
    /// Added to every port, for a server beside another one.
    #[arg(long, default_value_t = 0)]
    port_offset: u16,
    /// How it is started.
    #[arg(long, value_enum, default_value = "auto")]
    start: Start,
    /// File of inetd.
    #[arg(long, default_value = "/etc/inetd.conf")]
    inetd_conf: PathBuf,
    /// Say what would be done.
    #[arg(long)]
    dry_run: bool,
}

impl Options {
    /// The directory that everything goes below, whole.
    fn below(&self) -> Option<PathBuf> {
        self.root.as_ref().map(|r| std::path::absolute(r).unwrap_or_else(|_| r.clone()))
    }
}

/// Ways to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Start {
    /// systemd where it runs, else none.
    Auto,
    /// systemd units, enabled and started.
    Systemd,
    /// One systemd socket a service, one process a connection.
    SystemdSockets,
    /// Lines for inetd.
    Inetd,
    /// Only tell how.
    None,
}

/// Runs it.
pub fn run(file: Option<&Path>, given: &Given) -> Result<Outcome, Failure> {
    let own = given.options.root.is_some();
    if !own && !given.options.dry_run && !penny_sys::ids::is_root() {
        let text =
            "this makes accounts and files of the system: run it as root, or with --root DIR for a server of your own";
        return Err(Failure::permanent(Kind::Permission, "5.7.0", text));
    }
    let place = config::Place::find(file, &given.options)?;
    let Some(options) = ask::complete(given, &place)? else { return Ok(Outcome::Code(75)) };
    let options = &options;
    let mut plan = Plan::new(options.dry_run);
    let wanted = config::Wanted::new(place, options)?;
    let config = config::write(&mut plan, &wanted)?;
    if penny_sys::ids::is_root() {
        accounts::make(&mut plan, &config)?;
    }
    directories(&mut plan, &config)?;
    keys::tls(&mut plan, &config, options)?;
    keys::dkim(&mut plan, &config, options)?;
    let told = tables::fill(&mut plan, &config, options)?;
    plan.step("checked form of the configuration", true, || {
        let config = Config::load_source(&config.file)?;
        config.write_compiled().map_err(|e| Failure::io("checked form", &e))
    })?;
    crate::client::write(&mut plan, &config, &options.domain, &options.ip)?;
    start::run(&mut plan, &config, options)?;
    tell(&plan, &config, options, told)
}

/// The directories of etc/hier, with owner and mode.
pub fn directories(plan: &mut Plan, config: &Config) -> Result<(), Failure> {
    if plan.dry && crate::hier::places(config).is_err() {
        return say("would make the directories of etc/hier, once the accounts are there").map(drop);
    }
    for place in crate::hier::places(config)?.into_iter().filter(|p| !p.programs) {
        if !place.is_dir && !place.path.exists() && place.path.extension().is_some() {
            continue; // keys are made with their contents
        }
        let fine = plan::is_as_wanted(&place);
        plan.step(&place.path.display().to_string(), !fine, || plan::make_place(&place))?;
    }
    Ok(())
}

fn tell(plan: &Plan, config: &Config, options: &Options, told: Option<String>) -> Result<Outcome, Failure> {
    if plan.dry {
        return say("nothing was changed (--dry-run)");
    }
    let (zone, rows) = crate::dns::texts(config, &options.domain, &options.ip)?;
    let file = config.paths.state.join(format!("{}.zone", options.domain));
    penny_sys::fs::replace_file(&file, zone.as_bytes(), 0o644).map_err(|e| Failure::io(file.display(), &e))?;
    say(&format!("\nPublish these records (zone file: {}):", file.display()))?;
    columns(&rows)?;
    let reverse = "and let the owner of the addresses point them back (PTR) to this host";
    say(&format!("{reverse}: {}\n", config.hostname()))?;
    if let Some(told) = told {
        say(&told)?;
    }
    say(&format!("Next: pennypost -c {} check --all; pennypost dns --check {}", config.file.display(), options.domain))
}
