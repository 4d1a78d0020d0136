//! Mail that a program of ours writes itself: handed to `sendmail`, which everybody may run.

use crate::{Config, Failure};
use std::io::Write;
use std::process::{Command, Stdio};

/// Hands a message with LF line ends to the queue.
pub fn submit(config: &Config, from: &str, to: &[String], bytes: &[u8]) -> Result<(), Failure> {
    let program = config.program("sendmail");
    let failed = |e: &std::io::Error| Failure::io(program.display(), e);
    let mut command = Command::new(&program);
    command.env("PENNYPOST_CONFIG", &config.file).arg("-f").arg(from).arg("--").args(to);
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(|e| failed(&e))?;
    let written = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(bytes));
    let status = child.wait().map_err(|e| failed(&e))?;
    written.map_err(|e| failed(&e))?;
    if status.success() { Ok(()) } else { Err(Failure::temporary("4.3.0", format!("sendmail ended with {status}"))) }
}
