//! deliver by hand and as a job: Maildir, folders, rules of the user, programs, quota, hostile files.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use penny_testkit::{Output, Run, TempDir, program, tmp};

const MESSAGE: &str = "From: a@example.org\nTo: joe@example.net\nSubject: hello\n\nbody\n.\n";

/// A home and a configuration of its own; as root everything belongs to an ordinary uid, for deliver refuses root.
struct Home {
    dir: TempDir,
    owner: Option<(u32, u32)>,
}

impl Home {
    fn new() -> Self {
        let dir = TempDir::new();
        let owner = nobody_if_root(dir.path());
        let home = Self { dir, owner };
        let run = home.dir.join("run").display().to_string();
        home.dir.write("p.toml", format!("[paths]\nrun = \"{run}\"\n[ids]\nlandlock = \"optional\"\n"));
        std::fs::create_dir(home.home()).unwrap();
        home
    }

    /// From now on programs have two seconds, not two minutes.
    fn impatient(&self) {
        let config = std::fs::read_to_string(self.dir.join("p.toml")).unwrap();
        self.dir.write("p.toml", config + "[deliver]\npipe_timeout = \"2s\"\n");
        self.own();
    }

    fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    fn maildir(&self) -> PathBuf {
        self.home().join("Maildir")
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.write(Path::new("home").join(name), content);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.maildir(Path::new("home/Maildir").join(name))
    }

    fn own(&self) {
        if let Some((uid, gid)) = self.owner {
            own_tree(self.dir.path(), uid, gid);
        }
    }

    /// A job as qrun starts it.
    fn job(&self, message: &str, recipient: &str, extra: &str) -> Run {
        let envelope = format!(
            "pennypost-queue: 1\narrival: 1000000000.000000\n{extra}sender: <s@example.org>\nrecipient: <{recipient}>\nsize: 1\nwire-size: 1\n\n"
        );
        self.dir.write("entry", format!("{envelope}{message}"));
        self.dir.write("envelope", &envelope);
        self.own();
        let command = format!(
            "exec 3<'{d}/envelope'; {{ dd bs=1 count={} of=/dev/null 2>/dev/null; exec '{}' -c '{d}/p.toml' --job; }} <'{d}/entry'",
            envelope.len(),
            program!("deliver").display(),
            d = self.dir.path().display(),
        );
        self.dir.write("command", &command);
        self.as_owner(Run::new("/bin/sh").args(["-c", &command]))
    }

    /// A job with more arguments.
    fn job_with(&self, message: &str, recipient: &str, args: &str) -> Run {
        let run = self.job(message, recipient, "");
        let command =
            std::fs::read_to_string(self.dir.join("command")).unwrap().replace("--job", &format!("--job {args}"));
        drop(run);
        self.as_owner(Run::new("/bin/sh").args(["-c", &command]))
    }

    fn as_owner(&self, run: Run) -> Run {
        let run = run
            .env("USER", "joe@example.net")
            .env("HOME", self.home())
            .env("MAILDIR", self.maildir())
            .env("PENNYPOST_SHELL_OK", "1");
        match self.owner {
            Some((uid, gid)) => run.uid(uid, gid),
            None => run,
        }
    }

    fn deliver(&self, recipient: &str) -> Output {
        self.job(MESSAGE, recipient, "").run()
    }
}

fn nobody_if_root(path: &Path) -> Option<(u32, u32)> {
    let owner = (std::fs::metadata(path).unwrap().uid() == 0).then_some((54_321, 54_321));
    if let Some((uid, gid)) = owner {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
    owner
}

fn own_tree(path: &Path, uid: u32, gid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        tmp::list(path).iter().for_each(|p| own_tree(p, uid, gid));
    }
}

fn only(folder: &Path) -> String {
    let all = tmp::mails(folder);
    assert_eq!(all.len(), 1, "{all:?}");
    std::fs::read_to_string(&all[0]).unwrap()
}

