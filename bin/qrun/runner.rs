//! The process: its state, and the loop that waits for everything at once.

use crate::control::Control;
use crate::entry::{Entry, Job, Running};
use crate::leave::Leaving;
use crate::park::Crowd;
use crate::remote::Workers;
use crate::reports::Children;
use crate::resolve::Client;
use crate::sites::Sites;
use crate::sync::Pending;
use penny_base::services::{Event, Spawn, service_stream};
use penny_base::{Config, Failure, Outcome, config, log, reload};
use penny_queue::active::Times;
use penny_queue::schedule::{Backoff, Clock, DestKey, FairQueue, Jump, Limits, Plan, Waiting};
use penny_queue::{Name, Queue};
use penny_sys::poll::{Interest, Watch};
use penny_sys::signals::Signals;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Entries remembered while they wait for their time; beyond it the directory is scanned again.
const WAITING_MAX: usize = 250_000;
/// Time between scans of new/, should a notification be lost.
const RESCAN: Duration = Duration::from_secs(60);
/// How long running jobs may go on after a request to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// Time between two looks at an entry whose client has no answer yet: one fsync of new/.
const ANSWER_PATIENCE: Duration = Duration::from_millis(2);
/// Time between two tries to connect to spawn.
const SPAWN_RETRY: Duration = Duration::from_millis(500);

/// Everything qrun knows.
pub struct Runner {
    pub config: Config,
    pub queue: Queue,
    lock: penny_sys::fs::Locked,
    pub backoff: Backoff,
    times: Times,
    pub spawn: Option<Spawn>,
    spawn_retry: Instant,
    pub lookup: Client,
    pub watch: Option<Watch>,
    /// Entries in memory, by a number of this process.
    pub entries: HashMap<u64, Entry>,
    pub slots: HashMap<Name, u64>,
    pub next_slot: u64,
    /// Names in new/ not yet taken.
    pub fresh: VecDeque<Name>,
    pub fresh_names: HashSet<Name>,
    /// Those whose client has no answer yet.
    pub unanswered: Vec<Name>,
    pub waiting: Waiting,
    /// Entries waiting for room; names only.
    pub parked: HashMap<Crowd, FairQueue<Name>>,
    pub parked_names: HashSet<Name>,
    pub plan: Plan<Job>,
    pub sites: Sites,
    /// Waiting entries an admin wants tried now.
    pub forced: HashSet<Name>,
    /// Deliveries under way, by spawn's number.
    pub locals: HashMap<u32, (Running, std::os::fd::OwnedFd)>,
    /// Filters at work on mail that leaves, by spawn's number.
    pub leaving: HashMap<u32, Leaving>,
    pub workers: Workers,
    pub children: Children,
    pub pending: Pending,
    pub control: Option<Control>,
    pub turn: u32,
    pub last_scan: Instant,
    clock: Clock,
    started: Instant,
    stop: Signals,
    hangup: Signals,
    stopping: Option<Instant>,
}

/// Why the loop woke up.
enum Wake {
    Stop,
    Hangup,
    Watch,
    Lookup,
    Spawn,
    Control,
    Client(u64),
    Worker(u64),
    Child(usize),
}

