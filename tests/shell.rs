//! Runs tests/sh/*.t: the pipes of the man pages, in plain sh, printing TAP.

use penny_testkit::{Run, program, tmp};

#[test]
fn tap() {
    let bin = program!("deliver").parent().expect("a directory").to_owned();
    let all = tmp::list(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sh"));
    let scripts: Vec<_> = all.iter().filter(|p| p.extension().is_some_and(|e| e == "t")).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        let out = Run::new("/bin/sh").arg(script).env("PENNYPOST_BIN", &bin).run();
        out.expect_code(0);
        assert!(!out.out().contains("not ok") && out.out().contains("\n1.."), "{}", out.describe());
    }
}
