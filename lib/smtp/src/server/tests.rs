use super::*;
use penny_addr::Charset;

/// Plays a conversation in pieces of `cut` octets against an application that says yes, and gives the reply codes,
/// the messages and the whole output.
struct Played {
    codes: String,
    messages: Vec<(Vec<u8>, Content)>,
    output: String,
    closed: bool,
}

fn offer() -> Offer {
    Offer {
        smtputf8: true,
        dsn: true,
        chunking: true,
        binarymime: true,
        starttls: true,
        auth: vec!["PLAIN".into()],
        rcpt_max: 1000,
        ..Offer::default()
    }
}

fn play_with(input: &[u8], cut: usize, settings: Settings) -> Played {
    let mut machine = Machine::new(settings, offer(), false);
    let mut played = Played { codes: String::new(), messages: vec![], output: String::new(), closed: false };
    let mut sink = Vec::new();
    for mut part in input.chunks(cut) {
        loop {
            let (used, step) = machine.step(part, &mut sink);
            part = &part[used..];
            match step {
                Step::NeedInput => break,
                Step::Closed => {
                    played.closed = true;
                    break;
                }
                Step::Reset => sink.clear(),
                Step::ContentEnd(facts) => {
                    let bad = facts.problem.map(Machine::problem_reply);
                    if bad.is_none() {
                        played.messages.push((std::mem::take(&mut sink), facts));
                    }
                    sink.clear();
                    machine.answer(bad.unwrap_or_else(|| Reply::new(250, "2.0.0", "queued")));
                }
                Step::Request(request) => say_yes(&mut machine, request),
            }
        }
    }
    played.output = String::from_utf8(machine.take_output()).unwrap();
    let last_lines = played.output.lines().filter(|line| line.as_bytes().get(3) == Some(&b' '));
    played.codes = last_lines.map(|line| &line[..3]).collect::<Vec<_>>().join(" ");
    played
}

fn say_yes(machine: &mut Machine, request: Request) {
    let reply = match request {
        Request::Hello(..) => return machine.accept_hello("greets you"),
        Request::Data | Request::Chunk => Reply::plain(354, "go on"),
        Request::Rcpt(path, _) if path.to_string().starts_with("<no") => Reply::new(550, "5.1.1", "unknown"),
        Request::Auth(_, None) => Reply::plain(334, ""),
        Request::Auth(..) | Request::AuthResponse(_) => Reply::new(235, "2.7.0", "welcome"),
        Request::AuthAbort(_) => Reply::new(501, "5.7.0", "cancelled"),
        Request::Quit => Reply::new(221, "2.0.0", "bye"),
        Request::Vrfy(_) => Reply::new(252, "2.5.2", "try it"),
        Request::StartTls => Reply::new(454, "4.7.0", "no TLS in this test"),
        _ => Reply::new(250, "2.1.0", "OK"),
    };
    machine.answer(reply);
}

fn play(input: &[u8]) -> Played {
    let whole = play_with(input, input.len().max(1), Settings::default());
    for cut in 1..input.len().min(40) {
        let other = play_with(input, cut, Settings::default());
        assert_eq!((&other.output, &other.messages), (&whole.output, &whole.messages), "cut {cut}");
    }
    whole
}

const START: &str = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

fn with_data(content: &[u8]) -> Vec<u8> {
    [START.as_bytes(), b"DATA\r\n", content].concat()
}

#[test]
fn a_message_in_one_write_and_in_every_cut() {
    let played = play(&with_data(b"Subject: x\r\n\r\n..dot\r\nend\r\n.\r\nQUIT\r\n"));
    assert_eq!(played.codes, "250 250 250 354 250 221");
    let (message, facts) = &played.messages[0];
    assert_eq!(message, b"Subject: x\n\n.dot\nend\n");
    assert_eq!((facts.size, facts.wire_size, facts.eight_bit), (21, 25, false));
    assert!(played.closed);
}

