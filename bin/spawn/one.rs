//! `spawn --for PROGRAM -- ARGS`: one conversation from inetd, systemd with Accept=yes, or a pipe.
//!
//! Order       a pair of packet sockets; fork; the child becomes the net id and execs the program with one end; the
//!             parent serves the other end until the program and its children are gone, and passes on the exit code
//! Invariants  the parent keeps none of the connection's descriptors, or the peer would never see its end

use crate::server::Server;
use penny_base::services::spawn::FD_VARIABLE;
use penny_base::{Config, Failure, Outcome};
use penny_sys::process::Ended;
use penny_sys::{ids, net};
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

const ALLOWED: [&str; 4] = ["smtpd", "imapd", "pop3d", "sieved"];

pub fn run(config: Config, program: &str, args: &[OsString]) -> Result<Outcome, Failure> {
    if !ALLOWED.contains(&program) {
        return Err(Failure::usage(format!("--for serves {}", ALLOWED.join(", "))));
    }
    let mut server = Server::new(config)?;
    let (ours, theirs) = net::packet_pair().map_err(|e| Failure::io("socketpair", &e))?;
    let child = penny_sys::process::fork_single().map_err(|e| Failure::io("fork", &e))?;
    let Some(pid) = child else {
        drop(ours);
        return Err(exec(&server, program, args, &theirs));
    };
    drop(theirs);
    let uid = if ids::is_root() { server.table().net().uid } else { ids::own_uid() };
    server.add(ours, uid);
    release_connection();
    let mut code = None;
    server.run(&mut |ended, children| {
        if let Some((ended_pid, how)) = ended
            && ended_pid == pid
        {
            code = Some(how);
        }
        // the program has ended, and so has the session it may have started
        code.is_some() && children == 0
    })?;
    Ok(match code {
        Some(Ended::Code(c)) => Outcome::Code(u8::try_from(c).unwrap_or(111)),
        _ => Outcome::Temporary,
    })
}

/// The child's side; returns only on failure.
fn exec(server: &Server, program: &str, args: &[OsString], socket: &OwnedFd) -> Failure {
    if ids::is_root() {
        let net = server.table().net();
        if let Err(e) = ids::become_user(net, &[net.gid]) {
            return Failure::io("become the net id", &e);
        }
    }
    // a number out of the way of the UCSPI-TLS descriptors
    let number = match net::inheritable_copy(socket, 200) {
        Ok(n) => n,
        Err(e) => return Failure::io("descriptor", &e),
    };
    let config = &server.table().config();
    let path = config.program(program);
    let mut all = vec![b"-c".to_vec(), config.file.clone().into_os_string().into_vec()];
    all.extend(args.iter().map(|a| a.clone().into_vec()));
    let variable = [(FD_VARIABLE, number.as_raw_fd().to_string())];
    let error = penny_sys::process::exec_with(&path, &all, &variable);
    Failure::io(path.display(), &error)
}

fn release_connection() {
    if let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
        use std::os::fd::AsFd;
        for n in [0, 1] {
            let _ = net::replace_descriptor(null.as_fd(), n);
        }
    }
    for name in ["SSLCTLFD", "SSLREADFD", "SSLWRITEFD"] {
        let number = std::env::var(name).ok().and_then(|v| v.parse::<i32>().ok());
        if let Some(n) = number.filter(|n| *n > 2) {
            drop(net::inherited(n));
        }
    }
}
