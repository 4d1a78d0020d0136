//! maildirctl import from another IMAP server: our own over TLS, Dovecot through a tunnel, one that breaks off, one that lies.

#[path = "support/instance.rs"]
mod instance;

use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use instance::Instance;
use penny_maildir::{FolderName, NameStyle, Store, StoreOptions};
use penny_testkit::{Client, Output, Run, TempDir, program, skip, tmp};

const NOBODY: u32 = 65_534;

fn pull(dir: &TempDir, args: &[&str]) -> Run {
    let run = Run::new(program!("maildirctl")).arg("import").arg(dir.join("to/Maildir"));
    run.args(args).dir(dir.path()).limit(std::time::Duration::from_secs(180))
}

fn target() -> TempDir {
    let dir = TempDir::new();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    Run::new(program!("maildirctl")).arg("make").arg(dir.join("to/Maildir")).run().expect_code(0);
    dir
}

/// File names without what is unique, dates and content of a folder.
fn mails(folder: &Path) -> Vec<(String, i64, String)> {
    let one = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let flags = name.split_once(":2,").map_or("", |(_, f)| f).to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (flags, std::fs::metadata(&path).unwrap().mtime(), text)
    };
    let mut all: Vec<_> = tmp::mails(folder).into_iter().map(one).collect();
    all.sort_by(|a, b| a.2.cmp(&b.2));
    all
}

fn subscribed(maildir: &Path) -> Vec<String> {
    let store = Store::open(maildir, StoreOptions::default()).unwrap();
    let style = NameStyle::default();
    let mut names: Vec<_> = store.subscriptions().unwrap().iter().map(|n: &FolderName| n.to_utf8(&style)).collect();
    names.sort();
    names
}

/// Two folders with three messages, by IMAP commands.
fn fill(c: &mut Client, prefix: &str) {
    let mut n = 0;
    let mut ok = |c: &mut Client, text: &str| {
        n += 1;
        let reply = c.ask(&format!("f{n} {text}"), &format!("f{n} "));
        assert!(reply.starts_with(&format!("f{n} OK")), "{text}: {reply}");
    };
    let body = |text: &str| format!("Subject: {text}\r\n\r\nbody\r\n.\r\n");
    let folder = format!("\"{prefix}Entw&APw-rfe{}2024\"", if prefix.is_empty() { "/" } else { "." });
    ok(c, &format!("CREATE {folder}"));
    ok(c, &format!("SUBSCRIBE {folder}"));
    let date = "\"17-Jul-1996 02:44:25 -0700\"";
    for (to, flags, text) in
        [("INBOX", "\\Seen \\Flagged $Work", "one"), ("INBOX", "", "two"), (&folder, "\\Answered", "three")]
    {
        let text = body(text);
        ok(c, &format!("APPEND {to} ({flags}) {date} {{{}+}}\r\n{text}", text.len()));
    }
}

fn expect_filled(maildir: &Path) {
    let inbox = mails(maildir);
    assert_eq!(inbox.len(), 2);
    assert_eq!((inbox[0].0.as_str(), inbox[0].1), ("FSa", 837_596_665), "a is $Work, the first keyword");
    assert_eq!((inbox[1].0.as_str(), inbox[1].1), ("", 837_596_665));
    assert!(inbox[0].2.ends_with("Subject: one\n\nbody\n.\n"), "{:?}", inbox[0]);
    let sub = mails(&maildir.join(".Entw&APw-rfe.2024"));
    assert_eq!((sub.len(), sub[0].0.as_str()), (1, "R"));
    assert_eq!(subscribed(maildir), ["Entwürfe/2024"]);
    assert_eq!(std::fs::read_to_string(maildir.join("dovecot-keywords")).unwrap(), "0 $Work\n");
}

