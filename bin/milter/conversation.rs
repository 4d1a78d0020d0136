//! One message shown to one milter.
//!
//! Input       the message on standard input (LF or CRLF), the envelope in the filter contract's variables
//! Failures    a milter that cannot be asked is a temporary failure: mail waits

use penny_base::Failure;
use penny_mime::header::body_offset;
use penny_smtp::client::DataEncoder;
use penny_smtp::milter::{Answer, CHUNK, Changes, Client, MilterError, Peer};
use std::fs::File;
use std::io::{self, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Largest message read, octets.
const MESSAGE_MAX: u64 = 1 << 30;

/// What the milter decided.
pub struct Verdict {
    /// Its last word.
    pub answer: Answer,
    /// What it wants changed.
    pub changes: Changes,
}

/// Reads the message and asks.
pub fn run(socket: &str, seconds: u64) -> Result<(Vec<u8>, Verdict), Failure> {
    let mut message = Vec::new();
    let read = io::stdin().lock().take(MESSAGE_MAX).read_to_end(&mut message);
    read.map_err(|e| Failure::io("standard input", &e))?;
    let message = lf_only(&message);
    let stream = connect(socket, Duration::from_secs(seconds.max(1))).map_err(|e| Failure::io(socket, &e))?;
    let mut client = Client::negotiate(stream).map_err(|e| later(socket, &e))?;
    let verdict = ask(&mut client, &message).map_err(|e| later(socket, &e))?;
    client.quit();
    Ok((message, verdict))
}

fn later(socket: &str, error: &MilterError) -> Failure {
    Failure::temporary("4.3.0", "the milter cannot be asked now").with_detail(format!("{socket}: {error}"))
}

fn connect(name: &str, limit: Duration) -> io::Result<File> {
    if let Some(path) = name.strip_prefix("unix:").or_else(|| name.strip_prefix("local:")) {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        return Ok(OwnedFd::from(stream).into());
    }
    let place = name.strip_prefix("inet:").unwrap_or(name);
    let address = place.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.set_nodelay(true)?;
    Ok(OwnedFd::from(stream).into())
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn recipients() -> Vec<String> {
    let given = variable("RECIPIENTS");
    let text = match variable("RECIPIENTS_FILE") {
        file if given.is_empty() && !file.is_empty() => std::fs::read_to_string(file).unwrap_or_default(),
        _ => given,
    };
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Every step in order; the first answer that is not "go on" ends it.
fn ask(client: &mut Client<File>, message: &[u8]) -> Result<Verdict, MilterError> {
    let done = |answer| Ok(Verdict { answer, changes: Changes::default() });
    let (id, login, sender) = (variable("QUEUE_ID"), variable("AUTH_USER"), variable("SENDER"));
    let ip = variable("REMOTE_IP");
    let name = Some(variable("REMOTE_NAME")).filter(|n| !n.is_empty()).unwrap_or_else(|| format!("[{ip}]"));
    client.macros(b'C', &[("j", &penny_sys::files::host_name()), ("v", "pennypost"), ("_", &name)])?;
    let mut answer = client.connect(&Peer { name, ip, port: 0 })?;
    if answer == Answer::Continue {
        client.macros(b'H', &[("{tls_version}", variable("TLS").split(' ').next().unwrap_or_default())])?;
        answer = client.helo(&variable("HELO"))?;
    }
    if answer == Answer::Continue {
        client.macros(b'M', &[("i", &id), ("{auth_authen}", &login), ("{mail_addr}", &sender)])?;
        answer = client.mail(&[format!("<{sender}>")])?;
    }
    for recipient in recipients() {
        if answer == Answer::Continue {
            client.macros(b'R', &[("{rcpt_addr}", &recipient)])?;
            answer = client.rcpt(&[format!("<{recipient}>")])?;
        }
    }
    if answer == Answer::Continue {
        answer = client.data()?;
    }
    let (header, body) = message.split_at(body_offset(message).min(message.len()));
    if answer == Answer::Continue {
        answer = client.header(header)?;
    }
    if answer == Answer::Continue && client.wants_body() {
        answer = show_body(client, body)?;
    }
    if !matches!(answer, Answer::Continue | Answer::Skip) {
        return done(answer);
    }
    client.macros(b'E', &[("i", &id)])?;
    let (changes, answer) = client.end()?;
    Ok(Verdict { answer, changes })
}

fn show_body(client: &mut Client<File>, body: &[u8]) -> Result<Answer, MilterError> {
    let mut encoder = DataEncoder::bdat();
    let mut wire = Vec::new();
    for piece in body.chunks(CHUNK / 2) {
        wire.clear();
        encoder.push(piece, &mut wire);
        let answer = client.body(&wire)?;
        if answer != Answer::Continue {
            return Ok(answer);
        }
    }
    Ok(Answer::Continue)
}

fn lf_only(bytes: &[u8]) -> Vec<u8> {
    let crlf = |at: usize| bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) == Some(&b'\n');
    bytes.iter().enumerate().filter(|(at, _)| !crlf(*at)).map(|(_, b)| *b).collect()
}
