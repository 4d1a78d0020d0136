//! Running a user's program with the message on standard input.
//!
//! Invariants  1. no shell unless the line asks for one by its characters; address parts are in the environment only   2. its own process
//!             group, time limit and memory limit   3. what it prints is kept, bounded, for the bounce
//! Failures    exit codes as in lib/base/src/exit.rs: unknown codes, signals and the time limit are temporary
//! Trust       the command line is the user's own; the program runs as that user

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use penny_base::{Failure, Outcome};
use penny_sys::process::{self, Ended, Program};

use crate::context::Context;
use crate::watchdog;

/// Kept of a program's output.
const OUTPUT_MAX: usize = 4096;
/// Address space of a program, octets.
const MEMORY_MAX: u64 = 4 << 30;
/// Where programs without a path are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A program ready to run.
pub struct Command {
    /// Absolute path.
    pub path: PathBuf,
    /// Arguments.
    pub args: Vec<String>,
    /// More variables.
    pub environment: Vec<(String, String)>,
    /// Keep this much of its output.
    pub output_max: usize,
    /// Time limit.
    pub limit: Duration,
}

/// What came of it.
pub struct Ran {
    /// How it ended; `None` = killed at the time limit.
    pub ended: Option<Ended>,
    /// What it printed (and complained).
    pub output: Vec<u8>,
}

/// Runs a line of `.forward` or `.qmail`.
pub fn run_line(context: &Context, line: &str, extra: &[(String, String)], input: &File) -> Result<Outcome, Failure> {
    let (path, args) = command_line(line)?;
    let command = Command {
        path,
        args,
        environment: extra.to_vec(),
        output_max: OUTPUT_MAX,
        limit: Duration::from_secs(context.config.deliver.pipe_timeout.0),
    };
    let ran = run(context, &command, Some(input))?;
    judge(&ran)
}

/// Done, or a failure that carries the program's own words.
pub fn judge(ran: &Ran) -> Result<Outcome, Failure> {
    let Some(ended) = ran.ended else {
        return Err(Failure::temporary("4.3.0", "the recipient's program took too long"));
    };
    let outcome = Outcome::of_child(ended);
    let (status, text) = words(&ran.output);
    match outcome {
        o if o.is_done() => Ok(o),
        Outcome::Permanent(kind) => {
            let status = status.filter(|s| s.starts_with('5')).unwrap_or_else(|| "5.3.0".into());
            let text = if text.is_empty() { "the recipient's program refused the message".into() } else { text };
            Err(Failure::permanent(kind, &status, text).with_detail(format!("{ended:?}")))
        }
        _ => {
            let status = status.filter(|s| s.starts_with('4')).unwrap_or_else(|| "4.3.0".into());
            let text = if text.is_empty() { "the recipient's program failed".into() } else { text };
            Err(Failure::temporary(&status, text).with_detail(format!("{ended:?}")))
        }
    }
}

/// An enhanced status in front, and the rest on one line.
fn words(output: &[u8]) -> (Option<String>, String) {
    let text = String::from_utf8_lossy(output);
    let joined: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).take(10).collect();
    let line: String = joined.join(" / ").chars().map(|c| if c.is_control() { '?' } else { c }).take(400).collect();
    let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
    let parts: Vec<&str> = first.split('.').collect();
    let digits = |p: &&str| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
    if parts.len() == 3 && parts.iter().all(digits) {
        return (Some(first.to_owned()), rest.to_owned());
    }
    (None, line)
}

