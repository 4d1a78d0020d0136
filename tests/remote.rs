//! remote by hand against fake hosts: outcomes, extensions, hostile peers, DNS.

use penny_testkit::{DnsServer, Output, Run, Sink, TempDir, program};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A configuration and a way to send.
struct Out {
    dir: TempDir,
    dns: Option<DnsServer>,
}

impl Out {
    fn new(remote_keys: &str) -> Out {
        let dir = TempDir::new();
        let state = dir.path().display();
        let head = format!("hostname = \"me.test\"\n[paths]\nstate = \"{state}\"");
        dir.write("p.toml", format!("{head}\n[remote]\n{remote_keys}\n"));
        Out { dir, dns: None }
    }

    /// For hosts that let one wait.
    fn impatient() -> Out {
        Out::new("timeout = \"2s\"")
    }

    fn with_dns(remote_keys: &str, zone: &str) -> Out {
        Out { dns: Some(DnsServer::new(zone)), ..Out::new(remote_keys) }
    }

    fn run(&self, route: Option<&str>, sender: &str, recipients: &[&str], message: &[u8]) -> Output {
        let mut run = Run::new(program!("remote")).arg("-c").arg(self.dir.join("p.toml")).args(["-f", sender]);
        if let Some(route) = route {
            run = run.args(["-r", route]);
        }
        // without a fake one nothing may be asked: an address at which nobody listens
        let resolver = self.dns.as_ref().map_or_else(|| "127.0.0.1:1".to_owned(), DnsServer::at);
        run.env("PENNYPOST_RESOLVER", resolver).args(recipients).stdin(message).run()
    }
}

const MESSAGE: &[u8] = b"From: a@x\nSubject: hi\n\n.dot\n..two\nlast";

fn host(port: u16) -> String {
    format!("host 127.0.0.1 {port} 0 none")
}

/// Sends one plain message to `sink` and gives the output.
fn send(sink: &Sink) -> Output {
    Out::new("").run(Some(&host(sink.port())), "s@x.test", &["a@far.test"], MESSAGE)
}

#[test]
fn a_message_arrives_as_it_is() {
    let sink = Sink::start();
    let out = send(&sink);
    out.expect_code(0).expect_out("done <a@far.test> 2.");
    let mail = &sink.mails()[0];
    assert_eq!(mail.helo, "me.test");
    assert_eq!(mail.mail, format!("MAIL FROM:<s@x.test> SIZE={}", MESSAGE.len() + 7));
    assert_eq!(mail.rcpts, ["RCPT TO:<a@far.test>"]);
    assert_eq!(mail.text(), "From: a@x\r\nSubject: hi\r\n\r\n.dot\r\n..two\r\nlast\r\n");
    assert!(mail.raw.windows(7).any(|w| w == b"\r\n..dot"), "dots are stuffed");
}

#[test]
fn stray_line_ends_cannot_smuggle() {
    for extensions in [&["PIPELINING"][..], &["CHUNKING"][..]] {
        let sink = Sink::builder().extensions(extensions).start();
        let out = Out::new("").run(
            Some(&host(sink.port())),
            "s@x.test",
            &["a@far.test"],
            b"A: b\n\nx\r.\r\n.\rMAIL FROM:<evil@x>\n\r\n.\r\r\nend\n",
        );
        out.expect_code(0);
        assert_eq!(sink.mails().len(), 1);
        let data = &sink.mails()[0].data;
        let lonely = data.iter().enumerate().any(|(n, b)| match b {
            b'\r' => data.get(n + 1) != Some(&b'\n'),
            b'\n' => n == 0 || data[n - 1] != b'\r',
            _ => false,
        });
        assert!(!lonely, "{data:?}");
    }
}

#[test]
fn each_recipient_has_its_own_answer() {
    for extensions in [&["PIPELINING"][..], &[][..], &["CHUNKING", "PIPELINING"][..]] {
        let sink = Sink::builder()
            .extensions(extensions)
            .script(|line| match line {
                l if l.contains("no@") => Some("550 5.1.1 no such user".into()),
                l if l.contains("later@") => Some("450-4.2.1 come\r\n450 4.2.1 back".into()),
                _ => None,
            })
            .start();
        let out = Out::new("").run(Some(&host(sink.port())), "s@x.test", &["ok@f", "no@f", "later@f"], MESSAGE);
        out.expect_code(75)
            .expect_out("done <ok@f> 2.")
            .expect_out("fail <no@f> 5.1.1 127.0.0.1 550 5.1.1 no such user")
            .expect_out("later <later@f> 4.2.1 127.0.0.1 450 4.2.1 come back");
        assert_eq!(sink.mails()[0].rcpts, ["RCPT TO:<ok@f>"]);
    }
}

