//! A private server started by `scripts/instance`, stopped when dropped. Shared by several test files.
#![allow(dead_code, unused_imports)] // each test file uses its part

pub use penny_testkit::until;
use penny_testkit::{Client, TempDir};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the programs under test.
pub fn programs() -> PathBuf {
    penny_testkit::programs!()
}

pub struct Instance {
    pub dir: TempDir,
    pub env: HashMap<String, String>,
}

/// What a service's port is above the base of its instance.
const OFFSETS: [u16; 10] = [24, 25, 110, 143, 465, 587, 993, 995, 2525, 4190];

fn script(verb: &str, dir: &Path) -> Command {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new(format!("{root}/scripts/instance"));
    command.arg(verb).arg(dir).env("PENNYPOST_BIN", programs());
    command
}

fn read_env(dir: &Path) -> HashMap<String, String> {
    let text = std::fs::read_to_string(dir.join("env")).expect("DIR/env");
    text.lines().filter_map(|l| l.split_once('=')).map(|(n, v)| (n.into(), v.trim_matches('"').into())).collect()
}

impl Instance {
    /// Starts one with these variables; a port taken in between leads to another base.
    pub fn up(variables: &[(&str, &str)]) -> Instance {
        let dir = TempDir::new();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        let top = dir.path().join("server");
        for _ in 0..5 {
            let mut command = script("up", &top);
            command
                .env("BASE", penny_testkit::free_base(&OFFSETS).to_string())
                .env("USERS", "4")
                .envs(variables.iter().copied());
            let out = command.output().expect("scripts/instance runs");
            if out.status.success() {
                return Instance { env: read_env(&top), dir };
            }
            let text = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(text.contains("is taken") || text.contains("did not open"), "instance up: {text}");
        }
        panic!("no free ports");
    }

    pub fn top(&self) -> PathBuf {
        self.dir.path().join("server")
    }

    pub fn stop(&self) {
        let _ = script("down", &self.top()).output();
    }

    /// Starts again after `stop`, on the same ports.
    pub fn start(&mut self) {
        let ports = self.env.iter().filter(|(n, _)| n.ends_with("_PORT"));
        let out = script("up", &self.top()).env("USERS", "4").envs(ports).output().expect("scripts/instance runs");
        assert!(out.status.success(), "instance up: {}", String::from_utf8_lossy(&out.stderr));
        self.env = read_env(&self.top());
    }

    pub fn restart(&mut self) {
        let out = script("restart", &self.top()).output().expect("scripts/instance runs");
        assert!(out.status.success(), "instance restart: {}", String::from_utf8_lossy(&out.stderr));
        self.env = read_env(&self.top());
    }

    pub fn port(&self, service: &str) -> u16 {
        self.env[&format!("{service}_PORT")].parse().expect("a port")
    }

    pub fn connect(&self, service: &str) -> Client {
        Client::connect(("127.0.0.1", self.port(service)))
    }

    pub fn config(&self) -> PathBuf {
        self.top().join("etc/pennypost.toml")
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.top().join("prog").join(name)
    }

    pub fn queue(&self, part: &str) -> PathBuf {
        self.top().join("spool/queue").join(part)
    }

    /// How many files the queue's entries are; 0 when it is empty.
    pub fn queue_left(&self) -> usize {
        // twice, as a report comes into new/ before what it is about has left cur/
        ["new", "cur", "log", "new", "cur"].iter().map(|d| files(&self.queue(d)).len()).sum()
    }

    pub fn maildir(&self, user: &str) -> PathBuf {
        self.top().join("mail").join(user).join("Maildir")
    }

    /// Pid and name of every process of the instance's programs; `smtpd wait` and the like wait for a start.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let prefix = self.top().join("prog");
        let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
        let pids = pids.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
        let name = |pid: i32| {
            let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            let name = exe.strip_prefix(&prefix).ok()?.to_str()?.trim_end_matches(" (deleted)").to_string();
            let short = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            Some((pid, if short.trim_end().ends_with(" wait") { name + " wait" } else { name }))
        };
        pids.filter_map(name).collect()
    }

    /// The processes of one of them.
    pub fn pids_of(&self, program: &str) -> Vec<i32> {
        self.processes().into_iter().filter(|(_, name)| name == program).map(|(pid, _)| pid).collect()
    }

    pub fn pid_of(&self, program: &str) -> i32 {
        *self.pids_of(program).first().unwrap_or_else(|| panic!("{program} does not run"))
    }

    /// The process of a resident service that `scripts/instance` started.
    pub fn service(&self, name: &str) -> i32 {
        let at = ["spawn", "lookup", "enqueue", "qrun", "listen"].iter().position(|s| *s == name).expect("a service");
        self.env["PIDS"].split(' ').nth(at).and_then(|p| p.parse().ok()).expect("its process")
    }

    /// What a resident service has logged.
    pub fn log(&self, service: &str) -> String {
        std::fs::read_to_string(self.top().join("log").join(service)).unwrap_or_default()
    }

    /// A logged-in IMAP client.
    pub fn imap(&self, user: &str) -> Client {
        let mut c = self.connect("IMAP");
        c.read_line();
        let reply = c.ask(&format!("a0 LOGIN {user}@example.test pw-{user}"), "a0 ");
        assert!(reply.starts_with("a0 OK"), "{reply}");
        c
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = script("down", &self.top()).output();
        // those that took over from what the script started
        for (pid, _) in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("signalled");
}

/// Says a line of SMTP or LMTP and reads the whole reply; gives its last line.
pub fn say(c: &mut Client, line: &str) -> String {
    c.line(line);
    loop {
        let answer = c.read_line().expect("an answer");
        if answer.as_bytes().get(3) != Some(&b'-') {
            return answer;
        }
    }
}

/// Says these lines, each of which must be answered with the code before it.
#[track_caller]
pub fn converse(c: &mut Client, lines: &[(&str, &str)]) {
    for (code, line) in lines {
        let reply = say(c, line);
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
}

/// Files below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() { out.extend(files(&entry.path())) } else { out.push(entry.path()) }
    }
    out
}
