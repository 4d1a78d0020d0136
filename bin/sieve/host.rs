//! The world of a script run by hand.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use penny_sieve::{Ran, SuiteProgram};

/// Longest output of a program, octets.
const OUTPUT_MAX: usize = 1 << 20;

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = penny_sys::time::now();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Minutes east of UTC of the system's time zone at a moment.
pub fn zone(moment: i64) -> i32 {
    penny_sys::time::zone_minutes(moment)
}

/// The caller's login name.
pub fn user_name() -> String {
    let account = penny_sys::ids::account_by_uid(penny_sys::ids::own_uid()).ok().flatten();
    account.map(|a| a.name).unwrap_or_default()
}

/// Runs a program with input and collects what it prints, until the limit.
pub fn run_program(program: &SuiteProgram<'_>, home: &Path) -> Result<Ran, String> {
    let SuiteProgram { path, args, input, variables, seconds } = *program;
    let mut command = Command::new(path);
    command.envs(variables.iter().copied()).env("USER", user_name()).env("HOME", home);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::null());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().map_err(|e| format!("{path}: {e}"))?;
    let writer = child.stdin.take().zip(input.map(<[u8]>::to_vec));
    let writer = writer.map(|(mut pipe, bytes)| std::thread::spawn(move || drop(pipe.write_all(&bytes))));
    let limit = Duration::from_secs(if seconds == 0 { 600 } else { seconds });
    let output = wait(child, limit).map_err(|e| format!("{path}: {e}"))?;
    if let Some(writer) = writer {
        let _ = writer.join();
    }
    let mut bytes = output.stdout;
    bytes.truncate(OUTPUT_MAX);
    Ok(Ran { success: output.status.success(), output: bytes })
}

/// Waits for the end; a program that is too slow is killed.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<std::process::Output> {
    let (done, ended) = std::sync::mpsc::channel();
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = stdout {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = done.send(()); // nobody waits any more after the limit
        bytes
    });
    if ended.recv_timeout(limit).is_err() {
        child.kill()?;
        child.wait()?;
        return Err(std::io::Error::other("it took more time than it may"));
    }
    let status = child.wait()?;
    let stdout = reader.join().unwrap_or_default();
    Ok(std::process::Output { status, stdout, stderr: Vec::new() })
}
