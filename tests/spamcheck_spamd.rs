//! spamcheck as spamd: the protocol by hand, and a real spamc(1) over a socket.

use penny_testkit::{Output, Run, TempDir, have, one_process_each, program};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

const GTUBE: &str = concat!("XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X");
const HEAD: &str = "From: ann@x.example\r\nTo: joe@example.org\r\nSubject: hello\r\nX-Spam-Status: No, score=-99\r\n";

fn mail(body: &str) -> String {
    format!("{HEAD}\r\n{body}\r\n")
}

fn spamd(dir: &TempDir, more: &[&str], request: impl AsRef<[u8]>) -> Output {
    let run = Run::new(program!("spamcheck")).env("HOME", dir.path()).arg("--spamd").args(more);
    run.stdin(request).run()
}

fn ask(dir: &TempDir, verb: &str, fields: &str, mail: &str) -> String {
    let request = format!("{verb} SPAMC/1.5\r\nContent-length: {}\r\n{fields}\r\n{mail}", mail.len());
    spamd(dir, &[], request).expect_code(0).out()
}

/// The body of a reply, after checking its length.
fn body(reply: &str) -> &str {
    let (head, body) = reply.split_once("\r\n\r\n").expect("an empty line");
    assert!(head.starts_with("SPAMD/1.1 0 EX_OK\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nContent-length: {}\r\n", body.len())), "{head}");
    body
}

#[test]
fn verbs_of_the_protocol() {
    let dir = TempDir::new();
    let (spam, plain) = (mail(GTUBE), mail("lunch at noon?"));
    assert_eq!(spamd(&dir, &[], "PING SPAMC/1.2\r\n\r\n").expect_code(0).out(), "SPAMD/1.5 0 PONG\r\n");
    assert_eq!(spamd(&dir, &[], "PING SPAMC/1.2\r\n").expect_code(0).out(), "SPAMD/1.5 0 PONG\r\n");
    assert!(ask(&dir, "CHECK", "", &spam).contains("\r\nSpam: True ; "));
    let reply = ask(&dir, "CHECK", "User: joe\r\n", &plain);
    assert!(reply.contains("\r\nSpam: False ; ") && body(&reply).is_empty(), "{reply}");
    assert!(body(&ask(&dir, "SYMBOLS", "", &spam)).contains("GTUBE"));
    assert!(body(&ask(&dir, "REPORT", "", &spam)).to_lowercase().contains("gtube"));
    assert_eq!(body(&ask(&dir, "REPORT_IFSPAM", "", &plain)), "");
    assert!(body(&ask(&dir, "REPORT_IFSPAM", "", &spam)).starts_with("spam, score "));
    assert_eq!(spamd(&dir, &[], "SKIP SPAMC/1.2\r\n\r\n").expect_code(0).out(), "");
}

#[test]
fn process_marks_the_message_and_drops_forged_marks() {
    let dir = TempDir::new();
    let spam = mail(GTUBE);
    let reply = ask(&dir, "PROCESS", "", &spam);
    let marked = body(&reply);
    assert!(marked.starts_with("X-Spam-Flag: YES\r\nX-Spam-Level: *****"), "{marked}");
    assert!(marked.contains("\r\nX-Spam-Status: Yes, score=") && marked.contains("\r\nX-Spamcheck: spam "), "{marked}");
    assert!(!marked.contains("score=-99") && marked.ends_with(&format!("\r\n\r\n{GTUBE}\r\n")), "{marked}");
    let reply = ask(&dir, "HEADERS", "", &spam);
    let head = body(&reply);
    assert!(head.ends_with("Subject: hello\r\n\r\n") && head.contains("X-Spam-Flag: YES"), "{head}");
    let reply = ask(&dir, "PROCESS", "", &mail("lunch"));
    assert!(!body(&reply).contains("X-Spam-Flag") && body(&reply).contains("X-Spam-Status: No, "), "{reply}");
}

#[test]
fn bad_requests_are_answered() {
    let dir = TempDir::new();
    for bad in [
        "",
        "\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "EAT SPAMC/1.2\r\n\r\n",
        "CHECK SPAMC/1.2\r\nContent-length: 10\r\n\r\nshort",
        "CHECK SPAMC/1.2\r\nContent-length: 99999999999\r\n\r\nx",
        "CHECK SPAMC/1.2\r\nContent-length: 5\r\nCompress: zlib\r\n\r\nxxxxx",
        "CHECK SPAMC/1.2\r\nCompress: rot13\r\n\r\nx",
    ] {
        let out = spamd(&dir, &[], bad);
        out.expect_code(3);
        assert!(out.out().starts_with("SPAMD/1.0 76 "), "{bad:?}: {}", out.out());
    }
}

