//! 250 is a promise: no success is reported before file and name are on stable storage (pennypost-overview(7) rule 1).
//!
//! The real programs run under strace. A marker in the body finds the committed inode; then it must be: fsync of that
//! inode, link or rename to its final name, fsync of its directory, and only then the first octet of the answer.
//! With EIO injected into each of these fsyncs the answer is 4xx, NO or 75 and no half state stays.

#[path = "support/strace.rs"]
mod strace;
#[path = "support/instance.rs"]
mod support;

use penny_testkit::Client;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use strace::Trace;
use support::{Instance, files, until};

const CALLS: &str =
    "fsync,fdatasync,linkat,link,rename,renameat,renameat2,write,writev,sendto,sendmsg,exit_group,unlink,unlinkat";

/// A program, and the processes that wait to copy themselves for it.
fn with_waiting(instance: &Instance, program: &str) -> Vec<i32> {
    let pid = instance.pid_of(program);
    let status = |p: i32| std::fs::read_to_string(format!("/proc/{p}/status")).unwrap_or_default();
    let waiting = instance.processes().into_iter().filter(|(_, name)| name.ends_with(" wait"));
    let of_it = waiting.map(|(p, _)| p).filter(|p| status(*p).contains(&format!("\nPPid:\t{pid}\n")));
    std::iter::once(pid).chain(of_it).collect()
}

/// Traces what commits, of running programs.
fn traced(instance: &Instance, programs: &[&str], more: &[String]) -> Trace {
    let pids: Vec<i32> = programs.iter().flat_map(|p| with_waiting(instance, p)).collect();
    let more: Vec<&str> = std::iter::once("-f").chain(more.iter().map(String::as_str)).collect();
    Trace::attach(instance, &pids, CALLS, &more)
}

fn position(lines: &[String], from: usize, what: &str, fits: impl Fn(&str) -> bool) -> usize {
    let found = lines.iter().enumerate().skip(from).find(|(_, l)| fits(l)).map(|(i, _)| i);
    found.unwrap_or_else(|| panic!("no {what} after line {from} of\n{}", lines.join("\n")))
}

/// Proves the order for one committed file: every answer that `is_answer` knows comes after it.
fn prove(lines: &[String], file: &Path, is_answer: impl Fn(&str) -> bool) {
    let name = file.file_name().and_then(|n| n.to_str()).expect("a name");
    let base = name.split(":2,").next().expect("a base name");
    let inode = std::fs::metadata(file).expect("the committed file").ino();
    let unnamed = format!("/#{inode}>");
    let is_sync = |l: &str| (l.contains("fsync(") || l.contains("fdatasync(")) && l.ends_with("= 0");
    let named = |l: &str| ["link", "rename"].iter().any(|c| l.contains(c)) && l.contains(base) && l.ends_with("= 0");
    let commit = position(lines, 0, "link or rename", |l| named(l) && !l.contains("unlink"));
    let is_file =
        |l: &str| l.contains(&unnamed) || l.contains(base) || old_name(&lines[commit]).is_some_and(|o| l.contains(&o));
    let synced = position(lines, 0, "fsync of the file", |l| is_sync(l) && is_file(l));
    assert!(synced < commit, "the name came before the fsync\n{}", lines.join("\n"));
    let directory = file.parent().expect("a directory").to_str().expect("utf-8");
    // an entry that was moved on since was committed to new/
    let new = directory.replace("/cur", "/new");
    let directory_synced = position(lines, commit, "fsync of the directory", |l| {
        is_sync(l) && (l.contains(&format!("<{directory}>")) || l.contains(&format!("<{new}>")))
    });
    let answer = position(lines, 0, "answer", is_answer);
    assert!(directory_synced < answer, "the answer came before the fsync of the directory\n{}", lines.join("\n"));
}

/// First path of a rename: the temporary name.
fn old_name(line: &str) -> Option<String> {
    let quoted: Vec<&str> = line.split('"').collect();
    line.contains("rename").then(|| quoted.get(1).and_then(|p| p.rsplit('/').next()).map(String::from)).flatten()
}

fn holding(dir: &Path, marker: &str) -> Option<PathBuf> {
    files(dir).into_iter().find(|f| std::fs::read(f).is_ok_and(|b| String::from_utf8_lossy(&b).contains(marker)))
}

fn skip(test: &str) -> bool {
    !penny_testkit::have(test, "strace")
}

/// Sends a line; the last line of the answer.
fn say(c: &mut Client, text: &str, end: &str) -> String {
    c.line(text);
    c.until(end).pop().expect("an answer")
}

