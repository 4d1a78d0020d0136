//! What qrun and remote tell each other: one packet a message on a SOCK_SEQPACKET socket, fields separated by NUL.
//!
//! Format      to remote: `job <number> <route as one line> <envelope block>` with the entry as a descriptor, its
//!             offset at the message, and a second one of header fields to put on top where there are any; from remote: `rcpt <number> <index> <verdict> <status> <action> <mta> <text>`,
//!             one for each recipient of the envelope, before them `site <number> <text>` where the hosts are by MX, then
//!             `end <number> <reached 1|0|-> <again 1|0>`
//! Invariants  1. a job fits one packet   2. a recipient without its `rcpt` packet is to be tried again
//! Trust       remote talks to hostile hosts: its packets are checked like any input

use crate::envelope::{Envelope, Line};
use crate::journal::{Action, Outcome, Verdict};
use crate::schedule::Rate;

/// Largest packet in octets; less than the default send buffer of a unix socket.
pub const PACKET_MAX: usize = 60 << 10;

/// Longest name of a site in octets; with more hosts the domains are on their own.
pub const SITE_MAX: usize = 4096;

/// Most recipients of one job: what every server must take (RFC 5321 4.5.3.1.8).
pub const RECIPIENTS_MAX: usize = 100;

/// Where a domain's mail goes, as `lookup` answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// By its MX records; `host` is empty.
    Mx(Hop),
    /// To a fixed host.
    Host(Hop),
    /// To an LMTP server.
    Lmtp(Hop),
    /// It is ours.
    Local,
}

/// A next hop and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Hop {
    /// Name, address, or absolute path of a unix socket.
    pub host: String,
    /// Port; 0 for the default.
    pub port: u16,
    /// `host` is a domain whose MX records are to be used.
    pub lookup_mx: bool,
    /// `may`, `must` or `none`.
    pub tls: TlsWish,
    /// User for AUTH; empty for none.
    pub user: String,
    /// Its secret.
    pub secret: String,
    /// Name in EHLO; empty for the configured one.
    pub helo: String,
    /// Source address; empty for the configured one.
    pub source: String,
    /// Most connections at a time; 0 for the configured number.
    pub connections: u32,
    /// How many jobs may start in a time.
    pub rate: Option<Rate>,
    /// Seconds after which delivery is given up; 0 as configured.
    pub lifetime: u64,
    /// Shortest and longest wait between two tries in seconds.
    pub retry: Option<(u64, u64)>,
}

/// How a route wants TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TlsWish {
    /// When offered.
    #[default]
    May,
    /// Or not at all, with the certificate checked.
    Must,
    /// Never.
    None,
}

impl Route {
    /// Reads the fields of lookup's answer after `OK`.
    pub fn from_fields(fields: &[String]) -> Option<Route> {
        let field = |n: usize| fields.get(n).map(String::as_str).unwrap_or_default();
        let rest = |n: usize| fields.get(n..).unwrap_or_default();
        match field(0) {
            "mx" => Some(Route::Mx(Hop::default().with(rest(1))?)),
            "local" => Some(Route::Local),
            "host" => {
                let host = Some(field(1)).filter(|h| !h.is_empty())?.to_owned();
                let port = if field(2).is_empty() { 0 } else { field(2).parse().ok()? };
                let hop = Hop { host, port, lookup_mx: field(3) == "1", ..Hop::default() };
                Some(Route::Host(hop.with(rest(4))?))
            }
            "lmtp" => {
                let (host, port) = lmtp_place(field(1))?;
                Some(Route::Lmtp(Hop { host, port, ..Hop::default() }.with(rest(2))?))
            }
            _ => None,
        }
    }

    /// The fields again.
    pub fn fields(&self) -> Vec<String> {
        let (kind, place, hop) = match self {
            Route::Local => return vec!["local".to_owned()],
            Route::Mx(h) => ("mx", Vec::new(), h),
            Route::Host(h) => {
                let mx = if h.lookup_mx { "1" } else { "0" };
                ("host", vec![h.host.clone(), h.port.to_string(), mx.to_owned()], h)
            }
            Route::Lmtp(h) if h.host.starts_with('/') => ("lmtp", vec![format!("unix:{}", h.host)], h),
            Route::Lmtp(h) => ("lmtp", vec![format!("{}:{}", h.host, h.port)], h),
        };
        std::iter::once(kind.to_owned()).chain(place).chain(hop.tail()).collect()
    }

