//! The daily job: reports of all finished days.
//!
//! Standards   RFC 9990 3 (aggregate reports), 3.5 (transport, names), 4 (other domains' mailboxes); RFC 9991
//! Invariants  1. a day's file goes only when each of its reports is sent or can never be; what failed for now stays
//!             2. two jobs never run over one directory   3. nothing is sent to a mailbox that did not agree

use crate::args::Options;
use crate::collect::{Line, parse};
use crate::failures;
use penny_base::{Config, Failure, Outcome, log};
use penny_dns::{Name, Resolver, Settings};
use penny_report::aggregate::{Published, Record, Report};
use penny_report::job::{days, deliver, names};
use penny_report::mail::{Mail, Part, mailto};
use penny_sys::fs::Locked;
use penny_verify::dmarc::takes_reports;
use std::collections::BTreeMap;
use std::path::Path;

/// Failure reports about one domain in one run.
const FAILURES_MAX: usize = 100;
/// Rows of one report; further ones are added up as others' would be cut anyway.
const ROWS_MAX: usize = 100_000;

struct Job<'a> {
    config: &'a Config,
    host: String,
    from: String,
    into: Option<&'a Path>,
    dns: Resolver,
    now: u64,
}

/// Runs the job.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let config = Config::load(options.config.as_deref())?;
    config.start_log("mailauth");
    let dir = config.mailauth.reports.clone();
    if dir.as_os_str().is_empty() {
        return Err(Failure::config("mailauth.reports names no directory"));
    }
    let lock = Locked::try_new(&dir.join(".lock"), 0o600).map_err(|e| Failure::io(dir.display(), &e))?;
    let given = options.resolver.clone().or_else(|| Some(config.mailauth.resolver.clone()).filter(|r| !r.is_empty()));
    let host = config.hostname();
    let from = Some(config.mailauth.report_from.clone()).filter(|f| !f.is_empty());
    let job = Job {
        from: from.unwrap_or_else(|| format!("postmaster@{host}")),
        host,
        into: options.into.as_deref(),
        dns: Resolver::new(Settings::choose(given.as_deref()).map_err(Failure::usage)?),
        now: options.time.unwrap_or_else(now),
        config: &config,
    };
    let names = names(&dir).unwrap_or_default();
    let days = days(&dir, &names, job.now, |text, begin| job.day(text, begin))?;
    let left = days + job.failures(&dir.join("failures"))?;
    drop(lock);
    if left == 0 { Ok(Outcome::Done) } else { Err(Failure::temporary("4.3.0", format!("{left} reports wait"))) }
}

fn now() -> u64 {
    penny_sys::time::now().as_secs()
}

type Group = (Published, Vec<String>);

