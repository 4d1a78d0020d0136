//! What is asked about clients nobody vouches for.
//!
//! Standards   RFC 5321 4.1.4 (a HELO name that does not fit the address is no ground to refuse; our own name is),
//!             RFC 7208 5.5 (confirmed names), RFC 5782 (DNS lists), RFC 6647 (greylisting)
//! Notes       the DNS questions leave at the greeting and are collected at the first RCPT: their time is hidden

use super::{List, Refusal};
use crate::dns::Asked;
use crate::session::Session;
use penny_addr::Domain;
use penny_base::log;
use penny_base::services::lookup::Answer;
use penny_dns::{Data, Name, Type, reverse_name};
use penny_smtp::server::Reply;
use std::net::IpAddr;
use std::time::Instant;

/// Most names of one address that are tried.
const NAMES_MAX: usize = 5;

/// DNS about the client: under way, or known.
#[derive(Default)]
pub struct Background {
    asked: Option<(Asked, Vec<List>, Instant)>,
    /// The client's name is among the questions.
    names: bool,
    /// Zones that list it, and the sum of their weights.
    listed: Vec<String>,
    score: i64,
    /// The reverse name could not be asked.
    name_unknown: bool,
}

impl Background {
    /// The zones that list the client, and the sum of their weights.
    pub fn lists(&self) -> (&[String], i64) {
        (&self.listed, self.score)
    }
}

impl Session {
    /// Sends the DNS questions about a stranger.
    pub fn begin_background(&mut self) {
        self.background = Background::default();
        let Ok(ip) = self.peer.ip.parse::<IpAddr>() else { return };
        if !self.is_stranger() || self.services.dns.is_none() {
            return;
        }
        let lists: Vec<List> = self.config.smtpd.dnsbl.iter().filter_map(|text| List::parse(text)).collect();
        let named: Vec<(List, Name)> = lists.into_iter().filter_map(|l| l.name(ip).map(|name| (l, name))).collect();
        let mut questions = Vec::new();
        // a name that XCLIENT gave stands
        self.background.names = self.config.smtpd.resolve_clients && self.client.name.is_empty();
        if self.background.names {
            questions.push((reverse_name(ip), Type::Ptr));
        }
        questions.extend(named.iter().map(|(_, name)| (name.clone(), Type::A)));
        if let (Some(dns), false) = (&self.services.dns, questions.is_empty()) {
            let deadline = Instant::now() + self.config.smtpd.dns_timeout.duration();
            let lists = named.into_iter().map(|(list, _)| list).collect();
            self.background.asked = Some((dns.ask(&questions), lists, deadline));
        }
    }

    /// Waits for the answers, once.
    pub fn know_background(&mut self) {
        let Some((asked, lists, deadline)) = self.background.asked.take() else { return };
        let Some(dns) = self.services.dns.as_ref() else { return };
        let mut answers = dns.collect(asked, deadline).into_iter();
        if self.background.names {
            match answers.next().flatten() {
                Some(names) => {
                    let (name, unknown) = confirmed(dns, &self.peer.ip, &names, deadline);
                    self.client.name = name.unwrap_or_default();
                    self.background.name_unknown = unknown;
                }
                None => self.background.name_unknown = true,
            }
        }
        for (list, records) in lists.iter().zip(answers) {
            if records.is_some_and(|records| list.listed(&records)) {
                self.background.score += list.weight;
                self.background.listed.push(list.zone.clone());
            }
        }
    }

    /// The checks of a stranger, in order.
    pub fn check_stranger(&mut self, recipient: &str) -> Result<(), Refusal> {
        self.check_helo()?;
        self.know_background();
        if self.config.smtpd.need_client_name && self.client.name.is_empty() {
            let text = format!("cannot find a confirmed name of [{}]", self.peer.ip);
            let status = if self.background.name_unknown { "4.4.3" } else { "4.7.25" };
            return Err(("client-name", Reply::new(450, status, text)));
        }
        if !self.background.listed.is_empty() && self.background.score >= i64::from(self.config.smtpd.dnsbl_threshold) {
            let zones = self.background.listed.join(" ");
            let text = format!("client [{}] is listed by {zones}", self.peer.ip);
            return Err(("dnsbl", Reply::new(554, "5.7.1", text)));
        }
        self.check_sender_domain()?;
        // who is listed with a negative sum has vouchers
        if self.background.score < 0 { Ok(()) } else { self.check_greylist(recipient) }
    }

