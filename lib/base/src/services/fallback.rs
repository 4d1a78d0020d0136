//! How a program reaches its services where they are not resident: from a pipe, from one inetd line, in a test.
//!
//! Order       inherited descriptor, socket in paths.run, a service of one's own started through spawn on a socket pair

use super::{Request, Spawn, spawn::FD_VARIABLE};
use crate::Config;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Connects to a line service (`lookup`, `enqueue`).
pub fn service_stream(
    config: &Config,
    name: &str,
    variable: &str,
    spawn: Option<&mut Spawn>,
) -> io::Result<UnixStream> {
    if let Some(n) = std::env::var(variable).ok().and_then(|v| v.parse().ok()) {
        return Ok(penny_sys::net::inherited(n)?.into());
    }
    let error = match UnixStream::connect(config.socket(name)) {
        Ok(stream) => return Ok(stream),
        Err(e) => e,
    };
    let Some(spawn) = spawn else { return Err(error) };
    let (ours, theirs) = UnixStream::pair()?;
    let mut request = Request::new(name);
    request.args = vec!["-i".into()];
    request.detached = true;
    let id = spawn.start(&request, &[theirs.as_fd(), theirs.as_fd()])?;
    spawn.started(id)?;
    Ok(ours)
}

/// A connection to spawn. When it cannot be reached (no resident one, no inherited descriptor), or this process is root:
/// replaces this process by `spawn --for PROGRAM ARGS`, which starts it again unprivileged with a connection to itself.
pub fn spawn_or_restart(config: &Config, program: &str) -> io::Result<Spawn> {
    let inherited = std::env::var_os(FD_VARIABLE).is_some();
    if inherited || !penny_sys::ids::is_root() {
        let connected = Spawn::connect(config);
        if inherited || connected.is_ok() {
            return connected;
        }
    }
    use std::os::unix::ffi::OsStringExt;
    let mut args = vec![b"-c".to_vec(), config.file.clone().into_os_string().into_vec()];
    args.extend([b"--for".to_vec(), program.as_bytes().to_vec(), b"--".to_vec()]);
    args.extend(std::env::args_os().skip(1).map(OsStringExt::into_vec));
    Err(penny_sys::process::exec(&config.program("spawn"), &args))
}
