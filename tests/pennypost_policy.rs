//! What a domain has of its own: `pennypost domain set`, and what lookup, smtpd and the daily `pennypost expire` make of it.

#[path = "support/admin.rs"]
mod admin;
mod smtpfake;

use admin::Admin;
use penny_testkit::Output;
use smtpfake::instance::{Instance, codes, own};
use std::time::{SystemTime, UNIX_EPOCH};

fn place() -> Admin {
    let place = Admin::new("", "[[filter]]\nname = \"spamcheck\"\ncommand = [\"spamcheck\"]\n");
    place
        .dir
        .write("etc/users", "ann@a.test:{PLAIN}x::::::\nbob@b.test:{PLAIN}x::::::userdb_quota_rule=*:storage=5M\n");
    place.dir.write("etc/domains", "# ours\na.test local\nalso.test alias a.test\nback.test relay\n");
    place
}

#[test]
fn options_come_and_go_and_mistakes_are_refused() {
    let place = place();
    place.run("domain set a.test filters=-spamcheck quota=2G send_as=domain").expect_code(0);
    place.run("domain set b.test rate_messages=100").expect_code(0);
    place.run("domain set back.test max_size=1M").expect_code(0);
    place.run("domain set a.test send_as= quota=1G").expect_code(0);
    place.command(["domain", "set", "a.test", "retention=Deleted Items:30"]).run().expect_code(0);
    assert_eq!(
        place.table("domains"),
        "# ours\na.test local filters=-spamcheck quota=1G retention=Deleted%20Items:30\nalso.test alias a.test\n\
         back.test relay max_size=1M\nb.test local rate_messages=100\n"
    );
    place.run("domain add a.test").expect_code(0);
    assert!(place.table("domains").contains("a.test local filters=-spamcheck"), "options outlive a second add");
    place.run("domain list").expect_out("a.test     local         1      filters=-spamcheck quota=1G");
    let json = "{\"domain\":\"b.test\",\"kind\":\"local\",\"users\":1,\"rate_messages\":\"100\"}";
    place.run("domain list --json").expect_out(json);
    place.run("check").expect_code(0);
    for (bad, code) in [
        ("a.test colour=red", 64),
        ("a.test quota=lots", 64),
        ("a.test quota", 64),
        ("also.test quota=1G", 64),
        ("none.test quota=1G", 68),
    ] {
        place.run(&format!("domain set {bad}")).expect_code(code);
    }
    place.run("domain set a.test filters=spamchek").expect_code(0);
    place.run("check").expect_code(78).expect_out("domains:2: filters: no filter spamchek in the configuration");
    // told once, where it stands, in whatever form the domain is written
    place.dir.write("etc/domains", "b\u{fc}cher.test local filters=spamchek\nalso.test alias b\u{fc}cher.test\n");
    let told = place.run("check").expect_code(78).out();
    let lines: Vec<&str> = told.lines().filter_map(|l| l.split("/domains:").nth(1)).collect();
    assert_eq!(lines, ["1: filters: no filter spamchek in the configuration"]);
}

#[test]
fn quotas_limits_and_senders_are_those_of_the_domain() {
    let place = place();
    let before =
        place.ask(&["user ann@a.test", "maysend ann@a.test sales@a.test", "rate messages/login/ann@a.test 0 60 1"]);
    assert!(before[0].ends_with(" 0 0"), "{before:?}");
    assert!(before[1].starts_with("NO 5.7.1") && before[2] == "OK 0", "{before:?}");
    let set = "domain set a.test quota=1M quota_messages=7 send_as=domain rate_messages=2 rate_recipients=1";
    place.run(set).expect_code(0);
    place.run("domain set b.test quota=1M send_as=any").expect_code(0);
    let answers = place.ask(&[
        "user ann@also.test",
        "user bob@b.test",
        "maysend ann@a.test sales@a.test",
        "maysend ann@a.test sales@also.test",
        "maysend ann@a.test sales@b.test",
        "maysend bob@b.test whoever@far.test",
        "rate messages/login/ann@a.test 0 60 1",
        "rate messages/login/ann@a.test 9 60 1",
        "rate messages/login/ann@a.test 9 60 1",
        "rate recipients/login/ann@also.test 9 60 1",
        "rate recipients/login/ann@also.test 9 60 1",
        "rate messages/client/192.0.2.1 1 60 1",
        "rate messages/client/192.0.2.1 1 60 1",
    ]);
    assert!(
        answers[0].ends_with(" 1024 7") && answers[1].ends_with(" 5120 0"),
        "an entry's own quota wins: {answers:?}"
    );
    let no = "NO 5.7.1 the address does not belong to the login";
    let expected = ["OK", "OK", no, "OK", "OK 1", "OK 2", "NO 3", "OK 1", "NO 2", "OK 1", "NO 2"];
    assert_eq!(answers[2..], expected);
}

const TABLES: [(&str, &str); 2] = [
    (
        "domains",
        "here.example local filters=none\nsmall.example local max_size=300 rate_messages=1\nfar.example relay\n",
    ),
    (
        "users",
        "ann@here.example:{PLAIN}secret::::HOME/ann::\nbob@small.example:{PLAIN}sesame::::HOME/bob::\n\
         ann@small.example:{PLAIN}secret::::HOME/ann::\n",
    ),
];

