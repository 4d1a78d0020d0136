//! imapd: sessions by dialogues (tests/dialog/imapd, for each extension its own, `rfcN-...`); two sessions on one mailbox; IDLE; large messages; logins through spawn and checkauth;
//! durability as strace sees it; hostile input.

#[path = "support/imap.rs"]
mod imap;

use imap::{CONFIG, Home, Live, with_login, with_login_as};
use penny_testkit::{Dialog, Player, Run, dialog, have, program};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn dialogues() {
    for file in dialog::files(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialog/imapd")) {
        let h = Home::with_mail();
        // a line `# env: NAME=VALUE` sets a variable of the session, `# imapd: KEY = VALUE` a key of its configuration
        let text = std::fs::read_to_string(&file).unwrap();
        let variables = text.lines().filter_map(|line| line.strip_prefix("# env: ")?.split_once('='));
        let keys: String = text.lines().filter_map(|line| line.strip_prefix("# imapd: ")).collect();
        h.dir.write("p.toml", format!("{CONFIG}{keys}\n"));
        let session = variables.fold(h.session(), |session, (name, value)| session.env(name, value));
        let code = Player::new().over_pipes(&session, &Dialog::load(&file));
        assert_eq!(code, Some(0), "{}", file.display());
    }
}

#[test]
fn two_sessions_see_each_other_only_where_the_protocol_allows() {
    let h = Home::with_mail();
    let (mut a, mut b) = (h.live(), h.live());
    assert!(a.ask("a", "SELECT INBOX").contains("* 3 EXISTS"));
    assert!(b.ask("a", "SELECT INBOX").contains("* 3 EXISTS"));
    a.ask("b", "STORE 1 +FLAGS (\\Flagged \\Deleted)");
    assert!(b.ask("b", "NOOP").contains("* 1 FETCH (UID 1 FLAGS (\\Flagged \\Deleted))"));
    assert!(a.ask("c", "EXPUNGE").contains("* 1 EXPUNGE"));
    // RFC 3501 7.4.1: no EXPUNGE during FETCH, STORE, SEARCH; numbers stay, the gone message still has its flags
    for command in ["FETCH 1 FLAGS", "STORE 2 +FLAGS (x)", "SEARCH ALL"] {
        let text = b.ask("c", command);
        assert!(!text.contains("EXPUNGE\n") && !text.contains("BYE"), "{command}: {text}");
    }
    let text = b.ask("d", "FETCH 1 BODY[]");
    assert!(text.contains("d NO [EXPUNGEISSUED]"), "{text}");
    assert!(b.ask("e", "NOOP").contains("* 1 EXPUNGE"));
    assert!(b.ask("f", "FETCH 1 UID").contains("* 1 FETCH (UID 2)"));
}

