//! A message to many holds nobody else's: single messages overtake it, to the same destination and to others.
//!
//! The first job of the large message is held up until the single messages wait beside its other jobs; then the order in
//! which things arrive is the scheduler's alone.

#[path = "support/queue.rs"]
mod support;

use penny_testkit::{Sink, tmp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{Post, until};

/// Jobs that wait, over all destinations.
fn waiting_jobs(post: &Post) -> u64 {
    let status = penny_queue::json::Value::parse(&post.control("status")[0]).unwrap();
    status.items("destinations").iter().map(|d| d.number("waiting")).sum()
}

#[test]
fn single_messages_overtake_a_large_one_to_the_same_destination() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let wait_for_gate = move |line: &str| {
        while line.starts_with("MAIL FROM:<list@") && !gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    };
    let sink = Sink::builder().script(wait_for_gate).start();
    let post = Post::new("destination_concurrency = 1", "");
    post.table("routes", &format!("far.test smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
    let post = post.up();
    let many: Vec<String> = (0..1000).map(|n| format!("user{n}@far.test")).collect();
    post.send("list@example.test", &many.iter().map(String::as_str).collect::<Vec<_>>(), "to all");
    until("the large message is on its way", || sink.lines().iter().any(|l| l.starts_with("MAIL FROM:<list@")));
    for sender in ["ann", "bob", "list", "ann", "ann"] {
        post.send(&format!("{sender}@example.test"), &["x@far.test"], "single");
    }
    until("all wait", || waiting_jobs(&post) == 9 + 5);
    open.store(true, Ordering::SeqCst);
    let mails = sink.wait(15);
    let order: Vec<usize> = mails.iter().map(|m| m.rcpts.len()).collect();
    assert_eq!(order[0], 100);
    assert!(order[1..6].iter().all(|n| *n == 1), "the large message went first: {order:?}");
    post.wait_empty();
    assert_eq!(sink.count(), 15);
}

#[test]
fn a_message_to_many_destinations_holds_no_other() {
    let mut post = Post::new("local_concurrency = 1", "");
    let (gate, order) = (post.dir.join("home/gate"), post.dir.join("home/order"));
    let (gate_text, order_text) = (gate.display(), order.display());
    let stop = post.dir.join("stop");
    tmp::executable(&stop, &format!("#!/bin/sh\ncat >/dev/null\nuntil test -e {gate_text}; do sleep 0.05; done\n"));
    let note = post.dir.join("note");
    tmp::executable(&note, &format!("#!/bin/sh\ncat >/dev/null\necho \"$1\" >>{order_text}\n"));
    let alias = |name: &str| format!("{name}: \"|{} {name}\"\n", note.display());
    let many: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    let aliases: String = many.iter().map(|n| alias(n)).collect();
    post.table("aliases", &format!("stop: \"|{}\"\n{aliases}{}", stop.display(), alias("single")));
    post = post.up();
    let to: Vec<String> =
        std::iter::once("stop").chain(many.iter().map(String::as_str)).map(|n| format!("{n}@example.test")).collect();
    post.send("list@example.test", &to.iter().map(String::as_str).collect::<Vec<_>>(), "to all");
    until("the large message waits", || waiting_jobs(&post) == 40);
    post.send("ann@example.test", &["single@example.test"], "single");
    until("both wait", || waiting_jobs(&post) == 41);
    std::fs::write(&gate, "").unwrap();
    post.wait_empty();
    let text = std::fs::read_to_string(&order).unwrap();
    let place = text.lines().position(|l| l == "single").unwrap();
    assert!(place < 3, "it came as number {place} of {}", text.lines().count());
    assert_eq!(text.lines().count(), 41);
}
