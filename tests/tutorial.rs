//! pennypost-tutorial(7): every step of the page, taken from it as a reader would copy it, run in its order by an ordinary
//! user in one directory.

use penny_testkit::{Run, TempDir, programs, skip};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const TEST: &str = "tutorial::every_step_works";
/// An ordinary user where the test is root.
const UID: u32 = 64_499;

/// The code of the page, a line that names the step before each.
fn script(page: &str) -> String {
    // what is started ends with the script, whatever happens
    let mut out = String::from("set -e\ntrap 'kill $(cat srv/pids 2>/dev/null) 2>/dev/null || :' EXIT\n");
    let (mut title, mut code) = (String::new(), false);
    for line in page.lines() {
        if let Some(step) = line.strip_prefix(".Ss ") {
            title = step.to_string();
        } else if line.starts_with(".Bd -literal") {
            code = true;
            out += &format!("echo 'step {}'\n", title.replace('\'', ""));
        } else if line.starts_with(".Ed") {
            code = false;
        } else if code {
            out += &line.replace("\\e", "\\").replace("\\(dq", "\"").replace("\\-", "-").replace("\\&", "");
            out.push('\n');
        }
    }
    out + "echo all steps done\n"
}

#[test]
fn every_step_works() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/pennypost-tutorial.7")).expect("the page");
    let dir = TempDir::new();
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs!().display());
    let root = nix::unistd::Uid::effective().is_root();
    let offset = penny_testkit::free_base(&[25, 143, 465, 587, 993, 995, 4190]);
    let run = |script: &str| {
        let run = Run::new("/bin/sh").args(["-c", script]).dir(dir.path()).env("PATH", &path).env("HOME", dir.path());
        let run = run.env("OFFSET", offset.to_string()).env("LIBEXEC", programs!());
        let run = run.limit(Duration::from_secs(300));
        if root { run.uid(UID, UID).run() } else { run.run() }
    };
    if root {
        let own = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), own).expect("chmod");
        std::os::unix::fs::chown(dir.path(), Some(UID), Some(UID)).expect("chown");
        if run("pennypost --version").code != Some(0) {
            return skip(TEST, "an ordinary user cannot reach the programs");
        }
    }
    let out = run(&script(&page));
    let text = out.out();
    assert!(out.code == Some(0) && text.contains("all steps done"), "{}", out.describe());
    for said in [
        "no mistakes",
        "ends in: local joe@example.test",
        "settled: it left the queue",
        "Message-ID <lunch@example.test>",
        "X-Spamcheck",
        "clean",
        "Food",
        "friend@far.test",
        "messages received",
        "v=spf1",
    ] {
        assert!(text.contains(said), "nothing said {said:?}: {}", out.describe());
    }
}
