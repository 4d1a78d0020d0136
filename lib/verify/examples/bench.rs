//! Verifies one message N times, the key cached. Prints microseconds of CPU a message.
//! usage: bench MESSAGE KEYRECORD NAME N

use penny_dns::Zone;
use penny_verify::dkim::{Keys, Outcome, verify};
use penny_verify::message::Message;
use std::io::Write;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, mail, record, name, n] = args.as_slice() else { panic!("usage: bench MESSAGE KEYRECORD NAME N") };
    let mail = std::fs::read(mail).expect("message");
    let mut zone = Zone::new();
    zone.txt(name, std::fs::read_to_string(record).expect("record").trim());
    let n: u32 = n.parse().expect("number");
    let keys = Keys::new();
    let mut good = 0;
    let begin = cpu();
    for _ in 0..n {
        let list = verify(&Message::parse(&mail), &zone, &keys, 1_700_000_000);
        good += u32::from(list.iter().all(|v| v.outcome == Outcome::Pass) && !list.is_empty());
    }
    let each = (cpu() - begin) / f64::from(n);
    let _ = writeln!(std::io::stdout(), "pennypost {each:.1} us, {good} of {n} pass");
}

/// Microseconds of CPU of this process, from /proc (clock ticks of 10 ms: take N large).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("stat").split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime");
    ticks * 10_000.0
}
