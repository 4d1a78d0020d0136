//! DNS messages, SPF, DKIM, DMARC, ARC, Authentication-Results, reports.

use crate::Target;
use penny_dns::wire::Message as Dns;
use penny_dns::{Name, Zone};
use penny_verify::authres::{AuthResults, is_forged, method_and_result};
use penny_verify::crypto::Algorithm;
use penny_verify::dkim::signature::{Kind, Signature};
use penny_verify::dkim::{Keys, key::Key};
use penny_verify::message::{Field, Message};
use penny_verify::{arc, dkim, dmarc, spf, tags};
use std::sync::OnceLock;

const MAIL: &[u8] = include_bytes!("../../../data/dkim/lieser/rfc8463-A.3.eml");
const ARC: &[u8] = include_bytes!("../../../data/arc/mail-auth/001.txt");
const AGGREGATE: &[u8] = include_bytes!("../../../data/reports/dmarc-feedback/003.xml");
const TLS: &[u8] = include_bytes!("../../../data/reports/tlsrpt/rpt01.json");

pub const TARGETS: &[Target] = &[
    Target { name: "dns", run: dns, seeds: &[b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x01b\0\0\x0f\0\x01\xc0\x0c\0\x0f\0\x01\0\0\0\x09\0\x06\0\x0a\x01m\xc0\x0c"] },
    Target { name: "names", run: names, seeds: &[b"mail.example.org", "b\u{fc}cher.example".as_bytes()] },
    Target { name: "spf", run: spf_record, seeds: &[b"v=spf1 a:%{d2r.}.x/24//64 mx include:%{l}._spf.%{h} ip4:192.0.2.0/24 ip6:2001:db8::/32 exists:%{ir}.%{v}.y ptr redirect=z.example exp=e.example -all"] },
    Target { name: "dkim", run: dkim_message, seeds: &[MAIL] },
    Target { name: "dkim-key", run: dkim_key, seeds: &[b"v=DKIM1; k=ed25519; h=sha256; s=email; t=y:s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="] },
    Target { name: "arc", run: arc_message, seeds: &[ARC] },
    Target { name: "dmarc", run: dmarc_record, seeds: &[b"v=DMARC1; p=reject; sp=none; np=quarantine; adkim=s; psd=n; t=y; fo=1:d; rua=mailto:a@b.example!1k,https://x"] },
    Target { name: "from", run: from, seeds: &[b"\"A, b\" <@r.example:joe@d.example>, Group: x@y.example (c; d), z@w.example;"] },
    Target { name: "authres", run: authres, seeds: &[b"mx.example 1; spf=pass (a;b) smtp.mailfrom=\"x;y\"@d; dkim/1 = fail reason=\"r\""] },
    Target { name: "report", run: report, seeds: &[AGGREGATE, TLS] },
];

/// What decodes encodes to something that decodes to the same.
fn dns(input: &[u8]) {
    if let Ok(message) = Dns::decode(input) {
        let again = Dns::decode(&message.encode());
        // an answer cut short is decoded without its records
        assert!(message.truncated || again.is_ok_and(|a| a == message));
    }
}

/// A name that parses prints to text that parses to the same, unless it holds octets that had to be escaped.
fn names(input: &[u8]) {
    if let Ok(name) = Name::parse(&String::from_utf8_lossy(input)) {
        let text = name.to_string();
        assert!(text.contains('\\') || Name::parse(&text) == Ok(name.clone()), "{text}");
        assert!(name.is_within(&name.suffix(1)) || name.is_root());
    }
}

fn zone() -> &'static Zone {
    static ZONE: OnceLock<Zone> = OnceLock::new();
    ZONE.get_or_init(|| {
        let mut zone = Zone::parse(
            "d.example A 192.0.2.1\nd.example MX 1 d.example\nz.example TXT v=spf1 -all\ne.example TXT no %{i}",
        );
        for line in include_str!("../../../data/dkim/lieser/dns.txt").lines() {
            let mut parts = line.splitn(3, '\t');
            if let (Some(name), Some(_), Some(value)) = (parts.next(), parts.next(), parts.next()) {
                zone.txt(name, value);
            }
        }
        zone
    })
}

/// Evaluation ends, within the limits on look-ups.
fn spf_record(input: &[u8]) {
    let mut zone = Zone::new();
    if let Ok(name) = Name::parse("d.example") {
        zone.add(&name, penny_dns::Data::Txt(input.to_vec()));
    }
    let local = String::from_utf8_lossy(input.get(..20).unwrap_or(input)).into_owned();
    let from = format!("{local}@d.example");
    let client =
        spf::Client { ip: [192, 0, 2, 1].into(), helo: &local, mail_from: &from, receiver: "mx.example", now: 1 };
    let verdict = spf::check(&zone, &client);
    assert!(zone.asked() < 200, "{} questions", zone.asked());
    assert!(verdict.explanation.is_none_or(|e| e.bytes().all(|b| (b' '..=b'~').contains(&b))));
}

/// A changed message never passes with another body or From than the one that was signed.
fn dkim_message(input: &[u8]) {
    let message = Message::parse(input);
    let list = dkim::verify(&message, zone(), &Keys::new(), 1_700_000_000);
    assert!(list.iter().filter(|v| v.outcome == dkim::Outcome::Pass).count() <= dkim::SIGNATURES_MAX);
    if list.iter().any(|v| v.outcome == dkim::Outcome::Pass && v.unsigned_octets == 0) {
        let text = String::from_utf8_lossy(message.body).replace(['\r', '\n', ' ', '\t'], "");
        let original = Message::parse(MAIL);
        assert_eq!(text, String::from_utf8_lossy(original.body).replace(['\r', '\n', ' ', '\t'], ""));
    }
    let _ = Signature::parse(&String::from_utf8_lossy(input), Kind::Dkim);
}

fn dkim_key(input: &[u8]) {
    let _ = Key::parse(input, Algorithm::RsaSha256);
    let _ = Key::parse(input, Algorithm::Ed25519Sha256);
    let _ = tags::Tags::parse(&String::from_utf8_lossy(input));
}

fn arc_message(input: &[u8]) {
    let mut zone = Zone::new();
    let at = input.windows(2).position(|w| w == b"\n\n").unwrap_or(0);
    for line in String::from_utf8_lossy(&input[..at]).lines() {
        if let Some((name, value)) = line.split_once(' ') {
            if let Ok(name) = Name::parse(name) {
                zone.add(&name, penny_dns::Data::Txt(value.into()));
            }
        }
    }
    let message = Message::parse(input.get(at + 2..).unwrap_or_default());
    let verdict = arc::verify(&message, &zone, &Keys::new());
    assert!(verdict.instance <= arc::SETS_MAX);
    assert!(verdict.outcome != arc::Outcome::Pass || verdict.sealers.len() == verdict.instance as usize);
}

fn dmarc_record(input: &[u8]) {
    if let Some(record) = dmarc::Record::parse(input) {
        let strict = record.policy_for(false, true).max(record.policy_for(true, true));
        assert!(record.testing || strict >= record.policy_for(false, true));
        let _ = record.usable();
    }
}

/// Two authors are never taken for one: concatenating two fields gives at least the domains of each.
fn from(input: &[u8]) {
    let one = [b"From: ".as_slice(), input, b"\r\n\r\n"].concat();
    let (domains, _) = dmarc::author_domains(&Message::parse(&one));
    let two = [b"From: x@first.example\r\n".as_slice(), &one].concat();
    let (more, fields) = dmarc::author_domains(&Message::parse(&two));
    assert!(fields >= 1 && more.len() >= domains.len());
}

fn authres(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    if let Some(parsed) = AuthResults::parse(&text) {
        parsed.results.iter().for_each(|r| drop(method_and_result(r)));
        let raw = format!("Authentication-Results: {text}");
        let field = Field::new(raw.as_bytes());
        assert!(
            is_forged(&field, &parsed.id) || parsed.id.contains(['"', '\\', '\u{fffd}']) || field.text() != text.trim()
        );
    }
}

/// What is read is written to something that reads the same.
fn report(input: &[u8]) {
    let Ok((_, text)) = penny_report::unpack(input) else { return };
    if let Some(report) = penny_report::aggregate::Report::parse(&text) {
        let again = penny_report::aggregate::Report::parse(&report.to_xml());
        assert!(again.is_some());
        assert!(!penny_report::show_aggregate(&report).contains('\u{1b}'));
    }
    if let Some(report) = penny_report::tlsrpt::Report::parse(&text) {
        assert!(!penny_report::show_tls(&report).contains('\u{1b}'));
    }
}
