//! pennypost check --all and metrics, on a live server and on one with faults.

#[path = "support/admin.rs"]
mod admin;
#[path = "support/instance.rs"]
mod instance;

use admin::Admin;
use instance::Instance;
use penny_testkit::{DnsServer, Output, Run};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

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
    std::fs::write(server.top().join("etc/app-passwords"), "user1@example.test:phone\n").expect("written");
    let out = pennypost(&server, "check --all --no-dns", "");
    out.expect_code(2).expect_out("etc/users: has mode 0644, expected 0640");
    out.expect_out("warning  queue        1 entries in corrupt/")
        .expect_out("error    services     enqueue does not answer");
    out.expect_out("error    config").expect_out("aliases:1: expected name: target");
    out.expect_out("app-passwords:1: expected login:label:{SCHEME}hash:date");
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

const LISTS: &str = "\
7.2.0.192.in-addr.arpa PTR mx.a.test
mx.a.test A 192.0.2.7
7.2.0.192.bl.test A 127.0.0.2
7.2.0.192.bl.test TXT spam was seen
7.2.0.192.mute.test A 127.255.255.254
7.2.0.192.dead.test A 127.0.0.2
1.0.0.127.dead.test A 127.0.0.2
7.2.0.192.part.test A 127.0.0.9
7.2.0.192.late.test TIMEOUT
";

/// Lines of one area, without what the machine itself is like.
fn area(out: &Output, name: &str) -> Vec<String> {
    out.out().lines().filter(|l| l.split_whitespace().nth(1) == Some(name)).map(str::to_string).collect()
}

#[test]
fn addresses_on_lists_and_names_of_addresses() {
    let lists = "[\"bl.test\", \"none.test\", \"mute.test\", \"dead.test\", \"part.test=127.0.0.2\"]";
    let check = format!("[check]\naddresses = [\"192.0.2.7\", \"10.0.0.1\"]\ndnsbl = {lists}\n");
    let place = Admin::new("hostname = \"mx.a.test\"", &check);
    place.dir.write("etc/domains", "a.test local\n");
    let dns = DnsServer::new(LISTS);
    let line = format!("check --all --resolver {}", dns.at());
    let out = place.run(&line);
    out.expect_code(2);
    assert_eq!(
        area(&out, "blocklists"),
        [
            "error    blocklists   bl.test: 192.0.2.7 is listed: spam was seen",
            "ok       blocklists   none.test: 192.0.2.7 is not listed",
            "warning  blocklists   mute.test: 192.0.2.7: the list does not answer this resolver (a public one?)",
            "warning  blocklists   dead.test: 192.0.2.7: the list says yes to everything",
            "ok       blocklists   part.test: 192.0.2.7 is not listed",
            "warning  blocklists   10.0.0.1 is not an address the world sees: set check.addresses",
        ]
    );
    let json = "{\"area\":\"blocklists\",\"state\":\"error\",\"text\":\"bl.test: 192.0.2.7 is listed: spam was seen\"}";
    place.run(&format!("{line} --json")).expect_out(json);
    // the first address leads to this host and back, the second has no name
    out.expect_out("error    dns          1.0.0.10.in-addr.arpa PTR missing: publish mx.a.test. (and its address must");
    assert!(!out.out().contains("7.2.0.192.in-addr.arpa PTR"), "{}", out.out());
    let asked = |out: &Output| !area(out, "blocklists").is_empty();
    assert!(!asked(&place.run("check --all --no-dns")));
}

#[test]
fn mistakes_of_the_checks_own_keys() {
    let place = Admin::new("", "[check]\naddresses = [\"here\"]\ndnsbl = [\"=127.0.0.2\"]\n");
    let out = place.run("check");
    out.expect_code(78).expect_out("check.dnsbl: =127.0.0.2: expected ZONE").expect_out("check.addresses: here is no");
}

#[test]
fn a_clock_that_is_behind_is_seen() {
    let place = Admin::new("", "");
    let file = place.dir.write("etc/aliases", "a: b\n");
    let lines = || area(&place.run("check --all --no-dns"), "clock");
    let before = lines();
    assert!(before.len() == 1 && !before[0].starts_with("error"), "{before:?}");
    let later = SystemTime::now() + Duration::from_secs(3 * 3600 + 60);
    std::fs::File::options().write(true).open(file).and_then(|f| f.set_modified(later)).expect("a time");
    let after = lines();
    assert!(after[0].starts_with("error    clock") && after[0].ends_with("written 3 h from now: the clock is behind"));
}
