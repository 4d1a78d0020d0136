//! A fake SMTP or LMTP server that keeps what it gets and answers as a test wants.
//!
//! Standards   RFC 5321, 2920 (pipelining), 3030 (BDAT, when "CHUNKING" is announced), 2033 (LMTP)
//! Invariants  1. it reads bytes strictly: only CRLF.CRLF ends data, and bare CR or LF stay visible in [`Mail::raw`]
//!             2. dropped, it stops accepting

use crate::wait::PATIENCE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One message the sink took.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// The argument of EHLO, HELO or LHLO.
    pub helo: String,
    /// The whole MAIL command.
    pub mail: String,
    /// The whole RCPT commands that were accepted.
    pub rcpts: Vec<String>,
    /// The message: dots unstuffed, line ends as sent.
    pub data: Vec<u8>,
    /// The bytes between 354 and the final dot, as sent (for BDAT: the chunks).
    pub raw: Vec<u8>,
    /// The AUTH command, if one was sent.
    pub auth: Option<String>,
    /// Which connection it came over, counted from 0.
    pub connection: usize,
}

impl Mail {
    /// The message as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// Chooses a reply: gets the command line (`CONNECT` at first, `.` after data, in LMTP `. <rcpt command>`), gives the reply line(s) without
/// the last CRLF, `None` for the usual one, or an empty string to hang up.
pub type Script = dyn Fn(&str) -> Option<String> + Send + Sync;

struct Shared {
    mails: Mutex<Vec<Mail>>,
    lines: Mutex<Vec<String>>,
    connections: AtomicUsize,
    stop: AtomicBool,
    lmtp: bool,
    extensions: Vec<String>,
    script: Box<Script>,
}

/// The running fake server.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What a sink is to be like.
pub struct Builder {
    lmtp: bool,
    extensions: Vec<String>,
    script: Box<Script>,
    ip: String,
}

impl Sink {
    /// A sink with the usual replies and PIPELINING, 8BITMIME, SIZE, ENHANCEDSTATUSCODES.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A sink to shape first.
    pub fn builder() -> Builder {
        let extensions = ["PIPELINING", "8BITMIME", "SIZE 50000000", "ENHANCEDSTATUSCODES"].map(String::from).to_vec();
        Builder { lmtp: false, extensions, script: Box::new(|_| None), ip: "127.0.0.1".into() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The messages so far.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.shared.mails).clone()
    }

    /// How many messages there are so far.
    pub fn count(&self) -> usize {
        lock(&self.shared.mails).len()
    }

    /// Every command line so far, in order of arrival.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.shared.lines).clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until `n` messages have come.
    ///
    /// # Panics
    /// When no more come: [`PATIENCE`] is for each.
    #[track_caller]
    pub fn wait(&self, n: usize) -> Vec<Mail> {
        let (mut mails, mut since) = (self.mails(), Instant::now());
        while mails.len() < n {
            assert!(since.elapsed() < PATIENCE, "{} of {n} messages came; commands: {:?}", mails.len(), self.lines());
            std::thread::sleep(Duration::from_millis(5));
            let now = self.mails();
            if now.len() > mails.len() {
                since = Instant::now();
            }
            mails = now;
        }
        mails
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // wakes the accept so the thread sees the flag
        let _ = TcpStream::connect(self.address);
    }
}

impl Builder {
    /// Speaks LMTP: LHLO, and one reply a recipient after the data.
    pub fn lmtp(mut self) -> Self {
        self.lmtp = true;
        self
    }

    /// Announces exactly these extensions.
    pub fn extensions(mut self, list: &[&str]) -> Self {
        self.extensions = list.iter().map(|s| (*s).to_owned()).collect();
        self
    }

    /// Listens on another loopback address (127.0.0.2 ...).
    pub fn ip(mut self, ip: &str) -> Self {
        self.ip = ip.to_owned();
        self
    }

    /// Answers by this script; see [`Script`].
    pub fn script(mut self, script: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.script = Box::new(script);
        self
    }

