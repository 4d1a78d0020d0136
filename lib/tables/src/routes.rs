//! The routes table (Postfix transport(5)): where mail for a domain goes when not by its MX records.
//!
//! Format      `domain nexthop [options]`; domain `example.org`, `.example.org` (everything below), `*` (all), or
//!             `from:example.net` (mail whose sender is of that domain, where no line but `*` fits the recipient's);
//!             nexthop `smtp:host:port`, `smtp:[host]:port` (no MX look-up), `lmtp:host:port`, `lmtp:unix:/path`, `mx`;
//!             options `tls=may|must|none`, `auth=user:password`, `conn=N`, `source=ADDRESS`, `helo=NAME`,
//!             `rate=N/s|m|h`, `lifetime=TIME`, `retry=TIME:TIME`

use crate::behind::Behind;
use crate::lines::{Mistake, logical};
use penny_base::config::{Raw, Seconds, Setting};
use std::borrow::Cow;
use std::collections::HashMap;

/// Where mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The next hop.
    pub hop: Hop,
    /// may, must or none.
    pub tls: String,
    /// User and password for AUTH; empty without.
    pub auth: (String, String),
    /// Remaining options; times are in seconds, a rate is `jobs/seconds`.
    pub options: Vec<(String, String)>,
}

/// The next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hop {
    /// By the MX records of the domain itself.
    Mx,
    /// SMTP to a host.
    Smtp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// Look its MX records up first.
        mx: bool,
    },
    /// LMTP to `host:port` or `unix:/path`.
    Lmtp(String),
}

/// The whole table.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    map: HashMap<String, Route>,
    behind: Behind,
}

impl Routes {
    /// Reads the text of the table.
    pub fn parse(text: &str) -> (Routes, Vec<Mistake>) {
        let mut map = HashMap::new();
        let mut mistakes = Vec::new();
        for line in logical(text) {
            match parse_line(&line.text) {
                Ok((domain, route)) => {
                    map.insert(domain, route);
                }
                Err(text) => mistakes.push(Mistake { line: line.number, text }),
            }
        }
        (Routes { map, behind: Behind::default() }, mistakes)
    }

    /// The route of a domain (lower-case A-labels): its own line, then the nearest `.parent`, then that of the sender's
    /// domain (`from:`), then `*`.
    pub fn find(&self, domain: &str, sender_domain: &str) -> Option<Cow<'_, Route>> {
        if let Some(r) = self.get(domain) {
            return Some(r);
        }
        let mut rest = domain;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(r) = self.get(&format!(".{parent}")) {
                return Some(r);
            }
            rest = parent;
        }
        let by_sender = if sender_domain.is_empty() { None } else { self.get(&format!("from:{sender_domain}")) };
        by_sender.or_else(|| self.get("*"))
    }

    /// The table a source tells.
    pub fn behind(behind: Behind) -> Routes {
        Routes { behind, ..Routes::default() }
    }

    fn get(&self, key: &str) -> Option<Cow<'_, Route>> {
        if self.behind.is_some() {
            let read = |right: &str| parse_line(&format!("{key} {right}")).map(|(_, route)| route);
            return self.behind.find(key, read).map(Cow::Owned);
        }
        self.map.get(key).map(Cow::Borrowed)
    }
}

fn parse_line(line: &str) -> Result<(String, Route), String> {
    let mut words = line.split_whitespace();
    let domain = words.next().unwrap_or("").to_lowercase();
    let hop = hop(words.next().ok_or("expected domain nexthop")?)?;
    let mut route = Route { hop, tls: "may".into(), auth: Default::default(), options: Vec::new() };
    for option in words {
        let (name, value) = option.split_once('=').ok_or_else(|| format!("expected name=value: {option}"))?;
        match name {
            "tls" if ["may", "must", "none"].contains(&value) => route.tls = value.into(),
            "auth" => {
                let (user, password) = value.split_once(':').ok_or("auth=user:password")?;
                route.auth = (user.into(), password.into());
            }
            "source" if value.parse::<std::net::IpAddr>().is_err() => return Err(format!("not an address: {value}")),
            "source" | "helo" => route.options.push((name.into(), value.into())),
            "conn" => route.options.push((name.into(), number(value)?.to_string())),
            "rate" => route.options.push((name.into(), rate(value)?)),
            "lifetime" => route.options.push((name.into(), seconds(value)?.to_string())),
            "retry" => {
                let (min, max) = value.split_once(':').ok_or("retry=TIME:TIME")?;
                let (min, max) = (seconds(min)?, seconds(max)?);
                let sane = min > 0 && min <= max;
                sane.then_some(()).ok_or("retry: the first time is the shorter one, and not 0")?;
                route.options.push((name.into(), format!("{min}:{max}")));
            }
            _ => return Err(format!("unknown option {option}")),
        }
    }
    Ok((domain, route))
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("not a number above 0: {text}"))
}

