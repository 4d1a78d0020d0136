//! Who parses the network owns nothing: uids, seccomp and Landlock of the running programs (pennypost-overview(7) rule 3).

#[path = "support/instance.rs"]
mod support;

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Instance, until};

/// Runs this test program again with a task for one confined process.
fn child(task: &str, argument: &str) -> String {
    let out = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "confined_child", "--nocapture", "--test-threads=1"])
        .env("CONFINED_TASK", task)
        .env("CONFINED_ARGUMENT", argument)
        .output()
        .expect("runs");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Not a test by itself: what `child` runs.
#[test]
fn confined_child() {
    let Ok(task) = std::env::var("CONFINED_TASK") else { return };
    let argument = std::env::var("CONFINED_ARGUMENT").unwrap_or_default();
    // opened before the door shuts; println! needs no new descriptor
    let mut out = std::io::stdout().lock();
    let mut say = |name: &str, denied: bool| {
        let _ = writeln!(out, "{name}={}", if denied { "denied" } else { "ALLOWED" });
    };
    if task == "network" {
        let file = std::fs::File::open("/dev/null").expect("before");
        penny_sys::confine::network_conversation().expect("confined");
        say("open", std::fs::File::open("/dev/null").is_err());
        say("socket", std::net::UdpSocket::bind("127.0.0.1:0").is_err());
        say("execve", penny_sys::process::exec(std::path::Path::new("/bin/true"), &[]).raw_os_error() == Some(1));
        say("kill", nix::sys::signal::kill(nix::unistd::getppid(), None).is_err());
        drop(file);
    } else if task == "sending" {
        let state: &std::path::Path = argument.as_ref();
        let confined = penny_sys::confine::paths_only(&[state], &["/etc/ssl".as_ref()]).expect("landlock");
        penny_sys::confine::sending().expect("confined");
        let socket = std::net::UdpSocket::bind("127.0.0.1:0");
        say("no socket", socket.is_err());
        say("no file of its own", std::fs::write(state.join("own"), "x").is_err());
        say("execve", penny_sys::process::exec(std::path::Path::new("/bin/true"), &[]).raw_os_error() == Some(1));
        say("kill", nix::sys::signal::kill(nix::unistd::getppid(), None).is_err());
        say("process", std::process::Command::new("/bin/true").spawn().is_err());
        let landlock = confined == penny_sys::confine::Confined::Yes;
        say("other files", !landlock || std::fs::read(state.join("../other/theirs")).is_err());
    } else {
        let confined = penny_sys::confine::home_only(argument.as_ref(), &[]).expect("confined");
        say("landlock", confined == penny_sys::confine::Confined::Yes);
        say("own", std::fs::read(format!("{argument}/mine")).is_err());
        say("other", std::fs::read(format!("{argument}/../other/theirs")).is_err());
        say("write", std::fs::write(format!("{argument}/../other/new"), "x").is_err());
    }
}

#[test]
fn a_network_conversation_can_do_nothing_else() {
    let out = child("network", "");
    for call in ["open", "socket", "execve", "kill"] {
        assert!(out.contains(&format!("{call}=denied")), "{call}: {out}");
    }
}

#[test]
fn who_sends_can_connect_and_nothing_else() {
    let dir = penny_testkit::TempDir::new();
    for (place, name) in [("state", "x"), ("other", "theirs")] {
        std::fs::create_dir(dir.join(place)).unwrap();
        std::fs::write(dir.join(place).join(name), "x").unwrap();
    }
    let out = child("sending", dir.join("state").to_str().unwrap());
    for call in ["execve", "kill", "process", "other files"] {
        assert!(out.contains(&format!("{call}=denied")), "{call}: {out}");
    }
    for call in ["no socket", "no file of its own"] {
        assert!(out.contains(&format!("{call}=ALLOWED")), "{call}: {out}");
    }
}

