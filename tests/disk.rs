//! A full disk, by octets and by inodes: 4xx or 75, a clean queue, nothing lost, and the server goes on when there is room
//! again.

#[path = "support/instance.rs"]
mod support;

use penny_testkit::tmp::list;
use penny_testkit::{Client, Run};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Instance, files, until};

/// A file system of 2 MiB and 300 inodes, gone with the value.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Small> {
        let was = std::fs::metadata(at).expect("a directory");
        let options = format!("size=2m,nr_inodes=300,mode=755,uid={},gid={}", was.uid(), was.gid());
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).status();
        done.is_ok_and(|s| s.success()).then(|| Small(at.to_path_buf()))
    }

    /// Whether a process has a file open that has no name any more: its inode comes back when it is closed.
    fn has_nameless(&self) -> bool {
        let place = self.0.to_string_lossy().into_owned();
        let nameless = |fd: &PathBuf| {
            let target = std::fs::read_link(fd).unwrap_or_default();
            let target = target.to_string_lossy();
            target.starts_with(&place) && target.ends_with(" (deleted)")
        };
        list("/proc").iter().any(|process| list(process.join("fd")).iter().any(nameless))
    }

    /// Takes every inode there is.
    fn use_up_inodes(&self) {
        penny_testkit::until("an end of nameless files", || !self.has_nameless());
        let ballast = self.0.join("ballast");
        std::fs::create_dir_all(&ballast).expect("created");
        let failed = (0..1000).find_map(|n| File::create(ballast.join(n.to_string())).err());
        assert_eq!(failed.expect("no end of inodes").kind(), std::io::ErrorKind::StorageFull);
    }

    fn give_inodes_back(&self) {
        std::fs::remove_dir_all(self.0.join("ballast")).expect("removed");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// To a foreign address whose host does not answer: the entry stays in the queue.
fn send(i: &Instance, octets: usize) -> String {
    let line = format!("{}\r\n", "x".repeat(98));
    send_to(i, "SMTP", "far@remote.test", &line.repeat(octets.div_ceil(100)))
}

/// The answer to the message.
fn send_to(i: &Instance, service: &str, recipient: &str, body: &str) -> String {
    let mut c: Client = i.connect(service);
    c.read_line();
    c.line(if service == "LMTP" { "LHLO c.test" } else { "EHLO c.test" });
    c.until("250 ");
    c.ask("MAIL FROM:<a@away.test>", "250");
    c.ask(&format!("RCPT TO:<{recipient}>"), "250");
    c.ask("DATA", "354");
    c.send(format!("Subject: x\r\n\r\n{body}.\r\n"));
    c.read_line().expect("an answer")
}

/// How often a message with this line is in a mailbox.
fn copies(i: &Instance, user: &str, line: &str) -> usize {
    let has = |f: &PathBuf| std::fs::read_to_string(f).is_ok_and(|t| t.lines().any(|l| l == line));
    ["new", "cur"].iter().map(|d| files(&i.maildir(user).join(d)).iter().filter(|f| has(f)).count()).sum()
}

/// What waits is tried again now.
fn flush(i: &Instance) {
    Run::new(i.program("qctl")).arg("-c").arg(i.config()).arg("flush").run().expect_code(0);
}

fn comes(i: &Instance, user: &str, line: &str) {
    until(line, || {
        let came = copies(i, user, line) > 0;
        if !came {
            flush(i);
        }
        came.then_some(())
    });
}

/// Lets the queue try again, until no entry is left.
fn drain(i: &Instance) {
    until("an empty queue", || {
        let left = i.queue_left();
        if left > 0 {
            flush(i);
        }
        (left == 0).then_some(())
    });
}

#[test]
fn a_full_queue_disk_refuses_and_stays_clean() {
    if !penny_sys::ids::is_root() {
        return penny_testkit::skip(
            "a_full_queue_disk_refuses_and_stays_clean",
            "only root can mount a small file system",
        );
    }
    let i = Instance::up(&[]);
    // the queue's own directory moves onto the small file system while everything stands still
    let mut i = i;
    i.stop();
    let spool = i.top().join("spool");
    let Some(_small) = Small::mount(&spool) else {
        return penny_testkit::skip("a_full_queue_disk_refuses_and_stays_clean", "mount is not allowed here");
    };
    i.start();
    assert!(send(&i, 1000).starts_with("250"));
    let count = |i: &Instance| ["tmp", "new", "cur"].iter().map(|d| files(&i.queue(d)).len()).sum::<usize>();
    // at rest before it is counted: tried once, and put off
    let deferred = |f: &PathBuf| std::fs::read_to_string(f).is_ok_and(|t| t.contains("later "));
    until("a deferral", || files(&i.queue("log")).iter().any(deferred));
    let entries = count(&i);
    // larger than the whole disk: it does not even fit while it arrives
    let reply = send(&i, 5_000_000);
    assert!(reply.starts_with("452 4.3.1") || reply.starts_with("451 4.3"), "{reply}");
    assert_eq!(count(&i), entries, "something stayed");
    // full to the last block: even a small message has no room
    let ballast = spool.join("ballast");
    let mut file = std::fs::File::create(&ballast).expect("created");
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    let reply = send(&i, 200_000);
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
    assert!(files(&i.queue("tmp")).is_empty(), "tmp/ is not clean");
    std::fs::remove_file(&ballast).expect("removed");
    drop(file);
    let reply = send(&i, 1000);
    assert!(reply.starts_with("250"), "it does not go on: {reply}");
}

#[test]
fn without_inodes_it_refuses_and_loses_nothing() {
    let name = "without_inodes_it_refuses_and_loses_nothing";
    if !penny_sys::ids::is_root() {
        return penny_testkit::skip(name, "only root can mount a small file system");
    }
    let mut i = Instance::up(&[("RETRY_MIN", "1")]);
    i.stop();
    let (spool, home) = (i.top().join("spool"), i.top().join("mail/user1"));
    let (Some(queue_disk), Some(mail_disk)) = (Small::mount(&spool), Small::mount(&home)) else {
        return penny_testkit::skip(name, "mount is not allowed here");
    };
    i.start();
    let (one, two) = ("user1@example.test", "user2@example.test");
    assert!(send_to(&i, "SMTP", one, "first\r\n").starts_with("250"));
    comes(&i, "user1", "first");
    drain(&i);

    // the queue has none: nothing is taken, nothing stays; what needs no queue goes on
    queue_disk.use_up_inodes();
    let reply = send_to(&i, "SMTP", one, "refused\r\n");
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
    let sendmail = Run::new(i.program("sendmail")).env("PENNYPOST_CONFIG", i.config()).args(["-f", "a@away.test", one]);
    sendmail.stdin("Subject: x\n\nrefused\n").run().expect_code(75);
    let reply = send_to(&i, "LMTP", two, "direct\r\n");
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(copies(&i, "user2", "direct"), 1);
    for dir in ["tmp", "new", "cur", "log"] {
        assert!(files(&i.queue(dir)).is_empty(), "{dir} is not clean");
    }
    queue_disk.give_inodes_back();
    assert!(send_to(&i, "SMTP", one, "second\r\n").starts_with("250"), "it does not go on");
    comes(&i, "user1", "second");
    drain(&i);

    // the mailbox has none: LMTP says so, the queue keeps the message
    mail_disk.use_up_inodes();
    let reply = send_to(&i, "LMTP", one, "refused\r\n");
    assert!(reply.starts_with('4'), "{reply}");
    assert!(send_to(&i, "SMTP", one, "third\r\n").starts_with("250"));
    let deferred = |f: &PathBuf| std::fs::read_to_string(f).is_ok_and(|t| t.contains("later "));
    until("a deferral", || files(&i.queue("log")).iter().any(deferred));
    // and then neither has one, while the queue tries
    assert!(send_to(&i, "SMTP", one, "fourth\r\n").starts_with("250"));
    queue_disk.use_up_inodes();
    flush(&i);
    mail_disk.give_inodes_back();
    comes(&i, "user1", "third");
    comes(&i, "user1", "fourth");
    queue_disk.give_inodes_back();
    drain(&i);
    let found = ["first", "second", "third", "fourth", "refused"].map(|line| copies(&i, "user1", line));
    assert_eq!(found, [1, 1, 1, 1, 0]);
    assert!(files(&i.queue("corrupt")).is_empty());
}
