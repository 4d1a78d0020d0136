//! Programs that have started already: `listen` and `spawn` keep one waiting process of each program they start often,
//! which has read its configuration and copies itself for each start (a fork costs a third of an exec).
//!
//! Contract    the waiting process is the program itself, started with PENNYPOST_WARM_FD naming a packet socket. A packet is one
//!             start: `memory limit NUL directory NUL NAME=value NUL ...` with its descriptors; the copy answers with its
//!             process id, or `-` and the errno that kept it from starting
//! Invariants  1. what runs is the same as after an exec: the environment, descriptors, directory, group and limits of this start
//!                and nothing of another; the process serves one start and ends   2. the waiting process reads nothing but
//!                these packets, and the configuration and what it has prepared anew when their files have changed; a
//!                configuration with mistakes is not taken   3. a copy that crashes costs the
//!                waiting process its place: the next one has another memory layout   4. a program that was installed anew is
//!                started anew
//! Failures    no answer: the start has failed and the waiting process is given up (a copy that comes late finds the socket
//!             closed and ends); none waiting: an exec, as without all this
//! Trust       the packets come from the parent over a pair nobody else has

use crate::{Config, Failure, reload};
use penny_sys::process::{Ended, Program};
use penny_sys::{fdpass, ids::Id, net, warm};
use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names the socket, in the waiting process.
const VARIABLE: &str = "PENNYPOST_WARM_FD";

/// Largest packet, octets; a start that needs more is an exec.
const PACKET_MAX: usize = 64 * 1024;

/// Longest wait for a copy to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Serves the starts of a waiting process: returns in each copy, and in a process that is none at once. Call it first thing, with the
/// name of the program, before anything is opened.
pub fn wait(name: &str, config: Config) -> Result<Box<Config>, Failure> {
    wait_prepared(name, config, |_| ())
}

/// As [`wait`]; the waiting process calls `prepare` before each copy it makes, to keep ready what all of them would read.
pub fn wait_prepared(name: &str, config: Config, mut prepare: impl FnMut(&Config)) -> Result<Box<Config>, Failure> {
    let mut config = Box::new(config);
    let Some(number) = std::env::var(VARIABLE).ok().and_then(|v| v.parse().ok()) else { return Ok(config) };
    let fail = |e: io::Error| Failure::io("waiting", &e);
    let channel = net::inherited(number).and_then(warm::aside).map_err(fail)?;
    warm::one_thread().map_err(fail)?;
    let short: String = name.chars().take(10).collect();
    warm::set_name(&format!("{short} wait"));
    let mut stamp = config.stamp();
    warm::know_processor();
    // never given back: a copy would get it again for a buffer of its own, and pay for each of its pages
    let packet = Box::leak(vec![0; PACKET_MAX].into_boxed_slice());
    loop {
        let (n, fds) = match fdpass::receive(channel.as_fd(), packet) {
            Ok((0, _)) => std::process::exit(0),
            other => other.map_err(fail)?,
        };
        let now = config.stamp();
        if now != stamp {
            // one with mistakes is told of once, and what was read before serves on
            *config = reload::load(&config).unwrap_or(*config);
            stamp = now;
        }
        prepare(&config);
        if warm::copy().map_err(fail)? {
            warm::set_name(name);
            let packet: &'static [u8] = packet;
            let start = Start { packet: packet.get(..n).unwrap_or_default(), fds };
            let answer = match start.become_it(&channel) {
                Ok(()) => std::process::id().to_string(),
                Err(e) => format!("-{}", e.raw_os_error().unwrap_or(5)),
            };
            fdpass::send(channel.as_fd(), answer.as_bytes(), &[]).map_err(fail)?;
            return if answer.starts_with('-') { std::process::exit(111) } else { Ok(config) };
        }
    }
}

/// One start, in the copy.
struct Start {
    /// Kept: the environment is in it.
    packet: &'static [u8],
    fds: Vec<OwnedFd>,
}

impl Start {
    fn become_it(self, channel: &OwnedFd) -> io::Result<()> {
        let mut fields = self.packet.split_inclusive(|b| *b == 0).map_while(|f| CStr::from_bytes_with_nul(f).ok());
        let memory = fields.next().and_then(|f| f.to_str().ok()?.parse::<u64>().ok());
        let directory = fields.next().map(|f| OsStr::from_bytes(f.to_bytes())).ok_or(io::ErrorKind::InvalidData)?;
        warm::take_descriptors(self.fds, channel)?;
        if std::env::set_current_dir(directory).is_err() {
            std::env::set_current_dir("/")?;
        }
        if let Some(limit) = memory.filter(|m| *m > 0) {
            penny_sys::confine::limit_memory(limit)?;
        }
        warm::set_environment(fields);
        Ok(())
    }
}

