//! Which resolvers to ask and how long: resolv.conf(5), or one address given by hand.
//!
//! Format      `nameserver ADDR`, `options timeout:N attempts:N rotate use-vc trust-ad`; the rest is skipped. Search
//!             lists are never used: names in mail are complete (RFC 5321 2.3.5)
//! Trust       the file is the administrator's

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

/// The variable that overrides resolv.conf.
pub const RESOLVER_ENV: &str = "PENNYPOST_RESOLVER";
/// Resolvers used of one file, as in glibc.
const SERVERS_MAX: usize = 3;

/// How a [`crate::Resolver`] asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Resolvers, in order of preference.
    pub servers: Vec<SocketAddr>,
    /// Time for one try at one server.
    pub timeout: Duration,
    /// Rounds over the servers.
    pub attempts: u32,
    /// Begin with another server each time.
    pub rotate: bool,
    /// TCP only.
    pub use_tcp: bool,
    /// Believe the AD bit of every server; without it only of those on loopback.
    pub trust_ad: bool,
}

impl Settings {
    /// Asks these servers, two seconds a try, two rounds.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, timeout: Duration::from_secs(2), attempts: 2, rotate: false, use_tcp: false, trust_ad: false }
    }

    /// One server, `ADDR` or `ADDR:PORT` (`[ADDR]:PORT` for IPv6); `None` when the text is neither.
    pub fn at(text: &str) -> Option<Self> {
        let text = text.trim();
        let server = text
            .parse::<SocketAddr>()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)))?;
        Some(Self::new(vec![server]))
    }

    /// `given` (an option or config value), else [`RESOLVER_ENV`], else `/etc/resolv.conf`.
    ///
    /// The error is the text that is no address.
    pub fn choose(given: Option<&str>) -> Result<Self, String> {
        let from_env = std::env::var(RESOLVER_ENV).ok();
        match given.or(from_env.as_deref()).filter(|text| !text.is_empty()) {
            Some(text) => Self::at(text).ok_or_else(|| format!("{text}: not an ADDR:PORT of a resolver")),
            None => Ok(Self::system()),
        }
    }

    /// What `/etc/resolv.conf` says; a missing file means the resolver on this host.
    pub fn system() -> Self {
        Self::load(Path::new("/etc/resolv.conf"))
    }

    /// What a file in the format of resolv.conf(5) says.
    pub fn load(path: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(path).unwrap_or_default())
    }

    /// Reads the text of such a file.
    pub fn parse(text: &str) -> Self {
        let mut settings = Self::new(Vec::new());
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => settings.servers.extend(words.next().and_then(server)),
                Some("options") => words.for_each(|word| settings.option(word)),
                _ => {}
            }
        }
        settings.servers.truncate(SERVERS_MAX);
        if settings.servers.is_empty() {
            settings.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        settings
    }

    fn option(&mut self, word: &str) {
        let (key, value) = word.split_once(':').unwrap_or((word, ""));
        match key {
            // resolv.conf(5) caps both so that a typing mistake can't hang mail for hours
            "timeout" => self.timeout = Duration::from_secs(value.parse().unwrap_or(2).clamp(1, 30)),
            "attempts" => self.attempts = value.parse().unwrap_or(2).clamp(1, 5),
            "rotate" => self.rotate = true,
            "use-vc" => self.use_tcp = true,
            "trust-ad" => self.trust_ad = true,
            _ => {}
        }
    }
}

/// An address; a numeric IPv6 scope (`fe80::1%2`) is kept, a named one can't be used without the system's help.
fn server(text: &str) -> Option<SocketAddr> {
    if let Some((ip, scope)) = text.split_once('%') {
        return Some(SocketAddrV6::new(ip.parse().ok()?, 53, 0, scope.parse().ok()?).into());
    }
    Some(SocketAddr::new(text.parse().ok()?, 53))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_file() {
        let text = "# comment\nsearch example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver fe80::1%3\n\
                    nameserver 192.0.2.9\noptions timeout:1 attempts:9 rotate trust-ad edns0\n";
        let s = Settings::parse(text);
        let servers: Vec<String> = s.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%3]:53"]);
        assert_eq!((s.timeout, s.attempts), (Duration::from_secs(1), 5));
        assert!(s.rotate && s.trust_ad && !s.use_tcp);
    }

    #[test]
    fn nothing_useful_means_this_host() {
        for text in ["", "nameserver\n", "nameserver x\n", "; nameserver 192.0.2.1\n"] {
            assert_eq!(Settings::parse(text).servers, ["127.0.0.1:53".parse().unwrap()], "{text:?}");
        }
    }

    #[test]
    fn addresses_by_hand() {
        let at = |text: &str| Settings::at(text).map(|s| s.servers[0].to_string());
        assert_eq!(at("127.0.0.1:5300").as_deref(), Some("127.0.0.1:5300"));
        assert_eq!(at("[::1]:5300").as_deref(), Some("[::1]:5300"));
        assert_eq!(at("192.0.2.1").as_deref(), Some("192.0.2.1:53"));
        assert_eq!(at("::1").as_deref(), Some("[::1]:53"));
        assert_eq!(at("localhost:53"), None);
    }
}
