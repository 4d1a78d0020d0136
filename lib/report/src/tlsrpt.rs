//! TLS reports.
//!
//! Standard    RFC 8460 4 (contents)

use crate::json::Value;

/// One report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Who reports.
    pub organization: String,
    /// Contact.
    pub contact: String,
    /// Unique id.
    pub id: String,
    /// Begin of the period (RFC 3339).
    pub begin: String,
    /// End of the period.
    pub end: String,
    /// Each policy that was applied.
    pub policies: Vec<Policy>,
}

/// Sessions under one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `sts`, `tlsa`, `no-policy-found`.
    pub kind: String,
    /// The domain mail was for.
    pub domain: String,
    /// Sessions that went well.
    pub good: u64,
    /// Sessions that did not.
    pub bad: u64,
    /// Each kind of failure: result type, receiving host, sending address, sessions.
    pub failures: Vec<(String, String, String, u64)>,
}

impl Report {
    /// Reads a report; `None` when the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let root = Value::parse(text)?;
        root.get("policies")?;
        let range = root.get("date-range");
        let stamp = |name| range.map(|r| r.text(name).to_owned()).unwrap_or_default();
        Some(Self {
            organization: root.text("organization-name").to_owned(),
            contact: root.text("contact-info").to_owned(),
            id: root.text("report-id").to_owned(),
            begin: stamp("start-datetime"),
            end: stamp("end-datetime"),
            policies: root.list("policies").iter().map(policy).collect(),
        })
    }
}

fn policy(value: &Value) -> Policy {
    let count = |of: Option<&Value>, name: &str| of.and_then(|v| v.text(name).parse().ok()).unwrap_or(0);
    let applied = value.get("policy");
    let text = |name| applied.map(|p| p.text(name).to_owned()).unwrap_or_default();
    let failure = |f: &Value| {
        let host = [f.text("receiving-mx-hostname"), f.text("receiving-ip")];
        let host = host.into_iter().find(|h| !h.is_empty()).unwrap_or_default();
        let sessions = count(Some(f), "failed-session-count");
        (f.text("result-type").to_owned(), host.to_owned(), f.text("sending-mta-ip").to_owned(), sessions)
    };
    Policy {
        kind: text("policy-type"),
        domain: text("policy-domain"),
        good: count(value.get("summary"), "total-successful-session-count"),
        bad: count(value.get("summary"), "total-failure-session-count"),
        failures: value.list("failure-details").iter().map(failure).collect(),
    }
}
