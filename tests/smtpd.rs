//! smtpd against the real spawn, lookup, enqueue, checkauth and deliver.

mod smtpfake;

use penny_sasl::base64_encode;
use smtpfake::instance::{Instance, codes, own};

const GREETING: &str = "EHLO client.example\r\n";
const ENVELOPE: &str = "MAIL FROM:<a@far.example>\r\nRCPT TO:<ann@here.example>\r\n";
const MESSAGE: &str = "DATA\r\nFrom: a@far.example\r\nSubject: hi\r\n\r\nbody\r\n..dot\r\n.\r\n";

fn all(parts: &[&str]) -> String {
    parts.concat() + "QUIT\r\n"
}

#[test]
fn a_message_is_queued_whole() {
    let instance = Instance::usual("");
    let output = instance.stranger("mx").stdin(all(&[GREETING, ENVELOPE, MESSAGE])).run();
    assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{}", output.describe());
    output.expect_code(0);
    let queued = instance.queued();
    assert_eq!(queued.len(), 1);
    let entry = &queued[0];
    for line in [
        "client-ip: 192.0.2.7\n",
        "helo: client.example\n",
        "protocol: ESMTP\n",
        "sender: <a@far.example>\n",
        "recipient: <ann@here.example>\n",
        "\n\nReceived: from client.example (unknown [192.0.2.7])\n\tby mx.here.example with ESMTP\n\tid ",
        "\n\tfor <ann@here.example>;\n",
        "\nFrom: a@far.example\nSubject: hi\n\nbody\n.dot\n",
    ] {
        assert!(entry.contains(line), "{line:?} in {entry}");
    }
    assert!(entry.ends_with("\nbody\n.dot\n"), "{entry}");
    let name = output.out().lines().find_map(|l| l.strip_prefix("250 2.0.0 queued as ").map(str::to_owned)).unwrap();
    assert!(instance.place.path("queue/new").join(name).is_file());
}

#[test]
fn recipients_are_judged_at_rcpt() {
    let instance = Instance::usual("");
    let rcpt = |run: penny_testkit::Run, address: &str| {
        let input = all(&[GREETING, "MAIL FROM:<a@far.example>\r\n", &format!("RCPT TO:<{address}>\r\n")]);
        codes(&run.stdin(input).run()).split(' ').nth(3).unwrap_or_default().to_owned()
    };
    for (address, code) in [
        ("ann@here.example", "250"),
        ("ANN@HERE.example", "250"),
        ("ann+tag@here.example", "250"),
        ("info@here.example", "250"),
        ("postmaster", "250"),
        ("Postmaster@here.example", "250"),
        ("x@backup.example", "250"),
        ("nobody@here.example", "550"),
        ("x@elsewhere.example", "550"),
        ("-froot@here.example", "550"),
        ("\"|/bin/id\"@here.example", "550"),
        ("\";id;\"@here.example", "550"),
        ("ann%elsewhere.example@here.example", "550"),
        ("\"ann@elsewhere.example\"@here.example", "550"),
        ("@here.example:x@elsewhere.example", "550"),
        ("ann@[192.0.2.1]", "550"),
    ] {
        assert_eq!(rcpt(instance.stranger("mx"), address), code, "{address}");
    }
    assert_eq!(rcpt(instance.smtpd("mx"), "x@elsewhere.example"), "250");
    let closed = Instance::usual("[smtpd]\nrelay_clients = []\n");
    assert_eq!(rcpt(closed.smtpd("mx"), "x@elsewhere.example"), "550");
    assert_eq!(rcpt(closed.smtpd("submission"), "x@elsewhere.example"), "503");
}

/// A local part is what it is; where nobody has that, NFC and lower case, unless that is switched off.
#[test]
fn local_parts_are_exact_first_and_folded_then() {
    let users = "ann@here.example:{PLAIN}x::::HOME/ann::\nAnn@here.example:{PLAIN}x::::HOME/bob::\n\
                 j\u{f6}rg@here.example:{PLAIN}x::::HOME/ann::\n";
    let tables = [("domains", "here.example local\n"), ("users", users)];
    let play = |instance: &Instance, address: &str| {
        let envelope = format!("MAIL FROM:<a@far.example> SMTPUTF8\r\nRCPT TO:<{address}>\r\n");
        codes(&instance.smtpd("lmtp").stdin(all(&["LHLO x\r\n", &envelope, MESSAGE])).run())
    };
    let instance = Instance::new("", &tables);
    let whole = "220 250 250 250 354 250 221";
    for address in ["Ann@here.example", "ANN@HERE.example", "J\u{d6}RG@here.example", "jo\u{308}rg@here.example"] {
        assert_eq!(play(&instance, address), whole, "{address}");
    }
    // the exact name has its own mailbox, all others are ann's
    assert_eq!((instance.mailbox("bob/Maildir").len(), instance.mailbox("ann/Maildir").len()), (1, 3));
    let exact = Instance::new("[mail]\nfold_case = false\n", &tables);
    assert_eq!(play(&exact, "Ann@here.example"), whole);
    assert!(play(&exact, "ANN@here.example").starts_with("220 250 250 550 "));
}

