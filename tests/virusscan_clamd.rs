//! virusscan beside a live clamd: as its client, and in its place for clamdscan(1).

use penny_testkit::{Run, TempDir, have, program};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// For a clamd on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// What only the clamd of this test knows; hexadecimal in its database.
const OURS: &str = "a text that one clamd calls a virus";

struct Clamd(Child);

impl Drop for Clamd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A clamd with one signature, on a socket in `dir`.
fn clamd(dir: &TempDir) -> Clamd {
    let hex: String = OURS.bytes().map(|b| format!("{b:02x}")).collect();
    dir.write("db/test.ndb", format!("Only.Clamd:0:*:{hex}\n"));
    let d = dir.path().display();
    let conf = dir.write(
        "clamd.conf",
        format!("DatabaseDirectory {d}/db\nLocalSocket {d}/clamd.sock\nForeground yes\nTemporaryDirectory {d}\n"),
    );
    let mut command = Command::new("clamd");
    command.arg("-c").arg(conf).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let clamd = Clamd(command.spawn().expect("clamd starts"));
    let end = Instant::now() + PATIENCE;
    while UnixStream::connect(dir.join("clamd.sock")).is_err() {
        assert!(Instant::now() < end, "clamd does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    clamd
}

fn virusscan() -> Run {
    Run::new(program!("virusscan")).limit(PATIENCE).arg("--json")
}

fn mail(body: &str) -> String {
    format!("From: a@example.org\nTo: b@example.org\nSubject: s\n\n{body}\n")
}

#[test]
fn a_second_opinion_from_a_live_clamd() {
    const TEST: &str = "virusscan_clamd::a_second_opinion_from_a_live_clamd";
    if !have(TEST, "clamd") {
        return;
    }
    let dir = TempDir::new();
    let running = clamd(&dir);
    let socket = dir.join("clamd.sock");
    let ask = |mail: String| virusscan().arg("--clamd").arg(&socket).stdin(mail).run();
    ask(mail(OURS)).expect_code(1).expect_out("Only.Clamd").expect_out("\"reason\":\"clamd\"");
    ask(mail("harmless")).expect_code(0);
    virusscan().stdin(mail(OURS)).run().expect_code(0);
    // a file named, and what only we find
    let file = dir.write("mail.eml", mail(OURS));
    virusscan().arg("--clamd").arg(&socket).arg(file).run().expect_code(1).expect_out("Only.Clamd");
    let exe = "Content-Type: x/y; name=\"run.exe\"\n\nharmless\n".to_owned();
    ask(exe).expect_code(4);
    // one that is gone is an error, never clean
    drop(running);
    ask(mail("harmless")).expect_code(2).expect_out("error");
}

/// clamdscan on our listener, one process a connection.
fn clamdscan(dir: &TempDir, options: &[&str], file: &Path) -> (String, Option<i32>) {
    let socket = dir.join("ours.sock");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done);
    let server = std::thread::spawn(move || {
        loop {
            let (stream, _) = listener.accept().unwrap();
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let (input, output) = (OwnedFd::from(stream.try_clone().unwrap()), OwnedFd::from(stream));
            let mut command = Command::new(program!("virusscan"));
            command.arg("--clamd-listener").env_remove("PENNYPOST_FILTER");
            command.stdin(Stdio::from(input)).stdout(Stdio::from(output)).status().unwrap();
        }
    });
    let conf = dir.write("client.conf", format!("LocalSocket {}\n", socket.display()));
    let run = Run::new("clamdscan").limit(PATIENCE).arg(format!("--config-file={}", conf.display()));
    let out = run.args(options).args(["--no-summary"]).arg(file).run();
    done.store(true, Ordering::SeqCst);
    let _ = UnixStream::connect(&socket); // wakes the accept
    server.join().unwrap();
    (out.out(), out.code)
}

#[test]
fn clamdscan_takes_us_for_clamd() {
    const TEST: &str = "virusscan_clamd::clamdscan_takes_us_for_clamd";
    if !have(TEST, "clamdscan") {
        return;
    }
    let dir = TempDir::new();
    let eicar = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE!$H+H*"].concat();
    let bad = dir.write("bad.eml", mail("") + &eicar);
    let good = dir.write("good.eml", mail("harmless"));
    for how in ["--stream", "--fdpass"] {
        let (text, code) = clamdscan(&dir, &[how], &bad);
        assert!(code == Some(1) && text.contains("Eicar-Test FOUND"), "{how}: {code:?} {text}");
        let (text, code) = clamdscan(&dir, &[how], &good);
        assert!(code == Some(0) && text.contains(": OK"), "{how}: {code:?} {text}");
    }
}
