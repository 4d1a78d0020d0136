//! Scripts that an IMAP session runs on APPEND, COPY and STORE (RFC 6785): imapd, its annotations, and deliver --event.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use penny_testkit::{Run, TempDir, program, tmp};

const UID: u32 = 54_321;
const SCRIPT: &str = r#"require ["imapsieve", "environment", "imap4flags", "fileinto", "vnd.dovecot.pipe", "copy", "variables"];
if environment "imap.cause" "COPY" {
    if environment "imap.mailbox" "Junk" { pipe :copy "learn" "spam"; addflag "$Junk"; }
} elsif environment "imap.cause" "FLAG" {
    if environment :contains "imap.changedflags" "Red" { addflag "\\Flagged"; removeflag "Red"; }
} elsif header :contains "subject" "secret" {
    fileinto "Hidden";
} elsif environment "location" "MS" {
    addflag "Appended";
}
"#;

struct Home {
    dir: TempDir,
    root: bool,
}

impl Home {
    fn new() -> Home {
        Home::with("imapsieve = \"sieve://mail.example.net\"")
    }

    /// With these keys of [imapd].
    fn with(keys: &str) -> Home {
        let dir = TempDir::new();
        let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let d = dir.path().display().to_string();
        let libexec = program!("deliver").parent().unwrap().display().to_string();
        program!("imapd");
        dir.write(
            "p.toml",
            format!(
                "[ids]\nlandlock = \"optional\"\n[paths]\nlibexec = \"{libexec}\"\nrun = \"{d}/run\"\ntables = \"{d}/tables\"\n\
                 [imapd]\n{keys}\n[deliver]\nsieve_programs = \"{d}/programs\"\n"
            ),
        );
        for folder in ["", ".Junk", ".Hidden"] {
            dir.maildir(Path::new("home/Maildir").join(folder));
        }
        dir.write("home/sieve/events.sieve", SCRIPT);
        // the administrator's word for all mailboxes of the user; IMAP may not set it
        dir.write("home/Maildir/pennypost-metadata-server", "/shared/imapsieve/script\tevents\n");
        dir.script("programs/learn", "#!/bin/sh\n{ echo \"$1\"; grep Subject; } >>\"$HOME/learned\"\n");
        if root {
            Run::new("chown").args(["-R", "54321:54321"]).arg(dir.path()).run().expect_code(0);
            chown(dir.join("programs/learn"), Some(0), Some(0)).unwrap();
        }
        Home { dir, root }
    }

    fn imap(&self, script: &str) -> String {
        let run = Run::new(program!("imapd")).arg("-c").arg(self.dir.join("p.toml")).arg("--session");
        let run = run.env("USER", "joe").env("HOME", self.dir.join("home")).env("PENNYPOST_SHELL_OK", "1");
        let run = run.limit(std::time::Duration::from_secs(180)).stdin(script);
        let out = if self.root { run.uid(UID, UID) } else { run }.run();
        assert_eq!(out.code, Some(0), "{}", out.describe());
        out.out()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let mails = tmp::mails(self.dir.join("home/Maildir").join(folder));
        mails.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }
}

fn append(tag: &str, subject: &str) -> String {
    let text = format!("Subject: {subject}\r\n\r\nx\r\n");
    format!("{tag} APPEND INBOX {{{}+}}\r\n{text}\r\n", text.len())
}

#[test]
fn scripts_follow_what_happens_to_messages() {
    let h = Home::new();
    let out = h.imap(&format!(
        "{}{}b SELECT INBOX\r\nc FETCH 1:* (FLAGS)\r\n\
         d COPY 1 Junk\r\ne STORE 1 +FLAGS (Red)\r\nf LOGOUT\r\n",
        append("x", "plain"),
        append("y", "secret")
    ));
    assert!(out.contains(" IMAPSIEVE=sieve://mail.example.net"), "{out}");
    assert!(out.contains("x OK") && out.contains("y OK") && out.contains("d OK"), "{out}");
    // APPEND: a keyword for one; the other is filed elsewhere and only marked here
    let fetched: Vec<&str> = out.lines().filter(|l| l.contains(" FETCH (FLAGS (")).collect();
    assert!(fetched[0].contains("Appended") && fetched[1].contains("\\Deleted"), "{out}");
    assert_eq!(h.names(".Hidden").len(), 1);
    // COPY: taught and marked, by the program of the administrator
    assert_eq!(std::fs::read_to_string(h.dir.join("home/learned")).unwrap(), "spam\nSubject: plain\n");
    assert!(std::fs::read_to_string(h.dir.join("home/Maildir/.Junk/dovecot-keywords")).unwrap().contains("$Junk"));
    // STORE: the client is told what the script made of it
    let told: Vec<&str> = out.lines().filter(|l| l.starts_with("* 1 FETCH") && l.contains("\\Flagged")).collect();
    assert!(told.len() == 1 && !told[0].contains("Red"), "{out}");
}

