//! What `remote` makes of a host that misbehaves at each stage of the conversation: the right outcome, in time, as one clean
//! line, and nothing delivered that is not reported so.

use penny_testkit::{Output, Run, Sink, TempDir, program};

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
    let dir = TempDir::new();
    let state = dir.path().display();
    dir.write("p.toml", format!("hostname = \"me.test\"\n[paths]\nstate = \"{state}\"\n[remote]\ntimeout = \"20s\"\n"));
    let route = format!("host 127.0.0.1 {} 0 none", sink.port());
    let run = Run::new(program!("remote")).arg("-c").arg(dir.join("p.toml")).args(["-f", "s@x.test", "-r", &route]);
    run.env("PENNYPOST_RESOLVER", "127.0.0.1:1").arg("a@far.test").stdin(b"Subject: x\n\nbody\n").run()
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

#[test]
fn garbage_at_every_stage() {
    let long = format!("250-{}\r\n250 x", "y".repeat(70_000));
    for reply in ["hello there", "2", "25O ok", "250\u{0}\u{0} x", "999 what", "250-a\r\n550 b", long.as_str()] {
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
