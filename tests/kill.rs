//! kill -9 of each process at each system call that changes something, in the course of one message: what was answered
//! with 250 arrives after a restart, at most once more than it should (the job in flight), and the queue ends empty.
//!
//! A program that lives for one job runs under strace, which kills it at its n-th such call; a resident one is attached
//! to and, once killed, the whole server is started again. n goes up until the program survives.

#[path = "support/strace.rs"]
mod strace;
#[path = "support/instance.rs"]
mod support;

use penny_sys::files::process_exists;
use penny_testkit::{Sink, TempDir};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use strace::Trace;
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

/// The way of the message: where it enters, for whom, and where the host of the foreign domain is.
struct Way {
    i: Instance,
    service: &'static str,
    recipient: &'static str,
    sink: Option<Sink>,
}

impl Way {
    /// Without `waiting`, each program is started from the disk for each piece of work.
    fn new(service: &'static str, recipient: &'static str, waiting: bool) -> Way {
        let foreign = recipient.ends_with("@remote.test");
        let sink = foreign.then(|| {
            let refuses = |line: &str| line.contains("<nobody@").then(|| "550 5.1.1 no such user".to_owned());
            Sink::builder().script(refuses).start()
        });
        // a connection kept for the next message would be a process kept alive
        let extra = TempDir::new();
        extra.write("extra", "[remote]\nidle = 0\n");
        let mut variables = vec![
            ("WAITING", waiting.to_string()),
            ("RETRY_MIN", "1".to_owned()),
            ("EXTRA_CONFIG", extra.join("extra").display().to_string()),
        ];
        variables.extend(sink.as_ref().map(|s| ("SINK_PORT", s.port().to_string())));
        let variables: Vec<_> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
        Way { i: Instance::up(&variables), service, recipient, sink }
    }

    /// Says the whole dialogue at its own pace; true when the message was answered with 250.
    fn send(&self, marker: &str) -> bool {
        self.talk(marker).unwrap_or(false)
    }

    fn talk(&self, marker: &str) -> std::io::Result<bool> {
        let mut s = TcpStream::connect(("127.0.0.1", self.i.port(self.service)))?;
        s.set_read_timeout(Some(penny_testkit::PATIENCE))?;
        let greeting = if self.service == "LMTP" { "LHLO" } else { "EHLO" };
        let lines = [
            String::new(),
            format!("{greeting} c.test\r\n"),
            "MAIL FROM:<user1@example.test>\r\n".into(),
            format!("RCPT TO:<{}>\r\n", self.recipient),
            "DATA\r\n".into(),
            format!("Subject: {marker}\r\n\r\n{marker}\r\n.\r\n"),
        ];
        let mut last = String::new();
        for line in lines {
            s.write_all(line.as_bytes())?;
            last = reply(&mut s)?;
        }
        Ok(last.starts_with("250"))
    }

    /// How often the message, or the report about it, came to its end.
    fn copies(&self, marker: &str) -> usize {
        let line = format!("Subject: {marker}");
        let in_maildir =
            |f: &std::path::PathBuf| std::fs::read_to_string(f).is_ok_and(|t| t.lines().any(|l| l == line));
        let maildir = self.i.maildir("user1");
        let here: usize =
            ["new", "cur"].iter().map(|d| files(&maildir.join(d)).iter().filter(|f| in_maildir(f)).count()).sum();
        let there = self
            .sink
            .as_ref()
            .map_or(0, |s| s.mails().iter().filter(|m| m.text().lines().any(|l| l.trim_end() == line)).count());
        here + there
    }

    /// Waits until nothing is left to do, without waiting for the back-off: the next kill must not meet this message.
    fn is_quiet(&self) {
        until("an empty queue", || {
            let left = self.i.queue_left();
            if left > 0 {
                let _ = Command::new(self.i.program("qctl")).arg("-c").arg(self.i.config()).arg("flush").output();
                std::thread::sleep(Duration::from_millis(50));
            }
            (left == 0).then_some(())
        });
    }

