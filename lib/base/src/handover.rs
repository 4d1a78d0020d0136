//! An upgrade of a running service: SIGUSR2 starts the program anew, as it is installed now, with the listening sockets of
//! the old process; once it answers for them, the old one accepts no more and ends with its last conversation.
//!
//! Order       the old process starts its heir and goes on as before; the heir opens everything, tells systemd that it is
//!             the main process, tells the old one on descriptor 3, and only then does the old one let go
//! Invariants  1. there is no moment in which nobody listens   2. an heir that cannot start changes nothing
//!             3. there is one heir at a time
//! Trust       the variable and the descriptors come from a process of our own

use crate::log;
use penny_sys::{net, process};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// Names of the sockets that come from descriptor 4 on, one a line.
const VARIABLE: &str = "PENNYPOST_HANDOVER";

/// The descriptor on which the heir says that it is ready.
const READY: i32 = 3;

/// The old process's view of the new one.
#[derive(Debug)]
pub struct Heir(OwnedFd);

impl Heir {
    /// Starts `program` with the named sockets, unless an heir has been started and not yet spoken: two would both serve.
    /// Where nothing is started the log has the reason.
    pub fn call(heir: &mut Option<Heir>, program: &Path, sockets: &[(&str, BorrowedFd<'_>)]) {
        if heir.is_some() {
            return log::warning("handover", None, &[("why", &"a new process is starting already")]);
        }
        match Heir::start(program, sockets) {
            Ok(new) => *heir = Some(new),
            Err(e) => log::error("handover", None, &[("why", &e)]),
        }
    }

    /// The program gets this process's arguments.
    fn start(program: &Path, sockets: &[(&str, BorrowedFd<'_>)]) -> io::Result<Heir> {
        let (ours, theirs) = net::pipe()?;
        let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
        let (stdout, stderr) = (io::stdout(), io::stderr());
        // an orphan: its parent is then whoever minds services, and learns of its end
        let mut heir = process::Program::new("/bin/sh").arg("-c").arg("\"$0\" \"$@\" &").arg(program);
        heir.args.extend(std::env::args_os().skip(1).map(|a| a.as_bytes().to_vec()));
        heir.directory = std::env::current_dir().ok();
        for (name, value) in std::env::vars_os().filter(|(name, _)| name != VARIABLE) {
            heir.environment.push([name.as_bytes(), b"=", value.as_bytes()].concat());
        }
        let names: Vec<&str> = sockets.iter().map(|s| s.0).collect();
        heir = heir.env(VARIABLE, names.join("\n"));
        heir.descriptors = vec![null.as_fd(), stdout.as_fd(), stderr.as_fd(), theirs.as_fd()];
        heir.descriptors.extend(sockets.iter().map(|s| s.1));
        process::wait(heir.start()?)?;
        Ok(Heir(ours))
    }

    /// True when it is ready, and the old process has to let go; an heir that ended without a word is forgotten.
    pub fn has_begun(heir: &mut Option<Heir>) -> bool {
        let spoke = |h: &mut Heir| net::wait_readable(h.as_fd(), Duration::ZERO).unwrap_or(false);
        let Some(Heir(pipe)) = heir.take_if(spoke) else { return false };
        let ready = matches!(std::fs::File::from(pipe).read(&mut [0; 1]), Ok(1));
        if !ready {
            log::error("handover", None, &[("why", &"the new process ended")]);
        }
        ready
    }
}

impl AsFd for Heir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The new process's view of the old one; empty where there is none.
#[derive(Debug, Default)]
pub struct Inheritance {
    ready: Option<OwnedFd>,
    sockets: Vec<(String, OwnedFd)>,
}

impl Inheritance {
    /// Takes what came; once in a process.
    pub fn take() -> io::Result<Inheritance> {
        let Ok(names) = std::env::var(VARIABLE) else { return Ok(Inheritance::default()) };
        let mut all = Inheritance { ready: Some(net::inherited(READY)?), sockets: Vec::new() };
        for (name, number) in names.lines().zip(READY + 1..) {
            all.sockets.push((name.to_string(), net::inherited(number)?));
        }
        Ok(all)
    }

    /// The listening socket of this name.
    pub fn socket(&mut self, name: &str) -> Option<OwnedFd> {
        let at = self.sockets.iter().position(|s| s.0 == name)?;
        Some(self.sockets.swap_remove(at).1)
    }

    /// The service's one socket, handed over or made by `open`. For a while two processes accept from it, so accepting
    /// does not wait.
    pub fn or_open(&mut self, name: &str, open: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<OwnedFd> {
        let socket = self.socket(name).map_or_else(open, Ok)?;
        net::set_nonblocking(socket.as_fd(), true)?;
        Ok(socket)
    }

    /// Everything is open: the old process may go. Sockets that nobody asked for are closed.
    pub fn ready(self) {
        let Some(ready) = self.ready else { return };
        // systemd hears of the new main process before the old one can end
        if let Some(place) = std::env::var_os("NOTIFY_SOCKET") {
            let told = UnixDatagram::unbound()
                .and_then(|s| s.send_to(format!("MAINPID={}", std::process::id()).as_bytes(), Path::new(&place)));
            if let Err(e) = told {
                log::warning("handover", None, &[("why", &e)]);
            }
        }
        let _ = std::fs::File::from(ready).write_all(b"Y");
    }
}