    /// Starts it on a free port.
    ///
    /// # Panics
    /// When no socket can be had.
    pub fn start(self) -> Sink {
        let listener = TcpListener::bind((self.ip.as_str(), 0)).unwrap_or_else(|e| panic!("sink: {e}"));
        let address = listener.local_addr().unwrap_or_else(|e| panic!("sink: {e}"));
        let shared = Arc::new(Shared {
            mails: Mutex::default(),
            lines: Mutex::default(),
            connections: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            lmtp: self.lmtp,
            extensions: self.extensions,
            script: self.script,
        });
        let own = shared.clone();
        std::thread::spawn(move || accept(&listener, &own));
        Sink { address, shared }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = shared.clone();
        std::thread::spawn(move || drop(converse(stream, number, &shared)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Session<'a> {
    shared: &'a Shared,
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    mail: Mail,
    helo: String,
    auth: Option<String>,
    number: usize,
}

/// Ends the conversation: QUIT, a scripted hang-up or an I/O error.
struct End;

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

fn converse(stream: TcpStream, number: usize, shared: &Shared) -> Result<(), End> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut session = Session {
        shared,
        reader: BufReader::new(stream.try_clone()?),
        writer: stream,
        mail: Mail::default(),
        helo: String::new(),
        auth: None,
        number,
    };
    session.reply("CONNECT", "220 sink ready")?;
    loop {
        let mut line = Vec::new();
        if session.reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        lock(&shared.lines).push(line.clone());
        session.command(&line)?;
    }
}

impl Session<'_> {
    fn reply(&mut self, command: &str, usual: &str) -> Result<bool, End> {
        let text = (self.shared.script)(command).unwrap_or_else(|| usual.to_owned());
        if text.is_empty() {
            return Err(End);
        }
        self.writer.write_all(format!("{text}\r\n").as_bytes())?;
        Ok(text.starts_with('2') || text.starts_with('3'))
    }

    fn command(&mut self, line: &str) -> Result<(), End> {
        let verb = line.split([' ', ':']).next().unwrap_or("").to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "LHLO" => {
                line.get(5..).unwrap_or("").clone_into(&mut self.helo);
                let mut text = String::new();
                for ext in &self.shared.extensions {
                    text += &format!("250-{ext}\r\n");
                }
                self.reply(line, &format!("250-sink\r\n{text}250 HELP"))?;
            }
            "HELO" => {
                line.get(5..).unwrap_or("").clone_into(&mut self.helo);
                self.reply(line, "250 sink")?;
            }
            "MAIL" => {
                if self.reply(line, "250 2.1.0 ok")? {
                    self.mail = Mail { mail: line.to_owned(), ..Mail::default() };
                }
            }
            "RCPT" => {
                if self.reply(line, "250 2.1.5 ok")? {
                    self.mail.rcpts.push(line.to_owned());
                }
            }
            "DATA" if self.mail.rcpts.is_empty() => drop(self.reply(line, "554 5.5.1 no valid recipients")?),
            "DATA" => {
                if self.reply(line, "354 go ahead")? {
                    self.mail.raw = self.read_data()?;
                    self.mail.data = unstuff(&self.mail.raw);
                    self.finish()?;
                }
            }
            "BDAT" => self.bdat(line)?,
            "AUTH" => {
                self.auth = Some(line.to_owned());
                self.reply(line, "235 2.7.0 ok")?;
            }
            "RSET" => {
                self.mail = Mail::default();
                self.reply(line, "250 2.0.0 ok")?;
            }
            "NOOP" => drop(self.reply(line, "250 2.0.0 ok")?),
            "QUIT" => {
                self.reply(line, "221 2.0.0 bye")?;
                return Err(End);
            }
            _ => drop(self.reply(line, "502 5.5.2 unknown command")?),
        }
        Ok(())
    }

    fn read_data(&mut self) -> Result<Vec<u8>, End> {
        let mut raw = Vec::new();
        loop {
            if self.reader.read_until(b'\n', &mut raw)? == 0 {
                return Err(End);
            }
            if raw == b".\r\n" || raw.ends_with(b"\r\n.\r\n") {
                raw.truncate(raw.len() - 3);
                return Ok(raw);
            }
        }
    }

