//! Where to listen: an address to bind, or a socket passed by systemd (LISTEN_FDS, sd_listen_fds(3)).

use penny_base::config::Listen;
use penny_base::handover::Inheritance;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;

/// First descriptor of the protocol.
const FIRST: i32 = 3;

/// Opens the listening socket of one entry, non-blocking; an older process may have handed it over.
pub fn open(entry: &Listen, inheritance: &mut Inheritance) -> io::Result<TcpListener> {
    let listener = match (inheritance.socket(&entry.address), entry.address.strip_prefix("fd:")) {
        (Some(socket), _) => socket.into(),
        (None, Some(name)) => passed(name)?.into(),
        (None, None) => bind(entry)?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The same for a service that runs: what systemd passed it had to take at its start, for the numbers are others' by now.
pub fn open_later(entry: &Listen) -> io::Result<TcpListener> {
    if entry.address.starts_with("fd:") {
        return Err(io::Error::other("a socket can be passed at a start only"));
    }
    open(entry, &mut Inheritance::default())
}

fn bind(entry: &Listen) -> io::Result<TcpListener> {
    let addresses: Vec<SocketAddr> = entry.address.to_socket_addrs()?.collect();
    let address = addresses.first().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
    let backlog = i32::try_from(entry.backlog).unwrap_or(i32::MAX);
    penny_sys::net::listen_tcp(*address, backlog).map(TcpListener::from)
}

/// Number of the descriptor that systemd gave a name (LISTEN_FDNAMES), or its index.
fn number(name: &str, names: &str, count: i32) -> Option<i32> {
    let by_name = names.split(':').position(|n| n == name).and_then(|i| i32::try_from(i).ok());
    let index = by_name.or_else(|| name.parse().ok())?;
    (index < count).then_some(FIRST + index)
}

fn passed(name: &str) -> io::Result<OwnedFd> {
    let variable = |n: &str| std::env::var(n).unwrap_or_default();
    let for_us = variable("LISTEN_PID").parse() == Ok(std::process::id());
    let count = if for_us { variable("LISTEN_FDS").parse().unwrap_or(0) } else { 0 };
    let number = number(name, &variable("LISTEN_FDNAMES"), count);
    let number =
        number.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no socket {name} was passed")))?;
    penny_sys::net::inherited(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indexes() {
        assert_eq!(number("imap", "smtp:imap", 2), Some(4));
        assert_eq!(number("0", "", 1), Some(3));
        assert_eq!(number("1", "", 1), None);
        assert_eq!(number("pop3", "smtp:imap", 2), None);
    }

    #[test]
    fn a_port_of_the_kernel() {
        let entry = Listen { address: "127.0.0.1:0".into(), backlog: 5, ..Listen::default() };
        assert_ne!(open(&entry, &mut Inheritance::default()).unwrap().local_addr().unwrap().port(), 0);
    }
}
