//! One job: find hosts, open a session or use the one that is open, send, and try the next host where that may help.
//!
//! Invariants  1. at most one session is open   2. content that was sent and not answered is not sent to another host
//!             in the same job: the first may have taken it

use crate::hosts::{self, Found, Host};
use crate::letter::Letter;
use crate::memory;
use crate::open::{NotOpen, Place, Seen, Session, open};
use crate::outcome::Trouble;
use crate::policy::{Domain, Level, decide};
use crate::sts::{self, Policy};
use crate::tlsrpt::{self, Event};
use crate::transaction::{Sent, may_improve, run};
use penny_base::{Config, Failure};
use penny_dns::{Resolver, Settings as DnsSettings};
use penny_queue::job::{Hop, Route, SITE_MAX};
use penny_queue::journal::Outcome;
use penny_tls::client::{Connector, Verify};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Hosts with which a transaction is begun for one job.
const TRANSACTIONS_MAX: usize = 4;
/// Results of TLS kept until they are written down.
const EVENTS_MAX: usize = 100;
/// Messages over one connection.
const MESSAGES_MAX: u32 = 200;

/// What the configuration says about sending.
#[derive(Debug)]
pub struct Settings {
    /// Name in EHLO.
    pub helo: String,
    /// Source address.
    pub source: Option<IpAddr>,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for most replies.
    pub timeout: Duration,
    /// Use STARTTLS where offered.
    pub starttls: bool,
    /// Use DANE where validated records ask for it.
    pub dane: bool,
    /// Obey MTA-STS policies.
    pub mta_sts: bool,
    /// Port of the web servers that have the policies.
    pub sts_port: u16,
    /// Where policies and results are kept.
    pub state: PathBuf,
    /// Seconds for which a domain that had TLS has to have it; 0 for none.
    pub tls_memory: u64,
    /// Write down how TLS went, for domains that want to know.
    pub tls_reports: bool,
    /// Use BDAT where offered.
    pub chunking: bool,
    /// Port of hosts found by MX.
    pub port: u16,
    /// Makes TLS sessions; the trusted roots are loaded when a certificate has to be checked first.
    pub tls: Tls,
    /// Names of this host, for loops.
    pub own: Vec<String>,
    /// Only ask for recipients: nothing is sent.
    pub probe: bool,
}

/// Makes TLS sessions.
#[derive(Debug, Default)]
pub struct Tls {
    ca_file: Option<PathBuf>,
    opportunistic: OnceCell<Connector>,
    verified: OnceCell<Connector>,
}

impl Tls {
    /// The connector for a level of checking.
    pub fn connector(&self, verify: Verify) -> io::Result<&Connector> {
        let (cell, make): (_, &dyn Fn() -> io::Result<Connector>) = match verify {
            Verify::Opportunistic => (&self.opportunistic, &Connector::without_roots),
            Verify::Verified | Verify::Observed => (&self.verified, &|| Connector::new(self.ca_file.as_deref())),
        };
        if let Some(connector) = cell.get() {
            return Ok(connector);
        }
        let made = make()?;
        Ok(cell.get_or_init(|| made))
    }
}

impl Settings {
    /// For a piece of the content (RFC 5321 4.5.3.2.5: 3 minutes).
    pub fn block_timeout(&self) -> Duration {
        self.timeout.min(Duration::from_secs(180))
    }

    /// For the reply to the end of the data (RFC 5321 4.5.3.2.6: 10 minutes, twice the others).
    pub fn end_timeout(&self) -> Duration {
        self.timeout * 2
    }

    /// For a TLS handshake.
    pub fn handshake_timeout(&self) -> Duration {
        self.timeout.min(Duration::from_secs(60))
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        penny_sys::time::now().as_secs()
    }
}

/// Sends letters, keeping a session open between them.
pub struct Sender {
    settings: Settings,
    dns: Resolver,
    session: Option<Kept>,
    /// How TLS went, not yet written down.
    events: Vec<Event>,
}