#[test]
fn a_job_goes_to_the_inbox_with_its_fields() {
    let h = Home::new();
    h.deliver("joe@example.net").expect_code(0).expect_out("2.0.0 delivered to INBOX\n");
    let all = tmp::list(h.maildir().join("new"));
    assert_eq!(only(&h.maildir()), format!("Return-Path: <s@example.org>\nDelivered-To: joe@example.net\n{MESSAGE}"));
    let name = all[0].file_name().unwrap().to_str().unwrap();
    let size = std::fs::metadata(&all[0]).unwrap().len();
    let lines = std::fs::read_to_string(&all[0]).unwrap().lines().count() as u64;
    assert!(name.contains(&format!(",S={size},W={}", size + lines)), "{name}");
    assert!(tmp::list(h.maildir().join("tmp")).is_empty());
}

#[test]
fn junk_is_what_the_envelope_says_not_what_a_field_says() {
    let h = Home::new();
    h.job(MESSAGE, "joe@example.net", "junk: spamcheck\n").run().expect_code(0).expect_out("Junk");
    only(&h.maildir().join(".Junk"));
    assert!(h.maildir().join(".Junk/maildirfolder").is_file());
    h.job(&format!("junk: yes\nX-Spam: Yes\n{MESSAGE}"), "joe@example.net", "")
        .run()
        .expect_code(0)
        .expect_out("INBOX");
}

#[test]
fn an_extension_goes_to_its_folder_only_if_it_exists() {
    let h = Home::new();
    h.folder(".lists");
    h.deliver("joe+lists@example.net").expect_code(0).expect_out("delivered to lists");
    only(&h.maildir().join(".lists"));
    h.deliver("joe+other@example.net").expect_code(0).expect_out("INBOX");
    assert!(!h.maildir().join(".other").exists());
    // other mail systems write addresses in lower case
    h.folder(".Work.Urgent");
    h.deliver("joe+work/urgent@example.net").expect_code(0).expect_out("delivered to Work/Urgent");
    h.folder(".WORK");
    h.folder(".work");
    h.folder(".Work");
    h.deliver("joe+wORK@example.net").expect_code(0).expect_out("INBOX");
}

/// Any of mail.separators begins the extension; none of it does where there are none.
#[test]
fn separators_are_what_the_administrator_says() {
    for (separators, address, folder) in [
        ("+", "joe+lists@example.net", "lists"),
        ("+", "joe-lists@example.net", "INBOX"),
        ("-=", "joe-lists@example.net", "lists"),
        ("-=", "joe=lists@example.net", "lists"),
        ("-=", "joe+lists@example.net", "INBOX"),
        ("", "joe+lists@example.net", "INBOX"),
    ] {
        let h = Home::new();
        h.folder("");
        h.folder(".lists");
        let config = std::fs::read_to_string(h.dir.join("p.toml")).unwrap();
        h.dir.write("p.toml", format!("{config}[mail]\nseparators = \"{separators}\"\n"));
        h.deliver(address).expect_code(0).expect_out(&format!("2.0.0 delivered to {folder}\n"));
    }
}

/// What strangers choose reaches a program as variables, never as words of its command line or of a shell.
#[test]
fn addresses_reach_programs_as_variables_only() {
    for local in
        ["\";touch owned;\"", "\"$(touch owned)\"", "\"`touch owned`\"", "-oQowned", "\"|touch owned\"", "joe+\"a b\""]
    {
        let h = Home::new();
        // with words of a shell and without
        h.file(".forward", "\"|printf '%s' \\\"$LOCAL\\\" > said; echo $# > count\"\n|tee copy\n");
        h.deliver(&format!("{local}@example.net")).expect_code(0);
        assert_eq!(std::fs::read_to_string(h.home().join("said")).unwrap(), local);
        assert_eq!(std::fs::read_to_string(h.home().join("count")).unwrap(), "0\n");
        let made: Vec<_> = tmp::list(h.home()).iter().map(|p| p.file_name().unwrap().to_owned()).collect();
        assert_eq!(made, [".forward", "copy", "count", "said"], "{local}");
    }
}

