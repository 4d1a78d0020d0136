//! remote and TLS: opportunistic, demanded, DANE. A host that speaks STARTTLS stands in front of a plain fake one.

#[path = "support/queue.rs"]
mod support;

use penny_base::config::TlsServer;
use penny_testkit::{DnsServer, Output, PATIENCE, Run, Sink, TempDir, have, program};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Certificate, key and the digest of the public key, made by openssl(1).
struct Cert {
    pem: PathBuf,
    key: PathBuf,
    spki: String,
    whole: String,
    /// The public key itself.
    der: String,
}

fn certificate(dir: &TempDir, file: &str, name: &str) -> Cert {
    let (pem, key) = (dir.join(format!("{file}.pem")), dir.join(format!("{file}.key")));
    let script = format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} \
         -addext subjectAltName=DNS:{name} -keyout {k} -out {p} 2>/dev/null && \
         openssl x509 -in {p} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1 && \
         openssl x509 -in {p} -outform DER | sha256sum | cut -d' ' -f1 && \
         openssl x509 -in {p} -noout -pubkey | openssl pkey -pubin -outform DER | od -An -tx1 -v | tr -d ' \\n'",
        k = key.display(),
        p = pem.display()
    );
    let out = Run::new("/bin/sh").args(["-c", &script]).run();
    let text = out.expect_code(0).out();
    let mut lines = text.lines().map(str::to_owned);
    let mut line = || lines.next().unwrap();
    Cert { pem, key, spki: line(), whole: line(), der: line() }
}

/// How the host behaves.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// STARTTLS that works.
    Good,
    /// STARTTLS is offered, the handshake is garbage.
    Broken,
    /// The connection is cut off after the go-ahead.
    Cut,
    /// Nothing comes after the go-ahead.
    Mute,
    /// Not offered.
    Plain,
}

/// Listens, does STARTTLS, then hands the conversation to the sink.
fn tls_host(cert: &Cert, sink: u16, manner: Manner) -> u16 {
    let config = TlsServer { certificate: cert.pem.clone(), key: cert.key.clone(), ..TlsServer::default() };
    let context = penny_tls::Context::load(&config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let context = context.clone();
            std::thread::spawn(move || drop(converse(&context, stream, sink, manner)));
        }
    });
    port
}

fn converse(context: &penny_tls::Context, mut stream: TcpStream, sink: u16, manner: Manner) -> std::io::Result<()> {
    if manner == Manner::Plain {
        return relay(TcpStream::connect(("127.0.0.1", sink))?, stream);
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 secure.test\r\n")?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        if line.starts_with("STARTTLS") {
            break;
        }
        if line.starts_with("EHLO") {
            stream.write_all(b"250-secure.test\r\n250 STARTTLS\r\n")?;
        } else {
            // in clear, as after a failed handshake: the rest goes to the sink, MAIL included
            let mut plain = TcpStream::connect(("127.0.0.1", sink))?;
            read_greeting(&mut plain)?;
            plain.write_all(line.as_bytes())?;
            return relay(plain, stream);
        }
        line.clear();
    }
    stream.write_all(b"220 go\r\n")?;
    match manner {
        Manner::Cut => return Ok(()),
        Manner::Mute => return std::io::copy(&mut reader, &mut std::io::sink()).map(drop),
        _ => {}
    }
    if manner == Manner::Broken {
        reader.read_exact(&mut [0; 5])?; // before it, this would be an injection
        return stream.write_all(b"this is not TLS at all, whatever you may think of it\r\n");
    }
    let session = penny_tls::accept(context, stream.into(), PATIENCE)?;
    let mut plain = TcpStream::connect(("127.0.0.1", sink))?;
    read_greeting(&mut plain)?;
    let (near, far) = UnixStream::pair()?;
    std::thread::spawn(move || drop(relay_unix(plain, far)));
    penny_tls::pump(session, near.into())
}

fn read_greeting(plain: &mut TcpStream) -> std::io::Result<()> {
    let mut one = [0];
    while one[0] != b'\n' {
        plain.read_exact(&mut one)?;
    }
    Ok(())
}

