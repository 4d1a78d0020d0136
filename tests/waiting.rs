//! Programs that wait for their next start (listen(8), spawn(8)): what they start is what an exec would have started.

#[path = "support/instance.rs"]
mod support;

use nix::sys::signal::Signal;
use penny_testkit::Client;
use support::{Instance, converse, signal, until};

fn proc(pid: i32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default().trim().to_string()
}

fn status(pid: i32, field: &str) -> String {
    let text = proc(pid, "status");
    text.lines().find_map(|l| l.strip_prefix(field)).unwrap_or("").trim().to_string()
}

/// The processes of the instance with this short name: `smtpd` talks, `smtpd wait` waits. Of smtpd those of port 25 only.
fn named(i: &Instance, name: &str) -> Vec<i32> {
    i.pids_of(name)
        .into_iter()
        .filter(|pid| !name.starts_with("smtpd") || proc(*pid, "cmdline").contains("-r\0mx"))
        .collect()
}

/// The talking ones, once those are gone that served the script's look at the ports.
fn talking(i: &Instance, count: usize) -> Vec<i32> {
    until("the conversations", || Some(named(i, "smtpd")).filter(|all| all.len() == count))
}

fn one(i: &Instance, name: &str) -> i32 {
    until(name, || named(i, name).first().copied())
}

fn greeting(i: &Instance, service: &str) -> (Client, String) {
    let mut c = i.connect(service);
    let line = c.read_line().expect("a greeting");
    (c, line)
}

fn deliver(i: &Instance, subject: &str) {
    let (mut c, _) = greeting(i, "LMTP");
    let text = format!("Subject: {subject}\r\n\r\ntext\r\n.");
    let envelope =
        [("250", "LHLO client"), ("250", "MAIL FROM:<a@remote.test>"), ("250", "RCPT TO:<user1@example.test>")];
    converse(&mut c, &envelope);
    converse(&mut c, &[("354", "DATA"), ("250", &text)]);
}

#[test]
fn a_conversation_is_a_child_of_listen_with_its_own_descriptors() {
    let i = Instance::up(&[]);
    let (_c, _) = greeting(&i, "SMTP");
    let (_d, _) = greeting(&i, "SMTP");
    let listen = i.pid_of("listen").to_string();
    for pid in talking(&i, 2) {
        assert_eq!(status(pid, "PPid:"), listen);
        assert_eq!(status(pid, "NSpgid:").split_whitespace().last(), Some(pid.to_string().as_str()));
        assert_eq!(status(pid, "Seccomp:"), "2");
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        // the socket twice and twice more, the log, control and data, lookup, spawn, enqueue
        assert!((8..=12).contains(&open), "{open} descriptors");
    }
    // one that has just begun still has the name of what it is a copy of
    until("one that waits", || named(&i, "smtpd wait").len() == 1);
}

#[test]
fn a_changed_configuration_counts_for_the_next_connection() {
    let i = Instance::up(&[]);
    assert!(greeting(&i, "SMTP").1.contains("mx.example.test"));
    let waiting = one(&i, "smtpd wait");
    let text = std::fs::read_to_string(i.config()).expect("read");
    std::fs::write(i.config(), text.replacen("mx.example.test", "other.example.test", 1)).expect("written");
    assert!(greeting(&i, "SMTP").1.contains("other.example.test"));
    // the process that waited has read it again, and still waits
    assert_eq!(one(&i, "smtpd wait"), waiting);
    // a file with mistakes is told of, and stops nobody; its mending counts
    std::fs::write(i.config(), format!("nonsense = 1\n{text}")).expect("written");
    assert!(greeting(&i, "SMTP").1.contains("other.example.test"));
    assert!(i.log("listen").contains("pennypost.toml:1:1: unknown key nonsense"), "{}", i.log("listen"));
    std::fs::write(i.config(), &text).expect("written");
    assert!(greeting(&i, "SMTP").1.contains("mx.example.test"));
}

