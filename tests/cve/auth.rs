//! Classes 19, 21: logins.

use crate::smtpfake::instance::{Instance, codes};
use penny_sasl::base64_encode;

fn attempt(instance: &Instance, user: &str, password: &str) -> String {
    let response = base64_encode(format!("\0{user}\0{password}").as_bytes());
    let output = instance.smtpd("submission").stdin(format!("EHLO x\r\nAUTH PLAIN {response}\r\nQUIT\r\n")).run();
    assert_eq!(output.code, Some(0), "{}", output.describe());
    codes(&output).split(' ').nth(2).unwrap_or_default().to_owned()
}

#[test]
fn c19_c11_names_are_looked_up_as_they_are() {
    let instance = Instance::usual("");
    for user in [
        "x'/**/OR/**/1=1--",
        "*)(uid=*",
        "ann@here.example' --",
        "ann@here.example\tx",
        "ann@here.example\nbob",
        "*",
        "",
        "ann@here.example\r\nOK",
        "../users",
        "ann@here.example:",
    ] {
        assert_eq!(attempt(&instance, user, "secret"), "535", "{user:?}");
    }
    assert_eq!(attempt(&instance, "ann@here.example", "secret"), "235");
}

#[test]
fn c21_auth_logic() {
    let users = "ann@here.example:{PLAIN}secret::::HOME/ann::\nold@here.example:{PLAIN}secret::::HOME/bob::nologin\n\
                 none@here.example:::::HOME/bob::\nstar@here.example:*::::HOME/bob::\n";
    let instance = Instance::new(
        "[smtpd]\nmax_errors = 3\ntarpit = 0\n",
        &[("domains", "here.example local\n"), ("users", users)],
    );
    assert_eq!(attempt(&instance, "ann@here.example", ""), "535");
    assert_eq!(attempt(&instance, "old@here.example", "secret"), "535");
    for user in ["none@here.example", "star@here.example"] {
        for password in ["", "*", "x"] {
            assert_eq!(attempt(&instance, user, password), "535", "{user} {password}");
        }
    }
    let run = |input: &str| codes(&instance.smtpd("submission").stdin(format!("EHLO x\r\n{input}")).run());
    let good = "AUTH PLAIN AGFubkBoZXJlLmV4YW1wbGUAc2VjcmV0\r\n";
    assert_eq!(run(&format!("{good}{good}QUIT\r\n")), "220 250 235 503 221");
    assert_eq!(run("AUTH PLAIN\r\n*\r\nQUIT\r\n"), "220 250 334 501 221");
    assert_eq!(run("AUTH LOGIN\r\n\r\n\r\nQUIT\r\n"), "220 250 334 535 500 221");
    // guessing ends
    let bad = "AUTH PLAIN AGFubkBoZXJlLmV4YW1wbGUAd3Jvbmc=\r\n";
    assert_eq!(run(&bad.repeat(5)), "220 250 535 535 535 421");
    // no password in the clear from the network, and no AUTH for mail servers
    for role in ["submission", "mx"] {
        let output = instance.stranger(role).stdin(format!("EHLO x\r\n{good}QUIT\r\n")).run();
        assert_eq!(codes(&output), "220 250 503 221", "{role}");
    }
}
