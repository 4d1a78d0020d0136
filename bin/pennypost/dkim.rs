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

/// Selector and record value of each key that signs for a domain, in the order of the table.
pub fn records(config: &Config, domain: &str) -> Result<Vec<(String, String)>, Failure> {
    let text = match std::fs::read_to_string(&config.dkimsign.table) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|e| Failure::io(config.dkimsign.table.display(), &e))?,
    };
    let mut out = Vec::new();
    for line in text.lines().filter(|l| !l.trim_start().starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [author, selector, key, rest @ ..] = words.as_slice() else { continue };
        let signs = rest.iter().find_map(|w| w.strip_prefix("d=")).unwrap_or(author);
        // one key may sign for several authors
        let known = out.iter().any(|(s, _): &(String, String)| s == selector);
        if signs.eq_ignore_ascii_case(domain) && !known {
            let key = config.dkimsign.table.parent().unwrap_or(Path::new("/")).join(key);
            out.push((selector.to_string(), record(config, domain, selector, &key)?));
        }
    }
    Ok(out)
}

/// The value of one record, as dkimsign prints it between quotes.
fn record(config: &Config, domain: &str, selector: &str, key: &Path) -> Result<String, Failure> {
    let program = program(config);
    let mut command = Command::new(&program);
    command.arg("--record").arg("--key").arg(key).args(["--domain", domain, "--selector", selector]);
    let out = command.output().map_err(|e| Failure::io(program.display(), &e))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let value: String = text.split('"').skip(1).step_by(2).collect();
    if out.status.success() && !value.is_empty() {
        return Ok(value);
    }
    let why = String::from_utf8_lossy(&out.stderr).trim().to_string();
    Err(Failure::config(format!("{}: no usable DKIM key", key.display())).with_detail(why))
}

/// Makes a key in a file of its own; the file belongs to the owner of its directory.
pub fn generate(config: &Config, kind: &str, domain: &str, selector: &str, key: &Path) -> Result<(), Failure> {
    let program = program(config);
    let mut command = Command::new(&program);
    command.args(["--generate", kind, "--domain", domain, "--selector", selector, "--key"]).arg(key);
    let out = command.output().map_err(|e| Failure::io(program.display(), &e))?;
    let why = String::from_utf8_lossy(&out.stderr).trim().to_string();
    if out.status.success() {
        Ok(())
    } else {
        Err(Failure::temporary("4.3.0", "no DKIM key was made").with_detail(why))
    }
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
pub fn program(config: &Config) -> PathBuf {
    let installed = config.program("dkimsign");
    let beside = || std::env::current_exe().ok().map(|p| p.with_file_name("dkimsign")).filter(|p| p.exists());
    if installed.exists() { installed } else { beside().unwrap_or(installed) }
}
