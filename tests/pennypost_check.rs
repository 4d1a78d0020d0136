//! pennypost check --all and metrics, on a live server and on one with faults.

#[path = "support/instance.rs"]
mod instance;

use instance::Instance;
use penny_testkit::{DnsServer, Output, Run};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn pennypost(server: &Instance, line: &str, stdin: &str) -> Output {
    let run = Run::new(server.program("pennypost")).arg("-c").arg(server.config()).args(line.split_whitespace());
    run.stdin(stdin).limit(Duration::from_secs(120)).run()
}

#[test]
fn a_live_server_and_its_faults() {
    let server = Instance::up(&[]);
    let out = pennypost(&server, "check --all --no-dns --mail user1@example.test", "");
    out.expect_out("ok       config       no mistakes").expect_out("ok       services     spawn answers");
    out.expect_out("ok       mail         a message to user1@example.test arrived after");
    out.expect_out("warning  certificate").expect_out("self-signed").expect_out("% of the inodes are free");
    assert!(!out.out().contains("error    services"), "{}", out.out());
    assert_eq!(penny_testkit::tmp::mails(server.maildir("user1")).len(), 0, "the test message is taken away again");

    let json = pennypost(&server, "check --all --no-dns --json --mail nobody@example.test", "");
    json.expect_code(2).expect_out(
        "{\"area\":\"mail\",\"state\":\"error\",\"text\":\"a message to nobody@example.test: no mailbox here\"}",
    );

    // nothing is published
    let dns = DnsServer::new("other.test A 192.0.2.1");
    let out = pennypost(&server, &format!("check --all --resolver {}", dns.at()), "");
    out.expect_code(2).expect_out("error    dns          example.test MX missing: publish 10 mx.example.test.");
    out.expect_out("warning  dns          _mta-sts.example.test TXT missing");

    // a table of secrets that everybody can read, an entry nobody understood, a service that is gone, a mistake
    let users = server.top().join("etc/users");
    std::fs::set_permissions(&users, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    std::fs::write(server.queue("corrupt").join("odd"), "x").expect("written");
    std::fs::remove_file(server.top().join("run/enqueue/socket")).expect("removed");
    std::fs::write(server.top().join("etc/aliases"), "nonsense\n").expect("written");
    let out = pennypost(&server, "check --all --no-dns", "");
    out.expect_code(2).expect_out("etc/users: has mode 0644, expected 0640");
    out.expect_out("warning  queue        1 entries in corrupt/")
        .expect_out("error    services     enqueue does not answer");
    out.expect_out("error    config").expect_out("aliases:1: expected name: target");
    pennypost(&server, "check", "").expect_code(78);
}

#[test]
fn certificates_about_to_expire_are_seen() {
    const TEST: &str = "certificates_about_to_expire_are_seen";
    if !penny_testkit::have(TEST, "openssl") {
        return;
    }
    let server = Instance::up(&[]);
    let top = server.top();
    let make = |days: &str, host: &str| {
        let subject = format!("/CN={host}");
        let name = format!("subjectAltName=DNS:{host}");
        let run = Run::new("openssl").args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ]);
        let run = run.args(["-subj", &subject, "-addext", &name, "-days", days, "-keyout"]).arg(top.join("tls.key"));
        run.arg("-out").arg(top.join("tls.pem")).run().expect_code(0);
        pennypost(&server, "check --all --no-dns", "")
    };
    make("3", "mx.example.test").expect_out("tls.pem: expires in ");
    make("90", "other.test").expect_out("is for other.test, not for mx.example.test");
    std::fs::copy(top.join("tls.pem"), top.join("etc/tls.d/far.test.pem")).expect("copied");
    let key = Run::new("openssl").args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"]);
    key.arg(top.join("etc/tls.d/far.test.key")).run().expect_code(0);
    pennypost(&server, "check --all --no-dns", "").expect_code(2).expect_out("far.test.key is not its key");
}

#[test]
fn metrics_as_a_file_and_over_http() {
    let server = Instance::up(&[]);
    let text = pennypost(&server, "metrics", "");
    text.expect_code(0).expect_out("# TYPE pennypost_up gauge\npennypost_up{service=\"spawn\"} 1\n");
    text.expect_out("pennypost_queue_entries{state=\"new\"} ").expect_out("pennypost_certificate_left_seconds ");
    text.expect_out("pennypost_hour_deliveries{outcome=\"bounced\"} 0");
    for line in text.out().lines().filter(|l| !l.starts_with('#')) {
        let value = line.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok());
        assert!(line.starts_with("pennypost_") && value.is_some(), "{line}");
    }
    let file = server.dir.path().join("pennypost.prom");
    pennypost(&server, &format!("metrics --output {}", file.display()), "").expect_code(0);
    assert!(std::fs::read_to_string(file).expect("the file").ends_with('\n'));

    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";
    let answer = pennypost(&server, "metrics --http", request).out();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a header");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    pennypost(&server, "metrics --http", "GET /etc/passwd HTTP/1.1\r\n\r\n").expect_out("HTTP/1.1 404 ");
}
