//! Reading the log back: files (gzip too), directories of them, standard input, or the journal.
//!
//! Format      pennypost-log(5) behind whatever the log's keeper puts before a line: nothing, syslog's old or ISO time,
//!             journalctl -o short-unix, multilog's TAI64N
//! Trust       fields are hostile text that the writer escaped; they are shown escaped again

mod line;
mod time;

pub use line::Line;
pub use time::{clock, day, hour};

use crate::table::unreadable;
use clap::Args;
use penny_base::{Config, Failure};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

/// Where the log is.
#[derive(Debug, Clone, Args)]
pub struct Source {
    /// Log file, directory of log files, or - for standard input; else the journal, /var/log/mail.log, or the log of
    /// multilog.
    #[arg(long = "log", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How far back the journal is read: -1d, yesterday, 2026-11-24.
    #[arg(long, default_value = "-7d", allow_hyphen_values = true)]
    since: String,
    /// Lines before that time are not asked for, and may be passed over.
    #[arg(skip)]
    from: f64,
}

/// Files of a log that is not in the journal.
const USUAL: [&str; 3] = ["/var/log/mail.log", "/var/log/maillog", "/var/log/pennypost/current"];

/// Longest line taken.
const LINE_MAX: u64 = 64 * 1024;

impl Source {
    /// The files there are, without the journal.
    fn files(&self) -> Vec<PathBuf> {
        let mut out = Vec::new();
        for path in &self.paths {
            if path.is_dir() {
                let mut inside: Vec<PathBuf> =
                    path.read_dir().into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_file()).collect();
                // rotated files are older: mail.log.2.gz, mail.log.1, mail.log
                inside.sort_by_key(|p| p.metadata().and_then(|m| m.modified()).ok());
                out.extend(inside);
            } else {
                out.push(path.clone());
            }
        }
        out
    }

    /// Gives every line of ours to `take`, in the order of each file.
    pub fn each(&self, take: &mut dyn FnMut(Line)) -> Result<(), Failure> {
        if self.paths.is_empty() {
            return self.usual(self.journal(take)?, &USUAL, take);
        }
        for path in self.files() {
            if path == Path::new("-") {
                read(std::io::stdin().lock(), take).map_err(|e| Failure::io("standard input", &e))?;
                continue;
            }
            self.file(&path, take)?;
        }
        Ok(())
    }

    /// The first of these files, unless the journal had a line.
    fn usual(&self, journal: Option<bool>, files: &[&str], take: &mut dyn FnMut(Line)) -> Result<(), Failure> {
        if journal == Some(true) {
            return Ok(());
        }
        for usual in files {
            if Path::new(usual).exists() {
                let old = PathBuf::from(format!("{usual}.1"));
                if old.exists() {
                    self.file(&old, take)?;
                }
                return self.file(Path::new(usual), take);
            }
        }
        if journal.is_some() && self.from > 0.0 {
            return Ok(()); // nothing happened since then
        }
        Err(Failure::usage("no log was found: name it with --log PATH"))
    }

    /// Reads the journal and tells whether it had a line; nothing where there is none to read.
    fn journal(&self, take: &mut dyn FnMut(Line)) -> Result<Option<bool>, Failure> {
        if !Path::new("/run/systemd/system").is_dir() {
            return Ok(None);
        }
        let mut command = Command::new("journalctl");
        command.args(["--quiet", "--no-pager", "--output=short-unix", "--unit=pennypost*", "--since", &self.since]);
        let Ok(mut child) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else { return Ok(None) };
        let mut any = false;
        if let Some(out) = child.stdout.take() {
            read(out, &mut |line| {
                any = true;
                take(line);
            })
            .map_err(|e| Failure::io("journalctl", &e))?;
        }
        Ok(child.wait().is_ok_and(|s| s.success()).then_some(any))
    }

    fn file(&self, path: &Path, take: &mut dyn FnMut(Line)) -> Result<(), Failure> {
        file(path, self.from, take).map_err(|e| unreadable(path, &e))
    }

    /// All lines at once, for several passes over what can be read only once.
    pub fn all(&self) -> Result<Vec<Line>, Failure> {
        let mut out = Vec::new();
        self.each(&mut |line| out.push(line))?;
        Ok(out)
    }
}

impl Source {
    /// The same as far as it tells of a time and after.
    pub fn after(self, from: f64) -> Source {
        Source { since: format!("@{}", from.floor()), from, ..self }
    }

