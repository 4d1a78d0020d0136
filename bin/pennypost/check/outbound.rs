//! Whether mail can leave: many providers block port 25 outward.
//!
//! Method      the hosts of a few well-known domains (`check.outbound`) are found as `remote` finds them, by the table
//!             `routes` or by MX, until one greets; nothing is sent but QUIT
//! Failures    the DNS is at fault: a warning, for nothing is known; nobody can be connected to: an error

use super::greetings::{Protocol, first_line, read};
use super::machine::{Finding, State, found};
use crate::dns::compare;
use penny_base::services::Lookup;
use penny_base::services::lookup::Answer;
use penny_base::{Config, Failure};
use penny_dns::{MailHosts, Name, Resolve, addresses, mail_hosts};
use penny_queue::job::Route;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Time for the questions about one domain, and for a connection to one of its hosts.
const DNS_TIME: Duration = Duration::from_secs(20);
const CONNECT_TIME: Duration = Duration::from_secs(15);
/// Time for a greeting.
const GREETING_TIME: Duration = Duration::from_secs(30);
/// Hosts tried of one domain.
const HOSTS_MAX: usize = 2;

/// Tries the domains one after another.
pub fn look(config: &Config, resolver: Option<&str>) -> Vec<Finding> {
    if config.check.outbound.is_empty() {
        return Vec::new();
    }
    vec![all(config, resolver).unwrap_or_else(|e| found("outbound", State::Warning, e.line()))]
}

/// Why a domain did not help.
enum Miss {
    /// Its hosts are not known.
    Unknown(String),
    /// Nothing can be connected to.
    Blocked(String),
    /// A connection, but no greeting that lets us in.
    Refused(String),
}

fn all(config: &Config, resolver: Option<&str>) -> Result<Finding, Failure> {
    let resolver = compare::choose(config, resolver)?;
    let mut lookup = crate::route::connect(config)?;
    let (mut unknown, mut blocked) = (Vec::new(), Vec::new());
    for domain in &config.check.outbound {
        let dns = resolver.within(DNS_TIME);
        match hosts(config, &mut lookup, &dns, domain).and_then(|hosts| greet(config, &hosts)) {
            Ok(text) => return Ok(found("outbound", State::Ok, format!("{domain}: {text}"))),
            // somebody was there: the port is not blocked, whatever is thought of us
            Err(Miss::Refused(why)) => return Ok(found("outbound", State::Warning, format!("{domain}: {why}"))),
            Err(Miss::Unknown(why)) => unknown.push(format!("{domain}: {why}")),
            Err(Miss::Blocked(why)) => blocked.push(format!("{domain}: {why}")),
        }
    }
    if blocked.is_empty() {
        return Ok(found("outbound", State::Warning, format!("cannot be tried: {}", unknown.join("; "))));
    }
    let advice = "the provider or a firewall blocks it? ask the provider, or send through a relay (table routes)";
    Ok(found("outbound", State::Error, format!("no connection outward: {}: {advice}", blocked.join("; "))))
}

/// A host by name and where it listens.
type Host = (String, Vec<SocketAddr>);

fn hosts(config: &Config, lookup: &mut Lookup, dns: &dyn Resolve, domain: &str) -> Result<Vec<Host>, Miss> {
    let unknown = |why: String| Miss::Unknown(why);
    let port = u16::try_from(config.remote.port).map_err(|_| unknown("remote.port is no port".into()))?;
    let route = match lookup.ask(&["route", domain]).map_err(|e| unknown(e.line()))? {
        Answer::Ok(fields) => Route::from_fields(&fields),
        Answer::Temp(why) => return Err(unknown(why)),
        Answer::No(_) => None,
    };
    let (host, port, by_mx) = match &route {
        Some(Route::Mx(_)) => (domain, port, true),
        Some(Route::Host(hop)) => (hop.host.as_str(), if hop.port == 0 { port } else { hop.port }, hop.lookup_mx),
        Some(Route::Local) => return Err(unknown("goes to local, not outward".into())),
        Some(Route::Lmtp(_)) => return Err(unknown("goes to lmtp, not outward".into())),
        None => return Err(unknown("lookup tells no route".into())),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![(bare.into(), vec![SocketAddr::new(ip, port)])]);
    }
    let name =
        penny_dns::to_ascii(bare).and_then(|a| a.parse::<Name>().ok()).ok_or_else(|| unknown("no name".into()))?;
    let names = if by_mx { exchangers(dns, &name)? } else { vec![name] };
    let mut out = Vec::new();
    for name in names.into_iter().take(HOSTS_MAX) {
        let list = addresses(dns, &name).map_err(|e| unknown(e.to_string()))?;
        let places = list.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        out.push((name.to_string().trim_end_matches('.').to_owned(), places));
    }
    Ok(out)
}

fn exchangers(dns: &dyn Resolve, domain: &Name) -> Result<Vec<Name>, Miss> {
    match mail_hosts(dns, domain).map_err(|e| Miss::Unknown(e.to_string()))? {
        MailHosts::Hosts { hosts, .. } => Ok(hosts.into_iter().map(|h| h.host).collect()),
        MailHosts::Null => Err(Miss::Unknown("takes no mail".into())),
        MailHosts::NoDomain => Err(Miss::Unknown("does not exist".into())),
    }
}

/// The greeting of the first host that can be reached.
fn greet(config: &Config, hosts: &[Host]) -> Result<String, Miss> {
    let source = config.remote.source.parse::<IpAddr>().ok();
    let mut wrong = Vec::new();
    for (name, places) in hosts {
        let list = penny_sys::connect::interleave(places);
        let (mut socket, at) = match penny_sys::connect::race(&list, source, CONNECT_TIME) {
            Ok(connected) => connected,
            Err(each) => {
                wrong.extend(each.first().map(|(at, e)| format!("{name} at {at}: {e}")));
                continue;
            }
        };
        let _ =
            socket.set_read_timeout(Some(GREETING_TIME)).and_then(|()| socket.set_write_timeout(Some(GREETING_TIME)));
        let text = read(&mut socket, Protocol::Smtp).map_err(|why| Miss::Refused(format!("{name} at {at}: {why}")))?;
        let first = first_line(&text);
        let text = format!("{name} at {at} answers {first}");
        return if first.starts_with("220") { Ok(text) } else { Err(Miss::Refused(text)) };
    }
    Err(if wrong.is_empty() { Miss::Unknown("no host has an address".into()) } else { Miss::Blocked(wrong.join(", ")) })
}
