//! The resident services at SIGHUP, when they read the configuration again, and at SIGUSR2, when they hand over to a new
//! process: nobody who is connected notices either.

#[path = "support/instance.rs"]
mod support;

use nix::sys::signal::Signal::{SIGHUP, SIGTERM, SIGUSR2};
use penny_sys::files::process_exists;
use penny_testkit::Client;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use support::{Instance, converse, files, signal, until};

const MISTAKE: &str = "pennypost.toml:1:1: unknown key nonsense";

/// Replaces a piece of the configuration.
fn change(i: &Instance, from: &str, to: &str) {
    let text = std::fs::read_to_string(i.config()).expect("the configuration");
    assert!(text.contains(from), "{from:?} is not in {text}");
    std::fs::write(i.config(), text.replacen(from, to, 1)).expect("written");
}

/// Makes the configuration one with a mistake while `work` goes on.
fn broken<T>(i: &Instance, work: impl FnOnce() -> T) -> T {
    change(i, "hostname", "nonsense = 1\nhostname");
    let result = work();
    change(i, "nonsense = 1\n", "");
    result
}

/// Sends a signal and waits for a line of the service's log.
fn told(i: &Instance, pid: i32, send: nix::sys::signal::Signal, service: &str, expected: &str) -> String {
    let seen = i.log(service).len();
    signal(pid, send);
    until(expected, || i.log(service).get(seen..)?.lines().find(|l| l.contains(expected)).map(String::from))
}

/// SIGHUP to a service.
fn hang_up(i: &Instance, service: &str, expected: &str) -> String {
    told(i, i.service(service), SIGHUP, service, expected)
}

fn begin(i: &Instance, to: &str) -> Client {
    let mut c = i.connect("SMTP");
    c.until("220 ");
    let rcpt = format!("RCPT TO:<{to}>");
    converse(&mut c, &[("250", "EHLO client.test"), ("250", "MAIL FROM:<user1@example.test>"), ("250", &rcpt)]);
    c
}

/// One message by SMTP.
fn send(i: &Instance, to: &str, subject: &str) {
    let text = format!("Subject: {subject}\r\n\r\ntext\r\n.");
    converse(&mut begin(i, to), &[("354", "DATA"), ("250", &text), ("221", "QUIT")]);
}

/// Waits for a message with this text in a mailbox.
fn comes(i: &Instance, user: &str, text: &str) -> String {
    let mail = |file: &std::path::PathBuf| std::fs::read_to_string(file).unwrap_or_default();
    until(text, || files(&i.maildir(user).join("new")).iter().map(mail).find(|m| m.contains(text)))
}

#[test]
fn listen_follows_its_configuration() {
    let i = Instance::up(&[]);
    let mut early = begin(&i, "user1@example.test");
    // one address more
    let plain =
        "\n[[listen]]\nname = \"more\"\naddress = \"127.0.0.1:0\"\nprogram = \"smtpd\"\nargs = [\"-r\", \"mx\"]\n";
    let next = "\n[[listen]]\nname = \"pop3\"";
    change(&i, next, &format!("{plain}{next}"));
    let line = hang_up(&i, "listen", " ev=listening ");
    let port: u16 =
        line.split("address=127.0.0.1:").nth(1).and_then(|t| t.split(' ').next()?.parse().ok()).expect(&line);
    let mut more = Client::connect(("127.0.0.1", port));
    more.until("220 ");
    // its limit, which counts who is there already
    change(&i, plain, &format!("{plain}max_per_address = 1\n"));
    hang_up(&i, "listen", " ev=reloaded");
    assert_eq!(Client::connect(("127.0.0.1", port)).read_line(), None);
    // what cannot be had changes nothing
    broken(&i, || {
        hang_up(&i, "listen", MISTAKE);
        i.connect("SMTP").until("220 ");
    });
    let taken = format!("address = \"127.0.0.1:{}\"", i.port("SMTP"));
    change(&i, "address = \"127.0.0.1:0\"", &taken.replace("127.0.0.1", "0.0.0.0"));
    hang_up(&i, "listen", " ev=reload why=\"0.0.0.0:");
    change(&i, &taken.replace("127.0.0.1", "0.0.0.0"), "address = \"127.0.0.1:0\"");
    change(&i, "tls.pem", "none.pem");
    hang_up(&i, "listen", " ev=reload why=");
    change(&i, "none.pem", "tls.pem");
    converse(&mut more, &[("250", "NOOP")]);
    // the address goes, its conversation stays
    change(&i, &format!("{plain}max_per_address = 1\n"), "");
    hang_up(&i, "listen", " ev=listening-ended name=more ");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    converse(&mut more, &[("250", "EHLO client.test"), ("221", "QUIT")]);
    converse(&mut early, &[("354", "DATA"), ("250", "Subject: early\r\n\r\ntext\r\n.")]);
    comes(&i, "user1", "Subject: early");
}

#[test]
fn spawn_and_enqueue_follow_theirs() {
    let i = Instance::up(&[]);
    let mut first = i.imap("user1");
    change(&i, "[tls]\n", "[imapd]\nmax_sessions = 1\n[tls]\n");
    hang_up(&i, "spawn", " ev=reloaded");
    let mut second = i.connect("IMAP");
    second.read_line();
    second.ask("a LOGIN user1@example.test pw-user1", "a NO ");
    broken(&i, || {
        hang_up(&i, "spawn", MISTAKE);
        hang_up(&i, "enqueue", MISTAKE);
        i.imap("user2");
        converse(&mut begin(&i, "user1@example.test"), &[("354", "DATA"), ("250", "Subject: broken\r\n\r\ntext\r\n.")]);
    });
    hang_up(&i, "enqueue", " ev=reloaded");
    comes(&i, "user1", "Subject: broken");
    first.line("b NOOP");
    first.until("b OK");
}

