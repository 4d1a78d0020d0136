//! Programs in place of tables and compiled tables, as lookup, checkauth and pennypost make use of them.

#[path = "support/admin.rs"]
mod admin;

use admin::{Admin, programs};
use penny_testkit::{PATIENCE, Run, skip, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

fn place(rest: &str) -> Admin {
    // no question may run into its limit because the machine is busy
    Admin::new("hostname = \"mx.example.test\"", &format!("system_users = false\n{rest}"))
}

fn patient() -> Admin {
    place("[lookup]\ntable_timeout = \"100s\"\n")
}

/// One script for every table: answers by `$TABLE` and key, says `500` to all else.
const EVERYTHING: &str = r#"#!/bin/sh
while read -r verb key; do case $TABLE.$key in
  users.joe@example.test) echo '200 {PLAIN}secret:1001:1002::/home/joe:/bin/sh:userdb_quota_rule=*:storage=2M' ;;
  users.shut@example.test) echo '200 {PLAIN}secret:1003:1003::/home/shut::nologin' ;;
  users.broken@example.test) echo '200 {PLAIN}x:abc:def' ;;
  aliases.team) echo '200 joe,%20"|/bin/x%20a,%20b"' ;;
  virtual.sales@example.test) echo '200 joe, out@far.test' ;;
  virtual.@catch.test) echo '200 joe@example.test' ;;
  domains.example.test|domains.catch.test) echo '200 local' ;;
  domains.also.test) echo '200 alias%20example.test' ;;
  domains.back.test) echo '200 relay' ;;
  routes..far.test) echo '200 smtp:[192.0.2.1]:26 tls=must' ;;
  senders.boss@example.test) echo '200 joe@example.test' ;;
  access.client%20192.0.2.7) echo '200 reject go away' ;;
  *later*) echo '400 the database is away' ;;
  *) echo '500 nothing' ;;
esac; done
"#;

const TABLES: [&str; 7] = ["users", "aliases", "virtual", "domains", "routes", "access", "senders"];

fn everything() -> Admin {
    let place = patient();
    for table in TABLES {
        place.dir.script(format!("etc/{table}"), EVERYTHING);
    }
    place
}

#[test]
fn a_program_answers_for_every_table() {
    let answers = everything().ask(&[
        "user JOE+x@Example.test",
        "user nobody@example.test",
        "expand team@also.test",
        "expand sales@example.test",
        "expand any@catch.test",
        "expand nobody@example.test",
        "rcpt joe@example.test",
        "rcpt x@back.test",
        "rcpt x@foreign.test",
        "route a.b.far.test",
        "route else.test",
        "maysend joe@example.test boss@example.test",
        "maysend joe@example.test other@example.test",
        "access",
    ]);
    let expected = [
        "OK joe@example.test 1001 1002 /home/joe /home/joe/Maildir 1 2048 0",
        "NO 5.1.1 no such user",
        "OK local joe@example.test pipe /bin/x a, b",
        "OK local joe@example.test remote out@far.test",
        "OK local joe@example.test",
        "OK error 5.1.1 no such user: nobody@example.test",
        "OK local joe@example.test",
        "OK alias",
        "OK relay",
        "OK host 192.0.2.1 26 0 must  ",
        "OK mx",
        "OK",
        "NO 5.7.1 the address does not belong to the login",
        "OK 1",
    ];
    // without a uid of its own the mailbox belongs to who runs it; root has separate ids only when they are configured
    let own = format!("OK joe@example.test {} ", penny_sys::ids::own_uid());
    assert!(answers[0].starts_with(&own) || answers[0] == expected[0], "{}", answers[0]);
    assert!(answers[0].ends_with("/home/joe /home/joe/Maildir 1 2048 0"), "{}", answers[0]);
    assert_eq!(answers[1..], expected[1..]);
    let place = everything();
    let access = place.ask(&["access client\t192.0.2.7"]);
    assert_eq!(access, ["OK reject go away"]);
}

