//! The IMAP stopwatch.
use crate::net::{Conn, Res, connector};
use crate::smtp;
use crate::texts;
use crate::util::{Args, Env, Out, Procs, Watch, median, pss, quantile, sessions};
use std::fs;
use std::os::unix::fs as ufs;
use std::time::{Duration, Instant};

pub struct Imap {
    pub c: Conn,
    n: usize,
    pub caps: String,
    procs: Procs,
}

#[derive(Default)]
pub struct Resp {
    pub untagged: usize,
    pub fetches: usize,
    pub exists: Option<usize>,
    pub hits: usize,
    pub literal_bytes: u64,
    pub took: Duration,
    /// CPU seconds the server used meanwhile.
    pub cpu: f64,
    pub tagged: String,
}

fn literal(l: &[u8]) -> Option<usize> {
    let l = l.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let i = memchr::memrchr(b'{', l)?;
    std::str::from_utf8(&l[i + 1..]).ok()?.trim_start_matches('~').parse().ok()
}

impl Imap {
    pub fn open(env: &Env, tls: bool) -> Res<Imap> {
        let mut c = Conn::open(env.host(), env.port(if tls { "imaps" } else { "imap" })?)?;
        if tls {
            c.tls(connector())?;
        }
        c.line()?;
        Ok(Imap { c, n: 0, caps: String::new(), procs: env.procs() })
    }
    pub fn login(env: &Env, user: usize, tls: bool) -> Res<Imap> {
        let mut i = Imap::open(env, tls)?;
        i.cmd(&format!("LOGIN {} pw-user{user}", env.address(user)))?;
        Ok(i)
    }
    /// Reads answers up to the tagged one.
    pub fn finish(&mut self, tag: &str) -> Res<Resp> {
        let mut r = Resp::default();
        loop {
            let mut lit;
            {
                let l = self.c.line()?;
                if l.starts_with(tag.as_bytes()) {
                    r.tagged = String::from_utf8_lossy(&l[tag.len()..]).trim().to_string();
                    if !r.tagged.starts_with("OK") {
                        return Err(format!("answered {}", r.tagged));
                    }
                    return Ok(r);
                }
                if l.starts_with(b"* ") {
                    r.untagged += 1;
                    let mut w = l[2..].split(|b| *b == b' ' || *b == b'\r');
                    let first = w.next().unwrap_or(b"");
                    match (first, w.next().unwrap_or(b"")) {
                        (_, b"FETCH") => r.fetches += 1,
                        (n, b"EXISTS") => r.exists = std::str::from_utf8(n).ok().and_then(|s| s.parse().ok()),
                        (b"SEARCH" | b"SORT", _) => {
                            r.hits += l
                                .split(|b| *b == b' ')
                                .skip(2)
                                .filter(|w| w.first().is_some_and(u8::is_ascii_digit))
                                .count()
                        }
                        (b"CAPABILITY", _) => self.caps = String::from_utf8_lossy(l).trim().to_string(),
                        (b"THREAD", _) => r.hits += memchr::memchr_iter(b'(', l).count(),
                        _ => {}
                    }
                }
                lit = literal(l);
            }
            while let Some(n) = lit {
                r.literal_bytes += n as u64;
                self.c.skip(n)?;
                lit = literal(self.c.line()?);
            }
        }
    }
    pub fn cmd(&mut self, text: &str) -> Res<Resp> {
        self.n += 1;
        let tag = format!("b{} ", self.n);
        let cpu = self.procs.cpu();
        let t = Instant::now();
        self.c.send(format!("{tag}{text}\r\n").as_bytes())?;
        let verb = text.split(' ').take(3).collect::<Vec<_>>().join(" ");
        let mut r = self.finish(&tag).map_err(|e| format!("{verb}: {e}"))?;
        r.took = t.elapsed();
        r.cpu = self.procs.cpu() - cpu;
        Ok(r)
    }
    pub fn append(&mut self, mailbox: &str, flags: &str, body: &str) -> Res<()> {
        self.n += 1;
        let tag = format!("b{} ", self.n);
        self.c.send(format!("{tag}APPEND {mailbox} {flags} {{{}}}\r\n", body.len()).as_bytes())?;
        loop {
            let l = self.c.line()?;
            if l.starts_with(b"+") {
                break;
            }
            if !l.starts_with(b"* ") {
                return Err(format!("APPEND: {}", String::from_utf8_lossy(l).trim()));
            }
        }
        self.c.send(body.as_bytes())?;
        self.c.send(b"\r\n")?;
        self.finish(&tag).map(|_| ())
    }
    pub fn status_messages(&mut self, mailbox: &str) -> Res<usize> {
        self.n += 1;
        let tag = format!("b{} ", self.n);
        self.c.send(format!("{tag}STATUS {mailbox} (MESSAGES)\r\n").as_bytes())?;
        let mut n = 0;
        loop {
            let l = self.c.line()?;
            let s = String::from_utf8_lossy(l);
            if l.starts_with(tag.as_bytes()) {
                return Ok(n);
            }
            if let Some(i) = s.find("(MESSAGES ") {
                n = s[i + 10..].trim().trim_end_matches(')').parse().unwrap_or(0);
            }
        }
    }
    pub fn idle(&mut self) -> Res<()> {
        self.c.send(b"idle IDLE\r\n")?;
        loop {
            if self.c.line()?.starts_with(b"+") {
                return Ok(());
            }
        }
    }
    pub fn done(&mut self) -> Res<()> {
        self.c.send(b"DONE\r\n")?;
        self.finish("idle ").map(|_| ())
    }
    pub fn logout(mut self) {
        let _ = self.cmd("LOGOUT");
    }
}

