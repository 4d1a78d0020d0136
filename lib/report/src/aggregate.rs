//! DMARC aggregate reports.
//!
//! Standards   RFC 9990 3 (contents), appendix A (schema); RFC 7489 appendix C differs in little that matters to readers
//! Invariants  what [`Report::to_xml`] writes, [`Report::parse`] reads back

use crate::xml::{Node, escape, parse};

/// One report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Who reports.
    pub org_name: String,
    /// Contact.
    pub email: String,
    /// Unique id.
    pub report_id: String,
    /// First second of the period.
    pub begin: u64,
    /// Last second of the period.
    pub end: u64,
    /// What the domain published.
    pub policy: Published,
    /// What was seen.
    pub records: Vec<Record>,
}

/// The published policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Where the record stands.
    pub domain: String,
    /// `p`
    pub p: String,
    /// `sp`, empty when not given.
    pub sp: String,
    /// `np`, empty when not given.
    pub np: String,
    /// `adkim`
    pub adkim: String,
    /// `aspf`
    pub aspf: String,
    /// `fo`
    pub fo: String,
    /// `y` or `n`.
    pub testing: String,
    /// `treewalk` or `psl`.
    pub discovery: String,
}

/// Messages that are alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record {
    /// Address of the client.
    pub source_ip: String,
    /// How many messages.
    pub count: u64,
    /// `none`, `pass`, `quarantine`, `reject`: what was done.
    pub disposition: String,
    /// Aligned DKIM: `pass` or `fail`.
    pub dkim: String,
    /// Aligned SPF: `pass` or `fail`.
    pub spf: String,
    /// Why something else was done than asked for: an override type; empty without one.
    pub reason: String,
    /// The author's domain.
    pub header_from: String,
    /// The domain of MAIL FROM.
    pub envelope_from: String,
    /// Each signature: domain, selector, result.
    pub signatures: Vec<(String, String, String)>,
    /// SPF: domain, result.
    pub spf_checked: Option<(String, String)>,
}

impl Report {
    /// Reads a report; `None` when the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let root = parse(text).filter(|r| r.name == "feedback")?;
        let meta = root.child("report_metadata")?;
        let range = meta.child("date_range");
        let stamp = |name| range.and_then(|r| r.value(name).parse().ok()).unwrap_or(0);
        Some(Self {
            org_name: meta.value("org_name").to_owned(),
            email: meta.value("email").to_owned(),
            report_id: meta.value("report_id").to_owned(),
            begin: stamp("begin"),
            end: stamp("end"),
            policy: root.child("policy_published").map(published).unwrap_or_default(),
            records: root.all("record").map(record).collect(),
        })
    }

    /// The file's text.
    pub fn to_xml(&self) -> String {
        let mut x = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n",
        );
        x += "  <version>1.0</version>\n  <report_metadata>\n";
        put(&mut x, 4, "org_name", &self.org_name);
        put(&mut x, 4, "email", &self.email);
        put(&mut x, 4, "report_id", &self.report_id);
        x += "    <date_range>\n";
        put(&mut x, 6, "begin", &self.begin.to_string());
        put(&mut x, 6, "end", &self.end.to_string());
        x += "    </date_range>\n";
        put(&mut x, 4, "generator", concat!("pennypost ", env!("CARGO_PKG_VERSION")));
        x += "  </report_metadata>\n  <policy_published>\n";
        let p = &self.policy;
        for (name, value) in [
            ("domain", &p.domain),
            ("p", &p.p),
            ("sp", &p.sp),
            ("np", &p.np),
            ("adkim", &p.adkim),
            ("aspf", &p.aspf),
            ("discovery_method", &p.discovery),
            ("fo", &p.fo),
            ("testing", &p.testing),
        ] {
            put(&mut x, 4, name, value);
        }
        x += "  </policy_published>\n";
        self.records.iter().for_each(|r| put_record(&mut x, r));
        x + "</feedback>\n"
    }
}

/// One element; empty values are left out.
fn put(x: &mut String, indent: usize, name: &str, value: &str) {
    if !value.is_empty() {
        *x += &format!("{:indent$}<{name}>{}</{name}>\n", "", escape(value));
    }
}

