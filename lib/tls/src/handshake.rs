//! One server handshake, and what it tells the program behind it.
//!
//! Format      `NAME=value NUL ... NUL NUL` (UCSPI-TLS): SSL_PROTOCOL, SSL_CIPHER, SSL_TLS_SNI, SSL_EXPORTER (hex,
//!             RFC 9266), SSL_CLIENT_S_DN
//! Failures    time-out, alert, garbage: io::Error; the connection is closed

use crate::Context;
use openssl::ssl::{ErrorCode, NameType, Ssl, SslStream};
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// An established session.
#[derive(Debug)]
pub struct Session {
    pub(crate) stream: SslStream<TcpStream>,
}

/// Shakes hands on a connected socket within `timeout`.
pub fn accept(context: &Context, socket: OwnedFd, timeout: Duration) -> io::Result<Session> {
    let socket = TcpStream::from(socket);
    penny_sys::net::set_nonblocking(socket.as_fd(), true)?;
    penny_sys::net::nodelay(socket.as_fd());
    let ssl = Ssl::new(context.ssl()).map_err(io::Error::other)?;
    let mut stream = SslStream::new(ssl, socket).map_err(io::Error::other)?;
    let end = Instant::now() + timeout;
    loop {
        let error = match stream.accept() {
            Ok(()) => return Ok(Session { stream }),
            Err(e) => e,
        };
        wait(&stream, error, end)?;
    }
}

/// Waits for what OpenSSL wants; any other error is final.
pub(crate) fn wait(stream: &SslStream<TcpStream>, error: openssl::ssl::Error, end: Instant) -> io::Result<()> {
    let write = match error.code() {
        ErrorCode::WANT_READ => false,
        ErrorCode::WANT_WRITE => true,
        _ => return Err(error.into_io_error().unwrap_or_else(io::Error::other)),
    };
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let interest = penny_sys::poll::Interest { fd: stream.get_ref().as_fd(), read: !write, write };
    penny_sys::poll::wait(&[interest], Some(left)).map(|_| ())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Session {
    /// What the program behind is told, as pairs.
    pub fn variables(&self) -> Vec<(String, String)> {
        let ssl = self.stream.ssl();
        let mut all = vec![("SSL_PROTOCOL".to_string(), ssl.version_str().to_string())];
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() && !value.contains('\0') {
                all.push((name.to_string(), value.to_string()));
            }
        };
        add("SSL_CIPHER", ssl.current_cipher().map_or("", |c| c.name()));
        add("SSL_TLS_SNI", ssl.servername(NameType::HOST_NAME).unwrap_or(""));
        let mut exporter = [0; 32];
        // RFC 9266: only with TLS 1.3, or with extended master secret, which OpenSSL 3 negotiates for 1.2
        if ssl.export_keying_material(&mut exporter, "EXPORTER-Channel-Binding", None).is_ok() {
            add("SSL_EXPORTER", &hex(&exporter));
        }
        all
    }

    /// The variables in the form of the control descriptor.
    pub fn encode_variables(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in self.variables() {
            out.extend_from_slice(format!("{name}={value}\0").as_bytes());
        }
        out.push(0);
        out
    }
}