/// Files `n` messages straight into a fresh Maildir, as a migration would; one in
/// ten is unseen.
pub fn place(env: &Env, user: usize, n: usize, size: usize) -> Res<()> {
    let dir = env.maildir(user)?;
    let err = |e: std::io::Error| format!("{dir}: {e}");
    if fs::metadata(&dir).is_ok() {
        for e in fs::read_dir(&dir).map_err(err)?.flatten() {
            let p = e.path();
            let _ = if e.file_type().is_ok_and(|t| t.is_dir()) { fs::remove_dir_all(&p) } else { fs::remove_file(&p) };
        }
    }
    let (uid, gid) = env.owner();
    for d in ["cur", "new", "tmp"] {
        fs::create_dir_all(format!("{dir}/{d}")).map_err(err)?;
    }
    let own = |p: &str| ufs::chown(p, Some(uid), Some(gid)).map_err(|e| format!("{p}: {e}"));
    let home = dir.rsplit_once('/').map(|x| x.0.to_string()).unwrap_or_default();
    own(&home)?;
    own(&dir)?;
    for d in ["cur", "new", "tmp"] {
        own(&format!("{dir}/{d}"))?;
    }
    for i in 0..n {
        let t = texts::stamp(i, n);
        let p = format!("{dir}/cur/{t}.M{i:06}P1Q{i}.bench:2,{}", if i % 10 == 9 { "" } else { "S" });
        // a Maildir keeps bare line feeds
        let m = texts::message(i, n, size, "placed").replace("\r\n", "\n");
        let err = |e: std::io::Error| format!("{p}: {e}");
        fs::write(&p, m).map_err(err)?;
        own(&p)?;
        let time = std::time::UNIX_EPOCH + Duration::from_secs(t as u64);
        let file = fs::File::options().write(true).open(&p).map_err(err)?;
        file.set_times(fs::FileTimes::new().set_accessed(time).set_modified(time)).map_err(err)?;
    }
    Ok(())
}

/// Brings `n` messages in through LMTP (or SMTP), so that the server indexes them
/// its own way.
pub fn deliver(env: &Env, user: usize, n: usize, size: usize) -> Res<()> {
    let mut m = Imap::login(env, user, false)?;
    if m.cmd("SELECT INBOX")?.exists.unwrap_or(0) > 0 {
        m.cmd("STORE 1:* +FLAGS.SILENT (\\Deleted)")?;
        m.cmd("EXPUNGE")?;
    }
    m.logout();
    let via = if env.port("lmtp").is_ok() { "lmtp" } else { "smtp" };
    let p = smtp::Plan::plain(via, size);
    let mut c = smtp::session(env, &p, user)?;
    let to = [env.address(user)];
    for i in 0..n {
        smtp::transact(&mut c, &p, "sender@remote.test", &to, &smtp::wire(i, n, size, "placed"))?;
    }
    c.send(b"QUIT\r\n")?;
    let mut m = Imap::login(env, user, false)?;
    let t = Instant::now();
    while m.status_messages("INBOX")? < n && t.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(100));
    }
    m.logout();
    Ok(())
}

