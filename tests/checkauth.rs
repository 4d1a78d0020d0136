//! checkauth by its line protocol: mechanisms, password schemes, refusals, the grant, checkpassword programs, tokens.

mod smtpfake;

use penny_sasl::{base64_decode, base64_encode};
use penny_testkit::{Run, program};
use smtpfake::Place;
use std::sync::Arc;

/// Users of the table, and the logins lookup knows as the same user.
const USERS: &str = "\
# comment
ann:{PLAIN}secret:1001:1001::/home/ann:/bin/sh:
bob@here.example:{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1:1002:1002::::
locked:!:1003:1003::::
odd:{MD4}abc:1004:1004::::
";

fn place(extra: &str, users: &str) -> Place {
    let place = Place::new(extra);
    std::fs::write(place.path("tables/users"), users).unwrap();
    place.lookup(Arc::new(|question: &[&str]| match question {
        ["user", "ann" | "ANN"] => "OK\tann\t1001\t1001\t/home/ann\t/home/ann/Maildir\t1\t0\t0".into(),
        ["user", "bob@here.example"] => "OK\tbob@here.example\t1002\t1002\t/h\t/h/Maildir\t0\t0\t0".into(),
        ["user", name @ ("locked" | "odd" | "user")] => format!("OK\t{name}\t1003\t1003\t/h\t/h/Maildir\t0\t0\t0"),
        ["user", "broken"] => "TEMP\tno table".into(),
        ["user", ..] => "NO".into(),
        ["rate", ..] => "OK\t1".into(),
        _ => "TEMP\todd question".into(),
    }));
    place
}

fn run(place: &Place, input: &str) -> String {
    let output = Run::new(program!("checkauth")).arg("-c").arg(place.config()).stdin(input).run();
    assert_eq!(output.code, Some(0), "{}", output.describe());
    output.out()
}

fn plain(user: &str, password: &str) -> String {
    let response = base64_encode(format!("\0{user}\0{password}").as_bytes());
    format!("AUTH PLAIN service=smtp ip=192.0.2.1 tls=1 resp={response}\n")
}

#[test]
fn plain_and_login() {
    let place = place("", USERS);
    for (user, password, answer) in [
        ("ann", "secret", "OK user=ann\n"),
        ("ANN", "secret", "OK user=ann\n"),
        ("bob@here.example", "Hello world!", "OK user=bob@here.example\n"),
        ("ann", "wrong", "NO AUTHENTICATIONFAILED authentication failed\n"),
        ("bob@here.example", "secret", "NO AUTHENTICATIONFAILED authentication failed\n"),
        ("nobody", "x", "NO AUTHENTICATIONFAILED authentication failed\n"),
        ("ann", "", "NO AUTHENTICATIONFAILED authentication failed\n"),
        ("locked", "!", "NO EXPIRED this account cannot log in\n"),
        ("odd", "x", "NO UNAVAILABLE authentication is not available now\n"),
        ("broken", "x", "NO UNAVAILABLE authentication is not available now\n"),
        ("x'/**/OR/**/1=1--", "x", "NO AUTHENTICATIONFAILED authentication failed\n"),
        ("*)(uid=*", "x", "NO AUTHENTICATIONFAILED authentication failed\n"),
    ] {
        assert_eq!(run(&place, &plain(user, password)), answer, "{user} {password}");
    }
    let login = "AUTH LOGIN service=smtp ip=192.0.2.1 tls=1\nR YW5u\nR c2VjcmV0\n";
    assert_eq!(run(&place, login), "C VXNlcm5hbWU6\nC UGFzc3dvcmQ6\nOK user=ann\n");
    let cancelled = "AUTH LOGIN service=smtp ip=192.0.2.1 tls=1\nR YW5u\n*\n";
    assert!(run(&place, cancelled).ends_with("NO CANCELLED authentication cancelled\n"));
}

#[test]
fn acting_as_another_user_is_refused() {
    let place = place("", USERS);
    let as_other = |authzid: &str| {
        let response = base64_encode(format!("{authzid}\0ann\0secret").as_bytes());
        run(&place, &format!("AUTH PLAIN service=smtp ip=192.0.2.1 tls=1 resp={response}\n"))
    };
    assert_eq!(as_other("ANN"), "OK user=ann\n");
    assert_eq!(as_other("bob@here.example"), "NO AUTHORIZATIONFAILED not allowed to act as that user\n");
}

#[test]
fn mechanisms_follow_the_stored_passwords() {
    assert_eq!(run(&place("", USERS), "MECHS\n"), "MECHS PLAIN LOGIN\n");
    let keys = place(
        "[auth]\nmechanisms = [\"PLAIN\", \"LOGIN\", \"SCRAM-SHA-256\", \"SCRAM-SHA-256-PLUS\"]\n",
        "ann:{PLAIN}secret:1:1::::\nuser:{SCRAM-SHA-256}4096,c2FsdA==,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:1:1::::\n",
    );
    assert_eq!(run(&keys, "MECHS\n"), "MECHS PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n");
    assert_eq!(run(&keys, "AUTH OAUTHBEARER service=x ip=y tls=1\n"), "NO UNSUPPORTED mechanism not available\n");
}

/// RFC 7677 section 3: the exchange up to the server's first message; a wrong proof; unknown users look the same.
#[test]
fn scram_challenges_known_and_unknown_users_alike() {
    let place = place(
        "",
        "user:{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=:1:1::::\n",
    );
    let first = |user: &str| {
        let response = base64_encode(format!("n,,n={user},r=rOprNGfwEbeRWgbNEkqO").as_bytes());
        let proof = base64_encode(format!("c=biws,r=x,p={}", base64_encode(&[0; 32])).as_bytes());
        run(&place, &format!("AUTH SCRAM-SHA-256 service=smtp ip=192.0.2.1 tls=1 resp={response}\nR {proof}\n"))
    };
    let challenge = |answer: &str| {
        let line = answer.lines().next().and_then(|l| l.strip_prefix("C ")).unwrap().to_owned();
        String::from_utf8(base64_decode(&line).unwrap()).unwrap()
    };
    let known = first("user");
    assert!(challenge(&known).contains(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), "{known}");
    assert!(known.ends_with("NO AUTHENTICATIONFAILED authentication failed\n"));
    let salt = |answer: &str| challenge(answer).split(",s=").nth(1).unwrap().to_owned();
    let (one, two) = (first("nobody"), first("nobody"));
    assert!(salt(&one).ends_with(",i=4096"));
    assert_eq!(salt(&one), salt(&two));
    assert!(one.ends_with("NO AUTHENTICATIONFAILED authentication failed\n"));
}

#[test]
fn the_grant_tells_spawn_who_it_is() {
    let place = place("", USERS);
    // descriptor 9 in the child, by the shell
    let shell = format!(
        "exec {} -c {} 9>{}",
        program!("checkauth").display(),
        place.config().display(),
        place.path("grant").display()
    );
    let input = format!("{}{}", plain("ann", "wrong"), plain("ann", "secret"));
    let run = Run::new("/bin/sh").arg("-c").arg(shell).env("PENNYPOST_GRANT_FD", "9").stdin(input).run();
    run.expect_code(0).expect_out("NO AUTHENTICATIONFAILED authentication failed\nOK user=ann\n");
    let line = std::fs::read_to_string(place.path("grant")).unwrap();
    assert_eq!(line, "ann\t1001\t1001\t/home/ann\t/home/ann/Maildir\t1\t0\t0\n");
}

#[test]
fn failures_are_logged_for_bans_and_hold_no_secret() {
    let place = place("", USERS);
    let output =
        Run::new(program!("checkauth")).arg("-c").arg(place.config()).stdin(plain("ann\u{85}", "hunter2")).run();
    assert!(output.err().contains("ev=auth-failed ip=192.0.2.1 "), "{}", output.err());
    let output = Run::new(program!("checkauth")).arg("-c").arg(place.config()).stdin(plain("ann", "hunter2")).run();
    assert!(output.err().contains("ev=auth-failed ip=192.0.2.1 user=ann service=smtp mech=PLAIN tls=1"));
    assert!(!output.err().contains("hunter2"));
}

/// Failures are counted by address (IPv6: by network) and by login.
#[test]
fn failures_are_counted_for_address_and_login() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let place = Place::new("[auth]\nfailures_before_delay = 7\n");
    std::fs::write(place.path("tables/users"), USERS).unwrap();
    let kept = Arc::clone(&asked);
    place.lookup(Arc::new(move |question: &[&str]| {
        match question {
            ["user", "ann"] => return "OK\tann\t1001\t1001\t/home/ann\t/home/ann/Maildir\t1\t0\t0".into(),
            ["rate", rest @ ..] => kept.lock().unwrap().push(rest.join(" ")),
            _ => {}
        }
        "NO\t8".into()
    }));
    let start = std::time::Instant::now();
    let attempt = plain("ANN", "wrong").replace("ip=192.0.2.1", "ip=2001:db8::9");
    assert_eq!(run(&place, &attempt), "NO AUTHENTICATIONFAILED authentication failed\n");
    // who guesses waits, once
    assert!(start.elapsed() >= std::time::Duration::from_secs(3));
    let expected = ["authfail/client/2001:db8:0:0::/64 7 60 1", "authfail/login/ann 7 60 1"];
    assert_eq!(*asked.lock().unwrap(), expected);
    // the right password does not
    asked.lock().unwrap().clear();
    assert_eq!(run(&place, &plain("ann", "secret")), "OK user=ann\n");
    assert!(asked.lock().unwrap().is_empty());
}

