//! Look-ups as mail uses them: hosts of a domain, addresses of a host, names of an address.
//!
//! Standards   RFC 5321 5.1 (MX), 7505 (null MX), 7208 5.5 (confirmed names), 1035 3.5 and 3596 2.5 (reverse names)
//! Invariants  a failure of the DNS stays a failure: "no MX" is concluded only from an answer that says so

use crate::name::Name;
use crate::random;
use crate::record::{Answer, Data, Error, Type};
use crate::resolver::Resolve;
use std::net::IpAddr;

/// Reverse names looked at (RFC 7208 4.6.4 sets the same bound).
const PTR_MAX: usize = 10;

/// One host that takes a domain's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailHost {
    /// Lower is tried first.
    pub preference: u16,
    /// The host, to be looked up by [`addresses`].
    pub host: Name,
}

/// Where a domain's mail goes (RFC 5321 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailHosts {
    /// Hosts in the order to try: by preference, at random among equals.
    Hosts {
        /// The hosts; at least one.
        hosts: Vec<MailHost>,
        /// There is no MX record: the domain itself is the host (5.1, "implicit MX").
        implicit: bool,
        /// The answer was validated; DANE rests on it (RFC 7672 2.2.1).
        authentic: bool,
        /// Where aliases of the domain led.
        canonical: Name,
    },
    /// The domain takes no mail (RFC 7505): refuse with 5.1.10.
    Null,
    /// The domain does not exist: 5.1.2.
    NoDomain,
}

/// The hosts of a mail domain.
pub fn mail_hosts(dns: &dyn Resolve, domain: &Name) -> Result<MailHosts, Error> {
    let answer = dns.query(domain, Type::Mx)?;
    if !answer.exists {
        return Ok(MailHosts::NoDomain);
    }
    let Answer { records, authentic, canonical, .. } = answer;
    let mut hosts: Vec<MailHost> = records
        .into_iter()
        .filter_map(|data| match data {
            Data::Mx(preference, host) => Some(MailHost { preference, host }),
            _ => None,
        })
        .collect();
    let implicit = hosts.is_empty();
    if implicit {
        hosts.push(MailHost { preference: 0, host: domain.clone() });
    }
    // RFC 7505 3: the root as exchange is no host; alone it says "no mail". Beside others it is a mistake, passed over.
    hosts.retain(|h| !h.host.is_root());
    if hosts.is_empty() {
        return Ok(MailHosts::Null);
    }
    random::shuffle(&mut hosts);
    hosts.sort_by_key(|h| h.preference); // stable: equals stay shuffled
    Ok(MailHosts::Hosts { hosts, implicit, authentic, canonical })
}

/// The addresses of a host, IPv6 first; empty when it has none.
///
/// When one family can't be asked but the other has addresses, those are returned.
pub fn addresses(dns: &dyn Resolve, host: &Name) -> Result<Vec<IpAddr>, Error> {
    let six = dns.query(host, Type::Aaaa);
    let four = dns.query(host, Type::A);
    let mut found: Vec<IpAddr> = Vec::new();
    for answer in [&six, &four].into_iter().flatten() {
        let mut some: Vec<IpAddr> = answer.records.iter().filter_map(Data::address).collect();
        random::shuffle(&mut some);
        found.extend(some);
    }
    if found.is_empty() {
        six?;
        four?;
    }
    Ok(found)
}

/// The texts of a name; empty when there are none.
pub fn txt(dns: &dyn Resolve, name: &Name) -> Result<Vec<Vec<u8>>, Error> {
    let text = |data| if let Data::Txt(text) = data { Some(text) } else { None };
    Ok(dns.query(name, Type::Txt)?.records.into_iter().filter_map(text).collect())
}

/// The name under which PTR records of an address stand.
pub fn reverse_name(ip: IpAddr) -> Name {
    let text = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|o| [o & 0xf, o >> 4]);
            let text: String = nibbles.map(|n| format!("{n:x}.")).collect();
            format!("{text}ip6.arpa")
        }
    };
    Name::parse(&text).unwrap_or_else(|_| Name::root()) // numbers and two fixed labels always fit
}

