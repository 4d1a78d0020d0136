//! MH folders: numbered files and `.mh_sequences`.
//!
//! Standards   mh-sequence(5): lines `<name>: <n> <n>-<m> ...`
//! Invariants  only files whose names are all digits are messages
//! Trust       any bytes

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::name::Flags;

/// Name of the sequences file.
pub const SEQUENCES: &str = ".mh_sequences";
/// Longest sequence expanded.
const NUMBER_MAX: u32 = 10_000_000;

/// Sequences that are flags, and whether being listed sets or clears.
const KNOWN: [(&str, Flags, bool); 3] =
    [("unseen", Flags::SEEN, false), ("flagged", Flags::FLAGGED, true), ("replied", Flags::ANSWERED, true)];

/// Flags and other sequences of each message that has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    lists: BTreeMap<String, Vec<(u32, u32)>>,
}

impl Sequences {
    /// Reads the file of a folder; a missing one is empty.
    pub fn read(folder: &Path) -> Result<Sequences> {
        let path = folder.join(SEQUENCES);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Sequences::parse(&String::from_utf8_lossy(&bytes))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Sequences::default()),
            Err(e) => Err(Error::io("read", &path)(e)),
        }
    }

    fn parse(text: &str) -> Sequences {
        let mut out = Sequences::default();
        for line in text.lines() {
            let Some((name, list)) = line.split_once(':') else { continue };
            let ranges = list.split_ascii_whitespace().filter_map(|item| {
                let (first, last) = item.split_once('-').unwrap_or((item, item));
                Some((first.parse().ok()?, last.parse().ok().filter(|n| *n <= NUMBER_MAX)?))
            });
            out.lists.entry(name.trim().to_string()).or_default().extend(ranges);
        }
        out
    }

    fn has(&self, name: &str, number: u32) -> bool {
        self.lists.get(name).is_some_and(|l| l.iter().any(|(a, b)| (*a..=*b).contains(&number)))
    }

    /// Flags of a message.
    pub fn flags(&self, number: u32) -> Flags {
        let set = KNOWN.iter().filter(|(name, _, listed)| self.has(name, number) == *listed);
        set.fold(Flags::NONE, |all, (_, flag, _)| all.union(*flag))
    }

    /// Other sequences a message is in, as keywords; `cur` and negated names are MH's own.
    pub fn keywords(&self, number: u32) -> Vec<String> {
        let own = |name: &str| name == "cur" || KNOWN.iter().any(|(n, _, _)| *n == name);
        self.lists.keys().filter(|n| !own(n) && self.has(n, number)).cloned().collect()
    }

    /// Notes a message.
    pub fn add(&mut self, number: u32, flags: Flags, keywords: &[String]) {
        let known = KNOWN.iter().filter(|(_, flag, listed)| flags.contains(*flag) == *listed).map(|(n, _, _)| *n);
        let names: Vec<String> = known.map(str::to_string).chain(keywords.iter().map(|k| sequence_name(k))).collect();
        for name in names {
            let list = self.lists.entry(name).or_default();
            match list.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => list.push((number, number)),
            }
        }
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for (name, list) in &self.lists {
            out.push_str(name);
            out.push(':');
            for (first, last) in list {
                match first == last {
                    true => out.push_str(&format!(" {first}")),
                    false => out.push_str(&format!(" {first}-{last}")),
                }
            }
            out.push('\n');
        }
        out
    }
}

/// A sequence name is letters and digits only (mh-sequence(5)).
fn sequence_name(keyword: &str) -> String {
    let name: String = keyword.chars().filter(char::is_ascii_alphanumeric).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("k{name}") }
}

/// The numbers of the messages in a folder, rising.
pub fn messages(folder: &Path) -> Result<Vec<u32>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let number = |e: std::fs::DirEntry| e.file_name().to_str()?.parse::<u32>().ok().filter(|_| e.path().is_file());
    let mut out: Vec<u32> = entries.flatten().filter_map(number).collect();
    out.sort_unstable();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_flags_and_keywords() {
        let s = Sequences::parse("unseen: 3 5-7\nflagged: 5\ncur: 9\nwork: 1-2 7\nbad\nodd: x 4-y\n");
        assert_eq!(s.flags(3), Flags::NONE);
        assert_eq!(s.flags(4), Flags::SEEN);
        assert_eq!(s.flags(5), Flags::FLAGGED);
        assert_eq!(s.keywords(7), ["work"]);
        assert!(s.keywords(9).is_empty());
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let mut s = Sequences::default();
        let flags = [Flags::NONE, Flags::SEEN, Flags::SEEN.union(Flags::ANSWERED), Flags::NONE, Flags::NONE];
        for (i, f) in flags.iter().enumerate() {
            s.add(i as u32 + 1, *f, &["$Work".into()]);
        }
        assert_eq!(s.to_text(), "Work: 1-5\nreplied: 3\nunseen: 1 4-5\n");
        let read = Sequences::parse(&s.to_text());
        assert_eq!((1..=5).map(|n| read.flags(n)).collect::<Vec<_>>(), flags);
    }
}