fn fill(env: &Env, how: &str, user: usize, n: usize, size: usize) -> Res<()> {
    match how {
        "place" if env.opt("MAILDIR_OF_USER").is_some() => place(env, user, n, size),
        "append" => {
            let mut i = Imap::login(env, user, false)?;
            for k in 0..n {
                i.append("INBOX", if k % 10 == 9 { "()" } else { "(\\Seen)" }, &texts::message(k, n, size, "placed"))?;
            }
            i.logout();
            Ok(())
        }
        _ => deliver(env, user, n, size),
    }
}

fn drop_caches() {
    let _ = std::process::Command::new("sync").status();
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
}

/// The whole list of commands over one mailbox.
pub fn mailbox(env: &Env, a: &Args, out: &mut Out) -> Res<()> {
    let k = a.num("messages", 10_000);
    let size = a.num("size", 4096);
    let user = a.num("user", 1);
    let how = a.str("prepare", "place");
    let tls = a.yes("tls");
    let only_open = a.yes("only-open");
    out.prefix = format!("imap/{how}{}/k{k}/s{size}", if tls { "+tls" } else { "" });
    fill(env, &how, user, k, size)?;
    if a.yes("drop-caches") {
        drop_caches();
    }
    let w = Watch::start(env);
    for state in ["cold", "warm"] {
        let mut i = Imap::open(env, tls)?;
        i.c = i.c.bulk();
        let r = i.cmd(&format!("LOGIN {} pw-user{user}", env.address(user)))?;
        out.command(&format!("{state}/login"), &r);
        i.cmd("CAPABILITY")?;
        let r = i.cmd("SELECT INBOX")?;
        out.command(&format!("{state}/select"), &r);
        let n = r.exists.unwrap_or(0);
        if n != k {
            return Err(format!("SELECT shows {n} messages of {k}"));
        }
        let mut fetch = |name: &str, items: &str| -> Res<()> {
            let r = i.cmd(&format!("FETCH 1:* {items}"))?;
            if r.fetches != k {
                return Err(format!("FETCH {items}: {} answers of {k}", r.fetches));
            }
            out.command(&format!("{state}/{name}"), &r);
            if name == "fetch_body" {
                out.put(
                    &format!("{state}/fetch_body_rate"),
                    r.literal_bytes as f64 / 1e6 / r.took.as_secs_f64(),
                    "MB/s",
                );
            }
            Ok(())
        };
        fetch("fetch_flags", "(FLAGS)")?;
        fetch("fetch_list", "(UID FLAGS INTERNALDATE RFC822.SIZE)")?;
        if !only_open {
            fetch("fetch_envelope", "(ENVELOPE)")?;
            fetch("fetch_headers", "(BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID)])")?;
            fetch("fetch_structure", "(BODYSTRUCTURE)")?;
            fetch("fetch_body", "(BODY.PEEK[])")?;
        }
        i.logout();
    }
    let mut i = Imap::open(env, tls)?;
    i.c = i.c.bulk();
    i.cmd(&format!("LOGIN {} pw-user{user}", env.address(user)))?;
    i.cmd("CAPABILITY")?;
    i.cmd("SELECT INBOX")?;
    if !only_open {
        let since = texts::imap_date(texts::stamp(k * 9 / 10, k));
        let sc = i.caps.clone();
        let searches: Vec<(&str, String, Option<usize>)> = vec![
            ("search_all", "SEARCH ALL".into(), Some(k)),
            ("search_unseen", "SEARCH UNSEEN".into(), None),
            ("search_since", format!("SEARCH SINCE {since}"), None),
            ("search_sentsince", format!("SEARCH SENTSINCE {since}"), None),
            ("search_subject", "SEARCH SUBJECT xyzzysubject".into(), Some(k / 100)),
            ("search_subject_again", "SEARCH SUBJECT xyzzysubject".into(), Some(k / 100)),
            ("search_from", "SEARCH FROM sender42@remote.test".into(), None),
            ("search_body", "SEARCH BODY xyzzybody".into(), Some(k / 100)),
            ("search_body_again", "SEARCH BODY xyzzybody".into(), Some(k / 100)),
            ("search_text", "SEARCH TEXT xyzzysubject".into(), Some(k / 100)),
            ("search_body_miss", "SEARCH BODY xyzzynowhere".into(), Some(0)),
            ("sort_date", "SORT (DATE) UTF-8 ALL".into(), Some(k)),
            ("sort_subject", "SORT (SUBJECT) UTF-8 ALL".into(), Some(k)),
            ("thread_references", "THREAD REFERENCES UTF-8 ALL".into(), None),
        ];
        for (name, text, want) in searches {
            if name.starts_with("sort") && !sc.contains("SORT")
                || name.starts_with("thread") && !sc.contains("THREAD=REFERENCES")
            {
                continue;
            }
            match i.cmd(&text) {
                Ok(r) => {
                    out.command(name, &r);
                    if want.is_some_and(|x| x != r.hits) && how != "deliver" {
                        out.put(&format!("{name}_wrong_hits"), r.hits as f64, "count");
                    }
                }
                Err(e) => eprintln!("mailbench: {e}"),
            }
        }
        let m = 1000.min(k / 2);
        let r = i.cmd(&format!("STORE 1:{m} +FLAGS (\\Flagged)"))?;
        out.command("store_1000", &r);
        let r = i.cmd(&format!("STORE 1:{m} -FLAGS.SILENT (\\Flagged)"))?;
        out.command("store_1000_silent", &r);
        let t = Instant::now();
        for n in 0..200 {
            i.cmd(&format!("STORE {} +FLAGS (\\Answered)", n * (k / 250).max(1) % k + 1))?;
        }
        out.put("store_single_rate", 200.0 / t.elapsed().as_secs_f64(), "ops/s");
        let _ = i.cmd("CREATE bench-copy").or_else(|_| i.cmd("CREATE INBOX.bench-copy"));
        let target = if i.cmd("STATUS bench-copy (MESSAGES)").is_ok() { "bench-copy" } else { "INBOX.bench-copy" };
        let texts: Vec<String> = (0..50).map(|n| texts::message(n, 50, size, "appended")).collect();
        let t = Instant::now();
        for n in 0..200 {
            i.append(target, "(\\Seen)", &texts[n % 50])?;
        }
        out.put("append_rate", 200.0 / t.elapsed().as_secs_f64(), "msg/s");
        let r = i.cmd(&format!("COPY 1:{m} {target}"))?;
        out.command("copy_1000", &r);
        if sc.contains("MOVE") {
            let r = i.cmd(&format!("MOVE 1:{m} {target}"))?;
            out.command("move_1000", &r);
        }
        let m = m.min(k - m);
        i.cmd(&format!("STORE 1:{m} +FLAGS.SILENT (\\Deleted)"))?;
        let r = i.cmd("EXPUNGE")?;
        out.command("expunge_1000", &r);
    }
    i.logout();
    w.cpu(out, 1.0, "run");
    Ok(())
}

