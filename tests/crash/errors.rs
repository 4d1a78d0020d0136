//! A system call of qrun that fails once, with EIO, with a full disk, or with no inode left: nothing is lost, what comes
//! twice is bounded, and the queue ends up empty.

use crate::support::Post;
use crate::{CALLS_MAX, qrun_once, send, settled, without_qrun};
use penny_testkit::{have, program};
use std::time::{Duration, SystemTime};

/// Calls that may fail, and how: what a disk says.
const FAILURES: [(&str, &str); 9] = [
    ("write", "ENOSPC"),
    ("openat", "ENOSPC"),
    ("renameat2", "EIO"),
    ("unlink", "EIO"),
    ("fsync", "EIO"),
    ("fdatasync", "EIO"),
    ("utimensat", "EIO"),
    ("ftruncate", "EIO"),
    ("getdents64", "EIO"),
];

#[test]
fn each_system_call_of_qrun_fails_once() {
    if !have("each_system_call_of_qrun_fails_once", "strace") {
        return;
    }
    let post = without_qrun();
    let mut points = 0;
    for (call, error) in FAILURES {
        let over = (1..CALLS_MAX).find(|n| fail_and_recover(&post, call, error, *n));
        points += over.expect("an end") - 1;
    }
    assert!(points > 40, "only {points} failures: the list of calls misses some");
}

/// One message, a qrun one call of which fails, and one that is well. True when that call was not made so often.
fn fail_and_recover(post: &Post, call: &str, error: &str, n: usize) -> bool {
    let text = format!("message of {call} {error} {n}");
    send(post, &text);
    let failed = failing(post, call, error, n);
    all_due(post);
    qrun_once(post).run().expect_code(0);
    // a report that was put off is an entry of its own by now, or its line in the journal brings it
    all_due(post);
    qrun_once(post).run().expect_code(0);
    settled(post, &text, &format!("{error} in {call} {n}"));
    !failed
}

/// qrun whose `n`th call fails; whether there was one. It may give up, but not go on for ever.
fn failing(post: &Post, call: &str, error: &str, n: usize) -> bool {
    let inject = format!("inject={call}:error={error}:when={n}");
    let trace = post.dir.join("trace");
    let run = post.run("/usr/bin/strace".as_ref()).args(["-qq", "-o"]).arg(&trace);
    let run = run.args(["-e", &format!("trace={call}"), "-e", &inject]).arg(program!("qrun")).arg("-1");
    run.limit(super::LONG).run();
    std::fs::read_to_string(&trace).unwrap_or_default().contains("(INJECTED)")
}

/// Everything that waits is due.
fn all_due(post: &Post) {
    for name in post.files("cur") {
        let file = std::fs::File::open(post.dir.join("queue/cur").join(name));
        let _ = file.and_then(|f| f.set_modified(SystemTime::now() - Duration::from_secs(60)));
    }
}
