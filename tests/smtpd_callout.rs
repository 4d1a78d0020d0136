//! smtpd asks the host behind a relay domain for recipients; lookup remembers.

mod smtpfake;

use penny_testkit::{Output, Run, Sink, program};
use smtpfake::instance::{Instance, codes};

/// An instance whose `backup.example` is passed on to `port` of this machine.
fn behind(port: u16, keys: &str) -> Instance {
    let route = format!("backup.example smtp:[127.0.0.1]:{port}\n");
    let config = format!("[smtpd]\ncallout = true\nresolve_clients = false\n{keys}");
    Instance::new(
        &config,
        &[
            ("domains", "here.example local\nbackup.example relay\n"),
            ("users", "ann@here.example:{PLAIN}secret::::HOME/ann::\n"),
            ("virtual", "list@here.example far@backup.example\n"),
            ("routes", &route),
        ],
    )
}

/// The host behind: it knows some, and answers in every way.
fn host() -> Sink {
    Sink::builder()
        .script(|line| {
            let to = line.strip_prefix("RCPT TO:<")?.split('@').next()?;
            let answer = match to {
                "nobody" => "550 5.1.1 never heard of nobody",
                "old" => "553 no such mailbox",
                "later" => "450 4.2.1 not now",
                "blocked" => "554 5.7.1 your address is on a list",
                _ => return None,
            };
            Some(answer.to_owned())
        })
        .start()
}

fn rcpt(instance: &Instance, address: &str) -> (String, Output) {
    let input = format!("EHLO client.example\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<{address}>\r\nQUIT\r\n");
    let output = instance.stranger("mx").stdin(input).run();
    (codes(&output).split(' ').nth(3).unwrap_or_default().to_owned(), output)
}

#[test]
fn the_host_behind_decides_and_is_asked_once() {
    let host = host();
    let instance = behind(host.port(), "");
    for (address, code, asked) in [
        ("joe@backup.example", "250", 1),
        ("joe@BACKUP.example", "250", 1), // known now
        ("nobody@backup.example", "550", 2),
        ("nobody@backup.example", "550", 2),
        ("old@backup.example", "550", 3),
        ("later@backup.example", "250", 4), // says nothing about the address, and is not remembered
        ("later@backup.example", "250", 5),
        ("blocked@backup.example", "250", 6), // a word about us
        ("postmaster@backup.example", "250", 6),
        ("far@backup.example", "250", 7),
        ("list@here.example", "250", 7), // an alias for the same
        ("ann@here.example", "250", 7),
        ("x@elsewhere.example", "550", 7),
    ] {
        let (got, output) = rcpt(&instance, address);
        assert_eq!((got.as_str(), host.connections()), (code, asked), "{address}: {}", output.describe());
    }
    let (_, output) = rcpt(&instance, "nobody@backup.example");
    output.expect_out("550 5.1.1 ").expect_out("never heard of nobody").expect_err("rule=callout ");
    // nobody was sent anything, and the null sender asked
    assert_eq!(host.mails().len(), 0);
    let lines = host.lines();
    assert!(lines.iter().any(|l| l == "MAIL FROM:<>" || l.starts_with("MAIL FROM:<> ")), "{lines:?}");
    assert!(!lines.iter().any(|l| l.starts_with("DATA") || l.starts_with("BDAT")), "{lines:?}");
}

#[test]
fn a_refused_null_sender_is_no_news_of_the_recipient() {
    let host = Sink::builder()
        .script(|line| line.starts_with("MAIL ").then(|| "550 5.1.7 no bounces please".to_owned()))
        .start();
    assert_eq!(rcpt(&behind(host.port(), ""), "joe@backup.example").0, "250");
}

#[test]
fn a_host_that_is_away_lets_mail_in_or_defers() {
    let port = 1; // nobody listens there
    let instance = behind(port, "");
    assert_eq!(rcpt(&instance, "joe@backup.example").0, "250");
    // it counts as away for a while, whoever is asked for
    let (code, output) = rcpt(&instance, "nobody@backup.example");
    assert_eq!(code, "250", "{}", output.describe());
    let strict = behind(port, "callout_defer = true\n");
    let (code, output) = rcpt(&strict, "joe@backup.example");
    assert_eq!(code, "450", "{}", output.describe());
    output.expect_out("450 4.4.1 ").expect_err("rule=callout ");
}

#[test]
fn by_hand_and_for_relay_domains_only() {
    let host = host();
    let instance = behind(host.port(), "");
    let verify = |address: &str| {
        Run::new(program!("remote")).arg("-c").arg(instance.place.config()).arg("--verify").arg(address).run()
    };
    verify("joe@backup.example").expect_code(0).expect_out("done <joe@backup.example> 2.");
    verify("nobody@backup.example").expect_code(69).expect_out("fail <nobody@backup.example> 5.1.1 ");
    verify("later@backup.example").expect_code(75).expect_out("later <later@backup.example> 4.2.1 ");
    verify("x@elsewhere.example").expect_code(77);
    verify("").expect_code(64);
    assert_eq!(host.connections(), 3);
    let route = |address: &str| {
        Run::new(program!("pennypost")).arg("-c").arg(instance.place.config()).arg("route").arg(address).run()
    };
    route("joe@backup.example").expect_code(0).expect_out("call-out: joe@backup.example is known to the host behind");
    route("nobody@backup.example").expect_code(67).expect_out("RCPT answers: 550 5.1.1 ");
    route("far@backup.example").expect_code(0).expect_out("the host behind will be asked about far@backup.example");
    // what was learned by hand counts for smtpd
    assert_eq!(rcpt(&instance, "nobody@backup.example").0, "550");
    assert_eq!(host.connections(), 3);
}

/// Recipients of a relay domain can stand in the virtual table instead: no host is asked.
#[test]
fn a_table_of_relay_recipients() {
    let tables = [
        ("domains", "backup.example relay\n"),
        ("virtual", "joe@backup.example joe@backup.example\n@backup.example \":fail: no such user behind\"\n"),
    ];
    let instance = Instance::new("[smtpd]\nresolve_clients = false\n", &tables);
    assert_eq!(rcpt(&instance, "joe@backup.example").0, "250");
    let (code, output) = rcpt(&instance, "jim@backup.example");
    assert_eq!(code, "550", "{}", output.describe());
    output.expect_out("550 5.1.1 no such user behind");
}
