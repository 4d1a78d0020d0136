//! spamcheck from the outside: exit codes, JSON, learning, the filter contract, bad tables, bad mail.
//! Messages are made up; they prove behaviour, not accuracy.

use penny_testkit::{Output, Run, TempDir, program};
use std::path::Path;
use std::time::Duration;

const GTUBE: &str = concat!("XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X");
const HEAD: &str =
    "Message-ID: <1@x.example>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nFrom: Ann <ann@x.example>\nTo: joe@example.org\n";

fn spamcheck(dir: &TempDir) -> Run {
    Run::new(program!("spamcheck")).env("HOME", dir.path())
}

fn run(dir: &TempDir, args: &[&str], stdin: impl AsRef<[u8]>) -> Output {
    spamcheck(dir).args(args).stdin(stdin).run()
}

fn note(kind: &str, n: usize) -> String {
    format!(
        "Message-ID: <{n}@{kind}.example>\nDate: Mon, 1 Jan 2024 00:00:{n:02} +0000\nFrom: {kind} {n} <{kind}@{kind}.example>\nTo: joe@example.org\nSubject: {kind} for you {n}\n\nHello, this is about {kind}, number {n}.\n"
    )
}

/// Files of both kinds, and a replay list of them.
fn corpus(dir: &TempDir, each: usize) -> (String, String, String) {
    let (mut spam, mut ham, mut replay) = (String::new(), String::new(), String::new());
    for n in 0..each {
        for (kind, list) in [("pills", &mut spam), ("minutes", &mut ham)] {
            let path = dir.write(format!("{kind}/{n}"), note(kind, n));
            list.push_str(&format!("{}\n", path.display()));
            let label = if kind == "pills" { "spam" } else { "ham" };
            replay.push_str(&format!("{label} {}\n", path.display()));
        }
    }
    (spam, ham, replay)
}

/// A table that knows pills from minutes.
fn trained(dir: &TempDir) -> String {
    let db = dir.join("db").display().to_string();
    let (_, _, replay) = corpus(dir, 220);
    run(dir, &["--db", &db, "--json", "--replay"], replay).expect_code(0);
    db
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn exit_codes_by_hand() {
    let dir = TempDir::new();
    let db = trained(&dir);
    run(&dir, &["--db", &db], note("pills", 900)).expect_code(0).expect_out("X-Spamcheck: spam score=");
    run(&dir, &["--db", &db], note("minutes", 900)).expect_code(1).expect_out("X-Spamcheck: ham score=");
    run(&dir, &["--db", "/nonexistent/db"], note("minutes", 1)).expect_code(2).expect_out("X-Spamcheck: unsure score=");
    run(&dir, &["--no-such-option"], "").expect_code(3).expect_err("unknown option --no-such-option");
    run(&dir, &["-s", "-n"], "").expect_code(3);
    run(&dir, &["--spam-cut", "7"], "").expect_code(3);
}

#[test]
fn gtube_is_spam_untrained() {
    let dir = TempDir::new();
    let mail = format!("{HEAD}Subject: test\n\n{GTUBE}\n");
    run(&dir, &["--json"], &mail).expect_code(0).expect_out("\"verdict\":\"spam\"");
    run(&dir, &["--explain"], &mail).expect_code(0).expect_out("GTUBE").expect_out("test string");
    run(&dir, &["--json", "--no-rules"], &mail).expect_code(2);
}

#[test]
fn filter_contract() {
    let dir = TempDir::new();
    let as_filter = |args: &[&str], mail: &str| {
        spamcheck(&dir).env("PENNYPOST_FILTER", "1").env("SENDER", "a@b.example").args(args).stdin(mail).run()
    };
    let junk = as_filter(&[], &format!("{HEAD}Subject: x\n\n{GTUBE}\n"));
    junk.expect_code(99).expect_out("X-Spamcheck: spam");
    let fine = as_filter(&[], &format!("{HEAD}Subject: x\n\nhello\n"));
    fine.expect_code(0).expect_out("X-Spamcheck: unsure");
    for output in [junk, fine] {
        let out = output.out();
        assert!(out.ends_with('\n') && out.lines().skip(1).all(|l| l.starts_with(['\t', ' '])), "not one field: {out}");
    }
    // trouble of ours is unsure, and said in the field; the mail flows
    let torn = dir.write("torn", vec![0u8; 1000]);
    for args in [&["--db", torn.to_str().unwrap()][..], &["--no-such-option"], &["--rules", "/nonexistent"]] {
        as_filter(args, &format!("{HEAD}\nhi\n"))
            .expect_code(0)
            .expect_out("X-Spamcheck: unsure")
            .expect_out("trouble=");
    }
}

#[test]
fn block_list_answers_count_in_the_filter_only() {
    let dir = TempDir::new();
    let mail = format!("{HEAD}Subject: x\n\nhello\n");
    let with = spamcheck(&dir).env("PENNYPOST_FILTER", "1").env("DNSBL", "zen.example=127.0.0.2").stdin(&mail).run();
    with.expect_code(0).expect_out("BLOCK_LIST_1");
    let without = spamcheck(&dir).env("DNSBL", "zen.example=127.0.0.2").stdin(&mail).run();
    assert!(!without.out().contains("BLOCK_LIST"));
}

#[test]
fn bulk_prints_one_line_each_in_order() {
    let dir = TempDir::new();
    let db = trained(&dir);
    let names: Vec<String> = (0..5)
        .map(|n| {
            let kind = if n % 2 == 0 { "pills" } else { "minutes" };
            dir.write(format!("new {n} \"q\""), note(kind, 900 + n)).display().to_string()
        })
        .collect();
    let output = run(&dir, &["--db", &db, "--json", "-b"], names.join("\n"));
    output.expect_code(0);
    let out = output.out();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5);
    for (n, (line, name)) in lines.iter().zip(&names).enumerate() {
        let quoted = name.replace('"', "\\\"");
        let verdict = if n % 2 == 0 { "spam" } else { "ham" };
        assert!(line.starts_with(&format!("{{\"file\":\"{quoted}\",\"score\":0.")), "{line}");
        assert!(line.ends_with(&format!("\"verdict\":\"{verdict}\"}}")), "{line}");
    }
}

