//! The listening sockets with their entries, and what happens to them when the configuration changes.
//!
//! Invariants  1. the index of a port never changes: connections know theirs by it   2. an address that is in the old and in
//!             the new configuration keeps its socket and what waits in it   3. a closed port still counts the connections
//!             that came through it   4. no two ports have the same address

use crate::address;
use crate::limits::Limits;
use penny_base::config::Listen;
use penny_base::handover::Inheritance;
use penny_base::log;
use std::collections::HashSet;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

/// One of them.
pub struct Port {
    /// As configured.
    pub entry: Rc<Listen>,
    /// While it is open.
    pub socket: Option<TcpListener>,
    /// Who is connected through it.
    pub limits: Limits,
}

/// All that are or were.
#[derive(Default)]
pub struct Ports(Vec<Port>);

/// Sockets of a new configuration, which nobody uses yet.
pub struct Opened(Vec<(String, TcpListener)>);

impl Ports {
    /// Opens the first ones.
    pub fn open(entries: &[Listen], inheritance: &mut Inheritance) -> io::Result<Ports> {
        let mut ports = Ports::default();
        let opened = ports.open_missing(entries, |entry| address::open(entry, inheritance))?;
        ports.follow(entries, opened);
        Ok(ports)
    }

    /// Opens those of other entries that are not open; nothing else changes.
    pub fn open_more(&self, entries: &[Listen]) -> io::Result<Opened> {
        self.open_missing(entries, address::open_later)
    }

    fn open_missing(
        &self,
        entries: &[Listen],
        mut open: impl FnMut(&Listen) -> io::Result<TcpListener>,
    ) -> io::Result<Opened> {
        let mut seen = HashSet::new();
        let mut opened = Vec::new();
        for entry in entries {
            let address = &entry.address;
            let named = |e: io::Error| io::Error::new(e.kind(), format!("{address}: {e}"));
            if !seen.insert(address) {
                return Err(named(io::Error::other("two entries have it")));
            }
            if !self.0.iter().any(|p| p.is_at(entry) && p.socket.is_some()) {
                opened.push((address.clone(), open(entry).map_err(named)?));
            }
        }
        Ok(Opened(opened))
    }

    /// Goes by these entries from now on: with the sockets that were opened for them, without those that have none.
    pub fn follow(&mut self, entries: &[Listen], mut opened: Opened) {
        for port in &mut self.0 {
            if !entries.iter().any(|e| port.is_at(e)) {
                port.close();
            }
        }
        for entry in entries {
            let socket = opened.take(&entry.address);
            if let Some(socket) = &socket {
                let place = socket.local_addr().map(|a| a.to_string()).unwrap_or_default();
                log::info(
                    "listening",
                    None,
                    &[("name", &entry.name), ("address", &place), ("program", &entry.program)],
                );
            }
            let entry = Rc::new(entry.clone());
            match self.0.iter_mut().find(|p| p.is_at(&entry)) {
                Some(port) => (port.entry, port.socket) = (entry, socket.or(port.socket.take())),
                None => self.0.push(Port { entry, socket, limits: Limits::default() }),
            }
        }
    }

    /// The indexes of [`Ports::sockets`], which no change of the configuration gives to another port.
    pub fn open_indexes(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, p)| p.socket.is_some()).map(|(n, _)| n)
    }

    pub fn get(&self, index: usize) -> Option<&Port> {
        self.0.get(index)
    }

    pub fn get_mut(&mut self, index: usize) -> Option<&mut Port> {
        self.0.get_mut(index)
    }

    /// The open sockets by their addresses as configured.
    pub fn sockets(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.0.iter().filter_map(|p| Some((p.entry.address.as_str(), p.socket.as_ref()?.as_fd())))
    }

    /// Nobody new comes in.
    pub fn close(&mut self) {
        self.0.iter_mut().for_each(|p| p.socket = None);
    }
}

impl Port {
    fn is_at(&self, entry: &Listen) -> bool {
        self.entry.address == entry.address
    }

    fn close(&mut self) {
        if self.socket.take().is_some() {
            log::info("listening-ended", None, &[("name", &self.entry.name), ("address", &self.entry.address)]);
        }
    }
}

impl Opened {
    fn take(&mut self, address: &str) -> Option<TcpListener> {
        let at = self.0.iter().position(|o| o.0 == address)?;
        Some(self.0.swap_remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn entry(name: &str, address: &str) -> Listen {
        Listen { name: name.into(), address: address.into(), backlog: 5, ..Listen::default() }
    }

    fn place(ports: &Ports, index: usize) -> Option<SocketAddr> {
        ports.get(index)?.socket.as_ref()?.local_addr().ok()
    }

    #[test]
    fn an_address_that_stays_keeps_its_socket_and_index() {
        let (a, b) = (entry("a", "127.0.0.1:0"), entry("b", "127.0.0.2:0"));
        let mut ports = Ports::open(&[a, b.clone()], &mut Inheritance::default()).unwrap();
        let kept = place(&ports, 1);
        let more = [entry("c", "127.0.0.3:0"), Listen { max_connections: 7, ..b }];
        ports.follow(&more, ports.open_more(&more).unwrap());
        assert_eq!(place(&ports, 1), kept);
        assert_eq!(ports.get(1).unwrap().entry.max_connections, 7);
        assert!(place(&ports, 0).is_none() && place(&ports, 2).is_some());
        assert_eq!(ports.sockets().map(|s| s.0).collect::<Vec<_>>(), ["127.0.0.2:0", "127.0.0.3:0"]);
        assert_eq!(ports.open_indexes().collect::<Vec<_>>(), [1, 2]);
        // what comes back takes its old place
        let all = [entry("a", "127.0.0.1:0"), more[0].clone(), more[1].clone()];
        ports.follow(&all, ports.open_more(&all).unwrap());
        assert_eq!((ports.open_indexes().count(), place(&ports, 1)), (3, kept));
        assert!(place(&ports, 0).is_some());
    }

    #[test]
    fn one_that_cannot_be_opened_is_named_and_changes_nothing() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let ports = Ports::open(&[entry("a", "127.0.0.2:0")], &mut Inheritance::default()).unwrap();
        let why = |e: Listen| ports.open_more(&[e]).err().unwrap().to_string();
        assert!(why(entry("b", &address)).starts_with(&format!("{address}: ")));
        assert!(why(entry("c", "fd:smtp")).starts_with("fd:smtp: "));
        let twice = ["d", "e"].map(|name| entry(name, "127.0.0.2:0"));
        assert_eq!(ports.open_more(&twice).err().unwrap().to_string(), "127.0.0.2:0: two entries have it");
        assert!(place(&ports, 0).is_some());
    }
}
