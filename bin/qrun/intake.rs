//! From the directory into memory: scans, new entries, due entries, and what lookup says of them.

use crate::entry::{Entry, Fact, How, Job, Wanted};
use crate::resolve::Question;
use crate::runner::{Runner, now};
use crate::settle::note;
use crate::shared::Shared;
use crate::terms::Terms;
use penny_base::log;
use penny_base::services::lookup::{Answer, User};
use penny_queue::active::{Active, deferral, failure};
use penny_queue::entry::{EntryError, Found, Opened, parse_cur};
use penny_queue::envelope::{Address, Line};
use penny_queue::job::{RECIPIENTS_MAX, Route};
use penny_queue::journal::{Kind, Resolved, Target};
use penny_queue::schedule::{self, DestKey, Turn};
use penny_queue::{Name, Recipient};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::OpenOptionsExt;

/// Entries in memory at a time.
pub const ACTIVE_MAX: usize = 2000;
/// Of these, those that were tried before: new mail always finds room.
const ACTIVE_OLD_MAX: usize = 1400;
/// Entries loaded before the loop looks at everything else again.
const LOAD_PORTION: usize = 100;
/// Octets of recipient lines in one job: it has to fit a packet with everything else.
const JOB_OCTETS_MAX: usize = 40 << 10;
/// Longest journal read.
const JOURNAL_MAX: u64 = 256 << 20;
/// Seconds until an entry that could not be read is looked at again.
const READ_RETRY: u64 = 60;

impl Runner {
    /// Reads both directories: at start, on SIGHUP, after the clock was set back.
    pub fn scan_all(&mut self, at_start: bool) -> io::Result<()> {
        self.report_corrupt()?;
        if let Err(e) = self.queue.clean_tmp(std::time::SystemTime::now()) {
            log::warning("clean-failed", None, &[("error", &e)]);
        }
        self.scan_cur(at_start)?;
        self.scan_new()?;
        self.clean_log()
    }

    /// What was set aside is told at every start, until an admin looks at it.
    fn report_corrupt(&self) -> io::Result<()> {
        for item in std::fs::read_dir(self.queue.dir("corrupt"))? {
            log::warning("corrupt", None, &[("file", &item?.path().display())]);
        }
        Ok(())
    }

    /// A journal without an entry is rubbish (Q5).
    fn clean_log(&mut self) -> io::Result<()> {
        for name in self.queue.list("log")?.0 {
            let known = [false, true].iter().any(|held| self.queue.cur_path(&name, *held).exists());
            if !known && !self.slots.contains_key(&name) {
                self.queue.unlink_journal(&name)?;
            }
        }
        Ok(())
    }

    /// Finds names in new/.
    pub fn scan_new(&mut self) -> io::Result<()> {
        let (mut names, strangers) = self.queue.list("new")?;
        names.sort();
        names.into_iter().for_each(|n| self.appeared(n));
        for file in strangers {
            self.set_aside("new", &file, None, "not an entry name");
        }
        Ok(())
    }

    /// Finds entries in cur/ and when they are due.
    pub fn scan_cur(&mut self, at_start: bool) -> io::Result<()> {
        let time = now();
        for found in self.queue.scan_cur()? {
            match found? {
                Found::Entry(name, false, _) if at_start && self.config.queue.start_held => {
                    self.queue.set_held(&name, true)?;
                }
                Found::Entry(name, false, due) if !self.in_memory(&name) => {
                    self.waiting.insert(self.backoff.sane_due(due, time), name);
                }
                Found::Entry(..) => {}
                Found::Stranger(file) => self.set_aside("cur", &file, None, "not an entry name"),
            }
        }
        Ok(())
    }

    fn in_memory(&self, name: &Name) -> bool {
        self.slots.contains_key(name) || self.parked_names.contains(name)
    }

    /// Notifications of inotify.
    pub fn take_changes(&mut self) {
        use penny_sys::poll::Change;
        let changes = self.watch.as_ref().map(penny_sys::poll::Watch::changes);
        match changes {
            Some(Ok(list)) => {
                for change in list {
                    match change {
                        Change::Appeared(file) => match file.to_str().and_then(|f| f.parse().ok()) {
                            Some(name) => self.appeared(name),
                            None => self.set_aside("new", &file, None, "not an entry name"),
                        },
                        Change::Overflow => {
                            self.last_scan = std::time::Instant::now() - std::time::Duration::from_secs(3600)
                        }
                    }
                }
            }
            Some(Err(e)) => log::warning("inotify-failed", None, &[("error", &e)]),
            None => {}
        }
    }

