use super::*;
use std::net::IpAddr;

fn mailbox(text: &str) -> Result<Mailbox, AddrError> {
    Mailbox::parse(text, Charset::Ascii)
}

#[test]
fn mailboxes_that_are_valid() {
    let long = format!("{}@example.com", "a".repeat(64));
    for text in [
        "a@b",
        "user+ext@example.com",
        "\"a b\"@example.com",
        "\"a\\\"b\"@example.com",
        "\"\"@example.com",
        "a@[127.0.0.1]",
        "a@[IPv6:::1]",
        "a@[ipv6:2001:db8::1]",
        "a@xn--mnchen-3ya.de",
        "=x=@_dmarc.example",
        &long,
        "\"x@y\"@example.com",
        "a/b@example.com",
    ] {
        let parsed = mailbox(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(mailbox(&parsed.to_string()).as_ref(), Ok(&parsed), "{text}");
    }
}

#[test]
fn mailboxes_that_are_not() {
    let many = format!("a@{}com", "abc.".repeat(70));
    let label = format!("a@{}.com", "a".repeat(64));
    for (text, error) in [
        ("a", AddrError::NoDomain),
        ("a@", AddrError::NoDomain),
        ("@b", AddrError::LocalSyntax),
        (".a@b", AddrError::LocalSyntax),
        ("a..b@c", AddrError::LocalSyntax),
        ("a b@c", AddrError::LocalSyntax),
        ("\"a@c", AddrError::LocalSyntax),
        ("\"a\"b\"@c", AddrError::LocalSyntax),
        ("\"a\\\"@c", AddrError::LocalSyntax),
        ("a@b..c", AddrError::DomainSyntax),
        ("a@b.", AddrError::DomainSyntax),
        ("a@-b", AddrError::DomainSyntax),
        ("a@b/c", AddrError::DomainSyntax),
        ("a@[1.2.3]", AddrError::Literal),
        ("a@[01.2.3.4]", AddrError::Literal),
        ("a@[1.2.3.4", AddrError::Literal),
        ("a@[tag:x]", AddrError::Literal),
        ("a\0@b", AddrError::BadOctet),
        ("a\r\n@b", AddrError::BadOctet),
        ("ü@b", AddrError::NeedsSmtpUtf8),
        ("a@ü", AddrError::NeedsSmtpUtf8),
        (&many, AddrError::TooLong),
        (&label, AddrError::DomainSyntax),
    ] {
        assert_eq!(mailbox(text).err(), Some(error), "{text:?}");
    }
}

/// RFC 5891, RFC 6531 3.3: both forms of a domain are one domain; local parts compare exactly, then folded.
#[test]
fn internationalised_forms_compare() {
    let utf8 = Mailbox::parse("Jörg@MÜNCHEN.de", Charset::Utf8).unwrap();
    assert_eq!(utf8.domain().ascii(), "xn--mnchen-3ya.de");
    assert_eq!(utf8.domain(), &Domain::parse("xn--MNCHEN-3ya.DE", Charset::Ascii).unwrap());
    assert_eq!(utf8.domain().unicode(), "münchen.de");
    // the decomposed form folds to the composed one
    let decomposed = Mailbox::parse("JO\u{308}rg@münchen.de", Charset::Utf8).unwrap();
    assert_ne!(utf8, decomposed);
    assert_eq!(utf8.folded(), decomposed.folded());
    assert_eq!(utf8.folded(), "jörg@xn--mnchen-3ya.de");
    assert_eq!(utf8.to_ascii(), None);
    assert_eq!(Mailbox::parse("a@münchen.de", Charset::Utf8).unwrap().to_ascii().unwrap(), "a@xn--mnchen-3ya.de");
    assert_eq!(Mailbox::parse("a@\u{200e}x\u{2028}.de", Charset::Utf8).err(), Some(AddrError::Idna));
    assert_eq!(Mailbox::parse("a\u{85}@x.de", Charset::Utf8).err(), Some(AddrError::BadOctet));
}

#[test]
fn quoting_is_only_writing() {
    assert_eq!(mailbox("\"abc\"@d"), mailbox("abc@D"));
    assert_eq!(mailbox("\"a\\b\"@d").unwrap().to_string(), "ab@d");
    assert_eq!(mailbox("\"a b\"@d").unwrap().local().value(), "a b");
}

#[test]
fn reverse_paths() {
    let take = |text| ReversePath::take(text, Charset::Ascii);
    assert_eq!(take("<> SIZE=1").unwrap(), (ReversePath::Null, " SIZE=1"));
    assert_eq!(take("<@a,@b:c@d>").unwrap().0.address(), "c@d");
    assert_eq!(take("<\"a>b\"@c>").unwrap().0.address(), "\"a>b\"@c");
    for bad in ["a@b", "<a@b", "", "<a>", "<<a@b>>", "<@a:>", "<a@b,c@d>"] {
        assert!(take(bad).is_err(), "{bad}");
    }
}

#[test]
fn forward_paths() {
    let parse = |text| ForwardPath::parse(text, Charset::Ascii);
    assert!(parse("<Postmaster>").unwrap().is_postmaster());
    assert!(parse("<postMASTER@example.com>").unwrap().is_postmaster());
    assert!(!parse("<a@b>").unwrap().is_postmaster());
    let here = Domain::parse("here.example", Charset::Ascii).unwrap();
    assert_eq!(parse("<postmaster>").unwrap().mailbox(&here).unwrap().to_string(), "postmaster@here.example");
    assert!(parse("<>").is_err());
    assert!(parse("<a@b>x").is_err());
}

#[test]
fn xtext_both_ways() {
    // RFC 3461 section 10.1 and RFC 4954 section 5 examples
    assert_eq!(xtext_decode("QQ314159").unwrap(), "QQ314159");
    assert_eq!(xtext_decode("e+3Dmc2@example.com").unwrap(), "e=mc2@example.com");
    for value in ["a+b=c d", "ü", "", "~!"] {
        assert_eq!(xtext_decode(&xtext_encode(value)).unwrap(), value);
    }
    for bad in ["+", "+4", "+0A", "+0d", "a b", "a=b", "+G1", "+FF", "+7F", "a\n"] {
        assert!(xtext_decode(bad).is_err(), "{bad}");
    }
}

#[test]
fn mail_params_round_trip() {
    for text in [
        "",
        " SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159 AUTH=e+3Dmc2@example.com REQUIRETLS BY=120;R",
        " BODY=BINARYMIME RET=FULL ENVID=a+2Bb AUTH=<> BY=-5;NT HOLDFOR=600 MT-PRIORITY=-9",
        " BODY=7BIT HOLDUNTIL=2026-02-28T23:59:59Z MT-PRIORITY=3",
    ] {
        let parsed = MailParams::parse(text, Charset::Ascii).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(parsed.to_string(), text);
    }
    let huge = MailParams::parse(" SIZE=99999999999999999999", Charset::Ascii).unwrap();
    assert_eq!(huge.size, Some(u64::MAX));
    let lower = MailParams::parse(" size=5  body=8bitmime smtputf8", Charset::Ascii).unwrap();
    assert_eq!((lower.size, lower.body, lower.smtputf8), (Some(5), Some(Body::EightBit), true));
}

#[test]
fn mail_params_refused() {
    for (text, error) in [
        (" FOO=BAR", AddrError::UnknownParam),
        (" FOO", AddrError::UnknownParam),
        (" SIZE=1 SIZE=1", AddrError::DuplicateParam),
        (" SMTPUTF8 SMTPUTF8", AddrError::DuplicateParam),
        (" HOLDFOR=1 HOLDUNTIL=2026-01-01T00:00:00Z", AddrError::DuplicateParam),
    ] {
        assert_eq!(MailParams::parse(text, Charset::Ascii).err(), Some(error), "{text}");
    }
    for text in [
        "SIZE=1",
        " SIZE=",
        " SIZE",
        " SIZE=-1",
        " SIZE=1x",
        " SIZE=999999999999999999999",
        " BODY=X",
        " SMTPUTF8=1",
        " RET=X",
        " ENVID=",
        " ENVID=+0A",
        " AUTH=",
        " AUTH",
        " AUTH=a",
        " AUTH=a+0Ab@c",
        " BY=0;R",
        " BY=-1;R",
        " BY=1;X",
        " BY=1",
        " BY=1234567890;N",
        " HOLDFOR=-1",
        " HOLDUNTIL=2026-02-30T00:00:00Z",
        " HOLDUNTIL=2026-02-28 00:00:00Z",
        " MT-PRIORITY=10",
        " MT-PRIORITY=-0",
        " MT-PRIORITY=+1",
        " =x",
        " A=b=c",
    ] {
        assert!(MailParams::parse(text, Charset::Ascii).is_err(), "{text}");
    }
}

#[test]
fn rcpt_params() {
    for text in ["", " NOTIFY=NEVER", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob@Example.COM", " ORCPT=utf-8;\\x{FC}@x"] {
        let parsed = RcptParams::parse(text, Charset::Ascii).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(parsed.to_string(), text);
    }
    let unitext = RcptParams::parse(" ORCPT=utf-8;ü@x", Charset::Utf8).unwrap();
    assert_eq!(unitext.orcpt.unwrap().address, "ü@x");
    for text in [
        " NOTIFY=NEVER,SUCCESS",
        " NOTIFY=",
        " ORCPT=x",
        " ORCPT=;x",
        " ORCPT=rfc822;",
        " ORCPT=rfc822;a+0D+0Ab",
        " ORCPT=utf-8;\\x{0A}",
        " ORCPT=utf-8;\\x{D800}",
        " ORCPT=utf-8;ü@x",
        " ORCPT=rfc822;+C3+BC",
        " RET=FULL",
    ] {
        assert!(RcptParams::parse(text, Charset::Ascii).is_err(), "{text}");
    }
}

#[test]
fn hold_until_is_unix_time() {
    let at = |text: &str| MailParams::parse(&format!(" HOLDUNTIL={text}"), Charset::Ascii).unwrap().hold;
    assert_eq!(at("1970-01-01T00:00:00Z"), Some(Hold::Until(0)));
    assert_eq!(at("2000-02-29T12:00:00+01:00"), Some(Hold::Until(951_822_000)));
    assert_eq!(at("2000-02-29T12:00:00.25-00:30"), Some(Hold::Until(951_827_400)));
    assert_eq!(Hold::For(5).release_at(10), 15);
    for days in (-800_000..800_000).step_by(37) {
        let text = Hold::Until(days * 86400).to_string();
        if let Some(value) = text.strip_prefix("HOLDUNTIL=").filter(|v| !v.starts_with('-') && v.len() == 20) {
            assert_eq!(at(value), Some(Hold::Until(days * 86400)), "{value}");
        }
    }
}

#[test]
fn literals_know_their_address() {
    let v4 = Domain::parse("[192.0.2.1]", Charset::Ascii).unwrap();
    assert_eq!(v4.literal(), "192.0.2.1".parse::<IpAddr>().ok());
    let v6 = Domain::from_ip("2001:db8::1".parse().unwrap());
    assert_eq!(Domain::parse("[IPV6:2001:DB8::1]", Charset::Ascii).unwrap().literal(), v6.literal());
}