fn relay(a: TcpStream, b: TcpStream) -> std::io::Result<()> {
    let (mut a2, mut b2) = (a.try_clone()?, b.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut a2, &mut b2);
        let _ = b2.shutdown(std::net::Shutdown::Both);
    });
    let (mut a, mut b) = (a, b);
    std::io::copy(&mut b, &mut a).map(drop)
}

fn relay_unix(a: TcpStream, b: UnixStream) -> std::io::Result<()> {
    let (mut a2, mut b2) = (a.try_clone()?, b.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut a2, &mut b2);
        let _ = b2.shutdown(std::net::Shutdown::Both);
    });
    let (mut a, mut b) = (a, b);
    std::io::copy(&mut b, &mut a).map(drop)
}

fn send(dir: &TempDir, keys: &str, resolver: &str, args: &[&str]) -> Output {
    let state = dir.path().display();
    let head = format!("hostname = \"me.test\"\n[paths]\nstate = \"{state}\"");
    // one case must not remember the TLS of another
    let memory = if keys.contains("tls_memory") { "" } else { "tls_memory = 0" };
    dir.write("p.toml", format!("{head}\n[remote]\n{memory}\n{keys}\n"));
    Run::new(program!("remote"))
        .arg("-c")
        .arg(dir.join("p.toml"))
        .env("PENNYPOST_RESOLVER", resolver)
        .args(args)
        .stdin("Subject: x\n\nbody\n")
        .run()
}

const NO_DNS: &str = "127.0.0.1:1";

