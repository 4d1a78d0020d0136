//! The checks at smtpd's door: access table, rates, names, DNS lists, greylist, policy servers, XCLIENT, ESMTP policies.

mod smtpfake;

use penny_testkit::{DnsServer, Output};
use smtpfake::instance::{Instance, codes};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

const ENVELOPE: &str = "EHLO client.example\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<ann@here.example>\r\n";

fn with_tables(config: &str, more: &[(&str, &str)]) -> Instance {
    let mut tables = vec![
        ("domains", "here.example local\n"),
        ("users", "ann@here.example:{PLAIN}secret::::HOME/ann::\nbob@here.example:{PLAIN}sesame::::HOME/bob::\n"),
    ];
    tables.extend_from_slice(more);
    Instance::new(config, &tables)
}

fn play(instance: &Instance, input: &str) -> Output {
    instance.stranger("mx").stdin(format!("{input}QUIT\r\n")).run()
}

/// The reply to RCPT of the usual envelope.
fn rcpt(instance: &Instance) -> (String, Output) {
    let output = play(instance, ENVELOPE);
    (codes(&output).split(' ').nth(3).unwrap_or_default().to_owned(), output)
}

#[test]
fn the_access_table_decides_first() {
    let with = |table: &str| with_tables("", &[("access", table)]);
    for (table, code, rule) in [
        ("client 192.0.2.0/24 reject go away\n", "550", "access-client"),
        ("client 192.0.2.7 defer\n", "450", "access-client"),
        ("helo client.example reject\n", "550", "access-helo"),
        ("sender far.example reject 5.7.9 no\n", "550", "access-sender"),
        ("recipient ann@ reject\n", "550", "access-recipient"),
        ("client 198.51.100.0/24 reject\n", "250", ""),
        ("client 192.0.2.7 ok\nsender far.example reject\n", "250", ""),
    ] {
        let (got, output) = rcpt(&with(table));
        assert_eq!(got, code, "{table}: {}", output.describe());
        assert!(rule.is_empty() || output.err().contains(&format!("rule={rule} ")), "{}", output.err());
    }
    let reject = with("client 192.0.2.0/24 reject go away\n");
    assert!(rcpt(&reject).1.out().contains("550 5.7.1 go away"));
    // postmaster is reached whatever the client is
    let output = play(&reject, &ENVELOPE.replace("ann@here.example", "postmaster"));
    assert_eq!(codes(&output), "220 250 250 250 221");
    let discard = with("sender far.example discard\n");
    let output = play(&discard, &format!("{ENVELOPE}DATA\r\nA: b\r\n\r\nc\r\n.\r\n"));
    assert_eq!(codes(&output), "220 250 250 250 354 250 221");
    assert_eq!(discard.queued().len(), 0);
}

#[test]
fn the_access_table_holds() {
    let message = format!("{ENVELOPE}DATA\r\nA: b\r\n\r\nc\r\n.\r\n");
    for (table, hold) in [
        ("sender far.example hold look at it\nclient 192.0.2.7 ok\n", None),
        ("sender far.example hold look at it\n", Some("look at it")),
        ("client 192.0.2.0/24 hold\nsender far.example hold later\n", Some("access-client")),
    ] {
        let instance = with_tables("", &[("access", table)]);
        assert_eq!(codes(&play(&instance, &message)), "220 250 250 250 354 250 221");
        let queued = instance.queued().remove(0);
        let found = queued.lines().find_map(|l| l.strip_prefix("hold: "));
        assert_eq!(found, hold, "{table}: {queued}");
    }
    // the others are asked all the same
    let refused = with_tables("", &[("access", "client 192.0.2.7 hold\nsender far.example reject\n")]);
    assert_eq!(codes(&play(&refused, ENVELOPE)), "220 250 250 550 221");
    // LMTP delivers at once, but not what is to be held
    let instance = with_tables("", &[("access", "sender far.example hold\n")]);
    let output = instance.stranger("lmtp").stdin(format!("{}QUIT\r\n", message.replace("EHLO", "LHLO"))).run();
    assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{}", output.describe());
    assert!(instance.queued()[0].contains("\nhold: access-sender\n"));
}

