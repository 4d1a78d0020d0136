//! Options. Parsed by hand: this program starts once a message, and an option parser costs more than the verdict.

use anyhow::{Context, Result, anyhow, bail};
use penny_base::Config;
use penny_scan::policy::{Limits, Policy};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// What to do.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Action {
    /// Scan.
    #[default]
    Scan,
    /// Compile signatures into this file.
    Compile(PathBuf),
    /// Describe a compiled file.
    Info(PathBuf),
    /// Serve the clamd protocol on standard input and output.
    ClamdListener,
    /// List the quarantine.
    QuarantineList,
    /// Release a message from it.
    Release(String),
    /// Show usage.
    Help,
    /// Show the version.
    Version,
}

/// The command line.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// Compiled signatures.
    pub db: Option<PathBuf>,
    /// One JSON line a file.
    pub json: bool,
    /// JSON with the tree walked.
    pub tree: bool,
    /// All finds, not only the first.
    pub all: bool,
    /// Nothing for clean files.
    pub quiet: bool,
    /// Actions.
    pub policy: Policy,
    /// Bounds.
    pub limits: Limits,
    /// A clamd to ask too.
    pub clamd: Option<String>,
    /// Where refused messages are kept.
    pub quarantine: Option<PathBuf>,
    /// Hand a released message to sendmail.
    pub send: bool,
    /// Print the whole message, parts to strip taken out.
    pub rewrite: bool,
    /// The listener may be asked for paths.
    pub paths: bool,
    /// Compile without the built-in signatures.
    pub bare: bool,
    /// Started by ourselves to do the scanning.
    pub worker: bool,
    /// Do not confine (for debugging under a tracer).
    pub unconfined: bool,
    /// Files.
    pub files: Vec<PathBuf>,
    /// The options as given, without files, to start a worker with.
    pub given: Vec<OsString>,
}

/// Signatures used when `--db` is not given and this file exists.
pub const DEFAULT_DB: &str = "/var/lib/pennypost/virus.db";

/// Options that take a value.
const WITH_VALUE: &[&str] = &[
    "-c",
    "--config",
    "--compile",
    "--db",
    "--clamd",
    "--policy",
    "--quarantine",
    "--release",
    "--info",
    "--max-depth",
    "--max-files",
    "--max-object",
    "--max-total",
    "--max-ratio",
    "--max-time",
];

/// Takes a command line apart, over what the configuration says: as a filter, and by hand only with `-c`, for a command in
/// a pipe must not change with the site's configuration.
pub fn parse(arguments: impl Iterator<Item = OsString>, filter: bool) -> Result<Options> {
    let arguments: Vec<OsString> = arguments.collect();
    let named = config_option(&arguments);
    let mut o = match filter || named.is_some() {
        true => configured(named.as_deref())?,
        false => Options::default(),
    };
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy().into_owned();
        if text == "--" {
            o.files.extend(rest.by_ref().map(PathBuf::from));
        } else if !text.starts_with('-') || text == "-" {
            o.files.push(argument.into());
        } else {
            option(&mut o, &text, &mut rest)?;
        }
    }
    if matches!(o.action, Action::Compile(_)) && o.files.is_empty() {
        bail!("--compile needs files to compile");
    }
    Ok(o)
}

/// The value of `-c` or `--config`, wherever it stands before `--`.
fn config_option(arguments: &[OsString]) -> Option<PathBuf> {
    let mut options = arguments.iter().take_while(|a| *a != "--");
    while let Some(argument) = options.next() {
        let text = argument.to_string_lossy();
        match text.split_once('=') {
            Some(("--config", value)) => return Some(value.into()),
            None if text == "-c" || text == "--config" => return options.next().map(PathBuf::from),
            None if WITH_VALUE.contains(&&*text) => drop(options.next()),
            _ => {}
        }
    }
    None
}

/// Options as the section `[virusscan]` has them.
fn configured(file: Option<&std::path::Path>) -> Result<Options> {
    let v = Config::load(file).map_err(|m| anyhow!("{}", m.to_string().replace('\n', "; ")))?.virusscan;
    let mut o = Options { db: Some(v.db).filter(|d| d.as_os_str() != DEFAULT_DB), ..Options::default() };
    for word in &v.policy {
        o.policy.set_word(word).map_err(|e| anyhow!("virusscan.policy: {e}"))?;
    }
    o.clamd = Some(v.clamd).filter(|c| !c.is_empty());
    o.quarantine = Some(v.quarantine).filter(|q| !q.as_os_str().is_empty());
    o.limits = Limits {
        depth: v.max_depth as usize,
        files: v.max_files.into(),
        object: v.max_object.0,
        total: v.max_total.0,
        ratio: v.max_ratio.into(),
        time: v.max_time.duration(),
        ..o.limits
    };
    Ok(o)
}

