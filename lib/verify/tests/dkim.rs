//! Public DKIM messages, every file by name: the RFC vectors and their tampered variants.

use penny_dns::{Data, Name, Zone};
use penny_verify::dkim::{Keys, Outcome, Verdict, verify};
use penny_verify::message::Message;
use std::path::PathBuf;

const NOW: u64 = 1_700_000_000;

fn data(path: &str) -> PathBuf {
    PathBuf::from(format!("{}/../../tests/data/dkim/{path}", env!("CARGO_MANIFEST_DIR")))
}

fn lieser_zone() -> Zone {
    let mut zone = Zone::new();
    for line in std::fs::read_to_string(data("lieser/dns.txt")).unwrap().lines() {
        let mut parts = line.splitn(3, '\t');
        let (name, _, value) = (parts.next().unwrap(), parts.next(), parts.next().unwrap());
        zone.txt(name, value);
    }
    zone
}

fn lieser(file: &str) -> Vec<Verdict> {
    let bytes = std::fs::read(data(&format!("lieser/{file}"))).unwrap();
    verify(&Message::parse(&bytes), &lieser_zone(), &Keys::new(), NOW)
}

/// File, then the outcome of each of its signatures from the top.
const LIESER: [(&str, &[Outcome]); 27] = [
    ("rfc6376-A.2.eml", &[Outcome::Pass]),
    ("rfc6376-A.2-body_modified.eml", &[Outcome::Fail]),
    ("rfc6376-A.2-header_subject_modified.eml", &[Outcome::Fail]),
    ("rfc6376-A.2-ill_formed-list_id.eml", &[Outcome::Pass]),
    // RFC 6376 3.5: "v= MUST be included"
    ("rfc6376-A.2-ill_formed-missing_v.eml", &[Outcome::PermError]),
    ("rfc8463-A.3.eml", &[Outcome::Pass, Outcome::Pass]),
    // each signature points at the key of the other
    ("rfc8463-A.3-key_algo_mismatch.eml", &[Outcome::PermError, Outcome::PermError]),
    ("bimi/rfc6376-A.2-with_bimi.eml", &[Outcome::Pass]),
    ("fakePayPal.eml", &[]),
    ("ill_formed-from.eml", &[]),
    // Fields that were not signed may be added (6376 8.15); DMARC refuses the second From, see dmarc.rs.
    ("dkim/added_header-date.eml", &[Outcome::Pass]),
    ("dkim/added_header-from.eml", &[Outcome::Pass]),
    ("dkim/added_header-subject.eml", &[Outcome::Pass]),
    ("dkim/added_header-to.eml", &[Outcome::Pass]),
    ("dkim/unsigned_header-content-type.eml", &[Outcome::Pass]),
    ("dkim/unsigned_header-reply_to-in_domain.eml", &[Outcome::Pass]),
    ("dkim/unsigned_header-reply_to-invalid.eml", &[Outcome::Pass]),
    ("dkim/unsigned_header-reply_to-not_in_domain.eml", &[Outcome::Pass]),
    // alignment is DMARC's matter
    ("dkim/alignment-from_not_in_auid.eml", &[Outcome::Pass]),
    ("dkim/alignment-from_not_in_sdid.eml", &[Outcome::Pass]),
    ("dkim/alignment-signed_by_parent_domain.eml", &[Outcome::Pass]),
    ("dkim/flags_s-auid_and_sdid_match.eml", &[Outcome::Pass]),
    // RFC 6376 3.6.1, t=s: "MUST have the same domain value on the right-hand side"
    ("dkim/flags_s-auid_is_subdomain_of_sdid.eml", &[Outcome::PermError]),
    ("dkim/header_with_non_ascii_char.eml", &[Outcome::Pass]),
    // t= lies before or after the time of receipt; RFC 6376 3.5 lets verifiers judge, x= is what limits
    ("dkim/time-received_after_creation.eml", &[Outcome::Pass]),
    ("dkim/time-received_briefly_before_creation.eml", &[Outcome::Pass]),
    ("dkim/time-received_long_before_creation.eml", &[Outcome::Pass]),
];

#[test]
fn lieser_set() {
    for (file, wanted) in LIESER {
        let got = lieser(file);
        let outcomes: Vec<Outcome> = got.iter().map(|v| v.outcome).collect();
        assert_eq!(outcomes, wanted, "{file}: {got:?}");
    }
}

/// The lines before the first empty one are `name value` TXT records.
fn mail_auth(file: &str) -> (Zone, Vec<u8>) {
    let bytes = std::fs::read(data(&format!("mail-auth/{file}"))).unwrap();
    let at = bytes.windows(2).position(|w| w == b"\n\n").unwrap();
    let mut zone = Zone::new();
    for line in String::from_utf8_lossy(&bytes[..at]).lines() {
        let (name, value) = line.split_once(' ').unwrap();
        zone.add(&Name::parse(name).unwrap(), Data::Txt(value.into()));
    }
    (zone, bytes[at + 2..].to_vec())
}

#[test]
fn mail_auth_set() {
    // 005 carries x=1667930064
    for (file, now, count) in
        [("001", NOW, 2), ("002", NOW, 1), ("003", NOW, 2), ("004", NOW, 1), ("005", 1667843665, 1), ("006", NOW, 1)]
    {
        let (zone, mail) = mail_auth(&format!("{file}.txt"));
        let got = verify(&Message::parse(&mail), &zone, &Keys::new(), now);
        assert_eq!(got.len(), count, "{file}");
        assert!(got.iter().all(|v| v.outcome == Outcome::Pass), "{file}: {got:?}");
    }
    let (zone, mail) = mail_auth("005.txt");
    assert_eq!(verify(&Message::parse(&mail), &zone, &Keys::new(), 1667930065)[0].outcome, Outcome::Fail);
}