#[test]
fn rates_hold_across_connections() {
    let instance = Instance::usual("[smtpd]\nrate_messages = 2\nrate_recipients = 3\n");
    assert_eq!(codes(&play(&instance, ENVELOPE)), "220 250 250 250 221");
    let two = format!("{ENVELOPE}RCPT TO:<bob@here.example>\r\nRCPT TO:<bob@here.example>\r\n");
    let output = play(&instance, &two);
    assert_eq!(codes(&output), "220 250 250 250 250 450 221");
    assert!(output.err().contains("rule=rate-recipients"));
    let output = play(&instance, ENVELOPE);
    assert_eq!(codes(&output), "220 250 450 503 221");
    assert!(output.err().contains("rule=rate-messages"));
}

/// A login is counted wherever it comes from, an IPv6 client as its network; counts outlive the service.
#[test]
fn rates_are_for_logins_and_networks() {
    let instance = Instance::usual("[smtpd]\nrate_messages = 2\nresolve_clients = false\n");
    let from = |ip: &str| {
        let run = instance.stranger("mx").env("TCPREMOTEIP", ip);
        codes(&run.stdin("EHLO x\r\nMAIL FROM:<a@far.example>\r\nQUIT\r\n").run())
    };
    assert_eq!(from("2001:db8::1"), "220 250 250 221");
    assert_eq!(from("2001:db8::ffff:2"), "220 250 250 221");
    assert_eq!(from("2001:db8::3"), "220 250 450 221");
    assert_eq!(from("2001:db8:0:1::1"), "220 250 250 221");
    let login = |ip: &str| {
        let auth = "AUTH PLAIN AGFubkBoZXJlLmV4YW1wbGUAc2VjcmV0\r\n";
        let run = instance.stranger("submission").env("TCPREMOTEIP", ip).env("SSL_PROTOCOL", "TLSv1.3");
        codes(&run.stdin(format!("EHLO x\r\n{auth}MAIL FROM:<ann@here.example>\r\nQUIT\r\n")).run())
    };
    assert_eq!(login("192.0.2.1"), "220 250 235 250 221");
    assert_eq!(login("192.0.2.2"), "220 250 235 250 221");
    assert_eq!(login("192.0.2.3"), "220 250 235 450 221");
}

/// A limit that only a login's domain could have is asked for once where there is none, and counted where there is one.
#[test]
fn a_login_without_a_limit_is_asked_for_once() {
    let instance = with_tables("", &[("domains", "here.example local rate_recipients=3\n")]);
    let asked = instance.overhear_lookup();
    let auth = "AUTH PLAIN AGFubkBoZXJlLmV4YW1wbGUAc2VjcmV0\r\n";
    let message = "MAIL FROM:<ann@here.example>\r\nRCPT TO:<bob@here.example>\r\nRCPT TO:<x@far.example>\r\nRSET\r\n";
    let run = instance.stranger("submission").env("SSL_PROTOCOL", "TLSv1.3");
    let output = run.stdin(format!("EHLO x\r\n{auth}{message}{message}QUIT\r\n")).run();
    assert_eq!(codes(&output), "220 250 235 250 250 250 250 250 250 450 250 221", "{}", output.describe());
    let rates: Vec<String> =
        asked.lock().unwrap().iter().filter_map(|q| Some(q.strip_prefix("rate\t")?.into())).collect();
    let count = |what: &str| rates.iter().filter(|q| q.starts_with(what)).count();
    assert_eq!(
        (count("messages/login/ann@here.example\t"), count("recipients/login/ann@here.example\t")),
        (1, 4),
        "{rates:?}"
    );
}

