//! One message for several mailboxes of one uid: one job, one file where no field differs, each mailbox with a fate of its own.

#[path = "support/queue.rs"]
mod support;

use penny_testkit::{Run, TempDir, have, program, tmp};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use support::{Post, UID, own_tree, until};

const MESSAGE: &str = "From: a@example.org\nSubject: hello\n\nbody\n";
const USERS: [&str; 3] = ["joe", "ann", "bob"];

/// Homes of one uid, and a job for all of them.
struct Homes {
    dir: TempDir,
    quota: [u64; 3],
}

impl Homes {
    fn new(keys: &str) -> Homes {
        let dir = TempDir::new();
        let run = dir.join("run").display().to_string();
        let text = format!("[paths]\nrun = \"{run}\"\n[ids]\nlandlock = \"optional\"\n[deliver]\n{keys}\n");
        dir.write("p.toml", text);
        let homes = Homes { dir, quota: [0; 3] };
        USERS.iter().for_each(|u| std::fs::create_dir_all(homes.home(u)).unwrap());
        homes
    }

    fn home(&self, user: &str) -> PathBuf {
        self.dir.join("home").join(user)
    }

    fn maildir(&self, user: &str) -> PathBuf {
        self.home(user).join("Maildir")
    }

    fn files(&self, user: &str) -> Vec<PathBuf> {
        tmp::list(self.maildir(user).join("new"))
    }

    /// The job as qrun starts it, `before` in front of the program.
    fn job(&self, before: &str, recipients: &[String]) -> Run {
        let mailbox = |(user, quota): (&&str, &u64)| {
            let (home, maildir) = (self.home(user), self.maildir(user));
            format!("mailbox\t{user}@x.test\t1\t1\t{}\t{}\t0\t{quota}\t0\n", home.display(), maildir.display())
        };
        let mailboxes: String = USERS.iter().zip(&self.quota).map(mailbox).collect();
        let recipients: String = recipients.iter().map(|r| format!("recipient: <{r}>\n")).collect();
        let head = "pennypost-queue: 1\narrival: 1000000000.000000\nsender: <s@example.org>\n";
        self.dir.write("papers", format!("{mailboxes}{head}{recipients}size: 1\nwire-size: 1\n\n"));
        self.dir.write("message", MESSAGE);
        let d = self.dir.path().display();
        let deliver = program!("deliver");
        let command =
            format!("exec 3<'{d}/papers'; exec {before} '{}' -c '{d}/p.toml' --job <'{d}/message'", deliver.display());
        let root = penny_sys::ids::is_root();
        if root {
            own_tree(self.dir.path());
        }
        let run = Run::new("/bin/sh").args(["-c", &command]);
        if root { run.uid(UID, UID) } else { run }
    }

    fn deliver(&self) -> Vec<String> {
        self.deliver_to(&USERS.map(|u| format!("{u}@x.test")))
    }

    fn deliver_to(&self, recipients: &[String]) -> Vec<String> {
        let out = self.job("", recipients).run();
        out.expect_code(0);
        out.out().lines().map(str::to_owned).collect()
    }
}

fn inode(path: &Path) -> (u64, u64) {
    let meta = std::fs::metadata(path).unwrap();
    (meta.ino(), meta.nlink())
}

#[test]
fn without_a_field_of_its_own_each_mailbox_gets_a_name_of_one_file() {
    let h = Homes::new("delivered_to = false");
    assert_eq!(h.deliver(), ["2.0.0 delivered to INBOX"; 3]);
    let files: Vec<PathBuf> = USERS.iter().flat_map(|u| h.files(u)).collect();
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|f| inode(f) == inode(&files[0]) && inode(f).1 == 3), "{files:?}");
    assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), format!("Return-Path: <s@example.org>\n{MESSAGE}"));
    let names: std::collections::BTreeSet<_> = files.iter().map(|f| f.file_name().unwrap()).collect();
    assert_eq!(names.len(), 3, "a name is never used twice");
    assert!(USERS.iter().all(|u| tmp::list(h.maildir(u).join("tmp")).is_empty()));
}

#[test]
fn with_delivered_to_each_mailbox_gets_a_file() {
    let h = Homes::new("");
    assert_eq!(h.deliver(), ["2.0.0 delivered to INBOX"; 3]);
    for user in USERS {
        let [file] = h.files(user).try_into().expect("one file");
        assert_eq!(inode(&file).1, 1);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("Return-Path: <s@example.org>\nDelivered-To: {user}@x.test\n{MESSAGE}"));
    }
}

#[test]
fn each_mailbox_fails_alone() {
    for keys in ["delivered_to = true", "delivered_to = false"] {
        let mut h = Homes::new(keys);
        h.quota[0] = 1;
        h.dir.maildir("home/joe/Maildir");
        h.dir.write("home/joe/Maildir/cur/1.a.b,S=1024:2,S", "x".repeat(1024));
        // a Maildir that is a file cannot be used now
        h.dir.write("home/ann/Maildir", "");
        let lines = h.deliver();
        assert_eq!(lines[0], "4.2.2 mailbox is over quota");
        assert!(lines[1].starts_with("4."), "{lines:?}");
        assert_eq!(lines[2], "2.0.0 delivered to INBOX");
        assert_eq!((h.files("joe").len(), h.files("bob").len()), (0, 1));
    }
}