    /// The hop, if mail leaves this host.
    pub fn hop(&self) -> Option<&Hop> {
        match self {
            Route::Mx(h) | Route::Host(h) | Route::Lmtp(h) => Some(h),
            Route::Local => None,
        }
    }

    /// What shares a limit and a connection: the domain, or the fixed hop for all its domains; with what makes
    /// connections differ. Holds no secret.
    pub fn destination(&self, domain: &str) -> String {
        match self {
            Route::Local => domain.to_owned(),
            Route::Mx(h) => format!("{domain}{}", h.manner()),
            Route::Host(h) => format!("[{}]:{}{}", h.host, h.port, h.manner()),
            Route::Lmtp(h) => format!("lmtp:[{}]:{}", h.host, h.port),
        }
    }

    /// The same for all domains whose mail these hosts take.
    pub fn site(&self, hosts: &[String]) -> String {
        let mut hosts: Vec<String> = hosts.iter().map(|h| h.to_ascii_lowercase()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let manner = self.hop().map(Hop::manner).unwrap_or_default();
        format!("mx:{}{manner}", hosts.join(","))
    }
}

impl Hop {
    /// Reads what follows the place: `tls user secret option=value ...`.
    fn with(mut self, rest: &[String]) -> Option<Hop> {
        let mut words = rest.iter();
        self.tls = TlsWish::from_word(words.next().map(String::as_str).unwrap_or_default())?;
        self.user = words.next().cloned().unwrap_or_default();
        self.secret = words.next().cloned().unwrap_or_default();
        for (name, value) in words.filter_map(|w| w.split_once('=')) {
            match name {
                "helo" => self.helo = value.to_owned(),
                "source" => self.source = value.to_owned(),
                "conn" => self.connections = value.parse().ok()?,
                "rate" => self.rate = Some(rate(value)?),
                "lifetime" => self.lifetime = value.parse().ok()?,
                "retry" => {
                    let (min, max) = value.split_once(':')?;
                    self.retry = Some((min.parse().ok()?, max.parse().ok()?));
                }
                _ => {} // an option of a later version
            }
        }
        Some(self)
    }

    /// What makes one connection to a host another than a second one: who we say we are, and whether TLS is a must.
    fn manner(&self) -> String {
        let tls = if self.tls == TlsWish::May { "" } else { self.tls.word() };
        let parts = [("as", self.user.as_str()), ("from", &self.source), ("helo", &self.helo), ("tls", tls)];
        parts.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| format!(" {n}={v}")).collect()
    }

    fn tail(&self) -> Vec<String> {
        let mut out = vec![self.tls.word().to_owned(), self.user.clone(), self.secret.clone()];
        let options = [("helo", self.helo.clone()), ("source", self.source.clone())];
        out.extend(options.into_iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| format!("{n}={v}")));
        out.extend((self.connections > 0).then(|| format!("conn={}", self.connections)));
        out.extend(self.rate.map(|r| format!("rate={}/{}", r.jobs, r.seconds)));
        out.extend((self.lifetime > 0).then(|| format!("lifetime={}", self.lifetime)));
        out.extend(self.retry.map(|(min, max)| format!("retry={min}:{max}")));
        out
    }
}

impl TlsWish {
    fn from_word(word: &str) -> Option<TlsWish> {
        match word {
            "" | "may" => Some(TlsWish::May),
            "must" => Some(TlsWish::Must),
            "none" => Some(TlsWish::None),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            TlsWish::May => "may",
            TlsWish::Must => "must",
            TlsWish::None => "none",
        }
    }
}

/// `jobs/seconds`.
fn rate(text: &str) -> Option<Rate> {
    let (jobs, seconds) = text.split_once('/')?;
    Some(Rate { jobs: jobs.parse().ok()?, seconds: seconds.parse().ok()? })
}

