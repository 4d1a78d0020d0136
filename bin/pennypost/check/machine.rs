//! `pennypost check --all`: the running server and the machine below it.
//!
//! For monitoring: exit 0 all is well, 1 something should be looked at, 2 mail suffers.

use crate::dns::{compare, facts::Facts, records};
use crate::table::{octets, say};
use crate::{hier, status};
use penny_base::{Config, Failure, Outcome};
use penny_queue::json::Object;
use penny_tls::certificate;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What to look at.
#[derive(Debug)]
pub struct Options<'a> {
    /// One JSON object a line.
    pub json: bool,
    /// Leave the DNS alone.
    pub no_dns: bool,
    /// Resolver to ask.
    pub resolver: Option<&'a str>,
    /// Send a test message to this address of ours.
    pub mail: Option<&'a str>,
}

/// How grave a finding is; the order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Ok,
    /// To be looked at.
    Warning,
    /// Mail suffers.
    Error,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Error => "error",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    area: &'static str,
    state: State,
    text: String,
}

pub(super) fn found(area: &'static str, state: State, text: impl Into<String>) -> Finding {
    Finding { area, state, text: text.into() }
}

/// Days a certificate should still have.
const CERTIFICATE_DAYS: i64 = 14;
const DAY: i64 = 86_400;

/// Runs it.
pub fn run(config: &Config, options: &Options<'_>, mistakes: Vec<String>) -> Result<Outcome, Failure> {
    let mut all: Vec<Finding> = mistakes.into_iter().map(|m| found("config", State::Error, m)).collect();
    if all.is_empty() {
        all.push(found("config", State::Ok, "no mistakes"));
    }
    all.extend(permissions(config));
    all.extend(certificates(config));
    all.extend(services(config));
    all.extend(super::greetings::look(config));
    all.extend(queue(config));
    all.extend(disks(config));
    all.extend(super::clock::look(config));
    if !options.no_dns {
        all.extend(dns(config, options.resolver));
        all.extend(super::blocklists::ask(config, options.resolver));
        all.extend(super::outbound::look(config, options.resolver));
    }
    if let Some(address) = options.mail {
        all.push(mail(config, address));
    }
    for f in &all {
        say(&if options.json {
            Object::new().text("area", f.area).text("state", f.state.word()).text("text", &f.text).finish()
        } else {
            format!("{:8} {:12} {}", f.state.word(), f.area, f.text.escape_debug())
        })?;
    }
    let worst = all.iter().map(|f| f.state).max().unwrap_or(State::Ok);
    Ok(match worst {
        State::Ok => Outcome::Done,
        State::Warning => Outcome::Code(1),
        State::Error => Outcome::Code(2),
    })
}

fn permissions(config: &Config) -> Vec<Finding> {
    match hier::wrong(config) {
        Ok(wrong) if wrong.is_empty() => vec![found("permissions", State::Ok, "owners and modes are those of hier")],
        Ok(wrong) => wrong.into_iter().map(|w| found("permissions", State::Error, w)).collect(),
        Err(e) => vec![found("permissions", State::Error, e.line())],
    }
}

fn certificates(config: &Config) -> Vec<Finding> {
    let mut out = vec![certificate(&config.tls.certificate, &config.tls.key, Some(&config.hostname()))];
    for chain in chains_of_names(config) {
        out.push(certificate(&chain, &chain.with_extension("key"), None));
    }
    out
}

/// The certificates that stand beside the first, each for a name.
pub(super) fn chains_of_names(config: &Config) -> impl Iterator<Item = PathBuf> {
    let files = config.tls.names.read_dir().into_iter().flatten().flatten().map(|e| e.path());
    files.filter(|p| p.extension().is_some_and(|e| e == "pem"))
}

fn certificate(chain: &Path, key: &Path, host: Option<&str>) -> Finding {
    let shown = chain.display();
    let facts = match certificate::facts(chain) {
        Ok(facts) => facts,
        Err(why) => return found("certificate", State::Error, why),
    };
    let days = facts.left.div_euclid(DAY);
    let fits = certificate::fits(chain, key);
    match (facts.left, fits) {
        (left, _) if left < 0 => found("certificate", State::Error, format!("{shown}: expired {} days ago", -days)),
        (_, Ok(false)) => found("certificate", State::Error, format!("{shown}: {} is not its key", key.display())),
        (_, Err(why)) if !why.contains("ermission") => found("certificate", State::Error, why),
        _ if days < CERTIFICATE_DAYS => {
            found("certificate", State::Warning, format!("{shown}: expires in {days} days"))
        }
        _ if host.is_some_and(|h| !facts.is_for(h)) => {
            let names = facts.names.join(", ");
            found("certificate", State::Warning, format!("{shown}: is for {names}, not for {}", host.unwrap_or("")))
        }
        _ if facts.self_signed => {
            found("certificate", State::Warning, format!("{shown}: self-signed: nobody who checks believes it"))
        }
        _ => found("certificate", State::Ok, format!("{shown}: {days} days left")),
    }
}

fn services(config: &Config) -> Vec<Finding> {
    let each = status::services(config).into_iter().map(|s| match s.wrong {
        None => found("services", State::Ok, format!("{} answers at {}", s.name, s.place)),
        Some(why) => found("services", State::Error, format!("{} does not answer at {}: {why}", s.name, s.place)),
    });
    each.collect()
}

