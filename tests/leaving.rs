//! Mail that leaves: forwards are sealed with ARC and keep their signatures, our own mail is signed, and what any other
//! filter of the services `forward` and `own` says is done.
#![cfg(feature = "tls")]

#[path = "support/instance.rs"]
mod instance;
#[path = "support/queue.rs"]
mod support;

use penny_dns::Zone;
use penny_queue::{Envelope, Line};
use penny_testkit::sink::Mail;
use penny_testkit::{Client, DnsServer, Run, Sink, TempDir, program};
use penny_verify::arc;
use penny_verify::dkim::{self, Keys};
use penny_verify::message::Message;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use support::{Post, give, recipient, sender, until};

/// A queue whose mail for other hosts goes to a sink.
struct Site {
    sink: Sink,
    post: Post,
    /// The keys of the test, as the DNS has them.
    zone: String,
}

impl Site {
    /// With these filters, see `with_keys`.
    fn new(filters: &str) -> Site {
        let sink = Sink::start();
        let post = Post::new("srs_domain = \"example.test\"", "");
        let mut site = Site { sink, post, zone: String::new() };
        let own = site.key("own", "example.test");
        site.key("theirs", "d.example");
        let post = &site.post;
        let key = own.display();
        let table = post.dir.write("dkim", format!("example.test own {key}\n.example.test own {key} d=example.test\n"));
        site.configure(&with_keys(filters, &table));
        post.table("routes", &format!("* smtp:[127.0.0.1]:{} tls=none\n", site.sink.port()));
        post.table("aliases", "fan: x@far.test\nboth: ann, z@far.test\n");
        let forward = post.home("joe").join(".forward");
        std::fs::write(&forward, "y@far.test\n").unwrap();
        std::fs::write(post.home("bob").join(".dovecot.sieve"), "redirect \"w@far.test\";\n").unwrap();
        site.post.own();
        site
    }

    /// Puts this at the end of the configuration.
    fn configure(&self, more: &str) {
        let config = self.post.dir.join("p.toml");
        std::fs::write(&config, std::fs::read_to_string(&config).unwrap() + more).unwrap();
    }

    fn up(mut self) -> Site {
        self.post = self.post.up();
        self
    }

    /// Makes a key, and publishes it.
    fn key(&mut self, selector: &str, domain: &str) -> PathBuf {
        let file = self.post.dir.join(format!("{selector}.pem"));
        self.zone += &make_key(&file, selector, domain);
        file
    }

    /// A stranger's message as smtpd and mailauth leave it, signed by its author's domain.
    fn strangers_mail(&self) -> String {
        let results = "Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=d.example; dkim=pass header.d=d.example; arc=none\n";
        format!("{results}{}", signed(&self.post.dir.join("theirs.pem")))
    }

    /// Hands in a message as smtpd would, from a host elsewhere.
    fn comes_in(&self, to: &str, message: &str) {
        self.comes_from("joe@d.example", to, message);
    }

    fn comes_from(&self, from: &str, to: &str, message: &str) {
        let envelope = Envelope {
            client_ip: Line::new("192.0.2.1"),
            sender: sender(from, ""),
            recipients: vec![recipient(to, "")],
            ..Envelope::default()
        };
        self.post.commit(envelope, message.as_bytes());
    }

    /// The message that went to an address.
    fn sent_to(&self, address: &str) -> Mail {
        let rcpt = format!("RCPT TO:<{address}>");
        let find = || self.sink.mails().into_iter().find(|m| m.rcpts.iter().any(|r| r.starts_with(&rcpt)));
        until(address, || find().is_some());
        find().unwrap()
    }

    /// Domains whose signatures verify, and whether the seals do.
    fn verified(&self, mail: &Mail) -> (Vec<String>, arc::Outcome) {
        verified(&self.zone, mail)
    }
}

/// Domains whose signatures verify, and whether the seals do.
fn verified(zone: &str, mail: &Mail) -> (Vec<String>, arc::Outcome) {
    let (message, zone, keys) = (Message::parse(&mail.data), Zone::parse(zone), Keys::new());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let verdicts = dkim::verify(&message, &zone, &keys, now);
    let good = verdicts.iter().filter(|v| v.outcome == dkim::Outcome::Pass).map(|v| v.domain.clone());
    (good.collect(), arc::verify(&message, &zone, &keys).outcome)
}

/// Makes a key and gives the line of a zone that publishes it.
fn make_key(file: &Path, selector: &str, domain: &str) -> String {
    let make = Run::new(program!("dkimsign")).args(["--generate", "rsa", "--selector", selector]);
    let out = make.args(["--domain", domain, "--key"]).arg(file).run();
    let record: String = out.expect_code(0).out().split('"').skip(1).step_by(2).collect();
    format!("{selector}._domainkey.{domain} TXT {record}\n")
}

