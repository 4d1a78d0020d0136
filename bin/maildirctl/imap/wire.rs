//! The connection to an IMAP server: TLS, lines, literals.
//!
//! Standards   RFC 9051 2.2, 4.3; RFC 8314 (implicit TLS); STARTTLS: RFC 9051 6.2.1
//! Invariants  1. lines and literals in memory are bounded; a message goes straight to where it is stored
//!             2. octets that came before the TLS handshake are an error, not part of the session (response injection)
//! Failures    a connection that ends or stalls is temporary
//! Trust       the server is hostile

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::value::Chunk;

/// Longest line.
const LINE_MAX: u64 = 1 << 20;
/// Longest literal that is not a message: a folder name, a line of text.
const LITERAL_MAX: u64 = 1 << 20;
/// A server that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(300);

/// Takes a message: the response so far, and its octets.
pub type Body<'a> = dyn FnMut(&[Chunk], &mut dyn Read) -> anyhow::Result<()> + 'a;

/// Where octets come from and go to.
pub trait Channel: Read + Write {}
impl<T: Read + Write> Channel for T {}

/// A program that speaks for the server.
struct Tunnel {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Read for Tunnel {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match penny_sys::net::wait_readable(self.output.as_fd(), SILENCE)? {
            true => self.output.read(out),
            false => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Tunnel {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.input.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.input.flush()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection.
pub struct Wire {
    channel: BufReader<Box<dyn Channel>>,
    /// The socket below, while TLS may still start on it.
    socket: Option<TcpStream>,
    tag: u32,
}

impl Wire {
    /// Over a program's standard input and output.
    pub fn tunnel(command: &str) -> anyhow::Result<Wire> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the tunnel")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = input.zip(output).context("the tunnel has no pipes")?;
        Ok(Wire::over(Box::new(Tunnel { child, input, output }), None))
    }

    /// Over TCP.
    pub fn connect(host: &str, port: u16) -> anyhow::Result<Wire> {
        let socket = TcpStream::connect((host, port)).with_context(|| format!("connecting to {host}:{port}"))?;
        socket.set_read_timeout(Some(SILENCE)).context("time limit")?;
        socket.set_write_timeout(Some(SILENCE)).context("time limit")?;
        socket.set_nodelay(true).context("socket")?;
        let again = socket.try_clone().context("socket")?;
        Ok(Wire::over(Box::new(again), Some(socket)))
    }

    fn over(channel: Box<dyn Channel>, socket: Option<TcpStream>) -> Wire {
        Wire { channel: BufReader::with_capacity(64 * 1024, channel), socket, tag: 0 }
    }

    /// Shakes hands; the certificate must be right for the host.
    #[cfg(feature = "tls")]
    pub fn start_tls(&mut self, host: &str, ca_file: Option<&std::path::Path>) -> anyhow::Result<()> {
        ensure!(self.channel.buffer().is_empty(), "the server sent something before the TLS handshake");
        let socket = self.socket.take().context("no connection that TLS could start on")?;
        let connector = penny_tls::client::Connector::new(ca_file).context("TLS")?;
        let stream = connector.connect(host, socket, penny_tls::client::Verify::Verified);
        let stream = stream.with_context(|| format!("TLS with {host}"))?;
        self.channel = BufReader::with_capacity(64 * 1024, Box::new(stream));
        Ok(())
    }

    /// Not in this build.
    #[cfg(not(feature = "tls"))]
    pub fn start_tls(&mut self, _: &str, _: Option<&std::path::Path>) -> anyhow::Result<()> {
        Err(anyhow::anyhow!("built without TLS: use --tunnel"))
    }

    /// Sends a command; the answer is told apart by the tag that comes back.
    pub fn send(&mut self, command: &str) -> anyhow::Result<String> {
        self.tag += 1;
        let tag = format!("p{}", self.tag);
        self.raw(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    /// Sends octets as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let out = self.channel.get_mut();
        out.write_all(bytes).and_then(|()| out.flush()).context("writing to the server")
    }

    fn line(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.channel).take(LINE_MAX).read_until(b'\n', &mut line).context("reading from the server")?;
        ensure!(line.last() == Some(&b'\n'), "the server closed the connection, or sent a line without end");
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    /// One response. The literal of a `BODY[]` goes to `body`, with what came before it; what that leaves is skipped.
    pub fn response(&mut self, body: &mut Body<'_>) -> anyhow::Result<Vec<Chunk>> {
        let mut chunks = Vec::new();
        let mut size = 0;
        loop {
            let mut line = self.line()?;
            size += line.len() as u64;
            ensure!(size < LINE_MAX + LITERAL_MAX, "the server sent an endless response");
            let Some((at, len)) = literal(&line) else {
                chunks.push(Chunk::Line(line));
                return Ok(chunks);
            };
            line.truncate(at);
            let message = line.to_ascii_uppercase().ends_with(b"BODY[] ");
            chunks.push(Chunk::Line(line));
            if message {
                let mut data = (&mut self.channel).take(len);
                let taken = body(&chunks, &mut data);
                std::io::copy(&mut data, &mut std::io::sink()).context("reading from the server")?;
                ensure!(data.limit() == 0, "the server closed the connection within a message");
                taken?;
                chunks.push(Chunk::Streamed);
                continue;
            }
            size += len;
            ensure!(len <= LITERAL_MAX, "the server sent an endless literal");
            let mut data = Vec::new();
            (&mut self.channel).take(len).read_to_end(&mut data).context("reading from the server")?;
            ensure!(data.len() as u64 == len, "the server closed the connection within a literal");
            chunks.push(Chunk::Literal(data));
        }
    }
}

/// `{n}` at the end of a line: where it stands, and the length.
fn literal(line: &[u8]) -> Option<(usize, u64)> {
    let inner = line.strip_suffix(b"}")?;
    let at = inner.iter().rposition(|b| *b == b'{')?;
    let digits = std::str::from_utf8(inner.get(at + 1..)?).ok()?;
    let digits = digits.strip_suffix('+').unwrap_or(digits);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let at = if line.get(..at).is_some_and(|l| l.ends_with(b"~")) { at - 1 } else { at };
    plain.then(|| digits.parse().ok().map(|n| (at, n))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        assert_eq!(literal(b"* LIST () \"/\" {5}"), Some((14, 5)));
        assert_eq!(literal(b"BODY[] ~{7}"), Some((7, 7)));
        for line in [&b"x {}"[..], b"x {-1}", b"{1} x", b"}", b"{99999999999999999999999}"] {
            assert_eq!(literal(line), None);
        }
    }
}
