//! qrun with the real lookup, spawn, enqueue, deliver and bounce.

#[path = "support/queue.rs"]
mod support;

use penny_queue::{Envelope, Line};
use penny_testkit::program;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};
use support::{Post, recipient, sender, until};

#[test]
fn a_message_reaches_its_mailbox_and_leaves_nothing_behind() {
    let post = Post::new("", "").up();
    post.send("ann@example.test", &["joe@example.test"], "hello");
    let mails = post.wait_mails("joe", 1);
    assert!(mails[0].contains("\n\nhello\n") && mails[0].contains("Return-Path: <ann@example.test>"), "{}", mails[0]);
    post.wait_empty();
}

#[test]
fn many_recipients_aliases_and_duplicates() {
    let mut post = Post::new("", "");
    post.table("aliases", "team: joe, ann, root\nnobody: /dev/null\n");
    post = post.up();
    let to = ["joe@example.test", "team@example.test", "bob@example.test", "nobody@example.test"];
    post.send("x@example.test", &to, "to all");
    for user in ["joe", "ann", "root", "bob"] {
        post.wait_mails(user, 1);
    }
    post.wait_empty();
    for user in ["joe", "ann", "root", "bob"] {
        assert_eq!(post.mails(user).len(), 1, "{user} gets one copy");
    }
}

#[test]
fn what_cannot_be_delivered_goes_back_to_its_sender() {
    let post = Post::new("", "").up();
    post.send("ann@example.test", &["joe@example.test", "nosuch@example.test"], "half");
    post.wait_mails("joe", 1);
    let bounce = &post.wait_mails("ann", 1)[0];
    for part in [
        "Return-Path: <>",
        "Auto-Submitted: auto-replied",
        "Final-Recipient: rfc822; nosuch@example.test",
        "Action: failed",
        "Status: 5.1.1",
        "In-Reply-To: <orig@example.test>",
        "Content-Type: message/rfc822",
    ] {
        assert!(bounce.contains(part), "no {part} in\n{bounce}");
    }
    assert!(!bounce.contains("Final-Recipient: rfc822; joe"));
    post.wait_empty();
}

#[test]
fn notify_is_obeyed() {
    let post = Post::new("", "").up();
    let to = vec![
        recipient("joe@example.test", "NOTIFY=SUCCESS ORCPT=rfc822;first@far.test"),
        recipient("nosuch@example.test", "NOTIFY=NEVER"),
    ];
    post.send_as(
        Envelope { sender: sender("ann@example.test", "ENVID=E+2B1 RET=HDRS"), recipients: to, ..Envelope::default() },
        "secret body",
    );
    let report = &post.wait_mails("ann", 1)[0];
    for part in ["Action: delivered", "Original-Recipient: rfc822; first@far.test", "Original-Envelope-Id: E+1"] {
        assert!(report.contains(part), "no {part} in\n{report}");
    }
    assert!(!report.contains("secret body"));
    post.wait_empty();
    assert_eq!(post.mails("ann").len(), 1);
}

#[test]
fn a_bounce_that_bounces_goes_to_the_postmaster_and_no_further() {
    let post = Post::new("", "").up();
    post.send("gone@example.test", &["nosuch@example.test"], "x");
    let double = &post.wait_mails("root", 1)[0];
    assert!(
        double.contains("Subject: Undeliverable report") && double.contains("rfc822; gone@example.test"),
        "{double}"
    );
    post.wait_empty();
}

#[test]
fn a_full_chain_of_undeliverable_reports_is_held_not_lost() {
    let mut post = Post::new("", "");
    post.table("users", "");
    post = post.up();
    post.send("gone@example.test", &["nosuch@example.test"], "x");
    until("a held report", || post.files("cur").iter().any(|f| f.ends_with(":2,H")));
    until("quiet", || post.files("new").is_empty() && post.files("cur").len() == 1);
}

