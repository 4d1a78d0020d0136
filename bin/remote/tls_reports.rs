//! The daily job: TLS reports of all finished days.
//!
//! Standards   RFC 8460 4 (contents), 5.1 (file name), 5.3 (mail), 5.4 (HTTPS), 3 (addresses)
//! Invariants  1. a day's file goes only when each of its reports is sent, or a week later   2. two jobs never run over one
//!             directory   3. a domain without a record gets nothing, whatever was written down
//! Failures    what failed for now stays for the next run; exit 75

use crate::dialogue::Sender;
use crate::tlsrpt::{Event, wanted};
use crate::wire::Wire;
use penny_base::{Config, Failure, Outcome, log};
use penny_mime::DateTime;
use penny_queue::json::Object;
use penny_report::day::day_name;
use penny_report::job::{days, deliver, names};
use penny_report::mail::{Mail, Part, mailto};
use penny_sys::fs::Locked;
use penny_tls::client::Verify;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Time for one exchange with a web server.
const POST_LIMIT: Duration = Duration::from_secs(30);

/// One day's reports.
struct Job<'a> {
    config: &'a Config,
    sender: &'a Sender,
    host: String,
    from: String,
    into: Option<PathBuf>,
    now: u64,
}

/// Runs the job; `into` gets the mails instead of the queue.
pub fn run(config: &Config, sender: &Sender, into: Option<PathBuf>) -> Result<Outcome, Failure> {
    let dir = config.paths.state.join("out/tlsrpt");
    if !dir.is_dir() {
        return Ok(Outcome::Done); // nothing was ever written down
    }
    let lock = Locked::try_new(&dir.join(".lock"), 0o600).map_err(|e| Failure::io(dir.display(), &e))?;
    let host = config.hostname();
    let from = Some(config.remote.report_from.clone()).filter(|f| !f.is_empty());
    let from = from.unwrap_or_else(|| format!("postmaster@{host}"));
    let job = Job { config, sender, from, host, into, now: sender.settings().now() };
    let names = names(&dir).map_err(|e| Failure::io(dir.display(), &e))?;
    let left = days(&dir, &names, job.now, |text, begin| job.day(text, begin))?;
    drop(lock);
    if left == 0 { Ok(Outcome::Done) } else { Err(Failure::temporary("4.3.0", format!("{left} reports wait"))) }
}

impl Job<'_> {
    /// One day: how many reports wait, and the lines they are made of.
    fn day(&self, text: &str, begin: u64) -> (usize, String) {
        let mut domains: BTreeMap<String, Vec<(&str, Event)>> = BTreeMap::new();
        for line in text.lines() {
            if let Some(event) = Event::parse(line) {
                domains.entry(event.domain.clone()).or_default().push((line, event));
            }
        }
        let mut waiting = (0, String::new());
        for (domain, lines) in domains {
            if let Err(failure) = self.domain(&domain, &lines, begin) {
                log::warning("tls-report-waits", None, &[("domain", &domain), ("why", &failure)]);
                waiting.0 += 1;
                lines.iter().for_each(|(line, _)| waiting.1 += &format!("{line}\n"));
            }
        }
        waiting
    }

    fn domain(&self, domain: &str, lines: &[(&str, Event)], begin: u64) -> Result<(), Failure> {
        let Some(to) = wanted(self.sender.dns(), domain) else { return Ok(()) };
        let id = format!("{}.{}@{}", day_name(begin), domain, self.host);
        let report = self.report(&id, lines, begin);
        let data = penny_report::pack(&report).map_err(|e| Failure::io("gzip", &e))?;
        let (mails, webs): (Vec<&String>, Vec<&String>) = to.iter().partition(|u| u.starts_with("mailto:"));
        let mails: Vec<String> = mails.iter().filter_map(|u| mailto(u)).map(str::to_owned).collect();
        // RFC 8460 5: one way that works is enough, web servers first as they answer at once
        let posted = webs.iter().any(|url| self.into.is_none() && self.post(url, &data));
        if !posted && !mails.is_empty() {
            self.mail(domain, &mails, &id, begin, data)?;
        } else if !posted {
            return Err(Failure::temporary("4.4.1", "no web server took the report"));
        }
        log::info("tls-report-sent", None, &[("domain", &domain), ("sessions", &lines.len())]);
        Ok(())
    }

    /// RFC 8460 4.4.
    fn report(&self, id: &str, lines: &[(&str, Event)], begin: u64) -> String {
        type Key<'k> = (&'k str, &'k [String], &'k [String]);
        let mut policies: BTreeMap<Key<'_>, Vec<&Event>> = BTreeMap::new();
        for (_, e) in lines {
            policies.entry((&e.kind, &e.policy, &e.hosts)).or_default().push(e);
        }
        let range = Object::new().text("start-datetime", &stamp(begin)).text("end-datetime", &stamp(begin + 86_399));
        Object::new()
            .text("organization-name", &self.host)
            .object("date-range", range)
            .text("contact-info", &self.from)
            .text("report-id", id)
            .array(
                "policies",
                policies.into_iter().map(|((kind, text, hosts), events)| policy(kind, text, hosts, &events)),
            )
            .finish()
    }

    fn mail(&self, domain: &str, to: &[String], id: &str, begin: u64, data: Vec<u8>) -> Result<(), Failure> {
        // RFC 8460 5.1 and 5.3
        let name = format!("{}!{domain}!{begin}!{}.json.gz", self.host, begin + 86_399);
        let subject = format!("Report Domain: {domain}\n Submitter: {}\n Report-ID: <{id}>", self.host);
        let fields = format!("TLS-Report-Domain: {domain}\nTLS-Report-Submitter: {}\n", self.host);
        let kind = "multipart/report; report-type=\"tlsrpt\"";
        let mail = Mail { from: &self.from, to, subject: &subject, id, now: self.now, kind, fields: &fields };
        let text = format!("This is a TLS report about mail to {domain}, made by {}.\n", self.host);
        let parts = [
            Part { kind: "text/plain; charset=us-ascii".into(), name: None, data: text.into_bytes() },
            Part { kind: "application/tlsrpt+gzip".into(), name: Some(name), data },
        ];
        deliver(self.config, &mail, &parts, self.into.as_deref())
    }

    /// RFC 8460 5.4: POST; 200 and 201 are success. The certificate counts (3: the URI says whom to trust).
    fn post(&self, url: &str, data: &[u8]) -> bool {
        let told = self.exchange(url, data);
        let good = told.as_deref().is_some_and(|l| matches!(l.split(' ').nth(1), Some("200" | "201")));
        if !good {
            let said = told.unwrap_or_else(|| "no answer".to_owned());
            log::warning("tls-report-refused", None, &[("url", &url), ("said", &said)]);
        }
        good
    }

    fn exchange(&self, url: &str, data: &[u8]) -> Option<String> {
        let (host, port, path) = parts_of(url)?;
        let mut wire: Wire = crate::sts::connect(self.sender.dns(), &host, port)?;
        let connector = self.sender.settings().tls.connector(Verify::Verified).ok()?;
        wire.start_tls(connector, &host, Verify::Verified, POST_LIMIT).ok()?;
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: pennypost\r\nContent-Type: application/tlsrpt+gzip\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            data.len()
        );
        wire.send(head.as_bytes(), POST_LIMIT).ok()?;
        wire.send(data, POST_LIMIT).ok()?;
        let answer = wire.read_to_end(64 << 10, POST_LIMIT).ok()?;
        Some(String::from_utf8_lossy(&answer).lines().next()?.to_owned())
    }
}

