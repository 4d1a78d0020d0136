//! Site roll-up: domains whose mail the same hosts take are one destination, with one limit and shared connections.
//!
//! The scheduler asks no DNS. A domain is its own destination until `remote`, which has to look its hosts up anyway,
//! says which they are; from then on its jobs, those already waiting included, count for the site.
//!
//! Invariants  1. what is remembered is bounded in number and time   2. a domain that changes its hosts moves with them

use crate::runner::Runner;
use penny_base::log;
use penny_queue::schedule::DestKey;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a domain is taken to have the hosts it had.
const LIFE: Duration = Duration::from_secs(3600);
/// Domains remembered.
const DOMAINS_MAX: usize = 100_000;

/// Which site a destination belongs to.
#[derive(Debug, Default)]
pub struct Sites {
    of: HashMap<String, (String, Instant)>,
}

impl Sites {
    /// The site of a destination, or itself where that is not known.
    pub fn of(&self, destination: &str) -> String {
        self.known(destination).unwrap_or(destination).to_owned()
    }

    /// The site, if it is known.
    pub fn known(&self, destination: &str) -> Option<&str> {
        self.of.get(destination).filter(|(_, at)| at.elapsed() < LIFE).map(|(site, _)| site.as_str())
    }

    /// Sites of a domain, whatever its routes add to the name of the destination.
    pub fn of_domain<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = &'a str> {
        let is = move |d: &str| d.strip_prefix(domain).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        self.of.iter().filter(move |(d, _)| is(d)).map(|(_, (site, _))| site.as_str())
    }

    /// Remembers. True when it is news.
    fn learn(&mut self, destination: &str, site: &str) -> bool {
        if self.of.len() >= DOMAINS_MAX && !self.of.contains_key(destination) {
            self.of.retain(|_, (_, at)| at.elapsed() < LIFE);
            if self.of.len() >= DOMAINS_MAX {
                self.of.clear();
            }
        }
        let old = self.of.insert(destination.to_owned(), (site.to_owned(), Instant::now()));
        old.is_none_or(|(known, _)| known != site)
    }
}

impl Runner {
    /// A worker says whose hosts those of `destination` are; `running` is where its job counted so far. Gives where it
    /// counts now.
    pub fn site_told(&mut self, destination: &str, running: &DestKey, site: &str) -> DestKey {
        if self.sites.learn(destination, site) {
            log::debug("site", None, &[("dest", &destination), ("site", &site)]);
        }
        let to = DestKey::Remote(site.to_owned());
        self.plan.moved(running, &to, self.steady());
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_lead_to_their_site() {
        let mut s = Sites::default();
        assert!(s.learn("a.example", "mx:host"));
        assert!(!s.learn("a.example", "mx:host"));
        assert!(s.learn("b.example helo=x", "mx:host helo=x"));
        assert_eq!((s.of("a.example"), s.of("c.example")), ("mx:host".to_owned(), "c.example".to_owned()));
        assert_eq!(s.of_domain("b.example").collect::<Vec<_>>(), ["mx:host helo=x"]);
        assert_eq!(s.of_domain("b.exam").count(), 0);
        assert!(s.learn("a.example", "mx:other"), "it moved");
        assert_eq!(s.of("a.example"), "mx:other");
    }
}