#[test]
fn a_program_that_cannot_tell_makes_the_question_temporary() {
    const AWAY: &str = "TEMP 4.3.5 a table cannot be asked now";
    let answers = everything().ask(&[
        "user later@example.test",
        "rcpt later@example.test",
        "expand later@example.test",
        "route later.test",
        "access client later",
        "maysend x later@example.test",
        "user broken@example.test",
        "user joe@example.test",
    ]);
    assert_eq!(answers[..7], [AWAY; 7]);
    assert!(answers[7].starts_with("OK joe"), "400 is no failure of the program: {}", answers[7]);
    for script in ["exit 1", "read -r q; exit 1", "read -r q; echo gibberish", "exec /nonexistent"] {
        let place = patient();
        place.dir.script("etc/users", &format!("#!/bin/sh\n{script}\n"));
        place.dir.write("etc/domains", "example.test local\n");
        let answers = place.ask(&["user x@example.test", "rcpt x@example.test", "route far.test", "rate k 1 60 1"]);
        assert_eq!(answers, [AWAY, AWAY, "OK mx", "OK 1"], "{script}");
    }
}

#[test]
fn an_unsafe_program_is_not_run() {
    let place = patient();
    let users = place.dir.script("etc/users", &format!("#!/bin/sh\ntouch {}\n", place.dir.join("ran").display()));
    std::fs::set_permissions(&users, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(place.ask(&["user x@example.test"]), ["TEMP 4.3.5 a table cannot be asked now"]);
    assert!(!place.dir.join("ran").exists());
    place.run("check").expect_code(78).expect_out("a program that others may write");
    place.run("tables list").expect_code(0).expect_out("nobody: a program that others may write");
    place.run("user add ann@example.test --generate").expect_code(78).expect_err("a program answers");
    place.run("user list").expect_code(78);
}

/// A resident lookup and a conversation with it.
struct Resident {
    _lookup: penny_testkit::run::Started,
    stream: BufReader<UnixStream>,
}

impl Resident {
    fn new(place: &Admin) -> Resident {
        std::fs::create_dir_all(place.dir.join("run/lookup")).unwrap();
        let lookup = Run::new(programs().join("lookup")).arg("-c").arg(place.config()).arg("--serve").spawn();
        let socket = place.dir.join("run/lookup/socket");
        penny_testkit::wait_for_socket(&socket);
        let stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Resident { _lookup: lookup, stream: BufReader::new(stream) }
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.stream.get_mut(), "{}", question.replace(' ', "\t")).unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().replace('\t', " ")
    }
}

#[test]
fn a_program_that_hangs_costs_one_limit_and_comes_back() {
    let place = place("[lookup]\ntable_timeout = \"1s\"\n");
    // until the file `well` is there, it never answers
    let well = place.dir.join("well");
    let script = format!(
        "#!/bin/sh\nwhile read -r q; do\n if [ ! -e {} ]; then exec sleep 100000; fi\n \
         case $q in get\\ a@*) echo \"200 {{PLAIN}}x\" ;; *) echo 500 ;; esac\ndone\n",
        well.display()
    );
    place.dir.script("etc/users", &script);
    place.dir.write("etc/domains", "example.test local\n");
    let mut lookup = Resident::new(&place);
    assert_eq!(lookup.ask("user a@example.test"), "TEMP 4.3.5 a table cannot be asked now");
    assert_eq!(lookup.ask("route far.test"), "OK mx");
    std::fs::write(&well, "").unwrap();
    until("its return", || lookup.ask("user a@example.test").starts_with("OK a@example.test"));
    // replaced by a text, which is noticed
    std::fs::write(place.dir.join("etc/new"), "b@example.test:{PLAIN}x\n").unwrap();
    std::fs::rename(place.dir.join("etc/new"), place.dir.join("etc/users")).unwrap();
    until("the new file", || lookup.ask("user b@example.test").starts_with("OK b@example.test"));
    assert_eq!(lookup.ask("user a@example.test"), "NO 5.1.1 no such user");
}

#[test]
fn logins_through_a_program() {
    let place = everything();
    let in_time = |user: &str, password: &str| place.log_in(user, password);
    assert_eq!(in_time("joe@example.test", "secret"), "OK user=joe@example.test\n");
    assert_eq!(in_time("Joe@Example.test", "secret"), "OK user=joe@example.test\n");
    assert!(in_time("joe@example.test", "wrong").starts_with("NO AUTHENTICATIONFAILED"));
    assert!(in_time("nobody@example.test", "secret").starts_with("NO AUTHENTICATIONFAILED"));
    assert!(in_time("shut@example.test", "secret").starts_with("NO EXPIRED"));
    assert!(in_time("later@example.test", "secret").starts_with("NO UNAVAILABLE"));
    place
        .dir
        .write("etc/app-passwords", "joe@example.test:phone:{PLAIN}from the phone\nshut@example.test:p:{PLAIN}p\n");
    assert_eq!(in_time("joe@example.test", "from the phone"), "OK user=joe@example.test\n");
    assert!(in_time("shut@example.test", "p").starts_with("NO EXPIRED"), "app passwords are locked too");
}