/// A mail of joe@d.example with the signature of that domain.
fn signed(key: &Path) -> String {
    let mail = "From: Joe <joe@d.example>\nTo: you@example.test\nSubject: hi\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\
                Message-ID: <1@d.example>\n\nHello  there \n\n.\nFrom me\n";
    let sign = Run::new(program!("dkimsign")).arg("--key").arg(key);
    let field = sign.args(["--selector", "theirs", "--domain", "d.example"]).stdin(mail).run();
    format!("{}{mail}", field.expect_code(0).out())
}

const DKIMSIGN: &str = "KEYS\n[[filter]]\nname = \"dkimsign\"\ncommand = [\"dkimsign\"]\nsign = true\n\
                        services = [\"submission\", \"forward\", \"own\"]\n";

/// These filters with the section of dkimsign where they say `KEYS`.
fn with_keys(filters: &str, table: &Path) -> String {
    filters.replace("KEYS", &format!("[dkimsign]\ntable = \"{}\"\narc_domain = \"example.test\"", table.display()))
}

#[test]
fn forwards_are_sealed_and_keep_their_signatures() {
    let site = Site::new(DKIMSIGN).up();
    let mail = site.strangers_mail();
    for (to, arrives) in [
        ("fan@example.test", "x@far.test"),  // an alias
        ("joe@example.test", "y@far.test"),  // .forward
        ("both@example.test", "z@far.test"), // an alias, and a mailbox here
        ("bob@example.test", "w@far.test"),  // Sieve
    ] {
        site.comes_in(to, &mail);
        let sent = site.sent_to(arrives);
        assert_eq!(site.verified(&sent), (vec!["d.example".to_owned()], arc::Outcome::Pass), "{to}: {}", sent.text());
        let text = sent.text();
        assert_eq!(text.matches("ARC-Seal: ").count(), 1, "{text}");
        assert!(sent.mail.starts_with("MAIL FROM:<SRS0="), "{}", sent.mail);
        assert!(sent.mail.contains(&format!(" SIZE={}", sent.data.len())), "{} of {}", sent.mail, sent.data.len());
    }
    site.post.wait_empty();
    let here = site.post.wait_mails("ann", 1);
    assert!(!here[0].contains("ARC-Seal"), "what stays here is as it came: {}", here[0]);
}

#[test]
fn a_stranger_gets_no_signature_of_ours() {
    let site = Site::new(DKIMSIGN).up();
    let forged = "From: boss@example.test\nTo: fan@example.test\nSubject: pay\n\nnow\n";
    site.comes_in("fan@example.test", forged);
    let sent = site.sent_to("x@far.test");
    assert_eq!(site.verified(&sent), (vec![], arc::Outcome::None), "{}", sent.text());
}

/// Results in our name that came with the message are not ours: the seal does not repeat them.
#[test]
fn a_seal_states_nothing_that_came_from_outside() {
    let site = Site::new(DKIMSIGN).up();
    let forged = "Received: from x by mx.example.test\nAuthentication-Results: mx.example.test; dmarc=pass header.from=bank.test; arc=none\n\
                  From: boss@bank.test\nSubject: pay\n\nnow\n";
    site.comes_in("fan@example.test", forged);
    let sent = site.sent_to("x@far.test");
    assert_eq!(site.verified(&sent), (vec![], arc::Outcome::None), "{}", sent.text());
    let ours = format!("Authentication-Results: mx.example.test; dmarc=fail header.from=bank.test; arc=none\n{forged}");
    site.comes_in("joe@example.test", &ours);
    let sent = site.sent_to("y@far.test");
    assert_eq!(site.verified(&sent).1, arc::Outcome::Pass, "{}", sent.text());
    let text = sent.text();
    let stated =
        text.split("ARC-Authentication-Results:").nth(1).unwrap().split("\r\nAuthentication-Results").next().unwrap();
    assert!(stated.contains("dmarc=fail") && !stated.contains("dmarc=pass"), "{text}");
}