/// The first name of an address that leads back to it; `None` when no name does.
pub fn confirmed_name(dns: &dyn Resolve, ip: IpAddr) -> Result<Option<Name>, Error> {
    let ip = ip.to_canonical();
    let kind = if ip.is_ipv4() { Type::A } else { Type::Aaaa };
    let mut failure = None;
    for data in dns.query(&reverse_name(ip), Type::Ptr)?.records.into_iter().take(PTR_MAX) {
        let Data::Ptr(name) = data else { continue };
        match dns.query(&name, kind) {
            Ok(answer) if answer.records.iter().any(|d| d.address() == Some(ip)) => return Ok(Some(name)),
            Ok(_) => {}
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(None), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Zone;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn hosts(zone: &Zone, domain: &str) -> Vec<String> {
        match mail_hosts(zone, &name(domain)).unwrap() {
            MailHosts::Hosts { hosts, .. } => hosts.iter().map(|h| h.host.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn order_is_preference_then_chance() {
        let zone = Zone::parse("x.example MX 20 c.example\nx.example MX 10 a.example\nx.example MX 10 b.example");
        let runs: Vec<Vec<String>> = (0..64).map(|_| hosts(&zone, "x.example")).collect();
        assert!(runs.iter().all(|r| r[2] == "c.example"));
        assert!(runs.iter().any(|r| r[0] == "a.example") && runs.iter().any(|r| r[0] == "b.example"));
    }

    #[test]
    fn implicit_null_and_missing() {
        let zone = Zone::parse(
            "a.example A 192.0.2.1\nn.example MX 0 .\nm.example MX 0 .\nm.example MX 5 h.example\n\
             alias.example CNAME real.example\nreal.example MX 1 h.example\nt.example MX TIMEOUT",
        );
        assert_eq!(hosts(&zone, "a.example"), ["a.example"]);
        assert!(matches!(mail_hosts(&zone, &name("a.example")), Ok(MailHosts::Hosts { implicit: true, .. })));
        assert_eq!(mail_hosts(&zone, &name("n.example")), Ok(MailHosts::Null));
        assert_eq!(hosts(&zone, "m.example"), ["h.example"]);
        assert_eq!(hosts(&zone, "alias.example"), ["h.example"]);
        assert_eq!(mail_hosts(&zone, &name("no.example")), Ok(MailHosts::NoDomain));
        assert_eq!(mail_hosts(&zone, &name("t.example")), Err(Error::Timeout));
    }

    #[test]
    fn one_failing_family_does_not_hide_the_other() {
        let zone =
            Zone::parse("h.example AAAA TIMEOUT\nh.example A 192.0.2.1\ng.example AAAA SERVFAIL\ng.example TXT x");
        assert_eq!(addresses(&zone, &name("h.example")).unwrap().len(), 1);
        assert_eq!(addresses(&zone, &name("g.example")), Err(Error::ServFail));
        assert_eq!(addresses(&zone, &name("none.example")), Ok(Vec::new()));
    }

    #[test]
    fn reverse_names() {
        assert_eq!(reverse_name("192.0.2.1".parse().unwrap()).to_string(), "1.2.0.192.in-addr.arpa");
        assert_eq!(reverse_name("::ffff:192.0.2.1".parse().unwrap()).to_string(), "1.2.0.192.in-addr.arpa");
        let six = reverse_name("2001:db8::1".parse().unwrap()).to_string();
        assert!(six.starts_with("1.0.0.0.") && six.ends_with("8.b.d.0.1.0.0.2.ip6.arpa"), "{six}");
    }

    #[test]
    fn only_names_that_lead_back_count() {
        let zone = Zone::parse(
            "1.2.0.192.in-addr.arpa PTR liar.example\n1.2.0.192.in-addr.arpa PTR true.example\n\
             liar.example A 192.0.2.99\ntrue.example A 192.0.2.1\n2.2.0.192.in-addr.arpa PTR liar.example\n\
             3.2.0.192.in-addr.arpa PTR slow.example\nslow.example TIMEOUT",
        );
        let of = |ip: &str| confirmed_name(&zone, ip.parse().unwrap());
        assert_eq!(of("192.0.2.1"), Ok(Some(name("true.example"))));
        assert_eq!(of("192.0.2.2"), Ok(None));
        assert_eq!(of("192.0.2.3"), Err(Error::Timeout));
        assert_eq!(of("192.0.2.4"), Ok(None));
    }
}