/// Where the examples of the package are.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/tables");

fn text_of(example: &str) -> String {
    std::fs::read_to_string(Path::new(EXAMPLES).join(example)).unwrap()
}

/// An example, with a place in it changed, in place of a table.
fn example(place: &Admin, name: &str, table: &str, from: &str, to: &Path) {
    let text = text_of(name);
    assert!(text.contains(from), "{from}");
    place.dir.script(format!("etc/{table}"), &text.replace(from, &to.display().to_string()));
}

/// Each example stands in place of the table that its name and its remarks name, and one of these tests asks it.
#[test]
fn every_example_is_asked() {
    let here = include_str!("tables.rs");
    for path in penny_testkit::tmp::list(EXAMPLES) {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap();
        let table = name.rsplit('-').next().unwrap();
        assert!(penny_tables::set::NAMES.contains(&table), "{name}: {table} is no table");
        let remark = format!(" {name} /etc/pennypost/{table}\n");
        assert!(text_of(name).contains(&remark), "{name} does not say{remark}");
        assert!(here.contains(&format!("example(&place, \"{name}\", \"{table}\",")), "{name} is asked by no test");
    }
}

/// The samples of the manual that say whose they are are read without a mistake.
#[test]
fn the_samples_of_the_manual_are_tables() {
    let page = include_str!("../man/pennypost-tables.5");
    let samples = page.split(".Bd -literal -offset indent\n# ").skip(1).filter_map(|b| b.split_once('\n'));
    let mut read = Vec::new();
    for (table, text) in samples {
        let text = text.split("\n.Ed").next().unwrap_or_default().replace("\\e", "\\");
        assert!(penny_tables::set::NAMES.contains(&table), "{table} is no table");
        assert_eq!(penny_tables::Tables::mistakes(table, &text), [], "{table}: {text}");
        read.push(table);
    }
    assert_eq!(read, ["aliases", "domains"]);
}

/// The SQL in the remarks of an example.
fn sql_of(name: &str) -> String {
    text_of(name).lines().filter_map(|l| l.strip_prefix("#   ")).filter(|l| l.ends_with(';')).collect()
}

#[test]
fn users_out_of_sqlite() {
    if !skip::have("users_out_of_sqlite", "sqlite3") {
        return;
    }
    let place = patient();
    let database = place.dir.join("users.sqlite");
    example(&place, "sqlite-users", "users", "/var/lib/pennypost/users.sqlite", &database);
    place.dir.write("etc/domains", "example.test local\nexample.org local\n");
    assert!(place.log_in("joe@example.test", "x").starts_with("NO UNAVAILABLE"), "no database yet");
    let sql = sql_of("sqlite-users")
        + "INSERT INTO users VALUES ('joe@example.test', '{PLAIN}100% safe', NULL, NULL, '/h', '5M');";
    Run::new("/usr/bin/sqlite3").arg(&database).stdin(sql).run().expect_code(0);
    assert_eq!(place.log_in("joe@example.test", "100% safe"), "OK user=joe@example.test\n");
    assert!(place.log_in("joe@example.test", "100").starts_with("NO AUTHENTICATIONFAILED"));
    let of_the_remarks = place.ask(&["user joe@example.org"]);
    assert!(of_the_remarks[0].starts_with("OK joe@example.org ") && of_the_remarks[0].ends_with(" 512000 0"));
    let answers = place.ask(&["user JOE@example.test", "user x'OR'1'='1@example.test", "rcpt ann@example.test"]);
    assert!(answers[0].starts_with("OK joe@") && answers[0].ends_with("/h /h/Maildir 0 5120 0"), "{}", answers[0]);
    assert_eq!(answers[1..], ["NO 5.1.1 no such user", "NO 5.1.1 no such user: ann@example.test"]);
}