#[test]
fn refusals_at_every_stage() {
    for (stage, reply, code, status) in [
        ("CONNECT", "554 5.7.1 go away", 75, "later <a@far.test> 4.7.1"),
        ("CONNECT", "421 4.3.2 busy", 75, "later <a@far.test> 4.3.2"),
        ("CONNECT", "521 5.3.2 no mail here", 69, "fail <a@far.test> 5.3.2"),
        ("MAIL", "550 5.7.1 not you", 69, "fail <a@far.test> 5.7.1"),
        ("MAIL", "451 4.7.1 later", 75, "later <a@far.test> 4.7.1"),
        ("MAIL", "421 4.3.2 closing", 75, "later <a@far.test> 4.3.2"),
        ("RCPT", "550 no", 69, "fail <a@far.test> 5.0.0"),
        ("RCPT", "421 4.7.0 enough", 75, "later <a@far.test> 4.7.0"),
        ("DATA", "554 5.6.0 no", 69, "fail <a@far.test> 5.6.0"),
        ("DATA", "451 4.3.0 no", 75, "later <a@far.test> 4.3.0"),
        ("DATA", "250 odd", 75, "later <a@far.test> 4.5.0"),
        (".", "554 5.7.1 spam", 69, "fail <a@far.test> 5.7.1"),
        (".", "452 4.3.1 full", 75, "later <a@far.test> 4.3.1"),
        (".", "354 what", 75, "later <a@far.test> 4.5.0"),
        // hanging up
        ("CONNECT", "", 75, "later <a@far.test> 4.4.2"),
        ("EHLO", "", 75, "later <a@far.test> 4.4.2"),
        ("MAIL", "", 75, "later <a@far.test> 4.4.2"),
        ("RCPT", "", 75, "later <a@far.test> 4.4.2"),
        ("DATA", "", 75, "later <a@far.test> 4.4.2"),
        (".", "", 75, "later <a@far.test> 4.4.2"),
    ] {
        for extensions in [&["PIPELINING"][..], &[][..]] {
            let sink = Sink::builder()
                .extensions(extensions)
                .script(move |line| (line.split([' ', ':']).next() == Some(stage)).then(|| reply.to_owned()))
                .start();
            let out = send(&sink);
            assert!(out.out().starts_with(status), "{stage} {reply:?} {extensions:?}: {}", out.describe());
            out.expect_code(code);
        }
    }
}

#[test]
fn old_and_small_servers() {
    let sink = Sink::builder().script(|l| l.starts_with("EHLO").then(|| "502 what?".into())).start();
    send(&sink).expect_code(0);
    assert!(sink.lines().contains(&"HELO me.test".to_owned()));
    assert_eq!(sink.mails()[0].mail, "MAIL FROM:<s@x.test>", "nothing was offered, nothing is used");

    let sink = Sink::builder().extensions(&["SIZE 10"]).start();
    send(&sink).expect_code(69).expect_out("fail <a@far.test> 5.3.4");
    assert!(!sink.lines().iter().any(|l| l.starts_with("MAIL")));
}

#[test]
fn parameters_go_to_those_who_know_them() {
    let all = ["PIPELINING", "DSN", "8BITMIME", "SMTPUTF8", "SIZE", "MT-PRIORITY", "DELIVERBY"];
    let sink = Sink::builder().extensions(&all).start();
    let route = host(sink.port());
    let sender = "s@x.test RET=HDRS ENVID=a+2Bb MT-PRIORITY=3 BY=1000;R";
    let recipient = "a@far.test NOTIFY=SUCCESS ORCPT=rfc822;o@x";
    Out::new("").run(Some(&route), sender, &[recipient], "A: b\n\nb\u{e9}\n".as_bytes()).expect_code(0);
    let mail = &sink.mails()[0];
    assert!(mail.mail.ends_with(" BODY=8BITMIME RET=HDRS ENVID=a+2Bb MT-PRIORITY=3 BY=1000;R"), "{}", mail.mail);
    assert_eq!(mail.rcpts, ["RCPT TO:<a@far.test> NOTIFY=SUCCESS ORCPT=rfc822;o@x"]);

    let sink = Sink::builder().extensions(&["PIPELINING"]).start();
    let route = host(sink.port());
    Out::new("").run(Some(&route), sender, &[recipient], MESSAGE).expect_code(0);
    assert_eq!(sink.mails()[0].mail, "MAIL FROM:<s@x.test>");
    assert_eq!(sink.mails()[0].rcpts, ["RCPT TO:<a@far.test>"]);
}