#[test]
fn tls_is_used_where_it_is_offered_and_demanded_where_it_is_demanded() {
    if !have("tls_is_used_where_it_is_offered_and_demanded_where_it_is_demanded", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let cert = certificate(&dir, "a", "localhost");
    let sink = Sink::start();
    for (manner, wish, keys, host, code) in [
        (Manner::Good, "may", "", "127.0.0.1", 0),
        (Manner::Broken, "may", "", "127.0.0.1", 0),
        (Manner::Cut, "may", "", "127.0.0.1", 0),
        (Manner::Mute, "may", "timeout = \"5s\"", "127.0.0.1", 0),
        (Manner::Plain, "may", "", "127.0.0.1", 0),
        (Manner::Good, "none", "", "127.0.0.1", 0),
        // demanded: the certificate is not trusted, then it is, then for another name
        (Manner::Good, "must", "", "localhost", 75),
        (Manner::Good, "must", "ca_file = \"a.pem\"", "localhost", 0),
        (Manner::Broken, "must", "ca_file = \"a.pem\"", "localhost", 75),
        (Manner::Cut, "must", "ca_file = \"a.pem\"", "localhost", 75),
        (Manner::Mute, "must", "ca_file = \"a.pem\"\ntimeout = \"5s\"", "localhost", 75),
        (Manner::Plain, "must", "ca_file = \"a.pem\"", "localhost", 75),
    ] {
        let port = tls_host(&cert, sink.port(), manner);
        let keys = keys.replace("a.pem", &cert.pem.display().to_string());
        let before = sink.mails().len();
        let out = send(&dir, &keys, NO_DNS, &["-r", &format!("host {host} {port} 0 {wish}"), "a@f"]);
        assert_eq!(out.code, Some(code), "{wish} {keys}: {}", out.describe());
        assert_eq!(sink.mails().len() - before, usize::from(code == 0));
        if code != 0 {
            out.expect_out("later <a@f> 4.7.5");
        }
    }
}

/// A zone for far.test and near.test whose host is `mx.far.test` with these TLSA records.
fn zone(port: u16, records: &[String], authentic: bool) -> penny_dns::Zone {
    let mut text = "far.test MX 10 mx.far.test\nnear.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\n".to_owned();
    for r in records {
        text += &format!("_{port}._tcp.mx.far.test TLSA {r}\n");
    }
    let mut zone = penny_dns::Zone::parse(&text);
    zone.authentic = authentic;
    zone
}

#[test]
fn dane_binds_the_host_to_its_records() {
    if !have("dane_binds_the_host_to_its_records", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let cert = certificate(&dir, "a", "another.name");
    let other = certificate(&dir, "b", "mx.far.test");
    let named = certificate(&dir, "c", "mx.far.test");
    let sink = Sink::start();
    let wrong = "0".repeat(64);
    for (what, shown, manner, records, authentic, code) in [
        ("end entity key", &cert, Manner::Good, vec![format!("3 1 1 {}", cert.spki)], true, 0),
        ("end entity certificate", &cert, Manner::Good, vec![format!("3 0 1 {}", cert.whole)], true, 0),
        ("rollover", &cert, Manner::Good, vec![format!("3 1 1 {wrong}"), format!("3 1 1 {}", cert.spki)], true, 0),
        ("another key", &cert, Manner::Good, vec![format!("3 1 1 {}", other.spki)], true, 75),
        ("trust anchor, name fits", &named, Manner::Good, vec![format!("2 0 1 {}", named.whole)], true, 0),
        ("trust anchor, name does not", &cert, Manner::Good, vec![format!("2 0 1 {}", cert.whole)], true, 75),
        ("stripped", &cert, Manner::Plain, vec![format!("3 1 1 {}", cert.spki)], true, 75),
        ("broken", &cert, Manner::Broken, vec![format!("3 1 1 {}", cert.spki)], true, 75),
        ("cut off", &cert, Manner::Cut, vec![format!("3 1 1 {}", cert.spki)], true, 75),
        ("matching type 0", &cert, Manner::Good, vec![format!("3 1 0 {}", cert.der)], true, 0),
        ("matching type 0, another key", &cert, Manner::Good, vec![format!("3 1 0 {}", other.der)], true, 75),
        (
            "usages of the web's roots do not vouch",
            &cert,
            Manner::Good,
            vec![format!("1 1 1 {}", cert.spki), format!("3 1 1 {wrong}")],
            true,
            75,
        ),
        (
            "nor do they refuse",
            &cert,
            Manner::Good,
            vec![format!("0 0 1 {wrong}"), format!("3 1 1 {}", cert.spki)],
            true,
            0,
        ),
        ("usage 0 alone: encrypted", &cert, Manner::Good, vec![format!("0 0 1 {wrong}")], true, 0),
        ("usage 0 alone: not in clear", &cert, Manner::Plain, vec![format!("0 0 1 {wrong}")], true, 75),
        (
            "usage 4 and matching type 3 are of a later time",
            &cert,
            Manner::Good,
            vec![format!("4 1 1 {wrong}"), "3 1 3 00".into()],
            true,
            0,
        ),
        ("not usable: encrypted, whoever it is", &cert, Manner::Good, vec![format!("1 1 1 {wrong}")], true, 0),
        ("not usable: not in clear", &cert, Manner::Plain, vec![format!("1 1 1 {wrong}")], true, 75),
        ("not validated: no DANE", &cert, Manner::Plain, vec![format!("3 1 1 {wrong}")], false, 0),
        ("no records", &cert, Manner::Plain, vec![], true, 0),
    ] {
        let port = tls_host(shown, sink.port(), manner);
        let dns = DnsServer::start(zone(port, &records, authentic), penny_testkit::dns::Quirks::default());
        let before = sink.mails().len();
        let out = send(&dir, &format!("port = {port}"), &dns.at(), &["a@far.test"]);
        assert_eq!(out.code, Some(code), "{what}: {}", out.describe());
        assert_eq!(sink.mails().len() - before, usize::from(code == 0), "{what}");
    }
}

#[test]
fn a_tlsa_lookup_that_fails_keeps_the_mail_here() {
    if !have("a_tlsa_lookup_that_fails_keeps_the_mail_here", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let cert = certificate(&dir, "a", "mx.far.test");
    let sink = Sink::start();
    let port = tls_host(&cert, sink.port(), Manner::Good);
    let text = format!("far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\n_{port}._tcp.mx.far.test TLSA SERVFAIL\n");
    let mut zone = penny_dns::Zone::parse(&text);
    zone.authentic = true;
    let dns = DnsServer::start(zone, penny_testkit::dns::Quirks::default());
    let keys = format!("port = {port}");
    send(&dir, &keys, &dns.at(), &["a@far.test"]).expect_code(75).expect_out("TLSA look-up");
    assert!(sink.mails().is_empty());
    send(&dir, &format!("{keys}\ndane = false"), &dns.at(), &["a@far.test"]).expect_code(0);
}

#[test]
fn a_smarthost_gets_the_password_inside_tls() {
    if !have("a_smarthost_gets_the_password_inside_tls", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let cert = certificate(&dir, "a", "localhost");
    let sink = Sink::builder().extensions(&["AUTH PLAIN"]).start();
    let keys = format!("ca_file = \"{}\"", cert.pem.display());
    let port = tls_host(&cert, sink.port(), Manner::Good);
    let route = |port: u16| format!("host localhost {port} 0 must user secret");
    send(&dir, &keys, NO_DNS, &["-r", &route(port), "a@f"]).expect_code(0);
    assert_eq!(sink.mails()[0].auth.as_deref(), Some("AUTH PLAIN AHVzZXIAc2VjcmV0"));
    let stripped = tls_host(&cert, sink.port(), Manner::Plain);
    send(&dir, &keys, NO_DNS, &["-r", &route(stripped), "a@f"]).expect_code(75).expect_out("4.7.5");
    assert_eq!(sink.lines().iter().filter(|l| l.starts_with("AUTH")).count(), 1, "{:?}", sink.lines());
}

#[test]
fn requiretls_goes_only_where_the_host_is_known() {
    if !have("requiretls_goes_only_where_the_host_is_known", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let cert = certificate(&dir, "a", "mx.far.test");
    for (extensions, code, text) in [(&["REQUIRETLS"][..], 0, "done"), (&[][..], 69, "5.7.30")] {
        let sink = Sink::builder().extensions(extensions).start();
        let port = tls_host(&cert, sink.port(), Manner::Good);
        let dns = DnsServer::start(
            zone(port, &[format!("3 1 1 {}", cert.spki)], true),
            penny_testkit::dns::Quirks::default(),
        );
        let args = ["-f", "s@x.test REQUIRETLS", "a@far.test"];
        send(&dir, &format!("port = {port}"), &dns.at(), &args).expect_code(code).expect_out(text);
    }
}

/// A web server that answers every request with this.
fn web_host(cert: &Cert, answer: &str) -> u16 {
    web_listener(cert, answer, Arc::default())
}

/// The same, and what it was asked.
fn web_listener(cert: &Cert, answer: &str, asked: Arc<Mutex<Vec<Vec<u8>>>>) -> u16 {
    let config = TlsServer { certificate: cert.pem.clone(), key: cert.key.clone(), ..TlsServer::default() };
    let context = penny_tls::Context::load(&config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = answer.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(session) = penny_tls::accept(&context, stream.into(), PATIENCE) else { continue };
            let (near, mut far) = UnixStream::pair().unwrap();
            let (answer, asked) = (answer.clone(), asked.clone());
            std::thread::spawn(move || {
                let request = read_request(&mut far);
                asked.lock().unwrap().push(request);
                let _ = far.write_all(answer.as_bytes());
            });
            let _ = penny_tls::pump(session, near.into());
        }
    });
    port
}

/// Head and body of a request, which says how long it is.
fn read_request(stream: &mut UnixStream) -> Vec<u8> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let head = request.windows(4).position(|w| w == b"\r\n\r\n");
        let length = head.map_or(usize::MAX, |at| {
            let text = String::from_utf8_lossy(&request[..at]).into_owned();
            let length =
                text.lines().find_map(|l| l.strip_prefix("Content-Length: ")).map_or(0, |l| l.parse().unwrap());
            at + 4 + length
        });
        if request.len() >= length {
            return request;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return request,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
}

#[test]
fn mta_sts_policies_are_obeyed_and_remembered() {
    if !have("mta_sts_policies_are_obeyed_and_remembered", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let (web, host) = (certificate(&dir, "web", "mta-sts.far.test"), certificate(&dir, "host", "mx.far.test"));
    let roots = [&web.pem, &host.pem].map(|p| std::fs::read_to_string(p).unwrap()).concat();
    let roots = dir.write("roots.pem", roots);
    let sink = Sink::start();
    let zone = |id: &str| {
        let record = if id.is_empty() { String::new() } else { format!("_mta-sts.far.test TXT v=STSv1; id={id};\n") };
        DnsServer::new(&format!(
            "far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\nmta-sts.far.test A 127.0.0.1\n{record}"
        ))
    };
    let policy = |mode: &str, mx: &str| {
        let body = format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n");
        format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}")
    };
    let shows = |cert: &Cert, what: &str, id: &str, web_port: u16, manner: Manner, code: i32| {
        let port = tls_host(cert, sink.port(), manner);
        let keys = format!("port = {port}\nsts_port = {web_port}\nca_file = \"{}\"", roots.display());
        let dns = zone(id);
        let out = send(&dir, &keys, &dns.at(), &["a@far.test"]);
        assert_eq!(out.code, Some(code), "{what}: {}", out.describe());
    };
    let try_it = |what: &str, id: &str, web_port: u16, manner: Manner, code: i32| {
        shows(&host, what, id, web_port, manner, code);
    };
    let dead = penny_testkit::free_port();
    let enforce = web_host(&web, &policy("enforce", "mx.far.test"));
    try_it("no record, no policy", "", enforce, Manner::Plain, 0);
    try_it("a policy that cannot be had is none", "1", dead, Manner::Plain, 0);
    try_it("enforced, and the host is as it says", "1", enforce, Manner::Good, 0);
    try_it("enforced, stripped", "1", enforce, Manner::Plain, 75);
    shows(&web, "enforced, a trusted certificate of another name", "1", enforce, Manner::Good, 75);
    let nobody = certificate(&dir, "nobody", "mx.far.test");
    shows(&nobody, "enforced, a certificate that nobody vouches for", "1", enforce, Manner::Good, 75);
    try_it("enforced, the handshake is spoilt", "1", enforce, Manner::Broken, 75);
    try_it("remembered: web server and record are gone", "", dead, Manner::Plain, 75);
    try_it("remembered: a new policy cannot be had", "2", dead, Manner::Plain, 75);
    let elsewhere = web_host(&web, &policy("enforce", "*.other.test"));
    try_it("a host outside the policy", "3", elsewhere, Manner::Good, 75);
    let testing = web_host(&web, &policy("testing", "*.other.test"));
    try_it("testing refuses nothing", "4", testing, Manner::Plain, 0);
    let stranger = web_host(&host, &policy("enforce", "*.other.test"));
    try_it("a policy from another name is not believed", "5", stranger, Manner::Plain, 0);
}

#[test]
fn tls_that_was_there_is_missed() {
    if !have("tls_that_was_there_is_missed", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let host = certificate(&dir, "host", "mx.far.test");
    let sink = Sink::start();
    let dns = DnsServer::new("far.test MX 10 mx.far.test\nnear.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\n");
    let try_it = |what: &str, manner: Manner, more: &str, to: &str, code: i32| {
        let keys = format!("port = {}\n{more}", tls_host(&host, sink.port(), manner));
        let out = send(&dir, &keys, &dns.at(), &[to]);
        assert_eq!(out.code, Some(code), "{what}: {}", out.describe());
        out.out()
    };
    let keep = "tls_memory = \"3d\"";
    try_it("nothing is known yet", Manner::Plain, keep, "a@far.test", 0);
    try_it("TLS, whoever it is", Manner::Good, keep, "a@far.test", 0);
    let text = try_it("STARTTLS is stripped", Manner::Plain, keep, "a@far.test", 75);
    assert!(text.contains("4.7.5") && text.contains("lately"), "{text}");
    try_it("the handshake is spoilt", Manner::Broken, keep, "a@far.test", 75);
    try_it("another domain of the same host never had it", Manner::Plain, keep, "a@near.test", 0);
    try_it("the admin does not want to know", Manner::Plain, "tls_memory = 0", "a@far.test", 0);
    let file = dir.join("out/tls/far.test");
    let time: u64 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    std::fs::write(&file, format!("{}\n", time - 3 * 86_400)).unwrap();
    try_it("it is long ago", Manner::Plain, keep, "a@far.test", 0);
    assert_eq!(sink.mails().len(), 5);
}

#[test]
fn tls_results_become_reports() {
    if !have("tls_results_become_reports", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let (web, good) = (certificate(&dir, "web", "mta-sts.far.test"), certificate(&dir, "good", "mx.far.test"));
    let other = certificate(&dir, "other", "elsewhere.test");
    let roots = [&web.pem, &good.pem, &other.pem].map(|p| std::fs::read_to_string(p).unwrap()).concat();
    let roots = dir.write("roots.pem", roots);
    let sink = Sink::start();
    let zone = "far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\nmta-sts.far.test A 127.0.0.1\n\
                _mta-sts.far.test TXT v=STSv1; id=1;\n_smtp._tls.far.test TXT v=TLSRPTv1; rua=mailto:tls@far.test\n\
                quiet.test MX 10 mx.far.test\n";
    let dns = DnsServer::new(zone);
    let body = "version: STSv1\r\nmode: testing\r\nmx: mx.far.test\r\nmax_age: 86400\r\n";
    let sts = web_host(&web, &format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}"));
    let keys = |port: u16| {
        let ca = roots.display();
        format!("port = {port}\nsts_port = {sts}\nca_file = \"{ca}\"\ntls_reports = true\ntls_memory = 0")
    };
    let hosts = [(&good, Manner::Good), (&other, Manner::Good), (&good, Manner::Plain), (&good, Manner::Plain)];
    for (cert, manner) in hosts {
        let port = tls_host(cert, sink.port(), manner);
        send(&dir, &keys(port), &dns.at(), &["a@far.test"]).expect_code(0);
        send(&dir, &keys(port), &dns.at(), &["a@quiet.test"]).expect_code(0);
    }
    let days = |dir: &TempDir| std::fs::read_dir(dir.join("out/tlsrpt")).unwrap().flatten().collect::<Vec<_>>();
    let [day] = days(&dir).try_into().unwrap();
    // the day is not over
    std::fs::create_dir(dir.join("mails")).unwrap();
    let job = |dir: &TempDir| {
        let args = ["--send-reports", "-o", dir.join("mails").to_str().unwrap()].map(str::to_owned);
        send(dir, "", &dns.at(), &args.each_ref().map(String::as_str)).expect_code(0);
    };
    job(&dir);
    assert!(day.path().exists());
    std::fs::rename(day.path(), dir.join("out/tlsrpt/20260102")).unwrap();
    job(&dir);
    assert!(!dir.join("out/tlsrpt/20260102").exists());
    let mails: Vec<_> = std::fs::read_dir(dir.join("mails")).unwrap().flatten().collect();
    assert_eq!(mails.len(), 1, "one domain asked");
    let mail = std::fs::read_to_string(mails[0].path()).unwrap();
    for part in [
        "To: tls@far.test\n",
        "TLS-Report-Domain: far.test\nTLS-Report-Submitter: me.test\n",
        "multipart/report; report-type=\"tlsrpt\"",
        "Content-Type: application/tlsrpt+gzip\n",
        "filename=\"me.test!far.test!1767312000!1767398399.json.gz\"",
    ] {
        assert!(mail.contains(part), "no {part} in\n{mail}");
    }
    // our own reader of others' reports understands it
    let shown = Run::new(program!("pennypost")).arg("report").arg(mails[0].path()).run();
    let shown = shown.expect_code(0).out();
    for part in ["far.test", "sts", "starttls-not-supported", "certificate-host-mismatch", "2026-01-02"] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
}

#[test]
fn tls_reports_are_posted_where_the_domain_wants_it() {
    if !have("tls_reports_are_posted_where_the_domain_wants_it", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let (web, stranger) = (certificate(&dir, "web", "reports.test"), certificate(&dir, "other", "reports.test"));
    let sink = Sink::start();
    let dns = DnsServer::new("");
    let asks = |port: u16| {
        let zone = format!(
            "far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\nreports.test A 127.0.0.1\n\
                            _smtp._tls.far.test TXT v=TLSRPTv1; rua=https://reports.test:{port}/tls?of=us\n"
        );
        dns.replace(penny_dns::Zone::parse(&zone));
    };
    let keys = |port: u16| format!("port = {port}\ntls_reports = true\nca_file = \"{}\"", web.pem.display());
    let yesterday = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - 86_400;
    let day = dir.join("out/tlsrpt").join(penny_report::day::day_name(yesterday));
    asks(1);
    send(&dir, &keys(sink.port()), &dns.at(), &["a@far.test"]).expect_code(0);
    let today = std::fs::read_dir(dir.join("out/tlsrpt")).unwrap().flatten().next().unwrap().path();
    std::fs::rename(today, &day).unwrap();

    let asked = Arc::new(Mutex::new(Vec::new()));
    let answer = |code: &str| format!("HTTP/1.1 {code}\r\nContent-Length: 0\r\n\r\n");
    let job = |port: u16, code: i32| {
        asks(port);
        send(&dir, &keys(sink.port()), &dns.at(), &["--send-reports"]).expect_code(code);
        day.exists()
    };
    assert!(job(penny_testkit::free_port(), 75), "nobody there: it waits");
    assert!(
        job(web_listener(&stranger, &answer("200 OK"), asked.clone()), 75),
        "whoever that is, it is not the one named"
    );
    assert!(asked.lock().unwrap().is_empty(), "and was told nothing");
    assert!(job(web_host(&web, &answer("503 Later")), 75), "it is not taken");
    assert!(job(web_host(&web, &answer("301 Moved\r\nLocation: https://other.test/")), 75), "nobody else is asked");
    assert!(!job(web_listener(&web, &answer("201 Created"), asked.clone()), 0), "sent and removed");

    let [request] = asked.lock().unwrap().clone().try_into().unwrap();
    let at = request.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let (head, body) = (String::from_utf8_lossy(&request[..at]).into_owned(), &request[at + 4..]);
    assert!(head.starts_with("POST /tls?of=us HTTP/1."), "{head}");
    for line in ["\r\nHost: reports.test", "\r\nContent-Type: application/tlsrpt+gzip"] {
        assert!(head.contains(line), "{head}");
    }
    let file = dir.write("report.json.gz", body);
    let text = Run::new("/usr/bin/gzip").args(["-dc"]).arg(&file).run().expect_code(0).out();
    for part in ["\"policy-domain\":\"far.test\"", "starttls-not-supported", "T00:00:00Z\""] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn one_connection_with_tls_carries_several_messages() {
    if !have("one_connection_with_tls_carries_several_messages", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let cert = certificate(&dir, "a", "mx.far.test");
    let sink = Sink::start();
    let port = tls_host(&cert, sink.port(), Manner::Good);
    // two domains on one host, each with DANE
    let zone = zone(port, &[format!("3 1 1 {}", cert.spki)], true);
    let dns = DnsServer::start(zone, penny_testkit::dns::Quirks::default());
    let remote = format!("[remote]\nresolver = \"{}\"\nport = {port}\nidle = \"5m\"", dns.at());
    let post = support::Post::new("destination_concurrency = 1", &remote).up();
    post.send("ann@example.test", &["a@far.test"], "x");
    sink.wait(1);
    post.wait_empty();
    for n in 0..5 {
        post.send("ann@example.test", &[&format!("a{n}@far.test")], "x");
        post.send("ann@example.test", &[&format!("a{n}@near.test")], "x");
    }
    sink.wait(11);
    post.wait_empty();
    // the first message of a domain may find its site out too late to share
    assert!(sink.connections() <= 2, "{} connections", sink.connections());
    assert!(sink.mails().iter().filter(|m| m.connection == 0).count() >= 6, "{:?}", sink.lines());
}