/// `unix:/path` or `host:port`; the port may be missing (24, RFC 2033 has none of its own).
fn lmtp_place(text: &str) -> Option<(String, u16)> {
    if let Some(path) = text.strip_prefix("unix:") {
        return path.starts_with('/').then(|| (path.to_owned(), 0));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (host, port.parse().ok()?)
        }
        _ => (text, 24),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// A job for remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Chosen by qrun.
    pub number: u64,
    /// How to get there.
    pub route: Route,
    /// With the recipients of this job only; all of one domain where the route is by MX.
    pub envelope: Envelope,
}

impl Job {
    /// The packet; `None` when it is too large.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let fields = self.route.fields();
        let route = penny_base::services::escape::join(&fields.iter().map(String::as_str).collect::<Vec<_>>());
        let mut packet = format!("job\0{}\0{route}\0", self.number).into_bytes();
        packet.extend(self.envelope.encode());
        (packet.len() <= PACKET_MAX).then_some(packet)
    }

    /// Takes a packet apart.
    pub fn decode(packet: &[u8]) -> Option<Job> {
        let mut parts = packet.splitn(4, |b| *b == 0);
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        if text()? != "job" {
            return None;
        }
        let number = text()?.parse().ok()?;
        let route = Route::from_fields(&penny_base::services::escape::split(text()?))?;
        Some(Job { number, route, envelope: Envelope::parse(parts.next()?).ok()? })
    }
}

/// What remote tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// What the destination shares with other domains.
    Site {
        /// The job.
        number: u64,
        /// [`Route::site`].
        site: String,
    },
    /// The outcome for one recipient.
    Recipient {
        /// The job.
        number: u64,
        /// Index in the job's envelope.
        index: usize,
        /// What happened; `time` is qrun's business.
        outcome: Outcome,
    },
    /// The job is over.
    End {
        /// The job.
        number: u64,
        /// Whether the destination did its part; `None` when that cannot be said.
        reached: Option<bool>,
        /// Whether this process can take another job for the same destination.
        again: bool,
    },
}