#[test]
fn internationalised_mail() {
    let with = Sink::builder().extensions(&["SMTPUTF8", "8BITMIME"]).start();
    let out = Out::new("").run(Some(&host(with.port())), "s@x.test SMTPUTF8", &["\u{fc}@far.test"], MESSAGE);
    out.expect_code(0);
    assert!(with.mails()[0].mail.contains(" SMTPUTF8"), "{}", with.mails()[0].mail);

    let without = Sink::start();
    let route = host(without.port());
    let out = Out::new("").run(Some(&route), "s@x.test SMTPUTF8", &["\u{fc}@far.test"], MESSAGE);
    out.expect_code(69).expect_out("5.6.7");
    let out = Out::new("").run(Some(&route), "s@x.test SMTPUTF8", &["u@f\u{fc}r.test"], MESSAGE);
    out.expect_code(0);
    assert_eq!(without.mails()[0].rcpts, ["RCPT TO:<u@xn--fr-xka.test>"], "a domain alone needs no SMTPUTF8");
    // a header that says its text in another way
    let message = "From: J\u{f6}rg <a@x.test>\nSubject: Gr\u{fc}\u{df}e\n\ntext\n".as_bytes();
    Out::new("").run(Some(&route), "s@x.test SMTPUTF8", &["u@far.test"], message).expect_code(0);
    let mail = &without.mails()[1];
    assert!(mail.data.is_ascii() && mail.text().contains("Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n"), "{}", mail.text());
    assert!(!mail.mail.contains("SMTPUTF8"), "{}", mail.mail);
    // and one that cannot
    let message = "From: j\u{f6}rg@x.test\nSubject: x\n\ntext\n".as_bytes();
    let out = Out::new("").run(Some(&route), "s@x.test SMTPUTF8", &["u@far.test"], message);
    out.expect_code(69).expect_out("5.6.7");
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let sink = Sink::builder()
        .lmtp()
        .script(|l| {
            l.starts_with(". ")
                .then(|| if l.contains("full@") { "452 4.2.2 full".into() } else { "250 2.1.5 ok".into() })
        })
        .start();
    let route = format!("lmtp 127.0.0.1:{} none", sink.port());
    let out = Out::new("").run(Some(&route), "s@x.test", &["a@f", "full@f", "b@f"], MESSAGE);
    out.expect_code(75).expect_out("done <a@f>").expect_out("later <full@f> 4.2.2").expect_out("done <b@f>");
    assert!(sink.lines()[0].starts_with("LHLO "));
}

#[test]
fn authentication_only_where_it_is_safe() {
    let sink = Sink::builder().extensions(&["AUTH LOGIN PLAIN"]).start();
    let route = format!("host 127.0.0.1 {} 0 may user secret", sink.port());
    Out::new("").run(Some(&route), "s@x.test", &["a@f"], MESSAGE).expect_code(0);
    assert_eq!(sink.mails()[0].auth.as_deref(), Some("AUTH PLAIN AHVzZXIAc2VjcmV0"));

    let sink = Sink::builder()
        .extensions(&["AUTH PLAIN"])
        .script(|l| l.starts_with("AUTH").then(|| "535 5.7.8 wrong".into()))
        .start();
    let route = format!("host 127.0.0.1 {} 0 may user secret", sink.port());
    let out = Out::new("").run(Some(&route), "s@x.test", &["a@f"], MESSAGE);
    out.expect_code(75).expect_out("4.7.8");
}

#[test]
fn tls_that_is_demanded_is_not_done_without() {
    let sink = Sink::start();
    let route = format!("host 127.0.0.1 {} 0 must", sink.port());
    let out = Out::new("").run(Some(&route), "s@x.test", &["a@f"], MESSAGE);
    out.expect_code(75).expect_out("later <a@f> 4.7.5");
    assert!(sink.mails().is_empty());
    let out = Out::new("").run(Some(&host(sink.port())), "s@x.test REQUIRETLS", &["a@f"], MESSAGE);
    out.expect_code(75).expect_out("4.7.5");
}