/// Seconds since 1970.
pub fn now() -> u64 {
    seconds(SystemTime::now())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Waits and ages of entries.
fn times(q: &config::Queue) -> (Backoff, Times) {
    let backoff = Backoff { min: q.retry_min.0, max: q.retry_max.0, lifetime: q.lifetime.0 };
    (backoff, Times { lifetime: q.lifetime.0, delay_warning: q.delay_warning.0, patient: false })
}

/// Most jobs in all and to one destination, for local and remote ones.
fn bounds(q: &config::Queue) -> ([u32; 2], [Limits; 2]) {
    let limit = |start, max| Limits { start, max, pause_min: q.retry_min.0.min(60), pause_max: q.retry_max.0 };
    let remote = limit(5.min(q.destination_concurrency), q.destination_concurrency);
    ([q.local_concurrency, q.remote_concurrency], [limit(4, 4), remote])
}

impl Runner {
    /// Opens the queue, takes the lock, connects to what is there.
    pub fn start(config: Config) -> Result<Runner, Failure> {
        let queue = Queue::new(&config.paths.queue);
        queue.create().map_err(|e| Failure::io("queue directory", &e))?;
        let lock = queue.lock().map_err(|e| match e.kind() {
            std::io::ErrorKind::WouldBlock => Failure::temporary("4.3.0", "another qrun holds this queue")
                .with_detail(queue.root().display().to_string()),
            _ => Failure::io("queue lock", &e),
        })?;
        let catch = |list: &[i32]| Signals::catch(list).map_err(|e| Failure::io("signals", &e));
        // there is no heir to a lock: at SIGUSR2 it ends as well, and whoever minds services starts the new program
        let (stop, hangup) = (catch(&[SIGTERM, SIGINT, SIGUSR2])?, catch(&[SIGHUP])?);
        // its mtime is the time until which an earlier run had an eye on the queue
        let seen = lock.file().metadata().and_then(|m| m.modified()).map_or_else(|_| now(), seconds);
        let clock = Clock::new(seen, now(), 0);
        if clock.is_patient(0) {
            log::warning("clock-leap", None, &[("seconds", &now().saturating_sub(seen)), ("why", &"qrun did not run")]);
        }
        let (backoff, times) = times(&config.queue);
        let (totals, limits) = bounds(&config.queue);
        let plan = Plan::new(totals, limits);
        let watch = Watch::new(&queue.dir("new"))
            .map_err(|e| log::warning("no-inotify", None, &[("error", &e), ("scan", &"by time")]))
            .ok();
        let control = Control::listen(&config).map_err(|e| log::warning("no-control", None, &[("error", &e)])).ok();
        Ok(Runner {
            queue,
            lock,
            backoff,
            times,
            spawn: None,
            spawn_retry: Instant::now(),
            lookup: Client::new(),
            watch,
            entries: HashMap::new(),
            slots: HashMap::new(),
            next_slot: 1,
            fresh: VecDeque::new(),
            fresh_names: HashSet::new(),
            unanswered: Vec::new(),
            waiting: Waiting::new(WAITING_MAX),
            parked: HashMap::new(),
            parked_names: HashSet::new(),
            plan,
            sites: Sites::default(),
            forced: HashSet::new(),
            locals: HashMap::new(),
            leaving: HashMap::new(),
            workers: Workers::default(),
            children: Children::default(),
            pending: Pending::default(),
            control,
            turn: 0,
            last_scan: Instant::now(),
            clock,
            started: Instant::now(),
            stop,
            hangup,
            stopping: None,
            config,
        })
    }

    /// Works until told to stop; with `once`, until nothing is due and nothing runs.
    pub fn run(mut self, once: bool) -> Result<Outcome, Failure> {
        self.scan_all(true).map_err(|e| Failure::io("queue scan", &e))?;
        log::info("ready", None, &[("waiting", &self.waiting.len()), ("new", &self.fresh.len())]);
        loop {
            self.pump();
            let idle = self.is_idle();
            if idle && (once || self.stopping.is_some()) || self.stopping.is_some_and(|t| t.elapsed() > STOP_PATIENCE) {
                self.sync_tick(true);
                self.note_seen();
                log::info("stopped", None, &[("running", &self.plan.running())]);
                return Ok(Outcome::Done);
            }
            let woken = self.wait().map_err(|e| Failure::io("poll", &e))?;
            for wake in woken {
                self.handle(wake);
            }
        }
    }

    /// Nothing runs, nothing is due now.
    fn is_idle(&self) -> bool {
        let busy = self.plan.running() > 0 || self.children.count() > 0 || self.entries.values().any(|e| e.reporting);
        let due = self.stopping.is_none()
            && (!self.entries.is_empty()
                || !self.fresh.is_empty()
                || !self.unanswered.is_empty()
                || self.waiting.next_due().is_some_and(|due| due <= now()));
        !busy && !due && self.pending.due().is_none()
    }

    /// Whether new work may start.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Everything that can be done without waiting.
    fn pump(&mut self) {
        self.connect_spawn();
        self.pump_lookup();
        if self.stopping.is_none() {
            self.watch_clock();
            self.rescan();
            self.load_entries();
            self.start_jobs();
        }
        self.workers_tick();
        self.sync_tick(false);
        self.pump_control();
    }

    fn wait(&mut self) -> std::io::Result<Vec<Wake>> {
        let mut wakes = vec![Wake::Stop, Wake::Hangup];
        let mut interests = vec![Interest::read(self.stop.as_fd()), Interest::read(self.hangup.as_fd())];
        let mut add = |wake, interest| {
            wakes.push(wake);
            interests.push(interest);
        };
        if let Some(w) = &self.watch {
            add(Wake::Watch, Interest::read(w.as_fd()));
        }
        if let Some((fd, write)) = self.lookup.fd() {
            add(Wake::Lookup, Interest { fd, read: true, write });
        }
        if let Some(s) = &self.spawn {
            add(Wake::Spawn, Interest::read(s.as_fd()));
        }
        if let Some(c) = &self.control {
            add(Wake::Control, Interest::read(c.as_fd()));
            for (id, interest) in c.clients() {
                add(Wake::Client(id), interest);
            }
        }
        for (id, fd) in self.workers.fds() {
            add(Wake::Worker(id), Interest::read(fd));
        }
        for (n, fd) in self.children.fds() {
            add(Wake::Child(n), Interest::read(fd));
        }
        let ready = penny_sys::poll::wait(&interests, Some(self.timeout()))?;
        Ok(wakes.into_iter().zip(ready).filter(|(_, r)| r.read || r.write).map(|(w, _)| w).collect())
    }

    /// How long nothing will happen by itself.
    fn timeout(&self) -> Duration {
        let mut least = Duration::from_secs(30);
        let mut at = |t: Option<Instant>| {
            if let Some(t) = t {
                least = least.min(t.saturating_duration_since(Instant::now()));
            }
        };
        at(self.pending.due());
        at(self.lookup.wake());
        at(self.workers.wake(self.idle_time()));
        at(self.spawn.is_none().then_some(self.spawn_retry));
        at((!self.unanswered.is_empty()).then(|| Instant::now() + ANSWER_PATIENCE));
        at(self.stopping.map(|t| t + STOP_PATIENCE));
        let more = self.stopping.is_none() && self.has_fresh();
        if more || self.control.as_ref().is_some_and(Control::has_work) {
            return Duration::ZERO;
        }
        if self.stopping.is_none() {
            if let Some(at) = self.plan.wake() {
                // a whole second at least: it may be another limit that holds the job back
                least = least.min(Duration::from_secs(at.saturating_sub(self.steady()).max(1)));
            }
            let until_due = |due: u64| Duration::from_secs(due.saturating_sub(now()));
            if let Some(due) = self.waiting.next_due().filter(|_| self.has_room()) {
                // a second that has begun is due: no spinning, no lateness over a second
                least =
                    least.min(until_due(due).max(Duration::from_millis(if until_due(due).is_zero() { 0 } else { 50 })));
            }
        }
        least
    }

    fn handle(&mut self, wake: Wake) {
        match wake {
            Wake::Stop => {
                self.stop.came();
                self.stopping.get_or_insert_with(Instant::now);
            }
            Wake::Hangup => {
                self.hangup.came();
                if let Some(config) = reload::read(&self.config) {
                    self.follow(config);
                }
                self.plan.retry_now(|_| true, self.steady());
                if let Err(e) = self.scan_all(false) {
                    log::error("scan-failed", None, &[("error", &e)]);
                }
            }
            Wake::Watch => self.take_changes(),
            Wake::Lookup => {} // pumped in every round
            Wake::Spawn => self.spawn_events(),
            Wake::Control => self.control_accept(),
            Wake::Client(id) => self.control_client(id),
            Wake::Worker(id) => self.worker_told(id),
            Wake::Child(n) => self.child_said(n),
        }
    }

    /// Goes by another configuration from now on; what is at work ends as it began.
    fn follow(&mut self, config: Config) {
        (self.backoff, self.times) = times(&config.queue);
        let (totals, limits) = bounds(&config.queue);
        self.plan.rebound(totals, limits);
        self.dismiss_idle();
        self.config = config;
        log::info("reloaded", None, &[]);
    }

    fn connect_spawn(&mut self) {
        if self.spawn.is_some() || Instant::now() < self.spawn_retry {
            return;
        }
        self.spawn_retry = Instant::now() + SPAWN_RETRY;
        match Spawn::connect(&self.config) {
            Ok(spawn) => self.spawn = Some(spawn),
            Err(e) => log::debug("no-spawn", None, &[("error", &e)]),
        }
    }

    fn spawn_events(&mut self) {
        loop {
            let Some(spawn) = self.spawn.as_mut() else { return };
            match spawn.event_now() {
                Ok(Some(Event::Ended { id, how })) => self.spawned_ended(id, how),
                Ok(Some(Event::Refused { id, reason })) => self.spawned_refused(id, &reason),
                Ok(Some(Event::Started { .. })) => {}
                Ok(None) => return,
                Err(e) => return self.spawn_lost(&e),
            }
        }
    }

    /// spawn is gone, and with it the news of what it started: those jobs are tried again later.
    fn spawn_lost(&mut self, error: &std::io::Error) {
        log::warning("spawn-lost", None, &[("error", error), ("jobs", &self.locals.len())]);
        self.spawn = None;
        for id in self.locals.keys().chain(self.leaving.keys()).copied().collect::<Vec<_>>() {
            self.spawned_refused(id, "the starter of deliveries went away");
        }
    }

    fn pump_lookup(&mut self) {
        let (config, spawn) = (&self.config, self.spawn.as_mut());
        let answers = self.lookup.pump(|| service_stream(config, "lookup", "PENNYPOST_LOOKUP_FD", spawn));
        for (question, answer) in answers {
            self.answered(question, answer);
        }
    }

    /// What to do when the clock was set.
    fn watch_clock(&mut self) {
        match self.clock.look(now(), self.steady()) {
            Jump::None => {}
            Jump::Back(by) => {
                log::warning("clock-set-back", None, &[("seconds", &by)]);
                self.waiting.shift_back(by);
                self.entries.values_mut().for_each(|e| e.not_before = e.not_before.saturating_sub(by));
            }
            Jump::Forward(by) => log::warning("clock-leap", None, &[("seconds", &by), ("why", &"set, or asleep")]),
        }
    }

    /// Times that govern entries now.
    pub fn times(&self) -> Times {
        Times { patient: self.clock.is_patient(self.steady()), ..self.times }
    }

    /// Notes in the lock's mtime that the queue was looked after until now. Not while ages are not believed: the next run
    /// shall not believe them either.
    fn note_seen(&self) {
        if !self.clock.is_patient(self.steady())
            && let Err(e) = self.lock.file().set_modified(SystemTime::now())
        {
            log::warning("seen-failed", None, &[("error", &e)]);
        }
    }

    fn rescan(&mut self) {
        if self.last_scan.elapsed() >= RESCAN {
            self.last_scan = Instant::now();
            self.note_seen();
            self.plan.forget_idle(self.steady());
            if let Err(e) = self.scan_new() {
                log::error("scan-failed", None, &[("error", &e)]);
            }
        }
        if self.waiting.wants_scan()
            && let Err(e) = self.scan_cur(false)
        {
            log::error("scan-failed", None, &[("error", &e)]);
        }
    }

    /// Seconds of a clock that nobody sets: the plan's time.
    pub fn steady(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Until when, by the wall clock, a destination is left alone.
    pub fn paused(&self, dest: &DestKey) -> Option<u64> {
        let steady = self.steady();
        self.plan.paused(dest, steady).map(|until| now() + until.saturating_sub(steady))
    }

    /// The name of an entry in memory, for the log.
    pub fn name_of(&self, slot: u64) -> Option<String> {
        self.entries.get(&slot).map(|e| e.active.name().to_string())
    }
}
