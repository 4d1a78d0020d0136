//! pennypost check --all and metrics, on a live server and on one with faults.

#[path = "support/admin.rs"]
mod admin;
#[path = "support/instance.rs"]
mod instance;

use admin::Admin;
use instance::{Instance, until};
use penny_testkit::{DnsServer, Output, Run, Sink};
use std::net::TcpStream;
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
    // every port greets as ours, the last by its own certificate
    let greetings = area(&out, "greeting");
    assert!(greetings.len() >= 9 && greetings.iter().all(|l| l.starts_with("ok ")), "{greetings:?}");
    let at = |name: &str| format!("ok       greeting     {} at 127.0.0.1:{}", name.to_lowercase(), server.port(name));
    out.expect_out(&format!("{}: 220 mx.example.test ESMTP pennypost", at("SMTP")));
    out.expect_out(&format!("{} (TLS): * OK [CAPABILITY", at("IMAPS")));
    out.expect_out(&format!("{}: pennypost sieved", at("SIEVE")));
    assert_eq!(penny_testkit::tmp::mails(server.maildir("user1")).len(), 0, "the test message is taken away again");

    // the resident lookup knows at once what has just been changed
    for target in ["user1@example.test", "user2@example.test"] {
        pennypost(&server, &format!("alias add --replace fresh@example.test {target}"), "").expect_code(0);
        pennypost(&server, "route fresh@example.test", "").expect_out(&format!("ends in: local {target}"));
    }

    let json = pennypost(&server, "check --all --no-dns --json --mail nobody@example.test", "");
    json.expect_code(2).expect_out(
        "{\"area\":\"mail\",\"state\":\"error\",\"text\":\"a message to nobody@example.test: no mailbox here\"}",
    );

    // a message that waits, and then is held
    let send = Run::new(server.program("sendmail")).args(["-f", "user1@example.test", "who@remote.test"]);
    send.env("PENNYPOST_CONFIG", server.config()).stdin("Subject: x\n\nx\n").run().expect_code(0);
    let qctl = |words: &[&str]| Run::new(server.program("qctl")).arg("-c").arg(server.config()).args(words).run();
    let id = until("the message is in the queue", || {
        let name = |file: &std::path::PathBuf| file.file_name()?.to_str()?.split(':').next().map(str::to_string);
        penny_testkit::tmp::list(server.queue("cur")).iter().find_map(name)
    });
    area(&pennypost(&server, "check --all --no-dns", ""), "queue")
        .iter()
        .for_each(|l| assert!(l.starts_with("ok "), "{l}"));
    qctl(&["hold", &id]).expect_code(0);
    let out = pennypost(&server, "check --all --no-dns", "");
    assert_eq!(area(&out, "queue"), ["warning  queue        1 entries are held"]);
    qctl(&["remove", &id]).expect_code(0);

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
    make("3", "mx.example.test")
        .expect_out("tls.pem: expires in ")
        .expect_out(" (TLS): its certificate is not that of ");
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

/// A port on which nobody listens while the connection lives that has it.
fn shut(sink: &Sink) -> (TcpStream, u16) {
    let held = TcpStream::connect(sink.address()).expect("a connection");
    let port = held.local_addr().expect("an address").port();
    (held, port)
}

/// A place with one `[[listen]]` entry for each: program, port, TLS.
fn with_ports(ports: &[(&str, u16, &str)]) -> Admin {
    let entry = |(program, port, tls): &(&str, u16, &str)| {
        format!(
            "[[listen]]\nname = \"{program}\"\naddress = \"127.0.0.1:{port}\"\nprogram = \"{program}\"\ntls = \"{tls}\"\n"
        )
    };
    Admin::new("hostname = \"mx.a.test\"", &ports.iter().map(entry).collect::<String>())
}

#[test]
fn other_servers_on_our_ports_are_named() {
    let greets = |text: &'static str| {
        let sink = Sink::builder().script(move |line| (line == "CONNECT").then(|| text.to_string()));
        sink.start()
    };
    let (postfix, old) = (greets("220 mx.a.test ESMTP Postfix"), greets("220 mx.b.test ESMTP pennypost"));
    let (full, dovecot) =
        (greets("421 4.3.2 mx.a.test too busy"), greets("* OK [CAPABILITY IMAP4rev1] Dovecot ready."));
    let (ours, mute) = (greets("220 mx.a.test ESMTP pennypost"), greets(""));
    let (_held, shut) = shut(&ours);
    let ports = [
        ("smtpd", postfix.port(), "starttls"),
        ("smtpd", old.port(), "starttls"),
        ("smtpd", full.port(), "starttls"),
        ("imapd", dovecot.port(), "starttls"),
        ("smtpd", ours.port(), "starttls"),
        ("smtpd", mute.port(), "starttls"),
        ("pop3d", ours.port(), "implicit"),
        ("pop3d", shut, "starttls"), // which "services" tells of
    ];
    let place = with_ports(&ports);
    let out = place.run("check --all --no-dns");
    out.expect_code(2);
    let expected = [
        "error smtpd: another server is there: 220 mx.a.test ESMTP Postfix",
        "warning smtpd: calls itself mx.b.test, not mx.a.test: is an old configuration in use?",
        "error smtpd: answers 421 4.3.2 mx.a.test too busy",
        "error imapd: another server is there: * OK [CAPABILITY IMAP4rev1] Dovecot ready.",
        "ok smtpd: 220 mx.a.test ESMTP pennypost",
        "error smtpd: hangs up without a greeting",
        "error pop3d (TLS): no TLS: ",
    ];
    let lines = area(&out, "greeting");
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for ((line, expected), (_, port, _)) in lines.iter().zip(expected).zip(ports) {
        let (state, rest) = expected.split_once(' ').expect("a state");
        let (program, said) = rest.split_once(": ").expect("a text");
        let (program, tls) = program.split_once(" (").map_or((program, String::new()), |(p, t)| (p, format!(" ({t}")));
        let start = format!("{state:8} greeting     {program} at 127.0.0.1:{port}{tls}: {said}");
        assert!(line.starts_with(&start), "{line}\n{start}");
    }
    let json = "{\"area\":\"greeting\",\"state\":\"warning\",\"text\":\"smtpd at 127.0.0.1:";
    place.run("check --all --no-dns --json").expect_code(2).expect_out(json);
    until("a farewell", || ours.lines().iter().any(|l| l == "QUIT"));
}