    /// Everything accepted came, with at most one more copy for the job in flight, and nothing is left behind.
    fn settle(&self, accepted: &[String]) {
        self.is_quiet();
        for marker in accepted {
            let n = self.copies(marker);
            assert!((1..=2).contains(&n), "{marker} came {n} times");
        }
        assert!(files(&self.i.queue("corrupt")).is_empty(), "an entry was set aside");
    }
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

/// A program that is started for each job: its place is taken by a script that starts it under strace.
fn kill_each_call_of_a_job(program: &str, way: &Way) {
    let i = &way.i;
    let real = i.top().join("prog").join(format!("{program}.real"));
    std::fs::rename(i.program(program), &real).expect("renamed");
    for d in [i.top(), i.top().join("log")] {
        std::fs::set_permissions(d, std::fs::Permissions::from_mode(0o777)).expect("chmod");
    }
    let (mut accepted, mut killed) = (Vec::new(), 0);
    for call in CALLS {
        for n in 1..CALLS_MAX {
            let (marker, flag) = (format!("crash-{program}-{call}-{n}"), i.top().join(format!("killed-{call}-{n}")));
            place_script(i, program, &real, &flag, &inject(call, n));
            let answered = way.send(&marker);
            let died = was_killed(i, &flag);
            if answered {
                accepted.push(marker);
            }
            way.is_quiet();
            if !died {
                break;
            }
            killed += 1;
        }
    }
    assert!(killed > 0, "{program} was never killed");
    way.settle(&accepted);
}

/// Puts a script in the program's place that starts it under strace, once: the retry of the same message goes through.
fn place_script(i: &Instance, program: &str, real: &Path, flag: &Path, inject: &str) {
    let (log, flag, real) = (i.top().join("log/strace"), flag.display(), real.display());
    let _ = std::fs::remove_file(&log);
    let script = format!(
        "#!/bin/sh\nif mkdir {flag} 2>/dev/null; then exec strace -o {} -e {inject} -- {real} \"$@\"; fi\nexec {real} \"$@\"\n",
        log.display()
    );
    penny_testkit::tmp::executable(&i.program(program), &script);
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

fn kill_each_call_of_a_service(program: &str) {
    if !penny_testkit::have(program, "strace") {
        return;
    }
    let mut way = Way::new("SMTP", "user1@example.test", true);
    let (mut accepted, mut killed) = (Vec::new(), 0);
    for call in CALLS {
        for n in 1..CALLS_MAX {
            let marker = format!("crash-{program}-{call}-{n}");
            let (answered, died) = send_while_traced(&way, program, &inject(call, n), &marker);
            if answered {
                accepted.push(marker);
            }
            if !died {
                break;
            }
            killed += 1;
            way.i.restart();
            way.is_quiet();
        }
    }
    assert!(killed > 0, "{program} was never killed");
    way.settle(&accepted);
}

/// Sends one message with strace at the service; was it answered with 250, and did the service die?
fn send_while_traced(way: &Way, program: &str, inject: &str, marker: &str) -> (bool, bool) {
    let pid = way.i.pid_of(program);
    // the children of spawn and listen are other programs; the threads of enqueue are enqueue
    let follow: &[&str] = if ["spawn", "listen"].contains(&program) { &[] } else { &["-f"] };
    let calls = CALLS.join(",");
    let options: Vec<&str> = [follow, &["-e", inject]].concat();
    let trace = Trace::attach(&way.i, &[pid], &calls, &options);
    let answered = way.send(marker);
    let start = Instant::now();
    // the work goes on after an answer; a refusal comes of the death, which may take a moment, or of something else
    until("the delivery or the death", || {
        !process_exists(pid)
            || if answered { way.copies(marker) > 0 } else { start.elapsed() > Duration::from_secs(20) }
    });
    // and a little after the delivery
    std::thread::sleep(Duration::from_millis(200));
    // nothing kills it once strace has gone, so what is seen then is what stays
    drop(trace);
    (answered, !process_exists(pid))
}

/// What a job does from the network to its end, at each call.
fn job(program: &str, service: &'static str, recipient: &'static str) {
    if penny_testkit::have(program, "strace") {
        kill_each_call_of_a_job(program, &Way::new(service, recipient, false));
    }
}

#[test]
fn deliver_from_the_queue() {
    job("deliver", "SMTP", "user1@example.test");
}

#[test]
fn deliver_from_lmtp() {
    job("deliver", "LMTP", "user1@example.test");
}

#[test]
fn smtpd() {
    job("smtpd", "SMTP", "user1@example.test");
}

#[test]
fn remote() {
    job("remote", "SMTP", "friend@remote.test");
}

#[test]
fn bounce() {
    job("bounce", "SMTP", "nobody@remote.test");
}

#[test]
fn listen() {
    kill_each_call_of_a_service("listen");
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
