//! What routes say beyond the next hop, and domains that share their hosts: scheduling of mail for others.

#[path = "support/queue.rs"]
mod support;

use penny_queue::Envelope;
use penny_testkit::{DnsServer, Sink};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::{Post, recipient, sender, until};

/// A sink that counts transactions open at a time.
fn counting() -> (Sink, Arc<AtomicUsize>) {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let sink = Sink::builder().script(move |line| {
        if line.starts_with("MAIL") {
            seen.fetch_max(open.fetch_add(2, Ordering::SeqCst) / 2 + 1, Ordering::SeqCst);
        } else if line == "." {
            // asked twice a message; long enough for a second connection, if there were one
            std::thread::sleep(Duration::from_millis(10));
            open.fetch_sub(1, Ordering::SeqCst);
        }
        None
    });
    (sink.start(), most)
}

#[test]
fn domains_with_the_same_hosts_are_one_destination() {
    let (sink, most) = counting();
    let domains: Vec<String> = (0..6).map(|n| format!("d{n}.test")).collect();
    let zone: String = domains.iter().map(|d| format!("{d} MX 10 mx.site.test\n")).collect();
    let dns = DnsServer::new(&(zone + "mx.site.test A 127.0.0.1\n"));
    let remote = format!("[remote]\nresolver = \"{}\"\nport = {}\nidle = \"5m\"", dns.at(), sink.port());
    let post = Post::new("destination_concurrency = 1", &remote).up();
    for (n, d) in domains.iter().enumerate() {
        post.send("ann@example.test", &[&format!("first@{d}")], "x");
        sink.wait(n + 1);
    }
    post.wait_empty();
    let known = sink.connections();
    for round in 0..3 {
        domains.iter().for_each(|d| drop(post.send("ann@example.test", &[&format!("u{round}@{d}")], "x")));
    }
    let mails = sink.wait(24);
    post.wait_empty();
    assert_eq!(most.load(Ordering::SeqCst), 1, "the limit is that of the hosts, not of each domain");
    assert_eq!(sink.connections(), known, "and their connections are used");
    let first = mails.iter().filter(|m| m.connection == 0).flat_map(|m| m.rcpts.clone());
    let mut on_first: Vec<String> = first.map(|r| r.rsplit_once('@').unwrap().1.to_owned()).collect();
    on_first.sort();
    on_first.dedup();
    assert!(on_first.len() > 1, "one connection for several domains: {on_first:?}");
}

#[test]
fn a_route_bounds_connections_and_pace() {
    let (sink, most) = counting();
    let post = Post::new("", "");
    let to = format!("smtp:[127.0.0.1]:{} tls=none", sink.port());
    post.table("routes", &format!("one.test {to} conn=1\ntwo.test {to} helo=two.test rate=1/s\n"));
    let post = post.up();
    for n in 0..8 {
        post.send("ann@example.test", &["x@one.test"], &format!("number {n}"));
    }
    sink.wait(8);
    assert_eq!(most.load(Ordering::SeqCst), 1);
    let begin = Instant::now();
    for n in 0..4 {
        post.send("ann@example.test", &["z@two.test"], &format!("slow {n}"));
    }
    sink.wait(12);
    assert!(begin.elapsed() > Duration::from_secs(2), "{:?}", begin.elapsed());
    post.wait_empty();
}

/// A post whose routes lead to a sink that puts every recipient off.
fn never(options: &[(&str, &str)]) -> (Sink, Post) {
    let sink = Sink::builder().script(|l| l.starts_with("RCPT").then(|| "450 4.2.0 later".into())).start();
    let post = Post::new("retry_min = \"1s\"\nretry_max = \"1s\"", "");
    let line = |(domain, more): &(&str, &str)| format!("{domain} smtp:[127.0.0.1]:{} tls=none {more}\n", sink.port());
    post.table("routes", &options.iter().map(line).collect::<String>());
    (sink, post.up())
}

fn tries(sink: &Sink, address: &str) -> usize {
    sink.lines().iter().filter(|l| l.starts_with("RCPT") && l.contains(address)).count()
}

