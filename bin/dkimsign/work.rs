//! One message: sign it, or seal it.

use crate::args::Options;
use crate::keys::load;
use crate::table::{self, Line};
use penny_base::{Config, Failure, Kind, Outcome, log};
use penny_dns::{Name, Resolver, Settings};
use penny_verify::arc::{self, Sealer};
use penny_verify::dkim::canon::Canon;
use penny_verify::dkim::{Keys, Signer};
use penny_verify::dmarc::author_domains;
use penny_verify::message::{Field, Message};
use std::io::{Read, Write};
use std::time::Duration;

/// Largest message read; the configured size limit is far lower.
const MESSAGE_MAX: u64 = 1 << 30;
/// DNS time when the state of a chain must be found out.
const DNS_TIME: Duration = Duration::from_secs(20);

/// From the shell.
pub fn by_hand(options: &Options) -> Result<Outcome, Failure> {
    let bytes = read()?;
    let message = Message::parse(&bytes);
    if options.key.is_none() && !options.arc {
        let config = Config::load(options.config.as_deref())?;
        return print(&by_table(options, &config, &message)?, &bytes);
    }
    let key = load(Options::need(&options.key, "key")?)?;
    let domain = Options::need(&options.domain, "domain")?;
    let selector = Options::need(&options.selector, "selector")?;
    if options.arc {
        let id = Options::need(&options.authserv_id, "authserv-id")?.clone();
        let (domain, selector) = (domain.clone(), selector.clone());
        let sealer = Sealer { key, domain, selector, id, headers: options.names() };
        let results = sealer.own_results(&message.fields);
        return print(&seal(&sealer, &message, &results, options)?, &bytes);
    }
    let mut signer = Signer::new(key, domain, selector);
    signer.canon = Canon::pair(&options.canon).ok_or_else(|| Failure::usage("--canon takes simple and relaxed"))?;
    signer.headers = options.names();
    signer.auid.clone_from(&options.auid);
    signer.lifetime = options.lifetime;
    print(&[signer.sign(&message, now(options)).map_err(unsignable)?], &bytes)
}

/// Under the filter contract: the fields to put on top, or a temporary failure.
pub fn filter(options: &Options) -> Result<Outcome, Failure> {
    filter_inner(options).map_err(|f| Failure::temporary("4.3.5", f.text).with_detail(f.detail))
}

