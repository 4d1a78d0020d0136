//! pennypost trace, status, top and summary on a live server and on logs as their keepers write them.

#[path = "support/instance.rs"]
mod instance;

use instance::{Instance, until};
use penny_testkit::{Output, Run, TempDir};

fn pennypost(server: &Instance, line: &str) -> Output {
    let run = Run::new(server.program("pennypost")).arg("-c").arg(server.config());
    run.args(line.split_whitespace()).limit(std::time::Duration::from_secs(120)).run()
}

fn send(server: &Instance, from: &str, to: &[&str], id: &str) {
    let text = format!("From: {from}\nSubject: x\nMessage-ID: {id}\n\nhello\n");
    let run = Run::new(server.program("sendmail")).env("PENNYPOST_CONFIG", server.config());
    run.args(["-f", from]).args(to).stdin(text).run().expect_code(0);
}

/// A server that has delivered, bounced, put off and refused.
fn busy() -> Instance {
    let server = Instance::up(&[("STRANGERS", "1")]);
    send(&server, "user2@example.test", &["user1@example.test"], "<one@x.test>");
    send(&server, "mary.wollstonecraft.godwin@somewhere.far.test", &["user1@example.test"], "<long@x.test>");
    send(&server, "user3@example.test", &["nobody@example.test", "a@remote.test"], "<two@x.test>");
    let mut smtp = server.connect("SMTP");
    smtp.read_line();
    smtp.ask("HELO client.test", "250");
    smtp.ask("MAIL FROM:<stranger@far.test>", "250");
    smtp.ask("RCPT TO:<unknown@example.test>", "550");
    smtp.ask("RCPT TO:<user1@example.test>", "250");
    smtp.ask("DATA", "354");
    smtp.ask("Message-ID: <three@x.test>\r\n\r\nhi\r\n.", "250");
    smtp.ask("QUIT", "221");
    let log = server.top().join("log/qrun");
    until("deliveries", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let done =
            text.matches("ev=removed").count() >= 4 && text.contains("ev=deferred") && text.contains("ev=bounced");
        done.then_some(())
    });
    server
}

#[test]
fn the_way_of_a_message_is_told() {
    let server = busy();
    let one = pennypost(&server, "trace <ONE@x.test>");
    one.expect_code(0).expect_out("queued: from <user2@example.test>, 1 recipient(s)").expect_out("stored as");
    one.expect_out("<user1@example.test>: delivered 2.0.0").expect_out("settled: it left the queue");
    assert!(!one.out().contains("two@x.test"), "{}", one.out());

    // by address: what came of it is shown below it
    let two = pennypost(&server, "trace user3@example.test");
    two.expect_code(0).expect_out("<nobody@example.test>: bounced 5.1.1").expect_out("<a@remote.test>: deferred 4.");
    two.expect_out("in the queue: it is tried again").expect_out("report made");
    assert!(two.out().lines().any(|l| l.starts_with("    ") && l.contains(".b")), "{}", two.out());
    assert!(two.out().contains("user3@example.test: stored as"), "{}", two.out());

    // by queue id, as JSON
    let id = two.out().lines().next().expect("an id").to_string();
    let json = pennypost(&server, &format!("trace --json {id}"));
    json.expect_code(0).expect_out(&format!("\"id\":\"{id}\"")).expect_out("\"event\":\"bounced\"");

    // accepted from the network: the transaction leads to the entry; refusals are told too
    let three = pennypost(&server, "trace three@x.test");
    three.expect_out("accepted by smtpd: service mx ip 127.0.0.1");
    let transaction = std::fs::read_to_string(server.top().join("log/listen")).expect("the log");
    let transaction = transaction.split("ev=accepted id=").nth(1).and_then(|t| t.split(' ').next()).expect("an id");
    pennypost(&server, &format!("trace {transaction}")).expect_out("three@x.test");
    pennypost(&server, "trace unknown@example.test")
        .expect_out("never taken:")
        .expect_out("refused by unknown-recipient");
    pennypost(&server, "trace nothing@x.test").expect_code(67).expect_err("the log tells nothing of nothing@x.test");
}

#[test]
fn status_and_summary_of_a_live_server() {
    let mut server = busy();
    let status = pennypost(&server, "status");
    status.expect_code(0).expect_out("spawn    ").expect_out("queue: 1 waiting");
    status.expect_out("last hour: 4 received").expect_out(" refused, 0 wrong passwords");
    pennypost(&server, "status --json").expect_out("\"queue_active\":1").expect_out("\"hour_received\":4");
    pennypost(&server, "top --count 1").expect_code(0).expect_out("SENDERS, LAST HOUR").expect_out("stranger@far.test");

    let summary = pennypost(&server, "summary");
    summary.expect_code(0).expect_out("messages received").expect_out("Refused by rule");
    summary.expect_out("       1  unknown-recipient").expect_out("up to 1 s");
    let page = server.dir.path().join("page.html");
    pennypost(&server, &format!("summary --html {}", page.display())).expect_code(0);
    looks_right(&page);

    server.stop();
    let config = server.config();
    let dead = Run::new(server.program("pennypost")).arg("-c").arg(&config).arg("status").run();
    dead.expect_code(69).expect_out("DOWN");
    server.start();
}

