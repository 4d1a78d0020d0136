//! Who keeps the log: syslog, the journal, multilog, and logrotate over plain files, each by the real program or, for a
//! daemon that cannot run in a test, by its socket.

#[path = "support/instance.rs"]
mod instance;

use instance::{Instance, until};
use penny_testkit::{Run, TempDir, have, skip};
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A configuration, and a table with a mistake that lookup tells of when it starts.
fn place(top: &str) -> TempDir {
    let dir = TempDir::new();
    let at = dir.path().display();
    dir.write("etc/pennypost.toml", format!("{top}\n[paths]\ntables = \"{at}/etc\"\nstate = \"{at}/state\"\n"));
    dir.write("etc/aliases", "nonsense\n");
    dir
}

fn lookup() -> PathBuf {
    instance::programs().join("lookup")
}

const LINE: &str = "ev=table file=";

/// Runs a command where `from` lies at the path `at` of an own view of the file system; none where that is not allowed.
fn with_socket(test: &str, from: &Path, at: &str, command: &str) -> Option<penny_testkit::Output> {
    if !penny_sys::ids::is_root() {
        skip(test, "not root");
        return None;
    }
    let (top, name) = at.split_at(at[1..].find('/').unwrap_or(0) + 1);
    let deep = Path::new(name).parent().unwrap_or(Path::new("/")).display().to_string();
    let nodes = if top == "/dev" { "cp -a /dev/null /dev/urandom /dev/zero $T/ &&" } else { "" };
    let script = format!(
        "T=$(mktemp -d) && mount -n -t tmpfs view $T && {nodes} mkdir -p $T{deep} && ln -s {} $T{name} && \
         mount -n --move $T {top} && rmdir $T || exit 99\n{command}",
        from.display()
    );
    let out = Run::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", &script]).run();
    if out.code == Some(99) || out.code == Some(1) && out.err().contains("unshare") {
        skip(test, "no mount namespaces here");
        return None;
    }
    Some(out)
}

#[test]
fn syslog_gets_whole_lines_with_facility_and_severity() {
    let dir = place("log = \"syslog\"");
    let socket = UnixDatagram::bind(dir.join("log")).expect("a socket");
    let command = format!("{} -c {} </dev/null", lookup().display(), dir.join("etc/pennypost.toml").display());
    let test = "syslog_gets_whole_lines_with_facility_and_severity";
    let Some(out) = with_socket(test, &dir.join("log"), "/dev/log", &command) else { return };
    out.expect_code(0);
    assert_eq!(out.err(), "", "nothing is said twice");
    socket.set_nonblocking(true).expect("a socket");
    let mut octets = [0; 4096];
    let n = socket.recv(&mut octets).expect("a line");
    let line = String::from_utf8_lossy(&octets[..n]).into_owned();
    // facility mail (2), severity warning (4)
    assert!(line.starts_with("<20>lookup[") && line.contains(LINE), "{line}");
    assert!(!line.trim_end().contains('\n'), "{line}");
}

#[test]
fn the_journal_gets_the_lines() {
    let test = "the_journal_gets_the_lines";
    if !have(test, "systemd-cat") {
        return;
    }
    let dir = place("");
    let listener = UnixListener::bind(dir.join("stdout")).expect("a socket");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read_to_string(&mut text);
        }
        text
    });
    let config = dir.join("etc/pennypost.toml").display().to_string();
    let command = format!("systemd-cat -t pennypost {} -c {config} </dev/null", lookup().display());
    let out = with_socket(test, &dir.join("stdout"), "/run/systemd/journal/stdout", &command);
    let Some(out) = out else {
        drop(std::os::unix::net::UnixStream::connect(dir.join("stdout"))); // the reader ends
        return;
    };
    out.expect_code(0);
    let text = reader.join().expect("what the journal got");
    let line = text.lines().find(|l| l.contains(LINE)).unwrap_or_else(|| panic!("{text}"));
    assert!(text.starts_with("pennypost\n") && line.starts_with("lookup["), "{text}");
}

#[test]
fn what_multilog_wrote_is_traced() {
    if !have("what_multilog_wrote_is_traced", "multilog") {
        return;
    }
    let server = Instance::up(&[]);
    let text = "From: user2@example.test\nMessage-ID: <one@x.test>\n\nhello\n";
    let run = Run::new(server.program("sendmail")).env("PENNYPOST_CONFIG", server.config());
    run.args(["-f", "user2@example.test", "user1@example.test"]).stdin(text).run().expect_code(0);
    until("delivery", || server.log("qrun").contains("ev=removed"));
    let lines = server.log("enqueue") + &server.log("qrun");
    let kept = server.dir.join("kept");
    Run::new("multilog").arg("t").arg(&kept).stdin(lines).run().expect_code(0);
    assert!(std::fs::read_to_string(kept.join("current")).expect("a log").starts_with("@4"));
    let run = Run::new(server.program("pennypost")).arg("-c").arg(server.config());
    let out = run.args(["trace", "one@x.test", "--log"]).arg(&kept).run();
    out.expect_code(0).expect_out("<user1@example.test>: delivered").expect_out("settled: it left the queue");
}

#[test]
fn logrotate_leaves_the_programs_their_log() {
    if !have("logrotate_leaves_the_programs_their_log", "logrotate") {
        return;
    }
    let dir = place("");
    let shipped = include_str!("../etc/logrotate/pennypost")
        .replace("/var/log/pennypost", &dir.join("log").display().to_string());
    let conf = dir.write("conf", shipped);
    let log = dir.write("log/lookup.log", "");
    let mut child = Command::new(lookup())
        .arg("-c")
        .arg(dir.join("etc/pennypost.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(std::fs::File::options().append(true).open(&log).expect("the log"))
        .spawn()
        .expect("lookup");
    let mut input = child.stdin.take().expect("a pipe");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    until("the first line", || read(&log).contains("aliases").then_some(()));
    Run::new("logrotate").arg("-f").arg("-s").arg(dir.join("state-of-logrotate")).arg(&conf).run().expect_code(0);
    assert_eq!(read(&log), "");
    assert!(read(&dir.join("log/lookup.log.1")).contains("aliases"));
    // the program goes on in the same file, from its start
    dir.write("etc/access", "odd\n");
    until("a line after it", || {
        let _ = input.write_all(b"user\tx\n");
        read(&log).contains("access").then_some(())
    });
    assert!(read(&log).starts_with("lookup["), "{:?}", read(&log));
    drop(input);
    assert!(child.wait().expect("the end").success());
}
