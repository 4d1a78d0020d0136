//! kill -9 of each process at each system call that changes something, in the course of one message: what was answered
//! with 250 arrives after a restart, at most once more than it should (the job in flight), and the queue ends empty.
//!
//! A program that lives for one job runs under strace, which kills it at its n-th such call; a resident one is attached
//! to and, once killed, the whole server is started again. n goes up until the program survives.

#[path = "support/instance.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Instance, files, until};

const CALLS: [&str; 15] = [
    "write",
    "pwrite64",
    "sendto",
    "sendmsg",
    "fsync",
    "fdatasync",
    "linkat",
    "link",
    "rename",
    "renameat2",
    "unlink",
    "unlinkat",
    "ftruncate",
    "utimensat",
    "copy_file_range",
];

/// More calls of one name than this no program makes for one message.
const CALLS_MAX: usize = 40;

fn inject(call: &str, n: usize) -> String {
    format!("inject={call}:signal=KILL:when={n}")
}

/// Says the whole dialogue at its own pace; true when the message was answered with 250.
fn send(i: &Instance, service: &str, marker: &str) -> bool {
    talk(i, service, marker).unwrap_or(false)
}

fn talk(i: &Instance, service: &str, marker: &str) -> std::io::Result<bool> {
    let mut s = TcpStream::connect(("127.0.0.1", i.port(service)))?;
    s.set_read_timeout(Some(Duration::from_secs(20)))?;
    let greeting = if service == "LMTP" { "LHLO" } else { "EHLO" };
    let text = format!("Subject: {marker}\r\n\r\n{marker}\r\n.\r\n");
    let lines = [
        String::new(),
        format!("{greeting} c.test\r\n"),
        "MAIL FROM:<a@away.test>\r\n".into(),
        "RCPT TO:<user1@example.test>\r\n".into(),
        "DATA\r\n".into(),
        text,
    ];
    let mut last = String::new();
    for line in lines {
        s.write_all(line.as_bytes())?;
        last = reply(&mut s)?;
    }
    Ok(last.starts_with("250"))
}

/// Reads one reply, its last line.
fn reply(s: &mut TcpStream) -> std::io::Result<String> {
    let mut text = Vec::new();
    loop {
        let mut one = [0];
        if s.read(&mut one)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        text.push(one[0]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let line = all.trim_end_matches("\r\n").rsplit("\r\n").next().unwrap_or("").to_string();
        if all.ends_with("\r\n") && line.as_bytes().get(3) == Some(&b' ') {
            return Ok(line);
        }
    }
}

fn copies(i: &Instance, marker: &str) -> usize {
    let has =
        |f: &std::path::PathBuf| std::fs::read_to_string(f).is_ok_and(|t| t.contains(&format!("Subject: {marker}\n")));
    let maildir = i.maildir("user1");
    ["new", "cur"].iter().map(|d| files(&maildir.join(d)).iter().filter(|f| has(f)).count()).sum()
}

/// Everything accepted is there, and nothing is left behind.
fn settle(i: &Instance, accepted: &[String]) {
    for marker in accepted {
        until(&format!("delivery of {marker}"), || (copies(i, marker) > 0).then_some(()));
    }
    until("an empty queue", || {
        let left: usize = ["new", "cur", "log"].iter().map(|d| files(&i.queue(d)).len()).sum();
        (left == 0).then_some(())
    });
    for marker in accepted {
        let n = copies(i, marker);
        assert!(n <= 2, "{marker} came {n} times");
    }
    assert!(files(&i.queue("corrupt")).is_empty(), "an entry was set aside");
}

/// A program that is started for each job: its place is taken by a script that starts it under strace.
fn kill_each_call_of_a_job(program: &str, service: &str) {
    if !penny_testkit::have(program, "strace") {
        return;
    }
    let i = Instance::up(&[("RETRY_MIN", "1")]);
    let real = i.top().join("prog").join(format!("{program}.real"));
    std::fs::rename(i.program(program), &real).expect("renamed");
    for d in [i.top(), i.top().join("log")] {
        std::fs::set_permissions(d, std::fs::Permissions::from_mode(0o777)).expect("chmod");
    }
    let (mut accepted, mut killed) = (Vec::new(), 0);
    for call in CALLS {
        for n in 1..CALLS_MAX {
            let (marker, flag) = (format!("crash-{program}-{call}-{n}"), i.top().join(format!("killed-{call}-{n}")));
            place_script(&i, program, &real, &flag, &inject(call, n));
            if send(&i, service, &marker) {
                accepted.push(marker.clone());
            }
            if !was_killed(&i, &flag) {
                break;
            }
            killed += 1;
        }
    }
    assert!(killed > 3, "{program} was killed {killed} times only");
    settle(&i, &accepted);
}

/// Puts a script in the program's place that starts it under strace, once: the retry of the same message goes through.
fn place_script(i: &Instance, program: &str, real: &Path, flag: &Path, inject: &str) {
    let (log, flag, real) = (i.top().join("log/strace"), flag.display(), real.display());
    let _ = std::fs::remove_file(&log);
    let script = format!(
        "#!/bin/sh\nif mkdir {flag} 2>/dev/null; then exec strace -o {} -e {inject} -- {real} \"$@\"; fi\nexec {real} \"$@\"\n",
        log.display()
    );
    let new = i.top().join("prog").join(format!("{program}.new"));
    std::fs::write(&new, script).expect("written");
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    std::fs::rename(&new, i.program(program)).expect("renamed");
}

/// Waits for the end of the program under strace.
fn was_killed(i: &Instance, flag: &Path) -> bool {
    until("the program under strace", || flag.exists().then_some(()));
    let end = until("its end", || {
        let text = std::fs::read_to_string(i.top().join("log/strace")).unwrap_or_default();
        text.lines().last().filter(|l| l.starts_with("+++")).map(String::from)
    });
    end.contains("SIGKILL")
}

/// strace at a resident program.
fn attach(i: &Instance, program: &str, inject: &str) -> (Child, i32) {
    let pid = i.pid_of(program);
    let mut command = Command::new("strace");
    // the children of spawn are not spawn; the threads of enqueue are enqueue
    if program != "spawn" {
        command.arg("-f");
    }
    command.args(["-qq", "-o", "/dev/null", "-e", inject, "-p", &pid.to_string()]);
    let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace starts");
    until("strace", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|l| l.starts_with("TracerPid:") && !l.ends_with("\t0")).then_some(())
    });
    (child, pid)
}