fn filter_inner(options: &Options) -> Result<Outcome, Failure> {
    let config = Config::load(options.config.as_deref())?;
    config.start_log("dkimsign");
    let bytes = read()?;
    let message = Message::parse(&bytes);
    let (signs, seals) = part(&variable("SERVICE"), !variable("AUTH_USER").is_empty());
    let mut fields = if signs { by_table(options, &config, &message)? } else { Vec::new() };
    if seals && !config.dkimsign.arc_domain.is_empty() {
        fields.extend(seal_by_table(options, &config, &message)?);
    }
    let id = std::env::var("QUEUE_ID").ok();
    log::event(log::Level::Info, "signed", id.as_deref(), &[("fields", &fields.len())]);
    print(&fields, &bytes)
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Whether mail of a service is signed, and whether it is sealed. What strangers bring is never signed, whosever name its
/// author uses: the signature would be ours.
fn part(service: &str, logged_in: bool) -> (bool, bool) {
    match service {
        "own" | "submission" => (true, false),
        "forward" | "mx" | "lmtp" if !logged_in => (false, true),
        _ => (true, !logged_in),
    }
}

/// One signature for every line of the table that fits the author; none when none does.
fn by_table(options: &Options, config: &Config, message: &Message<'_>) -> Result<Vec<String>, Failure> {
    let lines = table::load(options.table.as_ref().unwrap_or(&config.dkimsign.table))?;
    let (authors, _) = author_domains(message);
    let [author] = authors.as_slice() else { return Ok(Vec::new()) };
    table::select(&lines, author).into_iter().map(|line| sign(line, author, options, config, message)).collect()
}

fn sign(
    line: &Line,
    author: &Name,
    options: &Options,
    config: &Config,
    message: &Message<'_>,
) -> Result<String, Failure> {
    let mut signer = Signer::new(load(&line.key)?, &line.signing_domain(author), &line.selector);
    if let Some(canon) = &line.canon {
        signer.canon = Canon::pair(canon).ok_or_else(|| Failure::config(format!("c={canon}: unknown")))?;
    }
    signer.headers.clone_from(&line.headers);
    let usual = Some(config.dkimsign.lifetime.0).filter(|s| *s > 0);
    signer.lifetime = line.lifetime.or(options.lifetime).or(usual);
    signer.sign(message, now(options)).map_err(unsignable)
}

/// ARC with the key of the configured domain.
fn seal_by_table(options: &Options, config: &Config, message: &Message<'_>) -> Result<Vec<String>, Failure> {
    let domain = config.dkimsign.arc_domain.clone();
    let name = Name::parse(&domain).map_err(|_| Failure::config(format!("dkimsign.arc_domain: {domain}")))?;
    let lines = table::load(options.table.as_ref().unwrap_or(&config.dkimsign.table))?;
    let line = table::select(&lines, &name).into_iter().next();
    let line = line.ok_or_else(|| Failure::config(format!("no key for arc_domain {domain} in the table")))?;
    let id = options.authserv_id.clone().unwrap_or_else(|| config.mailauth.authserv_id.clone());
    let id = if id.is_empty() { config.hostname() } else { id };
    let sealer = Sealer { key: load(&line.key)?, domain, selector: line.selector.clone(), id, headers: None };
    let (service, told) = (variable("SERVICE"), variable("FIELDS"));
    // at the door our results are not in the message yet
    let results = match matches!(service.as_str(), "mx" | "lmtp") {
        true => sealer.own_results(&Message::parse(told.as_bytes()).fields),
        false => sealer.own_results(above_received(message)),
    };
    seal(&sealer, message, &results, options)
}

/// The fields that were put on top here. smtpd's Received field stands below them; what stands below that came from outside,
/// whosever name it bears (RFC 8601 5).
fn above_received<'m, 'a>(message: &'m Message<'a>) -> &'m [Field<'a>] {
    let received = message.fields.iter().position(|f| f.is("Received"));
    message.fields.get(..received.unwrap_or(message.fields.len())).unwrap_or_default()
}

fn seal(sealer: &Sealer, message: &Message<'_>, results: &[String], options: &Options) -> Result<Vec<String>, Failure> {
    let settings = Settings::choose(options.resolver.as_deref()).map_err(Failure::usage)?;
    let state = || {
        let resolver = Resolver::new(settings.clone());
        Some(arc::verify(message, &resolver.within(DNS_TIME), &Keys::new()).outcome)
    };
    match sealer.seal(message, results, now(options), &state).map_err(unsignable)? {
        Some(fields) => Ok(fields.to_vec()),
        None => {
            log::event(
                log::Level::Warning,
                "not-sealed",
                None,
                &[("why", &"no results of ours, or the chain has ended")],
            );
            Ok(Vec::new())
        }
    }
}

fn unsignable(why: &'static str) -> Failure {
    Failure::permanent(Kind::Data, "5.6.0", why)
}

fn now(options: &Options) -> u64 {
    let clock = || penny_sys::time::now().as_secs();
    options.time.unwrap_or_else(clock)
}

fn read() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin.take(MESSAGE_MAX).read_to_end(&mut bytes).map_err(|e| Failure::io("standard input", &e))?;
    Ok(bytes)
}

/// Prints fields with the line ends of the message, so that putting them on top gives a message of one kind.
fn print(fields: &[String], message: &[u8]) -> Result<Outcome, Failure> {
    let crlf = message.windows(2).find(|w| w[1] == b'\n').is_some_and(|w| w[0] == b'\r');
    let mut out = std::io::stdout().lock();
    let text: String = fields.iter().map(|f| format!("{f}\r\n")).collect();
    let text = if crlf { text } else { text.replace("\r\n", "\n") };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failure::io("standard output", &e))?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_mail_is_sealed_and_never_signed() {
        for (service, logged_in, expected) in [
            ("own", false, (true, false)),
            ("submission", true, (true, false)),
            ("submission", false, (true, false)),
            ("forward", false, (false, true)),
            ("mx", false, (false, true)),
            ("lmtp", false, (false, true)),
            ("mx", true, (true, false)),
            ("", false, (true, true)),
            ("", true, (true, false)),
        ] {
            assert_eq!(part(service, logged_in), expected, "{service} {logged_in}");
        }
    }
}