/// The eleven fake ends of research on SMTP smuggling (CVE-2023-51764 and kin), then a second message: at most one
/// message, and none here, since each form holds a bare CR, bare LF or NUL.
#[test]
fn eleven_fake_ends_of_data() {
    let fakes: [&[u8]; 11] = [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r\n.\0\r\n",
        b"\r\n.\r\r\n",
        b"\r.\r",
        b"\r.\n",
        b"\n.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\n\0.\r\n",
    ];
    for fake in fakes {
        let smuggled = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n";
        let played = play(&with_data(&[b"Subject: a\r\n\r\nfirst".as_slice(), fake, smuggled].concat()));
        assert_eq!(played.codes, "250 250 250 354 554 221", "{fake:?}");
        assert!(played.messages.is_empty(), "{fake:?}");
        let settings = Settings {
            policy: Policy { bare: BarePolicy::Normalise, ..Policy::default() },
            quirk_bare_lf: true,
            ..Settings::default()
        };
        let input = with_data(&[b"Subject: a\r\n\r\nfirst".as_slice(), fake, smuggled].concat());
        let quirk = play_with(&input, 3, settings);
        assert_eq!(quirk.codes, "250 250 250 354 250 221", "{fake:?}");
        let message = &quirk.messages[0].0;
        assert!(!message.contains(&b'\r') && !message.contains(&0), "{fake:?}");
        assert!(message.ends_with(b"evil\n"), "{fake:?}");
    }
}

#[test]
fn the_empty_message_and_dots() {
    for (content, message) in [
        (&b".\r\n"[..], &b""[..]),
        (b"\r\n.\r\n", b"\n"),
        (b"..\r\n.\r\n", b".\n"),
        (b"...\r\n.a\r\n.\r\n", b"..\na\n"),
        (b"a\r\n.\r\n", b"a\n"),
        (b"\xff\r\n.\r\n", b"\xff\n"),
    ] {
        assert_eq!(play(&with_data(content)).messages[0].0, message, "{content:?}");
    }
}

#[test]
fn order_of_commands() {
    for (input, codes) in [
        ("MAIL FROM:<a@b>\r\n", "503"),
        ("EHLO x\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 503 503"),
        ("EHLO x\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n", "250 250 503"),
        ("EHLO x\r\nMAIL FROM:<a@b>\r\nDATA\r\n", "250 250 503"),
        ("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<no@b>\r\nDATA\r\n", "250 250 550 554"),
        ("EHLO x\r\nMAIL FROM:<a@b>\r\nRSET\r\nRCPT TO:<a@b>\r\n", "250 250 250 503"),
        ("EHLO x\r\nMAIL FROM:<a@b>\r\nEHLO x\r\nRCPT TO:<a@b>\r\n", "250 250 250 503"),
        ("EHLO x\r\nMAIL FROM:<a@b>\r\nAUTH PLAIN AAAA\r\n", "250 250 503"),
        ("EHLO x\r\nAUTH PLAIN AAAA\r\nAUTH PLAIN AAAA\r\n", "250 235 503"),
        ("EHLO x\r\nAUTH PLAIN\r\nAAAA\r\nNOOP\r\n", "250 334 235 250"),
        ("EHLO x\r\nAUTH PLAIN\r\n*\r\nNOOP\r\n", "250 334 501 250"),
        ("EHLO x\r\nAUTH PLAIN\r\n***\r\nNOOP\r\n", "250 334 501 250"),
        ("EHLO x\r\nAUTH CRAM-MD5\r\n", "250 504"),
        ("LHLO x\r\n", "500"),
        ("HELO x\r\nVRFY a\r\nEXPN l\r\nHELP\r\nETRN x\r\nXCLIENT NAME=x\r\n", "250 252 250 214 502 550"),
        ("GET / HTTP/1.1\r\nHost: x\r\n", "521"),
        ("FOO\r\n\r\n \r\n", "500 500 500"),
    ] {
        assert_eq!(play(input.as_bytes()).codes, codes, "{input:?}");
    }
}

