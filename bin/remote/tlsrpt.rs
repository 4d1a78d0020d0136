//! What TLS reports are made of: one line a session with a host of a domain that wants reports, one file a day.
//!
//! Standard    RFC 8460 3 (records), 4.3 (result types)
//! Format      `paths.state`/out/tlsrpt/YYYYMMDD (UTC): nine tab-separated escaped fields a line, in the order of
//!             [`Event::line`]
//! Invariants  1. a line is appended in one write   2. only sessions with hosts of domains that asked are kept
//!             3. nothing waits for it: outcomes are told first
//! Failures    a line that cannot be written is lost, and the log says so

use crate::open::Seen;
use crate::policy::Level;
use crate::sts::Policy;
use penny_base::log;
use penny_base::services::escape::{join, split};
use penny_dns::{Name, Resolve, txt};
use penny_report::job::append;
use std::path::Path;

/// A day's file beyond this takes no more lines.
const DAY_MAX: u64 = 64 << 20;
/// Longest text of a reason.
const REASON_MAX: usize = 300;
/// Addresses of one record that are used.
const RUA_MAX: usize = 4;

/// One session, or the attempt at one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The domain mail was for.
    pub domain: String,
    /// `tlsa`, `sts` or `no-policy-found`.
    pub kind: String,
    /// The policy, line by line.
    pub policy: Vec<String>,
    /// Patterns of hosts of an MTA-STS policy.
    pub hosts: Vec<String>,
    /// Result type of a failure; empty for a success.
    pub result: String,
    /// The host.
    pub mx: String,
    /// Its address, and ours; empty where no connection was made.
    pub peer: String,
    /// Ours.
    pub own: String,
    /// Why.
    pub reason: String,
}

impl Event {
    /// What came of a session with `mx`, under the policy that counted for it.
    pub fn of(domain: &str, mx: &str, level: &Level, sts: Option<&Policy>, seen: &Seen) -> Event {
        let (kind, policy, hosts) = match (level, sts) {
            (Level::Dane { records, .. }, _) => ("tlsa", records.iter().map(ToString::to_string).collect(), Vec::new()),
            (_, Some(p)) => ("sts", p.lines.clone(), p.hosts.clone()),
            _ => ("no-policy-found", Vec::new(), Vec::new()),
        };
        let ip = |ip: Option<std::net::IpAddr>| ip.map(|i| i.to_canonical().to_string()).unwrap_or_default();
        Event {
            domain: domain.to_ascii_lowercase(),
            kind: kind.to_owned(),
            policy,
            hosts,
            result: seen.result.unwrap_or_default().to_owned(),
            mx: mx.to_owned(),
            peer: ip(seen.peer),
            own: ip(seen.own),
            reason: seen.reason.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect(),
        }
    }

    /// As a line, with its end.
    fn line(&self) -> String {
        let (policy, hosts) = (list(&self.policy), list(&self.hosts));
        let fields =
            [&self.domain, &self.kind, &policy, &hosts, &self.result, &self.mx, &self.peer, &self.own, &self.reason];
        join(&fields.map(String::as_str)) + "\n"
    }

    /// Reads a line back; `None` when it is none.
    pub fn parse(line: &str) -> Option<Event> {
        let fields: [String; 9] = split(line).try_into().ok()?;
        let [domain, kind, policy, hosts, result, mx, peer, own, reason] = fields;
        let lines = |t: &str| t.split('\n').filter(|l| !l.is_empty()).map(str::to_owned).collect();
        Some(Event { domain, kind, policy: lines(&policy), hosts: lines(&hosts), result, mx, peer, own, reason })
    }
}

fn list(items: &[String]) -> String {
    items.join("\n")
}

/// Where a domain wants its reports (RFC 8460 3): exactly one record counts; mailto and https URIs.
pub fn wanted(dns: &dyn Resolve, domain: &str) -> Option<Vec<String>> {
    let name = Name::parse(domain).ok()?.child("_tls").ok()?.child("_smtp").ok()?;
    addresses_of(&txt(dns, &name).ok()?)
}

fn addresses_of(records: &[Vec<u8>]) -> Option<Vec<String>> {
    let texts = records.iter().filter_map(|r| std::str::from_utf8(r).ok());
    let is_ours = |t: &&str| t.strip_prefix("v=TLSRPTv1").is_some_and(|rest| rest.trim_start().starts_with(';'));
    let ours: Vec<&str> = texts.filter(is_ours).collect();
    let [one] = ours.as_slice() else { return None };
    let rua = one.split(';').find_map(|field| field.trim().strip_prefix("rua="))?;
    let known = |u: &&str| u.starts_with("mailto:") || u.starts_with("https://");
    let list: Vec<String> = rua.split(',').map(str::trim).filter(known).take(RUA_MAX).map(str::to_owned).collect();
    (!list.is_empty()).then_some(list)
}

/// Writes down what domains want to know.
pub fn record(dir: &Path, dns: &dyn Resolve, events: &[Event], now: u64) {
    let asked = |e: &&Event| wanted(dns, &e.domain).is_some();
    let lines: String = events.iter().filter(asked).map(Event::line).collect();
    if lines.is_empty() {
        return;
    }
    if let Err(e) = std::fs::create_dir_all(dir).and_then(|()| append(dir, now, &lines, DAY_MAX)) {
        log::warning("tls-results-lost", None, &[("error", &e)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back() {
        let policy = Policy::parse("version: STSv1\nmode: testing\nmx: a.test\nmx: *.b.test\nmax_age: 9\n").unwrap();
        let seen = Seen {
            result: Some("certificate-expired"),
            reason: "tab\there\nand a line".into(),
            peer: Some("192.0.2.1".parse().unwrap()),
            own: None,
        };
        let event = Event::of("Far.Test", "a.test", &Level::Observed, Some(&policy), &seen);
        assert_eq!((event.kind.as_str(), event.domain.as_str(), event.policy.len()), ("sts", "far.test", 5));
        assert_eq!(event.hosts, ["a.test", "*.b.test"]);
        assert_eq!(event.line().lines().count(), 1);
        assert_eq!(Event::parse(event.line().trim_end_matches('\n')), Some(event));
        assert_eq!(Event::parse("a\tb"), None);
    }

    #[test]
    fn records_of_the_rfc() {
        let of = |list: &[&str]| addresses_of(&list.iter().map(|t| t.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(of(&["v=TLSRPTv1;rua=mailto:reports@example.com"]).unwrap(), ["mailto:reports@example.com"]);
        let both = "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt,mailto:a@b.c";
        assert_eq!(of(&["x", both]).unwrap().len(), 2);
        for none in [
            &["v=TLSRPTv1"][..],
            &["v=TLSRPTv1; rua=ftp://x"],
            &["v=TLSRPTv10; rua=mailto:a@b"],
            &["v=TLSRPTv1; rua=mailto:a@b", "v=TLSRPTv1; rua=mailto:c@d"],
            &[],
        ] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
