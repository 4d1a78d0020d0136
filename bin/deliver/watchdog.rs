//! The time limit of a delivery: shorter than our callers', so that we end it ourselves, softly.
//!
//! Invariants  at the limit the running program's group is killed and the process ends with 75; what was not yet reported may be delivered
//!             again, never lost

use penny_base::Failure;

/// Starts the clock.
pub fn start(seconds: u64) -> Result<(), Failure> {
    let started = penny_sys::watchdog::start(seconds, "4.4.7 delivery took too long\n", 75);
    started.map_err(|e| Failure::io("time limit", &e))
}

/// Names the group to kill; 0 for none.
pub fn child(pid: i32) {
    penny_sys::watchdog::group(pid);
}
