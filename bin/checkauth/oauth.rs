//! Bearer tokens: a validator of the administrator's choice decides.
//!
//! Contract    the validator gets the token and LF on standard input, the claimed user as OAUTH_USER and the mechanism as
//!             OAUTH_MECHANISM; exit 0 and the login on the first line of standard output means yes, 1 or 100 no, all else
//!             try again later

use crate::backend::Denied;
use penny_sasl::{Mechanism, Secret};
use penny_sys::net;
use penny_sys::process::{self, Ended, Program};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

/// Longest answer of a validator, octets.
const ANSWER_MAX: u64 = 1024;

/// Asks the validator; gives the login the token stands for.
pub fn validate(program: &str, user: &str, token: &Secret, mechanism: Mechanism) -> Result<String, Denied> {
    if program.is_empty() {
        return Err(Denied::Unavailable("no validator is configured".into()));
    }
    let (ended, output) =
        run(program, user, token, mechanism).map_err(|e| Denied::Unavailable(format!("{program}: {e}")))?;
    match ended {
        Ended::Code(0) => Ok(output.lines().next().filter(|l| !l.is_empty()).unwrap_or(user).to_owned()),
        Ended::Code(1 | 100) => Err(Denied::Failed),
        other => Err(Denied::Unavailable(format!("{program} ended with {other:?}"))),
    }
}

fn run(program: &str, user: &str, token: &Secret, mechanism: Mechanism) -> io::Result<(Ended, String)> {
    let (input_read, input_write) = net::pipe()?;
    let (output_read, output_write) = net::pipe()?;
    let errors = io::stderr().as_fd().try_clone_to_owned()?;
    let child = Program {
        descriptors: vec![input_read.as_fd(), output_write.as_fd(), errors.as_fd()],
        ..Program::new(program).env("PATH", "/usr/bin:/bin").env("OAUTH_USER", user)
    }
    .env("OAUTH_MECHANISM", mechanism.name());
    let pid = child.start()?;
    drop((input_read, output_write));
    let mut input = File::from(input_write);
    let sent = input.write_all(token.expose()).and_then(|()| input.write_all(b"\n"));
    drop((sent, input)); // a validator that does not read decides by its exit code
    let mut output = String::new();
    let read = File::from(output_read).take(ANSWER_MAX).read_to_string(&mut output);
    let ended = process::wait(pid)?;
    read?;
    Ok((ended, output))
}
