//! A large queue: start-up reads no envelope, memory is bounded, new mail is not delayed by old mail.
//!
//! QUEUE_ENTRIES=100000 cargo test --test queue_large -- --nocapture
//! prints figures, those of release programs where PENNYPOST_BIN names some (tests/bench/queue); by default the queue is
//! smaller.
#![allow(clippy::print_stdout)] // figures for whoever runs it with --nocapture

#[path = "support/queue.rs"]
mod support;

use penny_queue::{Envelope, Name};
use std::fs::FileTimes;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use support::{Post, give, recipient, sender};

/// Fills cur/ with entries for a dead host, each deferred once, due `due` from now.
fn fill(post: &Post, count: u32, due: Duration) {
    let queue = post.dir.join("queue");
    for sub in ["cur", "log", "new", "tmp", "corrupt"] {
        std::fs::create_dir_all(queue.join(sub)).unwrap();
        give(&queue.join(sub));
    }
    let now = SystemTime::now();
    let arrival = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() - 3600;
    let body = "Subject: old\n\nold\n";
    for n in 0..count {
        let name = Name::new(arrival, n % 1_000_000, 1, n, u64::from(n));
        let envelope = Envelope {
            arrival: (arrival, 0),
            sender: sender(&format!("s{}@example.test", n % 50), ""),
            recipients: vec![recipient(&format!("r{n}@dead{}.test", n % 200), "")],
            size: body.len() as u64,
            wire_size: body.len() as u64 + 3,
            ..Envelope::default()
        };
        let entry = queue.join("cur").join(format!("{name}:2,"));
        std::fs::write(&entry, [envelope.encode(), body.as_bytes().to_vec()].concat()).unwrap();
        let file = std::fs::File::options().write(true).open(&entry).unwrap();
        file.set_times(FileTimes::new().set_modified(now + due)).unwrap();
        give(&entry);
    }
}

/// Resident memory of a process in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Seconds until a new message has reached its mailbox.
fn new_mail(post: &Post, count: usize) -> Duration {
    let start = Instant::now();
    post.send("ann@example.test", &["joe@example.test"], "new");
    post.wait_mails("joe", count);
    start.elapsed()
}

#[test]
fn old_mail_does_not_stand_in_the_way() {
    let count: u32 = std::env::var("QUEUE_ENTRIES").ok().and_then(|s| s.parse().ok()).unwrap_or(5_000);
    let mut post = Post::new("", "[remote]\nconnect_timeout = \"1s\"");
    post.table("routes", &format!("* smtp:[127.0.0.1]:{}\n", penny_testkit::free_port()));
    fill(&post, count, Duration::from_secs(7200));
    ["spawn", "lookup", "enqueue"].iter().for_each(|s| post.start(s));
    let start = Instant::now();
    post.start("qrun");
    let status = post.control("status").remove(0);
    let started = start.elapsed();
    assert!(status.contains(&format!("\"waiting\":{count}")), "{status}");
    let pid = post.services.last().unwrap().1.pid();
    let memory = resident(pid);
    let quiet = new_mail(&post, 1);
    support::until("the new one is gone", || post.files("cur").len() == count as usize);
    // all of it due at once
    let start = Instant::now();
    assert_eq!(post.control("retry\tall").last().unwrap(), &format!("OK\t{count}"));
    let swept = start.elapsed();
    let busy = new_mail(&post, 2);
    let start = Instant::now();
    support::until("every entry looked at once", || {
        std::thread::sleep(Duration::from_millis(200));
        let left = post.control("status").remove(0);
        start.elapsed() > Duration::from_secs(15) || left.contains("\"active\":0,")
    });
    let peak = resident(pid);
    println!(
        "{count} entries: start-up {started:?}, resident {memory} KiB, {peak} KiB while all are due; a new message takes \
         {quiet:?} beside them, {busy:?} while all are due; retry of all {swept:?}"
    );
    assert!(started < Duration::from_secs(60), "start-up took {started:?}");
    assert!(busy < Duration::from_secs(60), "a new message waited {busy:?}");
    assert!(peak < 200 << 10, "{peak} KiB");
    support::until("all but the new one", || post.files("cur").len() == count as usize);
}

/// User and system time of a process and its ended children in milliseconds.
fn cpu(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11..15].iter().map(|f| f.parse::<u64>().unwrap()).sum();
    ticks * 10 // USER_HZ is 100 on Linux
}

#[test]
fn a_burst_goes_through() {
    let count: usize = std::env::var("QUEUE_BURST").ok().and_then(|s| s.parse().ok()).unwrap_or(100);
    let sink = penny_testkit::Sink::start();
    let mut post = Post::new("", "");
    post.table("routes", &format!("far.test smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
    ["spawn", "lookup", "enqueue"].iter().for_each(|s| post.start(s));
    for (what, to) in [("local", "@example.test"), ("relayed", "@far.test")] {
        for n in 0..count {
            let user = ["joe", "ann", "bob", "root"][n % 4];
            post.send("ann@example.test", &[&format!("{user}{to}")], &"0123456789abcde\n".repeat(256));
        }
        let before: Vec<u64> = post.services.iter().map(|(_, s)| cpu(s.pid())).collect();
        let start = Instant::now();
        post.start("qrun");
        support::until("all delivered", || {
            post.files("new").is_empty() && post.control("status")[0].contains("\"active\":0,")
        });
        let took = start.elapsed();
        let spent: Vec<String> = post
            .services
            .iter()
            .zip(before.into_iter().chain([0]))
            .map(|((name, s), b)| format!("{name} {:.2}", (cpu(s.pid()) - b) as f64 / count as f64))
            .collect();
        let rate = count as f64 / took.as_secs_f64();
        println!("{count} {what}: {rate:.0} a second; milliseconds of CPU each: {}", spent.join(", "));
        post.kill("qrun");
    }
    assert_eq!(sink.mails().len(), count);
}
