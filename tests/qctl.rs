//! qctl on a real queue; every example of its manual does what the manual says, and every verb and filter has one.

#[path = "support/queue.rs"]
mod support;

use penny_queue::{Envelope, Name};
use penny_testkit::{Output, Run, Sink, program};
use support::{Post, recipient, sender, until};

/// A queue whose mail for dead.test waits for an hour.
fn waiting() -> (Post, Vec<Name>) {
    let post = Post::new("retry_min = \"1h\"\nretry_max = \"1h\"", "[remote]\nconnect_timeout = \"1s\"");
    post.table("routes", &format!("dead.test smtp:[127.0.0.1]:{}\n", penny_testkit::free_port()));
    let post = post.up();
    let one = post.send("ann@example.test", &["x@dead.test"], "one");
    let two = post.send("bob@example.test", &["y@dead.test", "z@dead.test"], "two");
    post.wait_waiting(2);
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
    post.wait_waiting(2);
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
    // while it is under way, retry would mean nothing
    post.wait_waiting(1);
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

/// The examples of the manual page, as they are typed.
fn examples() -> Vec<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/qctl.1")).unwrap();
    let section = page.split(".Sh EXAMPLES\n").nth(1).unwrap().split(".Sh ").next().unwrap();
    section.lines().filter_map(|l| l.strip_prefix(".Dl ")).map(str::to_owned).collect()
}

/// What `qctl ... --help` lists below a heading: the first words of its lines.
fn helped(post: &Post, args: &[&str], heading: &str, of: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let text = qctl(post, args).expect_code(0).out();
    let below = text.lines().skip_while(|l| !l.starts_with(heading)).skip(1).take_while(|l| !l.is_empty());
    below.filter_map(|l| of(l.trim_start())).collect()
}

#[test]
fn the_manual_has_an_example_of_every_verb_and_filter() {
    let post = Post::new("", "");
    let examples = examples();
    let verbs = helped(&post, &["--help"], "Commands:", |l| l.split(' ').next().map(str::to_owned));
    assert!(verbs.len() > 12, "{verbs:?}");
    for verb in verbs.iter().filter(|v| *v != "help") {
        assert!(examples.iter().any(|e| e.split(' ').nth(1) == Some(verb)), "no example of {verb}");
    }
    let long = |l: &str| l.split([' ', ',']).find(|w| w.starts_with("--")).map(str::to_owned);
    let filters = helped(&post, &["list", "--help"], "Options:", long);
    assert!(filters.len() >= 10, "{filters:?}");
    for filter in filters.iter().filter(|f| !["--config", "--help", "--version"].contains(&f.as_str())) {
        assert!(examples.iter().any(|e| e.split(' ').any(|w| w == filter)), "no example of {filter}");
    }
}

/// A queue for the examples: each time two messages for example.org, three days old, which are not taken now.
struct Stage {
    post: Post,
    sink: Sink,
}

impl Stage {
    fn new() -> Stage {
        let later = |line: &str| line.starts_with("RCPT").then(|| "451 4.2.0 not now".to_owned());
        let sink = Sink::builder().script(later).start();
        let post = Post::new("retry_min = \"1h\"\nretry_max = \"1h\"\ndelay_warning = 0", "");
        post.table("routes", &format!("example.org smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
        Stage { post: post.up(), sink }
    }

    fn send(&self, from: &str, to: &str) -> Name {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let envelope = Envelope {
            arrival: (now - 3 * 86_400, 1),
            sender: sender(from, ""),
            recipients: vec![recipient(to, "")],
            ..Envelope::default()
        };
        self.post.send_as(envelope, "the body")
    }

    fn state(&self, name: &Name) -> String {
        let seen = self.post.control(&format!("show\tid={name}")).remove(0);
        penny_queue::json::Value::parse(&seen).map(|v| v.text("state").to_owned()).unwrap_or_default()
    }

    fn is(&self, name: &Name, state: &str) -> bool {
        self.state(name) == state
    }

    fn tries(&self, name: &Name) -> usize {
        self.post.journal(name).matches("attempt ").count()
    }

    /// The queue anew: a message of ann@example.org to x and a report to y.
    fn set(&self) -> (Name, Name) {
        qctl(&self.post, &["remove", "--all"]).expect_code(0);
        self.post.wait_empty();
        let names = (self.send("ann@example.org", "x@example.org"), self.send("", "y@example.org"));
        until("both wait", || [&names.0, &names.1].iter().all(|n| self.is(n, "waiting") && self.tries(n) == 1));
        names
    }

    /// Types an example and looks at what it did.
    fn play(&self, example: &str) {
        let (ann, report) = self.set();
        let verb = example.split(' ').nth(1).unwrap();
        if verb == "release" {
            qctl(&self.post, &["hold", ann.as_str()]).expect_code(0);
        }
        let typed = example.replace("1700000000.000042.7.3.00000000deadbeef", ann.as_str());
        let path = program!("qctl").parent().unwrap().display().to_string();
        let run = Run::new("/bin/sh").args(["-c", &typed]).env("PATH", format!("{path}:/usr/bin:/bin"));
        let out = run.env("PENNYPOST_CONFIG", self.post.dir.join("p.toml")).run();
        out.expect_code(0);
        let shows = |text: &str| assert!(out.out().contains(text), "{example}: {}", out.describe());
        let again = |name: &Name| until(&format!("{example}: another try"), || self.tries(name) == 2);
        match verb {
            "list" | "show" => shows("x@example.org"),
            "cat" => shows("the body"),
            "summary" => shows("example.org"),
            "top" => shows("waiting"),
            "hold" => assert!(self.is(&ann, "held") && self.is(&report, "waiting")),
            "release" => until("it waits", || self.is(&ann, "waiting")),
            "remove" => assert_eq!((self.state(&report).as_str(), self.state(&ann).as_str()), ("", "waiting")),
            "bounce" => until("it is gone", || self.is(&ann, "")),
            "retry" | "requeue" | "flush" => again(&ann),
            other => panic!("what does {other} do?"),
        }
        if example.contains("list --domain") || example.contains("--all") {
            shows(report.as_str());
        }
    }
}

#[test]
fn every_example_of_the_manual_works() {
    let stage = Stage::new();
    examples().iter().for_each(|e| stage.play(e));
    assert_eq!(stage.sink.count(), 0);
}
