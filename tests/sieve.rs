//! The sieve command, and Pigeonhole's own test suite where a checkout of it is at hand.

use penny_testkit::{Run, TempDir, program, skip};

const MESSAGE: &str = "From: ann@example.org\nTo: joe@example.net\nSubject: hello\n\nbody\n";

fn sieve(dir: &TempDir) -> Run {
    Run::new(program!("sieve")).dir(dir.path())
}

#[test]
fn checks_with_places() {
    let dir = TempDir::new();
    dir.write("good.sieve", "require \"fileinto\";\nfileinto \"x\";\n");
    dir.write("bad.sieve", "keep;\nfileinto \"x\";\nnonsense;\n");
    sieve(&dir).arg("good.sieve").run().expect_code(0);
    let out = sieve(&dir).arg("bad.sieve").run();
    out.expect_code(65);
    assert_eq!(
        out.err(),
        "bad.sieve:2:1: unknown command 'fileinto' (require \"fileinto\" is missing)\nbad.sieve:3:1: unknown command 'nonsense'\n"
    );
    sieve(&dir).run().expect_code(64);
    sieve(&dir).arg("none.sieve").run().expect_code(64);
}

#[test]
fn a_dry_run_prints_and_does_nothing() {
    let dir = TempDir::new();
    dir.write("f.sieve", "require [\"fileinto\", \"vnd.dovecot.pipe\", \"copy\"];\nif header :contains \"subject\" \"hell\" { fileinto \"A\"; pipe :copy \"touch\"; }\n");
    let out = sieve(&dir).args(["-r", "f.sieve"]).stdin(MESSAGE).run();
    out.expect_code(0);
    assert_eq!(out.out(), "file into \"A\"\npipe to \"touch\" []\n");
    sieve(&dir).args(["-t", "-r", "f.sieve"]).stdin(MESSAGE).run().expect_out("line 2: header: true");
    let names: Vec<_> = penny_testkit::tmp::list(dir.path());
    assert_eq!(names.len(), 1);
}

#[test]
fn svtest_files_say_what_failed() {
    let dir = TempDir::new();
    dir.write(
        "a.svtest",
        "require \"vnd.dovecot.testsuite\";\ntest \"yes\" { keep; }\ntest \"no\" { test_fail \"because\"; }\n",
    );
    let out = sieve(&dir).args(["--testsuite", "-v", "a.svtest"]).run();
    out.expect_code(65);
    assert_eq!(out.out(), "FAILED a.svtest\n    ok: yes\n    not ok: no: line 3: because\n0 of 1 passed\n");
}

/// Files of the suite that cannot pass here: one asks the engine to call itself Pigeonhole, one takes `redirect :list` (RFC 6134 2.5)
/// for an error, one counts the follow-up errors of a wrong line.
const DIFFERENT: [&str; 3] =
    ["extensions/environment/basic.svtest", "extensions/extlists/errors.svtest", "extensions/relational/errors.svtest"];

/// All files of the suite but those, and those of `failures/`, which must fail. PIGEONHOLE_TESTS names the directory `tests` of a checkout.
#[test]
fn pigeonholes_suite() {
    let Ok(root) = std::env::var("PIGEONHOLE_TESTS") else {
        return skip("pigeonholes_suite", "PIGEONHOLE_TESTS names no checkout of dovecot/pigeonhole");
    };
    let found = Run::new("find").arg(&root).args(["-name", "*.svtest"]).run().out();
    let mut files: Vec<&str> = found.lines().collect();
    files.sort_unstable();
    let limit = std::time::Duration::from_secs(900);
    let text = Run::new(program!("sieve")).arg("--testsuite").args(&files).limit(limit).run().out();
    let as_meant = |file: &&&str| {
        let failed = text.lines().any(|l| l.strip_prefix("FAILED ") == Some(**file));
        failed == (file.contains("/failures/") || DIFFERENT.iter().any(|d| file.ends_with(d)))
    };
    let good = files.iter().filter(as_meant).count();
    assert_eq!(good, files.len(), "{text}");
    assert!(good >= 146, "{good} files: not the whole suite");
}