#[test]
fn fake_ends_of_data_never_make_a_second_message() {
    let instance = Instance::usual("");
    let fakes = [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r\n.\0\r\n",
        "\r\n.\r\r\n",
        "\r.\r",
        "\r.\n",
        "\n.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\r\n\0.\r\n",
    ];
    for fake in fakes {
        let content = format!("DATA\r\nSubject: x\r\n\r\nfirst{fake}");
        let second = "MAIL FROM:<evil@x.example>\r\nRCPT TO:<ann@here.example>\r\nDATA\r\nevil\r\n.\r\n";
        let output = instance.stranger("mx").stdin(all(&[GREETING, ENVELOPE, &content, second])).run();
        assert_eq!(codes(&output), "220 250 250 250 354 554 221", "{fake:?}");
    }
    assert_eq!(instance.queued(), Vec::<String>::new());
}

#[test]
fn submission_wants_a_login() {
    let instance = Instance::usual("");
    let login = |user: &str, password: &str| {
        format!("AUTH PLAIN {}\r\n", base64_encode(format!("\0{user}\0{password}").as_bytes()))
    };
    let own = "MAIL FROM:<ann@here.example>\r\nRCPT TO:<x@elsewhere.example>\r\n";
    let message =
        "DATA\r\nFrom: Ann <ann@here.example>\r\nBcc: secret@x.example\r\nTo: x@elsewhere.example\r\n\r\nhi\r\n.\r\n";
    let run = |parts: &[&str]| instance.smtpd("submission").stdin(all(parts)).run();
    let good = login("ann@here.example", "secret");
    assert_eq!(codes(&run(&[GREETING, own])), "220 250 530 503 221");
    let wrong = run(&[GREETING, &login("ann@here.example", "wrong"), own]);
    assert_eq!(codes(&wrong), "220 250 535 530 503 221", "{}", wrong.describe());
    let output = run(&[GREETING, &good, own, message]);
    assert_eq!(codes(&output), "220 250 235 250 250 354 250 221", "{}", output.describe());
    assert!(output.out().contains("250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n"), "{}", output.out());
    let entry = instance.queued().remove(0);
    assert!(entry.contains("login: ann@here.example\n") && entry.contains("protocol: ESMTPA\n"), "{entry}");
    assert!(entry.contains("\nDate: ") && entry.contains("\nMessage-ID: <"), "{entry}");
    assert!(!entry.contains("Bcc") && !entry.contains("secret@x.example"), "{entry}");
    // the envelope sender and From belong to the login
    let other = "MAIL FROM:<bob@here.example>\r\n";
    assert_eq!(codes(&run(&[GREETING, &good, other])), "220 250 235 553 221");
    let forged = message.replace("ann@here", "bob@here");
    assert_eq!(codes(&run(&[GREETING, &good, own, &forged])), "220 250 235 250 250 354 553 221");
    // step by step, and SCRAM's first step
    let steps = "AUTH LOGIN\r\nYW5uQGhlcmUuZXhhbXBsZQ==\r\nc2VjcmV0\r\n";
    assert_eq!(codes(&run(&[GREETING, steps, own])), "220 250 334 334 235 250 250 221");
    let scram = format!("AUTH SCRAM-SHA-256 {}\r\n*\r\n", base64_encode(b"n,,n=ann@here.example,r=abc"));
    assert_eq!(codes(&run(&[GREETING, &scram, &good])), "220 250 334 501 235 221");
    // in the clear from the network there is no AUTH
    let stranger = instance.stranger("submission").stdin(all(&[GREETING, &good])).run();
    assert_eq!(codes(&stranger), "220 250 503 221");
    assert!(!stranger.out().contains("AUTH PLAIN"));
}