#[test]
fn mail_hosts_by_dns() {
    let sink = Sink::start();
    let zone = "
        far.test MX 10 dead.far.test
        far.test MX 20 mx.far.test
        dead.far.test A 127.0.0.77
        mx.far.test A 127.0.0.1
        implicit.test A 127.0.0.1
        null.test MX 0 .
        loop.test MX 10 me.test
        noaddr.test MX 10 nothing.far.test
        nothing.far.test TXT x
        alias.test CNAME far.test
        named.test MX 10 www.far.test
        www.far.test CNAME mx.far.test
        round.test CNAME about.test
        about.test CNAME round.test
        back.test MX 10 me2.test
        back.test MX 20 me.test
        me2.test TXT x
    ";
    let out = Out::with_dns(&format!("port = {}", sink.port()), zone);
    out.run(None, "s@x.test", &["a@far.test"], MESSAGE).expect_code(0).expect_out("mx.far.test");
    out.run(None, "s@x.test", &["a@implicit.test"], MESSAGE).expect_code(0);
    out.run(None, "s@x.test", &["a@[127.0.0.1]"], MESSAGE).expect_code(0);
    out.run(None, "s@x.test", &["a@null.test"], MESSAGE).expect_code(69).expect_out("fail <a@null.test> 5.1.10");
    out.run(None, "s@x.test", &["a@nowhere.test"], MESSAGE).expect_code(69).expect_out("5.1.2");
    out.run(None, "s@x.test", &["a@loop.test"], MESSAGE).expect_code(69).expect_out("5.4.6");
    out.run(None, "s@x.test", &["a@noaddr.test"], MESSAGE).expect_code(75).expect_out("4.4.4");
    // aliases: of the domain, of a host in spite of RFC 2181 10.3, and one that never ends
    out.run(None, "s@x.test", &["a@alias.test"], MESSAGE).expect_code(0);
    out.run(None, "s@x.test", &["a@named.test"], MESSAGE).expect_code(0);
    out.run(None, "s@x.test", &["a@round.test"], MESSAGE).expect_code(75).expect_out("4.4.3");
    // a better host without address does not make us deliver to ourselves
    out.run(None, "s@x.test", &["a@back.test"], MESSAGE).expect_code(75).expect_out("4.4.4");
    // a route to a domain's hosts, and one to the host of that name
    let relay = |mx: u8| format!("host far.test {} {mx} none", sink.port());
    out.run(Some(&relay(1)), "s@x.test", &["a@else.test"], MESSAGE).expect_code(0).expect_out("mx.far.test");
    out.run(Some(&relay(0)), "s@x.test", &["a@else.test"], MESSAGE).expect_code(75).expect_out("4.4.4");
    assert_eq!(sink.mails().len(), 6);
    let broken = Out::new("");
    broken.run(None, "s@x.test", &["a@far.test"], MESSAGE).expect_code(75).expect_out("4.4.3");
}

/// Serves connections with a function, on a thread.
fn serve(port_of: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            port_of(stream);
        }
    });
    port
}

fn timed(route: &str) -> (Output, Duration) {
    let start = Instant::now();
    let out = Out::impatient().run(Some(route), "s@x.test", &["a@f"], MESSAGE);
    (out, start.elapsed())
}

/// What comes of a message to a host that answers, somehow.
fn answered(route: &str) -> Output {
    Out::new("").run(Some(route), "s@x.test", &["a@f"], MESSAGE)
}