/// From half of max_errors on, each error costs the client time.
#[test]
fn errors_cost_time() {
    let instance = Instance::usual("[smtpd]\nmax_errors = 6\ntarpit = \"1s\"\nresolve_clients = false\n");
    let time = |errors: usize| {
        let start = std::time::Instant::now();
        play(&instance, &"NONSENSE\r\n".repeat(errors));
        start.elapsed().as_secs()
    };
    // the third, fourth and fifth wait
    assert!(time(5) >= 3);
}

const ZONE: &str = "\
7.2.0.192.in-addr.arpa. PTR mail.far.example.
mail.far.example. A 192.0.2.7
8.2.0.192.in-addr.arpa. PTR forged.example.
forged.example. A 198.51.100.1
7.2.0.192.bl.example. A 127.0.0.2
7.2.0.192.some.example. A 127.0.0.9
7.2.0.192.wild.example. A 203.0.113.1
7.2.0.192.wl.example. A 127.0.0.1
far.example. MX 10 mail.far.example.
null.example. MX 0 .
";

fn with_dns(server: &DnsServer, keys: &str) -> Instance {
    Instance::usual(&format!("[remote]\nresolver = \"{}\"\n[smtpd]\n{keys}", server.at()))
}

#[test]
fn names_must_lead_back_to_the_client() {
    let server = DnsServer::new(ZONE);
    let instance = with_dns(&server, "need_client_name = true\n");
    let input = format!("{ENVELOPE}DATA\r\nA: b\r\n\r\nc\r\n.\r\nQUIT\r\n");
    let output = instance.stranger("mx").stdin(&input).run();
    assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{}", output.describe());
    assert!(instance.queued()[0].contains("from client.example (mail.far.example [192.0.2.7])"));
    assert!(instance.queued()[0].contains("client-name: mail.far.example\n"));
    let forged = instance.stranger("mx").env("TCPREMOTEIP", "192.0.2.8").stdin(format!("{ENVELOPE}QUIT\r\n")).run();
    assert_eq!(codes(&forged), "220 250 250 450 221");
    assert!(forged.out().contains("4.7.25"), "{}", forged.out());
    let none = instance.stranger("mx").env("TCPREMOTEIP", "192.0.2.9").stdin(format!("{ENVELOPE}QUIT\r\n")).run();
    assert_eq!(codes(&none), "220 250 250 450 221");
}

#[test]
fn dns_lists_have_weights() {
    let server = DnsServer::new(ZONE);
    for (lists, threshold, code) in [
        ("\"bl.example\"", 1, "554"),
        ("\"bl.example\"", 2, "250"),
        ("\"bl.example*2\"", 2, "554"),
        ("\"bl.example=127.0.0.2\"", 1, "554"),
        ("\"bl.example=127.0.0.3\"", 1, "250"),
        ("\"some.example=127.0.0.[2..11]\"", 1, "554"),
        ("\"some.example=127.0.0.[2..8]\"", 1, "250"),
        ("\"wild.example\"", 1, "250"),
        ("\"none.example\"", 1, "250"),
        ("\"bl.example*3\", \"wl.example*-3\"", 1, "250"),
    ] {
        let instance = with_dns(&server, &format!("dnsbl = [{lists}]\ndnsbl_threshold = {threshold}\n"));
        let (got, output) = rcpt(&instance);
        assert_eq!(got, code, "{lists} {threshold}: {}", output.describe());
    }
}

#[test]
fn a_silent_resolver_lets_mail_in() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let instance = Instance::usual(&format!(
        "[remote]\nresolver = \"{address}\"\n[smtpd]\ndnsbl = [\"bl.example\"]\ndns_timeout = \"1s\"\n"
    ));
    let start = std::time::Instant::now();
    assert_eq!(rcpt(&instance).0, "250");
    assert!(start.elapsed() < std::time::Duration::from_secs(60));
}

