//! The stub resolver: which server, how often, aliases, AD, cache.
//!
//! Standards   RFC 1034 3.6.2 and 5.3.1, 2308, 6840 5.7-5.8, 8020
//! Invariants  1. no query outlives its deadline   2. a name and type are asked once while cached, failures included
//! Failures    [`Error`]; SERVFAIL beats a time-out when servers differ, since it is the more telling one

use crate::cache::Cache;
use crate::name::Name;
use crate::random;
use crate::record::{Answer, Data, Error, Record, Type};
use crate::resolvconf::Settings;
use crate::transport;
use crate::wire::Message;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Aliases followed for one question.
const ALIASES_MAX: usize = 10;
/// Negative answers without SOA must not be kept (RFC 2308 5); one message may still use them.
const NEGATIVE_TTL: u32 = 5;

/// Something that answers DNS questions: the network, or a table in tests.
pub trait Resolve {
    /// The records of one type, aliases followed.
    fn query(&self, name: &Name, kind: Type) -> Result<Answer, Error>;

    /// [`Resolve::query`] for a name still in text.
    fn lookup(&self, name: &str, kind: Type) -> Result<Answer, Error> {
        self.query(&Name::parse(name)?, kind)
    }
}

impl<T: Resolve + ?Sized> Resolve for &T {
    fn query(&self, name: &Name, kind: Type) -> Result<Answer, Error> {
        (**self).query(name, kind)
    }
}

impl<T: Resolve + ?Sized> Resolve for Box<T> {
    fn query(&self, name: &Name, kind: Type) -> Result<Answer, Error> {
        (**self).query(name, kind)
    }
}

/// A blocking stub resolver with its cache.
#[derive(Debug)]
pub struct Resolver {
    settings: Settings,
    cache: Mutex<Cache>,
    turn: AtomicUsize,
}

impl Resolver {
    /// A resolver that asks as told.
    pub fn new(settings: Settings) -> Self {
        Self { settings, cache: Mutex::default(), turn: AtomicUsize::new(0) }
    }

    /// The same resolver, every query of the returned value ending within `budget` from now.
    pub fn within(&self, budget: Duration) -> Within<'_> {
        Within { resolver: self, deadline: Instant::now() + budget }
    }

    /// [`Resolve::query`] that ends by `deadline`.
    pub fn query_by(&self, name: &Name, kind: Type, deadline: Option<Instant>) -> Result<Answer, Error> {
        let now = Instant::now();
        if let Some(known) = self.cache().find(name, kind, now) {
            return known;
        }
        if deadline.is_some_and(|d| d <= now) {
            return Err(Error::Timeout); // not kept: the budget is this caller's
        }
        let outcome = self.resolve(name, kind, deadline);
        self.cache().keep(name, kind, &outcome, Instant::now());
        outcome
    }

    /// A poisoned cache is still a cache: entries are whole or absent.
    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Asks, and follows aliases the server left to us.
    fn resolve(&self, name: &Name, kind: Type, deadline: Option<Instant>) -> Result<Answer, Error> {
        let mut target = name.clone();
        let (mut authentic, mut ttl) = (true, u32::MAX);
        for _ in 0..ALIASES_MAX {
            let (reply, trusted) = self.ask(&target, kind, deadline)?;
            authentic &= trusted && reply.authentic;
            let found = read(&reply, &target, kind)?;
            ttl = ttl.min(found.ttl);
            if !found.dangling {
                let Found { records, canonical, .. } = found;
                return Ok(Answer { records, exists: reply.rcode != 3, authentic, canonical, ttl });
            }
            target = found.canonical;
        }
        Err(Error::Malformed)
    }

    /// One question, over servers and rounds; the flag says whether that server's AD counts.
    fn ask(&self, name: &Name, kind: Type, deadline: Option<Instant>) -> Result<(Message, bool), Error> {
        let mut servers = self.servers();
        let mut last = Error::Unreachable;
        for _ in 0..self.settings.attempts.max(1) {
            let mut silent = Vec::new();
            for server in servers {
                match self.try_server(server, name, kind, deadline) {
                    Ok(reply) if matches!(reply.rcode, 0 | 3) => return Ok((reply, self.trusts(server))),
                    Ok(reply) => last = rcode_error(reply.rcode),
                    Err(error) => {
                        if !matches!(last, Error::ServFail | Error::Rcode(_)) {
                            last = error;
                        }
                        silent.push(server);
                    }
                }
            }
            servers = silent; // who answered with a failure is not asked again
        }
        Err(last)
    }

    fn servers(&self) -> Vec<SocketAddr> {
        let mut servers = self.settings.servers.clone();
        if self.settings.rotate && !servers.is_empty() {
            let by = self.turn.fetch_add(1, Ordering::Relaxed) % servers.len();
            servers.rotate_left(by);
        }
        servers
    }

    /// glibc's rule: the path to a loopback resolver can't be tampered with, others need `trust-ad`.
    fn trusts(&self, server: SocketAddr) -> bool {
        self.settings.trust_ad || server.ip().to_canonical().is_loopback()
    }

    fn try_server(&self, to: SocketAddr, name: &Name, kind: Type, limit: Option<Instant>) -> Result<Message, Error> {
        let mut by = Instant::now() + self.settings.timeout;
        by = limit.map_or(by, |limit| by.min(limit));
        let query = Message::query(random::id(), name, kind, true);
        let reply = transport::exchange(to, &query, by, self.settings.use_tcp)?;
        // RFC 6891 7: FORMERR (or NOTIMP of old servers) without OPT means "no EDNS here".
        if matches!(reply.rcode, 1 | 4) && !reply.edns {
            let plain = Message::query(random::id(), name, kind, false);
            return transport::exchange(to, &plain, by, self.settings.use_tcp);
        }
        Ok(reply)
    }
}