fn option(o: &mut Options, text: &str, rest: &mut impl Iterator<Item = OsString>) -> Result<()> {
    let (name, value) = match text.split_once('=') {
        Some((n, v)) if n.starts_with("--") => (n, Some(OsString::from(v))),
        _ => (text, None),
    };
    let value = match value {
        None if WITH_VALUE.contains(&name) => Some(rest.next().ok_or_else(|| anyhow!("{name} needs a value"))?),
        other => other,
    };
    if name != "--quarantine" {
        o.given.push(name.into());
        o.given.extend(value.clone());
    }
    match value {
        Some(value) if WITH_VALUE.contains(&name) => valued(o, name, &value),
        Some(_) => bail!("{name} takes no value"),
        None => flag(o, name),
    }
}

fn flag(o: &mut Options, name: &str) -> Result<()> {
    match name {
        "--json" => o.json = true,
        "--tree" => (o.json, o.tree) = (true, true),
        "--all" => o.all = true,
        "-q" | "--quiet" => o.quiet = true,
        "--no-policy" => o.policy.enabled = false,
        "--no-builtin" => o.bare = true,
        "--clamd-listener" => o.action = Action::ClamdListener,
        "--paths" => o.paths = true,
        "--rewrite" => o.rewrite = true,
        "--list" => o.action = Action::QuarantineList,
        "--send" => o.send = true,
        "--worker" => o.worker = true,
        "--no-confine" => o.unconfined = true,
        "-h" | "--help" => o.action = Action::Help,
        "-V" | "--version" => o.action = Action::Version,
        _ => bail!("unknown option {name}; virusscan --help lists them"),
    }
    Ok(())
}

fn valued(o: &mut Options, name: &str, value: &OsStr) -> Result<()> {
    let text = value.to_string_lossy();
    match name {
        "-c" | "--config" => {} // was read first
        "--compile" => o.action = Action::Compile(value.into()),
        "--info" => o.action = Action::Info(value.into()),
        "--release" => o.action = Action::Release(text.into_owned()),
        "--db" => o.db = Some(value.into()),
        "--clamd" => o.clamd = Some(text.into_owned()),
        "--quarantine" => o.quarantine = Some(value.into()),
        "--policy" => policy(&mut o.policy, &text)?,
        "--max-depth" => o.limits.depth = number(name, &text)? as usize,
        "--max-files" => o.limits.files = number(name, &text)?,
        "--max-object" => o.limits.object = size(name, &text)?,
        "--max-total" => o.limits.total = size(name, &text)?,
        "--max-ratio" => o.limits.ratio = number(name, &text)?,
        _ => o.limits.time = Duration::from_secs(number(name, &text)?),
    }
    Ok(())
}

/// `class=action[,class=action...]`
fn policy(policy: &mut Policy, text: &str) -> Result<()> {
    for word in text.split(',').filter(|w| !w.is_empty()) {
        policy.set_word(word).map_err(|e| anyhow!("--policy: {e}"))?;
    }
    Ok(())
}

fn number(name: &str, text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("{name}: `{text}` is not a number"))
}

/// A number with K, M or G.
fn size(name: &str, text: &str) -> Result<u64> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number(name, digits)?.checked_mul(1 << shift).ok_or_else(|| anyhow!("{name}: `{text}` is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Options> {
        parse(line.split_whitespace().map(OsString::from), false)
    }

    #[test]
    fn the_contract() {
        let o = parse_words("--db x.db --json --no-policy a b").unwrap();
        assert!(o.json && !o.policy.enabled && o.files.len() == 2);
        let o = parse_words("--compile out.db a.ndb").unwrap();
        assert_eq!(o.action, Action::Compile("out.db".into()));
        assert_eq!(parse_words("--max-object=5M").unwrap().limits.object, 5 << 20);
        assert_eq!(parse_words("-- --json -c x").unwrap().files.len(), 3);
        for bad in ["--compile out.db", "--nonsense", "--db", "--json=1", "--policy a=b", "--max-files x"] {
            assert!(parse_words(bad).is_err(), "{bad}");
        }
    }
}
