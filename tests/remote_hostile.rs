//! What `remote` makes of a host that misbehaves at each stage of the conversation: the right outcome, in time, as one clean
//! line, and nothing delivered that is not reported so.

use penny_testkit::{Output, Run, Sink, TempDir, program};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Where a host can go wrong, in order, as the fake host's script sees it.
const STAGES: [&str; 6] = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."];

/// A host that gives this reply at one stage; an empty one is a connection cut off.
fn host(stage: &'static str, reply: String, extensions: &[&str]) -> Sink {
    let is = move |line: &str| line == stage || line.strip_prefix(stage).is_some_and(|rest| rest.starts_with(' '));
    // a host without EHLO is asked with HELO: it goes wrong there too
    let helo = move |line: &str| stage == "EHLO" && line.starts_with("HELO");
    Sink::builder().extensions(extensions).script(move |l| (is(l) || helo(l)).then(|| reply.clone())).start()
}

fn send(sink: &Sink) -> Output {
    send_by(&plain(sink.port()), "100s", SMALL)
}

const SMALL: &[u8] = b"Subject: x\n\nbody\n";

/// The route to a host that is not asked for TLS.
fn plain(port: u16) -> String {
    format!("host 127.0.0.1 {port} 0 none")
}

fn send_by(route: &str, patience: &str, message: &[u8]) -> Output {
    let dir = TempDir::new();
    let state = dir.path().display();
    dir.write(
        "p.toml",
        format!("hostname = \"me.test\"\n[paths]\nstate = \"{state}\"\n[remote]\ntimeout = \"{patience}\"\n"),
    );
    let run = Run::new(program!("remote")).arg("-c").arg(dir.join("p.toml")).args(["-f", "s@x.test", "-r", route]);
    run.env("PENNYPOST_RESOLVER", "127.0.0.1:1").arg("a@far.test").stdin(message).run()
}

