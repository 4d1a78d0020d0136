//! The resolver against a server with the habits of real ones.

use penny_dns::{Data, Error, Resolve, Resolver, Settings, Type, Zone};
use penny_testkit::dns::{DnsServer, Quirks};
use std::time::{Duration, Instant};

const ZONE: &str = "a.example A 192.0.2.1\nx.example TXT hello world\nalias.example CNAME a.example\n\
    loop.example CNAME loop.example\nslow.example TIMEOUT\nbroken.example SERVFAIL\nno.example REFUSED\n\
    mx.example MX 10 a.example\n_25._tcp.a.example TLSA 3 1 1 00ff\n";

/// No answer is late, whatever else the machine does.
fn steady(server: &DnsServer) -> Settings {
    Settings { timeout: Duration::from_secs(100), ..Settings::at(&server.at()).unwrap() }
}

/// For servers that say nothing: gives up soon, and comes again `attempts` times.
fn quick(server: &DnsServer, attempts: u32) -> Settings {
    Settings { timeout: Duration::from_millis(300), attempts, ..steady(server) }
}

fn start(quirks: Quirks) -> (DnsServer, Resolver) {
    let server = DnsServer::start(Zone::parse(ZONE), quirks);
    let resolver = Resolver::new(steady(&server));
    (server, resolver)
}

fn a_record() -> Vec<Data> {
    vec![Data::A("192.0.2.1".parse().unwrap())]
}

#[test]
fn answers_and_their_absence() {
    let (server, dns) = start(Quirks::default());
    assert_eq!(dns.lookup("A.Example.", Type::A).unwrap().records, a_record());
    assert_eq!(dns.lookup("x.example", Type::Txt).unwrap().records, [Data::Txt(b"hello world".to_vec())]);
    assert_eq!(dns.lookup("_25._tcp.a.example", Type::Tlsa).unwrap().records, [Data::Tlsa(3, 1, 1, vec![0, 255])]);
    let nodata = dns.lookup("a.example", Type::Mx).unwrap();
    assert!(nodata.is_empty() && nodata.exists);
    assert!(!dns.lookup("none.example", Type::A).unwrap().exists);
    assert_eq!(dns.lookup("broken.example", Type::A), Err(Error::ServFail));
    assert_eq!(dns.lookup("no.example", Type::A), Err(Error::Rcode(5)));
    let quick = Resolver::new(quick(&server, 2));
    assert_eq!(quick.lookup("slow.example", Type::A), Err(Error::Timeout));
    assert_eq!(dns.lookup("a..example", Type::A), Err(Error::BadName));
}

#[test]
fn aliases_are_followed_whoever_does_it() {
    for lazy_alias in [false, true] {
        let (_server, dns) = start(Quirks { lazy_alias, ..Quirks::default() });
        let answer = dns.lookup("alias.example", Type::A).unwrap();
        assert_eq!((answer.records, answer.canonical.to_string()), (a_record(), "a.example".to_owned()));
        assert_eq!(dns.lookup("loop.example", Type::A), Err(Error::Malformed));
    }
}

#[test]
fn a_question_is_asked_once() {
    let (server, dns) = start(Quirks::default());
    for _ in 0..3 {
        dns.lookup("a.example", Type::A).unwrap();
        dns.lookup("none.example", Type::A).unwrap();
        assert_eq!(dns.lookup("broken.example", Type::A), Err(Error::ServFail));
    }
    assert_eq!(server.queries().len(), 3, "{:?}", server.queries());
}

#[test]
fn truncation_goes_to_tcp() {
    let (server, dns) = start(Quirks { truncate: true, ..Quirks::default() });
    assert_eq!(dns.lookup("a.example", Type::A).unwrap().records, a_record());
    assert_eq!(server.queries(), ["udp a.example A", "tcp a.example A"]);
}

#[test]
fn answers_larger_than_a_datagram() {
    let mut zone = Zone::new();
    zone.txt("big.example", &"x".repeat(5000));
    let server = DnsServer::start(zone, Quirks::default());
    let dns = Resolver::new(steady(&server));
    assert_eq!(dns.lookup("big.example", Type::Txt).unwrap().records, [Data::Txt(vec![b'x'; 5000])]);
}

