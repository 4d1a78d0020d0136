//! kill -9 of an imapd session at each system call that changes something, in the middle of APPEND, COPY, MOVE, STORE,
//! EXPUNGE and of writing the index: nothing is lost, what was answered with OK holds, and no UID is used twice.
//!
//! The session runs under strace, which kills it at its n-th such call; n goes up until the session survives. Then a
//! fresh session looks, and `maildirctl check --read` finds nothing that the next session does not mend.

#[path = "support/imap.rs"]
mod imap;

use imap::Home;
use penny_testkit::{Run, program};
use std::collections::{BTreeMap, BTreeSet};

const CALLS: [&str; 13] = [
    "write",
    "writev",
    "pwrite64",
    "fsync",
    "fdatasync",
    "linkat",
    "link",
    "rename",
    "renameat2",
    "unlink",
    "unlinkat",
    "ftruncate",
    "fchmod",
];

/// More calls of one name than this no command here makes.
const CALLS_MAX: usize = 60;

/// What a folder holds: UID -> subject, and its UIDVALIDITY.
type Folder = (u64, BTreeMap<u32, String>);

/// What the mailboxes hold, and every name that was ever seen.
struct World {
    h: Home,
    names: BTreeMap<(&'static str, u64, u32), String>,
}

const FOLDERS: [&str; 2] = ["INBOX", "Other"];

fn number(text: &str, word: &str) -> u64 {
    let rest = text.split(word).nth(1).unwrap_or_else(|| panic!("{word}: {text}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

impl World {
    fn new() -> World {
        let h = Home::with_mail();
        h.script("a CREATE Other\r\nb SELECT INBOX\r\nc COPY 1 Other\r\nd LOGOUT\r\n");
        World { h, names: BTreeMap::new() }
    }

    /// A fresh session's view; a UID must name what it always named.
    fn look(&mut self) -> BTreeMap<&'static str, Folder> {
        let mut all = BTreeMap::new();
        for name in FOLDERS {
            let out = self.h.script(&format!(
                "a SELECT {name}\r\nb UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\nc LOGOUT\r\n"
            ));
            let validity = number(&out, "[UIDVALIDITY ");
            let lines: Vec<&str> = out.lines().collect();
            let fetched = lines.windows(2).filter(|p| p[0].contains(" FETCH (UID "));
            let messages = fetched.map(|p| (number(p[0], "(UID ") as u32, p[1].trim_end().to_owned()));
            let messages: BTreeMap<u32, String> = messages.collect();
            let exists =
                out.lines().find_map(|l| l.trim_end().strip_suffix(" EXISTS")?.strip_prefix("* ")?.parse().ok());
            assert_eq!(exists, Some(messages.len()), "{out}");
            for (uid, subject) in &messages {
                let first = self.names.entry((name, validity, *uid)).or_insert_with(|| subject.clone());
                assert_eq!(first, subject, "{name} UID {uid} names another message now");
            }
            all.insert(name, (validity, messages));
        }
        all
    }

    /// Runs a script until the kill; what came out, and whether it was killed.
    fn killed(&self, script: &str, call: &str, n: usize) -> (String, bool) {
        let log = self.h.dir.join("strace");
        let run =
            Run::new("strace").arg("-o").arg(&log).args(["-e", &format!("inject={call}:signal=KILL:when={n}"), "--"]);
        let run = run.arg(program!("imapd")).arg("-c").arg(self.h.dir.join("p.toml")).arg("--session");
        let run = run.env("USER", "joe").env("HOME", self.h.dir.join("home")).env("PENNYPOST_SHELL_OK", "1");
        let out = run.stdin(script).run().out();
        let trace = std::fs::read_to_string(&log).unwrap();
        (out, trace.lines().last().is_some_and(|l| l.contains("killed by SIGKILL")))
    }
}

fn subjects(all: &BTreeMap<&'static str, Folder>) -> BTreeSet<String> {
    all.values().flat_map(|(_, messages)| messages.values().cloned()).collect()
}

fn holds(all: &BTreeMap<&'static str, Folder>, folder: &str, subject: &str) -> usize {
    all[folder].1.values().filter(|s| *s == subject).count()
}

/// Kills the script at each call. `lines` get a subject of their own each time; `check` is told what was before, what is
/// now, the subject, and whether the command with tag `x` was answered OK.
fn at_each_call(lines: impl Fn(&str) -> String, check: impl Fn(&Views, &str, bool)) {
    if !penny_testkit::have("imapd_kill", "strace") {
        return;
    }
    let mut w = World::new();
    let mut kills = 0;
    for call in CALLS {
        for n in 1..CALLS_MAX {
            let subject = format!("Subject: {call}-{n}");
            // a message of its own to work on, in a session that lives; what the last kill left marked stays
            let text = format!("{subject}\r\n\r\nx\r\n");
            let unmark = "b SELECT INBOX\r\nc STORE 1:* -FLAGS.SILENT (\\Deleted)\r\nd LOGOUT\r\n";
            w.h.script(&format!("a APPEND INBOX {{{}+}}\r\n{text}\r\n{unmark}", text.len()));
            let before = w.look();
            let (out, killed) = w.killed(&lines(&subject), call, n);
            let ok = out.lines().any(|l| l.starts_with("x OK"));
            let now = w.look();
            check(&Views { before, now }, &subject, ok);
            let checked = Run::new(program!("maildirctl")).args(["check", "--read"]).arg(w.h.maildir()).run();
            assert_eq!(checked.code, Some(0), "{call} {n}: {}", checked.describe());
            if !killed {
                assert!(ok, "{call} {n}: {out}");
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 3, "killed {kills} times only");
}

struct Views {
    before: BTreeMap<&'static str, Folder>,
    now: BTreeMap<&'static str, Folder>,
}

impl Views {
    /// Nothing that was there before is missing, but the one message where it may.
    fn nothing_lost(&self, but: Option<&str>) {
        let (before, now) = (subjects(&self.before), subjects(&self.now));
        let lost: Vec<_> = before.difference(&now).filter(|s| Some(s.as_str()) != but).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        for folder in FOLDERS {
            assert_eq!(self.before[folder].0, self.now[folder].0, "{folder} has a new UIDVALIDITY");
        }
    }
}

/// The last message is selected by its number: what `*` is.
fn on_last(command: &str) -> String {
    format!("a SELECT INBOX\r\nx {command}\r\nz LOGOUT\r\n")
}

#[test]
fn append() {
    let script = |subject: &str| {
        let text = format!("{subject}-new\r\n\r\nx\r\n");
        format!("x APPEND INBOX {{{}+}}\r\n{text}\r\nz LOGOUT\r\n", text.len())
    };
    at_each_call(script, |v, subject, ok| {
        v.nothing_lost(None);
        let copies = holds(&v.now, "INBOX", &format!("{subject}-new"));
        assert!(copies <= 1 && (!ok || copies == 1), "{subject}: {copies} copies, OK {ok}");
    });
}

#[test]
fn copy() {
    at_each_call(
        |_| on_last("COPY * Other"),
        |v, subject, ok| {
            v.nothing_lost(None);
            assert_eq!(holds(&v.now, "INBOX", subject), 1);
            let copies = holds(&v.now, "Other", subject);
            assert!(copies <= 1 && (!ok || copies == 1), "{subject}: {copies} copies, OK {ok}");
        },
    );
}

#[test]
fn moving() {
    at_each_call(
        |_| on_last("MOVE * Other"),
        |v, subject, ok| {
            v.nothing_lost(None);
            let (here, there) = (holds(&v.now, "INBOX", subject), holds(&v.now, "Other", subject));
            assert!(here + there >= 1 && here <= 1 && there <= 1, "{subject}: {here} here, {there} there");
            assert!(!ok || (here, there) == (0, 1), "{subject}: OK, {here} here, {there} there");
        },
    );
}

#[test]
fn expunge() {
    at_each_call(
        |_| "a SELECT INBOX\r\nb STORE * +FLAGS (\\Deleted)\r\nx EXPUNGE\r\nz LOGOUT\r\n".to_owned(),
        |v, subject, ok| {
            v.nothing_lost(Some(subject));
            assert!(!ok || holds(&v.now, "INBOX", subject) == 0, "{subject} is still there");
        },
    );
}

#[test]
fn store() {
    at_each_call(|_| on_last("STORE 1:* +FLAGS (\\Flagged word)"), |v, _, _| v.nothing_lost(None));
}

#[test]
fn writing_the_index() {
    let mut w = World::new();
    if !penny_testkit::have("imapd_kill", "strace") {
        return;
    }
    let before = w.look();
    for call in ["write", "writev", "pwrite64", "rename", "renameat2", "ftruncate"] {
        for n in 1..CALLS_MAX {
            let index = |f: &std::fs::DirEntry| f.file_name().to_string_lossy().starts_with("pennypost.index");
            let gone = std::fs::read_dir(w.h.maildir()).unwrap().flatten().filter(index);
            gone.for_each(|f| std::fs::remove_file(f.path()).unwrap());
            let (_, killed) = w.killed("a SELECT INBOX\r\nb STORE 1 FLAGS (\\Seen)\r\nz LOGOUT\r\n", call, n);
            assert_eq!(before, w.look(), "{call} {n}");
            if !killed {
                break;
            }
        }
    }
}
