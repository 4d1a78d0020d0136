//! The public samples, each by name.

use penny_report::{Kind, aggregate, show_aggregate, show_tls, tlsrpt, unpack};

fn read(path: &str) -> String {
    let path = format!("{}/../../tests/data/reports/{path}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    unpack(&bytes).unwrap_or_else(|e| panic!("{path}: {e:?}")).1
}

#[test]
fn dmarc_samples() {
    // file, organization, domain, records, messages
    for (file, org, domain, records, messages) in [
        ("001.xml", "Sample Reporter", "example.com", 1, 123),
        ("002.xml", "google.com", "example.org", 1, 2),
        ("003.xml", "Fastmail Pty Ltd", "stalw.art", 4, 9),
        ("004.xml", "Sample Reporter", "example.com", 1, 123),
        ("005.xml", "Legacy Reporter", "example.com", 1, 1),
    ] {
        let report =
            aggregate::Report::parse(&read(&format!("dmarc-feedback/{file}"))).unwrap_or_else(|| panic!("{file}"));
        let count: u64 = report.records.iter().map(|r| r.count).sum();
        let got = (report.org_name.as_str(), report.policy.domain.as_str(), report.records.len(), count);
        assert_eq!(got, (org, domain, records, messages), "{file}");
        assert!(show_aggregate(&report).lines().count() == report.records.len() + 4);
        assert_eq!(aggregate::Report::parse(&report.to_xml()).unwrap(), report, "{file}");
    }
}

#[test]
fn tls_samples() {
    // file, organization, domain, good, bad, kinds of failure
    for (file, org, domain, good, bad, kinds) in [
        ("rpt01.json", "Company-X", "company-y.example", 5326, 303, 3),
        ("rpt02.json", "Google Inc.", "example.com", 23, 1, 1),
        ("rpt03.json", "Google Inc.", "", 1, 0, 0),
    ] {
        let report = tlsrpt::Report::parse(&read(&format!("tlsrpt/{file}"))).unwrap_or_else(|| panic!("{file}"));
        let first = &report.policies[0];
        let got = (report.organization.as_str(), first.domain.as_str(), first.good, first.bad, first.failures.len());
        assert_eq!(got, (org, domain, good, bad, kinds), "{file}");
        assert!(show_tls(&report).contains(&report.id));
    }
    assert_eq!(unpack(b"{}").unwrap().0, Kind::Tls);
}
