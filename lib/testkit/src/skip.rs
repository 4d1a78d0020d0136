//! Skips are said aloud and counted, so a green run never hides that nothing was proved.
//!
//! Contract  one line `<test>: <reason>` on stderr and appended to the file $PENNYPOST_SKIPS names; `make test` counts its lines

use std::io::Write;

/// Reports that `test` proves nothing here, and why. The caller returns afterwards.
pub fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {}\n", reason.replace('\n', " "));
    let _ = write!(std::io::stderr(), "SKIP {line}");
    if let Some(path) = std::env::var_os("PENNYPOST_SKIPS") {
        append(path.as_ref(), &line);
    }
}

fn append(path: &std::path::Path, line: &str) {
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    // one write of one short line: appends of parallel tests do not mix
    let _ = file.and_then(|mut f| f.write_all(line.as_bytes()));
}

/// True if `program` is found in PATH (or the sbin directories); else the test is skipped with a message.
pub fn have(test: &str, program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').chain(["/usr/sbin", "/sbin"]).any(|d| std::path::Path::new(d).join(program).is_file());
    if !found {
        skip(test, &format!("{program} is not installed"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn have_knows_the_shell_and_not_nonsense() {
        assert!(have("skip::tests", "sh"));
        assert!(!have("skip::tests (this one is expected)", "no-such-program-xyzzy"));
    }

    #[test]
    fn lines_are_appended() {
        let dir = crate::TempDir::new();
        append(&dir.join("skips"), "a: b\n");
        append(&dir.join("skips"), "c: d\n");
        assert_eq!(std::fs::read_to_string(dir.join("skips")).unwrap_or_default(), "a: b\nc: d\n");
    }
}
