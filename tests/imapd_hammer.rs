//! Twenty imapd sessions and deliveries at one mailbox: what is answered stays true, and the store is sound afterwards.
//!
//! `HAMMER_SECONDS` is how long (default 5). Each session appends, flags, copies, moves, expunges, reads, searches and
//! idles at random; deliveries go on beside them. A UID names one message for ever, nothing is lost that nobody removed,
//! no session ends or is told nonsense, and `maildirctl check --read` finds nothing.

#[path = "support/imap.rs"]
mod imap;

use imap::{Home, Live};
use penny_maildir::{Delivery, Maildir, Place};
use penny_testkit::{PATIENCE, Run, program};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const SESSIONS: u64 = 20;
/// The mailbox is kept near this size, so that sessions meet each other.
const KEEP: usize = 60;

/// What all sessions know together.
#[derive(Default)]
struct Shared {
    next: AtomicU64,
    over: AtomicBool,
    /// Ids promised by an OK, or delivered.
    promised: Mutex<BTreeSet<u64>>,
    /// Ids somebody began to remove or to move.
    doubtful: Mutex<BTreeSet<u64>>,
    /// (folder, UID) -> id, as seen by anybody at any time.
    names: Mutex<BTreeMap<(&'static str, u32), u64>>,
}

fn locked<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn names(&self, folder: &'static str, uid: u32, id: u64) {
        let before = *locked(&self.names).entry((folder, uid)).or_insert(id);
        assert_eq!(before, id, "{folder} UID {uid} names two messages");
    }
}

fn text(id: u64) -> String {
    format!("Subject: id {id}\r\n\r\n{}\r\n", "body ".repeat((id % 300) as usize))
}

/// The number after a word.
fn after(text: &str, word: &str) -> Option<u64> {
    let rest = text.split(word).nth(1)?;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

struct Session<'a> {
    live: Live,
    shared: &'a Shared,
    /// The UIDs of the selected INBOX by sequence number, as the answers build them.
    view: Vec<u32>,
    random: u64,
    tag: u64,
}