#[test]
fn aliases_out_of_a_script() {
    let place = patient();
    example(&place, "script-aliases", "aliases", "/etc/pennypost/lists", &place.dir.join("lists"));
    place.dir.write("etc/domains", "example.test local\n");
    assert_eq!(place.ask(&["expand list-staff@example.test"]), ["TEMP 4.3.5 a table cannot be asked now"]);
    place.dir.write("lists/staff", "a@far.test\nb@far.test\n");
    let answers = place.ask(&["expand list-staff@example.test", "rcpt list-none@example.test"]);
    assert_eq!(answers, ["OK remote a@far.test remote b@far.test", "NO 5.1.1 no such user: list-none@example.test"]);
}

/// A socketmap server that closes after each second question.
fn socketmap(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            for _ in 0..2 {
                let Some(question) = netstring(&mut stream) else { break };
                let answer = match question.as_str() {
                    "virtual a@example.test" => "OK x@far.test, y@far.test",
                    "virtual b@example.test" => "TEMP come back",
                    "virtual c@example.test" => "PERM no such map",
                    "virtual d@example.test" => "no netstring",
                    _ => "NOTFOUND ",
                };
                let text = if answer == "no netstring" { answer.into() } else { format!("{}:{answer},", answer.len()) };
                stream.write_all(text.as_bytes()).unwrap();
            }
        }
    });
}

fn netstring(stream: &mut UnixStream) -> Option<String> {
    let mut len = String::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).ok()?;
        match byte[0] {
            b':' => break,
            d => len.push(d.into()),
        }
    }
    let mut text = vec![0; len.parse::<usize>().ok()? + 1];
    stream.read_exact(&mut text).ok()?;
    assert_eq!(text.pop(), Some(b','));
    String::from_utf8(text).ok()
}

#[test]
fn virtual_out_of_a_socketmap_server() {
    let place = patient();
    place.dir.write("etc/domains", "example.test local\n");
    let socket = place.dir.join("socket");
    example(&place, "socketmap-virtual", "virtual", "/run/socketmap/socket", &socket);
    let file = std::fs::read_to_string(place.dir.join("etc/virtual")).unwrap();
    let program = programs().join("pennypost").display().to_string();
    place.dir.script("etc/virtual", &file.replace("exec pennypost", &format!("exec {program}")));
    const AWAY: &str = "TEMP 4.3.5 a table cannot be asked now";
    assert_eq!(place.ask(&["expand a@example.test"]), [AWAY], "nobody listens");
    socketmap(&socket);
    let a = "expand a@example.test";
    let answers = place.ask(&[
        a,
        a,
        "expand n@example.test",
        "expand b@example.test",
        "expand c@example.test",
        "expand d@example.test",
        a,
    ]);
    let both = "OK remote x@far.test remote y@far.test";
    let none = "OK error 5.1.1 no such user: n@example.test";
    assert_eq!(answers, [both, both, none, AWAY, AWAY, AWAY, both]);
}

fn many(count: usize) -> String {
    let user = |n| format!("user{n}@d{}.example.test:{{PLAIN}}secret{n}:::::: \n", n % 50);
    (0..count).map(user).collect::<String>() + "Odd@Example.test:{PLAIN}odd\n"
}