#[test]
fn an_account_comes_over_tls_and_again_only_what_is_new() {
    let server = Instance::up(&[]);
    let mut c = server.imap("user1");
    fill(&mut c, "");
    let dir = target();
    std::fs::copy(server.top().join("tls.pem"), dir.join("ca.pem")).unwrap();
    dir.write("password", "pw-user1\n");
    let url = |scheme: &str, port: u16| format!("{scheme}://user1%40example.test@127.0.0.1:{port}/");
    let safe = url("imaps", server.port("IMAPS"));
    let args = [safe.as_str(), "--ca-file", "ca.pem", "--password-file", "password", "--resume", "notes"];
    let out = pull(&dir, &args).run();
    out.expect_code(0).expect_out("imported 3, skipped 0\n");
    expect_filled(&dir.join("to/Maildir"));

    let text = "Subject: later\r\n\r\nx\r\n";
    c.ask(&format!("z APPEND INBOX {{{}+}}\r\n{text}", text.len()), "z ");
    pull(&dir, &args).run().expect_code(0).expect_out("imported 1, skipped 3\n");

    // the same by STARTTLS, the password on standard input, into a folder; nothing on the server has changed
    let start = url("imap", server.port("IMAP"));
    let out = pull(&dir, &[&start, "--ca-file", "ca.pem", "-f", "Old", "--except", "INBOX"]).stdin("pw-user1\n").run();
    out.expect_code(0).expect_out("imported 1, skipped 0\n");
    assert_eq!(mails(&dir.join("to/Maildir/.Old.Entw&APw-rfe.2024")).len(), 1);
    c.line("y STATUS INBOX (MESSAGES UNSEEN)");
    assert_eq!(c.read_line().as_deref(), Some("* STATUS INBOX (MESSAGES 3 UNSEEN 2)"));

    // a wrong password, a certificate that nobody vouches for, a port that nobody listens on
    pull(&dir, &[&safe, "--ca-file", "ca.pem"]).stdin("wrong\n").run().expect_code(77);
    pull(&dir, &[&safe, "--password-file", "password"]).run().expect_code(75).expect_err("TLS with 127.0.0.1");
    pull(&dir, &["imap://joe@127.0.0.1:1/", "--plaintext"]).stdin("x\n").run().expect_code(75);
    pull(&dir, &["imap://joe@127.0.0.1:x/"]).run().expect_code(64);
}

/// imapd's session on pipes, as a user with no password would have it.
fn ours(dir: &TempDir, mails: usize) -> String {
    dir.write("p.toml", "[ids]\nlandlock = \"optional\"\n");
    dir.maildir("from/Maildir");
    for n in 0..mails {
        let text = format!("Subject: {n}\n\n{}\n", "x".repeat(500));
        dir.write(format!("from/Maildir/cur/{}.M{n}P1.h:2,S", 1_000_000_000 + n), text);
    }
    let (home, config) = (dir.join("from"), dir.join("p.toml"));
    let vars = format!("USER=joe HOME={} PENNYPOST_SHELL_OK=1", home.display());
    format!("{vars} exec {} -c {} --session", program!("imapd").display(), config.display())
}

#[test]
fn a_connection_that_breaks_off_goes_on_next_time() {
    let dir = target();
    let tunnel = ours(&dir, 300);
    let broken = format!("({tunnel}) | {{ dd bs=512 count=250 2>/dev/null; kill $$; }}");
    let args =
        |tunnel: &str| -> Output { pull(&dir, &["imap://joe@tunnel/", "--resume", "notes", "--tunnel", tunnel]).run() };
    args(&broken).expect_code(75);
    let first = mails(&dir.join("to/Maildir")).len();
    assert!(first > 0 && first < 300, "{first}");
    let out = args(&tunnel);
    out.expect_code(0);
    let mut texts: Vec<String> = mails(&dir.join("to/Maildir")).into_iter().map(|m| m.2).collect();
    assert!(texts.len() <= 350, "at most one batch comes twice");
    texts.dedup();
    assert_eq!(texts.len(), 300, "{}", out.describe());
    args(&tunnel).expect_code(0).expect_out("imported 0, skipped 300\n");
    Run::new(program!("maildirctl")).args(["check", "--read"]).arg(dir.join("to/Maildir")).run().expect_code(0);
}

#[test]
fn a_dry_run_fetches_nothing() {
    let dir = target();
    let tunnel = ours(&dir, 3);
    let out = pull(&dir, &["-n", "imap://joe@tunnel/", "--tunnel", &tunnel]).run();
    out.expect_code(0).expect_out("imported 3, skipped 0\n");
    assert_eq!(mails(&dir.join("to/Maildir")).len(), 0);
}

