//! Driver: runs targets over their corpus and over seeded mutations of it, without nightly tools.

mod mutate;
mod targets;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A target: its name, what it does with an input, inputs to begin with.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: &'static [&'static [u8]],
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(name) = args.first() else {
        eprintln!("usage: fuzz TARGET|all [seconds] [seed]; targets: {}", names().join(" "));
        return ExitCode::from(64);
    };
    let chosen: Vec<&Target> = targets::all().filter(|t| name == "all" || t.name == name).collect();
    if chosen.is_empty() {
        eprintln!("no target {name}; there are: {}", names().join(" "));
        return ExitCode::from(64);
    }
    let Some(seconds) = args.get(1).and_then(|s| s.parse().ok()) else {
        let mut input = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut input);
        chosen.iter().for_each(|t| (t.run)(&input));
        return ExitCode::SUCCESS;
    };
    let seed = args.get(2).and_then(|s| s.parse().ok()).unwrap_or(1);
    let failed = chosen.iter().filter(|t| !fuzz(t, Duration::from_secs(seconds), seed)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn names() -> Vec<&'static str> {
    targets::all().map(|t| t.name).collect()
}

/// An input of a few KiB that keeps a processor busy for longer is a fault as a crash is. The readers' own limits are below.
const SLOW: Duration = Duration::from_secs(40);
/// Larger files make no seeds: mutations would be few and far between.
const SEED_MAX: u64 = 16 << 10;

fn corpus(target: &Target) -> (PathBuf, Vec<Vec<u8>>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let more = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from);
    let entries = [Some(dir.clone()), more].into_iter().flatten().flat_map(std::fs::read_dir).flatten().flatten();
    let small = entries.filter(|e| e.metadata().is_ok_and(|m| m.len() < SEED_MAX));
    let files = small.filter_map(|e| std::fs::read(e.path()).ok());
    let mut inputs: Vec<Vec<u8>> = target.seeds.iter().map(|s| s.to_vec()).chain(files).collect();
    if inputs.is_empty() {
        inputs.push(Vec::new());
    }
    (dir, inputs)
}

fn fuzz(target: &Target, time: Duration, seed: u64) -> bool {
    let (dir, inputs) = corpus(target);
    let mut rng = mutate::Rng(seed);
    let end = Instant::now() + time;
    let mut count = 0u64;
    let mut slowest = Duration::ZERO;
    let mut next = inputs.clone().into_iter();
    while Instant::now() < end {
        let input = next.next().unwrap_or_else(|| mutate::mutate(&inputs, &mut rng));
        let begin = cpu();
        let result = std::panic::catch_unwind(|| (target.run)(&input));
        let took = cpu().saturating_sub(begin);
        slowest = slowest.max(took);
        count += 1;
        let what = match result {
            Err(_) => "crash",
            Ok(()) if took > SLOW => "slow",
            Ok(()) => continue,
        };
        let _ = std::fs::create_dir_all(&dir);
        let path = dir.join(format!("{what}-{seed}-{count}"));
        let _ = std::fs::write(&path, &input);
        eprintln!("{}: FAILED on {} ({took:?})", target.name, path.display());
        return false;
    }
    println!("{}: {count} inputs, slowest {slowest:?}, peak memory {} MiB", target.name, peak() >> 10);
    true
}

/// Processor time of this process, to a hundredth of a second: proc(5), fields 14 and 15 of stat.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// KiB of memory this process has held at most: a reader that a small input makes hold much shows here.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