/// Every stage, with and without pipelining.
fn each(mut test: impl FnMut(&'static str, &[&str])) {
    for extensions in [&["PIPELINING"][..], &[]] {
        STAGES.iter().for_each(|stage| test(stage, extensions));
    }
}

#[test]
fn cut_off_at_every_stage() {
    each(|stage, extensions| {
        let sink = host(stage, String::new(), extensions);
        let out = send(&sink);
        assert_eq!(out.code, Some(75), "{stage} {extensions:?}: {}", out.describe());
        assert!(out.out().starts_with("later <a@far.test> 4.4."), "{stage}: {}", out.out());
    });
}

#[test]
fn put_off_at_every_stage() {
    each(|stage, extensions| {
        let sink = host(stage, "451 4.3.2 not now".into(), extensions);
        let out = send(&sink);
        assert_eq!(out.code, Some(75), "{stage} {extensions:?}: {}", out.describe());
        assert!(out.out().contains("4.3.2") && out.out().contains("not now"), "{stage}: {}", out.out());
        assert!(
            sink.mails().iter().all(|m| m.data.is_empty()),
            "an empty one ends a DATA that was granted all the same"
        );
    });
}

#[test]
fn refused_at_every_stage() {
    each(|stage, extensions| {
        let sink = host(stage, "554 5.7.1 we do not like you".into(), extensions);
        let out = send(&sink);
        // a host that turns us away before MAIL says nothing about the message: another of the domain may take it
        let code = if ["CONNECT", "EHLO"].contains(&stage) { 75 } else { 69 };
        assert_eq!(out.code, Some(code), "{stage} {extensions:?}: {}", out.describe());
        assert!(out.out().contains("we do not like you"), "{stage}: {}", out.out());
        assert!(
            sink.mails().iter().all(|m| m.data.is_empty()),
            "an empty one ends a DATA that was granted all the same"
        );
    });
}

#[test]
fn sent_away_at_every_stage() {
    each(|stage, extensions| {
        let sink = host(stage, "421 4.3.2 shutting down".into(), extensions);
        let out = send(&sink);
        assert_eq!(out.code, Some(75), "{stage} {extensions:?}: {}", out.describe());
    });
}

/// Replies that are none.
const GARBAGE: [&str; 6] = ["hello there", "2", "25O ok", "250\u{0}\u{0} x", "999 what", "250-a\r\n550 b"];

#[test]
fn garbage_at_every_stage() {
    let long = format!("250-{}\r\n250 x", "y".repeat(70_000));
    for reply in GARBAGE.into_iter().chain([long.as_str()]) {
        each(|stage, extensions| {
            let sink = host(stage, reply.to_owned(), extensions);
            let out = send(&sink);
            let text = out.out();
            // two codes in one reply: the last one may count, as may none
            let refusal = reply.contains("550 b") && out.code == Some(69);
            let taken = reply.starts_with("250") && out.code == Some(0);
            assert!(out.code == Some(75) || refusal || taken, "{reply:.20} at {stage}: {}", out.describe());
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
            assert!(text.len() < 5000, "{} octets", text.len());
        });
    }
}

/// What a host says at a stage, and how it ends where nothing was refused for good.
const TROUBLE: [(&str, &str); 4] = [
    ("", "later <a@far.test> 4.4.2"),
    ("451 4.3.2 not now", "later <a@far.test> 4.3.2"),
    ("421 4.3.2 shutting down", "later <a@far.test> 4.3.2"),
    ("hello there", "later <a@far.test> 4."),
];

/// With TLS as an option a host that has none to give is used without; where it is a must the mail waits.
#[test]
fn starttls_that_goes_wrong() {
    for reply in
        ["454 4.7.0 TLS not available", "554 5.7.0 go away", "421 4.3.2 shutting down", "", "hello there", "250 odd"]
    {
        for wish in ["may", "must"] {
            let sink = host("STARTTLS", reply.to_owned(), &["STARTTLS"]);
            let out = send_by(&format!("host 127.0.0.1 {} 0 {wish}", sink.port()), "100s", SMALL);
            // after a refusal the conversation goes on in clear, else a new one begins
            let code = if wish == "may" { 0 } else { 75 };
            assert_eq!(out.code, Some(code), "{reply:?} {wish}: {}", out.describe());
            assert!(wish == "may" || sink.mails().is_empty(), "{reply:?} {wish}: it went in clear");
        }
    }
}

#[test]
fn authentication_that_goes_wrong() {
    let refused = ("535 5.7.8 wrong password", "later <a@far.test> 4.7.8");
    for (reply, expected) in TROUBLE.into_iter().chain([refused, ("554 5.7.0 go away", "later <a@far.test> 4.7.0")]) {
        for mechanism in ["AUTH PLAIN", "AUTH LOGIN"] {
            let sink = host("AUTH", reply.to_owned(), &[mechanism]);
            let out = send_by(&format!("host 127.0.0.1 {} 0 none user secret", sink.port()), "100s", SMALL);
            assert!(out.out().starts_with(expected), "{reply:?} {mechanism}: {}", out.describe());
            assert_eq!((out.code, sink.lines().iter().any(|l| l.starts_with("MAIL"))), (Some(75), false), "{reply:?}");
        }
    }
}

#[test]
fn lmtp_at_every_stage() {
    for stage in ["CONNECT", "LHLO", "MAIL", "RCPT", "DATA", "."] {
        for (reply, expected) in TROUBLE.into_iter().chain([("554 5.7.1 no", "fail <a@far.test> 5.7.1")]) {
            let is = move |line: &str| line.split([' ', ':']).next() == Some(stage);
            let sink = Sink::builder().lmtp().script(move |l| is(l).then(|| reply.to_owned())).start();
            let out = send_by(&format!("lmtp 127.0.0.1:{} none", sink.port()), "100s", SMALL);
            // before MAIL nothing is said about the message
            let early = ["CONNECT", "LHLO"].contains(&stage) && reply.starts_with('5');
            let expected = if early { "later <a@far.test> 4.7.1" } else { expected };
            assert!(out.out().starts_with(expected), "{stage} {reply:?}: {}", out.describe());
        }
    }
}

#[test]
fn chunks_that_go_wrong() {
    let large = [b"Subject: x\n\n".to_vec(), b"0123456789abcde\n".repeat(150_000)].concat();
    for (stage, message) in [("BDAT", large.as_slice()), (".", large.as_slice()), (".", SMALL)] {
        for (reply, expected) in TROUBLE.into_iter().chain([("552 5.3.4 too much", "fail <a@far.test> 5.3.4")]) {
            for extensions in [&["CHUNKING", "PIPELINING"][..], &["CHUNKING"]] {
                let sink = host(stage, reply.to_owned(), extensions);
                let out = send_by(&plain(sink.port()), "100s", message);
                assert!(out.out().starts_with(expected), "{stage} {reply:?} {extensions:?}: {}", out.describe());
                assert!(stage == "." || sink.mails().is_empty(), "{reply:?}: {:?}", sink.lines());
            }
        }
    }
}

/// A host with the usual replies until its stage comes, which does what `at` does.
fn until_stage(stage: &'static str, at: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut command = "CONNECT".to_owned();
            loop {
                let (verb, reply) = match command.trim_end().split([' ', ':']).next().unwrap_or_default() {
                    "CONNECT" => ("CONNECT", "220 x"),
                    "EHLO" => ("EHLO", if stage == "BDAT" { "250-x\r\n250 CHUNKING" } else { "250 x" }),
                    "MAIL" => ("MAIL", "250 ok"),
                    "RCPT" => ("RCPT", "250 ok"),
                    "DATA" => ("DATA", "354 go on"),
                    "BDAT" => ("BDAT", "250 ok"),
                    _ => ("QUIT", "221 bye"),
                };
                if verb == stage {
                    break at(&mut stream);
                }
                if stream.write_all(format!("{reply}\r\n").as_bytes()).is_err() {
                    break;
                }
                if verb == "DATA" && stage == "." {
                    break at(&mut stream);
                }
                command.clear();
                if lines.read_line(&mut command).unwrap_or(0) == 0 {
                    break;
                }
            }
        }
    });
    port
}