#[test]
fn a_pending_expunge_is_not_lost_at_the_next_qresync() {
    let h = Home::with_mail();
    let (mut a, mut b) = (h.live(), h.live());
    a.ask("a", "ENABLE QRESYNC");
    let text = a.ask("b", "SELECT INBOX");
    let after = |text: &str, word: &str| -> u64 {
        let rest = text.split(word).nth(1).unwrap_or_else(|| panic!("{word}: {text}"));
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let (validity, start) = (after(&text, "[UIDVALIDITY "), after(&text, "[HIGHESTMODSEQ "));
    b.ask("a", "SELECT INBOX");
    b.ask("b", "STORE 1 +FLAGS (\\Deleted)");
    b.ask("c", "EXPUNGE");
    b.ask("d", "STORE 1 +FLAGS (\\Flagged)");
    // the expunge cannot be told here, but a later MODSEQ is
    let text = a.ask("c", "FETCH 2 (FLAGS MODSEQ)");
    assert!(!text.contains("VANISHED"), "{text}");
    let (told, safe) = (after(&text, "(\\Flagged \\Recent) MODSEQ ("), after(&text, "* OK [HIGHESTMODSEQ "));
    assert!(
        start < told && safe < told && text.find("* OK [HIGHESTMODSEQ").unwrap() < text.find("c OK").unwrap(),
        "{text}"
    );
    drop(a);
    let mut a = h.live();
    a.ask("a", "ENABLE QRESYNC");
    let text = a.ask("b", &format!("SELECT INBOX (QRESYNC ({validity} {safe} 1:3))"));
    assert!(text.contains("* VANISHED (EARLIER) 1"), "{text}");
}

#[test]
fn idle_tells_a_delivery_at_once() {
    let h = Home::with_mail();
    let mut s = h.live();
    s.ask("a", "SELECT INBOX");
    s.say("b IDLE");
    s.until("+ idling");
    // the budget is 20 ms, which tests/bench measures; here one of many must beat the 2 s of looking without being told
    let at_once = (4..44).any(|n| {
        std::thread::sleep(Duration::from_millis(40));
        h.dir.write(format!("home/Maildir/tmp/{n}.x"), "Subject: new\n\nx\n");
        let start = Instant::now();
        std::fs::rename(h.maildir().join(format!("tmp/{n}.x")), h.maildir().join(format!("new/{n}.x"))).unwrap();
        s.until(&format!("* {n} EXISTS"));
        start.elapsed() < Duration::from_secs(1)
    });
    assert!(at_once);
    s.say("DONE");
    s.until("b OK");
}

#[test]
fn idle_tells_flags_and_expunges_of_others() {
    let h = Home::with_mail();
    let (mut a, mut b) = (h.live(), h.live());
    a.ask("a", "SELECT INBOX");
    b.ask("a", "SELECT INBOX");
    a.say("b IDLE");
    a.until("+ idling");
    b.ask("b", "STORE 2 FLAGS (\\Deleted)");
    a.until("* 2 FETCH (UID 2 FLAGS (\\Deleted");
    b.ask("c", "EXPUNGE");
    a.until("* 2 EXPUNGE");
    a.say("DONE");
    a.until("b OK");
}

#[test]
fn messages_keep_their_octets() {
    let h = Home::new();
    let body: String = (0..60_000).map(|n| format!("line {n} .\r\n")).collect();
    let message = format!("Subject: big\r\n\r\n{body}");
    let out = h.script(&format!(
        "a APPEND INBOX {{{}+}}\r\n{message}\r\nb SELECT INBOX\r\nc FETCH 1 (RFC822.SIZE BODY.PEEK[])\r\nd LOGOUT\r\n",
        message.len()
    ));
    assert!(out.contains(&format!("RFC822.SIZE {}", message.len())));
    assert!(out.contains(&format!("BODY[] {{{}}}\r\n{message})", message.len())));
    let file = std::fs::read_dir(h.maildir().join("cur")).unwrap().next().unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), message.replace("\r\n", "\n"));
}

#[test]
fn too_large_and_no_such_mailbox_are_refused_before_the_data() {
    let h = Home::new();
    let out = h.script(
        "a APPEND INBOX {2000000}\r\nb APPEND nowhere {10}\r\nc APPEND nowhere {3+}\r\nabc\r\nd NOOP\r\ne APPEND INBOX {3}\r\na\0b\r\nf NOOP\r\n",
    );
    for want in ["a NO [TOOBIG]", "b NO [TRYCREATE]", "c NO [TRYCREATE]", "d OK", "e BAD", "f OK"] {
        assert!(out.contains(want), "{want}: {out}");
    }
    assert_eq!(out.matches("\r\n+ ").count(), 1, "{out}");
}

#[test]
fn uids_survive_and_are_never_reused() {
    let h = Home::with_mail();
    let out = h.script("a SELECT INBOX\r\nb UID STORE 3 +FLAGS (\\Deleted)\r\nc EXPUNGE\r\nd APPEND INBOX {11+}\r\nA: b\r\n\r\nxyz\r\ne LOGOUT\r\n");
    assert!(out.contains("d OK [APPENDUID") && out.contains(" 4] APPEND"), "{out}");
    std::fs::remove_file(h.maildir().join("pennypost.index")).unwrap();
    let _ = std::fs::remove_file(h.maildir().join("pennypost.index.log"));
    let out = h.script("a SELECT INBOX\r\nb UID FETCH 1:* (UID)\r\n");
    assert!(out.contains("* 3 FETCH (UID 4)") && out.contains("[UIDNEXT 5]"), "{out}");
}

