//! SMTP and LMTP injection, the built-in sink, the connection rate.
use crate::net::{Conn, Res, connector};
use crate::texts;
use crate::util::{Args, Env, Out, Watch, quantile, sessions};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

#[derive(Clone)]
pub struct Plan {
    pub via: String,
    pub tls: bool,
    pub auth: bool,
    pub pipelining: bool,
    pub per_conn: usize,
    pub rcpts: usize,
    pub size: usize,
    pub remote: bool,
}

impl Plan {
    /// Messages of `size` octets one a connection, without TLS or a login.
    pub fn plain(via: &str, size: usize) -> Plan {
        Plan { via: via.into(), tls: false, auth: false, pipelining: true, per_conn: 1, rcpts: 1, size, remote: false }
    }
}

pub fn b64(data: &[u8]) -> String {
    let mut s = String::new();
    for c in data.chunks(3) {
        let n =
            (u32::from(c[0]) << 16) | (u32::from(*c.get(1).unwrap_or(&0)) << 8) | u32::from(*c.get(2).unwrap_or(&0));
        for k in 0..4 {
            if k <= c.len() {
                s.push(texts::B64[(n >> (18 - 6 * k)) as usize & 63] as char);
            } else {
                s.push('=');
            }
        }
    }
    s
}

/// A session that is ready for MAIL.
pub fn session(env: &Env, p: &Plan, user: usize) -> Res<Conn> {
    let mut c = Conn::open(env.host(), env.port(&p.via)?)?;
    let implicit = p.via == "smtps";
    if implicit {
        c.tls(connector())?;
    }
    // a connection lost in a full listen queue would never be greeted
    c.set_timeout(Duration::from_secs(10));
    c.smtp_expect(2, "greeting")?;
    c.set_timeout(Duration::from_secs(120));
    let hello: &[u8] = if p.via == "lmtp" { b"LHLO bench.remote.test\r\n" } else { b"EHLO bench.remote.test\r\n" };
    c.send(hello)?;
    c.smtp_expect(2, "EHLO")?;
    if p.tls && !implicit {
        c.send(b"STARTTLS\r\n")?;
        c.smtp_expect(2, "STARTTLS")?;
        c.tls(connector())?;
        c.send(hello)?;
        c.smtp_expect(2, "EHLO")?;
    }
    if p.auth {
        let cred = b64(format!("\0{}\0pw-user{user}", env.address(user)).as_bytes());
        c.send(format!("AUTH PLAIN {cred}\r\n").as_bytes())?;
        c.smtp_expect(2, "AUTH")?;
    }
    Ok(c)
}

/// One message; `recipients` are full addresses.
pub fn transact(c: &mut Conn, p: &Plan, from: &str, recipients: &[String], body: &str) -> Res<()> {
    let mail = format!("MAIL FROM:<{from}>\r\n");
    // a server that does not offer it is served one command at a time
    if p.pipelining && c.pipelining {
        let mut s = mail;
        for r in recipients {
            s.push_str(&format!("RCPT TO:<{r}>\r\n"));
        }
        s.push_str("DATA\r\n");
        c.send(s.as_bytes())?;
        c.smtp_expect(2, "MAIL")?;
        for _ in recipients {
            c.smtp_expect(2, "RCPT")?;
        }
        c.smtp_expect(3, "DATA")?;
    } else {
        c.send(mail.as_bytes())?;
        c.smtp_expect(2, "MAIL")?;
        for r in recipients {
            c.send(format!("RCPT TO:<{r}>\r\n").as_bytes())?;
            c.smtp_expect(2, "RCPT")?;
        }
        c.send(b"DATA\r\n")?;
        c.smtp_expect(3, "DATA")?;
    }
    c.send(body.as_bytes())?;
    let answers = if p.via == "lmtp" { recipients.len() } else { 1 };
    for _ in 0..answers {
        c.smtp_expect(2, "end of data")?;
    }
    Ok(())
}