impl Session<'_> {
    fn pick(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }

    /// Sends a command; its answers, of which EXPUNGE and EXISTS change the view.
    fn ask(&mut self, command: &str) -> Vec<String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.live.say(&format!("{tag} {command}"));
        let lines = self.live.until(&format!("{tag} "));
        self.take(command, &lines);
        let last = lines.last().expect("an answer");
        let fine = last.starts_with(&format!("{tag} OK")) || last.starts_with(&format!("{tag} NO"));
        assert!(fine, "{command}: {last}");
        lines
    }

    fn take(&mut self, command: &str, lines: &[String]) {
        for line in lines {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            let ["*", number, what, ..] = words.as_slice() else { continue };
            let Ok(n) = number.parse::<usize>() else { continue };
            match *what {
                "EXPUNGE" => {
                    assert!((1..=self.view.len()).contains(&n), "{command}: {line} of {}", self.view.len());
                    self.view.remove(n - 1);
                }
                "EXISTS" => {
                    assert!(n >= self.view.len(), "{command}: {line} after {}", self.view.len());
                    self.view.resize(n, 0);
                }
                "FETCH" => {
                    assert!((1..=self.view.len()).contains(&n), "{command}: {line} of {}", self.view.len());
                    if let Some(uid) = after(line, "(UID ").or_else(|| after(line, " UID ")) {
                        let known = &mut self.view[n - 1];
                        assert!(*known == 0 || u64::from(*known) == uid, "{command}: {line}, it was {known}");
                        *known = u32::try_from(uid).expect("a UID");
                    }
                }
                _ => {}
            }
        }
    }

    /// UIDs and ids of the messages that a FETCH of subjects shows; sets the view's UIDs.
    fn look(&mut self) -> Vec<(u32, u64)> {
        let lines = self.ask("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
        let mut found = Vec::new();
        for pair in lines.windows(2) {
            let (Some(uid), Some(id)) = (after(&pair[0], "(UID "), after(&pair[1], "Subject: id ")) else { continue };
            found.push((u32::try_from(uid).expect("a UID"), id));
            self.shared.names("INBOX", uid as u32, id);
        }
        assert!(self.view.windows(2).all(|p| p[0] < p[1] || p[1] == 0), "{:?}", self.view);
        found
    }

    fn append(&mut self) {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let text = text(id);
        let lines = self.ask(&format!("APPEND INBOX (\\Seen) {{{}+}}\r\n{text}", text.len()));
        let last = lines.last().expect("an answer");
        assert!(last.contains(" OK [APPENDUID "), "{last}");
        let uid = last.split([' ', ']']).nth(4).and_then(|w| w.parse().ok()).expect("a UID");
        self.shared.names("INBOX", uid, id);
        locked(&self.shared.promised).insert(id);
    }

    /// COPY and MOVE to the other folder.
    fn transfer(&mut self, verb: &str, uid: u32, id: u64) {
        if verb == "MOVE" {
            locked(&self.shared.doubtful).insert(id);
        }
        let lines = self.ask(&format!("UID {verb} {uid} Other"));
        let pair = lines.iter().find_map(|l| l.split("[COPYUID ").nth(1));
        if let Some(new) = pair.and_then(|p| p.split([' ', ']']).nth(2)?.parse().ok()) {
            self.shared.names("Other", new, id);
        }
    }

    fn remove(&mut self, uid: u32, id: u64) {
        locked(&self.shared.doubtful).insert(id);
        self.ask(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"));
        self.ask(&format!("UID EXPUNGE {uid}"));
    }

    fn read(&mut self, uid: u32, id: u64) {
        let lines = self.ask(&format!("UID FETCH {uid} (UID BODY[])"));
        // gone in the meantime is no mistake; another message is one
        if let Some(subject) = lines.iter().find(|l| l.starts_with("Subject: ")) {
            assert_eq!(*subject, format!("Subject: id {id}"), "UID {uid}");
        }
    }

    fn idle(&mut self) {
        self.live.say("i IDLE");
        let before = self.live.until("+ idling");
        self.live.say("DONE");
        let after = self.live.until("i OK");
        self.take("IDLE", &before);
        self.take("IDLE", &after);
    }

    fn work(&mut self) {
        assert!(self.ask("SELECT INBOX").last().is_some_and(|l| l.contains(" OK ")));
        while !self.shared.over.load(Ordering::Relaxed) {
            let messages = self.look();
            let pick = self.pick();
            let Some(&(uid, id)) = messages.get((pick >> 8) as usize % messages.len().max(1)) else {
                self.append();
                continue;
            };
            match pick % 9 {
                0 | 1 if messages.len() < KEEP => self.append(),
                0 | 1 => self.remove(uid, id),
                2 => drop(self.ask(&format!("UID STORE {uid} FLAGS (\\Flagged k{})", pick % 30))),
                3 => drop(self.ask("STORE 1:* +FLAGS.SILENT (\\Answered)")),
                4 => self.transfer("COPY", uid, id),
                5 => self.transfer("MOVE", uid, id),
                6 => self.read(uid, id),
                7 => drop(self.ask("SEARCH RETURN (COUNT) BODY body FLAGGED")),
                _ => self.idle(),
            }
        }
    }
}

/// Delivers until it is over, as `deliver` does.
fn deliveries(root: &Maildir, shared: &Shared) {
    while !shared.over.load(Ordering::Relaxed) {
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        let mut d = Delivery::begin(root).expect("begun");
        d.write_all(text(id).replace("\r\n", "\n").as_bytes()).expect("written");
        d.commit(Place::New).expect("committed");
        locked(&shared.promised).insert(id);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn seconds() -> u64 {
    std::env::var("HAMMER_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5)
}

#[test]
fn twenty_sessions_and_deliveries() {
    let h = Home::new();
    h.script("a CREATE Other\r\nb LOGOUT\r\n");
    let root = Maildir::open(&h.maildir()).expect("a Maildir");
    let shared = Shared::default();
    let start = Instant::now();
    std::thread::scope(|s| {
        for n in 0..SESSIONS {
            let (h, shared) = (&h, &shared);
            s.spawn(move || {
                Session { live: h.live(), shared, view: Vec::new(), random: n + 1, tag: 0 }.work();
            });
        }
        s.spawn(|| deliveries(&root, &shared));
        let time = Duration::from_secs(seconds());
        // a slow disk gets more of it
        let enough = || shared.next.load(Ordering::Relaxed) > 50 || start.elapsed() >= time + PATIENCE;
        while !(shared.over.load(Ordering::Relaxed) || start.elapsed() >= time && enough()) {
            std::thread::sleep(Duration::from_millis(50));
        }
        shared.over.store(true, Ordering::Relaxed);
    });
    // a fresh look at all of it
    let mut last = Session { live: h.live(), shared: &shared, view: Vec::new(), random: 0, tag: 0 };
    last.ask("SELECT INBOX");
    let here: Vec<u64> = last.look().into_iter().map(|(_, id)| id).collect();
    let once: BTreeSet<u64> = here.iter().copied().collect();
    assert_eq!(here.len(), once.len(), "a message is there twice");
    let doubtful = locked(&shared.doubtful);
    let lost: Vec<u64> =
        locked(&shared.promised).difference(&doubtful).filter(|id| !once.contains(id)).copied().collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let (messages, uids) = (shared.next.load(Ordering::Relaxed), locked(&shared.names).len());
    assert!(messages > 50, "the sessions did little: {messages} messages, {uids} UIDs");
    Run::new(program!("maildirctl")).args(["check", "--read"]).arg(h.maildir()).run().expect_code(0).expect_out("");
    let _ = writeln!(std::io::stderr(), "{:?}: {messages} messages, {uids} UIDs", start.elapsed());
}
