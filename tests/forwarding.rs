//! Forwarded mail leaves with a sender of ours (SRS), and what comes back for it finds its way.

#[path = "support/queue.rs"]
mod support;

use penny_testkit::Sink;
use penny_testkit::sink::Mail;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use support::{Post, give, until};

fn post(queue_keys: &str) -> (Sink, Post) {
    let sink = Sink::start();
    let post = Post::new(queue_keys, "");
    post.table("routes", &format!("* smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
    post.table("aliases", "fan: x@far.test\nmixed: ann, z@far.test\n");
    std::fs::write(post.home("joe").join(".forward"), "y@far.test\n").unwrap();
    give(&post.home("joe").join(".forward"));
    (sink, post.up())
}

fn ask(post: &Post, question: &str) -> String {
    let mut stream = UnixStream::connect(post.dir.join("run/lookup/socket")).unwrap();
    stream.write_all(format!("{question}\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The message that went to an address.
fn sent_to(sink: &Sink, address: &str) -> Mail {
    let rcpt = format!("RCPT TO:<{address}>");
    let find = || sink.mails().into_iter().find(|m| m.rcpts.iter().any(|r| r.starts_with(&rcpt)));
    until(address, || find().is_some());
    find().unwrap()
}

fn sender_of(mail: &Mail) -> String {
    mail.mail.split(['<', '>']).nth(1).unwrap().to_owned()
}

#[test]
fn strangers_are_rewritten_and_answered() {
    let (sink, post) = post("srs_domain = \"example.test\"");
    post.send("stranger@else.test", &["fan@example.test", "joe@example.test", "mixed@example.test"], "x");
    let mut senders = Vec::new();
    for to in ["x@far.test", "y@far.test", "z@far.test"] {
        let sender = sender_of(&sent_to(&sink, to));
        assert!(sender.starts_with("SRS0=") && sender.ends_with("=else.test=stranger@example.test"), "{to}: {sender}");
        senders.push(sender);
    }
    assert!(post.wait_mails("ann", 1)[0].contains("Return-Path: <stranger@else.test>"), "at home nothing changes");
    // a bounce comes back to it
    assert_eq!(ask(&post, &format!("rcpt\t{}\tmx\t192.0.2.1\t-\t0", senders[0])), "OK\talias");
    post.send("", &[&senders[0]], "could not be delivered");
    let back = sent_to(&sink, "stranger@else.test");
    assert_eq!(sender_of(&back), "");
    post.wait_empty();
}

#[test]
fn nobody_relays_through_it() {
    let (sink, post) = post("srs_domain = \"example.test\"");
    post.send("stranger@else.test", &["fan@example.test"], "x");
    let forged = sender_of(&sent_to(&sink, "x@far.test")).replace("stranger", "victim");
    assert_eq!(ask(&post, &format!("rcpt\t{forged}\tmx\t192.0.2.1\t-\t0")), "NO\t5.1.1\tno such address");
    post.send("ann@example.test", &[&forged], "x");
    assert!(post.wait_mails("ann", 1)[0].contains("5.1.1"));
    post.wait_empty();
    assert_eq!(sink.mails().len(), 1);
}

#[test]
fn others_keep_their_sender() {
    let (sink, post) = post("srs_domain = \"example.test\"");
    post.send("ann@example.test", &["fan@example.test"], "our own");
    post.send("", &["joe@example.test"], "a bounce");
    post.send("stranger@else.test", &["direct@far.test"], "only passed on");
    assert_eq!(sender_of(&sent_to(&sink, "x@far.test")), "ann@example.test");
    assert_eq!(sender_of(&sent_to(&sink, "y@far.test")), "");
    assert_eq!(sender_of(&sent_to(&sink, "direct@far.test")), "stranger@else.test");
    post.wait_empty();
}

#[test]
fn without_a_domain_nothing_is_rewritten() {
    let (sink, post) = post("");
    post.send("stranger@else.test", &["fan@example.test"], "x");
    assert_eq!(sender_of(&sent_to(&sink, "x@far.test")), "stranger@else.test");
    post.wait_empty();
}