#[test]
fn senders_and_greetings_are_checked() {
    let server = DnsServer::new(ZONE);
    let instance = with_dns(&server, "check_sender_domain = true\n");
    for (sender, code) in
        [("a@far.example", "250"), ("a@null.example", "550"), ("a@nowhere.example", "550"), ("", "250")]
    {
        let output = play(&instance, &ENVELOPE.replace("a@far.example", sender));
        assert_eq!(codes(&output).split(' ').nth(3), Some(code), "{sender}: {}", output.describe());
    }
    for (helo, code) in [("mx.here.example", "550"), ("192.0.2.7", "550"), ("1234", "550"), ("[192.0.2.7]", "250")] {
        let output = play(&instance, &ENVELOPE.replace("client.example", helo));
        assert_eq!(codes(&output).split(' ').nth(3), Some(code), "{helo}");
    }
}

#[test]
fn unknown_triplets_wait() {
    let instance = Instance::usual("[smtpd]\ngreylist = true\n");
    let (code, output) = rcpt(&instance);
    assert_eq!(code, "450");
    assert!(output.out().contains("450 4.7.1 greylisted, try again in "), "{}", output.out());
    // loopback clients are no strangers
    let output = instance.smtpd("mx").stdin(format!("{ENVELOPE}QUIT\r\n")).run();
    assert_eq!(codes(&output), "220 250 250 250 221");
}

/// A policy server that answers by sender and keeps the questions.
fn policy_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                let mut question = String::new();
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if !line.is_empty() {
                        question.push_str(&line);
                        question.push('\n');
                        continue;
                    }
                    let sender = question.lines().find_map(|l| l.strip_prefix("sender=")).unwrap_or_default();
                    let action = match sender.split('@').next().unwrap_or_default() {
                        "reject" => "REJECT not you",
                        "defer" => "DEFER_IF_PERMIT 4.7.9 later",
                        "code" => "521 5.3.2 never",
                        "prepend" => "PREPEND X-Policy: seen",
                        "hold" => "HOLD look at it",
                        "odd" => "FILTER smtp:x",
                        _ => "DUNNO",
                    };
                    let _ = writer.write_all(format!("action={action}\n\n").as_bytes());
                    kept.lock().unwrap().push(std::mem::take(&mut question));
                }
            });
        }
    });
    (address, seen)
}

#[test]
fn policy_servers_are_asked_at_rcpt() {
    let (address, seen) = policy_server();
    let instance = Instance::usual(&format!("[smtpd]\npolicy = [\"inet:{address}\"]\nresolve_clients = false\n"));
    for (sender, reply) in [
        ("reject", "554 5.7.1 not you"),
        ("defer", "450 4.7.9 later"),
        ("code", "521 5.3.2 never"),
        ("odd", "451 4.3.5 server configuration problem"),
        ("fine", "250 2.1.5 recipient OK"),
    ] {
        let output = play(&instance, &ENVELOPE.replace("a@far", &format!("{sender}@far")));
        assert!(output.out().contains(reply), "{sender}: {}", output.describe());
    }
    let question = seen.lock().unwrap()[0].clone();
    for line in [
        "request=smtpd_access_policy\n",
        "protocol_state=RCPT\n",
        "client_address=192.0.2.7\n",
        "helo_name=client.example\n",
        "sender=reject@far.example\n",
        "recipient=ann@here.example\n",
    ] {
        assert!(question.contains(line), "{line:?} in {question}");
    }
    let message = "DATA\r\nA: b\r\n\r\nc\r\n.\r\n";
    play(&instance, &(ENVELOPE.replace("a@far", "prepend@far") + message));
    play(&instance, &(ENVELOPE.replace("a@far", "hold@far") + message));
    let queued = instance.queued();
    assert!(queued.iter().any(|e| e.contains("\n\nX-Policy: seen\nReceived: ")), "{queued:?}");
    assert!(queued.iter().any(|e| e.contains("\nhold: look at it\n")), "{queued:?}");
}