    fn appeared(&mut self, name: Name) {
        if self.fresh_names.insert(name.clone()) {
            self.fresh.push_back(name);
        }
    }

    /// Whether a new entry waits that may come into memory.
    pub fn has_fresh(&self) -> bool {
        !self.fresh.is_empty() && self.entries.len() < ACTIVE_MAX
    }

    /// Whether an old entry may come into memory.
    pub fn has_room(&self) -> bool {
        self.entries.len() < ACTIVE_OLD_MAX
    }

    /// Brings entries into memory: parked ones whose destination has room, new ones, due ones.
    pub fn load_entries(&mut self) {
        self.unpark();
        self.fresh.extend(self.unanswered.drain(..));
        let time = now();
        for _ in 0..LOAD_PORTION {
            if self.entries.len() >= ACTIVE_MAX {
                return;
            }
            self.turn = self.turn.wrapping_add(1);
            // every fourth turn belongs to the old ones, so that neither starves
            let old_first = self.turn.is_multiple_of(4);
            let old =
                if self.has_room() && (old_first || self.fresh.is_empty()) { self.waiting.pop_due(time) } else { None };
            if let Some(name) = old {
                self.load(name);
            } else if let Some(name) = self.fresh.pop_front() {
                self.take_new(name);
            } else {
                return;
            }
        }
    }

    /// A new entry, checked, once its client has an answer.
    fn open_new(&mut self, name: &Name) -> Option<Opened> {
        let opened = match penny_queue::entry::open_entry(&self.queue.new_path(name)) {
            Ok(opened) => Some(opened),
            Err(EntryError::Gone) => None,
            Err(EntryError::Corrupt(what)) => {
                self.set_aside("new", OsStr::new(name.as_str()), None, &what);
                None
            }
            // found again by the next scan
            Err(EntryError::Io(e)) => {
                log::error("open-failed", Some(name.as_str()), &[("error", &e)]);
                None
            }
        };
        if opened.as_ref().is_some_and(|o| matches!(o.is_answered(), Ok(false))) {
            self.unanswered.push(name.clone());
            return None;
        }
        self.fresh_names.remove(name);
        opened
    }

