//! `pennypost route`: what RCPT would answer, what the queue would make of it, and the tables that say so.

use penny_base::services::Lookup;
use penny_base::services::lookup::Answer;
use penny_base::{Config, Failure, Outcome};
use std::io::{self, Write};

pub fn run(config: &Config, addresses: &[String]) -> Result<Outcome, Failure> {
    let mut lookup = connect(config)?;
    let mut out = io::stdout().lock();
    let mut known = true;
    for address in addresses {
        known &= explain(&mut lookup, address, &mut out)?;
    }
    Ok(if known { Outcome::Done } else { Outcome::Code(67) })
}

/// The resident lookup when we may ask it, the tables as they are now; else one of our own, which reads the same.
pub fn connect(config: &Config) -> Result<Lookup, Failure> {
    if let Ok(mut resident) = Lookup::connect(config, None)
        && !matches!(resident.ask(&["refresh"]), Ok(Answer::Temp(_)) | Err(_))
    {
        return Ok(resident);
    }
    Lookup::start_own(config).map_err(|e| Failure::io("lookup", &e))
}

fn explain(lookup: &mut Lookup, address: &str, out: &mut dyn Write) -> Result<bool, Failure> {
    let io = |e| Failure::io("standard output", &e);
    let answer = lookup.ask(&["rcpt", address, "mx", "unknown", "-"])?;
    let behind = callout(lookup, &answer)?;
    let (text, known) = match &answer {
        Answer::Ok(_) if behind.as_ref().is_some_and(|b| b.refused) => {
            (format!("550 {}", behind.as_ref().map_or("", |b| &b.text)), false)
        }
        Answer::Ok(f) => (reply(f.first().map_or("", String::as_str)).to_string(), true),
        Answer::No(f) => (format!("550 {}", f.join(" ")), false),
        Answer::Temp(t) => (format!("450 {t}"), false),
    };
    writeln!(out, "{address}\n  RCPT answers: {text}").map_err(io)?;
    if let Some(behind) = behind {
        writeln!(out, "  call-out: {}", behind.said).map_err(io)?;
    }
    if let Answer::Ok(pairs) = lookup.ask(&["expand", address])? {
        for pair in pairs.chunks(2) {
            let (kind, value) = (pair.first().map_or("", String::as_str), pair.get(1).map_or("", String::as_str));
            writeln!(out, "  ends in: {kind} {value}{}", next_hop(lookup, kind, value)?).map_err(io)?;
        }
    }
    Ok(known)
}

/// What the host behind a relay domain said, as far as lookup remembers.
struct Behind {
    refused: bool,
    text: String,
    said: String,
}

/// For an address that smtpd would ask about (smtpd.callout).
fn callout(lookup: &mut Lookup, answer: &Answer) -> Result<Option<Behind>, Failure> {
    let Answer::Ok(fields) = answer else { return Ok(None) };
    let ("alias", Some(address)) = (text(fields, 0), fields.get(1)) else { return Ok(None) };
    Ok(match lookup.ask(&["callout", address])? {
        Answer::Ok(f) => {
            let said = match text(&f, 0) {
                "good" => format!("{address} is known to the host behind: {}", text(&f, 1)),
                "down" => format!("the host behind could not be asked: {}", text(&f, 1)),
                _ => format!("the host behind will be asked about {address} (remote --verify asks now)"),
            };
            Some(Behind { refused: false, text: String::new(), said })
        }
        Answer::No(f) => {
            let text = f.join(" ");
            Some(Behind { refused: true, said: format!("the host behind refused {address}: {text}"), text })
        }
        Answer::Temp(_) => None,
    })
}

fn reply(kind: &str) -> &'static str {
    match kind {
        "local" => "250 a mailbox here",
        "alias" => "250 resolved by the queue",
        _ => "250 only for clients that may relay, else 550 5.7.1",
    }
}

fn next_hop(lookup: &mut Lookup, kind: &str, value: &str) -> Result<String, Failure> {
    if kind == "local" {
        let user = lookup.user(value)?;
        return Ok(user.map_or_else(String::new, |u| format!(" -> {} (uid {})", u.maildir.display(), u.id.uid)));
    }
    if kind != "remote" {
        return Ok(String::new());
    }
    let domain = value.rsplit_once('@').map_or("", |(_, d)| d);
    Ok(match lookup.ask(&["route", domain])? {
        // the secret of a route stays in the table
        Answer::Ok(f) if f.first().is_some_and(|k| k == "host") => {
            format!(" -> host {} port {} tls {}", text(&f, 1), text(&f, 2), text(&f, 4))
        }
        Answer::Ok(f) => format!(" -> {}", f.iter().take(2).cloned().collect::<Vec<_>>().join(" ")),
        _ => String::new(),
    })
}

fn text(fields: &[String], index: usize) -> &str {
    fields.get(index).map_or("", String::as_str)
}
