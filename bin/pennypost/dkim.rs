//! `pennypost dkim`: keys by their usual names, done by dkimsign (which alone links the signing code).

use clap::Subcommand;
use penny_base::{Config, Failure, Outcome};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a key, print its DNS record and the line for the table.
    New {
        /// Domain that signs.
        domain: String,
        /// Selector; must not have been used before.
        selector: String,
        /// rsa, rsa:BITS or ed25519.
        #[arg(long, default_value = "rsa")]
        kind: String,
        /// Where the key goes; by default KEYDIR/DOMAIN.SELECTOR.pem beside the table.
        #[arg(long)]
        key: Option<PathBuf>,
    },
    /// Print the DNS record of a key.
    Show {
        /// Domain.
        domain: String,
        /// Selector.
        selector: String,
        /// The key.
        #[arg(long)]
        key: Option<PathBuf>,
    },
    /// Compare every key of the table with the DNS.
    Check {
        /// Resolver to ask, ADDR:PORT.
        #[arg(long)]
        resolver: Option<String>,
    },
}

/// Runs dkimsign.
pub fn run(file: &Path, action: &Action) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let mut args: Vec<OsString> = vec!["-c".into(), file.into()];
    match action {
        Action::New { domain, selector, kind, key } => {
            args.extend(["--generate".into(), kind.into()]);
            args.extend(named(&config, domain, selector, key.as_deref()));
        }
        Action::Show { domain, selector, key } => {
            args.push("--record".into());
            args.extend(named(&config, domain, selector, key.as_deref()));
        }
        Action::Check { resolver } => {
            args.push("--check".into());
            args.extend(resolver.iter().flat_map(|r| ["--resolver".into(), OsString::from(r)]));
        }
    }
    let program = program(&config);
    let status = Command::new(&program).args(args).status().map_err(|e| Failure::io(program.display(), &e))?;
    let code = status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(75);
    if let (0, Action::New { domain, selector, key, .. }) = (code, action) {
        let key = place(&config, domain, selector, key.as_deref());
        let text = format!("; line for {}: {domain} {selector} {}", config.dkimsign.table.display(), key.display());
        let mut out = std::io::stdout().lock();
        std::io::Write::write_all(&mut out, format!("{text}\n").as_bytes())
            .map_err(|e| Failure::io("standard output", &e))?;
    }
    Ok(Outcome::Code(code))
}

fn named(config: &Config, domain: &str, selector: &str, key: Option<&Path>) -> Vec<OsString> {
    let key = place(config, domain, selector, key);
    vec!["--key".into(), key.into(), "--domain".into(), domain.into(), "--selector".into(), selector.into()]
}

fn place(config: &Config, domain: &str, selector: &str, key: Option<&Path>) -> PathBuf {
    let beside = || {
        let dir = config.dkimsign.table.parent().unwrap_or(Path::new("."));
        dir.join(format!("{domain}.{selector}.pem"))
    };
    key.map_or_else(beside, Path::to_path_buf)
}

/// The installed dkimsign, or the one beside this program.
fn program(config: &Config) -> PathBuf {
    let installed = config.program("dkimsign");
    let beside = || std::env::current_exe().ok().map(|p| p.with_file_name("dkimsign")).filter(|p| p.exists());
    if installed.exists() { installed } else { beside().unwrap_or(installed) }
}