#[test]
fn hostile_extensions_stay_inside() {
    for ext in ["../../x", "/etc", "..", ".", "a/../..", &"x".repeat(300), "%s%n", "$(id)", "`id`", "-oQ/tmp/x"] {
        let h = Home::new();
        h.file(".qmail-default", "./Maildir/\n");
        h.deliver(&format!("joe+{ext}@example.net")).expect_code(0);
        only(&h.maildir());
        let names: Vec<_> = tmp::list(h.dir.path()).iter().map(|p| p.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["command", "entry", "envelope", "home", "p.toml"], "{ext}");
    }
}

#[test]
fn a_loop_is_refused() {
    let h = Home::new();
    let message = format!("Received: x\nDelivered-To: Joe@Example.net\n{MESSAGE}");
    h.job(&message, "joe@example.net", "").run().expect_code(69).expect_out("5.4.6 mail forwarding loop");
    assert!(tmp::mails(h.maildir()).is_empty());
}

#[test]
fn a_return_path_of_the_message_gives_way_to_ours() {
    let h = Home::new();
    h.job(&format!("Return-Path: <forged@x>\n folded\n{MESSAGE}"), "joe@example.net", "").run().expect_code(0);
    let text = only(&h.maildir());
    assert_eq!(text.matches("Return-Path:").count(), 1);
    assert!(text.starts_with("Return-Path: <s@example.org>\n") && !text.contains("folded"), "{text}");
}

#[test]
fn quota_defers_or_refuses_and_leaves_nothing() {
    let h = Home::new();
    h.job(MESSAGE, "joe@example.net", "").env("PENNYPOST_QUOTA_KB", "1").run().expect_code(0);
    let big = format!("{MESSAGE}{}", "x\n".repeat(600));
    h.job(&big, "joe@example.net", "")
        .env("PENNYPOST_QUOTA_KB", "1")
        .run()
        .expect_code(75)
        .expect_out("4.2.2 mailbox is over quota");
    h.dir.write("p.toml", "[mail]\nquota_permanent = true\n[ids]\nlandlock = \"optional\"\n");
    h.job(&big, "joe@example.net", "")
        .env("PENNYPOST_QUOTA_KB", "1")
        .run()
        .expect_code(69)
        .expect_out("5.2.2 mailbox is over quota");
    only(&h.maildir());
    assert!(tmp::list(h.maildir().join("tmp")).is_empty());
    let size = std::fs::read_to_string(h.maildir().join("maildirsize")).unwrap();
    assert!(size.starts_with("1024S\n"), "{size}");
}

#[test]
fn a_filling_mailbox_is_warned_of_once() {
    let h = Home::new();
    let script = h.dir.script("warn", "#!/bin/sh\necho \"$1 $USER\" >>\"$HOME/warnings\"\nexit 3\n");
    let config = format!(
        "[mail]\nquota_warning = \"{}\"\nquota_warning_at = [50, 90]\n[ids]\nlandlock = \"optional\"\n",
        script.display()
    );
    h.dir.write("p.toml", config);
    for _ in 0..10 {
        h.job(MESSAGE, "joe@example.net", "").env("PENNYPOST_QUOTA_MESSAGES", "10").run().expect_code(0);
    }
    let told = std::fs::read_to_string(h.home().join("warnings")).unwrap();
    assert_eq!(told, "50 joe@example.net\n90 joe@example.net\n");
}

#[test]
fn forward_file_runs_programs_and_files() {
    let h = Home::new();
    let out = h.home().join("out");
    h.file(
        ".forward",
        &format!(
            "# mine\n\\joe, \"|cat > {o}; echo $SENDER $RECIPIENT $EXT >> {o}\"\n{h}/box\n./dir/\n",
            o = out.display(),
            h = h.home().display()
        ),
    );
    h.deliver("joe+x@example.net").expect_code(0).expect_out("2.0.0 delivered to INBOX");
    only(&h.maildir());
    only(&h.home().join("dir"));
    let piped = std::fs::read_to_string(out).unwrap();
    assert!(piped.contains("Subject: hello") && piped.ends_with("s@example.org joe+x@example.net x\n"), "{piped}");
    let mbox = std::fs::read_to_string(h.home().join("box")).unwrap();
    assert!(
        mbox.starts_with("From s@example.org Sun Sep  9 01:46:40 2001\nReturn-Path:") && mbox.ends_with("body\n.\n\n"),
        "{mbox}"
    );
}

