//! `sieve --testsuite`: runs .svtest files, each in a process of its own thread with the file's directory as its world.

use std::io::Write;
use std::path::{Path, PathBuf};

use penny_base::{Failure, Kind, Outcome};
use penny_sieve::testsuite::{self, Report};
use penny_sieve::{Host, Location, Ran, Settings, SuiteProgram};

use crate::host;

/// The world of one test file.
struct Files {
    directory: PathBuf,
    log: Vec<String>,
    started: std::time::Instant,
}

impl Host for Files {
    fn now(&self) -> i64 {
        host::now()
    }

    fn zone(&self, moment: i64) -> i32 {
        host::zone(moment)
    }

    fn environment(&self, name: &str) -> Option<String> {
        (name == "vnd.dovecot.username").then(host::user_name)
    }

    fn suite_program(&mut self, program: &SuiteProgram<'_>) -> Result<Ran, String> {
        host::run_program(program, &self.directory)
    }

    fn log(&mut self, text: &str) {
        self.log.push(text.to_owned());
    }

    fn out_of_time(&self) -> bool {
        self.started.elapsed().as_secs() > 60
    }

    fn suite_script(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.directory.join(name)).ok()
    }

    fn suite_include(&self, location: Location, name: &str) -> Option<Vec<u8>> {
        let folder = match location {
            Location::Personal => "included",
            Location::Global => "included-global",
        };
        std::fs::read(self.directory.join(folder).join(format!("{name}.sieve"))).ok()
    }
}

fn one(path: &Path) -> Report {
    let broken = |text: String| Report { broken: Some(text), ..Report::default() };
    let source = match std::fs::read(path) {
        Ok(source) => source,
        Err(e) => return broken(e.to_string()),
    };
    let directory = std::path::absolute(path.parent().unwrap_or(Path::new("."))).unwrap_or_default();
    let mut files = Files { directory: directory.clone(), log: Vec::new(), started: std::time::Instant::now() };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    testsuite::run(&name, &source, &directory.to_string_lossy(), &Settings::default(), &mut files)
}

/// Runs the files; the last line says how many passed.
pub fn run(paths: &[PathBuf], verbose: bool) -> Result<Outcome, Failure> {
    let mut out = std::io::stdout().lock();
    let mut passed = 0;
    for path in paths {
        let report = one(path);
        passed += usize::from(report.passed());
        let word = if report.passed() { "ok" } else { "FAILED" };
        let _ = writeln!(out, "{word} {}", path.display());
        if let Some(why) = &report.broken {
            let _ = writeln!(out, "    {why}");
        }
        for (name, failure) in &report.tests {
            match failure {
                Some(why) => drop(writeln!(out, "    not ok: {name}: {}", why.trim_end())),
                None if verbose => drop(writeln!(out, "    ok: {name}")),
                None => {}
            }
        }
    }
    let _ = writeln!(out, "{passed} of {} passed", paths.len());
    Ok(if passed == paths.len() { Outcome::Done } else { Outcome::Permanent(Kind::Data) })
}
