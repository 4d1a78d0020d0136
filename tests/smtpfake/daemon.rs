//! Real daemons beside an instance, and what milter tests share.

use super::instance::Instance;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A whole conversation.
pub fn message(sender: &str) -> String {
    format!(
        "EHLO client.example\r\nMAIL FROM:<{sender}@far.example> BODY=8BITMIME\r\nRCPT TO:<ann@here.example>\r\n\
         DATA\r\nSubject: hi\r\nFrom: a@far.example\r\n\r\nbody\r\n..\r\n.\r\nQUIT\r\n"
    )
}

/// An instance that asks a milter.
pub fn hooked(socket: &str) -> Instance {
    Instance::usual(&format!("[smtpd]\nmilters = [\"{socket}\"]\nresolve_clients = false\n"))
}

/// A port of loopback, as `smtpd.milters` has it.
pub fn inet(port: u16) -> String {
    format!("inet:127.0.0.1:{port}")
}

/// A daemon in a group of its own that ends with the test.
pub struct Daemon(Child);

impl Daemon {
    /// Starts it, quiet.
    pub fn start(command: &mut Command) -> Daemon {
        Daemon(
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap(),
        )
    }

    /// Waits until a unix socket answers, at most two minutes; panics when the daemon ends before.
    pub fn answers(&mut self, socket: &Path) {
        let start = Instant::now();
        while UnixStream::connect(socket).is_err() {
            let ended = self.0.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < Duration::from_secs(120), "{}: {ended:?}", socket.display());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // the whole group: rspamd's workers would outlive their parent
        penny_sys::process::kill_group(self.0.id() as i32, 9);
        let _ = self.0.wait();
    }
}

/// Waits for a port.
pub fn wait_for(port: u16, limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