/// Hosts that do this in place of an answer are left in time; all stages side by side, as most of the time is waiting.
fn no_answer_at_every_stage(at: impl Fn(&mut TcpStream) + Copy + Send + Sync + 'static) {
    std::thread::scope(|scope| {
        for stage in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ".", "BDAT"] {
            scope.spawn(move || {
                let port = until_stage(stage, at);
                let start = Instant::now();
                let out = send_by(&plain(port), "3s", SMALL);
                out.expect_code(75).expect_out("later <a@far.test> 4.4.2").expect_out("no answer in time");
                assert!(start.elapsed() < Duration::from_secs(60), "{stage}: {:?}", start.elapsed());
            });
        }
    });
}

#[test]
fn silent_at_every_stage() {
    no_answer_at_every_stage(|stream| drop(std::io::copy(stream, &mut std::io::sink())));
}

#[test]
fn slow_octets_at_every_stage() {
    no_answer_at_every_stage(|stream| {
        let octets = b"250-".iter().chain(std::iter::repeat(&b'x'));
        for octet in octets {
            if stream.write_all(&[*octet]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
}

/// A host that hangs up in the middle of the content: what it said before counts, silence means later, and the message goes
/// to no other host meanwhile.
#[test]
fn cut_off_within_the_content() {
    let large = [b"Subject: x\n\n".to_vec(), b"0123456789abcde\n".repeat(1 << 20)].concat();
    for (said, code, expected) in [
        ("", 75, "later <a@far.test> 4.4.2"),
        ("552 5.3.4 too much for us\r\n", 69, "fail <a@far.test> 5.3.4"),
        ("452 4.3.1 disk full\r\n", 75, "later <a@far.test> 4.3.1"),
    ] {
        for stage in [".", "BDAT"] {
            let port = until_stage(stage, move |stream| {
                let _ = stream.read(&mut [0; 10_000]);
                let _ = stream.write_all(said.as_bytes());
                let _ = stream.shutdown(std::net::Shutdown::Write);
                // not all of it, so that what is on its way is lost
                let _ = std::io::copy(&mut stream.take(3 << 20), &mut std::io::sink());
            });
            let out = send_by(&plain(port), "100s", &large);
            assert!(out.code == Some(code) && out.out().starts_with(expected), "{stage} {said:?}: {}", out.describe());
        }
    }
}
