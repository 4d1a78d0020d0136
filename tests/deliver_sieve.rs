//! deliver with Sieve scripts: filing, flags, redirects and answers through a real enqueue, errors, programs of the administrator.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use penny_testkit::run::Started;
use penny_testkit::{Output, Run, TempDir, program, tmp, wait_for_socket};

const UID: u32 = 54_321;
const MESSAGE: &str =
    "From: Ann <ann@example.org>\nTo: joe@example.net\nSubject: hello\nMessage-ID: <1@example.org>\n\nbody\n";

/// A home with a script, and a queue that takes what is sent.
struct Home {
    _enqueue: Started,
    dir: TempDir,
    root: bool,
}

impl Home {
    fn new(script: &str) -> Self {
        let dir = TempDir::new();
        let root = std::fs::metadata(dir.path()).unwrap().uid() == 0;
        let d = dir.path().display().to_string();
        let ids = ["tls", "lookup", "queue", "net", "mail", "out", "filter", "sign", "auth"];
        let ids: String = ids.iter().map(|n| format!("{n} = \"{UID}:{UID}\"\n")).collect();
        let config = format!(
            "hostname = \"mx.example.net\"\n[ids]\nlandlock = \"optional\"\n{ids}[paths]\nrun = \"{d}/run\"\nqueue = \"{d}/queue\"\ntables = \"{d}/tables\"\n[deliver]\nsieve_programs = \"{d}/programs\"\nsieve_before = \"{d}/before\"\nsieve_after = \"{d}/after\"\nvacation_min = \"1s\"\n"
        );
        dir.write("p.toml", config);
        for sub in ["run", "queue", "programs", "before", "after", "tables", "home/sieve"] {
            std::fs::create_dir_all(dir.join(sub)).unwrap();
        }
        dir.write("home/sieve/main.sieve", script);
        symlink("sieve/main.sieve", dir.join("home/.dovecot.sieve")).unwrap();
        if root {
            own(dir.path());
        }
        let enqueue =
            user(Run::new(program!("enqueue")).arg("--serve").arg("-c").arg(dir.join("p.toml")), root).spawn();
        wait_for_socket(dir.join("run/enqueue/socket"));
        Self { _enqueue: enqueue, dir, root }
    }

    fn maildir(&self) -> PathBuf {
        self.dir.join("home/Maildir")
    }

    fn program(&self, name: &str, text: &str) {
        self.dir.script(Path::new("programs").join(name), text);
        if self.root {
            own(&self.dir.join("programs"));
            chown(self.dir.join("programs").join(name), Some(0), Some(0)).unwrap();
        }
    }

    fn deliver_from(&self, sender: &str, message: &str) -> Output {
        let job = format!(
            "pennypost-queue: 1\narrival: 1000000000.000000\nsender: <{sender}>\nrecipient: <joe@example.net>\nsize: 1\nwire-size: 1\n\n"
        );
        self.dir.write("envelope", job);
        self.dir.write("message", message);
        if self.root {
            own(&self.dir.join("envelope"));
            own(&self.dir.join("message"));
        }
        let d = self.dir.path().display();
        let command = format!(
            "exec 3<'{d}/envelope'; exec '{}' -c '{d}/p.toml' --job <'{d}/message'",
            program!("deliver").display()
        );
        let run = Run::new("/bin/sh")
            .args(["-c", &command])
            .env("USER", "joe@example.net")
            .env("HOME", self.dir.join("home"))
            .env("MAILDIR", self.maildir())
            .env("PENNYPOST_SHELL_OK", "1");
        user(run, self.root).run()
    }

    fn deliver(&self, message: &str) -> Output {
        self.deliver_from("ann@example.org", message)
    }

    fn queued(&self) -> Vec<String> {
        tmp::list(self.dir.join("queue/new")).iter().map(|p| std::fs::read_to_string(p).unwrap()).collect()
    }

    fn count(&self, folder: &str) -> usize {
        tmp::mails(self.maildir().join(folder)).len()
    }
}

fn user(run: Run, root: bool) -> Run {
    if root { run.uid(UID, UID) } else { run }
}

fn own(path: &Path) {
    std::os::unix::fs::lchown(path, Some(UID), Some(UID)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        tmp::list(path).iter().for_each(|p| own(p));
    }
}

#[test]
fn fileinto_with_flags_and_keywords() {
    let h = Home::new(
        "require [\"fileinto\", \"mailbox\", \"imap4flags\"];\nif header :contains \"subject\" \"hello\" { fileinto :create :flags [\"\\\\Seen\", \"$Work\"] \"Projects/A\"; }\n",
    );
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to Projects/A");
    let all = tmp::mails(h.maildir().join(".Projects.A"));
    assert!(all.len() == 1 && all[0].to_string_lossy().ends_with(":2,Sa"), "{all:?}");
    let keywords = std::fs::read_to_string(h.maildir().join(".Projects.A/dovecot-keywords")).unwrap();
    assert_eq!(keywords, "0 $Work\n");
    h.deliver(&MESSAGE.replace("hello", "other")).expect_code(0).expect_out("delivered to INBOX");
    assert_eq!(h.count(""), 1);
}

