//! Classes 10, 17: input without end. The process keeps its size.

use crate::smtpfake::instance::Instance;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// Most resident memory a conversation may reach here, KiB (a debug build needs about a quarter of it).
const RESIDENT_MAX: u64 = 40_000;

/// How much is sent: a quick share, or with PENNYPOST_CVE_FULL=1 all that the table names.
fn scale(full: usize, quick: usize) -> usize {
    if std::env::var_os("PENNYPOST_CVE_FULL").is_some() { full } else { quick }
}

/// Sends `start`, then `piece` so many times, then `end`; gives the output and the peak of resident memory in KiB.
fn flood(instance: &Instance, start: &str, piece: &[u8], times: usize, end: &str) -> (String, u64) {
    let mut started = instance.stranger("mx").spawn();
    let pid = started.pid();
    let mut input = started.child.stdin.take().unwrap();
    let mut output = started.child.stdout.take().unwrap();
    let block = piece.repeat((65_536 / piece.len()).max(1));
    let (per_block, start, end) = ((65_536 / piece.len()).max(1), start.to_owned(), end.to_owned());
    let writer = std::thread::spawn(move || {
        let mut left = times;
        let _ = input.write_all(start.as_bytes());
        while left > 0 {
            let now = left.min(per_block);
            if input.write_all(&block[..now * (block.len() / per_block)]).is_err() {
                return;
            }
            left -= now;
        }
        let _ = input.write_all(end.as_bytes());
    });
    let reader = std::thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 65_536]);
        while let Ok(n @ 1..) = output.read(&mut buffer) {
            text.extend_from_slice(&buffer[..n]);
            if text.len() > 1 << 20 {
                text.drain(..text.len() - 4096); // the end is what matters
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let (mut peak, began) = (0, Instant::now());
    while !reader.is_finished() && began.elapsed() < Duration::from_secs(240) {
        peak = peak.max(resident(pid).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(reader.is_finished(), "no end after {:?}", began.elapsed());
    writer.join().unwrap();
    (reader.join().unwrap(), peak)
}

fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

const START: &str = "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ann@here.example>\r\n";

#[test]
fn c17_a_line_without_end() {
    let instance = Instance::usual("");
    for start in ["", "EHLO ", "MAIL FROM:<", "EHLO x\r\nAUTH PLAIN "] {
        let (text, peak) = flood(&instance, start, b"x", 2 << 30, "\r\nQUIT\r\n");
        assert!(text.ends_with("500 5.5.2 line too long\r\n"), "{start}: {text}");
        assert!(peak < RESIDENT_MAX, "{peak} KiB");
    }
}

#[test]
fn c17_headers_without_end() {
    let instance = Instance::usual("");
    let times = scale(1 << 30, 1 << 25) / 4;
    let (text, peak) = flood(&instance, &format!("{START}DATA\r\n"), b"X-Header-Field: y\r\n", times, ".\r\nQUIT\r\n");
    assert!(text.contains("552 5.3.4 ") && text.ends_with("closing connection\r\n"), "{text}");
    assert!(peak < RESIDENT_MAX, "{peak} KiB");
}

#[test]
fn c17_a_body_line_without_end() {
    let instance = Instance::usual("");
    let times = scale(2 << 30, 1 << 28);
    let (text, peak) = flood(&instance, &format!("{START}DATA\r\nA: b\r\n\r\n"), b"x", times, "\r\n.\r\nQUIT\r\n");
    assert!(text.contains("552 5.3.4 message too large\r\n"), "{text}");
    assert!(peak < RESIDENT_MAX, "{peak} KiB");
}

#[test]
fn c17_recipients_without_end() {
    let instance = Instance::usual("[smtpd]\nmax_recipients = 100\ntarpit = 0\n");
    let (text, peak) =
        flood(&instance, START, b"RCPT TO:<ann@here.example>\r\n", scale(1_000_000, 100_000), "QUIT\r\n");
    assert!(text.ends_with("421 4.5.3 far too many recipients\r\n"), "{text}");
    assert!(peak < RESIDENT_MAX, "{peak} KiB");
}

#[test]
fn c10_chunks_without_end() {
    let instance = Instance::usual("");
    let (text, peak) = flood(&instance, START, b"BDAT 0\r\n", scale(1_000_000, 200_000), "BDAT 0 LAST\r\nQUIT\r\n");
    assert!(text.contains("250 2.0.0 queued as "), "{text}");
    assert!(peak < RESIDENT_MAX, "{peak} KiB");
}
