//! Classes 1, 3, 4, 9, 10, 24, 26: the content of a message and where it ends.

use crate::smtpfake::instance::{Instance, own};
use crate::{ENVELOPE, one, play};
use std::time::{Duration, Instant};

const FAKES: [&[u8]; 11] = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\r\n",
    b"\r.\r",
    b"\r.\n",
    b"\n.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
];

fn smuggle(fake: &[u8]) -> Vec<u8> {
    let second = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<ann@here.example>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n";
    [ENVELOPE.as_bytes(), b"DATA\r\nSubject: x\r\n\r\nfirst", fake, second].concat()
}

#[test]
fn c01_c04_fake_ends_of_data() {
    let instance = Instance::usual("");
    for fake in FAKES {
        assert_eq!(play(&instance, &smuggle(fake)), "220 250 250 250 354 554 221", "{fake:?}");
    }
    assert_eq!(instance.queued().len(), 0);
    let quirk = Instance::usual("[smtpd]\nquirk_bare_lf = true\n");
    for (n, fake) in FAKES.iter().enumerate() {
        assert_eq!(play(&quirk, &smuggle(fake)), "220 250 250 250 354 250 221", "{fake:?}");
        assert_eq!(quirk.queued().len(), n + 1, "{fake:?}");
    }
    assert!(quirk.queued().iter().all(|e| !e.contains('\r') && !e.contains('\0') && e.contains("first")));
}

#[test]
fn c03_fake_ends_with_a_filter_behind() {
    let dir = penny_testkit::TempDir::new();
    let command = Instance::script(dir.path(), "pass", "#!/bin/sh\nexec cat\n");
    own(dir.path());
    let instance =
        Instance::usual(&format!("[[filter]]\nname = \"pass\"\ncommand = [\"{command}\"]\nrewrite = true\n"));
    for fake in FAKES {
        assert_eq!(play(&instance, &smuggle(fake)), "220 250 250 250 354 554 221", "{fake:?}");
    }
    assert_eq!(instance.queued().len(), 0);
}

#[test]
fn c09_nothing_is_left_of_a_refused_content() {
    let instance = Instance::usual("[smtpd]\nmax_size = 100\n");
    let too_big = format!("DATA\r\nA: b\r\n\r\n{}\r\n.\r\n", "x".repeat(200));
    let after = "RCPT TO:<ann@here.example>\r\nDATA\r\nBDAT 0 LAST\r\nQUIT\r\n";
    let input = format!("{ENVELOPE}{too_big}{after}");
    assert_eq!(play(&instance, input.as_bytes()), "220 250 250 250 354 552 503 503 503 221");
    let chunk = format!("{ENVELOPE}BDAT 200\r\n{}{after}", "x".repeat(200));
    assert_eq!(play(&instance, chunk.as_bytes()), "220 250 250 250 552 503 503 503 221");
    let bare = format!("{ENVELOPE}BDAT 4\r\na\rb\n{after}");
    assert_eq!(play(&instance, bare.as_bytes()), "220 250 250 250 554 503 503 503 221");
    assert_eq!(instance.queued().len(), 0);
}

#[test]
fn c10_chunk_sizes() {
    let instance = Instance::usual("");
    for (line, code) in [
        (&b"BDAT -1 LAST"[..], "521"),
        (b"BDAT 99999999999999999999 LAST", "552"),
        (b"BDAT 18446744073709551616 LAST", "552"),
        (b"BDAT 999999999999999999999 LAST", "521"),
        (b"BDAT 0x10", "521"),
        (b"BDAT 1e3", "521"),
        (b"BDAT", "521"),
        (b"BDAT 1 1", "521"),
    ] {
        let start = Instant::now();
        assert_eq!(one(&instance, line), code, "{line:?}");
        assert!(start.elapsed() < Duration::from_secs(60), "{line:?} stalls");
    }
    // commands inside a refused chunk are no commands; mixed DATA and BDAT
    let hidden =
        "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@nowhere.example>\r\nBDAT 6\r\nRSET\r\nNOOP\r\nQUIT\r\n";
    assert_eq!(play(&instance, hidden.as_bytes()), "220 250 250 550 554 250 221");
    let mixed = format!("{ENVELOPE}BDAT 3\r\na\r\nDATA\r\nBDAT 3 LAST\r\nb\r\nQUIT\r\n");
    assert_eq!(play(&instance, mixed.as_bytes()), "220 250 250 250 250 503 250 221");
    assert_eq!(instance.queued().len(), 1);
    let data_after = "EHLO x\r\nMAIL FROM:<a@b.example>\r\nBDAT x\r\nDATA\r\n";
    assert_eq!(play(&instance, data_after.as_bytes()), "220 250 250 521");
}

#[test]
fn c24_nesting_costs_bounded_time() {
    let instance = Instance::usual("");
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    let start = Instant::now();
    let input = format!(
        "EHLO x\r\nMAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<ann@here.example>\r\nBDAT {} LAST\r\n{nested}QUIT\r\n",
        nested.len()
    );
    assert_eq!(play(&instance, input.as_bytes()), "220 250 250 250 554 221");
    let cyclic = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n".repeat(10_000);
    let input =
        input.replace(&nested, &cyclic).replace(&format!("BDAT {}", nested.len()), &format!("BDAT {}", cyclic.len()));
    assert!(play(&instance, input.as_bytes()).ends_with("221"));
    assert!(start.elapsed() < Duration::from_secs(120));
}

#[test]
fn c26_loops() {
    let instance = Instance::new(
        "",
        &[
            ("domains", "here.example local\n"),
            ("users", "ann@here.example:{PLAIN}x::::HOME/ann::\n"),
            ("virtual", "loop1@here.example loop2@here.example\nloop2@here.example loop1@here.example\n"),
        ],
    );
    let many = format!("{ENVELOPE}DATA\r\n{}\r\nx\r\n.\r\nQUIT\r\n", "Received: from x\r\n".repeat(100));
    assert_eq!(play(&instance, many.as_bytes()), "220 250 250 250 354 554 221");
    let cycle = one(&instance, b"MAIL FROM:<a@b.example>\r\nRCPT TO:<loop1@here.example>");
    assert_eq!(cycle, "250"); // MAIL; the address itself is answered at once:
    let input = ENVELOPE.replace("ann@here", "loop1@here") + "QUIT\r\n";
    let answer = play(&instance, input.as_bytes());
    assert!(["220 250 250 550 221", "220 250 250 451 221"].contains(&answer.as_str()), "{answer}");
}
