//! listen: the PROXY protocol from trusted addresses only, and what one client may do.

mod smtpfake;

use penny_testkit::{Client, program};
use smtpfake::instance::Instance;
use std::net::{Ipv6Addr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

/// listen with one entry on a socket of this test; ended when dropped.
struct Listen {
    _instance: Instance,
    port: u16,
    pid: i32,
}

impl Listen {
    fn start(keys: &str) -> Listen {
        let entry =
            "[[listen]]\nname = \"smtp\"\naddress = \"fd:smtp\"\nprogram = \"smtpd\"\nargs = [\"-r\", \"mx\"]\n";
        let instance = Instance::usual(&format!("[smtpd]\nresolve_clients = false\n{entry}tls = \"none\"\n{keys}"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shell = format!(
            "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=smtp exec {} -c {}",
            program!("listen").display(),
            instance.place.config().display()
        );
        let null = std::fs::File::open("/dev/null").unwrap();
        let stderr = std::io::stderr();
        let mut command = penny_sys::process::Program::new("/bin/sh").arg("-c").arg(shell).env("PATH", "/usr/bin:/bin");
        let fds: [BorrowedFd<'_>; 4] = [null.as_fd(), null.as_fd(), stderr.as_fd(), listener.as_fd()];
        command.descriptors = fds.to_vec();
        command.become_id =
            penny_sys::ids::is_root().then(|| (penny_sys::ids::Id { uid: 64_990, gid: 64_990 }, vec![]));
        let pid = command.start().unwrap();
        Listen { _instance: instance, port, pid }
    }

    fn connect(&self) -> Client {
        Client::connect(("127.0.0.1", self.port))
    }

    /// Sends a header; whom the server then takes the client for, or nothing when it closes.
    fn seen(&self, header: &[u8]) -> (Option<String>, Client) {
        let mut client = self.connect();
        client.send(header);
        // who speaks before the greeting is no mail server
        let address = client.read_line().map(|greeting| {
            assert!(greeting.starts_with("220 "), "{greeting}");
            client.line("EHLO x");
            let line = client.read_line().unwrap_or_default();
            line.split(" greets ").nth(1).unwrap_or_default().trim_matches(['[', ']']).to_owned()
        });
        (address, client)
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        penny_sys::process::kill(self.pid, 15);
        let _ = penny_sys::process::wait(self.pid);
    }
}

fn v1(from: &str) -> Vec<u8> {
    let family = if from.contains(':') { "TCP6 " } else { "TCP4 " };
    let to = if from.contains(':') { "2001:db8::25" } else { "203.0.113.25" };
    format!("PROXY {family}{from} {to} 4242 25\r\n").into_bytes()
}

/// Version 2: PROXY or LOCAL, TCP over IPv6, one TLV behind the addresses.
fn v2(local: bool, from: Ipv6Addr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([if local { 0x20 } else { 0x21 }, 0x21, 0, 40]);
    header.extend(from.octets());
    header.extend("2001:db8::25".parse::<Ipv6Addr>().unwrap().octets());
    header.extend([0x10, 0x92, 0, 25, 0x04, 0, 1, 7]);
    header
}

#[test]
fn a_trusted_proxy_names_its_client() {
    let listen = Listen::start("proxy_from = [\"127.0.0.0/8\"]\n");
    let seen = |header: &[u8]| listen.seen(header).0;
    assert_eq!(seen(&v1("192.0.2.9")).as_deref(), Some("192.0.2.9"));
    assert_eq!(seen(&v1("2001:db8::9")).as_deref(), Some("2001:db8::9"));
    assert_eq!(seen(&v2(false, "2001:db8::7".parse().unwrap())).as_deref(), Some("2001:db8::7"));
    // the proxy's own connections
    assert_eq!(seen(&v2(true, "2001:db8::7".parse().unwrap())).as_deref(), Some("127.0.0.1"));
    assert_eq!(seen(b"PROXY UNKNOWN\r\n").as_deref(), Some("127.0.0.1"));
    // without a header, or with one that is none, there is no session
    for bad in [
        b"EHLO x\r\n".as_slice(),
        b"PROXY TCP4 192.0.2.9\r\n",
        b"PROXY TCP4 a b 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
    ] {
        assert_eq!(seen(bad), None, "{bad:?}");
    }
    // a header may come octet by octet, and the greeting waits for it
    let mut client = listen.connect();
    for octet in v1("192.0.2.10") {
        client.send([octet]);
    }
    client.until("220 ");
    client.line("EHLO x");
    assert!(client.read_line().unwrap().ends_with("[192.0.2.10]"));
}

#[test]
fn nobody_else_does() {
    let listen = Listen::start("proxy_from = [\"192.0.2.0/24\", \"127.0.0.9\"]\n");
    let mut client = listen.connect();
    client.until("220 ");
    client.send(v1("192.0.2.9"));
    client.until("500 ");
    client.line("EHLO x");
    assert!(client.read_line().unwrap().ends_with("[127.0.0.1]"));
}

/// Tries until it gets in: a place comes back when the program of the client before has ended.
fn until_in(listen: &Listen, header: &[u8]) {
    penny_testkit::until("a place", || listen.seen(header).0.is_some());
}

#[test]
fn clients_behind_a_proxy_are_counted_one_by_one() {
    let listen = Listen::start("proxy_from = [\"127.0.0.1\"]\nmax_per_address = 1\n");
    let (first, kept) = listen.seen(&v1("192.0.2.9"));
    assert!(first.is_some());
    assert_eq!(listen.seen(&v1("192.0.2.9")).0, None);
    let (other, _kept) = listen.seen(&v1("192.0.2.10"));
    assert_eq!(other.as_deref(), Some("192.0.2.10"));
    // an IPv6 client is its /64
    let (six, _kept) = listen.seen(&v1("2001:db8::1"));
    assert!(six.is_some());
    assert_eq!(listen.seen(&v1("2001:db8::ffff:2")).0, None);
    let (far, _kept) = listen.seen(&v1("2001:db8:0:1::1"));
    assert!(far.is_some());
    drop(kept);
    until_in(&listen, &v1("192.0.2.9"));
}

#[test]
fn one_address_has_so_many_connections_at_once() {
    let listen = Listen::start("max_per_address = 2\n");
    let (one, two) = (listen.seen(b""), listen.seen(b""));
    assert!(one.0.is_some() && two.0.is_some());
    assert_eq!(listen.seen(b"").0, None);
    drop(one);
    until_in(&listen, b"");
}

#[test]
fn one_address_has_so_many_new_connections_a_minute() {
    let listen = Listen::start("proxy_from = [\"127.0.0.1\"]\nmax_rate = 3\n");
    for _ in 0..3 {
        assert!(listen.seen(&v1("192.0.2.9")).0.is_some());
    }
    assert_eq!(listen.seen(&v1("192.0.2.9")).0, None);
    assert!(listen.seen(&v1("192.0.2.10")).0.is_some());
}
