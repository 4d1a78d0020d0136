//! `pennypost import-postfix`, `import-dovecot`: tables taken over, settings told as TOML, and what could not be carried.
//!
//! Output      a configuration file: settings as TOML, everything else as comments, so that it can be sent into
//!             pennypost.toml as it is
//! Invariants  1. an entry that is here already is kept   2. nothing of the other server is changed   3. what is not
//!             understood is told, never dropped in silence   4. no password and no hash is printed

mod access;
pub mod doveconf;
pub mod dovecot;
mod maincf;
mod maps;
mod mastercf;
pub mod postfix;
mod users;

use crate::table::{self, say};
use penny_base::config::value::quote;
use penny_base::{Config, Failure, Outcome};
use penny_tables::Tables;
use penny_tables::edit::{self, Edit};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Words parted by commas and white space.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t']).filter(|w| !w.is_empty())
}

/// The text of a file, or of standard input where it is called -.
fn read(file: &Path) -> Result<String, Failure> {
    let text = match file == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    text.map_err(|e| table::unreadable(file, &e))
}

/// An address as it stands before a port.
pub fn bracketed(address: &str) -> String {
    if address.contains(':') && !address.starts_with('[') { format!("[{address}]") } else { address.to_string() }
}

/// The keys of a table's entries, and their texts.
type Entries = Vec<(String, String)>;

/// What is being taken over.
pub struct Import<'a> {
    config: &'a Config,
    dry: bool,
    lines: BTreeMap<&'static str, Vec<(String, String)>>,
    settings: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    lists: BTreeMap<(&'static str, &'static str), BTreeSet<String>>,
    listen: Vec<String>,
    lost: Vec<String>,
}

impl Import<'_> {
    /// An empty one.
    pub fn new(config: &Config, dry: bool) -> Import<'_> {
        Import {
            config,
            dry,
            lines: BTreeMap::new(),
            settings: BTreeMap::new(),
            lists: BTreeMap::new(),
            listen: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// A line of a table.
    pub fn put(&mut self, table: &'static str, key: &str, line: impl Into<String>) {
        self.lines.entry(table).or_default().push((key.to_string(), line.into()));
    }

    /// A key of the configuration, its value being TOML.
    pub fn set(&mut self, section: &'static str, key: &'static str, value: impl Into<String>) {
        self.settings.entry(section).or_default().insert(key, value.into());
    }

    /// The same for a text.
    pub fn text(&mut self, section: &'static str, key: &'static str, value: &str) {
        self.set(section, key, quote(value));
    }

    /// One more item of a list.
    pub fn item(&mut self, section: &'static str, key: &'static str, item: impl Into<String>) {
        self.lists.entry((section, key)).or_default().insert(item.into());
    }

    /// A whole `[[listen]]` entry.
    pub fn listen(&mut self, name: &str, address: &str, program: &str, role: &str, rest: &str) {
        let args = if role.is_empty() { String::new() } else { format!("args = [\"-r\", \"{role}\"]\n") };
        let (name, address) = (quote(name), quote(address));
        self.listen
            .push(format!("[[listen]]\nname = {name}\naddress = {address}\nprogram = \"{program}\"\n{args}{rest}"));
    }

    /// What cannot be carried.
    pub fn lost(&mut self, what: impl Into<String>) {
        self.lost.push(what.into());
    }

    /// Writes the tables and tells the rest; exit 1 when something could not be carried.
    pub fn end(mut self) -> Result<Outcome, Failure> {
        for (name, lines) in std::mem::take(&mut self.lines) {
            self.table(name, lines)?;
        }
        for ((section, key), items) in std::mem::take(&mut self.lists) {
            let items: Vec<String> = items.iter().map(|i| quote(i)).collect();
            self.set(section, key, format!("[{}]", items.join(", ")));
        }
        for (section, keys) in &self.settings {
            if !section.is_empty() {
                say(&format!("\n[{section}]"))?;
            }
            keys.iter().try_for_each(|(key, value)| say(&format!("{key} = {value}")).map(drop))?;
        }
        self.listen.iter().try_for_each(|l| say(&format!("\n{}", l.trim_end())).map(drop))?;
        self.lost
            .iter()
            .try_for_each(|l| say(&format!("# NOT carried: {}", l.replace(char::is_control, " "))).map(drop))?;
        Ok(if self.lost.is_empty() { Outcome::Done } else { Outcome::Code(1) })
    }

    /// The keys and texts of what a table has, and the change that is made to it unless this is a dry run.
    fn open(&self, name: &str) -> Result<(Entries, Option<Edit>), Failure> {
        let change = if self.dry { None } else { Some(table::open(self.config, name)?) };
        let entries = match &change {
            Some(change) => change.entries(),
            None => table::entries(self.config, name)?,
        };
        Ok((entries.into_iter().map(|e| (edit::key(name, &e.text), e.text)).collect(), change))
    }

    /// All lines of one table, in one change.
    fn table(&mut self, name: &'static str, lines: Vec<(String, String)>) -> Result<(), Failure> {
        let (entries, mut change) = self.open(name)?;
        let mut there: BTreeSet<String> = entries.into_iter().map(|(key, _)| key.to_lowercase()).collect();
        let secret = |line: &str| line.split(" auth=").next().unwrap_or("").to_string();
        for (key, line) in lines {
            if let Some(wrong) = Tables::mistakes(name, &format!("{line}\n")).first() {
                self.lost.push(format!("{name}: {}: {}", secret(&line), wrong.text));
            } else if !there.insert(key.to_lowercase()) {
                say(&format!("# {name}: {} is here already, kept", key.escape_debug()))?;
            } else {
                say(&format!("# {name}: {}", secret(&line).escape_debug()))?;
                if let Some(change) = &mut change {
                    change.append(&line);
                }
            }
        }
        change.map_or(Ok(()), |change| table::save(self.config, change, name))
    }
}
