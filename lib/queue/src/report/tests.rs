//! Tests of reports.

use super::*;
use crate::envelope::{Address, Line, Param, Sender};
use crate::journal::{Action, Kind as To, State, Target, Verdict};

fn style() -> Style {
    Style {
        host: "mx.example.test".into(),
        from: "MAILER-DAEMON@mx.example.test".into(),
        postmaster: "postmaster@example.test".into(),
        return_max: 1000,
        return_full_max: 10_000,
    }
}

fn params(words: &str) -> Vec<Param> {
    words.split_whitespace().map(|w| Param::parse(w).unwrap()).collect()
}

fn envelope(sender: &str, sender_params: &str, rcpts: &[(&str, &str)]) -> Envelope {
    let recipient = |(a, p): &(&str, &str)| Recipient { address: Address::new(*a).unwrap(), params: params(p) };
    Envelope {
        arrival: (1_700_000_000, 0),
        helo: Line::new("client.example"),
        sender: Sender { address: Address::new(sender).unwrap(), params: params(sender_params) },
        recipients: rcpts.iter().map(recipient).collect(),
        size: 500,
        ..Envelope::default()
    }
}

fn outcome(verdict: Verdict, action: Action, status: &str, mta: Option<&str>, text: &str) -> Outcome {
    let line = |t: &str| Line::new(t).unwrap();
    Outcome { time: 1_700_000_100, verdict, status: line(status), action, mta: mta.map(line), text: line(text) }
}

fn failure(text: &str) -> Outcome {
    outcome(Verdict::Fail, Action::None, "5.1.1", Some("mx.far.example"), text)
}

/// Composes a report about the first recipient.
fn compose(e: &Envelope, kind: Kind, resolved: Option<&Resolved>, o: &Outcome, eight_bit: bool) -> (Composed, String) {
    let (name, style) = (Name::new(1, 2, 3, 4, 5), style());
    let report = name.report(kind, 1).unwrap();
    let items = vec![Item { recipient: &e.recipients[0], resolved, outcome: o }];
    let request = Request {
        name: &report,
        kind,
        about: &name,
        envelope: e,
        items,
        style: &style,
        now: 1_700_000_200,
        retry_until: Some(1_700_432_000),
    };
    let c = request.compose(eight_bit, Some("<orig@example>"));
    let text = String::from_utf8(c.head.clone()).unwrap();
    (c, text)
}

