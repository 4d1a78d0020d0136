//! The client side: STARTTLS and implicit TLS towards other hosts.
//!
//! Standard    RFC 7435 (opportunistic security), RFC 6125 (names)
//! Invariants  1. `Opportunistic` never fails for a bad certificate, `Verified` always does   2. reads and writes end
//!             after the socket's time-outs
//! Not here    DANE and MTA-STS: the caller judges `chain`

use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::X509VerifyResult;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;

/// What is asked of the other side's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Nothing: any encryption is better than none.
    Opportunistic,
    /// A chain to a trusted root and the right name.
    Verified,
    /// As `Verified`, but nothing ends for it: [`Stream::judged`] says what was found.
    Observed,
}

/// Makes sessions.
#[derive(Clone)]
pub struct Connector(SslContext);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// A connector with the system's roots, or those of `ca_file` alone.
    pub fn new(ca_file: Option<&Path>) -> io::Result<Connector> {
        let mut b = SslContext::builder(SslMethod::tls_client())?;
        b.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        match ca_file {
            Some(file) => b.set_ca_file(file)?,
            None => b.set_default_verify_paths()?,
        }
        Ok(Connector(b.build()))
    }

    /// A connector that trusts nobody, for [`Verify::Opportunistic`]: it need not load any root.
    pub fn without_roots() -> io::Result<Connector> {
        let mut b = SslContext::builder(SslMethod::tls_client())?;
        b.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        Ok(Connector(b.build()))
    }

    /// Shakes hands as a client; `name` is sent as SNI and, when verified, must be in the certificate.
    pub fn connect(&self, name: &str, socket: TcpStream, verify: Verify) -> io::Result<Stream> {
        let mut ssl = Ssl::new(&self.0)?;
        let ip = name.parse::<std::net::IpAddr>().ok();
        if ip.is_none() {
            ssl.set_hostname(name)?;
        }
        match verify {
            Verify::Opportunistic => ssl.set_verify(SslVerifyMode::NONE),
            Verify::Observed => {
                ssl.set_verify(SslVerifyMode::NONE);
                ssl.param_mut().set_host(name)?;
            }
            Verify::Verified => {
                ssl.set_verify(SslVerifyMode::PEER);
                match ip {
                    Some(ip) => ssl.param_mut().set_ip(ip)?,
                    None => ssl.param_mut().set_host(name)?,
                }
            }
        }
        let stream = ssl.connect(socket).map_err(|e| io::Error::other(e.to_string()))?;
        Ok(Stream(stream))
    }
}

/// An established session.
#[derive(Debug)]
pub struct Stream(SslStream<TcpStream>);

impl Stream {
    /// `TLSv1.3`.
    pub fn protocol(&self) -> &'static str {
        self.0.ssl().version_str()
    }

    /// Name of the cipher suite.
    pub fn cipher(&self) -> String {
        self.0.ssl().current_cipher().map_or_else(String::new, |c| c.name().to_string())
    }

    /// True when the chain leads to a trusted root (and, for `Verified`, the name fits).
    pub fn trusted(&self) -> bool {
        self.0.ssl().verify_result() == X509VerifyResult::OK
    }

    /// What is wrong with the certificate, in OpenSSL's words; `None` when nothing is.
    pub fn judged(&self) -> Option<&'static str> {
        let result = self.0.ssl().verify_result();
        (result != X509VerifyResult::OK).then(|| result.error_string())
    }

    /// The certificates the other side showed, DER, its own first.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        let Some(chain) = self.0.ssl().peer_cert_chain() else { return Vec::new() };
        chain.iter().filter_map(|c| c.to_der().ok()).collect()
    }

    /// The socket below, for its time-outs.
    pub fn socket(&self) -> &TcpStream {
        self.0.get_ref()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
