//! The grammar and the limits; the public suites are in lib/verify/tests/spf.rs.

use super::*;
use penny_dns::Zone;

fn run(zone: &str, ip: &str, from: &str) -> Verdict {
    let ip = ip.parse().unwrap();
    let client = Client { ip, helo: "helo.example.org", mail_from: from, receiver: "mx.example", now: 1 };
    check(&Zone::parse(zone), &client)
}

fn word(record: &str) -> String {
    run(&format!("d.example TXT v=spf1 {record}"), "192.0.2.1", "a@d.example").outcome.to_string()
}

#[test]
fn networks() {
    assert_eq!(word("ip4:192.0.2.0/24 -all"), "pass");
    assert_eq!(word("ip4:192.0.2.2/31 -all"), "fail");
    assert_eq!(word("ip4:10.0.0.0/0 -all"), "pass");
    assert_eq!(word("ip4:192.0.2.1/ -all"), "permerror");
    assert_eq!(word("ip4:192.0.2.1/+1 -all"), "permerror");
    assert_eq!(word("ip6:::ffff:192.0.2.1 -all"), "fail");
}

#[test]
fn macro_strings() {
    for bad in
        ["exists:%{d0}.x", "exists:%{dx}.x", "exists:%{d", "exists:%x", "exists:%{c}.x", "exists:x%", "exists:%{}.x"]
    {
        assert_eq!(word(bad), "permerror", "{bad}");
    }
    for good in ["exists:%{d1r.-}.x", "exists:%{D}", "exists:a%_b.x", "x=%{s}", "exists:%{d999999999999999999999}"] {
        assert_eq!(word(good), "neutral", "{good}");
    }
}

/// RFC 7208 7.4, all rows of the table, through an explanation.
#[test]
fn macro_examples_of_the_rfc() {
    let rows = [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{r} %{t} %{c}", "mx.example 1 192.0.2.3"),
    ];
    for (text, want) in rows {
        let zone = format!("email.example.com TXT v=spf1 -all exp=e.example\ne.example TXT {text}");
        let verdict = run(&zone, "192.0.2.3", "strong-bad@email.example.com");
        assert_eq!(verdict.explanation.as_deref(), Some(want), "{text}");
    }
}

#[test]
fn explanations_carry_no_line_ends() {
    let zone = "d.example TXT v=spf1 -all exp=e.example\ne.example TXT no %{l}";
    let verdict = run(zone, "192.0.2.3", "a\r\nX: y@d.example");
    assert_eq!(verdict.explanation.as_deref(), Some("no aX: y"));
}

#[test]
fn a_failing_dns_is_never_an_answer() {
    let zone = "d.example TXT v=spf1 a:slow.example -all\nslow.example TIMEOUT";
    assert_eq!(run(zone, "192.0.2.1", "a@d.example").outcome, Outcome::TempError);
    let zone = "d.example TXT v=spf1 mx -all\nd.example MX 1 slow.example\nslow.example SERVFAIL";
    assert_eq!(run(zone, "192.0.2.1", "a@d.example").outcome, Outcome::TempError);
    assert_eq!(run("d.example SERVFAIL", "192.0.2.1", "a@d.example").outcome, Outcome::TempError);
}

#[test]
fn nesting_is_bounded_by_the_lookup_limit() {
    let zone = "d.example TXT v=spf1 include:d.example -all";
    assert_eq!(run(zone, "192.0.2.1", "a@d.example").outcome, Outcome::PermError);
}

#[test]
fn null_sender_checks_helo() {
    let verdict = run("helo.example.org TXT v=spf1 ip4:192.0.2.1 -all", "192.0.2.1", "");
    assert_eq!((verdict.outcome, verdict.helo, verdict.domain.as_str()), (Outcome::Pass, true, "helo.example.org"));
}

#[test]
fn internationalised_domains_are_asked_as_a_labels() {
    let verdict = run("xn--bcher-kva.example TXT v=spf1 +all", "192.0.2.1", "a@bücher.example");
    assert_eq!(verdict.outcome, Outcome::Pass);
}

/// Seeded garbage: any record parses or fails, without a panic.
#[test]
fn hostile_records_do_not_panic() {
    let parts = [
        "v=spf1",
        " ",
        "a",
        ":",
        "/",
        "//",
        "%",
        "{",
        "}",
        "d",
        "33",
        "exp=",
        "redirect=",
        "ip4:",
        "ip6:",
        "é",
        "~",
        "mx",
        ".",
    ];
    let mut seed = 1u64;
    for _ in 0..20_000 {
        let mut text = String::from("v=spf1 ");
        for _ in 0..8 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text.push_str(parts[(seed >> 33) as usize % parts.len()]);
        }
        let _ = Record::parse(text.as_bytes());
    }
}