    /// Q1 to Q2, or to Q3 where the envelope or the admin wants it held.
    fn take_new(&mut self, name: Name) {
        let Some(opened) = self.open_new(&name) else { return };
        let hold = opened.envelope.hold.as_ref().map(ToString::to_string);
        let hold = hold.or_else(|| self.config.queue.start_held.then(|| "start_held".to_owned()));
        match self.queue.take(&name, hold.is_some()) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return self.set_aside("new", OsStr::new(name.as_str()), None, "its name is taken");
            }
            Err(e) => return log::error("take-failed", Some(name.as_str()), &[("error", &e)]),
        }
        self.report_taken(&name);
        let envelope = &opened.envelope;
        log::info(
            "taken",
            Some(name.as_str()),
            &[
                ("from", &format_args!("<{}>", envelope.sender.address)),
                ("nrcpt", &envelope.recipients.len()),
                ("size", &envelope.size),
            ],
        );
        if let Some(why) = hold {
            return log::info("held", Some(name.as_str()), &[("why", &why)]);
        }
        // RFC 4865 4.2: not before the time asked for
        match envelope.sender.hold_until(envelope.arrival.0).filter(|until| *until > now()) {
            Some(until) => self.put_off(name, until),
            None => self.understood(name, opened, &[]),
        }
    }

    fn understood(&mut self, name: Name, opened: Opened, journal: &[u8]) {
        match Active::new(name.clone(), opened.envelope, journal) {
            Ok(active) if self.is_hogging(&active) => self.hold_back(active),
            Ok(active) => {
                let slot = self.admit(active, opened.body);
                self.begin_round(slot);
            }
            Err(e) => self.corrupt_entry(&name, &e.to_string()),
        }
    }

    /// Brings an entry into memory to do an admin's will with it, without a try. `None` when it is gone or corrupt.
    pub fn load_wanted(&mut self, name: Name, wanted: Wanted) -> Option<u64> {
        let opened = self.queue.open(&name, false).ok()?;
        let journal = self.read_journal(&name).ok()?;
        let active = Active::new(name, opened.envelope, &journal).ok()?;
        let slot = self.admit(active, opened.body);
        self.entries.get_mut(&slot)?.wanted = wanted;
        if self.entries.get(&slot)?.active.report_open().is_some() {
            self.resume_report(slot);
        } else {
            self.round_over(slot);
        }
        Some(slot)
    }

    /// Opens an entry of cur/ and asks lookup about it.
    pub fn load(&mut self, name: Name) {
        if self.slots.contains_key(&name) {
            return;
        }
        let opened = match self.queue.open(&name, false) {
            Ok(opened) => opened,
            Err(EntryError::Gone) => return,
            Err(EntryError::Corrupt(what)) => return self.corrupt_entry(&name, &what),
            Err(EntryError::Io(e)) => {
                log::error("open-failed", Some(name.as_str()), &[("error", &e)]);
                return self.waiting.insert(now() + READ_RETRY, name);
            }
        };
        let journal = match self.read_journal(&name) {
            Ok(bytes) => bytes,
            Err(e) => {
                log::error("journal-failed", Some(name.as_str()), &[("error", &e)]);
                return self.waiting.insert(now() + READ_RETRY, name);
            }
        };
        // RFC 4865 4.2: a time that no clock, restart or rescan shortens
        match opened.envelope.sender.hold_until(opened.envelope.arrival.0).filter(|until| *until > now()) {
            Some(until) if !self.forced.contains(&name) => self.put_off(name, until),
            _ => self.understood(name, opened, &journal),
        }
    }

    fn read_journal(&self, name: &Name) -> io::Result<Vec<u8>> {
        match penny_sys::fs::read_limited(&self.queue.log_path(name), JOURNAL_MAX) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    /// Writes down when an entry is due and forgets it until then.
    pub fn put_off(&mut self, name: Name, due: u64) {
        if let Err(e) = self.queue.set_due(&name, false, due) {
            log::warning("set-due-failed", Some(name.as_str()), &[("error", &e)]);
        }
        self.waiting.insert(due, name);
    }

    fn corrupt_entry(&mut self, name: &Name, what: &str) {
        let path = self.queue.cur_path(name, false);
        let file = path.file_name().unwrap_or_default().to_owned();
        self.set_aside("cur", &file, Some(name), what);
    }

    /// Q4.
    pub fn set_aside(&mut self, dir: &str, file: &OsStr, name: Option<&Name>, what: &str) {
        let id = name.cloned().or_else(|| parse_cur(file).map(|(n, _)| n));
        let shown = file.to_string_lossy();
        match self.queue.set_aside(dir, file, name) {
            Ok(()) => log::error("set-aside", id.as_ref().map(Name::as_str), &[("file", &shown), ("why", &what)]),
            Err(e) => log::error("set-aside-failed", id.as_ref().map(Name::as_str), &[("file", &shown), ("error", &e)]),
        }
    }

    fn admit(&mut self, active: Active, body: u64) -> u64 {
        let slot = self.next_slot;
        self.next_slot += 1;
        let (sender, priority) = (sender_of(&active).to_owned(), active.envelope().sender.priority());
        self.slots.insert(active.name().clone(), slot);
        let forced = self.forced.remove(active.name());
        let entry = Entry {
            active,
            body,
            awaiting: 0,
            facts: HashMap::new(),
            on_top: None,
            jobs: 0,
            journal: None,
            reporting: false,
            sender,
            priority,
            not_before: 0,
            tried: false,
            terms: HashMap::new(),
            forced,
            wanted: Wanted::Nothing,
        };
        self.entries.insert(slot, entry);
        slot
    }

    /// Begins with what an earlier run of qrun left unfinished, then asks lookup.
    pub fn begin_round(&mut self, slot: u64) {
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        if entry.active.report_open().is_some() {
            return self.resume_report(slot);
        }
        let unresolved = entry.active.unresolved();
        entry.awaiting = unresolved.len();
        for rcpt in unresolved {
            let target = Target { rcpt, result: 0 };
            let address = entry.active.recipient(target).map(|r| r.address.as_str().to_owned()).unwrap_or_default();
            self.lookup.ask(Question::Expand { slot, rcpt, address });
        }
        if entry.awaiting == 0 {
            self.ask_facts(slot);
        }
    }

    /// An answer of lookup.
    pub fn answered(&mut self, question: Question, answer: Answer) {
        let (slot, expansion) = match &question {
            Question::Expand { slot, .. } => (*slot, true),
            Question::User { slot, .. } | Question::Route { slot, .. } | Question::Sender { slot, .. } => {
                (*slot, false)
            }
        };
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        entry.awaiting = entry.awaiting.saturating_sub(1);
        match question {
            Question::Expand { rcpt, .. } => expanded(entry, rcpt, answer),
            Question::User { address, .. } => {
                let fact = match answer {
                    Answer::Ok(fields) => {
                        User::from_fields(&fields).map_or(Fact::Temporary("odd answer of lookup".into()), Fact::User)
                    }
                    Answer::No(_) => Fact::NoUser,
                    Answer::Temp(why) => Fact::Temporary(why),
                };
                entry.facts.insert(address, fact);
            }
            Question::Sender { address, .. } => {
                let told = match answer {
                    Answer::Ok(fields) => fields.first().and_then(|f| Address::new(f.as_str())),
                    Answer::No(_) | Answer::Temp(_) => None,
                };
                let fact = told.map_or(Fact::Temporary("no sender to forward with".into()), Fact::Sender);
                entry.facts.insert(sender_key(&address), fact);
            }
            Question::Route { domain, .. } => {
                let fact = match answer {
                    Answer::Ok(fields) => {
                        Route::from_fields(&fields).map_or(Fact::Temporary("odd answer of lookup".into()), Fact::Route)
                    }
                    Answer::No(_) => Fact::Route(Route::Mx(penny_queue::job::Hop::default())),
                    Answer::Temp(why) => Fact::Temporary(why),
                };
                entry.facts.insert(route_key(&domain), fact);
            }
        }
        if entry.awaiting == 0 {
            if expansion { self.ask_facts(slot) } else { self.plan_entry(slot) }
        }
    }

    /// All recipients are expanded: whose mailboxes, and where to?
    fn ask_facts(&mut self, slot: u64) {
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        let mut questions = BTreeMap::new();
        let rewrites = !self.config.queue.srs_domain.is_empty();
        let from = entry.active.envelope().sender.address.domain();
        for target in entry.active.open_targets() {
            let Some(resolved) = entry.active.resolved(target) else { continue };
            let value = resolved.value.as_str();
            match resolved.kind {
                Kind::Local => {
                    questions.insert(value.to_owned(), Question::User { slot, address: value.to_owned() });
                }
                Kind::Remote => {
                    let domain = Address::new(value).map(|a| a.domain()).unwrap_or_default();
                    let question = Question::Route { slot, domain: domain.clone(), from: from.clone() };
                    questions.insert(route_key(&domain), question);
                    let address = entry.active.envelope().sender.address.as_str();
                    if rewrites && !address.is_empty() && is_forward(entry, target, value) {
                        let question = Question::Sender { slot, address: address.to_owned() };
                        questions.insert(sender_key(address), question);
                    }
                }
                Kind::Pipe | Kind::File | Kind::Error => {}
            }
        }
        entry.awaiting = questions.len();
        if questions.is_empty() {
            return self.plan_entry(slot);
        }
        questions.into_values().for_each(|q| self.lookup.ask(q));
    }

    /// Everything is known: jobs, or outcomes where no job is needed.
    fn plan_entry(&mut self, slot: u64) {
        let (time, steady) = (now(), self.steady());
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        if entry.wanted != Wanted::Nothing {
            return self.round_over(slot);
        }
        type Key = (String, String, Option<String>);
        let mut remote: BTreeMap<Key, (Route, Option<Address>, Vec<Target>)> = BTreeMap::new();
        let rewrites = !self.config.queue.srs_domain.is_empty();
        let mut jobs = Vec::new();
        let mut shared = Shared::default();
        for target in entry.active.open_targets() {
            let Some(resolved) = entry.active.resolved(target).cloned() else { continue };
            match place(entry, &resolved) {
                Place::Local(dest, How::Mailbox(user)) if self.plan.paused(&dest, steady).is_none() => {
                    shared.add(target, *user);
                }
                Place::Local(dest, how) => {
                    jobs.push((dest, Job { slot, targets: vec![target], how, sender: None }));
                }
                Place::Remote(domain, route) => {
                    // by MX, a job is for one domain; a fixed hop takes all domains together
                    let domain = if matches!(route, Route::Mx(_)) { domain } else { String::new() };
                    if let Some(terms) = Terms::of(&route) {
                        entry.terms.insert(target, terms);
                        if entry.too_early(target, terms, self.backoff, time) {
                            continue;
                        }
                    }
                    let forwarded = rewrites && is_forward(entry, target, resolved.value.as_str());
                    let sender = match forwarding_sender(entry).filter(|_| forwarded) {
                        Some(Err(why)) => {
                            entry.active.record(target, deferral(time, "4.3.0", &why));
                            continue;
                        }
                        Some(Ok(sender)) => Some(sender),
                        None => None,
                    };
                    let dest = route.destination(&domain);
                    let key = (dest, domain, sender.as_ref().map(ToString::to_string));
                    remote.entry(key).or_insert_with(|| (route, sender, Vec::new())).2.push(target);
                }
                Place::Later(why) => note(entry, target, deferral(time, "4.3.0", &why)),
                Place::Never(status, why) => note(entry, target, failure(time, &status, &why)),
            }
        }
        jobs.extend(shared.jobs(slot, !self.config.deliver.scripts_for_all()));
        for ((dest, ..), (route, sender, targets)) in remote {
            let key = DestKey::Remote(self.sites.of(&dest));
            if let Some(hop) = route.hop().filter(|h| h.connections > 0 || h.rate.is_some()) {
                self.plan.shape(&key, hop.connections, hop.rate, steady);
            }
            for chunk in chunks(entry, &targets) {
                let how = How::Remote(route.clone(), dest.clone());
                jobs.push((key.clone(), Job { slot, targets: chunk, how, sender: sender.clone() }));
            }
        }
        entry.facts.clear();
        self.queue_jobs(slot, jobs);
    }

    fn queue_jobs(&mut self, slot: u64, jobs: Vec<(DestKey, Job)>) {
        if let Some(crowd) = self.crowded(slot, &jobs) {
            return self.park(slot, crowd);
        }
        self.push_jobs(slot, jobs);
        self.round_over(slot);
    }

    /// Queues jobs of an entry that is in memory; what goes to a destination that is left alone is put off.
    pub fn push_jobs(&mut self, slot: u64, jobs: Vec<(DestKey, Job)>) {
        let time = self.steady();
        for (dest, job) in jobs {
            if let Some(until) = self.paused(&dest) {
                self.left_alone(&job, until);
                continue;
            }
            let Some(entry) = self.entries.get_mut(&slot) else { return };
            entry.jobs += 1;
            let cost = schedule::cost(job.targets.len());
            let (priority, sender) = (entry.priority, entry.sender.clone());
            self.plan.push(&dest, Turn { priority, sender, entry: slot, cost, job }, time);
        }
    }

    /// Takes an entry out of memory.
    pub fn forget(&mut self, slot: u64) -> Option<Entry> {
        let entry = self.entries.remove(&slot)?;
        self.slots.remove(entry.active.name());
        Some(entry)
    }

    /// Opens the journal for appending, cutting off what a crash left half-written.
    pub fn open_journal(&mut self, slot: u64) -> io::Result<()> {
        let Some(entry) = self.entries.get_mut(&slot) else { return Ok(()) };
        if entry.journal.is_some() {
            return Ok(());
        }
        let path = self.queue.log_path(entry.active.name());
        let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let good = entry.active.state().good_len;
        if file.metadata()?.len() > good {
            file.set_len(good)?;
        }
        self.pending.log_dir |= good == 0;
        entry.journal = Some(file);
        Ok(())
    }
}