fn seconds(text: &str) -> Result<u64, String> {
    Seconds::read(&Raw::Text(text.to_owned())).map(|s| s.0)
}

/// `60/m` as `60/60`: jobs and the seconds they may start in.
fn rate(text: &str) -> Result<String, String> {
    let (jobs, unit) = text.split_once('/').ok_or("rate=N/s, N/m or N/h")?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(format!("not a unit of time: {unit}")),
    };
    Ok(format!("{}/{seconds}", number(jobs)?))
}

fn hop(text: &str) -> Result<Hop, String> {
    if text == "mx" {
        return Ok(Hop::Mx);
    }
    if let Some(place) = text.strip_prefix("lmtp:") {
        return Ok(Hop::Lmtp(place.to_string()));
    }
    let text = text.strip_prefix("smtp:").or_else(|| text.strip_prefix("relay:")).unwrap_or(text);
    let (host, mx, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or("[ without ]")?;
            (host, false, rest.strip_prefix(':'))
        }
        None => text.rsplit_once(':').map_or((text, true, None), |(h, p)| (h, true, Some(p))),
    };
    let port = rest.map_or(Ok(25), |p| p.parse().map_err(|_| format!("not a port: {p}")))?;
    if host.is_empty() { Err("no host".into()) } else { Ok(Hop::Smtp { host: host.to_lowercase(), port, mx }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_wins() {
        let text =
            "remote.test smtp:[127.0.0.1]:2525\n.sub.test lmtp:unix:/s\n* smtp:mail.isp:587 tls=must auth=u:p:q\n";
        let (r, m) = Routes::parse(text);
        assert!(m.is_empty(), "{m:?}");
        let sink = Hop::Smtp { host: "127.0.0.1".into(), port: 2525, mx: false };
        assert_eq!(r.find("remote.test", "").unwrap().hop, sink);
        assert_eq!(r.find("a.b.sub.test", "").unwrap().hop, Hop::Lmtp("unix:/s".into()));
        let all = r.find("other", "").unwrap();
        assert_eq!((all.tls.as_str(), all.auth.1.as_str()), ("must", "p:q"));
        assert_eq!(all.hop, Hop::Smtp { host: "mail.isp".into(), port: 587, mx: true });
    }

    #[test]
    fn the_senders_domain_counts_before_the_rest() {
        let text = "fixed.test smtp:a\nfrom:ours.test smtp:relay.test:587 auth=u:p source=192.0.2.5\n* smtp:rest\n";
        let (r, m) = Routes::parse(text);
        assert!(m.is_empty(), "{m:?}");
        let host = |domain: &str, from: &str| match &r.find(domain, from).unwrap().hop {
            Hop::Smtp { host, .. } => host.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(host("far.test", "ours.test"), "relay.test");
        assert_eq!(host("fixed.test", "ours.test"), "a", "a line for the recipient's domain is nearer");
        assert_eq!(host("far.test", "other.test"), "rest");
        assert_eq!(host("far.test", ""), "rest");
    }

    #[test]
    fn times_and_rates_become_seconds() {
        let (r, m) = Routes::parse("a mx conn=2 rate=30/m lifetime=1d retry=5m:1h\n");
        assert!(m.is_empty(), "{m:?}");
        let options = &r.find("a", "").unwrap().options;
        let shown: Vec<String> = options.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(shown, ["conn=2", "rate=30/60", "lifetime=86400", "retry=300:3600"]);
        let bad =
            "a mx rate=5\nb mx rate=0/s\nc mx rate=1/y\nd mx lifetime=x\ne mx retry=1h:5m\nf mx conn=0\ng mx source=x";
        assert_eq!(Routes::parse(bad).1.len(), 7);
    }

    #[test]
    fn mistakes() {
        let (_, m) = Routes::parse("a\nb smtp:[x\nc smtp:x:y\nd smtp:x tls=perhaps\n");
        assert_eq!(m.len(), 4);
    }
}