#[test]
fn our_own_mail_is_signed() {
    let site = Site::new(DKIMSIGN);
    std::fs::write(site.post.home("ann").join(".dovecot.sieve"), "require \"vacation\";\nvacation \"away\";\n")
        .unwrap();
    give(&site.post.home("ann").join(".dovecot.sieve"));
    let site = site.up();
    let ours = (vec!["example.test".to_owned()], arc::Outcome::None);

    let sendmail = site.post.run(&program!("sendmail")).args(["-f", "joe@example.test", "-t"]);
    sendmail.stdin("From: joe@example.test\nTo: a@far.test\nSubject: x\n\nx\n").run().expect_code(0);
    let sent = site.sent_to("a@far.test");
    assert_eq!(site.verified(&sent), ours, "{}", sent.text());

    site.comes_in("nobody@example.test", &site.strangers_mail());
    let bounce = site.sent_to("joe@d.example");
    assert!(bounce.mail.starts_with("MAIL FROM:<>"), "{}", bounce.mail);
    assert_eq!(site.verified(&bounce).0, ours.0, "{}", bounce.text());

    let asks = "From: Liz <liz@e.example>\nTo: ann@example.test\nSubject: hi\n\nhi\n";
    site.comes_from("liz@e.example", "ann@example.test", asks);
    let vacation = site.sent_to("liz@e.example");
    assert!(vacation.text().contains("Auto-Submitted: auto-replied"), "{}", vacation.text());
    assert_eq!(site.verified(&vacation), ours, "{}", vacation.text());

    // smtpd's filters have seen what a user submitted
    let envelope = Envelope {
        login: Line::new("joe@example.test"),
        client_ip: Line::new("192.0.2.1"),
        sender: sender("joe@example.test", ""),
        recipients: vec![recipient("b@far.test", "")],
        ..Envelope::default()
    };
    site.post.commit(envelope, b"From: joe@example.test\nSubject: x\n\nx\n");
    assert_eq!(site.verified(&site.sent_to("b@far.test")).0, Vec::<String>::new());
    site.post.wait_empty();
}

#[test]
fn tls_reports_are_signed() {
    let site = Site::new(DKIMSIGN).up();
    let state = site.post.dir.join("state/out/tlsrpt");
    std::fs::create_dir_all(&state).unwrap();
    let dns = DnsServer::new(
        "_smtp._tls.rpt.test TXT v=TLSRPTv1; rua=mailto:tls@rpt.test\nrpt.test MX 10 mx.rpt.test\n\
                              mx.rpt.test A 127.0.0.1",
    );
    // a conversation without STARTTLS writes the day's line
    site.configure(&format!("[remote]\ntls_reports = true\nport = {}\n", site.sink.port()));
    let remote = || site.post.run(&program!("remote")).env("PENNYPOST_RESOLVER", dns.at());
    site.post.own();
    remote().arg("v@rpt.test").stdin("Subject: x\n\nx\n").run().expect_code(0);
    let day = std::fs::read_dir(&state).unwrap().flatten().find(|e| e.file_name() != ".lock").unwrap();
    std::fs::rename(day.path(), state.join("20260102")).unwrap();
    remote().arg("--send-reports").run().expect_code(0);
    let sent = site.sent_to("tls@rpt.test");
    assert!(sent.text().contains("TLS-Report-Domain: rpt.test"), "{}", sent.text());
    assert_eq!(site.verified(&sent).0, ["example.test"], "{}", sent.text());
}

fn script(site: &Site, name: &str, text: &str) -> String {
    let path = site.post.dir.script(name, &format!("#!/bin/sh\n{text}\n"));
    give(&path);
    path.display().to_string()
}

fn with_scripts(filters: &[(&str, &str)]) -> Site {
    let site = Site::new("");
    for (name, body) in filters {
        let path = script(&site, name, body);
        site.configure(&format!(
            "[[filter]]\nname = \"{name}\"\ncommand = [\"{path}\"]\nservices = [\"forward\", \"own\"]\n"
        ));
    }
    site.up()
}

#[test]
fn any_filter_sees_the_bare_message_and_what_it_is_about() {
    let first = "printf 'X-First: %s\\n' \"$SERVICE\"";
    let second = "printf 'X-Second: %s|%s|%s|%s|%s\\n' \"$(echo \"$FIELDS\")\" \"$SENDER\" \"$(cat $RECIPIENTS_FILE)\" \
                  \"$REMOTE_IP\" \"$(cksum)\"";
    let site = with_scripts(&[("first", first), ("second", second)]);
    let large = format!("From: joe@d.example\nSubject: large\n\n{}", "0123456789abcde\n".repeat(40_000));
    for (n, message) in ["From: joe@d.example\nSubject: small\n\nx\n", large.as_str()].into_iter().enumerate() {
        site.comes_in("both@example.test", message);
        until("the mail", || site.sink.count() > n);
        let sent = site.sink.mails()[n].text();
        let sum = Run::new("/usr/bin/cksum").stdin(message).run().expect_code(0).out();
        let said = format!(
            "X-Second: X-First: forward|joe@d.example|z@far.test|192.0.2.1|{}\r\nX-First: forward\r\n",
            sum.trim()
        );
        assert!(sent.starts_with(&said), "{}", sent.get(..600).unwrap_or(&sent));
    }
}

