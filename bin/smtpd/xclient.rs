//! XCLIENT and XFORWARD: a trusted host in front says who the client really is.
//!
//! Standards   Postfix XCLIENT_README, XFORWARD_README
//! Invariants  1. believed only from smtpd.xclient_hosts   2. after XCLIENT the session begins anew with the new facts,
//!             milters included   3. what XFORWARD told holds for one transaction, for logs and Received

use crate::network::in_any;
use crate::session::{Client, Session};
use penny_addr::{Charset, Domain};
use penny_smtp::server::{Attribute, Reply, attributes};
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
    pub port: Option<u16>,
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
        let port = self.port.map(|p| p.to_string());
        let all = [&self.name, &self.ip, &port, &self.protocol, &self.helo, &self.ident, &self.source];
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
                ("ADDR", value) => set_address(&mut peer.ip, value.as_deref()),
                ("DESTADDR", value) => set_address(&mut peer.local_ip, value.as_deref()),
                ("PORT", value) => set_port(&mut peer.port, value.as_deref()),
                ("DESTPORT", value) => set_port(&mut peer.local_port, value.as_deref()),
                ("LOGIN", value) => {
                    client.login.clone_from(value);
                    true
                }
                ("NAME", Some(value)) => set_name(&mut client.name, value),
                ("HELO", Some(value)) => {
                    client.helo.clone_from(value);
                    true
                }
                _ => true,
            };
            if !understood {
                return self.bad_attributes();
            }
        }
        self.client = client;
        self.peer = peer;
        self.access_rules = None;
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
        let value = &attribute.value;
        match attribute.name.as_str() {
            "NAME" => {
                self.name.clone_from(value);
                value.as_ref().is_none_or(|name| Domain::parse(name, Charset::Ascii).is_ok())
            }
            "ADDR" => {
                let mut ip = String::new();
                let understood = set_address(&mut ip, value.as_deref());
                self.ip = value.as_ref().map(|_| ip);
                understood
            }
            "PORT" => {
                self.port = value.as_ref().and_then(|p| p.parse().ok());
                value.is_none() || self.port.is_some()
            }
            "PROTO" => one_of(&mut self.protocol, value, &["SMTP", "ESMTP"]),
            "SOURCE" => one_of(&mut self.source, value, &["LOCAL", "REMOTE"]),
            "HELO" => {
                self.helo.clone_from(value);
                true
            }
            _ => {
                self.ident.clone_from(value);
                true
            }
        }
    }
}

fn one_of(slot: &mut Option<String>, value: &Option<String>, words: &[&str]) -> bool {
    *slot = value.as_ref().map(|v| v.to_ascii_uppercase());
    slot.as_ref().is_none_or(|v| words.contains(&v.as_str()))
}

fn set_address(slot: &mut String, value: Option<&str>) -> bool {
    let Some(value) = value else {
        *slot = "unknown".to_owned();
        return true;
    };
    let text = value.strip_prefix("IPV6:").or_else(|| value.strip_prefix("IPv6:")).unwrap_or(value);
    match text.parse::<IpAddr>() {
        Ok(ip) => {
            *slot = ip.to_canonical().to_string();
            true
        }
        Err(_) => false,
    }
}

fn set_port(slot: &mut u16, value: Option<&str>) -> bool {
    match value.map(str::parse) {
        Some(Ok(port)) => {
            *slot = port;
            true
        }
        Some(Err(_)) => false,
        None => true,
    }
}

fn set_name(slot: &mut String, value: &str) -> bool {
    let known = Domain::parse(value, Charset::Ascii).is_ok();
    if known {
        *slot = value.to_owned();
    }
    known
}