/// What makes two starts copies of the same process.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    path: PathBuf,
    args: Vec<Vec<u8>>,
    id: Option<(u32, u32, Vec<u32>)>,
    /// The file: a program installed anew is another one.
    file: Option<(u64, u64, i64, i64)>,
}

impl Kind {
    fn of(program: &Program<'_>) -> Kind {
        let id = program.become_id.as_ref().map(|(Id { uid, gid }, groups)| (*uid, *gid, groups.clone()));
        let file = std::fs::metadata(&program.path).ok().map(|m| (m.dev(), m.ino(), m.ctime(), m.ctime_nsec()));
        Kind { path: program.path.clone(), args: program.args.clone(), id, file }
    }
}

/// A waiting process. It ends when this is dropped, for then its socket does; whoever reaps our children meets its end.
struct Waiting {
    channel: OwnedFd,
}

/// The waiting processes of a parent.
#[derive(Default)]
pub struct Kept {
    all: HashMap<Kind, Waiting>,
}

impl Kept {
    /// Starts a program whose `main` calls [`wait`]; it must have its own group. Returns its process id, as [`Program::start`].
    pub fn start(&mut self, program: &Program<'_>) -> io::Result<i32> {
        let kind = Kind::of(program);
        let waiting = match self.all.remove(&kind) {
            Some(waiting) => waiting,
            None => {
                self.all.retain(|k, _| k.path != kind.path || k.file == kind.file);
                match Waiting::begin(program) {
                    Ok(new) => new,
                    Err(_) => return program.start(),
                }
            }
        };
        match waiting.start(program)? {
            Some(started) => {
                self.all.insert(kind, waiting);
                started
            }
            // it has ended without doing this start: the out-of-memory killer
            None => program.start(),
        }
    }

    /// Tells how a process ended that was started here.
    pub fn ended(&mut self, how: Ended) {
        use nix::libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        if matches!(how, Ended::Signal(SIGABRT | SIGBUS | SIGFPE | SIGILL | SIGSEGV | SIGSYS | SIGTRAP)) {
            self.all.clear();
        }
    }
}

impl Waiting {
    fn begin(program: &Program<'_>) -> io::Result<Waiting> {
        let (channel, theirs) = net::packet_pair()?;
        net::receive_timeout(channel.as_fd(), TIMEOUT)?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let stderr = io::stderr();
        let mut first = Program::new(&program.path);
        first.args.clone_from(&program.args);
        first.become_id.clone_from(&program.become_id);
        first.own_group = true;
        let kept = [&b"PATH="[..], b"PENNYPOST_CONFIG="];
        let inherited = program.environment.iter().filter(|e| kept.iter().any(|k| e.starts_with(k)));
        first.environment = inherited.cloned().collect();
        first = first.env(VARIABLE, "3");
        first.descriptors = vec![null.as_fd(), null.as_fd(), stderr.as_fd(), theirs.as_fd()];
        first.start()?;
        Ok(Waiting { channel })
    }

    /// `None` when nobody waits any more.
    fn start(&self, program: &Program<'_>) -> io::Result<Option<io::Result<i32>>> {
        let directory = program.directory.as_deref().unwrap_or(Path::new("/"));
        let mut packet = format!("{}\0", program.memory_limit.unwrap_or(0)).into_bytes();
        packet.extend(directory.as_os_str().as_bytes());
        packet.push(0);
        for pair in &program.environment {
            packet.extend(pair);
            packet.push(0);
        }
        if packet.len() > PACKET_MAX || program.descriptors.len() > fdpass::MAX_DESCRIPTORS {
            return Ok(Some(program.start()));
        }
        let mut fds = program.descriptors.clone();
        let reopened;
        if program.reopen_stdin
            && let Some(first) = fds.first_mut()
        {
            reopened = penny_sys::fs::reopen_readonly(*first)?;
            *first = reopened.as_fd();
        }
        match fdpass::send(self.channel.as_fd(), &packet, &fds) {
            Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                return Ok(None);
            }
            other => other?,
        };
        let mut answer = [0; 32];
        let n = match fdpass::receive(self.channel.as_fd(), &mut answer) {
            Ok((0, _)) => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            other => other?.0,
        };
        let answer = std::str::from_utf8(answer.get(..n).unwrap_or_default()).ok().and_then(|t| t.parse::<i32>().ok());
        Ok(Some(match answer {
            Some(pid) if pid > 0 => Ok(pid),
            Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
            None => Err(io::ErrorKind::InvalidData.into()),
        }))
    }
}