    /// Where an instance keeps its logs beside its configuration, when nothing else was said.
    pub fn or_beside(mut self, config: &Config) -> Source {
        let beside = config.file.parent().and_then(Path::parent).map(|p| p.join("log"));
        if self.paths.is_empty() && config.file != Path::new(penny_base::config::DEFAULT_FILE) {
            self.paths.extend(beside.filter(|b| b.is_dir()));
        }
        self
    }
}

/// Reads a log file, packed or not, from a time on.
fn file(path: &Path, from: f64, take: &mut dyn FnMut(Line)) -> std::io::Result<()> {
    let file = File::open(path)?;
    let facts = file.metadata()?;
    let written = facts.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    if facts.is_file() && written.as_secs_f64() < from {
        return Ok(());
    }
    let mut file = BufReader::new(file);
    if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        return read(flate2::read::MultiGzDecoder::new(file), take);
    }
    if facts.is_file() {
        pass_over(&mut file, from)?;
    }
    read(file, take)
}

/// Octets before the end that are looked at first.
const TAIL: u64 = 1 << 20;

/// Goes to where the lines of a time begin, or before it: a log is in the order of time. One without times is read whole.
fn pass_over(file: &mut (impl BufRead + Seek), from: f64) -> std::io::Result<()> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut back = TAIL;
    while from > 0.0 && back < size {
        file.seek(SeekFrom::Start(size - back))?;
        file.skip_until(b'\n')?; // that line may be cut
        let start = file.stream_position()?;
        let times = lines(file.by_ref().take(TAIL)).map(|line| line.map(|l| l.time).transpose());
        let first = times.flatten().next().transpose()?;
        if first.is_some_and(|time| time < from) {
            file.seek(SeekFrom::Start(start))?;
            return Ok(());
        }
        back *= 4;
    }
    file.rewind()
}

fn read(from: impl Read, take: &mut dyn FnMut(Line)) -> std::io::Result<()> {
    lines(from).try_for_each(|line| line.map(&mut *take))
}

/// The lines of ours.
fn lines(from: impl Read) -> impl Iterator<Item = std::io::Result<Line>> {
    let mut reader = BufReader::with_capacity(1 << 16, from);
    let mut bytes = Vec::new();
    let mut next = move || {
        bytes.clear();
        let got = (&mut reader).take(LINE_MAX).read_until(b'\n', &mut bytes)?;
        let line = std::str::from_utf8(&bytes).ok().and_then(|t| Line::parse(t.trim_end()));
        Ok((got > 0).then_some(line))
    };
    std::iter::from_fn(move || next().transpose()).filter_map(Result::transpose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hour_of_a_long_log_is_read_without_the_rest() {
        const LINES: u64 = 100_000;
        let dir = penny_testkit::TempDir::new();
        let now = penny_sys::time::now().as_secs();
        let count = |head: &dyn Fn(u64) -> String, from: u64| {
            let line = |n| format!("{}qrun[2]: q=- ev=ready waiting={n}\n", head(n));
            let path = dir.write("mail.log", (0..LINES).map(line).collect::<String>());
            let mut seen = Vec::new();
            file(&path, from as f64, &mut |l| seen.push(l.text("waiting").parse::<u64>().unwrap())).unwrap();
            seen
        };
        // a line a second, up to now
        let stamped = |n: u64| format!("{}.5 mx ", now - LINES + n);
        let seen = count(&stamped, now - 3600);
        assert!(
            seen.len() < LINES as usize / 2 && seen.is_sorted() && seen.contains(&(LINES - 3600)),
            "{}",
            seen.len()
        );
        assert_eq!(seen.last(), Some(&(LINES - 1)));
        assert_eq!(count(&stamped, 0).len(), LINES as usize);
        // no times, or a time before the first line: all of it
        assert_eq!(count(&|_| String::new(), now - 3600).len(), LINES as usize);
        assert_eq!(count(&stamped, now - 2 * LINES).len(), LINES as usize);
        // written before that time
        assert!(count(&stamped, now + 3600).is_empty());
    }

    #[test]
    fn a_journal_that_is_silent_for_an_hour_is_a_log() {
        let week = Source { paths: Vec::new(), since: "-7d".into(), from: 0.0 };
        let hour = week.clone().after(penny_sys::time::now().as_secs_f64() - 3600.0);
        assert!(hour.usual(Some(false), &[], &mut |_| ()).is_ok());
        for (source, journal) in [(&week, Some(false)), (&week, None), (&hour, None)] {
            assert!(source.usual(journal, &[], &mut |_| ()).is_err(), "{source:?}");
        }
    }
}
