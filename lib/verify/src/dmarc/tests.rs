//! RFC 9989: appendix examples, alignment, policies, hostile authors; the public suffix list's own checks.

use super::*;
use crate::message::Message;
use crate::{dkim, spf};
use penny_dns::{Name, Zone};

fn spf_verdict(outcome: spf::Outcome, domain: &str) -> spf::Verdict {
    spf::Verdict { outcome, domain: domain.into(), helo: false, explanation: None, reason: String::new() }
}

fn dkim_verdict(outcome: dkim::Outcome, domain: &str) -> dkim::Verdict {
    let text = String::new;
    dkim::Verdict {
        outcome,
        domain: domain.into(),
        selector: text(),
        auid: text(),
        algorithm: text(),
        b_start: text(),
        reason: text(),
        testing: false,
        unsigned_octets: 0,
    }
}

fn run(zone: &str, from: &str, spf: spf::Verdict, dkim: &[dkim::Verdict]) -> Verdict {
    let mail = format!("From: {from}\r\nSubject: x\r\n\r\n");
    check(&Message::parse(mail.as_bytes()), &Zone::parse(zone), None, Authenticated { spf: &spf, dkim })
}

fn no_spf() -> spf::Verdict {
    spf_verdict(spf::Outcome::None, "x.example")
}

fn passing(domain: &str) -> Vec<dkim::Verdict> {
    vec![dkim_verdict(dkim::Outcome::Pass, domain)]
}

/// Result, applied policy and place of the record, without anything authenticated.
fn policy(zone: &str, domain: &str) -> String {
    let v = run(zone, &format!("a@{domain}"), no_spf(), &[]);
    format!("{} {} {}", v.outcome, v.policy, v.domain)
}

/// B.4.1
#[test]
fn simple_example_of_the_rfc() {
    let zone = "_dmarc.example.com TXT v=DMARC1; p=reject\n_dmarc.signing.example.com TXT v=DMARC1; p=none";
    let v = run(zone, "a@example.com", spf_verdict(spf::Outcome::Pass, "example.com"), &passing("signing.example.com"));
    assert!(v.outcome == Outcome::Pass && v.spf_aligned && v.dkim_aligned);
}

/// B.4.2
#[test]
fn deep_example_of_the_rfc() {
    let zone = Zone::parse(
        "_dmarc.example.com TXT v=DMARC1; p=reject; sp=quarantine\n_dmarc.signing.example.com TXT v=DMARC1; p=none",
    );
    let mail = "From: x@a.b.c.d.e.f.g.h.i.j.k.example.com\r\n\r\n";
    let spf = spf_verdict(spf::Outcome::Pass, "example.com");
    let v = check(&Message::parse(mail.as_bytes()), &zone, None, Authenticated { spf: &spf, dkim: &[] });
    assert_eq!((v.outcome, v.domain.as_str()), (Outcome::Pass, "example.com"));
    // eight queries for the author, two for the SPF domain
    assert_eq!(zone.asked(), 10);
    assert_eq!(
        policy("_dmarc.example.com TXT v=DMARC1; p=reject; sp=quarantine", "a.b.c.d.e.f.g.h.i.j.k.example.com"),
        "fail quarantine example.com"
    );
    // a record at a name the walk skips is not found
    assert_eq!(
        policy("_dmarc.e.f.g.h.i.j.k.example.com TXT v=DMARC1; p=reject", "a.b.c.d.e.f.g.h.i.j.k.example.com"),
        "none none "
    );
}

/// B.4.3
#[test]
fn public_suffix_example_of_the_rfc() {
    let zone =
        "_dmarc.bank.example TXT v=DMARC1; p=reject; psd=y\n_dmarc.giant.bank.example TXT v=DMARC1; p=quarantine";
    let v = run(zone, "a@giant.bank.example", spf_verdict(spf::Outcome::Pass, "mail.giant.bank.example"), &[]);
    assert!(v.outcome == Outcome::Pass && v.spf_aligned);
    let v = run(zone, "a@giant.bank.example", no_spf(), &passing("mail.mega.bank.example"));
    assert_eq!((v.outcome, v.policy, v.domain.as_str()), (Outcome::Fail, Policy::Quarantine, "giant.bank.example"));
    // an organization without a record takes the suffix's
    assert_eq!(policy(zone, "mega.bank.example"), "fail reject bank.example");
    assert_eq!(policy(zone, "x.giant.bank.example"), "fail quarantine giant.bank.example");
}

