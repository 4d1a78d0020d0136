//! Interoperation with a real Dovecot on the same Maildir, one after the other and at the same time.
//!
//! Dovecot's `imap` program is run on pipes with a configuration of its own; nothing listens, nothing of the host's
//! Dovecot is touched. As root the test runs itself again as nobody, since Dovecot opens no mail as root.
//! Skipped with a message where Dovecot is not installed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use penny_maildir::{FlagOp, FlagSet, Flags, FolderName, Limits, Mailbox, Mode, Place, Store, StoreOptions};

const IMAP: &str = "/usr/lib/dovecot/imap";
const AGAIN: &str = "PENNY_DOVECOT_TEST_AS_NOBODY";
const NOBODY: u32 = 65534;

/// True if the test has been dealt with: skipped, or run again as nobody.
fn settled(name: &str) -> bool {
    let note = |text: &str| drop(writeln!(std::io::stderr(), "{name}: {text}"));
    if !Path::new(IMAP).exists() {
        note("skipped, Dovecot is not installed");
        return true;
    }
    if std::env::var_os(AGAIN).is_some() || !is_root() {
        return false;
    }
    // The build directory may be closed to nobody: a copy of this very program in a place that is not.
    let copy = std::env::temp_dir().join(format!("penny-dovecot-test-{}-{name}", std::process::id()));
    // by cp: a file that this process holds open for writing, or a child it is about to start, cannot be run
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&copy).status();
    assert!(copied.unwrap().success());
    let status =
        Command::new(&copy).args(["--exact", name, "--nocapture"]).env(AGAIN, "1").uid(NOBODY).gid(NOBODY).status();
    std::fs::remove_file(&copy).unwrap();
    assert!(status.unwrap().success(), "{name} failed as nobody");
    true
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

