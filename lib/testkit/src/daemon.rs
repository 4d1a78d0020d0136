//! Programs of others beside the ones under test, and ours as inetd starts them.
//!
//! Invariants  1. a daemon is a group of its own and ends with its value   2. each connection has a process of its own

use crate::wait::until;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A daemon in a group of its own that ends with the test.
#[derive(Debug)]
pub struct Daemon(Child);

impl Daemon {
    /// Starts it, quiet.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Daemon {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Daemon(command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}")))
    }

    /// Waits until a unix socket answers.
    ///
    /// # Panics
    /// When it does not in time, or the daemon ends before.
    pub fn answers(&mut self, socket: &Path) {
        until(&format!("a listener at {}", socket.display()), || {
            let ended = self.0.try_wait().unwrap_or_else(|e| panic!("wait: {e}"));
            assert!(ended.is_none(), "{}: {ended:?}", socket.display());
            UnixStream::connect(socket).is_ok()
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // the whole group: the workers of some outlive their parent
        crate::run::kill_group(&self.0);
        let _ = self.0.wait();
    }
}

/// A socket that waits for connections.
pub trait Listener: Send + 'static {
    /// The next connection.
    ///
    /// # Errors
    /// As accept(2).
    fn next(&self) -> std::io::Result<OwnedFd>;
}

impl Listener for TcpListener {
    fn next(&self) -> std::io::Result<OwnedFd> {
        self.accept().map(|(stream, _)| stream.into())
    }
}

impl Listener for UnixListener {
    fn next(&self) -> std::io::Result<OwnedFd> {
        self.accept().map(|(stream, _)| stream.into())
    }
}

/// While `client` works, each connection is served by a process that `command` makes, as inetd would: the connection is its
/// standard input and output. `wake` connects once more, so that the server sees the end.
///
/// # Panics
/// When a process cannot be started.
pub fn one_process_each<T>(
    listener: impl Listener,
    command: impl Fn() -> Command + Send + 'static,
    wake: impl FnOnce(),
    client: impl FnOnce() -> T,
) -> T {
    let done = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done);
    let server = std::thread::spawn(move || {
        loop {
            let output = listener.next().unwrap_or_else(|e| panic!("accept: {e}"));
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let input = output.try_clone().unwrap_or_else(|e| panic!("dup: {e}"));
            let mut command = command();
            command.stdin(input).stdout(output);
            command.status().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        }
    });
    let result = client();
    done.store(true, Ordering::SeqCst);
    wake();
    server.join().unwrap_or_else(|_| panic!("the server failed"));
    result
}