#[test]
fn who_has_rules_is_left_to_a_job_of_its_own() {
    let h = Homes::new("");
    h.dir.write("home/joe/.forward", "|cat\n");
    h.dir.write("home/ann/.qmail-default", "./x/\n");
    std::os::unix::fs::symlink("sieve/a.sieve", h.home("bob").join(".dovecot.sieve")).unwrap();
    assert_eq!(h.deliver(), ["alone", "2.0.0 delivered to INBOX", "alone"]);
    // .qmail-default counts for an address with an extension only
    assert_eq!(h.deliver_to(&USERS.map(|u| format!("{u}+x@x.test"))), ["alone"; 3]);
    let h = Homes::new(&format!("sieve_before = \"{}\"", h.dir.path().display()));
    assert_eq!(h.deliver(), ["alone"; 3]);
}

#[test]
fn extensions_choose_each_mailboxs_own_folder() {
    let h = Homes::new("delivered_to = false");
    h.dir.maildir("home/ann/Maildir");
    h.dir.maildir("home/ann/Maildir/.lists");
    let lines = h.deliver_to(&USERS.map(|u| format!("{u}+lists@x.test")));
    assert_eq!(lines, ["2.0.0 delivered to INBOX", "2.0.0 delivered to lists", "2.0.0 delivered to INBOX"]);
    assert_eq!(tmp::list(h.maildir("ann").join(".lists/new")).len(), 1);
}

/// Names first, then the directories: the file system commits the names together.
#[test]
fn all_names_are_made_before_the_first_directory_is_synced() {
    if !have("all_names_are_made_before_the_first_directory_is_synced", "strace") {
        return;
    }
    for keys in ["delivered_to = true", "delivered_to = false"] {
        let h = Homes::new(keys);
        USERS.iter().for_each(|u| drop(h.dir.maildir(Path::new("home").join(u).join("Maildir"))));
        let log = h.dir.join("trace").display().to_string();
        let strace =
            format!("strace -f -y -o '{log}' -e trace=fsync,fdatasync,link,linkat,rename,renameat,renameat2,write");
        h.job(&strace, &USERS.map(|u| format!("{u}@x.test"))).run().expect_code(0);
        let text = std::fs::read_to_string(log).unwrap();
        let calls: Vec<&str> = text.lines().collect();
        let at = |what: &dyn Fn(&str) -> bool| -> Vec<usize> {
            calls.iter().enumerate().filter(|(_, l)| what(l)).map(|(n, _)| n).collect()
        };
        let names = at(&|l| (l.contains("link") || l.contains("rename")) && l.contains("/new/"));
        let dirs = at(&|l| l.contains("fsync(") && l.contains("/new>"));
        let files = at(&|l| l.contains("fsync(") && l.contains("Maildir/tmp/"));
        let said = at(&|l| l.contains("2.0.0 delivered"));
        assert_eq!((names.len(), dirs.len(), said.len()), (3, 3, 3), "{text}");
        assert_eq!(files.len(), if keys.ends_with("true") { 3 } else { 1 }, "{text}");
        assert!(files.first() < names.first() && names.last() < dirs.first(), "{text}");
        assert!(dirs.iter().zip(&said).all(|(dir, said)| dir < said), "{text}");
    }
}

/// From the queue: one job for those without rules, jobs of their own for the others, every outcome in the journal's place.
#[test]
fn the_queue_delivers_to_all_in_their_ways() {
    let post = Post::new("", "[deliver]\ndelivered_to = false\n");
    let rules = post.dir.write("home/ann/.forward", "|cat > ann-got\n");
    std::fs::set_permissions(&rules, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(post.home("bob").join("Maildir"), "").unwrap();
    post.own();
    let post = post.up();
    let entry = post.send(
        "s@example.org",
        &["root@example.test", "joe@example.test", "ann@example.test", "bob@example.test"],
        "x",
    );
    assert_eq!(post.wait_mails("joe", 1).len(), 1);
    assert_eq!(post.wait_mails("root", 1).len(), 1);
    until("ann's program", || post.home("ann").join("ann-got").exists());
    let one = |user: &str| tmp::mails(post.home(user).join("Maildir"))[0].clone();
    assert_eq!(inode(&one("joe")), inode(&one("root")));
    // bob is tried again, the others are not
    until("bob's deferral", || post.control("list").concat().contains("\"state\":\"waiting\""));
    std::fs::remove_file(post.home("bob").join("Maildir")).unwrap();
    assert_eq!(post.control(&format!("retry\tid={entry}")).last().unwrap(), "OK\t1");
    post.wait_mails("bob", 1);
    post.wait_empty();
    assert_eq!((post.mails("joe").len(), post.mails("root").len()), (1, 1));
}
