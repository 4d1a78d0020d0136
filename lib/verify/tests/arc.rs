//! The public ARC suite, every test by name (175 entries of 171 names).

#[path = "support/yaml.rs"]
mod yaml;

use penny_dns::{Data, Name, Zone};
use penny_verify::arc::{Outcome, verify};
use penny_verify::dkim::Keys;
use penny_verify::message::Message;
use yaml::{Yaml, documents};

fn data(file: &str) -> String {
    format!("{}/../../tests/data/arc/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn zone(scenario: &Yaml) -> Zone {
    let mut zone = Zone::new();
    for (name, value) in scenario.get("txt-records").map(Yaml::entries).unwrap_or_default() {
        let text: String = value.text().lines().map(str::trim).collect();
        zone.add(&Name::parse(name).unwrap(), Data::Txt(text.into_bytes()));
    }
    zone
}

#[test]
fn validation_suite() {
    let mut done = 0;
    let mut names = std::collections::BTreeSet::new();
    let mut complaints = Vec::new();
    for scenario in documents(&std::fs::read_to_string(data("arc-draft-validation-tests.yml")).unwrap()) {
        let zone = zone(&scenario);
        for (name, test) in scenario.get("tests").map(Yaml::entries).unwrap_or_default() {
            done += 1;
            names.insert(name.clone());
            let mail = test.get("message").map(Yaml::text).unwrap_or_default();
            let got = verify(&Message::parse(mail.as_bytes()), &zone, &Keys::new());
            // RFC 8617 5.2 step 1: the newest seal says "fail", so the chain is "fail"; the suite leaves it empty
            let wanted = match test.get("cv").map(|c| c.text().trim().to_ascii_lowercase()).unwrap_or_default() {
                empty if empty.is_empty() => "fail".to_owned(),
                word => word,
            };
            if got.outcome.to_string() != wanted {
                complaints.push(format!("{name}: {} ({}), wanted {wanted}", got.outcome, got.reason));
            }
        }
    }
    assert!(complaints.is_empty(), "{} of {done} fail:\n{}", complaints.len(), complaints.join("\n"));
    assert_eq!((done, names.len()), (175, 171));
}

#[test]
fn mail_auth_chains() {
    for file in ["001.txt", "002.txt"] {
        let bytes = std::fs::read(data(&format!("mail-auth/{file}"))).unwrap();
        let at = bytes.windows(2).position(|w| w == b"\n\n").unwrap();
        let mut zone = Zone::new();
        for line in String::from_utf8_lossy(&bytes[..at]).lines() {
            let (name, value) = line.split_once(' ').unwrap();
            zone.add(&Name::parse(name).unwrap(), Data::Txt(value.into()));
        }
        let got = verify(&Message::parse(&bytes[at + 2..]), &zone, &Keys::new());
        assert_eq!(got.outcome, Outcome::Pass, "{file}: {}", got.reason);
    }
}