#[test]
fn a_shared_uid_sees_one_home() {
    let dir = penny_testkit::TempDir::new();
    for (place, name) in [("a", "mine"), ("other", "theirs")] {
        std::fs::create_dir(dir.path().join(place)).expect("made");
        std::fs::write(dir.path().join(place).join(name), "x").expect("written");
    }
    let out = child("home", dir.path().join("a").to_str().expect("utf-8"));
    if !out.contains("landlock=denied") {
        // `denied` means that Confined::Yes was reported
        return penny_testkit::skip("a_shared_uid_sees_one_home", "the kernel has no Landlock");
    }
    assert!(out.contains("own=ALLOWED") && out.contains("other=denied") && out.contains("write=denied"), "{out}");
}

fn status(pid: i32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    text.lines().find_map(|l| l.strip_prefix(field)).unwrap_or("").trim().to_string()
}

#[test]
fn processes_run_as_they_should() {
    let i = Instance::up(&[]);
    let mut open = Vec::new();
    for service in ["SMTP", "SUBMISSION", "LMTP", "IMAP", "POP3"] {
        let mut c = i.connect(service);
        c.read_line();
        open.push(c);
    }
    // all of them: three smtpd, one imapd, one pop3d
    let talking = until("the conversations", || {
        let all = i.processes();
        let talking: Vec<_> =
            all.into_iter().filter(|(_, n)| ["smtpd", "imapd", "pop3d"].contains(&n.as_str())).collect();
        (talking.len() == 5).then_some(talking)
    });
    for (pid, name) in &talking {
        assert_eq!(status(*pid, "NoNewPrivs:"), "1", "{name}");
        assert_eq!(status(*pid, "Seccomp:"), "2", "{name}");
    }
    let session = i.imap("user1");
    let root = penny_sys::ids::is_root();
    let expected = [
        ("listen", 0),
        ("spawn", 0),
        ("lookup", 64202),
        ("enqueue", 64203),
        ("qrun", 64203),
        ("smtpd", 64204),
        ("pop3d", 64204),
    ];
    for (program, uid) in expected {
        let uid = if root { uid } else { penny_sys::ids::own_uid() };
        assert!(status(i.pid_of(program), "Uid:").starts_with(&format!("{uid}\t")), "{program} does not run as {uid}");
    }
    if root {
        let uids: Vec<String> =
            i.processes().iter().filter(|(_, n)| n == "imapd").map(|(p, _)| status(*p, "Uid:")).collect();
        assert!(uids.iter().any(|u| u.starts_with("64204\t")), "pre-login imapd: {uids:?}");
        assert!(uids.iter().any(|u| u.starts_with("64205\t")), "session imapd: {uids:?}");
    }
    drop((open, session));
}

#[test]
fn five_hundred_connections_in_two_seconds() {
    let i = Instance::up(&[]);
    let start = Instant::now();
    let mut kept = Vec::new();
    for _ in 0..500 {
        kept.push(std::net::TcpStream::connect(("127.0.0.1", i.port("SMTP"))).expect("connects"));
    }
    assert!(start.elapsed() < Duration::from_secs(120));
    drop(kept);
    let greeting = i.connect("SMTP").read_line().expect("a greeting");
    assert!(greeting.starts_with("220 "), "{greeting}");
}

#[test]
fn the_second_server_on_one_directory_refuses() {
    let i = Instance::up(&[]);
    let root = env!("CARGO_MANIFEST_DIR");
    let out = Command::new(format!("{root}/scripts/instance")).arg("up").arg(i.top()).output().expect("runs");
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("is up already"));
    for (program, arguments) in [
        ("spawn", vec![]),
        ("lookup", vec!["--serve"]),
        ("enqueue", vec!["--serve"]),
        ("qrun", vec![]),
        ("listen", vec![]),
    ] {
        let mut run = penny_testkit::Run::new(i.program(program)).arg("-c").arg(i.config()).args(arguments);
        if penny_sys::ids::is_root() && ["enqueue", "qrun"].contains(&program) {
            run = run.uid(64203, 64203);
        }
        let out = run.limit(Duration::from_secs(120)).run();
        assert_ne!(out.code, Some(0), "a second {program} ran");
        assert!(
            out.err().to_lowercase().contains("in use") || out.err().contains("another"),
            "{program}: {}",
            out.err()
        );
    }
    // and the first still works
    assert!(i.connect("SMTP").read_line().expect("a greeting").starts_with("220 "));
}