#[test]
fn hostile_input_gets_answers_and_the_session_goes_on() {
    let h = Home::with_mail();
    let mut script = b"a SELECT INBOX\r\n\r\n\xff\xfe\r\n \r\nb\r\nb FETCH 1:99999999999 X\r\n".to_vec();
    script.extend_from_slice(format!("c SEARCH {}\r\n", "(".repeat(5000)).as_bytes());
    script.extend_from_slice(format!("d LOGIN {}\r\n", "x".repeat(200_000)).as_bytes());
    script.extend_from_slice(
        b"e FETCH 1 BODY[1.2.3.4.5.6.7.8.9.TEXT]<0.99999999>\r\nf LIST \"\" {999999999999999999999+}\r\ng NOOP\r\n",
    );
    let out = h.session().stdin(&script).run();
    let text = out.out();
    for want in ["b BAD", "c BAD", "d BAD", "e OK", "g OK"] {
        assert!(text.contains(&format!("\r\n{want}")), "{want}: {text}");
    }
    assert!(text.contains("BODY[1.2.3.4.5.6.7.8.9.TEXT]<0> NIL"), "{text}");
    // a stranger's flood of nonsense ends
    let out = h.session().stdin("x\r\n".repeat(1000)).run();
    assert!(out.out().contains("* BYE") && out.out().matches("BAD").count() < 100, "{}", out.describe());
}

#[test]
fn quota_is_kept() {
    let h = Home::new();
    let big = "x".repeat(30_000);
    let append = format!("APPEND INBOX {{{}+}}\r\nA: b\r\n\r\n{big}\r\n", big.len() + 8);
    let run = h.session().env("PENNYPOST_QUOTA_KB", "40");
    let out = run.stdin(format!("a {append}b GETQUOTAROOT INBOX\r\nc {append}d LOGOUT\r\n")).run().out();
    assert!(out.contains("a OK [APPENDUID") && out.contains("c NO [OVERQUOTA]"), "{out}");
    assert!(out.contains("* QUOTAROOT INBOX \"\"") && out.contains("* QUOTA \"\" (STORAGE 30 40)"), "{out}");
}

