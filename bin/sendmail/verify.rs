//! `-bv` and `newaliases`: what an address becomes, and whether the aliases table is sound.

use crate::args::Args;
use crate::header::operand;
use penny_base::services::Lookup;
use penny_base::services::lookup::Answer;
use penny_base::{Config, Failure, Kind, Outcome};
use penny_tables::aliases::Aliases;
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

/// `lookup` reads the table by itself when it changes; what is left to do is to say what is wrong with it.
pub fn aliases(config: &Config) -> Result<Outcome, Failure> {
    let path = config.paths.tables.join("aliases");
    let text = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        other => other.map_err(|e| Failure::io(path.display(), &e))?,
    };
    let (_, mistakes) = Aliases::parse(&text);
    let mut out = io::stdout().lock();
    let io = |e| Failure::io("standard output", &e);
    for m in &mistakes {
        writeln!(out, "{}:{}: {}", path.display(), m.line, m.text).map_err(io)?;
    }
    writeln!(out, "{}: in use as it stands, no index is needed", path.display()).map_err(io)?;
    Ok(if mistakes.is_empty() { Outcome::Done } else { Outcome::Permanent(Kind::Data) })
}