/// Host, port and path of an https URI without user, query marks and the like in its host.
fn parts_of(url: &str) -> Option<(String, u16, String)> {
    let rest = url.strip_prefix("https://")?;
    let (place, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (host, port) = match place.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (place, 443),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    let good = !host.is_empty() && host.bytes().all(plain) && path.bytes().all(|b| b.is_ascii_graphic());
    good.then(|| (host.to_owned(), port, path.to_owned()))
}

/// One policy with its sessions.
fn policy(kind: &str, text: &[String], hosts: &[String], events: &[&Event]) -> Object {
    let domain = events.first().map_or("", |e| e.domain.as_str());
    let good = events.iter().filter(|e| e.result.is_empty()).count() as u64;
    let mut failures: BTreeMap<(&str, &str, &str, &str), (u64, &str)> = BTreeMap::new();
    for e in events.iter().filter(|e| !e.result.is_empty()) {
        failures.entry((&e.result, &e.own, &e.mx, &e.peer)).or_insert((0, &e.reason)).0 += 1;
    }
    let about = Object::new().text("policy-type", kind);
    let about = if text.is_empty() { about } else { about.texts("policy-string", text.iter().map(String::as_str)) };
    let about = about.text("policy-domain", domain);
    let about = if hosts.is_empty() { about } else { about.texts("mx-host", hosts.iter().map(String::as_str)) };
    let summary = Object::new()
        .number("total-successful-session-count", good)
        .number("total-failure-session-count", events.len() as u64 - good);
    fn known(text: &str) -> Option<&str> {
        (!text.is_empty()).then_some(text)
    }
    let details = failures.into_iter().map(|((result, own, mx, peer), (count, reason))| {
        Object::new()
            .text("result-type", result)
            .maybe("sending-mta-ip", known(own))
            .maybe("receiving-mx-hostname", known(mx))
            .maybe("receiving-ip", known(peer))
            .number("failed-session-count", count)
            .maybe("failure-reason-code", known(reason))
    });
    Object::new().object("policy", about).object("summary", summary).array("failure-details", details)
}

/// RFC 3339.
fn stamp(seconds: u64) -> String {
    let t = DateTime::from_unix(i64::try_from(seconds).unwrap_or(0), 0);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", t.year, t.month, t.day, t.hour, t.minute, t.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_reports() {
        assert_eq!(parts_of("https://r.test/v1/x"), Some(("r.test".into(), 443, "/v1/x".into())));
        assert_eq!(parts_of("https://r.test:8443"), Some(("r.test".into(), 8443, "/".into())));
        for bad in ["http://r.test/", "https:///x", "https://u@r.test/", "https://r.test/a b", "https://r.test:x/"] {
            assert_eq!(parts_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_of_rfc_3339() {
        assert_eq!(stamp(1_699_920_000), "2023-11-14T00:00:00Z");
        assert_eq!(stamp(1_699_920_000 + 86_399), "2023-11-14T23:59:59Z");
    }
}
