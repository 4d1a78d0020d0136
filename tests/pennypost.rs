//! pennypost: check, defaults and route, as an admin meets them.

use std::process::{Command, Output};

fn program(name: &str) -> std::path::PathBuf {
    std::env::var_os("PENNYPOST_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_pennypost").into(), |d| std::path::Path::new(&d).join(name))
}

fn run(directory: &std::path::Path, arguments: &[&str]) -> Output {
    let file = directory.join("pennypost.toml");
    Command::new(program("pennypost")).arg("-c").arg(file).args(arguments).output().expect("pennypost runs")
}

fn directory(config: &str, tables: &[(&str, &str)]) -> penny_testkit::TempDir {
    let dir = penny_testkit::TempDir::new();
    let libexec = program("pennypost").parent().expect("a directory").to_path_buf();
    let paths = format!(
        "{config}\n[paths]\nrun = \"{0}/run\"\ntables = \"{0}\"\nlibexec = \"{1}\"\n",
        dir.path().display(),
        libexec.display()
    );
    std::fs::write(dir.path().join("pennypost.toml"), paths).expect("written");
    for (name, text) in tables {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    dir
}

#[test]
fn the_shipped_files_are_those_of_the_code() {
    let dir = directory("", &[]);
    let root = env!("CARGO_MANIFEST_DIR");
    let shipped = std::fs::read(format!("{root}/etc/pennypost.toml")).expect("etc/pennypost.toml");
    assert_eq!(run(dir.path(), &["defaults"]).stdout, shipped, "pennypost defaults > etc/pennypost.toml");
    let page = std::fs::read(format!("{root}/man/pennypost.toml.5")).expect("the page");
    assert_eq!(run(dir.path(), &["defaults", "--man"]).stdout, page, "pennypost defaults --man > man/pennypost.toml.5");
}

#[test]
fn every_mistake_is_shown_with_its_place() {
    let dir = directory("hostnam = \"x\"\n[smtpd]\nmax_size = \"many\"", &[]);
    let out = run(dir.path(), &["check"]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(78));
    assert!(text.contains("pennypost.toml:1:1: unknown key hostnam"), "{text}");
    assert!(text.contains("pennypost.toml:3:12: smtpd.max_size"), "{text}");
}

#[test]
fn mistakes_in_tables_have_lines() {
    let dir = directory("", &[("aliases", "ok: a\nnonsense\n"), ("routes", "x\n")]);
    let out = run(dir.path(), &["check"]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(78));
    assert!(text.contains("aliases:2: expected name: target") && text.contains("routes:1:"), "{text}");
}

#[test]
fn a_route_is_explained() {
    let tables = [
        ("users", "joe@example.test:{PLAIN}x\n"),
        ("aliases", "team: joe, out@far.test\n"),
        ("routes", "far.test smtp:[192.0.2.1]:2525 auth=u:secret\n"),
    ];
    let dir = directory("hostname = \"mx.example.test\"\n[mail]\nhome = \"/mail/%u\"", &tables);
    let out = run(dir.path(), &["route", "joe+x@example.test", "team@example.test", "a@far.test"]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("RCPT answers: 250 a mailbox here") && text.contains("/mail/joe/Maildir"), "{text}");
    assert!(text.contains("ends in: remote out@far.test -> host 192.0.2.1 port 2525"), "{text}");
    assert!(text.contains("550 5.7.1") && !text.contains("secret"), "{text}");
    assert_eq!(run(dir.path(), &["route", "nobody@example.test"]).status.code(), Some(67));
}

/// Each shell loads its script and offers what may follow.
#[test]
fn completions_load_in_their_shells() {
    let dir = directory("", &[]);
    let bash = "source _pennypost; COMP_WORDS=(pennypost user ''); COMP_CWORD=2; _pennypost; echo ${COMPREPLY[@]}";
    let zsh = "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; before=$PATH\n\
        _describe() { print -rl -- ${(P)2}; [[ $PATH == $before ]] || print PATH is lost }\n\
        (( $+_comps[pennypost] )) || print not registered\n\
        words=(pennypost user ''); CURRENT=3; _pennypost";
    let fish = "source _pennypost; complete -C 'pennypost user '";
    for (shell, option, script) in [("bash", "--norc", bash), ("zsh", "-f", zsh), ("fish", "--no-config", fish)] {
        if !penny_testkit::have("pennypost::completions_load_in_their_shells", shell) {
            continue;
        }
        let text = run(dir.path(), &["completion", shell]).stdout;
        std::fs::write(dir.path().join("_pennypost"), text).expect("written");
        let mut command = Command::new(shell);
        command.args([option, "-c", script]).current_dir(dir.path()).env("HOME", dir.path());
        let out = command.output().expect("the shell runs");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(text.contains("suspend") && text.contains("passwd"), "{shell}: {out:?}");
        assert!(!text.contains("PATH is lost") && !text.contains("not registered"), "{shell}: {text}");
        assert!(out.stderr.is_empty(), "{shell}: {out:?}");
    }
}