/// Idle latency: from the end of data to `EXISTS` at an idling client.
pub fn idle_latency(env: &Env, a: &Args, out: &mut Out) -> Res<()> {
    let rounds = a.num("rounds", 20);
    // a way that takes long ends when this many seconds are spent
    let budget = a.num("budget", 60) as f64;
    let user = a.num("user", 1);
    out.prefix = "imap-idle".into();
    let mut ways: Vec<&str> = ["smtp", "lmtp"].into_iter().filter(|way| env.port(way).is_ok()).collect();
    if env.opt("MAILDIR_OF_USER").is_some() {
        ways.push("drop");
    }
    if let Ok(d) = env.maildir(user)
        && fs::metadata(format!("{d}/new")).is_err()
    {
        place(env, user, 10, 2000)?;
    }
    for way in ways {
        let mut v = Vec::new();
        let t0 = Instant::now();
        let mut i = Imap::login(env, user, false)?;
        i.cmd("SELECT INBOX")?;
        i.c.set_timeout(Duration::from_secs_f64(budget.max(2.0)));
        for n in 0..rounds {
            i.idle()?;
            // the server's watch is in place some time after the "+"
            std::thread::sleep(Duration::from_millis(150));
            let t;
            if way == "drop" {
                let d = env.maildir(user)?;
                let name = format!(
                    "{}.M{}P2Q{n}.bench",
                    std::time::SystemTime::now()
                        .duration_since(std::time::UNIX_EPOCH)
                        .map(|d| d.as_secs())
                        .unwrap_or(0),
                    n
                );
                let tmp = format!("{d}/tmp/{name}");
                fs::write(&tmp, texts::message(n, rounds, 2000, "dropped").replace("\r\n", "\n"))
                    .map_err(|e| e.to_string())?;
                let (u, g) = env.owner();
                ufs::chown(&tmp, Some(u), Some(g)).map_err(|e| e.to_string())?;
                t = Instant::now();
                fs::rename(&tmp, format!("{d}/new/{name}")).map_err(|e| e.to_string())?;
            } else {
                let p = smtp::Plan::plain(way, 2000);
                let mut c = smtp::session(env, &p, user)?;
                let body = smtp::wire(n, rounds, 2000, "idle");
                t = Instant::now();
                smtp::transact(&mut c, &p, "sender@remote.test", &[env.address(user)], &body)?;
            }
            let seen = loop {
                match i.c.line() {
                    Ok(l) if l.windows(6).any(|w| w == b"EXISTS") => break true,
                    Ok(_) => {}
                    Err(_) => break false,
                }
            };
            // one that stays silent counts with the time it was given
            v.push(t.elapsed().as_secs_f64() * 1e3);
            if !seen {
                break;
            }
            i.done()?;
            if t0.elapsed().as_secs_f64() > budget {
                break;
            }
        }
        drop(i);
        out.put(&format!("{way}/p50"), quantile(&mut v, 0.5), "ms");
        out.put(&format!("{way}/max"), quantile(&mut v, 1.0), "ms");
    }
    Ok(())
}