    /// Nobody else has our name or address.
    fn check_helo(&self) -> Result<(), Refusal> {
        let helo = self.client.helo.trim_end_matches('.');
        let own = helo.eq_ignore_ascii_case(&self.hostname)
            || Domain::parse(helo, penny_addr::Charset::Ascii)
                .is_ok_and(|d| d.literal().is_some_and(|ip| ip.to_canonical().to_string() == self.peer.local_ip));
        // RFC 5321 4.1.3: an address stands in brackets
        let bare = helo.parse::<IpAddr>().is_ok() || helo.bytes().all(|b| b.is_ascii_digit());
        if self.config.smtpd.check_helo && (own || bare) {
            return Err(("helo", Reply::new(550, "5.7.1", "that is not your name")));
        }
        Ok(())
    }

    /// RFC 5321 5.1: a domain with neither MX nor address cannot get a reply; RFC 7505: nor can one with a null MX.
    fn check_sender_domain(&mut self) -> Result<(), Refusal> {
        let sender = self.mail.as_ref().and_then(|m| m.sender.mailbox().cloned());
        let (Some(sender), true, Some(dns)) = (sender, self.config.smtpd.check_sender_domain, &self.services.dns)
        else {
            return Ok(());
        };
        let Ok(name) = Name::parse(sender.domain().ascii()) else { return Ok(()) };
        if sender.domain().literal().is_some() {
            return Ok(());
        }
        let deadline = Instant::now() + self.config.smtpd.dns_timeout.duration();
        let kinds = [Type::Mx, Type::A, Type::Aaaa].map(|kind| (name.clone(), kind));
        let answers = dns.collect(dns.ask(&kinds), deadline);
        let null = answers.iter().flatten().flatten().any(|d| matches!(d, Data::Mx(_, host) if host.is_root()));
        let found = answers.iter().flatten().any(|records| !records.is_empty());
        match (null, found, answers.iter().any(Option::is_none)) {
            (true, ..) => Err(("sender-domain", Reply::new(550, "5.7.27", "sender's domain takes no mail"))),
            (_, true, _) => Ok(()),
            (_, _, true) => Err(("sender-domain", Reply::new(450, "4.1.8", "sender's domain cannot be found now"))),
            _ => Err(("sender-domain", Reply::new(550, "5.1.8", "sender's domain does not exist"))),
        }
    }

    fn check_greylist(&mut self, recipient: &str) -> Result<(), Refusal> {
        if !self.config.smtpd.greylist {
            return Ok(());
        }
        let sender = self.mail.as_ref().map(|m| m.sender_text()).unwrap_or_default();
        match self.services.lookup.ask(&["greylist", &self.peer.ip, &sender, recipient]) {
            Ok(Answer::No(fields)) => {
                let seconds = fields.first().cloned().unwrap_or_default();
                let text = format!("greylisted, try again in {seconds} seconds");
                Err(("greylist", Reply::new(450, "4.7.1", text)))
            }
            Ok(_) => Ok(()),
            Err(e) => {
                log::warning("lookup-failed", None, &[("why", &e)]);
                Ok(())
            }
        }
    }
}

/// The first name that leads back to the address, and whether that could not be told.
fn confirmed(dns: &crate::dns::Dns, ip: &str, names: &[Data], deadline: Instant) -> (Option<String>, bool) {
    let Ok(ip) = ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) else { return (None, false) };
    let kind = if ip.is_ipv4() { Type::A } else { Type::Aaaa };
    let mut unknown = false;
    for data in names.iter().take(NAMES_MAX) {
        let Data::Ptr(name) = data else { continue };
        match dns.one(name, kind, deadline) {
            Some(addresses) if addresses.iter().any(|d| d.address() == Some(ip)) => {
                let text = name.to_string().trim_end_matches('.').to_ascii_lowercase();
                return (host_name(&text).then_some(text), false);
            }
            Some(_) => {}
            None => unknown = true,
        }
    }
    (None, unknown)
}

/// A name from DNS may hold any octet; only host names go into logs, fields and tables.
fn host_name(text: &str) -> bool {
    Domain::parse(text, penny_addr::Charset::Ascii).is_ok()
}
