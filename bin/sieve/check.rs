//! Checking scripts.

use std::io::Write;
use std::path::{Path, PathBuf};

use penny_base::{Failure, Kind, Outcome};
use penny_sieve::{Library, Location, Script};

/// The scripts beside a script; all extensions.
pub struct Beside {
    directory: PathBuf,
}

impl Beside {
    pub fn of(path: &Path) -> Self {
        Self { directory: path.parent().unwrap_or(Path::new(".")).to_owned() }
    }
}

impl Library for Beside {
    fn enabled(&self, extension: &str) -> bool {
        extension != "vnd.dovecot.testsuite"
    }

    fn script(&self, _: Location, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.directory.join(format!("{name}.sieve"))).ok()
    }
}

/// Compiles one script; its errors go to standard error as `file:line:column: text`.
pub fn compile(path: &Path) -> Result<Option<Script>, Failure> {
    let source = std::fs::read(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    match penny_sieve::compile(&name, &source, &Beside::of(path)) {
        Ok(script) => Ok(Some(script)),
        Err(errors) => {
            let mut err = std::io::stderr().lock();
            for error in errors {
                let _ = writeln!(err, "{}:{error}", path.display());
            }
            Ok(None)
        }
    }
}

/// Checks every script.
pub fn check(paths: &[PathBuf]) -> Result<Outcome, Failure> {
    let mut good = true;
    for path in paths {
        good &= compile(path)?.is_some();
    }
    Ok(if good { Outcome::Done } else { Outcome::Permanent(Kind::Data) })
}

/// Lists what `require` takes.
pub fn extensions() -> Result<Outcome, Failure> {
    let mut out = std::io::stdout().lock();
    for e in penny_sieve::EXTENSIONS.iter().filter(|e| e.name != "vnd.dovecot.testsuite") {
        let note = if e.optional { " (where the administrator allows it)" } else { "" };
        let _ = writeln!(out, "{:<28} {}{note}", e.name, e.standard);
    }
    Ok(Outcome::Done)
}