#[test]
fn the_mailboxs_own_script_wins_and_mistakes_change_nothing() {
    let h = Home::new();
    let out = h.imap(&format!(
        "a SETMETADATA \"\" (/shared/imapsieve/script \"none\")\r\nb SETMETADATA INBOX (/shared/imapsieve/script \"missing\")\r\n\
         {}c SELECT INBOX\r\nd FETCH 1 (FLAGS)\r\ne SETMETADATA INBOX (/shared/imapsieve/script \"\")\r\n{}f FETCH 2 (FLAGS)\r\ng LOGOUT\r\n",
        append("x", "one"),
        append("y", "two")
    ));
    assert!(out.contains("a NO [NOPERM]") && out.contains("b OK") && out.contains("e OK"), "{out}");
    assert!(out.contains("x OK") && out.contains("y OK") && !out.contains("Appended"), "{out}");
    // a script that refuses mail has no place here, one that is for events none in a delivery
    h.dir.write("home/sieve/wrong.sieve", "require \"reject\"; reject \"no\";\n");
    let out = h.imap(&format!(
        "a SETMETADATA INBOX (/shared/imapsieve/script \"wrong\")\r\n{}b LOGOUT\r\n",
        append("z", "three")
    ));
    assert!(out.contains("z OK"), "{out}");
    assert_eq!(h.names("").len(), 3);
}

/// The shipped script and the shipped program with the real spamcheck, for a user with nothing of his own.
#[test]
fn moves_into_and_out_of_junk_teach_spamcheck() {
    let h = Home::with("imapsieve_script = \"learn\"");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for sub in ["tables/sieve", "programs"] {
        std::fs::create_dir_all(h.dir.join(sub)).unwrap();
    }
    std::fs::copy(root.join("etc/sieve/learn.sieve"), h.dir.join("tables/sieve/learn.sieve")).unwrap();
    // programs of scripts find spamcheck in the usual places; here its place is written in
    let spamcheck = program!("spamcheck");
    let text = std::fs::read_to_string(root.join("etc/learn-sieve.sh")).unwrap();
    let text = text.replace("spamcheck --", &format!("'{}' --", spamcheck.display()));
    h.dir.script("programs/learn-sieve.sh", &text);
    std::fs::remove_file(h.dir.join("home/Maildir/pennypost-metadata-server")).unwrap();
    h.dir.maildir("home/Maildir/.Trash");
    h.dir.maildir("home/Maildir/.Work");
    if h.root {
        Run::new("chown").args(["-R", "54321:54321"]).arg(h.dir.join("home")).run().expect_code(0);
    }
    let stats = |ham: u32, spam: u32| {
        let run = Run::new(&spamcheck).arg("--stats").env("HOME", h.dir.join("home"));
        run.run().expect_out(&format!("learned: {ham} ham, {spam} spam"));
    };
    let out = h.imap(&format!(
        "{}{}{}a SELECT INBOX\r\nb MOVE 1:2 Junk\r\nc COPY 1 Work\r\nd LOGOUT\r\n",
        append("x", "pills"),
        append("y", "invoice"),
        append("z", "letter")
    ));
    assert!(out.contains("b OK") && out.contains("c OK") && !out.contains("IMAPSIEVE"), "{out}");
    stats(0, 2);
    // back is a correction; into the trash is none
    let out = h.imap("a SELECT Junk\r\nb MOVE 2 INBOX\r\nc MOVE 1 Trash\r\nd LOGOUT\r\n");
    assert!(out.contains("b OK") && out.contains("c OK"), "{out}");
    stats(1, 1);
    assert_eq!([".Junk", ".Trash", ".Work", ""].map(|f| h.names(f).len()), [0, 1, 1, 2]);
}
