//! The world of a script run by hand.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use penny_sieve::Ran;

/// Longest output of a program, octets.
const OUTPUT_MAX: usize = 1 << 20;

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
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

/// Runs a program with input and collects what it prints.
pub fn run_file(path: &Path, args: &[String], input: Option<&[u8]>) -> Result<Ran, String> {
    let mut command = Command::new(path);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::null());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", path.display()))?;
    let writer = child.stdin.take().zip(input.map(<[u8]>::to_vec));
    let writer = writer.map(|(mut pipe, bytes)| std::thread::spawn(move || drop(pipe.write_all(&bytes))));
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if let Some(writer) = writer {
        let _ = writer.join();
    }
    let mut bytes = output.stdout;
    bytes.truncate(OUTPUT_MAX);
    Ok(Ran { success: output.status.success(), output: bytes })
}
