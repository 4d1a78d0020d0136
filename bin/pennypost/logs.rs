//! Reading the log back: files (gzip too), directories of them, standard input, or the journal.
//!
//! Format      pennypost-log(5) behind whatever the log's keeper puts before a line: nothing, syslog's old or ISO time,
//!             journalctl -o short-unix, multilog's TAI64N
//! Trust       fields are hostile text that the writer escaped; they are shown escaped again

mod line;
mod time;

pub use line::Line;
pub use time::{clock, day, hour};

use clap::Args;
use penny_base::{Config, Failure};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
}

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
            return self.usual(take);
        }
        for path in self.files() {
            if path == Path::new("-") {
                read(std::io::stdin().lock(), take).map_err(|e| Failure::io("standard input", &e))?;
                continue;
            }
            file(&path, take)?;
        }
        Ok(())
    }

    fn usual(&self, take: &mut dyn FnMut(Line)) -> Result<(), Failure> {
        if Path::new("/run/systemd/system").is_dir() && self.journal(take)? {
            return Ok(());
        }
        for usual in ["/var/log/mail.log", "/var/log/maillog", "/var/log/pennypost/current"] {
            if Path::new(usual).exists() {
                let old = PathBuf::from(format!("{usual}.1"));
                if old.exists() {
                    file(&old, take)?;
                }
                return file(Path::new(usual), take);
            }
        }
        Err(Failure::usage("no log was found: name it with --log PATH"))
    }

    fn journal(&self, take: &mut dyn FnMut(Line)) -> Result<bool, Failure> {
        let mut command = Command::new("journalctl");
        command.args(["--quiet", "--no-pager", "--output=short-unix", "--unit=pennypost*", "--since", &self.since]);
        let Ok(mut child) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else { return Ok(false) };
        let mut any = false;
        if let Some(out) = child.stdout.take() {
            read(out, &mut |line| {
                any = true;
                take(line);
            })
            .map_err(|e| Failure::io("journalctl", &e))?;
        }
        Ok(child.wait().is_ok_and(|s| s.success()) && any)
    }

    /// All lines at once, for several passes over what can be read only once.
    pub fn all(&self) -> Result<Vec<Line>, Failure> {
        let mut out = Vec::new();
        self.each(&mut |line| out.push(line))?;
        Ok(out)
    }
}

impl Source {
    /// Where an instance keeps its logs beside its configuration, when nothing else was said.
    pub fn or_beside(mut self, config: &Config) -> Source {
        let beside = config.file.parent().and_then(Path::parent).map(|p| p.join("log"));
        if self.paths.is_empty() && config.file != Path::new(penny_base::config::DEFAULT_FILE) {
            self.paths.extend(beside.filter(|b| b.is_dir()));
        }
        self
    }
}

fn file(path: &Path, take: &mut dyn FnMut(Line)) -> Result<(), Failure> {
    let io = |e: std::io::Error| Failure::io(path.display(), &e);
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let packed = file.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]);
    if packed { read(flate2::read::MultiGzDecoder::new(file), take) } else { read(file, take) }.map_err(io)
}

fn read(from: impl Read, take: &mut dyn FnMut(Line)) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, from);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if (&mut reader).take(LINE_MAX).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        if let Some(line) = std::str::from_utf8(&bytes).ok().and_then(|t| Line::parse(t.trim_end())) {
            take(line);
        }
    }
}
