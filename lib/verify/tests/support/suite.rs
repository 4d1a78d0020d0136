//! Loading the SPF suites; shared by the tests of the library and of the program.

use super::yaml::{Yaml, documents};
use penny_dns::{Data, Error, Name, Zone};

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

/// The words a test accepts.
pub fn wanted<'a>(name: &str, test: &'a Yaml) -> Vec<&'a str> {
    match SINGLE_LABEL.iter().find(|(n, _)| *n == name) {
        Some((_, word)) => vec![word],
        None => test.get("result").map(|r| r.items().iter().map(|i| i.text()).collect()).unwrap_or_default(),
    }
}

pub fn load(root: &str, file: &str) -> Vec<Yaml> {
    let path = format!("{root}/tests/data/spf/{file}");
    documents(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")))
}

/// The zone of a scenario: an SPF record stands for TXT too unless the name has TXT entries of its own.
pub fn zone(scenario: &Yaml) -> Zone {
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
