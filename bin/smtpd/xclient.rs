//! XCLIENT and XFORWARD: a trusted host in front says who the client really is.
//!
//! Standards   Postfix XCLIENT_README, XFORWARD_README
//! Invariants  believed only from smtpd.xclient_hosts; after XCLIENT the session begins anew with the new facts

use crate::network::in_any;
use crate::session::{Client, Session};
use penny_addr::{Charset, Domain};
use penny_smtp::server::{Attribute, Reply, attributes};
use std::net::IpAddr;

/// Attributes of XCLIENT that are taken.
pub const XCLIENT: [&str; 8] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"];
/// Attributes of XFORWARD that are taken.
pub const XFORWARD: [&str; 7] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"];

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
        self.forget_mail();
        self.begin_background();
        self.answer(Reply::plain(220, self.banner()));
    }

    /// XFORWARD: facts for the log and Received only.
    pub fn xforward(&mut self, args: &str) {
        let Some(list) = attributes(args, &XFORWARD) else { return self.bad_attributes() };
        let named = |name: &str| list.iter().find(|a| a.name == name).and_then(|a: &Attribute| a.value.clone());
        let mut peer = self.peer.clone();
        let address_ok = named("ADDR").is_none_or(|ip| set_address(&mut peer.ip, Some(&ip)));
        let name_ok = named("NAME").is_none_or(|name| set_name(&mut self.client.name, &name));
        if !address_ok || !name_ok {
            return self.bad_attributes();
        }
        self.forwarded_ip = named("ADDR").map(|_| peer.ip);
        self.answer(Reply::new(250, "2.0.0", "OK"));
    }

    fn bad_attributes(&mut self) {
        self.refuse("xclient", Reply::new(501, "5.5.4", "bad attribute"));
    }
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