fn script(place: &Place, name: &str, text: &str) -> String {
    let path = place.path(name);
    penny_testkit::tmp::executable(&path, text);
    path.display().to_string()
}

#[test]
fn any_checkpassword_program_serves() {
    let text = "#!/bin/sh\nIFS= read -r line <&3\ncase $(printf %s \"$line\" | tr '\\000' '|') in\n\
                'ann|secret|'*) ;;\n'late|'*) exit 111 ;;\n*) exit 1 ;;\nesac\n\
                USER=ann HOME=/home/ann SHELL=/bin/sh export USER HOME SHELL\nexec \"$@\"\n";
    // dash's read drops NUL, so tr must see the bytes themselves
    let text = text
        .replace("IFS= read -r line <&3\ncase $(printf %s \"$line\" | tr", "case $(tr")
        .replace("'|') in", "'|' <&3) in");
    let first = place("", USERS);
    let program = script(&first, "checkpw", &text);
    let place = place(&format!("[auth]\nsource = \"checkpassword\"\ncheckpassword = \"{program}\"\n"), USERS);
    assert_eq!(run(&place, &plain("ann", "secret")), "OK user=ann\n");
    assert_eq!(run(&place, &plain("ann", "wrong")), "NO AUTHENTICATIONFAILED authentication failed\n");
    assert_eq!(run(&place, &plain("late", "x")), "NO UNAVAILABLE authentication is not available now\n");
    assert_eq!(run(&place, "MECHS\n"), "MECHS PLAIN LOGIN\n");
}

