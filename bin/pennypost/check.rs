//! `pennypost check`: all mistakes of the configuration and of the tables, each with its place; with --all the machine too.

mod blocklists;
mod clock;
mod greetings;
pub mod machine;
mod outbound;

use penny_base::{Config, Failure, Outcome};
use penny_dns::dnsbl::List;
use penny_tables::policy::Policy;
use penny_tables::set::{self, Tables};
use std::io::{self, Write};
use std::path::Path;

/// The mistakes as text, then the state of the machine.
pub fn all(file: &Path, options: &machine::Options<'_>) -> Result<Outcome, Failure> {
    let (config, mut mistakes) = match Config::load_source(file) {
        Ok(config) => (config, Vec::new()),
        Err(m) => (Config::default(), m.to_string().lines().map(str::to_string).collect()),
    };
    let mut text = Vec::new();
    inside(&config, &mut text).map_err(|e| Failure::io("tables", &e))?;
    mistakes.extend(String::from_utf8_lossy(&text).lines().map(str::to_string));
    machine::run(&config, options, mistakes)
}

pub fn run(file: &Path, write: bool, show: bool) -> Result<Outcome, Failure> {
    let mut out = io::stdout().lock();
    let io = |e| Failure::io("standard output", &e);
    let config = match Config::load_source(file) {
        Ok(config) => config,
        Err(mistakes) => {
            writeln!(out, "{mistakes}").map_err(io)?;
            return Ok(Outcome::Code(78));
        }
    };
    let wrong = inside(&config, &mut out).map_err(io)?;
    if show {
        show_all(&config, &mut out).map_err(io)?;
    }
    if wrong > 0 {
        return Ok(Outcome::Code(78));
    }
    if write {
        config.write_compiled().map_err(|e| Failure::io("checked form", &e))?;
    }
    writeln!(out, "{}: no mistakes", file.display()).map_err(io)?;
    Ok(Outcome::Done)
}

/// The mistakes of a configuration that can be read.
fn inside(config: &Config, out: &mut dyn Write) -> io::Result<usize> {
    Ok(tables(config, out)? + programs(config, out)? + filters(config, out)? + domains(config, out)?)
}

/// Filters that a domain names must be there.
fn domains(config: &Config, out: &mut dyn Write) -> io::Result<usize> {
    let text = crate::table::text(config, "domains").unwrap_or_default(); // a program's answers are not known
    let mut wrong = 0;
    for line in penny_tables::lines::logical(&text) {
        // behind name and kind; a line that is wrong, tables() has told of
        let policy = Policy::parse(line.text.split_whitespace().skip(2)).unwrap_or_default();
        for name in policy.filters.names().iter().filter(|n| !config.filter.iter().any(|f| f.name == **n)) {
            wrong += 1;
            let path = config.paths.tables.join("domains");
            writeln!(out, "{}:{}: filters: no filter {name} in the configuration", path.display(), line.number)?;
        }
    }
    Ok(wrong)
}

fn tables(config: &Config, out: &mut dyn Write) -> io::Result<usize> {
    let mut wrong = 0;
    for name in set::all() {
        let path = config.paths.tables.join(name);
        match Tables::check(name, &path) {
            Ok(mistakes) => {
                wrong += mistakes.len();
                for m in mistakes {
                    writeln!(out, "{}:{}: {}", path.display(), m.line, m.text)?;
                }
            }
            Err(e) => {
                wrong += 1;
                writeln!(out, "{}: {e}", path.display())?;
            }
        }
    }
    Ok(wrong)
}

/// What listening addresses and filters name must be there.
fn programs(config: &Config, out: &mut dyn Write) -> io::Result<usize> {
    let listed = config.listen.iter().map(|l| (&l.name, Some(&l.program)));
    let filters = config.filter.iter().map(|f| (&f.name, f.command.first()));
    let mut wrong = 0;
    for (name, program) in listed.chain(filters) {
        let path = config.program(program.map_or("", String::as_str));
        if !path.is_file() {
            wrong += 1;
            writeln!(out, "{}: {name}: no program {}", config.file.display(), path.display())?;
        }
    }
    Ok(wrong)
}

/// Values of the filters that only their own libraries know.
fn filters(config: &Config, out: &mut dyn Write) -> io::Result<usize> {
    let mut policy = penny_scan::policy::Policy::default();
    let words = config.virusscan.policy.iter().filter_map(|w| policy.set_word(w).err());
    let mut mistakes: Vec<String> = words.map(|e| format!("virusscan.policy: {e}")).collect();
    if config.spamcheck.ham_cut >= config.spamcheck.spam_cut {
        mistakes.push("spamcheck.ham_cut is not below spam_cut".into());
    }
    let lists = config.check.dnsbl.iter().filter(|l| List::parse(l).is_none());
    mistakes.extend(lists.map(|l| format!("check.dnsbl: {l}: expected ZONE or ZONE=ADDRESS")));
    let odd = config.check.addresses.iter().filter(|a| a.parse::<std::net::IpAddr>().is_err());
    mistakes.extend(odd.map(|a| format!("check.addresses: {a} is no address")));
    for text in &mistakes {
        writeln!(out, "{}: {text}", config.file.display())?;
    }
    Ok(mistakes.len())
}

fn show_all(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let mut result = Ok(());
    config.each(&mut |s| {
        let dot = if s.section.is_empty() { "" } else { "." };
        if result.is_ok() {
            result = writeln!(out, "{}{dot}{} = {}", s.section, s.key, s.value.show());
        }
    });
    result
}