/// Ends of the filter contract: fields, junk, refusal, failure, rewriting; and who has no filter.
#[test]
fn filters_judge_before_the_commit() {
    let dir = penny_testkit::TempDir::new();
    let script = "#!/bin/sh\ncat > /dev/null\ncase $SENDER in\n\
        ok@*) echo \"X-Check: $REMOTE_IP $RECIPIENT_COUNT $(cat $RECIPIENTS_FILE)\" ;;\n\
        junk@*) echo 'X-Junk: yes'; exit 99 ;;\n\
        bad@*) echo '5.7.1 not wanted'; exit 100 ;;\n\
        mute@*) exit 100 ;;\n\
        odd@*) echo 'no field here' ;;\n\
        inject@*) printf 'X-A: b\\n\\nbody' ;;\n\
        slow@*) sleep 200 ;;\n\
        *) exit 70 ;;\nesac\n";
    let command = Instance::script(dir.path(), "check", script);
    let rewrite = Instance::script(
        dir.path(),
        "rewrite",
        "#!/bin/sh\ncase $FIELDS in X-Check:*) sed 's/body/BODY/' ;; *) cat ;; esac\n",
    );
    own(dir.path());
    let config = format!(
        "[[filter]]\nname = \"check\"\ncommand = [\"{command}\"]\nexcept = [\"bob@here.example\"]\n\
         [[filter]]\nname = \"rewrite\"\ncommand = [\"{rewrite}\"]\nrewrite = true\nexcept = [\"@here.example\"]\nservices = [\"mx\"]\n"
    );
    let instance = Instance::usual(&config);
    let send_to = |instance: &Instance, sender: &str, rcpt: &str| {
        let envelope = format!("MAIL FROM:<{sender}@far.example>\r\nRCPT TO:<{rcpt}>\r\n");
        let output = instance.stranger("mx").stdin(all(&[GREETING, &envelope, MESSAGE])).run();
        (codes(&output).split(' ').nth(5).unwrap_or_default().to_owned(), output)
    };
    let send = |sender: &str, rcpt: &str| send_to(&instance, sender, rcpt);
    let impatient = Instance::usual(&config.replacen("except", "timeout = \"1s\"\nexcept", 1));
    let (got, output) = send_to(&impatient, "slow", "ann@here.example");
    assert_eq!((got.as_str(), impatient.queued().len()), ("451", 0), "{}", output.describe());
    for (sender, code) in [("bad", "554"), ("mute", "451"), ("odd", "451"), ("inject", "451"), ("other", "451")] {
        let (got, output) = send(sender, "ann@here.example");
        assert_eq!(got, code, "{sender}: {}", output.describe());
    }
    assert_eq!(instance.queued().len(), 0);
    assert!(send("bad", "ann@here.example").1.out().contains("554 5.7.1 not wanted"));
    assert_eq!(send("ok", "ann@here.example").0, "250");
    assert!(
        instance.queued()[0].contains("\n\nX-Check: 192.0.2.7 1 ann@here.example\nReceived: "),
        "{:?}",
        instance.queued()
    );
    assert_eq!(send("junk", "ann@here.example").0, "250");
    let junk = instance.queued().into_iter().find(|e| e.contains("\njunk: check\n")).unwrap();
    assert!(junk.contains("\nX-Junk: yes\n"));
    // one that opted out has no filter, nor has postmaster; and not in one transaction with one that has
    assert_eq!(send("bad", "bob@here.example").0, "250");
    assert_eq!(send("bad", "postmaster@here.example").0, "250");
    let mixed = "MAIL FROM:<a@far.example>\r\nRCPT TO:<ann@here.example>\r\nRCPT TO:<bob@here.example>\r\n";
    let output = instance.stranger("mx").stdin(all(&[GREETING, mixed])).run();
    assert_eq!(codes(&output), "220 250 250 250 452 221");
    assert!(instance.queued().iter().all(|e| !e.contains("BODY")));
    let (code, output) = send("ok", "x@backup.example");
    assert_eq!(code, "250", "{}", output.describe());
    assert!(instance.queued().iter().any(|e| e.ends_with("\nBODY\n.dot\n")), "{:?}", instance.queued());
}

