//! Would the host take mail for this address? `remote --verify address`, by hand and for smtpd's call-outs.
//!
//! Standards   RFC 5321 3.3 (MAIL with the null sender, RCPT, and no data)
//! Invariants  1. only a refusal of the recipient itself counts against it: one of MAIL, of the session or of us (5.7.x)
//!             says nothing   2. what was learned is told lookup, which keeps it
//! Trust       as started by spawn the address is smtpd's word: it must be of a relay domain, which lookup decides

use crate::dialogue::{Report, Sender};
use crate::letter::Letter;
use penny_base::services::Lookup;
use penny_base::services::lookup::Answer;
use penny_base::{Config, Failure, Kind, Outcome as End, log};
use penny_queue::envelope::{Address, Envelope};
use penny_queue::job::Route;
use penny_queue::journal::{Outcome, Verdict};
use penny_queue::{Recipient, Sender as From};
use std::ffi::OsString;
use std::io::{self, Write};
use std::time::Duration;

/// Asks, tells lookup, prints the answer.
pub fn run(config: &Config, operands: &[OsString]) -> Result<End, Failure> {
    let usage = || Failure::usage("usage: remote [-c file] --verify address");
    let [address] = operands else { return Err(usage()) };
    let address = Address::new(&*address.to_string_lossy()).filter(|a| !a.is_empty()).ok_or_else(usage)?;
    let mut lookup = Lookup::connect(config, None).map_err(|e| Failure::io("lookup", &e))?;
    let route = route(&mut lookup, &address)?;
    let mut sender = Sender::new(config)?.probing(Duration::from_secs(config.smtpd.callout_timeout.0.max(1)));
    let letter = probe(&address)?;
    crate::confine(config)?;
    let report = sender.send(&route, &letter, &mut |_| {});
    sender.close();
    let Some(outcome) = report.outcomes.first() else { return Err(Failure::temporary("4.3.0", "no answer")) };
    if let Some(verdict) = verdict(outcome, &report) {
        let text = format!("{} {}", outcome.status, outcome.text);
        let answer = lookup.ask(&["callout", address.as_str(), verdict, &text]);
        if let Ok(Answer::Temp(why)) = answer {
            log::warning("callout-not-kept", None, &[("to", &address), ("why", &why)]);
        }
    }
    show(&address, outcome)
}

/// The way to a domain that is passed on; no other is asked.
fn route(lookup: &mut Lookup, address: &Address) -> Result<Route, Failure> {
    if let Answer::Temp(why) = lookup.ask(&["callout", address.as_str()])? {
        return Err(Failure::permanent(Kind::Permission, "5.7.1", why));
    }
    match lookup.ask(&["route", &address.domain()])? {
        Answer::Ok(fields) => Route::from_fields(&fields).ok_or_else(|| Failure::temporary("4.3.5", "odd route")),
        _ => Err(Failure::temporary("4.3.5", "no route")),
    }
}

/// An envelope for the recipient, from nobody, without content.
fn probe(address: &Address) -> Result<Letter, Failure> {
    let recipients = vec![Recipient { address: address.clone(), params: Vec::new() }];
    let sender = From { address: Address::new("").unwrap_or_else(|| address.clone()), params: Vec::new() };
    let envelope = Envelope { sender, recipients, ..Envelope::default() };
    let empty = penny_sys::fs::memory_file("probe").and_then(|file| Letter::new(envelope, file));
    empty.map_err(|e| Failure::io("probe", &e))
}

/// What lookup shall keep.
fn verdict(outcome: &Outcome, report: &Report) -> Option<&'static str> {
    match outcome.verdict {
        Verdict::Done => Some("good"),
        Verdict::Fail if outcome.mta.is_some() && !outcome.status.as_str().starts_with("5.7.") => Some("bad"),
        _ if report.reached == Some(false) => Some("down"),
        _ => None,
    }
}

fn show(address: &Address, outcome: &Outcome) -> Result<End, Failure> {
    let mta = outcome.mta.as_ref().map_or("-", |m| m.as_str());
    let line = format!("{} <{address}> {} {mta} {}\n", outcome.verdict.word(), outcome.status, outcome.text);
    io::stdout().lock().write_all(line.as_bytes()).map_err(|e| Failure::io("standard output", &e))?;
    Ok(match outcome.verdict {
        Verdict::Done => End::Done,
        Verdict::Later => End::Temporary,
        Verdict::Fail => End::Permanent(Kind::Unavailable),
    })
}