#[test]
fn a_missing_file_in_a_list_is_reported_and_the_rest_goes_on() {
    let dir = TempDir::new();
    let good = dir.write("good", note("minutes", 1));
    let list = format!("/nonexistent/mail\n{}\n", good.display());
    let output = run(&dir, &["--json", "-b"], &list);
    output.expect_code(3).expect_err("/nonexistent/mail");
    assert_eq!(output.out().lines().count(), 2);
    let db = dir.join("db").display().to_string();
    run(&dir, &["--db", &db, "-n", "-b"], &list).expect_code(3).expect_err("/nonexistent/mail");
    run(&dir, &["--db", &db, "--stats"], "").expect_out("learned: 1 ham, 0 spam");
}

#[test]
fn learning_twice_counts_once_and_a_correction_corrects() {
    let dir = TempDir::new();
    let db = trained(&dir);
    let one = note("pills", 3);
    let before = std::fs::read(&db).unwrap();
    run(&dir, &["--db", &db, "-s", "-v"], &one).expect_code(0).expect_out("0 new, 0 corrected, 1 known already");
    let stats = run(&dir, &["--db", &db, "--stats"], "");
    stats.expect_out("learned: 220 ham, 220 spam");
    assert_ne!(before.len(), 0);
    run(&dir, &["--db", &db, "-n", "-v"], &one).expect_code(0).expect_out("1 corrected");
    run(&dir, &["--db", &db, "--stats"], "").expect_out("learned: 221 ham, 219 spam");
    run(&dir, &["--db", &db], &one).expect_code(1);
}

#[test]
fn fewer_than_two_hundred_of_each_is_unsure() {
    let dir = TempDir::new();
    let db = dir.join("db").display().to_string();
    let (spam, ham, _) = corpus(&dir, 199);
    run(&dir, &["--db", &db, "-s", "-b"], spam).expect_code(0);
    run(&dir, &["--db", &db, "-n", "-b"], ham).expect_code(0);
    run(&dir, &["--db", &db], note("pills", 900)).expect_code(2);
    run(&dir, &["--db", &db], note("minutes", 900)).expect_code(2);
}

