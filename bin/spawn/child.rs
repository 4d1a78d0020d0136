//! Starting one allowed program: environment, descriptors, the grant pipe.

use crate::table::Allowed;
use penny_base::Config;
use penny_base::services::{Request, lookup::User};
use penny_base::warm::Kept;
use penny_sys::process::Program;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Address space of one filter or login program: hostile input ends here.
const MEMORY_LIMIT: u64 = 2 << 30;

/// Starts `allowed` with the client's descriptors. Returns its pid and, where it may grant, the pipe it writes to.
pub fn start(
    config: &Config,
    allowed: &Allowed,
    request: &Request,
    fds: &[OwnedFd],
    kept: Option<&mut Kept>,
) -> io::Result<(i32, Option<OwnedFd>)> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    let stderr = io::stderr();
    let mut program = Program::new(&allowed.path);
    let arguments = allowed.args.iter().chain(&request.args);
    program.args = arguments.map(|a| a.clone().into_bytes()).collect();
    program.environment = environment(config, allowed, request);
    program.descriptors = fds.iter().map(AsFd::as_fd).collect();
    while program.descriptors.len() < 2 {
        program.descriptors.push(null.as_fd());
    }
    if program.descriptors.len() == 2 {
        program.descriptors.push(stderr.as_fd());
    }
    let mut grant = None;
    let pipe;
    if allowed.grants {
        pipe = penny_sys::net::pipe()?;
        program.environment.push(format!("PENNYPOST_GRANT_FD={}", program.descriptors.len()).into_bytes());
        program.descriptors.push(pipe.1.as_fd());
        grant = Some(pipe.0);
    }
    program.become_id = allowed.become_id.clone();
    program.directory = allowed.directory.clone();
    program.own_group = true;
    program.reopen_stdin = request.reopen_stdin;
    program.memory_limit = allowed.dies_with_client.then_some(MEMORY_LIMIT);
    let pid = match kept.filter(|_| allowed.warm) {
        Some(kept) => kept.start(&program),
        None => program.start(),
    }?;
    Ok((pid, grant))
}

/// A variable the client may set: plain names, nothing the loader or our own programs act on.
fn may_set(pair: &str) -> bool {
    let Some((name, _)) = pair.split_once('=') else { return false };
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let ours = name == "PENNYPOST_FILTER" || name == "PENNYPOST_STATE_FD" || name == "PENNYPOST_JOB_FD";
    plain && (ours || !["LD_", "PENNYPOST_"].iter().any(|p| name.starts_with(p))) && name != "PATH" && name != "IFS"
}

fn environment(config: &Config, allowed: &Allowed, request: &Request) -> Vec<Vec<u8>> {
    let mut all = vec![
        format!("PATH={}:/usr/local/bin:/usr/bin:/bin", config.paths.libexec.display()),
        format!("PENNYPOST_CONFIG={}", config.file.display()),
    ];
    let wins = |pair: &str| allowed.environment.iter().any(|(n, _)| pair.split('=').next() == Some(n));
    all.extend(request.environment.iter().filter(|p| may_set(p) && !wins(p)).cloned());
    all.extend(allowed.environment.iter().map(|(n, v)| format!("{n}={v}")));
    all.into_iter().map(String::into_bytes).collect()
}

/// Reads what checkauth wrote: the fields of a `user` answer on one line.
pub fn read_grant(line: &str) -> Option<User> {
    User::from_fields(&penny_base::services::escape::split(line.strip_suffix('\n')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_cannot_be_reached() {
        for bad in ["LD_PRELOAD=/x", "PATH=/x", "PENNYPOST_CONFIG=/x", "a=b", "=x", "A B=c", "X"] {
            assert!(!may_set(bad), "{bad}");
        }
        assert!(may_set("SENDER=a b") && may_set("PENNYPOST_FILTER=1"));
    }

    #[test]
    fn a_grant_is_one_whole_line() {
        let user = read_grant("a@b\t1001\t1001\t/h\t/h/Maildir\t0\t0\t0\n").unwrap();
        assert_eq!((user.name.as_str(), user.id.uid), ("a@b", 1001));
        assert!(read_grant("a@b\t1001\t1001\t/h\t/h/Maildir\t0\t0\t0").is_none());
        assert!(read_grant("a@b\n").is_none());
    }
}