/// A session kept open, with what it can be used for.
struct Kept {
    destination: String,
    /// Other domains of the same hosts.
    site: Option<String>,
    session: Session,
}

/// What came of a job.
#[derive(Debug)]
pub struct Report {
    /// One a recipient, in the order of the envelope.
    pub outcomes: Vec<Outcome>,
    /// Whether the destination did its part; `None` when it was not asked.
    pub reached: Option<bool>,
}

impl Sender {
    /// Reads settings, loads the trusted roots.
    pub fn new(config: &Config) -> Result<Sender, Failure> {
        let r = &config.remote;
        let resolver = Some(r.resolver.as_str()).filter(|t| !t.is_empty());
        let dns = DnsSettings::choose(resolver).map_err(Failure::config)?;
        let ca_file = Some(r.ca_file.clone()).filter(|p| !p.as_os_str().is_empty());
        let tls = Tls { ca_file, ..Tls::default() };
        let source = match r.source.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| Failure::config(format!("remote.source: {text} is no address")))?),
        };
        let settings = Settings {
            helo: if r.helo.is_empty() { config.hostname() } else { r.helo.clone() },
            source,
            connect_timeout: Duration::from_secs(r.connect_timeout.0.max(1)),
            timeout: Duration::from_secs(r.timeout.0.max(1)),
            starttls: r.starttls,
            dane: r.dane,
            mta_sts: r.mta_sts,
            sts_port: u16::try_from(r.sts_port).map_err(|_| Failure::config("remote.sts_port is no port"))?,
            state: config.paths.state.clone(),
            tls_memory: r.tls_memory.0,
            tls_reports: r.tls_reports,
            chunking: r.chunking,
            port: u16::try_from(r.port).map_err(|_| Failure::config("remote.port is no port"))?,
            tls,
            own: vec![config.hostname()],
            probe: false,
        };
        Ok(Sender { settings, dns: Resolver::new(dns), session: None, events: Vec::new() })
    }

    /// Makes it one that only asks for recipients, within this time a reply.
    pub fn probing(mut self, limit: Duration) -> Sender {
        let s = &mut self.settings;
        (s.probe, s.timeout, s.connect_timeout) = (true, s.timeout.min(limit), s.connect_timeout.min(limit));
        self
    }

    /// Sends a letter; `tell` gets the site of its domain, where there is one, before anything is connected to.
    pub fn send(&mut self, route: &Route, letter: &Letter, tell: &mut dyn FnMut(&str)) -> Report {
        let Some(hop) = route.hop() else {
            return everything(letter, &Trouble::temporary("4.3.5", "the route leads back to this host"), None);
        };
        let domain = letter.envelope.recipients.first().map(|r| r.address.domain()).unwrap_or_default();
        let mut job =
            Attempts { letter, done: BTreeMap::new(), last: None, reached: None, stop: false, converted: None };
        let mut target = Target { route, hop, destination: route.destination(&domain), domain: &domain, found: None };
        if let Some(kept) = self.session.as_ref().filter(|k| k.destination == target.destination) {
            kept.site.iter().for_each(|s| tell(s));
            self.reuse(&target, &mut job);
            if job.is_open() {
                self.find(&mut target, tell, &mut job);
            }
        } else {
            self.find(&mut target, tell, &mut job);
            self.reuse(&target, &mut job);
        }
        if job.is_open() {
            self.by_hosts(&target, &mut job);
        }
        job.report()
    }

    /// Looks the hosts up.
    fn find(&self, target: &mut Target<'_>, tell: &mut dyn FnMut(&str), job: &mut Attempts<'_>) {
        let (port, own) = (self.settings.port, &self.settings.own);
        let hop = target.hop;
        let found = match target.route {
            Route::Mx(_) => hosts::by_mx(&self.dns, target.domain, port, own),
            Route::Lmtp(h) if h.host.starts_with('/') => {
                Ok(Found::only(vec![Host { name: h.host.clone(), port: 0, authentic: false }]))
            }
            _ => hosts::by_hop(&self.dns, hop, if hop.port == 0 { port } else { hop.port }, own),
        };
        match found {
            Ok(found) => {
                target.found = Some(found);
                target.site().iter().for_each(|s| tell(s));
            }
            Err(trouble) => job.trouble(trouble),
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The resolver.
    pub fn dns(&self) -> &Resolver {
        &self.dns
    }

    /// Says good-bye to the host, if a session is open.
    pub fn close(&mut self) {
        if let Some(kept) = self.session.take() {
            kept.session.quit();
        }
    }

    /// Whether a session is open.
    pub fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Uses the open session, if it is one for this destination, or for its hosts with TLS as this domain wants it.
    fn reuse(&mut self, target: &Target<'_>, job: &mut Attempts<'_>) {
        let Some(Kept { destination, site, mut session }) = self.session.take() else { return };
        let requires = job.letter.envelope.sender.requiretls() && !session.verified;
        let same = destination == target.destination
            || site.is_some() && site == target.site() && self.is_good_for(target, &session, job.letter);
        if !same || session.used >= MESSAGES_MAX || requires {
            return session.quit();
        }
        let sent = self.transact(&mut session, job);
        if !sent.reached && sent.untouched {
            return; // it had been closed while idle: no news about the host, a new session is opened
        }
        self.keep(target, session, sent, job);
        // without a look-up of its own the job leaves what the session was good for as it was
        if let Some(kept) = self.session.as_mut().filter(|k| k.site.is_none()) {
            kept.site = site;
        }
    }

    /// Whether another domain of the same hosts asks no more of TLS than the session has.
    fn is_good_for(&self, target: &Target<'_>, session: &Session, letter: &Letter) -> bool {
        // as this domain's records name the host: whether they were validated is the domain's affair
        let mut hosts = target.found.iter().flat_map(|f| &f.hosts);
        let Some(host) = hosts.find(|h| h.name == session.host && h.port == session.port) else { return false };
        let sts = sts::policy(&self.dns, &self.settings, target.domain).policy;
        let domain = self.domain(target, host, sts.as_ref());
        let requires = letter.envelope.sender.requiretls();
        let level = decide(&self.dns, &self.settings, target.hop, host, &domain, requires);
        let encrypted = session.wire.tls().is_some();
        level.is_ok_and(|l| l.is_met_by(&session.level) && (encrypted || !l.is_demanded()) && session.vouch(&l).is_ok())
    }

    fn domain<'a>(&self, target: &Target<'a>, host: &Host, sts: Option<&'a Policy>) -> Domain<'a> {
        Domain { name: target.domain, sts, had_tls: memory::had_tls(&self.settings, target.remembered(host)) }
    }

    /// Writes down how TLS went; after the outcomes are told, for it may take its time.
    pub fn record(&mut self) {
        let events = std::mem::take(&mut self.events);
        if !events.is_empty() {
            tlsrpt::record(&self.settings.state.join("out/tlsrpt"), &self.dns, &events, self.settings.now());
        }
    }

    /// Keeps what came of TLS: for the domain's report, and for the next time.
    fn note(&mut self, target: &Target<'_>, mx: &str, level: &Level, sts: Option<&Policy>, seen: Option<&Seen>) {
        let Some(seen) = seen else { return };
        let reported = self.settings.tls_reports && matches!(target.route, Route::Mx(_));
        if reported && self.events.len() < EVENTS_MAX {
            self.events.push(Event::of(target.domain, mx, level, sts, seen));
        }
    }

    /// A transaction with the message as the host can take it.
    fn transact(&self, session: &mut Session, job: &mut Attempts<'_>) -> Sent {
        let todo = job.todo();
        let sender = &job.letter.envelope.sender;
        let header = job.letter.eight_bit_header && sender.smtputf8() && !session.offers.has("SMTPUTF8");
        let header = header && addresses_are_ascii(job.letter);
        let body = job.letter.eight_bit_body && !session.offers.has("8BITMIME");
        if !header && !body {
            return run(session, &self.settings, job.letter, &todo);
        }
        match job.seven_bit(header, body) {
            Ok(letter) => run(session, &self.settings, letter, &todo),
            Err(trouble) => {
                let outcomes = todo.into_iter().map(|i| (i, trouble.outcome())).collect();
                Sent { outcomes, usable: true, reached: true, untouched: true }
            }
        }
    }

    fn keep(&mut self, target: &Target<'_>, session: Session, sent: Sent, job: &mut Attempts<'_>) {
        let usable = sent.usable;
        job.take(sent);
        if usable {
            self.session = Some(Kept { destination: target.destination.clone(), site: target.site(), session });
        }
    }

    fn by_hosts(&mut self, target: &Target<'_>, job: &mut Attempts<'_>) {
        let sts = match target.route {
            Route::Mx(_) => sts::policy(&self.dns, &self.settings, target.domain),
            _ => sts::Found::default(),
        };
        if let Some(result) = sts.trouble {
            let seen = Seen { result: Some(result), ..Seen::default() };
            self.note(target, "", &Level::Opportunistic, sts.policy.as_ref(), Some(&seen));
        }
        let mut transactions = 0;
        for host in target.found.iter().flat_map(|f| &f.hosts) {
            match self.session_with(target, host, sts.policy.as_ref(), job.letter) {
                Err(trouble) => job.trouble(trouble),
                Ok(mut session) => {
                    transactions += 1;
                    let sent = self.transact(&mut session, job);
                    self.close();
                    self.keep(target, session, sent, job);
                }
            }
            if !job.is_open() || transactions >= TRANSACTIONS_MAX {
                return;
            }
        }
    }

    /// A session with one host; without TLS where only the handshake fails and nothing demands it.
    fn session_with(
        &mut self,
        target: &Target<'_>,
        host: &Host,
        sts: Option<&Policy>,
        letter: &Letter,
    ) -> Result<Session, Trouble> {
        let hop = target.hop;
        let lmtp = matches!(target.route, Route::Lmtp(_));
        if host.name.starts_with('/') {
            let place = Place::Unix(&host.name);
            return open(&self.settings, hop, host, &place, lmtp, &Level::Never).map_err(|n| n.trouble);
        }
        let addresses = hosts::sockets(&self.dns, host)?;
        let place = Place::Tcp(&addresses);
        let domain = self.domain(target, host, sts);
        let requires = letter.envelope.sender.requiretls();
        let level = match decide(&self.dns, &self.settings, hop, host, &domain, requires) {
            Ok(level) => level,
            Err(refusal) => {
                let reason = refusal.trouble.text.clone();
                let seen = Seen { result: Some(refusal.result), reason, ..Seen::default() };
                self.note(target, &host.name, &Level::Opportunistic, sts, Some(&seen));
                return Err(refusal.trouble);
            }
        };
        let opened = open(&self.settings, hop, host, &place, lmtp, &level);
        let seen = match &opened {
            Ok(session) => session.seen.as_deref(),
            Err(not) => not.seen.as_deref(),
        };
        self.note(target, &host.name, &level, sts, seen);
        match opened {
            Ok(session) => {
                if session.wire.tls().is_some() {
                    memory::remember(&self.settings, target.remembered(host));
                }
                Ok(session)
            }
            Err(NotOpen { without_tls: true, .. }) => {
                open(&self.settings, hop, host, &place, lmtp, &Level::Never).map_err(|n| n.trouble)
            }
            Err(NotOpen { trouble, .. }) => Err(trouble),
        }
    }
}

/// Where a job goes.
struct Target<'a> {
    route: &'a Route,
    hop: &'a Hop,
    destination: String,
    domain: &'a str,
    /// Its hosts, once they are looked up.
    found: Option<Found>,
}