/// What lookup says to a recipient of a message of so many octets.
fn rcpt(h: &Home, octets: u32) -> String {
    let mut lookup = std::os::unix::net::UnixStream::connect(h.dir.join("run/lookup/socket")).unwrap();
    lookup.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    lookup.write_all(format!("rcpt\tjoe@example.test\tmx\t-\t-\t{octets}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(lookup).read_line(&mut answer).unwrap();
    answer
}

#[test]
fn lookup_knows_how_full_the_mailbox_is() {
    let (h, run) = with_login_as("joe@example.test", ":userdb_quota_rule=*:storage=40K");
    let append = format!("APPEND INBOX {{30008+}}\r\nA: b\r\n\r\n{}\r\n", "x".repeat(30_000));
    assert!(rcpt(&h, 20_000).starts_with("OK\t"), "{}", rcpt(&h, 20_000));
    let out = run.clone().stdin(format!("a LOGIN joe@example.test secret\r\nb {append}c LOGOUT\r\n")).run();
    assert!(out.out().contains("b OK [APPENDUID"), "{}", out.describe());
    assert!(rcpt(&h, 20_000).starts_with("TEMP\t4.2.2") && rcpt(&h, 5000).starts_with("OK\t"), "{}", rcpt(&h, 20_000));
    // what POP3 and IMAP remove is told as well
    let pop3 = Run::new(program!("pop3d")).arg("-c").arg(h.dir.join("p.toml"));
    let out = pop3.stdin("USER joe@example.test\r\nPASS secret\r\nDELE 4\r\nQUIT\r\n").run();
    assert!(rcpt(&h, 20_000).starts_with("OK\t"), "{}", out.describe());
    let script = "a LOGIN joe@example.test secret\r\nb SELECT INBOX\r\nc STORE 1:* +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n";
    let out = run.stdin(format!("{script}e {append}f STORE 1 +FLAGS (\\Deleted)\r\ng CLOSE\r\n")).run();
    assert!(out.out().contains("e OK") && out.out().contains("g OK"), "{}", out.describe());
    assert!(rcpt(&h, 40_000).starts_with("OK\t"), "{}", rcpt(&h, 40_000));
}

#[test]
fn append_is_on_the_disk_before_it_is_told() {
    if !have("append_is_on_the_disk_before_it_is_told", "strace") {
        return;
    }
    let h = Home::new();
    let trace = h.dir.join("trace");
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-y",
        "-s",
        "200",
        "-e",
        "trace=fsync,fdatasync,write,rename,renameat,renameat2,linkat,link",
        "-o",
    ]);
    command.arg(&trace).arg(program!("imapd"));
    let mut s = Live::start(command, &h.dir);
    s.say("a APPEND INBOX {11+}\r\nA: b\r\n\r\nxyz");
    s.until("a OK [APPENDUID");
    // what is answered after it, strace has seen after it
    s.ask("b", "NOOP");
    drop(s);
    let text = std::fs::read_to_string(&trace).unwrap();
    let at = |what: &dyn Fn(&str) -> bool| text.lines().position(what).unwrap_or_else(|| panic!("{text}"));
    let body = at(&|l| l.contains("write(") && l.contains("xyz") && l.contains("/tmp/"));
    let synced = at(&|l| l.contains("sync(") && l.contains("Maildir/tmp/"));
    let named = at(&|l| (l.contains("rename") || l.contains("link")) && l.contains("Maildir/cur/"));
    let directory = at(&|l| l.contains("sync(") && l.contains("Maildir/cur>"));
    let uid = at(&|l| l.contains("sync(") && l.contains("dovecot-uidlist"));
    let told = at(&|l| l.contains("write(") && l.contains("APPENDUID"));
    assert!(body < synced && synced < named && named < directory && directory < told && uid < told, "{text}");
}

#[test]
fn a_login_from_a_pipe_reaches_the_users_mailbox() {
    let (_h, run) = with_login();
    let out = run
        .stdin("x CAPABILITY\r\na LOGIN joe wrong\r\nb LOGIN \"joe\" {6+}\r\nsecret\r\nc SELECT INBOX\r\nd FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]\r\ne LOGOUT\r\n")
        .run();
    let text = out.out();
    for want in ["AUTH=PLAIN", "a NO [AUTHENTICATIONFAILED]", "b OK [CAPABILITY", "* 3 EXISTS", "Subject: one", "e OK"]
    {
        assert!(text.contains(want), "{want}: {}", out.describe());
    }
    assert!(!text.contains("LOGINDISABLED") && text.contains(" IDLE "), "{text}");
}

#[test]
fn sasl_with_and_without_initial_response() {
    let (_h, run) = with_login();
    let plain = "AGpvZQBzZWNyZXQ=";
    let out = run.clone().stdin(format!("a AUTHENTICATE PLAIN {plain}\r\nb SELECT INBOX\r\n")).run();
    assert!(out.out().contains("* 3 EXISTS"), "{}", out.describe());
    let script = format!(
        "a AUTHENTICATE PLAIN\r\n*\r\nb AUTHENTICATE NONSENSE\r\nc AUTHENTICATE PLAIN !!\r\nd AUTHENTICATE PLAIN\r\n{plain}\r\ne SELECT INBOX\r\n"
    );
    let text = run.stdin(script).run().out();
    for want in ["a BAD", "b NO", "d OK", "* 3 EXISTS"] {
        assert!(text.contains(want), "{want}: {text}");
    }
}

