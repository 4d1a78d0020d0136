//! What DMARC aggregate reports are made of: one line a message, one file a day.
//!
//! Format      `DIR/YYYYMMDD` (UTC): 20 tab-separated fields a line, in the order [`line`] writes them
//! Invariants  1. a line is appended in one write, so that filters running side by side don't mix theirs
//!             2. only mail of domains that asked for reports is kept (RFC 9990 3)
//! Privacy     addresses are reduced to domains

use crate::decide::Decision;
use penny_report::aggregate::{Published, Record};
use penny_report::job;
use penny_verify::assess::Assessment;
use penny_verify::{dmarc, spf};
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// A day's file beyond this takes no more lines.
const DAY_MAX: u64 = 256 << 20;
/// Fields of a line.
const FIELDS: usize = 20;

/// One judged message.
pub struct Seen<'a> {
    /// What was found.
    pub found: &'a Assessment,
    /// What was done.
    pub decision: &'a Decision,
    /// The client.
    pub ip: IpAddr,
    /// The reverse-path.
    pub from: &'a str,
    /// When.
    pub now: u64,
}

/// A line taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where reports are wanted.
    pub rua: Vec<String>,
    /// The published policy.
    pub policy: Published,
    /// The message.
    pub record: Record,
}

/// Appends a message's line when its domain wants reports.
pub fn record(dir: &Path, seen: &Seen<'_>) -> io::Result<()> {
    let Some(line) = line(seen) else { return Ok(()) };
    job::append(dir, seen.now, &line, DAY_MAX)
}

fn line(seen: &Seen<'_>) -> Option<String> {
    let verdict = &seen.found.dmarc;
    if !matches!(verdict.outcome, dmarc::Outcome::Pass | dmarc::Outcome::Fail) {
        return None;
    }
    let record = verdict.record.as_ref().filter(|r| r.rua.iter().any(|u| u.starts_with("mailto:")))?;
    let (disposition, reason) = done(seen);
    let word = |good: bool| if good { "pass" } else { "fail" }.to_owned();
    let policy = |p: Option<dmarc::Policy>| p.map(|p| p.to_string()).unwrap_or_default();
    let envelope = seen.from.rsplit_once('@').map_or("", |(_, domain)| domain);
    let signatures: Vec<String> =
        seen.found.dkim.iter().map(|v| format!("{}/{}/{}", v.domain, v.selector, v.outcome)).collect();
    let fields: [String; FIELDS] = [
        record.rua.join(" "),
        verdict.domain.clone(),
        policy(record.p),
        policy(record.sp),
        policy(record.np),
        record.adkim.letter().into(),
        record.aspf.letter().into(),
        record.fo.clone(),
        if record.testing { "y" } else { "n" }.into(),
        "treewalk".into(),
        seen.ip.to_canonical().to_string(),
        disposition.into(),
        word(verdict.dkim_aligned),
        word(verdict.spf_aligned),
        reason.into(),
        verdict.author.clone(),
        envelope.to_owned(),
        spf_domain(&seen.found.spf),
        seen.found.spf.outcome.to_string(),
        signatures.join(" "),
    ];
    Some(fields.map(|f| clean(&f)).join("\t") + "\n")
}

/// SPF of a null reverse-path is that of HELO, which reports have no scope for any more.
fn spf_domain(spf: &spf::Verdict) -> String {
    if spf.helo { String::new() } else { spf.domain.clone() }
}

/// What was done with the message, and why something else than the domain asked for (RFC 9990 3.1.1.8).
fn done(seen: &Seen<'_>) -> (&'static str, &'static str) {
    let verdict = &seen.found.dmarc;
    let testing = verdict.record.as_ref().is_some_and(|r| r.testing);
    match seen.decision {
        _ if verdict.outcome == dmarc::Outcome::Pass => {
            (if verdict.policy == dmarc::Policy::None { "none" } else { "pass" }, "")
        }
        Decision::Excused(why) => ("none", why),
        Decision::Reject(_) => ("reject", ""),
        Decision::Junk if verdict.policy == dmarc::Policy::Reject => ("quarantine", "local_policy"),
        Decision::Junk => ("quarantine", if testing { "policy_test_mode" } else { "" }),
        _ if verdict.policy != dmarc::Policy::None => ("none", "local_policy"),
        _ => ("none", if testing { "policy_test_mode" } else { "" }),
    }
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2000).collect()
}

/// Reads a line back; `None` when it is none.
pub fn parse(line: &str) -> Option<Line> {
    let fields: Vec<&str> = line.split('\t').collect();
    let fields: [&str; FIELDS] = fields.try_into().ok()?;
    let [
        rua,
        domain,
        p,
        sp,
        np,
        adkim,
        aspf,
        fo,
        testing,
        discovery,
        ip,
        disposition,
        dkim,
        spf,
        reason,
        from,
        envelope,
        spf_domain,
        spf_result,
        signatures,
    ] = fields.map(str::to_owned);
    let signature = |s: &str| {
        let mut parts = s.splitn(3, '/').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?))
    };
    Some(Line {
        rua: rua.split(' ').map(str::to_owned).collect(),
        policy: Published { domain, p, sp, np, adkim, aspf, fo, testing, discovery },
        record: Record {
            source_ip: ip,
            count: 1,
            disposition,
            dkim,
            spf,
            reason,
            header_from: from,
            envelope_from: envelope,
            signatures: signatures.split(' ').filter_map(signature).collect(),
            spf_checked: Some((spf_domain, spf_result)).filter(|(d, _)| !d.is_empty()),
        },
    })
}
