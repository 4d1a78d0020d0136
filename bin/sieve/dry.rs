//! Running a script on a message and printing what it would do.

use std::io::{Read, Write};

use penny_base::{Failure, Kind, Outcome};
use penny_sieve::{Action, Envelope, Host, Machine, Message, ProgramKind, Ran, Settings};

use crate::{Args, check, host};

/// Prints instead of doing.
struct Dry {
    counter: u32,
}

impl Host for Dry {
    fn now(&self) -> i64 {
        host::now()
    }

    fn zone(&self, moment: i64) -> i32 {
        host::zone(moment)
    }

    fn mailbox_exists(&self, _: &str) -> bool {
        true
    }

    fn run_program(&mut self, kind: ProgramKind, name: &str, args: &[String], _: Option<&[u8]>) -> Result<Ran, String> {
        self.log(&format!("{} program {name:?} {args:?} is not run here", kind.name()));
        Ok(Ran::default())
    }

    fn log(&mut self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{}", clean(text));
    }

    fn trace(&mut self, line: u32, text: &str) {
        let _ = writeln!(std::io::stdout(), "  line {line}: {}", clean(text));
    }

    fn unique(&mut self) -> String {
        self.counter += 1;
        format!("dry-run-{}", self.counter)
    }
}

/// Foreign text on a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn message(args: &Args) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    match &args.message {
        Some(path) => {
            bytes = std::fs::read(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
        }
        None => {
            std::io::stdin().lock().read_to_end(&mut bytes).map_err(|e| Failure::io("standard input", &e))?;
        }
    }
    Ok(bytes)
}

fn envelope(args: &Args, message: &[u8]) -> Envelope {
    let first = |name: &str| {
        let field = penny_mime::find_field(message, name)?;
        penny_mime::address::mailboxes(&field.unfolded()).first().map(penny_mime::Address::email)
    };
    Envelope {
        from: args.from.clone().or_else(|| first("return-path")).or_else(|| first("from")).unwrap_or_default(),
        to: args.to.clone().or_else(|| first("delivered-to")).or_else(|| first("to")).unwrap_or_default(),
        ..Envelope::default()
    }
}

/// Runs the scripts in order.
pub fn run(args: &Args) -> Result<Outcome, Failure> {
    let bytes = message(args)?;
    let envelope = envelope(args, &bytes);
    let settings = Settings::default();
    let mut dry = Dry { counter: 0 };
    let mut machine = Machine::new(&mut dry, &settings, envelope, Message::new(bytes));
    if args.trace {
        machine.trace();
    }
    let mut failed = false;
    for path in &args.scripts {
        if !machine.goes_on() {
            break;
        }
        let Some(script) = check::compile(path)? else { return Ok(Outcome::Permanent(Kind::Data)) };
        if let Err(error) = machine.run(&script) {
            let _ = writeln!(std::io::stderr(), "{}:{error}", path.display());
            failed = true;
            break;
        }
    }
    print(args, machine.outcome());
    Ok(if failed { Outcome::Permanent(Kind::Data) } else { Outcome::Done })
}

fn print(args: &Args, outcome: penny_sieve::Outcome) {
    let mut out = std::io::stdout().lock();
    for action in &outcome.actions {
        let _ = writeln!(out, "{}", clean(&action.describe()));
        if let (true, Action::Send(sent)) = (args.print, action) {
            let _ = out.write_all(&sent.message);
        }
    }
    if outcome.implicit_keep {
        let flags = if outcome.keep_flags.is_empty() {
            String::new()
        } else {
            format!(" flags ({})", outcome.keep_flags.join(" "))
        };
        let _ = writeln!(out, "keep in \"INBOX\" (implicit){flags}");
    }
    if args.print {
        let _ = out.write_all(outcome.message.bytes());
    }
}
