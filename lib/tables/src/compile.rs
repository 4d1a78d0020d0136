//! Large tables compiled: NAME.cdb beside NAME, asked key by key instead of read.
//!
//! Format      a cdb whose keys are those of the text (in lower case, logins as written) and whose values are the
//!             right-hand sides. Keys that begin with NUL are ours: `NUL pennypost` = format, table, length and time of
//!             the text; in users `NUL fold NUL lower-case login` = login as written where they differ, `NUL domains` =
//!             domains of logins, `NUL samples` = a password field of each scheme, `NUL secret` = 32 random octets
//! Invariants  1. the file counts only while it was made from a text of the text's time and length: one that was changed
//!             since, or put back from a backup, wins   2. it has the text's owner and mode (hashes stay secret)
//!             3. it is complete and on stable storage before it takes the name
//!             4. of several entries with one key the last counts, as in the text
//! Failures    io::Error: `InvalidData` for a text with mistakes, `InvalidInput` for a table that cannot be compiled

use crate::behind::{Source, Unavailable};
use crate::cdb::{self, Cdb};
use crate::key;
use crate::lines::{Line, Mistake, logical, single};
use crate::put::{Look, put};
use crate::{aliases, apps::Apps, set::Tables, users::Users};
use penny_sys::files::Stamp;
use penny_sys::fs::Locked;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Tables that can be compiled. `access` is a list whose order counts.
pub const NAMES: [&str; 7] = ["users", "app-passwords", "aliases", "virtual", "domains", "routes", "senders"];

const MARK: &[u8] = b"\0pennypost";
/// Domains of logins, parted by line ends.
pub const DOMAINS: &[u8] = b"\0domains";
/// One password field of each scheme, parted by line ends.
pub const SAMPLES: &[u8] = b"\0samples";
/// What outsiders do not know.
pub const SECRET: &[u8] = b"\0secret";

/// Where the compiled form of a table is.
pub fn path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.cdb"))
}

/// The key under which users.cdb keeps the login of a name in lower case.
pub fn fold_key(lower: &str) -> String {
    format!("\0fold\0{lower}")
}

fn mark(name: &str, text: &Metadata) -> String {
    format!("1 {name} {} {}.{:09}", text.len(), text.mtime(), text.mtime_nsec())
}

/// A compiled table.
#[derive(Debug)]
pub struct Compiled(Cdb);

impl Compiled {
    /// Opens NAME.cdb; `Ok(None)` when there is none, `InvalidData` when it was not made from this text.
    pub fn open(directory: &Path, name: &str, text: &Metadata) -> io::Result<Option<Compiled>> {
        let cdb = match Cdb::open(&path(directory, name)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if cdb.get(MARK)? != Some(mark(name, text).as_bytes()) {
            let why = format!("not made from {name} as it is: compile it again");
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        Ok(Some(Compiled(cdb)))
    }

    /// The value of a key as text.
    pub fn text(&self, key: &[u8]) -> io::Result<Option<String>> {
        Ok(self.octets(key)?.map(|v| String::from_utf8_lossy(v).into_owned()))
    }

    /// The value of a key.
    pub fn octets(&self, key: &[u8]) -> io::Result<Option<&[u8]>> {
        self.0.get(key)
    }
}

impl Source for Compiled {
    fn get(&self, key: &str, _deadline: Instant) -> Result<Option<String>, Unavailable> {
        self.text(key.as_bytes()).map_err(|e| Unavailable(e.to_string()))
    }

    fn is_compiled(&self) -> bool {
        true
    }
}

/// Compiles a table, waiting for whoever changes it; gives the number of entries.
pub fn compile(directory: &Path, name: &str) -> io::Result<usize> {
    let _lock = Locked::wait(&directory.join(".lock"), 0o600)?;
    compile_locked(directory, name)
}

/// Compiles a table again if it was compiled before; the caller holds the lock.
pub(crate) fn again_locked(directory: &Path, name: &str) -> io::Result<()> {
    if path(directory, name).exists() { compile_locked(directory, name).map(drop) } else { Ok(()) }
}

fn compile_locked(directory: &Path, name: &str) -> io::Result<usize> {
    if !NAMES.contains(&name) {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{name} cannot be compiled")));
    }
    let source = directory.join(name);
    let before = std::fs::metadata(&source)?;
    if crate::program::is_program(&before) {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{name} is a program")));
    }
    let text = std::fs::read_to_string(&source)?;
    if let Some(Mistake { line, text }) = Tables::mistakes(name, &text).first() {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("{line}: {text}")));
    }
    let entries = entries(name, &text);
    let mut records: BTreeMap<Vec<u8>, Vec<u8>> = extras(name, &text);
    records.insert(MARK.to_vec(), mark(name, &before).into_bytes());
    let all = entries.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes()));
    let octets = cdb::make(records.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).chain(all))?;
    let (uid, gid, mode) = (Some(before.uid()), Some(before.gid()), before.mode() & 0o666);
    put(&path(directory, name), &octets, &Look { uid, gid, mode }, (&source, Some(Stamp::of(&before))))?;
    Ok(entries.len())
}

