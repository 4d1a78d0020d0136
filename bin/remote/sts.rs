//! MTA-STS: a domain's own word, fetched over HTTPS and remembered, on which hosts are its and that they have TLS.
//!
//! Standard    RFC 8461
//! Format      cache: one file a domain in `paths.state`/out/sts, first line `id fetched max_age`, then the policy as fetched
//! Invariants  1. a policy is believed only from a certificate that names mta-sts.<domain>   2. a policy in the cache
//!             stays in force until its time is over, whatever the DNS says meanwhile (10.2: no downgrade by silence)
//!             3. the fetch has an end in time and octets, follows no redirection (3.3)
//! Failures    no policy where none can be had; where the cache cannot be written, each process asks again

use crate::dialogue::Settings;
use crate::state;
use crate::wire::Wire;
use penny_dns::{Name, Resolve, addresses, txt};
use penny_tls::client::Verify;
use std::net::SocketAddr;
use std::time::Duration;

/// Where policies are kept.
const FOLDER: &str = "sts";
/// Largest policy read (RFC 8461 3.2 leaves it to us; 64 KiB is what others take).
const POLICY_MAX: usize = 64 << 10;
/// Longest time a policy may ask for, RFC 8461 3.2: a year.
const AGE_MAX: u64 = 31_557_600;
/// Time for the fetch (RFC 8461 3.3 suggests a minute; mail waits meanwhile).
const FETCH_LIMIT: Duration = Duration::from_secs(20);

/// What a domain demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only to hosts that fit, over verified TLS.
    Enforce,
    /// Tell, but deliver.
    Testing,
    /// Nothing.
    None,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How strict.
    pub mode: Mode,
    /// Patterns of hosts.
    pub hosts: Vec<String>,
    /// Seconds it holds.
    pub max_age: u64,
    /// Its lines, for reports.
    pub lines: Vec<String>,
}

impl Policy {
    /// Reads the text (RFC 8461 3.2): `key: value` lines; unknown keys are passed over.
    pub fn parse(text: &str) -> Option<Policy> {
        let mut pairs = text.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.trim(), v.trim()));
        let all: Vec<(&str, &str)> = pairs.by_ref().collect();
        let first = |key: &str| all.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        if first("version")? != "STSv1" {
            return None;
        }
        let mode = match first("mode")? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            _ => return None,
        };
        let max_age = first("max_age")?.parse::<u64>().ok()?.min(AGE_MAX);
        let hosts: Vec<String> = all.iter().filter(|(k, _)| *k == "mx").map(|(_, v)| v.to_ascii_lowercase()).collect();
        let whole = mode == Mode::None || !hosts.is_empty();
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
        whole.then_some(Policy { mode, hosts, max_age, lines })
    }

    /// RFC 8461 4.1: equal, or one label more than a `*.` pattern.
    pub fn fits(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
            None => host == *pattern,
        })
    }
}

/// The id of the TXT record (RFC 8461 3.1): exactly one record counts.
fn id_of(records: &[Vec<u8>]) -> Option<String> {
    let ours: Vec<&[u8]> = records.iter().map(Vec::as_slice).filter(|r| r.starts_with(b"v=STSv1;")).collect();
    let [one] = ours.as_slice() else { return None };
    let text = std::str::from_utf8(one).ok()?;
    let id = text.split(';').find_map(|field| field.trim().strip_prefix("id="))?.trim();
    let good = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    good.then(|| id.to_owned())
}

/// What became of the search for a policy.
#[derive(Debug, Default)]
pub struct Found {
    /// The policy, if there is one.
    pub policy: Option<Policy>,
    /// Why a policy that the DNS announces could not be had, as TLS reports name it (RFC 8460 4.3.2.1).
    pub trouble: Option<&'static str>,
}

/// A policy with what the cache knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    id: String,
    fetched: u64,
    text: String,
    policy: Policy,
}

impl Kept {
    fn parse(file: &str) -> Option<Kept> {
        let (head, text) = file.split_once('\n')?;
        let mut words = head.split(' ');
        let (id, fetched) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        Some(Kept { id, fetched, text: text.to_owned(), policy: Policy::parse(text)? })
    }

    fn write(&self) -> String {
        format!("{} {} {}\n{}", self.id, self.fetched, self.policy.max_age, self.text)
    }

    fn holds(&self, now: u64) -> bool {
        now < self.fetched.saturating_add(self.policy.max_age)
    }
}

/// Finds the policy of a domain.
pub fn policy(dns: &dyn Resolve, settings: &Settings, domain: &str) -> Found {
    let none = Found::default;
    if settings.mta_sts { search(dns, settings, domain).unwrap_or_else(none) } else { none() }
}

fn search(dns: &dyn Resolve, settings: &Settings, domain: &str) -> Option<Found> {
    let only = |policy| Found { policy: Some(policy), trouble: None };
    let ascii = penny_dns::to_ascii(domain)?.trim_end_matches('.').to_ascii_lowercase();
    let name = Name::parse(&ascii).ok()?;
    let now = settings.now();
    let cached = read_cache(settings, &ascii).filter(|k| k.holds(now));
    let id = name.child("_mta-sts").ok().and_then(|n| txt(dns, &n).ok()).and_then(|records| id_of(&records));
    let Some(id) = id else { return cached.map(|k| only(k.policy)) };
    if let Some(kept) = cached.as_ref().filter(|k| k.id == id) {
        return Some(only(kept.policy.clone()));
    }
    let fetched = fetch(dns, settings, &ascii).and_then(|text| {
        let policy = Policy::parse(&text).ok_or("sts-policy-invalid")?;
        Ok(Kept { id, fetched: now, text, policy })
    });
    match fetched {
        Ok(kept) => {
            state::write(settings, FOLDER, &ascii, &kept.write());
            Some(only(kept.policy))
        }
        // RFC 8461 3.3: when the new one cannot be had, the old one holds
        Err(trouble) => Some(Found { policy: cached.map(|k| k.policy), trouble: Some(trouble) }),
    }
}

