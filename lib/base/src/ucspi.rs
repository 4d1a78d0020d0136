//! The connection a program serves: who is at the other end, and STARTTLS by the UCSPI-TLS descriptors.
//!
//! Standard    UCSPI (PROTO, TCPREMOTEIP ...), UCSPI-TLS (SSLCTLFD, SSLREADFD, SSLWRITEFD)
//! Invariants  1. before STARTTLS descriptors 0 and 1 are the TCP socket itself   2. after it they are the TLS process,
//!             and the caller has forgotten every octet read before
//! Trust       the environment comes from listen, tlsd, inetd or tcpserver

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

/// The other end of the conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// Remote address as text without brackets; `unknown` when standard input is no socket.
    pub ip: String,
    /// Remote port.
    pub port: u16,
    /// Local address.
    pub local_ip: String,
    /// Local port.
    pub local_port: u16,
    /// TLS facts when TLS is active.
    pub tls: Option<Tls>,
}

/// What the TLS process says of the session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.3`.
    pub protocol: String,
    /// `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The server name the client asked for.
    pub sni: String,
    /// tls-exporter channel binding (RFC 9266), hexadecimal.
    pub exporter: String,
    /// Subject of the client's certificate, if one was shown and verified.
    pub client_subject: String,
}

impl Tls {
    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Option<Tls> {
        Some(Tls {
            protocol: get("SSL_PROTOCOL")?,
            cipher: get("SSL_CIPHER").unwrap_or_default(),
            sni: get("SSL_TLS_SNI").unwrap_or_default(),
            exporter: get("SSL_EXPORTER").unwrap_or_default(),
            client_subject: get("SSL_CLIENT_S_DN").unwrap_or_default(),
        })
    }
}

impl Peer {
    /// Reads the UCSPI variables, else asks the socket on descriptor 0.
    pub fn from_env() -> Peer {
        let get = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let mut peer = Peer { ip: "unknown".into(), local_ip: "unknown".into(), ..Peer::default() };
        if let Some(ip) = get("TCPREMOTEIP") {
            peer.ip = ip;
            peer.port = get("TCPREMOTEPORT").and_then(|p| p.parse().ok()).unwrap_or(0);
            peer.local_ip = get("TCPLOCALIP").unwrap_or(peer.local_ip);
            peer.local_port = get("TCPLOCALPORT").and_then(|p| p.parse().ok()).unwrap_or(0);
        } else if let Some((remote, local)) = penny_sys::net::tcp_addresses(io::stdin().as_fd()) {
            peer.ip = remote.ip().to_canonical().to_string();
            peer.port = remote.port();
            peer.local_ip = local.ip().to_canonical().to_string();
            peer.local_port = local.port();
        }
        peer.tls = Tls::from_variables(get);
        peer
    }

    /// True for 127.0.0.0/8, ::1 and for a pipe, whose other end is the caller itself.
    pub fn is_loopback(&self) -> bool {
        self.ip == "unknown" || self.ip.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
    }

    /// The variables a started program needs to know the same peer.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut all = vec![
            ("PROTO".into(), "TCP".into()),
            ("TCPREMOTEIP".into(), self.ip.clone()),
            ("TCPREMOTEPORT".into(), self.port.to_string()),
            ("TCPLOCALIP".into(), self.local_ip.clone()),
            ("TCPLOCALPORT".into(), self.local_port.to_string()),
        ];
        if let Some(tls) = &self.tls {
            all.push(("SSL_PROTOCOL".into(), tls.protocol.clone()));
            all.push(("SSL_CIPHER".into(), tls.cipher.clone()));
            all.push(("SSL_TLS_SNI".into(), tls.sni.clone()));
            all.push(("SSL_EXPORTER".into(), tls.exporter.clone()));
            all.push(("SSL_CLIENT_S_DN".into(), tls.client_subject.clone()));
        }
        all
    }
}

/// The descriptors of a UCSPI-TLS parent; present when STARTTLS can be offered.
#[derive(Debug)]
pub struct StartTls {
    control: OwnedFd,
    read: Option<OwnedFd>,
    write: Option<OwnedFd>,
}

/// Longest answer of the TLS process, octets.
const ANSWER_MAX: u64 = 64 * 1024;

impl StartTls {
    /// Takes the descriptors named by SSLCTLFD, SSLREADFD and SSLWRITEFD. Call once.
    pub fn from_env() -> Option<StartTls> {
        let number = |name: &str| std::env::var(name).ok()?.parse::<i32>().ok().filter(|n| *n > 2);
        let control = penny_sys::net::inherited(number("SSLCTLFD")?).ok()?;
        let (r, w) = (number("SSLREADFD")?, number("SSLWRITEFD")?);
        let read = penny_sys::net::inherited(r).ok();
        let write = if r == w { None } else { penny_sys::net::inherited(w).ok() };
        Some(StartTls { control, read, write })
    }

    /// Starts TLS: the go-ahead has been written and the caller's input buffer is empty. Descriptors 0 and 1 are
    /// the TLS process afterwards.
    pub fn start(self) -> io::Result<Tls> {
        let mut control = std::fs::File::from(self.control);
        control.write_all(b"Y")?;
        let variables = read_variables(&mut control)?;
        let tls = Tls::from_variables(|n| variables.get(n).cloned())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the TLS process named no protocol"))?;
        let read = self.read.ok_or_else(|| io::Error::other("no SSLREADFD"))?;
        penny_sys::net::replace_descriptor(read.as_fd(), 0)?;
        penny_sys::net::replace_descriptor(self.write.as_ref().unwrap_or(&read).as_fd(), 1)?;
        Ok(tls)
    }

    /// The control descriptor, to hand it on.
    pub fn control(&self) -> &OwnedFd {
        &self.control
    }

    /// The data descriptors (read, write), to hand them on.
    pub fn data(&self) -> Option<(&OwnedFd, &OwnedFd)> {
        let read = self.read.as_ref()?;
        Some((read, self.write.as_ref().unwrap_or(read)))
    }
}

/// Reads `NAME=value NUL ... NUL NUL`, as the TLS process tells it. An end before that is a failed handshake.
pub fn read_variables(from: &mut impl Read) -> io::Result<BTreeMap<String, String>> {
    let mut bytes = Vec::new();
    let mut one = [0u8];
    let mut from = from.take(ANSWER_MAX);
    loop {
        if from.read(&mut one)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "TLS handshake failed"));
        }
        let ends = one[0] == 0 && bytes.last().is_none_or(|b| *b == 0);
        if ends {
            break;
        }
        bytes.push(one[0]);
    }
    let text = String::from_utf8_lossy(&bytes);
    let pairs = text.split('\0').filter_map(|v| v.split_once('='));
    Ok(pairs.map(|(n, v)| (n.to_string(), v.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_tls_process() {
        let v = read_variables(&mut &b"SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=X=Y\0\0rest"[..]).unwrap();
        assert_eq!(v["SSL_PROTOCOL"], "TLSv1.3");
        assert_eq!(v["SSL_CIPHER"], "X=Y");
    }

    #[test]
    fn a_failed_handshake_is_an_error() {
        assert!(read_variables(&mut &b"SSL_PROTO"[..]).is_err());
        assert!(read_variables(&mut &b""[..]).is_err());
    }

    #[test]
    fn loopback() {
        let peer = |ip: &str| Peer { ip: ip.into(), ..Peer::default() };
        assert!(peer("127.3.2.1").is_loopback() && peer("::1").is_loopback() && peer("unknown").is_loopback());
        assert!(!peer("192.0.2.1").is_loopback());
    }
}