/// A client of lookup.
struct Asking(BufReader<UnixStream>);

impl Asking {
    fn of(i: &Instance) -> Asking {
        Asking(BufReader::new(UnixStream::connect(i.top().join("run/lookup/socket")).expect("lookup")))
    }

    fn ask(&mut self, question: &str) -> String {
        let line = question.replace(' ', "\t") + "\n";
        self.0.get_mut().write_all(line.as_bytes()).expect("asked");
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("answered");
        answer.trim_end().replace('\t', " ")
    }
}

#[test]
fn lookup_follows_its_configuration() {
    let i = Instance::up(&[]);
    let mut client = Asking::of(&i);
    let minus = "expand user1-x@example.test";
    assert!(client.ask(minus).starts_with("OK error 5.1.1"), "{}", client.ask(minus));
    assert_eq!(client.ask("rate key 10 3600 1"), "OK 1");
    change(&i, "[mail]\n", "[mail]\nseparators = \"-\"\n");
    hang_up(&i, "lookup", " ev=reloaded");
    assert!(client.ask(minus).starts_with("OK local user1"), "{}", client.ask(minus));
    assert_eq!(client.ask("rate key 10 3600 1"), "OK 2", "what was counted is not forgotten");
    broken(&i, || hang_up(&i, "lookup", MISTAKE));
    assert!(client.ask(minus).starts_with("OK local user1"));
    assert!(Asking::of(&i).ask("expand user1+x@example.test").starts_with("OK error 5.1.1"));
    // where it is cannot be changed while others look for it there
    change(&i, "/run\"\n", "/elsewhere\"\n");
    hang_up(&i, "lookup", " ev=needs-restart keys=paths.run");
    assert!(Asking::of(&i).ask(minus).starts_with("OK local user1"));
}

#[test]
fn qrun_follows_its_configuration() {
    let i = Instance::up(&[("RETRY_MIN", "1")]);
    send(&i, "x@remote.test", "nobody is there");
    until("a try", || i.log("qrun").contains(" ev=deferred ").then_some(()));
    broken(&i, || hang_up(&i, "qrun", MISTAKE));
    assert_eq!(files(&i.queue("cur")).len(), 1);
    change(&i, "[queue]\n", "[queue]\nlifetime = 1\n");
    hang_up(&i, "qrun", " ev=reloaded");
    let report = comes(&i, "user1", "Final-Recipient: rfc822;");
    assert!(report.contains("x@remote.test") && report.contains("Subject: nobody is there"), "{report}");
}

#[test]
fn a_handover_by_hand_loses_nobody() {
    let i = Instance::up(&[]);
    let mut early = begin(&i, "user1@example.test");
    converse(&mut early, &[("354", "DATA")]);
    early.line("Subject: across\r\n\r\nfirst half");
    let mut reader = i.imap("user1");
    reader.line("b SELECT INBOX");
    reader.until("b OK");
    let mut heir = 0;
    for service in ["lookup", "enqueue", "spawn", "listen"] {
        let old = i.service(service);
        told(&i, old, SIGUSR2, service, " ev=handed-over ");
        heir = until("the new process", || i.pids_of(service).into_iter().find(|pid| *pid != old));
    }
    send(&i, "user2@example.test", "afterwards");
    comes(&i, "user2", "Subject: afterwards");
    assert!(process_exists(i.service("listen")), "while it has a conversation");
    converse(&mut early, &[("250", "second half\r\n."), ("221", "QUIT")]);
    until("the end of the old process", || !process_exists(i.service("listen")));
    assert!(comes(&i, "user1", "Subject: across").ends_with("first half\nsecond half\n"));
    reader.line("c NOOP");
    assert!(reader.until("c OK").iter().any(|l| l == "* 1 EXISTS"));
    reader.line("d LOGOUT");
    reader.until("d OK");
    // and from the new one to a third
    told(&i, heir, SIGUSR2, "listen", " ev=handed-over ");
    send(&i, "user2@example.test", "and again");
    comes(&i, "user2", "Subject: and again");
}

#[test]
fn there_is_one_heir_at_a_time() {
    let i = Instance::up(&[]);
    let (listen, program, started) = (i.service("listen"), i.program("listen"), i.top().join("heirs"));
    let heirs = || std::fs::read_to_string(&started).unwrap_or_default();
    // a new version that gets stuck
    std::fs::rename(&program, i.program("real")).expect("renamed");
    let stuck = format!("#!/bin/sh\necho $$ >>{}\nexec sleep 600\n", started.display());
    penny_testkit::tmp::executable(&program, &stuck);
    signal(listen, SIGUSR2);
    let heir = until("the heir", || heirs().lines().next()?.parse::<i32>().ok());
    told(&i, listen, SIGUSR2, "listen", "ev=handover why=\"a new process is starting already\"");
    i.connect("SMTP").until("220 ");
    assert_eq!(heirs().lines().count(), 1);
    told(&i, listen, SIGHUP, "listen", " ev=reloaded");
    // whoever sees it ends it, and installs a better one
    let seen = i.log("listen").len();
    signal(heir, SIGTERM);
    until("the news", || i.log("listen").get(seen..)?.contains("the new process ended").then_some(()));
    i.connect("SMTP").until("220 ");
    std::fs::rename(i.program("real"), &program).expect("renamed");
    told(&i, listen, SIGUSR2, "listen", " ev=handed-over ");
    i.connect("SMTP").until("220 ");
    until("the end of the old process", || !process_exists(listen));
}
