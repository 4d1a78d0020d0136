//! Whether the addresses the world sees stand on DNS lists.
//!
//! Standard    RFC 5782: 2.1 and 2.4 (names), 2.3 (TXT says why), 5 (127.0.0.1 must not be listed: a list that lists it is dead)
//! Invariants  a list that refuses to tell (127.255.255.0/24, the way of Spamhaus) or cannot be asked is never "listed"

use super::machine::{Finding, State, found};
use crate::dns::{compare, facts};
use penny_base::{Config, Failure};
use penny_dns::dnsbl::List;
use penny_dns::{Data, Resolve, Type};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Time for all questions.
const BUDGET: Duration = Duration::from_secs(30);

/// Asks every list about every address.
pub fn ask(config: &Config, resolver: Option<&str>) -> Vec<Finding> {
    if config.check.dnsbl.is_empty() {
        return Vec::new();
    }
    all(config, resolver).unwrap_or_else(|e| vec![found("blocklists", State::Warning, e.line())])
}

fn all(config: &Config, resolver: Option<&str>) -> Result<Vec<Finding>, Failure> {
    let resolver = compare::choose(config, resolver)?;
    let dns = resolver.within(BUDGET);
    let mut out = Vec::new();
    for ip in facts::addresses(config, &[])? {
        if is_private(ip) {
            let text = format!("{ip} is not an address the world sees: set check.addresses");
            out.push(found("blocklists", State::Warning, text));
            continue;
        }
        out.extend(config.check.dnsbl.iter().filter_map(|text| List::parse(text)).map(|list| one(&dns, &list, ip)));
    }
    Ok(out)
}

/// Behind NAT, or within a site.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64; // RFC 6598
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn one(dns: &dyn Resolve, list: &List, ip: IpAddr) -> Finding {
    let unknown = |why: &str| found("blocklists", State::Warning, format!("{}: {ip}: {why}", list.zone));
    let Some(name) = list.name(ip) else { return unknown("cannot be asked about it") };
    let records = match dns.query(&name, Type::A) {
        Ok(answer) => answer.records,
        Err(e) => return unknown(&e.to_string()),
    };
    if records.iter().any(|r| matches!(r, Data::A(a) if a.octets()[..3] == [127, 255, 255])) {
        return unknown("the list does not answer this resolver (a public one?)");
    }
    if !list.listed(&records) {
        return found("blocklists", State::Ok, format!("{}: {ip} is not listed", list.zone));
    }
    let never = list.name(Ipv4Addr::LOCALHOST.into());
    if never.is_some_and(|n| dns.query(&n, Type::A).is_ok_and(|a| list.listed(&a.records))) {
        return unknown("the list says yes to everything");
    }
    let why = penny_dns::txt(dns, &name).unwrap_or_default();
    let why = why.first().map(|t| format!(": {}", String::from_utf8_lossy(t))).unwrap_or_default();
    found("blocklists", State::Error, format!("{}: {ip} is listed{why}", list.zone))
}
