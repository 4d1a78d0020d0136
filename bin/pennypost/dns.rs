//! `pennypost dns DOMAIN`: the records to publish, as a zone file, a table or JSON, or compared with what is published.
//!
//! Standards   RFC 5321 5.1 (MX), 7208 (SPF), 6376 (DKIM), 7489/9989 (DMARC), 8461 (MTA-STS), 8460 (TLSRPT), 7672 (DANE),
//!             6186 and 8314 (SRV of clients), 2782 (SRV), 5804 1.8 (sieve)
//! Invariants  what is told follows the configuration: services that do not listen are not announced

pub mod compare;
pub mod facts;
pub mod records;
mod show;

use clap::Args;
use facts::Facts;
use penny_base::{Config, Failure, Outcome};
use std::net::IpAddr;
use std::path::Path;

/// What to tell.
#[derive(Debug, Args)]
pub struct Options {
    /// Domain.
    domain: String,
    /// Addresses of this host, where its own are not those the world sees.
    #[arg(long)]
    ip: Vec<IpAddr>,
    /// A table instead of a zone file.
    #[arg(long, conflicts_with_all = ["json", "check"])]
    table: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Compare with what is published.
    #[arg(long)]
    check: bool,
    /// Resolver to ask, ADDR:PORT.
    #[arg(long)]
    resolver: Option<String>,
}

/// Runs it; with `--check` exit 65 when something is missing.
pub fn run(file: &Path, options: &Options) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let facts = Facts::gather(&config, &options.domain, &options.ip)?;
    let records = records::all(&facts);
    if options.check {
        let found = compare::all(&config, options.resolver.as_deref(), &facts, &records)?;
        show::compared(&found, options.json)?;
        let bad = found.iter().any(|f| f.record.must && !f.state.is_ok());
        return Ok(if bad { Outcome::Code(65) } else { Outcome::Done });
    }
    if options.table {
        show::table(&records)?;
    } else if options.json {
        show::json(&records)?;
    } else {
        show::zone(&facts, &records)?;
    }
    Ok(Outcome::Done)
}

/// The zone file and the table, for setup.
pub fn texts(config: &Config, domain: &str, ip: &[IpAddr]) -> Result<(String, Vec<[String; 4]>), Failure> {
    let facts = Facts::gather(config, domain, ip)?;
    let records = records::all(&facts);
    Ok((show::zone_text(&facts, &records), show::rows(&records)))
}