impl Told {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Told::Recipient { number, index, outcome: o } => {
                let mta = o.mta.as_ref().map_or("", Line::as_str);
                let (verdict, action) = (o.verdict.word(), o.action.word());
                format!("rcpt\0{number}\0{index}\0{verdict}\0{}\0{action}\0{mta}\0{}", o.status, o.text)
            }
            Told::Site { number, site } => format!("site\0{number}\0{site}"),
            Told::End { number, reached, again } => {
                let reached = reached.map_or("-", |r| if r { "1" } else { "0" });
                format!("end\0{number}\0{reached}\0{}", u8::from(*again))
            }
        }
        .into_bytes()
    }

    /// Takes a packet apart.
    pub fn decode(packet: &[u8]) -> Option<Told> {
        let text = std::str::from_utf8(packet).ok()?;
        let f: Vec<&str> = text.split('\0').collect();
        match f.as_slice() {
            ["rcpt", number, index, verdict, status, action, mta, text] => {
                // a journal keeps status and mta as single words
                let word = |w: &str| Line::new(w).filter(|l| !l.as_str().contains(' ') && !l.as_str().is_empty());
                let outcome = Outcome {
                    time: 0,
                    verdict: Verdict::from_word(verdict)?,
                    status: word(status)?,
                    action: Action::from_word(action)?,
                    mta: if mta.is_empty() { None } else { Some(word(mta)?) },
                    text: Line::new(*text)?,
                };
                Some(Told::Recipient { number: number.parse().ok()?, index: index.parse().ok()?, outcome })
            }
            ["site", number, site] => {
                // it is shown to people and kept: one printable line of bounded length
                let good = !site.is_empty() && site.len() <= SITE_MAX && !site.chars().any(char::is_control);
                good.then_some(Told::Site { number: number.parse().ok()?, site: (*site).to_owned() })
            }
            ["end", number, reached, again] => {
                let reached = match *reached {
                    "1" => Some(true),
                    "0" => Some(false),
                    _ => None,
                };
                Some(Told::End { number: number.parse().ok()?, reached, again: *again == "1" })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Address, Recipient};

    fn hop() -> Hop {
        Hop {
            host: "relay.example".into(),
            port: 587,
            lookup_mx: false,
            tls: TlsWish::Must,
            user: "me".into(),
            secret: "tab\tand \\".into(),
            helo: "out.example".into(),
            connections: 3,
            rate: Some(Rate { jobs: 30, seconds: 60 }),
            lifetime: 86_400,
            retry: Some((60, 600)),
            ..Hop::default()
        }
    }

    #[test]
    fn jobs_come_back() {
        let recipients = vec![Recipient::plain(Address::new("a@b").unwrap())];
        let envelope = Envelope { recipients, ..Envelope::default() };
        let unix = Hop { host: "/run/lmtp".into(), port: 0, ..hop() };
        for route in [Route::Mx(Hop::default()), Route::Host(hop()), Route::Lmtp(hop()), Route::Lmtp(unix)] {
            let job = Job { number: 7, route, envelope: envelope.clone() };
            assert_eq!(Job::decode(&job.encode().unwrap()).unwrap(), job);
        }
        let many = vec![Recipient::plain(Address::new("x".repeat(900)).unwrap()); 100];
        let big =
            Job { number: 1, route: Route::Mx(Hop::default()), envelope: Envelope { recipients: many, ..envelope } };
        assert!(big.encode().is_none(), "a job that fits no packet is told");
        assert_eq!(Job::decode(b"job\x001\0mx\0garbage"), None);
    }

    #[test]
    fn answers_of_lookup_are_read() {
        let read = |text: &str| Route::from_fields(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(read("mx"), Some(Route::Mx(Hop::default())));
        assert_eq!(read("mx must"), Some(Route::Mx(Hop { tls: TlsWish::Must, ..Hop::default() })));
        let Some(Route::Lmtp(h)) = read("lmtp [::1]:2424") else { panic!() };
        assert_eq!((h.host.as_str(), h.port), ("::1", 2424));
        for bad in ["", "host", "host x y", "lmtp unix:relative", "mx maybe", "pigeon x"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn destinations_hold_no_secret() {
        assert_eq!(Route::Mx(Hop::default()).destination("example.org"), "example.org");
        let dest = Route::Host(hop()).destination("example.org");
        assert_eq!(dest, "[relay.example]:587 as=me helo=out.example tls=must");
        let plain = Hop { host: "h".into(), port: 25, ..Hop::default() };
        assert_eq!(Route::Host(plain).destination("example.org"), "[h]:25");
        assert!(!Route::Lmtp(hop()).destination("x").contains("and"));
    }

    #[test]
    fn the_same_hosts_are_one_site_whatever_their_order() {
        let hosts = |list: &[&str]| list.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>();
        let mx = Route::Mx(Hop::default());
        assert_eq!(mx.site(&hosts(&["b.test", "A.test", "b.test"])), "mx:a.test,b.test");
        let other = Route::Mx(Hop { source: "192.0.2.1".into(), ..Hop::default() });
        assert_eq!(other.site(&hosts(&["a.test"])), "mx:a.test from=192.0.2.1");
    }

    #[test]
    fn answers_come_back_and_odd_ones_do_not() {
        let outcome = Outcome {
            time: 0,
            verdict: Verdict::Fail,
            status: Line::new("5.1.1").unwrap(),
            action: Action::None,
            mta: Line::new("mx.example"),
            text: Line::new("550 5.1.1 no such user").unwrap(),
        };
        for told in [
            Told::Recipient { number: 1, index: 2, outcome: outcome.clone() },
            Told::Recipient { number: 1, index: 2, outcome: Outcome { mta: None, ..outcome } },
            Told::Site { number: 1, site: "mx:a,b".into() },
            Told::End { number: 1, reached: Some(false), again: true },
            Told::End { number: 1, reached: None, again: false },
        ] {
            assert_eq!(Told::decode(&told.encode()), Some(told));
        }
        for odd in [
            &b"rcpt\x001\x002\0done\x002.0.0\0-\0m x\0text"[..],
            b"rcpt\x001\x002\0done\0\0-\0mx\0text",
            b"rcpt\x001\x002\0done\x002.0.0\0-\0mx\0two\nlines",
            b"rcpt\x001\x002\0maybe\x002.0.0\0-\0mx\0text",
            b"end\x001",
            b"site\x001\0",
            b"site\x001\0a\nb",
            b"\xff",
        ] {
            assert_eq!(Told::decode(odd), None);
        }
    }
}
