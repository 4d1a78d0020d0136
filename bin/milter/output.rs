//! The verdict in the filter contract: fields or the whole message, and the exit code.
//!
//! Codes       0 accept, 99 quarantined or discarded (junk), 100 and a last line `5.x.y` reject, 75 try again later

use crate::conversation::Verdict;
use penny_base::{Failure, Outcome};
use penny_mime::header::body_offset;
use penny_smtp::milter::{Answer, Change, apply};
use std::io::{self, Write};

/// Writes what the contract wants; the code.
pub fn write(message: &[u8], verdict: &Verdict, whole: bool) -> Result<Outcome, Failure> {
    let text = match &verdict.answer {
        Answer::Reject => Some("5.7.1 refused by policy".to_owned()),
        Answer::ReplyCode(code, text) if *code >= 500 => Some(with_status(text)),
        Answer::Tempfail | Answer::Shutdown | Answer::ReplyCode(..) => {
            return Err(Failure::temporary("4.7.1", "the milter says: try again later"));
        }
        _ => None,
    };
    if let Some(text) = text {
        put(format!("{text}\n").as_bytes())?;
        return Ok(Outcome::Code(100));
    }
    put(&changed(message, verdict, whole)?)?;
    let junk = verdict.answer == Answer::Discard || verdict.changes.quarantine.is_some();
    Ok(if junk { Outcome::Code(99) } else { Outcome::Done })
}

fn with_status(text: &str) -> String {
    let status = text.split(' ').next().unwrap_or_default();
    if status.starts_with("5.") && status.matches('.').count() == 2 { text.to_owned() } else { format!("5.7.1 {text}") }
}

/// With `whole` the changed message, else the new fields; changes that need the whole message are an error without it.
fn changed(message: &[u8], verdict: &Verdict, whole: bool) -> Result<Vec<u8>, Failure> {
    let changes = &verdict.changes;
    if whole {
        let (header, body) = message.split_at(body_offset(message).min(message.len()));
        return Ok(apply(header, body, changes));
    }
    let mut fields = String::new();
    for change in &changes.header {
        match change {
            Change::Add(name, value) | Change::Insert(_, name, value) => {
                fields.push_str(&format!("{name}: {}\n", value.trim_start_matches(' ')));
            }
            _ => return Err(needs_whole()),
        }
    }
    if changes.body.is_some() { Err(needs_whole()) } else { Ok(fields.into_bytes()) }
}

fn needs_whole() -> Failure {
    let text = "this milter changes the message: run milter -w as a rewriting filter";
    Failure::temporary("4.3.5", "server configuration problem").with_detail(text)
}

fn put(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| Failure::io("standard output", &e))
}