#[test]
fn commands_that_are_refused() {
    for (line, code) in [
        ("MAIL FROM:a@b", "501"),
        ("MAIL FROM:<a@b> FOO=BAR", "555"),
        ("MAIL FROM:<a@b> SIZE=99999999999999999999", "552"),
        ("MAIL FROM:<a@b> HOLDFOR=5", "555"),
        ("MAIL FROM:<ü@b>", "553"),
        ("MAIL FROM:<a\0@b>", "500"),
        ("MAIL FROM:<a\rb@b>", "500"),
        ("MAIL FROM:<a@b> AUTH=", "501"),
        ("MAIL <a@b>", "501"),
        ("DATA foo", "501"),
        ("RSET x", "501"),
        ("QUIT x", "501"),
        ("VRFY", "501"),
        ("EHLO", "501"),
        ("EHLO ü", "501"),
        ("EHLO a b", "501"),
        ("AUTH", "501"),
        ("AUTH PLAIN a", "501"),
        ("AUTH PLAIN ab", "501"),
        ("AUTH PLAIN abc", "501"),
        ("AUTH PLAIN a=bc", "501"),
        ("AUTH PLAIN AAAA BBBB", "501"),
        ("RCPT TO:<-froot@mx>", "503"),
    ] {
        let settings = Settings { policy: Policy { size_max: 1 << 40, ..Policy::default() }, ..Settings::default() };
        let played = play_with(format!("EHLO x\r\n{line}\r\n").as_bytes(), 7, settings);
        assert_eq!(played.codes, format!("250 {code}"), "{line:?}");
    }
    let long = format!("EHLO x\r\nMAIL FROM:<a@b> {}\r\nNOOP\r\n", "x".repeat(3000));
    assert_eq!(play(long.as_bytes()).codes, "250 500 250");
    assert_eq!(play(&[b'x'; 70_000]).codes, "500");
    assert_eq!(play(b"NOOP\nNOOP\r\n").codes, "500 250");
}

#[test]
fn smtputf8_opens_the_character_set_for_the_transaction() {
    let input =
        "EHLO x\r\nMAIL FROM:<ü@b> SMTPUTF8\r\nRCPT TO:<ö@ä.example>\r\nRSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ö@d>\r\n";
    assert_eq!(play(input.as_bytes()).codes, "250 250 250 250 250 553");
    let command = parse("MAIL FROM:<ü@b> SMTPUTF8".as_bytes(), Charset::Ascii).unwrap();
    assert!(matches!(command, Command::Mail(_, params) if params.smtputf8));
}

/// RFC 3030 4.2 shows this exchange: chunks, a CRLF cut in two, LAST of size 0.
#[test]
fn chunks() {
    let played = play(&[START.as_bytes(), b"BDAT 5\r\na\r\nb\rBDAT 3\r\n\n.\rBDAT 1 LAST\r\n\nQUIT\r\n"].concat());
    assert_eq!(played.codes, "250 250 250 250 250 250 221");
    assert_eq!(played.messages[0].0, b"a\nb\n.\n");
    let last = play(&[START.as_bytes(), b"BDAT 3\r\na\r\nBDAT 0 LAST\r\nNOOP\r\n"].concat());
    assert_eq!((last.codes.as_str(), last.messages[0].0.as_slice()), ("250 250 250 250 250 250", &b"a\n"[..]));
    let open = play(&[START.as_bytes(), b"BDAT 1 LAST\r\nx"].concat());
    assert_eq!((open.messages[0].0.as_slice(), open.messages[0].1.wire_size), (&b"x\n"[..], 3));
}

#[test]
fn binary_chunks_are_left_alone() {
    let start = "EHLO x\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\n";
    let played = play(&[start.as_bytes(), b"DATA\r\nBDAT 6 LAST\r\n\r\n\0\n\r."].concat());
    assert_eq!(played.codes, "250 250 250 503 250");
    assert_eq!(played.messages[0].0, b"\r\n\0\n\r.");
}

#[test]
fn chunks_that_are_refused() {
    for (input, codes) in [
        ("EHLO x\r\nBDAT 6\r\nQUIT\r\nNOOP\r\n", "250 503 250"),
        ("EHLO x\r\nMAIL FROM:<a@b>\r\nBDAT 6 LAST\r\nQUIT\r\nRCPT TO:<c@d>\r\n", "250 250 503 503"),
        ("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2\r\n\r\rDATA\r\n", "250 250 250 554 503"),
        (
            "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2\r\n\r\nDATA\r\nRCPT TO:<c@d>\r\n",
            "250 250 250 250 503 503",
        ),
        ("EHLO x\r\nBDAT -1 LAST\r\nNOOP\r\n", "250 521"),
        ("EHLO x\r\nBDAT 18446744073709551616 LAST\r\nNOOP\r\n", "250 552"),
        ("EHLO x\r\nBDAT 999999999999999999999 LAST\r\nNOOP\r\n", "250 521"),
        ("EHLO x\r\nBDAT\r\nNOOP\r\n", "250 521"),
        ("EHLO x\r\nBDAT 1 LAST x\r\nNOOP\r\n", "250 521"),
    ] {
        assert_eq!(play(input.as_bytes()).codes, codes, "{input:?}");
    }
}

