//! bounce - makes delivery reports out of an entry and its journal. See bounce(8).
//!
//! Runs as the queue's uid. qrun starts `bounce --job NAME` with the entry on descriptor 0 and the journal on 3; by hand
//! `bounce [-n] ENTRY JOURNAL [NAME]` shows the report (`-n`) or commits it.
//!
//! Invariants  1. a report is committed under the name announced in the journal, so committing twice commits once
//!             2. success is told only after `enqueue` said the report is on stable storage
//! Failures    everything is temporary for qrun: the report stays owed
//! Trust       entry and journal are the queue's own; what peers said in them is one escaped line each

mod args;
mod original;

use args::Args;
use original::Original;
use penny_base::{Config, Convention, Failure, Outcome, program};
use penny_queue::active::Active;
use penny_queue::client::INLINE_MAX;
use penny_queue::name::Report;
use penny_queue::report::{Item, Request, Style};
use penny_queue::{Enqueue, Message, Name};
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("bounce", Convention::Sysexits, work)
}

fn work() -> Result<Outcome, Failure> {
    let args = args::parse()?;
    let config = Config::load(args.config.as_deref())?;
    config.start_log("bounce");
    match make(&args, &config) {
        Ok(()) => Ok(Outcome::Done),
        Err(failure) => {
            // one line for qrun, which puts it into its log
            let _ = writeln!(io::stdout(), "{failure}");
            Err(failure)
        }
    }
}

fn make(args: &Args, config: &Config) -> Result<(), Failure> {
    let original = Original::read(args.entry()?)?;
    let journal = args.journal_bytes()?;
    let about = args.about()?;
    let active = Active::new(about.clone(), original.envelope.clone(), &journal)
        .map_err(|e| Failure::temporary("4.3.0", "the journal is not understood").with_detail(e.to_string()))?;
    let name = args.report.clone().map_or_else(|| any_report(&about), Ok)?;
    let message = compose(&active, &name, &original, config)?;
    if args.show {
        return io::stdout().write_all(&message.1).map_err(|e| Failure::io("standard output", &e));
    }
    commit(config, &name, &message.0, &message.1)
}

/// By hand without a name: a bounce of everything that failed.
fn any_report(about: &Name) -> Result<Name, Failure> {
    about.report(Report::Bounce, 1).map_err(|_| Failure::usage("reports nest too deep"))
}

fn compose(
    active: &Active,
    name: &Name,
    original: &Original,
    config: &Config,
) -> Result<(penny_queue::Envelope, Vec<u8>), Failure> {
    let (_, kind, _) = name.reports_on().ok_or_else(|| Failure::usage("not the name of a report"))?;
    let announced = active.state().reports.iter().find(|r| r.name == *name).map(|r| r.targets.clone());
    let targets = announced.unwrap_or_else(|| penny_queue::report::due(kind, active.envelope(), active.state()));
    let items: Vec<Item<'_>> = targets
        .iter()
        .filter_map(|t| {
            let outcome = active.state().outcomes.get(t)?;
            Some(Item { recipient: active.recipient(*t)?, resolved: active.resolved(*t), outcome })
        })
        .collect();
    if items.is_empty() {
        return Err(Failure::temporary("4.3.0", "there is nothing to report"));
    }
    let style = style(config);
    let lifetime = config.queue.lifetime.0;
    let request = Request {
        name,
        kind,
        about: active.name(),
        envelope: active.envelope(),
        items,
        style: &style,
        now: penny_sys::time::now().as_secs(),
        retry_until: Some(active.envelope().arrival.0.saturating_add(lifetime)),
    };
    let content = original.content(request.content())?;
    let composed = request.compose(!content.is_ascii(), original.message_id().as_deref());
    Ok((composed.envelope, [composed.head, content, composed.tail].concat()))
}

/// Largest original returned when the sender did not say how much.
const RETURN_MAX: u64 = 64 << 10;
/// Largest original returned with RET=FULL.
const RETURN_FULL_MAX: u64 = 10 << 20;

fn style(config: &Config) -> Style {
    let host = config.hostname();
    Style {
        from: format!("MAILER-DAEMON@{host}"),
        postmaster: if config.queue.postmaster.is_empty() {
            "postmaster".into()
        } else {
            config.queue.postmaster.clone()
        },
        host,
        return_max: RETURN_MAX,
        return_full_max: RETURN_FULL_MAX,
    }
}

fn commit(config: &Config, name: &Name, envelope: &penny_queue::Envelope, message: &[u8]) -> Result<(), Failure> {
    let mut enqueue = Enqueue::connect(config, None).map_err(|e| Failure::io("enqueue", &e))?;
    if message.len() <= INLINE_MAX {
        return enqueue.commit_as(Some(name), envelope, b"", Message::Bytes(message)).map(drop);
    }
    let file = penny_sys::fs::memory_file_of("report", message).map_err(|e| Failure::io("memory file", &e))?;
    enqueue.commit_as(Some(name), envelope, b"", Message::File(&file)).map(drop)
}