#[test]
fn program_codes_and_words() {
    for (line, code, text) in [
        ("|echo 5.7.1 not you; exit 77", 77, "5.7.1 not you"),
        ("|exit 100", 69, "5.3.0"),
        ("|exit 111", 75, "4.3.0"),
        ("|exit 1", 75, "4.3.0"),
        ("|kill -9 $$", 75, "4.3.0"),
        ("|sleep 60", 75, "4.3.0 the recipient's program took too long"),
        ("|/no/such/program", 75, "4.3.0"),
    ] {
        let h = Home::new();
        h.file(".qmail", &format!("{line}\n"));
        if line.starts_with("|sleep") {
            h.impatient();
        }
        h.deliver("joe@example.net").expect_code(code).expect_out(text);
        assert!(tmp::mails(h.maildir()).is_empty(), "{line}");
    }
}

#[test]
fn qmail_99_skips_the_rest() {
    let h = Home::new();
    h.file(".qmail", "|exit 99\n./Maildir/\n");
    h.deliver("joe@example.net").expect_code(0);
    assert!(tmp::mails(h.maildir()).is_empty());
    h.file(".qmail-list-default", "|echo $DEFAULT/$EXT > got\n");
    h.deliver("joe+list-a.b@example.net").expect_code(0);
    assert_eq!(std::fs::read_to_string(h.home().join("got")).unwrap(), "a.b/list-a.b\n");
}

#[test]
fn users_without_a_shell_run_no_programs() {
    for (file, text) in
        [(".forward", "|touch pwned\n"), (".qmail", "|touch pwned\n"), (".forward", "/tmp/pennypost-outside\n")]
    {
        let h = Home::new();
        h.file(file, text);
        let out = h.job(MESSAGE, "joe@example.net", "").env("PENNYPOST_SHELL_OK", "0").run();
        out.expect_code(75).expect_out("4.7.0");
        assert!(!h.home().join("pwned").exists() && !Path::new("/tmp/pennypost-outside").exists());
    }
}

#[test]
fn unsafe_files_defer_and_are_never_followed() {
    let secret = TempDir::new();
    let target = secret.write("forward", "/dev/null\n");
    type Make<'a> = &'a dyn Fn(&Home);
    let cases: [(&str, Make<'_>); 10] = [
        ("symbolic link", &|h| symlink(&target, h.home().join(".forward")).unwrap()),
        ("not a regular file", &|h| {
            Run::new("mkfifo").arg(h.home().join(".forward")).run().expect_code(0);
        }),
        ("not a regular file", &|h| std::fs::create_dir(h.home().join(".qmail")).unwrap()),
        ("writable by its group", &|h| {
            let path = h.file(".forward", "/dev/null\n");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).unwrap();
        }),
        ("symbolic link", &|h| symlink(&target, h.home().join(".qmail")).unwrap()),
        ("writable by everybody", &|h| {
            let path = h.file(".qmail", "./Maildir/\n");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o602)).unwrap();
        }),
        ("writable by its group", &|h| {
            std::fs::set_permissions(h.home(), std::fs::Permissions::from_mode(0o770)).unwrap();
        }),
        ("not a directory", &|h| {
            h.dir.maildir("home/Maildir");
            std::fs::remove_dir(h.maildir().join("new")).unwrap();
            std::fs::create_dir(h.dir.join("elsewhere")).unwrap();
            symlink(h.dir.join("elsewhere"), h.maildir().join("new")).unwrap();
        }),
        ("writable by everybody", &|h| {
            std::fs::set_permissions(h.home(), std::fs::Permissions::from_mode(0o777)).unwrap();
        }),
        ("not a directory", &|h| {
            h.dir.maildir("home/Maildir");
            std::fs::remove_dir(h.maildir().join("tmp")).unwrap();
            symlink("/tmp", h.maildir().join("tmp")).unwrap();
        }),
    ];
    for (why, make) in cases {
        let h = Home::new();
        make(&h);
        h.deliver("joe@example.net").expect_code(75).expect_out("4.").expect_err(why);
        assert!(tmp::mails(h.maildir()).is_empty(), "{why}");
    }
}