#[test]
fn a_missing_folder_means_inbox() {
    let h = Home::new("require \"fileinto\"; fileinto \"Nowhere\";");
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to INBOX");
    assert!(!h.maildir().join(".Nowhere").exists());
}

#[test]
fn redirect_goes_through_the_queue_and_never_in_circles() {
    let h = Home::new("redirect \"bob@example.com\";");
    h.deliver(MESSAGE).expect_code(0).expect_out("redirected to bob@example.com");
    let queued = h.queued();
    assert_eq!((queued.len(), h.count("")), (1, 0));
    assert!(queued[0].contains("sender: <ann@example.org>\nrecipient: <bob@example.com>\n"), "{}", queued[0]);
    let message = queued[0].split_once("\n\n").unwrap().1;
    assert!(
        message.starts_with("Delivered-To: joe@example.net\n") && message.contains("Subject: hello\n"),
        "{message}"
    );
    h.deliver(message).expect_code(69).expect_out("5.4.6");
}

#[test]
fn vacation_answers_once_and_never_to_machines() {
    let h = Home::new("require [\"vacation\", \"vacation-seconds\"]; vacation :seconds 3600 \"I am away\";");
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to INBOX");
    h.deliver(MESSAGE).expect_code(0);
    let queued = h.queued();
    assert_eq!((queued.len(), h.count("")), (1, 2));
    assert!(queued[0].contains("sender: <>\nrecipient: <ann@example.org> NOTIFY=NEVER\n"), "{}", queued[0]);
    assert!(queued[0].contains("Auto-Submitted: auto-replied") && queued[0].contains("I am away"));
    for (sender, field) in [
        ("", ""),
        ("list-owner@example.org", ""),
        ("mailer-daemon@example.org", ""),
        ("carl@example.org", "Auto-Submitted: auto-generated\n"),
        ("carl@example.org", "List-Id: <x.example.org>\n"),
        ("carl@example.org", "Precedence: bulk\n"),
    ] {
        h.deliver_from(sender, &format!("{field}{MESSAGE}")).expect_code(0);
    }
    // not addressed to joe
    h.deliver_from("carl@example.org", &MESSAGE.replace("joe@", "all@")).expect_code(0);
    assert_eq!(h.queued().len(), 1);
}

#[test]
fn reject_is_a_refusal_with_its_text() {
    let h = Home::new("require \"reject\"; reject \"Please do not\r\nwrite here\";");
    h.deliver(MESSAGE).expect_code(77).expect_out("5.7.1 Please do not write here");
    h.deliver_from("", MESSAGE).expect_code(0);
    assert_eq!(h.count(""), 0);
}

#[test]
fn a_script_with_errors_keeps_the_mail() {
    for script in [
        "nonsense;",
        "require \"fileinto\"; fileinto",
        "require [\"variables\", \"fileinto\"]; set \"x\" \"a${0}\"; fileinto \"${x}\u{1}\";",
        "require \"ihave\"; discard; error \"no\";",
    ] {
        let h = Home::new(script);
        h.deliver(MESSAGE).expect_code(0).expect_out("delivered to INBOX").expect_err("sieve-error");
        assert_eq!(h.count(""), 1);
    }
}

#[test]
fn edited_headers_are_stored() {
    let h = Home::new("require \"editheader\"; addheader \"X-Seen-By\" \"sieve\"; deleteheader \"Message-ID\";");
    h.deliver(MESSAGE).expect_code(0);
    let text = std::fs::read_to_string(&tmp::mails(h.maildir())[0]).unwrap();
    assert!(
        text.starts_with("Return-Path: <ann@example.org>\nDelivered-To: joe@example.net\nX-Seen-By: sieve\n"),
        "{text}"
    );
    assert!(!text.contains("Message-ID") && text.ends_with("\n\nbody\n"));
}

