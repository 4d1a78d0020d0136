//! pennypost user, alias and domain: what an admin does to the tables, and what checkauth and lookup make of it.

#[path = "support/admin.rs"]
mod admin;

use admin::Admin;
use std::os::unix::fs::PermissionsExt;

fn place() -> Admin {
    let place = Admin::new("hostname = \"mx.example.test\"", "");
    place.dir.write("etc/users", "# staff\nbob@example.test:{PLAIN}bob:::::: # kept\n\n# guests\n");
    place
}

/// The password that was printed.
fn made(text: &str) -> String {
    let line = text.lines().find(|l| l.starts_with("password of")).unwrap_or_else(|| panic!("no password: {text}"));
    line.rsplit(' ').next().expect("a word").to_string()
}

#[test]
fn a_user_is_added_and_logs_in() {
    let place = place();
    place.with("user add ann@example.test --quota 2g --messages 1000", "correct horse\n").expect_code(0);
    let table = place.table("users");
    assert!(table.starts_with("# staff\nbob@example.test:{PLAIN}bob:::::: # kept\n\n# guests\nann@"), "{table}");
    assert!(table.contains("ann@example.test:{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"), "{table}");
    assert!(table.ends_with("userdb_quota_rule=*:storage=2G:messages=1000\n"), "{table}");
    assert_eq!(place.log_in("ann@example.test", "correct horse"), "OK user=ann@example.test\n");
    assert!(place.log_in("ann@example.test", "wrong").starts_with("NO AUTHENTICATIONFAILED"));
    place.with("user add ann@example.test", "x\n").expect_code(65).expect_err("is there already");
    place.with("user add a:b@example.test", "x\n").expect_code(64);
    place.with("user add eve@example.test", "\n").expect_code(64).expect_err("empty password");
    assert_eq!(place.table("users"), table);
}

#[test]
fn a_new_table_of_secrets_is_not_for_everybody() {
    let place = Admin::new("", "");
    place.run("user add ann@example.test --generate").expect_code(0);
    let mode = |name: &str| {
        std::fs::metadata(place.dir.join("etc").join(name)).expect("the table").permissions().mode() & 0o777
    };
    assert_eq!(mode("users"), 0o640);
    place.run("user app add ann@example.test phone").expect_code(0);
    assert_eq!(mode("app-passwords"), 0o640);
    place.run("alias add team ann@example.test").expect_code(0);
    assert_eq!(mode("aliases"), 0o644);
}

#[test]
fn passwords_are_set_generated_and_taken_as_hashes() {
    let place = place();
    place.with("user passwd bob@example.test", "new one\n").expect_code(0);
    assert_eq!(place.log_in("bob@example.test", "new one"), "OK user=bob@example.test\n");
    let out = place.run("user passwd bob@example.test --generate --scheme scram-sha256");
    assert!(place.table("users").contains("bob@example.test:{SCRAM-SHA-256}10000,"));
    assert_eq!(place.log_in("bob@example.test", &made(&out.out())), "OK user=bob@example.test\n");
    place.with("user passwd bob@example.test --hashed", "{PLAIN}xyz\n").expect_code(0);
    assert_eq!(place.log_in("bob@example.test", "xyz"), "OK user=bob@example.test\n");
    place.with("user passwd bob@example.test --hashed", "{MD4}xyz\n").expect_code(64);
    // a password that is kept nowhere is not shown either
    let out = place.run("user passwd nobody@example.test --generate");
    assert_eq!((out.code, out.out().as_str()), (Some(67), ""), "{}", out.describe());
    place
        .dir
        .write("etc/pennypost.toml", std::fs::read_to_string(place.config()).unwrap().replace("/etc\"", "/away\""));
    let out = place.run("user add eve@example.test --generate");
    assert_eq!(out.out(), "", "{}", out.describe());
}

#[test]
fn a_suspended_user_is_out_until_resumed() {
    let place = place();
    let app = made(&place.run("user app add bob@example.test phone").out());
    place.run("user suspend bob@example.test").expect_code(0);
    assert!(place.log_in("bob@example.test", "bob").starts_with("NO EXPIRED"));
    assert!(place.log_in("bob@example.test", &app).starts_with("NO EXPIRED"), "app passwords are locked too");
    place.run("user list").expect_out("suspended");
    let out = place.run("route bob@example.test");
    out.expect_out("a mailbox here");
    place.run("user resume bob@example.test").expect_code(0);
    assert_eq!(place.log_in("bob@example.test", "bob"), "OK user=bob@example.test\n");
}

#[test]
fn app_passwords_come_and_go_one_by_one() {
    let place = place();
    let phone = made(&place.run("user app add bob@example.test phone").out());
    let tablet = made(&place.run("user app add bob@example.test tablet").out());
    place.run("user app add bob@example.test phone").expect_code(65);
    place.run("user app add nobody@example.test phone").expect_code(67);
    for password in ["bob", &phone, &tablet] {
        assert_eq!(place.log_in("bob@example.test", password), "OK user=bob@example.test\n");
    }
    place.run("user app del bob@example.test phone").expect_code(0);
    assert!(place.log_in("bob@example.test", &phone).starts_with("NO AUTHENTICATIONFAILED"));
    assert_eq!(place.log_in("bob@example.test", &tablet), "OK user=bob@example.test\n");
    place.run("user app list bob@example.test").expect_out("tablet");
    assert!(!place.table("app-passwords").contains(&tablet));
    place.run("user del bob@example.test").expect_code(0);
    assert_eq!(place.table("app-passwords"), "");
}