#[test]
fn a_filter_that_fails_keeps_the_mail_and_one_that_refuses_returns_it() {
    let body =
        "case $RECIPIENTS in late*) exit 1;; never*) echo '5.7.1 not out of here'; exit 100;; mute*) kill -9 $$;; esac";
    let site = with_scripts(&[("judge", body)]);
    site.post.send("ann@example.test", &["never@far.test"], "x");
    let bounce = &site.post.wait_mails("ann", 1)[0];
    assert!(bounce.contains("Status: 5.7.1") && bounce.contains("not out of here"), "{bounce}");
    for to in ["late@far.test", "mute@far.test"] {
        let name = site.post.send("ann@example.test", &[to], "x");
        until("a deferral", || site.post.journal(&name).contains("4.3.0"));
        assert!(site.post.journal(&name).contains("cannot be checked or signed"), "{}", site.post.journal(&name));
    }
    site.post.send("ann@example.test", &["fine@far.test"], "x");
    site.sent_to("fine@far.test");
    assert_eq!(site.sink.count(), 1, "nothing else left");
}

/// The whole way, each program under the id it has in earnest: smtpd, mailauth, the queue, dkimsign with a key that nobody
/// else can read, remote.
#[test]
fn the_way_through_a_server() {
    let sink = Sink::start();
    let keys = TempDir::new();
    std::fs::set_permissions(keys.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (own, theirs) = (keys.join("own.pem"), keys.join("theirs.pem"));
    let zone = make_key(&own, "own", "example.test") + &make_key(&theirs, "theirs", "d.example");
    let zone = zone + "d.example TXT v=spf1 ip4:127.0.0.1 -all\n_dmarc.d.example TXT v=DMARC1; p=reject\n";
    if penny_sys::ids::is_root() {
        std::os::unix::fs::chown(&own, Some(64_208), Some(64_208)).unwrap();
    }
    let table = keys.write("dkim", format!("example.test own {}\n", own.display()));
    let dns = DnsServer::new(&zone);
    let extra = format!(
        "[mailauth]\nresolver = \"{}\"\n{}\n[[filter]]\nname = \"mailauth\"\ncommand = [\"mailauth\"]\nservices = [\"mx\"]\n",
        dns.at(),
        with_keys(DKIMSIGN, &table),
    );
    let extra = keys.write("extra.toml", extra).display().to_string();
    let port = sink.port().to_string();
    let server = instance::Instance::up(&[("STRANGERS", "1"), ("EXTRA_CONFIG", &extra), ("SINK_PORT", &port)]);
    let forward = server.top().join("mail/user1/.forward");
    std::fs::write(&forward, "x@remote.test\n").unwrap();
    if penny_sys::ids::is_root() {
        std::os::unix::fs::chown(&forward, Some(64_205), Some(64_205)).unwrap();
    }

    let mut client = Client::connect(("127.0.0.1", server.port("SMTP")));
    client.until("220");
    client.line("EHLO d.example");
    client.until("250 ");
    client.ask("MAIL FROM:<joe@d.example>", "250");
    client.ask("RCPT TO:<user1@example.test>", "250");
    client.ask("DATA", "354");
    let text: String =
        signed(&theirs).lines().map(|l| format!("{}{l}\r\n", if l.starts_with('.') { "." } else { "" })).collect();
    client.send(text);
    client.ask(".", "250");
    let sent = sink.wait(1).remove(0);
    assert_eq!(verified(&zone, &sent), (vec!["d.example".to_owned()], arc::Outcome::Pass), "{}", sent.text());
    let seal = sent.text().replace("\r\n", " ");
    let stated = seal.split("ARC-Authentication-Results: i=1; mx.example.test;").nth(1).unwrap_or_default();
    let stated = stated.split(" Authentication-Results:").next().unwrap_or_default();
    assert!(["spf=pass", "dkim=pass", "dmarc=pass"].iter().all(|r| stated.contains(r)), "{stated}\n{}", sent.text());

    let config = server.config();
    let sendmail =
        Run::new(server.program("sendmail")).env("PENNYPOST_CONFIG", &config).args(["-f", "user1@example.test"]);
    sendmail.arg("y@remote.test").stdin("From: user1@example.test\nSubject: x\n\nx\n").run().expect_code(0);
    let sent = sink.wait(2).remove(1);
    assert_eq!(verified(&zone, &sent).0, ["example.test"], "{}", sent.text());
}
