//! POP3: a whole mailbox, and logins.
use crate::imap::place;
use crate::net::{Conn, Res, connector};
use crate::util::{Args, Env, Out, Watch, sessions};
use std::time::Instant;

fn ok(c: &mut Conn, what: &str) -> Res<String> {
    let l = c.line()?;
    if l.starts_with(b"+OK") {
        Ok(String::from_utf8_lossy(l).trim().to_string())
    } else {
        Err(format!("{what}: {}", String::from_utf8_lossy(l).trim()))
    }
}

fn login(env: &Env, user: usize, tls: bool) -> Res<Conn> {
    let mut c = Conn::open(env.host(), env.port(if tls { "pop3s" } else { "pop3" })?)?;
    if tls {
        c.tls(connector())?;
    }
    ok(&mut c, "greeting")?;
    c.send(format!("USER {}\r\n", env.address(user)).as_bytes())?;
    ok(&mut c, "USER")?;
    c.send(format!("PASS pw-user{user}\r\n").as_bytes())?;
    ok(&mut c, "PASS")?;
    Ok(c)
}

pub fn run(env: &Env, a: &Args, out: &mut Out) -> Res<()> {
    let k = a.num("messages", 1000);
    let size = a.num("size", 4096);
    let user = a.num("user", 2);
    let tls = a.yes("tls");
    out.prefix = format!("pop3{}/k{k}/s{size}", if tls { "+tls" } else { "" });
    if env.opt("MAILDIR_OF_USER").is_some() {
        place(env, user, k, size)?;
    } else {
        crate::imap::deliver(env, user, k, size)?;
    }
    for state in ["cold", "warm"] {
        let w = Watch::start(env);
        let t = Instant::now();
        let mut c = login(env, user, tls)?.bulk();
        out.ms(&format!("{state}/login"), t.elapsed());
        let t = Instant::now();
        c.send(b"STAT\r\n")?;
        let l = ok(&mut c, "STAT")?;
        out.ms(&format!("{state}/stat"), t.elapsed());
        let n: usize = l.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        if n != k {
            return Err(format!("STAT shows {n} of {k}"));
        }
        for verb in ["UIDL", "LIST"] {
            let t = Instant::now();
            c.send(format!("{verb}\r\n").as_bytes())?;
            ok(&mut c, verb)?;
            c.multiline()?;
            out.ms(&format!("{state}/{}", verb.to_lowercase()), t.elapsed());
        }
        let t = Instant::now();
        let mut bytes = 0;
        for i in 1..=k {
            c.send(format!("RETR {i}\r\n").as_bytes())?;
            ok(&mut c, "RETR")?;
            bytes += c.multiline()?.1;
        }
        let s = t.elapsed().as_secs_f64();
        out.put(&format!("{state}/retr_rate"), k as f64 / s, "msg/s");
        out.put(&format!("{state}/retr_bytes"), bytes as f64 / 1e6 / s, "MB/s");
        c.send(b"QUIT\r\n")?;
        ok(&mut c, "QUIT")?;
        if state == "warm" {
            w.cpu(out, 1.0, "run");
        }
    }
    Ok(())
}

pub fn logins(env: &Env, a: &Args, out: &mut Out) -> Res<()> {
    let conns = a.num("conns", 10);
    let tls = a.yes("tls");
    out.prefix = format!("pop3-login{}/c{conns}", if tls { "+tls" } else { "" });
    sessions(env, out, conns, a.num("seconds", 5), |j| {
        move || {
            let mut c = login(env, j % env.users() + 1, tls)?;
            c.send(b"STAT\r\n")?;
            ok(&mut c, "STAT")?;
            c.send(b"QUIT\r\n")?;
            ok(&mut c, "QUIT").map(|_| ())
        }
    });
    Ok(())
}
