//! The time limit of a delivery: shorter than our callers', so that we end it ourselves, softly.
//!
//! Invariants  at the limit the running program's group is killed and the process ends with 75; what was not yet reported may be delivered
//!             again, never lost

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

static CHILD: AtomicI32 = AtomicI32::new(0);

/// Starts the clock.
pub fn start(seconds: u64) {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(seconds));
        let child = CHILD.load(Ordering::SeqCst);
        if child > 0 {
            penny_sys::process::kill_group(child, 9);
        }
        crate::outcome::say("4.4.7 delivery took too long");
        std::process::exit(75);
    });
}

/// Names the group to kill; 0 for none.
pub fn child(pid: i32) {
    CHILD.store(pid, Ordering::SeqCst);
}