#[test]
fn lmtp_delivers_before_it_replies() {
    let instance = Instance::usual("");
    let lhlo = "LHLO client.example\r\n";
    let envelope = "MAIL FROM:<a@far.example>\r\nRCPT TO:<ann@here.example>\r\nRCPT TO:<nobody@here.example>\r\n\
                    RCPT TO:<bob@here.example>\r\nRCPT TO:<info@here.example>\r\n";
    let output = instance.smtpd("lmtp").stdin(all(&[lhlo, envelope, MESSAGE])).run();
    assert_eq!(codes(&output), "220 250 250 250 550 250 250 354 250 250 250 221", "{}", output.describe());
    let mail = instance.mailbox("ann/Maildir");
    assert_eq!(mail.len(), 1, "{}", output.describe());
    assert!(mail[0].contains("with LMTP\n") && mail[0].ends_with("\nbody\n.dot\n"), "{}", mail[0]);
    assert_eq!(instance.mailbox("bob/Maildir").len(), 1);
    // the alias is not a single mailbox: the queue has it
    let queued = instance.queued();
    assert!(queued.len() == 1 && queued[0].contains("recipient: <info@here.example>\n"), "{queued:?}");
    // SMTP's greeting is not LMTP's
    assert_eq!(codes(&instance.smtpd("lmtp").stdin(all(&[GREETING])).run()), "220 500 221");
}

/// In LMTP each recipient has the verdict of its own filters; junk goes to the Junk folder of who has the filter.
#[test]
fn lmtp_filters_judge_for_each_recipient() {
    let dir = penny_testkit::TempDir::new();
    let script = "#!/bin/sh\ncat >/dev/null\ncase $SENDER in bad@*) echo '5.7.1 not wanted'; exit 100 ;; esac\n\
                  echo 'X-Seen: yes'; exit 99\n";
    let command = Instance::script(dir.path(), "check", script);
    own(dir.path());
    let filter = format!("[[filter]]\nname = \"check\"\ncommand = [\"{command}\"]\nexcept = [\"bob@here.example\"]\n");
    let instance = Instance::usual(&filter);
    let send = |sender: &str| {
        let envelope =
            format!("MAIL FROM:<{sender}@far.example>\r\nRCPT TO:<ann@here.example>\r\nRCPT TO:<bob@here.example>\r\n");
        codes(&instance.smtpd("lmtp").stdin(all(&["LHLO x\r\n", &envelope, MESSAGE])).run())
    };
    assert_eq!(send("bad"), "220 250 250 250 250 354 554 250 221");
    assert_eq!((instance.mailbox("ann/Maildir").len(), instance.mailbox("bob/Maildir").len()), (0, 1));
    assert_eq!(send("junk"), "220 250 250 250 250 354 250 250 221");
    assert_eq!((instance.mailbox("ann/Maildir").len(), instance.mailbox("bob/Maildir").len()), (0, 2));
    assert_eq!(instance.mailbox("ann/Maildir/.Junk").len(), 1);
}

/// What users send is checked too: a virus is refused, a clean message is signed by the next filter.
#[test]
fn submitted_mail_is_scanned_and_signed() {
    let dir = penny_testkit::TempDir::new();
    let sign = Instance::script(dir.path(), "sign", "#!/bin/sh\ncat >/dev/null\necho \"X-Signed-For: $AUTH_USER\"\n");
    own(dir.path());
    let instance = Instance::usual(&format!(
        "[[filter]]\nname = \"virusscan\"\ncommand = [\"virusscan\"]\nservices = [\"submission\"]\n\
         [[filter]]\nname = \"sign\"\ncommand = [\"{sign}\"]\nsign = true\nservices = [\"submission\"]\n"
    ));
    let eicar = concat!("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*");
    let login = format!("AUTH PLAIN {}\r\n", base64_encode(b"\0ann@here.example\0secret"));
    let send = |body: &str| {
        let message = format!("DATA\r\nFrom: ann@here.example\r\nSubject: x\r\n\r\n{body}\r\n.\r\n");
        let own = "MAIL FROM:<ann@here.example>\r\nRCPT TO:<x@elsewhere.example>\r\n";
        instance.smtpd("submission").stdin(all(&[GREETING, &login, own, &message])).run()
    };
    let output = send(eicar);
    assert_eq!(codes(&output), "220 250 235 250 250 354 554 221", "{}", output.describe());
    let output = send("clean");
    assert_eq!(codes(&output), "220 250 235 250 250 354 250 221", "{}", output.describe());
    let queued = instance.queued();
    assert!(queued.len() == 1 && queued[0].contains("\nX-Signed-For: ann@here.example\n"), "{queued:?}");
}

