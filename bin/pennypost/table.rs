//! What the commands share: opening and saving tables, and output.

use penny_base::{Config, Failure, Kind, Outcome};
use penny_tables::edit::{Edit, Entry};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Opens a table for a change, waiting for other changes.
pub fn open(config: &Config, name: &str) -> Result<Edit, Failure> {
    Edit::open(&config.paths.tables, name).map_err(|e| refused(config, name, &e))
}

/// The text of a table; a missing one is empty.
pub fn text(config: &Config, name: &str) -> Result<String, Failure> {
    let path = config.paths.tables.join(name);
    if std::fs::metadata(&path).is_ok_and(|file| penny_tables::program::is_program(&file)) {
        return Err(refused(config, name, &ErrorKind::Unsupported.into()));
    }
    match std::fs::read_to_string(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(|e| refused(config, name, &e)),
    }
}

/// The entries of a table, as it stands: nobody's change is waited for, and who may only read may read.
pub fn entries(config: &Config, name: &str) -> Result<Vec<Entry>, Failure> {
    Ok(penny_tables::edit::entries(name, text(config, name)?.lines()))
}

/// Saves a table; a new one gets the owner and mode etc/hier gives it.
pub fn save(config: &Config, edit: Edit, name: &str) -> Result<(), Failure> {
    let secret = matches!(name, "users" | "app-passwords" | "routes");
    let group = match name {
        "users" | "app-passwords" => config.id(&config.ids.auth).ok(),
        // routes may hold passwords; lookup reads them
        "routes" => config.id(&config.ids.lookup).ok(),
        _ => None,
    };
    let own = penny_sys::ids::is_root().then_some(0);
    let gid = group.map(|g| g.gid).filter(|_| penny_sys::ids::is_root());
    edit.save((own, gid, if secret { 0o640 } else { 0o644 })).map_err(|e| refused(config, name, &e))
}

/// What went wrong with a table, for people.
pub fn refused(config: &Config, name: &str, e: &std::io::Error) -> Failure {
    let path = config.paths.tables.join(name);
    match e.kind() {
        ErrorKind::Unsupported => {
            let why = "a program answers for this table: change what it asks";
            Failure::permanent(Kind::Config, "5.3.5", format!("{}: {why}", path.display()))
        }
        ErrorKind::InvalidData => Failure::permanent(Kind::Data, "5.3.5", format!("{name}:{e}")),
        ErrorKind::PermissionDenied => {
            Failure::permanent(Kind::Permission, "5.7.0", format!("{}: {e}", path.display()))
        }
        ErrorKind::ResourceBusy => Failure::temporary("4.3.0", format!("{}: {e}", path.display())),
        _ => Failure::io(path.display(), e),
    }
}

/// Why a file that somebody named cannot be read.
pub fn unreadable(path: &Path, e: &std::io::Error) -> Failure {
    let text = format!("{}: {e}", path.display());
    match e.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Failure::usage(text),
        ErrorKind::PermissionDenied => Failure::permanent(Kind::Permission, "5.7.0", text),
        _ => Failure::io(path.display(), e),
    }
}

/// Where the tables still name an address, as `table:line`.
pub fn mentions(config: &Config, address: &str) -> Vec<String> {
    let lower = address.to_lowercase();
    let word = |line: &str| line.to_lowercase().split([' ', '\t', ',', '"']).any(|w| w == lower);
    let mut out = Vec::new();
    for name in ["aliases", "virtual", "senders"] {
        let text = text(config, name).unwrap_or_default();
        let lines = text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with('#') && word(l));
        out.extend(lines.map(|(i, _)| format!("{}:{}", config.paths.tables.join(name).display(), i + 1)));
    }
    out
}

/// Prints one line.
pub fn say(line: &str) -> Result<Outcome, Failure> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Ok(()) => Ok(Outcome::Done),
        // whoever reads has seen enough: end as a program does that SIGPIPE ends
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(141),
        Err(e) => Err(Failure::io("standard output", &e)),
    }
}

/// Prints rows in columns two spaces apart.
pub fn columns<const N: usize>(rows: &[[String; N]]) -> Result<(), Failure> {
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells = row.iter().zip(widths).map(|(c, w)| format!("{c:w$}"));
        say(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A number of octets for people.
pub fn octets(n: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(size, _)| n >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", n / size, n % size * 10 / size),
        None => format!("{n} B"),
    }
}
