//! What is published against what should be.

use super::facts::Facts;
use super::records::Record;
use super::show::value;
use penny_base::{Config, Failure};
use penny_dns::{Data, Name, Resolve, Resolver, Settings, Type, confirmed_name, reverse_name};
use std::net::IpAddr;
use std::time::Duration;

/// Time for all questions.
const BUDGET: Duration = Duration::from_secs(60);

/// What was found about one record.
#[derive(Debug, Clone)]
pub struct Found {
    /// The record.
    pub record: Record,
    /// Its state.
    pub state: State,
}

/// States.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Published as it should be.
    Ok,
    /// Not there.
    Missing(String),
    /// Something else is there.
    Differs(String),
    /// The DNS could not be asked.
    Unknown(String),
}

impl State {
    /// True when all is well.
    pub fn is_ok(&self) -> bool {
        *self == State::Ok
    }

    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Missing(_) => "missing",
            State::Differs(_) => "differs",
            State::Unknown(_) => "unknown",
        }
    }

    /// What is wrong.
    pub fn detail(&self) -> String {
        match self {
            State::Ok => String::new(),
            State::Missing(want) => format!("publish {want}"),
            State::Differs(have) => format!("published: {have}"),
            State::Unknown(why) => why.clone(),
        }
    }
}

/// The resolver to ask: the given one, the configured one, or the system's.
pub fn choose(config: &Config, given: Option<&str>) -> Result<Resolver, Failure> {
    let given = given.or(Some(config.remote.resolver.as_str())).filter(|r| !r.is_empty());
    Settings::choose(given).map(Resolver::new).map_err(Failure::usage)
}

/// Asks for every record, and for the names of the addresses.
pub fn all(config: &Config, resolver: Option<&str>, facts: &Facts, records: &[Record]) -> Result<Vec<Found>, Failure> {
    let resolver = choose(config, resolver)?;
    let dns = resolver.within(BUDGET);
    let mut found: Vec<Found> = records.iter().map(|r| Found { record: r.clone(), state: one(&dns, r) }).collect();
    found.extend(facts.ips.iter().filter_map(|ip| reverse(&dns, *ip, &facts.host)));
    Ok(found)
}

fn one(dns: &dyn Resolve, record: &Record) -> State {
    let kind = record.data.kind();
    let answer = match dns.lookup(&record.name, kind) {
        Ok(answer) => answer,
        Err(e) => return State::Unknown(e.to_string()),
    };
    if answer.records.iter().any(|have| same(have, &record.data)) {
        return State::Ok;
    }
    // an address record does as well as an alias
    if kind == Type::Cname && has_address(dns, &record.name) {
        return State::Ok;
    }
    let rivals: Vec<String> = answer.records.iter().filter(|have| rival(have, &record.data)).map(value).collect();
    match rivals.as_slice() {
        [] => State::Missing(value(&record.data)),
        rivals => State::Differs(rivals.join(", ")),
    }
}

fn has_address(dns: &dyn Resolve, name: &str) -> bool {
    Name::parse(name).is_ok_and(|n| penny_dns::addresses(dns, &n).is_ok_and(|a| !a.is_empty()))
}

/// Equal in what counts: preferences are the admin's, policies of SPF, DMARC and TLSRPT may be others than ours.
fn same(have: &Data, want: &Data) -> bool {
    match (have, want) {
        (Data::Mx(_, a), Data::Mx(_, b)) => a == b,
        (Data::Srv(_, _, p, a), Data::Srv(_, _, q, b)) => (p, a) == (q, b),
        (Data::Txt(a), Data::Txt(b)) => {
            let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
            let tag = |t: &str| t.split([';', ' ']).next().unwrap_or("").to_lowercase();
            match tag(&b).as_str() {
                "v=dmarc1" | "v=tlsrptv1" => tag(&a) == tag(&b),
                "v=spf1" => tag(&a) == tag(&b) && (a.contains("mx") || a.contains("ip") || a.contains(" a")),
                _ => squeeze(&a) == squeeze(&b),
            }
        }
        _ => have == want,
    }
}

fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().trim_end_matches(';').to_string()
}

/// A record of the same kind that is in the way; other TXT records of a name are none of our business.
fn rival(have: &Data, want: &Data) -> bool {
    match (have, want) {
        (Data::Txt(a), Data::Txt(b)) => {
            let tag = |t: &[u8]| String::from_utf8_lossy(t).split([';', ' ']).next().unwrap_or("").to_lowercase();
            tag(a) == tag(b)
        }
        _ => true,
    }
}

fn reverse(dns: &dyn Resolve, ip: IpAddr, host: &str) -> Option<Found> {
    let want = Name::parse(host).ok()?;
    let state = match confirmed_name(dns, ip) {
        Ok(Some(name)) if name == want => State::Ok,
        Ok(Some(name)) => State::Differs(format!("{name}.")),
        Ok(None) => State::Missing(format!("{host}. (and its address must lead back)")),
        Err(e) => State::Unknown(e.to_string()),
    };
    let name = reverse_name(ip).to_string();
    let record = Record { name, data: Data::Ptr(want), why: "reverse DNS: many refuse mail without", must: true };
    Some(Found { record, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txt(t: &str) -> Data {
        Data::Txt(t.as_bytes().to_vec())
    }

    #[test]
    fn policies_of_the_admin_are_as_good_as_ours() {
        assert!(same(&txt("v=DMARC1; p=reject"), &txt("v=DMARC1; p=quarantine; rua=mailto:x@y")));
        assert!(same(&txt("v=spf1 ip4:192.0.2.1 ~all"), &txt("v=spf1 mx -all")));
        assert!(!same(&txt("v=spf1 -all"), &txt("v=spf1 mx -all")));
        assert!(same(&txt("v=DKIM1;k=rsa;p=AB CD;"), &txt("v=DKIM1; k=rsa; p=ABCD")));
        assert!(!same(&txt("v=DKIM1; k=rsa; p=ABCE"), &txt("v=DKIM1; k=rsa; p=ABCD")));
        assert!(!rival(&txt("google-site-verification=x"), &txt("v=spf1 mx -all")));
    }
}