/// The checkauth that waits keeps the users table: it is the table as it is now all the same.
#[test]
fn a_changed_password_counts_for_the_next_login() {
    let i = Instance::up(&[]);
    let users = i.top().join("etc/users");
    let login = |password: &str| {
        let (mut c, _) = greeting(&i, "IMAP");
        c.line(&format!("a LOGIN user1@example.test {password}"));
        c.read_line().expect("an answer")
    };
    // a table that has just changed is not kept
    until("an older table", || {
        let age = std::fs::metadata(&users).ok()?.modified().ok()?.elapsed().ok()?;
        (age.as_secs() > 3).then_some(())
    });
    assert!(login("pw-user1").starts_with("a OK"));
    let waiting = one(&i, "checkauth wait");
    let text = std::fs::read_to_string(&users).expect("read");
    std::fs::write(&users, text.replace("pw-user1:", "pw-other:")).expect("written");
    assert!(login("pw-user1").starts_with("a NO"));
    assert!(login("pw-other").starts_with("a OK"));
    assert_eq!(one(&i, "checkauth wait"), waiting);
}

#[test]
fn killed_waiting_processes_cost_nothing() {
    let i = Instance::up(&[]);
    deliver(&i, "one");
    let c = i.imap("user1");
    drop(c);
    for name in ["smtpd wait", "deliver wait", "imapd wait", "checkauth wait"] {
        one(&i, name);
        for pid in named(&i, name) {
            signal(pid, Signal::SIGKILL);
        }
    }
    deliver(&i, "two");
    let mut c = i.imap("user1");
    let reply = c.ask("a1 STATUS INBOX (MESSAGES)", "* STATUS");
    assert!(reply.contains("MESSAGES 2"), "{reply}");
}

#[test]
fn a_crash_costs_the_waiting_process_its_place() {
    let i = Instance::up(&[]);
    let (_c, _) = greeting(&i, "SMTP");
    let waiting = one(&i, "smtpd wait");
    signal(talking(&i, 1)[0], Signal::SIGABRT);
    until("the end of the waiting process", || (!named(&i, "smtpd wait").contains(&waiting)).then_some(()));
    assert!(greeting(&i, "SMTP").1.starts_with("220 "));
    assert_ne!(one(&i, "smtpd wait"), waiting);
}

/// spawn keeps its connection to lookup: one that was restarted is asked over a new one.
#[test]
fn a_restarted_lookup_is_asked_again() {
    let i = Instance::up(&[]);
    deliver(&i, "one");
    let old = i.pid_of("lookup");
    signal(old, Signal::SIGKILL);
    // a new one ends at once where the old one still answers
    penny_testkit::until("the end of the old lookup", || !penny_sys::files::process_exists(old));
    let root = penny_sys::ids::is_root();
    let mut command = std::process::Command::new(if root { "setpriv" } else { "env" });
    if root {
        command.args(["--reuid", "64202", "--regid", "64202", "--groups", "64202,64209"]);
    }
    let lookup = command.arg(i.program("lookup")).arg("-c").arg(i.config()).arg("--serve").spawn();
    let mut lookup = lookup.expect("lookup starts");
    penny_testkit::wait_for_socket(i.top().join("run/lookup/socket"));
    deliver(&i, "two");
    let _ = lookup.kill();
    let _ = lookup.wait();
    assert_eq!(std::fs::read_dir(i.maildir("user1").join("new")).map_or(0, Iterator::count), 2);
}

#[test]
fn deliveries_of_a_shared_id_are_confined_each_to_its_home() {
    let i = Instance::up(&[]);
    deliver(&i, "one");
    deliver(&i, "two");
    assert_eq!(std::fs::read_dir(i.maildir("user1").join("new")).map_or(0, Iterator::count), 2);
    let waiting = one(&i, "deliver wait");
    let uid = if penny_sys::ids::is_root() { 64205 } else { penny_sys::ids::own_uid() };
    assert!(status(waiting, "Uid:").starts_with(&format!("{uid}\t")));
    assert_eq!(status(waiting, "PPid:"), i.pid_of("spawn").to_string());
}