fn gone(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.lines().any(|l| l.starts_with("State:") && l.contains('Z'))
}

fn kill_each_call_of_a_service(program: &str) {
    if !penny_testkit::have(program, "strace") {
        return;
    }
    let mut i = Instance::up(&[("RETRY_MIN", "1")]);
    let (mut accepted, mut killed) = (Vec::new(), 0);
    for call in CALLS {
        for n in 1..CALLS_MAX {
            let marker = format!("crash-{program}-{call}-{n}");
            let (answered, died) = send_while_traced(&i, program, &inject(call, n), &marker);
            if answered {
                accepted.push(marker);
            }
            if !died {
                break;
            }
            killed += 1;
            i.restart();
        }
    }
    assert!(killed > 1, "{program} was killed {killed} times only");
    settle(&i, &accepted);
}

/// Sends one message with strace at the service; was it answered with 250, and did the service die?
fn send_while_traced(i: &Instance, program: &str, inject: &str, marker: &str) -> (bool, bool) {
    let (mut strace, pid) = attach(i, program, inject);
    let answered = send(i, "SMTP", marker);
    let start = Instant::now();
    // the work goes on after the answer
    while !gone(pid) && start.elapsed() < Duration::from_secs(4) && !(answered && copies(i, marker) > 0) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    let died = gone(pid);
    let _ = strace.kill();
    let _ = strace.wait();
    (answered, died)
}

#[test]
fn deliver_from_the_queue() {
    kill_each_call_of_a_job("deliver", "SMTP");
}

#[test]
fn deliver_from_lmtp() {
    kill_each_call_of_a_job("deliver", "LMTP");
}

#[test]
fn smtpd() {
    kill_each_call_of_a_job("smtpd", "SMTP");
}

#[test]
fn enqueue() {
    kill_each_call_of_a_service("enqueue");
}

#[test]
fn qrun() {
    kill_each_call_of_a_service("qrun");
}

#[test]
fn lookup() {
    kill_each_call_of_a_service("lookup");
}

#[test]
fn spawn() {
    kill_each_call_of_a_service("spawn");
}
