//! Deliveries elsewhere: `remote` processes that take job after job for one destination over a packet socket, so
//! that a connection is used again.

use crate::entry::{How, Running};
use crate::runner::{Runner, now};
use penny_base::log;
use penny_base::services::Request;
use penny_queue::active::deferral;
use penny_queue::job::{self, Told};
use penny_queue::journal::Outcome;
use penny_queue::schedule::DestKey;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// One `remote` process.
#[derive(Debug)]
struct Worker {
    socket: OwnedFd,
    spawned: u32,
    dest: DestKey,
    busy: Option<Busy>,
    idle_since: Instant,
}

/// Its job.
#[derive(Debug)]
struct Busy {
    number: u64,
    running: Running,
    outcomes: Vec<Option<Outcome>>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Workers {
    list: BTreeMap<u64, Worker>,
    next: u64,
    next_job: u64,
}

impl Workers {
    /// Sockets to wait on.
    pub fn fds(&self) -> impl Iterator<Item = (u64, BorrowedFd<'_>)> {
        self.list.iter().map(|(id, w)| (*id, w.socket.as_fd()))
    }

    /// When the first idle one has been idle for long enough.
    pub fn wake(&self, idle: Duration) -> Option<Instant> {
        self.list.values().filter(|w| w.busy.is_none()).map(|w| w.idle_since + idle).min()
    }

    fn idle_for(&self, dest: &DestKey) -> Option<u64> {
        self.list.iter().find(|(_, w)| w.busy.is_none() && w.dest == *dest).map(|(id, _)| *id)
    }

    fn oldest_idle(&self) -> Option<u64> {
        self.list.iter().filter(|(_, w)| w.busy.is_none()).min_by_key(|(_, w)| w.idle_since).map(|(id, _)| *id)
    }
}

impl Runner {
    /// How long a worker may be idle.
    pub fn idle_time(&self) -> Duration {
        Duration::from_secs(self.config.remote.idle.0)
    }

    /// Ends workers that have been idle for long enough, and all idle ones when stopping.
    pub fn workers_tick(&mut self) {
        let (idle, stopping) = (self.idle_time(), self.is_stopping());
        // closing the socket tells the process to say QUIT and end
        self.workers.list.retain(|_, w| w.busy.is_some() || !stopping && w.idle_since.elapsed() < idle);
    }

    /// Ends idle workers: the next job gets one that has read the configuration as it is now.
    pub fn dismiss_idle(&mut self) {
        self.workers.list.retain(|_, w| w.busy.is_some());
    }

    /// Gives a job to an idle worker of the destination, or to a new one.
    pub fn send_remote(&mut self, running: Running) {
        let worker = match self.workers.idle_for(&running.dest) {
            Some(id) => Ok(id),
            None => self.start_worker(&running.dest),
        };
        let sent = worker.and_then(|id| self.send_job(id, &running).map(|(number, count)| (id, number, count)));
        match sent {
            Ok((id, number, count)) => {
                if let Some(w) = self.workers.list.get_mut(&id) {
                    w.busy = Some(Busy { number, running, outcomes: vec![None; count] });
                }
            }
            Err(e) => self.could_not_start(running, &e),
        }
    }

    fn start_worker(&mut self, dest: &DestKey) -> io::Result<u64> {
        let most = usize::try_from(self.config.queue.remote_concurrency).unwrap_or(usize::MAX);
        if self.workers.list.len() >= most
            && let Some(id) = self.workers.oldest_idle()
        {
            self.workers.list.remove(&id);
        }
        let (ours, theirs) = penny_sys::net::packet_pair()?;
        let mut request = Request::new("remote");
        request.args = vec!["-c".into(), self.config.file.display().to_string(), "--jobs".into()];
        let stderr = io::stderr();
        let null = File::open("/dev/null")?;
        let spawn = self.spawn.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let spawned = spawn.start(&request, &[theirs.as_fd(), null.as_fd(), stderr.as_fd()])?;
        let id = self.workers.next;
        self.workers.next += 1;
        let worker = Worker { socket: ours, spawned, dest: dest.clone(), busy: None, idle_since: Instant::now() };
        self.workers.list.insert(id, worker);
        Ok(id)
    }

