//! `-bv` and `newaliases`: what an address becomes, and whether the aliases table is sound.

use crate::args::Args;
use crate::header::operand;
use penny_base::services::Lookup;
use penny_base::services::lookup::Answer;
use penny_base::{Config, Failure, Kind, Outcome};
use penny_tables::aliases::Aliases;
use penny_tables::compile;
use std::io::{self, ErrorKind, Write};

/// Prints what each operand leads to; fails when one leads nowhere.
pub fn recipients(config: &Config, args: &Args) -> Result<Outcome, Failure> {
    let mut lookup = Lookup::connect(config, None).map_err(|e| Failure::io("lookup", &e))?;
    let mut out = io::stdout().lock();
    let mut outcome = Outcome::Done;
    for text in &args.recipients {
        for address in operand(text, &config.hostname())? {
            let shown = match lookup.ask(&["expand", &address])? {
                Answer::Ok(fields) => {
                    if fields.first().is_none_or(|kind| kind == "error") {
                        outcome = Outcome::Permanent(Kind::NoUser);
                    }
                    fields.chunks(2).map(|pair| pair.join(" ")).collect::<Vec<_>>().join(", ")
                }
                Answer::No(fields) => {
                    outcome = Outcome::Permanent(Kind::NoUser);
                    fields.join(" ")
                }
                Answer::Temp(why) => return Err(Failure::temporary("4.3.0", why)),
            };
            writeln!(out, "{address}: {shown}").map_err(|e| Failure::io("standard output", &e))?;
        }
    }
    Ok(outcome)
}

/// `lookup` reads the table by itself when it changes; what is left to do is to say what is wrong with it, and to compile it
/// again where it was compiled.
pub fn aliases(config: &Config) -> Result<Outcome, Failure> {
    let path = config.paths.tables.join("aliases");
    let mut out = io::stdout().lock();
    let io = |e| Failure::io("standard output", &e);
    if std::fs::metadata(&path).is_ok_and(|file| penny_tables::program::is_program(&file)) {
        writeln!(out, "{}: a program answers for this table", path.display()).map_err(io)?;
        return Ok(Outcome::Done);
    }
    let text = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        other => other.map_err(|e| Failure::io(path.display(), &e))?,
    };
    let (_, mistakes) = Aliases::parse(&text);
    for m in &mistakes {
        writeln!(out, "{}:{}: {}", path.display(), m.line, m.text).map_err(io)?;
    }
    let compiled = compile::path(&config.paths.tables, "aliases");
    if !compiled.exists() {
        writeln!(out, "{}: in use as it stands, no index is needed", path.display()).map_err(io)?;
    } else if mistakes.is_empty() {
        let entries = compile::compile(&config.paths.tables, "aliases");
        let entries = entries.map_err(|e| Failure::io(compiled.display(), &e))?;
        writeln!(out, "{}: {entries} entries", compiled.display()).map_err(io)?;
    }
    Ok(if mistakes.is_empty() { Outcome::Done } else { Outcome::Permanent(Kind::Data) })
}
