//! `pennypost status`: what runs, what waits, how fast it goes; `pennypost top` the same again and again.

use crate::logs::Source;
use crate::summary::Stats;
use crate::table::{columns, octets, say};
use clap::Args;
use penny_base::{Config, Failure, Outcome};
use penny_queue::json::Object;
use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// What to show.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    source: Source,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// How often.
#[derive(Debug, Args)]
pub struct Top {
    #[command(flatten)]
    source: Source,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Looks; 0 goes on until it is stopped.
    #[arg(long, default_value_t = 0)]
    count: u32,
}

/// One service.
pub struct Service {
    /// Its name.
    pub name: String,
    /// Socket or address.
    pub place: String,
    /// Why it does not answer.
    pub wrong: Option<String>,
}

/// Numbers of the queue.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Not yet taken.
    pub new: u64,
    /// Taken, held ones included.
    pub active: u64,
    /// Held.
    pub held: u64,
    /// Set aside.
    pub corrupt: u64,
    /// Age of the oldest in seconds.
    pub oldest: u64,
}

/// The resident services and every address to listen on.
pub fn services(config: &Config) -> Vec<Service> {
    let mut out = Vec::new();
    for name in ["spawn", "lookup", "enqueue", "qrun"] {
        let place = config.socket(name);
        let wrong = if name == "spawn" {
            penny_sys::net::connect_packets(&place).err()
        } else {
            UnixStream::connect(&place).err()
        };
        let wrong = wrong.map(|e| e.to_string());
        out.push(Service { name: name.into(), place: place.display().to_string(), wrong });
    }
    out.extend(config.listen.iter().filter(|l| !l.address.starts_with("fd:")).map(|l| Service {
        name: l.name.clone(),
        place: l.address.clone(),
        wrong: connect(&l.address).err().map(|e| e.to_string()),
    }));
    out
}

/// Connects to where a service listens; the wildcard is asked on loopback.
pub fn connect(address: &str) -> std::io::Result<TcpStream> {
    let address = address.replace("[::]:", "localhost:").replace("0.0.0.0:", "127.0.0.1:").replace("*:", "localhost:");
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    for place in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&place, Duration::from_secs(5)) {
            Ok(socket) => return Ok(socket),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Counts files; None where this user may not look.
pub fn waiting(config: &Config) -> Option<Waiting> {
    let dir = |name: &str| std::fs::read_dir(config.paths.queue.join(name)).ok();
    let mut w = Waiting::default();
    let now = penny_sys::time::now().as_secs();
    for (name, files) in [("new", dir("new")?), ("cur", dir("cur")?), ("corrupt", dir("corrupt")?)] {
        for file in files.flatten() {
            let file = file.file_name().to_string_lossy().into_owned();
            match name {
                "new" => w.new += 1,
                "cur" => w.active += 1,
                _ => w.corrupt += 1,
            }
            w.held += u64::from(name == "cur" && file.ends_with(":2,H"));
            let arrival = file.split('.').next().and_then(|s| s.parse::<u64>().ok()).unwrap_or(now);
            w.oldest = w.oldest.max(now.saturating_sub(if name == "corrupt" { now } else { arrival }));
        }
    }
    Some(w)
}

/// Runs it; exit 69 when a service does not answer.
pub fn run(file: &Path, options: &Options) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let services = services(&config);
    let waiting = waiting(&config);
    let stats = last_hour(&config, &options.source);
    if options.json {
        say(&object(&services, waiting.as_ref(), stats.as_ref().ok()))?;
    } else {
        for line in lines(&config, &services, waiting.as_ref(), stats.as_ref()) {
            say(&line)?;
        }
    }
    Ok(if services.iter().all(|s| s.wrong.is_none()) { Outcome::Done } else { Outcome::Code(69) })
}

/// Counts of the last hour.
pub fn last_hour(config: &Config, source: &Source) -> Result<Stats, Failure> {
    let now = penny_sys::time::now().as_secs_f64();
    let mut stats = Stats::new(now - 3600.0, now + 60.0);
    source.clone().or_beside(config).after(now - 3600.0).each(&mut |line| stats.take(&line))?;
    Ok(stats)
}