/// mutt takes the strongest mechanism it sees and, when that fails, no other.
#[test]
fn scram_is_offered_only_where_every_user_can_use_it() {
    let (home, run) = with_login();
    let offered = || run.clone().stdin("a CAPABILITY\r\n").run().out();
    assert!(offered().contains("AUTH=SCRAM-SHA-256"), "a plain password gives keys: {}", offered());
    let hash = "bob:{SHA512-CRYPT}$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.::::::\n";
    let users = std::fs::read_to_string(home.dir.join("tables/users")).unwrap();
    home.dir.write("tables/users", users + hash);
    let text = offered();
    assert!(text.contains("AUTH=PLAIN") && !text.contains("SCRAM"), "{text}");
}

#[test]
fn before_login_there_is_no_mailbox() {
    let (_h, run) = with_login();
    let out = run
        .stdin(
            "a SELECT INBOX\r\nb LIST \"\" *\r\nc APPEND INBOX {3+}\r\nabc\r\nd STARTTLS\r\ne ID NIL\r\nf LOGOUT\r\n",
        )
        .run();
    let text = out.out();
    for want in ["a BAD", "b BAD", "c BAD", "d BAD", "e OK", "* BYE"] {
        assert!(text.contains(want), "{want}: {text}");
    }
    assert!(!text.contains("EXISTS"), "{text}");
}

#[test]
fn an_id_of_full_length_fits_before_the_login() {
    let (_h, run) = with_login();
    let pair = |n: u32| format!("\"f{n:029}\" \"{}\"", "v".repeat(1024));
    let all: Vec<String> = (0..30).map(pair).collect();
    let out = run.stdin(format!("a ID ({})\r\nb ID ({} \"one\" NIL)\r\n", all.join(" "), all.join(" "))).run().out();
    assert!(out.contains("* ID (\"name\" \"pennypost\"") && out.contains("a OK") && out.contains("b BAD"), "{out}");
}

#[test]
fn a_password_in_clear_is_refused_from_afar() {
    let (_h, run) = with_login();
    let out = run
        .env("TCPREMOTEIP", "192.0.2.1")
        .stdin("a LOGIN joe secret\r\nb AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\n")
        .run();
    let text = out.out();
    assert!(text.contains("LOGINDISABLED") && !text.contains("AUTH=PLAIN"), "{text}");
    assert!(text.contains("a NO [PRIVACYREQUIRED]") && text.contains("b NO [PRIVACYREQUIRED]"), "{text}");
}

#[test]
fn python_imaplib_works() {
    if !have("python_imaplib_works", "python3") {
        return;
    }
    let h = Home::with_mail();
    let code = "import imaplib,sys\nM=imaplib.IMAP4_stream(sys.argv[1])\nprint(M.enable('UTF8=ACCEPT'),M.select(),M.search(None,'SUBJECT','one'),M.fetch('1:*','(FLAGS)'),M.append('INBOX',None,None,b'A: b\\n\\nx'),M.append('INBOX',None,None,'Subject: grün\\n\\nx'.encode()),M.noop(),M.logout())";
    let command = format!("{} -c {} --session", program!("imapd").display(), h.dir.join("p.toml").display());
    let out = Run::new("python3")
        .args(["-c", code, &command])
        .env("USER", "joe")
        .env("HOME", h.dir.join("home"))
        .env("PENNYPOST_SHELL_OK", "1")
        .run();
    assert!(out.out().contains("('OK', [b'3'") && out.out().contains("[b'1 3']"), "{}", out.describe());
}

