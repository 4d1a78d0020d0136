//! Any program with the checkpassword interface.
//!
//! Standard    D. J. Bernstein's checkpassword interface: `user NUL password NUL timestamp NUL` on descriptor 3; exit 1 bad
//!             password, 2 misuse, 111 try later; on success the program changes uid and directory, sets USER, HOME and
//!             SHELL and runs its arguments
//! Notes       the arguments run this program again (`checkauth --granted`), which tells on its standard output what it has
//!             become; nothing of a session runs with the password program's descriptors
//! Trust       the program is the administrator's; it needs root, so checkauth runs as root then

use crate::backend::Denied;
use penny_base::services::lookup::User;
use penny_base::{Config, Failure, Outcome};
use penny_sasl::Secret;
use penny_sys::net;
use penny_sys::process::{self, Ended, Program};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

/// Most octets on descriptor 3, as the interface says.
const INPUT_MAX: usize = 512;
/// Longest line of `--granted`.
const GRANT_MAX: u64 = 8192;

/// Checks a password.
pub fn check(config: &Config, user: &str, password: &Secret) -> Result<User, Denied> {
    let input = [user.as_bytes(), b"\0", password.expose(), b"\0Y0\0"].concat();
    if input.len() > INPUT_MAX || password.expose().contains(&0) {
        return Err(Denied::Failed);
    }
    let program = &config.auth.checkpassword;
    let (ended, line) = run(config, program, &input).map_err(|e| Denied::Unavailable(format!("{program}: {e}")))?;
    match ended {
        Ended::Code(0) => understand(config, user, &line),
        Ended::Code(1) => Err(Denied::Failed),
        other => Err(Denied::Unavailable(format!("{program} ended with {other:?}"))),
    }
}

fn run(config: &Config, program: &str, input: &[u8]) -> io::Result<(Ended, String)> {
    let (password_read, password_write) = net::pipe()?;
    let (line_read, line_write) = net::pipe()?;
    let null = File::open("/dev/null")?;
    let errors = io::stderr().as_fd().try_clone_to_owned()?;
    let child = Program {
        descriptors: vec![null.as_fd(), line_write.as_fd(), errors.as_fd(), password_read.as_fd()],
        ..Program::new(program).arg(config.program("checkauth")).arg("--granted")
    }
    .env("PATH", "/usr/bin:/bin");
    let pid = child.start()?;
    drop((password_read, line_write));
    // at most 512 octets: the pipe takes them at once
    File::from(password_write).write_all(input)?;
    let mut line = String::new();
    let read = File::from(line_read).take(GRANT_MAX).read_to_string(&mut line);
    let ended = process::wait(pid)?;
    read?;
    Ok((ended, line))
}

/// The line of `--granted`: uid, gid, user, home, shell, parted by tabs.
fn understand(config: &Config, user: &str, line: &str) -> Result<User, Denied> {
    let fields = penny_base::services::escape::split(line.trim_end_matches('\n'));
    let odd = || Denied::Unavailable("the checkpassword program did not run its arguments".into());
    let [uid, gid, name, home, shell] = fields.as_slice() else { return Err(odd()) };
    let number = |text: &str| text.parse::<u32>().map_err(|_| odd());
    let id = penny_sys::ids::Id { uid: number(uid)?, gid: number(gid)? };
    let maildir = std::path::Path::new(home).join(&config.mail.maildir);
    Ok(User {
        name: if name.is_empty() { user.to_owned() } else { name.clone() },
        id,
        home: home.into(),
        maildir,
        shell_ok: shell_allowed(shell),
        quota_kb: config.mail.quota.0 / 1024,
        quota_messages: u64::from(config.mail.quota_messages),
    })
}

fn shell_allowed(shell: &str) -> bool {
    let list = std::fs::read_to_string("/etc/shells").unwrap_or_default();
    !shell.is_empty() && list.lines().any(|line| line == shell)
}

/// What the checkpassword program ran: says who it has become.
pub fn granted() -> Result<Outcome, Failure> {
    let own = penny_sys::ids::own();
    let get = |name: &str| std::env::var(name).unwrap_or_default();
    let (uid, gid) = (own.uid.to_string(), own.gid.to_string());
    let line = penny_base::services::escape::join(&[&uid, &gid, &get("USER"), &get("HOME"), &get("SHELL")]);
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| Failure::io("standard output", &e))?;
    Ok(Outcome::Done)
}