/// Makes deliveries to joe fail for now: his home cannot be entered.
fn lock_out(post: &Post, user: &str, mode: u32) {
    std::fs::set_permissions(post.home(user), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_deferral_keeps_the_rest_and_comes_again() {
    let post = Post::new("retry_min = \"1s\"\nretry_max = \"1s\"", "").up();
    lock_out(&post, "joe", 0o000);
    let name = post.send("ann@example.test", &["joe@example.test", "bob@example.test"], "later");
    post.wait_mails("bob", 1);
    until("both outcomes", || post.journal(&name).contains("later ") && post.journal(&name).contains("done "));
    let list = post.control("list").join("\n");
    assert!(list.contains("\"state\":\"later\"") && list.contains("\"sender\":\"ann@example.test\""), "{list}");
    lock_out(&post, "joe", 0o755);
    post.wait_mails("joe", 1);
    post.wait_empty();
    assert_eq!(post.mails("bob").len(), 1, "who has it does not get it again");
}

#[test]
fn what_waits_is_due_at_its_mtime_and_survives_a_restart() {
    let mut post = Post::new("retry_min = \"1h\"\nretry_max = \"1h\"", "").up();
    lock_out(&post, "joe", 0o000);
    let name = post.send("ann@example.test", &["joe@example.test"], "later");
    let file = post.dir.join("queue/cur").join(format!("{name}:2,"));
    let wait_for = |f: &std::path::Path| f.metadata().and_then(|m| m.modified()).is_ok_and(|m| m > SystemTime::now());
    until("a due time in the future", || wait_for(&file));
    let due = file.metadata().unwrap().modified().unwrap().duration_since(SystemTime::now()).unwrap();
    assert!(due > Duration::from_secs(2600) && due < Duration::from_secs(4600), "{due:?}");
    post.kill("qrun");
    lock_out(&post, "joe", 0o755);
    post.start("qrun");
    assert!(post.control("list").join("").contains("\"state\":\"waiting\""));
    assert!(post.mails("joe").is_empty());
    assert_eq!(post.control(&format!("retry\tid={name}")).last().unwrap(), "OK\t1");
    post.wait_mails("joe", 1);
    post.wait_empty();
}

#[test]
fn the_lifetime_ends_in_a_bounce_with_the_last_reason() {
    let post = Post::new("retry_min = \"1s\"\nretry_max = \"1s\"\nlifetime = \"2s\"\ndelay_warning = \"0s\"", "").up();
    lock_out(&post, "joe", 0o000);
    post.send("ann@example.test", &["joe@example.test"], "late");
    let bounce = &post.wait_mails("ann", 1)[0];
    assert!(bounce.contains("Status: 5.4.7") && bounce.contains("delivery time expired; last:"), "{bounce}");
    post.wait_empty();
    lock_out(&post, "joe", 0o755);
}

#[test]
fn a_delay_is_told_once() {
    let post = Post::new("retry_min = \"1s\"\nretry_max = \"1s\"\ndelay_warning = \"1s\"", "").up();
    lock_out(&post, "joe", 0o000);
    let name = post.send("ann@example.test", &["joe@example.test"], "late");
    let notice = &post.wait_mails("ann", 1)[0];
    assert!(notice.contains("Action: delayed") && notice.contains("Will-Retry-Until:"), "{notice}");
    until("further tries", || post.journal(&name).matches("attempt ").count() >= 4);
    assert_eq!(post.mails("ann").len(), 1);
    lock_out(&post, "joe", 0o755);
    post.wait_mails("joe", 1);
    post.wait_empty();
}

/// RFC 2852 4.1.4: after the time the sender gave, `R` gives the message back and `N` tells.
#[test]
fn the_time_a_sender_gave_is_kept() {
    let post = Post::new("retry_min = \"1s\"\nretry_max = \"1s\"", "").up();
    ["joe", "root"].iter().for_each(|user| lock_out(&post, user, 0o000));
    let send = |from: &str, by: &str, to: &str| {
        let recipients = vec![recipient(to, "")];
        post.send_as(Envelope { sender: sender(from, by), recipients, ..Envelope::default() }, "soon")
    };
    send("ann@example.test", "BY=2;R", "joe@example.test");
    let notified = send("bob@example.test", "BY=2;N", "root@example.test");
    let bounce = &post.wait_mails("ann", 1)[0];
    assert!(bounce.contains("Action: failed") && bounce.contains("Status: 5.4.7"), "{bounce}");
    let notice = &post.wait_mails("bob", 1)[0];
    assert!(notice.contains("Action: delayed"), "{notice}");
    until("further tries", || post.journal(&notified).matches("attempt ").count() >= 4);
    assert_eq!(post.mails("bob").len(), 1, "once");
    ["joe", "root"].iter().for_each(|user| lock_out(&post, user, 0o755));
    post.wait_mails("root", 1);
    post.wait_empty();
}

/// RFC 6533: who asked for SMTPUTF8 gets addresses as they are.
#[test]
fn reports_on_internationalised_mail_are_global() {
    let post = Post::new("", "").up();
    let recipients = vec![recipient("jörg@example.test", "")];
    let utf8 = sender("ann@example.test", "SMTPUTF8");
    post.send_as(Envelope { sender: utf8, recipients, ..Envelope::default() }, "grüße");
    let bounce = &post.wait_mails("ann", 1)[0];
    for part in [
        "Content-Type: message/global-delivery-status",
        "Final-Recipient: utf-8; jörg@example.test",
        "Content-Type: message/global",
    ] {
        assert!(bounce.contains(part), "no {part} in\n{bounce}");
    }
    post.wait_empty();
}

#[test]
fn hold_release_and_remove() {
    let post = Post::new("", "").up();
    let held = |name: &penny_queue::Name| post.files("cur").contains(&format!("{name}:2,H"));
    let hold = Envelope {
        sender: sender("ann@example.test", ""),
        recipients: vec![recipient("joe@example.test", "")],
        hold: Line::new("looked odd"),
        ..Envelope::default()
    };
    let (one, two) = (post.send_as(hold.clone(), "one"), post.send_as(hold, "two"));
    until("both held", || held(&one) && held(&two));
    assert!(post.control("list\tstate=held").join("").contains("\"hold\":\"looked odd\""));
    assert_eq!(post.control(&format!("remove\tid={two}")).last().unwrap(), "OK\t1");
    assert!(!held(&two));
    assert_eq!(post.control("release\tall").last().unwrap(), "OK\t1");
    assert!(post.wait_mails("joe", 1)[0].contains("one"));
    post.wait_empty();
    assert_eq!(post.control("hold").last().unwrap(), "ERR\twhich entries? give an id, a filter or all");
    assert_eq!(post.control("list\tid=1.000001.1.1.0000000000000001").last().unwrap(), "ERR\tno such entry");
}

#[test]
fn an_admin_can_hold_and_bounce_what_waits() {
    let post = Post::new("retry_min = \"1h\"", "").up();
    lock_out(&post, "joe", 0o000);
    let name = post.send("ann@example.test", &["joe@example.test"], "later");
    until("a deferral", || post.journal(&name).contains("attempt "));
    assert_eq!(post.control("hold\trecipient=joe@example.test").last().unwrap(), "OK\t1");
    assert!(post.files("cur")[0].ends_with(":2,H"));
    assert_eq!(post.control("bounce\tall").last().unwrap(), "OK\t1");
    let bounce = &post.wait_mails("ann", 1)[0];
    assert!(bounce.contains("returned by the administrator"), "{bounce}");
    post.wait_empty();
    lock_out(&post, "joe", 0o755);
}

#[test]
fn damaged_and_strange_files_are_set_aside_and_stop_nothing() {
    let mut post = Post::new("", "");
    let queue = post.dir.join("queue");
    for sub in ["new", "cur", "log"] {
        std::fs::create_dir(queue.join(sub)).unwrap();
    }
    let name = |n: u32| penny_queue::Name::new(1, 1, 1, n, 1);
    std::fs::write(queue.join("new").join(name(1)), "garbage").unwrap();
    std::fs::write(queue.join("new/stranger"), "x").unwrap();
    std::fs::write(queue.join("cur").join(format!("{}:2,", name(2))), "garbage\n\n").unwrap();
    std::fs::write(queue.join("cur/odd name"), "x").unwrap();
    std::fs::write(queue.join("log").join(name(2)), "a journal").unwrap();
    std::fs::write(queue.join("log").join(name(3)), "a journal without entry").unwrap();
    post.own();
    post = post.up();
    post.send("ann@example.test", &["joe@example.test"], "fine");
    post.wait_mails("joe", 1);
    post.wait_empty();
    let aside = post.files("corrupt");
    assert_eq!(aside.len(), 5, "{aside:?}");
    assert!(aside.contains(&format!("{}.log", name(2))) && aside.contains(&"odd name".to_owned()));
}

#[test]
fn a_second_qrun_refuses() {
    let post = Post::new("", "").up();
    let out = post.run(&program!("qrun")).run();
    out.expect_code(75).expect_err("another qrun holds this queue");
    post.send("ann@example.test", &["joe@example.test"], "still served");
    post.wait_mails("joe", 1);
}

#[test]
fn services_may_come_late_and_go_away() {
    let mut post = Post::new("retry_min = \"1s\"\nretry_max = \"1s\"", "");
    post.start("enqueue");
    post.start("qrun");
    post.send("ann@example.test", &["joe@example.test"], "early");
    std::thread::sleep(Duration::from_millis(300));
    post.start("spawn");
    post.start("lookup");
    post.wait_mails("joe", 1);
    for service in ["lookup", "spawn"] {
        post.kill(service);
        post.send("ann@example.test", &["joe@example.test"], service);
        std::thread::sleep(Duration::from_millis(300));
        post.start(service);
    }
    post.wait_mails("joe", 3);
    post.wait_empty();
}

#[test]
fn start_held_holds_all() {
    let mut post = Post::new("start_held = true", "");
    post.start("enqueue");
    post.send("ann@example.test", &["joe@example.test"], "restored");
    ["spawn", "lookup", "qrun"].iter().for_each(|s| post.start(s));
    until("held", || post.files("cur").iter().any(|f| f.ends_with(":2,H")));
    post.control("release\tall");
    post.wait_mails("joe", 1);
}

#[test]
fn a_term_signal_ends_it_in_order() {
    let mut post = Post::new("", "").up();
    for n in 0..20 {
        post.send("ann@example.test", &["joe@example.test"], &format!("number {n}"));
    }
    let at = post.services.iter().position(|(n, _)| n == "qrun").unwrap();
    let qrun = post.services.remove(at).1;
    let status = std::process::Command::new("kill").arg(qrun.pid().to_string()).status().unwrap();
    assert!(status.success());
    assert_eq!(qrun.wait(Duration::from_secs(60)), Some(0));
    post.start("qrun");
    post.wait_mails("joe", 20);
    post.wait_empty();
    assert_eq!(post.mails("joe").len(), 20, "a stop in order repeats nothing");
}

#[test]
fn only_admins_change_things() {
    let post = Post::new("", "").up();
    if std::fs::metadata(post.dir.path()).map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap() == 0 {
        return;
    }
    // a stranger, if we can become one: the request goes through a helper under another uid
    let socket = post.dir.join("run/qrun/socket");
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);s.sendall(b'remove\\tall\\n');print(s.recv(99).decode())";
    let out = penny_testkit::Run::new("/usr/bin/python3").args(["-c", script]).arg(&socket).uid(54_399, 54_399).run();
    out.expect_out("ERR\tnot permitted");
}

/// A post that sends everything for far.test to `sink`.
fn relaying(queue_keys: &str, sink: &penny_testkit::Sink) -> Post {
    let post = Post::new(queue_keys, "[remote]\nidle = \"60s\"");
    post.table("routes", &format!("far.test smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
    post.up()
}

#[test]
fn mail_for_others_goes_out_over_few_connections() {
    let sink = penny_testkit::Sink::start();
    let post = relaying("", &sink);
    for n in 0..30 {
        post.send("ann@example.test", &["a@far.test", "b@far.test"], &format!("number {n}"));
    }
    let mails = sink.wait(30);
    assert!(mails.iter().all(|m| m.rcpts.len() == 2), "one transaction for both");
    post.wait_empty();
    assert!(sink.connections() <= 10, "{} connections for 30 messages", sink.connections());
}

#[test]
fn refusals_of_others_come_back_with_their_words() {
    let sink = penny_testkit::Sink::builder()
        .script(|l| l.contains("no@").then(|| "550 5.1.1 nobody here by that name".into()))
        .start();
    let post = relaying("", &sink);
    post.send("ann@example.test", &["yes@far.test", "no@far.test"], "x");
    let bounce = &post.wait_mails("ann", 1)[0];
    for part in
        ["Remote-MTA: dns; 127.0.0.1", "Diagnostic-Code: smtp; 550 5.1.1 nobody here by that name", "Action: failed"]
    {
        assert!(bounce.contains(part), "no {part} in\n{bounce}");
    }
    assert!(!bounce.contains("rfc822; yes@far.test"));
    post.wait_empty();
    assert_eq!(sink.mails().len(), 1);
}

#[test]
fn a_dead_host_is_left_alone_and_holds_nobody_else() {
    let sink = penny_testkit::Sink::start();
    let post = Post::new("retry_min = \"2s\"\nretry_max = \"2s\"", "[remote]\nconnect_timeout = \"1s\"");
    let dead = penny_testkit::free_port();
    post.table("routes", &format!("far.test smtp:[127.0.0.1]:{}\ndead.test smtp:[127.0.0.1]:{dead}\n", sink.port()));
    let post = post.up();
    for n in 0..40 {
        post.send("flood@example.test", &["x@dead.test"], &format!("dead {n}"));
    }
    post.send("ann@example.test", &["joe@example.test", "b@far.test"], "alive");
    sink.wait(1);
    post.wait_mails("joe", 1);
    until("all put off", || post.files("cur").len() == 40 && post.control("status")[0].contains("\"active\":0"));
    let list = post.control("list\tdomain=dead.test");
    assert_eq!(list.last().unwrap(), "OK\t40");
    assert!(list.iter().any(|l| l.contains("Connection refused")), "{}", list[0]);
    let summary = post.control("summary").join("\n");
    assert!(summary.contains("\"domain\":\"dead.test\",\"recipients\":40"), "{summary}");
    assert_eq!(post.control("remove\tdomain=dead.test").last().unwrap(), "OK\t40");
    post.wait_empty();
}

#[test]
fn a_message_to_hundreds_is_one_entry_and_some_transactions() {
    let sink = penny_testkit::Sink::start();
    let post = relaying("", &sink);
    let to: Vec<String> = (0..350).map(|n| format!("user{n}@far.test")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    post.send("ann@example.test", &to, "to all");
    let mails = sink.wait(4);
    post.wait_empty();
    assert_eq!(mails.iter().map(|m| m.rcpts.len()).sum::<usize>(), 350);
    assert_eq!(sink.mails().len(), 4, "100 recipients a transaction");
}

#[test]
fn success_is_reported_by_whoever_has_the_duty() {
    let plain = penny_testkit::Sink::start();
    let post = relaying("", &plain);
    let wish = |post: &Post| {
        let recipients = vec![recipient("a@far.test", "NOTIFY=SUCCESS,FAILURE")];
        post.send_as(Envelope { sender: sender("ann@example.test", ""), recipients, ..Envelope::default() }, "x")
    };
    wish(&post);
    assert!(post.wait_mails("ann", 1)[0].contains("Action: relayed"));
    post.wait_empty();
    let knows = penny_testkit::Sink::builder().extensions(&["DSN", "PIPELINING"]).start();
    let post = relaying("", &knows);
    wish(&post);
    assert_eq!(knows.wait(1)[0].rcpts, ["RCPT TO:<a@far.test> NOTIFY=SUCCESS,FAILURE"]);
    post.wait_empty();
    assert!(post.mails("ann").is_empty());
}
