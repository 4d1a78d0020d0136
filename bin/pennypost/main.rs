//! pennypost - checks the configuration, explains what an address means, shows effective settings. See pennypost(1).

mod alias;
mod check;
mod client;
mod completion;
mod defaults;
mod dkim;
mod dns;
mod domain;
mod expire;
mod hier;
mod import;
mod logs;
mod metrics;
mod page;
mod report;
mod route;
mod setup;
mod status;
mod summary;
mod table;
mod tables;
mod trace;
mod user;

use clap::{CommandFactory, Parser, Subcommand};
use penny_base::{Config, Convention, Failure, Outcome, program};
use std::path::PathBuf;
use std::process::ExitCode;

/// Looks after a pennypost mail server.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file.
    #[arg(short = 'c', value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show every mistake in the configuration and the tables.
    Check {
        /// Write the checked form that programs read at their start.
        #[arg(short)]
        write: bool,
        /// Show the effective value of every key.
        #[arg(short)]
        show: bool,
        /// Look at the machine too: owners and modes, certificates, services, queue, disks, DNS.
        #[arg(long)]
        all: bool,
        /// One JSON object a line.
        #[arg(long, requires = "all")]
        json: bool,
        /// Leave the DNS alone.
        #[arg(long, requires = "all")]
        no_dns: bool,
        /// Resolver to ask, ADDR:PORT.
        #[arg(long, requires = "all")]
        resolver: Option<String>,
        /// Send a test message to this address of ours and wait for it.
        #[arg(long, requires = "all", value_name = "ADDRESS")]
        mail: Option<String>,
    },
    /// Print the configuration file with every default written out in comments.
    Defaults {
        /// Print the page pennypost.toml(5) instead.
        #[arg(long)]
        man: bool,
    },
    /// Show DMARC aggregate and TLS reports as tables: XML, JSON, gzip, zip, or the mail they came in.
    Report {
        /// Files; - is standard input.
        #[arg(required = true)]
        file: Vec<PathBuf>,
    },
    /// Make, show and check DKIM keys.
    Dkim {
        #[command(subcommand)]
        action: dkim::Action,
    },
    /// Make a mail server of this machine: configuration, accounts, directories, keys, services, DNS records.
    Setup(Box<setup::Given>),
    /// The DNS records of a domain: zone file, table, or compared with what is published.
    Dns(dns::Options),
    /// Accounts: add, remove, passwords, quotas, suspend.
    User {
        #[command(subcommand)]
        action: user::Action,
    },
    /// Names that stand for other addresses, programs or lists.
    Alias {
        #[command(subcommand)]
        action: alias::Action,
    },
    /// Our domains, and who may send as whom.
    Domain {
        #[command(subcommand)]
        action: domain::Action,
    },
    /// Show the whole way of a message from the log: by queue id, address or Message-ID.
    Trace(trace::Options),
    /// Show what runs, what waits and how fast it goes.
    Status(status::Options),
    /// Print numbers for Prometheus: a text file, or one HTTP answer under inetd.
    Metrics(metrics::Options),
    /// Take over tables of Postfix and print its settings as pennypost.toml; says what could not be carried.
    ImportPostfix {
        /// Directory of main.cf and master.cf, or the output of `postconf -n` (- is standard input).
        #[arg(default_value = "/etc/postfix")]
        directory: PathBuf,
        /// Only say what would be taken.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take over the users of Dovecot and print its settings as pennypost.toml; says what could not be carried.
    ImportDovecot {
        /// dovecot.conf, its directory, the output of `doveconf -n` (- is standard input), or a passwd-file.
        #[arg(default_value = "/etc/dovecot")]
        file: PathBuf,
        /// Only say what would be taken.
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove mail that is older than its domain lets it stay (option retention of domains); for a daily job.
    Expire {
        /// Only say what would be removed.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the status again and again.
    Top(status::Top),
    /// Sum up a day from the log: text, or one HTML page with charts.
    Summary(summary::Options),
    /// Compare the places of the installation with their owners and modes, or make them.
    Hier {
        /// Make accounts and directories.
        #[arg(long)]
        make: bool,
    },
    /// Print the completions of a shell: bash, zsh or fish.
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: completion::Shell,
    },
    /// Compiled tables, and what answers for each table.
    Tables {
        #[command(subcommand)]
        action: tables::Action,
    },
    /// Tell what becomes of mail to an address, and why.
    Route {
        /// Addresses.
        #[arg(required = true)]
        address: Vec<String>,
    },
}

fn main() -> ExitCode {
    program::run("pennypost", Convention::Sysexits, work)
}

fn work() -> Result<Outcome, Failure> {
    let arguments = match Arguments::try_parse() {
        Ok(a) => a,
        Err(e) => {
            let _ = e.print();
            return Ok(Outcome::Code(if e.use_stderr() { 64 } else { 0 }));
        }
    };
    let file = Config::file(arguments.config.as_deref());
    match arguments.command {
        Command::Check { all: true, json, no_dns, resolver, mail, .. } => {
            let (resolver, mail) = (resolver.as_deref(), mail.as_deref());
            check::all(&file, &check::machine::Options { json, no_dns, resolver, mail })
        }
        Command::Check { write, show, .. } => check::run(&file, write, show),
        Command::ImportPostfix { directory, dry_run } => import::postfix::run(&file, &directory, dry_run),
        Command::ImportDovecot { file: passwd, dry_run } => import::dovecot::run(&file, &passwd, dry_run),
        Command::Expire { dry_run } => expire::run(&file, dry_run),
        Command::Metrics(options) => metrics::run(&file, &options),
        Command::Defaults { man } => defaults::run(man),
        Command::Report { file } => report::run(&file),
        Command::Dkim { action } => dkim::run(&file, &action),
        Command::Setup(options) => setup::run(arguments.config.as_deref(), &options),
        Command::Dns(options) => dns::run(&file, &options),
        Command::Trace(options) => trace::run(&file, &options),
        Command::Status(options) => status::run(&file, &options),
        Command::Top(options) => status::top(&file, &options),
        Command::Summary(options) => summary::run(&file, &options),
        Command::Hier { make } => hier::run(&file, make),
        Command::Completion { shell } => completion::run(shell, &Arguments::command()),
        Command::User { action } => user::run(&file, &action),
        Command::Alias { action } => alias::run(&file, &action),
        Command::Domain { action } => domain::run(&file, &action),
        Command::Tables { action } => tables::run(&file, &action),
        Command::Route { address } => route::run(&Config::load(Some(&file))?, &address),
    }
}