#[test]
fn tcp_only_when_told() {
    let server = DnsServer::new(ZONE);
    let dns = Resolver::new(Settings { use_tcp: true, ..steady(&server) });
    assert_eq!(dns.lookup("a.example", Type::A).unwrap().records, a_record());
    assert_eq!(server.queries(), ["tcp a.example A"]);
}

#[test]
fn servers_without_edns_are_asked_plainly() {
    let (server, dns) = start(Quirks { no_edns: true, ..Quirks::default() });
    assert_eq!(dns.lookup("a.example", Type::A).unwrap().records, a_record());
    assert_eq!(server.queries().len(), 2);
}

#[test]
fn a_forged_answer_is_passed_over() {
    let (_server, dns) = start(Quirks { forge_first: true, ..Quirks::default() });
    assert_eq!(dns.lookup("a.example", Type::A).unwrap().records, a_record());
}

#[test]
fn a_lost_datagram_is_sent_again() {
    let (server, _) = start(Quirks { mute_first: 1, ..Quirks::default() });
    let dns = Resolver::new(quick(&server, 300));
    assert_eq!(dns.lookup("a.example", Type::A).unwrap().records, a_record());
}

#[test]
fn time_limits_hold() {
    let (server, _) = start(Quirks::default());
    let dns = Resolver::new(quick(&server, 2));
    let begin = Instant::now();
    assert_eq!(dns.lookup("slow.example", Type::A), Err(Error::Timeout));
    assert!(begin.elapsed() >= Duration::from_millis(550), "two tries of 300 ms");
    let fresh = Resolver::new(steady(&server));
    let begin = Instant::now();
    let limited = fresh.within(Duration::from_millis(200));
    assert_eq!(limited.lookup("slow.example", Type::A), Err(Error::Timeout));
    assert_eq!(limited.lookup("a.example", Type::A), Err(Error::Timeout), "the budget is spent");
    assert!(begin.elapsed() < Duration::from_secs(60));
    assert!(fresh.lookup("a.example", Type::A).is_ok(), "a spent budget leaves no trace in the cache");
}

#[test]
fn the_second_server_steps_in() {
    let good = DnsServer::new(ZONE);
    let bad = DnsServer::new("a.example SERVFAIL");
    let silent = DnsServer::new("a.example TIMEOUT");
    let closed = format!("127.0.0.1:{}", penny_testkit::free_port());
    for first in [bad.at(), silent.at(), closed] {
        let mut settings = quick(&good, 300);
        settings.servers.insert(0, first.parse().unwrap());
        assert_eq!(Resolver::new(settings).lookup("a.example", Type::A).unwrap().records, a_record(), "{first}");
    }
}

#[test]
fn search_lists_are_never_used() {
    let server = DnsServer::new("none.example.elsewhere.test A 192.0.2.9\nhost.elsewhere.test MX 10 a.example");
    let settings =
        Settings::parse("search elsewhere.test\ndomain elsewhere.test\noptions ndots:15\nnameserver 127.0.0.1\n");
    let dns = Resolver::new(Settings { servers: vec![server.address()], ..settings });
    assert!(!dns.lookup("none.example", Type::A).unwrap().exists);
    assert!(dns.lookup("host", Type::Mx).unwrap().is_empty());
    assert_eq!(server.queries(), ["udp none.example A", "udp host MX"]);
}

#[test]
fn nobody_there() {
    let settings = Settings::at(&format!("127.0.0.1:{}", penny_testkit::free_port())).unwrap();
    assert_eq!(Resolver::new(settings).lookup("a.example", Type::A), Err(Error::Unreachable));
}

#[test]
fn validated_answers_count_only_from_trusted_servers() {
    let mut zone = Zone::parse(ZONE);
    zone.authentic = true;
    let server = DnsServer::start(zone, Quirks::default());
    // the server is on loopback, so its word counts without trust-ad
    assert!(Resolver::new(steady(&server)).lookup("a.example", Type::A).unwrap().authentic);
    let plain = DnsServer::new(ZONE);
    let dns = Resolver::new(Settings { trust_ad: true, ..steady(&plain) });
    assert!(!dns.lookup("a.example", Type::A).unwrap().authentic);
}
