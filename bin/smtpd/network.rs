//! Client addresses against lists of addresses and networks (penny-tables' grammar).

use penny_tables::cidr::Network;
use std::net::IpAddr;

/// Whether `ip` (text) is in one of `networks`; a network that is not understood holds nothing.
pub fn in_any(ip: &str, networks: &[String]) -> bool {
    let Ok(ip) = ip.parse::<IpAddr>() else { return false };
    networks.iter().filter_map(|network| Network::parse(network)).any(|network| network.contains(ip.to_canonical()))
}
