//! Kill -9 in the middle of APPEND, COPY, MOVE, STORE and EXPUNGE: nothing acknowledged is lost, no UID is used twice.
//!
//! The test program starts itself as a worker that tells on a pipe what it begins and what is done; it is killed at a
//! random moment, and what it told is compared with a fresh look at the mailboxes. The kernel lives on, so this proves
//! the order of operations, not the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use penny_maildir::check::{Plan, check_folder};
use penny_maildir::{FlagOp, FlagSet, Flags, FolderName, Mailbox, Mode, Store, StoreOptions};

const WORKER: &str = "PENNY_CRASH_WORKER";
const ROUNDS: u32 = 12;

fn folders() -> [FolderName; 2] {
    [FolderName::inbox(), FolderName::from_parts(&["Other"]).unwrap()]
}

/// The id in a message's first line.
fn id_of(mailbox: &mut Mailbox, uid: u32) -> Option<u64> {
    let mut text = String::new();
    mailbox.open_message(uid).ok()?.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("end\n"), "UID {uid} is cut short: {text:?}");
    text.lines().next()?.strip_prefix("Id: ")?.parse().ok()
}

/// Works until it is killed.
fn worker(root: &Path, seed: u64) {
    let store = Store::open(root, StoreOptions::default()).unwrap();
    let mut out = std::io::stdout();
    let mut tell = |text: String| writeln!(out, "{text}").and_then(|()| out.flush()).unwrap();
    let mut boxes: Vec<Mailbox> = folders().iter().map(|f| store.mailbox(f, Mode::ReadWrite).unwrap()).collect();
    let mut n = seed;
    let mut next_id = seed * 1_000_000;
    loop {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = (n >> 33) as usize;
        let here = pick & 1;
        let uids: Vec<u32> = boxes[here].messages().map(|m| m.uid).collect();
        let uid = uids.get((pick >> 8) % uids.len().max(1)).copied();
        let id = uid.and_then(|u| id_of(&mut boxes[here], u)).unwrap_or(0);
        match ((pick >> 1) % 6, uid) {
            (1, Some(uid)) => {
                let set = FlagSet { flags: Flags((pick >> 4) as u8 & 15), keywords: vec![format!("k{}", pick % 30)] };
                boxes[here].store(&[uid], FlagOp::Set, &set, None).unwrap();
            }
            (2, Some(uid)) if uids.len() > 5 => {
                tell(format!("begin-remove {here} {uid} {id}"));
                boxes[here].remove(&[uid]).unwrap();
                tell(format!("removed {here} {uid} {id}"));
            }
            (3, Some(uid)) => {
                let mut target = store.mailbox(&folders()[1 - here], Mode::Target).unwrap();
                tell(format!("begin-move {here} {uid} {id}"));
                for (_, new) in boxes[here].move_to(&[uid], &mut target).unwrap().pairs {
                    tell(format!("is {} {new} {id}", 1 - here));
                }
            }
            (4, Some(uid)) => {
                let mut target = store.mailbox(&folders()[1 - here], Mode::Target).unwrap();
                for (_, new) in boxes[here].copy(&[uid], &mut target).unwrap().pairs {
                    tell(format!("is {} {new} {id}", 1 - here));
                }
            }
            _ => {
                next_id += 1;
                let mut d = boxes[here].begin_append().unwrap();
                write!(d, "Id: {next_id}\n\n{}\nend\n", "x".repeat(pick % 9000)).unwrap();
                let set = FlagSet { flags: Flags::SEEN, keywords: vec!["kept".into()] };
                let done = boxes[here].append(vec![(d.finish().unwrap(), set)]).unwrap();
                tell(format!("is {here} {} {next_id}", done.uids[0]));
            }
        }
        boxes[here].refresh().unwrap();
    }
}