/// Message text ready for the wire, with the closing dot.
pub fn wire(i: usize, of: usize, size: usize, tag: &str) -> String {
    let mut m = texts::submitted(i, of, size, tag);
    m.push_str(".\r\n");
    m
}

pub struct Injected {
    pub started: Instant,
    pub accepted: Duration,
    pub lat: Vec<f64>,
    pub failures: u64,
}

/// Injects `conns * p.per_conn` messages over `conns` connections.
pub fn inject(env: &Env, p: &Plan, conns: usize) -> Res<Injected> {
    let total = conns * p.per_conn;
    let gate = Arc::new(Barrier::new(conns + 1));
    let lat = Arc::new(Mutex::new(Vec::new()));
    let failures = Arc::new(AtomicU64::new(0));
    let mut hs = Vec::new();
    let tag = format!(
        "t{}",
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map(|d| d.as_micros()).unwrap_or(0)
    );
    for k in 0..conns {
        let (env, p, gate, lat, failures, tag) =
            (env.clone(), p.clone(), gate.clone(), lat.clone(), failures.clone(), tag.clone());
        hs.push(std::thread::spawn(move || -> Res<()> {
            let users = env.users();
            let user = k % users + 1;
            // the texts are made before the clock starts
            let texts: Vec<String> =
                (0..p.per_conn.min(64)).map(|i| wire(k * p.per_conn + i, total, p.size, &tag)).collect();
            gate.wait();
            let from = if p.auth { env.address(user) } else { "sender@remote.test".to_string() };
            let mut mine = Vec::with_capacity(p.per_conn);
            let mut conn: Option<Conn> = None;
            for i in 0..p.per_conn {
                let n = k * p.per_conn + i;
                let rs: Vec<String> = (0..p.rcpts)
                    .map(|j| {
                        if p.remote {
                            format!("r{}@remote.test", (n * p.rcpts + j) % 1000)
                        } else {
                            env.address((n * p.rcpts + j) % users + 1)
                        }
                    })
                    .collect();
                let mut tries = 0;
                loop {
                    let t = Instant::now();
                    let mut c = match conn.take() {
                        Some(c) => c,
                        None => match session(&env, &p, user) {
                            Ok(c) => c,
                            Err(e) if tries < 20 => {
                                failures.fetch_add(1, Ordering::Relaxed);
                                tries += 1;
                                if tries == 1 {
                                    eprintln!("mailbench: {e}");
                                }
                                std::thread::sleep(Duration::from_millis(100));
                                continue;
                            }
                            Err(e) => return Err(e),
                        },
                    };
                    match transact(&mut c, &p, &from, &rs, &texts[i % texts.len()]) {
                        Ok(()) => {
                            mine.push(t.elapsed().as_secs_f64() * 1e3);
                            conn = Some(c);
                            break;
                        }
                        // a closed or refusing session: count it and go on with a new one
                        Err(e) if tries < 20 => {
                            failures.fetch_add(1, Ordering::Relaxed);
                            tries += 1;
                            if tries == 1 {
                                eprintln!("mailbench: {e}");
                            }
                        }
                        Err(e) => return Err(e),
                    }
                }
            }
            if let Some(mut c) = conn {
                c.send(b"QUIT\r\n")?;
                let _ = c.smtp_reply();
            }
            if let Ok(mut l) = lat.lock() {
                l.extend(mine);
            }
            Ok(())
        }));
    }
    gate.wait();
    let started = Instant::now();
    for h in hs {
        h.join().map_err(|_| "a worker panicked".to_string())??;
    }
    let accepted = started.elapsed();
    let lat = lat.lock().map(|l| l.clone()).unwrap_or_default();
    Ok(Injected { started, accepted, lat, failures: failures.load(Ordering::Relaxed) })
}

/// Messages in `new` and `cur` of one Maildir.
pub fn count_maildir(dir: &str) -> usize {
    ["new", "cur"]
        .iter()
        .map(|s| {
            std::fs::read_dir(format!("{dir}/{s}"))
                .map(|d| d.filter(|e| e.as_ref().is_ok_and(|e| e.file_name().as_encoded_bytes()[0] != b'.')).count())
                .unwrap_or(0)
        })
        .sum()
}

