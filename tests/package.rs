//! The Debian packages: built, judged by lintian, installed, used under each super-server and under systemd, upgraded,
//! purged; the archive for systems without packages; `make install`.
//!
//! The installation happens in overlays in namespaces of their own (tests/package/enter.sh): of a new Debian that
//! scripts/test-root made, with the real apt, the real ports and its own systemd, and without a network or a trace outside.

use penny_testkit::{Run, TempDir, have, programs, skip};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn build(dir: &TempDir) -> bool {
    if !have("package", "dpkg-deb") {
        return false;
    }
    let run = Run::new(format!("{ROOT}/scripts/deb")).arg("--from").arg(programs!()).arg(dir.join("debs"));
    let run = run.env("DEB_COMPRESSION", "-Zgzip -z1").env("HOME", dir.path()).limit(Duration::from_secs(600));
    let out = run.run();
    out.expect_code(0).expect_out("/pennypost_").expect_out("/pennypost-filters_");
    true
}

/// Runs a file of tests/package in an overlay of a system; says why where that cannot be.
fn inside(test: &str, system: &str, packages: &TempDir, file: &str) -> Result<(), String> {
    let run = Run::new("unshare").args(["--mount", "--net", "--ipc", "--uts", "--propagation", "private", "/bin/sh"]);
    let run = run.arg(format!("{ROOT}/tests/package/enter.sh")).arg(system).arg(packages.join("debs")).arg(file);
    let out = run.limit(Duration::from_secs(900)).run();
    let text = out.out();
    if let Some(why) = text.lines().find_map(|l| l.strip_prefix("SKIP ")) {
        return Err(why.to_string());
    }
    if text.is_empty() && out.err().contains("unshare") {
        return Err("namespaces cannot be made here".to_string());
    }
    for line in text.lines().filter_map(|l| l.strip_prefix("# SKIP ")) {
        skip(test, line);
    }
    assert!(!text.contains("not ok ") && text.contains("\n1.."), "{}", out.describe());
    out.expect_code(0);
    Ok(())
}

/// Whether such a system can be made here.
fn can_enter(test: &str) -> bool {
    if !nix::unistd::Uid::effective().is_root() {
        skip(test, "not root: no namespaces with dpkg in them");
        return false;
    }
    ["unshare", "curl", "bash", "ip"].iter().all(|p| have(test, p))
}

#[test]
fn packages_install_work_and_purge() {
    const TEST: &str = "package::packages_install_work_and_purge";
    let dir = TempDir::new();
    if !build(&dir) {
        return;
    }
    judged_by_lintian(&dir);
    if !can_enter(TEST) {
        return;
    }
    let done = inside(TEST, "fresh", &dir, "install.t").or_else(|why| {
        skip(TEST, &format!("an overlay of this system instead: {why}"));
        inside(TEST, "host", &dir, "install.t")
    });
    if let Err(why) = done {
        skip(TEST, &why);
    }
}

/// A real systemd: socket activation, reload and upgrade with conversations under way, removal.
#[test]
fn under_systemd_and_through_an_upgrade() {
    const TEST: &str = "package::under_systemd_and_through_an_upgrade";
    let dir = TempDir::new();
    if !build(&dir) || !can_enter(TEST) {
        return;
    }
    if let Err(why) = inside(TEST, "booted", &dir, "systemd.t") {
        skip(TEST, &why);
    }
}

/// On a Debian that has nothing of ours, by the commands of INSTALL.
#[test]
fn the_archive_is_unpacked_works_and_goes() {
    const TEST: &str = "package::the_archive_is_unpacked_works_and_goes";
    if !can_enter(TEST) || !have(TEST, "make") {
        return;
    }
    let dir = TempDir::new();
    let places = [format!("BIN={}", programs!().display()), format!("DIST={}", dir.join("debs").display())];
    // the programs are there
    let run = Run::new("make").args(["--silent", "--directory", ROOT, "--assume-old=all", "tarball"]).args(places);
    let run = run.env("TAR_COMPRESSION", "gzip -1n").env("HOME", dir.path()).limit(Duration::from_secs(600));
    run.run().expect_code(0).expect_out("/pennypost-");
    if let Err(why) = inside(TEST, "fresh", &dir, "tarball.t") {
        skip(TEST, &why);
    }
}

/// `make install` of one program, or `make uninstall`.
fn install(dest: &TempDir, remove: &[&str]) {
    let run = Run::new(format!("{ROOT}/scripts/install")).args(remove).arg(dest.path());
    let run = run.args(["/usr", "/usr/bin", "/usr/libexec", "/usr/share/man", "/etc"]).arg(programs!());
    run.args(["qctl", "qctl"]).run().expect_code(0);
}

/// What is there is the administrator's.
#[test]
fn a_pam_service_of_ones_own_is_kept() {
    let dir = TempDir::new();
    let service = || std::fs::read_to_string(dir.join("etc/pam.d/pennypost")).ok();
    install(&dir, &[]);
    assert!(service().expect("installed").contains("pam_unix.so"));
    install(&dir, &["--remove"]);
    assert_eq!(service(), None);
    dir.write("etc/pam.d/pennypost", "# mine\n");
    install(&dir, &[]);
    install(&dir, &["--remove"]);
    assert_eq!(service().as_deref(), Some("# mine\n"));
}

/// An example that is a program can be run where it lies, as its own remarks have it.
#[test]
fn installed_examples_keep_their_modes() {
    let dir = TempDir::new();
    install(&dir, &[]);
    let mode = |example: &str| {
        let file = dir.join("usr/share/doc/pennypost/examples").join(example);
        std::fs::metadata(file).expect(example).permissions().mode() & 0o777
    };
    assert_eq!((mode("acme/deploy-hook"), mode("tables/sqlite-users"), mode("pennypost.toml")), (0o755, 0o755, 0o644));
}

/// No errors; warnings are read by whoever releases.
fn judged_by_lintian(dir: &TempDir) {
    if !have("package::lintian", "lintian") {
        return;
    }
    let debs = penny_testkit::tmp::list(dir.join("debs"));
    let out = Run::new("lintian").args(["--fail-on", "error"]).args(&debs).env("HOME", dir.path());
    let out = out.env("LC_ALL", "C").limit(Duration::from_secs(600)).run();
    assert_eq!(out.code, Some(0), "{}", out.describe());
    assert!(!out.out().lines().any(|l| l.starts_with("E:")), "{}", out.describe());
}
