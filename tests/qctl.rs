//! qctl: every command that the manual shows, on a real queue.

#[path = "support/queue.rs"]
mod support;

use penny_queue::Name;
use penny_testkit::{Output, program};
use support::{Post, until};

/// A queue whose mail for dead.test waits for an hour.
fn waiting() -> (Post, Vec<Name>) {
    let post = Post::new("retry_min = \"1h\"\nretry_max = \"1h\"", "[remote]\nconnect_timeout = \"1s\"");
    post.table("routes", &format!("dead.test smtp:[127.0.0.1]:{}\n", penny_testkit::free_port()));
    let post = post.up();
    let one = post.send("ann@example.test", &["x@dead.test"], "one");
    let two = post.send("bob@example.test", &["y@dead.test", "z@dead.test"], "two");
    until("two that wait", || post.control("list\tstate=waiting").last().unwrap() == "OK\t2");
    (post, vec![one, two])
}

fn qctl(post: &Post, args: &[&str]) -> Output {
    post.run(&program!("qctl")).args(args).run()
}

#[test]
fn list_show_cat() {
    let (post, names) = waiting();
    let out = qctl(&post, &["list"]);
    out.expect_code(0)
        .expect_out("<ann@example.test> to <x@dead.test>")
        .expect_out("and 1 more")
        .expect_out("2 entries");
    assert!(out.out().contains(" waiting "), "{}", out.out());
    let out = qctl(&post, &["list", "--json", "--sender", "bob@example.test"]);
    let value = penny_queue::json::Value::parse(out.expect_code(0).out().trim()).unwrap();
    assert_eq!((value.text("id"), value.number("recipient_count")), (names[1].as_str(), 2));
    let n = |args: &[&str]| {
        let all = [&["list", "-j"], args].concat();
        qctl(&post, &all).expect_code(0).out().lines().count()
    };
    assert_eq!(n(&["--sender", "@example.test"]), 2);
    assert_eq!(n(&["--recipient", "z@dead.test"]), 1);
    assert_eq!(n(&["--domain", "dead.test"]), 2);
    assert_eq!(n(&["--domain", "other.test"]), 0);
    assert_eq!(n(&["--state", "held"]), 0);
    assert_eq!(n(&["--reason", "connection refused"]) + n(&["--reason", "left alone"]), 2);
    assert_eq!((n(&["--older", "1h"]), n(&["--younger", "1h"])), (0, 2));
    let out = qctl(&post, &["show", names[1].as_str()]);
    out.expect_code(0)
        .expect_out("sender:   bob@example.test")
        .expect_out("<z@dead.test> later 4.4.1")
        .expect_out("next try:");
    let out = qctl(&post, &["cat", names[0].as_str()]);
    out.expect_code(0).expect_out("pennypost-queue: 1\n").expect_out("\n\none\n");
    let out = qctl(&post, &["cat", "-m", names[0].as_str()]);
    assert!(out.expect_code(0).out().starts_with("From: "), "{}", out.out());
}

#[test]
fn hold_release_remove_bounce() {
    let (post, names) = waiting();
    qctl(&post, &["hold", names[0].as_str()]).expect_code(0).expect_out("hold: 1 entry");
    assert!(post.files("cur").contains(&format!("{}:2,H", names[0])));
    qctl(&post, &["release", "--state", "held"]).expect_code(0).expect_out("release: 1 entry");
    until("it waits again", || post.control("list\tstate=waiting").last().unwrap() == "OK\t2");
    qctl(&post, &["remove", names[0].as_str()]).expect_code(0).expect_out("remove: 1 entry");
    assert_eq!(post.files("cur").len(), 1);
    qctl(&post, &["bounce", "--domain", "dead.test"]).expect_code(0);
    assert!(post.wait_mails("bob", 1)[0].contains("returned by the administrator"));
    post.wait_empty();
}

#[test]
fn retry_requeue_flush() {
    let (post, names) = waiting();
    let sink = penny_testkit::Sink::start();
    post.table("routes", &format!("dead.test smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
    std::thread::sleep(std::time::Duration::from_millis(1200)); // lookup looks at its tables once a second
    qctl(&post, &["retry", names[0].as_str()]).expect_code(0).expect_out("retry: 1 entry");
    sink.wait(1);
    qctl(&post, &["flush", "dead.test"]).expect_code(0);
    sink.wait(2);
    post.wait_empty();
}

#[test]
fn requeue_takes_new_aliases() {
    let mut post = Post::new("retry_min = \"1h\"", "[remote]\nconnect_timeout = \"1s\"");
    post.table("routes", &format!("dead.test smtp:[127.0.0.1]:{}\n", penny_testkit::free_port()));
    post.table("aliases", "team: x@dead.test\n");
    post = post.up();
    let name = post.send("ann@example.test", &["team@example.test"], "for the team");
    until("a deferral", || post.journal(&name).contains("attempt "));
    post.table("aliases", "team: joe\n");
    std::thread::sleep(std::time::Duration::from_millis(1200));
    qctl(&post, &["retry", name.as_str()]).expect_code(0);
    until("the same again", || post.journal(&name).matches("later ").count() == 2);
    qctl(&post, &["requeue", name.as_str()]).expect_code(0).expect_out("requeue: 1 entry");
    assert!(post.wait_mails("joe", 1)[0].contains("for the team"));
    post.wait_empty();
}

#[test]
fn summary_and_top() {
    let (post, _) = waiting();
    let out = qctl(&post, &["summary"]);
    out.expect_code(0).expect_out("dead.test");
    let row: Vec<String> =
        out.out().lines().find(|l| l.starts_with("dead.test")).unwrap().split_whitespace().map(str::to_owned).collect();
    assert_eq!(row[..3], ["dead.test", "3", "3"]);
    qctl(&post, &["summary", "-j"]).expect_code(0).expect_out("\"recipients\":3");
    let out = qctl(&post, &["top", "-n", "1"]);
    out.expect_code(0).expect_out("waiting 2").expect_out("[127.0.0.1]:");
}

#[test]
fn mistakes_are_told() {
    let post = Post::new("", "");
    qctl(&post, &["list"]).expect_code(75).expect_err("the queue runner does not answer");
    let post = post.up();
    qctl(&post, &["hold"]).expect_code(69).expect_err("which entries?");
    qctl(&post, &["frobnicate"]).expect_code(64);
    qctl(&post, &["list", "--older", "soon"]).expect_code(64);
    qctl(&post, &["remove", "nonsense"]).expect_code(69).expect_err("not an entry name");
    qctl(&post, &["show", "1.000001.1.1.0000000000000001"]).expect_code(69).expect_err("no such entry");
    qctl(&post, &["--help"]).expect_code(0).expect_out("Usage: qctl");
}

#[test]
fn others_see_their_own_mail_and_change_nothing() {
    let (post, names) = waiting();
    if !penny_sys::ids::is_root() {
        return penny_testkit::skip("others_see_their_own_mail_and_change_nothing", "needs root");
    }
    let stranger = |args: &[&str]| {
        let config = post.dir.join("p.toml");
        penny_testkit::Run::new(program!("qctl")).env("PENNYPOST_CONFIG", config).args(args).uid(54_399, 54_399).run()
    };
    stranger(&["list"]).expect_code(0).expect_out("0 entries");
    stranger(&["remove", "--all"]).expect_code(69).expect_err("not permitted");
    stranger(&["cat", names[0].as_str()]).expect_code(69);
    assert_eq!(post.files("cur").len(), 2);
}
