//! The public SPF suites, every test by name: RFC 7208 (203) and blitiri (21).

#[path = "support/yaml.rs"]
mod yaml;

use penny_dns::{Data, Error, Name, Type, Zone};
use penny_verify::spf::{Client, Verdict, check};
use yaml::{Yaml, documents};

/// Seven blitiri tests use single-label names. RFC 7208 4.3: a domain that "is not a multi-label domain name" gives
/// "none"; 7.1: a domain-spec ends in `"." toplabel`, so `include:d11` and `mx:domain` break the grammar: "permerror".
const SINGLE_LABEL: [(&str, &str); 7] = [
    ("resolution-with-10-lookups", "permerror"), // wants pass
    ("mx-resolution-10-terms", "none"),          // wants pass
    ("mx-resolution-11-terms", "none"),          // wants permerror
    ("one-mx-not-found", "none"),                // wants pass
    ("all-mx-not-found", "none"),                // wants pass
    ("include-not-found", "none"),               // wants permerror
    ("redirect-not-found", "none"),              // wants permerror
];

fn load(file: &str) -> Vec<Yaml> {
    let path = format!("{}/../../tests/data/spf/{file}", env!("CARGO_MANIFEST_DIR"));
    documents(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")))
}

/// The zone of a scenario: an SPF record stands for TXT too unless the name has TXT entries of its own.
fn zone(scenario: &Yaml) -> Zone {
    let mut zone = Zone::new();
    for (name, records) in scenario.get("zonedata").map(Yaml::entries).unwrap_or_default() {
        let name = Name::parse(name).unwrap();
        let own_txt = records.items().iter().any(|r| r.get("TXT").is_some());
        for record in records.items() {
            if record.text() == "TIMEOUT" {
                zone.fail(&name, None, Error::Timeout);
            }
            for (kind, value) in record.entries() {
                add(&mut zone, &name, kind, value, own_txt);
            }
        }
    }
    zone
}

fn add(zone: &mut Zone, name: &Name, kind: &str, value: &Yaml, own_txt: bool) {
    // an empty MX exchange is the root
    let parse = |text: &str| if text.is_empty() { Name::root() } else { Name::parse(text).unwrap() };
    let items = value.items();
    let data = match kind {
        "SPF" if own_txt => return,
        "TXT" if value.text() == "NONE" => return,
        "SPF" | "TXT" => Data::Txt(items.iter().map(|i| i.text()).collect::<String>().into_bytes()),
        "A" => Data::A(value.text().parse().unwrap()),
        "AAAA" => Data::Aaaa(value.text().parse().unwrap()),
        "MX" => Data::Mx(items[0].text().parse().unwrap(), parse(items[1].text())),
        "PTR" => Data::Ptr(parse(value.text())),
        "CNAME" => Data::Cname(parse(value.text())),
        "TIMEOUT" => return zone.fail(name, None, Error::Timeout),
        "SERVFAIL" => return zone.fail(name, None, Error::ServFail),
        other => panic!("record type {other}"),
    };
    zone.add(name, data);
}

fn run(zone: &Zone, test: &Yaml) -> Verdict {
    let field = |name: &str| test.get(name).map(|v| v.text()).unwrap_or_default();
    let ip = field("host").parse().unwrap();
    let client = Client { ip, helo: field("helo"), mail_from: field("mailfrom"), receiver: "receiver.example", now: 1 };
    check(zone, &client)
}

/// What is wrong with a test's outcome, if anything.
fn complaint(zone: &Zone, name: &str, test: &Yaml) -> Option<String> {
    let verdict = run(zone, test);
    let mut wanted: Vec<&str> = test.get("result").map(|r| r.items().iter().map(|i| i.text()).collect()).unwrap();
    if let Some((_, word)) = SINGLE_LABEL.iter().find(|(n, _)| *n == name) {
        wanted = vec![word];
    }
    let got = verdict.outcome.to_string();
    if !wanted.contains(&got.as_str()) {
        return Some(format!("{name}: {got} ({}), wanted {wanted:?}", verdict.reason));
    }
    let explanation = test.get("explanation").map(|e| e.text())?;
    let got = verdict.explanation.as_deref().unwrap_or("DEFAULT");
    (got != explanation).then(|| format!("{name}: explanation {got:?}, wanted {explanation:?}"))
}

fn suite(file: &str, count: usize) {
    let mut done = 0;
    let mut complaints = Vec::new();
    for scenario in load(file) {
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
    suite("rfc7208-tests.yml", 203);
}

#[test]
fn blitiri_suite() {
    suite("blitirispf-tests.yml", 21);
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