#[test]
fn whether_mail_can_leave() {
    let open = Sink::builder().script(|line| (line == "CONNECT").then(|| "220 mx.big.test ready".to_string())).start();
    let other = Sink::start();
    let (_held, shut) = shut(&other);
    let zone = "big.test MX 10 mx.big.test\nmx.big.test A 127.0.0.1\nnull.test MX 0 .\n";
    let dns = DnsServer::new(zone);
    let check = |outbound: &str, port: u16, routes: &str| {
        let place = Admin::new("", &format!("[remote]\nport = {port}\n[check]\noutbound = [{outbound}]\n"));
        place.dir.write("etc/routes", routes);
        let out = place.run(&format!("check --all --resolver {}", dns.at()));
        area(&out, "outbound")
    };
    let said = |state: &str, text: &str| vec![format!("{state:8} outbound     {text}")];
    let answers = |port: u16, host: &str| format!("{host} at 127.0.0.1:{port} answers 220 mx.big.test ready");
    let ok = said("ok", &format!("big.test: {}", answers(open.port(), "mx.big.test")));
    // the first that answers is enough
    assert_eq!(check("\"none.test\", \"big.test\"", open.port(), ""), ok);
    until("a farewell, and nothing else", || open.lines() == ["QUIT"]);
    let blocked = check("\"big.test\"", shut, "");
    assert!(blocked[0].starts_with("error    outbound     no connection outward: big.test: mx.big.test at 127.0.0.1:"));
    assert!(blocked[0].contains("the provider or a firewall blocks it?"), "{blocked:?}");
    // a relay in the table of routes is what has to be reached
    let relayed = check("\"big.test\"", shut, &format!("* smtp:[127.0.0.1]:{}\n", open.port()));
    assert_eq!(relayed, said("ok", &format!("big.test: {}", answers(open.port(), "127.0.0.1"))));
    // nothing is known where the DNS does not help
    let unknown = "cannot be tried: none.test: does not exist; null.test: takes no mail";
    assert_eq!(check("\"none.test\", \"null.test\"", shut, ""), said("warning", unknown));
    assert!(check("", open.port(), "").is_empty());
    let unwelcome = Sink::builder().script(|line| (line == "CONNECT").then(|| "554 go away".to_string())).start();
    let refused = format!("big.test: mx.big.test at 127.0.0.1:{} answers 554 go away", unwelcome.port());
    assert_eq!(check("\"big.test\"", unwelcome.port(), ""), said("warning", &refused));
}

#[test]
fn entries_that_are_old_or_not_taken() {
    let place = Admin::new("", "");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let entry = |dir: &str, age: u64, flags: &str| {
        place.dir.write(format!("queue/{dir}/{}.M1P1Q1.{age}{flags}", now - age), "");
    };
    for dir in ["new", "cur", "corrupt"] {
        std::fs::create_dir_all(place.dir.join("queue").join(dir)).expect("a directory");
    }
    let check = || {
        let out = place.run("check --all --no-dns");
        out.expect_code(2); // no service runs here
        area(&out, "queue")
    };
    assert_eq!(check(), ["ok       queue        0 entries"]);
    entry("new", 30, "");
    assert_eq!(check(), ["ok       queue        1 entries"]);
    entry("new", 7200, "");
    assert_eq!(check(), ["error    queue        2 new entries are not taken by qrun"]);
    // qrun takes some: only the age of the oldest counts then
    entry("cur", 60, ":2,");
    assert_eq!(check(), ["ok       queue        3 entries"]);
    entry("cur", 3 * 86_400 + 60, ":2,");
    assert_eq!(check(), ["warning  queue        the oldest entry is 3 days old: qctl list"]);
    entry("cur", 60, ":2,H");
    let both =
        ["warning  queue        the oldest entry is 3 days old: qctl list", "warning  queue        1 entries are held"];
    assert_eq!(check(), both);
    let json = "{\"area\":\"queue\",\"state\":\"warning\",\"text\":\"1 entries are held\"}";
    place.run("check --all --no-dns --json").expect_out(json);
}
