//! Arguments, the instance description, output, process accounting.
use crate::net::Res;
use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub struct Args(pub HashMap<String, String>);
impl Args {
    /// `--key value` pairs; a key followed by another key or nothing means "yes".
    pub fn parse(v: &[String]) -> Res<Args> {
        let mut m = HashMap::new();
        let mut i = 0;
        while i < v.len() {
            let k = v[i].strip_prefix("--").ok_or_else(|| format!("not an option: {}", v[i]))?;
            if i + 1 < v.len() && !v[i + 1].starts_with("--") {
                m.insert(k.to_string(), v[i + 1].clone());
                i += 2;
            } else {
                m.insert(k.to_string(), "yes".into());
                i += 1;
            }
        }
        Ok(Args(m))
    }
    pub fn num(&self, k: &str, d: usize) -> usize {
        match self.0.get(k) {
            Some(s) => s.parse().unwrap_or_else(|_| {
                eprintln!("mailbench: --{k} wants a number, not {s:?}");
                std::process::exit(2)
            }),
            None => d,
        }
    }
    pub fn str(&self, k: &str, d: &str) -> String {
        self.0.get(k).cloned().unwrap_or_else(|| d.to_string())
    }
    pub fn yes(&self, k: &str) -> bool {
        self.0.get(k).is_some_and(|v| v != "no")
    }
}

/// What the adapter's `up` wrote into DIR/env.
#[derive(Clone)]
pub struct Env(HashMap<String, String>);
impl Env {
    pub fn load(path: &str) -> Res<Env> {
        let t = fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
        let mut m = HashMap::new();
        for l in t.lines() {
            if let Some((k, v)) = l.split_once('=') {
                m.insert(k.trim().to_string(), v.trim().trim_matches(|c| c == '"' || c == '\'').to_string());
            }
        }
        Ok(Env(m))
    }
    pub fn get(&self, k: &str) -> Res<&str> {
        self.0.get(k).map(String::as_str).ok_or_else(|| format!("the instance has no {k}"))
    }
    pub fn opt(&self, k: &str) -> Option<&str> {
        self.0.get(k).map(String::as_str)
    }
    pub fn port(&self, k: &str) -> Res<u16> {
        let key = format!("{}_PORT", k.to_uppercase());
        self.get(&key)?.parse().map_err(|_| format!("bad {key}"))
    }
    pub fn host(&self) -> &str {
        self.opt("HOST").unwrap_or("127.0.0.1")
    }
    pub fn users(&self) -> usize {
        self.opt("USERS").and_then(|s| s.parse().ok()).unwrap_or(100)
    }
    pub fn address(&self, n: usize) -> String {
        format!("user{n}@{}", self.opt("DOMAIN").unwrap_or("example.test"))
    }
    pub fn maildir(&self, n: usize) -> Res<String> {
        Ok(self.get("MAILDIR_OF_USER")?.replace("%u", &format!("user{n}")))
    }
    pub fn owner(&self) -> (u32, u32) {
        let f = |k| self.opt(k).and_then(|s| s.parse().ok()).unwrap_or(0);
        (f("MAIL_UID"), f("MAIL_GID"))
    }
    pub fn procs(&self) -> Procs {
        let roots = self.opt("PIDS").unwrap_or("").split_whitespace().filter_map(|s| s.parse().ok()).collect();
        Procs { roots, group: self.opt("CGROUP").map(String::from) }
    }
}

/// Prints one figure as a JSON line.
pub struct Out {
    pub peer: String,
    pub prefix: String,
    pub rep: usize,
}
impl Out {
    pub fn put(&self, name: &str, value: f64, unit: &str) {
        let v = if value.is_finite() { format!("{value:.4}") } else { "null".into() };
        println!(
            "{{\"peer\":\"{}\",\"name\":\"{}/{}\",\"value\":{},\"unit\":\"{}\",\"rep\":{}}}",
            self.peer, self.prefix, name, v, unit, self.rep
        );
    }
    /// A command: its time, and the CPU time that the server spent on it.
    pub fn command(&self, name: &str, r: &crate::imap::Resp) {
        self.ms(name, r.took);
        self.put(&format!("{name}_cpu"), r.cpu * 1e3, "ms-cpu");
    }
    pub fn ms(&self, name: &str, d: Duration) {
        self.put(name, d.as_secs_f64() * 1e3, "ms");
    }
    /// What went wrong, if anything did.
    pub fn wrong(&self, name: &str, n: u64) {
        if n > 0 {
            self.put(name, n as f64, "count");
        }
    }
}

pub fn median(v: &mut [f64]) -> f64 {
    quantile(v, 0.5)
}
pub fn quantile(v: &mut [f64], q: f64) -> f64 {
    if v.is_empty() {
        return f64::NAN;
    }
    v.sort_by(f64::total_cmp);
    v[((v.len() - 1) as f64 * q).round() as usize]
}

/// Ticks of /proc/PID/stat in a second, the same on every Linux (USER_HZ).
const TICKS: f64 = 100.0;

fn stat_fields(pid: u32) -> Option<(u32, u64)> {
    let s = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &s[s.rfind(')')? + 2..];
    let f: Vec<&str> = rest.split(' ').collect();
    let ppid = f.get(1)?.parse().ok()?;
    let mut ticks = 0;
    for k in 11..15 {
        ticks += f.get(k)?.parse::<i64>().ok()?.max(0) as u64;
    }
    Some((ppid, ticks))
}

