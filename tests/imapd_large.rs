//! imapd on a mailbox of 100,000 messages (`LARGE_MESSAGES` for more): it opens, counts and answers, and memory does not
//! grow with it.

#[path = "support/imap.rs"]
mod imap;

use imap::{Home, Live};
use std::path::Path;

/// Names a file may have on ext4.
const LINKS_MAX: usize = 60_000;

/// What stands in each of them; RFC822.SIZE counts four CRs more.
const TEXT: &str = "From: a@example.org\nSubject: x\n\nbody\n";
const SIZE: usize = TEXT.len() + 4;

/// Fills cur/ with so many names of a few files: a mailbox is its names, what stands in the files does not matter here.
fn fill(h: &Home, count: usize) {
    let cur = h.maildir().join("cur");
    let mut first = cur.clone();
    for n in 0..count {
        let name = cur.join(format!("17{n:08}.M1P1.host,S={},W={SIZE}:2,{}", TEXT.len(), ["", "S"][n % 2]));
        if n % LINKS_MAX == 0 {
            std::fs::write(&name, TEXT).unwrap();
            first = name;
        } else {
            std::fs::hard_link(&first, name).unwrap();
        }
    }
}

/// A value of /proc/PID/status in KiB.
fn memory(s: &Live, key: &str) -> u64 {
    let text = std::fs::read_to_string(Path::new("/proc").join(s.child.id().to_string()).join("status")).unwrap();
    let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_else(|| panic!("{key}: {text}"));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Opens the mailbox twice, first never seen, then known: KiB at most while it was built, KiB of its own when idle.
fn opened(count: usize) -> (u64, u64) {
    let h = Home::new();
    fill(&h, count);
    let mut s = h.live();
    let text = s.ask("a", "SELECT INBOX");
    assert!(text.contains(&format!("* {count} EXISTS")) && text.contains("[UNSEEN 1]"), "{text}");
    let peak = memory(&s, "VmHWM:");
    drop(s);
    let mut s = h.live();
    let half = count / 2;
    let text = s.ask("a", "STATUS INBOX (MESSAGES UNSEEN UIDNEXT SIZE)");
    assert!(
        text.contains(&format!("(MESSAGES {count} UNSEEN {half} UIDNEXT {} SIZE {})", count + 1, count * SIZE)),
        "{text}"
    );
    let text = s.ask("b", "SELECT INBOX");
    assert!(text.contains(&format!("* {count} EXISTS")), "{text}");
    let text = s.ask("c", "UID SEARCH RETURN (COUNT MAX) UNSEEN");
    assert!(text.contains(&format!("MAX {} COUNT {half}", count - 1)), "{text}");
    let text = s.ask("d", &format!("FETCH {count} (UID FLAGS RFC822.SIZE)"));
    assert!(text.contains(&format!("UID {count} FLAGS (\\Seen) RFC822.SIZE {SIZE}")), "{text}");
    s.ask("e", "STORE 1 +FLAGS (\\Deleted)");
    assert!(s.ask("f", "EXPUNGE").contains("* 1 EXPUNGE"));
    assert!(s.ask("g", "STATUS INBOX (MESSAGES)").contains(&format!("(MESSAGES {})", count - 1)));
    (peak, memory(&s, "RssAnon:"))
}

#[test]
fn a_hundred_thousand_messages() {
    let count = std::env::var("LARGE_MESSAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let (small_peak, small_idle) = opened(5_000);
    let (large_peak, large_idle) = opened(count);
    let a_message = |small: u64, large: u64| large.saturating_sub(small) * 1024 / (count as u64 - 5_000);
    let (peak, idle) = (a_message(small_peak, large_peak), a_message(small_idle, large_idle));
    assert!(peak < 1000, "{peak} octets a message: {small_peak} and {large_peak} KiB");
    assert!(idle < 100, "{idle} octets a message: {small_idle} and {large_idle} KiB");
}
