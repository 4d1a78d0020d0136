//! Options.

use clap::Parser;
use penny_base::Failure;
use std::ffi::OsString;
use std::path::PathBuf;

/// Signs a message on standard input and prints the new header fields.
#[derive(Debug, Parser)]
#[command(name = "dkimsign", version, disable_help_subcommand = true)]
pub struct Options {
    /// Configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Private key in PEM (RSA or ed25519)
    #[arg(long, value_name = "PEM")]
    pub key: Option<PathBuf>,
    /// Selector
    #[arg(long, value_name = "S")]
    pub selector: Option<String>,
    /// Signing domain
    #[arg(long, value_name = "D")]
    pub domain: Option<String>,
    /// Fields to sign, in this order; a name once more than it occurs keeps others from adding it
    #[arg(long, value_name = "A:B:C")]
    pub headers: Option<String>,
    /// Canonical forms of header and body
    #[arg(long, value_name = "H/B", default_value = "relaxed/relaxed")]
    pub canon: String,
    /// Agent or user, the i= tag
    #[arg(long, value_name = "ADDRESS")]
    pub auid: Option<String>,
    /// Seconds until the signature expires
    #[arg(long, value_name = "SECONDS")]
    pub lifetime: Option<u64>,
    /// Sign as of this time, seconds since 1970
    #[arg(long, value_name = "UNIX")]
    pub time: Option<u64>,
    /// Seal with ARC instead of signing with DKIM
    #[arg(long, requires = "authserv_id")]
    pub arc: bool,
    /// Whose Authentication-Results are ours
    #[arg(long, value_name = "ID")]
    pub authserv_id: Option<String>,
    /// Resolver to ask
    #[arg(long, value_name = "ADDR:PORT")]
    pub resolver: Option<String>,
    /// Table of keys
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// Make a key (rsa, rsa:BITS or ed25519) in the file of --key and print its DNS record
    #[arg(long, value_name = "TYPE")]
    pub generate: Option<String>,
    /// Print the DNS record of a key
    #[arg(long)]
    pub record: bool,
    /// Compare keys with the DNS: that of --key, or all of the table
    #[arg(long)]
    pub check: bool,
}

/// What is asked for.
pub enum Command {
    /// Sign or seal.
    Sign(Box<Options>),
    /// Make a key.
    Generate(Box<Options>),
    /// Print a record.
    Record(Box<Options>),
    /// Compare with the DNS.
    Check(Box<Options>),
    /// Help or version was printed.
    Shown,
}

/// Parses the command line.
pub fn parse(args: impl Iterator<Item = OsString>, filter: bool) -> Result<Command, Failure> {
    let options = match Options::try_parse_from(args) {
        Ok(options) => Box::new(options),
        Err(e) if !e.use_stderr() => {
            let _ = e.print();
            return Ok(Command::Shown);
        }
        // A filter that is started wrongly must defer mail, never bounce it.
        Err(e) if filter => return Err(Failure::temporary("4.3.5", first_line(&e.to_string()))),
        Err(e) => return Err(Failure::usage(first_line(&e.to_string()))),
    };
    Ok(match &*options {
        o if o.generate.is_some() => Command::Generate(options),
        o if o.record => Command::Record(options),
        o if o.check => Command::Check(options),
        _ => Command::Sign(options),
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

impl Options {
    /// The names of --headers.
    pub fn names(&self) -> Option<Vec<String>> {
        let list = self.headers.as_ref()?;
        Some(list.split(':').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect())
    }

    /// A value that must be there.
    pub fn need<'a, T>(value: &'a Option<T>, name: &str) -> Result<&'a T, Failure> {
        value.as_ref().ok_or_else(|| Failure::usage(format!("--{name} is missing")))
    }
}