#[test]
fn servers_that_lie_or_stop_do_no_harm() {
    let greet = "* PREAUTH hi\\r\\n* CAPABILITY IMAP4rev1\\r\\np1 OK x\\r\\n";
    let open = format!("{greet}* LIST () \"/\" \"a/../../b\"\\r\\np2 OK x\\r\\n");
    let listed = "p3 OK x\\r\\np4 OK x\\r\\n* OK [UIDVALIDITY 9] x\\r\\np5 OK x\\r\\n* SEARCH 1\\r\\np6 OK x\\r\\n";
    let fetch = format!("{open}{listed}* 1 FETCH (UID 1 FLAGS (\\\\Seen))\\r\\np7 OK x\\r\\n");
    let whole = "* 1 FETCH (UID 1 BODY[] {10}\\r\\nA: b\\r\\n\\r\\nx\\n)\\r\\np8 OK x\\r\\n";
    for (script, code, count) in [
        (format!("{fetch}{whole}"), 0, 1),
        (format!("{fetch}* 1 FETCH (BODY[] {{3}}\\r\\nabc UID 1)\\r\\np8 OK x\\r\\n"), 0, 1),
        (format!("{fetch}* 1 FETCH (UID 1 BODY[] \"\")\\r\\np8 OK x\\r\\n"), 0, 1),
        (format!("{fetch}* 1 FETCH (UID 2 BODY[] {{3}}\\r\\nabc)\\r\\np8 OK x\\r\\n"), 0, 0),
        (format!("{fetch}* 1 FETCH (UID 1 BODY[] {{3000}}\\r\\nabc"), 75, 0),
        (format!("{fetch}p8 NO broken\\r\\n"), 75, 0),
        (format!("{fetch}p8 OK gone\\r\\n"), 0, 0),
        ("SSH-2.0 hello\\r\\n".into(), 75, 0),
        (format!("{greet}* LIST () \"/\" {{99999999999}}\\r\\n"), 75, 0),
        ("* BYE go away\\r\\n".into(), 75, 0),
        (String::new(), 75, 0),
    ] {
        let dir = target();
        let tunnel = format!("printf '{}'; exec >&-; cat >/dev/null", script.replace('%', "%%"));
        let out = pull(&dir, &["imap://joe@tunnel/", "--tunnel", &tunnel]).run();
        out.expect_code(code);
        assert_eq!(mails(&dir.join("to/Maildir/.a.__.__.b")).len(), count, "{script}");
        let outside = tmp::list(dir.join("to")).len();
        assert_eq!(outside, 1, "{script}");
    }
}