/// Words of a line without shell characters, else `/bin/sh -c LINE`: the owner wrote it, nothing foreign is in it.
fn command_line(line: &str) -> Result<(PathBuf, Vec<String>), Failure> {
    let shell = || (PathBuf::from("/bin/sh"), vec!["-c".to_owned(), line.to_owned()]);
    let asks = line.contains(|c: char| "&;<>()$`\\\"'*?[#~=%{}|!\n".contains(c));
    if asks {
        return Ok(shell());
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let name = words.next().ok_or_else(|| Failure::temporary("4.3.5", "empty program"))?;
    if name.contains('/') {
        return Ok((name.into(), words.collect()));
    }
    let found = PATH.split(':').map(|d| PathBuf::from(d).join(&name)).find(|p| p.is_file());
    // a shell built-in (exit) or a program that is gone: the shell says so
    Ok(found.map_or_else(shell, |path| (path, words.collect())))
}

/// The environment of every program: address parts and nothing of ours.
fn environment(context: &Context) -> Vec<(String, String)> {
    let (local, host) = context.parts();
    let ext = context.extension().unwrap_or_default();
    let own = |name: &str, value: &str| (name.to_owned(), value.replace('\0', ""));
    vec![
        own("PATH", PATH),
        own("HOME", &context.owner.home.to_string_lossy()),
        own("USER", &context.owner.user),
        own("LOGNAME", &context.owner.user),
        own("SHELL", "/bin/sh"),
        own("SENDER", context.sender()),
        own("NEWSENDER", context.sender()),
        own("RECIPIENT", context.recipient()),
        own("LOCAL", local),
        own("EXT", &ext),
        own("HOST", host),
        own("MAILDIR", &context.owner.maildir.to_string_lossy()),
        own("RPLINE", &format!("Return-Path: <{}>\n", context.sender())),
        own("DTLINE", &format!("Delivered-To: {}\n", context.recipient())),
        own(
            "UFLINE",
            &format!("From {} \n", if context.sender().is_empty() { "MAILER-DAEMON" } else { context.sender() }),
        ),
        own("ORIG_RECIPIENT", context.recipient()),
        own(
            "ORIGINAL_RECIPIENT",
            &context
                .envelope
                .recipients
                .first()
                .map(|r| r.params.iter().filter(|p| p.is("ORCPT")).filter_map(|p| p.value()).collect::<String>())
                .unwrap_or_default(),
        ),
    ]
}

/// Runs a program to its end or the limit. Standard error goes where standard output goes.
pub fn run(context: &Context, command: &Command, input: Option<&File>) -> Result<Ran, Failure> {
    let fail = |what: &str, e: &std::io::Error| Failure::io(format!("{}: {what}", command.path.display()), e);
    let null = File::open("/dev/null").map_err(|e| fail("open /dev/null", &e))?;
    let (read, write) = penny_sys::net::pipe().map_err(|e| fail("pipe", &e))?;
    let mut program = Program::new(&command.path);
    for arg in &command.args {
        program = program.arg(arg);
    }
    for (name, value) in environment(context).iter().chain(&command.environment) {
        program = program.env(name, value);
    }
    program.directory = Some(if context.owner.home.is_dir() { context.owner.home.clone() } else { "/".into() });
    program.own_group = true;
    program.memory_limit = Some(MEMORY_MAX);
    program.descriptors = vec![input.unwrap_or(&null).as_fd(), write.as_fd(), write.as_fd()];
    let pid = match program.start() {
        Ok(pid) => pid,
        Err(e) => {
            return Err(Failure::temporary("4.3.0", "the recipient's program cannot be started")
                .with_detail(format!("{}: {e}", command.path.display())));
        }
    };
    drop(write);
    watchdog::child(pid);
    let ran = wait(pid, read, command);
    watchdog::child(0);
    Ok(ran)
}

fn wait(pid: i32, read: std::os::fd::OwnedFd, command: &Command) -> Ran {
    let end = Instant::now() + command.limit;
    let mut pipe = File::from(read);
    let mut output = Vec::new();
    let mut open = true;
    loop {
        let ended = process::reap().filter(|(p, _)| *p == pid).map(|(_, e)| e);
        let slice = if ended.is_some() { Duration::ZERO } else { Duration::from_millis(20) };
        // a grandchild may hold the pipe open: the program's own end is what counts
        while open && penny_sys::net::wait_readable(pipe.as_fd(), slice).unwrap_or(false) {
            let mut chunk = [0; 4096];
            match pipe.read(&mut chunk) {
                Ok(0) | Err(_) => open = false,
                Ok(n) => {
                    let room = command.output_max.saturating_sub(output.len()).min(n);
                    output.extend_from_slice(chunk.get(..room).unwrap_or_default());
                }
            }
            if Instant::now() >= end {
                break;
            }
        }
        if let Some(ended) = ended {
            return Ran { ended: Some(ended), output };
        }
        if Instant::now() >= end {
            process::kill_group(pid, 9);
            let _ = process::wait(pid);
            return Ran { ended: None, output };
        }
        if !open {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Refuses programs where they are not allowed (deliver(8), SECURITY).
pub fn allowed(context: &Context) -> Result<(), Failure> {
    let (_, domain) = context.parts();
    let by_domain = context.config.deliver.pipe_domains.iter().any(|d| d.eq_ignore_ascii_case(domain));
    if !context.config.deliver.pipes || !(context.owner.shell_ok || by_domain) {
        return Err(Failure::temporary("4.7.0", "programs are not allowed for this mailbox"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_only_where_asked_for() {
        let line = |l: &str| command_line(l).map(|(p, a)| (p.display().to_string(), a)).ok();
        assert_eq!(line("/x/y a b"), Some(("/x/y".into(), vec!["a".into(), "b".into()])));
        assert_eq!(line("/x/y 'a b'").map(|l| l.0), Some("/bin/sh".into()));
        assert_eq!(line("exit 99"), Some(("/bin/sh".into(), vec!["-c".into(), "exit 99".into()])));
        assert_eq!(line("cat").map(|l| l.0.ends_with("/cat")), Some(true));
    }

    #[test]
    fn words_of_a_program() {
        assert_eq!(words(b"5.7.1 go away\n"), (Some("5.7.1".into()), "go away".into()));
        assert_eq!(words(b"no\nway\x1b\n"), (None, "no / way?".into()));
        assert_eq!(words(b"1.2.3.4 x"), (None, "1.2.3.4 x".into()));
    }

    #[test]
    fn codes() {
        let judge = |code| judge(&Ran { ended: Some(Ended::Code(code)), output: b"4.2.1 later\n".to_vec() });
        assert_eq!(judge(0), Ok(Outcome::Done));
        assert_eq!(judge(99), Ok(Outcome::DoneStop));
        assert!(judge(75).is_err_and(|f| f.is_temporary() && f.status == "4.2.1"));
        assert!(judge(42).is_err_and(|f| f.is_temporary()));
        assert!(judge(100).is_err_and(|f| !f.is_temporary() && f.status == "5.3.0"));
    }
}
