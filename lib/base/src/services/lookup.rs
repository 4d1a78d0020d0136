//! Client of `lookup`: one line a question, one line an answer, fields separated by tabs. See lookup(8).

use super::escape::{join, split};
use crate::{Config, Failure};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes, with its fields.
    Ok(Vec<String>),
    /// No, with its fields.
    No(Vec<String>),
    /// The service could not tell now.
    Temp(String),
}

/// A connection to lookup.
#[derive(Debug)]
pub struct Lookup {
    stream: BufReader<UnixStream>,
}

/// What lookup knows of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Canonical address or login.
    pub name: String,
    /// Owner of the mailbox.
    pub id: penny_sys::ids::Id,
    /// Home directory.
    pub home: std::path::PathBuf,
    /// The Maildir, absolute.
    pub maildir: std::path::PathBuf,
    /// The user may run programs (has a login shell, or the domain allows it).
    pub shell_ok: bool,
    /// Storage quota in KiB; 0 is none.
    pub quota_kb: u64,
    /// Message quota; 0 is none.
    pub quota_messages: u64,
}

impl User {
    /// Takes the fields of a `user` answer.
    pub fn from_fields(f: &[String]) -> Option<User> {
        let number = |i: usize| f.get(i)?.parse::<u64>().ok();
        Some(User {
            name: f.first()?.clone(),
            id: penny_sys::ids::Id { uid: number(1)? as u32, gid: number(2)? as u32 },
            home: f.get(3)?.into(),
            maildir: f.get(4)?.into(),
            shell_ok: f.get(5)? == "1",
            quota_kb: number(6)?,
            quota_messages: number(7)?,
        })
    }

    /// The fields of a `user` answer.
    pub fn fields(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.id.uid.to_string(),
            self.id.gid.to_string(),
            self.home.to_string_lossy().into_owned(),
            self.maildir.to_string_lossy().into_owned(),
            u8::from(self.shell_ok).to_string(),
            self.quota_kb.to_string(),
            self.quota_messages.to_string(),
        ]
    }
}

/// Tells lookup how full a mailbox is, so that smtpd can refuse at RCPT time; best effort.
pub fn report_usage(config: &Config, user: &str, octets: u64, messages: u64) {
    if let Ok(mut lookup) = Lookup::connect(config, None) {
        let (kb, messages) = (octets.div_ceil(1024).to_string(), messages.to_string());
        let _ = lookup.ask(&["quota", user, &kb, &messages]);
    }
}

/// Days that mail stays in a folder of a user; `None` is for ever.
pub fn retention(config: &Config, user: &str, folder: &str) -> Result<Option<u32>, Failure> {
    let mut lookup = Lookup::connect(config, None).map_err(|e| Failure::io("lookup", &e))?;
    match lookup.ask(&["retention", user, folder])? {
        Answer::Ok(f) => Ok(f.first().and_then(|days| days.parse().ok()).filter(|days| *days > 0)),
        other => Err(Failure::temporary("4.3.0", "retention lookup failed").with_detail(format!("{other:?}"))),
    }
}

impl Lookup {
    /// Connects: an inherited descriptor (PENNYPOST_LOOKUP_FD), the socket, or a lookup of our own started by spawn.
    pub fn connect(config: &Config, spawn: Option<&mut super::Spawn>) -> io::Result<Lookup> {
        Lookup::over(super::service_stream(config, "lookup", "PENNYPOST_LOOKUP_FD", spawn)?)
    }

    /// Starts a lookup of one's own on a socket pair, under this process's uid: for a program that may read the tables
    /// where no resident one answers. It ends with the connection.
    pub fn start_own(config: &Config) -> io::Result<Lookup> {
        let (ours, theirs) = UnixStream::pair()?;
        let input = std::os::fd::OwnedFd::from(theirs.try_clone()?);
        let mut command = std::process::Command::new(config.program("lookup"));
        command.arg("-c").arg(&config.file).arg("-i");
        command.stdin(input).stdout(std::os::fd::OwnedFd::from(theirs)).spawn()?;
        drop(command);
        Lookup::over(ours)
    }

    /// Uses an open connection.
    pub fn over(stream: UnixStream) -> io::Result<Lookup> {
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Lookup { stream: BufReader::new(stream) })
    }

    /// The connection, to wait on or hand on.
    pub fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.get_ref().as_fd()
    }

    /// Asks one question.
    pub fn ask(&mut self, question: &[&str]) -> Result<Answer, Failure> {
        self.try_ask(question).map_err(|e| Failure::io("lookup", &e))
    }

    fn try_ask(&mut self, question: &[&str]) -> io::Result<Answer> {
        let mut line = join(question);
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes())?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut fields = split(answer.trim_end_matches('\n'));
        let word = fields.remove(0);
        Ok(match word.as_str() {
            "OK" => Answer::Ok(fields),
            "NO" => Answer::No(fields),
            _ => Answer::Temp(fields.join(" ")),
        })
    }

    /// The mailbox of an address or login; `None` when there is none.
    pub fn user(&mut self, name: &str) -> Result<Option<User>, Failure> {
        match self.ask(&["user", name])? {
            Answer::Ok(f) => {
                let user = User::from_fields(&f);
                user.map(Some).ok_or_else(|| Failure::temporary("4.3.0", "odd answer of lookup"))
            }
            Answer::No(_) => Ok(None),
            Answer::Temp(why) => Err(Failure::temporary("4.3.0", "user lookup failed").with_detail(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_and_understands() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut lookup = Lookup::over(ours).unwrap();
        let server = std::thread::spawn(move || {
            let mut line = String::new();
            let mut reader = BufReader::new(theirs);
            reader.read_line(&mut line).unwrap();
            reader.get_mut().write_all(b"OK\ta@b\t7\t8\t/home/a\t/home/a/Maildir\t1\t0\t0\n").unwrap();
            line
        });
        let user = lookup.user("a@b").unwrap().unwrap();
        assert_eq!(server.join().unwrap(), "user\ta@b\n");
        assert_eq!((user.id.uid, user.id.gid, user.shell_ok), (7, 8, true));
        assert_eq!(User::from_fields(&user.fields()).unwrap(), user);
    }
}