#[test]
fn tokens_go_to_the_validator() {
    let text = "#!/bin/sh\nread token\ncase $token in good) echo ann ;; bad) exit 1 ;; *) exit 7 ;; esac\n";
    let first = place("", USERS);
    let program = script(&first, "validate", text);
    let place = place(
        &format!("[auth]\nmechanisms = [\"XOAUTH2\", \"OAUTHBEARER\"]\noauth_validator = \"{program}\"\n"),
        USERS,
    );
    let with = |token: &str, more: &str| {
        let response = base64_encode(format!("user=ann\x01auth=Bearer {token}\x01\x01").as_bytes());
        run(&place, &format!("AUTH XOAUTH2 service=imap ip=::1 tls=1 resp={response}\n{more}"))
    };
    assert_eq!(with("good", ""), "OK user=ann\n");
    assert_eq!(with("late", ""), "NO UNAVAILABLE authentication is not available now\n");
    let refused = with("bad", "R \n");
    assert!(refused.starts_with("C ") && refused.ends_with("NO AUTHENTICATIONFAILED authentication failed\n"));
    assert_eq!(run(&place, "MECHS\n"), "MECHS XOAUTH2 OAUTHBEARER\n");
}

#[test]
fn a_line_that_is_not_understood_ends_it() {
    let place = place("", USERS);
    for line in ["HELLO\n", "AUTH\n", "AUTH PLAIN x\n", "AUTH PLAIN resp=%%\n", "AUTH PLAIN ip=x"] {
        let output = Run::new(program!("checkauth")).arg("-c").arg(place.config()).stdin(line).run();
        assert_eq!(output.code, Some(100), "{line:?}");
    }
}
