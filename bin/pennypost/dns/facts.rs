//! What the records are made from: names, addresses, services, keys, certificate.

use penny_base::config::TlsMode;
use penny_base::{Config, Failure};
use std::net::{IpAddr, UdpSocket};

/// A service that clients find by SRV records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `imap`, `submission`, `pop3`, `sieve`, `smtp`.
    pub name: &'static str,
    /// Its port.
    pub port: u16,
    /// TLS from the first octet.
    pub implicit: bool,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The domain of the addresses.
    pub domain: String,
    /// This host.
    pub host: String,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// What listens.
    pub services: Vec<Service>,
    /// Selector and value of each DKIM record.
    pub dkim: Vec<(String, String)>,
    /// The certificate, where there is one.
    pub certificate: Option<penny_tls::certificate::Facts>,
}

impl Facts {
    /// Gathers them from the configuration and the machine.
    pub fn gather(config: &Config, domain: &str, ips: &[IpAddr]) -> Result<Facts, Failure> {
        let domain = crate::domain::name(domain)?;
        Ok(Facts {
            host: config.hostname().to_lowercase(),
            ips: addresses(config, ips)?,
            services: services(config),
            dkim: crate::dkim::records(config, &domain)?,
            certificate: penny_tls::certificate::facts(&config.tls.certificate).ok(),
            domain,
        })
    }

    /// The first port of a service.
    pub fn port(&self, name: &str, implicit: bool) -> Option<u16> {
        self.services.iter().find(|s| s.name == name && s.implicit == implicit).map(|s| s.port)
    }

    /// The MTA-STS policy (RFC 8461 3.2): only tested while the certificate convinces nobody.
    pub fn sts_policy(&self) -> String {
        let good = self.certificate.as_ref().is_some_and(|c| !c.self_signed && c.is_for(&self.host));
        let (mode, age) = if good { ("enforce", 1_209_600) } else { ("testing", 86_400) };
        format!("version: STSv1\r\nmode: {mode}\r\nmx: {}\r\nmax_age: {age}\r\n", self.host)
    }
}

/// What the shipped files start: name, port, TLS from the first octet.
pub const USUAL: [(&str, u16, bool); 8] = [
    ("smtp", 25, false),
    ("submission", 465, true),
    ("submission", 587, false),
    ("imap", 993, true),
    ("imap", 143, false),
    ("pop3", 995, true),
    ("pop3", 110, false),
    ("sieve", 4190, false),
];

/// Services by their `[[listen]]` entries; without any (inetd, systemd sockets) all that the shipped files start.
fn services(config: &Config) -> Vec<Service> {
    let mut out = Vec::new();
    for entry in &config.listen {
        let submission = entry.args.iter().any(|a| a == "submission");
        let name = match entry.program.rsplit('/').next().unwrap_or("") {
            "smtpd" if submission => "submission",
            "smtpd" if entry.args.iter().any(|a| a == "mx") => "smtp",
            "imapd" => "imap",
            "pop3d" => "pop3",
            "sieved" => "sieve",
            _ => continue,
        };
        let port = entry.address.rsplit(':').next().and_then(|p| p.parse().ok());
        let implicit = entry.tls == TlsMode::Implicit;
        let usual = USUAL.iter().find(|u| (u.0, u.2) == (name, implicit)).map(|u| u.1);
        if let Some(port) = port.or(usual) {
            out.push(Service { name, port, implicit });
        }
    }
    if out.is_empty() {
        out = USUAL.into_iter().map(|(name, port, implicit)| Service { name, port, implicit }).collect();
    }
    out
}

/// The addresses the world sees: given, configured, or this host's.
pub fn addresses(config: &Config, given: &[IpAddr]) -> Result<Vec<IpAddr>, Failure> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let wrong = |a: &String| Failure::config(format!("check.addresses: {a} is no address"));
    let all: Result<Vec<IpAddr>, _> = config.check.addresses.iter().map(|a| a.parse().map_err(|_| wrong(a))).collect();
    all.map(|all| if all.is_empty() { own_addresses() } else { all })
}

/// The addresses the kernel would use towards the world; nothing is sent.
fn own_addresses() -> Vec<IpAddr> {
    let towards = |bind: &str, to: &str| {
        let socket = UdpSocket::bind(bind).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|a| a.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
    };
    // documentation addresses: any global one has the same route
    [towards("0.0.0.0:0", "192.0.2.1:9"), towards("[::]:0", "[2001:db8::1]:9")].into_iter().flatten().collect()
}