/// Keys and right-hand sides of a text.
fn entries(name: &str, text: &str) -> BTreeMap<String, String> {
    let folded = |(k, v): (&str, &str)| (key::folded(k.trim()), v.trim().to_string());
    let spaced = |l: Line| folded(l.text.split_once(char::is_whitespace).unwrap_or((&l.text, "")));
    match name {
        "users" => users(text).map(|(k, v)| (k.trim().to_string(), v.trim().to_string())).collect(),
        "app-passwords" => {
            let mut all: BTreeMap<String, String> = BTreeMap::new();
            users(text).for_each(|(login, rest)| *all.entry(login.to_string()).or_default() += &format!("{rest}\n"));
            all
        }
        "aliases" => {
            let named = |l: Line| aliases::split_name(&l.text).map(|(k, v)| folded((&k, v)));
            logical(text).into_iter().filter_map(named).collect()
        }
        // a line that only says that a domain is virtual has no meaning here
        "virtual" | "senders" => {
            logical(text).into_iter().map(spaced).filter(|(k, _)| k.contains('@') || !k.contains('.')).collect()
        }
        "domains" => logical(text).into_iter().map(spaced).map(|(k, v)| (key::domain(&k), v)).collect(),
        _ => logical(text).into_iter().map(spaced).collect(),
    }
}

/// Lines parted at their first colon.
fn users(text: &str) -> impl Iterator<Item = (&str, &str)> {
    single(text).map(|(_, line)| line.trim_end()).map(|line| line.split_once(':').unwrap_or((line, "")))
}

/// What cannot be asked key by key.
fn extras(name: &str, text: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut out = BTreeMap::new();
    if name == "app-passwords" {
        out.insert(SAMPLES.to_vec(), Apps::parse(text).0.any().map(|a| a.password.clone()).unwrap_or_default().into());
    }
    if name != "users" {
        return out;
    }
    let (users, _) = Users::parse(text);
    let domains: BTreeSet<String> = users.domains().map(str::to_lowercase).collect();
    out.insert(DOMAINS.to_vec(), domains.into_iter().collect::<Vec<_>>().join("\n").into());
    out.insert(SAMPLES.to_vec(), samples(&users).into());
    let mut secret = vec![0; 32];
    penny_sys::random::fill(&mut secret);
    out.insert(SECRET.to_vec(), secret);
    for (lower, login) in users.folded().filter(|(lower, login)| lower != login) {
        out.insert(fold_key(lower).into(), login.into());
    }
    out
}

/// A password field of each scheme among those who may log in.
fn samples(users: &Users) -> String {
    let mut schemes = BTreeMap::new();
    for user in users.iter().filter(|u| !u.no_login) {
        let scheme = match user.password.split_once('}') {
            Some((scheme, _)) => scheme.to_ascii_uppercase(),
            None => user.password.chars().take(4).collect(),
        };
        let sample = schemes.entry(scheme).or_insert("");
        if user.password.len() > sample.len() {
            *sample = user.password.as_str();
        }
    }
    schemes.into_values().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
