//! AUTH in smtpd with every mechanism, to its end; SCRAM with channel binding is in tests/cve/tls.rs.

mod smtpfake;

use penny_sasl::{base64_decode, base64_encode, scram_client_final};
use penny_testkit::TempDir;
use smtpfake::instance::{Instance, codes, own};
use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

/// An instance with all mechanisms and a validator that knows one token.
fn instance(dir: &TempDir) -> Instance {
    let validator = dir.script(
        "validate",
        "#!/bin/sh\nread token\ncase $token in\ngood-token) echo ann@here.example ;;\nbob-token) echo bob@here.example ;;\n\
         later-token) exit 75 ;;\n*) exit 1 ;;\nesac\n",
    );
    own(dir.path());
    Instance::usual(&format!(
        "[auth]\nmechanisms = [\"PLAIN\", \"LOGIN\", \"SCRAM-SHA-256\", \"OAUTHBEARER\", \"XOAUTH2\"]\n\
         oauth_validator = \"{}\"\n",
        validator.display()
    ))
}

const MAIL: &str = "MAIL FROM:<ann@here.example>\r\nRCPT TO:<x@elsewhere.example>\r\n";

/// The replies after EHLO's.
fn play(instance: &Instance, lines: &str) -> (String, String) {
    let output = instance.smtpd("submission").stdin(format!("EHLO client.example\r\n{lines}QUIT\r\n")).run();
    (codes(&output).trim_start_matches("220 250 ").to_owned(), output.describe())
}

#[test]
fn passwords() {
    let dir = TempDir::new();
    let instance = instance(&dir);
    let b = |text: &str| base64_encode(text.as_bytes());
    let plain = b("\0ann@here.example\0secret");
    for (lines, expected) in [
        (format!("AUTH PLAIN {plain}\r\n{MAIL}"), "235 250 250 221"),
        (format!("AUTH PLAIN\r\n{plain}\r\n{MAIL}"), "334 235 250 250 221"),
        (format!("auth login\r\n{}\r\n{}\r\n{MAIL}", b("ann@here.example"), b("secret")), "334 334 235 250 250 221"),
        (format!("AUTH LOGIN {}\r\n{}\r\n{MAIL}", b("ann@here.example"), b("secret")), "334 235 250 250 221"),
        (format!("AUTH PLAIN {}\r\n", b("\0ann@here.example\0wrong")), "535 221"),
        (format!("AUTH PLAIN {}\r\n", b("bob@here.example\0ann@here.example\0secret")), "535 221"),
        ("AUTH PLAIN =\r\n".to_owned(), "535 221"),
        ("AUTH CRAM-MD5\r\n".to_owned(), "504 221"),
        ("AUTH LOGIN\r\n*\r\n".to_owned(), "334 501 221"),
        ("AUTH LOGIN\r\n%%%\r\n".to_owned(), "334 501 221"),
    ] {
        let (got, all) = play(&instance, &lines);
        assert_eq!(got, expected, "{lines}: {all}");
    }
}

/// RFC 7677: the server's proof comes as a last challenge, which the client answers with an empty response.
#[test]
fn scram_to_the_end() {
    let dir = TempDir::new();
    let instance = instance(&dir);
    for (password, end) in [("secret", "235 2.7.0"), ("wrong", "535 5.7.8")] {
        let mut started = instance.smtpd("submission").limit(Duration::from_secs(120)).spawn();
        let mut input = started.child.stdin.take().unwrap();
        let mut output = BufReader::new(started.child.stdout.take().unwrap());
        let mut ask = |text: &str, until: &str| {
            input.write_all(text.as_bytes()).unwrap();
            let mut line = String::new();
            while !line.starts_with(until) && !line.starts_with("535 ") {
                line.clear();
                assert!(output.read_line(&mut line).unwrap() > 0, "closed before {until}");
            }
            line.trim_end().to_owned()
        };
        ask("", "220 ");
        ask("EHLO x\r\n", "250 ");
        let first = "n,,n=ann@here.example,r=clientnonce";
        let challenge = ask(&format!("AUTH SCRAM-SHA-256 {}\r\n", base64_encode(first.as_bytes())), "334 ");
        let server = String::from_utf8(base64_decode(&challenge[4..]).unwrap()).unwrap();
        let last = scram_client_final(password.as_bytes(), first, b"", &server).unwrap();
        let mut answer = ask(&format!("{}\r\n", base64_encode(last.as_bytes())), "334 ");
        if answer.starts_with("334 ") {
            assert!(base64_decode(&answer[4..]).unwrap().starts_with(b"v="), "{answer}");
            answer = ask("\r\n", "235 ");
        }
        assert!(answer.starts_with(end), "{password}: {answer}");
    }
}

/// RFC 7628 4 and Google's XOAUTH2: a token that is refused gets a challenge with the reason, then 535.
#[test]
fn tokens() {
    let dir = TempDir::new();
    let instance = instance(&dir);
    let (_, all) = play(&instance, "");
    assert!(all.contains("250-AUTH PLAIN LOGIN SCRAM-SHA-256 OAUTHBEARER XOAUTH2\r\n"), "{all}");
    let bearer = |user: &str, token: &str| {
        let text = format!("n,a={user},\x01host=mx.here.example\x01port=587\x01auth=Bearer {token}\x01\x01");
        base64_encode(text.as_bytes())
    };
    let x = |user: &str, token: &str| base64_encode(format!("user={user}\x01auth=Bearer {token}\x01\x01").as_bytes());
    let user = "ann@here.example";
    for (lines, expected) in [
        (format!("AUTH OAUTHBEARER {}\r\n{MAIL}", bearer(user, "good-token")), "235 250 250 221"),
        (format!("AUTH XOAUTH2 {}\r\n{MAIL}", x(user, "good-token")), "235 250 250 221"),
        (format!("AUTH XOAUTH2\r\n{}\r\n{MAIL}", x(user, "good-token")), "334 235 250 250 221"),
        // RFC 7628 3.2.3: %x01 is the client's word that it has seen the reason
        (format!("AUTH OAUTHBEARER {}\r\nAQ==\r\n{MAIL}", bearer(user, "stolen")), "334 535 530 503 221"),
        (format!("AUTH XOAUTH2 {}\r\n\r\n{MAIL}", x(user, "stolen")), "334 535 530 503 221"),
        (format!("AUTH XOAUTH2 {}\r\n", x(user, "later-token")), "454 221"),
    ] {
        let (got, all) = play(&instance, &lines);
        assert_eq!(got, expected, "{lines}: {all}");
    }
    // a token is good for its own user only
    let other = x(user, "bob-token");
    let (got, all) = play(&instance, &format!("AUTH XOAUTH2 {other}\r\n{MAIL}"));
    assert_eq!(got, "535 530 503 221", "{all}");
}
