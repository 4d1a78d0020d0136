//! A message to many holds nobody else's: single messages overtake it, to the same destination and to others.
//!
//! The first job of the large message is held up until the single messages wait beside its other jobs; then the order in
//! which things arrive is the scheduler's alone.

#[path = "support/queue.rs"]
mod support;

use penny_queue::Envelope;
use penny_testkit::{Sink, tmp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{Post, recipient, sender, until};

/// Jobs that wait, over all destinations.
fn waiting_jobs(post: &Post) -> u64 {
    let status = penny_queue::json::Value::parse(&post.control("status")[0]).unwrap();
    status.items("destinations").iter().map(|d| d.number("waiting")).sum()
}

/// far.test, to which one connection is made at a time, and which lets the messages of `list@` pass only when told.
struct Far {
    post: Post,
    sink: Sink,
    open: Arc<AtomicBool>,
}

impl Far {
    fn new() -> Far {
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
        Far { post: post.up(), sink, open }
    }

    /// Sends the message that is held up, and waits until it is.
    fn block(&self, to: &[&str]) {
        self.post.send("list@example.test", to, "first");
        until("the first message is on its way", || {
            self.sink.lines().iter().any(|l| l.starts_with("MAIL FROM:<list@"))
        });
    }

    fn send(&self, from: &str, words: &str) {
        let recipients = vec![recipient("x@far.test", "")];
        let sender = sender(&format!("{from}@example.test"), words);
        self.post.send_as(Envelope { sender, recipients, ..Envelope::default() }, "x");
    }

    /// The senders of the messages after the first, in the order they came.
    fn order(&self, count: usize) -> Vec<String> {
        self.open.store(true, Ordering::SeqCst);
        let mails = self.sink.wait(1 + count);
        self.post.wait_empty();
        assert_eq!(self.sink.count(), 1 + count);
        let name = |m: &penny_testkit::Mail| m.mail.split(['<', '@']).nth(1).unwrap_or_default().to_owned();
        mails.iter().skip(1).map(name).collect()
    }
}

#[test]
fn single_messages_overtake_a_large_one_to_the_same_destination() {
    let far = Far::new();
    let many: Vec<String> = (0..1000).map(|n| format!("user{n}@far.test")).collect();
    far.block(&many.iter().map(String::as_str).collect::<Vec<_>>());
    ["ann", "bob", "list", "ann", "ann"].iter().for_each(|s| far.send(s, ""));
    until("all wait", || waiting_jobs(&far.post) == 9 + 5);
    far.order(14);
    let order: Vec<usize> = far.sink.mails().iter().map(|m| m.rcpts.len()).collect();
    assert_eq!(order[0], 100);
    assert!(order[1..6].iter().all(|n| *n == 1), "the large message went first: {order:?}");
}

#[test]
fn a_flood_of_one_sender_delays_another_by_a_turn() {
    let far = Far::new();
    far.block(&["x@far.test"]);
    // more than may wait for one destination
    (0..300).for_each(|_| far.send("flood", ""));
    let parked = |post: &Post| {
        let status = penny_queue::json::Value::parse(&post.control("status")[0]).unwrap();
        status.number("parked")
    };
    until("the flood waits", || waiting_jobs(&far.post) + parked(&far.post) == 300);
    assert!(parked(&far.post) > 0);
    far.send("ann", "");
    until("she waits too", || waiting_jobs(&far.post) + parked(&far.post) == 301);
    let order = far.order(301);
    let place = order.iter().position(|s| s == "ann").unwrap();
    assert!(place < 3, "she came as number {place}");
}

/// More destinations than there is room in memory, none of which answers.
#[test]
fn a_flood_of_one_sender_to_everywhere_leaves_room_for_others() {
    const MANY: usize = 2100;
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let wait_for_gate = move |line: &str| {
        while line.starts_with("MAIL") && !gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    };
    let sink = Sink::builder().script(wait_for_gate).start();
    let post = Post::new("remote_concurrency = 10", "");
    let route = |n: usize| format!("d{n}.test smtp:[127.0.0.1]:{} tls=none helo=h{n}.example.test\n", sink.port());
    post.table("routes", &(0..MANY).map(route).collect::<String>());
    let post = post.up();
    std::thread::scope(|scope| {
        for first in 0..10 {
            let post = &post;
            let to = (first..MANY).step_by(10).map(|n| format!("x@d{n}.test"));
            scope.spawn(move || to.for_each(|to| drop(post.send("flood@example.test", &[&to], "x"))));
        }
    });
    // a look at so many destinations is long, so not again and again
    let status = || {
        std::thread::sleep(Duration::from_millis(200));
        penny_queue::json::Value::parse(&post.control("status")[0]).unwrap()
    };
    until("the flood is in", || {
        let now = status();
        now.number("new") == 0 && now.number("active") + now.number("parked") == MANY as u64
    });
    post.send("ann@example.test", &["joe@example.test"], "single");
    post.wait_mails("joe", 1);
    let parked = status().number("parked");
    assert!(parked > 0 && sink.count() == 0);
    open.store(true, Ordering::SeqCst);
    until("of what was parked some comes in", || status().number("parked") < parked);
}

#[test]
fn priority_goes_first_but_starves_nobody() {
    let far = Far::new();
    far.block(&["x@far.test"]);
    (0..8).for_each(|_| far.send("bob", "MT-PRIORITY=-2"));
    (0..8).for_each(|_| far.send("ann", "MT-PRIORITY=4"));
    until("all wait", || waiting_jobs(&far.post) == 16);
    let order = far.order(16);
    let high = |range: std::ops::Range<usize>| order[range].iter().filter(|s| *s == "ann").count();
    assert_eq!((high(0..4), high(4..8)), (3, 3), "{order:?}");
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
