//! strace attached to running processes: proofs of order, and faults injected into system calls.

#![allow(dead_code)] // each test file uses its part

use super::support::{Instance, until};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Calls a resident program waits in. They are traced so that the log shows when strace really holds it: the kernel
/// names a tracer some time before that.
const WAITING: &str = "accept,accept4,poll,ppoll,epoll_wait,epoll_pwait,select,pselect6,recvmsg,recvfrom,read,futex,\
                       wait4,waitid,restart_syscall,clock_nanosleep,rt_sigtimedwait";

pub struct Trace {
    child: Child,
    log: PathBuf,
}

impl Trace {
    /// Traces `calls` (strace's list) of running processes; `more` are further options.
    pub fn attach(instance: &Instance, pids: &[i32], calls: &str, more: &[&str]) -> Trace {
        let log = instance.dir.path().join(format!("trace{}", pids.first().expect("a process")));
        let _ = std::fs::remove_file(&log);
        let mut command = Command::new("strace");
        command.args(["-y", "-ttt", "-s", "300", "-e", &format!("trace={WAITING},{calls}"), "-o"]).arg(&log).args(more);
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
        }
        // with one process and no -f there are no pids in the log
        let alone = pids.len() == 1 && !more.contains(&"-f");
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace starts");
        let trace = Trace { child, log };
        until("strace", || {
            let text = trace.text();
            let shown = |pid: &i32| text.lines().any(|l| l.split_whitespace().next() == Some(&pid.to_string()));
            // a process that has ended meanwhile is none to wait for
            let gone = |pid: &i32| !penny_sys::files::process_exists(*pid);
            (!text.is_empty() && (alone || pids.iter().all(|p| shown(p) || gone(p)))).then_some(())
        });
        trace
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Ends the trace and gives its lines in the order the calls ended.
    pub fn lines(mut self) -> Vec<String> {
        let _ = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        whole_lines(&self.text())
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a log that strace wrote by itself.
pub fn read_lines(log: &Path) -> Vec<String> {
    whole_lines(&std::fs::read_to_string(log).expect("trace"))
}

/// Joins `<unfinished ...>` with its `resumed` line, at the place where the call ended.
fn whole_lines(text: &str) -> Vec<String> {
    let mut open = std::collections::HashMap::new();
    let mut out = Vec::new();
    for line in text.lines() {
        let pid = line.split_whitespace().next().unwrap_or("").to_string();
        if let Some(head) = line.strip_suffix(" <unfinished ...>") {
            open.insert(pid, head.to_string());
        } else if let Some((_, tail)) = line.split_once(" resumed>") {
            out.push(open.remove(&pid).unwrap_or_default() + tail);
        } else {
            out.push(line.to_string());
        }
    }
    out
}