/// The same over a unix socket.
#[test]
fn policy_servers_have_unix_sockets_too() {
    let dir = penny_testkit::TempDir::new();
    let path = dir.join("policy");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    smtpfake::instance::own(dir.path());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut writer = stream.try_clone().unwrap();
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if line.is_empty() {
                    let _ = writer.write_all(b"action=550 5.7.9 by socket\n\n");
                }
            }
        }
    });
    let keys = format!("[smtpd]\npolicy = [\"unix:{}\"]\nresolve_clients = false\n", path.display());
    let (code, output) = rcpt(&Instance::usual(&keys));
    assert_eq!(code, "550", "{}", output.describe());
    output.expect_out("550 5.7.9 by socket");
}

#[test]
fn a_policy_server_that_is_not_there_defers() {
    let instance = Instance::usual("[smtpd]\npolicy = [\"inet:127.0.0.1:1\"]\n");
    assert_eq!(rcpt(&instance).0, "451");
}

#[test]
fn xclient_is_believed_from_named_hosts_only() {
    let instance = Instance::usual("[smtpd]\nxclient_hosts = [\"192.0.2.7\"]\nresolve_clients = false\n");
    let x = "EHLO front.example\r\nXCLIENT NAME=spike.far.example ADDR=198.51.100.9 HELO=spike PORT=99\r\n";
    let output = play(&instance, &format!("{x}{ENVELOPE}DATA\r\nA: b\r\n\r\nc\r\n.\r\n"));
    assert_eq!(codes(&output), "220 250 220 250 250 250 354 250 221", "{}", output.describe());
    assert!(output.out().contains("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"));
    assert!(instance.queued()[0].contains("from client.example (spike.far.example [198.51.100.9])"));
    assert!(instance.queued()[0].contains("client-ip: 198.51.100.9\n"));
    for bad in ["XCLIENT ADDR=x", "XCLIENT FOO=x", "XCLIENT NAME=a+0Ab", "XCLIENT NAME=a/b", "XFORWARD ADDR=1.2"] {
        assert_eq!(codes(&play(&instance, &format!("EHLO x\r\n{bad}\r\n"))), "220 250 501 221", "{bad}");
    }
    let other = instance.stranger("mx").env("TCPREMOTEIP", "192.0.2.8").stdin(format!("{x}QUIT\r\n")).run();
    assert_eq!(codes(&other), "220 250 550 221");
    // after MAIL it is too late
    let late = "EHLO x\r\nMAIL FROM:<>\r\nXCLIENT ADDR=192.0.2.1\r\n";
    assert_eq!(codes(&play(&instance, late)), "220 250 250 503 221");
}

/// What the host in front told holds for one message: in Received and the log line, not for the checks.
#[test]
fn xforward_is_for_one_message() {
    let instance = Instance::usual("[smtpd]\nxclient_hosts = [\"192.0.2.7\"]\nresolve_clients = false\n");
    let told = "XFORWARD NAME=spike.far.example ADDR=IPv6:2001:db8::9 PORT=99 PROTO=smtp\r\n\
                XFORWARD HELO=spike.example IDENT=4BXyz+2B1 SOURCE=REMOTE\r\n";
    let one = "MAIL FROM:<a@far.example>\r\nRCPT TO:<ann@here.example>\r\nDATA\r\nA: b\r\n\r\nc\r\n.\r\n";
    let output = play(&instance, &format!("EHLO front.example\r\n{told}{one}{one}"));
    assert_eq!(codes(&output), "220 250 250 250 250 250 354 250 250 250 354 250 221", "{}", output.describe());
    assert!(output.out().contains("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"));
    let log = output.err();
    let accepted: Vec<&str> = log.lines().filter(|l| l.contains("ev=accepted")).collect();
    let forwarded = "forwarded=\"NAME=spike.far.example ADDR=2001:db8::9 PORT=99 PROTO=SMTP HELO=spike.example \
                     IDENT=4BXyz+1 SOURCE=REMOTE\"";
    assert!(accepted[0].contains(forwarded) && accepted[0].contains("ip=192.0.2.7 "), "{log}");
    assert!(!accepted[1].contains("forwarded"), "{log}");
    let entries = instance.queued();
    let with = |text: &str| entries.iter().filter(|e| e.contains(text)).count();
    assert_eq!(with("Received: from spike.example (spike.far.example [IPv6:2001:db8::9])"), 1, "{entries:?}");
    assert_eq!(with("Received: from front.example (unknown [192.0.2.7])"), 1, "{entries:?}");
    assert_eq!(with("client-ip: 192.0.2.7\n"), 2);
    for bad in ["PORT=x", "PROTO=QMTP", "SOURCE=MOON", "NAME=a/b", "PORT=99999"] {
        assert_eq!(codes(&play(&instance, &format!("EHLO x\r\nXFORWARD {bad}\r\n"))), "220 250 501 221", "{bad}");
    }
    // RSET takes it back
    let output = play(&instance, &format!("EHLO front.example\r\n{told}RSET\r\n{one}"));
    assert!(!output.err().contains("forwarded="), "{}", output.err());
}