#[test]
fn wrong_rules_defer() {
    for (file, text) in [(".forward", "a b c\n"), (".qmail", "\n./Maildir/\n"), (".forward", ":include:/no/such\n")] {
        let h = Home::new();
        h.file(file, text);
        h.deliver("joe@example.net").expect_code(75).expect_out("4.3.5");
        assert!(tmp::mails(h.maildir()).is_empty(), "{text}");
    }
}

#[test]
fn the_time_limit_is_our_own() {
    let h = Home::new();
    h.file(".forward", "|sleep 300\n");
    h.impatient();
    let run = h.job(MESSAGE, "joe@example.net", "");
    let start = std::time::Instant::now();
    let out = h.as_owner(run).run();
    out.expect_code(75);
    assert!(start.elapsed().as_secs() < 60);
}

/// The limit of the whole delivery: its program dies with it, whatever is being waited for.
#[test]
fn the_limit_of_the_delivery_ends_its_program_too() {
    let h = Home::new();
    h.file(".forward", "|echo $$ >pid; exec sleep 300\n");
    h.own();
    // on a loaded machine the limit may be over before the program has begun
    let ran = |limit: &u32| {
        let out = h.job_with(MESSAGE, "joe@example.net", &format!("-t {limit}")).run();
        out.expect_code(75);
        assert!(out.out().starts_with("4.4.7 "), "{}", out.out());
        std::fs::read_to_string(h.home().join("pid")).ok()?.trim().parse::<i32>().ok()
    };
    let pid = [1, 5, 25, 100].iter().find_map(ran).expect("the program ran");
    penny_testkit::until("the end of the program", || !penny_sys::files::process_exists(pid));
}

#[test]
fn root_is_refused() {
    let h = Home::new();
    if h.owner.is_none() {
        return penny_testkit::skip("root_is_refused", "needs root");
    }
    let out =
        Run::new(program!("deliver")).arg("-c").arg(h.dir.join("p.toml")).stdin(MESSAGE).env("HOME", h.home()).run();
    out.expect_code(75).expect_out("4.3.5 deliver does not run as root");
    let out =
        Run::new(program!("deliver")).arg("-c").arg(h.dir.join("p.toml")).args(["-d", "root"]).stdin(MESSAGE).run();
    out.expect_code(75).expect_out("4.3.5");
}

#[test]
fn mistakes_of_the_administrator_never_bounce() {
    let h = Home::new();
    h.dir.write("p.toml", "nonsense = 1\n");
    h.own();
    let run = h.as_owner(Run::new(program!("deliver")).arg("-c").arg(h.dir.join("p.toml")));
    run.clone().run().expect_code(75).expect_out("4.3.5");
    run.arg("-x").run().expect_code(75).expect_out("4.3.5");
}

#[test]
fn an_alias_that_is_a_program_or_a_file() {
    let h = Home::new();
    let out = h.home().join("out");
    h.job_with(MESSAGE, "list@example.net", &format!("--pipe 'cat > {}'", out.display())).run().expect_code(0);
    assert!(std::fs::read_to_string(&out).unwrap().contains("Delivered-To: list@example.net\n"));
    h.job_with(MESSAGE, "list@example.net", &format!("--file {}", h.home().join("box").display())).run().expect_code(0);
    assert!(std::fs::read_to_string(h.home().join("box")).unwrap().starts_with("From s@example.org "));
    h.job_with(MESSAGE, "list@example.net", "--pipe 'exit 67'").run().expect_code(67);
}
