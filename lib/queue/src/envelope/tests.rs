//! Tests of the envelope block.

use super::*;
use penny_addr::{Body, Ret};

fn address(text: &str) -> Address {
    Address::new(text).unwrap()
}

fn params(words: &str) -> Vec<Param> {
    words.split_whitespace().map(|w| Param::parse(w).unwrap()).collect()
}

fn sample() -> Envelope {
    Envelope {
        arrival: (1_700_000_000, 42),
        client_uid: Some(64_003),
        client_ip: Line::new("2001:db8::1"),
        helo: Line::new("mx.example"),
        protocol: Line::new("ESMTPS"),
        sender: Sender {
            address: address("\"a >b\\\" @c\"@example.org"),
            params: params("BODY=8BITMIME RET=HDRS ENVID=x+2By SMTPUTF8"),
        },
        recipients: vec![
            Recipient {
                address: address("u1@example.test"),
                params: params("NOTIFY=SUCCESS,DELAY ORCPT=rfc822;u+2B1@x"),
            },
            Recipient { address: address("jos\u{e9}@ex\u{e4}mple.test"), params: vec![] },
            Recipient { address: address("postmaster"), params: vec![] },
        ],
        junk: Line::new("spamcheck"),
        size: 10,
        wire_size: 12,
        extra: vec![(Line::new("x-note").unwrap(), Line::new("kept as is").unwrap())],
        ..Envelope::default()
    }
}

#[test]
fn what_is_written_is_read_back() {
    let e = sample();
    let block = e.encode();
    assert_eq!(find_end(&block), Some(block.len()));
    assert_eq!(Envelope::parse(&block).unwrap(), e);
    assert_eq!(Envelope::parse(&block[..block.len() - 1]).unwrap(), e, "with and without the empty line");
}

#[test]
fn padding_fits_every_length_it_can() {
    let e = sample();
    let base = e.encode().len();
    assert!(e.encode_padded(base - 1).is_none());
    assert_eq!(e.encode_padded(base).unwrap().len(), base);
    for short in 1..PAD_MIN {
        assert!(e.encode_padded(base + short).is_none(), "{short} bytes are no line");
    }
    for len in (PAD_MIN..40).chain(LINE_MAX - 10..LINE_MAX + 10).chain([3 * LINE_MAX, 65_536]) {
        let block = e.encode_padded(base + len).unwrap();
        assert_eq!(block.len(), base + len);
        assert_eq!(Envelope::parse(&block).unwrap(), e);
    }
}

#[test]
fn the_block_reads_like_the_manual_says() {
    let e = Envelope {
        sender: Sender::default(),
        recipients: vec![Recipient::plain(address("a@b"))],
        ..Envelope::default()
    };
    let text = "pennypost-queue: 1\narrival: 0.000000\nsender: <>\nrecipient: <a@b>\nsize: 0\nwire-size: 0\n\n";
    assert_eq!(String::from_utf8(e.encode()).unwrap(), text);
    assert!(e.is_null_sender());
}

#[test]
fn damage_is_an_error_with_its_line() {
    let good = String::from_utf8(sample().encode()).unwrap();
    let cases = [
        (good.replace("queue: 1", "queue: 2"), "unknown version"),
        (good.replace("sender: <", "sender: "), "bad path"),
        (good.replace("recipient: <postmaster>", "recipient: <>"), "empty recipient"),
        (good.replace("recipient: <postmaster>", "recipient: <a b>"), "bad path"),
        (good.replace("recipient: <postmaster>", "recipient: <a>X"), "no space after the path"),
        (good.replace("recipient: <postmaster>", "recipient: <a> =x"), "bad parameter"),
        (good.replace("junk: spamcheck", "junk: spam\rcheck"), "control character"),
        (good.replace("junk: spamcheck", "junk: spam\u{85}check"), "control character"),
        (good.replace("junk: ", "jun: "), "unknown name"),
        (good.replace("junk: ", "junk:"), "no space after the colon"),
        (good.replace("size: 10", "size: 10\nsize: 10"), "name given twice"),
        (good.replace("\nsize: 10", "\nsize: -1"), "bad number"),
        (good.replace("\nsize: 10", "\nsize: 99999999999999999999"), "bad number"),
        (good.replace("\nsize: 10", ""), "no size"),
        (good.replace("arrival: 1700000000.000042", "arrival: 1700000000.42"), "bad time"),
        (good.replacen("pennypost-queue: 1\n", "", 1), "the version belongs on the first line and only there"),
        (good.trim_end().to_owned(), "last line is cut"),
        (format!("{}: x\n\n", "y".repeat(LINE_MAX)), "line too long"),
        (String::new(), "last line is cut"),
    ];
    for (text, what) in cases {
        assert_eq!(Envelope::parse(text.as_bytes()).unwrap_err().what, what, "{text}");
    }
    assert_eq!(Envelope::parse(b"\xff\n").unwrap_err().what, "not UTF-8");
    assert_eq!(Envelope::parse(good.replace("junk", "nope").as_bytes()).unwrap_err().line, 7);
}