    fn bdat(&mut self, line: &str) -> Result<(), End> {
        let mut words = line.split_whitespace().skip(1);
        let size: u64 = words.next().and_then(|w| w.parse().ok()).ok_or(End)?;
        let mut chunk = Vec::new();
        (&mut self.reader).take(size).read_to_end(&mut chunk)?;
        self.mail.raw.extend_from_slice(&chunk);
        if words.next().is_some_and(|w| w.eq_ignore_ascii_case("LAST")) {
            self.mail.data = self.mail.raw.clone();
            self.finish()
        } else {
            self.reply(line, "250 2.0.0 chunk ok").map(drop)
        }
    }

    /// Keeps the message before it answers, so a test that saw the reply finds it.
    fn finish(&mut self) -> Result<(), End> {
        let mail = std::mem::take(&mut self.mail);
        let rcpts = mail.rcpts.clone();
        let keep = Mail { helo: self.helo.clone(), auth: self.auth.clone(), connection: self.number, ..mail };
        let refused = !self.shared.lmtp && (self.shared.script)(".").is_some_and(|r| !r.starts_with('2'));
        if !refused {
            lock(&self.shared.mails).push(keep);
        }
        if !self.shared.lmtp {
            return self.reply(".", "250 2.0.0 kept").map(drop);
        }
        for rcpt in rcpts {
            self.reply(&format!(". {rcpt}"), "250 2.0.0 kept")?;
        }
        Ok(())
    }
}

fn unstuff(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut start = true;
    for &b in raw {
        if !(start && b == b'.') {
            out.push(b);
        }
        start = out.ends_with(b"\r\n") && b == b'\n';
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Client;

    #[test]
    fn takes_a_message_and_unstuffs_dots() {
        let sink = Sink::start();
        let mut c = Client::connect(sink.address());
        c.until("220");
        c.line("EHLO me");
        c.until("250 ");
        c.ask("MAIL FROM:<a@x> SIZE=3", "250");
        c.ask("RCPT TO:<b@y>", "250");
        c.ask("DATA", "354");
        c.send("A: b\r\n\r\n..x\r\n\n.\n\r\n.\r\n");
        c.until("250");
        let mails = sink.wait(1);
        assert_eq!(mails[0].data, b"A: b\r\n\r\n.x\r\n\n.\n\r\n");
        assert_eq!((mails[0].helo.as_str(), mails[0].mail.as_str()), ("me", "MAIL FROM:<a@x> SIZE=3"));
    }

    #[test]
    fn scripted_replies_and_hang_up() {
        let sink = Sink::builder()
            .script(|line| match line {
                l if l.starts_with("RCPT TO:<bad") => Some("550 5.1.1 no".into()),
                "DATA" => Some(String::new()),
                _ => None,
            })
            .start();
        let mut c = Client::connect(sink.address());
        c.until("220");
        c.ask("HELO me", "250");
        c.ask("MAIL FROM:<>", "250");
        c.ask("RCPT TO:<bad@x>", "550");
        c.ask("RCPT TO:<good@x>", "250");
        c.line("DATA");
        assert_eq!(c.read_line(), None);
        assert!(sink.mails().is_empty());
    }

    #[test]
    fn lmtp_answers_each_recipient() {
        let sink =
            Sink::builder().lmtp().script(|l| (l == ". RCPT TO:<b@x>").then(|| "452 4.2.2 full".to_owned())).start();
        let mut c = Client::connect(sink.address());
        c.until("220");
        c.line("LHLO me");
        c.until("250 ");
        c.ask("MAIL FROM:<>", "250");
        c.ask("RCPT TO:<a@x>", "250");
        c.ask("RCPT TO:<b@x>", "250");
        c.ask("DATA", "354");
        c.send("x\r\n.\r\n");
        assert_eq!(c.read_line().as_deref(), Some("250 2.0.0 kept"));
        assert_eq!(c.read_line().as_deref(), Some("452 4.2.2 full"));
    }
}