/// What the workers told over all rounds.
#[derive(Default)]
struct Told {
    /// (folder, UID) -> id.
    uids: BTreeMap<(usize, u32), u64>,
    /// Ids that must exist somewhere.
    alive: BTreeSet<u64>,
    /// Ids whose removal had begun.
    doubtful: BTreeSet<u64>,
}

impl Told {
    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, folder, uid, id] = words.as_slice() else { return };
        let (folder, uid, id): (usize, u32, u64) = (folder.parse().unwrap(), uid.parse().unwrap(), id.parse().unwrap());
        match *what {
            "is" => {
                if let Some(before) = self.uids.insert((folder, uid), id) {
                    assert_eq!(before, id, "folder {folder} UID {uid} told for two messages");
                }
                if !self.doubtful.contains(&id) {
                    self.alive.insert(id);
                }
            }
            // Copies of it may live on, so it is only no longer promised.
            "begin-remove" | "removed" => {
                self.alive.remove(&id);
                self.doubtful.insert(id);
            }
            _ => {}
        }
    }
}

fn run_and_kill(root: &Path, seed: u64, after: Duration, told: &mut Told) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed_at_any_moment", "--nocapture"])
        .env(WORKER, format!("{seed}:{}", root.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let promises = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&promises);
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
        let lines = lines.map(|l| String::from_utf8_lossy(&l).into_owned());
        let count = |l: &String| {
            if l.starts_with("is ") {
                seen.fetch_add(1, Ordering::Relaxed);
            }
        };
        lines.inspect(count).collect::<Vec<_>>()
    });
    // a busy machine may take its time to start the worker: the moment counts from its first promises
    let start = std::time::Instant::now();
    while promises.load(Ordering::Relaxed) <= 3 && start.elapsed() < Duration::from_secs(180) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(after);
    let ended_itself = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(ended_itself.is_none(), "worker ended: {errors}");
    let lines = reader.join().unwrap();
    assert!(lines.iter().filter(|l| l.starts_with("is ")).count() > 3, "the worker did nothing");
    lines.iter().for_each(|l| told.take(l));
}

#[test]
fn killed_at_any_moment() {
    if let Ok(work) = std::env::var(WORKER) {
        let (seed, root) = work.split_once(':').unwrap();
        worker(Path::new(root), seed.parse().unwrap());
        return;
    }
    let home: PathBuf = std::env::temp_dir().join(format!("penny-crash-{}", std::process::id()));
    let root = home.join("Maildir");
    let store = Store::open_or_create(&root, StoreOptions::default()).unwrap();
    store.create(&folders()[1]).unwrap();
    let mut told = Told::default();
    for round in 0..ROUNDS {
        let seed = u64::from(round) + 1;
        run_and_kill(&root, seed, Duration::from_millis(250 + seed * 37 % 200), &mut told);
        if round % 4 == 3 {
            // The index is lost as well.
            for dir in [root.clone(), root.join(".Other")] {
                let _ = std::fs::remove_file(dir.join("pennypost.index"));
            }
        }
        let mut found = BTreeSet::new();
        for (i, folder) in folders().iter().enumerate() {
            let mut mailbox = store.mailbox(folder, Mode::ReadWrite).unwrap();
            let uids: Vec<u32> = mailbox.messages().map(|m| m.uid).collect();
            for uid in uids {
                let id = id_of(&mut mailbox, uid).unwrap();
                found.insert(id);
                let first = *told.uids.entry((i, uid)).or_insert(id);
                assert_eq!(first, id, "round {round}: folder {i} UID {uid} names another message now");
            }
            drop(mailbox);
            let wrong = check_folder(&store, folder, Plan { repair: false, read: true }).unwrap();
            let serious: Vec<_> = wrong.iter().filter(|f| f.kind.word() != "bad-uidlist").collect();
            assert!(serious.is_empty(), "round {round}: {serious:?}");
        }
        let lost: Vec<&u64> = told.alive.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    }
    assert!(told.uids.len() > 100, "{}", told.uids.len());
    std::fs::remove_dir_all(home).unwrap();
}
