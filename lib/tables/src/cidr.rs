//! Networks in CIDR notation (RFC 4632, RFC 4291 2.3).

use std::net::IpAddr;

/// A network, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

fn value(address: IpAddr) -> (u128, u8) {
    match address.to_canonical() {
        IpAddr::V4(a) => (u128::from(u32::from(a)), 32),
        IpAddr::V6(a) => (u128::from(a), 128),
    }
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32`, or an address.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        let width = value(address).1;
        let bits = bits.map_or(Some(width), |b| b.parse().ok())?;
        (bits <= width).then_some(Network { address, bits })
    }

    /// True when the address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((ours, width), (theirs, other)) = (value(self.address), value(address));
        if width != other {
            return false;
        }
        let shift = u32::from(width - self.bits);
        ours.checked_shr(shift).unwrap_or(0) == theirs.checked_shr(shift).unwrap_or(0)
    }
}

/// Whether `ip` (text) is in one of `networks`; a network that is not understood holds nothing.
pub fn in_any(ip: &str, networks: &[String]) -> bool {
    let Ok(ip) = ip.parse::<IpAddr>() else { return false };
    networks.iter().filter_map(|network| Network::parse(network)).any(|network| network.contains(ip.to_canonical()))
}

/// What counts as one client in rates: an IPv4 address, or the /64 of an IPv6 address; other text as it is.
pub fn client_key(ip: &str) -> String {
    match ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(v4) => v4.to_string(),
        Err(_) => ip.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_and_outside() {
        let n = |t: &str| Network::parse(t).unwrap();
        let a = |t: &str| t.parse::<IpAddr>().unwrap();
        assert!(n("127.0.0.0/8").contains(a("127.9.9.9")) && !n("127.0.0.0/8").contains(a("128.0.0.1")));
        assert!(n("0.0.0.0/0").contains(a("1.2.3.4")) && !n("0.0.0.0/0").contains(a("::1")));
        assert!(n("2001:db8::/32").contains(a("2001:db8:1::")) && n("::/0").contains(a("::1")));
        assert!(n("10.0.0.1").contains(a("::ffff:10.0.0.1")));
        assert!(Network::parse("1.2.3.4/33").is_none() && Network::parse("x").is_none());
    }

    #[test]
    fn a_client_is_an_address_or_a_network() {
        assert_eq!(client_key("192.0.2.1"), "192.0.2.1");
        assert_eq!(client_key("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(client_key("2001:db8::1:2:3:4"), "2001:db8:0:0::/64");
        assert_eq!(client_key("2001:db8::9"), client_key("2001:db8::1:2:3:4"));
        assert_ne!(client_key("2001:db8::9"), client_key("2001:db8:0:1::9"));
        assert_eq!(client_key("unknown"), "unknown");
    }
}