fn lines(
    config: &Config,
    services: &[Service],
    waiting: Option<&Waiting>,
    stats: Result<&Stats, &Failure>,
) -> Vec<String> {
    let mut out = vec![format!("{} ({})", config.hostname(), config.file.display())];
    let width = services.iter().map(|s| s.name.len()).max().unwrap_or(0);
    for s in services {
        let state = s.wrong.as_deref().map_or("up  ".to_string(), |w| format!("DOWN {w}:"));
        out.push(format!("  {:width$}  {state} {}", s.name, s.place));
    }
    out.push(match waiting {
        Some(w) => format!(
            "queue: {} waiting ({} new, {} held), oldest {}, {} set aside",
            w.new + w.active,
            w.new,
            w.held,
            span(w.oldest),
            w.corrupt
        ),
        None => "queue: not for you to see (root and the queue's user may)".into(),
    });
    out.push(match stats {
        Ok(s) => format!(
            "last hour: {} received ({}), {} stored, {} sent, {} put off, {} given up, {} refused, {} wrong passwords",
            s.received(),
            octets(s.octets),
            s.stored,
            s.sent,
            s.deferred,
            s.bounced,
            s.rejects.values().sum::<u64>(),
            s.wrong_passwords
        ),
        Err(e) => format!("last hour: {}", e.text),
    });
    out
}

/// A time span for people.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min", seconds / 60),
        3600..=86_399 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn object(services: &[Service], waiting: Option<&Waiting>, stats: Option<&Stats>) -> String {
    let each = services.iter().map(|s| {
        let o = Object::new().text("name", &s.name).text("place", &s.place);
        o.text("state", if s.wrong.is_none() { "up" } else { "down" }).maybe("why", s.wrong.as_deref())
    });
    let mut o = Object::new().array("services", each);
    if let Some(w) = waiting {
        o = o.number("queue_new", w.new).number("queue_active", w.active).number("queue_held", w.held);
        o = o.number("queue_corrupt", w.corrupt).number("queue_oldest_seconds", w.oldest);
    }
    if let Some(s) = stats {
        o = o.number("hour_received", s.received()).number("hour_stored", s.stored).number("hour_sent", s.sent);
        o = o.number("hour_deferred", s.deferred).number("hour_bounced", s.bounced);
        o = o.number("hour_rejected", s.rejects.values().sum());
    }
    o.finish()
}

/// How long an answer of the services is believed.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Shows status again and again, with the destinations that wait.
pub fn top(file: &Path, options: &Top) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let mut round = 0;
    let mut asked = (Instant::now(), services(&config));
    loop {
        // each question is a connection, and a line in the log of who is asked
        if asked.0.elapsed() > ASK_AGAIN {
            asked = (Instant::now(), services(&config));
        }
        let waiting = waiting(&config);
        let stats = last_hour(&config, &options.source);
        let mut out = std::io::stdout().lock();
        // home, and clear below: no flicker
        let clear = if options.count == 1 { "" } else { "\x1b[H\x1b[J" };
        write!(out, "{clear}").map_err(|e| Failure::io("standard output", &e))?;
        drop(out);
        for line in lines(&config, &asked.1, waiting.as_ref(), stats.as_ref()) {
            say(&line)?;
        }
        if let Ok(stats) = &stats {
            let mut rows = vec![["SENDERS, LAST HOUR", "MESSAGES"].map(str::to_string)];
            let top = crate::summary::largest(&stats.senders, 10);
            rows.extend(top.into_iter().map(|(name, n)| [name.escape_debug().to_string(), n.to_string()]));
            say("")?;
            columns(&rows)?;
        }
        round += 1;
        if options.count != 0 && round >= options.count {
            return Ok(Outcome::Done);
        }
        std::thread::sleep(Duration::from_secs(u64::from(options.seconds.max(1))));
    }
}
