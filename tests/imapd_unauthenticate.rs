//! imapd: UNAUTHENTICATE (RFC 8437) on a running server: another process and another user on the same connection, plain and TLS.

#[path = "support/instance.rs"]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use support::{Instance, until};

/// One server for all of it: its start takes longer than the rest.
#[test]
fn a_connection_serves_one_user_after_the_other() {
    let i = Instance::up(&[]);
    plain(&i);
    compressed_is_over(&i);
    tls(&i);
    by_hand(&i);
}

fn sessions(i: &Instance) -> Vec<i32> {
    let talks = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|word| word == b"--session") && !line.ends_with(b"wait\0")
    };
    let imapd = i.processes().into_iter().filter(|(_, name)| name == "imapd").map(|(pid, _)| pid);
    imapd.filter(talks).collect()
}

fn plain(i: &Instance) {
    let mut c = i.connect("IMAP");
    c.read_line();
    let answer = c.ask("a LOGIN user1@example.test pw-user1", "a ");
    assert!(answer.contains(" UNAUTHENTICATE"), "{answer}");
    c.send("b CREATE One\r\nc ENABLE IMAP4rev2\r\nd SELECT One\r\n");
    c.until("d OK");
    // the answer comes from a process that is no session, and knows nothing of the last one
    let answer = c.ask("e UNAUTHENTICATE", "e ");
    assert!(answer.starts_with("e OK [CAPABILITY ") && answer.contains("AUTH=PLAIN"), "{answer}");
    let answer = c.ask("f SELECT One", "f ");
    assert!(answer.starts_with("f BAD"), "{answer}");
    let answer = c.ask("g UNAUTHENTICATE", "g ");
    assert!(answer.starts_with("g BAD"), "{answer}");
    // what was sent ahead is understood by the next process (RFC 8437 3), a wrong password harms nobody
    c.send("h LOGIN user2@example.test wrong\r\ni LOGIN user2@example.test pw-user2\r\nj STATUS One (MESSAGES)\r\nk UNAUTHENTICATE\r\n");
    c.send("l LOGIN user1@example.test pw-user1\r\nm STATUS One (MESSAGES)\r\nn LOGOUT\r\n");
    let lines = c.until("n OK").join("\n");
    for want in [
        "h NO [AUTHENTICATIONFAILED]",
        "i OK",
        "j NO [NONEXISTENT]",
        "k OK",
        "l OK",
        "* STATUS One (MESSAGES 0)",
        "m OK",
    ] {
        assert!(lines.contains(want), "{want}: {lines}");
    }
    until("the sessions have ended", || sessions(i).is_empty().then_some(()));
}

fn compressed_is_over(i: &Instance) {
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
    let mut c = i.connect("IMAP");
    c.read_line();
    c.ask("a LOGIN user1@example.test pw-user1", "a OK");
    c.ask("b COMPRESS DEFLATE", "b OK");
    let mut packed = Vec::with_capacity(1000);
    let mut deflate = Compress::new(Compression::fast(), false);
    deflate.compress_vec(b"c UNAUTHENTICATE\r\n", &mut packed, FlushCompress::Sync).expect("deflate");
    c.send(&packed);
    let (mut inflate, mut text) = (Decompress::new(false), Vec::with_capacity(1000));
    let mut answer = Vec::new();
    // how a sync flush ends (RFC 1951 3.2.4: an empty stored block)
    while !answer.ends_with(&[0, 0, 0xff, 0xff]) {
        answer.extend(c.read_exact(1));
    }
    inflate.decompress_vec(&answer, &mut text, FlushDecompress::Sync).expect("inflate");
    assert!(text.starts_with(b"c OK"), "{}", String::from_utf8_lossy(&text));
    let answer = c.ask("d LOGIN user2@example.test pw-user2", "d ");
    assert!(answer.starts_with("d OK"), "{answer}");
}

fn tls(i: &Instance) {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_quiet", "-connect", &format!("127.0.0.1:{}", i.port("IMAPS"))])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    let mut input = child.stdin.take().expect("piped");
    let text = "a LOGIN user1@example.test pw-user1\r\nb UNAUTHENTICATE\r\nc LOGIN user2@example.test pw-user2\r\nd CREATE Two\r\ne LOGOUT\r\n";
    input.write_all(text.as_bytes()).expect("written");
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok).collect();
    let _ = child.wait();
    let lines = lines.join("\n");
    let capabilities = lines.lines().find(|l| l.starts_with("b OK")).unwrap_or_default();
    // still TLS: a password may be shown, and TLS cannot begin again
    assert!(capabilities.contains("AUTH=PLAIN") && !capabilities.contains("STARTTLS"), "{lines}");
    assert!(!capabilities.contains("LOGINDISABLED") && lines.contains("d OK") && lines.contains("e OK"), "{lines}");
    assert!(i.maildir("user2").join(".Two").is_dir() && !i.maildir("user1").join(".Two").exists());
}

/// A session without a login has none to go back to.
fn by_hand(i: &Instance) {
    let run = penny_testkit::Run::new(i.program("imapd")).arg("-c").arg(i.config()).arg("--session");
    let out = run.env("USER", "joe").env("HOME", i.dir.join("joe")).env("PENNYPOST_SHELL_OK", "1");
    let out = out.stdin("a CAPABILITY\r\nb UNAUTHENTICATE\r\nc NOOP\r\n").run().out();
    assert!(!out.contains(" UNAUTHENTICATE ") && out.contains("b BAD") && out.contains("c OK"), "{out}");
}
