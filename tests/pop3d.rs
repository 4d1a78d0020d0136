//! pop3d: the session by dialogues, locking, nothing lost without QUIT; logins through spawn and checkauth.

#[path = "support/login.rs"]
mod login;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use penny_testkit::run::Started;
use penny_testkit::{Dialog, Player, Run, TempDir, dialog, program, tmp};

struct Home {
    /// The resident lookup of a test with logins; ends before its directory goes.
    _lookup: Option<Started>,
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let h = Self { _lookup: None, dir: TempDir::new() };
        h.dir.write("p.toml", "[ids]\nlandlock = \"optional\"\n");
        h.dir.maildir("home/Maildir");
        for (name, text) in
            [("1.a", "Subject: one\n\nx\n"), ("2.b", "Subject: two\n\n.dot\n\n"), ("3.c", "Subject: x\n\nabc")]
        {
            h.dir.write(Path::new("home/Maildir/new").join(name), text);
        }
        h
    }

    fn maildir(&self) -> PathBuf {
        self.dir.join("home/Maildir")
    }

    fn session(&self) -> Run {
        Run::new(program!("pop3d"))
            .arg("-c")
            .arg(self.dir.join("p.toml"))
            .arg("--session")
            .env("USER", "joe")
            .env("HOME", self.dir.join("home"))
            .env("MAILDIR", self.maildir())
            .env("PENNYPOST_SHELL_OK", "1")
    }

    fn count(&self) -> usize {
        tmp::mails(self.maildir()).len()
    }
}

#[test]
fn dialogues() {
    for file in dialog::files(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialog/pop3d")) {
        let h = Home::new();
        let code = Player::new().over_pipes(&h.session(), &Dialog::load(&file));
        assert_eq!(code, Some(0), "{}", file.display());
    }
}

/// What another server gave stays: P is the id, O the place in the list; the rest has the form of the configuration.
#[test]
fn ids_and_order_of_another_server_are_kept() {
    let h = Home::new();
    let list = "3 V1700000000 N4 G00112233445566778899aabbccddeeff\n1 :1.a\n2 Pold-2 O2 :2.b\n3 Pold-3 O1 :3.c\n";
    for name in ["1.a", "2.b", "3.c"] {
        std::fs::rename(h.maildir().join("new").join(name), h.maildir().join("cur").join(format!("{name}:2,")))
            .unwrap();
    }
    h.dir.write("home/Maildir/dovecot-uidlist", list);
    h.dir.write("p.toml", "[ids]\nlandlock = \"optional\"\n[pop3d]\nuidl = \"UID%u-%v\"\n");
    for _ in 0..2 {
        let out = h.session().stdin("UIDL\r\nQUIT\r\n").run().out();
        assert!(out.contains("1 old-3\r\n2 old-2\r\n3 UID1-1700000000\r\n"), "{out}");
    }
}

#[test]
fn quit_removes_and_marks_seen_and_nothing_else_does() {
    let h = Home::new();
    // no QUIT: the connection just ends
    h.session().stdin("DELE 1\r\nDELE 2\r\n").run().expect_code(0);
    assert_eq!(h.count(), 3);
    let out = h.session().stdin("RETR 2\r\nDELE 1\r\nQUIT\r\n").run();
    out.expect_code(0);
    assert_eq!(h.count(), 2);
    let names: Vec<String> = tmp::mails(h.maildir()).iter().map(|p| p.display().to_string()).collect();
    assert!(names.iter().any(|n| n.contains("2.b") && n.ends_with(":2,S")), "{names:?}");
    assert!(names.iter().any(|n| n.contains("3.c") && n.ends_with(":2,")), "{names:?}");
    // unique ids stay what they were
    h.session().stdin("UIDL\r\nQUIT\r\n").run().expect_out("1 00000002").expect_out("2 00000003");
}

#[test]
fn killed_in_the_middle_removes_nothing() {
    let h = Home::new();
    let mut started = h.session().spawn();
    let mut stdin = started.child.stdin.take().unwrap();
    stdin.write_all(b"DELE 1\r\nDELE 2\r\nDELE 3\r\nNOOP\r\n").unwrap();
    let replies = BufReader::new(started.child.stdout.take().unwrap()).lines();
    // the greeting and four of them
    assert!(replies.take(5).all(|line| line.unwrap().starts_with("+OK")));
    drop(started);
    assert_eq!(h.count(), 3);
}

#[test]
fn one_session_at_a_time() {
    let h = Home::new();
    let mut first = h.session().spawn();
    let mut greeting = [0; 3];
    std::io::Read::read_exact(first.child.stdout.as_mut().unwrap(), &mut greeting).unwrap();
    h.session().stdin("QUIT\r\n").run().expect_out("-ERR [IN-USE]");
    assert_eq!(first.wait(Duration::from_secs(60)), Some(0));
    h.session().stdin("QUIT\r\n").run().expect_out("+OK 3 messages");
}

