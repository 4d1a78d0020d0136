//! Which hosts take the mail of a route, and their addresses.
//!
//! Standards   RFC 5321 5.1 (MX, implicit MX, loops), RFC 7505 (null MX), RFC 5321 4.1.3 (literals)
//! Invariants  1. "the domain takes no mail" is concluded only from an answer, never from a failure of the DNS
//!             2. a host no better than ourselves is not tried: mail never loops through its own MX records

use crate::outcome::Trouble;
use penny_dns::{Error, MailHosts, Name, Resolve, addresses, mail_hosts};
use penny_queue::job::Hop;
use std::net::{IpAddr, SocketAddr};

/// Hosts tried for one message.
const HOSTS_MAX: usize = 10;
/// Addresses tried of one host.
const ADDRESSES_MAX: usize = 8;

/// A host to try.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name, or its address as text.
    pub name: String,
    /// Port.
    pub port: u16,
    /// The name comes from validated records, or from the administrator; DANE rests on it.
    pub authentic: bool,
}

/// Hosts that take a domain's mail.
#[derive(Debug)]
pub struct Found {
    /// To try, best first.
    pub hosts: Vec<Host>,
    /// The names of all of them, in any order: what domains on the same hosts have in common.
    pub all: Vec<String>,
}

impl Found {
    /// Hosts that share nothing with other domains.
    pub fn only(hosts: Vec<Host>) -> Found {
        Found { hosts, all: Vec::new() }
    }
}

/// Hosts of a mail domain, best first.
pub fn by_mx(dns: &dyn Resolve, domain: &str, port: u16, own: &[String]) -> Result<Found, Trouble> {
    if let Some(ip) = literal(domain) {
        return Ok(Found::only(vec![Host { name: ip.to_string(), port, authentic: false }]));
    }
    let name = ascii_name(domain)?;
    let found = mail_hosts(dns, &name).map_err(|e| dns_trouble(domain, e))?;
    match found {
        MailHosts::NoDomain => Err(Trouble::permanent("5.1.2", format!("the domain {domain} does not exist"))),
        // RFC 7505 4.1
        MailHosts::Null => Err(Trouble::permanent("5.1.10", format!("the domain {domain} takes no mail"))),
        MailHosts::Hosts { hosts, authentic, .. } => {
            let text = |n: &Name| n.to_string().trim_end_matches('.').to_owned();
            let is_own = |n: &Name| own.iter().any(|o| o.eq_ignore_ascii_case(&text(n)));
            // RFC 5321 5.1: ourselves, and everything less preferred, is left out
            let ours = hosts.iter().filter(|h| is_own(&h.host)).map(|h| h.preference).min();
            let better = hosts.iter().filter(|h| ours.is_none_or(|o| h.preference < o));
            let mut list: Vec<Host> = better.map(|h| Host { name: text(&h.host), port, authentic }).collect();
            if list.is_empty() {
                return Err(Trouble::permanent("5.4.6", format!("mail for {domain} loops back to this host")));
            }
            let all = list.iter().map(|h| h.name.clone()).collect();
            list.truncate(HOSTS_MAX);
            Ok(Found { hosts: list, all })
        }
    }
}

/// The hosts of a route that names one.
pub fn by_hop(dns: &dyn Resolve, hop: &Hop, port: u16, own: &[String]) -> Result<Found, Trouble> {
    if hop.lookup_mx && hop.host.parse::<IpAddr>().is_err() {
        return by_mx(dns, &hop.host, port, own);
    }
    Ok(Found::only(vec![Host { name: hop.host.clone(), port, authentic: true }]))
}

/// The addresses of a host.
pub fn sockets(dns: &dyn Resolve, host: &Host) -> Result<Vec<SocketAddr>, Trouble> {
    let bare = host.name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, host.port)]);
    }
    // RFC 6761 6.3: localhost is not asked for
    if bare.eq_ignore_ascii_case("localhost") {
        let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)];
        return Ok(loopback.map(|ip| SocketAddr::new(ip, host.port)).to_vec());
    }
    let name = ascii_name(bare)?;
    let list = addresses(dns, &name).map_err(|e| dns_trouble(bare, e))?;
    if list.is_empty() {
        // RFC 5321 5.1: an MX host without address is an error of the domain; it may be repaired
        return Err(Trouble::temporary("4.4.4", format!("the host {bare} has no address")));
    }
    Ok(list.into_iter().take(ADDRESSES_MAX).map(|ip| SocketAddr::new(ip, host.port)).collect())
}

fn ascii_name(domain: &str) -> Result<Name, Trouble> {
    let ascii = penny_dns::to_ascii(domain);
    let name = ascii.and_then(|a| Name::parse(&a).ok());
    name.filter(|n| !n.is_root()).ok_or_else(|| Trouble::permanent("5.1.2", format!("{domain} is no domain name")))
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
fn literal(domain: &str) -> Option<IpAddr> {
    let inside = domain.strip_prefix('[')?.strip_suffix(']')?;
    match inside.get(..5).filter(|p| p.eq_ignore_ascii_case("ipv6:")) {
        Some(_) => inside.get(5..)?.parse().ok(),
        None => inside.parse().ok(),
    }
}

fn dns_trouble(name: &str, error: Error) -> Trouble {
    Trouble::temporary("4.4.3", format!("DNS look-up of {name} failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_dns::Zone;

    const ZONE: &str = "
        far.test MX 20 b.far.test
        far.test MX 10 a.far.test
        back.test MX 10 a.far.test
        back.test MX 20 me.test
        back.test MX 30 b.far.test
        loop.test MX 10 me.test
        null.test MX 0 .
        plain.test A 192.0.2.7
        a.far.test A 192.0.2.1
        a.far.test AAAA 2001:db8::1
    ";

    fn names(domain: &str) -> Result<Vec<String>, String> {
        let zone = Zone::parse(ZONE);
        let found = by_mx(&zone, domain, 25, &["me.test".to_owned()]);
        found.map(|f| f.hosts.into_iter().map(|h| h.name).collect()).map_err(|t| t.status)
    }

    #[test]
    fn hosts_in_order_and_without_ourselves() {
        assert_eq!(names("far.test").unwrap(), ["a.far.test", "b.far.test"]);
        assert_eq!(names("back.test").unwrap(), ["a.far.test"], "only better ones than ourselves");
        assert_eq!(names("plain.test").unwrap(), ["plain.test"], "implicit MX");
        assert_eq!(names("[192.0.2.9]").unwrap(), ["192.0.2.9"]);
        assert_eq!(names("[IPv6:2001:db8::9]").unwrap(), ["2001:db8::9"]);
    }

    #[test]
    fn refusals_of_the_dns() {
        assert_eq!(names("loop.test").unwrap_err(), "5.4.6");
        assert_eq!(names("null.test").unwrap_err(), "5.1.10");
        assert_eq!(names("nowhere.test").unwrap_err(), "5.1.2");
        assert_eq!(names("").unwrap_err(), "5.1.2");
    }
}
