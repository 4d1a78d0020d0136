//! etc/hier: which places an installation has, with owner, group and mode. Made by setup, compared by check.

use crate::setup::plan::Plan;
use penny_base::{Config, Failure, Outcome};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../etc/hier");

/// `pennypost hier`: compares, or with `make` makes accounts and places (the package's maintainer scripts, boot scripts
/// of systems without tmpfiles). Exit 78 when something is not as it should be.
pub fn run(file: &Path, make: bool) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    if make {
        let mut plan = Plan::new(false);
        if penny_sys::ids::is_root() {
            crate::setup::accounts::make(&mut plan, &config)?;
        }
        crate::setup::directories(&mut plan, &config)?;
        return Ok(Outcome::Done);
    }
    let wrong = wrong(&config)?;
    wrong.iter().try_for_each(|w| crate::table::say(w).map(drop))?;
    Ok(if wrong.is_empty() { Outcome::Done } else { Outcome::Code(78) })
}

/// What is not as etc/hier says; a file that is not there yet is no mistake.
pub fn wrong(config: &Config) -> Result<Vec<String>, Failure> {
    Ok(places(config)?.iter().filter_map(complaint).collect())
}

fn complaint(place: &Place) -> Option<String> {
    let shown = place.path.display();
    let meta = match std::fs::metadata(&place.path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == ErrorKind::NotFound && !place.is_dir => return None,
        Err(e) if e.kind() == ErrorKind::PermissionDenied => return None,
        Err(e) => return Some(format!("{shown}: {e}")),
    };
    let (mode, owner) = (meta.mode() & 0o7777, (meta.uid(), meta.gid()));
    if meta.is_dir() != place.is_dir {
        return Some(format!("{shown}: is {}a directory", if place.is_dir { "not " } else { "" }));
    }
    // programs may belong to whoever installed them
    if owner != (place.uid, place.gid) && !place.programs {
        let ((u, g), (pu, pg)) = (owner, (place.uid, place.gid));
        return Some(format!("{shown}: belongs to {u}:{g}, expected {pu}:{pg}"));
    }
    (mode != place.mode && !place.programs)
        .then(|| format!("{shown}: has mode {mode:04o}, expected {:04o}", place.mode))
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub path: PathBuf,
    /// A directory, or a file.
    pub is_dir: bool,
    /// Owner, where ids are separate.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// What the package installs, not setup.
    pub programs: bool,
}

/// The places of a configuration. Where one user runs everything, all belong to that user.
pub fn places(config: &Config) -> Result<Vec<Place>, Failure> {
    let lines = TABLE.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines.filter_map(|line| place(config, line).transpose()).collect()
}

fn place(config: &Config, line: &str) -> Result<Option<Place>, Failure> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [path, kind, owner, group, mode] = words.as_slice() else {
        return Err(Failure::config(format!("etc/hier: {line}")));
    };
    let Some(real) = real(config, path) else { return Ok(None) };
    let mode = u32::from_str_radix(mode, 8).map_err(|_| Failure::config(format!("etc/hier: {line}")))?;
    let (uid, gid) = (id(config, owner)?.0, id(config, group)?.1);
    let programs = path.starts_with("{libexec}");
    Ok(Some(Place { path: real, is_dir: *kind == "dir", uid, gid, mode, programs }))
}

/// The place a word in braces stands for; `None` for those of the package.
fn real(config: &Config, path: &str) -> Option<PathBuf> {
    let (word, rest) = path.strip_prefix('{')?.split_once('}')?;
    let p = &config.paths;
    let base = match word {
        "libexec" => p.libexec.clone(),
        "etc" => p.tables.clone(),
        "run" => p.run.clone(),
        "spool" if rest == "/queue" => return Some(p.queue.clone()),
        "spool" => p.queue.parent().unwrap_or(Path::new("/")).to_path_buf(),
        "state" => p.state.clone(),
        "mail" => mail(config),
        _ => return None,
    };
    Some(if rest.is_empty() { base } else { base.join(rest.trim_start_matches('/')) })
}

/// The part of mail.home above the first component that differs between users.
pub fn mail(config: &Config) -> PathBuf {
    let whole = PathBuf::from(&config.mail.home);
    whole.ancestors().find(|p| !p.to_string_lossy().contains('%')).unwrap_or(Path::new("/")).to_path_buf()
}

fn id(config: &Config, role: &str) -> Result<(u32, u32), Failure> {
    if !config.separate_ids() {
        let own = penny_sys::ids::own();
        return Ok((own.uid, own.gid));
    }
    let i = &config.ids;
    let name = match role {
        "root" => return Ok((0, 0)),
        "tls" => &i.tls,
        "lookup" => &i.lookup,
        "queue" => &i.queue,
        "net" => &i.net,
        "mail" => &i.mail,
        "out" => &i.out,
        "filter" => &i.filter,
        "sign" => &i.sign,
        _ => &i.auth,
    };
    let id = penny_sys::ids::parse(name).map_err(|e| Failure::config(format!("ids.{role}: {e}")))?;
    Ok((id.uid, id.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_configuration() {
        let text = "[paths]\nqueue = \"/q/spool\"\ntables = \"/t\"\n[mail]\nhome = \"/m/%d/%u\"\n[ids]\ntls=\"1\"\nlookup=\"2\"\n\
                    queue=\"3\"\nnet=\"4\"\nmail=\"5\"\nout=\"6\"\nfilter=\"7\"\nsign=\"8\"\nauth=\"9\"\n";
        let config = Config::parse(Path::new("p.toml"), text).unwrap();
        let places = places(&config).unwrap();
        let find = |p: &str| places.iter().find(|x| x.path == Path::new(p)).unwrap_or_else(|| panic!("no {p}"));
        assert_eq!(find("/q/spool").mode, 0o700);
        assert!(find("/q").is_dir && find("/m").is_dir && !find("/t/users").is_dir);
        if penny_sys::ids::is_root() {
            assert_eq!((find("/t/users").uid, find("/t/users").gid, find("/m").uid), (0, 9, 5));
        }
    }
}
