//! Deliveries here: one `deliver` a target, started by `spawn` as the mailbox owner; one for several targets whose mailboxes have one owner.
//!
//! Contract    descriptor 0 the entry with its offset at the message, 1 a pipe for one line (or one a mailbox), 2 our standard error,
//!             3 a pipe with the envelope; exit code by the sysexits convention. See deliver(8) and lib/base/src/services/delivery.rs.

use crate::entry::{How, Job, Running};
use crate::runner::{Runner, now};
use penny_base::services::lookup::User;
use penny_base::services::{self, Request, delivery};
use penny_base::{Outcome as End, log};
use penny_queue::envelope::Line;
use penny_queue::journal::{Action, Outcome, Target, Verdict};
use penny_queue::schedule::{DestKey, Next};
use penny_smtp::client::Enhanced;
use penny_sys::process::Ended;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::str::Lines;
use std::time::Duration;

/// Octets of a pipe's buffer: what can be written to it before anybody reads.
const PIPE_BUFFER: usize = 64 << 10;
/// Most that is taken from a delivery: its lines fit the pipe.
const SAID_MAX: usize = PIPE_BUFFER;
/// sysexits(3) of a mailbox that will not take the message, and of one that will later.
const UNAVAILABLE: i32 = 69;
const TEMPORARY: i32 = 75;

impl Runner {
    /// Starts what may start.
    pub fn start_jobs(&mut self) {
        if self.spawn.is_none() {
            return;
        }
        while let Some(Next { dest, job }) = self.plan.next(self.steady()) {
            match dest {
                DestKey::Local(_) => self.start_local(Running { job, dest }),
                DestKey::Remote(_) => self.start_remote(Running { job, dest }),
            }
        }
    }

    fn start_local(&mut self, running: Running) {
        match self.try_local(&running.job) {
            Ok((id, pipe)) => drop(self.locals.insert(id, (running, pipe))),
            Err(e) => self.could_not_start(running, &e),
        }
    }

    /// A job that did not even start says nothing about its destination.
    pub fn could_not_start(&mut self, running: Running, error: &io::Error) {
        let id = self.name_of(running.job.slot);
        log::error("start-failed", id.as_deref(), &[("dest", &running.dest.text()), ("error", error)]);
        let text = "the delivery could not be started";
        let outcome = penny_queue::active::deferral(now(), "4.3.0", text);
        let outcomes = running.job.targets.iter().map(|t| (*t, outcome.clone())).collect();
        self.finish(running, outcomes, None);
    }

    /// The entry's file with an offset of its own at the message.
    pub fn open_message(&self, slot: u64) -> io::Result<File> {
        let entry = self.entries.get(&slot).ok_or(io::ErrorKind::NotFound)?;
        let mut file = penny_sys::files::open_regular(&self.queue.cur_path(entry.active.name(), false))?;
        file.seek(SeekFrom::Start(entry.body))?;
        Ok(file)
    }

    fn try_local(&mut self, job: &Job) -> io::Result<(u32, OwnedFd)> {
        let file = self.open_message(job.slot)?;
        let entry = self.entries.get(&job.slot).ok_or(io::ErrorKind::NotFound)?;
        let envelope = entry.active.job_envelope(&job.targets);
        let recipient = envelope.recipients.first().map(|r| r.address.to_string()).unwrap_or_default();
        let mut block = match &job.how {
            How::Mailboxes(users) => delivery::mailbox_lines(users.iter()).into_bytes(),
            _ => Vec::new(),
        };
        block.extend(envelope.encode());
        let envelope_fd = readable(&block)?;
        let (said, told) = penny_sys::net::pipe()?;
        let mut request = self.delivery(job, &recipient)?;
        request.time_limit = u32::try_from(self.config.queue.delivery_timeout.0).unwrap_or(u32::MAX);
        request.environment.push(format!("QUEUE_ID={}", entry.active.name()));
        let stderr = io::stderr();
        let fds = [file.as_fd(), told.as_fd(), stderr.as_fd(), envelope_fd.as_fd()];
        let spawn = self.spawn.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok((spawn.start(&request, &fds)?, said))
    }

