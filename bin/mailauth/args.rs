//! Options.

use clap::Parser;
use penny_base::Failure;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

/// Checks SPF, DKIM, DMARC and ARC of a message on standard input.
#[derive(Debug, Parser)]
#[command(name = "mailauth", version, disable_help_subcommand = true)]
pub struct Options {
    /// Configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print the whole message with the field on top, forged ones of our name removed
    #[arg(long, conflicts_with = "json")]
    pub rewrite: bool,
    /// Check SPF only; no message is read
    #[arg(long)]
    pub spf_only: bool,
    /// Resolver to ask
    #[arg(long, value_name = "ADDR:PORT")]
    pub resolver: Option<String>,
    /// Address of the client
    #[arg(long, value_name = "IP")]
    pub ip: Option<IpAddr>,
    /// What the client said in HELO or EHLO
    #[arg(long, value_name = "NAME", default_value = "")]
    pub helo: String,
    /// Reverse-path of MAIL FROM; empty for the null one
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    pub from: String,
    /// Our name in Authentication-Results
    #[arg(long, value_name = "ID")]
    pub authserv_id: Option<String>,
    /// Judge as of this time, seconds since 1970
    #[arg(long, value_name = "UNIX")]
    pub time: Option<u64>,
    /// Public suffix list
    #[arg(long, value_name = "FILE")]
    pub suffixes: Option<PathBuf>,
    /// Make and send the DMARC reports of all finished days
    #[arg(long)]
    pub send_reports: bool,
    /// With --send-reports: write the mails into this directory instead of sending them
    #[arg(long, value_name = "DIR", requires = "send_reports")]
    pub into: Option<PathBuf>,
}

/// What is asked for.
pub enum Command {
    /// Check one message.
    Check(Box<Options>),
    /// The daily job.
    SendReports(Box<Options>),
    /// Help or version was printed.
    Shown,
}

/// Parses the command line. A filter takes what is not given from its environment.
pub fn parse(args: impl Iterator<Item = OsString>, filter: bool) -> Result<Command, Failure> {
    let mut options = match Options::try_parse_from(args) {
        Ok(options) => options,
        Err(e) if !e.use_stderr() => {
            let _ = e.print();
            return Ok(Command::Shown);
        }
        // A filter that is started wrongly must defer mail, never bounce it.
        Err(e) if filter => return Err(Failure::temporary("4.3.5", first_line(&e.to_string()))),
        Err(e) => return Err(Failure::usage(first_line(&e.to_string()))),
    };
    if options.send_reports {
        return Ok(Command::SendReports(Box::new(options)));
    }
    if filter {
        from_environment(&mut options);
    }
    options.from = bare(&options.from);
    Ok(Command::Check(Box::new(options)))
}

/// The contract of filters: REMOTE_IP, HELO, SENDER.
fn from_environment(options: &mut Options) {
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    options.ip = options.ip.or_else(|| var("REMOTE_IP").parse().ok());
    if options.helo.is_empty() {
        options.helo = var("HELO");
    }
    if options.from.is_empty() {
        options.from = var("SENDER");
    }
}

/// An address without angle brackets.
fn bare(address: &str) -> String {
    let address = address.trim();
    address.strip_prefix('<').and_then(|a| a.strip_suffix('>')).unwrap_or(address).to_owned()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
