//! Crash tests of the queue: every state-changing system call of qrun is the last one once; and everything is killed
//! again and again under load. After a restart nothing may be lost, and what comes twice is bounded.
//!
//! States and invariants: pennypost-queue(5). Needs strace for the first; says so where it is missing.

#![allow(clippy::print_stdout)] // figures for whoever runs it with --nocapture

mod errors;
#[path = "../support/queue.rs"]
mod support;

use penny_queue::{Enqueue, Envelope, Message};
use penny_testkit::{Run, Sink, have, program};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Post, recipient, sender, until};

/// System calls that change what a crash leaves behind, or tell somebody about it.
const CALLS: [&str; 12] = [
    "write",
    "sendmsg",
    "sendto",
    "renameat2",
    "rename",
    "unlink",
    "fsync",
    "fdatasync",
    "utimensat",
    "ftruncate",
    "clone",
    "openat",
];

/// For a qrun that works through the queue, on a disk that takes its time.
const LONG: Duration = Duration::from_secs(600);

/// One kind of call is made less often than this in a run.
const CALLS_MAX: usize = 200;

fn qrun_once(post: &Post) -> Run {
    post.run(&program!("qrun")).arg("-1").limit(LONG)
}

/// qrun that is killed when it enters its `n`th `call`; true when it came to its end before that.
fn killed_at(post: &Post, call: &str, n: usize) -> bool {
    let inject = format!("inject={call}:signal=KILL:when={n}");
    let out = post
        .run("/usr/bin/strace".as_ref())
        .args(["-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject])
        .arg(program!("qrun"))
        .arg("-1")
        .limit(LONG)
        .run();
    out.code == Some(0)
}

/// Copies of the message with this text in a mailbox.
fn copies(post: &Post, user: &str, text: &str) -> usize {
    let line = format!("\n{text}\n");
    post.mails(user).iter().filter(|m| m.contains(&line)).count()
}

#[test]
fn each_system_call_of_qrun_is_the_last_one_once() {
    if !have("each_system_call_of_qrun_is_the_last_one_once", "strace") {
        return;
    }
    let post = without_qrun();
    let mut points = 0;
    for call in CALLS {
        let came_through = (1..CALLS_MAX).find(|n| {
            points += 1;
            die_and_recover(&post, call, *n)
        });
        assert!(came_through.is_some(), "more than {CALLS_MAX} times {call}");
    }
    assert!(points > 60, "only {points} points of death: the list of calls misses some");
    println!("{points} points of death");
}

/// A queue in which nothing happens by itself.
fn without_qrun() -> Post {
    let mut post = Post::new("retry_min = \"1s\"\nretry_max = \"1s\"", "");
    post.table("aliases", "team: joe, bob\n");
    ["spawn", "lookup", "enqueue"].iter().for_each(|s| post.start(s));
    post
}

/// Queues a message for two mailboxes by an alias and one that does not exist: expansion, journal, report, removal all happen.
fn send(post: &Post, text: &str) {
    post.send("ann@example.test", &["team@example.test", "nosuch@example.test"], text);
}

/// Each mailbox has that message, or the report about it, once or twice, and the queue is empty.
#[track_caller]
fn settled(post: &Post, text: &str, what: &str) {
    for user in ["joe", "bob", "ann"] {
        let found = copies(post, user, text);
        assert!((1..=2).contains(&found), "{what}: {user} has {found} copies");
    }
    for dir in ["new", "cur", "log", "corrupt"] {
        assert!(post.files(dir).is_empty(), "{what}: {dir} holds {:?}", post.files(dir));
    }
}

/// One message, a qrun that is killed at a call, and one that is not. True when the first came through.
fn die_and_recover(post: &Post, call: &str, n: usize) -> bool {
    let text = format!("message of {call} {n}");
    send(post, &text);
    let came_through = killed_at(post, call, n);
    qrun_once(post).run().expect_code(0);
    settled(post, &text, &format!("killed at {call} {n}"));
    came_through
}

/// Sends one message; true when the queue promised it.
fn try_send(post: &Post, text: &str) -> bool {
    let Ok(stream) = UnixStream::connect(post.dir.join("run/enqueue/socket")) else { return false };
    let Ok(mut enqueue) = Enqueue::over(stream) else { return false };
    let envelope = Envelope {
        arrival: (std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 0),
        sender: sender("ann@example.test", ""),
        recipients: ["joe@example.test", "bob@example.test", "far@far.test"].map(|a| recipient(a, "")).to_vec(),
        ..Envelope::default()
    };
    let message = format!("Subject: x\n\n{text}\n");
    enqueue.commit(&envelope, b"", Message::Bytes(message.as_bytes())).is_ok()
}

/// Kills the processes that `spawn` started as `program` for this queue, and tells how many that were.
fn kill_jobs(post: &Post, program: &str) -> usize {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let config = post.dir.join("p.toml").display().to_string();
    let ours = |pid: &u32| {
        let read = |what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
        let (name, line) = (read("comm"), read("cmdline"));
        name.starts_with(program.as_bytes()) && String::from_utf8_lossy(&line).contains(&config)
    };
    let jobs: Vec<u32> = pids.filter(ours).collect();
    for pid in &jobs {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).output(); // it may have ended meanwhile
    }
    jobs.len()
}

/// One kill of the round: a service comes back at once, a job is started again by whoever wants it done.
fn kill(post: &mut Post, victim: &str) -> usize {
    if ["deliver", "remote"].contains(&victim) {
        return kill_jobs(post, victim);
    }
    post.kill(victim);
    post.start(victim);
    1
}

/// How often each numbered message is among these.
fn counts(mails: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for mail in mails {
        let line = mail.lines().find(|l| l.starts_with("message number ")).unwrap_or_default().to_owned();
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// Lets qrun work until the queue is empty; what waits is due within seconds.
fn finish(post: &Post) {
    until("an empty queue", || {
        qrun_once(post).run().expect_code(0);
        ["new", "cur"].iter().all(|d| post.files(d).is_empty())
    });
}

#[test]
fn nothing_is_lost_when_everything_is_killed_again_and_again() {
    let seconds = std::env::var("CRASH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(8);
    let sink = Sink::start();
    let mut post = Post::new("retry_min = \"1s\"\nretry_max = \"1s\"\ndestination_concurrency = 4", "");
    post.table("routes", &format!("far.test smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
    post = post.up();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut promised = Vec::new();
    let mut kills = BTreeMap::new();
    for victim in
        ["qrun", "deliver", "spawn", "remote", "enqueue", "qrun", "lookup", "deliver", "remote"].iter().cycle()
    {
        if Instant::now() > end {
            break;
        }
        for _ in 0..8 {
            let text = format!("message number {:06}", promised.len());
            if try_send(&post, &text) {
                promised.push(text);
            }
            std::thread::sleep(Duration::from_millis(7));
        }
        *kills.entry(*victim).or_default() += kill(&mut post, victim);
    }
    post.kill("qrun");
    finish(&post);
    let far = sink.mails().iter().map(penny_testkit::Mail::text).collect::<Vec<_>>();
    let mut twice = 0;
    for (who, mails) in [("joe", post.mails("joe")), ("bob", post.mails("bob")), ("far", far)] {
        let counts = counts(mails.into_iter());
        let lost: Vec<&String> = promised.iter().filter(|p| !counts.contains_key(*p)).collect();
        assert!(lost.is_empty(), "{who} lost {lost:?}");
        twice += counts.values().map(|n| n - 1).sum::<usize>();
    }
    println!("{} promised, killed {kills:?}, {twice} came again", promised.len());
    // jobs in flight at the kill of a service: at most the four each of the three destinations is given at a time;
    // a job that is killed is one
    let in_flight = |(victim, n): (&&str, &usize)| if ["deliver", "remote"].contains(victim) { *n } else { n * 12 };
    let bound: usize = kills.iter().map(in_flight).sum();
    assert!(twice <= bound, "{twice} duplicates, {bound} jobs were in flight");
    // in a short run a delivery may always have been over already
    assert!(seconds < 60 || kills.values().all(|n| *n > 0), "not everything was killed: {kills:?}");
    assert!(post.files("corrupt").is_empty());
}