fn read_cache(settings: &Settings, domain: &str) -> Option<Kept> {
    Kept::parse(&state::read(settings, FOLDER, domain, 2 * POLICY_MAX as u64)?)
}

/// GET https://mta-sts.<domain>/.well-known/mta-sts.txt
fn fetch(dns: &dyn Resolve, settings: &Settings, domain: &str) -> Result<String, &'static str> {
    let lost = "sts-policy-fetch-error";
    let host = format!("mta-sts.{domain}");
    let mut wire = connect(dns, &host, settings.sts_port).ok_or(lost)?;
    let connector = settings.tls.connector(Verify::Verified).map_err(|_| lost)?;
    let shaken = wire.start_tls(connector, &host, Verify::Verified, FETCH_LIMIT);
    shaken.map_err(|_| "sts-webpki-invalid")?;
    get(&mut wire, &host).ok_or(lost)
}

/// A connection to a web server.
pub fn connect(dns: &dyn Resolve, host: &str, port: u16) -> Option<Wire> {
    let list = addresses(dns, &Name::parse(host).ok()?).ok()?;
    let sockets: Vec<SocketAddr> = list.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let (stream, _) = penny_sys::connect::race(&penny_sys::connect::interleave(&sockets), None, FETCH_LIMIT).ok()?;
    Some(Wire::tcp(stream))
}

fn get(wire: &mut Wire, host: &str) -> Option<String> {
    let request = format!(
        "GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: {host}\r\nUser-Agent: pennypost\r\nConnection: close\r\n\r\n"
    );
    wire.send(request.as_bytes(), FETCH_LIMIT).ok()?;
    let answer = wire.read_to_end(POLICY_MAX + 8192, FETCH_LIMIT).ok()?;
    body_of(&answer)
}

/// The body of a 200 answer of type text/plain (RFC 8461 3.2-3.3); no redirection, no other coding.
fn body_of(answer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let ok = lines.next()?.split(' ').nth(1)? == "200";
    let fields: Vec<(String, &str)> =
        lines.filter_map(|l| l.split_once(':')).map(|(k, v)| (k.trim().to_ascii_lowercase(), v.trim())).collect();
    let value = |name: &str| fields.iter().find(|(k, _)| k == name).map(|(_, v)| *v);
    let plain = value("content-type").is_some_and(|t| t.split(';').next().unwrap_or_default().trim() == "text/plain");
    let coded = value("transfer-encoding").or(value("content-encoding")).is_some();
    let length = value("content-length").and_then(|l| l.parse::<usize>().ok());
    let whole = length.is_none_or(|l| l == body.len());
    (ok && plain && !coded && whole && body.len() <= POLICY_MAX).then(|| body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";

    #[test]
    fn the_example_of_the_rfc() {
        let p = Policy::parse(TEXT).unwrap();
        assert_eq!((p.mode, p.max_age, p.hosts.len()), (Mode::Enforce, 604_800, 2));
        for (host, fits) in [
            ("mail.example.com", true),
            ("MAIL.Example.COM.", true),
            ("a.example.net", true),
            ("example.net", false),
            ("a.b.example.net", false),
            ("evilmail.example.com", false),
            (".example.net", false),
        ] {
            assert_eq!(p.fits(host), fits, "{host}");
        }
    }

    #[test]
    fn what_is_no_policy() {
        for bad in [
            "",
            "version: STSv2\nmode: none\nmax_age: 1",
            "mode: none\nmax_age: 1",
            "version: STSv1\nmode: strict\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmx: a\nmax_age: soon",
            "version: STSv1\nmode: enforce\nmx: a",
        ] {
            assert_eq!(Policy::parse(bad), None, "{bad}");
        }
        assert_eq!(Policy::parse("version: STSv1\nmode: none\nmax_age: 999999999999").unwrap().max_age, AGE_MAX);
    }

    #[test]
    fn one_record_with_an_id() {
        let of = |list: &[&str]| id_of(&list.iter().map(|r| r.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(of(&["v=STSv1; id=20260101;"]).as_deref(), Some("20260101"));
        assert_eq!(of(&["other", "v=STSv1;id=a"]).as_deref(), Some("a"));
        for bad in
            [&["v=STSv1; id=1;", "v=STSv1; id=2;"][..], &["v=STSv1"], &["v=STSv1; id=a/b;"], &["v=STSv1; id=;"], &[]]
        {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_cache_comes_back() {
        let policy = Policy::parse(TEXT).unwrap();
        let kept = Kept { id: "a1".into(), fetched: 1000, text: TEXT.into(), policy };
        let again = Kept::parse(&kept.write()).unwrap();
        assert_eq!(again, kept);
        assert!(again.holds(1000 + 604_799) && !again.holds(1000 + 604_800));
        assert_eq!(Kept::parse("garbage"), None);
    }

    #[test]
    fn answers_of_web_servers() {
        let of = |text: &str| body_of(text.as_bytes());
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx\n").as_deref(), Some("x\n"));
        for bad in [
            "HTTP/1.1 301 Moved\r\nContent-Type: text/plain\r\nLocation: https://evil/\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nx",
            "HTTP/1.1 200 OK\r\n\r\nx",
            "garbage",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
