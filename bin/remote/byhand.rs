//! One message by hand: `remote [-v] [-f sender] [-r route] recipient ... < message`.

use crate::dialogue::Sender;
use crate::letter::Letter;
use penny_base::{Failure, Outcome as End, program::Options};
use penny_queue::envelope::{Address, Envelope, Param};
use penny_queue::job::{Hop, Route};
use penny_queue::journal::Verdict;
use penny_queue::{Recipient, Sender as From};
use penny_sys::fs::memory_file_of;
use std::io::{self, Read, Write};

const USAGE: &str = "usage: remote [-c file] [-f sender] [-r route] recipient ... < message";

/// Sends it, prints a line a recipient, and tells the worst in the exit code.
pub fn run(mut sender: Sender, options: &Options) -> Result<End, Failure> {
    let text = |flag: &str| options.value(flag).map(|v| v.to_string_lossy().into_owned());
    let recipients = options.operands.iter().map(|o| recipient(&o.to_string_lossy())).collect::<Result<Vec<_>, _>>()?;
    if recipients.is_empty() {
        return Err(Failure::usage(USAGE));
    }
    let (address, params) = words(&text("f").unwrap_or_default())?;
    let mut message = Vec::new();
    io::stdin().lock().read_to_end(&mut message).map_err(|e| Failure::io("standard input", &e))?;
    let message = without_cr(&message);
    let envelope = Envelope {
        sender: From { address, params },
        recipients,
        size: message.len() as u64,
        wire_size: penny_smtp::client::wire_len(&message),
        arrival: (penny_sys::time::now().as_secs(), 0),
        ..Envelope::default()
    };
    let letter = memory_file_of("message", &message)
        .and_then(|file| Letter::new(envelope, file))
        .map_err(|e| Failure::io("message", &e))?;
    let report = sender.send(&route(text("r").as_deref())?, &letter, &mut |_| ());
    sender.close();
    sender.record();
    let mut out = io::stdout().lock();
    let mut worst = End::Done;
    for (r, o) in letter.envelope.recipients.iter().zip(&report.outcomes) {
        let mta = o.mta.as_ref().map_or("-", |m| m.as_str());
        let line = writeln!(out, "{} <{}> {} {mta} {}", o.verdict.word(), r.address, o.status, o.text);
        line.map_err(|e| Failure::io("standard output", &e))?;
        worst = match (o.verdict, worst) {
            (Verdict::Later, _) | (_, End::Temporary) => End::Temporary,
            (Verdict::Fail, _) => End::Permanent(penny_base::Kind::Unavailable),
            (Verdict::Done, other) => other,
        };
    }
    Ok(worst)
}

/// `address [PARAM ...]`, as one argument.
fn words(text: &str) -> Result<(Address, Vec<Param>), Failure> {
    let mut words = text.split(' ');
    let bad = || Failure::usage(format!("not an address: {text}"));
    let address = Address::new(words.next().unwrap_or_default()).ok_or_else(bad)?;
    let params = words.map(Param::parse).collect::<Option<Vec<_>>>().ok_or_else(bad)?;
    Ok((address, params))
}

fn recipient(text: &str) -> Result<Recipient, Failure> {
    let (address, params) = words(text)?;
    if address.is_empty() { Err(Failure::usage(USAGE)) } else { Ok(Recipient { address, params }) }
}

/// The words of lookup's answer: `mx`, `host NAME PORT 0 may`, `lmtp unix:/path`.
fn route(text: Option<&str>) -> Result<Route, Failure> {
    let Some(text) = text else { return Ok(Route::Mx(Hop::default())) };
    let fields: Vec<String> = text.split(' ').map(str::to_owned).collect();
    Route::from_fields(&fields).ok_or_else(|| Failure::usage(format!("not a route: {text}")))
}

fn without_cr(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for (n, b) in message.iter().enumerate() {
        if *b != b'\r' || message.get(n + 1) != Some(&b'\n') {
            out.push(*b);
        }
    }
    out
}
