//! mailbench: load generator and stopwatch for mail servers.
mod imap;
mod net;
mod pop3;
mod smtp;
mod texts;
mod util;

use util::{Args, Env, Out};

const USAGE: &str = "usage: mailbench COMMAND --env DIR/env [--peer NAME] [--rep N] [options]
  smtp-in      --via smtp|submission|smtps|lmtp --conns N --total M --size S --rcpts R
               [--tls] [--auth] [--no-pipelining]    into the Maildirs
  smtp-relay   the same options                      out to the built-in sink
  conn-rate    --conns N --seconds T [--tls] [--via smtp]
  imap         --messages K --size S --prepare place|deliver|append [--user U]
               [--tls] [--only-open] [--drop-caches]
  imap-idle    --rounds N                            notification latency
  imap-memory  --conns N [--tls] [--messages K]      memory of idle connections
  imap-login   --conns N --seconds T [--tls] [--session]
  pop3         --messages K --size S [--tls]
  pop3-login   --conns N --seconds T [--tls]
  place        --user U --messages K --size S        only fill a Maildir
  sink         --port P                              only the sink; prints a count a second
  pss          print the memory of the instance
Prints JSON lines.";

fn main() {
    let v: Vec<String> = std::env::args().skip(1).collect();
    let Some(cmd) = v.first() else {
        eprintln!("{USAGE}");
        std::process::exit(2)
    };
    if cmd == "--help" || cmd == "help" {
        println!("{USAGE}");
        return;
    }
    if let Err(e) = run(cmd, &v[1..]) {
        eprintln!("mailbench: {cmd}: {e}");
        std::process::exit(1);
    }
}

fn run(cmd: &str, rest: &[String]) -> net::Res<()> {
    let a = Args::parse(rest)?;
    if cmd == "sink" {
        let s = smtp::Sink::start(a.num("port", 22525) as u16)?;
        loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
            println!("{}", s.got.load(std::sync::atomic::Ordering::Relaxed));
        }
    }
    let env = Env::load(&a.str("env", "env"))?;
    let peer = a.str("peer", env.opt("PEER").unwrap_or("unknown"));
    let mut out = Out { peer, prefix: String::new(), rep: a.num("rep", 1) };
    match cmd {
        "smtp-in" => smtp::smtp_in(&env, &a, &mut out),
        "smtp-relay" => smtp::smtp_relay(&env, &a, &mut out),
        "conn-rate" => smtp::conn_rate(&env, &a, &mut out),
        "imap" => imap::mailbox(&env, &a, &mut out),
        "imap-idle" => imap::idle_latency(&env, &a, &mut out),
        "imap-memory" => imap::idle_memory(&env, &a, &mut out),
        "imap-login" => imap::logins(&env, &a, &mut out),
        "pop3" => pop3::run(&env, &a, &mut out),
        "pop3-login" => pop3::logins(&env, &a, &mut out),
        "place" => imap::place(&env, a.num("user", 1), a.num("messages", 1000), a.num("size", 4096)),
        "pss" => {
            let (p, u, n) = util::pss(&env.procs());
            out.prefix = "memory".into();
            out.put("pss", p as f64, "KiB");
            out.put("private", u as f64, "KiB");
            out.put("processes", n as f64, "count");
            Ok(())
        }
        _ => Err(format!("no such command\n{USAGE}")),
    }
}