/// The processes of an instance: those of its control group if it has one, and
/// all at or below its pids.
#[derive(Clone)]
pub struct Procs {
    pub roots: Vec<u32>,
    pub group: Option<String>,
}

impl Procs {
    pub fn list(&self) -> Vec<u32> {
        let mut all = Vec::new();
        if let Ok(d) = fs::read_dir("/proc") {
            for e in d.flatten() {
                if let Some(pid) = e.file_name().to_str().and_then(|s| s.parse::<u32>().ok())
                    && let Some((pp, _)) = stat_fields(pid)
                {
                    all.push((pid, pp));
                }
            }
        }
        let mut out: Vec<u32> = all.iter().map(|x| x.0).filter(|p| self.roots.contains(p)).collect();
        if let Some(t) = self.group.as_ref().and_then(|g| fs::read_to_string(format!("{g}/cgroup.procs")).ok()) {
            out.extend(t.lines().filter_map(|l| l.parse::<u32>().ok()));
            out.sort_unstable();
            out.dedup();
        }
        let mut i = 0;
        while i < out.len() {
            for (p, pp) in &all {
                if *pp == out[i] && !out.contains(p) {
                    out.push(*p);
                }
            }
            i += 1;
        }
        out
    }

    /// CPU seconds used so far: of the control group, or of the live processes and
    /// their ended children.
    pub fn cpu(&self) -> f64 {
        if let Some(g) = &self.group {
            if let Some(ns) =
                fs::read_to_string(format!("{g}/cpuacct.usage")).ok().and_then(|t| t.trim().parse::<f64>().ok())
            {
                return ns / 1e9;
            }
            if let Ok(t) = fs::read_to_string(format!("{g}/cpu.stat"))
                && let Some(us) =
                    t.lines().find_map(|l| l.strip_prefix("usage_usec ")).and_then(|s| s.parse::<f64>().ok())
            {
                return us / 1e6;
            }
        }
        self.list().iter().filter_map(|p| stat_fields(*p)).map(|x| x.1 as f64 / TICKS).sum()
    }
}

/// (PSS in KiB, private memory in KiB, processes) of the instance.
pub fn pss(procs: &Procs) -> (u64, u64, usize) {
    let (mut pss, mut private, mut n) = (0, 0, 0);
    for p in procs.list() {
        let Ok(t) = fs::read_to_string(format!("/proc/{p}/smaps_rollup")) else { continue };
        n += 1;
        for l in t.lines() {
            let v = || l.split_whitespace().nth(1).and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
            if l.starts_with("Pss:") {
                pss += v();
            } else if l.starts_with("Private_Clean:") || l.starts_with("Private_Dirty:") {
                private += v();
            }
        }
    }
    (pss, private, n)
}

/// CPU seconds of this process.
pub fn own_cpu() -> f64 {
    stat_fields(std::process::id()).map_or(0.0, |x| x.1 as f64 / TICKS)
}

/// Measures a stretch of work: wall clock, the server's CPU, our own CPU.
pub struct Watch {
    t: Instant,
    server: f64,
    own: f64,
    procs: Procs,
}
impl Watch {
    pub fn start(env: &Env) -> Watch {
        let procs = env.procs();
        Watch { server: procs.cpu(), own: own_cpu(), t: Instant::now(), procs }
    }
    pub fn wall(&self) -> f64 {
        self.t.elapsed().as_secs_f64()
    }
    pub fn cpu(&self, out: &Out, n: f64, per: &str) {
        let wall = self.wall();
        let own = own_cpu() - self.own;
        let server = self.procs.cpu() - self.server;
        out.put(&format!("server_cpu_per_{per}"), server * 1e3 / n, "ms-cpu");
        out.put("generator_cpu_share", own / wall, "cores");
    }
}

/// Sessions one after the other on each of `conns` threads for `secs` seconds, and their rate. `user` is given the number of
/// its thread and makes what runs one session there. Returns the milliseconds of each.
pub fn sessions<S, U>(env: &Env, out: &Out, conns: usize, secs: usize, user: U) -> Vec<f64>
where
    S: FnMut() -> Res<()>,
    U: Fn(usize) -> S + Sync,
{
    let failed = AtomicU64::new(0);
    let w = Watch::start(env);
    let end = Instant::now() + Duration::from_secs(secs as u64);
    let work = |j| {
        let mut session = user(j);
        let mut took = Vec::new();
        while Instant::now() < end {
            let t = Instant::now();
            match session() {
                Ok(()) => took.push(t.elapsed().as_secs_f64() * 1e3),
                Err(e) => {
                    if failed.fetch_add(1, Ordering::Relaxed) == 0 {
                        eprintln!("mailbench: {e}");
                    }
                }
            }
        }
        took
    };
    let took: Vec<f64> = std::thread::scope(|s| {
        let work = &work;
        let threads: Vec<_> = (0..conns).map(|j| s.spawn(move || work(j))).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap_or_default()).collect()
    });
    out.put("rate", took.len() as f64 / w.wall(), "sessions/s");
    w.cpu(out, took.len() as f64, "session");
    out.wrong("failed", failed.into_inner());
    took
}