/// A name that XCLIENT gave is not asked of the DNS again; the address it gave is what lists are asked about.
#[test]
fn xclient_changes_what_dns_is_asked() {
    let server = DnsServer::new(ZONE);
    let keys = "need_client_name = true\nxclient_hosts = [\"198.51.100.1\"]\ndnsbl = [\"bl.example\"]\n";
    let instance = with_dns(&server, keys);
    let run = |x: &str| {
        let input = format!("EHLO front\r\nXCLIENT {x}\r\n{ENVELOPE}QUIT\r\n");
        let output = instance.stranger("mx").env("TCPREMOTEIP", "198.51.100.1").stdin(input).run();
        (codes(&output), output)
    };
    let (got, output) = run("ADDR=192.0.2.9 NAME=given.far.example");
    assert_eq!(got, "220 250 220 250 250 250 221", "{}", output.describe());
    let (got, output) = run("ADDR=192.0.2.7");
    assert_eq!(got, "220 250 220 250 250 554 221", "{}", output.describe());
}

/// Filters are told which DNS lists have the client.
#[test]
fn filters_know_the_dns_lists() {
    let dir = penny_testkit::TempDir::new();
    let script = "#!/bin/sh\ncat >/dev/null\necho \"X-Lists: $DNSBL_SCORE $DNSBL\"\n";
    let command = Instance::script(dir.path(), "say", script);
    smtpfake::instance::own(dir.path());
    let server = DnsServer::new(ZONE);
    let keys = "dnsbl = [\"bl.example*2\", \"some.example\", \"none.example*9\", \"wl.example*-1\"]\n\
                dnsbl_threshold = 5\n";
    let instance = with_dns(&server, &format!("{keys}[[filter]]\nname = \"say\"\ncommand = [\"{command}\"]\n"));
    let message = "DATA\r\nA: b\r\n\r\nc\r\n.\r\n";
    let output = play(&instance, &format!("{ENVELOPE}{message}"));
    assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{}", output.describe());
    assert!(
        instance.queued()[0].contains("\nX-Lists: 2 bl.example some.example wl.example\n"),
        "{:?}",
        instance.queued()
    );
    // nobody asks about clients that are no strangers
    let own = instance.smtpd("mx").stdin(format!("{ENVELOPE}{message}QUIT\r\n")).run();
    assert_eq!(codes(&own), "220 250 250 250 354 250 221", "{}", own.describe());
    assert!(instance.queued().iter().any(|e| e.contains("\nX-Lists: 0 \n") || e.contains("\nX-Lists: 0\n")));
}

