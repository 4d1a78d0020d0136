//! Client addresses against lists of addresses and networks.
//!
//! Format      `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`; an IPv4-mapped IPv6 client counts as IPv4

use std::net::IpAddr;

/// Whether `ip` (text) is in one of `networks`.
pub fn in_any(ip: &str, networks: &[String]) -> bool {
    let Ok(ip) = ip.parse::<IpAddr>() else { return false };
    networks.iter().any(|network| contains(network, ip.to_canonical()))
}

/// Whether `network` holds `ip`; a network that is not understood holds nothing.
fn contains(network: &str, ip: IpAddr) -> bool {
    let (address, length) = match network.split_once('/') {
        Some((address, length)) => (address, length.parse::<u32>().ok()),
        None => (network, Some(128)),
    };
    let (Ok(base), Some(length)) = (address.parse::<IpAddr>(), length) else { return false };
    match (base.to_canonical(), ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same_bits(a.to_bits().into(), b.to_bits().into(), 32, length),
        (IpAddr::V6(a), IpAddr::V6(b)) => same_bits(a.to_bits(), b.to_bits(), 128, length),
        _ => false,
    }
}

fn same_bits(a: u128, b: u128, width: u32, length: u32) -> bool {
    let drop = width - length.min(width);
    a.checked_shr(drop) == b.checked_shr(drop)
}