#[test]
fn a_quota_reaches_lookup_and_the_list() {
    let place = place();
    place.run("user quota bob@example.test 10M").expect_code(0);
    place.dir.write("mail/example.test/bob/Maildir/maildirsize", "10485760S\n2097152 3\n1024 1\n");
    place.run("user list").expect_out("bob@example.test  active  10M    2.0 MiB  0");
    place.run("user list --json").expect_out("\"quota\":\"10M\",\"apps\":0,\"used\":2098176");
    place.run("user quota bob@example.test none").expect_code(0);
    assert!(place.table("users").contains("bob@example.test:{PLAIN}bob::::::#"), "{}", place.table("users"));
    let table = place.table("users");
    let wrong = place.run("user quota bob@example.test lots");
    wrong.expect_code(64).expect_err("lots is no limit");
    assert_eq!((wrong.out(), place.table("users")), (String::new(), table));
    place.run("user list @example.test").expect_out("bob@");
    place.run("user list eve@example.test").expect_code(67).expect_err("no user eve@example.test");
}

#[test]
fn a_removed_user_leaves_a_trail() {
    let place = place();
    place.dir.maildir("mail/example.test/bob/Maildir");
    place.run("alias add team@example.test bob@example.test").expect_code(0);
    let out = place.run("user del bob@example.test");
    out.expect_code(0).expect_out("mail is still in").expect_out("still named in").expect_out("virtual:1");
    place.run("user del bob@example.test").expect_code(67);
    assert_eq!(place.table("users"), "# staff\n\n# guests\n");
}

#[test]
fn aliases_grow_and_shrink() {
    let place = place();
    place.dir.write("etc/aliases", "# names\nteam: bob@example.test,\n  out@far.test\n");
    place.command(["alias", "add", "team", "|/bin/ticket --queue a, b"]).run().expect_code(0);
    assert!(place.table("aliases").contains("team: bob@example.test, out@far.test, \"|/bin/ticket --queue a, b\"\n"));
    place.run("route team@example.test").expect_out("pipe /bin/ticket --queue a, b");
    place.run("alias del team out@far.test").expect_code(0);
    place.run("alias del team out@far.test").expect_code(67);
    place.run("alias list").expect_out("team -> bob@example.test, \"|/bin/ticket");
    place.dir.write("etc/aliases", "# names\n\"odd name\": bob@example.test\nteam: bob@example.test\n");
    place.run("alias list").expect_out("odd name -> bob@example.test\nteam -> bob");
    place.dir.write("etc/aliases", "# names\nteam: bob@example.test\n");
    place.run("alias add @example.test bob@example.test").expect_code(0);
    place.run("route whoever@example.test").expect_out("ends in: local bob@example.test");
    place.run("alias del @example.test").expect_code(0);
    place.run("alias del team").expect_code(0);
    assert_eq!(place.table("aliases"), "# names\n");
    place.run("alias add a,b bob@example.test").expect_code(64);
}

#[test]
fn domains_and_who_sends_as_whom() {
    let place = place();
    place.run("domain add example.org").expect_code(0);
    place.run("domain add EXAMPLE.net --alias example.test").expect_code(0);
    place.run("domain add other.test --alias exampel.test").expect_code(68).expect_err("no domain exampel.test");
    place.run("domain add backup.test --relay").expect_code(0);
    place.run("route bob@example.net").expect_out("ends in: local bob@example.test");
    place.run("domain list").expect_out("example.net   alias example.test    0").expect_out("local (by its users)  1");
    place.run("domain set example.test quota=2G").expect_code(0);
    place.run("domain del example.test").expect_code(65).expect_err("still has 1 users");
    place.run("domain list").expect_out("quota=2G");
    place.run("domain del example.org").expect_code(0);
    place.run("domain del example.org").expect_code(68);
    place.run("domain add not/a.domain").expect_code(64);
    place.run("domain send-as sales@example.test bob@example.test").expect_code(0);
    assert_eq!(place.table("senders"), "sales@example.test bob@example.test\n");
    place.run("domain send-as sales@example.test").expect_code(0);
    assert_eq!(place.table("senders"), "");
}

/// Not to know a user is no reason to bounce its mail.
#[test]
fn a_users_table_that_cannot_be_read_refuses_nobody() {
    let place = Admin::new("", "");
    std::fs::create_dir(place.dir.join("etc/users")).expect("made");
    for answer in
        place.ask(&["rcpt ann@example.test mx 192.0.2.1 -", "user ann@example.test", "expand ann@example.test"])
    {
        assert_eq!(answer, "TEMP 4.3.5 a table cannot be asked now");
    }
}

#[test]
fn commands_at_once_lose_nothing() {
    let place = place();
    std::thread::scope(|s| {
        for n in 0..6 {
            let place = &place;
            s.spawn(move || place.run(&format!("user add u{n}@example.test --generate")).expect_code(0).clone());
            s.spawn(move || place.run(&format!("alias add team u{n}@example.test")).expect_code(0).clone());
        }
    });
    assert_eq!(place.table("users").lines().filter(|l| l.starts_with('u')).count(), 6);
    assert_eq!(place.table("aliases").matches("@example.test").count(), 6);
}
