//! A table program that asks a socketmap server: tcp_table(5) on this side, socketmap_table(5) on the other.
//!
//! Standard    Postfix socketmap_table(5): a netstring `map SP key`, answered by the netstring `OK SP value`, `NOTFOUND SP`,
//!             `TEMP SP why`, `TIMEOUT SP why` or `PERM SP why`; netstrings by D. J. Bernstein (`5:hello,`)
//! Failures    a server that is away, late or odd is `400`: the connection is made anew at the next question. PERM is a
//!             server that will never tell, which is no "no such key" either: `400`

use penny_base::{Failure, Outcome};
use penny_tables::program::{decode, encode};
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Longest answer, octets.
const ANSWER_MAX: usize = 1 << 20;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Answers `get` lines until the end of standard input.
pub fn run(place: &str, map: &str, seconds: u64) -> Result<Outcome, Failure> {
    if map.is_empty() || map.contains(char::is_whitespace) {
        return Err(Failure::usage(format!("{map:?} is no name of a map")));
    }
    let limit = Duration::from_secs(seconds);
    let mut open = None;
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|e| Failure::io("standard input", &e))?;
        let answer = match line.strip_prefix("get ") {
            Some(key) => answer(&mut open, place, map, &decode(key), limit),
            None => "400 expected%20get%20KEY".into(),
        };
        writeln!(out, "{answer}").and_then(|()| out.flush()).map_err(|e| Failure::io("standard output", &e))?;
    }
    Ok(Outcome::Done)
}

fn answer(open: &mut Option<Box<dyn Stream>>, place: &str, map: &str, key: &str, limit: Duration) -> String {
    let question = format!("{map} {key}");
    // a server may have closed a connection that was idle: that is no answer, so a new one is asked
    let again = open.is_some();
    let told = match ask(open, place, &question, limit) {
        Err(e) if again && e.kind() != ErrorKind::WouldBlock => ask(open, place, &question, limit),
        told => told,
    };
    match told {
        Ok(text) => match text.split_once(' ').unwrap_or((&text, "")) {
            ("OK", value) => format!("200 {}", encode(value)),
            ("NOTFOUND", _) => "500 no%20such%20key".into(),
            (word, why) => format!("400 {}", encode(&format!("{word} {why}"))),
        },
        Err(e) => format!("400 {}", encode(&format!("{place}: {e}"))),
    }
}

fn ask(open: &mut Option<Box<dyn Stream>>, place: &str, question: &str, limit: Duration) -> io::Result<String> {
    let mut stream = match open.take() {
        Some(stream) => stream,
        None => connect(place, limit)?,
    };
    stream.write_all(format!("{}:{question},", question.len()).as_bytes())?;
    let text = netstring(&mut stream)?;
    // only now: what failed in the middle is not used again
    *open = Some(stream);
    Ok(text)
}

fn connect(place: &str, limit: Duration) -> io::Result<Box<dyn Stream>> {
    if let Some(path) = place.strip_prefix("unix:") {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        return Ok(Box::new(stream));
    }
    let to = place.strip_prefix("inet:").unwrap_or(place);
    let address = to.to_socket_addrs()?.next().ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
    let stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    Ok(Box::new(stream))
}

fn netstring(stream: &mut dyn Stream) -> io::Result<String> {
    let odd = || io::Error::new(ErrorKind::InvalidData, "no netstring");
    let mut byte = [0];
    let mut len = 0;
    loop {
        stream.read_exact(&mut byte)?;
        match byte {
            [b':'] => break,
            [d @ b'0'..=b'9'] if len <= ANSWER_MAX => len = len * 10 + usize::from(d - b'0'),
            _ => return Err(odd()),
        }
    }
    if len > ANSWER_MAX {
        return Err(odd());
    }
    let mut text = vec![0; len + 1];
    stream.read_exact(&mut text)?;
    if text.pop() != Some(b',') {
        return Err(odd());
    }
    String::from_utf8(text).map_err(|_| odd())
}