fn send(c: &mut Client, greeting: &str, to: &str, marker: &str) -> String {
    c.read_line();
    say(c, &format!("{greeting} client.test"), "250 ");
    c.ask("MAIL FROM:<a@away.test>", "250");
    c.ask(&format!("RCPT TO:<{to}>"), "250");
    c.ask("DATA", "354");
    c.send(format!("Subject: {marker}\r\n\r\n{marker}\r\n.\r\n"));
    c.read_line().expect("an answer")
}

fn is_reply(line: &str, text: &str) -> bool {
    (line.contains("write") || line.contains("send")) && line.contains(text)
}

#[test]
fn smtp_answers_after_the_disk() {
    if skip("smtp_answers_after_the_disk") {
        return;
    }
    // nobody listens at the sink: the entry stays in the queue, where it can be looked at
    let i = Instance::up(&[]);
    let trace = traced(&i, &["listen", "enqueue"], &[]);
    let reply = send(&mut i.connect("SMTP"), "EHLO", "far@remote.test", "marker-smtp");
    assert!(reply.starts_with("250"), "{reply}");
    let file = until("the entry that qrun took", || holding(&i.queue("cur"), "marker-smtp"));
    prove(&trace.lines(), &file, |l| is_reply(l, "queued as"));
}

#[test]
fn lmtp_answers_after_the_disk() {
    if skip("lmtp_answers_after_the_disk") {
        return;
    }
    let i = Instance::up(&[]);
    let trace = traced(&i, &["listen", "spawn"], &[]);
    let reply = send(&mut i.connect("LMTP"), "LHLO", "user1@example.test", "marker-lmtp");
    assert!(reply.starts_with("250"), "{reply}");
    let file = holding(&i.maildir("user1"), "marker-lmtp").expect("delivered before the reply");
    prove(&trace.lines(), &file, |l| is_reply(l, "250 2.0.0 delivered"));
}

