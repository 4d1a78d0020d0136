//! The compiled form: what conversation programs read at start instead of TOML.
//!
//! Format      first line `pennypost-config <version of the program> <mtime of the file> <its size>`; then `section<TAB>key<TAB>value` lines
//!             with the value as `Ttext`, `I12`, `Btrue`, `Litem<US>item<US>`; escapes `\n`, `\t`, `\\`
//! Invariants  used only when mtime and size of the TOML file are those it was made from, and by the version that made
//!             it: another one may have other defaults
//! Failures    anything odd: not used, the TOML file is read

use super::{Config, Raw};
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const UNIT: char = '\u{1f}';

fn place(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".checked");
    name.into()
}

fn stamp(file: &Path) -> Option<String> {
    let m = std::fs::metadata(file).ok()?;
    let program = env!("CARGO_PKG_VERSION");
    Some(format!("pennypost-config {program} {}.{:09} {}", m.mtime(), m.mtime_nsec(), m.size()))
}

/// The stamps of a file and of its compiled form.
pub(super) fn stamps(file: &Path) -> (Option<String>, Option<String>) {
    (stamp(file), stamp(&place(file)))
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            other => out.extend(other),
        }
    }
    out
}

fn put(out: &mut String, section: &str, key: &str, value: &Raw) {
    let value = match value {
        Raw::Text(t) => format!("T{}", escape(t)),
        Raw::Int(n) => format!("I{n}"),
        Raw::Float(f) => format!("F{f}"),
        Raw::Bool(b) => format!("B{b}"),
        Raw::List(l) => format!("L{}", escape(&l.iter().map(|i| format!("{i}{UNIT}")).collect::<String>())),
    };
    let _ = writeln!(out, "{section}\t{key}\t{value}");
}

fn take(value: &str) -> Option<Raw> {
    let rest = unescape(value.get(1..)?);
    Some(match value.as_bytes().first()? {
        b'T' => Raw::Text(rest),
        b'I' => Raw::Int(rest.parse().ok()?),
        b'F' => Raw::Float(rest),
        b'B' => Raw::Bool(rest == "true"),
        b'L' => Raw::List(rest.split_terminator(UNIT).map(String::from).collect()),
        _ => return None,
    })
}

pub(super) fn write(config: &Config) -> std::io::Result<()> {
    let head = stamp(&config.file).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?;
    let mut out = format!("{head}\n");
    config.each(&mut |s| put(&mut out, s.section, s.key, &s.value));
    for (i, l) in config.listen.iter().enumerate() {
        l.each(&mut |s| put(&mut out, &format!("listen.{i}"), s.key, &s.value));
    }
    for (i, f) in config.filter.iter().enumerate() {
        f.each(&mut |s| put(&mut out, &format!("filter.{i}"), s.key, &s.value));
    }
    penny_sys::fs::replace_file(&place(&config.file), out.as_bytes(), 0o644)
}

pub(super) fn load(file: &Path) -> Option<Config> {
    let text = std::fs::read_to_string(place(file)).ok()?;
    let mut lines = text.lines();
    if lines.next()? != stamp(file)? {
        return None;
    }
    let mut config = Config { file: file.to_path_buf(), ..Config::default() };
    for line in lines {
        let mut parts = line.splitn(3, '\t');
        let (section, key, value) = (parts.next()?, parts.next()?, parts.next()?);
        if !set(&mut config, section, key, &take(value)?)? {
            return None;
        }
    }
    Some(config)
}

fn set(config: &mut Config, section: &str, key: &str, raw: &Raw) -> Option<bool> {
    let Some((array, index)) = section.split_once('.') else { return config.set(section, key, raw).ok() };
    let index: usize = index.parse().ok()?;
    match array {
        "listen" => entry(&mut config.listen, index)?.set(key, raw).ok(),
        "filter" => entry(&mut config.filter, index)?.set(key, raw).ok(),
        _ => None,
    }
}

fn entry<T: Default>(list: &mut Vec<T>, index: usize) -> Option<&mut T> {
    if index == list.len() {
        list.push(T::default());
    }
    list.get_mut(index)
}