impl Job<'_> {
    /// One day: how many reports wait, and the lines they are made of.
    fn day(&self, text: &str, begin: u64) -> (usize, String) {
        let mut groups: BTreeMap<String, Vec<(&str, Line)>> = BTreeMap::new();
        for line in text.lines() {
            if let Some(parsed) = parse(line) {
                // one report a policy: a domain that changed its record during the day gets two
                let key = format!("{:?} {:?}", parsed.policy, parsed.rua);
                groups.entry(key).or_default().push((line, parsed));
            }
        }
        let mut waiting = (0, String::new());
        for lines in groups.values() {
            if let Err(failure) = self.report(lines, begin) {
                let domain = lines.first().map_or("", |(_, l)| l.policy.domain.as_str());
                let fields: [(&str, &dyn std::fmt::Display); 2] = [("domain", &domain), ("why", &failure)];
                log::event(log::Level::Warning, "report-waits", None, &fields);
                waiting.0 += 1;
                lines.iter().for_each(|(line, _)| waiting.1 += &format!("{line}\n"));
            }
        }
        waiting
    }

    fn report(&self, lines: &[(&str, Line)], begin: u64) -> Result<(), Failure> {
        let Some((_, first)) = lines.first() else { return Ok(()) };
        let (policy, rua): Group = (first.policy.clone(), first.rua.clone());
        let to = self.recipients(&policy.domain, &rua)?;
        if to.is_empty() {
            return Ok(());
        }
        let id = format!("{begin}.{}.{}", self.now, policy.domain);
        let report = Report {
            org_name: self.host.clone(),
            email: self.from.clone(),
            report_id: format!("{id}@{}", self.host),
            begin,
            end: begin + 86_399,
            records: counted(lines),
            policy,
        };
        self.send_report(&report, &to)
    }

    /// Mailboxes that agreed (RFC 9990 4).
    fn recipients(&self, about: &str, uris: &[String]) -> Result<Vec<String>, Failure> {
        let mut to = Vec::new();
        for address in uris.iter().filter_map(|u| mailto(u)) {
            let domain = address.rsplit_once('@').and_then(|(_, d)| Name::parse(d).ok());
            let (Some(domain), Ok(about)) = (domain, Name::parse(about)) else { continue };
            match takes_reports(&self.dns, &about, &domain) {
                Ok(true) => to.push(address.to_owned()),
                Ok(false) => {
                    let fields: [(&str, &dyn std::fmt::Display); 2] = [("domain", &about), ("to", &address)];
                    log::event(log::Level::Info, "report-not-wanted", None, &fields);
                }
                Err(e) => return Err(Failure::temporary("4.4.3", e.to_string())),
            }
        }
        Ok(to)
    }

    fn send_report(&self, report: &Report, to: &[String]) -> Result<(), Failure> {
        let domain = &report.policy.domain;
        // RFC 9990 3.5.2: receiver ! policy-domain ! begin ! end
        let name = format!("{}!{domain}!{}!{}.xml.gz", self.host, report.begin, report.end);
        let data = penny_report::pack(&report.to_xml()).map_err(|e| Failure::io("gzip", &e))?;
        let subject = format!("Report Domain: {domain}\n Submitter: {}\n Report-ID: <{}>", self.host, report.report_id);
        let mail = self.mail(to, &subject, &report.report_id, "multipart/mixed");
        let text = format!("This is a DMARC aggregate report for {domain}, made by {}.\n", self.host);
        let parts = [
            Part { kind: "text/plain; charset=us-ascii".into(), name: None, data: text.into_bytes() },
            Part { kind: "application/gzip".into(), name: Some(name), data },
        ];
        deliver(self.config, &mail, &parts, self.into)?;
        let fields: [(&str, &dyn std::fmt::Display); 3] =
            [("domain", domain), ("to", &to.join(",")), ("rows", &report.records.len())];
        log::event(log::Level::Info, "report-sent", None, &fields);
        Ok(())
    }

    fn mail<'m>(&'m self, to: &'m [String], subject: &'m str, id: &'m str, kind: &'m str) -> Mail<'m> {
        Mail { from: &self.from, to, subject, id, now: self.now, kind, fields: "" }
    }

    /// Kept failure reports; what can't be sent now stays for the next run.
    fn failures(&self, dir: &Path) -> Result<usize, Failure> {
        let mut left = 0;
        let mut sent: BTreeMap<String, usize> = BTreeMap::new();
        for name in names(dir).unwrap_or_default() {
            let path = dir.join(&name);
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if let Some(failure) = failures::parse(&text) {
                let count = sent.entry(failure.domain.clone()).or_default();
                *count += 1;
                if *count <= FAILURES_MAX && self.failure(&failure, &name).is_err() {
                    left += 1;
                    continue;
                }
            }
            std::fs::remove_file(&path).map_err(|e| Failure::io(path.display(), &e))?;
        }
        Ok(left)
    }

    fn failure(&self, failure: &failures::Failure, name: &str) -> Result<(), Failure> {
        let to = self.recipients(&failure.domain, &failure.ruf)?;
        if to.is_empty() {
            return Ok(());
        }
        let id = format!("f{name}@{}", self.host);
        let subject = format!("DMARC failure report for {}", failure.domain);
        let mail = self.mail(&to, &subject, &id, "multipart/report; report-type=feedback-report");
        let text = format!("A message failed the DMARC policy of {}.\n", failure.domain);
        let part = |kind: &str, data: &str| Part { kind: kind.into(), name: None, data: data.as_bytes().to_vec() };
        let parts = [
            part("text/plain; charset=us-ascii", &text),
            part("message/feedback-report", &failure.feedback),
            part("text/rfc822-headers", &failure.header),
        ];
        deliver(self.config, &mail, &parts, self.into)
    }
}

/// Equal messages as one row.
fn counted(lines: &[(&str, Line)]) -> Vec<Record> {
    let mut rows: BTreeMap<Record, u64> = BTreeMap::new();
    for (_, line) in lines {
        if rows.len() < ROWS_MAX || rows.contains_key(&line.record) {
            *rows.entry(line.record.clone()).or_default() += 1;
        }
    }
    rows.into_iter().map(|(record, count)| Record { count, ..record }).collect()
}
