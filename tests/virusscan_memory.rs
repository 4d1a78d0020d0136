//! virusscan's resident memory, over inputs that are several times as large as what it may take.
//!
//! One test in a process of its own: the kernel tells the peak over all children that have ended.

use nix::sys::resource::{UsageWho, getrusage};
use penny_testkit::{Run, TempDir, have, program};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// Of each large input, and what scanning it may take above what scanning a line takes.
const INPUT: usize = 24 << 20;
const ABOVE: i64 = 10 << 20;

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

/// Runs a command that is no child of this process and so does not count: its parent does not wait for it. What says that
/// it is done is its output.
fn pack(dir: &TempDir, command: &str) {
    let line = format!("(exec 2>&1; {command} >/dev/null && echo packed) &");
    let run = Run::new("sh").dir(dir.path()).args(["-c", &line]).limit(Duration::from_secs(300));
    run.run().expect_out("packed");
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
    let mut names = vec!["plain.txt", "attached.eml", "packed.gz"];
    // 2 MiB of window; 4 MiB of dictionary, filled twice
    let zstd = ("zstd", "zstd -q plain.txt -o packed.zst", "packed.zst");
    let sevenz = ("7zz", "head -c 8388608 plain.txt | 7zz a -si -mx=1 -md=4m packed.7z", "packed.7z");
    for (program, command, name) in [zstd, sevenz] {
        if have("large_inputs_take_little_memory", program) {
            pack(&dir, command);
            names.push(name);
        }
    }
    for name in names {
        let above = scan(&dir.join(name)) - before;
        assert!(above < ABOVE, "{name}: {} KiB above {} KiB", above >> 10, before >> 10);
    }
}