#[test]
fn every_cut_of_a_block_is_an_error() {
    let block = sample().encode();
    let last_line = block.len() - b"x-note: kept as is\n\n".len();
    for cut in 0..last_line {
        let parsed = Envelope::parse(&block[..cut]);
        assert!(parsed.is_err(), "cut at {cut}");
    }
}

#[test]
fn values_cannot_start_a_line() {
    assert_eq!(Line::new("a\nsender: <x>"), None);
    assert_eq!(Line::clean(b"a\r\nsender: <x>\0\xff").as_str(), "a??sender: <x>?\u{fffd}");
    assert!(Line::clean(&[b'x'; 100_000]).as_str().len() <= LINE_MAX);
    for bad in ["a\nb@c", "a\0@c", "a b@c", "a>b@c", "<a@c>", "\"a@c", "a\u{7f}@c"] {
        assert_eq!(Address::new(bad), None, "{bad:?}");
    }
    for bad in ["", "=", "A=", "A=b c", "-A=b", "A_B=c", "A=b\n", "\u{e9}=x"] {
        assert_eq!(Param::parse(bad), None, "{bad:?}");
    }
    assert_eq!(Param::parse("auth=<>").unwrap().value(), Some("<>"));
}

#[test]
fn domains_and_local_parts_respect_quotes() {
    for (text, local, domain) in [
        ("user@Example.ORG", "user", "example.org"),
        ("\"a@b\"@example.org", "\"a@b\"", "example.org"),
        ("\"a\\\"@b\"@example.org", "\"a\\\"@b\"", "example.org"),
        ("a@b@example.org", "a@b", "example.org"),
        ("postmaster", "postmaster", ""),
        ("\"quoted only\"", "\"quoted only\"", ""),
        ("", "", ""),
    ] {
        let a = address(text);
        assert_eq!((a.local_part(), a.domain().as_str()), (local, domain));
    }
}

#[test]
fn typed_views_of_the_sender() {
    let s = |words: &str| Sender { address: Address::null(), params: params(words) };
    assert_eq!(s("body=8bitmime").body(), Body::EightBit);
    assert_eq!(s("").body(), Body::SevenBit);
    assert_eq!(s("RET=full").ret(), Some(Ret::Full));
    assert_eq!(s("RET=x BODY=8BITMIME").ret(), None);
    assert_eq!(s("RET=x BODY=8BITMIME").body(), Body::EightBit, "one bad parameter does not spoil the others");
    assert_eq!(s("ENVID=a+2Bb").envid().as_deref(), Some("a+b"));
    assert_eq!(s("ENVID=a+0Ab").envid(), None, "no hidden line feed");
    assert!(s("SMTPUTF8 REQUIRETLS").smtputf8());
    assert!(s("SMTPUTF8 REQUIRETLS").requiretls());
    assert_eq!(s("MT-PRIORITY=-9").priority(), -9);
    assert_eq!(s("MT-PRIORITY=12").priority(), 0);
    assert_eq!(s("BY=120;R").deliver_by().unwrap().seconds, 120);
    assert!(s("BY=5").deliver_by().is_none());
    assert_eq!(s("HOLDFOR=60").hold_until(1000), Some(1060));
    assert_eq!(s("HOLDUNTIL=1970-01-02T00:00:00Z").hold_until(0), Some(86_400));
    assert_eq!(s("HOLDUNTIL=2026-13-01T00:00:00Z").hold_until(0), None);
}

#[test]
fn typed_views_of_a_recipient() {
    let r = |words: &str| Recipient { address: address("a@b"), params: params(words) };
    assert!(r("NOTIFY=NEVER").notify().unwrap().never());
    let n = r("notify=success,failure").notify().unwrap();
    assert!(n.failure && !n.delay && n.success);
    assert_eq!(r("").notify(), None);
    assert_eq!(r("NOTIFY=BOGUS").notify(), None);
    let o = r("ORCPT=RFC822;u+2B1@x").original().unwrap();
    assert_eq!((o.kind.as_str(), o.address.as_str()), ("rfc822", "u+1@x"));
    assert_eq!(r("ORCPT=nothing").original(), None);
}
