//! maildirctl as people run it: every command, its text, its JSON, its exit code; resume after kill -9.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use penny_testkit::{Output, Run, TempDir, Terminal, program};

struct World {
    dir: TempDir,
}

impl World {
    fn new() -> World {
        World { dir: TempDir::new() }
    }

    fn maildir(&self) -> PathBuf {
        self.dir.join("Maildir")
    }

    fn run(&self, args: &[&str]) -> Output {
        Run::new(program!("maildirctl")).args(args).dir(self.dir.path()).run()
    }

    fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        out.expect_code(0);
        out.out()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.join(path)).unwrap()
    }

    fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join(path)).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// An mbox of `n` messages with different sizes.
fn mbox(n: usize) -> String {
    let one = |i: usize| {
        format!(
            "From a@b Sun Sep  9 01:46:{:02} 2001\nReturn-Path: <a@b>\nSubject: number {i}\nStatus: {}\n{}\nbody {i} {}\n>From the past\n\n",
            i % 60,
            if i.is_multiple_of(2) { "RO" } else { "O" },
            if i.is_multiple_of(3) { "X-Status: F\nX-Keywords: $Work\n" } else { "" },
            "x".repeat(i % 700),
        )
    };
    (0..n).map(one).collect()
}

#[test]
fn make_and_list() {
    let w = World::new();
    let out = w.ok(&["make", "Maildir", "Archive/2024", "Entwürfe"]);
    assert_eq!(out, "made Archive/2024\nmade Entwürfe\n");
    assert_eq!(w.ok(&["make", "Maildir", "Entwürfe"]), "exists Entwürfe\n");
    assert!(w.maildir().join(".Entw&APw-rfe/maildirfolder").exists());
    assert_eq!(std::fs::metadata(w.maildir()).unwrap().mode() & 0o777, 0o700);
    w.write("Maildir/new/1000000000.M1P1.h,S=2,W=3", "x\n");
    let list = w.ok(&["list", "Maildir"]);
    assert!(list.contains("       1        1            3 INBOX\n"), "{list}");
    assert!(list.contains("Archive (level only)\n"), "{list}");
    let json = w.ok(&["list", "-J", "Maildir"]);
    let inbox = json.lines().next().unwrap();
    assert!(inbox.starts_with(r#"{"folder":"INBOX","selectable":true,"messages":1,"unseen":1,"size":3,"#), "{inbox}");
    assert!(json.contains(r#"{"folder":"Archive","selectable":false}"#));
}

#[test]
fn mistakes_have_their_exit_codes() {
    let w = World::new();
    w.run(&[]).expect_code(64);
    w.run(&["make", "Maildir", "../evil"]).expect_code(65);
    w.run(&["list", "nowhere"]).expect_code(67);
    w.ok(&["make", "Maildir"]);
    w.run(&["import", "Maildir", "missing.mbox"]).expect_code(66);
    w.write("no.mbox", "this is no mbox\n");
    w.run(&["import", "Maildir", "no.mbox"]).expect_code(65).expect_err("no From_ line");
    w.run(&["quota", "Maildir", "--limit", "12Q"]).expect_code(64);
    w.run(&["give-back", "Maildir", "--to", "auto"]).expect_code(64);
    w.run(&["expire", "Maildir", "--older", "3"]).expect_code(64);
}

#[test]
fn mbox_in_and_out_is_the_same() {
    let w = World::new();
    w.ok(&["make", "Maildir"]);
    w.write("in.mbox", &mbox(120));
    assert_eq!(w.ok(&["import", "Maildir", "in.mbox", "-f", "Old/Mail"]), "imported 120, skipped 0\n");
    assert_eq!(w.ok(&["check", "--read", "Maildir"]), "");
    let json = w.ok(&["list", "-J", "Maildir"]);
    assert!(json.contains(r#""folder":"Old/Mail","selectable":true,"messages":120,"unseen":60,"#), "{json}");
    w.ok(&["export", "Maildir", "out.mbox", "-f", "Old/Mail"]);
    let fields = |text: &str| text.replace("Status: RO\n", "").replace("Status: O\n", "").replace("X-Status: F\n", "");
    let strip = |text: &str| fields(text).replace("X-Keywords: $Work\n", "");
    assert_eq!(strip(&w.read("out.mbox")), strip(&w.read("in.mbox")));
    assert_eq!(w.read("out.mbox").matches("X-Keywords: $Work").count(), 40);
    assert_eq!(w.read("out.mbox").matches("X-Status: F").count(), 40);
    // An existing file is not overwritten.
    assert_ne!(w.run(&["export", "Maildir", "out.mbox", "-f", "Old/Mail"]).code, Some(0));
    // Standard input and output make a pipe.
    let piped =
        Run::new(program!("maildirctl")).args(["import", "Maildir", "-"]).dir(w.dir.path()).stdin(mbox(3)).run();
    piped.expect_code(0).expect_out("imported 3, skipped 0\n");
    assert_eq!(w.ok(&["-n", "import", "Maildir", "in.mbox"]), "imported 120, skipped 0\n");
    assert!(w.ok(&["list", "-J", "Maildir"]).contains(r#""folder":"INBOX","selectable":true,"messages":3,"#));
}

#[test]
fn mh_and_maildir_in_and_out() {
    let w = World::new();
    w.ok(&["make", "Maildir"]);
    for i in [1, 2, 10] {
        w.write(&format!("mh/{i}"), &format!("Subject: {i}\r\n\r\nline\r\n"));
    }
    w.write("mh/.mh_sequences", "unseen: 2\nflagged: 10\nwork: 1 10\ncur: 2\n");
    w.write("mh/notes", "no message");
    w.ok(&["import", "Maildir", "mh"]);
    let names = w.names("Maildir/cur");
    assert!(
        names[0].ends_with(",S=17,W=20:2,Sa") && names[1].ends_with(":2,") && names[2].ends_with(":2,FSa"),
        "{names:?}"
    );
    assert_eq!(w.read("Maildir/dovecot-keywords"), "0 work\n");
    w.ok(&["make", "Maildir", "Sub/Ünter"]);
    w.ok(&["import", "Maildir", "mh", "-f", "Sub/Ünter"]);
    w.ok(&["export", "Maildir", "copy", "--format", "maildir"]);
    w.ok(&["import", "Maildir", "copy", "-f", "Again"]);
    let json = w.ok(&["list", "-J", "Maildir"]);
    for folder in ["Again", "Again/Sub/Ünter", "INBOX", "Sub/Ünter"] {
        assert!(json.contains(&format!(r#""folder":"{folder}","selectable":true,"messages":3,"unseen":1,"#)), "{json}");
    }
    let dates = |dir: &str| -> Vec<i64> {
        w.names(dir).iter().map(|n| std::fs::metadata(w.dir.join(dir).join(n)).unwrap().mtime()).collect()
    };
    assert_eq!(dates("Maildir/cur"), dates("copy/cur"));
    w.ok(&["export", "Maildir", "mh-out", "--format", "mh", "-f", "INBOX"]);
    assert_eq!(w.names("mh-out"), [".mh_sequences", "1", "2", "3"]);
    assert_eq!(w.read("mh-out/.mh_sequences"), "flagged: 3\nunseen: 2\nwork: 1 3\n");
    w.run(&["export", "Maildir", "Maildir", "--format", "maildir"]).expect_code(64);
}

#[test]
fn check_finds_and_repairs() {
    let w = World::new();
    w.ok(&["make", "Maildir", "Sub"]);
    w.write("in.mbox", &mbox(5));
    w.ok(&["import", "Maildir", "in.mbox"]);
    assert_eq!(w.ok(&["check", "--read", "Maildir"]), "");
    let first = w.names("Maildir/cur")[0].clone();
    std::fs::hard_link(
        w.maildir().join("cur").join(&first),
        w.maildir().join("new").join(first.split(':').next().unwrap()),
    )
    .unwrap();
    std::fs::remove_file(w.maildir().join(".Sub/maildirfolder")).unwrap();
    std::fs::remove_dir(w.maildir().join(".Sub/new")).unwrap();
    std::fs::write(w.maildir().join("dovecot-uidlist"), w.read("Maildir/dovecot-uidlist") + "3 :x\n").unwrap();
    w.write("Maildir/maildirsize", "1000000S\n1 1\n");
    let out = w.run(&["check", "Maildir"]);
    out.expect_code(1);
    for word in ["duplicate-name", "missing-maildirfolder", "missing-directory", "bad-uidlist", "wrong-quota"] {
        assert!(out.out().contains(&format!("found {word} ")), "{word}: {}", out.out());
    }
    assert!(w.run(&["check", "-J", "Maildir"]).out().contains(r#"{"kind":"duplicate-name","path":""#));
    w.run(&["check", "-n", "--repair", "Maildir"]).expect_code(1);
    w.ok(&["check", "--repair", "Maildir"]);
    assert_eq!(w.ok(&["check", "--read", "Maildir"]), "");
    assert!(w.ok(&["list", "-J", "Maildir"]).contains(r#""folder":"INBOX","selectable":true,"messages":5"#));
}

#[test]
fn quota_expire_purge() {
    let w = World::new();
    w.ok(&["make", "Maildir"]);
    for (i, flags) in ["S", "", "FS"].iter().enumerate() {
        w.write(&format!("Maildir/cur/100000000{i}.M1P1.h,S=2,W=3:2,{flags}"), "x\n");
    }
    w.write("Maildir/cur/4000000000.M1P1.h,S=2,W=3:2,S", "x\n");
    let out = w.ok(&["quota", "Maildir", "--limit", "1000S,10C"]);
    assert_eq!(out, "storage 8 of 1000 octets, messages 4 of 10\n");
    assert_eq!(w.read("Maildir/maildirsize"), "1000S,10C\n8 4\n");
    assert_eq!(w.ok(&["-n", "expire", "Maildir", "-f", "INBOX", "--older", "30"]), "would expire 2 of INBOX\n");
    assert_eq!(w.ok(&["expire", "Maildir", "-f", "INBOX", "--older", "30", "--seen"]), "expired 1 of INBOX\n");
    assert_eq!(w.ok(&["expire", "Maildir", "-f", "INBOX", "--older", "30", "--flagged"]), "expired 2 of INBOX\n");
    assert_eq!(
        w.ok(&["quota", "-J", "Maildir"]),
        "{\"storage\":2,\"storage_limit\":1000,\"messages\":1,\"messages_limit\":10}\n"
    );
    std::fs::create_dir(w.maildir().join("..PENNYPOST-TRASH.1")).unwrap();
    w.write("Maildir/tmp/young", "x");
    w.ok(&["purge", "Maildir"]);
    assert!(!w.maildir().join("..PENNYPOST-TRASH.1").exists() && w.maildir().join("tmp/young").exists());
}

#[test]
fn courier_there_and_back() {
    let w = World::new();
    w.ok(&["make", "Maildir", "Sent"]);
    w.write("Maildir/cur/1.a.h:2,S", "x\n");
    w.write("Maildir/cur/2.b.h:2,", "y\n");
    w.write("Maildir/courierimapuiddb", "1 795410474 9\n3 1.a.h\n8 2.b.h\n");
    w.write("Maildir/courierimapsubscribed", "INBOX.Sent\nINBOX\n");
    w.write("Maildir/courierimapkeywords/:list", "Work\n\n2.b.h:0\n");
    let dry = w.ok(&["-n", "take-over", "Maildir"]);
    assert!(dry.contains("INBOX: UIDs kept\n") && dry.contains("Sent: UIDs new\n"), "{dry}");
    let out = w.ok(&["take-over", "Maildir"]);
    assert!(
        out.contains("2 subscriptions taken\nINBOX: 2 messages, UIDVALIDITY 795410474, UIDNEXT 9, UIDs from Courier\n"),
        "{out}"
    );
    assert!(w.names("Maildir/cur").contains(&"2.b.h:2,a".to_string()));
    assert_eq!(w.read("Maildir/subscriptions"), "V\t2\n\nSent\nINBOX\n");
    w.write("Maildir/new/3.c.h", "z\n");
    w.ok(&["give-back", "Maildir", "--to", "courier"]);
    assert_eq!(w.read("Maildir/courierimapuiddb"), "1 795410474 10\n3 1.a.h\n8 2.b.h\n9 3.c.h\n");
    assert!(!w.maildir().join("pennypost.index").exists());
    // Courier 5 names folders in UTF-8.
    std::fs::rename(w.maildir().join(".Sent"), w.maildir().join(".Entwürfe")).unwrap();
    w.run(&["take-over", "Maildir"]).expect_code(64).expect_err("--utf8");
    assert!(w.ok(&["--utf8", "take-over", "Maildir"]).contains("Entwürfe: 0 messages"));
}

#[test]
fn restore_marks() {
    let w = World::new();
    w.ok(&["make", "Maildir"]);
    w.write("Maildir/new/1.a.h", "x\n");
    w.ok(&["list", "Maildir"]);
    let out = w.ok(&["restore-mark", "Maildir", "--gap", "500"]);
    assert!(out.ends_with("UIDNEXT 2 -> 502\n"), "{out}");
    let before = w.read("Maildir/dovecot-uidlist");
    w.ok(&["restore-mark", "Maildir"]);
    let value = |text: &str| text.split(" V").nth(1).unwrap().split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(value(&w.read("Maildir/dovecot-uidlist")) > value(&before));
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    let w = World::new();
    w.ok(&["make", "Maildir"]);
    let total = 3000;
    w.write("in.mbox", &mbox(total));
    let args = ["import", "Maildir", "in.mbox", "--resume", "state"];
    let mut kills = 0;
    for round in 0..6u64 {
        let mut child = Command::new(program!("maildirctl"))
            .args(args)
            .current_dir(w.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100 + round * 61 % 150));
        let finished = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        kills += usize::from(!finished);
        let out = w.run(&["check", "--read", "Maildir"]);
        out.expect_code(0);
    }
    w.ok(&args);
    let subjects = |dir: &Path| -> Vec<String> {
        let read = |e: std::fs::DirEntry| std::fs::read_to_string(e.path()).unwrap();
        let subject = |t: String| t.lines().find(|l| l.starts_with("Subject: ")).unwrap().to_string();
        std::fs::read_dir(dir).unwrap().flatten().map(read).map(subject).collect()
    };
    let mut all = subjects(&w.maildir().join("cur"));
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), total, "every message once at least");
    assert!(count <= total + kills * 50, "at most one batch a kill comes twice: {count} after {kills} kills");
    assert!(w.ok(&args).contains(&format!("imported 0, skipped {total}")));
}

#[test]
fn root_works_as_the_owner() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let w = World::new();
    let home = w.dir.join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    std::fs::set_permissions(w.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    w.ok(&["make", "home/Maildir", "Sub"]);
    w.write("in.mbox", &mbox(2));
    let piped =
        Run::new(program!("maildirctl")).args(["import", "home/Maildir", "-"]).dir(w.dir.path()).stdin(mbox(2)).run();
    piped.expect_code(0);
    for path in ["home/Maildir", "home/Maildir/.Sub/maildirfolder", "home/Maildir/dovecot-uidlist"] {
        assert_eq!(std::fs::metadata(w.dir.join(path)).unwrap().uid(), 65534, "{path}");
    }
}

#[test]
fn the_manuals_examples_work() {
    let w = World::new();
    w.ok(&["make", "home/Maildir", "Sent", "Junk"]);
    w.ok(&["make", "backup/Maildir"]);
    w.write("joe", &mbox(4));
    w.write("home/Maildir/.Sent/cur/5.M1P1.h:2,S", "Subject: out\n\nx\n");
    w.write("home/Maildir/.Junk/cur/5.M1P1.h:2,", "Subject: junk\n\nx\n");
    let tool = program!("maildirctl").parent().unwrap().display().to_string();
    let shell = |line: &str| {
        let path = format!("{tool}:{}", std::env::var("PATH").unwrap());
        let home = w.dir.join("home").display().to_string();
        let out = Run::new("/bin/sh").args(["-c", line]).env("PATH", path).env("HOME", home).dir(w.dir.path());
        let out = out.limit(std::time::Duration::from_secs(180)).run();
        out.expect_code(0);
        out.out()
    };
    let joe = w.dir.join("joe").display().to_string();
    let backup = w.dir.join("backup").display().to_string();
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/maildirctl.1")).unwrap();
    let examples: Vec<&str> = manual.lines().filter_map(|l| l.strip_prefix(".Dl ")).collect();
    assert_eq!(examples.len(), 4);
    let run = |i: usize| shell(&examples[i].replace("/var/mail/joe", &joe).replace("/backup", &backup));
    assert_eq!(run(0), "imported 4, skipped 0\n");
    assert_eq!(run(0), "imported 0, skipped 4\n");
    assert_eq!(run(1), "expired 1 of Junk\n");
    assert!(run(2).contains("imported 1, skipped 0\n"));
    assert_eq!(w.names("backup/Maildir/.Sent/cur").len(), 1);

    // the old server of the last one is our own imapd, reached by a tunnel instead of TLS
    w.write("p.toml", "[ids]\nlandlock = \"optional\"\n");
    w.write("home/password", "none\n");
    w.ok(&["make", "old/Maildir"]);
    w.write("old/Maildir/cur/5.M1P1.h:2,S", "Subject: old\n\nx\n");
    let (old, config) = (w.dir.join("old"), w.dir.join("p.toml"));
    let variables = format!("USER=joe HOME={} PENNYPOST_SHELL_OK=1", old.display());
    let imapd = format!("{variables} {} -c {} --session", program!("imapd").display(), config.display());
    let line = examples[3].replace("imaps://joe@old.example/", &format!("imaps://joe@old.example/ --tunnel '{imapd}'"));
    assert_eq!(shell(&line), "imported 1, skipped 0\n");
    assert_eq!(shell(&line), "imported 0, skipped 1\n");
}

/// Every verb says what it did as one JSON object a line, and nothing else on standard output.
#[test]
fn every_verb_speaks_json() {
    let w = World::new();
    w.write("in.mbox", &mbox(3));
    w.ok(&["make", "Maildir", "Sent"]);
    // for check to find
    std::fs::remove_file(w.maildir().join(".Sent/maildirfolder")).unwrap();
    if !penny_testkit::have("every_verb_speaks_json", "python3") {
        return;
    }
    for args in [
        &["make", "Maildir", "Junk"][..],
        &["import", "Maildir", "in.mbox", "--resume", "notes"],
        &["list", "Maildir"],
        &["check", "Maildir", "--read"],
        &["check", "--repair", "Maildir"],
        &["quota", "Maildir", "--limit", "1000000S"],
        &["quota", "Maildir", "--recount"],
        &["quota", "Maildir"],
        &["expire", "Maildir", "-f", "INBOX", "--older", "0", "--flagged"],
        &["purge", "Maildir"],
        &["export", "Maildir", "out"],
        &["restore-mark", "Maildir"],
        &["restore-mark", "Maildir", "--gap", "5"],
        &["give-back", "Maildir", "--to", "courier"],
        &["take-over", "Maildir"],
        &["-n", "take-over", "Maildir"],
    ] {
        let out = w.run(&[&["-J"], args].concat());
        let found = i32::from(args.contains(&"--read"));
        assert_eq!(out.code, Some(found), "{args:?}: {}", out.describe());
        let text = out.out();
        assert!(!text.is_empty(), "{args:?} says nothing");
        let objects = "import sys, json\nfor l in sys.stdin: assert type(json.loads(l)) is dict";
        let read = Run::new("python3").args(["-c", objects]).stdin(&text).run();
        assert_eq!(read.code, Some(0), "{args:?}: {text}");
    }
}

/// On a terminal a long import draws a bar; with -q or -J, or in a pipe, it does not.
#[test]
fn progress_is_drawn_on_a_terminal_only() {
    let w = World::new();
    w.ok(&["make", "Maildir"]);
    w.write("in.mbox", &mbox(700));
    let on_terminal = |line: &str| {
        let mut command = Command::new(program!("maildirctl"));
        let (code, shown) = Terminal::start(command.args(line.split(' ')).current_dir(w.dir.path())).finish();
        assert_eq!(code, Some(0), "{shown}");
        shown
    };
    // so many files, each synced, take longer than the fifth of a second after which the first bar is drawn
    let shown = on_terminal("import Maildir in.mbox");
    assert!(shown.contains("\rimported ") && shown.contains("#.") && shown.contains(" %"), "{shown:?}");
    assert!(shown.ends_with("imported 700, skipped 0\r\n"), "{shown:?}");
    w.write("in.mbox", &mbox(2));
    assert!(on_terminal("import Maildir in.mbox").contains("\rimported 2 "));
    for silent in ["-q", "-J"] {
        assert!(!on_terminal(&format!("{silent} import Maildir in.mbox")).contains("\rimported "));
    }
}