#[test]
fn limits_hold() {
    let small = Settings {
        policy: Policy { size_max: 20, line_max: 12, ..Policy::default() },
        rcpt_max: 2,
        mail_max: 1,
        errors_max: 3,
        junk_max: 2,
        ..Settings::default()
    };
    let codes = |input: &[u8]| play_with(input, 5, small.clone()).codes;
    assert_eq!(codes(&with_data(b"0123456789\r\n0123456\r\n.\r\n")), "250 250 250 354 552");
    assert_eq!(codes(&with_data(b"0123456789\r\n012345\r\n.\r\n")), "250 250 250 354 250");
    assert_eq!(codes(&with_data(b"01234567890\r\n.\r\n")), "250 250 250 354 554");
    assert_eq!(
        codes(&[START.as_bytes(), b"BDAT 21 LAST\r\n0123456789\r\n0123456\r\nNOOP\r\n"].concat()),
        "250 250 250 552 250"
    );
    assert_eq!(codes(&[START.as_bytes(), b"RCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\n"].concat()), "250 250 250 250 452");
    assert_eq!(codes(&[&with_data(b"a\r\n.\r\n"), START.as_bytes()].concat()), "250 250 250 354 250 250 451 503");
    assert_eq!(codes(b"A\r\nB\r\nC\r\nNOOP\r\n"), "500 500 500 421");
    assert_eq!(codes(b"NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"), "250 250 250 250 421");
}

#[test]
fn lmtp_answers_each_recipient() {
    let settings = Settings { role: Role::Lmtp, ..Settings::default() };
    let mut machine = Machine::new(settings, offer(), false);
    let mut sink = Vec::new();
    let input = b"EHLO x\r\nLHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@b>\r\nDATA\r\nx\r\n.\r\nDATA\r\n";
    let mut rest = &input[..];
    loop {
        let (used, step) = machine.step(rest, &mut sink);
        rest = &rest[used..];
        match step {
            Step::ContentEnd(_) => {
                assert_eq!(machine.recipients(), 2);
                machine.answer_each(&[Reply::new(250, "2.1.5", "a"), Reply::new(452, "4.2.2", "full")]);
            }
            Step::Request(request) => say_yes(&mut machine, request),
            _ => break,
        }
    }
    let output = String::from_utf8(machine.take_output()).unwrap();
    let tail: Vec<&str> = output.lines().rev().take(3).collect();
    assert_eq!(tail, ["503 5.5.1 MAIL first", "452 4.2.2 full", "250 2.1.5 a"]);
}

#[test]
fn ehlo_announces_what_is_offered() {
    let output = play(b"EHLO x\r\n").output;
    for keyword in
        ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME", "AUTH PLAIN", "LIMITS RCPTMAX=1000"]
    {
        assert!(output.lines().any(|line| &line[4..] == keyword), "{keyword}");
    }
    assert!(!output.contains("REQUIRETLS") && !output.contains("FUTURERELEASE") && !output.contains("XCLIENT"));
    assert!(!play(b"HELO x\r\n").output.contains("PIPELINING"));
}

#[test]
fn a_refused_session_leaves_only_quit() {
    let mut machine = Machine::new(Settings::default(), offer(), false);
    machine.greet(&Reply::new(554, "5.7.1", "go away"));
    let (_, step) = machine.step(b"EHLO x\r\nQUIT\r\n", &mut Vec::new());
    assert_eq!(step, Step::Request(Request::Quit));
    assert_eq!(machine.take_output(), b"554 5.7.1 go away\r\n503 5.5.1 only QUIT is allowed\r\n");
}
