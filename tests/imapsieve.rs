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
        let dir = TempDir::new();
        let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let d = dir.path().display().to_string();
        let libexec = program!("deliver").parent().unwrap().display().to_string();
        program!("imapd");
        dir.write(
            "p.toml",
            format!(
                "[ids]\nlandlock = \"optional\"\n[paths]\nlibexec = \"{libexec}\"\nrun = \"{d}/run\"\ntables = \"{d}/tables\"\n\
                 [imapd]\nimapsieve = \"sieve://mail.example.net\"\n[deliver]\nsieve_programs = \"{d}/programs\"\n"
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
