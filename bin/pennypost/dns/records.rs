//! The records themselves.

use super::facts::Facts;
use penny_dns::{Data, Name};
use std::net::IpAddr;

/// One record to publish.
#[derive(Debug, Clone)]
pub struct Record {
    /// Owner, without the last dot.
    pub name: String,
    /// What it holds.
    pub data: Data,
    /// What it is for.
    pub why: &'static str,
    /// Mail suffers without it.
    pub must: bool,
}

/// All records of a domain.
pub fn all(facts: &Facts) -> Vec<Record> {
    let mut out = Vec::new();
    delivery(facts, &mut out);
    sender(facts, &mut out);
    transport(facts, &mut out);
    clients(facts, &mut out);
    out
}

fn put(out: &mut Vec<Record>, name: impl Into<String>, data: Option<Data>, why: &'static str, must: bool) {
    if let Some(data) = data {
        out.push(Record { name: name.into(), data, why, must });
    }
}

fn text(value: impl Into<String>) -> Option<Data> {
    Some(Data::Txt(value.into().into_bytes()))
}

fn name(text: &str) -> Option<Name> {
    Name::parse(text).ok()
}

fn delivery(f: &Facts, out: &mut Vec<Record>) {
    put(out, &f.domain, name(&f.host).map(|h| Data::Mx(10, h)), "where mail goes", true);
    for ip in &f.ips {
        let data = match ip {
            IpAddr::V4(ip) => Data::A(*ip),
            IpAddr::V6(ip) => Data::Aaaa(*ip),
        };
        put(out, &f.host, Some(data), "address of this host", true);
    }
}

fn sender(f: &Facts, out: &mut Vec<Record>) {
    put(out, &f.domain, text("v=spf1 mx -all"), "SPF: only this host sends", true);
    if f.host != f.domain {
        // RFC 7208 2.3: bounces have no sender, their HELO name is checked
        put(out, &f.host, text("v=spf1 a -all"), "SPF of this host's bounces", false);
    }
    for (selector, value) in &f.dkim {
        put(out, format!("{selector}._domainkey.{}", f.domain), text(value), "DKIM: key of our signatures", true);
    }
    let dmarc = format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{}", f.domain);
    put(out, format!("_dmarc.{}", f.domain), text(dmarc), "DMARC: what forgeries deserve", true);
}

fn transport(f: &Facts, out: &mut Vec<Record>) {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(f.sts_policy().as_bytes());
    let id: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    put(
        out,
        format!("_mta-sts.{}", f.domain),
        text(format!("v=STSv1; id={id}")),
        "MTA-STS: the policy and its version",
        false,
    );
    put(
        out,
        format!("mta-sts.{}", f.domain),
        name(&f.host).map(Data::Cname),
        "MTA-STS: web server with the policy",
        false,
    );
    let report = format!("v=TLSRPTv1; rua=mailto:postmaster@{}", f.domain);
    put(out, format!("_smtp._tls.{}", f.domain), text(report), "reports of failed TLS", false);
    if let Some(c) = &f.certificate {
        let port = f.port("smtp", false).unwrap_or(25);
        let data = Data::Tlsa(3, 1, 1, c.key_digest.clone());
        put(
            out,
            format!("_{port}._tcp.{}", f.host),
            Some(data),
            "DANE: key of this host (zone with DNSSEC only)",
            false,
        );
    }
}

fn clients(f: &Facts, out: &mut Vec<Record>) {
    let list = [
        ("submissions", "submission", true),
        ("submission", "submission", false),
        ("imaps", "imap", true),
        ("imap", "imap", false),
        ("pop3s", "pop3", true),
        ("pop3", "pop3", false),
        ("sieve", "sieve", false),
    ];
    for (label, service, implicit) in list {
        let owner = format!("_{label}._tcp.{}", f.domain);
        match f.port(service, implicit) {
            // RFC 8314 5.1: TLS from the start is preferred
            Some(port) => {
                let data = name(&f.host).map(|h| Data::Srv(if implicit { 0 } else { 10 }, 1, port, h));
                put(out, owner, data, "clients find the service", false);
            }
            // RFC 6186 3.4: the root as target says "not here"
            None if label != "sieve" => put(out, owner, name(".").map(|r| Data::Srv(0, 0, 0, r)), "not offered", false),
            None => {}
        }
    }
    let srv = name(&f.host).map(|h| Data::Srv(0, 1, 443, h));
    put(out, format!("_autodiscover._tcp.{}", f.domain), srv, "Outlook finds its settings", false);
    put(
        out,
        format!("autoconfig.{}", f.domain),
        name(&f.host).map(Data::Cname),
        "Thunderbird finds its settings",
        false,
    );
}