#[test]
fn where_the_policy_comes_from() {
    let zone = "_dmarc.example.com TXT v=DMARC1; p=reject; sp=quarantine; np=none\n_dmarc.mail.example.com TXT v=DMARC1; p=none; sp=reject\n\
                a.example.com A 192.0.2.1\nx.mail.example.com A 192.0.2.1";
    assert_eq!(policy(zone, "example.com"), "fail reject example.com");
    assert_eq!(policy(zone, "a.example.com"), "fail quarantine example.com");
    assert_eq!(policy(zone, "no.example.com"), "fail none example.com");
    assert_eq!(policy(zone, "mail.example.com"), "fail none mail.example.com");
    // neither the author's own nor the organization's: an intermediate record is not applied (4.10.1)
    assert_eq!(policy(zone, "x.mail.example.com"), "fail quarantine example.com");
    assert_eq!(policy(zone, "example.net"), "none none ");
}

#[test]
fn psd_n_makes_an_organization() {
    let zone = "_dmarc.example.com TXT v=DMARC1; p=reject\n_dmarc.uni.example.com TXT v=DMARC1; p=quarantine; psd=n";
    assert_eq!(policy(zone, "cs.uni.example.com"), "fail quarantine uni.example.com");
    let v = run(zone, "a@cs.uni.example.com", no_spf(), &passing("example.com"));
    assert_eq!(v.outcome, Outcome::Fail);
    let v = run(zone, "a@cs.uni.example.com", no_spf(), &passing("x.uni.example.com"));
    assert_eq!(v.outcome, Outcome::Pass);
}

#[test]
fn alignment_modes() {
    let zone = |mode: &str| format!("_dmarc.example.com TXT v=DMARC1; p=reject; {mode}");
    for (mode, domain, outcome) in [
        ("", "example.com", Outcome::Pass),
        ("", "mail.example.com", Outcome::Pass),
        ("adkim=s", "mail.example.com", Outcome::Fail),
        ("adkim=s", "EXAMPLE.com", Outcome::Pass),
        ("aspf=s", "mail.example.com", Outcome::Pass),
        ("", "badexample.com", Outcome::Fail),
        ("", "example.com.evil.example", Outcome::Fail),
    ] {
        assert_eq!(run(&zone(mode), "a@example.com", no_spf(), &passing(domain)).outcome, outcome, "{mode} {domain}");
    }
    let spf = spf_verdict(spf::Outcome::Pass, "mail.example.com");
    assert_eq!(run(&zone("aspf=s"), "a@example.com", spf.clone(), &[]).outcome, Outcome::Fail);
    assert_eq!(run(&zone(""), "a@example.com", spf, &[]).outcome, Outcome::Pass);
    for soft in [spf::Outcome::Neutral, spf::Outcome::SoftFail, spf::Outcome::PermError] {
        assert_eq!(run(&zone(""), "a@example.com", spf_verdict(soft, "example.com"), &[]).outcome, Outcome::Fail);
    }
}

#[test]
fn testing_lowers_the_policy() {
    assert_eq!(policy("_dmarc.example.com TXT v=DMARC1; p=reject; t=y", "example.com"), "fail quarantine example.com");
    assert_eq!(policy("_dmarc.example.com TXT v=DMARC1; p=quarantine; t=y", "example.com"), "fail none example.com");
}

#[test]
fn several_records_count_as_none() {
    let zone = "_dmarc.mail.example.com TXT v=DMARC1; p=none\n_dmarc.mail.example.com TXT v=DMARC1; p=none\n_dmarc.example.com TXT v=DMARC1; p=reject\n_dmarc.example.com TXT other";
    assert_eq!(policy(zone, "mail.example.com"), "fail reject example.com");
}

#[test]
fn more_than_one_author_never_passes() {
    let zone = "_dmarc.good.example TXT v=DMARC1; p=none\n_dmarc.bank.example TXT v=DMARC1; p=reject";
    for from in [
        "a@bank.example, b@good.example",
        "a@good.example\r\nFrom: b@bank.example",
        "a@bank.example\r\nFrom: b@bank.example",
    ] {
        let v = run(zone, from, no_spf(), &passing("good.example"));
        assert_eq!((v.outcome, v.policy, v.author.as_str()), (Outcome::Fail, Policy::Reject, "bank.example"), "{from}");
        let v = run(zone, from, no_spf(), &passing("bank.example"));
        assert_eq!(v.outcome, Outcome::Fail, "{from}");
    }
    assert_eq!(run("", "a@b.example, c@d.example", no_spf(), &[]).outcome, Outcome::PermError);
    assert_eq!(run("", "undisclosed", no_spf(), &[]).outcome, Outcome::PermError);
}

