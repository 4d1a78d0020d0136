//! sendmail, mailq and newaliases as programs call them.

#[path = "support/queue.rs"]
mod support;

use penny_testkit::{Output, Run, program};
use support::{Post, until};

fn sendmail(post: &Post) -> Run {
    post.run(&program!("sendmail"))
}

fn send(post: &Post, args: &[&str], message: &str) -> Output {
    sendmail(post).args(args).stdin(message).run()
}

/// The same program under another name.
fn called(post: &Post, name: &str) -> Run {
    let link = post.dir.join(name);
    std::os::unix::fs::symlink(program!("sendmail"), &link).unwrap();
    post.run(&link)
}

#[test]
fn a_message_of_cron() {
    let post = Post::new("", "").up();
    let message = "From: \"(Cron Daemon)\" <root>\nTo: joe\nSubject: Cron job\nDate: Tue, 1 Jan 2030 00:00:00 +0000\n\nout\n.\nput\n";
    send(&post, &["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "joe@example.test"], message).expect_code(0);
    let mail = &post.wait_mails("joe", 1)[0];
    assert!(mail.contains("Received: by mx.example.test (sendmail, from uid "), "{mail}");
    assert!(mail.contains("\n\nout\n.\nput\n") && mail.contains("Message-ID: <"), "{mail}");
    assert_eq!(mail.matches("\nDate: ").count(), 1);
}

#[test]
fn recipients_of_the_header_as_php_and_git_want_it() {
    let post = Post::new("", "").up();
    let message =
        "To: Joe <joe@example.test>,\r\n ann@example.test\r\nBcc: bob@example.test\r\nSubject: x\r\n\r\nh\u{e9}llo\r\n";
    send(&post, &["-t", "-i", "-f", "root@example.test"], message).expect_code(0);
    for user in ["joe", "ann", "bob"] {
        let mail = &post.wait_mails(user, 1)[0];
        assert!(
            !mail.to_lowercase().contains("bcc") && mail.contains("h\u{e9}llo\n") && !mail.contains('\r'),
            "{mail}"
        );
        assert!(mail.contains("Return-Path: <root@example.test>"), "{mail}");
    }
    post.wait_empty();
}

#[test]
fn a_dot_ends_the_message_unless_told_otherwise() {
    let post = Post::new("", "").up();
    send(&post, &["joe@example.test"], "Subject: x\n\nbefore\n.\nafter\n").expect_code(0);
    let mail = &post.wait_mails("joe", 1)[0];
    assert!(mail.ends_with("before\n"), "{mail}");
}

#[test]
fn parameters_of_dsn_and_verp() {
    let post = Post::new("", "").up();
    let args = ["-N", "success", "-R", "hdrs", "-V", "id+1", "-f", "ann@example.test", "joe@example.test"];
    send(&post, &args, "Subject: x\n\nbody\n").expect_code(0);
    let report = &post.wait_mails("ann", 1)[0];
    assert!(report.contains("Original-Envelope-Id: id+1") && report.contains("Action: delivered"), "{report}");
    send(&post, &["-XV", "-f", "list@example.test", "joe@example.test", "bob@example.test"], "Subject: y\n\nx\n")
        .expect_code(0);
    for user in ["joe", "bob"] {
        let own = format!("Return-Path: <list+{user}=example.test@example.test>");
        until(&own, || post.mails(user).iter().any(|m| m.contains(&own) && m.contains("Subject: y")));
    }
}

#[test]
fn names_in_the_header_and_options_of_history() {
    let post = Post::new("", "").up();
    // -F names the sender where the message does not; -r is -f
    send(&post, &["-F", "Job \"7\"", "-r", "ann@example.test", "joe@example.test"], "Subject: named\n\nx\n")
        .expect_code(0);
    let mail = &post.wait_mails("joe", 1)[0];
    assert!(mail.contains("From: \"Job \\\"7\\\"\" <ann@example.test>\n"), "{mail}");
    assert!(mail.contains("Return-Path: <ann@example.test>"), "{mail}");
    let options = [
        "-oi",
        "-om",
        "-oem",
        "-oeq",
        "-odb",
        "-odi",
        "-o7",
        "-OErrorMode=p",
        "-O",
        "DeliveryMode=b",
        "-OIgnoreDots",
        "-h10",
        "-m",
        "-n",
        "-G",
        "-U",
        "-Btype",
        "-Ac",
        "-L",
        "tag",
        "-p",
        "ESMTP:host",
        "-d0.1",
        "-bm",
        "--",
    ];
    let args = [&options[..], &["bob@example.test"]].concat();
    send(&post, &args, "Subject: x\n\nbefore\n.\nafter\n").expect_code(0);
    assert!(post.wait_mails("bob", 1)[0].ends_with("before\n.\nafter\n"), "-oi among them");
    for flag in ["-i", "-OIgnoreDots=true"] {
        send(&post, &[flag, "ann@example.test"], "Subject: x\n\n.\nafter\n").expect_code(0);
    }
    assert!(post.wait_mails("ann", 2).iter().all(|m| m.ends_with("\n.\nafter\n")));
}

#[test]
fn a_conversation_on_standard_input() {
    let post = Post::new("", "").up();
    let said = [
        "EHLO me",
        "MAIL FROM:<ann@example.test>",
        "RCPT TO:<joe@example.test>",
        "RCPT TO:<nosuch@example.test>",
        "DATA",
    ];
    let text = format!("{}\r\nSubject: by SMTP\r\n\r\nx\r\n.\r\nQUIT\r\n", said.join("\r\n"));
    let out = send(&post, &["-bs"], &text);
    let codes: Vec<String> =
        out.out().lines().filter(|l| l.get(3..4) == Some(" ")).map(|l| l[..3].to_owned()).collect();
    assert_eq!(codes, ["220", "250", "250", "250", "550", "354", "250", "221"], "{}", out.describe());
    assert!(post.wait_mails("joe", 1)[0].contains("Subject: by SMTP"));
}

#[test]
fn exit_codes_tell_what_is_wrong() {
    let post = Post::new("", "");
    send(&post, &["joe@example.test"], "x\n").expect_code(75).expect_err("does not answer");
    let post = post.up();
    send(&post, &[], "x\n").expect_code(64);
    send(&post, &["-t"], "Subject: x\n\n").expect_code(65);
    send(&post, &["-bd"], "").expect_code(64);
    send(&post, &["-N", "sometimes", "joe@example.test"], "x\n").expect_code(64);
    send(&post, &["a@b@@c"], "x\n").expect_code(65);
    assert!(post.files("cur").is_empty() && post.files("new").is_empty());
}

#[test]
fn the_size_limit_is_that_of_smtp() {
    let post = Post::new("", "[smtpd]\nmax_size = 1000000").up();
    let big = format!("Subject: x\n\n{}", "0123456789abcde\n".repeat(100_000));
    send(&post, &["joe@example.test"], &big).expect_code(65).expect_err("5.3.4");
    let fits = format!("Subject: x\n\n{}", "0123456789abcde\n".repeat(30_000));
    send(&post, &["joe@example.test"], &fits).expect_code(0);
    post.wait_mails("joe", 1);
}

#[test]
fn mailq_and_flush() {
    let post = Post::new("retry_min = \"1h\"", "").up();
    called(&post, "mailq").run().expect_code(0).expect_out("Mail queue is empty");
    let dead = penny_testkit::free_port();
    post.table("routes", &format!("dead.test smtp:[127.0.0.1]:{dead}\n"));
    std::thread::sleep(std::time::Duration::from_millis(1200)); // lookup looks at its tables once a second
    send(&post, &["-f", "ann@example.test", "x@dead.test"], "Subject: x\n\nx\n").expect_code(0);
    // while it is under way, a flush means nothing
    post.wait_waiting(1);
    let out = sendmail(&post).arg("-bp").run();
    out.expect_code(0).expect_out("Connection refused").expect_out("x@dead.test").expect_out("ann@example.test");
    out.expect_out("-- 1 Kbytes in 1 Request.");
    let sink = std::net::TcpListener::bind(("127.0.0.1", dead)).unwrap();
    sink.set_nonblocking(true).unwrap();
    // for others nothing is tried: the connection that comes first is that of the last flush
    for others in ["-qRelse.test", "-qSbob@"] {
        sendmail(&post).arg(others).run().expect_code(0);
    }
    assert_eq!(post.files("log").len(), 1);
    let name: penny_queue::Name = post.files("log")[0].parse().unwrap();
    for (tries, flush) in [(1, "-qRdead.test".to_owned()), (2, format!("-qI{name}")), (3, "-q".into())] {
        sendmail(&post).arg(flush).run().expect_code(0);
        until("a try at once", || sink.accept().is_ok());
        until("the end of the try", || post.journal(&name).matches(" 4.4.2 ").count() == tries);
        post.wait_waiting(1);
    }
}

#[test]
fn addresses_and_aliases_can_be_looked_at() {
    let mut post = Post::new("", "");
    post.table("aliases", "team: joe, ann\n");
    post = post.up();
    let out = sendmail(&post).args(["-bv", "team@example.test"]).run();
    out.expect_code(0).expect_out("local joe@example.test").expect_out("local ann@example.test");
    sendmail(&post).args(["-bv", "nosuch@example.test"]).run().expect_code(67);
    called(&post, "newaliases").run().expect_code(0);
    post.table("aliases", "broken line\n");
    sendmail(&post).arg("-bi").run().expect_code(65).expect_out("aliases:1:");
}

#[test]
fn programs_that_call_it() {
    let post = Post::new("", "").up();
    let bin = program!("sendmail");
    let python = "import subprocess,sys\nfrom email.message import EmailMessage\nm=EmailMessage()\nm['To']='joe@example.test'\nm['Subject']='py'\nm.set_content('text')\nsubprocess.run([sys.argv[1],'-t','-oi'],input=m.as_bytes(),check=True)\n";
    if penny_testkit::have("programs_that_call_it", "python3") {
        post.run("/usr/bin/python3".as_ref()).args(["-c", python]).arg(&bin).run().expect_code(0);
        assert!(post.wait_mails("joe", 1)[0].contains("Subject: py"));
    }
    if penny_testkit::have("programs_that_call_it", "git") {
        let dir = post.dir.path().display().to_string();
        let script = format!(
            "cd {dir} && mkdir g && cd g && git init -q . && git -c user.name=A -c user.email=ann@example.test commit -q --allow-empty -m one \
             && git format-patch -q --root --always -1 && git -c sendemail.confirm=never -c user.name=A -c user.email=ann@example.test \
             send-email --quiet --smtp-server={} --to=bob@example.test --suppress-cc=all *.patch",
            bin.display()
        );
        let out = post.run("/bin/sh".as_ref()).args(["-c", &script]).env("HOME", &dir).run();
        if out.err().contains("send-email' is not") || out.err().contains("not a git command") {
            penny_testkit::skip("programs_that_call_it", "git send-email is not installed");
        } else {
            out.expect_code(0);
            assert!(post.wait_mails("bob", 1)[0].contains("one"));
        }
    }
}

/// Runs a mail program that calls sendmail; its message ends in joe's mailbox.
fn sends(program: &str, script: &str) {
    let test = "sends";
    if !penny_testkit::have(test, program) {
        return;
    }
    let post = Post::new("", "").up();
    let script = script.replace("SENDMAIL", &program!("sendmail").display().to_string());
    // as the caller, whose uid has a name: some of them want to know it
    let run = Run::new("/bin/sh").env("PENNYPOST_CONFIG", post.dir.join("p.toml")).args(["-c", &script]);
    let run = run.env("HOME", post.dir.join("home")).env("TERM", "dumb").env("LC_ALL", "C.UTF-8");
    run.run().expect_code(0);
    let mail = &post.wait_mails("joe", 1)[0];
    assert!(mail.contains("\nSubject: real") && mail.contains("what it says"), "{program}: {mail}");
    post.wait_empty();
}

#[test]
fn php_mail() {
    sends(
        "php",
        "php -n -d sendmail_path='SENDMAIL -t -i' -r 'exit(mail(\"joe@example.test\", \"real\", \"what it says\", \
         \"From: ann@example.test\", \"-fann@example.test\") ? 0 : 1);'",
    );
}

#[test]
fn mutt() {
    sends(
        "mutt",
        "echo 'what it says' | mutt -n -F /dev/null -e 'set sendmail=\"SENDMAIL -oem -oi\"' -e 'set from=ann@example.test' \
         -e 'set use_envelope_from=yes' -e 'set record=\"\"' -e 'set copy=no' -s real joe@example.test",
    );
}

#[test]
fn bsd_mailx() {
    sends(
        "bsd-mailx",
        "printf 'set sendmail=SENDMAIL\nunset askcc\n' >$HOME/.mailrc && \
         echo 'what it says' | bsd-mailx -s real -a 'From: ann@example.test' joe@example.test",
    );
}

#[test]
fn s_nail() {
    sends(
        "s-nail",
        "echo 'what it says' | s-nail -: / -S v15-compat -S mta=SENDMAIL -S sendwait -s real -r ann@example.test joe@example.test",
    );
}

/// Makes /usr/sbin a place of its own in a mount namespace.
const PRIVATE_SBIN: &str = "set -e
    mount -t tmpfs none /run
    mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work
    mount -t overlay -o lowerdir=/usr/sbin,upperdir=/mnt/upper,workdir=/mnt/work overlay /usr/sbin";

/// Debian's cron in a mount namespace of its own, where sendmail is ours; a job of `@reboot` runs at once.
#[test]
fn cron() {
    if !penny_testkit::have("cron", "cron") || !penny_testkit::have("cron", "unshare") {
        return;
    }
    let apart =
        |script: &str| Run::new("unshare").args(["--mount", "--propagation", "private", "/bin/sh", "-c", script]);
    if apart(PRIVATE_SBIN).run().code != Some(0) {
        return penny_testkit::skip("cron", "no mount namespace here");
    }
    let post = Post::new("", "").up();
    let wrapper = format!(
        "#!/bin/sh\nPENNYPOST_CONFIG={} exec {} \"$@\"\n",
        post.dir.join("p.toml").display(),
        program!("sendmail").display()
    );
    let wrapper = post.dir.script("sendmail", &wrapper);
    let crontab = post.dir.write(
        "crontab",
        "MAILTO=joe@example.test\nMAILFROM=ann@example.test\n@reboot echo what cron said; echo .; echo more\n",
    );
    let script = format!(
        "{PRIVATE_SBIN}
        rm -f /usr/sbin/sendmail; cp {} /usr/sbin/sendmail
        mount -t tmpfs none /var/spool/cron; mkdir -m 1730 /var/spool/cron/crontabs
        mount -t tmpfs none /etc/cron.d
        cp {} /var/spool/cron/crontabs/root; chmod 600 /var/spool/cron/crontabs/root
        exec /usr/sbin/cron -f",
        wrapper.display(),
        crontab.display()
    );
    let _cron = apart(&script).spawn();
    let mail = &post.wait_mails("joe", 1)[0];
    assert!(mail.contains("Subject: Cron <root@") && mail.contains("\n\nwhat cron said\n.\nmore\n"), "{mail}");
    post.wait_empty();
}
