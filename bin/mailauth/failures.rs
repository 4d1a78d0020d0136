//! Failure reports: kept when a message fails, sent with the daily job.
//!
//! Standards   RFC 9991 and 6591 (contents), 5965 (format)
//! Format      `DIR/failures/<time>.<pid>.<n>`: one line with the policy's domain and where reports go, then the mail
//! Invariants  1. written only when the administrator wants it and the domain asked (`ruf`, `fo`)
//!             2. at most [`KEPT_MAX`] wait; a flood of forgeries fills no disk and nobody's mailbox
//! Privacy     header fields only, never a body

use crate::collect::Seen;
use penny_mime::date::DateTime;
use penny_report::mail::mailto;
use penny_verify::dmarc::Outcome;
use penny_verify::message::Message;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Reports that wait for the daily job.
pub const KEPT_MAX: usize = 1000;
/// Octets of header fields in one report.
const HEADER_MAX: usize = 32 * 1024;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// What a report is made of.
#[derive(Debug)]
pub struct Failure {
    /// The domain whose policy was applied.
    pub domain: String,
    /// Where reports are wanted.
    pub ruf: Vec<String>,
    /// The message/feedback-report part.
    pub feedback: String,
    /// The header of the message.
    pub header: String,
}

/// Keeps a failure when its domain wants to hear of it.
pub fn record(dir: &Path, seen: &Seen<'_>, message: &Message<'_>, results: &str) -> io::Result<()> {
    if !wanted(seen) {
        return Ok(());
    }
    let dir = dir.join("failures");
    std::fs::create_dir_all(&dir)?;
    if std::fs::read_dir(&dir)?.count() >= KEPT_MAX {
        return Ok(());
    }
    let verdict = &seen.found.dmarc;
    let ruf = verdict.record.as_ref().map(|r| r.ruf.join(" ")).unwrap_or_default();
    let text = format!("{} {ruf}\n{}\u{c}{}", verdict.domain, feedback(seen, results), header(message));
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    penny_sys::fs::replace_file(&dir.join(format!("{}.{}.{n}", seen.now, std::process::id())), text.as_bytes(), 0o600)
}

/// `fo`: by default when nothing aligned passed; `1` when anything did not (RFC 9989 4.7).
fn wanted(seen: &Seen<'_>) -> bool {
    let verdict = &seen.found.dmarc;
    let Some(record) = verdict.record.as_ref().filter(|r| r.ruf.iter().any(|u| mailto(u).is_some())) else {
        return false;
    };
    match verdict.outcome {
        Outcome::Fail => true,
        Outcome::Pass => {
            record.fo.split(':').any(|o| o.trim() == "1") && !(verdict.spf_aligned && verdict.dkim_aligned)
        }
        _ => false,
    }
}

/// RFC 5965 3.1, RFC 6591 3.1, RFC 9991 4.
fn feedback(seen: &Seen<'_>, results: &str) -> String {
    let verdict = &seen.found.dmarc;
    let aligned = match (verdict.dkim_aligned, verdict.spf_aligned) {
        (true, true) => "dkim, spf",
        (true, false) => "dkim",
        (false, true) => "spf",
        (false, false) => "none",
    };
    let date = DateTime::from_unix(i64::try_from(seen.now).unwrap_or(0), 0).rfc5322();
    let from: String = seen.from.chars().filter(|c| c.is_ascii_graphic()).take(320).collect();
    let delivery = match seen.decision {
        crate::decide::Decision::Reject(_) => "reject",
        crate::decide::Decision::Junk => "spam",
        _ => "delivered",
    };
    format!(
        "Feedback-Type: auth-failure\nUser-Agent: pennypost/{}\nVersion: 1\nAuth-Failure: dmarc\n\
         Identity-Alignment: {aligned}\nOriginal-Mail-From: <{from}>\nArrival-Date: {date}\nSource-IP: {}\n\
         Reported-Domain: {}\nDelivery-Result: {delivery}\n{results}\n",
        env!("CARGO_PKG_VERSION"),
        seen.ip.to_canonical(),
        verdict.author,
    )
}

/// The header with LF line ends, cut at a field.
fn header(message: &Message<'_>) -> String {
    let mut out = String::new();
    for field in &message.fields {
        let text = String::from_utf8_lossy(field.raw).replace("\r\n", "\n");
        if out.len() + text.len() > HEADER_MAX {
            break;
        }
        out += &text.replace(['\r', '\u{c}'], "");
        out.push('\n');
    }
    out
}

/// Reads a kept failure back.
pub fn parse(text: &str) -> Option<Failure> {
    let (first, rest) = text.split_once('\n')?;
    let (feedback, header) = rest.split_once('\u{c}')?;
    let mut words = first.split(' ').map(str::to_owned);
    Some(Failure { domain: words.next()?, ruf: words.collect(), feedback: feedback.into(), header: header.into() })
}