/// Rendered by a real browser where one is installed: nothing is fetched, every chart has a size, text is on the page.
fn looks_right(page: &std::path::Path) {
    let html = std::fs::read_to_string(page).expect("the page");
    assert!(html.contains("<svg") && html.contains("unknown-recipient"), "{html}");
    for foreign in ["<script", "http://", "https://", "url(", "@import", "src="] {
        assert!(!html.contains(foreign), "the page holds {foreign}");
    }
    if !penny_testkit::have("status_and_summary_of_a_live_server (the page in Chromium)", "chromium") {
        return;
    }
    // the page measures itself in a copy: width of the body, of each chart, and whether anything sticks out
    let probe = "<script>addEventListener('load',()=>{const s=[...document.querySelectorAll('svg')].map(e=>e.getBoundingClientRect());\
                 document.title='charts='+s.length+' empty='+s.filter(r=>r.width<50||r.height<10).length+\
                 ' cut='+[...document.querySelectorAll('svg text')].filter(t=>t.getBBox().x<0).length+\
                 ' wide='+(document.documentElement.scrollWidth>innerWidth)})</script></body>";
    let copy = page.with_extension("probe.html");
    std::fs::write(&copy, html.replace("</body>", probe)).expect("written");
    let home = TempDir::new();
    let out = Run::new("chromium").env("HOME", home.path()).limit(std::time::Duration::from_secs(180)).args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1100,1400",
        "--virtual-time-budget=2000",
        "--dump-dom",
    ]);
    let out = out.arg(format!("file://{}", copy.display())).run();
    if out.timed_out || out.stdout.is_empty() {
        return penny_testkit::skip("the page in Chromium", "chromium does not start here");
    }
    let dom = out.out();
    let title = dom.split("<title>").nth(1).and_then(|t| t.split("</title>").next()).unwrap_or("");
    assert!(title.contains("empty=0 cut=0 wide=false") && !title.contains("charts=0"), "{title}");
}

const ID: &str = "1795510380.155919.21191.0.783cd3b6ea1ca5c7";

/// The same events behind what syslog, journald and multilog put before a line, plain and packed.
#[test]
fn logs_of_every_keeper_are_read() {
    let events = [
        format!(
            "enqueue[1]: q={ID} ev=queued from=<a@x.test> rcpts=1 size=9 uid=0 ip=- proto=local login=- msgid=<m@x.test>"
        ),
        format!("qrun[2]: q={ID} ev=delivered to=<b@y.test> status=2.0.0 mta=mx.y.test age=1 text=ok"),
        format!("qrun[2]: q={ID} ev=removed"),
    ];
    let heads = [
        "",
        "Nov 24 08:53:00 mx ",
        "2026-11-24T08:53:00.123456+00:00 mx ",
        "1795510380.155919 mx ",
        "@400000006b05512c09524a53 ",
    ];
    for (n, head) in heads.iter().enumerate() {
        let dir = TempDir::new();
        let config = dir.write("etc/pennypost.toml", "");
        let text: String = events.iter().map(|e| format!("{head}{e}\n")).collect();
        let text = format!("{head}sshd[7]: Accepted publickey\n{text}\u{fffd}\n");
        let log = dir.write("mail.log", &text);
        let run = |what: &[&str]| {
            let run = Run::new(instance::programs().join("pennypost")).arg("-c").arg(&config).args(what);
            run.arg("--log").arg(&log).run()
        };
        let missing = Run::new(instance::programs().join("pennypost")).args(["trace", "x", "--log", "/nonexistent"]);
        missing.arg("-c").arg(&config).run().expect_code(64).expect_err("/nonexistent: No such file");
        run(&["trace", "m@x.test"]).expect_code(0).expect_out("<b@y.test>: delivered 2.0.0 by mx.y.test ok");
        if n == 2 {
            run(&["trace", "m@x.test"]).expect_out("2026-11-24 08:53:00  queued: from <a@x.test>");
            run(&["summary", "--day", "2026-11-24"]).expect_out("sent to other hosts                1");
            run(&["summary", "--day", "2026-11-25"]).expect_out("sent to other hosts                0");
            for day in ["today", "2026-13-01", "2026-02-30"] {
                run(&["summary", "--day", day]).expect_code(64);
            }
            let mut gzip = std::process::Command::new("gzip").arg(&log).spawn().expect("gzip");
            assert!(gzip.wait().expect("gzip").success());
            let packed = Run::new(instance::programs().join("pennypost")).arg("-c").arg(&config);
            packed.args(["trace", ID, "--log"]).arg(dir.path()).run().expect_code(0).expect_out("left the queue");
        }
    }
}