#[test]
fn sendmail_and_deliver_exit_after_the_disk() {
    if skip("sendmail_and_deliver_exit_after_the_disk") {
        return;
    }
    let i = Instance::up(&[]);
    let trace = traced(&i, &["enqueue"], &[]);
    let out = penny_testkit::Run::new(i.program("sendmail"))
        .env("PENNYPOST_CONFIG", i.config())
        .args(["-f", "a@example.test", "far@remote.test"])
        .stdin("Subject: x\n\nmarker-sendmail\n")
        .run();
    out.expect_code(0);
    let file = until("the entry that qrun took", || holding(&i.queue("cur"), "marker-sendmail"));
    prove(&trace.lines(), &file, |l| is_reply(l, "OK "));

    let place = i.dir.path().join("trace");
    std::fs::create_dir(&place).expect("made");
    let log = place.join("deliver");
    let mut run = penny_testkit::Run::new("strace");
    run = run
        .args(["-f", "-y", "-ttt", "-s", "300", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(&log)
        .arg(i.program("deliver"));
    run = run.arg("-c").arg(i.config()).args(["-d", "user2@example.test"]).stdin("Subject: x\n\nmarker-deliver\n");
    if penny_sys::ids::is_root() {
        std::os::unix::fs::chown(&place, Some(64205), Some(64205)).expect("chown");
        run = run.uid(64205, 64205);
    }
    run.run().expect_code(0);
    let file = holding(&i.maildir("user2"), "marker-deliver").expect("delivered");
    let lines = strace::read_lines(&log);
    prove(&lines, &file, |l| l.contains("exit_group(0)"));
}

#[test]
fn imap_answers_after_the_disk() {
    if skip("imap_answers_after_the_disk") {
        return;
    }
    let i = Instance::up(&[]);
    let mut c = i.imap("user1");
    assert!(say(&mut c, "a1 CREATE Other", "a1 ").starts_with("a1 OK"));
    let append = |c: &mut Client, tag: &str, marker: &str| {
        let text = format!("Subject: x\r\n\r\n{marker}\r\n");
        c.line(&format!("{tag} APPEND INBOX {{{}}}", text.len()));
        c.until("+");
        c.send(format!("{text}\r\n"));
        c.until(&format!("{tag} ")).pop().expect("an answer")
    };
    let trace = traced(&i, &["imapd"], &[]);
    assert!(append(&mut c, "a2", "marker-append").starts_with("a2 OK"));
    let file = holding(&i.maildir("user1"), "marker-append").expect("appended");
    prove(&trace.lines(), &file, |l| is_reply(l, "a2 OK"));

    say(&mut c, "a3 SELECT INBOX", "a3 ");
    let trace = traced(&i, &["imapd"], &[]);
    assert!(say(&mut c, "a4 COPY 1 Other", "a4 ").starts_with("a4 OK"));
    let copy = holding(&i.maildir("user1").join(".Other"), "marker-append").expect("copied");
    let lines = trace.lines();
    // a copy may share the inode of the original, which was synced when it was appended
    let linked = std::fs::metadata(&copy).expect("copy").nlink() > 1;
    let lines = if linked { [vec![fake_sync(&copy)], lines].concat() } else { lines };
    prove(&lines, &copy, |l| is_reply(l, "a4 OK"));

    assert!(append(&mut c, "a5", "marker-move").starts_with("a5 OK"));
    let inode = std::fs::metadata(holding(&i.maildir("user1"), "marker-move").expect("appended")).expect("file").ino();
    let trace = traced(&i, &["imapd"], &[]);
    assert!(say(&mut c, "a6 MOVE 2 Other", "a6 ").starts_with("a6 OK"));
    let moved = holding(&i.maildir("user1").join(".Other"), "marker-move").expect("moved");
    let lines = trace.lines();
    let same = std::fs::metadata(&moved).expect("moved").ino() == inode;
    let lines = if same { [vec![fake_sync(&moved)], lines].concat() } else { lines };
    prove(&lines, &moved, |l| is_reply(l, "a6 OK"));
}

/// Stands for the fsync of an inode that was committed before.
fn fake_sync(file: &Path) -> String {
    let inode = std::fs::metadata(file).expect("file").ino();
    format!("0 0.0 fsync(3</before/#{inode}>(deleted)) = 0")
}

/// Injects EIO into the n-th fsync of the traced processes; it takes a third of a second to fail, long enough for
/// whoever acts on a name before it is promised.
fn inject(n: usize) -> Vec<String> {
    vec!["-e".into(), format!("inject=fsync,fdatasync:error=EIO:delay_enter=300000:when={n}")]
}

#[test]
fn smtp_refuses_when_the_disk_fails() {
    if skip("smtp_refuses_when_the_disk_fails") {
        return;
    }
    let i = Instance::up(&[]);
    for n in 1..=2 {
        let trace = traced(&i, &["enqueue"], &inject(n));
        let marker = format!("marker-eio-{n}");
        let reply = send(&mut i.connect("SMTP"), "EHLO", "far@remote.test", &marker);
        let lines = trace.lines();
        assert!(lines.iter().any(|l| l.contains("INJECTED")), "fsync {n} was not reached\n{}", lines.join("\n"));
        assert!(reply.starts_with("451") || reply.starts_with("452"), "fsync {n}: {reply}");
        assert!(holding(&i.queue(""), &marker).is_none(), "fsync {n}: a half entry stayed");
    }
    // the service goes on
    assert!(send(&mut i.connect("SMTP"), "EHLO", "far@remote.test", "after").starts_with("250"));
}

#[test]
fn lmtp_refuses_when_the_disk_fails() {
    if skip("lmtp_refuses_when_the_disk_fails") {
        return;
    }
    let i = Instance::up(&[]);
    // the mailbox and its directories are there already: only the message's own syncs are left
    assert!(send(&mut i.connect("LMTP"), "LHLO", "user1@example.test", "first").starts_with("250"));
    for n in 1..=2 {
        let trace = traced(&i, &["spawn"], &inject(n));
        let marker = format!("marker-eio-{n}");
        let reply = send(&mut i.connect("LMTP"), "LHLO", "user1@example.test", &marker);
        let lines = trace.lines();
        assert!(lines.iter().any(|l| l.contains("INJECTED")), "fsync {n} was not reached\n{}", lines.join("\n"));
        assert!(reply.starts_with("4"), "fsync {n}: {reply}");
        assert!(holding(&i.maildir("user1"), &marker).is_none(), "fsync {n}: a half message stayed");
    }
}

#[test]
fn imap_refuses_when_the_disk_fails() {
    if skip("imap_refuses_when_the_disk_fails") {
        return;
    }
    let i = Instance::up(&[]);
    let mut c = i.imap("user1");
    say(&mut c, "b0 SELECT INBOX", "b0 ");
    for n in 1..=2 {
        let trace = traced(&i, &["imapd"], &inject(n));
        let text = format!("Subject: x\r\n\r\nmarker-eio-{n}\r\n");
        c.line(&format!("b{n} APPEND INBOX {{{}}}", text.len()));
        c.until("+");
        c.send(format!("{text}\r\n"));
        let reply = c.until(&format!("b{n} ")).pop().expect("an answer");
        let lines = trace.lines();
        assert!(lines.iter().any(|l| l.contains("INJECTED")), "fsync {n} was not reached\n{}", lines.join("\n"));
        assert!(reply.starts_with(&format!("b{n} NO")), "fsync {n}: {reply}");
        assert!(holding(&i.maildir("user1"), &format!("marker-eio-{n}")).is_none(), "fsync {n}: a half message stayed");
    }
}

#[test]
fn imap_copies_nothing_when_the_disk_fails() {
    if skip("imap_copies_nothing_when_the_disk_fails") {
        return;
    }
    let i = Instance::up(&[]);
    let mut c = i.imap("user1");
    assert!(say(&mut c, "c0 CREATE Other", "c0 ").starts_with("c0 OK"));
    let text = "Subject: x\r\n\r\nmarker-original\r\n";
    c.line(&format!("c1 APPEND INBOX {{{}}}", text.len()));
    c.until("+");
    c.send(format!("{text}\r\n"));
    assert!(c.until("c1 ").pop().expect("an answer").starts_with("c1 OK"));
    say(&mut c, "c2 SELECT INBOX", "c2 ");
    let other = i.maildir("user1").join(".Other");
    for verb in ["COPY", "MOVE"] {
        let mut n = 0;
        // each sync on the way to the answer, until there is none left to fail
        loop {
            n += 1;
            let trace = traced(&i, &["imapd"], &inject(n));
            let reply = say(&mut c, &format!("d{n} {verb} 1 Other"), &format!("d{n} "));
            if !trace.lines().iter().any(|l| l.contains("INJECTED")) {
                assert!(reply.contains("OK"), "{reply}");
                break;
            }
            assert!(reply.starts_with(&format!("d{n} NO")), "{verb} with sync {n} failing: {reply}");
            assert!(holding(&other, "marker-original").is_none(), "{verb} with sync {n} failing: a half copy stayed");
            let here = ["new", "cur"].iter().find_map(|d| holding(&i.maildir("user1").join(d), "marker-original"));
            assert!(here.is_some(), "{verb} with sync {n} failing: the original is gone");
        }
        assert!(n > 1, "{verb} syncs nothing");
        let copy = holding(&other, "marker-original").expect("done once the disk works");
        std::fs::remove_file(copy).expect("removed");
    }
}

/// A program that is started for one message: it fails with 75 and leaves nothing where a sync fails.
fn fails_softly(i: &Instance, program: &str, arguments: &[&str], uid: u32, place: &Path) {
    let log = i.dir.path().join(format!("strace-{program}"));
    std::fs::create_dir(&log).expect("made");
    if penny_sys::ids::is_root() {
        std::os::unix::fs::chown(&log, Some(uid), Some(uid)).expect("chown");
    }
    let mut n = 0;
    loop {
        n += 1;
        let marker = format!("marker-{program}-{n}");
        let log = log.join("log");
        let mut run = penny_testkit::Run::new("strace").args(["-f", "-e", &format!("trace={CALLS}")]).args(inject(n));
        run = run.arg("-o").arg(&log).arg(i.program(program)).args(arguments).env("PENNYPOST_CONFIG", i.config());
        if penny_sys::ids::is_root() {
            run = run.uid(uid, uid);
        }
        let out = run.stdin(format!("Subject: x\n\n{marker}\n")).run();
        if !strace::read_lines(&log).iter().any(|l| l.contains("INJECTED")) {
            out.expect_code(0);
            break;
        }
        out.expect_code(75);
        assert!(holding(place, &marker).is_none(), "{program} with sync {n} failing: a half message stayed");
    }
    assert!(n > 2, "{program} syncs {} times only", n - 1);
}

#[test]
fn deliver_fails_softly_when_the_disk_fails() {
    if skip("deliver_fails_softly_when_the_disk_fails") {
        return;
    }
    let i = Instance::up(&[]);
    // the mailbox and its directories are there already: only the message's own syncs are left
    assert!(send(&mut i.connect("LMTP"), "LHLO", "user2@example.test", "first").starts_with("250"));
    fails_softly(&i, "deliver", &["-d", "user2@example.test"], 64205, &i.maildir("user2"));
}

#[test]
fn sendmail_fails_softly_when_the_disk_fails() {
    if skip("sendmail_fails_softly_when_the_disk_fails") {
        return;
    }
    let i = Instance::up(&[]);
    for n in 1..=2 {
        let trace = traced(&i, &["enqueue"], &inject(n));
        let out = penny_testkit::Run::new(i.program("sendmail"))
            .env("PENNYPOST_CONFIG", i.config())
            .args(["-f", "a@example.test", "far@remote.test"])
            .stdin(format!("Subject: x\n\nmarker-eio-{n}\n"))
            .run();
        let lines = trace.lines();
        assert!(lines.iter().any(|l| l.contains("INJECTED")), "fsync {n} was not reached\n{}", lines.join("\n"));
        out.expect_code(75);
        assert!(holding(&i.queue(""), &format!("marker-eio-{n}")).is_none(), "fsync {n}: a half entry stayed");
    }
}