#[test]
fn programs_of_the_administrator_only() {
    let h = Home::new(
        "require [\"vnd.dovecot.filter\", \"vnd.dovecot.execute\", \"vnd.dovecot.pipe\", \"variables\", \"fileinto\", \"mailbox\"];\nfilter \"upper\";\nif execute :output \"where\" \"say\" [\"box\"] { fileinto :create \"${where}\"; }\n",
    );
    h.program("upper", "#!/bin/sh\ntr a-z A-Z\n");
    h.program("say", "#!/bin/sh\nprintf %s \"$1\"\n");
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to box");
    let text = std::fs::read_to_string(&tmp::mails(h.maildir().join(".box"))[0]).unwrap();
    assert!(text.contains("SUBJECT: HELLO\n") && text.ends_with("\n\nBODY\n"), "{text}");
    // a path out of the directory, and a program others could have written
    let h = Home::new("require \"vnd.dovecot.pipe\"; pipe \"../p.toml\";");
    h.deliver(MESSAGE).expect_code(0).expect_out("INBOX").expect_err("invalid program name");
    let h = Home::new("require \"vnd.dovecot.pipe\"; pipe \"open\";");
    h.program("open", "#!/bin/sh\ncat >/dev/null\n");
    std::fs::set_permissions(h.dir.join("programs/open"), std::fs::Permissions::from_mode(0o777)).unwrap();
    h.deliver(MESSAGE).expect_code(0).expect_out("INBOX").expect_err("only the administrator can write");
}

#[test]
fn a_link_to_elsewhere_defers() {
    let h = Home::new("keep;");
    std::fs::remove_file(h.dir.join("home/.dovecot.sieve")).unwrap();
    symlink("/etc/passwd", h.dir.join("home/.dovecot.sieve")).unwrap();
    h.deliver(MESSAGE).expect_code(75).expect_out("4.3.0");
}

#[test]
fn duplicates_are_dropped() {
    let h = Home::new("require \"duplicate\"; if duplicate { discard; }");
    h.deliver(MESSAGE).expect_code(0);
    h.deliver(MESSAGE).expect_code(0).expect_out("discarded");
    h.deliver(&MESSAGE.replace("<1@", "<2@")).expect_code(0);
    assert_eq!(h.count(""), 2);
}

/// What IMAP's SETMETADATA wrote.
#[test]
fn annotations_of_folders_decide() {
    let h = Home::new(
        "require [\"fileinto\", \"mboxmetadata\", \"servermetadata\"];\n\
         if allof(metadata :is \"Work\" \"/private/Filing\" \"yes\", servermetadataexists \"/private/on\",\n\
         not metadataexists \"Work\" \"/private/none\") { fileinto \"Work\"; }",
    );
    h.dir.maildir("home/Maildir");
    h.dir.maildir("home/Maildir/.Work");
    h.dir.write("home/Maildir/.Work/pennypost-metadata", "/private/filing\tyes\n");
    h.dir.write("home/Maildir/pennypost-metadata-server", "/private/on\t\n");
    if h.root {
        own(&h.dir.join("home"));
    }
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to Work");
    std::fs::remove_file(h.dir.join("home/Maildir/pennypost-metadata-server")).unwrap();
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to INBOX");
}

#[test]
fn annotations_of_a_folder_with_a_name_in_utf8_on_disk() {
    let h = Home::new(
        "require [\"fileinto\", \"mboxmetadata\"];\n\
         if metadata :is \"Entwürfe\" \"/private/Filing\" \"yes\" { fileinto \"Entwürfe\"; }",
    );
    h.dir.maildir("home/Maildir");
    h.dir.maildir("home/Maildir/.Entwürfe");
    h.dir.write("home/Maildir/.Entwürfe/pennypost-metadata", "/private/filing\tyes\n");
    if h.root {
        own(&h.dir.join("home"));
    }
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to Entwürfe");
}

#[test]
fn a_list_of_the_users_is_redirected_to() {
    let h = Home::new("require [\"extlists\", \"copy\"]; redirect :copy :list \"friends\";");
    h.dir.write("home/sieve/lists/friends", "b@example.org\n\na@example.org\n");
    if h.root {
        own(&h.dir.join("home"));
    }
    h.deliver(MESSAGE).expect_code(0).expect_out("redirected to a@example.org, b@example.org");
    let queued = h.queued();
    assert!(queued.len() == 1 && queued[0].contains("recipient: <a@example.org>\nrecipient: <b@example.org>\n"));
    assert_eq!(h.count(""), 1);
}