/// Who takes turns: the login, else the sender.
pub fn sender_of(active: &Active) -> &str {
    let envelope = active.envelope();
    envelope.login.as_ref().map_or(envelope.sender.address.as_str(), Line::as_str)
}

fn route_key(domain: &str) -> String {
    format!("@{domain}")
}

fn sender_key(address: &str) -> String {
    format!("<{address}>")
}

/// Whether a target is mail passed on in the name of a stranger: by `deliver`, which says so in the envelope, or by an
/// alias of ours that leads to another domain.
fn is_forward(entry: &Entry, target: Target, to: &str) -> bool {
    let passed_on = entry.active.envelope().is_passed_on();
    let domain = |text: &str| Address::new(text).map(|a| a.domain()).unwrap_or_default();
    passed_on || entry.active.recipient(target).is_some_and(|r| r.address.domain() != domain(to))
}

/// The sender of forwarded mail; `None` where it stays, an error where lookup did not say.
fn forwarding_sender(entry: &Entry) -> Option<Result<Address, String>> {
    let own = &entry.active.envelope().sender.address;
    match entry.facts.get(&sender_key(own.as_str()))? {
        Fact::Sender(address) if address == own => None,
        Fact::Sender(address) => Some(Ok(address.clone())),
        Fact::Temporary(why) => Some(Err(why.clone())),
        _ => None,
    }
}

