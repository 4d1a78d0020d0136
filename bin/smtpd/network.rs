//! Client addresses against lists of addresses and networks (penny-tables' grammar).

use penny_tables::cidr::Network;
use std::net::IpAddr;

/// Whether `ip` (text) is in one of `networks`; a network that is not understood holds nothing.
pub fn in_any(ip: &str, networks: &[String]) -> bool {
    let Ok(ip) = ip.parse::<IpAddr>() else { return false };
    networks.iter().filter_map(|network| Network::parse(network)).any(|network| network.contains(ip.to_canonical()))
}

/// What counts as one client: an IPv4 address, or the /64 of an IPv6 address.
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