/// Messages in the inboxes of all users: in the Maildirs, or by IMAP STATUS where
/// the store is not Maildir.
pub fn count_all(env: &Env) -> Res<usize> {
    if env.opt("MAILDIR_OF_USER").is_some() {
        return (1..=env.users()).map(|u| env.maildir(u).map(|d| count_maildir(&d))).sum();
    }
    let mut n = 0;
    for u in 1..=env.users() {
        let mut c = crate::imap::Imap::login(env, u, false)?;
        n += c.status_messages("INBOX")?;
        c.logout();
    }
    Ok(n)
}

pub fn wait_present(env: &Env, want: usize, limit: Duration) -> Res<usize> {
    let t = Instant::now();
    let slow = env.opt("MAILDIR_OF_USER").is_none();
    loop {
        let n = count_all(env)?;
        if n >= want || t.elapsed() > limit {
            return Ok(n);
        }
        std::thread::sleep(Duration::from_millis(if slow { 200 } else { 10 }));
    }
}

fn plan(a: &Args) -> Plan {
    let via = a.str("via", "smtp");
    let auth = a.yes("auth") || via == "submission" || via == "smtps";
    Plan {
        tls: a.yes("tls"),
        auth,
        pipelining: !a.yes("no-pipelining"),
        rcpts: a.num("rcpts", 1),
        ..Plan::plain(&via, a.num("size", 4096))
    }
}

fn label(p: &Plan, conns: usize) -> String {
    format!(
        "{}{}{}/c{}/s{}{}",
        p.via,
        if p.tls && p.via != "smtps" { "+tls" } else { "" },
        if p.pipelining { "" } else { "-nopipe" },
        conns,
        p.size,
        if p.rcpts > 1 { format!("/r{}", p.rcpts) } else { String::new() }
    )
}

pub fn smtp_in(env: &Env, a: &Args, out: &mut Out) -> Res<()> {
    let mut p = plan(a);
    let conns = a.num("conns", 10);
    p.per_conn = (a.num("total", 2000) / conns).max(1);
    let total = conns * p.per_conn;
    out.prefix = format!("smtp-in/{}", label(&p, conns));
    let before = count_all(env)?;
    let w = Watch::start(env);
    let mut r = inject(env, &p, conns)?;
    let want = before + total * p.rcpts;
    let n = wait_present(env, want, Duration::from_secs(a.num("limit", 120) as u64))?;
    let all = r.started.elapsed().as_secs_f64();
    out.put("accept_rate", total as f64 / r.accepted.as_secs_f64(), "msg/s");
    out.put("delivered_rate", (n.saturating_sub(before)) as f64 / all, "deliveries/s");
    out.put("accept_p50", quantile(&mut r.lat, 0.5), "ms");
    out.put("accept_p99", quantile(&mut r.lat, 0.99), "ms");
    w.cpu(out, total as f64, "msg");
    out.wrong("refusals", r.failures);
    if n != want {
        out.put("missing", want as f64 - n as f64, "deliveries");
    }
    Ok(())
}

