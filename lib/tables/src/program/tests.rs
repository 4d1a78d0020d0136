use super::*;
use std::os::unix::fs::PermissionsExt;

/// Longer than any answer takes on a loaded machine.
const LONG: Duration = Duration::from_secs(120);

struct Script(PathBuf);

impl Script {
    /// Copied by another process, so that no child of another test holds it open for writing.
    fn new(text: &str) -> Script {
        let path = std::env::temp_dir().join(format!("penny-program-{:x}", penny_sys::random::u64()));
        let made = std::process::Command::new("/bin/sh")
            .args(["-c", "printf '%s' \"$1\" >\"$2\" && chmod 755 \"$2\"", "sh"])
            .args([&format!("#!/bin/sh\n{text}\n"), path.to_str().unwrap()])
            .status();
        assert!(made.unwrap().success());
        Script(path)
    }

    fn program(&self) -> Program {
        Program::new(&self.0, "virtual", Path::new("/etc/x.toml"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn ask(program: &Program, key: &str) -> Result<Option<String>, Unavailable> {
    program.get(key, Instant::now() + LONG)
}

#[test]
fn one_program_answers_every_question() {
    let script = Script::new(
        r#"while read -r verb key; do case $key in
        none) echo '500 no such key' ;;
        later) echo '400 the%20database is away' ;;
        pid) echo "200 $$ $TABLE $PENNYPOST_CONFIG" ;;
        *) echo "200 $verb%20$key%2Cx 100% y%zz" ;;
        esac; done"#,
    );
    let program = script.program();
    assert_eq!(ask(&program, "none"), Ok(None));
    let first = ask(&program, "pid").unwrap().unwrap();
    assert!(first.ends_with(" virtual /etc/x.toml"), "{first}");
    // the shell saw the key encoded, and what is no %XX stays
    assert_eq!(ask(&program, "a b%é").unwrap().unwrap(), "get a b%é,x 100% y%zz");
    assert_eq!(ask(&program, "two\nlines"), Err(Unavailable("a value of several lines".into())));
    assert_eq!(ask(&program, "later"), Err(Unavailable("the database is away".into())));
    assert_eq!(ask(&program, "pid").unwrap().unwrap(), first, "400 does not end it");
}

#[test]
fn a_program_that_fails_rests_and_is_started_again() {
    for text in ["exit 3", "read -r q; exit 3", "read -r q; echo hello"] {
        let script = Script::new(text);
        let program = script.program();
        assert!((0..3).all(|n| ask(&program, &format!("k{n}")).is_err()), "{text}");
        let state = program.state.borrow();
        assert!(state.running.is_none() && state.not_before.is_some() && state.wait >= BACK_OFF.0, "{text}");
    }
}

/// Until the program has said something unasked, or has gone.
fn wait_unquiet(program: &Program) {
    let begin = Instant::now();
    while program.state.borrow().running.as_ref().is_some_and(Running::is_quiet) && begin.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_answer_nobody_asked_for_is_never_taken() {
    let script = Script::new("read -r q; echo 200 x; echo 200 y; sleep 1000");
    let program = script.program();
    for _ in 0..3 {
        assert_eq!(ask(&program, "k").unwrap().unwrap(), "x");
        wait_unquiet(&program);
    }
}

#[test]
fn one_that_answered_and_went_is_started_at_once() {
    let script = Script::new("read -r q; echo 200 $$");
    let program = script.program();
    let first = ask(&program, "a").unwrap().unwrap();
    // waits until it has gone
    let pid: i32 = first.parse().unwrap();
    wait_unquiet(&program);
    let second = ask(&program, "b").unwrap().unwrap();
    assert_ne!(first, second);
    assert!(!penny_sys::files::process_exists(pid), "the first one is taken away");
}

#[test]
fn a_program_that_hangs_is_ended_with_its_children() {
    let script = Script::new("sleep 100000 & echo $! >\"$0.pid\"; wait");
    let program = script.program();
    let pid_file = script.0.with_file_name(format!("{}.pid", script.0.file_name().unwrap().to_str().unwrap()));
    let mut pid = None;
    // on a loaded machine the shell may need longer than the first limit
    let begin = Instant::now();
    while pid.is_none() && begin.elapsed() < LONG {
        program.state.replace(State::default());
        let answer = program.get("k", Instant::now() + Duration::from_millis(500));
        assert_eq!(answer, Err(Unavailable("no answer in time".into())));
        pid = std::fs::read_to_string(&pid_file).ok().and_then(|t| t.trim().parse::<i32>().ok());
    }
    let pid = pid.expect("the script has run");
    while penny_sys::files::process_exists(pid) {
        assert!(begin.elapsed() < LONG, "the child {pid} still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
    let rested = program.get("k", Instant::now() + LONG);
    assert!(rested.is_err(), "{rested:?}");
    std::fs::remove_file(pid_file).unwrap();
}

#[test]
fn only_a_safe_file_is_run() {
    let script = Script::new("echo 200 x");
    let mode = |m: u32| std::fs::set_permissions(&script.0, std::fs::Permissions::from_mode(m)).unwrap();
    let meta = || std::fs::metadata(&script.0).unwrap();
    assert!(is_program(&meta()) && check(&meta()).is_ok());
    for m in [0o775, 0o757] {
        mode(m);
        assert!(check(&meta()).is_err_and(|why| why.contains("others may write")));
        assert!(ask(&script.program(), "k").is_err());
    }
    mode(0o644);
    assert!(!is_program(&meta()));
    if penny_sys::ids::is_root() {
        mode(0o755);
        std::os::unix::fs::chown(&script.0, Some(12_345), None).unwrap();
        assert!(check(&meta()).is_err_and(|why| why.contains("uid 12345")));
    }
}
