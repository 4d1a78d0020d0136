//! Connections at once: in all, and from one address (an IPv6 client is its /64).

use std::collections::HashMap;
use std::net::IpAddr;

/// What counts as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(u128);

/// The client an address belongs to.
pub fn client(address: IpAddr) -> Client {
    match address.to_canonical() {
        IpAddr::V4(a) => Client(u128::from(u32::from(a))),
        IpAddr::V6(a) => Client((u128::from(a) >> 64 << 64) | 1 << 63),
    }
}

/// Counts for one listening address.
#[derive(Debug, Default)]
pub struct Limits {
    total: u32,
    by_client: HashMap<Client, u32>,
}

impl Limits {
    /// Takes a place, or says which limit is reached.
    pub fn enter(&mut self, client: Client, max: u32, max_per_client: u32) -> Result<(), &'static str> {
        if self.total >= max {
            return Err("max_connections");
        }
        let count = self.by_client.entry(client).or_insert(0);
        if *count >= max_per_client {
            return Err("max_per_address");
        }
        *count += 1;
        self.total += 1;
        Ok(())
    }

    /// Gives a place back.
    pub fn leave(&mut self, client: Client) {
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(a: &str) -> Client {
        client(a.parse().unwrap())
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        assert_eq!(c("2001:db8::1"), c("2001:db8::ffff:1"));
        assert_ne!(c("2001:db8::1"), c("2001:db8:0:1::1"));
        assert_eq!(c("::ffff:192.0.2.1"), c("192.0.2.1"));
    }

    #[test]
    fn places_come_back() {
        let mut l = Limits::default();
        assert!(l.enter(c("192.0.2.1"), 3, 2).is_ok() && l.enter(c("192.0.2.1"), 3, 2).is_ok());
        assert_eq!(l.enter(c("192.0.2.1"), 3, 2), Err("max_per_address"));
        assert!(l.enter(c("192.0.2.2"), 3, 2).is_ok());
        assert_eq!(l.enter(c("192.0.2.3"), 3, 2), Err("max_connections"));
        l.leave(c("192.0.2.1"));
        assert!(l.enter(c("192.0.2.1"), 3, 2).is_ok());
    }
}
