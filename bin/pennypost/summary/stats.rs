//! Counting the events of a time.

use crate::logs::{Line, hour};
use std::collections::BTreeMap;

/// A count of words.
pub type Counts = BTreeMap<String, u64>;

/// Bounds of the delay classes in seconds, with their names.
pub const DELAYS: [(f64, &str); 7] = [
    (1.0, "up to 1 s"),
    (10.0, "up to 10 s"),
    (60.0, "up to 1 min"),
    (600.0, "up to 10 min"),
    (3600.0, "up to 1 h"),
    (86400.0, "up to 1 day"),
    (f64::INFINITY, "longer"),
];

/// One hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hour {
    /// Messages that came in.
    pub received: u64,
    /// Recipients delivered to.
    pub delivered: u64,
    /// Clients refused.
    pub refused: u64,
}

/// All counts.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Seconds since 1970.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// By hour, every one of the time.
    pub hours: BTreeMap<i64, Hour>,
    /// Messages accepted, by service.
    pub accepted: Counts,
    /// Messages queued by programs of this host.
    pub local: u64,
    /// Octets accepted and queued.
    pub octets: u64,
    /// Recipients: stored here, sent to other hosts.
    pub stored: u64,
    /// Sent to other hosts.
    pub sent: u64,
    /// Tries put off.
    pub deferred: u64,
    /// Recipients given up.
    pub bounced: u64,
    /// Reports made.
    pub reports: u64,
    /// Refusals by rule.
    pub rejects: Counts,
    /// Addresses refused.
    pub refused_ips: Counts,
    /// Filter and verdict.
    pub verdicts: Counts,
    /// Called junk, by filter.
    pub junk: Counts,
    /// Logins, else envelope senders.
    pub senders: Counts,
    /// Domains sent to.
    pub destinations: Counts,
    /// Why deliveries were put off or given up.
    pub reasons: Counts,
    /// Recipients by class of delay.
    pub delays: [u64; DELAYS.len()],
    /// Wrong passwords.
    pub wrong_passwords: u64,
    /// Logins by service.
    pub logins: Counts,
}

fn add(counts: &mut Counts, key: &str) {
    *counts.entry(key.chars().take(80).collect()).or_insert(0) += 1;
}

impl Stats {
    /// Nothing yet, for a time.
    pub fn new(from: f64, to: f64) -> Stats {
        let hours = (hour(from)..hour(to - 1.0) + 1).map(|h| (h, Hour::default())).collect();
        Stats { from, to, hours, ..Stats::default() }
    }

    /// Messages that came in by any way.
    pub fn received(&self) -> u64 {
        self.accepted.values().sum::<u64>() + self.local
    }

    /// Counts a line; one without a time counts where the log has none at all.
    pub fn take(&mut self, line: &Line) {
        let when = line.when();
        if when.is_some_and(|t| t < self.from || t >= self.to) {
            return;
        }
        let mut none = Hour::default();
        let this = when.and_then(|t| self.hours.get_mut(&hour(t))).unwrap_or(&mut none);
        match (line.event.as_str(), line.program.as_str()) {
            ("accepted", _) => {
                this.received += 1;
                self.accept(line);
            }
            // what smtpd accepted is counted there, reports are not mail that came in
            ("queued", _) if line.get("ip").is_none() && line.get("proto") != Some("report") => {
                this.received += 1;
                self.local += 1;
                self.octets += line.text("size").parse().unwrap_or(0);
                add(&mut self.senders, named(line));
            }
            ("delivered", "qrun") => {
                this.delivered += 1;
                self.done(line);
            }
            ("delivered", "smtpd") => {
                this.received += 1;
                this.delivered += 1;
                add(&mut self.accepted, "lmtp");
                self.stored += 1;
                self.delays[0] += 1;
            }
            ("deferred", "qrun") => {
                self.deferred += 1;
                add(&mut self.reasons, &reason(line));
            }
            ("bounced", "qrun") => {
                self.bounced += 1;
                add(&mut self.reasons, &reason(line));
            }
            ("reject", _) => {
                this.refused += 1;
                add(&mut self.rejects, line.get("rule").unwrap_or("unknown"));
                add(&mut self.refused_ips, line.get("ip").unwrap_or("unknown"));
            }
            ("report", "qrun") => self.reports += 1,
            ("filter", _) => {
                add(&mut self.verdicts, &format!("{} {}", line.text("name"), verdict(line.text("verdict"))))
            }
            ("auth-failed", _) => self.wrong_passwords += 1,
            ("login", program) => add(&mut self.logins, program),
            _ => {}
        }
    }

