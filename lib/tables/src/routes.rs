//! The routes table (Postfix transport(5)): where mail for a domain goes when not by its MX records.
//!
//! Format      `domain nexthop [options]`; domain `example.org`, `.example.org` (everything below), `*` (all);
//!             nexthop `smtp:host:port`, `smtp:[host]:port` (no MX look-up), `lmtp:host:port`, `lmtp:unix:/path`, `mx`;
//!             options `tls=may|must|none`, `auth=user:password`, `conn=N`, `source=ADDRESS`, `helo=NAME`

use crate::lines::{Mistake, logical};
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
    /// Remaining options.
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
pub struct Routes(HashMap<String, Route>);

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
        (Routes(map), mistakes)
    }

    /// The route of a domain (lower-case A-labels): its own line, then the nearest `.parent`, then `*`.
    pub fn find(&self, domain: &str) -> Option<&Route> {
        if let Some(r) = self.0.get(domain) {
            return Some(r);
        }
        let mut rest = domain;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(r) = self.0.get(&format!(".{parent}")) {
                return Some(r);
            }
            rest = parent;
        }
        self.0.get("*")
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
            "conn" | "source" | "helo" => route.options.push((name.into(), value.into())),
            _ => return Err(format!("unknown option {option}")),
        }
    }
    Ok((domain, route))
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
        assert_eq!(r.find("remote.test").unwrap().hop, sink);
        assert_eq!(r.find("a.b.sub.test").unwrap().hop, Hop::Lmtp("unix:/s".into()));
        let all = r.find("other").unwrap();
        assert_eq!((all.tls.as_str(), all.auth.1.as_str()), ("must", "p:q"));
        assert_eq!(all.hop, Hop::Smtp { host: "mail.isp".into(), port: 587, mx: true });
    }

    #[test]
    fn mistakes() {
        let (_, m) = Routes::parse("a\nb smtp:[x\nc smtp:x:y\nd smtp:x tls=perhaps\n");
        assert_eq!(m.len(), 4);
    }
}