#[test]
fn mbsync_syncs_both_ways() {
    if !have("mbsync_syncs_both_ways", "mbsync") {
        return;
    }
    let h = Home::with_mail();
    h.dir.maildir("local/INBOX");
    let tunnel = format!(
        "USER=joe HOME={} PENNYPOST_SHELL_OK=1 {} -c {} --session",
        h.dir.join("home").display(),
        program!("imapd").display(),
        h.dir.join("p.toml").display()
    );
    let local = h.dir.join("local").display().to_string();
    h.dir.write(
        "mbsyncrc",
        format!("IMAPStore far\nTunnel \"{tunnel}\"\n\nMaildirStore near\nPath {local}/\nInbox {local}/INBOX\nSubFolders Verbatim\n\nChannel c\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Both\nExpunge Both\nSyncState *\n"),
    );
    let sync = || Run::new("mbsync").env("HOME", h.dir.path()).arg("-c").arg(h.dir.join("mbsyncrc")).arg("c").run();
    let out = sync();
    assert_eq!(out.code, Some(0), "{}", out.describe());
    assert_eq!(penny_testkit::tmp::mails(h.dir.join("local/INBOX")).len(), 3);
    h.dir.write("local/INBOX/new/9.local", "Subject: from here\n\nx\n");
    let out = sync();
    assert_eq!(out.code, Some(0), "{}", out.describe());
    assert!(h.script("a SELECT INBOX\r\nb SEARCH SUBJECT \"from here\"\r\n").contains("* SEARCH 4"));
}

#[test]
fn nothing_is_lost_when_sessions_die() {
    let h = Home::new();
    let mut stored = 0;
    for round in 0..10u64 {
        let mut s = h.live();
        s.ask("a", "SELECT INBOX");
        for n in 0..5 {
            let message = format!("Subject: {round}.{n}\r\n\r\nx\r\n");
            s.say(&format!("b APPEND INBOX {{{}+}}\r\n{message}", message.len()));
            if n < 4 {
                s.until("b OK");
                stored += 1;
            } else {
                // killed somewhere in the middle of the last one
                std::thread::sleep(Duration::from_micros(300 * round));
            }
        }
        s.child.kill().unwrap();
    }
    let out = h.script("a SELECT INBOX\r\nb UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n");
    let uids: Vec<&str> =
        out.lines().filter_map(|l| l.split("(UID ").nth(1)).filter_map(|l| l.split(' ').next()).collect();
    assert!(uids.len() >= stored, "{} of {stored}: {out}", uids.len());
    let mut sorted = uids.clone();
    sorted.dedup();
    assert_eq!(sorted.len(), uids.len(), "a UID twice: {out}");
    for round in 0..10 {
        for n in 0..4 {
            assert_eq!(out.matches(&format!("Subject: {round}.{n}\r\n")).count(), 1, "{round}.{n}");
        }
    }
}

#[test]
fn a_copy_has_the_same_emailid() {
    let h = Home::with_mail();
    let out = h.script("a SELECT INBOX\r\nb FETCH 1:2 EMAILID\r\nc CREATE Box\r\nd COPY 2 Box\r\ne SELECT Box\r\nf FETCH 1 (EMAILID THREADID)\r\n");
    let ids: Vec<&str> = out.split("EMAILID (").skip(1).filter_map(|t| t.split(')').next()).collect();
    assert!(ids.len() == 3 && ids[0] != ids[1] && ids[1] == ids[2] && ids[0].len() == 33, "{out}");
    let out = h.script(&format!("a SELECT INBOX\r\nb SEARCH EMAILID {}\r\n", ids[1]));
    assert!(out.contains("* SEARCH 2\r\n"), "{out}");
}