/// Records what a recipient became.
fn expanded(entry: &mut Entry, rcpt: u32, answer: Answer) {
    let time = now();
    match answer {
        Answer::Ok(fields) => {
            let pairs = fields.chunks_exact(2).filter_map(|p| Some((p.first()?.as_str(), p.get(1)?.as_str())));
            let kept = pairs.filter(|(kind, _)| *kind != "discard");
            let results =
                kept.map(|(kind, value)| Some(Resolved { kind: Kind::from_word(kind)?, value: Line::new(value)? }));
            match results.collect::<Option<Vec<_>>>() {
                Some(results) => match results.iter().find_map(temporary) {
                    Some(why) => entry.active.unresolvable(rcpt, why),
                    None => entry.active.resolve(rcpt, results, time),
                },
                None => entry.active.unresolvable(rcpt, deferral(time, "4.3.5", "odd answer of lookup")),
            }
        }
        Answer::No(fields) => {
            let text = if fields.is_empty() { "5.1.1 no such user".to_owned() } else { fields.join(" ") };
            let value = Line::clean(text.as_bytes());
            entry.active.resolve(rcpt, vec![Resolved { kind: Kind::Error, value }], time);
        }
        Answer::Temp(why) => entry.active.unresolvable(rcpt, deferral(time, "4.3.0", &format!("lookup: {why}"))),
    }
}

