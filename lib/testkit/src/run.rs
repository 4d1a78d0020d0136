//! Runs a program with given input, arguments and environment, under a time limit, and captures all it says.
//!
//! Invariants  1. the environment is empty but for PATH and what the test sets: a developer's variables change nothing
//!             2. at the limit the whole process group is killed

use crate::wait::PATIENCE;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program to run; built step by step, then [`Run::run`] or [`Run::spawn`].
#[derive(Debug, Clone)]
pub struct Run {
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    dir: Option<PathBuf>,
    stdin: Vec<u8>,
    limit: Duration,
    uid: Option<(u32, u32)>,
}

/// How a program ended and what it said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Killed by us at the time limit.
    pub timed_out: bool,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text, bad UTF-8 replaced.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text, bad UTF-8 replaced.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Asserts the exit code, showing everything when it differs.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.describe());
        self
    }

    /// Asserts that standard output contains `text`.
    #[track_caller]
    pub fn expect_out(&self, text: &str) -> &Self {
        assert!(self.out().contains(text), "no {text:?} in output: {}", self.describe());
        self
    }

    /// Asserts that standard error contains `text`.
    #[track_caller]
    pub fn expect_err(&self, text: &str) -> &Self {
        assert!(self.err().contains(text), "no {text:?} in errors: {}", self.describe());
        self
    }

    /// Everything, for a failure message.
    pub fn describe(&self) -> String {
        format!(
            "code {:?} signal {:?}{}\n--- stdout\n{}\n--- stderr\n{}",
            self.code,
            self.signal,
            if self.timed_out { " (time limit)" } else { "" },
            self.out(),
            self.err()
        )
    }
}

impl Run {
    /// A run of `program` (a path, or a name looked up in PATH) with no arguments, empty input and a limit of [`PATIENCE`].
    pub fn new(program: impl AsRef<Path>) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: BTreeMap::from([("PATH".into(), path)]),
            dir: None,
            stdin: Vec::new(),
            limit: PATIENCE,
            uid: None,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets one environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets the working directory.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Sets what the program reads on standard input.
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_owned();
        self
    }

    /// Sets the time limit.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs under another uid and gid (the test must be root).
    pub fn uid(mut self, uid: u32, gid: u32) -> Self {
        self.uid = Some((uid, gid));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(&self.env).process_group(0);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        if let Some((uid, gid)) = self.uid {
            command.gid(gid).uid(uid);
        }
        command
    }

    /// Starts it with pipes on standard input and output (errors go to the test's), for a dialogue.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(&self) -> Started {
        let child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", self.program.display()));
        Started { child }
    }

    /// Runs it to its end, or to the limit.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(&self) -> Output {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", self.program.display()));
        let writer = child.stdin.take().map(|mut pipe| {
            let bytes = self.stdin.clone();
            // a program that does not read its input is no error: EPIPE is ignored
            std::thread::spawn(move || drop(pipe.write_all(&bytes)))
        });
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        let (status, timed_out) = wait_limited(&mut child, self.limit);
        let output = Output {
            code: status.code(),
            signal: status.signal(),
            timed_out,
            stdout: stdout.map(finish).unwrap_or_default(),
            stderr: stderr.map(finish).unwrap_or_default(),
        };
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        output
    }
}

/// A running program; dropped, its process group is killed.
#[derive(Debug)]
pub struct Started {
    /// The process, with its pipes still inside.
    pub child: Child,
}

impl Started {
    /// Waits for the end, at most `limit`.
    pub fn wait(mut self, limit: Duration) -> Option<i32> {
        self.child.stdin.take();
        wait_limited(&mut self.child, limit).0.code()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill_group(&self.child);
            let _ = self.child.wait();
        }
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.read_to_end(&mut all);
        all
    })
}

fn finish(handle: std::thread::JoinHandle<Vec<u8>>) -> Vec<u8> {
    handle.join().unwrap_or_default()
}

fn wait_limited(child: &mut Child, limit: Duration) -> (std::process::ExitStatus, bool) {
    let end = Instant::now() + limit;
    let mut nap = Duration::from_micros(200);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return (status, false),
            Ok(None) if Instant::now() < end => std::thread::sleep(nap),
            Ok(None) => {
                kill_group(child);
                return (child.wait().unwrap_or_else(|e| panic!("wait: {e}")), true);
            }
            Err(e) => panic!("wait: {e}"),
        }
        nap = (nap * 2).min(Duration::from_millis(10));
    }
}

pub(crate) fn kill_group(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_output_and_code() {
        let out = Run::new("/bin/sh").args(["-c", "cat; echo oops >&2; exit 3"]).stdin("hello").run();
        assert_eq!((out.code, out.out().as_str(), out.err().as_str()), (Some(3), "hello", "oops\n"));
    }

    #[test]
    fn large_input_not_read_does_not_hang() {
        let out = Run::new("/bin/true").stdin(vec![b'x'; 1 << 20]).run();
        assert_eq!(out.code, Some(0));
    }

    #[test]
    fn limit_kills_the_group() {
        let start = Instant::now();
        let out = Run::new("/bin/sh").args(["-c", "sleep 60 & sleep 60"]).limit(Duration::from_millis(200)).run();
        assert!(out.timed_out && out.signal == Some(9));
        assert!(start.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn environment_is_only_what_the_test_sets() {
        let out = Run::new("/usr/bin/env").env("A", "b").run();
        let mut names: Vec<_> = out.out().lines().map(|l| l.split('=').next().unwrap_or("").to_owned()).collect();
        names.sort();
        assert_eq!(names, ["A", "PATH"]);
    }
}