    fn accept(&mut self, line: &Line) {
        add(&mut self.accepted, line.get("service").unwrap_or("smtp"));
        self.octets += line.text("size").parse().unwrap_or(0);
        add(&mut self.senders, named(line));
        if let Some(filter) = line.get("junk") {
            add(&mut self.junk, filter);
        }
    }

    fn done(&mut self, line: &Line) {
        match line.get("mta") {
            Some(_) => {
                self.sent += 1;
                let domain = line.text("to").rsplit('@').next().unwrap_or("").trim_end_matches('>').to_lowercase();
                add(&mut self.destinations, &domain);
            }
            None => self.stored += 1,
        }
        let age: f64 = line.text("age").parse().unwrap_or(0.0);
        let class = DELAYS.iter().position(|(bound, _)| age <= *bound).unwrap_or(DELAYS.len() - 1);
        self.delays[class] += 1;
    }
}

/// The login, else the envelope sender.
fn named(line: &Line) -> &str {
    let from = line.text("from").trim_matches(['<', '>']);
    line.get("login").unwrap_or(if from.is_empty() { "<> (bounces)" } else { from })
}

/// `Reject(...)` without what is inside.
fn verdict(text: &str) -> String {
    text.split(['(', ' ', '{']).next().unwrap_or("").to_lowercase()
}

/// Status and the first words, without numbers that differ each time.
fn reason(line: &Line) -> String {
    let text = line.text("text").split([':', '(']).next().unwrap_or("").trim();
    format!("{} {text}", line.text("status"))
}

/// The largest first.
pub fn largest(counts: &Counts, top: usize) -> Vec<(&str, u64)> {
    let mut list: Vec<(&str, u64)> = counts.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    list.truncate(top);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_once() {
        let mut s = Stats::new(1_795_510_800.0, 1_795_514_400.0);
        let id = "q=1795510900.5.1.0.ab";
        for text in [
            format!("enqueue[1]: {id} ev=queued from=<a@x> size=100 ip=192.0.2.1 proto=ESMTP login=-"),
            format!("smtpd[1]: {id} ev=accepted service=mx login=- from=<a@x> size=100 junk=spamcheck"),
            format!("enqueue[1]: {id} ev=queued from=<b@x> size=50 ip=- proto=local login=-"),
            format!("enqueue[1]: {id} ev=queued from=<> size=50 ip=- proto=report login=-"),
            format!("deliver[1]: {id} ev=delivered user=u to=u size=100"),
            format!("qrun[1]: {id} ev=delivered to=<u@x> status=2.0.0 mta=- age=0 text=ok"),
            format!("qrun[1]: {id} ev=delivered to=<u@Far.test> status=2.0.0 mta=mx.far.test age=61 text=ok"),
            format!("qrun[1]: {id} ev=deferred to=<u@x> status=4.4.1 mta=- age=0 text=\"connect to 1.2: refused\""),
            "smtpd[1]: q=- ev=reject rule=dnsbl ip=192.0.2.9".into(),
            "1795000000.0 mx smtpd[1]: q=- ev=reject rule=too-old ip=192.0.2.9".into(),
        ] {
            s.take(&Line::parse(&text).unwrap());
        }
        assert_eq!((s.received(), s.octets, s.stored, s.sent, s.deferred), (2, 150, 1, 1, 1));
        assert_eq!(largest(&s.rejects, 5), [("dnsbl", 1)]);
        assert_eq!(s.delays, [1, 0, 0, 1, 0, 0, 0]);
        assert_eq!(largest(&s.destinations, 5), [("far.test", 1)]);
        assert_eq!(largest(&s.reasons, 5), [("4.4.1 connect to 1.2", 1)]);
        assert_eq!(s.hours.values().next().unwrap().received, 2);
        assert_eq!(s.hours.len(), 1);
    }
}