fn put_record(x: &mut String, r: &Record) {
    *x += "  <record>\n    <row>\n";
    put(x, 6, "source_ip", &r.source_ip);
    put(x, 6, "count", &r.count.to_string());
    *x += "      <policy_evaluated>\n";
    put(x, 8, "disposition", &r.disposition);
    put(x, 8, "dkim", &r.dkim);
    put(x, 8, "spf", &r.spf);
    if !r.reason.is_empty() {
        *x += "        <reason>\n";
        put(x, 10, "type", &r.reason);
        *x += "        </reason>\n";
    }
    *x += "      </policy_evaluated>\n    </row>\n    <identifiers>\n";
    put(x, 6, "header_from", &r.header_from);
    put(x, 6, "envelope_from", &r.envelope_from);
    *x += "    </identifiers>\n    <auth_results>\n";
    for (domain, selector, result) in &r.signatures {
        *x += "      <dkim>\n";
        put(x, 8, "domain", domain);
        put(x, 8, "selector", selector);
        put(x, 8, "result", result);
        *x += "      </dkim>\n";
    }
    if let Some((domain, result)) = &r.spf_checked {
        *x += "      <spf>\n";
        put(x, 8, "domain", domain);
        put(x, 8, "scope", "mfrom");
        put(x, 8, "result", result);
        *x += "      </spf>\n";
    }
    *x += "    </auth_results>\n  </record>\n";
}

fn published(node: &Node) -> Published {
    let value = |name| node.value(name).to_owned();
    Published {
        domain: value("domain"),
        p: value("p"),
        sp: value("sp"),
        np: value("np"),
        adkim: value("adkim"),
        aspf: value("aspf"),
        fo: value("fo"),
        testing: value("testing"),
        discovery: value("discovery_method"),
    }
}

fn record(node: &Node) -> Record {
    let empty = Node::default();
    let row = node.child("row").unwrap_or(&empty);
    let evaluated = row.child("policy_evaluated").unwrap_or(&empty);
    let identifiers = node.child("identifiers").unwrap_or(&empty);
    let results = node.child("auth_results").unwrap_or(&empty);
    let text = |n: &Node, name: &str| n.value(name).to_owned();
    Record {
        source_ip: text(row, "source_ip"),
        count: row.value("count").parse().unwrap_or(0),
        disposition: text(evaluated, "disposition"),
        dkim: text(evaluated, "dkim"),
        spf: text(evaluated, "spf"),
        reason: evaluated.child("reason").map(|r| text(r, "type")).unwrap_or_default(),
        header_from: text(identifiers, "header_from"),
        envelope_from: text(identifiers, "envelope_from"),
        signatures: results.all("dkim").map(|d| (text(d, "domain"), text(d, "selector"), text(d, "result"))).collect(),
        spf_checked: results.child("spf").map(|s| (text(s, "domain"), text(s, "result"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Report {
        let text = |t: &str| t.to_owned();
        Report {
            org_name: text("mx & co"),
            email: text("postmaster@mx.example"),
            report_id: text("1@mx.example"),
            begin: 86_400,
            end: 172_799,
            policy: Published {
                domain: text("d.example"),
                p: text("reject"),
                discovery: text("treewalk"),
                ..Published::default()
            },
            records: vec![Record {
                source_ip: text("192.0.2.1"),
                count: 3,
                disposition: text("none"),
                dkim: text("fail"),
                spf: text("pass"),
                reason: text("trusted_forwarder"),
                header_from: text("d.example"),
                envelope_from: text("<odd>"),
                signatures: vec![(text("d.example"), text("s1"), text("fail"))],
                spf_checked: Some((text("d.example"), text("pass"))),
            }],
        }
    }

    #[test]
    fn written_and_read_back() {
        let report = sample();
        assert_eq!(Report::parse(&report.to_xml()).unwrap(), report);
    }

    #[test]
    fn other_documents_are_no_reports() {
        for text in ["<a/>", "<feedback/>", "", "{}"] {
            assert_eq!(Report::parse(text), None, "{text}");
        }
    }
}