#[test]
fn dns_failures() {
    assert_eq!(policy("_dmarc.example.com TIMEOUT", "example.com"), "temperror none ");
    let zone = "_dmarc.example.com TXT v=DMARC1; p=reject\n_dmarc.evil.example TIMEOUT";
    // an unchecked identifier that would align leaves things open
    let temp = |domain: &str| vec![dkim_verdict(dkim::Outcome::TempError, domain)];
    assert_eq!(run(zone, "a@example.com", no_spf(), &temp("mail.example.com")).outcome, Outcome::TempError);
    // a stranger's dead domain does not
    assert_eq!(run(zone, "a@example.com", no_spf(), &temp("evil.example")).outcome, Outcome::Fail);
    assert_eq!(run(zone, "a@example.com", no_spf(), &passing("evil.example")).outcome, Outcome::Fail);
    // and one good identifier is enough
    let mut both = temp("mail.example.com");
    both.extend(passing("example.com"));
    assert_eq!(run(zone, "a@example.com", no_spf(), &both).outcome, Outcome::Pass);
}

#[test]
fn partly_signed_bodies_say_nothing_about_the_author() {
    let mut list = passing("example.com");
    list[0].unsigned_octets = 1;
    let v = run("_dmarc.example.com TXT v=DMARC1; p=reject", "a@example.com", no_spf(), &list);
    assert_eq!(v.outcome, Outcome::Fail);
}

fn psl() -> PublicSuffixes {
    let path = format!("{}/../../tests/data/psl/public_suffix_list.dat", env!("CARGO_MANIFEST_DIR"));
    PublicSuffixes::parse(&std::fs::read_to_string(path).unwrap())
}

/// test_psl.txt: `checkPublicSuffix('name', 'registrable or null');`
#[test]
fn checks_of_the_public_suffix_list() {
    let list = psl();
    let path = format!("{}/../../tests/data/psl/test_psl.txt", env!("CARGO_MANIFEST_DIR"));
    let mut done = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let line = line.trim_start_matches("checkPublicSuffix(").trim_end_matches(");").trim();
        let words: Vec<&str> = line.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty()).collect();
        let [name, want] = words.as_slice() else { continue };
        if line.starts_with("//") {
            continue;
        }
        let plain = |w: &str| w.trim_matches('\'').to_owned();
        let got = Name::parse(&plain(name))
            .ok()
            .filter(|_| !plain(name).starts_with('.'))
            .and_then(|n| list.organization(&n));
        let want = Some(plain(want)).filter(|w| w != "null").map(|w| Name::parse(&w).unwrap());
        assert_eq!(got, want, "{line}");
        done += 1;
    }
    assert_eq!(done, 78);
}

#[test]
fn the_list_bounds_the_walk_when_asked_for() {
    let zone = Zone::parse("_dmarc.co.uk TXT v=DMARC1; p=none");
    let mail = Message::parse(b"From: a@bank.co.uk\r\n\r\n");
    let spf = spf_verdict(spf::Outcome::Pass, "evil.co.uk");
    let with = |list| check(&mail, &zone, list, Authenticated { spf: &spf, dkim: &[] }).outcome;
    assert_eq!(with(None), Outcome::Pass);
    assert_eq!(with(Some(&psl())), Outcome::None);
}

#[test]
fn reports_go_only_where_they_are_wanted() {
    let zone = Zone::parse(
        "_dmarc.d.example TXT v=DMARC1; p=none\nd.example._report._dmarc.r.example TXT v=DMARC1;\n\
         d.example._report._dmarc.x.example TXT yes\nd.example._report._dmarc.t.example TIMEOUT",
    );
    let takes = |to: &str| takes_reports(&zone, &Name::parse("d.example").unwrap(), &Name::parse(to).unwrap());
    assert_eq!(takes("d.example"), Ok(true));
    assert_eq!(takes("mail.d.example"), Ok(true));
    assert_eq!(takes("r.example"), Ok(true));
    assert_eq!(takes("x.example"), Ok(false));
    assert_eq!(takes("none.example"), Ok(false));
    assert!(takes("t.example").is_err());
}
