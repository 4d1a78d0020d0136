//! The clock: who keeps it, and whether it is behind what was written already.
//!
//! Mail needs it right: signatures expire, certificates begin, greylists and back-off count, readers sort by date.

use super::machine::{Finding, State, found};
use penny_base::Config;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Off by this much, DKIM signatures with `t=` and one-time tokens begin to fail.
const ERROR_MAX: Duration = Duration::from_secs(2);
/// Files may be this far ahead: another host's clock on a shared file system.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// Looks at both.
pub fn look(config: &Config) -> Vec<Finding> {
    let mut out: Vec<Finding> = behind(config).into_iter().collect();
    out.push(match penny_sys::time::clock() {
        Err(e) => found("clock", State::Warning, format!("the kernel does not tell how well it is kept: {e}")),
        Ok(clock) if !clock.kept => {
            found("clock", State::Warning, "nothing keeps it (NTP: chrony, ntpd-rs, systemd-timesyncd)")
        }
        Ok(clock) if clock.error > ERROR_MAX => {
            found("clock", State::Warning, format!("may be {:.1} s off", clock.error.as_secs_f64()))
        }
        Ok(clock) => found("clock", State::Ok, format!("kept, at most {:.3} s off", clock.error.as_secs_f64())),
    });
    out
}

/// A clock that is behind a file we wrote has gone back, or never was right.
fn behind(config: &Config) -> Option<Finding> {
    let places = [&config.file, &config.paths.tables, &config.paths.state, &config.paths.queue];
    let queue = ["new", "log"].map(|d| config.paths.queue.join(d));
    let program = std::env::current_exe().ok();
    let all = places.into_iter().cloned().chain(queue).chain(program);
    let (place, latest) = all.flat_map(with_entries).filter_map(dated).max_by_key(|(_, time)| *time)?;
    let ahead = latest.duration_since(SystemTime::now()).ok().filter(|a| *a > AHEAD_MAX)?;
    let span = crate::status::span(ahead.as_secs());
    Some(found("clock", State::Error, format!("{} was written {span} from now: the clock is behind", place.display())))
}

/// A place and, for a directory, what is in it; the times of queue/cur are those of next tries.
fn with_entries(place: PathBuf) -> Vec<PathBuf> {
    let inside = place.read_dir().into_iter().flatten().flatten().map(|e| e.path());
    inside.chain([place.clone()]).collect()
}

fn dated(place: PathBuf) -> Option<(PathBuf, SystemTime)> {
    let time = std::fs::symlink_metadata(&place).and_then(|m| m.modified()).ok()?;
    Some((place, time))
}