#[test]
fn hosts_that_never_come_to_an_end() {
    // silent
    let port = serve(|s| std::thread::sleep(Duration::from_secs(if s.peer_addr().is_ok() { 300 } else { 0 })));
    let (out, took) = timed(&host(port));
    out.expect_code(75).expect_out("no answer in time");
    assert!(took < Duration::from_secs(60), "{took:?}");
    // one octet now and then: the deadline is for the whole reply
    let port = serve(|mut s| {
        for b in b"220-".iter().chain(std::iter::repeat_n(&b'x', 2000)) {
            if s.write_all(&[*b]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    let (out, took) = timed(&host(port));
    out.expect_code(75).expect_out("no answer in time");
    assert!(took < Duration::from_secs(60), "{took:?}");
    // lines without end
    let port = serve(|mut s| while s.write_all(b"220-more and more and more and more\r\n").is_ok() {});
    answered(&host(port)).expect_code(75).expect_out("too many lines");
    // a line without end
    let port = serve(|mut s| while s.write_all(&[b'2'; 1000]).is_ok() {});
    answered(&host(port)).expect_code(75).expect_out("too long");
}

#[test]
fn garbage_is_one_clean_line() {
    for greeting in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"220\x00\x00\r\n",
        b"\xff\xfe\r\n",
        b"5\r\n",
        b"999 hello\r\n",
        b"220-a\r\n250 b\r\n",
    ] {
        let bytes = greeting.to_vec();
        let port = serve(move |mut s| {
            let _ = s.write_all(&bytes);
            let _ = s.read(&mut [0; 100]);
        });
        let out = answered(&host(port));
        out.expect_code(75);
        assert_eq!(out.out().lines().count(), 1, "{}", out.describe());
    }
    let sink = Sink::builder().script(|l| l.starts_with("RCPT").then(|| "550 \x1b[31mred\x00 \x07bell".into())).start();
    let out = send(&sink);
    out.expect_code(69);
    assert!(out.stdout.iter().all(|b| *b == b'\n' || (b' '..=b'~').contains(b)), "{:?}", out.out());
}

#[test]
fn octets_behind_the_starttls_reply_are_an_injection() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let port = serve(move |mut s| {
        let _ = s.write_all(b"220 hi\r\n");
        let mut buffer = [0; 1000];
        let _ = s.read(&mut buffer);
        let _ = s.write_all(b"250-x\r\n250 STARTTLS\r\n");
        let _ = s.read(&mut buffer);
        let _ = s.write_all(b"220 go\r\n250-EVIL\r\n250 AUTH PLAIN\r\n");
        let n = s.read(&mut buffer).unwrap_or(0);
        log.lock().unwrap().extend_from_slice(&buffer[..n]);
    });
    answered(&format!("host 127.0.0.1 {port} 0 may user secret")).expect_code(75).expect_out("4.7.5");
    assert!(seen.lock().unwrap().is_empty(), "nothing is said after an injection");
}

#[test]
fn a_host_that_stops_reading_is_left() {
    let port = serve(|mut s| {
        let mut buffer = [0; 1000];
        for reply in ["220 hi\r\n", "250 x\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
            let _ = s.write_all(reply.as_bytes());
            if reply.starts_with("354") {
                std::thread::sleep(Duration::from_secs(300));
            }
            let _ = s.read(&mut buffer);
        }
    });
    let message = [b"A: b\n\n".to_vec(), b"0123456789abcde\n".repeat(2 << 20)].concat();
    let start = Instant::now();
    let out = Out::impatient().run(Some(&host(port)), "s@x.test", &["a@f"], &message);
    out.expect_code(75).expect_out("4.4.2");
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn large_messages_go_in_chunks() {
    let sink = Sink::builder().extensions(&["CHUNKING", "PIPELINING"]).start();
    let message = [b"A: b\n\n".to_vec(), b"0123456789abcde\n".repeat(200_000)].concat();
    Out::new("").run(Some(&host(sink.port())), "s@x.test", &["a@f"], &message).expect_code(0);
    let mail = &sink.mails()[0];
    assert_eq!(mail.data.len(), message.len() + 200_002);
    let chunks: Vec<String> = sink.lines().into_iter().filter(|l| l.starts_with("BDAT")).collect();
    assert!(chunks.len() >= 3 && chunks.last().unwrap().ends_with(" LAST"), "{chunks:?}");
}

#[test]
fn eight_bit_bodies_are_converted_where_they_must() {
    let sink = Sink::builder().extensions(&["PIPELINING"]).start();
    let message = "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nh\u{e9}\n".as_bytes();
    Out::new("").run(Some(&host(sink.port())), "s@x.test BODY=8BITMIME", &["a@f"], message).expect_code(0);
    let mail = &sink.mails()[0];
    assert!(mail.text().ends_with("Content-Transfer-Encoding: quoted-printable\r\n\r\nh=C3=A9\r\n"), "{}", mail.text());
    assert_eq!(mail.mail, "MAIL FROM:<s@x.test>");
}

/// An address that drops SYNs, as one behind a broken route: the queue of its connections is full as long as this lives.
fn black_hole(ip: &str, port: u16) -> Option<(OwnedFd, Vec<TcpStream>)> {
    let address = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port);
    let listener = penny_sys::net::listen_tcp(address, 0).ok()?;
    let mut waiting = Vec::new();
    // a connection more or less fits, as the kernel likes
    while waiting.len() < 20 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(700)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => return Some((listener, waiting)),
        }
    }
    None
}

