//! XCLIENT and XFORWARD: a trusted host in front says who the client really is.
//!
//! Standards   Postfix XCLIENT_README, XFORWARD_README
//! Invariants  1. believed only from smtpd.xclient_hosts   2. after XCLIENT the session begins anew with the new facts,
//!             milters included   3. what XFORWARD told holds for one transaction, for logs and Received

use crate::session::{Client, Session};
use penny_addr::{Charset, Domain};
use penny_smtp::server::{Attribute, Reply, attributes};
use penny_tables::cidr::in_any;
use std::net::IpAddr;

/// Attributes of XCLIENT that are taken.
pub const XCLIENT: [&str; 8] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"];
/// Attributes of XFORWARD that are taken.
pub const XFORWARD: [&str; 7] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"];

/// Who sent a message to the host in front, as XFORWARD told.
#[derive(Debug, Clone, Default)]
pub struct Forwarded {
    /// Name and address of the client.
    pub name: Option<String>,
    pub ip: Option<String>,
    pub port: Option<String>,
    /// What it said at HELO, and SMTP or ESMTP.
    pub helo: Option<String>,
    pub protocol: Option<String>,
    /// The message's name at the host in front.
    pub ident: Option<String>,
    /// LOCAL or REMOTE.
    pub source: Option<String>,
}

impl std::fmt::Display for Forwarded {
    /// One value of a log line: what was told, in the order of XFORWARD.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [&self.name, &self.ip, &self.port, &self.protocol, &self.helo, &self.ident, &self.source];
        let told = XFORWARD.iter().zip(all).filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        f.write_str(&told.collect::<Vec<_>>().join(" "))
    }
}

impl Session {
    /// Whether the client may say who the client is.
    pub fn may_xclient(&self) -> bool {
        let hosts = &self.config.smtpd.xclient_hosts;
        in_any(&self.front_ip, hosts) || (self.front_ip == "unknown" && in_any("127.0.0.1", hosts))
    }

    /// XCLIENT.
    pub fn xclient(&mut self, args: &str) {
        let Some(list) = attributes(args, &XCLIENT) else { return self.bad_attributes() };
        let mut client = Client::default();
        let mut peer = self.peer.clone();
        for attribute in &list {
            let understood = match (attribute.name.as_str(), &attribute.value) {
                ("ADDR", value) => set(&mut peer.ip, address_or_unknown(value.as_deref())),
                ("DESTADDR", value) => set(&mut peer.local_ip, address_or_unknown(value.as_deref())),
                ("PORT", Some(value)) => set(&mut peer.port, port(value)),
                ("DESTPORT", Some(value)) => set(&mut peer.local_port, port(value)),
                ("LOGIN", value) => set(&mut client.login, Some(value.clone())),
                ("NAME", Some(value)) => set(&mut client.name, host(value)),
                ("HELO", Some(value)) => set(&mut client.helo, Some(value.clone())),
                _ => true,
            };
            if !understood {
                return self.bad_attributes();
            }
        }
        self.client = client;
        self.peer = peer;
        self.access_rules = None;
        self.unlimited.clear();
        self.forget_mail();
        self.begin_background();
        match self.milters_start_over() {
            None => self.answer(Reply::plain(220, self.banner())),
            // as at the opening: a client that a milter refuses has no session
            Some(reply) => {
                self.log_refusal("milter-connect", &reply);
                self.machine.close(&reply);
            }
        }
    }

    /// XFORWARD: facts for the log and Received only; several commands add up.
    pub fn xforward(&mut self, args: &str) {
        let Some(list) = attributes(args, &XFORWARD) else { return self.bad_attributes() };
        let mut told = self.forwarded.clone().unwrap_or_default();
        if !list.iter().all(|attribute| told.take(attribute)) {
            return self.bad_attributes();
        }
        self.forwarded = Some(told);
        self.answer(Reply::new(250, "2.0.0", "OK"));
    }

    fn bad_attributes(&mut self) {
        self.refuse("xclient", Reply::new(501, "5.5.4", "bad attribute"));
    }
}

impl Forwarded {
    /// Takes one attribute; false when its value is none of its kind.
    fn take(&mut self, attribute: &Attribute) -> bool {
        let value = attribute.value.as_deref();
        let (slot, read) = match attribute.name.as_str() {
            "NAME" => (&mut self.name, value.map(host)),
            "ADDR" => (&mut self.ip, value.map(address)),
            "PORT" => (&mut self.port, value.map(|p| port(p).map(|p| p.to_string()))),
            "PROTO" => (&mut self.protocol, value.map(|v| one_of(v, &["SMTP", "ESMTP"]))),
            "SOURCE" => (&mut self.source, value.map(|v| one_of(v, &["LOCAL", "REMOTE"]))),
            "HELO" => (&mut self.helo, value.map(|v| Some(v.to_owned()))),
            _ => (&mut self.ident, value.map(|v| Some(v.to_owned()))),
        };
        *slot = read.flatten();
        value.is_none() || slot.is_some()
    }
}

/// Keeps a value that was understood.
fn set<T>(slot: &mut T, value: Option<T>) -> bool {
    value.map(|v| *slot = v).is_some()
}

fn one_of(value: &str, words: &[&str]) -> Option<String> {
    Some(value.to_ascii_uppercase()).filter(|v| words.contains(&v.as_str()))
}

fn address(value: &str) -> Option<String> {
    let text = value.strip_prefix("IPV6:").or_else(|| value.strip_prefix("IPv6:")).unwrap_or(value);
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical().to_string())
}

fn address_or_unknown(value: Option<&str>) -> Option<String> {
    value.map_or_else(|| Some("unknown".to_owned()), address)
}

fn port(value: &str) -> Option<u16> {
    value.parse().ok()
}

fn host(value: &str) -> Option<String> {
    Domain::parse(value, Charset::Ascii).is_ok().then(|| value.to_owned())
}