#[test]
fn esmtp_parameters_travel_whole() {
    let instance = Instance::usual("");
    let envelope = "MAIL FROM:<a@far.example> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1 AUTH=<>\r\n\
                    RCPT TO:<ann@here.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Ann+2Bx@here.example\r\n";
    let output = instance.stranger("mx").stdin(all(&[GREETING, envelope, MESSAGE])).run();
    assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{}", output.describe());
    let entry = instance.queued().remove(0);
    assert!(
        entry.contains("sender: <a@far.example> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1 AUTH=<>\n"),
        "{entry}"
    );
    let recipient = "recipient: <ann@here.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Ann+2Bx@here.example\n";
    assert!(entry.contains(recipient), "{entry}");
    assert!(entry.contains("with UTF8SMTP\n"), "{entry}");
}

#[test]
fn limits_and_loops() {
    let instance = Instance::usual("[smtpd]\nmax_size = 2000\nmax_hops = 3\nmax_recipients = 2\nmax_errors = 4\n");
    let run = |content: &str| {
        codes(&instance.stranger("mx").stdin(all(&[GREETING, ENVELOPE, content])).run())
            .split(' ')
            .nth(5)
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(run(&format!("DATA\r\nA: b\r\n\r\n{}\r\n.\r\n", "x".repeat(2000))), "552");
    assert_eq!(run(&format!("DATA\r\n{}\r\nx\r\n.\r\n", "Received: x\r\n".repeat(3))), "250");
    assert_eq!(run(&format!("DATA\r\n{}\r\nx\r\n.\r\n", "Received: x\r\n".repeat(4))), "554");
    let size = "MAIL FROM:<a@b.example> SIZE=2001\r\n";
    assert_eq!(codes(&instance.stranger("mx").stdin(all(&[GREETING, size])).run()), "220 250 552 221");
    let many = "MAIL FROM:<a@b.example>\r\nRCPT TO:<ann@here.example>\r\nRCPT TO:<ann@here.example>\r\nRCPT TO:<ann@here.example>\r\n";
    assert_eq!(codes(&instance.stranger("mx").stdin(all(&[GREETING, many])).run()), "220 250 250 250 250 452 221");
    let errors = "A\r\nB\r\nC\r\nD\r\nNOOP\r\n";
    assert_eq!(codes(&instance.stranger("mx").stdin(all(&[errors])).run()), "220 500 500 500 500 421");
}

/// The client goes away in each state: nothing is queued but whole messages, and the exit is clean.
#[test]
fn disconnects_in_every_state() {
    let instance = Instance::usual("");
    let whole = all(&[GREETING, ENVELOPE, MESSAGE]);
    let end = whole.find("\r\n.\r\n").unwrap() + 5;
    for cut in (0..end).step_by(3) {
        let output = instance.stranger("mx").stdin(&whole[..cut]).run();
        output.expect_code(0);
    }
    assert_eq!(instance.queued().len(), 0);
}

#[test]
fn chunks_and_binary_parts() {
    let instance = Instance::usual("");
    let text = "BDAT 20\r\nFrom: a@far.example\r\nBDAT 10\r\n\n\r\nbody\r\n.\r\nBDAT 2 LAST\r\n\r\n";
    let text = text.replace("BDAT 20\r\nFrom: a@far.example\r\n", "BDAT 20\r\nFrom: a@far.example\r");
    let text = text.replace("\rBDAT 10\r\n\n\r\nbody\r\n.\r\n", "\rBDAT 12\r\n\n\r\nbody\r\n.\r\n");
    let output = instance.stranger("mx").stdin(all(&[GREETING, ENVELOPE, &text])).run();
    assert_eq!(codes(&output), "220 250 250 250 250 250 250 221", "{}", output.describe());
    assert!(instance.queued()[0].ends_with("\nFrom: a@far.example\n\nbody\n.\n\n"), "{:?}", instance.queued());
    let binary = "MAIL FROM:<b@far.example> BODY=BINARYMIME\r\nRCPT TO:<ann@here.example>\r\n\
                  BDAT 56 LAST\r\nSubject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\r\n.\r\n";
    let output = instance.stranger("mx").stdin(all(&[GREETING, binary])).run();
    assert_eq!(codes(&output), "220 250 250 250 250 221", "{}", output.describe());
    let entry = instance.queued().into_iter().find(|e| e.contains("<b@far.example>")).unwrap();
    assert!(entry.ends_with("\nSubject: x\nContent-Transfer-Encoding: base64\n\nAAoNCi4NCg==\n"), "{entry}");
    assert!(entry.contains("sender: <b@far.example>\n"), "{entry}");
    let bad = binary.replace("Subject: x\r\n", "Subject:\0x\r\n");
    let output = instance.stranger("mx").stdin(all(&[GREETING, &bad])).run();
    assert_eq!(codes(&output), "220 250 250 250 554 221", "{}", output.describe());
}