impl Resolve for Resolver {
    fn query(&self, name: &Name, kind: Type) -> Result<Answer, Error> {
        self.query_by(name, kind, None)
    }
}

/// A [`Resolver`] with a deadline for everything it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Within<'a> {
    resolver: &'a Resolver,
    deadline: Instant,
}

impl Resolve for Within<'_> {
    fn query(&self, name: &Name, kind: Type) -> Result<Answer, Error> {
        self.resolver.query_by(name, kind, Some(self.deadline))
    }
}

fn rcode_error(rcode: u8) -> Error {
    if rcode == 2 { Error::ServFail } else { Error::Rcode(rcode) }
}

/// What one reply says about a name.
struct Found {
    records: Vec<Data>,
    canonical: Name,
    ttl: u32,
    /// The reply ends in an alias without saying what is there.
    dangling: bool,
}

/// Follows aliases inside one reply (RFC 1034 3.6.2).
fn read(reply: &Message, name: &Name, kind: Type) -> Result<Found, Error> {
    let mut canonical = name.clone();
    let mut ttl = u32::MAX;
    let mut steps = 0;
    if kind != Type::Cname {
        while let Some((target, alias)) = alias_of(&reply.answers, &canonical) {
            steps += 1;
            if steps > ALIASES_MAX {
                return Err(Error::Malformed);
            }
            ttl = ttl.min(alias.ttl);
            canonical = target.clone();
        }
    }
    let here = |r: &&Record| r.name == canonical && r.data.kind() == kind;
    let found: Vec<&Record> = reply.answers.iter().filter(here).collect();
    ttl = found.iter().map(|r| r.ttl).fold(ttl, u32::min);
    let soa = reply.authority.iter().find_map(negative_ttl);
    let dangling = found.is_empty() && steps > 0 && reply.rcode == 0 && soa.is_none();
    if found.is_empty() {
        ttl = ttl.min(soa.unwrap_or(NEGATIVE_TTL));
    }
    let records = found.into_iter().map(|r| r.data.clone()).collect();
    Ok(Found { records, canonical, ttl, dangling })
}

fn alias_of<'a>(records: &'a [Record], name: &Name) -> Option<(&'a Name, &'a Record)> {
    records.iter().find_map(|r| match &r.data {
        Data::Cname(target) if r.name == *name => Some((target, r)),
        _ => None,
    })
}

/// RFC 2308 5: the smaller of the SOA's TTL and its minimum.
fn negative_ttl(record: &Record) -> Option<u32> {
    match &record.data {
        Data::Soa(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_trusted_by_itself() {
        let trusts = |server: &str, trust_ad: bool| {
            let settings = Settings { trust_ad, ..Settings::at(server).unwrap() };
            Resolver::new(settings).trusts(server.parse().unwrap())
        };
        for near in ["127.0.0.1:53", "127.9.8.7:53", "[::1]:53", "[::ffff:127.0.0.1]:53"] {
            assert!(trusts(near, false), "{near}");
        }
        for far in ["192.0.2.53:53", "10.0.0.1:53", "[2001:db8::53]:53", "[fe80::1]:53", "[::ffff:192.0.2.53]:53"] {
            assert!(!trusts(far, false) && trusts(far, true), "{far}");
        }
    }
}
