//! One message: check it, say what was found, decide.

use crate::args::Options;
use crate::decide::{Decision, decide};
use crate::input::Input;
use crate::{collect, failures, json, rewrite};
use penny_base::{Config, Failure, Outcome, log};
use penny_dns::{Resolver, Settings};
use penny_sys::confine;
use penny_verify::assess::{Assessment, assess};
use penny_verify::dkim::Keys;
use penny_verify::dmarc::PublicSuffixes;
use penny_verify::message::Message;
use penny_verify::spf;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

/// Codes of the filter contract.
const JUNK: u8 = 99;
const REJECT: u8 = 100;

/// What both ways need.
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// Our name.
    pub id: String,
    resolver: Resolver,
    suffixes: Option<PublicSuffixes>,
    now: u64,
}

impl Setup {
    /// Reads everything that needs the file system.
    pub fn new(options: &Options) -> Result<Self, Failure> {
        let config = Config::load(options.config.as_deref())?;
        let given =
            options.resolver.clone().or_else(|| Some(config.mailauth.resolver.clone()).filter(|r| !r.is_empty()));
        let settings = Settings::choose(given.as_deref()).map_err(Failure::usage)?;
        let id = options.authserv_id.clone().unwrap_or_else(|| config.mailauth.authserv_id.clone());
        let id = if id.is_empty() { config.hostname() } else { id };
        let list = options.suffixes.clone().unwrap_or_else(|| config.mailauth.suffixes.clone());
        Ok(Self { suffixes: suffixes(&list)?, resolver: Resolver::new(settings), now: now(options), config, id })
    }

    fn client<'a>(&'a self, options: &'a Options, ip: IpAddr) -> spf::Client<'a> {
        spf::Client { ip, helo: &options.helo, mail_from: &options.from, receiver: &self.id, now: self.now }
    }

    fn assess(&self, message: &Message<'_>, options: &Options, ip: IpAddr) -> Assessment {
        let dns = self.resolver.within(Duration::from_secs(self.config.mailauth.dns_time.0));
        assess(message, &self.client(options, ip), &dns, &Keys::new(), self.suffixes.as_ref())
    }
}

fn suffixes(path: &Path) -> Result<Option<PublicSuffixes>, Failure> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(|e| Failure::io(path.display(), &e))?;
    Ok(Some(PublicSuffixes::parse(&text)))
}

fn now(options: &Options) -> u64 {
    let clock = || penny_sys::time::now().as_secs();
    options.time.unwrap_or_else(clock)
}

/// From the shell: JSON, the field, or the rewritten message.
pub fn by_hand(options: &Options) -> Result<Outcome, Failure> {
    let ip = options.ip.ok_or_else(|| Failure::usage("--ip is missing"))?;
    let setup = Setup::new(options)?;
    if options.spf_only {
        let dns = setup.resolver.within(Duration::from_secs(setup.config.mailauth.dns_time.0));
        let verdict = spf::check(&dns, &setup.client(options, ip));
        let text =
            if options.json { json::spf_only(&verdict) } else { format!("{} {}", verdict.outcome, verdict.reason) };
        return print(&text);
    }
    let input = Input::stdin(false)?;
    let message = Message::parse(input.bytes());
    let found = setup.assess(&message, options, ip);
    if options.json {
        return print(&json::all(&found));
    }
    let field = found.field(&setup.id, &options.from, &options.helo);
    output(options, &input, &message, &field, &setup.id).map(|()| Outcome::Done)
}

/// Under the filter contract.
pub fn filter(options: &Options) -> Result<Outcome, Failure> {
    // A filter that can't do its work must defer, never bounce: permanent failures of ours become temporary.
    filter_inner(options).map_err(|f| Failure::temporary("4.3.5", f.text).with_detail(f.detail))
}

