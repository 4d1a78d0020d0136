//! A clock that is set: six days forward and a day back bounce nothing and stall nothing.
//!
//! qrun alone lives in the wrong time (libfaketime, its steady clock left alone); everything else has the right one. Skips
//! where the library is missing or qrun is linked statically.

#[path = "support/queue.rs"]
mod support;

use penny_queue::Name;
use penny_queue::json::Value;
use penny_testkit::{Sink, program};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use support::{Post, until};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn library() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|e| e.path().join("faketime/libfaketime.so.1"));
    places.into_iter().find(|p| p.exists())
}

/// qrun with a clock that can be set, beside the others.
struct Wrong {
    post: Post,
    sink: Sink,
    /// The foreign host takes mail.
    open: Arc<AtomicBool>,
}

impl Wrong {
    /// `None` where that cannot be had.
    fn new(test: &str) -> Option<Wrong> {
        let Some(library) = library() else {
            penny_testkit::skip(test, "libfaketime is not installed");
            return None;
        };
        let qrun = std::fs::read(program!("qrun")).unwrap();
        if !qrun.windows(8).any(|w| w == b"ld-linux") {
            penny_testkit::skip(test, "qrun is linked statically");
            return None;
        }
        let open = Arc::new(AtomicBool::new(false));
        let gate = open.clone();
        let later = move |line: &str| {
            (line.starts_with("RCPT") && !gate.load(Ordering::SeqCst)).then(|| "451 4.2.0 not now".to_owned())
        };
        let sink = Sink::builder().script(later).start();
        let mut post = Post::new("retry_min = \"1h\"\nretry_max = \"1h\"", "");
        post.table("routes", &format!("far.test smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
        ["spawn", "lookup", "enqueue"].iter().for_each(|s| post.start(s));
        let mut wrong = Wrong { post, sink, open };
        wrong.set(0);
        wrong.start(&library);
        Some(wrong)
    }

    fn start(&mut self, library: &std::path::Path) {
        let run = self.post.run(&program!("qrun")).env("LD_PRELOAD", library);
        let run = run.env("FAKETIME_TIMESTAMP_FILE", self.post.dir.join("time")).env("FAKETIME_NO_CACHE", "1");
        // both spellings, as the releases have them
        let run = run.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        self.post.services.push(("qrun".to_owned(), run.spawn()));
        penny_testkit::wait_for_socket(self.post.dir.join("run/qrun/socket"));
    }

    fn restart(&mut self) {
        self.post.kill("qrun");
        let _ = std::fs::remove_file(self.post.dir.join("run/qrun/socket"));
        self.start(&library().unwrap());
    }

    /// Sets the clock, so many seconds from the right time.
    fn set(&self, offset: i64) {
        let new = self.post.dir.join("time.new");
        std::fs::write(&new, format!("{offset:+}\n")).unwrap();
        std::fs::rename(new, self.post.dir.join("time")).unwrap();
    }

    /// The entries, once none is being worked on.
    fn waiting(&self) -> Vec<Value> {
        until("rest", || self.post.control("status")[0].contains("\"active\":0,"));
        let mut lines = self.post.control("list\tstate=waiting");
        lines.pop();
        lines.iter().map(|l| Value::parse(l).unwrap()).collect()
    }

    /// Waits until every entry was tried so often, without a word to its sender.
    fn tried(&self, names: &[Name], times: usize) {
        until(&format!("{times} tries"), || {
            self.post.control("status"); // wakes it
            names.iter().all(|n| self.post.journal(n).matches("attempt ").count() >= times)
        });
        assert_eq!(self.waiting().len(), names.len());
        assert!(self.post.mails("ann").is_empty(), "something was said to the sender");
    }

    /// New mail comes through at once.
    fn takes_mail(&self, so_far: usize) {
        self.post.send("bob@example.test", &["joe@example.test"], "new");
        self.post.wait_mails("joe", so_far + 1);
    }
}

fn real_now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[test]
fn a_clock_set_forward_and_back_neither_bounces_nor_stalls() {
    let Some(wrong) = Wrong::new("a_clock_set_forward_and_back_neither_bounces_nor_stalls") else { return };
    let names: Vec<Name> =
        (0..5).map(|n| wrong.post.send("ann@example.test", &["x@far.test"], &format!("number {n}"))).collect();
    wrong.tried(&names, 1);
    // older than their life time at once, and tried again
    wrong.set(6 * DAY);
    wrong.tried(&names, 2);
    wrong.takes_mail(0);
    // and in the past
    wrong.set(-DAY);
    wrong.takes_mail(1);
    let latest = wrong.waiting().iter().map(|e| i64::try_from(e.number("due")).unwrap()).max().unwrap();
    let from_now = latest - (real_now() - DAY);
    assert!((0..2 * HOUR).contains(&from_now), "the next try is {from_now} s away");
    // two hours later each has had its next try
    wrong.set(-DAY + 2 * HOUR);
    wrong.tried(&names, 3);
    wrong.open.store(true, Ordering::SeqCst);
    wrong.set(-DAY + 4 * HOUR);
    until("all sent", || {
        wrong.post.control("status");
        wrong.sink.count() == 5
    });
    wrong.post.wait_empty();
    assert!(wrong.post.mails("ann").is_empty());
}

#[test]
fn a_start_long_after_the_last_run_gives_everything_its_tries() {
    let Some(mut wrong) = Wrong::new("a_start_long_after_the_last_run_gives_everything_its_tries") else { return };
    let names: Vec<Name> =
        (0..3).map(|n| wrong.post.send("ann@example.test", &["x@far.test"], &format!("number {n}"))).collect();
    wrong.tried(&names, 1);
    wrong.post.kill("qrun");
    wrong.set(8 * DAY);
    wrong.restart();
    wrong.tried(&names, 2);
    // the same once more: what the first start forgave is not forgotten by a second
    wrong.restart();
    assert_eq!(wrong.post.control("retry\tall").last().unwrap(), "OK\t3");
    wrong.tried(&names, 3);
    wrong.open.store(true, Ordering::SeqCst);
    assert_eq!(wrong.post.control("retry\tall").last().unwrap(), "OK\t3");
    wrong.post.wait_empty();
    assert_eq!(wrong.sink.count(), 3);
}
