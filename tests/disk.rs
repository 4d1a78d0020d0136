//! A full disk: 452 or 451, a clean queue, and the server goes on when there is room again.

#[path = "support/instance.rs"]
mod support;

use penny_testkit::Client;
use std::process::Command;
use support::{Instance, files};

/// A file system of 2 MiB for the queue, gone with the value.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: &std::path::Path) -> Option<Small> {
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs"]).arg(at).status();
        done.is_ok_and(|s| s.success()).then(|| Small(at.to_path_buf()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn send(i: &Instance, octets: usize) -> String {
    let mut c: Client = i.connect("SMTP");
    c.read_line();
    c.line("EHLO c.test");
    c.until("250 ");
    c.ask("MAIL FROM:<a@away.test>", "250");
    // a foreign address whose host does not answer: the entry stays in the queue
    c.ask("RCPT TO:<far@remote.test>", "250");
    c.ask("DATA", "354");
    let line = format!("{}\r\n", "x".repeat(98));
    c.send(format!("Subject: x\r\n\r\n{}.\r\n", line.repeat(octets.div_ceil(100))));
    c.read_line().expect("an answer")
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