#[test]
fn compressed_messages() {
    let dir = TempDir::new();
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(mail(GTUBE).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let head = format!("CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: {}\r\n\r\n", packed.len());
    spamd(&dir, &[], [head.as_bytes(), &packed].concat()).expect_code(0).expect_out("\r\nSpam: True ; ");
}

#[test]
fn a_bomb_of_zlib_is_refused() {
    let dir = TempDir::new();
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..65).for_each(|_| packed.write_all(&vec![b'a'; 1 << 20]).unwrap());
    let packed = packed.finish().unwrap();
    let head = format!("CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: {}\r\n\r\n", packed.len());
    let out = spamd(&dir, &[], [head.as_bytes(), &packed].concat());
    out.expect_code(3).expect_out("SPAMD/1.0 76 the message is too large");
}

#[test]
fn teaching_is_off_until_allowed() {
    let dir = TempDir::new();
    let db = dir.join("db").display().to_string();
    let tell = |more: &[&str], class: &str| {
        let mail = mail("buy now");
        let length = mail.len();
        let fields = format!("Message-class: {class}\r\nSet: local\r\nContent-length: {length}");
        let args = [&["--db", &db], more].concat();
        spamd(&dir, &args, format!("TELL SPAMC/1.5\r\n{fields}\r\n\r\n{mail}")).out()
    };
    assert!(tell(&[], "spam").starts_with("SPAMD/1.0 75 TELL commands are not enabled"));
    assert!(!dir.join("db").exists());
    assert!(tell(&["--allow-tell"], "spam").contains("\r\nDidSet: local\r\n"));
    assert!(!tell(&["--allow-tell"], "spam").contains("DidSet"), "known already");
    let corrected = tell(&["--allow-tell"], "ham");
    assert!(corrected.contains("\r\nDidSet: local\r\nDidRemove: local\r\n"), "{corrected}");
    let stats = Run::new(program!("spamcheck")).args(["--db", &db, "--stats"]).run();
    stats.expect_code(0).expect_out("learned: 1 ham, 0 spam");
}

#[test]
fn users_of_the_protocol_have_tables() {
    let dir = TempDir::new();
    let tables = dir.join("tables");
    std::fs::create_dir_all(tables.join("users")).unwrap();
    let mail = mail("x");
    let fields = format!("User: joe@x.example\r\nMessage-class: ham\r\nSet: local\r\nContent-length: {}", mail.len());
    let args = ["--allow-tell", "--tables", tables.to_str().unwrap()];
    spamd(&dir, &args, format!("TELL SPAMC/1.5\r\n{fields}\r\n\r\n{mail}")).expect_code(0).expect_out("DidSet: local");
    assert!(tables.join("users/joe@x.example").exists() && !tables.join("site").exists());
}

/// One process a connection, as inetd would: gives what spamc printed and its exit code.
fn spamc(dir: &TempDir, options: &[&str], mail: &str) -> (String, Option<i32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (port, home) = (address.port().to_string(), dir.path().to_owned());
    let command = move || {
        let mut command = Command::new(program!("spamcheck"));
        command.args(["--spamd", "--allow-tell"]).env("HOME", &home).env_remove("PENNYPOST_FILTER");
        command
    };
    let run = Run::new("spamc").args(["-d", "127.0.0.1", "-p", &port]).args(options).stdin(mail);
    let out = one_process_each(listener, command, || drop(TcpStream::connect(address)), || run.run());
    (out.out(), out.code)
}

#[test]
fn a_real_spamc_is_served() {
    if !have("spamcheck_spamd::a_real_spamc_is_served", "spamc") {
        return;
    }
    let dir = TempDir::new();
    let (spam, plain) = (mail(GTUBE), mail("lunch at noon?"));
    let (text, code) = spamc(&dir, &["-c"], &spam);
    assert!(code == Some(1) && text.trim_end().ends_with("/5.0"), "{text} {code:?}");
    assert_eq!(spamc(&dir, &["-c"], &plain).1, Some(0));
    let (text, _) = spamc(&dir, &[], &spam);
    assert!(text.starts_with("X-Spam-Flag: YES\r\n") && text.ends_with(&format!("{GTUBE}\r\n")), "{text}");
    assert!(spamc(&dir, &["-y"], &spam).0.contains("GTUBE"));
    assert!(spamc(&dir, &["-R"], &spam).0.to_lowercase().contains("gtube"));
    let (text, _) = spamc(&dir, &["--headers"], &spam);
    assert!(text.contains("X-Spam-Flag: YES") && text.ends_with(&format!("{GTUBE}\r\n")), "{text}");
    assert!(spamc(&dir, &["-L", "spam"], &plain).0.contains("successfully un/learned"));
    assert!(spamc(&dir, &["-L", "spam"], &plain).0.contains("already un/learned"));
    assert_eq!(spamc(&dir, &["-K"], "").0.lines().count(), 1, "ping");
}