    fn send_job(&mut self, id: u64, running: &Running) -> io::Result<(u64, usize)> {
        let How::Remote(route, _) = &running.job.how else { return Err(io::ErrorKind::InvalidInput.into()) };
        let file = self.open_message(running.job.slot)?;
        let entry = self.entries.get(&running.job.slot).ok_or(io::ErrorKind::NotFound)?;
        let number = self.workers.next_job;
        let mut envelope = entry.active.job_envelope(&running.job.targets);
        if let Some(sender) = &running.job.sender {
            envelope.sender.address = sender.clone();
        }
        let count = envelope.recipients.len();
        let job = job::Job { number, route: route.clone(), envelope };
        let packet = job.encode().ok_or_else(|| io::Error::other("the job does not fit a packet"))?;
        self.workers.next_job += 1;
        let fields = self.fields_of(running)?;
        let descriptors: Vec<_> = std::iter::once(&file).chain(&fields).map(AsFd::as_fd).collect();
        let worker = self.workers.list.get(&id).ok_or(io::ErrorKind::NotFound)?;
        if let Err(e) = penny_sys::fdpass::send(worker.socket.as_fd(), &packet, &descriptors) {
            self.workers.list.remove(&id); // it died while idle
            return Err(e);
        }
        Ok((number, count))
    }

    /// A worker's socket can be read.
    pub fn worker_told(&mut self, id: u64) {
        let mut buffer = vec![0; job::PACKET_MAX];
        loop {
            let Some(worker) = self.workers.list.get_mut(&id) else { return };
            let n = match penny_sys::fdpass::receive_now(worker.socket.as_fd(), &mut buffer) {
                Ok((n, _)) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => 0,
            };
            let told = if n == 0 { None } else { Told::decode(buffer.get(..n).unwrap_or_default()) };
            match (told, worker.busy.as_mut()) {
                (Some(Told::Recipient { number, index, outcome }), Some(busy)) if number == busy.number => {
                    if let Some(place) = busy.outcomes.get_mut(index) {
                        *place = Some(Outcome { time: now(), ..outcome });
                    }
                }
                (Some(Told::Site { number, site }), Some(busy)) if number == busy.number => {
                    self.worker_is_at(id, &site);
                }
                (Some(Told::End { number, reached, again }), Some(busy)) if number == busy.number => {
                    self.job_told(id, reached, again);
                }
                // the end of the process, or something it must not say
                (_, busy) => {
                    if busy.is_some() {
                        let from = worker.dest.text().to_owned();
                        log::warning("remote-lost", None, &[("dest", &from)]);
                    }
                    return self.job_told(id, None, false);
                }
            }
        }
    }

    /// A worker found out whose hosts it talks to: other domains of these hosts may use it next.
    fn worker_is_at(&mut self, id: u64, site: &str) {
        let Some(busy) = self.workers.list.get(&id).and_then(|w| w.busy.as_ref()) else { return };
        let How::Remote(_, destination) = &busy.running.job.how else { return };
        let (destination, dest) = (destination.clone(), busy.running.dest.clone());
        let dest = self.site_told(&destination, &dest, site);
        let Some(worker) = self.workers.list.get_mut(&id) else { return };
        worker.dest = dest.clone();
        worker.busy.iter_mut().for_each(|b| b.running.dest = dest.clone());
    }

    /// A worker's job is over; recipients it said nothing about are tried again.
    fn job_told(&mut self, id: u64, reached: Option<bool>, again: bool) {
        let Some(worker) = self.workers.list.get_mut(&id) else { return };
        let busy = worker.busy.take();
        worker.idle_since = Instant::now();
        if !again {
            self.workers.list.remove(&id);
        }
        let Some(busy) = busy else { return };
        let missing = || deferral(now(), "4.3.0", "the sending process ended without an answer");
        let outcomes = busy.outcomes.into_iter().map(|o| o.unwrap_or_else(missing));
        let outcomes = busy.running.job.targets.iter().copied().zip(outcomes).collect();
        self.finish(busy.running, outcomes, reached);
    }

    /// spawn refused to start a worker.
    pub fn worker_refused(&mut self, spawned: u32, reason: &str) {
        let found = self.workers.list.iter().find(|(_, w)| w.spawned == spawned).map(|(id, _)| *id);
        let Some(id) = found else { return };
        log::error("start-failed", None, &[("program", &"remote"), ("error", &reason)]);
        self.job_told(id, None, false);
    }
}

use std::fs::File;
