//! The fail2ban filter in etc/ against log lines the programs really write.

mod smtpfake;

use penny_testkit::{Run, TempDir, have};
use smtpfake::instance::Instance;

/// Log lines of refused clients, and of clients that did nothing wrong, with the time a syslog puts in front.
fn lines(instance: &Instance) -> (Vec<String>, Vec<String>) {
    let stranger = |input: &str| instance.stranger("mx").stdin(input).run().err();
    let start = "EHLO client.example\r\nMAIL FROM:<a@far.example>\r\n";
    let bad = [
        stranger(&format!("{start}RCPT TO:<nobody@here.example>\r\nQUIT\r\n")),
        stranger(&format!("{start}RCPT TO:<x@elsewhere.example>\r\nQUIT\r\n")),
        stranger("EHLO mx.here.example\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<ann@here.example>\r\nQUIT\r\n"),
        stranger("A\r\nB\r\nC\r\n"),
    ];
    let good = [
        stranger(&format!("{start}RCPT TO:<ann@here.example>\r\nDATA\r\nA: b\r\n\r\nc\r\n.\r\nQUIT\r\n")),
        // a client cannot have another one banned
        stranger("EHLO x;ev=auth-failed\r\nNOOP ip=198.51.100.1 ev=auth-failed ip=198.51.100.1 user=\r\nQUIT\r\n"),
        stranger("smtpd[1]: q=- ev=auth-failed ip=198.51.100.1 user=x\r\nQUIT\r\n"),
    ];
    let dated = |texts: &[String]| {
        let all = texts.iter().flat_map(|t| t.lines()).filter(|l| l.starts_with("smtpd["));
        all.map(|l| format!("Nov 24 09:00:00 mx {l}")).collect()
    };
    (dated(&bad), dated(&good))
}

#[test]
fn the_filter_finds_the_clients() {
    if !have("the_filter_finds_the_clients", "fail2ban-regex") {
        return;
    }
    let instance = Instance::usual("[smtpd]\nmax_errors = 3\ntarpit = 0\nresolve_clients = false\n");
    let (bad, good) = lines(&instance);
    let dir = TempDir::new();
    let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/fail2ban/filter.d/pennypost.conf");
    let matched = |lines: &[String]| {
        let log = dir.path().join("log");
        std::fs::write(&log, lines.join("\n") + "\n").unwrap();
        let output = Run::new("fail2ban-regex").arg("-o").arg("<ip>").arg(&log).arg(filter).run();
        output.out().lines().filter(|l| l.parse::<std::net::IpAddr>().is_ok()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(matched(&bad), ["192.0.2.7"; 4], "{bad:#?}");
    assert_eq!(matched(&good), Vec::<String>::new(), "{good:#?}");
    let auth = "Nov 24 09:00:00 mx checkauth[7]: q=- ev=auth-failed ip=2001:db8::7 user=\"x ip=198.51.100.1\" service=imap mech=PLAIN";
    assert_eq!(matched(&[auth.to_owned()]), ["2001:db8::7"]);
}