#[test]
fn maildir_and_mbox_are_learned() {
    let dir = TempDir::new();
    let db = dir.join("db").display().to_string();
    let maildir = dir.maildir("Junk");
    std::fs::write(maildir.join("cur/1:2,S"), note("pills", 1)).unwrap();
    std::fs::write(maildir.join("new/2"), note("pills", 2)).unwrap();
    std::fs::write(maildir.join("tmp/3"), note("pills", 3)).unwrap();
    let mbox = dir.write("mbox", format!("From a Mon\n{}\nFrom b Tue\n{}\n", note("minutes", 1), note("minutes", 2)));
    run(&dir, &["--db", &db, "-s", maildir.to_str().unwrap()], "").expect_code(0);
    run(&dir, &["--db", &db, "-n", mbox.to_str().unwrap()], "").expect_code(0);
    run(&dir, &["--db", &db, "--stats"], "").expect_out("learned: 2 ham, 2 spam");
}

#[test]
fn train_mixes_both_heaps() {
    let dir = TempDir::new();
    let db = dir.join("db").display().to_string();
    corpus(&dir, 210);
    let (ham, spam) = (dir.join("minutes"), dir.join("pills"));
    let args = ["--db", &db, "--train", "-v", "--in-ham", ham.to_str().unwrap(), "--in-spam", spam.to_str().unwrap()];
    run(&dir, &args, "").expect_code(0).expect_out("learned from 420 messages");
    run(&dir, &["--db", &db, "--stats"], "").expect_out("learned: 210 ham, 210 spam");
    run(&dir, &["--db", &db], note("pills", 900)).expect_code(0);
    run(&dir, &["--db", &db], note("minutes", 900)).expect_code(1);
    run(&dir, &["--db", &db, "--train"], "").expect_code(3);
    run(&dir, &["--db", &db, "--train", "--in-ham", "/nonexistent"], "").expect_code(3).expect_err("/nonexistent");
}

#[test]
fn replay_scores_before_it_learns() {
    let dir = TempDir::new();
    let db = dir.join("db").display().to_string();
    let (_, _, list) = corpus(&dir, 210);
    let out = run(&dir, &["--db", &db, "--json", "--replay"], &list).out();
    assert_eq!(out.lines().count(), 420);
    let (first, last) = (out.lines().next().unwrap(), out.lines().last().unwrap());
    assert!(first.contains("\"unsure\""), "{first}");
    assert!(last.contains("\"ham\""), "{last}");
    let gone = run(&dir, &["--db", &db, "--json", "--replay"], "ham /nonexistent/mail\nham /dev/null\n");
    gone.expect_code(3).expect_err("/nonexistent/mail").expect_out("\"trouble\":");
    assert_eq!(gone.out().lines().count(), 2);
    run(&dir, &["--db", &db, "--replay"], "eggs /etc/passwd\n").expect_code(3).expect_err("ham PATH");
}

#[test]
fn parts_can_be_left_out() {
    let dir = TempDir::new();
    let db = trained(&dir);
    run(&dir, &["--db", &db, "--no-table"], note("minutes", 900)).expect_code(2).expect_out("table=0+0");
    let out = run(&dir, &["--db", &db, "--no-rules", "--json", "-v"], note("pills", 900)).out();
    assert!(out.contains("\"rules\":[]") && out.contains("\"verdict\":\"spam\""), "{out}");
}

#[test]
fn pass_replaces_foreign_fields_and_keeps_every_other_byte() {
    let dir = TempDir::new();
    let body = "caf\u{e9}\r\nX-Spamcheck: in the body stays\n\0\n";
    let mail = format!("{HEAD}X-Spamcheck: ham\n score=0\nX-Spamcheck-Old: x\nSubject: x\n\n{body}");
    let out = run(&dir, &["--pass"], &mail).out();
    assert!(out.starts_with("X-Spamcheck: unsure score="), "{out}");
    assert_eq!(count(&out, "X-Spamcheck"), 2);
    assert!(out.ends_with(&format!("{HEAD}Subject: x\n\n{body}")));
    let mbox = run(&dir, &["-p"], format!("From me Mon\n{mail}")).out();
    assert!(mbox.starts_with("From me Mon\nX-Spamcheck: "), "{mbox}");
}