/// Age from which new mail should have been taken, and old mail should be looked at.
const TAKEN_SECONDS: u64 = 600;
const OLD_SECONDS: u64 = 2 * 86_400;

fn queue(config: &Config) -> Vec<Finding> {
    let Some(w) = status::waiting(config) else {
        return vec![found("queue", State::Warning, "the queue may not be read by this user")];
    };
    let mut out = Vec::new();
    if w.corrupt > 0 {
        out.push(found("queue", State::Warning, format!("{} entries in corrupt/ wait to be looked at", w.corrupt)));
    }
    if w.new > 0 && w.oldest > TAKEN_SECONDS && w.active == 0 {
        out.push(found("queue", State::Error, format!("{} new entries are not taken by qrun", w.new)));
    } else if w.oldest > OLD_SECONDS {
        let oldest = status::span(w.oldest);
        out.push(found("queue", State::Warning, format!("the oldest entry is {oldest} old: qctl list")));
    }
    if w.held > 0 {
        out.push(found("queue", State::Warning, format!("{} entries are held", w.held)));
    }
    if out.is_empty() {
        out.push(found("queue", State::Ok, format!("{} entries", w.new + w.active)));
    }
    out
}

fn disks(config: &Config) -> Vec<Finding> {
    let mail = hier::mail(config);
    let mail = mail.ancestors().find(|p| p.exists());
    let places = [Some(config.paths.queue.as_path()), Some(config.paths.state.as_path()), mail];
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for place in places.into_iter().flatten() {
        let Ok(s) = nix::sys::statvfs::statvfs(place) else { continue };
        // one line a file system
        if !seen.insert(s.filesystem_id()) {
            continue;
        }
        let share = |free: u64, all: u64| free.saturating_mul(100).checked_div(all).unwrap_or(100);
        let (space, inodes) = (share(s.blocks_available(), s.blocks()), share(s.files_available(), s.files()));
        let free = octets(s.blocks_available().saturating_mul(s.fragment_size()));
        let state = match space.min(inodes) {
            0..=2 => State::Error,
            3..=9 => State::Warning,
            _ => State::Ok,
        };
        let text = format!("{}: {free} ({space} %) and {inodes} % of the inodes are free", place.display());
        out.push(found("disk", state, text));
    }
    out
}

fn dns(config: &Config, resolver: Option<&str>) -> Vec<Finding> {
    let mut out = Vec::new();
    for domain in crate::domain::local(config) {
        let compared = Facts::gather(config, &domain, &[]).and_then(|facts| {
            let records = records::all(&facts);
            compare::all(config, resolver, &facts, &records)
        });
        let compared = match compared {
            Ok(compared) => compared,
            Err(e) => {
                out.push(found("dns", State::Warning, format!("{domain}: {}", e.line())));
                continue;
            }
        };
        let before = out.len();
        for f in compared.iter().filter(|f| !f.state.is_ok()) {
            let unknown = matches!(f.state, compare::State::Unknown(_));
            let state = if f.record.must && !unknown { State::Error } else { State::Warning };
            let kind = f.record.data.kind();
            out.push(found("dns", state, format!("{} {kind} {}: {}", f.record.name, f.state.word(), f.state.detail())));
        }
        if out.len() == before {
            out.push(found("dns", State::Ok, format!("{domain}: all records are published")));
        }
    }
    out
}

/// Time for a test message.
const MAIL_TIME: Duration = Duration::from_secs(60);

/// Sends a message the way every program of this host does, and waits until it is in the Maildir.
fn mail(config: &Config, address: &str) -> Finding {
    let id = format!("<pennypost-check.{:016x}@{}>", penny_sys::random::u64(), config.hostname());
    match try_mail(config, address, &id) {
        Ok(Some(seconds)) => found("mail", State::Ok, format!("a message to {address} arrived after {seconds:.1} s")),
        Ok(None) => {
            found("mail", State::Error, format!("a message to {address} did not arrive: pennypost trace '{id}'"))
        }
        Err(why) => found("mail", State::Error, format!("a message to {address}: {why}")),
    }
}

fn try_mail(config: &Config, address: &str, id: &str) -> Result<Option<f64>, String> {
    let user = crate::route::connect(config).and_then(|mut l| l.user(address)).map_err(|e| e.line())?;
    let maildir = user.ok_or("no mailbox here")?.maildir;
    let start = Instant::now();
    let text =
        format!("From: pennypost check <>\nSubject: pennypost check\nMessage-ID: {id}\n\nThis may be deleted.\n");
    penny_base::services::submit(config, "", &[address.to_owned()], text.as_bytes()).map_err(|e| e.to_string())?;
    while start.elapsed() < MAIL_TIME {
        for file in maildir.join("new").read_dir().into_iter().flatten().flatten().map(|e| e.path()) {
            if std::fs::read(&file).is_ok_and(|b| b.windows(id.len()).any(|w| w == id.as_bytes())) {
                let _ = std::fs::remove_file(&file); // nobody has to see it
                return Ok(Some(start.elapsed().as_secs_f64()));
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(None)
}