impl Target<'_> {
    /// Under what name TLS is remembered: the domain, or the host a route names.
    fn remembered<'h>(&'h self, host: &'h Host) -> &'h str {
        if matches!(self.route, Route::Mx(_)) { self.domain } else { &host.name }
    }

    /// What its domain shares with others of the same hosts.
    fn site(&self) -> Option<String> {
        let all = self.found.as_ref().map(|f| f.all.as_slice()).filter(|all| !all.is_empty())?;
        let site = matches!(self.route, Route::Mx(_)).then(|| self.route.site(all))?;
        (site.len() <= SITE_MAX).then_some(site)
    }
}

/// The state of a job over several hosts.
struct Attempts<'a> {
    letter: &'a Letter,
    done: BTreeMap<usize, Outcome>,
    last: Option<Trouble>,
    reached: Option<bool>,
    /// Content went out and no answer came: not to another host now.
    stop: bool,
    /// The message in 7 bits, once a host needed it: header, body.
    converted: Option<((bool, bool), Letter)>,
}

/// Largest message converted to 7 bits, which is done in memory.
const CONVERT_MAX: u64 = 64 << 20;

impl Attempts<'_> {
    /// Recipients that another host may still help.
    fn todo(&self) -> Vec<usize> {
        let all = 0..self.letter.envelope.recipients.len();
        all.filter(|i| self.done.get(i).is_none_or(may_improve)).collect()
    }

    /// The message with header, body or both in 7 bits.
    fn seven_bit(&mut self, header: bool, body: bool) -> Result<&Letter, Trouble> {
        if self.letter.envelope.size > CONVERT_MAX {
            // RFC 3463 3.7: X.6.3 conversion required but not supported
            return Err(Trouble::permanent("5.6.3", "the message is too large to be converted to 7 bits"));
        }
        if self.converted.as_ref().is_none_or(|(what, _)| *what != (header, body)) {
            let made = self.letter.bytes().and_then(|bytes| {
                // a header that cannot be converted stays, and the transaction says what is missing
                let bytes = if header { crate::utf8::ascii_header(&bytes).unwrap_or(bytes) } else { bytes };
                let bytes = if body { crate::downgrade::convert(&bytes) } else { bytes };
                self.letter.with_content(&bytes)
            });
            let made = made.map_err(|e| Trouble::temporary("4.3.0", format!("conversion: {e}")))?;
            self.converted = Some(((header, body), made));
        }
        self.converted.as_ref().map(|(_, l)| l).ok_or_else(|| Trouble::temporary("4.3.0", "no conversion"))
    }

    /// Whether something is left that another host, or another connection, may do.
    fn is_open(&self) -> bool {
        !self.todo().is_empty() && self.may_go_on()
    }

    /// A permanent trouble of the whole destination ends the search.
    fn may_go_on(&self) -> bool {
        !self.stop && !self.last.as_ref().is_some_and(|t| t.permanent && t.mta.is_none())
    }

    fn trouble(&mut self, trouble: Trouble) {
        // a domain that does not exist is an answer, not silence
        self.reached = self.reached.or((!trouble.permanent).then_some(false));
        // a later host's silence does not hide what an earlier one said of a recipient
        self.last = Some(trouble);
    }

    fn take(&mut self, sent: Sent) {
        if !sent.reached {
            self.reached = self.reached.or(Some(false));
        } else {
            self.reached = Some(true);
        }
        self.stop |= !sent.untouched && !sent.reached;
        self.done.extend(sent.outcomes);
    }

    fn report(self) -> Report {
        let unknown = Trouble::temporary("4.4.1", "no host could be asked");
        let last = self.last.unwrap_or(unknown).outcome();
        let count = self.letter.envelope.recipients.len();
        let outcomes = (0..count).map(|i| self.done.get(&i).cloned().unwrap_or_else(|| last.clone())).collect();
        Report { outcomes, reached: self.reached }
    }
}

/// Whether only the header needs SMTPUTF8.
fn addresses_are_ascii(letter: &Letter) -> bool {
    let e = &letter.envelope;
    let ascii = |address: &str| crate::transaction::path(address, false).is_ascii();
    ascii(e.sender.address.as_str()) && e.recipients.iter().all(|r| ascii(r.address.as_str()))
}

fn everything(letter: &Letter, trouble: &Trouble, reached: Option<bool>) -> Report {
    Report { outcomes: letter.envelope.recipients.iter().map(|_| trouble.outcome()).collect(), reached }
}
