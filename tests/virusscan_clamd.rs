//! virusscan beside a live clamd: as its client, and in its place for clamdscan(1).

use penny_testkit::{Daemon, Run, TempDir, have, one_process_each, program};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

/// What only the clamd of this test knows; hexadecimal in its database.
const OURS: &str = "a text that one clamd calls a virus";

/// A clamd with one signature, on a socket in `dir`.
fn clamd(dir: &TempDir) -> Daemon {
    let hex: String = OURS.bytes().map(|b| format!("{b:02x}")).collect();
    dir.write("db/test.ndb", format!("Only.Clamd:0:*:{hex}\n"));
    let d = dir.path().display();
    let conf = dir.write(
        "clamd.conf",
        format!("DatabaseDirectory {d}/db\nLocalSocket {d}/clamd.sock\nForeground yes\nTemporaryDirectory {d}\n"),
    );
    let mut clamd = Daemon::start(Command::new("clamd").arg("-c").arg(conf));
    clamd.answers(&dir.join("clamd.sock"));
    clamd
}

fn virusscan() -> Run {
    Run::new(program!("virusscan")).arg("--json")
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
    let conf = dir.write("client.conf", format!("LocalSocket {}\n", socket.display()));
    let run = Run::new("clamdscan").arg(format!("--config-file={}", conf.display()));
    let run = run.args(options).args(["--no-summary"]).arg(file);
    let command = || {
        let mut command = Command::new(program!("virusscan"));
        command.arg("--clamd-listener").env_remove("PENNYPOST_FILTER");
        command
    };
    let out = one_process_each(listener, command, || drop(UnixStream::connect(&socket)), || run.run());
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
