//! virusscan's resident memory, over inputs that are several times as large as what it may take.
//!
//! One test in a process of its own: the kernel tells the peak over all children that have ended.

use nix::sys::resource::{UsageWho, getrusage};
use penny_testkit::{Run, TempDir, program};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// Of each large input, and what scanning it may take above what scanning a line takes.
const INPUT: usize = 24 << 20;
const ABOVE: i64 = 16 << 20;

fn scan(file: &Path) -> i64 {
    let run = Run::new(program!("virusscan")).limit(Duration::from_secs(300)).arg("--no-policy").arg(file).run();
    run.expect_code(0).expect_out("clean");
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() * 1024
}

/// Lines of base64 digits: text that packs to three quarters, and as an attachment any octets.
fn lines(out: &mut dyn Write) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 88_172_645_463_325_252u64;
    let mut line = [b'\n'; 77];
    for _ in 0..INPUT / line.len() {
        for digit in &mut line[..76] {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *digit = DIGITS[(state % 64) as usize];
        }
        out.write_all(&line).unwrap();
    }
}

#[test]
fn large_inputs_take_little_memory() {
    let dir = TempDir::new();
    let small = dir.write("small.eml", "From: a@example.org\nSubject: s\n\nhello\n");
    let before = scan(&small);
    let file = |name: &str| BufWriter::new(File::create(dir.join(name)).unwrap());
    lines(&mut file("plain.txt"));
    let mut attached = file("attached.eml");
    attached.write_all(b"From: a@example.org\nContent-Type: application/octet-stream; name=a.bin\n").unwrap();
    attached.write_all(b"Content-Transfer-Encoding: base64\n\n").unwrap();
    lines(&mut attached);
    drop(attached);
    let mut packed = flate2::write::GzEncoder::new(file("packed.gz"), flate2::Compression::fast());
    lines(&mut packed);
    packed.finish().unwrap().flush().unwrap();
    for name in ["plain.txt", "attached.eml", "packed.gz"] {
        let above = scan(&dir.join(name)) - before;
        assert!(above < ABOVE, "{name}: {} KiB above {} KiB", above >> 10, before >> 10);
    }
}
