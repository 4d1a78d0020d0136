//! Rules against written samples: each kind of fraud hits what it should, ordinary mail does not.
//! The samples are made up for these tests and say nothing about accuracy.

use super::*;

fn hits(message: &str) -> Vec<Hit> {
    check(&Message::read(message.as_bytes()), &Context::default())
}

fn names(message: &str) -> Vec<String> {
    hits(message).into_iter().map(|h| h.name.into_owned()).collect()
}

fn sum(message: &str) -> f64 {
    total(&hits(message))
}

const HEAD: &str = "Message-ID: <1@x.example>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n";

#[test]
fn gtube_is_certain() {
    let mail = format!("{HEAD}From: a@b.example\nTo: c@d.example\nSubject: test\n\n{}{}\n", GTUBE.0, GTUBE.1);
    assert!(sum(&mail) >= 90.0);
    assert!(names(&mail).contains(&"GTUBE".to_owned()));
}

#[test]
fn bank_phishing() {
    let mail = format!(
        "{HEAD}From: \"PayPal Support\" <info@secure-mail.xyz>\nTo: joe@example.org\nSubject: Your account has been limited\nContent-Type: text/html\n\n<p>Dear customer, unusual activity. <a href=\"http://paypal-login.evil.top/verify?e=joe@example.org\">https://www.paypal.com/</a> Verify your account within 24 hours.</p>"
    );
    let names = names(&mail);
    for want in [
        "FALSE_NAME",
        "LINK_LIES",
        "LINK_ODD_TLD",
        "RECIPIENT_IN_LINK",
        "LINK_FALSE_BRAND",
        "ACCOUNT_THREAT",
        "FROM_ODD_TLD",
    ] {
        assert!(names.contains(&want.to_owned()), "{want} not in {names:?}");
    }
    assert!(sum(&mail) > 8.0);
}

#[test]
fn ordinary_mail_is_left_alone() {
    let note = format!(
        "{HEAD}From: Ann <ann@example.com>\nTo: joe@example.org\nSubject: Minutes of Tuesday\n\nHi Joe,\n\nhere are the minutes. See you on Friday.\n\nAnn\n"
    );
    assert!(sum(&note) < 1.0, "{:?}", hits(&note));
    let list = format!(
        "{HEAD}From: Bob <bob@example.net>\nTo: dev@lists.example.org\nList-Id: <dev.lists.example.org>\nIn-Reply-To: <2@y>\nSubject: Re: patch\n\n> does it compile?\n> on Linux?\nyes, see http://www.example.org/log\n"
    );
    assert!(sum(&list) < -2.0);
}

#[test]
fn good_marks_are_bounded() {
    let hits = vec![
        Hit { name: "A".into(), weight: -50.0, why: "".into() },
        Hit { name: "B".into(), weight: 6.0, why: "".into() },
    ];
    assert_eq!(total(&hits), 2.0);
}

#[test]
fn only_our_own_authentication_results_count() {
    let mail = format!(
        "{HEAD}Authentication-Results: mx.ours.example; dmarc=fail\nFrom: a@b.example\nTo: c@d.example\nSubject: x\n\nhi\n"
    );
    assert!(!names(&mail).contains(&"DMARC_FAIL".to_owned()));
    let context = Context { authserv_ids: vec!["MX.ours.example".into()], ..Context::default() };
    let hits = check(&Message::read(mail.as_bytes()), &context);
    assert!(hits.iter().any(|h| h.name == "DMARC_FAIL"));
}

#[test]
fn fields_of_our_own_filters_count() {
    let mail = format!("{HEAD}From: a@b.example\nTo: c@d.example\nSubject: x\n\nhi\n");
    let fields = "Authentication-Results: mx; spf=fail\n\tsmtp.mailfrom=b.example\n".into();
    let context = Context { fields, login: true, ..Context::default() };
    let hits = check(&Message::read(mail.as_bytes()), &context);
    assert!(["SPF_FAIL", "LOGGED_IN"].iter().all(|n| hits.iter().any(|h| h.name == *n)));
}

#[test]
fn mailboxes() {
    assert_eq!(mailbox(b"\"A B\" <X@Y.z>"), ("A B".into(), "x@y.z".into()));
    assert_eq!(mailbox(b"x@y.z (A B)"), ("A B".into(), "x@y.z".into()));
    assert_eq!(mailbox(b"<>"), (String::new(), String::new()));
    assert_eq!(mailbox(b""), (String::new(), String::new()));
}

#[test]
fn disguised_words_and_endings() {
    let mail = format!("{HEAD}From: a@b.example\nTo: c@d.example\nSubject: Pаypal\n\nx\n"); // Cyrillic a
    assert!(names(&mail).contains(&"SUBJECT_DISGUISED".to_owned()));
    let mail = format!(
        "{HEAD}From: a@b.example\nTo: c@d.example\nSubject: x\nContent-Type: application/octet-stream; name=\"bill.pdf.exe\"\nContent-Disposition: attachment\n\nMZ"
    );
    let names = names(&mail);
    assert!(names.contains(&"DOUBLE_ENDING".to_owned()) && names.contains(&"ATTACHED_PROGRAM".to_owned()));
}

#[test]
fn phrase_texts_are_in_folded_form() {
    for theme in phrases::THEMES {
        for phrase in theme.phrases.split('|') {
            assert_eq!(text::fold(phrase.as_bytes(), 500).text, format!(" {phrase} "), "{}", theme.name);
        }
    }
    for brand in brands::BRANDS {
        for name in brand.names.split('|') {
            assert_eq!(text::fold(name.as_bytes(), 500).text, format!(" {name} "));
        }
    }
}
