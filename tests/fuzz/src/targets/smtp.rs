//! The SMTP server machine, content decoders, BINARYMIME, client side, addresses, milter packets, SASL exchanges.

use crate::Target;
use penny_addr::{Charset, Domain, ForwardPath, MailParams, Mailbox, RcptParams, ReversePath};
use penny_sasl::{Exchange, Mechanism, Next, Password, Secret};
use penny_smtp::client::{DataEncoder, ReplyParser, wire_len};
use penny_smtp::milter;
use penny_smtp::server::{Content, Machine, Offer, Reply, Request, Role, Settings, Step, recode};

pub const TARGETS: &[Target] = &[
    Target { name: "smtp-server", run: server, seeds: &[
        b"EHLO x\r\nMAIL FROM:<a@b> BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<c@d> NOTIFY=NEVER\r\nDATA\r\nA: b\r\n\r\n..\r\n.\r\nQUIT\r\n",
        b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\na\r\nBDAT 2 LAST\r\n\r\nAUTH PLAIN\r\nAAAA\r\nRSET\r\nSTARTTLS\r\n",
        b"EHLO x\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\nBDAT 4 LAST\r\n\0\r\n.XCLIENT ADDR=1.2.3.4\r\n\n.\r\n",
    ] },
    Target { name: "smtp-encode", run: encode, seeds: &[b"a\n.\n..b\r\n\rc", b".\n"] },
    Target { name: "smtp-reply", run: reply, seeds: &[b"250-mx\r\n250-SIZE 5\r\n250 2.0.0 HELP\r\n550 5.1.1 no\r\n"] },
    Target { name: "binarymime", run: binarymime, seeds: &[
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\np\r\n--b\r\n\r\n\0\n\r\n--b--\r\ne\r\n",
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\nA: b\r\n\r\n\xff\n",
    ] },
    Target { name: "addresses", run: addresses, seeds: &[
        b"<\"a b\"@x.example> SIZE=5 AUTH=a+3Db@c RET=HDRS ENVID=q BY=5;RT HOLDUNTIL=2026-01-01T00:00:00Z MT-PRIORITY=-3",
        "<@a,@b:ü@bücher.example> ORCPT=utf-8;\\x{FC}@x NOTIFY=SUCCESS,DELAY".as_bytes(), b"<a@[IPv6:::1]>",
    ] },
    Target { name: "milter", run: milter_packets, seeds: &[b"\0\0\0\x09hX-A\0b\nc\0", b"\0\0\0\x0ey550 5.7.1 no\0", b"\0\0\0\x08i\0\0\0\x01A\0b"] },
    Target { name: "sasl", run: sasl, seeds: &[
        b"\0u\0p", b"n,,n=user,r=abc", b"c=biws,r=abcxyz,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        b"n,a=u,\x01auth=Bearer x\x01\x01", b"user=u\x01auth=Bearer x\x01\x01",
    ] },
    Target { name: "passwords", run: passwords, seeds: &[
        b"{PLAIN}x", b"{SCRAM-SHA-256}1,c2FsdA==,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        b"$6$rounds=1000$a$b", b"$2a$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    ] },
];

/// Plays the input in pieces against an application that says yes.
fn play(input: &[u8], cut: usize) -> (Vec<u8>, Vec<(Vec<u8>, Content)>) {
    let offer = Offer {
        size: 1000, smtputf8: true, dsn: true, chunking: true, binarymime: true, auth: vec!["PLAIN".into()], starttls: true,
        requiretls: true, hold_max: 9, deliverby: Some(0), mt_priority: true, xclient: vec!["ADDR"], ..Offer::default()
    };
    let mut settings = Settings { role: Role::Mx, rcpt_max: 5, ..Settings::default() };
    settings.policy.size_max = 1000;
    let mut machine = Machine::new(settings, offer, false);
    let (mut sink, mut messages) = (Vec::new(), Vec::new());
    for mut part in input.chunks(cut) {
        loop {
            let (used, step) = machine.step(part, &mut sink);
            part = &part[used..];
            let reply = match step {
                Step::NeedInput | Step::Closed => break,
                Step::Reset => {
                    sink.clear();
                    continue;
                }
                Step::ContentEnd(facts) => {
                    if facts.problem.is_none() {
                        messages.push((sink.clone(), facts));
                    }
                    sink.clear();
                    Reply::new(250, "2.0.0", "queued")
                }
                Step::Request(Request::Hello(..)) => {
                    sink.clear(); // a greeting gives up the transaction, chunks that came included
                    machine.accept_hello("hello");
                    continue;
                }
                Step::Request(Request::Data | Request::Chunk) => Reply::plain(354, "go on"),
                Step::Request(Request::Auth(..)) => Reply::plain(334, ""),
                Step::Request(Request::AuthAbort(_)) => Reply::new(501, "5.7.0", "no"),
                Step::Request(Request::StartTls) => Reply::new(454, "4.7.0", "no"),
                Step::Request(Request::Quit) => Reply::new(221, "2.0.0", "bye"),
                Step::Request(_) => Reply::new(250, "2.0.0", "yes"),
            };
            machine.answer(reply);
        }
    }
    (machine.take_output(), messages)
}

