//! The aliases table (sendmail aliases(5)): local names to addresses, programs, files and lists.
//!
//! Format      `name: target, target`; targets: address, `|command`, `/file`, `:include:/path`, quoted where they hold
//!             commas or spaces. Names are compared in lower case.
//! Trust       written by the admin

use crate::behind::Behind;
use crate::key;
use crate::lines::{Mistake, items, logical, unquote};
use std::borrow::Cow;
use std::collections::HashMap;

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An address or a local name.
    Address(String),
    /// A program with its arguments.
    Pipe(String),
    /// A file, or a Maildir when it ends in a slash.
    File(String),
    /// A file with more targets.
    Include(String),
    /// `:blackhole:` throws the message away.
    Discard,
    /// `:fail: text` refuses.
    Fail(String),
}

/// Reads one target.
pub fn target(item: &str) -> Target {
    let text = unquote(item);
    let text = text.trim();
    if let Some(command) = text.strip_prefix('|') {
        return Target::Pipe(command.trim().to_string());
    }
    if let Some(path) = text.strip_prefix(":include:") {
        return Target::Include(path.trim().trim_matches('"').to_string());
    }
    if text == ":blackhole:" || text == "/dev/null" {
        return Target::Discard;
    }
    if let Some(why) = text.strip_prefix(":fail:") {
        return Target::Fail(why.trim().to_string());
    }
    if text.starts_with('/') { Target::File(text.to_string()) } else { Target::Address(text.to_string()) }
}

/// Reads the lines of an `:include:` file: one or more targets a line.
pub fn include(text: &str) -> Vec<Target> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.flat_map(items).map(|i| target(&i)).collect()
}

/// The whole table.
#[derive(Debug, Clone, Default)]
pub struct Aliases {
    map: HashMap<String, Vec<Target>>,
    behind: Behind,
}

impl Aliases {
    /// Reads the text of the table.
    pub fn parse(text: &str) -> (Aliases, Vec<Mistake>) {
        let mut map = HashMap::new();
        let mut mistakes = Vec::new();
        for line in logical(text) {
            let Some((name, right)) = split_name(&line.text) else {
                mistakes.push(Mistake { line: line.number, text: "expected name: target".into() });
                continue;
            };
            let targets: Vec<Target> = items(right).iter().map(|i| target(i)).collect();
            if targets.is_empty() {
                mistakes.push(Mistake { line: line.number, text: format!("{name} has no target") });
            }
            if map.insert(key::folded(&name), targets).is_some() {
                mistakes.push(Mistake { line: line.number, text: format!("{name} is defined twice") });
            }
        }
        (Aliases { map, behind: Behind::default() }, mistakes)
    }

    /// The table a source tells.
    pub fn behind(behind: Behind) -> Aliases {
        Aliases { behind, ..Aliases::default() }
    }

    /// What a local name stands for.
    pub fn find(&self, name: &str) -> Option<Cow<'_, [Target]>> {
        let name = key::folded(name);
        if self.behind.is_some() {
            let found = self.behind.find(&name, |right| Ok(items(right).iter().map(|i| target(i)).collect()));
            return found.map(Cow::Owned);
        }
        self.map.get(&name).map(|t| Cow::Borrowed(t.as_slice()))
    }
}

pub(crate) fn split_name(line: &str) -> Option<(String, &str)> {
    let (name, rest) = match line.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.find('"')?;
            (&quoted[..end], quoted[end + 1..].trim_start().strip_prefix(':')?)
        }
        None => line.split_once(':')?,
    };
    let name = name.trim();
    (!name.is_empty()).then(|| (name.to_string(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_target() {
        let text = "Root: joe, \"|/bin/x a, b\"\nlist: :include:/l,\n /var/m/ , :blackhole:\n\"q r\": z\n";
        let (a, mistakes) = Aliases::parse(text);
        assert!(mistakes.is_empty());
        let root = [Target::Address("joe".into()), Target::Pipe("/bin/x a, b".into())];
        assert_eq!(a.find("ROOT").unwrap().as_ref(), root);
        let list = [Target::Include("/l".into()), Target::File("/var/m/".into()), Target::Discard];
        assert_eq!(a.find("list").unwrap().as_ref(), list);
        assert!(a.find("q r").is_some() && a.find("none").is_none());
    }

    #[test]
    fn mistakes_have_lines() {
        let (_, m) = Aliases::parse("a: b\nnonsense\na: c\nd:\n");
        assert_eq!(m.iter().map(|m| m.line).collect::<Vec<_>>(), [2, 3, 4]);
    }
}