/// A table that could not be asked: the recipient is expanded again later.
fn temporary(result: &Resolved) -> Option<penny_queue::journal::Outcome> {
    let (status, text) = result.value.as_str().split_once(' ')?;
    (result.kind == Kind::Error && status.starts_with("4.")).then(|| deferral(now(), status, text))
}

/// Where a target goes.
enum Place {
    Local(DestKey, How),
    Remote(String, Route),
    Later(String),
    Never(String, String),
}

fn place(entry: &Entry, resolved: &Resolved) -> Place {
    let value = resolved.value.as_str();
    match resolved.kind {
        Kind::Local => match entry.facts.get(value) {
            Some(Fact::User(user)) => {
                Place::Local(DestKey::Local(user.name.clone()), How::Mailbox(Box::new(user.clone())))
            }
            Some(Fact::NoUser) => Place::Never("5.1.1".into(), "no such user".into()),
            Some(Fact::Temporary(why)) => Place::Later(format!("lookup: {why}")),
            _ => Place::Later("no answer of lookup".into()),
        },
        Kind::Remote => {
            let domain = Address::new(value).map(|a| a.domain()).unwrap_or_default();
            match entry.facts.get(&route_key(&domain)) {
                Some(Fact::Route(Route::Local)) => {
                    Place::Later("the route says local, but the address is no mailbox here".into())
                }
                Some(Fact::Route(route)) => Place::Remote(domain, route.clone()),
                Some(Fact::Temporary(why)) => Place::Later(format!("lookup: {why}")),
                _ => Place::Later("no answer of lookup".into()),
            }
        }
        Kind::Pipe => Place::Local(DestKey::Local(format!("|{value}")), How::Command(value.to_owned())),
        Kind::File => Place::Local(DestKey::Local(value.to_owned()), How::File(value.to_owned())),
        Kind::Error => match value.split_once(' ') {
            Some((status, text)) if status.starts_with("5.") => Place::Never(status.into(), text.into()),
            _ => Place::Never("5.1.1".into(), value.into()),
        },
    }
}

/// Recipients in portions that fit a job.
fn chunks(entry: &Entry, targets: &[Target]) -> Vec<Vec<Target>> {
    let size = |t: &Target| {
        let params = |r: &Recipient| r.params.iter().map(|p| p.to_string().len() + 1).sum::<usize>();
        let original = entry.active.recipient(*t).map_or(0, |r| params(r) + 3 * r.address.as_str().len());
        64 + original + entry.active.resolved(*t).map_or(0, |r| r.value.as_str().len())
    };
    let mut out: Vec<Vec<Target>> = Vec::new();
    let mut octets = 0;
    for target in targets {
        octets += size(target);
        match out.last_mut().filter(|last| last.len() < RECIPIENTS_MAX && octets < JOB_OCTETS_MAX) {
            Some(last) => last.push(*target),
            None => {
                out.push(vec![*target]);
                octets = size(target);
            }
        }
    }
    out
}
