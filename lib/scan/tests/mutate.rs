//! Seeded mutation over the sample set: nothing panics, nothing runs away.
//!
//! Runs        SCAN_FUZZ_SECONDS (default 3) from SCAN_FUZZ_SEED (default 1); a failure names the sample and the seed
//! Seeds       tests/data/scan/samples.py; without python3 a few built-in ones

use penny_scan::policy::Limits;
use penny_scan::scratch::Scratch;
use penny_scan::sig::{Db, compile};
use penny_scan::walk::{self, Options};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// xorshift64*: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

const EDGES: [u64; 8] = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, 0x8000_0000, u64::MAX];

fn mutate(data: &mut Vec<u8>, other: &[u8], r: &mut Random) {
    for _ in 0..=r.below(6) {
        let at = r.below(data.len());
        match r.below(8) {
            0 => data.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << (at % 8)),
            1 => data.iter_mut().skip(at).take(1).for_each(|b| *b = (at % 251) as u8),
            2 => {
                let edge = EDGES[r.below(EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][r.below(4)];
                data.iter_mut().skip(at).zip(edge).take(width).for_each(|(b, e)| *b = e);
            }
            3 => data.truncate(at.max(1)),
            4 => {
                let end = (at + r.below(64)).min(data.len());
                data.drain(at..end);
            }
            5 => {
                let piece: Vec<u8> = data.iter().skip(at).take(r.below(200)).copied().collect();
                let to = r.below(data.len());
                data.splice(to..to, piece);
            }
            6 => {
                let from = r.below(other.len());
                let piece: Vec<u8> = other.iter().skip(from).take(r.below(2000)).copied().collect();
                data.splice(at..at, piece);
            }
            _ => data.iter_mut().skip(at).take(1).for_each(|b| *b = b.wrapping_add(1)),
        }
        if data.is_empty() {
            data.push(b'P');
        }
    }
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let dir = std::env::temp_dir().join(format!("penny-scan-mutate.{}", std::process::id()));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/scan/samples.py");
    let made = std::process::Command::new("python3").arg(script).arg(&dir).stdout(std::process::Stdio::null()).status();
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    if made.is_ok_and(|s| s.success()) {
        let paths: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().flatten().map(|e| e.path()).collect();
        for path in paths {
            let data = std::fs::read(&path).unwrap();
            if !data.is_empty() && data.len() < 200_000 {
                out.push((path.file_name().unwrap().to_string_lossy().into_owned(), data));
            }
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
    out.push(("mail".into(), b"From: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n".to_vec()));
    out.sort();
    out
}

#[test]
fn no_input_stops_the_walk() {
    let number = |name: &str, other| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(other);
    let (seconds, first) = (number("SCAN_FUZZ_SECONDS", 3), number("SCAN_FUZZ_SEED", 1));
    let seeds = seeds();
    let file = compile::builtin_only();
    let db = Db::open(&file).unwrap();
    let limits =
        Limits { object: 2 << 20, total: 8 << 20, files: 500, time: Duration::from_secs(5), ..Limits::default() };
    let options = Options { limits, all: true, tree: true, ..Options::default() };
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut runs = 0u64;
    while Instant::now() < end {
        let seed = first + runs;
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (name, sample) = &seeds[r.below(seeds.len())];
        let other = &seeds[r.below(seeds.len())].1;
        let mut data = sample.clone();
        mutate(&mut data, other, &mut r);
        let start = Instant::now();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            walk::walk(&db, &options, &mut Scratch::default(), &data, &[]);
        }));
        assert!(result.is_ok(), "panic: sample {name}, SCAN_FUZZ_SEED={seed}");
        assert!(start.elapsed() < Duration::from_secs(60), "{name}, seed {seed}: {:?}", start.elapsed());
        runs += 1;
    }
    assert!(runs > 0);
}