pub struct Sink {
    pub got: Arc<AtomicU64>,
    pub conns: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    port: u16,
}
impl Sink {
    pub fn start(port: u16) -> Res<Sink> {
        let l = TcpListener::bind(("127.0.0.1", port)).map_err(|e| format!("sink: port {port}: {e}"))?;
        let s = Sink { got: Arc::default(), conns: Arc::default(), stop: Arc::default(), port };
        let (got, conns, stop) = (s.got.clone(), s.conns.clone(), s.stop.clone());
        std::thread::spawn(move || {
            for c in l.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                conns.fetch_add(1, Ordering::Relaxed);
                let got = got.clone();
                std::thread::spawn(move || {
                    let _ = serve(c, &got);
                });
            }
        });
        Ok(s)
    }
}
impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(c: TcpStream, got: &AtomicU64) -> std::io::Result<()> {
    c.set_nodelay(true)?;
    let mut w = c.try_clone()?;
    let mut r = BufReader::with_capacity(64 * 1024, c);
    w.write_all(b"220 sink.remote.test ESMTP\r\n")?;
    let mut l = Vec::new();
    let mut answer = Vec::new();
    let mut rcpts = 0;
    loop {
        // answers of a pipelined group leave together
        if !answer.is_empty() && r.buffer().is_empty() {
            w.write_all(&answer)?;
            answer.clear();
        }
        l.clear();
        if r.read_until(b'\n', &mut l)? == 0 {
            return Ok(());
        }
        let verb: Vec<u8> = l.iter().take(4).map(u8::to_ascii_uppercase).collect();
        match &verb[..] {
            b"EHLO" | b"LHLO" => answer.extend_from_slice(
                b"250-sink.remote.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0\r\n",
            ),
            b"RCPT" => {
                rcpts += 1;
                answer.extend_from_slice(b"250 2.1.5 ok\r\n");
            }
            b"DATA" => {
                answer.extend_from_slice(b"354 go\r\n");
                w.write_all(&answer)?;
                answer.clear();
                loop {
                    l.clear();
                    if r.read_until(b'\n', &mut l)? == 0 {
                        return Ok(());
                    }
                    if l == b".\r\n" {
                        break;
                    }
                }
                got.fetch_add(rcpts, Ordering::Release);
                rcpts = 0;
                answer.extend_from_slice(b"250 2.0.0 taken\r\n");
            }
            b"RSET" => {
                rcpts = 0;
                answer.extend_from_slice(b"250 ok\r\n");
            }
            b"QUIT" => {
                answer.extend_from_slice(b"221 bye\r\n");
                w.write_all(&answer)?;
                return Ok(());
            }
            _ => answer.extend_from_slice(b"250 2.0.0 ok\r\n"),
        }
    }
}

pub fn smtp_relay(env: &Env, a: &Args, out: &mut Out) -> Res<()> {
    let mut p = plan(a);
    p.remote = true;
    let conns = a.num("conns", 10);
    p.per_conn = (a.num("total", 2000) / conns).max(1);
    let total = conns * p.per_conn;
    out.prefix = format!("smtp-relay/{}", label(&p, conns));
    let sink = Sink::start(env.port("sink")?)?;
    let w = Watch::start(env);
    let r = inject(env, &p, conns)?;
    let want = (total * p.rcpts) as u64;
    let limit = Duration::from_secs(a.num("limit", 120) as u64);
    while sink.got.load(Ordering::Acquire) < want && r.started.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(2));
    }
    let all = r.started.elapsed().as_secs_f64();
    let got = sink.got.load(Ordering::Acquire);
    out.put("accept_rate", total as f64 / r.accepted.as_secs_f64(), "msg/s");
    out.put("end_to_end_rate", got as f64 / all, "deliveries/s");
    out.put("sink_connections", sink.conns.load(Ordering::Relaxed) as f64, "count");
    w.cpu(out, total as f64, "msg");
    out.wrong("refusals", r.failures);
    if got != want {
        out.put("missing", want as f64 - got as f64, "deliveries");
    }
    Ok(())
}

pub fn conn_rate(env: &Env, a: &Args, out: &mut Out) -> Res<()> {
    let conns = a.num("conns", 10);
    let p = Plan { tls: a.yes("tls"), ..Plan::plain(&a.str("via", "smtp"), 0) };
    out.prefix = format!("conn-rate/{}{}/c{conns}", p.via, if p.tls { "+tls" } else { "" });
    sessions(env, out, conns, a.num("seconds", 5), |_| {
        || {
            let mut c = session(env, &p, 1)?;
            c.send(b"QUIT\r\n")?;
            c.smtp_expect(2, "QUIT")
        }
    });
    Ok(())
}