#[test]
fn dovecots_accounts_come_with_everything() {
    const IMAP: &str = "/usr/lib/dovecot/imap";
    if !Path::new(IMAP).exists() {
        return skip("dovecots_accounts_come_with_everything", "Dovecot is not installed");
    }
    let dir = target();
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let word = |flag: &str| {
        let run = Run::new("id").arg(flag);
        let run = if root { run.uid(NOBODY, NOBODY) } else { run };
        run.run().out().trim().to_owned()
    };
    let (user, group, d) = (word("-un"), word("-gn"), dir.path().display());
    dir.write(
        "dovecot.conf",
        format!(
            "base_dir = {d}/run\nstate_dir = {d}/run\nlog_path = {d}/log\nssl = no\nprotocols = imap\n\
             mail_location = maildir:{d}/from\nmail_home = {d}\nmail_uid = {user}\nmail_gid = {group}\n\
             first_valid_uid = 1\nfirst_valid_gid = 1\nstats_writer_socket_path =\n\
             namespace inbox {{\n inbox = yes\n separator = .\n prefix = INBOX.\n}}\n"
        ),
    );
    if root {
        Run::new("chown").args(["-R", "65534:65534"]).arg(dir.path()).run().expect_code(0);
    }
    let imap = format!("HOME={d} USER={user} exec {IMAP} -c {d}/dovecot.conf");
    let as_user = |run: Run| if root { run.uid(NOBODY, NOBODY) } else { run };
    // filled through a socket of its own, so that the same commands fill both servers
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut c = Client::connect(listener.local_addr().unwrap());
    let (served, _) = listener.accept().unwrap();
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", &imap]).stdin(OwnedFd::from(served.try_clone().unwrap())).stdout(OwnedFd::from(served));
    if root {
        use std::os::unix::process::CommandExt;
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut child = command.spawn().unwrap();
    assert!(c.read_line().is_some_and(|l| l.starts_with("* PREAUTH")));
    fill(&mut c, "INBOX.");
    c.line("x LOGOUT");
    child.wait().unwrap();
    drop(command);
    let out = as_user(pull(&dir, &["imap://dovecot/", "--tunnel", &imap])).run();
    out.expect_code(0).expect_out("imported 3, skipped 0\n");
    expect_filled(&dir.join("to/Maildir"));
}

/// Against our own imapd with a validator of tokens: OAUTHBEARER.
#[test]
fn a_token_in_place_of_the_password() {
    let dir = target();
    let validator =
        dir.script("validator", "#!/bin/sh\nread -r t\n[ \"$t\" = good-token ] || exit 1\necho \"$OAUTH_USER\"\n");
    let extra = dir.write(
        "extra.toml",
        format!("[auth]\nmechanisms = [\"PLAIN\", \"OAUTHBEARER\"]\noauth_validator = \"{}\"\n", validator.display()),
    );
    let server = Instance::up(&[("EXTRA_CONFIG", extra.to_str().unwrap())]);
    fill(&mut server.imap("user1"), "");
    std::fs::copy(server.top().join("tls.pem"), dir.join("ca.pem")).unwrap();
    let url = format!("imaps://user1%40example.test@127.0.0.1:{}/", server.port("IMAPS"));
    let args = [url.as_str(), "--ca-file", "ca.pem", "--oauth2"];
    pull(&dir, &args).stdin("good-token\n").run().expect_code(0).expect_out("imported 3, skipped 0\n");
    expect_filled(&dir.join("to/Maildir"));
    // the server's reason is answered, so that the refusal comes at once
    pull(&dir, &args).stdin("stale-token\n").run().expect_code(77).expect_err("logging in as user1@example.test");
}

/// Servers of the large providers: XOAUTH2 only, with and without SASL-IR; a refusal is a challenge that wants an empty answer.
#[test]
fn xoauth2_where_there_is_nothing_else() {
    let said = "user=joe@x.test\x01auth=Bearer tok\x01\x01";
    let encoded = penny_sasl::base64_encode(said.as_bytes());
    let end = "* CAPABILITY IMAP4rev1\\r\\np3 OK x\\r\\np4 OK x\\r\\np5 OK x\\r\\n";
    // each line is on disk before it is answered: the tunnel is killed as soon as the client is done
    let heard = "heard() { IFS= read -r line; printf '%s\\n' \"$line\" >>sent; printf \"$1\"; }";
    for (capabilities, answers, code, expected) in [
        ("SASL-IR ", "heard 'p2 OK in\\r\\n'", 0, format!("p2 AUTHENTICATE XOAUTH2 {encoded}\r\n")),
        ("", "heard '+ \\r\\n'; heard 'p2 OK in\\r\\n'", 0, format!("p2 AUTHENTICATE XOAUTH2\r\n{encoded}\r\n")),
        (
            "SASL-IR ",
            "heard '+ eyJ9\\r\\n'; heard 'p2 NO no\\r\\n'",
            77,
            format!("p2 AUTHENTICATE XOAUTH2 {encoded}\r\n\r\n"),
        ),
    ] {
        let dir = target();
        let first = format!("heard '* CAPABILITY IMAP4rev1 {capabilities}AUTH=XOAUTH2\\r\\np1 OK x\\r\\n'");
        let tunnel =
            format!("{heard}; printf '* OK hi\\r\\n'; {first}; {answers}; printf '{end}'; exec >&-; cat >/dev/null");
        let out = pull(&dir, &["imap://joe%40x.test@tunnel/", "--oauth2", "--tunnel", &tunnel]).stdin("tok\n").run();
        out.expect_code(code);
        let sent = std::fs::read_to_string(dir.join("sent")).unwrap();
        assert!(sent.contains(&expected), "{sent:?} has no {expected:?}");
    }
}
