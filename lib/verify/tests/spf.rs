//! The public SPF suites, every test by name: RFC 7208 (203) and blitiri (21).

#[path = "support/suite.rs"]
mod suite;
#[path = "support/yaml.rs"]
mod yaml;

use penny_dns::{Error, Name, Type, Zone};
use penny_verify::spf::{Client, Verdict, check};
use suite::{load, wanted, zone};
use yaml::{Yaml, documents};

fn run(zone: &Zone, test: &Yaml) -> Verdict {
    let field = |name: &str| test.get(name).map(|v| v.text()).unwrap_or_default();
    let ip = field("host").parse().unwrap();
    let client = Client { ip, helo: field("helo"), mail_from: field("mailfrom"), receiver: "receiver.example", now: 1 };
    check(zone, &client)
}

/// What is wrong with a test's outcome, if anything.
fn complaint(zone: &Zone, name: &str, test: &Yaml) -> Option<String> {
    let verdict = run(zone, test);
    let wanted = wanted(name, test);
    let got = verdict.outcome.to_string();
    if !wanted.contains(&got.as_str()) {
        return Some(format!("{name}: {got} ({}), wanted {wanted:?}", verdict.reason));
    }
    let explanation = test.get("explanation").map(|e| e.text())?;
    let got = verdict.explanation.as_deref().unwrap_or("DEFAULT");
    (got != explanation).then(|| format!("{name}: explanation {got:?}, wanted {explanation:?}"))
}

fn run_suite(file: &str, count: usize) {
    let mut done = 0;
    let mut complaints = Vec::new();
    for scenario in load(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."), file) {
        let zone = zone(&scenario);
        for (name, test) in scenario.get("tests").map(Yaml::entries).unwrap_or_default() {
            done += 1;
            complaints.extend(complaint(&zone, name, test));
        }
    }
    assert!(complaints.is_empty(), "{} of {done} fail:\n{}", complaints.len(), complaints.join("\n"));
    assert_eq!(done, count, "tests found in {file}");
}

#[test]
fn rfc_7208_suite() {
    run_suite("rfc7208-tests.yml", 203);
}

#[test]
fn blitiri_suite() {
    run_suite("blitirispf-tests.yml", 21);
}

/// The trailing TIMEOUT of a list fails only types that stand not before it.
#[test]
fn the_zone_loader_keeps_records_beside_a_timeout() {
    let yaml = documents("zonedata:\n  a.example:\n    - TXT: v=spf1 -all\n    - TIMEOUT\n");
    let zone = zone(&yaml[0]);
    let name = Name::parse("a.example").unwrap();
    assert_eq!(zone.direct(&name, Type::Txt).unwrap().0.len(), 1);
    assert_eq!(zone.direct(&name, Type::A), Err(Error::Timeout));
}