#[test]
fn a_domain_may_have_a_life_time_of_its_own() {
    let (sink, post) = never(&[("short.test", "lifetime=3s"), ("long.test", "")]);
    let name = post.send("ann@example.test", &["a@short.test", "b@long.test"], "x");
    let bounce = &post.wait_mails("ann", 1)[0];
    assert!(bounce.contains("a@short.test") && bounce.contains("5.4.7"), "{bounce}");
    assert!(!bounce.contains("rfc822; b@long.test"), "the other one goes on");
    let before = tries(&sink, "b@long.test");
    until("a further try", || tries(&sink, "b@long.test") > before);
    post.control(&format!("remove\tid={name}"));
    post.wait_empty();
}

#[test]
fn a_domain_may_have_a_back_off_of_its_own() {
    let (sink, post) = never(&[("slow.test", "retry=1h:2h"), ("quick.test", "")]);
    let name = post.send("ann@example.test", &["a@slow.test", "b@quick.test"], "x");
    until("three tries of the quick one", || tries(&sink, "b@quick.test") >= 3);
    assert_eq!(tries(&sink, "a@slow.test"), 1);
    // an admin's word counts for all of it; an entry that is being tried at that moment is asked again
    until("a try at the admin's wish", || {
        post.control(&format!("retry\tid={name}"));
        tries(&sink, "a@slow.test") >= 2
    });
    post.control(&format!("remove\tid={name}"));
    post.wait_empty();
}

#[test]
fn the_senders_domain_chooses_the_way() {
    let (ours, rest) = (Sink::start(), Sink::start());
    let post = Post::new("", "");
    post.table("domains", "example.test local\nother.test local\n");
    let to = |s: &Sink| format!("smtp:[127.0.0.1]:{} tls=none", s.port());
    post.table("routes", &format!("from:other.test {} helo=other.test\n* {}\n", to(&ours), to(&rest)));
    let post = post.up();
    post.send("joe@other.test", &["x@far.test"], "by the own way");
    post.send("ann@example.test", &["x@far.test"], "by the common way");
    assert_eq!(ours.wait(1)[0].helo, "other.test");
    assert!(rest.wait(1)[0].text().contains("by the common way"));
    post.wait_empty();
}

#[test]
fn a_message_for_later_waits_through_a_restart() {
    let mut post = Post::new("retry_min = \"0s\"\nretry_max = \"0s\"", "").up();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let recipients = vec![recipient("joe@example.test", "")];
    // RFC 4865: an hour
    let later = Envelope { sender: sender("ann@example.test", "HOLDFOR=3600"), recipients, ..Envelope::default() };
    let name = post.send_as(later, "tomorrow");
    let taken = |post: &Post| until("the entry", || post.files("cur").len() == 1);
    taken(&post);
    post.kill("qrun");
    post.start("qrun");
    post.send("ann@example.test", &["joe@example.test"], "today");
    post.wait_mails("joe", 1);
    until("its time again", || {
        let line = post.control(&format!("list\tid={name}")).remove(0);
        let due = line.split_once("\"due\":").and_then(|(_, t)| t.split(',').next()?.parse::<u64>().ok());
        due.is_some_and(|due| due > now() + 3000)
    });
    assert!(post.mails("joe")[0].contains("today"));
    post.control(&format!("remove\tid={name}"));
    post.wait_empty();
}

/// What runs below spawn under this name.
fn worker(post: &Post, name: &str) -> Option<String> {
    let spawn = post.services.iter().find(|(n, _)| n == "spawn")?.1.pid();
    let text = |file: std::path::PathBuf| std::fs::read_to_string(file).unwrap_or_default();
    let all = std::fs::read_dir("/proc").ok()?.flatten().map(|e| text(e.path().join("status")));
    let ours = |s: &String| s.starts_with(&format!("Name:\t{name}\n")) && s.contains(&format!("PPid:\t{spawn}\n"));
    all.into_iter().find(ours)
}

#[test]
fn the_sending_process_is_confined() {
    let sink = Sink::start();
    let post = Post::new("", "[remote]\nidle = \"5m\"");
    post.table("routes", &format!("far.test smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
    let post = post.up();
    post.send("ann@example.test", &["x@far.test"], "x");
    sink.wait(1);
    post.wait_empty();
    let status = worker(&post, "remote").expect("a worker that waits for more");
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{line}\n{status}");
    }
}