#[test]
fn compression_works_both_ways() {
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
    let h = Home::with_mail();
    let mut command = Command::new(program!("imapd"));
    command.arg("-c").arg(h.dir.join("p.toml")).arg("--session").env("USER", "joe").env("HOME", h.dir.join("home"));
    command.env("PENNYPOST_SHELL_OK", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    input.write_all(b"a COMPRESS DEFLATE\r\n").unwrap();
    let mut plain = Vec::new();
    while !plain.ends_with(b"a OK DEFLATE active\r\n") {
        let mut one = [0];
        output.read_exact(&mut one).unwrap();
        plain.push(one[0]);
    }
    let mut coded = Vec::with_capacity(4096);
    let script = b"b COMPRESS DEFLATE\r\nc SELECT INBOX\r\nd FETCH 1:3 BODY.PEEK[]\r\ne LOGOUT\r\n";
    Compress::new(Compression::best(), false).compress_vec(script, &mut coded, FlushCompress::Sync).unwrap();
    for piece in coded.chunks(3) {
        input.write_all(piece).unwrap();
    }
    let mut coded = Vec::new();
    output.read_to_end(&mut coded).unwrap();
    let mut text = Vec::with_capacity(1 << 16);
    Decompress::new(false).decompress_vec(&coded, &mut text, FlushDecompress::Sync).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    for want in ["b NO [COMPRESSIONACTIVE]", "c OK [READ-WRITE]", "first body", "e OK"] {
        assert!(text.contains(want), "{want}: {text}");
    }
    assert!(coded.len() < text.len() * 3 / 4, "{} of {}", coded.len(), text.len());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_peer_ends_the_session() {
    let h = Home::with_mail();
    let mut child = Command::new(program!("imapd"));
    child.arg("-c").arg(h.dir.join("p.toml")).arg("--session").env("USER", "joe").env("HOME", h.dir.join("home"));
    child.env("PENNYPOST_SHELL_OK", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a SELECT INBOX\r\nb IDLE\r\n").unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("+ idling"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn moves_into_and_out_of_junk_teach() {
    let h = Home::with_mail();
    let lessons = h.dir.join("lessons");
    let text = format!("#!/bin/sh\necho \"$1 $(grep -c '^Subject:')\" >>{}\n", lessons.display());
    let learn = h.dir.script("learn", &text);
    h.dir.write("p.toml", CONFIG.replace("[imapd]\n", &format!("[imapd]\nlearn = \"{}\"\n", learn.display())));
    let out = h.script(
        "a CREATE Junk\r\nb CREATE Trash\r\nc SELECT INBOX\r\nd MOVE 1 Junk\r\ne COPY 1 Junk\r\nf SELECT Junk\r\n\
         g MOVE 1 INBOX\r\nh MOVE 1 Trash\r\n",
    );
    for tag in ["d", "e", "g", "h"] {
        assert!(out.contains(&format!("{tag} OK")), "{out}");
    }
    assert_eq!(std::fs::read_to_string(lessons).unwrap(), "spam 1\nspam 1\nham 1\n", "{out}");
}

/// What deliver does, for what a client stores; each percentage once, and no MOVE within the mailbox is one.
#[test]
fn a_client_that_fills_the_mailbox_is_warned_once() {
    let h = Home::with_mail();
    let script = h.dir.script("warn", "#!/bin/sh\necho \"$1 $QUOTA_PERCENT $USER\" >>\"$HOME/warnings\"\nexit 3\n");
    let mail = format!(
        "{CONFIG}[mail]\nquota_messages = 10\nquota_warning = \"{}\"\nquota_warning_at = [50, 90]\n",
        script.display()
    );
    h.dir.write("p.toml", mail);
    let warnings = || std::fs::read_to_string(h.dir.join("home/warnings")).unwrap_or_default();
    let append = |n: usize| format!("a{n} APPEND INBOX {{14+}}\r\nSubject: x\r\n\r\n\r\n");
    let out = h.script(&append(1));
    assert!(out.contains("a1 OK") && warnings().is_empty(), "{out}");
    let out = h.script(&format!("{}b CREATE Work\r\nc SELECT INBOX\r\nd COPY 1:2 Work\r\n{}", append(2), append(3)));
    assert!(out.contains("a2 OK") && out.contains("d OK") && out.contains("a3 OK"), "{out}");
    let user = warnings().lines().next().and_then(|l| l.strip_prefix("50 50 ").map(str::to_owned));
    assert!(user.is_some() && warnings().lines().count() == 1, "{}", warnings());
    let out = h.script(&format!("c SELECT INBOX\r\nd MOVE 1:3 Work\r\n{}", append(4)));
    assert!(out.contains("d OK") && out.contains("a4 OK"), "{out}");
    assert_eq!(warnings().lines().filter(|l| l.starts_with("90 ")).count(), 1, "{}", warnings());
    assert_eq!(warnings().lines().count(), 2);
    assert!(h.script(&append(5)).contains("a5 OK"));
    assert!(h.script(&append(6)).contains("a6 NO [OVERQUOTA]"));
}