#[test]
fn a_compiled_table_of_users() {
    let place = patient();
    place.dir.write("etc/users", many(3000));
    place.run("tables list").expect_out("users          text");
    place.run("tables compile users").expect_code(0).expect_out("users.cdb: 3001 entries");
    place.run("tables list").expect_out("users          users.cdb");
    assert_eq!(place.log_in("user2999@d49.example.test", "secret2999"), "OK user=user2999@d49.example.test\n");
    assert_eq!(place.log_in("odd@example.test", "odd"), "OK user=Odd@Example.test\n");
    assert!(place.log_in("user1@d1.example.test", "secret2").starts_with("NO AUTHENTICATIONFAILED"));
    assert!(place.log_in("nobody@d1.example.test", "secret2").starts_with("NO AUTHENTICATIONFAILED"));
    let mechanisms = || {
        let run = Run::new(programs().join("checkauth")).arg("-c").arg(place.config()).stdin("MECHS\n").run();
        run.out()
    };
    assert_eq!(mechanisms(), "MECHS PLAIN LOGIN SCRAM-SHA-256\n", "plain passwords give keys");
    // its domains are ours, as those of the text are
    let answers = place.ask(&["rcpt nobody@d7.example.test", "rcpt x@d77.example.test"]);
    assert_eq!(answers, ["NO 5.1.1 no such user: nobody@d7.example.test", "OK relay"]);
    // the tools compile again, and what they changed counts
    place.with("user add ann@new.test", "correct horse\n").expect_code(0);
    place.run("tables list").expect_out("users          users.cdb");
    assert_eq!(place.log_in("ann@new.test", "correct horse"), "OK user=ann@new.test\n");
    assert_eq!(mechanisms(), "MECHS PLAIN LOGIN\n");
    assert_eq!(place.ask(&["rcpt x@new.test"]), ["NO 5.1.1 no such user: x@new.test"]);
    let app = place.run("user app add ann@new.test phone").out();
    let app = app.trim().rsplit(' ').next().unwrap().to_string();
    place.run("tables compile app-passwords").expect_code(0);
    assert_eq!(place.log_in("ann@new.test", &app), "OK user=ann@new.test\n");
    place.run("user app del ann@new.test phone").expect_code(0);
    assert!(place.log_in("ann@new.test", &app).starts_with("NO AUTHENTICATIONFAILED"));
    place.run("user suspend ann@new.test").expect_code(0);
    assert!(place.log_in("ann@new.test", "correct horse").starts_with("NO EXPIRED"));
    // an editor's change counts too, without its being compiled
    let text = place.table("users") + "late@new.test:{PLAIN}late\n";
    std::fs::remove_file(place.dir.join("etc/users")).unwrap();
    place.dir.write("etc/users", text);
    assert_eq!(place.log_in("late@new.test", "late"), "OK user=late@new.test\n");
    place.run("tables list").expect_out("users          text");
}

#[test]
fn what_is_wrong_is_not_compiled() {
    let place = patient();
    place.dir.write("etc/users", "ok:{PLAIN}x\nbad:{PLAIN}x:abc:def\n");
    place.run("tables compile users").expect_code(65).expect_err("2: ");
    assert!(!place.dir.join("etc/users.cdb").exists());
    place.run("tables compile access").expect_code(64).expect_err("cannot be compiled");
    place.run("tables compile virtual").expect_code(65).expect_err("no table virtual");
}

/// The format is that of other tools: tinycdb reads ours, and reads the same as we do.
#[test]
fn the_format_is_that_of_cdb() {
    if !skip::have("the_format_is_that_of_cdb", "cdb") {
        return;
    }
    let place = patient();
    place.dir.write("etc/virtual", "a@x.test one, two\n@x.test three\n");
    place.dir.write("etc/users", many(1000));
    place.run("tables compile virtual users").expect_code(0);
    let cdb = |args: &[&str], file: &str| {
        let run = Run::new("/usr/bin/cdb").args(args).arg(place.dir.join("etc").join(file));
        run.run().out()
    };
    let query = |file: &str, key: &str| {
        let run = Run::new("/usr/bin/cdb").arg("-q").arg(place.dir.join("etc").join(file)).arg(key).run();
        run.out()
    };
    assert_eq!(query("virtual.cdb", "a@x.test"), "one, two");
    assert_eq!(query("virtual.cdb", "@x.test"), "three");
    assert!((0..1000).all(|n| query_matches(&query("users.cdb", &format!("user{n}@d{}.example.test", n % 50)), n)));
    assert!(cdb(&["-s"], "users.cdb").contains("number of records"), "{}", cdb(&["-s"], "users.cdb"));
    // made by tinycdb out of the same records, the very same answers
    let dump = cdb(&["-d"], "virtual.cdb");
    std::fs::remove_file(place.dir.join("etc/virtual.cdb")).unwrap();
    let made = Run::new("/usr/bin/cdb").arg("-c").arg(place.dir.join("etc/virtual.cdb")).stdin(dump).run();
    made.expect_code(0);
    place.run("tables list").expect_out("virtual        virtual.cdb");
    assert_eq!(place.ask(&["expand a@x.test", "expand b@x.test"]).len(), 2);
    assert_eq!(place.ask(&["expand b@x.test"]), ["OK remote three@x.test"]);
}

fn query_matches(found: &str, n: usize) -> bool {
    found.starts_with(&format!("{{PLAIN}}secret{n}:"))
}