/// LOGIN-DELAY (RFC 2449 6.5): counted from the mtime of the lock file.
#[test]
fn a_login_that_comes_too_early_is_refused() {
    let h = Home::new();
    h.dir.write("p.toml", "[ids]\nlandlock = \"optional\"\n[pop3d]\nlogin_delay = \"1h\"\n");
    let login = || h.session().stdin("CAPA\r\nSTAT\r\nQUIT\r\n").run().out();
    let out = login();
    assert!(out.contains("\r\nLOGIN-DELAY 3600\r\n") && out.contains("+OK 3 60\r\n"), "{out}");
    for _ in 0..2 {
        assert_eq!(login(), "-ERR [LOGIN-DELAY] too soon after the last login\r\n");
    }
    let lock = std::fs::File::open(h.maildir().join("pennypost.pop3lock")).unwrap();
    lock.set_modified(std::time::SystemTime::now() - Duration::from_secs(3700)).unwrap();
    assert!(login().contains("+OK 3 60\r\n"));
    assert!(login().starts_with("-ERR [LOGIN-DELAY]"));
    h.dir.write("p.toml", "[ids]\nlandlock = \"optional\"\n");
    let out = login();
    assert!(out.contains("+OK 3 60\r\n") && !out.contains("LOGIN-DELAY"), "{out}");
}

/// EXPIRE (RFC 2449 6.7) after the login: what the user's domain says of INBOX; before it nobody knows whose mail it is.
#[test]
fn how_long_mail_stays_is_told_after_the_login() {
    for (options, told) in
        [("", "EXPIRE NEVER"), (" retention=Trash:30,*:700", "EXPIRE 700"), (" retention=INBOX:14,*:700", "EXPIRE 14")]
    {
        let mut h = Home::new();
        h.dir.write("tables/domains", format!("example.test local{options}\n"));
        h._lookup = Some(login::start_lookup(&h.dir, "joe@example.test", ""));
        let run = Run::new(program!("pop3d")).arg("-c").arg(h.dir.join("p.toml"));
        let out = run.stdin("CAPA\r\nUSER joe@example.test\r\nPASS secret\r\nCAPA\r\nQUIT\r\n").run().out();
        let (before, after) = out.split_once("+OK 3 messages").unwrap_or_else(|| panic!("{out}"));
        assert!(!before.contains("EXPIRE") && after.contains(&format!("\r\n{told}\r\n")), "{out}");
    }
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let h = Home::new();
    let out = h.session().stdin("STAT\r\nLIST 1\r\nRETR 3\r\nNOOP\r\nQUIT\r\n").run();
    let text = out.out();
    let places: Vec<_> = ["+OK 3 60", "+OK 1 19", "\r\nabc\r\n.\r\n", "+OK bye"].iter().map(|p| text.find(p)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
}

#[test]
fn mail_that_comes_meanwhile_waits_for_the_next_session() {
    let h = Home::new();
    let mut started = h.session().spawn();
    let mut stdin = started.child.stdin.take().unwrap();
    let mut stdout = BufReader::new(started.child.stdout.take().unwrap());
    let mut text = String::new();
    stdout.read_line(&mut text).unwrap();
    h.dir.write("home/Maildir/new/4.d", "Subject: late\n\n");
    stdin.write_all(b"STAT\r\nQUIT\r\n").unwrap();
    stdout.read_to_string(&mut text).unwrap();
    assert!(text.contains("+OK 3 60\r\n"), "{text}");
    h.session().stdin("QUIT\r\n").run().expect_out("+OK 4 messages");
}

/// A configuration in which `pop3d` finds spawn, lookup and checkauth and one user, joe, password secret.
fn with_login() -> (Home, Run) {
    let mut h = Home::new();
    h._lookup = Some(login::start_lookup(&h.dir, "joe", ""));
    let run = Run::new(program!("pop3d")).arg("-c").arg(h.dir.join("p.toml"));
    (h, run)
}

#[test]
fn a_login_from_a_pipe_reaches_the_users_mailbox() {
    let (h, run) = with_login();
    let out = run
        .stdin("CAPA\r\nUSER joe\r\nPASS wrong\r\nUSER joe\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
        .run();
    let text = out.out();
    assert!(
        text.contains("-ERR [AUTH]") && text.contains("+OK 3 60\r\n") && text.contains("Subject: one"),
        "{}",
        out.describe()
    );
    assert_eq!(h.count(), 2);
}

#[test]
fn sasl_with_and_without_initial_response() {
    let (_h, run) = with_login();
    let plain = "AGpvZQBzZWNyZXQ=";
    let out = run.clone().stdin(format!("AUTH\r\nAUTH PLAIN {plain}\r\nSTAT\r\nQUIT\r\n")).run();
    assert!(out.out().contains("+OK 3 60"), "{}", out.describe());
    let out = run
        .stdin(format!(
            "AUTH PLAIN\r\n*\r\nAUTH PLAIN !!\r\nAUTH NONSENSE\r\nAUTH PLAIN\r\n{plain}\r\nSTAT\r\nQUIT\r\n"
        ))
        .run();
    assert!(out.out().contains("+OK 3 60") && out.out().matches("-ERR").count() == 3, "{}", out.describe());
}

#[test]
fn before_login_there_is_no_mailbox() {
    let (h, run) = with_login();
    let out = run.stdin("STAT\r\nRETR 1\r\nDELE 1\r\nPASS x\r\nSTLS\r\nAPOP a b\r\nQUIT\r\n").run();
    assert_eq!(out.out().matches("-ERR").count(), 6, "{}", out.describe());
    assert_eq!(h.count(), 3);
}