#[test]
fn a_family_that_drops_packets_costs_a_moment() {
    for (good, silent) in [("127.0.0.1", "::1"), ("::1", "127.0.0.1")] {
        if TcpListener::bind((good, 0)).and_then(|_| TcpListener::bind((silent, 0))).is_err() {
            return penny_testkit::skip("a_family_that_drops_packets_costs_a_moment", "no IPv6 here");
        }
        // the port must be free in both families
        let both = (0..50).find_map(|_| {
            let sink = Sink::builder().ip(good).start();
            black_hole(silent, sink.port()).map(|hole| (sink, hole))
        });
        let (sink, _hole) = both.expect("a port that drops SYNs");
        let zone = "far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\nmx.far.test AAAA ::1\n";
        let out = Out::with_dns(&format!("port = {}\nconnect_timeout = \"300s\"", sink.port()), zone);
        let start = Instant::now();
        out.run(None, "s@x.test", &["a@far.test"], MESSAGE).expect_code(0);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(60), "{silent} held it up for {took:?}");
        assert_eq!(sink.mails().len(), 1);
    }
}

#[test]
fn routes_say_how_we_appear() {
    let from = Arc::new(Mutex::new(Vec::new()));
    let log = from.clone();
    let port = serve(move |mut s| {
        let _ = s.write_all(b"220 hi\r\n");
        let mut buffer = [0; 1000];
        let n = s.read(&mut buffer).unwrap_or(0);
        let hello = String::from_utf8_lossy(&buffer[..n]).trim_end().to_owned();
        log.lock().unwrap().push((s.peer_addr().unwrap().ip().to_string(), hello));
        let _ = s.write_all(b"421 enough\r\n");
    });
    answered(&format!("host 127.0.0.1 {port} 0 none   helo=other.test source=127.0.0.9")).expect_code(75);
    answered(&host(port)).expect_code(75);
    let seen = from.lock().unwrap().clone();
    let expected = [("127.0.0.9", "EHLO other.test"), ("127.0.0.1", "EHLO me.test")];
    assert_eq!(seen, expected.map(|(ip, hello)| (ip.to_owned(), hello.to_owned())));
}

#[test]
fn lmtp_over_a_unix_socket() {
    let sink = Sink::builder().lmtp().start();
    let dir = TempDir::new();
    let path = dir.join("lmtp");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let port = sink.port();
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut near2, mut far2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            std::thread::spawn(move || drop(std::io::copy(&mut far2, &mut near2)));
            let (mut near, mut far) = (near, far);
            drop(std::io::copy(&mut near, &mut far));
        }
    });
    let out = Out::new("").run(Some(&format!("lmtp unix:{}", path.display())), "s@x.test", &["a@f", "b@f"], MESSAGE);
    out.expect_code(0).expect_out("done <a@f>").expect_out("done <b@f>");
    assert!(sink.lines()[0].starts_with("LHLO me.test"), "{:?}", sink.lines());
    let gone = Out::new("").run(Some("lmtp unix:/nonexistent/lmtp"), "s@x.test", &["a@f"], MESSAGE);
    gone.expect_code(75).expect_out("4.4.1");
}

#[test]
fn no_password_in_clear_to_another_host() {
    // the address this host has for others; nothing is sent by this
    let outside = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|s| s.connect("192.0.2.1:9").map(|()| s));
    let Some(ip) = outside.and_then(|s| s.local_addr()).ok().map(|a| a.ip()).filter(|ip| !ip.is_loopback()) else {
        return penny_testkit::skip("no_password_in_clear_to_another_host", "only loopback here");
    };
    let sink = Sink::builder().ip(&ip.to_string()).extensions(&["AUTH PLAIN LOGIN"]).start();
    let route = format!("host {ip} {} 0 may user secret", sink.port());
    let out = Out::new("").run(Some(&route), "s@x.test", &["a@f"], MESSAGE);
    out.expect_code(75).expect_out("4.7.5").expect_out("no password is sent");
    assert!(!sink.lines().iter().any(|l| l.starts_with("AUTH")), "{:?}", sink.lines());
}

#[test]
fn usage_mistakes() {
    let out = Out::new("");
    out.run(None, "s@x.test", &[], MESSAGE).expect_code(64);
    out.run(Some("pigeon"), "s@x.test", &["a@b"], MESSAGE).expect_code(64);
    out.run(None, "s x", &["a b c="], MESSAGE).expect_code(64);
}
