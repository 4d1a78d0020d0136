//! The two processes of one connection.

use penny_base::{Config, Failure, Outcome};
use penny_sys::{ids, net, process};
use penny_tls::Context;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

pub fn run(config: &Config, implicit: bool, argv: &[OsString]) -> Result<Outcome, Failure> {
    let context = Context::load(&config.tls).map_err(Failure::config)?;
    let io = |e| Failure::io("descriptors", &e);
    let socket = net::duplicate(io::stdin()).map_err(io)?;
    let (control, child_control) = net::stream_pair().map_err(io)?;
    let (data, child_data) = net::stream_pair().map_err(io)?;
    if process::fork_single().map_err(io)?.is_none() {
        drop((control, data));
        let tls = config.id(&config.ids.tls).map_err(io)?;
        penny_tls_child(config, &context, tls, implicit, socket, child_control, child_data)?;
        return Ok(Outcome::Done);
    }
    drop((context, socket, child_control, child_data));
    Err(become_program(config, implicit, argv, control, &data))
}

/// The child: waits for `Y` (or begins at once), shakes hands, carries octets.
fn penny_tls_child(
    config: &Config,
    context: &Context,
    tls: ids::Id,
    implicit: bool,
    socket: OwnedFd,
    control: OwnedFd,
    data: OwnedFd,
) -> Result<(), Failure> {
    if ids::is_root() {
        ids::become_user(tls, &[tls.gid]).map_err(|e| Failure::io("become the tls id", &e))?;
    }
    penny_sys::confine::network_conversation().map_err(|e| Failure::io("confine", &e))?;
    // the program's own copies of 0 and 1 decide when the connection ends
    let null = |n| net::replace_descriptor(control.as_fd(), n);
    let _ = (null(0), null(1));
    let mut control_file = std::fs::File::from(control.try_clone().map_err(|e| Failure::io("control", &e))?);
    if !implicit {
        let mut go = [0];
        if !matches!(control_file.read(&mut go), Ok(1)) || go != *b"Y" {
            return Ok(());
        }
    }
    let session = penny_tls::accept(context, socket, config.tls.handshake_timeout.duration());
    let session =
        session.map_err(|e| Failure::temporary("4.7.0", "TLS handshake failed").with_detail(e.to_string()))?;
    let variables = session.encode_variables();
    io::Write::write_all(&mut control_file, &variables).map_err(|e| Failure::io("control", &e))?;
    drop((control_file, control));
    let _ = penny_tls::pump(session, data);
    Ok(())
}

/// This process goes on as the program; returns only on failure.
fn become_program(config: &Config, implicit: bool, argv: &[OsString], control: OwnedFd, data: &OwnedFd) -> Failure {
    // the program reads the file that -c named
    let mut variables = vec![("PENNYPOST_CONFIG".to_string(), config.file.display().to_string())];
    let prepared = if implicit {
        after_handshake(control, data, &mut variables)
    } else {
        with_control(&control, data, &mut variables)
    };
    if let Err(e) = prepared {
        return Failure::temporary("4.7.0", "TLS handshake failed").with_detail(e.to_string());
    }
    let path = argv.first().map_or_else(Default::default, |p| config.program(&p.to_string_lossy()));
    let args: Vec<Vec<u8>> = argv.iter().skip(1).map(|a| a.clone().into_vec()).collect();
    let variables: Vec<(&str, String)> = variables.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
    Failure::io(path.display(), &process::exec_with(&path, &args, &variables))
}

fn with_control(control: &OwnedFd, data: &OwnedFd, variables: &mut Vec<(String, String)>) -> io::Result<()> {
    let data = net::inheritable_copy(data, 100)?.into_raw();
    let control = net::inheritable_copy(control, 100)?.into_raw();
    for (name, number) in [("SSLCTLFD", control), ("SSLREADFD", data), ("SSLWRITEFD", data)] {
        variables.push((name.into(), number.to_string()));
    }
    Ok(())
}

fn after_handshake(control: OwnedFd, data: &OwnedFd, variables: &mut Vec<(String, String)>) -> io::Result<()> {
    variables.extend(penny_base::ucspi::Peer::from_env().environment());
    variables.extend(penny_base::ucspi::read_variables(&mut std::fs::File::from(control))?);
    net::replace_descriptor(data.as_fd(), 0)?;
    net::replace_descriptor(data.as_fd(), 1)
}

/// Lets a descriptor live on past exec.
trait IntoRaw {
    fn into_raw(self) -> i32;
}

impl IntoRaw for OwnedFd {
    fn into_raw(self) -> i32 {
        let number = self.as_raw_fd();
        std::mem::forget(self);
        number
    }
}
