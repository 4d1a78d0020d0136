//! sieved: the session by dialogues, limits, logins through spawn and checkauth.

#[path = "support/login.rs"]
mod login;

use std::path::PathBuf;

use penny_testkit::run::Started;
use penny_testkit::{Dialog, Player, Run, TempDir, dialog, program};

struct Home {
    /// The resident lookup of a test with logins.
    _lookup: Option<Started>,
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let h = Self { _lookup: None, dir: TempDir::new() };
        h.dir.write("p.toml", "[ids]\nlandlock = \"optional\"\n[sieved]\nmax_scripts = 3\n");
        std::fs::create_dir(h.home()).unwrap();
        h
    }

    fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    fn session(&self) -> Run {
        Run::new(program!("sieved"))
            .arg("-c")
            .arg(self.dir.join("p.toml"))
            .arg("--session")
            .env("USER", "joe")
            .env("HOME", self.home())
            .env("PENNYPOST_SHELL_OK", "1")
    }
}

#[test]
fn dialogues() {
    for file in dialog::files(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialog/sieved")) {
        let h = Home::new();
        let code = Player::new().over_pipes(&h.session(), &Dialog::load(&file));
        assert_eq!(code, Some(0), "{}", file.display());
    }
}

#[test]
fn the_active_script_is_the_link_dovecot_has() {
    let h = Home::new();
    h.session().stdin("PUTSCRIPT \"main\" \"keep;\"\r\nSETACTIVE \"main\"\r\n").run().expect_code(0);
    assert_eq!(std::fs::read_link(h.home().join(".dovecot.sieve")).unwrap(), PathBuf::from("sieve/main.sieve"));
    assert_eq!(std::fs::read_to_string(h.home().join("sieve/main.sieve")).unwrap(), "keep;");
}

#[test]
fn too_many_and_too_large() {
    let h = Home::new();
    let puts: String = (0..4).map(|n| format!("PUTSCRIPT \"s{n}\" \"keep;\"\r\n")).collect();
    let out = h.session().stdin(format!("{puts}PUTSCRIPT \"s1\" \"stop;\"\r\n")).run();
    assert_eq!(out.out().matches("OK\r\n").count(), 4, "{}", out.describe());
    assert!(out.out().contains("NO (QUOTA/MAXSCRIPTS)"));
    let large = format!("PUTSCRIPT \"s0\" {{1500000+}}\r\n{}\r\nNOOP\r\n", "#".repeat(1_500_000));
    let out = h.session().stdin(large).run();
    assert!(out.out().contains("NO (QUOTA/MAXSIZE)") && out.out().contains("OK \"done\""), "{}", out.describe());
}

#[test]
fn a_script_may_include_one_that_comes_later() {
    let h = Home::new();
    let out = h.session().stdin("PUTSCRIPT \"a\" \"require \\\"include\\\"; include \\\"later\\\";\"\r\n").run();
    assert!(out.out().ends_with("OK\r\n"), "{}", out.describe());
}

fn with_login() -> (Home, Run) {
    let mut h = Home::new();
    h._lookup = Some(login::start_lookup(&h.dir, "joe", ""));
    let run = Run::new(program!("sieved")).arg("-c").arg(h.dir.join("p.toml"));
    (h, run)
}

#[test]
fn a_login_reaches_the_scripts() {
    let (h, run) = with_login();
    let out = run
        .stdin("LISTSCRIPTS\r\nAUTHENTICATE \"PLAIN\" \"AGpvZQB3cm9uZw==\"\r\nAUTHENTICATE \"PLAIN\" {16+}\r\nAGpvZQBzZWNyZXQ=\r\nPUTSCRIPT \"x\" \"keep;\"\r\nLOGOUT\r\n")
        .run();
    let text = out.out();
    assert!(text.starts_with("\"IMPLEMENTATION\"") && text.contains("\"SASL\" \"PLAIN"), "{}", out.describe());
    assert_eq!(text.matches("NO ").count(), 2, "{}", out.describe());
    assert!(text.contains("OK \"logged in\"\r\nOK\r\nOK \"bye\"\r\n"), "{}", out.describe());
    assert_eq!(std::fs::read_to_string(h.home().join("sieve/x.sieve")).unwrap(), "keep;");
}

#[test]
fn an_exchange_in_steps_and_its_end() {
    let (_h, run) = with_login();
    let out = run
        .stdin("AUTHENTICATE \"PLAIN\"\r\n*\r\nAUTHENTICATE \"PLAIN\"\r\n\"AGpvZQBzZWNyZXQ=\"\r\nLISTSCRIPTS\r\n")
        .run();
    let text = out.out();
    assert!(
        text.contains("\"\"\r\nNO \"authentication cancelled\"\r\n\"\"\r\nOK \"logged in\"\r\nOK\r\n"),
        "{}",
        out.describe()
    );
}