#[test]
fn a_hundred_mebibytes_pass_in_flat_memory() {
    let dir = TempDir::new();
    let mut mail = format!("{HEAD}Subject: big\n\n").into_bytes();
    mail.resize(100 << 20, b'x');
    let path = dir.write("big", &mail);
    let script = dir.script(
        "limited",
        &format!(
            "#!/bin/sh\nulimit -v 200000\n{} --pass < {} | wc -c\n",
            program!("spamcheck").display(),
            path.display()
        ),
    );
    let output = Run::new(script).env("HOME", dir.path()).limit(Duration::from_secs(120)).run();
    let passed: usize = output.out().trim().parse().unwrap_or(0);
    assert!(passed > 100 << 20, "{}", output.describe());
}

#[test]
fn a_damaged_table_is_told_and_mail_still_gets_a_verdict() {
    let dir = TempDir::new();
    let db = trained(&dir);
    let good = std::fs::read(&db).unwrap();
    let mut version = good.clone();
    version[8] = 99;
    let mut header = good.clone();
    header[40] ^= 1;
    for (bytes, words) in [
        (&good[..good.len() / 2], "truncated"),
        (&[][..], "0 bytes long"),
        (b"hello".as_slice(), "not a table"),
        (&version[..], "version 99"),
        (&header[..], "damaged"),
    ] {
        std::fs::write(&db, bytes).unwrap();
        run(&dir, &["--db", &db, "--json"], note("pills", 900))
            .expect_code(2)
            .expect_err(words)
            .expect_out("\"trouble\":");
    }
    // a learner sets a damaged one aside and starts anew, but never touches one of another version
    std::fs::write(&db, &good[..1000]).unwrap();
    run(&dir, &["--db", &db, "-s"], note("pills", 1)).expect_code(0).expect_err("set aside");
    run(&dir, &["--db", &db, "--stats"], "").expect_out("learned: 0 ham, 1 spam");
    let aside =
        std::fs::read_dir(dir.path()).unwrap().flatten().find(|e| e.file_name().to_string_lossy().contains(".bad-"));
    assert_eq!(std::fs::read(aside.unwrap().path()).unwrap(), &good[..1000]);
    std::fs::write(&db, &version).unwrap();
    run(&dir, &["--db", &db, "-s"], note("pills", 1)).expect_code(3).expect_err("version 99");
    assert_eq!(std::fs::read(&db).unwrap(), version);
    // damage in the cells is found when learning
    let mut cells = good.clone();
    *cells.last_mut().unwrap() ^= 1;
    std::fs::write(&db, &cells).unwrap();
    run(&dir, &["--db", &db, "-s"], note("pills", 1)).expect_code(0).expect_err("cells are damaged");
}

#[test]
fn learners_side_by_side_lose_no_lesson_and_readers_never_see_half_a_table() {
    let dir = TempDir::new();
    let db = dir.join("db").display().to_string();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (dir, db) = (&dir, &db);
            scope.spawn(move || {
                for n in 0..5 {
                    let kind = if worker % 2 == 0 { "-s" } else { "-n" };
                    run(dir, &["--db", db, kind], note(&format!("w{worker}"), n)).expect_code(0);
                    let seen = run(dir, &["--db", db], note("pills", 1));
                    seen.expect_code(2);
                    assert_eq!(seen.err(), "");
                }
            });
        }
    });
    run(&dir, &["--db", &db, "--stats"], "").expect_out("learned: 10 ham, 10 spam; replaced 20 times");
}

#[test]
fn leftovers_of_a_killed_learner_are_harmless_and_removed() {
    let dir = TempDir::new();
    let db = trained(&dir);
    let leftover = dir.write("db.new-1-2", "half a table");
    run(&dir, &["--db", &db], note("pills", 900)).expect_code(0);
    run(&dir, &["--db", &db, "-s"], note("pills", 901)).expect_code(0);
    assert!(!leftover.exists());
}

