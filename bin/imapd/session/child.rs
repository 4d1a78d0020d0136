//! Waiting for a program that was started for a message.
use std::io;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// Waits for its end; one that is still there after `patience` is killed, and has no status.
pub fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            Ok(Some(status)) => return Ok(Some(status)),
            other => {
                let _ = child.kill();
                let _ = child.wait();
                return other;
            }
        }
    }
}