/// The administrator's before, in order of name; the user's; the administrator's after. Each only while the message is still to be kept.
#[test]
fn scripts_of_the_administrator_come_before_and_after() {
    let h = Home::new(
        "require [\"fileinto\", \"mailbox\"]; if header :contains \"subject\" \"mine\" { fileinto :create \"User\"; }",
    );
    let head = "require [\"fileinto\", \"mailbox\", \"copy\", \"editheader\"];\n";
    h.dir.write("before/10.sieve", format!("{head}addheader \"X-Order\" \"10\"; fileinto :copy :create \"All\";"));
    h.dir.write(
        "before/20.sieve",
        format!("{head}addheader \"X-Order\" \"20\"; if header :is \"subject\" \"bad\" {{ discard; }}"),
    );
    h.dir.write("before/README", "no script");
    h.dir.write("after/10.sieve", format!("{head}fileinto :create \"After\";"));
    let counts = || [".All", ".User", ".After", ""].map(|f| h.count(f));
    h.deliver(&MESSAGE.replace("hello", "bad")).expect_code(0);
    assert_eq!(counts(), [1, 0, 0, 0], "a discard before is the end");
    h.deliver(&MESSAGE.replace("hello", "mine")).expect_code(0);
    assert_eq!(counts(), [2, 1, 0, 0], "what the user has filed is not for those after");
    h.deliver(MESSAGE).expect_code(0);
    assert_eq!(counts(), [3, 1, 1, 0]);
    let text = std::fs::read_to_string(&tmp::mails(h.maildir().join(".After"))[0]).unwrap();
    assert!(text.contains("X-Order: 20\nX-Order: 10\nFrom: Ann"), "{text}");
    // an explicit keep is no last word either
    h.dir.write("home/sieve/main.sieve", "require \"imap4flags\"; keep :flags \"\\\\Seen\";");
    if h.root {
        own(&h.dir.join("home"));
    }
    h.deliver(MESSAGE).expect_code(0);
    assert_eq!(counts(), [4, 1, 2, 0]);
    // without a script of the user's own they run all the same
    std::fs::remove_file(h.dir.join("home/.dovecot.sieve")).unwrap();
    h.deliver(MESSAGE).expect_code(0);
    assert_eq!(counts(), [5, 1, 3, 0]);
    std::fs::remove_file(h.dir.join("after/10.sieve")).unwrap();
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to INBOX");
}

#[test]
fn a_mistake_of_the_administrators_script_defers() {
    let h = Home::new("keep;");
    h.dir.write("after/10.sieve", "nonsense;");
    h.deliver(MESSAGE).expect_code(75).expect_out("4.3.5 the mail system's delivery rules have an error");
    assert_eq!(h.count(""), 0);
    // a script of the user's that fails keeps the mail: those after it are asked as if he had none
    let h = Home::new("nonsense;");
    h.dir.write("after/10.sieve", "require [\"fileinto\", \"mailbox\"]; fileinto :create \"After\";");
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to After").expect_err("sieve-error");
}

/// RFC 5703 6.
#[test]
fn replace_and_enclose_change_what_is_stored() {
    let h = Home::new("require \"replace\"; replace :subject \"New\" :from \"joe@example.net\" \"other words\";");
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to INBOX");
    let text = std::fs::read_to_string(&tmp::mails(h.maildir())[0]).unwrap();
    assert!(text.contains("\nSubject: New\n") && text.contains("\nFrom: joe@example.net\n"), "{text}");
    assert!(text.contains("other words") && !text.contains("\nbody\n") && !text.contains('\r'), "{text}");
    assert!(text.starts_with("Return-Path: <ann@example.org>\nDelivered-To: joe@example.net\n"), "{text}");

    let h = Home::new(
        "require [\"enclose\", \"fileinto\", \"mailbox\"]; enclose :subject \"Look\" \"a warning\"; fileinto :create \"Odd\";",
    );
    h.deliver(MESSAGE).expect_code(0).expect_out("delivered to Odd");
    let text = std::fs::read_to_string(&tmp::mails(h.maildir().join(".Odd"))[0]).unwrap();
    let (outer, inner) = text.split_once("message/rfc822").expect("the message as a part");
    assert!(outer.contains("\nSubject: Look\n") && outer.contains("a warning"), "{text}");
    assert!(inner.contains("\nSubject: hello\n") && inner.contains("\nbody\n") && !text.contains('\r'), "{text}");
}

/// RFC 8580: what is sent is kept.
#[test]
fn a_copy_of_an_answer_is_filed() {
    let h = Home::new(
        "require [\"vacation\", \"fcc\", \"mailbox\", \"imap4flags\"]; vacation :fcc \"Sent\" :create :flags \"\\\\Seen\" \"I am away\";",
    );
    h.deliver(MESSAGE).expect_code(0);
    let sent = tmp::mails(h.maildir().join(".Sent"));
    assert!(sent.len() == 1 && sent[0].to_string_lossy().ends_with(":2,S"), "{sent:?}");
    let text = std::fs::read_to_string(&sent[0]).unwrap();
    assert!(text.contains("Auto-Submitted: auto-replied") && text.contains("I am away"), "{text}");
    assert_eq!((h.queued().len(), h.count("")), (1, 1));
    // no answer, no copy
    h.deliver(MESSAGE).expect_code(0);
    assert_eq!(tmp::mails(h.maildir().join(".Sent")).len(), 1);
}