#[test]
fn the_table_keeps_its_size_and_four_mebibytes_hold_everything() {
    let dir = TempDir::new();
    let db = trained(&dir);
    let size = |p: &Path| std::fs::metadata(p).unwrap().len();
    let before = size(Path::new(&db));
    assert!(before <= 4 << 20);
    run(&dir, &["--db", &db, "-s"], note("other", 1)).expect_code(0);
    assert_eq!(size(Path::new(&db)), before);
    let rest: u64 = ["db.lock"].iter().map(|n| size(&dir.join(n))).sum();
    assert_eq!(rest, 0);
}

#[test]
fn the_users_table_speaks_and_the_site_stands_in() {
    let dir = TempDir::new();
    let site = trained(&dir);
    let tables = dir.join("tables");
    std::fs::create_dir_all(tables.join("users")).unwrap();
    std::fs::copy(&site, tables.join("site")).unwrap();
    let ask = |recipients: &str| {
        spamcheck(&dir)
            .env("PENNYPOST_FILTER", "1")
            .env("RECIPIENTS", recipients)
            .args(["--tables", tables.to_str().unwrap()])
            .stdin(note("pills", 900))
            .run()
    };
    ask("joe@example.org").expect_code(99).expect_out("table=220+220");
    // a user who has taught too little is served by the site
    let own = tables.join("users/joe@example.org").display().to_string();
    run(&dir, &["--db", &own, "-n"], note("pills", 1)).expect_code(0);
    ask("joe@example.org").expect_code(99).expect_out("table=220+220");
    // one who has taught enough is not; pills are what he wants
    let (spam, ham, _) = corpus(&dir, 230);
    run(&dir, &["--db", &own, "-n", "-b"], spam).expect_code(0);
    run(&dir, &["--db", &own, "-s", "-b"], ham).expect_code(0);
    ask("joe@example.org").expect_code(0).expect_out("X-Spamcheck: ham");
    ask("joe@example.org\nann@example.org").expect_code(99);
    ask("../../site").expect_code(99);
}

#[test]
fn the_configuration_lies_below_the_options() {
    let dir = TempDir::new();
    let site = trained(&dir);
    let tables = dir.join("tables");
    std::fs::create_dir_all(tables.join("users")).unwrap();
    std::fs::copy(&site, tables.join("site")).unwrap();
    let config = |cut: &str| {
        let text = format!("[spamcheck]\ntables = {:?}\nspam_cut = {cut}\n", tables.display().to_string());
        dir.write("p.toml", text).display().to_string()
    };
    let file = config("0.9");
    run(&dir, &["-c", &file], note("pills", 900)).expect_code(0).expect_out("table=220+220");
    run(&dir, &["-c", &file, "--spam-cut", "1", "--ham-cut", "0"], note("pills", 900)).expect_code(2);
    run(&dir, &["-c", &config("1.0")], note("pills", 900)).expect_code(2);
    run(&dir, &[], note("pills", 900)).expect_code(2).expect_out("table=0+0");
    run(&dir, &["-c", "/nonexistent"], note("pills", 900)).expect_code(3);
    // as a filter it needs no option, and a mistake never stops mail
    let filter = |file: &str| {
        let run = spamcheck(&dir).env("PENNYPOST_FILTER", "1").env("PENNYPOST_CONFIG", file);
        run.env("RECIPIENTS", "joe@example.org").stdin(note("pills", 900)).run()
    };
    filter(&config("0.9")).expect_code(99).expect_out("table=220+220");
    filter(&config("\"many\"")).expect_code(0).expect_out("trouble=").expect_out("spam_cut: expected");
}

#[test]
fn people_the_user_wrote_to_are_known() {
    let dir = TempDir::new();
    let db = dir.join("db").display().to_string();
    let sent = "From: joe@example.org\nTo: Ann <ann@x.example>\nSubject: hi\n\nhi\n";
    run(&dir, &["--db", &db, "--sent"], sent).expect_code(0);
    let out = run(&dir, &["--db", &db, "--json", "-v"], format!("{HEAD}Subject: re\n\nyes\n")).out();
    assert!(out.contains("\"KNOWN\""), "{out}");
}

