//! Connections at once, in all and from one address, and new ones a minute from one address (an IPv6 client is its /64).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The window of the rate.
const WINDOW: Duration = Duration::from_secs(60);
/// Clients whose rate is kept; beyond that those that have been quiet are forgotten.
const CLIENTS_MAX: usize = 50_000;

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

/// What one client may do; 0 is no limit for the rate.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Connections at once.
    pub at_once: u32,
    /// New ones a minute.
    pub rate: u32,
}

/// New connections of one client: in the window before, and in this one.
#[derive(Debug, Clone, Copy)]
struct Recent {
    start: Instant,
    before: u32,
    now: u32,
}

impl Recent {
    /// The count of the last minute: this window's, and of the one before the share that is not over yet.
    fn count(&mut self, time: Instant) -> u32 {
        let passed = time.saturating_duration_since(self.start);
        if passed >= WINDOW {
            let (before, start) = if passed < 2 * WINDOW { (self.now, self.start + WINDOW) } else { (0, time) };
            *self = Recent { start, before, now: 0 };
        }
        let left = WINDOW.saturating_sub(time.saturating_duration_since(self.start));
        let share = u64::from(self.before) * left.as_millis() as u64 / WINDOW.as_millis() as u64;
        self.now.saturating_add(u32::try_from(share).unwrap_or(u32::MAX))
    }
}

/// Counts for one listening address.
#[derive(Debug, Default)]
pub struct Limits {
    total: u32,
    by_client: HashMap<Client, u32>,
    recent: HashMap<Client, Recent>,
}

impl Limits {
    /// Takes a place, or says which limit is reached.
    pub fn enter(&mut self, client: Client, max: u32, most: Most) -> Result<(), &'static str> {
        self.enter_at(client, max, most, Instant::now())
    }

    fn enter_at(&mut self, client: Client, max: u32, most: Most, time: Instant) -> Result<(), &'static str> {
        if self.total >= max {
            return Err("max_connections");
        }
        self.hurries(client, most.rate, time)?;
        let count = self.by_client.entry(client).or_insert(0);
        if *count >= most.at_once {
            return Err("max_per_address");
        }
        *count += 1;
        self.total += 1;
        Ok(())
    }

    /// Counts a new connection. One that is refused counts too: who hammers stays out until it pauses.
    fn hurries(&mut self, client: Client, rate: u32, time: Instant) -> Result<(), &'static str> {
        if rate == 0 {
            return Ok(());
        }
        if self.recent.len() >= CLIENTS_MAX && !self.recent.contains_key(&client) {
            self.recent.retain(|_, r| time.saturating_duration_since(r.start) < WINDOW);
            if self.recent.len() >= CLIENTS_MAX {
                self.recent.clear(); // more clients a minute than that: the other limits have to do
            }
        }
        let recent = self.recent.entry(client).or_insert(Recent { start: time, before: 0, now: 0 });
        let count = recent.count(time);
        recent.now = recent.now.saturating_add(1);
        if count >= rate { Err("max_rate") } else { Ok(()) }
    }

    /// Gives a place back.
    pub fn leave(&mut self, client: Client) {
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.by_client.get_mut(&client) {
            *count = count.saturating_sub(1);
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

    const TWO: Most = Most { at_once: 2, rate: 0 };

    #[test]
    fn the_rate_is_of_the_last_minute() {
        let mut l = Limits::default();
        let most = Most { at_once: 1000, rate: 4 };
        let start = Instant::now();
        let mut enter = |client: &str, seconds: u64| {
            let time = start + Duration::from_secs(seconds);
            l.enter_at(c(client), 1000, most, time)
        };
        for second in 0..4 {
            assert_eq!(enter("192.0.2.1", second), Ok(()));
        }
        assert_eq!(enter("192.0.2.1", 5), Err("max_rate"));
        assert_eq!(enter("192.0.2.2", 5), Ok(()));
        assert_eq!(enter("2001:db8::1", 6), Ok(()));
        // five in the first minute: half a minute later half of them count
        assert_eq!(enter("192.0.2.1", 90), Ok(()));
        assert_eq!(enter("192.0.2.1", 90), Ok(()));
        assert_eq!(enter("192.0.2.1", 90), Err("max_rate"));
        assert_eq!(enter("192.0.2.1", 300), Ok(()));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut l = Limits::default();
        let start = Instant::now();
        for n in 0..2 * CLIENTS_MAX as u128 {
            let most = Most { at_once: 1, rate: 1 };
            assert_eq!(l.enter_at(Client(n), u32::MAX, most, start), Ok(()));
        }
        assert!(l.recent.len() <= CLIENTS_MAX);
    }

    #[test]
    fn places_come_back() {
        let mut l = Limits::default();
        assert!(l.enter(c("192.0.2.1"), 3, TWO).is_ok() && l.enter(c("192.0.2.1"), 3, TWO).is_ok());
        assert_eq!(l.enter(c("192.0.2.1"), 3, TWO), Err("max_per_address"));
        assert!(l.enter(c("192.0.2.2"), 3, TWO).is_ok());
        assert_eq!(l.enter(c("192.0.2.3"), 3, TWO), Err("max_connections"));
        l.leave(c("192.0.2.1"));
        assert!(l.enter(c("192.0.2.1"), 3, TWO).is_ok());
    }
}