    fn delivery(&self, job: &Job, recipient: &str) -> io::Result<Request> {
        let instruction = match &job.how {
            How::Mailbox(user) => return Ok(services::delivery(&self.config, user, recipient)),
            How::Mailboxes(users) => {
                let first = users.first().ok_or(io::ErrorKind::InvalidInput)?;
                return Ok(services::shared_delivery(&self.config, first));
            }
            How::Command(command) => ["--pipe".to_owned(), command.clone()],
            How::File(path) => ["--file".to_owned(), path.clone()],
            How::Remote(..) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let mut request = Request::new("deliver").env("RECIPIENT", recipient);
        request.args = vec!["-c".into(), self.config.file.display().to_string(), "--job".into()];
        request.args.extend(instruction);
        request.id = Some(self.config.id(&self.config.ids.mail)?);
        Ok(request)
    }

    /// A program that spawn started for us ended.
    pub fn spawned_ended(&mut self, id: u32, how: Ended) {
        let Some((running, pipe)) = self.locals.remove(&id) else { return self.filter_ended(id, how) };
        let said = read_said(pipe);
        let mut lines = said.lines();
        if let How::Mailboxes(users) = &running.job.how {
            let (alone, outcomes) = each(&running.job, users, how, lines);
            self.push_jobs(running.job.slot, alone);
            // one mailbox that is full says nothing of the others
            return self.finish(running, outcomes, None);
        }
        let outcome = understand(how, lines.next().unwrap_or_default());
        let reached = match outcome.verdict {
            Verdict::Later => Some(false),
            _ => Some(true),
        };
        let outcomes = running.job.targets.iter().map(|t| (*t, outcome.clone())).collect();
        self.finish(running, outcomes, reached);
    }

    /// spawn would not, or could not.
    pub fn spawned_refused(&mut self, id: u32, reason: &str) {
        if let Some((running, _)) = self.locals.remove(&id) {
            self.could_not_start(running, &io::Error::other(reason.to_owned()));
        } else if !self.filter_refused(id, reason) {
            self.worker_refused(id, reason);
        }
    }
}

/// A descriptor from which `bytes` can be read, to their end.
fn readable(bytes: &[u8]) -> io::Result<OwnedFd> {
    if bytes.len() <= PIPE_BUFFER {
        let (read, write) = penny_sys::net::pipe()?;
        File::from(write).write_all(bytes)?;
        return Ok(read);
    }
    Ok(penny_sys::fs::memory_file_of("envelope", bytes)?.into())
}

/// What the delivery wrote, without waiting: a grandchild may still hold the other end.
fn read_said(pipe: OwnedFd) -> String {
    let mut bytes = vec![0; SAID_MAX];
    let ready = penny_sys::net::wait_readable(pipe.as_fd(), Duration::ZERO).unwrap_or(false);
    let n = if ready { File::from(pipe).read(&mut bytes).unwrap_or(0) } else { 0 };
    bytes.truncate(n);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What became of targets.
type Outcomes = Vec<(Target, Outcome)>;

/// The lines of a job for several mailboxes: jobs for those that need one of their own, outcomes for the rest. A mailbox without a line
/// shares the end of the process.
fn each(job: &Job, users: &[User], how: Ended, mut lines: Lines<'_>) -> (Vec<(DestKey, Job)>, Outcomes) {
    let (mut alone, mut outcomes) = (Vec::new(), Vec::new());
    for (target, user) in job.targets.iter().zip(users) {
        let line = lines.next();
        if line == Some(delivery::ALONE) {
            let how = How::Mailbox(Box::new(user.clone()));
            alone.push((DestKey::Local(user.name.clone()), Job { targets: vec![*target], how, ..job.clone() }));
            continue;
        }
        let outcome = match line.and_then(|l| Some((Enhanced::parse(l.split(' ').next()?)?.class, l))) {
            Some((2, line)) => understand(Ended::Code(0), line),
            Some((5, line)) => understand(Ended::Code(UNAVAILABLE), line),
            Some((_, line)) => understand(Ended::Code(TEMPORARY), line),
            None if matches!(how, Ended::Code(0)) => understand(Ended::Code(TEMPORARY), ""),
            None => understand(how, line.unwrap_or_default()),
        };
        outcomes.push((*target, outcome));
    }
    (alone, outcomes)
}

/// Exit code and line become an outcome. The code decides; the line gives status and text where its class agrees.
fn understand(how: Ended, said: &str) -> Outcome {
    let verdict = match End::of_child(how) {
        End::Done | End::DoneStop => Verdict::Done,
        End::Permanent(_) => Verdict::Fail,
        End::Temporary | End::Code(_) => Verdict::Later,
    };
    let (class, usual) = match verdict {
        Verdict::Done => (2, ("2.0.0", "delivered")),
        Verdict::Later => (4, ("4.3.0", "delivery failed")),
        Verdict::Fail => (5, ("5.3.0", "delivery refused")),
    };
    let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
    let own = Enhanced::parse(word).filter(|e| e.class == class);
    let (status, text) = match own {
        Some(_) => (word.to_owned(), if rest.is_empty() { usual.1.to_owned() } else { rest.to_owned() }),
        None => (usual.0.to_owned(), describe(how, said, usual.1)),
    };
    let action = if verdict == Verdict::Done { Action::Delivered } else { Action::None };
    let line = |text: &str| Line::clean(text.as_bytes());
    Outcome { time: now(), verdict, status: line(&status), action, mta: None, text: line(&text) }
}

fn describe(how: Ended, said: &str, usual: &str) -> String {
    match how {
        _ if !said.is_empty() => said.to_owned(),
        Ended::Code(0) => usual.to_owned(),
        Ended::Code(code) => format!("{usual}: exit code {code}"),
        Ended::Signal(signal) => format!("{usual}: signal {signal}"),
    }
}