#[test]
fn extensions_by_role_and_trust() {
    let instance = Instance::usual("[smtpd]\nhide = [\"CHUNKING\"]\nmax_messages = 2\n");
    let mx = play(&instance, "EHLO x\r\n").out();
    assert!(!mx.contains("CHUNKING") && !mx.contains("FUTURERELEASE") && mx.contains("LIMITS MAILMAX=2 RCPTMAX=1000"));
    assert!(mx.contains("DELIVERBY\r\n") && mx.contains("MT-PRIORITY\r\n") && !mx.contains("XCLIENT"));
    let login = "AUTH PLAIN AGFubkBoZXJlLmV4YW1wbGUAc2VjcmV0\r\n";
    let submit = |mail: &str| {
        let input = format!("EHLO x\r\n{login}MAIL FROM:<ann@here.example>{mail}\r\nQUIT\r\n");
        let output = instance.smtpd("submission").stdin(input).run();
        (codes(&output).split(' ').nth(3).unwrap_or_default().to_owned(), output.out())
    };
    assert!(submit("").1.contains("FUTURERELEASE 2592000 20"));
    for (mail, code) in [
        (" HOLDFOR=60", "250"),
        (" HOLDFOR=2592001", "501"),
        (" HOLDUNTIL=2001-01-01T00:00:00Z", "501"),
        (" MT-PRIORITY=5", "250"),
        (" BY=120;R", "250"),
        (" BY=0;R", "501"),
        (" REQUIRETLS", "555"),
    ] {
        assert_eq!(submit(mail).0, code, "{mail}");
    }
    assert!(!submit(" MT-PRIORITY=5").1.contains("2.3.6"));
    let stranger = play(&instance, "EHLO x\r\nMAIL FROM:<a@far.example> MT-PRIORITY=5 BY=60;N HOLDFOR=1\r\n");
    assert_eq!(codes(&stranger), "220 250 555 221");
    let stranger = play(&instance, "EHLO x\r\nMAIL FROM:<a@far.example> MT-PRIORITY=5 BY=60;N\r\n");
    assert!(stranger.out().contains("250 2.3.6"), "{}", stranger.out());
}

#[test]
fn submission_can_hide_the_client() {
    let instance = Instance::usual("[smtpd]\nhide_client = true\nsubmission_loopback = true\n");
    let input = "EHLO laptop.example\r\nMAIL FROM:<ann@here.example>\r\nRCPT TO:<bob@here.example>\r\n\
                 DATA\r\nFrom: ann@here.example\r\n\r\nx\r\n.\r\nQUIT\r\n";
    let output = instance.smtpd("submission").stdin(input).run();
    assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{}", output.describe());
    let entry = instance.queued().remove(0);
    assert!(entry.contains("Received: from mx.here.example (authenticated user)"), "{entry}");
    assert!(!entry.contains("(unknown") && !entry.split("\n\n").nth(1).unwrap().contains("laptop.example"), "{entry}");
}

/// A real policy daemon: postgrey greylists, then lets the same triplet in.
#[test]
fn postgrey_is_understood() {
    let Some(postgrey) =
        ["/usr/sbin/postgrey", "/usr/local/sbin/postgrey"].iter().find(|p| std::path::Path::new(p).exists())
    else {
        penny_testkit::skip("postgrey_is_understood", "postgrey is not installed");
        return;
    };
    let dir = penny_testkit::TempDir::new();
    smtpfake::instance::own(dir.path());
    let port = penny_testkit::free_port();
    let mut command = std::process::Command::new(postgrey);
    command.arg(format!("--inet=127.0.0.1:{port}")).arg(format!("--dbdir={}", dir.path().display())).arg("--delay=1");
    command.arg("--whitelist-clients=/dev/null").arg("--whitelist-recipients=/dev/null");
    if penny_sys::ids::is_root() {
        use std::os::unix::process::CommandExt;
        command.uid(64_990).gid(64_990);
    }
    let daemon = penny_testkit::Daemon::start(&mut command);
    penny_testkit::wait_for_port(port);
    let instance =
        Instance::usual(&format!("[smtpd]\npolicy = [\"inet:127.0.0.1:{port}\"]\nresolve_clients = false\n"));
    let first = rcpt(&instance);
    assert_eq!(first.0, "450", "{}", first.1.describe());
    assert!(first.1.out().contains("reylisted"), "{}", first.1.out());
    penny_testkit::until("a second look at the same triplet", || {
        let (code, output) = rcpt(&instance);
        assert!(["450", "250"].contains(&code.as_str()), "{}", output.describe());
        code == "250"
    });
    drop(daemon);
}