#[test]
fn a_bounce_has_the_parts_and_fields_of_rfc_3464() {
    let e = envelope("me@here.example", "ENVID=Q+2B1", &[("you@far.example", "ORCPT=rfc822;you+2Bx@far.example")]);
    let (c, text) = compose(&e, Kind::Bounce, None, &failure("550 5.1.1 no such user"), false);
    assert!(c.envelope.is_null_sender());
    assert_eq!(c.envelope.recipients, [Recipient::plain(Address::new("me@here.example").unwrap())]);
    assert_eq!(c.content, Content::Full);
    for line in [
        "To: <me@here.example>",
        "Auto-Submitted: auto-replied",
        "In-Reply-To: <orig@example>",
        "Content-Type: multipart/report; report-type=delivery-status;",
        "Content-Type: message/delivery-status",
        "Original-Envelope-Id: Q+1",
        "Reporting-MTA: dns; mx.example.test",
        "Received-From-MTA: dns; client.example",
        "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000",
        "Original-Recipient: rfc822; you+x@far.example",
        "Final-Recipient: rfc822; you@far.example",
        "Action: failed",
        "Status: 5.1.1",
        "Remote-MTA: dns; mx.far.example",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user",
        "Content-Type: message/rfc822",
        "    mx.far.example said: 550 5.1.1 no such user",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    assert!(text.is_ascii() && !text.contains("8bit"));
    assert_eq!(String::from_utf8(c.tail).unwrap(), "\n--=_1.000002.3.4.0000000000000005.b1--\n");
}

#[test]
fn what_peers_say_cannot_break_out() {
    let long = "word ".repeat(400) + &"x".repeat(5000);
    let e = envelope("me@here.example", "", &[("you@far.example", "")]);
    let (_, text) = compose(&e, Kind::Bounce, None, &failure(&long), false);
    assert!(text.lines().all(|l| l.len() <= 998));
    assert!(Line::new("550 no\r\nAction: delivered").is_none(), "an outcome cannot hold a line break");
    let (_, text) = compose(&e, Kind::Bounce, None, &failure("550 --=_1.000002.3.4.0000000000000005.b1--"), false);
    assert!(!text.lines().any(|l| l == "--=_1.000002.3.4.0000000000000005.b1--"));
}

#[test]
fn how_much_is_returned() {
    let content = |ret: &str, size: u64, kind: Kind| {
        let mut e = envelope("me@x", ret, &[("y@z", "")]);
        e.size = size;
        compose(&e, kind, None, &failure("no"), false).0.content
    };
    assert_eq!(content("", 1000, Kind::Bounce), Content::Full);
    assert_eq!(content("", 1001, Kind::Bounce), Content::Headers);
    assert_eq!(content("RET=HDRS", 10, Kind::Bounce), Content::Headers);
    assert_eq!(content("RET=FULL", 10_000, Kind::Bounce), Content::Full);
    assert_eq!(content("RET=FULL", 10_001, Kind::Bounce), Content::Headers);
    assert_eq!(content("RET=FULL", 10, Kind::Delay), Content::Headers);
    assert_eq!(content("RET=FULL", 10, Kind::Success), Content::Headers);
}

#[test]
fn aliases_show_addresses_but_not_commands() {
    let e = envelope("me@x", "", &[("list@here", "")]);
    let to = |kind, value: &str| Resolved { kind, value: Line::new(value).unwrap() };
    let (_, text) = compose(&e, Kind::Bounce, Some(&to(To::Remote, "you@far")), &failure("no"), false);
    assert!(text.contains("Final-Recipient: rfc822; you@far\n") && text.contains("  <you@far> (for <list@here>)\n"));
    let (_, text) = compose(&e, Kind::Bounce, Some(&to(To::Pipe, "/secret/script")), &failure("no"), false);
    assert!(text.contains("Final-Recipient: rfc822; list@here\n") && !text.contains("secret"));
}

#[test]
fn delay_and_success_reports() {
    let e = envelope("me@x", "", &[("y@z", "NOTIFY=SUCCESS,DELAY")]);
    let later = outcome(Verdict::Later, Action::None, "4.4.1", None, "connection timed out");
    let (_, text) = compose(&e, Kind::Delay, None, &later, false);
    for part in [
        "Action: delayed\n",
        "Status: 4.4.1\n",
        "Will-Retry-Until: ",
        "Diagnostic-Code: x-pennypost; connection timed out\n",
    ] {
        assert!(text.contains(part), "{part}");
    }
    for (action, word) in
        [(Action::Delivered, "delivered"), (Action::Relayed, "relayed"), (Action::Expanded, "expanded")]
    {
        let done = outcome(Verdict::Done, action, "2.0.0", None, "ok");
        let (_, text) = compose(&e, Kind::Success, None, &done, false);
        assert!(text.contains(&format!("Action: {word}\n")) && text.contains("Content-Type: text/rfc822-headers\n"));
    }
}

#[test]
fn internationalised_reports() {
    let e = envelope("jos\u{e9}@ex\u{e4}mple.test", "SMTPUTF8", &[("\u{fc}@z", "")]);
    let (c, text) = compose(&e, Kind::Bounce, None, &failure("550 n\u{f6}"), true);
    for part in
        ["message/global-delivery-status\n", "Content-Type: message/global\n", "Final-Recipient: utf-8; \u{fc}@z\n"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(c.envelope.sender.params, params("BODY=8BITMIME SMTPUTF8"));
    // a plain sender gets a plain report, with the address in its ASCII form
    let e = envelope("me@x", "", &[("\u{fc}@z", "")]);
    let (c, text) = compose(&e, Kind::Bounce, None, &failure("550 n\u{f6}"), false);
    assert!(text.is_ascii() && text.contains("Final-Recipient: utf-8; \\x{FC}@z\n"), "{text}");
    assert!(c.envelope.sender.params.is_empty());
}

#[test]
fn eight_bit_originals_make_eight_bit_reports() {
    let e = envelope("me@x", "BODY=8BITMIME", &[("y@z", "")]);
    let (c, text) = compose(&e, Kind::Bounce, None, &failure("no"), true);
    assert_eq!(c.envelope.sender.params, params("BODY=8BITMIME"));
    assert_eq!(text.matches("Content-Transfer-Encoding: 8bit\n").count(), 2);
}

#[test]
fn double_bounces_go_to_the_postmaster() {
    let e = envelope("", "", &[("gone@x", "")]);
    let (c, text) = compose(&e, Kind::Bounce, None, &failure("no"), false);
    assert_eq!(c.envelope.recipients[0].address.as_str(), "postmaster@example.test");
    assert!(text.contains("Subject: Undeliverable report\n") && c.envelope.is_null_sender());
}

#[test]
fn who_wants_what() {
    let e = envelope(
        "me@x",
        "",
        &[
            ("d@z", ""),
            ("never@z", "NOTIFY=NEVER"),
            ("all@z", "NOTIFY=SUCCESS,FAILURE,DELAY"),
            ("s@z", "NOTIFY=SUCCESS"),
        ],
    );
    let mut state = State::default();
    let at = |n| Target { rcpt: n, result: 0 };
    let put = |state: &mut State, o: Outcome| (0..4).for_each(|n| state.record(at(n), o.clone()));
    put(&mut state, outcome(Verdict::Later, Action::None, "4.0.0", None, ""));
    assert_eq!(due(Kind::Delay, &e, &state), [at(0), at(2)]);
    assert!(due(Kind::Bounce, &e, &state).is_empty());
    let mut failed = state.clone();
    put(&mut failed, failure("no"));
    assert_eq!(due(Kind::Bounce, &e, &failed), [at(0), at(2)]);
    let null = envelope("", "", &[("a@z", ""), ("b@z", ""), ("c@z", ""), ("d@z", "NOTIFY=NEVER")]);
    assert_eq!(due(Kind::Bounce, &null, &failed).len(), 4, "owed to the postmaster");
    assert!(due(Kind::Delay, &null, &state).is_empty());
    let mut done = state.clone();
    put(&mut done, outcome(Verdict::Done, Action::Relayed, "2.0.0", None, ""));
    assert_eq!(due(Kind::Success, &e, &done), [at(2), at(3)]);
    put(&mut state, outcome(Verdict::Done, Action::Passed, "2.0.0", None, ""));
    assert!(due(Kind::Success, &e, &state).is_empty(), "the next host reports");
}