fn send(instance: &Instance, role: &str, declared: &str, rcpts: &[&str], octets: usize) -> Output {
    let hello = if role == "lmtp" { "LHLO" } else { "EHLO" };
    let rcpts: String = rcpts.iter().map(|r| format!("RCPT TO:<{r}>\r\n")).collect();
    let body = format!("A: b\r\n\r\n{}\r\n.\r\n", "x".repeat(octets));
    let text = format!("{hello} c.example\r\nMAIL FROM:<a@far.example>{declared}\r\n{rcpts}DATA\r\n{body}QUIT\r\n");
    let run = if role == "lmtp" { instance.smtpd(role) } else { instance.stranger(role) };
    run.stdin(text).run()
}

#[test]
fn filters_and_sizes_are_those_of_the_domain() {
    let dir = penny_testkit::TempDir::new();
    let script = "#!/bin/sh\ncat >/dev/null\necho 5.7.1 not wanted\nexit 100\n";
    let no = Instance::script(dir.path(), "no", script);
    own(dir.path());
    let config = format!("[smtpd]\nresolve_clients = false\n[[filter]]\nname = \"no\"\ncommand = [\"{no}\"]\n");
    let instance = Instance::new(&config, &TABLES);
    let told = |role, declared, rcpts: &[&str], octets| codes(&send(&instance, role, declared, rcpts, octets));
    // one domain has no filters, the other has
    assert_eq!(told("mx", "", &["ann@here.example"], 9), "220 250 250 250 354 250 221");
    assert_eq!(told("mx", "", &["ann@small.example"], 9), "220 250 250 250 354 554 221");
    // a size that is declared is refused at RCPT, one that is not after the message
    assert_eq!(told("mx", " SIZE=301", &["ann@small.example"], 9), "220 250 250 552 554 500 500 500 500 221");
    let large = send(&instance, "mx", "", &["ann@small.example"], 300);
    assert_eq!(codes(&large), "220 250 250 250 354 552 221");
    assert!(large.err().contains("rule=size "), "{}", large.err());
    assert_eq!(told("mx", "", &["ann@here.example"], 300), "220 250 250 250 354 250 221");
    // two policies are two messages, but for LMTP, where each recipient has a reply of its own
    let both = ["ann@here.example", "bob@small.example"];
    assert_eq!(told("mx", "", &both, 9), "220 250 250 250 452 354 250 221");
    assert_eq!(told("lmtp", "", &both, 9), "220 250 250 250 250 354 250 554 221");
    assert_eq!(told("lmtp", "", &both, 300), "220 250 250 250 250 354 250 552 221");
    assert_eq!(instance.mailbox("ann/Maildir").len(), 2);
    assert_eq!(instance.mailbox("bob/Maildir").len(), 0);
    // a login of the domain has its limit, though the server has none
    let auth = penny_mime::base64::encode(b"\0bob@small.example\0sesame");
    let text = format!(
        "EHLO c\r\nAUTH PLAIN {auth}\r\nMAIL FROM:<bob@small.example>\r\nRSET\r\nMAIL FROM:<bob@small.example>\r\nQUIT\r\n"
    );
    let submitted = instance.stranger("submission").env("SSL_PROTOCOL", "TLSv1.3").stdin(text).run();
    assert_eq!(codes(&submitted), "220 250 235 250 250 450 221", "{}", submitted.describe());
}

/// Puts a message into a folder, so many days ago: the time is the first part of the name.
fn put(place: &Admin, folder: &str, days: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let name = format!("{}.M1P{days}.host:2,FS", now - days * 86_400);
    place.dir.write(format!("mail/a.test/ann/Maildir{folder}/cur/{name}"), "A: b\n\nc\n");
}

fn names(place: &Admin, folder: &str) -> usize {
    penny_testkit::tmp::mails(place.dir.join(format!("mail/a.test/ann/Maildir{folder}"))).len()
}

#[test]
fn mail_stays_as_long_as_its_domain_says() {
    let place = place();
    let root = "mail/a.test/ann/Maildir";
    for folder in ["", "/.Trash", "/.Archive", "/.Deleted Items"] {
        place.dir.maildir(format!("{root}{folder}"));
        place.dir.write(format!("{root}{folder}/maildirfolder"), "");
        [5, 50, 500].into_iter().for_each(|days| put(&place, folder, days));
    }
    place.run("expire").expect_code(0);
    assert_eq!(names(&place, ""), 3, "without the option nothing goes");
    let retention = "retention=Trash:10,Missing:1,Deleted Items:10,Archive:3650,*:100";
    place.command(["domain", "set", "a.test", retention]).run().expect_code(0);
    place.run("expire --dry-run").expect_code(0).expect_out("ann@a.test: would expire 2 of Trash\n");
    assert_eq!(names(&place, "/.Trash"), 3);
    let out = place.run("expire");
    out.expect_code(0).expect_out("ann@a.test: expired 2 of Trash\n").expect_out("ann@a.test: expired 1 of INBOX\n");
    let left = ["", "/.Trash", "/.Archive", "/.Deleted Items"].map(|f| names(&place, f));
    assert_eq!(left, [2, 1, 3, 1], "{}", out.describe());
    assert_eq!(place.run("expire").expect_code(0).out(), "");
}