/// Memory for each idling connection.
pub fn idle_memory(env: &Env, a: &Args, out: &mut Out) -> Res<()> {
    let n = a.num("conns", 200).min(env.users() * 10);
    let tls = a.yes("tls");
    let k = a.num("messages", 0);
    out.prefix = format!(
        "imap-idle-mem{}/c{n}{}",
        if tls { "+tls" } else { "" },
        if k > 0 { format!("/k{k}") } else { String::new() }
    );
    let users = env.users().min(if k > 0 { n.div_ceil(10) } else { usize::MAX });
    if env.opt("MAILDIR_OF_USER").is_some() && k > 0 {
        for u in 1..=users {
            place(env, u, k, 2000)?;
        }
    }
    let open = |u: usize| -> Res<Imap> {
        let mut i = Imap::login(env, u, tls)?;
        i.cmd("SELECT INBOX")?;
        Ok(i)
    };
    for u in 1..=users.min(n) {
        open(u)?.logout();
    }
    let mut first = open(1)?;
    first.idle()?;
    std::thread::sleep(Duration::from_millis(1500));
    let (p0, u0, n0) = pss(&env.procs());
    let mut held = Vec::new();
    for j in 0..n - 1 {
        let mut i = open(j % users + 1)?;
        i.idle()?;
        held.push(i);
    }
    std::thread::sleep(Duration::from_millis(1500));
    let (p1, u1, n1) = pss(&env.procs());
    let m = (n - 1) as f64;
    out.put("pss_per_conn", (p1 as f64 - p0 as f64) / m, "KiB");
    out.put("private_per_conn", (u1 as f64 - u0 as f64) / m, "KiB");
    out.put("processes_per_conn", (n1 as f64 - n0 as f64) / m, "count");
    out.put("pss_total", p1 as f64, "KiB");
    out.put("pss_at_rest", p0 as f64, "KiB");
    Ok(())
}

/// Logins a second, or short sessions a second with `--session`.
pub fn logins(env: &Env, a: &Args, out: &mut Out) -> Res<()> {
    let conns = a.num("conns", 10);
    let tls = a.yes("tls");
    let full = a.yes("session");
    let k = a.num("messages", 200);
    let size = a.num("size", 4096);
    out.prefix =
        format!("{}{}/c{conns}", if full { "imap-session" } else { "imap-login" }, if tls { "+tls" } else { "" });
    if full {
        for u in 1..=conns.min(env.users()) {
            fill(env, "place", u, k, size)?;
        }
    }
    let mut took = sessions(env, out, conns, a.num("seconds", 5), |j| {
        let user = j % env.users() + 1;
        let mut r = texts::Rng::new(j as u64 + 77);
        move || {
            let mut i = Imap::login(env, user, tls)?;
            if full {
                i.cmd("SELECT INBOX")?;
                i.cmd("FETCH 1:* (UID FLAGS)")?;
                i.cmd(&format!("FETCH {}:* (ENVELOPE BODYSTRUCTURE RFC822.SIZE)", k - 19))?;
                for _ in 0..5 {
                    i.cmd(&format!("FETCH {} (BODY.PEEK[])", r.next() as usize % k + 1))?;
                }
                i.cmd(&format!("STORE {} FLAGS (\\Seen \\Answered)", r.next() as usize % k + 1))?;
                i.cmd("SEARCH UNSEEN")?;
            }
            i.cmd("LOGOUT").map(|_| ())
        }
    });
    out.put("p50", median(&mut took), "ms");
    out.put("p99", quantile(&mut took, 0.99), "ms");
    Ok(())
}