struct World {
    home: PathBuf,
    store: Store,
    user: String,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

impl World {
    fn new(test: &str) -> World {
        let home = std::env::temp_dir().join(format!("penny-dv-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        let limits = Limits { storage: Some(1_000_000), messages: Some(5000) };
        let options = StoreOptions { limits: Some(limits), ..StoreOptions::default() };
        let store = Store::open_or_create(&home.join("Maildir"), options).unwrap();
        let user =
            String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_string();
        let group =
            String::from_utf8(Command::new("id").arg("-gn").output().unwrap().stdout).unwrap().trim().to_string();
        let dir = home.display();
        let text = format!(
            "base_dir = {dir}/run\nstate_dir = {dir}/run\nlog_path = {dir}/log\nssl = no\nprotocols = imap\n\
             mail_location = maildir:{dir}/Maildir\nmail_home = {dir}\nmail_uid = {user}\nmail_gid = {group}\n\
             first_valid_uid = 1\nfirst_valid_gid = 1\nstats_writer_socket_path =\nmail_plugins = quota\n\
             protocol imap {{\n mail_plugins = quota imap_quota\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = /\n}}\n\
             plugin {{\n quota = maildir:User quota\n quota_rule = *:bytes=1000000:messages=5000\n}}\n"
        );
        std::fs::write(home.join("dovecot.conf"), text).unwrap();
        World { home, store, user }
    }

    fn dovecot(&self) -> Dovecot {
        let mut child = Command::new(IMAP)
            .arg("-c")
            .arg(self.home.join("dovecot.conf"))
            .env("HOME", &self.home)
            .env("USER", &self.user)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take().unwrap();
        let mut out = Dovecot { child, input, output, tag: 0, log: self.home.join("log") };
        assert!(out.line().starts_with("* PREAUTH"));
        out
    }

    fn inbox(&self) -> Mailbox {
        self.store.mailbox(&FolderName::inbox(), Mode::ReadWrite).unwrap()
    }

    fn deliver(&self, text: &str) {
        let mut d = penny_maildir::Delivery::begin(self.store.root()).unwrap();
        d.write_all(text.as_bytes()).unwrap();
        let done = d.commit(Place::New).unwrap();
        self.store.quota().update(done.size as i64, 1).unwrap();
    }

    fn complaints(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = std::fs::File::open(self.home.join("log")) {
            file.read_to_string(&mut text).unwrap();
        }
        text.lines()
            .filter(|l| l.contains("Error") || l.contains("Panic") || l.contains("Warning"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

struct Dovecot {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    tag: u32,
    log: PathBuf,
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = self.input.write_all(b"x LOGOUT\r\n");
        let _ = self.child.wait();
    }
}

impl Dovecot {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "Dovecot closed: {}", std::fs::read_to_string(&self.log).unwrap_or_default());
        line.trim_end().to_string()
    }

    fn command(&mut self, text: &str) -> Vec<String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        write!(self.input, "{tag} {text}\r\n").unwrap();
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if let Some(result) = line.strip_prefix(&format!("{tag} ")) {
                assert!(result.starts_with("OK"), "{text}: {line}");
                lines.push(result.to_string());
                return lines;
            }
            lines.push(line);
        }
    }

    fn append(&mut self, flags: &str, text: &str) -> Vec<String> {
        self.command(&format!("APPEND INBOX ({flags}) {{{}+}}\r\n{text}", text.len()))
    }

    /// UID -> sorted flags, as Dovecot sees them (without \Recent).
    fn messages(&mut self) -> BTreeMap<u32, Vec<String>> {
        self.command("NOOP");
        let lines = self.command("UID FETCH 1:* (FLAGS)");
        let fetches = lines.iter().filter(|l| l.contains(" FETCH ("));
        let parse = |l: &String| {
            let uid = l.split("UID ").nth(1).unwrap().split([' ', ')']).next().unwrap().parse().unwrap();
            let list = l.split("FLAGS (").nth(1).unwrap().split(')').next().unwrap();
            let mut flags: Vec<String> =
                list.split(' ').filter(|f| !f.is_empty() && *f != "\\Recent").map(str::to_string).collect();
            flags.sort();
            (uid, flags)
        };
        fetches.map(parse).collect()
    }
}

fn value(lines: &[String], code: &str) -> u64 {
    let found = lines.iter().find_map(|l| l.split(&format!("{code} ")).nth(1));
    found.unwrap_or_else(|| panic!("{code} in {lines:?}")).split([' ', ']', ')']).next().unwrap().parse().unwrap()
}

/// The same view of our mailbox.
fn ours(m: &Mailbox) -> BTreeMap<u32, Vec<String>> {
    let names = [
        (Flags::DRAFT, "\\Draft"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::ANSWERED, "\\Answered"),
        (Flags::SEEN, "\\Seen"),
        (Flags::DELETED, "\\Deleted"),
    ];
    let flags = |msg: penny_maildir::Message| {
        let system = names.iter().filter(|(f, _)| msg.flags.contains(*f)).map(|(_, n)| n.to_string());
        let mut all: Vec<String> = system.chain(m.keyword_names(msg.keywords)).collect();
        all.sort();
        (msg.uid, all)
    };
    m.messages().map(flags).collect()
}

fn set(flags: Flags, keywords: &[&str]) -> FlagSet {
    FlagSet { flags, keywords: keywords.iter().map(|k| k.to_string()).collect() }
}

fn append(m: &mut Mailbox, text: &str, flags: FlagSet) -> u32 {
    let mut d = m.begin_append().unwrap();
    d.write_all(text.as_bytes()).unwrap();
    m.append(vec![(d.finish().unwrap(), flags)]).unwrap().uids[0]
}

fn settle() {
    std::thread::sleep(Duration::from_millis(1100));
}

#[test]
fn ten_switches_change_nothing() {
    if settled("ten_switches_change_nothing") {
        return;
    }
    let w = World::new("switch");
    let mut expected: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut validity = None;
    let mut guid = None;
    for round in 0..5 {
        {
            let mut d = w.dovecot();
            let select = d.command("SELECT INBOX (CONDSTORE)");
            let v = value(&select, "UIDVALIDITY");
            assert_eq!(*validity.get_or_insert(v), v);
            assert_eq!(d.messages(), expected, "Dovecot, round {round}");
            d.append("\\Seen Work", "From: dovecot\r\n\r\nhello\r\n");
            d.append("", "From: dovecot\r\n\r\nhello again\r\n");
            if round == 0 {
                d.command("CREATE \"Entw&APw-rfe/2024\"");
                d.command("SUBSCRIBE \"Entw&APw-rfe/2024\"");
            }
            d.command("NOOP");
            d.command("STORE 1 +FLAGS (\\Flagged $Forwarded)");
            if round > 1 {
                d.command("STORE 2 +FLAGS (\\Deleted)");
                d.command("EXPUNGE");
            }
            expected = d.messages();
            let quota = d.command("GETQUOTAROOT INBOX");
            let line = quota.iter().find(|l| l.starts_with("* QUOTA ")).unwrap();
            let count: u64 = line.split("MESSAGE ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
            assert_eq!(w.store.quota().usage().unwrap().0.messages, count, "{line}");
        }
        {
            w.deliver("From: ours\n\nline\n");
            let mut m = w.inbox();
            let status = m.status();
            assert_eq!(Some(u64::from(status.uidvalidity)), validity);
            assert_eq!(*guid.get_or_insert(status.guid), status.guid);
            let new = *ours(&m).keys().last().unwrap();
            expected.insert(new, vec![]);
            assert_eq!(ours(&m), expected, "ours, round {round}");
            m.store(&[new], FlagOp::Add, &set(Flags::ANSWERED, &["work", "Zeta"]), None).unwrap();
            let other = append(&mut m, "From: ours\n\nappended\n", set(Flags::SEEN, &["$Forwarded"]));
            m.remove(&[other - 1]).unwrap();
            m.remove(&[*ours(&m).keys().next().unwrap()]).unwrap();
            expected = ours(&m);
            let sub = FolderName::from_parts(&["Entwürfe", "2024"]).unwrap();
            assert_eq!(w.store.subscriptions().unwrap(), std::slice::from_ref(&sub));
            assert!(w.store.exists(&sub));
        }
    }
    // The modseq floor is still where Dovecot keeps unknown keys.
    let text = std::fs::read_to_string(w.home.join("Maildir/dovecot-uidlist")).unwrap();
    assert!(text.lines().next().unwrap().contains(" M000"), "{text}");
    assert_eq!(w.complaints(), "");
}

#[test]
fn both_open_at_the_same_time() {
    if settled("both_open_at_the_same_time") {
        return;
    }
    let w = World::new("live");
    let mut d = w.dovecot();
    d.command("SELECT INBOX (CONDSTORE)");
    let mut m = w.inbox();
    for round in 0..3 {
        w.deliver(&format!("Subject: {round}\n\nx\n"));
        d.append("\\Seen", "Subject: d\r\n\r\ny\r\n");
        append(&mut m, "Subject: o\n\nz\n", set(Flags::FLAGGED, &["Mine"]));
        settle();
        m.refresh().unwrap();
        assert_eq!(d.messages(), ours(&m), "after adding, round {round}");
        let first = *ours(&m).keys().next().unwrap();
        m.store(&[first], FlagOp::Add, &set(Flags::NONE, &[["alpha", "beta", "gamma"][round % 3]]), None).unwrap();
        d.command("STORE 2 FLAGS (\\Answered delta)");
        settle();
        let changes = m.refresh().unwrap();
        assert_eq!(changes.flags.len(), 1);
        assert_eq!(d.messages(), ours(&m), "after flags, round {round}");
        d.command("STORE 3 +FLAGS (\\Deleted)");
        d.command("EXPUNGE");
        settle();
        let changes = m.refresh().unwrap();
        assert_eq!(changes.expunged.len(), 1, "{changes:?}");
        m.remove(&[first]).unwrap();
        settle();
        assert_eq!(d.messages(), ours(&m), "after expunges, round {round}");
    }
    // Many expunges make Dovecot rewrite the uidlist; our floor and the UIDs survive it.
    for i in 0..20 {
        append(&mut m, &format!("n {i}\n"), FlagSet::default());
    }
    settle();
    d.command("NOOP");
    d.command("STORE 1:20 +FLAGS (\\Deleted)");
    d.command("EXPUNGE");
    d.append("", "Subject: last\r\n\r\n\r\n");
    w.deliver("Subject: very last\n\n");
    settle();
    let theirs = d.messages();
    m.refresh().unwrap();
    assert_eq!(theirs, ours(&m));
    let text = std::fs::read_to_string(w.home.join("Maildir/dovecot-uidlist")).unwrap();
    let floor: u64 = text.split(" M").nth(1).unwrap()[..20].parse().unwrap();
    assert!(floor >= m.status().highest_modseq);
    drop(m);
    drop(d);
    let m = w.inbox();
    assert_eq!(theirs, ours(&m));
    assert_eq!(w.complaints(), "");
}

#[test]
fn hammered_from_both_sides() {
    if settled("hammered_from_both_sides") {
        return;
    }
    let w = World::new("hammer");
    for i in 0..20 {
        w.deliver(&format!("Subject: start {i}\n\n"));
    }
    let added = std::sync::atomic::AtomicUsize::new(20);
    let removed = std::sync::atomic::AtomicUsize::new(0);
    let order = std::sync::atomic::Ordering::Relaxed;
    let until = std::time::Instant::now() + Duration::from_secs(6);
    std::thread::scope(|s| {
        for worker in 0..2u32 {
            let (w, added) = (&w, &added);
            s.spawn(move || {
                let mut d = w.dovecot();
                d.command("SELECT INBOX");
                let mut n = worker;
                while std::time::Instant::now() < until {
                    n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    match (n >> 8) % 4 {
                        0 => {
                            d.append("\\Seen", "Subject: d\r\n\r\ny\r\n");
                            added.fetch_add(1, order);
                        }
                        1 => drop(d.command("STORE 1:3 +FLAGS (\\Flagged kw)")),
                        2 => drop(d.command("STORE 2:5 -FLAGS (\\Flagged)")),
                        _ => drop(d.command("NOOP")),
                    }
                }
            });
        }
        for worker in 0..2u32 {
            let (w, added, removed) = (&w, &added, &removed);
            s.spawn(move || {
                let mut m = w.inbox();
                let mut n = worker + 77;
                while std::time::Instant::now() < until {
                    n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let uids: Vec<u32> = m.messages().map(|m| m.uid).collect();
                    let uid = uids.get((n >> 12) as usize % uids.len().max(1)).copied().unwrap_or(0);
                    match (n >> 8) % 5 {
                        0 => {
                            append(&mut m, "Subject: o\n\n", set(Flags::SEEN, &["kw"]));
                            added.fetch_add(1, order);
                        }
                        1 => drop(m.store(&[uid], FlagOp::Add, &set(Flags::ANSWERED, &["ours"]), None).unwrap()),
                        2 if uids.len() > 15 => {
                            removed.fetch_add(m.remove(&[uid]).unwrap().len(), order);
                        }
                        3 => {
                            w.deliver("Subject: new\n\n");
                            added.fetch_add(1, order);
                        }
                        _ => drop(m.refresh().unwrap()),
                    }
                }
            });
        }
    });
    settle();
    let mut d = w.dovecot();
    d.command("SELECT INBOX");
    let theirs = d.messages();
    let mut m = w.inbox();
    m.refresh().unwrap();
    assert_eq!(theirs, ours(&m));
    assert_eq!(m.len() as usize, added.load(order) - removed.load(order), "messages lost or doubled");
    let text = std::fs::read_to_string(w.home.join("Maildir/dovecot-uidlist")).unwrap();
    let uids: Vec<u32> = text.lines().skip(1).map(|l| l.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(uids.windows(2).all(|p| p[0] < p[1]));
    let complaints = w.complaints();
    assert!(!complaints.contains("Panic") && !complaints.contains("Broken file"), "{complaints}");
}