fn filter_inner(options: &Options) -> Result<Outcome, Failure> {
    let setup = Setup::new(options)?;
    setup.config.start_log("mailauth");
    let input = Input::stdin(true)?;
    confine(&setup)?;
    let message = Message::parse(input.bytes());
    if let Some(login) = std::env::var("AUTH_USER").ok().filter(|u| !u.is_empty()) {
        let mut b = penny_verify::authres::Builder::new(&setup.id);
        b.result("auth", "pass", "").property("smtp.auth", &login); // RFC 8601 2.7.4
        return output(options, &input, &message, &b.finish(), &setup.id).map(|()| Outcome::Done);
    }
    // No address: mail of a local program. There is no client to authorise; 0.0.0.0 is nobody's.
    let ip = options.ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let found = setup.assess(&message, options, ip);
    let decision = decide(&found, &setup.config.mailauth);
    report(&found, &decision);
    let seen = collect::Seen { found: &found, decision: &decision, ip, from: &options.from, now: setup.now };
    keep(&setup, &seen, &message, options);
    let outcome = match decision {
        Decision::Defer(why) => return Err(Failure::temporary("4.7.0", why)),
        Decision::Reject(line) => return print(&line).map(|_| Outcome::Code(REJECT)),
        Decision::Junk => Outcome::Code(JUNK),
        Decision::Accept | Decision::Excused(_) => Outcome::Done,
    };
    let field = found.field(&setup.id, &options.from, &options.helo);
    output(options, &input, &message, &field, &setup.id).map(|()| outcome)
}

/// From here on hostile octets are parsed: no new privileges, and no file but those reports are made of.
///
/// The DNS still needs sockets, so there is no tighter filter on system calls.
fn confine(setup: &Setup) -> Result<(), Failure> {
    let failed = |e: &std::io::Error| Failure::io("confinement", e);
    confine::no_new_privs().map_err(|e| failed(&e))?;
    let reports = setup.config.mailauth.reports.as_path();
    let writable: Vec<&Path> = [reports].into_iter().filter(|p| p.is_dir()).collect();
    // OpenSSL reads its configuration when it is first used
    let readable: Vec<&Path> = ["/usr/lib", "/etc/ssl"].into_iter().map(Path::new).filter(|p| p.exists()).collect();
    confine::paths_only(&writable, &readable).map(|_| ()).map_err(|e| failed(&e))
}

/// Keeps what reports are made of; trouble with that never holds up mail.
fn keep(setup: &Setup, seen: &collect::Seen<'_>, message: &Message<'_>, options: &Options) {
    let config = &setup.config.mailauth;
    if config.reports.as_os_str().is_empty() {
        return;
    }
    let mut result = collect::record(&config.reports, seen);
    if config.failure_reports {
        let field = seen.found.field(&setup.id, &options.from, &options.helo);
        result = result.and(failures::record(&config.reports, seen, message, &field));
    }
    if let Err(e) = result {
        log::event(log::Level::Warning, "report-not-kept", None, &[("dir", &config.reports.display()), ("why", &e)]);
    }
}

fn report(found: &Assessment, decision: &Decision) {
    let id = std::env::var("QUEUE_ID").ok();
    let passed = found.dkim.iter().filter(|v| v.outcome == penny_verify::dkim::Outcome::Pass).count();
    let word = match decision {
        Decision::Accept => "accept",
        Decision::Excused(why) => why,
        Decision::Junk => "junk",
        Decision::Reject(_) => "reject",
        Decision::Defer(_) => "defer",
    };
    let fields: [(&str, &dyn std::fmt::Display); 8] = [
        ("spf", &found.spf.outcome),
        ("dkim", &format!("{passed}/{}", found.dkim.len())),
        ("dmarc", &found.dmarc.outcome),
        ("policy", &found.dmarc.policy),
        ("arc", &found.arc.outcome),
        ("author", &found.dmarc.author),
        ("decision", &word),
        ("why", &found.dmarc.reason),
    ];
    log::event(log::Level::Info, "auth", id.as_deref(), &fields);
}

fn output(options: &Options, input: &Input, message: &Message<'_>, field: &str, id: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let result = if options.rewrite {
        rewrite::write(&mut out, input.bytes(), message, field, id)
    } else {
        out.write_all(rewrite::as_in(input.bytes(), field).as_bytes())
    };
    result.and_then(|()| out.flush()).map_err(|e| Failure::io("standard output", &e))
}

fn print(text: &str) -> Result<Outcome, Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| Failure::io("standard output", &e))?;
    Ok(Outcome::Done)
}