#[test]
fn the_sites_own_rules() {
    let dir = TempDir::new();
    let rules = dir.write("rules", "# ours\nLUNCH 20 subject lunch\n");
    let bad = dir.write("bad", "LUNCH twenty subject lunch\nX 1 nowhere y\n");
    let mail = format!("{HEAD}Subject: free lunch\n\nx\n");
    run(&dir, &["--rules", rules.to_str().unwrap()], &mail).expect_code(0).expect_out("LUNCH(+20.0)");
    run(&dir, &["--rules", bad.to_str().unwrap()], &mail).expect_code(2).expect_err(":1:").expect_err(":2:");
}

#[test]
fn stats_measure_on_labelled_mail() {
    let dir = TempDir::new();
    let db = trained(&dir);
    let svg = dir.join("roc.svg");
    let (ham, spam) = (dir.join("minutes"), dir.join("pills"));
    let args =
        ["--db", &db, "--stats", "--in-ham", ham.to_str().unwrap(), "--in-spam", spam.to_str().unwrap(), "--svg"];
    let output = spamcheck(&dir).args(args).arg(&svg).run();
    output.expect_code(0).expect_out("220 ham and 220 spam").expect_out("1-ROCA %: 0.0000").expect_out("calibration:");
    assert!(std::fs::read_to_string(svg).unwrap().contains("<polyline"));
}

#[test]
fn explanations_name_words_and_rules() {
    let dir = TempDir::new();
    let db = trained(&dir);
    let mail = note("pills", 900).replace("From: ", "Reply-To: x@gmail.com\nFrom: ");
    let output = run(&dir, &["--db", &db, "--explain"], mail);
    output.expect_out("REPLY_TO_FREE_MAIL").expect_out("\"pills\" in the subject: 100 % spam (220 spam, 0 ham)");
}

#[test]
fn learning_hooks_teach_the_users_table() {
    let dir = TempDir::new();
    let bin = program!("spamcheck");
    let path = format!("{}:/usr/bin:/bin", bin.parent().unwrap().display());
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc");
    let hook = |name: &str, arg: &str, mail: &str| {
        Run::new("/bin/sh").env("HOME", dir.path()).env("PATH", &path).arg(etc.join(name)).arg(arg).stdin(mail).run()
    };
    hook("learn-imap.sh", "spam", &note("pills", 1)).expect_code(0);
    hook("learn-imap.sh", "ham", &note("minutes", 1)).expect_code(0);
    hook("learn-imap.sh", "eggs", "").expect_code(64);
    hook("learn-sieve.sh", "spam", &note("pills", 2)).expect_code(0);
    run(&dir, &["--stats"], "").expect_out("learned: 1 ham, 2 spam");
    let maildir = dir.maildir("Maildir");
    let (junk, sent) = (dir.maildir("Maildir/.Junk"), dir.maildir("Maildir/.Sent"));
    std::fs::write(maildir.join("cur/1:2,S"), note("minutes", 7)).unwrap();
    std::fs::write(maildir.join("cur/2:2,"), note("minutes", 8)).unwrap();
    std::fs::write(junk.join("cur/3:2,"), note("pills", 7)).unwrap();
    std::fs::write(sent.join("cur/4:2,S"), "To: bob@y.example\n\nhi\n").unwrap();
    hook("learn-cron.sh", maildir.to_str().unwrap(), "").expect_code(0);
    run(&dir, &["--stats"], "").expect_out("learned: 2 ham, 3 spam");
}

#[test]
fn any_bytes_get_a_verdict() {
    let dir = TempDir::new();
    let db = trained(&dir);
    let mut noise = vec![0u8; 70_000];
    let mut state = 1u32;
    for b in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *b = (state >> 24) as u8;
    }
    let deep = "Content-Type: multipart/mixed; boundary=a\n\n--a\n".repeat(3000);
    let nasty: [&[u8]; 8] = [
        b"",
        b"\n",
        b"From \n",
        b"\0\0\0\0",
        b":\n:\n\n:",
        deep.as_bytes(),
        &noise,
        b"Subject: =?utf-8?b?////?= =?x?q?=?=\nContent-Type: text/html\n\n<a href=\"http://[::1\">&#x110000;<a <",
    ];
    for mail in nasty {
        let code = run(&dir, &["--db", &db], mail).code;
        assert!(matches!(code, Some(0..=2)), "{code:?} for {:?}", &mail[..mail.len().min(40)]);
    }
}
