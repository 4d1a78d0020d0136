//! A blocking connection with its own read buffer; plain or TLS.
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub type Res<T> = Result<T, String>;

pub enum Stream {
    Plain(TcpStream),
    Tls(Box<native_tls::TlsStream<TcpStream>>),
    Gone,
}

pub struct Conn {
    stream: Stream,
    buf: Vec<u8>,
    pos: usize,
    end: usize,
    /// an SMTP answer has named PIPELINING
    pub pipelining: bool,
}

fn io_err(e: io::Error) -> String {
    format!("i/o: {e}")
}

impl Conn {
    pub fn open(host: &str, port: u16) -> Res<Conn> {
        let s = TcpStream::connect((host, port)).map_err(|e| format!("connect {host}:{port}: {e}"))?;
        s.set_nodelay(true).map_err(io_err)?;
        s.set_read_timeout(Some(Duration::from_secs(300))).map_err(io_err)?;
        s.set_write_timeout(Some(Duration::from_secs(300))).map_err(io_err)?;
        Ok(Conn { stream: Stream::Plain(s), buf: vec![0; 16 * 1024], pos: 0, end: 0, pipelining: false })
    }

    /// A larger buffer for bulk reading.
    pub fn bulk(mut self) -> Conn {
        self.buf.resize(512 * 1024, 0);
        self
    }

    pub fn tls(&mut self, c: &native_tls::TlsConnector) -> Res<()> {
        if self.pos != self.end {
            return Err("bytes left before TLS".into());
        }
        match std::mem::replace(&mut self.stream, Stream::Gone) {
            Stream::Plain(s) => {
                let t = c.connect("localhost", s).map_err(|e| format!("tls: {e}"))?;
                self.stream = Stream::Tls(Box::new(t));
                Ok(())
            }
            _ => Err("not a plain stream".into()),
        }
    }

    pub fn set_timeout(&self, d: Duration) {
        let s = match &self.stream {
            Stream::Plain(s) => s,
            Stream::Tls(t) => t.get_ref(),
            Stream::Gone => return,
        };
        let _ = s.set_read_timeout(Some(d));
    }

    pub fn send(&mut self, data: &[u8]) -> Res<()> {
        match &mut self.stream {
            Stream::Plain(s) => s.write_all(data).map_err(io_err),
            Stream::Tls(t) => t.write_all(data).map_err(io_err),
            Stream::Gone => Err("closed".into()),
        }
    }

    fn fill(&mut self) -> Res<()> {
        if self.pos == self.end {
            self.pos = 0;
            self.end = 0;
        } else if self.pos > 0 && self.end == self.buf.len() {
            self.buf.copy_within(self.pos..self.end, 0);
            self.end -= self.pos;
            self.pos = 0;
        }
        if self.end == self.buf.len() {
            let n = self.buf.len() * 2;
            self.buf.resize(n, 0);
        }
        let room = &mut self.buf[self.end..];
        let n = loop {
            let r = match &mut self.stream {
                Stream::Plain(s) => s.read(room),
                Stream::Tls(t) => t.read(room),
                Stream::Gone => return Err("closed".into()),
            };
            match r {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(io_err(e)),
                Ok(n) => break n,
            }
        };
        if n == 0 {
            return Err("connection closed by peer".into());
        }
        self.end += n;
        Ok(())
    }

    /// One line with its line end; the range lies in the buffer until the next read.
    pub fn line(&mut self) -> Res<&[u8]> {
        let mut from = 0;
        loop {
            if let Some(i) = memchr::memchr(b'\n', &self.buf[self.pos + from..self.end]) {
                let a = self.pos;
                let b = self.pos + from + i + 1;
                self.pos = b;
                return Ok(&self.buf[a..b]);
            }
            from = self.end - self.pos;
            self.fill()?;
        }
    }

    pub fn skip(&mut self, mut n: usize) -> Res<()> {
        loop {
            let have = (self.end - self.pos).min(n);
            self.pos += have;
            n -= have;
            if n == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Skips a POP3 multi-line answer; returns its lines and bytes.
    pub fn multiline(&mut self) -> Res<(u64, u64)> {
        let (mut lines, mut bytes) = (0, 0);
        loop {
            let l = self.line()?;
            if l == b".\r\n" || l == b".\n" {
                return Ok((lines, bytes));
            }
            lines += 1;
            bytes += l.len() as u64;
        }
    }

    /// An SMTP answer, possibly of several lines; its code.
    pub fn smtp_reply(&mut self) -> Res<u16> {
        loop {
            let l = self.line()?;
            if l.len() > 13 && l.starts_with(b"250") && l[4..].starts_with(b"PIPELINING") {
                let more = l[3] == b'-';
                self.pipelining = true;
                if more {
                    continue;
                }
                return Ok(250);
            }
            if l.len() < 4 {
                return Err(format!("short reply {:?}", String::from_utf8_lossy(l)));
            }
            if l[3] == b'-' {
                continue;
            }
            let code = std::str::from_utf8(&l[..3]).ok().and_then(|s| s.parse().ok());
            return code.ok_or_else(|| format!("bad reply {:?}", String::from_utf8_lossy(l)));
        }
    }

    pub fn smtp_expect(&mut self, class: u16, what: &str) -> Res<()> {
        let c = self.smtp_reply()?;
        if c / 100 == class { Ok(()) } else { Err(format!("{what}: answered {c}")) }
    }
}

/// Made once: reading the certificate store takes longer than a handshake.
pub fn connector() -> &'static native_tls::TlsConnector {
    static C: std::sync::OnceLock<native_tls::TlsConnector> = std::sync::OnceLock::new();
    C.get_or_init(|| {
        native_tls::TlsConnector::builder()
            .disable_built_in_roots(true)
            .danger_accept_invalid_certs(true)
            .danger_accept_invalid_hostnames(true)
            .build()
            .expect("tls connector")
    })
}