/// Split invariance; replies are lines; text messages hold LF as the only line end and no NUL.
fn server(input: &[u8]) {
    let whole = play(input, input.len().max(1));
    for cut in [1, 2, 3, 7] {
        assert!(play(input, cut) == whole, "cut {cut}");
    }
    let output = String::from_utf8(whole.0).expect("replies are ASCII");
    for line in output.split_inclusive("\r\n") {
        assert!(line.ends_with("\r\n") && line.len() <= 512 && line[..3].bytes().all(|b| b.is_ascii_digit()), "{line:?}");
    }
    let binary = input.windows(10).any(|w| w.eq_ignore_ascii_case(b"BINARYMIME"));
    for (message, facts) in whole.1 {
        assert_eq!(message.len() as u64, facts.size);
        assert!(binary || !message.iter().any(|b| matches!(b, b'\r' | 0)));
    }
}

/// Nothing but CRLF, one end, and the announced length.
fn encode(input: &[u8]) {
    let mut encoder = DataEncoder::data();
    let mut out = Vec::new();
    input.chunks(3).for_each(|piece| encoder.push(piece, &mut out));
    encoder.finish(&mut out);
    let ends = out.windows(5).filter(|w| w == b"\r\n.\r\n").count() + usize::from(out.starts_with(b".\r\n"));
    assert_eq!(ends, 1);
    for (at, b) in out.iter().enumerate() {
        assert!(*b != b'\n' || out[at - 1] == b'\r');
        assert!(*b != b'\r' || out.get(at + 1) == Some(&b'\n'));
    }
    let mut chunk = Vec::new();
    let mut encoder = DataEncoder::bdat();
    encoder.push(input, &mut chunk);
    encoder.finish(&mut chunk);
    assert_eq!(chunk.len() as u64, wire_len(input));
}

fn reply(input: &[u8]) {
    let mut parser = ReplyParser::new();
    let mut rest = input;
    while let Ok((used, Some(reply))) = parser.feed(rest) {
        assert!(!reply.to_string().chars().any(char::is_control));
        rest = &rest[used..];
    }
}

fn binarymime(input: &[u8]) {
    if let Ok(out) = recode(input) {
        assert!(!out.iter().any(|b| matches!(b, b'\r' | 0)) && out.ends_with(b"\n"));
    }
}

/// What a value writes reads back as the same value, and holds no control character.
fn addresses(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for charset in [Charset::Ascii, Charset::Utf8] {
        if let Ok((path, rest)) = ReversePath::take(text, charset) {
            let written = path.to_string();
            assert!(!written.chars().any(char::is_control));
            assert_eq!(ReversePath::parse(&written, charset), Ok(path));
            if let Ok(params) = MailParams::parse(rest, charset) {
                assert_eq!(MailParams::parse(&params.to_string(), charset), Ok(params));
            }
            if let Ok(params) = RcptParams::parse(rest, charset) {
                assert_eq!(RcptParams::parse(&params.to_string(), charset), Ok(params));
            }
        }
        if let Ok((path, _)) = ForwardPath::take(text, charset) {
            assert_eq!(ForwardPath::parse(&path.to_string(), charset), Ok(path));
        }
        if let Ok(mailbox) = Mailbox::parse(text, charset) {
            assert_eq!(Mailbox::parse_any(&mailbox.exact()).map(|m| m.exact()), Ok(mailbox.exact()));
            assert_eq!(mailbox.folded().to_lowercase(), mailbox.folded().to_lowercase());
        }
        if let Ok(domain) = Domain::parse(text, charset) {
            assert_eq!(Domain::parse(domain.ascii(), charset), Ok(domain));
        }
    }
}

fn milter_packets(input: &[u8]) {
    let mut rest = input;
    while let Ok(Some((used, answer))) = milter::decode(rest) {
        if let milter::Answer::Change(change) = answer {
            let mut changes = milter::Changes::default();
            changes.push(change);
            let out = milter::apply(b"A: b\n\n", b"c\n", &changes);
            assert!(!out.contains(&b'\r') && !out.contains(&0));
        }
        rest = &rest[used..];
    }
}

fn sasl(input: &[u8]) {
    for mechanism in Mechanism::ALL {
        let mut exchange = Exchange::start(mechanism, vec![], true);
        let mut next = exchange.step(input);
        if let Next::Keys(user) = &next {
            assert!(!user.chars().any(char::is_control));
            let keys = Password::parse("{PLAIN}x").and_then(|p| p.scram(b"salt")).expect("keys");
            exchange.keys(keys, "nonce");
            next = exchange.step(input);
        }
        if let Next::Password { user, .. } | Next::Token { user, .. } | Next::Done { user, .. } = next {
            assert!(!user.is_empty() && !user.chars().any(char::is_control));
        }
    }
}

fn passwords(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // costly settings are somebody's own; here they would only take time
    let costly = ["$argon2", "rounds=", "$2a$", "$2b$", "$2y$", "$6$"].iter().any(|mark| text.contains(mark)) && text.len() > 90;
    if let Some(password) = Password::parse(text).filter(|_| !costly) {
        assert_eq!(password.verify(&Secret::new("")), Some(false));
        if text.starts_with("{PLAIN}") {
            let _ = password.verify(&Secret::new("x"));
        }
    }
}
